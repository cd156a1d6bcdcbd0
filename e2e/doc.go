// Package e2e holds the end-to-end tests: the real program, a real control
// plane, and nobody in between. Most of them are conversations, in
// testdata/*.txtar, that read as what was said and what came of it:
//
//	say scale web to five
//	hear 'Scale Deployment web .* from 3 to 5 replicas'
//	say yes
//	outcome done 'web runs 5 of 5'
//	replicas deployment/web 5
//
// Each script has a namespace of its own, $NS, with the workloads of
// testdata/shop.yaml, and a `bot serve` of its own, which starts when somebody
// first speaks. The commands, besides those of testscript:
//
//	say TEXT               say something in the conversation
//	conversation ID        go on in another conversation
//	dialogflow TEXT        say something through the Dialogflow ES webhook
//	dialogflow-until REGEXP TEXT
//	                       say it again until the answer fits
//	hear REGEXP            the last answer's text; ! hear for what must not be in it
//	speech REGEXP          the last answer as it is spoken
//	shown REGEXP           the last answer's tables and diffs
//	expect WORD            what the answer waits for: none, confirm, choice or a slot
//	fault KIND             why nothing was done: not_found, refused, …; none
//	outcome WORD [REGEXP]  wait until a change is told to have ended so
//	outcomes N             how many ends were ever told in the conversation
//	quiet                  nothing more is told, longer than a dead process is waited for
//	progress REGEXP        wait for news of a change that runs
//	replicas OBJECT N      what the cluster says, asked with kubectl
//	image OBJECT [CONTAINER] REGEXP
//	kubectl …              in the script's namespace
//	until REGEXP kubectl … ask again until the answer fits
//	shop NAME              a second shop, in $NS-NAME, which people call NAME
//	ask …, ask-local …     bot ask, through the server or with the kubeconfig alone
//	bot …                  any other command of the program
//	chat FILE              bot chat, with what is said in a file
//	exit N                 what the last ask or bot ended with; each needs one
//	contract               the last ask's JSON keeps the outer contract
//	start [FLAGS]          start bot serve (flags stay for later starts)
//	crash                  kill -9
//	shutdown               SIGTERM; must end within ten seconds
//
// A script that brings a file firstmate.yaml is served with that configuration.
//
// TestChannels holds one more conversation on every channel; a channel joins with
// a driver in a file of its own and a line in channelsUnderTest.
package e2e
