package action_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// What is done once the API server has taken it is told when what is read has it
// too, and not much later where that does not come.
func TestWhatIsToldCanBeSeen(t *testing.T) {
	node := kube.Ref{Cluster: "c", Kind: kube.Node, Name: "mule-1"}
	for name, tt := range map[string]struct {
		change      kube.Change
		lag         time.Duration
		least, most time.Duration // until it is told
		waited      []kube.Ref
	}{
		"at once":               {kube.Change{Ref: node, Verb: kube.VerbCordon}, 0, 0, 0, []kube.Ref{node}},
		"a watch that lags":     {kube.Change{Ref: node, Verb: kube.VerbCordon}, time.Second, time.Second, time.Second, []kube.Ref{node}},
		"a watch that is stuck": {kube.Change{Ref: node, Verb: kube.VerbCordon}, time.Hour, 3 * time.Second, 3 * time.Second, []kube.Ref{node}},
		"watched to its end":    {kube.Change{Ref: ref, Verb: kube.VerbScale, ToReplicas: 5}, time.Hour, 0, 2 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.cluster.lag = tt.lag
				l := h.ledger()
				r, stop := h.run(l)
				e, err := l.Propose(t.Context(), action.Proposal{Key: "k", Conversation: "conv", Speaker: ann, Intent: "x", Changes: []kube.Change{tt.change}})
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				h.yes(l, e.ID)
				l.Settle(t.Context())
				took := time.Since(began)
				stop()
				if told := r.told(); len(told) != 1 || told[0].State != action.Done || took < tt.least || took > tt.most {
					t.Errorf("told %d times after %v, want %v to %v", len(told), took, tt.least, tt.most)
				}
				if !slices.Equal(h.cluster.caught, tt.waited) {
					t.Errorf("waited for %v, want %v", h.cluster.caught, tt.waited)
				}
			})
		})
	}
}
