package dialogue_test

import (
	"context"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Where words agree to nothing, neither a yes nor a PIN in its place does; a button does.
func TestWordsThatAgreeToNothing(t *testing.T) {
	for _, tt := range []struct {
		name string
		req  dialogue.Request
		done bool
	}{
		{"yes", dialogue.Request{Text: "yes", NoYes: true}, false},
		{"in other words", dialogue.Request{Text: "yes, do it", NoYes: true}, false},
		{"approved", dialogue.Request{Text: "I approve", NoYes: true}, false},
		{"a PIN", dialogue.Request{Text: "2580 7463", NoYes: true}, false},
		{"a button", dialogue.Request{Confirm: "p1", NoYes: true}, true},
		{"yes where words count", dialogue.Request{Text: "yes"}, true},
		{"a PIN where words count", dialogue.Request{Text: "2580 7463"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, done := newRoom(t), false
			r.do["scale"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
				turn.Session.Propose("p1", turn.Request.Speaker, time.Now().Add(time.Hour), dialogue.Reply{}, intents.Say{Speech: "scaling", Text: "scaling"})
				turn.Session.TakesPIN = true
				return dialogue.Reply{Speech: "Shall I?", Text: "Shall I?", Expect: dialogue.ExpectConfirm}, nil
			}
			agree := func(context.Context, *dialogue.Turn) (dialogue.Reply, error) {
				done = true
				return dialogue.Reply{Speech: "ok", Text: "ok"}, nil
			}
			r.do["confirm"], r.do["approve"] = agree, agree
			r.say("scale web to five")
			tt.req.Conversation, tt.req.Speaker = "c", ann
			a := r.Respond(t.Context(), tt.req)
			if done != tt.done || tt.done == (a.Fault == fault.Usage) {
				t.Errorf("agreed %v, answered %q (%s)", done, a.Text, a.Fault)
			}
		})
	}
}
