package dialogue_test

import "testing"

// A conversation is known once something was said in it, and no other is.
func TestKnows(t *testing.T) {
	r := newRoom(t)
	for _, want := range []bool{false, true} {
		if got, err := r.Knows(t.Context(), "c"); err != nil || got != want {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
		r.say("help")
	}
	if got, err := r.Knows(t.Context(), "another"); err != nil || got {
		t.Errorf("%v, %v", got, err)
	}
}
