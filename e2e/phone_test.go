package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/phone/carriertest"
)

// phoneWorld is a world with a telephone.
func phoneWorld(t *testing.T, namespace string) (*world, *telephone, context.Context) {
	w := worldOf(t, namespace)
	w.rights.config = channelSettings
	t.Cleanup(func() {
		log, _ := os.ReadFile(filepath.Join(w.dir, "bot.log")) // to look for what must not be there, and for the reader
		if strings.Contains(string(log), "25807463") {
			t.Error("the PIN stands in the log")
		}
		if t.Failed() {
			t.Logf("bot serve said:\n%s", log)
		}
	})
	p := newTelephone(t, w, carriertest.Config{Pace: 0.1, Show: func(line string) { t.Log(line) }})
	ctx, cancel := context.WithTimeout(t.Context(), newsLimit)
	t.Cleanup(cancel)
	return w, p, ctx
}

func caller(t *testing.T, lines ...carriertest.Line) carriertest.Person {
	t.Helper()
	p, err := carriertest.Script(lines...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func onHearing(what, say, keys string) carriertest.Line {
	return carriertest.Line{Hears: what, Act: carriertest.Act{Say: say, Keys: keys}}
}

func (w *world) replicas(ctx context.Context, t *testing.T, name string) string {
	t.Helper()
	out, err := kubectl(ctx, "", "-n", w.namespace, "get", "deployment", name, "-o", "jsonpath={.spec.replicas}")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A change by telephone: read back, agreed to, the PIN keyed, and the outcome
// told while the caller listens.
func TestByTelephone(t *testing.T) {
	w, p, ctx := phoneWorld(t, "t-telephone")
	k := p.dial(caller(t,
		onHearing("what can i do", "why is checkout slow", ""),
		onHearing("anything else|say more|\\.", "scale web to five", ""),
		onHearing("shall i", "yes", ""),
		onHearing("key it in", "", "25807463#"),
		carriertest.Line{Hears: "(5|five) of (5|five)", Act: carriertest.Act{Say: "goodbye"}},
	))
	if err := k.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if got := w.replicas(ctx, t, "web"); got != "5" {
		t.Errorf("web has %s replicas", got)
	}
	h := k.Heard()
	if !strings.Contains(h, "Goodbye") || strings.Contains(h, "2580") {
		t.Errorf("heard:\n%s", h)
	}
	if n := len(p.Texts(callerNumber)); n != 0 && !strings.Contains(h, "I send you a text message") {
		t.Errorf("%d messages about what was heard", n)
	}
}

// Who hangs up before the yes changed nothing; who hangs up after it reads how
// it ended.
func TestHangingUp(t *testing.T) {
	w, p, ctx := phoneWorld(t, "t-hang-up")
	first := p.dial(caller(t,
		onHearing("what can i do", "scale web to six", ""),
		carriertest.Line{Hears: "shall i", Act: carriertest.Act{HangUp: true}},
	))
	second := p.dial(caller(t, // at the same time
		onHearing("what can i do", "roll out v2-slow of checkout", ""),
		onHearing("shall i", "yes", ""),
		onHearing("key it in", "", "25807463#"),
		carriertest.Line{Hears: "checkout", Act: carriertest.Act{Say: "goodbye"}}, // it is not up yet
	))
	for _, k := range []*carriertest.Call{first, second} {
		if err := k.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	// Somebody else ends it, sooner than it would end itself.
	if _, err := kubectl(ctx, "", "-n", w.namespace, "set", "image", "deployment/checkout", "checkout=registry.example.com/shop/checkout:v3"); err != nil {
		t.Fatal(err)
	}
	if err := p.WaitFor(ctx, "a message with the outcome", func() bool { return len(p.Texts(callerNumber)) > 0 }); err != nil {
		t.Fatalf("%v; heard\n%s", err, second.Heard())
	}
	if got := p.Texts(callerNumber); len(got) != 1 || !strings.Contains(got[0].Body, "checkout") {
		t.Errorf("%+v", got)
	}
	if h := second.Heard(); !strings.Contains(h, "I send you a text message when it ends. Goodbye.") {
		t.Errorf("heard\n%s", h)
	}
	if got := w.replicas(ctx, t, "web"); got != "3" {
		t.Errorf("nobody agreed, and web has %s replicas", got)
	}
}

// Nothing is heard: asked again, the keypad, a message, and nothing is done.
func TestNobodySaysAnything(t *testing.T) {
	w, p, ctx := phoneWorld(t, "t-silence")
	k := p.dial(caller(t, onHearing("what can i do", "scale web to six", ""), onHearing("never said", "", "")))
	if err := k.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Say yes or no", "Let us use the keypad", "I cannot hear you, so I hang up and change nothing"} {
		if !strings.Contains(k.Heard(), want) {
			t.Errorf("nobody said %q:\n%s", want, k.Heard())
		}
	}
	if err := p.WaitFor(ctx, "a message", func() bool { return len(p.Texts(callerNumber)) == 1 }); err != nil {
		t.Error(err)
	}
	if got := w.replicas(ctx, t, "web"); got != "3" {
		t.Errorf("nobody agreed, and web has %s replicas", got)
	}
	// A number that the carrier does not vouch for may look, and hears why no more.
	unsure := p.Dial(carriertest.Incoming{From: callerNumber, To: botNumber, Voice: p.public + "/webhooks/twilio/voice", Verstat: "TN-Validation-Passed-B"},
		caller(t, onHearing("what can i do", "how is web", ""), onHearing("web", "scale web to six", ""), onHearing("does not vouch", "goodbye", "")))
	if err := unsure.Wait(ctx); err != nil || !strings.Contains(unsure.Heard(), "Goodbye") {
		t.Errorf("%v\n%s", err, unsure.Heard())
	}
}
