package dialogue_test

import (
	"context"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// TestWhatIsPushedElsewhereIsHeardHere pushes in one room what is relayed to
// where the conversation is listened to.
func TestWhatIsPushedElsewhereIsHeardHere(t *testing.T) {
	r := newRoom(t)
	var out []dialogue.Event
	r.Relay(func(_ string, ev dialogue.Event) { out = append(out, ev) })
	ctx := context.Background()
	for _, ev := range []dialogue.Event{
		{Kind: dialogue.EventProgress, Action: "a1", Reply: dialogue.Reply{Text: "1 of 2"}},
		{Kind: dialogue.EventOutcome, Action: "a0", Reply: dialogue.Reply{Text: "Another."}},
		{Kind: dialogue.EventOutcome, Action: "a1", Reply: dialogue.Reply{Text: "Done."}},
	} {
		if err := r.Push(ctx, "c", ev, nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(out) != 3 || out[1].Seq >= out[2].Seq {
		t.Fatalf("relayed %+v", out)
	}
	// The same engine plays the other process: it has the same store.
	sub, other := r.Subscribe("c"), r.Subscribe("d")
	defer sub.Close()
	defer other.Close()
	for _, ev := range out {
		if ev.Kind == dialogue.EventOutcome {
			ev.Reply = dialogue.Reply{} // as it comes over the wire
		}
		if err := r.Relayed(ctx, "c", ev); err != nil {
			t.Fatal(err)
		}
		if err := r.Relayed(ctx, "nobody listens", ev); err != nil {
			t.Fatal(err)
		}
	}
	var heard []string
	for range len(sub.C) {
		heard = append(heard, (<-sub.C).Reply.Text)
	}
	if got := strings.Join(heard, " "); got != "1 of 2 Another. Done." || len(other.C) != 0 || len(out) != 3 {
		t.Errorf("heard %q, elsewhere %d; relayed on %d", got, len(other.C), len(out))
	}
}
