// Package action is the ledger: the one way to change a cluster. A change is
// proposed, decided, journaled, applied once, watched, and its outcome told
// once, whatever crashes in between.
package action

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// State is where an entry stands.
type State string

// The states. An entry goes Proposed → (Waiting →) Approved → Applying → Watching → (Baking →)
// one of the ends; with several stages, from Watching to Applying again for each.
const (
	Proposed State = "proposed" // shown, waits for a decision
	Waiting  State = "waiting"  // said yes to, waits for somebody else's approval
	Approved State = "approved" // all agreed who have to
	Applying State = "applying" // the cluster is being asked
	Watching State = "watching" // the cluster has it; the roll-out runs
	Baking   State = "baking"   // rolled out; the new version is compared with the old one

	Denied     State = "denied"      // an end: somebody said no
	Expired    State = "expired"     // an end: nobody answered in time
	Done       State = "done"        // an end: rolled out
	Failed     State = "failed"      // an end: not applied, or stuck
	RolledBack State = "rolled_back" // an end: undone while it still ran
	Superseded State = "superseded"  // an end: somebody changed the same thing while it still ran
	Stopped    State = "stopped"     // an end: what was begun is done, the stages behind it were called off
)

// Ended reports whether nothing will happen any more.
func (s State) Ended() bool {
	return slices.Contains([]State{Denied, Expired, Done, Failed, RolledBack, Superseded, Stopped}, s)
}

// Step is one object's part of an entry.
type Step struct {
	Change kube.Change `json:"change"`
	// Stage is which part of a chain it belongs to: a stage begins when the one
	// before it has rolled out. Steps of one stage are made together.
	Stage      int           `json:"stage,omitempty"`
	Diff       string        `json:"diff"`       // unified, as it was shown
	Applied    bool          `json:"applied"`    // the cluster has it
	Generation int64         `json:"generation"` // of the object with the change in it
	Last       kube.Progress `json:"last"`       // as last seen
	Ready      bool          `json:"ready"`      // rolled out
	Risk       access.Risk   `json:"risk"`
	Hazards    []Hazard      `json:"hazards,omitempty"` // why, worst first
	Noted      bool          `json:"noted,omitempty"`   // that it was applied is in the audit trail
	Begun      time.Time     `json:"begun,omitzero"`    // when its stage was
	Complete   time.Time     `json:"complete,omitzero"` // when it was rolled out
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
	After        []byte         `json:"after,omitempty"`   // the proposer's own, for when all is done
	Problem      string         `json:"problem,omitempty"` // why it failed, as a sentence; "" where a roll-out is stuck
	Fault        fault.Kind     `json:"fault,omitempty"`   // of the problem
	Created      time.Time      `json:"created"`
	Expires      time.Time      `json:"expires"`
	Decided      time.Time      `json:"decided,omitzero"`
	Begun        time.Time      `json:"begun,omitzero"` // when the stage was begun that runs
	Seen         time.Time      `json:"seen,omitzero"`  // when somebody last journaled it
	Ended        time.Time      `json:"ended,omitzero"`
	Told         bool           `json:"told"` // the outcome was reported
	By           Decider        `json:"by,omitzero"`
	Noted        Noted          `json:"noted,omitzero"`
	Bake         *Baked         `json:"bake,omitempty"` // how it has done since it is rolled out; nil where that was not watched
	// Verdict is what the policy said when it was last asked, and Digest a hash of
	// what would be done: approvals count for that alone.
	Verdict   access.Verdict `json:"verdict,omitzero"`
	Digest    string         `json:"digest,omitempty"`
	PINGiven  bool           `json:"pin_given,omitempty"`
	Agreed    time.Time      `json:"agreed,omitzero"` // when the one who asked said yes, where that was not enough
	Code      string         `json:"code,omitempty"`  // by which approvers name it
	Approvals []Approval     `json:"approvals,omitempty"`
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

// Unmade returns the step of the stage that runs that could not be made; nil where
// all were.
func (e *Entry) Unmade() *Step {
	stage := e.Stage()
	for i := range e.Steps {
		if s := &e.Steps[i]; s.Stage == stage && !s.Applied {
			return s
		}
	}
	return nil
}

// Stages is how many stages the entry has.
func (e Entry) Stages() int {
	n := 1
	for _, s := range e.Steps {
		n = max(n, s.Stage+1)
	}
	return n
}

// Stage is the stage that runs, or would run next; that of the last step where
// all are done.
func (e Entry) Stage() int {
	if s := e.Stuck(); s != nil {
		return s.Stage
	}
	return e.Stages() - 1
}

// Rest returns the steps behind the last stage that was begun: what is not done
// where that is the end.
func (e Entry) Rest() []Step {
	at := e.Stage()
	if e.State == Stopped {
		at-- // the next one was never begun
	}
	var out []Step
	for _, s := range e.Steps {
		if !s.Applied && s.Stage > at {
			out = append(out, s)
		}
	}
	return out
}

// mark is what a step leaves on its object. A later stage has another one than
// the first: both may be about the same object.
func (e Entry) mark(s Step) string {
	if s.Stage == 0 {
		return e.ID
	}
	return e.ID + markSep + strconv.Itoa(s.Stage)
}

const markSep = "."

// markedBy is the id of the entry that left a mark.
func markedBy(mark string) string {
	id, _, _ := strings.Cut(mark, markSep)
	return id
}

// Inverse returns the changes that put back what the applied steps changed,
// newest first, as they would be proposed; what leaves nothing to put back is
// passed over. ok is false where there is nothing that can be put back.
func (e Entry) Inverse() (changes []kube.Change, ok bool) {
	for _, s := range slices.Backward(e.Steps) {
		if !s.Applied {
			continue
		}
		inv, can := s.Change.Inverse()
		if !can {
			continue
		}
		// What was changed twice goes back to what was there first.
		i := slices.IndexFunc(changes, func(c kube.Change) bool { return c.Ref == inv.Ref && c.Verb == inv.Verb })
		if i < 0 {
			changes = append(changes, inv)
			continue
		}
		changes[i] = changes[i].Further(inv)
	}
	return changes, len(changes) > 0
}

// OfStage returns the entry as if it had no steps but those of a stage.
func (e Entry) OfStage(n int) Entry {
	e.Steps = slices.DeleteFunc(slices.Clone(e.Steps), func(s Step) bool { return s.Stage != n })
	for i := range e.Steps {
		e.Steps[i].Stage = 0
	}
	return e
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
	// Then are further stages, each begun only when the one before it has rolled
	// out.
	Then   [][]kube.Change
	Undoes string // id of the entry that this puts back, "" for none
	After  []byte // given back in the entry, for when all is done; opaque
}

// Decision is somebody's yes or no to an entry.
type Decision struct {
	By  access.Speaker
	Yes bool
	PIN access.Hidden // of the person who says yes, where the policy wants it
	How string        // for the audit trail: "words", "button"
}

// StageError is an error about one stage of a proposal that has several.
type StageError struct {
	Stage int
	Err   error
}

// Error gives the text for logs.
func (e *StageError) Error() string { return "stage " + strconv.Itoa(e.Stage) + ": " + e.Err.Error() }

// Unwrap gives what is wrong with the stage.
func (e *StageError) Unwrap() error { return e.Err }
