// Package action is the ledger: the one way to change a cluster. A change is
// proposed, decided, journaled, applied once, watched, and its outcome told
// once, whatever crashes in between.
package action

import (
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// State is where an entry stands.
type State string

// The states. An entry goes Proposed → Approved → Applying → Watching → one of
// the ends.
const (
	Proposed State = "proposed" // shown, waits for a decision
	Approved State = "approved" // somebody said yes
	Applying State = "applying" // the cluster is being asked
	Watching State = "watching" // the cluster has it; the roll-out runs

	Denied     State = "denied"      // an end: somebody said no
	Expired    State = "expired"     // an end: nobody answered in time
	Done       State = "done"        // an end: rolled out
	Failed     State = "failed"      // an end: not applied, or stuck
	RolledBack State = "rolled_back" // an end: undone while it still ran
	Superseded State = "superseded"  // an end: somebody changed the same thing while it still ran
)

// Ended reports whether nothing will happen any more.
func (s State) Ended() bool {
	return slices.Contains([]State{Denied, Expired, Done, Failed, RolledBack, Superseded}, s)
}

// Step is one object's part of an entry.
type Step struct {
	Change     kube.Change   `json:"change"`
	Diff       string        `json:"diff"`       // unified, as it was shown
	Applied    bool          `json:"applied"`    // the cluster has it
	Generation int64         `json:"generation"` // of the object with the change in it
	Last       kube.Progress `json:"last"`       // as last seen
	Ready      bool          `json:"ready"`      // rolled out
}

// Entry is one line of the journal.
type Entry struct {
	ID           string         `json:"id"`
	Key          string         `json:"key"`
	Conversation string         `json:"conversation"`
	State        State          `json:"state"`
	Speaker      access.Speaker `json:"speaker"` // who asked
	Person       string         `json:"person"`  // the person that is
	Said         string         `json:"said"`    // the sentence that asked for it
	Intent       string         `json:"intent"`
	Steps        []Step         `json:"steps"`
	Undoes       string         `json:"undoes,omitempty"`  // id of the entry that this puts back
	Problem      string         `json:"problem,omitempty"` // why it failed, as a sentence; "" where a roll-out is stuck
	Fault        fault.Kind     `json:"fault,omitempty"`   // of the problem
	Created      time.Time      `json:"created"`
	Expires      time.Time      `json:"expires"`
	Decided      time.Time      `json:"decided,omitzero"`
	Ended        time.Time      `json:"ended,omitzero"`
	Told         bool           `json:"told"` // the outcome was reported
}

// Touched reports whether the cluster has any of it.
func (e Entry) Touched() bool {
	return slices.ContainsFunc(e.Steps, func(s Step) bool { return s.Applied })
}

// Stuck returns the step that holds the entry up: the first that is not
// rolled out; nil where all are.
func (e *Entry) Stuck() *Step {
	for i := range e.Steps {
		if !e.Steps[i].Ready {
			return &e.Steps[i]
		}
	}
	return nil
}

// Inverse returns the changes that put back what the applied steps changed,
// newest first; ok is false where there is nothing that can be put back.
func (e Entry) Inverse() (changes []kube.Change, ok bool) {
	for _, s := range slices.Backward(e.Steps) {
		if !s.Applied {
			continue
		}
		inv, can := s.Change.Inverse()
		if !can {
			return nil, false
		}
		changes = append(changes, inv)
	}
	return changes, len(changes) > 0
}

// Proposal is what a skill wants to do.
type Proposal struct {
	// Key makes the proposal idempotent: the same key gives the same entry.
	// "" is never the same.
	Key          string
	Conversation string
	Speaker      access.Speaker
	Said         string
	Intent       string
	Changes      []kube.Change // As is filled by the ledger, from who speaks
	Undoes       string        // id of the entry that this puts back, "" for none
}

// Decision is somebody's yes or no to an entry.
type Decision struct {
	By  access.Speaker
	Yes bool
}
