package discord

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/discord/discordtest"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/export"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/store"
)

var english = sync.OnceValue(func() *intents.Catalogue {
	c, err := intents.English()
	if err != nil {
		panic(err)
	}
	return c
})

// limit bounds what is waited for; nothing takes that long.
const limit = 60 * time.Second

// logged is a log that can be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// ship is a bot on a Discord for tests.
type ship struct {
	t      *testing.T
	ctx    context.Context
	sea    *discordtest.Server
	engine *channeltest.Engine
	store  *store.Store
	cfg    Config
	parts  Parts
	log    *logged
}

func newShip(t *testing.T, answer func(dialogue.Request) dialogue.Reply, settings ...discordtest.Setting) *ship {
	t.Helper()
	t.Parallel() // most of the time nothing is done: discordgo takes a second to leave
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	st, err := store.OpenSQLite(ctx, filepath.Join(t.TempDir(), "firstmate.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &ship{t: t, ctx: ctx, sea: discordtest.New(t, settings...), engine: channeltest.NewEngine(answer), store: st, log: &logged{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the bot said:\n%s", s.log)
			for _, r := range s.sea.Requests() {
				t.Log(r)
			}
		}
	})
	s.cfg = Config{Token: s.sea.Token(), Guilds: []string{s.sea.Guild()}, MessageContent: true, APIURL: s.sea.URL()}
	commands, err := export.DiscordCommands(english())
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(commands)
	if err != nil {
		t.Fatal(err)
	}
	known := func(_ context.Context, who access.Speaker) (access.Person, bool, error) {
		return access.Person{Name: who.Name}, !strings.EqualFold(who.Name, "stranger"), nil
	}
	s.parts = Parts{Engine: s.engine, Books: st, Words: english(), Who: known, Commands: set, Sentence: export.DiscordSentence}
	return s
}

// sail starts a bot, which ends with the test or by what is returned.
func (s *ship) sail() (b *Bot, stop func()) {
	s.t.Helper()
	b, err := New(s.cfg, s.parts, slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				s.t.Error(err)
			}
		})
	}
	s.t.Cleanup(stop)
	if b.key == nil {
		if err := s.sea.Ready(s.ctx); err != nil {
			s.t.Fatal(err)
		}
	}
	return b, stop
}

// wait waits until a channel or thread is so.
func (s *ship) wait(channel, thread string, so func([]discordtest.Message) bool) []discordtest.Message {
	s.t.Helper()
	if err := s.sea.Wait(s.ctx, channel, thread, so); err != nil {
		s.t.Fatalf("%v: %+v", err, s.sea.Messages(channel, thread))
	}
	return s.sea.Messages(channel, thread)
}

// ours are the messages of the bot.
func ours(all []discordtest.Message) (out []discordtest.Message) {
	for _, m := range all {
		if m.Author == "firstmate" && !m.Waiting {
			out = append(out, m)
		}
	}
	return out
}

func have(n int) func([]discordtest.Message) bool {
	return func(all []discordtest.Message) bool { return len(ours(all)) >= n }
}

// says holds that what the bot says last contains some words.
func (s *ship) says(channel, thread, words string) discordtest.Message {
	s.t.Helper()
	all := ours(s.wait(channel, thread, func(all []discordtest.Message) bool {
		o := ours(all)
		return len(o) > 0 && strings.Contains(o[len(o)-1].Text, words)
	}))
	return all[len(all)-1]
}

func reply(text string) dialogue.Reply {
	return dialogue.Reply{Speech: text, Text: text, Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone}
}

// echo answers with what was said.
func echo(r dialogue.Request) dialogue.Reply {
	return reply("You said: " + r.Text + r.Confirm + r.Deny + r.Approve)
}

func TestMentionsThreadsAndDirectMessages(t *testing.T) {
	s := newShip(t, echo)
	s.sail()
	// Not for us: talk of others, and of those to whom somebody speaks.
	s.sea.Say("ann", "general", "", "how is web?")
	s.sea.Say("ann", "general", "", "@bob how is web?")
	root := s.sea.Say("ann", "general", "", "@firstmate how is web?")
	s.says("general", root, "You said: how is web?")
	if name, _ := s.sea.ThreadName(root); name != "how is web?" {
		t.Errorf("the thread is called %q", name)
	}
	// In our thread nobody has to name us, and two people share it.
	s.sea.Say("bob", "general", root, "and the cart?")
	s.says("general", root, "and the cart?")
	s.sea.Say("ann", "general", root, "@bob do you see that?")
	s.sea.Say("bob", "general", root, "scale it to 5")
	s.says("general", root, "scale it to 5")
	dm := s.sea.DM("ann")
	s.sea.Say("ann", dm, "", "what may I do?")
	s.says(dm, "", "You said: what may I do?")
	s.sea.Say("stranger", s.sea.DM("stranger"), "", "list the secrets")
	s.says(s.sea.DM("stranger"), "", "people I know")
	s.sea.Say("stranger", s.sea.DM("stranger"), "", "link 4829 1374")
	s.says(s.sea.DM("stranger"), "", "link 4829 1374")

	conversation := "discord:" + s.sea.Guild() + ":" + s.sea.Channel("general") + ":" + root
	var got []string
	for _, r := range s.engine.Requests() {
		got = append(got, strings.Join([]string{r.Text, r.Speaker.Name, strings.ReplaceAll(r.Conversation, conversation, "thread")}, "|"))
		if r.Speaker.Channel != Channel || !snowflake(r.Speaker.ID) || r.Speaker.Method != access.Signature || r.Speaker.Assurance != access.Verified || !strings.HasPrefix(r.DeliveryID, "discord:") {
			t.Errorf("%+v", r)
		}
	}
	want := []string{
		"how is web?|Ann|thread", "and the cart?|Bob|thread", "scale it to 5|Bob|thread", "what may I do?|Ann|discord:-:" + dm + ":-",
		"link 4829 1374|Stranger|discord:-:" + s.sea.DM("stranger") + ":-",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the engine heard\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := len(ours(s.sea.Messages("general", ""))); n != 0 {
		t.Errorf("%d messages beside the threads", n)
	}
}

// TestAClusterCallsNobody holds that what a cluster says pings nobody and links nowhere,
// and that who asked is told of the outcome.
func TestAClusterCallsNobody(t *testing.T) {
	s := newShip(t, func(r dialogue.Request) dialogue.Reply {
		out := reply(hostile + " @bob")
		if r.Text == "scale" {
			out = reply("On it.")
			out.Outcome, out.Proposal = dialogue.OutcomePending, &dialogue.Proposal{ID: "p1"}
		}
		return out
	})
	b, _ := s.sail()
	root := s.sea.Say("ann", "general", "", "@firstmate how is web?")
	m := ours(s.wait("general", root, have(1)))[0]
	if len(m.Mention) != 0 || len(m.Links) != 0 {
		t.Errorf("it calls %v, links %v", m.Mention, m.Links)
	}
	s.sea.Say("ann", "general", root, "scale")
	s.says("general", root, "On it.")
	s.push(b, s.conversation("general", root), dialogue.EventOutcome, "p1", "Done: "+hostile)
	m = s.says("general", root, "Done")
	if !slices.Equal(m.Mention, []string{"ann"}) || len(m.Links) != 0 {
		t.Errorf("it calls %v, links %v", m.Mention, m.Links)
	}
}

func (s *ship) conversation(channel, thread string) string {
	return "discord:" + s.sea.Guild() + ":" + s.sea.Channel(channel) + ":" + thread
}

// push tells something in a conversation, as the engine and the hub of the app do.
func (s *ship) push(b *Bot, conversation, kind, action, text string) {
	ev := dialogue.Event{Kind: kind, Action: action, Reply: reply(text)}
	s.engine.Push(conversation, ev)
	b.Overhear(conversation, ev)
}

// TestARolloutIsOneThread has a command begin a change, a button agree, and the thread
// below tell how it goes in one message that is edited, and how it ended.
func TestARolloutIsOneThread(t *testing.T) {
	s := newShip(t, func(r dialogue.Request) dialogue.Reply {
		out := reply("Scale web from 3 to 5. Shall I?")
		out.Proposal = &dialogue.Proposal{ID: "p1", Risk: "low"}
		out.Blocks = []dialogue.Block{{Type: "diff", Text: "-replicas: 3\n+replicas: 5"}}
		if out.Expect = dialogue.ExpectConfirm; r.Confirm == "p1" {
			out.Text, out.Expect, out.Outcome, out.Blocks = "Scaling web.", dialogue.ExpectNone, dialogue.OutcomePending, nil
		}
		return out
	})
	b, _ := s.sail()
	s.registered(1)
	id := s.sea.Command("ann", "general", "firstmate scale", map[string]string{"workload": "web", "replicas": "5"})
	it, err := s.sea.Answered(s.ctx, id)
	if err != nil || it.Answer != answerLater || it.After > acknowledgeWithin {
		t.Fatalf("%+v, %v", it, err)
	}
	asked := s.says("general", "", "Shall I?")
	if !strings.Contains(asked.Text, "> scale web to 5") || !strings.Contains(asked.Text, "```diff\n-replicas: 3") || len(asked.Buttons) != 2 {
		t.Errorf("%+v", asked)
	}
	thread := asked.ID
	s.sea.Click("ann", asked.ID, asked.Buttons[0].ID)
	doing := s.says("general", thread, "Scaling web.")
	if !strings.Contains(doing.Text, "**Ann**: Yes") {
		t.Errorf("who agreed is not there: %q", doing.Text)
	}
	s.wait("general", "", func(all []discordtest.Message) bool { return len(ours(all)[0].Buttons) == 0 })
	conversation := s.conversation("general", thread)
	for i := range 5 {
		s.push(b, conversation, dialogue.EventProgress, "p1", fmt.Sprintf("%d of 5 pods", i+1))
	}
	s.wait("general", thread, func(all []discordtest.Message) bool { return strings.Contains(ours(all)[0].Text, "5 of 5") })
	s.push(b, conversation, dialogue.EventOutcome, "p1", "Web runs with 5 of 5.")
	s.says("general", thread, "Web runs")
	told := ours(s.sea.Messages("general", thread))
	if len(told) != 2 || told[0].ID != doing.ID || told[0].Edits == 0 {
		t.Errorf("in the thread stand %+v", told)
	}
	var confirmed int
	for _, r := range s.engine.Requests() {
		if r.Confirm == "p1" && r.Conversation == conversation {
			confirmed++
		}
	}
	if confirmed != 1 {
		t.Errorf("confirmed %d times", confirmed)
	}
}

// An incident is one thread: what fired stands in the channel, the rest below it, and who
// answers there is answered, without saying what it is about.
func TestAnIncidentIsOneThread(t *testing.T) {
	s := newShip(t, echo)
	b, _ := s.sail()
	at := "discord:" + s.sea.Guild() + ":" + s.sea.Channel("general") + ":-"
	tell := func(text string) {
		ev := dialogue.Event{Kind: dialogue.EventOutcome, Action: text, Topic: "incident 7", About: []dialogue.Target{{Namespace: "shop", Name: "checkout"}}, Reply: reply(text)}
		s.engine.Push(at, ev)
		b.Overhear(at, ev)
	}
	tell("CheckoutErrors fires.")
	first := s.says("general", "", "CheckoutErrors fires.")
	tell("Ann is called.")
	s.says("general", first.ID, "Ann is called.")
	if n := len(ours(s.sea.Messages("general", ""))); n != 1 {
		t.Errorf("%d messages stand in the channel", n)
	}
	s.sea.Say("ann", "general", first.ID, "roll it back")
	s.says("general", first.ID, "roll it back")
	if got := s.engine.AboutWhat(s.conversation("general", first.ID)); len(got) != 1 || got[0].Name != "checkout" {
		t.Errorf("it is about %v", got)
	}
}

// registered waits until the commands are there, put so many times.
func (s *ship) registered(times int) {
	s.t.Helper()
	puts := func() (n, gets int) {
		for _, r := range s.sea.Requests() {
			if strings.HasSuffix(r.Path, "/commands") && r.Status == 200 {
				if r.Method == "PUT" {
					n++
				} else {
					gets++
				}
			}
		}
		return n, gets
	}
	s.until(func() bool { n, gets := puts(); return n >= max(times, 1) && gets > 0 })
	if n, _ := puts(); n != times && times > 0 {
		s.t.Errorf("registered %d times, want %d", n, times)
	}
}

// until waits until something is so that nobody tells of.
func (s *ship) until(so func() bool) {
	s.t.Helper()
	for !so() {
		select {
		case <-s.ctx.Done():
			s.t.Fatal("it never came so")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestCommandsAreRegisteredWhenTheyChanged(t *testing.T) {
	s := newShip(t, echo)
	_, stop := s.sail()
	s.registered(1)
	stop()
	gets := func() (n int) {
		for _, r := range s.sea.Requests() {
			if r.Method == "GET" && strings.HasSuffix(r.Path, "/commands") {
				n++
			}
		}
		return n
	}
	_, stop = s.sail() // the same set
	s.until(func() bool { return gets() == 2 })
	stop()
	s.registered(1)
	s.parts.Commands = bytes.Replace(s.parts.Commands, []byte("Ask about the cluster"), []byte("Ask about your cluster"), 1)
	s.sail()
	s.registered(2)
}

// TestEveryOneOfABurstIsAnsweredOnce has 200 messages in four conversations, some of
// them delivered again, Discord limiting and the gateway dropping.
func TestEveryOneOfABurstIsAnsweredOnce(t *testing.T) {
	s := newShip(t, echo, discordtest.Rate(50, 200*time.Millisecond, 500))
	s.sail()
	channels := []string{s.sea.DM("ann"), s.sea.DM("bob"), s.sea.DM("carl"), s.sea.DM("dora")}
	for i := range 200 {
		s.sea.Say([]string{"ann", "bob", "carl", "dora"}[i%4], channels[i%4], "", fmt.Sprintf("number %d", i))
		switch {
		case i%20 == 7:
			s.sea.Repeat()
		case i == 60 || i == 130:
			s.sea.Disconnect()
		case i == 90:
			s.sea.Limit(5, 150*time.Millisecond)
		}
	}
	for n, c := range channels {
		all := ours(s.wait(c, "", have(50)))
		for i, m := range all {
			if want := fmt.Sprintf("You said: number %d", n+4*i); m.Text != want {
				t.Errorf("answer %d in %d is %q, want %q", i, n, m.Text, want)
			}
		}
		if len(all) != 50 {
			t.Errorf("%d answers", len(all))
		}
	}
	if n := len(s.engine.Requests()); n != 200 {
		t.Errorf("%d turns", n)
	}
	if began, resumed := s.sea.Connections(); began != 1 || resumed < 1 {
		t.Errorf("%d sessions, %d resumed", began, resumed)
	}
	if n := s.sea.Hasty(); n != 0 {
		t.Errorf("%d requests came before a rate limit was over", n)
	}
}

// TestWhatIsMissedWhileAwayIsHeard drops the gateway, and has it refuse to resume.
func TestWhatIsMissedWhileAwayIsHeard(t *testing.T) {
	s := newShip(t, echo)
	s.sail()
	dm := s.sea.DM("ann")
	s.sea.Disconnect()
	s.sea.Say("ann", dm, "", "while you were away")
	s.says(dm, "", "while you were away")
	s.sea.Reconnect()
	s.sea.Say("ann", dm, "", "and again")
	s.says(dm, "", "and again")
	if began, resumed := s.sea.Connections(); began != 1 || resumed != 2 {
		t.Errorf("%d sessions, %d resumed", began, resumed)
	}
	s.sea.Invalidate()
	s.until(func() bool { began, _ := s.sea.Connections(); return began == 2 })
	if err := s.sea.Ready(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.sea.Say("ann", dm, "", "a session of its own")
	s.says(dm, "", "a session of its own")
}

// TestReplicasAnswerOnce has two bots hear all, with one store.
func TestReplicasAnswerOnce(t *testing.T) {
	s := newShip(t, func(r dialogue.Request) dialogue.Reply {
		out := echo(r)
		if r.Text == "scale web to 5" {
			out.Expect, out.Proposal = dialogue.ExpectConfirm, &dialogue.Proposal{ID: "p1"}
		}
		return out
	})
	s.sail()
	s.sail()
	s.registered(0) // by one of them, or by both
	s.until(func() bool { began, _ := s.sea.Connections(); return began == 2 })
	root := s.sea.Say("ann", "general", "", "@firstmate one")
	s.says("general", root, "one")
	for i := range 10 {
		s.sea.Say("ann", "general", root, fmt.Sprintf("more %d", i))
	}
	s.wait("general", root, have(11))
	s.sea.Command("bob", "general", "firstmate scale", map[string]string{"workload": "web", "replicas": "5"})
	asked := s.says("general", "", "scale web to 5")
	s.sea.Click("bob", asked.ID, asked.Buttons[0].ID)
	s.says("general", asked.ID, "p1")
	s.sea.Say("ann", "general", root, "last")
	s.says("general", root, "last")
	if n := len(ours(s.sea.Messages("general", root))); n != 12 {
		t.Errorf("%d answers, want 12", n)
	}
	if n := len(ours(s.sea.Messages("general", asked.ID))); n != 1 {
		t.Errorf("%d answers to the press", n)
	}
}

func TestRolesComeWithWhoSpeaks(t *testing.T) {
	s := newShip(t, echo)
	s.sea.Roles("ann", "operators", "leads")
	s.sail()
	s.registered(1)
	s.sea.Say("ann", "general", "", "@firstmate hello")
	s.until(func() bool { return len(s.engine.Requests()) == 1 })
	s.sea.Command("ann", "general", "firstmate ask", map[string]string{"text": "hello"})
	s.until(func() bool { return len(s.engine.Requests()) == 2 })
	s.sea.Roles("ann")
	s.sea.Say("ann", "general", "", "@firstmate hello again")
	s.until(func() bool { return len(s.engine.Requests()) == 3 })
	want := access.NewRoles(s.sea.Role("operators"), s.sea.Role("leads"))
	got := s.engine.Requests()
	if got[0].Speaker.Roles != want || got[1].Speaker.Roles != want || got[2].Speaker.Roles != "" {
		t.Errorf("%q, %q, %q, want %q", got[0].Speaker.Roles, got[1].Speaker.Roles, got[2].Speaker.Roles, want)
	}
}

func TestNamesAreCompleted(t *testing.T) {
	s := newShip(t, echo)
	s.parts.Names = func(_ context.Context, who access.Speaker, option, typed string) []string {
		if option == "namespace" {
			return []string{"shop"}
		}
		out := []string{strings.Repeat("x", 120), "my-web", "web", "cart", "Web-two"}
		for i := range 40 {
			out = append(out, fmt.Sprintf("web-%02d", i))
		}
		return out
	}
	s.sail()
	s.registered(1)
	got := s.sea.Autocomplete("ann", "general", "firstmate scale", "workload", "we")
	if len(got) != mostCompleted || got[0].Value != "web" || got[1].Value != "Web-two" || got[2].Value != "web-00" {
		t.Errorf("%+v", got)
	}
	if got = s.sea.Autocomplete("ann", "general", "firstmate scale", "namespace", ""); len(got) != 1 || got[0].Value != "shop" {
		t.Errorf("%+v", got)
	}
	if got = s.sea.Autocomplete("stranger", s.sea.DM("stranger"), "firstmate scale", "namespace", ""); len(got) != 0 {
		t.Errorf("a stranger is offered %+v", got)
	}
}

// TestASecondPersonPresses holds that the press of a second person is theirs, and what is
// refused to one stays for another.
func TestASecondPersonPresses(t *testing.T) {
	s := newShip(t, func(r dialogue.Request) dialogue.Reply {
		switch {
		case r.Approve != "" && r.Speaker.Name == "Ann":
			out := reply("You asked for it yourself.")
			out.Fault = "refused"
			return out
		case r.Approve != "":
			return reply("Bob approved " + r.Approve)
		}
		out := reply("That needs a second person.")
		out.Expect, out.Proposal = dialogue.ExpectApproval, &dialogue.Proposal{ID: "p1", Digest: "d1gest"}
		return out
	})
	s.sail()
	root := s.sea.Say("ann", "general", "", "@firstmate scale db to 0")
	asked := s.says("general", root, "second person")
	s.sea.Click("ann", asked.ID, asked.Buttons[0].ID)
	s.says("general", root, "yourself")
	if m := s.sea.Messages("general", root); len(find2(m, asked.ID).Buttons) == 0 {
		t.Error("the refused press took the buttons away")
	}
	s.sea.Click("bob", asked.ID, asked.Buttons[0].ID)
	s.says("general", root, `Bob approved p1\@d1gest`)
	s.wait("general", root, func(all []discordtest.Message) bool { return len(find2(all, asked.ID).Buttons) == 0 })
}

func find2(all []discordtest.Message, id string) discordtest.Message {
	for _, m := range all {
		if m.ID == id {
			return m
		}
	}
	return discordtest.Message{}
}

// TestAPINIsTypedIntoAForm holds that nobody else sees it.
func TestAPINIsTypedIntoAForm(t *testing.T) {
	s := newShip(t, func(r dialogue.Request) dialogue.Reply {
		if r.Text == "2580" {
			return reply("Scaling.")
		}
		out := reply("Your PIN, please.")
		out.Expect = dialogue.ExpectPIN
		return out
	})
	s.sail()
	root := s.sea.Say("ann", "general", "", "@firstmate scale web to 5")
	asked := s.says("general", root, "PIN")
	it, err := s.sea.Answered(s.ctx, s.sea.Click("ann", asked.ID, asked.Buttons[0].ID))
	if err != nil || it.Answer != answerForm {
		t.Fatalf("%+v, %v", it, err)
	}
	s.sea.Submit("ann", it.ID, map[string]string{formInput: "2580"})
	s.says("general", root, "Scaling.")
	for _, m := range s.sea.Messages("general", root) {
		if strings.Contains(m.Text, "2580") {
			t.Errorf("the PIN stands there: %q", m.Text)
		}
	}
}

func TestWhatIsPrivateIsToldInPrivate(t *testing.T) {
	s := newShip(t, func(dialogue.Request) dialogue.Reply {
		out := reply("Your code is 4829 1374.")
		out.Private = true
		return out
	})
	s.sail()
	s.registered(1)
	root := s.sea.Say("ann", "general", "", "@firstmate link my phone")
	s.says("general", root, "for your eyes only")
	s.says(s.sea.DM("ann"), "", "4829 1374")
	s.sea.Refuse("bob")
	root = s.sea.Say("bob", "general", "", "@firstmate link my phone")
	s.says("general", root, "does not let me write to you")
	s.sea.Command("carl", "ops", "firstmate ask", map[string]string{"text": "link my phone"})
	all := s.wait("ops", "", func(all []discordtest.Message) bool {
		return slices.ContainsFunc(all, func(m discordtest.Message) bool { return strings.Contains(m.Text, "4829") })
	})
	for _, m := range all {
		if strings.Contains(m.Text, "4829") && m.Only != "carl" {
			t.Errorf("all can see %+v", m)
		}
	}
}

// voice says everything in the same way.
type voice struct {
	ogg  []byte
	mu   sync.Mutex
	said []string
}

func (v *voice) Synthesize(_ context.Context, text string, f speech.Format) (speech.Audio, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.said = append(v.said, text); v.ogg == nil {
		return speech.Audio{}, errors.New("hoarse")
	}
	return speech.Audio{Format: f, Data: v.ogg}, nil
}

type ear func(a speech.Audio) (speech.Heard, error)

func (e ear) Recognize(_ context.Context, a speech.Audio, _ speech.Hints) (speech.Heard, error) {
	return e(a)
}

func TestVoiceMessages(t *testing.T) {
	sound := opus(50, 3*time.Second)
	s := newShip(t, echo)
	s.parts.Ears = ear(func(a speech.Audio) (speech.Heard, error) {
		if !bytes.Equal(a.Data, sound) || a.Format != speech.Ogg {
			return speech.Heard{}, fmt.Errorf("heard %d bytes of %s", len(a.Data), a.Format)
		}
		return speech.Heard{Text: "how is *web*", Confidence: 1}, nil
	})
	v := &voice{ogg: sound}
	s.parts.Voice = v
	s.sail()
	dm := s.sea.DM("ann")
	s.sea.SayAudio("ann", dm, "", sound)
	if m := s.says(dm, "", "You said: how is"); !strings.Contains(m.Text, `> how is \*web\*`) {
		t.Errorf("what was heard is not there: %q", m.Text)
	}
	root := s.sea.Say("ann", "general", "", "@firstmate how is web? answer by voice, please")
	all := ours(s.wait("general", root, have(2)))
	if len(all) != 2 || all[0].Text != "You said: how is web?" || !all[1].Voice || len(all[1].Files) != 1 || !bytes.Equal(all[1].Files[0].Data, sound) || all[1].Text != "" {
		t.Errorf("%+v", all)
	}
	v.mu.Lock()
	v.ogg = nil
	v.mu.Unlock()
	s.sea.Say("bob", "general", root, "reply with voice: all well?")
	s.says("general", root, "could not say that aloud")
}

func TestChartsAndLongTablesAreFiles(t *testing.T) {
	png := []byte("\x89PNG\r\n\x1a\n what a chart")
	s := newShip(t, func(dialogue.Request) dialogue.Reply {
		out := reply("CPU of web.")
		out.Blocks = []dialogue.Block{
			{Type: "chart", Chart: &observability.Chart{Title: "CPU"}},
			{Type: "log", Text: strings.Repeat("2026-11-22 connection refused\n", 200)},
		}
		return out
	})
	s.parts.Paint = func(observability.Chart) ([]byte, error) { return png, nil }
	s.sail()
	s.registered(1)
	root := s.sea.Say("ann", "general", "", "@firstmate graph the cpu of web")
	for _, m := range []discordtest.Message{s.says("general", root, "CPU of web."), func() discordtest.Message {
		s.sea.Command("ann", "general", "firstmate ask", map[string]string{"text": "graph the cpu of web"})
		return s.says("general", "", "CPU of web.")
	}()} {
		if len(m.Files) != 2 || m.Files[0].Name != "chart.png" || !bytes.Equal(m.Files[0].Data, png) || m.Files[1].Name != "log.txt" || len(m.Files[1].Data) < 5000 {
			t.Errorf("%+v", m)
		}
	}
}
