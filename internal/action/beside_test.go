package action_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// A roll-out that is held by another action of this journal was replaced by
// nobody: it is done as far as it goes, and what was to follow it is not begun.
func TestAHeldRolloutIsDoneAsFarAsItGoes(t *testing.T) {
	for name, tt := range map[string]struct {
		then  [][]kube.Change
		other kube.Change
		want  action.State
	}{
		"held":                       {nil, kube.Change{Ref: ref, Verb: kube.VerbPause, ToReplicas: 3}, action.Done},
		"held, with more to come":    {[][]kube.Change{{{Ref: ref, Verb: kube.VerbScale, ToReplicas: 5}}}, kube.Change{Ref: ref, Verb: kube.VerbPause, ToReplicas: 3}, action.Stopped},
		"another change of the same": {nil, kube.Change{Ref: ref, Verb: kube.VerbRestart, ToReplicas: 3}, action.Superseded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.cluster.rolls = false
				l := h.ledger()
				r, stop := h.run(l)
				propose := func(key string, c kube.Change, then [][]kube.Change) action.Entry {
					e, err := l.Propose(t.Context(), action.Proposal{Key: key, Conversation: "conv", Speaker: ann, Intent: "x", Changes: []kube.Change{c}, Then: then})
					if err != nil {
						t.Fatal(err)
					}
					return e
				}
				first := propose("first", kube.Change{Ref: ref, Verb: kube.VerbRestart, ToReplicas: 3}, tt.then)
				h.yes(l, first.ID)
				time.Sleep(10 * time.Second)
				second := propose("second", tt.other, nil)
				h.yes(l, second.ID)
				time.Sleep(10 * time.Second)
				if tt.other.Verb == kube.VerbPause {
					h.cluster.set(func(w *kube.Workload) { w.Paused, w.Progress.State = true, kube.Paused })
				}
				time.Sleep(10 * time.Second)
				stop()
				got := map[string]action.State{}
				for _, e := range r.told() {
					got[e.ID] = e.State
				}
				if got[first.ID] != tt.want {
					t.Errorf("the roll-out is %q, want %q", got[first.ID], tt.want)
				}
				if tt.other.Verb == kube.VerbPause && got[second.ID] != action.Done {
					t.Errorf("the pause is %q", got[second.ID])
				}
			})
		})
	}
}
