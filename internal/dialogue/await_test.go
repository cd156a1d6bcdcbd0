package dialogue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

func outcomeOf(action, said string) dialogue.Event {
	return dialogue.Event{Kind: dialogue.EventOutcome, Action: action, Reply: dialogue.Reply{Speech: said, Text: said, Outcome: dialogue.OutcomeDone}}
}

func TestAwait(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration // of the outcome; before the call where negative, never where it is an hour
		took  time.Duration
		ok    bool
	}{
		{"told before", -time.Second, 0, true},
		{"told meanwhile", 2 * time.Second, 2 * time.Second, true},
		{"not told", time.Hour, 3 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoom(t)
				push := func() {
					half := dialogue.Event{Kind: dialogue.EventProgress, Action: "p1", Reply: dialogue.Reply{Speech: "half"}}
					for _, ev := range []dialogue.Event{half, outcomeOf("p1", "Web runs 5 of 5.")} {
						if err := r.Push(context.Background(), "c", ev, nil); err != nil {
							t.Error(err)
						}
					}
				}
				if tt.after < 0 {
					push()
				} else {
					time.AfterFunc(tt.after, push)
				}
				req := dialogue.Request{DeliveryID: "d1", Conversation: "c", Speaker: ann, Pull: true, Patience: 3 * time.Second}
				began := time.Now()
				a, ok := r.Await(context.Background(), req)
				if ok != tt.ok || time.Since(began) != tt.took || ok && (a.Speech != "Web runs 5 of 5." || a.Outcome != dialogue.OutcomeDone || a.Expect != dialogue.ExpectNone) {
					t.Errorf("%v after %v: %+v", ok, time.Since(began), a)
				}
				if !ok {
					return
				}
				// Delivered again it is told again, and to nobody else.
				if again, ok := r.Await(context.Background(), req); !ok || again.Speech != a.Speech {
					t.Errorf("again: %v %+v", ok, again)
				}
				req.DeliveryID = "d2"
				if other, ok := r.Await(context.Background(), req); ok {
					t.Errorf("told twice: %+v", other)
				}
				req.DeliveryID, req.Text = "d3", "how is web?"
				if next := r.Respond(context.Background(), req); next.Speech != "status" {
					t.Errorf("told once more: %q", next.Speech)
				}
			})
		})
	}
}

func TestAwaitEndsWithWhoAsked(t *testing.T) {
	r := newRoom(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := r.Await(ctx, dialogue.Request{Conversation: "c", Patience: time.Hour}); ok {
		t.Error("something was told")
	}
}

func TestWhatThePlatformRecognisedComesFirst(t *testing.T) {
	scale := &intents.Intent{Name: "scale", Slots: intents.Slots{"targets": []string{"web"}, "replicas": 5.0}}
	for _, tt := range []struct {
		text  string
		first bool
		want  string
	}{
		{"make web bigger somehow", true, "scale replicas=5 targets=[web]"},
		{"make web bigger somehow", false, "scale replicas=5 targets=[web]"}, // not understood otherwise
		{"restart cart", true, "scale replicas=5 targets=[web]"},
		{"restart cart", false, "restart targets=[cart]"},
		{"scale checkout to 3", true, "scale replicas=3 targets=[checkout]"}, // the same: ours knows the names
		{"no", true, "deny"}, // a no is one
		{"cancel that", true, "cancel"},
	} {
		r := newRoom(t)
		r.Respond(t.Context(), dialogue.Request{Conversation: "c", Speaker: ann, Text: tt.text, Intent: scale, IntentFirst: tt.first})
		if got := short(r.last()); got != tt.want {
			t.Errorf("%s (%v) came to %s", tt.text, tt.first, got)
		}
	}
}
