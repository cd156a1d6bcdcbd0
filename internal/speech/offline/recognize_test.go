package offline_test

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/speech/offline"
)

// TestHearsOnTheTelephone says commands by two voices over a telephone: what is
// taken as said is what was said, most of it is, and what is beside the point is
// not taken for anything. bench/run.sh phone has all of it.
func TestHearsOnTheTelephone(t *testing.T) {
	if testing.Short() {
		t.Skip("it listens for some seconds")
	}
	ts := tools(t)
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	reader := intents.NewRecognizer(c)
	r, err := offline.NewRecognizer(ts, c, reader, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	h := speech.Hints{Names: []string{"checkout", "payments-api", "inventory", "kowalski-gw"}, Places: []string{"shop", "staging"}, Nodes: []string{"node-1", "node-2"}, Alerts: []string{"HighErrorRate", "DiskFull"}}
	inv := intents.NewInventory(intents.InventoryData{Namespaces: h.Places, Nodes: h.Nodes, Alerts: h.Alerts, Workloads: []intents.Workload{{Name: "checkout", Kind: "Deployment"}, {Name: "payments-api", Kind: "Deployment"}, {Name: "inventory", Kind: "Deployment"}, {Name: "kowalski-gw", Kind: "Deployment"}}})
	hear := func(voice, text string) speech.Heard {
		t.Helper()
		v, err := offline.NewVoice(ts, voice, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		a, err := v.Synthesize(t.Context(), text, speech.Mulaw)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Recognize(t.Context(), a, h)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	said, right := 0, 0
	for _, voice := range []string{"slt", "rms"} {
		for _, text := range []string{
			"scale checkout to ten replicas", "roll back payments api", "restart inventory", "go ahead", "why is checkout failing",
			"who is on call", "call the next one", "why do you think so", "who is affected by it", "mute all alerts for ten minutes",
			"cordon node one", "drain node two", "acknowledge high error rate", "silence disk full for two hours", "goodbye", "good night",
		} {
			said++
			got := hear(voice, text)
			want, is := reader.Recognize(text, inv, intents.Expect{}), reader.Recognize(got.Text, inv, intents.Expect{})
			same := want.Intent == is.Intent && reflect.DeepEqual(want.Slots, is.Slots)
			t.Logf("%s: %q → %q (%.1f) %q", voice, text, got.Text, got.Confidence, got.Alternatives)
			if got.Sure() && same {
				right++
			}
			if got.Sure() && !same {
				t.Errorf("%s: %q is taken for %q", voice, text, got.Text)
			}
		}
		for _, text := range []string{"my sister bought a new car last week", "the train to the sea leaves at seven in the morning"} {
			if got := hear(voice, text); got.Sure() {
				t.Errorf("%s: %q is taken for %q", voice, text, got.Text)
			}
		}
	}
	if 2*right < said {
		t.Errorf("%d of %d were heard", right, said)
	}
	if got := hear("slt", "restart kowalski g w"); got.Text != "restart kowalski gw" {
		t.Errorf("a name of no dictionary is heard as %q", got.Text)
	}
	if got, err := r.Recognize(t.Context(), speech.Audio{Format: speech.Mulaw, Data: make([]byte, speech.PhoneRate)}, h); err != nil || got.Sure() {
		t.Errorf("silence is %+v, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := r.Recognize(ctx, speech.Audio{Format: speech.Mulaw, Data: make([]byte, 5*speech.PhoneRate)}, h); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of time: %v", err)
	}
}
