package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A driver is a person on one channel: it speaks as the channel's platform would.
type driver interface {
	// say says a sentence and returns what is heard, or read, in answer.
	say(ctx context.Context, text string) (string, error)
}

// A repeater is a driver whose platform may deliver a message twice.
type repeater interface {
	// again delivers what was said last once more, just as it was delivered
	// before, and returns the answer.
	again(ctx context.Context) (string, error)
}

// A keypad is a driver on which digits are keyed, and not said.
type keypad interface {
	key(ctx context.Context, digits string) (string, error)
}

// channelUnderTest is a channel that the script is held on.
type channelUnderTest struct {
	name   string
	config string // of bot serve, beside channelSettings: the channel's own
	// open begins a conversation with the bot serve of a world.
	open func(t *testing.T, w *world) (driver, error)
}

// channelsUnderTest are all of them; each has its driver in a file of its own.
func channelsUnderTest() []channelUnderTest {
	return []channelUnderTest{
		{name: "terminal", open: openTerminal},
		{name: "web", open: openWeb},
		{name: "dialogflow-es", config: dialogflowES, open: openDialogflowES},
		{name: "dialogflow-cx", open: openDialogflowCX},
		{name: "alexa", config: alexaSkill, open: openAlexa},
		{name: "phone", open: openPhone},
		{name: "sms", open: openSMS},
		{name: "slack", open: openSlack},
		{name: "discord", open: openDiscord},
		{name: "mcp", config: mcpClients(), open: openMCP},
	}
}

// channelSettings is the configuration under which every channel does the same:
// who speaks is one person, who says a PIN where a voice proves nobody, and
// may not touch the cart.
const channelSettings = `
access:
  people:
    - name: demo
      speakers: ["web:*", "dialogflow:*", "alexa:*", "phone:*", "sms:*", "slack:*", "discord:*", "mcp:*"]
      user: demo
      groups: [shop-operators]
      write: true
      pin_hash: "$argon2id$v=19$m=19456,t=2,p=1$p8glpR0boFtPL28HPGcddw$2v3DBdS9AqEOX/OFOpLd7GjTZfRhZaIaMwycXMGyVhM"
  policies:
    - {name: cart, match: {labels: {app: cart}}, verdict: deny, reason: the cart is frozen}
`

// channelPIN is that person's.
const channelPIN = "2580 7463"

// step is what is said, and what comes of it. Exactly one of say and agree is
// set, apart from again, which goes with either.
type step struct {
	say   string
	agree bool   // yes, and the PIN where one is asked for
	hear  string // a regexp that the answer fits, in any case
	until string // instead: "how is it going?" is asked until the answer fits
	again bool   // the platform delivers it twice: the answer is the same
}

// channelScript is one conversation, held on every channel. Numbers may be
// heard as words.
func channelScript() []step {
	return []step{
		{say: "how is web?", hear: `web .*(3|three) of (3|three)`},
		// A change is read back, and done after a yes; a platform that delivers
		// something twice does nothing twice.
		{say: "scale web to five", hear: `web .*from (3|three) to (5|five)\b.*shall I`, again: true},
		{agree: true, hear: `web`, again: true},
		{until: `web .*(5|five) of (5|five)`},
		// A roll-out, and how it goes.
		{say: "roll out v2 of checkout", hear: `checkout .*from (v1|version one) to (v2|version two)\b.*shall I`},
		{agree: true, hear: `checkout`, again: true},
		{until: `checkout (runs|is fine|is on)\b.*(v2|version two)\b`},
		// Questions.
		{say: "why is checkout slow?", hear: `not enough evidence`},
		{say: "how is web?", hear: `web .*(5|five) of (5|five)`},
		// The way back is of the last change.
		{say: "undo", hear: `checkout .*from (v2|version two) to (v1|version one)\b.*shall I`, again: true},
		{agree: true, hear: `checkout`},
		{until: `checkout (runs|is fine|is (back )?on)\b.*(v1|version one)\b`},
		// What the rules forbid is not done, and no yes does it.
		{say: "scale cart to three", hear: `the cart is frozen`},
		{say: "yes", hear: `nothing is waiting for a yes`},
		// No is no, and what was not understood is nothing.
		{say: "scale web to nine", hear: `web .*from (5|five) to (9|nine)\b.*shall I`},
		{say: "no", hear: `leave web as it is`},
		{say: "colorless green ideas sleep furiously", hear: `did not understand|did not get that|say (it|that) again`},
		{say: "yes", hear: `nothing is waiting for a yes`},
	}
}

// channelState is the cluster after the script: kind, name, replicas, how often
// it was changed in all, images.
const channelState = `DaemonSet log-agent  1 registry.example.com/ops/log-agent:3.0
Deployment cart 2 2 registry.example.com/shop/cart:2.0
Deployment checkout 3 4 registry.example.com/shop/checkout:v1
Deployment gateway 2 1 registry.example.com/shop/gateway:v4.1 registry.example.com/edge/envoy:1.30
Deployment web 5 2 registry.example.com/shop/web:v1.9
StatefulSet redis-cache 3 1 registry.example.com/library/redis:7.2
`

// TestChannels holds one conversation on every channel. Whatever the way it is
// said, the cluster ends up the same, changed as often and no more.
func TestChannels(t *testing.T) {
	for _, c := range channelsUnderTest() {
		t.Run(c.name, func(t *testing.T) {
			w := worldOf(t, "t-on-"+c.name)
			w.rights.config = channelSettings + c.config
			t.Cleanup(func() {
				if t.Failed() {
					log, _ := os.ReadFile(filepath.Join(w.dir, "bot.log")) // only for whoever reads the failure
					t.Logf("bot serve said:\n%s", log)
				}
			})
			d, err := c.open(t, w)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range channelScript() {
				if err := s.hold(t, d); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := w.state(t.Context()); err != nil || got != channelState {
				t.Errorf("%v, the cluster is\n%s\nwant\n%s", err, got, channelState)
			}
		})
	}
}

// hold takes one step of the script.
func (s step) hold(t *testing.T, d driver) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), newsLimit)
	defer cancel()
	if s.until != "" {
		return listenFor(ctx, t, d, s.until)
	}
	said := s.say
	if s.agree {
		said = "yes"
	}
	heard, err := d.say(ctx, said)
	t.Logf("%s\n· %s", said, heard)
	if err == nil && s.agree && strings.Contains(heard, "Your PIN") {
		heard, err = sayPIN(ctx, d)
		t.Logf("(the PIN)\n· %s", heard)
	}
	if err == nil {
		err = matches(heard, "(?i)"+s.hear, false)
	}
	if err != nil {
		return fmt.Errorf("after %q: %w", said, err)
	}
	r, ok := d.(repeater)
	if !s.again || !ok {
		return nil
	}
	switch twice, err := r.again(ctx); {
	case err != nil:
		return fmt.Errorf("when %q was delivered again: %w", said, err)
	case twice != heard:
		return fmt.Errorf("%q was delivered again and answered\n%s\nnot as before\n%s", said, twice, heard)
	}
	return nil
}

// sayPIN says the PIN digit by digit, or keys it.
func sayPIN(ctx context.Context, d driver) (string, error) {
	if k, ok := d.(keypad); ok {
		return k.key(ctx, strings.ReplaceAll(channelPIN, " ", ""))
	}
	return d.say(ctx, channelPIN)
}

// listenFor asks how it is going until the answer fits: nothing is told by
// itself on some channels.
func listenFor(ctx context.Context, t *testing.T, d driver, re string) error {
	for {
		heard, err := d.say(ctx, "how is it going?")
		t.Logf("how is it going?\n· %s", heard)
		if err != nil {
			return err
		}
		if err = matches(heard, "(?i)"+re, false); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("within %v: %w", newsLimit, err)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// state is what the cluster has in the world's namespace.
func (w *world) state(ctx context.Context) (string, error) {
	const row = `{range .items[*]}{.kind} {.metadata.name} {.spec.replicas} {.metadata.generation} {.spec.template.spec.containers[*].image}{"\n"}{end}`
	var all strings.Builder
	for _, kind := range []string{"daemonset", "deployment", "statefulset"} {
		out, err := kubectl(ctx, "", "-n", w.namespace, "get", kind, "--sort-by=.metadata.name", "-o", "jsonpath="+row)
		if err != nil {
			return "", err
		}
		all.WriteString(strings.TrimRight(out, "\n") + "\n")
	}
	return all.String(), nil
}
