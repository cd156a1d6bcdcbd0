package action

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// Journal keeps entries; each call is one durable transaction. See the store
// package for what each call promises.
type Journal interface {
	CreateAction(ctx context.Context, id, key, conversation, state string, data []byte, audit ...[]byte) (stored []byte, fresh bool, err error)
	SwapAction(ctx context.Context, id, from, to string, data []byte, open bool, owner string, lease time.Duration, audit ...[]byte) (bool, error)
	Action(ctx context.Context, id string) ([]byte, error)
	ActionsOf(ctx context.Context, conversation string, f func(data []byte) (bool, error)) error
	ActionsIn(ctx context.Context, state string, f func(data []byte) (bool, error)) error
	ClaimActions(ctx context.Context, owner string, lease time.Duration) ([][]byte, error)
	RenewActions(ctx context.Context, owner string, lease time.Duration) error
	ReleaseActions(ctx context.Context, owner string) error
	AppendAudit(ctx context.Context, key string, lines ...[]byte) error
}

// Writer plans and applies changes; *kube.Writer is one.
type Writer interface {
	Plan(ctx context.Context, c kube.Change) (kube.Change, kube.Diff, error)
	Apply(ctx context.Context, c kube.Change, id string) (kube.Applied, error)
	Step(ctx context.Context, c kube.Change, id string) (kube.Progress, error)
}

// Watcher follows roll-outs; *kube.Fleet is one.
type Watcher interface {
	WatchRollout(ctx context.Context, ref kube.Ref, generation int64) iter.Seq2[kube.Workload, error]
	// CatchUp waits until what is read of an object is no older than now, or ctx ends.
	CatchUp(ctx context.Context, ref kube.Ref)
}

// Reporter tells people what happens.
type Reporter interface {
	// Progress tells how far a running entry has come. It may be lost.
	Progress(ctx context.Context, e Entry)
	// Outcome tells the end of an entry. It is called until it returns nil,
	// after a crash perhaps once more: it must tell an entry's end once.
	Outcome(ctx context.Context, e Entry) error
}

const (
	// leaseLife is how long a dead process holds its entries.
	leaseLife = 5 * time.Second
	leaseBeat = time.Second
	// lapseEvery is at which beats it is looked for what waited for an approval
	// too long.
	lapseEvery = 10
	// applyLimit bounds one attempt to apply; stopping the process waits for it.
	applyLimit = 8 * time.Second
	// applyWindow is how long after a yes a cluster that does not answer is
	// asked again. Later, a change would come as a surprise.
	applyWindow = time.Minute
	// staleYes is how long a yes counts that nobody was running to hear.
	staleYes = 10 * time.Minute
	// seenEvery is how often an entry with stages to come is journaled while it is
	// watched: it tells the next process for how long nobody was there.
	seenEvery = time.Minute
	// stepEvery is the time between two steps of a change that ends stepwise. While
	// the cluster says that it may not go on now, the time grows to stepLast.
	stepEvery = time.Second
	stepLast  = 5 * time.Second
	// lagLimit is how long an outcome waits for the watches to see what was done.
	lagLimit = 3 * time.Second
	// narrateEvery is the least time between two reports of progress.
	narrateEvery = 500 * time.Millisecond
	// ProposalLife is how long a proposal waits for yes, unless Patience says.
	ProposalLife = 2 * time.Minute
)

// Ledger is the journal of changes and what carries them out.
type Ledger struct {
	journal  Journal
	writer   Writer // nil: nothing may be changed
	watcher  Watcher
	access   Access
	patience Patience
	log      *slog.Logger
	owner    string

	mu      sync.Mutex
	queue   []Entry       // decided here, not yet begun
	running int           // entries that are being carried out
	idle    chan struct{} // closed while nothing is queued or running; nil before the first look
	wake    chan struct{}

	shared     shared
	production Places // nil: nothing is
	guard      Guard
}

// NewLedger returns a ledger. A nil writer makes it read-only: there is no
// code path then that changes anything. Nothing is carried out before Run.
func NewLedger(j Journal, w Writer, watch Watcher, who Access, p Patience, log *slog.Logger) *Ledger {
	return &Ledger{journal: j, writer: w, watcher: watch, access: who, patience: p, log: log, owner: rand.Text(), wake: make(chan struct{}, 1), shared: newShared()}
}

// MayChange says whether a speaker may change anything, with the reason if not.
func (l *Ledger) MayChange(ctx context.Context, s access.Speaker) error {
	_, err := l.may(ctx, s)
	return err
}

// may returns the person in whose name a speaker may change anything at all.
func (l *Ledger) may(ctx context.Context, s access.Speaker) (access.Person, error) {
	if l.writer == nil {
		return access.Person{}, fault.New(fault.Refused, "I was started read-only, so I cannot change anything.")
	}
	return l.access.Writer(ctx, s)
}

// Propose plans the changes (a server-side dry-run in the speaker's name) and
// journals them as a proposal. Nothing is changed. The same Key gives the same
// entry again.
func (l *Ledger) Propose(ctx context.Context, p Proposal) (Entry, error) {
	person, err := l.may(ctx, p.Speaker)
	if err != nil {
		return Entry{}, err
	}
	if len(p.Changes) == 0 {
		return Entry{}, errors.New("action: a proposal without changes")
	}
	now := time.Now()
	e := Entry{
		ID: rand.Text()[:12], Key: p.Key, Conversation: p.Conversation, State: Proposed, Speaker: p.Speaker,
		Person: person.Name, Said: p.Said, Intent: p.Intent, Undoes: p.Undoes, After: p.After,
		Created: now, Expires: now.Add(l.life()),
	}
	if e.Key == "" {
		e.Key = e.ID
	}
	if e.Steps, err = l.plan(ctx, p, kube.As{User: person.User, Groups: person.Groups}); err != nil {
		return Entry{}, err
	}
	l.assess(&e)
	e.Verdict = l.access.Judge(p.Speaker, person, e.acts(), now)
	if err := e.Verdict.Refusal(); err != nil {
		return Entry{}, err
	}
	if e.Digest, err = digest(e.Steps); err != nil {
		return Entry{}, err
	}
	e, lines, err := e.tell(now)
	if err != nil {
		return Entry{}, err
	}
	data, err := json.Marshal(e)
	if err != nil {
		return Entry{}, fmt.Errorf("action: %w", err)
	}
	stored, fresh, err := l.journal.CreateAction(ctx, e.ID, e.Key, e.Conversation, string(e.State), data, lines...)
	if err != nil {
		return Entry{}, noJournal(err)
	}
	if fresh {
		return e, nil
	}
	return decode(stored)
}

// life is how long a proposal waits.
func (l *Ledger) life() time.Duration { return cmp.Or(l.patience.Answer, ProposalLife) }

// plan makes the steps of a proposal. What is to be done to one object twice
// cannot be done together, so the second time goes into a stage of its own; and
// it starts from what the first leaves behind, not from what is there now.
func (l *Ledger) plan(ctx context.Context, p Proposal, as kube.As) ([]Step, error) {
	var steps []Step
	stage := 0
	for n, changes := range append([][]kube.Change{p.Changes}, p.Then...) {
		if n > 0 {
			stage++
		}
		for _, c := range changes {
			c.As = as
			planned, d, err := l.writer.Plan(ctx, c)
			for _, s := range steps {
				if err != nil || s.Change.Ref != planned.Ref {
					continue
				}
				if s.Stage == stage {
					stage++
				}
				planned, err = planned.Behind(s.Change)
			}
			if err != nil && len(p.Then) > 0 {
				err = &StageError{Stage: n, Err: err}
			}
			if err != nil {
				return nil, err
			}
			steps = append(steps, Step{Change: planned, Stage: stage, Diff: d.Unified})
		}
	}
	return steps, nil
}

func decode(data []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(data, &e); err != nil {
		return Entry{}, fmt.Errorf("action: journal: %w", err)
	}
	return e, nil
}

func noJournal(err error) error {
	return fault.Wrap(err, fault.Unavailable, "I cannot write to my journal, so I change nothing. Please try again.")
}

// Entry returns an entry by its id.
func (l *Ledger) Entry(ctx context.Context, id string) (Entry, error) {
	data, err := l.journal.Action(ctx, id)
	if err != nil {
		return Entry{}, noJournal(err)
	}
	if data == nil {
		return Entry{}, fault.New(fault.NotFound, "I do not know that proposal any more. Ask me again.")
	}
	return decode(data)
}

// Decide says yes or no to a proposal. Yes is for the one who asked, while the
// policy still lets them; where it wants a PIN, a yes without is PINWanted, and
// where it wants somebody else's approval, the entry waits for that. Anyone who
// may write can say no. Deciding twice the same way is the same as once.
func (l *Ledger) Decide(ctx context.Context, id string, d Decision) (Entry, error) {
	e, err := l.Entry(ctx, id)
	if err != nil {
		return Entry{}, err
	}
	person, err := l.mayDecide(ctx, e, d)
	if err != nil {
		return e, err
	}
	switch {
	case e.State == Waiting && !d.Yes && time.Now().Before(e.Expires):
		e.Decided, e.By = time.Now(), Decider{d.By, person.Name, d.How}
		return l.swap(ctx, e, Denied)
	case e.State != Proposed && d.Yes && e.State != Denied && e.State != Expired:
		return e, nil // said yes before
	case e.State == Denied && !d.Yes:
		return e, nil
	case e.State == Expired || e.State == Proposed && time.Now().After(e.Expires):
		if e.State == Proposed {
			if e, err = l.swap(ctx, e, Expired); err != nil {
				return e, err
			}
		}
		return e, fault.New(fault.Refused, "I asked that more than %s ago, so the answer no longer counts. Ask me again.", inWords(l.life()))
	case e.State != Proposed:
		return e, fault.New(fault.Refused, "That is decided already.")
	case d.Yes && d.By.Key() != e.Speaker.Key():
		return e, fault.New(fault.Refused, "Only the one who asked can say yes to that.")
	}
	e.By = Decider{d.By, person.Name, d.How}
	if !d.Yes {
		e.Decided = time.Now()
		return l.swap(ctx, e, Denied)
	}
	return l.agree(ctx, e, d, person)
}

func inWords(d time.Duration) string {
	n, unit := int(d.Minutes()), "minute"
	if d < time.Minute {
		n, unit = int(d.Seconds()), "second"
	}
	if n == 1 {
		return "a " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// stopSuffix is that of the id under which the stopping of an entry is
// journaled. It is a line of its own, because whoever carries the entry out
// holds the entry's.
const stopSuffix = ".stop"

// CallOff stops a running entry behind the stage that runs: what was begun is
// finished, the rest is not done. A change that can be stopped is stopped where
// it is. It returns what will not be done, or not to its end, which is nothing
// where the entry is in its last stage or at its end.
func (l *Ledger) CallOff(ctx context.Context, id string, by access.Speaker) ([]Step, error) {
	e, err := l.Entry(ctx, id)
	if err != nil {
		return nil, err
	}
	if _, err := l.mayDecide(ctx, e, Decision{By: by}); err != nil {
		return nil, err
	}
	if e.State.Ended() || e.State == Proposed || e.State == Waiting {
		return nil, nil
	}
	rest := e.Rest()
	if s := e.Stuck(); s != nil && s.Change.Stops() {
		rest = append([]Step{*s}, rest...)
	}
	if len(rest) == 0 {
		return nil, nil
	}
	l.log.InfoContext(ctx, "called off", "action", id, "by", by.Key())
	return rest, l.callOff(ctx, e, by)
}

// callOff journals that an entry is to stop; by is nobody where it is the ledger
// itself that stops it.
func (l *Ledger) callOff(ctx context.Context, e Entry, who access.Speaker) error {
	id, conversation := e.ID, e.Conversation
	ev := e.event(audit.Stopped, time.Now())
	person, _, err := l.access.Who(ctx, who)
	if err != nil {
		return err
	}
	by(&ev, who, person.Name)
	lines, err := encode(ev)
	if err != nil {
		return err
	}
	stop := Entry{ID: id + stopSuffix, Key: id + stopSuffix, Conversation: conversation, State: Denied, Created: time.Now(), Told: true}
	data, err := json.Marshal(stop)
	if err != nil {
		return fmt.Errorf("action: %w", err)
	}
	if _, _, err := l.journal.CreateAction(ctx, stop.ID, stop.Key, conversation, string(stop.State), data, lines...); err != nil {
		return noJournal(err)
	}
	return nil
}

// calledOff reports whether somebody stopped the entry.
func (l *Ledger) calledOff(ctx context.Context, e Entry) (bool, error) {
	data, err := l.journal.Action(ctx, e.ID+stopSuffix)
	if err != nil {
		return false, noJournal(err)
	}
	return data != nil, nil
}

// errLost says that another process moved the entry.
var errLost = errors.New("action: entry was moved on by another process")

// swap journals an entry's next state.
func (l *Ledger) swap(ctx context.Context, e Entry, to State) (Entry, error) {
	from := e.State
	e.State, e.Seen = to, time.Now()
	if to.Ended() && e.Ended.IsZero() {
		e.Ended = time.Now()
	}
	e, lines, err := e.tell(e.Seen)
	if err != nil {
		return e, err
	}
	data, err := json.Marshal(e)
	if err != nil {
		return e, fmt.Errorf("action: %w", err)
	}
	// Denied and Expired have nobody to tell; other ends are open until told.
	open := to != Proposed && to != Waiting && to != Denied && to != Expired && !(to.Ended() && e.Told)
	owner, lease := l.holder()
	ok, err := l.journal.SwapAction(ctx, e.ID, string(from), string(to), data, open, owner, lease, lines...)
	if err != nil {
		return e, noJournal(err)
	}
	if !ok {
		return e, errLost
	}
	return e, nil
}

// LastChange returns the newest entry of a conversation that changed
// something, is not undone, and is not itself an undoing. Of one that is undone
// in part it has the steps that are left.
func (l *Ledger) LastChange(ctx context.Context, conversation string) (Entry, bool, error) {
	undone := map[string][]Step{} // by the entry they put back
	var found Entry
	err := l.journal.ActionsOf(ctx, conversation, func(data []byte) (bool, error) {
		e, err := decode(data)
		if err != nil || !e.Touched() {
			return true, err
		}
		if e.Undoes != "" {
			undone[e.Undoes] = append(undone[e.Undoes], e.Steps...)
			return true, nil
		}
		if back := undone[e.ID]; back != nil {
			e.Steps = left(e.Steps, back)
			if _, any := e.Inverse(); !any {
				return true, nil
			}
		}
		found = e
		return false, nil
	})
	if err != nil {
		return Entry{}, false, noJournal(err)
	}
	return found, found.ID != "", nil
}

// left returns the steps that were not put back.
func left(steps, back []Step) []Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s Step) bool {
		return slices.ContainsFunc(back, func(b Step) bool {
			return b.Applied && b.Change.Ref == s.Change.Ref && b.Change.Aspect() == s.Change.Aspect()
		})
	})
}
