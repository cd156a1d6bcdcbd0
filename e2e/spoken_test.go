package e2e_test

import (
	"context"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/channel/phone/carriertest"
	"github.com/firstmate-ops/firstmate/internal/peers"
	aloud "github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/speech/offline"
)

// speakers are a caller's ear and mouth: sound, through a telephone.
func speakers(t *testing.T) (*carriertest.Spoken, *carriertest.Heard) {
	t.Helper()
	if testing.Short() {
		t.Skip("it speaks and listens")
	}
	tools := offline.Find(os.Getenv)
	for _, has := range []func() (bool, []string){tools.Speaks, tools.Hears} {
		if ok, lacks := has(); !ok {
			t.Skipf("not installed: %s; run make speech", strings.Join(lacks, ", "))
		}
	}
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	r, err := offline.NewRecognizer(tools, c, intents.NewRecognizer(c), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	var voices []aloud.Synthesizer
	for _, name := range []string{"slt", "rms"} {
		v, err := offline.NewVoice(tools, name, "en", 1)
		if err != nil {
			t.Fatal(err)
		}
		voices = append(voices, v)
	}
	return &carriertest.Spoken{Voices: voices, Recognizer: r, Names: []string{"web", "cart", "checkout", "gateway", "redis cache"}},
		&carriertest.Heard{Voice: voices[0], Among: tools.HearAmong, Others: []string{
			"Scale cart from four to two. Move checkout from version one to version two. It needs your PIN. Shall I go ahead?",
			"I leave web as it is. Nothing is waiting for a yes. I did not understand that. Please say it again.",
			"Web runs three of four. Cart has two pods. Checkout is on version one. Two of five pods are up. Anything else?",
			"I am not sure that I heard you right. I did not hear you. Say yes or no, or press one for yes, two for no.",
			"Let us use the keypad. I cannot hear you, so I hang up and change nothing. I send you a text message.",
		}}
}

// A call in which everything is said aloud and heard, through a telephone, both
// ways, by machines that may mishear: what is changed is what was said. What is
// posted is signed by Twilio's own library.
func TestACallThatIsSpoken(t *testing.T) {
	ear, mouth := speakers(t)
	w := worldOf(t, "t-spoken")
	w.rights.config = channelSettings
	p := newTelephone(t, w, carriertest.Config{Sign: peers.TwilioSigner(t, password), Ear: ear, Mouth: mouth, Show: func(line string) { t.Log(line) }})
	ctx, cancel := context.WithTimeout(t.Context(), 2*newsLimit)
	defer cancel()
	fits := func(re, heard string) bool { return regexp.MustCompile(re).MatchString(heard) }
	want, asked := "scale web to five", 0
	k := p.dial(func(heard string) carriertest.Act {
		asked++
		switch {
		case asked > 40:
			return carriertest.Act{HangUp: true}
		case fits(`press (pound|star)|key it in`, heard):
			return carriertest.Act{Keys: "25807463#"}
		case fits(`from three to five`, heard):
			return carriertest.Act{Say: "yes"}
		case fits(`shall i`, heard): // misheard, and read back: which is what that is for
			return carriertest.Act{Say: "no"}
		case fits(`web (runs|is|has).*five`, heard):
			return carriertest.Act{Keys: "9"}
		case fits(`keypad|press one`, heard):
			return carriertest.Act{Keys: "1"}
		case fits(`what can|again|leave|anything|understand`, heard):
			return carriertest.Act{Say: want}
		}
		return carriertest.Act{}
	})
	err := k.Wait(ctx)
	for _, s := range k.Said() {
		t.Logf("%s said %q, heard as %q (%.2f) keys %q", s.By, s.Text, s.Heard, s.Sure, s.Keys)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := w.replicas(ctx, t, "web"); got != "5" {
		t.Errorf("web has %s replicas", got)
	}
	for _, words := range []string{"from three to five", "shall i go ahead", "five", "goodbye"} {
		if !strings.Contains(k.Heard(), words) {
			t.Errorf("nobody heard %q:\n%s", words, k.Heard())
		}
	}
}
