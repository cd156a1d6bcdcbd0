package dialogue_test

import (
	"testing"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// What is no request because of what it names is answered with that; what is no
// request at all is not.
func TestWhatDoesNotFitIsNamed(t *testing.T) {
	r := newRoom(t)
	for text, want := range map[string]struct {
		says string
		kind fault.Kind
	}{
		"run nginx on port 99999":   {"99999 is no port: a port is a number from 1 to 65535.", fault.Usage},
		"the swamp is on port four": {"I did not understand that. Say “help” for what I can do.", fault.NotUnderstood},
	} {
		if got := r.Respond(t.Context(), dialogue.Request{Conversation: "c", Text: text}); got.Text != want.says || got.Fault != want.kind || got.Expect != dialogue.ExpectNone {
			t.Errorf("%q: %q, %s", text, got.Text, got.Fault)
		}
	}
}
