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

// enqueue hands an entry to Run.
func (l *Ledger) enqueue(e Entry) {
	if l.handOver() {
		return
	}
	l.mu.Lock()
	l.queue = append(l.queue, e)
	l.busy()
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // woken already
	}
}

// busy notes that there is work; the caller holds mu.
func (l *Ledger) busy() {
	if l.idle == nil {
		l.idle = make(chan struct{})
		return
	}
	select {
	case <-l.idle:
		l.idle = make(chan struct{})
	default:
	}
}

// rest notes that there may be no work any more; the caller holds mu.
func (l *Ledger) rest() {
	if l.running > 0 || len(l.queue) > 0 {
		return
	}
	l.busy()
	close(l.idle)
}

// Settle waits until nothing that this process holds is left to do, or ctx
// ends. It is for processes that live for one turn; Run must be running.
func (l *Ledger) Settle(ctx context.Context) {
	l.mu.Lock()
	if l.idle == nil {
		l.busy() // closed by the first look at the journal
	}
	idle := l.idle
	l.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
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

// Run carries out what was decided, here or by a process that died, until ctx
// ends. Then it finishes what is being applied, and leaves the rest to the
// next process.
func (l *Ledger) Run(ctx context.Context, r Reporter) error {
	defer l.runs()()
	var wg sync.WaitGroup
	carry := func(e Entry) {
		l.mu.Lock()
		l.running++
		l.busy()
		l.mu.Unlock()
		wg.Go(func() {
			l.persist(ctx, e, r)
			l.mu.Lock()
			l.running--
			l.rest()
			l.mu.Unlock()
		})
	}
	beat := time.NewTicker(leaseBeat)
	defer beat.Stop()
	for n := 0; ; n++ {
		if l.writer != nil && n%lapseEvery == 0 {
			if err := l.lapse(ctx, r); err != nil && ctx.Err() == nil {
				l.log.ErrorContext(ctx, "journal does not answer", "err", err)
			}
		}
		if err := l.beat(ctx, carry); err != nil && ctx.Err() == nil {
			l.log.ErrorContext(ctx, "journal does not answer", "err", err)
		}
		for woken := true; woken; {
			l.mu.Lock()
			queue := l.queue
			l.queue = nil
			l.mu.Unlock()
			for _, e := range queue {
				carry(e)
			}
			l.mu.Lock()
			l.rest()
			l.mu.Unlock()
			select {
			case <-l.wake:
			case <-l.shared.look:
				woken = false
			case <-beat.C:
				woken = false
			case <-ctx.Done():
				wg.Wait()
				return l.journal.ReleaseActions(context.WithoutCancel(ctx), l.owner)
			}
		}
	}
}

// persist takes an entry to its end, however often the journal or the cluster
// does not answer on the way: what this process holds nobody else takes up.
func (l *Ledger) persist(ctx context.Context, e Entry, r Reporter) {
	for {
		err := l.carryOut(ctx, e, r)
		if err == nil || ctx.Err() != nil || errors.Is(err, errLost) {
			return
		}
		for err != nil {
			l.log.ErrorContext(ctx, "action does not get on; trying again", "action", e.ID, "err", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(leaseBeat):
			}
			var stored Entry
			if stored, err = l.Entry(ctx, e.ID); err == nil {
				e = stored // what was journaled counts, not what was attempted
			}
		}
	}
}

// beat keeps what is held and takes over what nobody holds any more.
func (l *Ledger) beat(ctx context.Context, carry func(Entry)) error {
	if l.writer == nil {
		return nil // what others left is not for a process that may change nothing
	}
	if err := l.journal.RenewActions(ctx, l.owner, leaseLife); err != nil {
		return err
	}
	claimed, err := l.journal.ClaimActions(ctx, l.owner, leaseLife)
	if err != nil {
		return err
	}
	for _, data := range claimed {
		e, err := decode(data)
		if err != nil {
			l.log.ErrorContext(ctx, "entry cannot be read", "err", err)
			continue
		}
		l.log.InfoContext(ctx, "resuming", "action", e.ID, "state", e.State)
		carry(e)
	}
	return nil
}

// carryOut takes an entry from where it stands to its end.
func (l *Ledger) carryOut(ctx context.Context, e Entry, r Reporter) (err error) {
	if e, err = l.outdated(ctx, e); err != nil {
		return err
	}
	for !e.State.Ended() {
		switch e.State {
		case Approved, Applying:
			e, err = l.apply(ctx, e)
		case Watching:
			if !e.atOnce() {
				r.Progress(ctx, e)
			}
			e, err = l.watch(ctx, e, r)
		case Baking:
			e, err = l.bake(ctx, e, r)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
	if e.Told {
		return nil
	}
	l.catchUp(ctx, e)
	for {
		err := r.Outcome(ctx, e)
		if err == nil {
			break
		}
		l.log.ErrorContext(ctx, "outcome not told yet", "action", e.ID, "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(leaseBeat):
		}
	}
	e.Told = true
	_, err = l.swap(context.WithoutCancel(ctx), e, e.State)
	return err
}

// catchUp lets the watches see what was done before it is told: whoever hears that
// may ask at once how it is. What was watched to its end has been seen.
func (l *Ledger) catchUp(ctx context.Context, e Entry) {
	ctx, cancel := context.WithTimeout(ctx, lagLimit)
	defer cancel()
	for _, s := range e.Steps {
		if s.Applied && !(s.Ready && s.Change.Ending() == kube.EndsRolledOut) {
			l.watcher.CatchUp(ctx, s.Change.Ref)
		}
	}
}

// outdated stops a chain, or a change that is made bit by bit, that nobody was
// there to carry on with for so long that nobody expects it to go on. What runs
// is still watched to its end.
func (l *Ledger) outdated(ctx context.Context, e Entry) (Entry, error) {
	late := e.late(time.Now())
	at := e.Stuck()
	if late <= staleYes || e.Stages() == 1 && (at == nil || !at.Change.Stops()) {
		return e, nil
	}
	stage := e.Stage()
	if e.State == Applying && stage > 0 && !slices.ContainsFunc(e.Steps, func(s Step) bool { return s.Stage == stage && s.Applied }) {
		e.Problem, e.Fault = fmt.Sprintf("I was not running for %d minutes, so I did not go on.", int(late.Minutes())), fault.Unavailable
		return l.swap(ctx, e, Failed)
	}
	return e, l.callOff(ctx, e, access.Speaker{})
}

// apply makes the changes of a stage one after the other and stops at the first that
// fails. What is being applied is finished even if the process is told to stop.
func (l *Ledger) apply(ctx context.Context, e Entry) (Entry, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyLimit)
	defer cancel()
	var err error
	if e.State == Approved {
		if late := time.Since(e.Decided); late > staleYes {
			e.Problem, e.Fault = fmt.Sprintf("You said yes %d minutes ago, and I was not running since. Ask me again if you still want it.", int(late.Minutes())), fault.Refused
			return l.swap(ctx, e, Failed)
		}
		if e, err = l.swap(ctx, e, Applying); err != nil {
			return e, err
		}
	}
	stage := e.Stage()
	for i := range e.Steps {
		if e.Steps[i].Applied || e.Steps[i].Stage != stage {
			continue
		}
		applied, err := l.writer.Apply(ctx, e.Steps[i].Change, e.mark(e.Steps[i]))
		if fault.KindOf(err) == fault.Unavailable && time.Since(e.begun()) < applyWindow {
			return e, err // asked again: the mark on the object tells whether it was made
		}
		if err != nil {
			l.log.WarnContext(ctx, "not applied", "action", e.ID, "object", e.Steps[i].Change.Ref, "err", err)
			e.Problem, e.Fault = fault.Say(err), fault.KindOf(err)
			return l.swap(ctx, e, Failed)
		}
		l.log.InfoContext(ctx, "applied", "action", e.ID, "object", e.Steps[i].Change.Ref, "by", e.Speaker.Key(), "as", e.Steps[i].Change.As.User, "already", applied.Already)
		e.Steps[i].Applied, e.Steps[i].Generation = true, applied.Generation
		if applied.UID != "" {
			e.Steps[i].Change.UID = applied.UID // whoever undoes it undoes this object and no other
		}
		next := Applying
		if !slices.ContainsFunc(e.Steps[i+1:], func(s Step) bool { return s.Stage == stage }) {
			next = Watching
		}
		if e, err = l.swap(ctx, e, next); err != nil {
			return e, err
		}
	}
	return e, nil
}

// watch follows the roll-outs of the stage that runs to their end, and begins
// the next stage.
func (l *Ledger) watch(ctx context.Context, e Entry, r Reporter) (Entry, error) {
	stage, stop := e.Stage(), false
	told, tell := time.Now(), e.Stuck().Last // that it was begun is told already
	for i := range e.Steps {
		if e.Steps[i].Ready || e.Steps[i].Stage != stage {
			continue
		}
		if e.Steps[i].Change.Ending() == kube.EndsAtOnce {
			e.Steps[i].Ready = true
			continue
		}
		w := watcher{patience: l.patience, change: e.Steps[i].Change, id: e.mark(e.Steps[i]), begun: e.begun()}
		for o, err := range l.follow(ctx, &e, i) {
			if err != nil {
				if ctx.Err() != nil {
					return e, ctx.Err()
				}
				// Undone, it is called off, or gone where it was made.
				if off := errors.Is(err, errCalledOff); off || fault.KindOf(err) == fault.NotFound {
					back, lost := l.undone(ctx, e)
					switch {
					case lost != nil:
						return e, lost
					case back:
						return l.swap(ctx, e, RolledBack)
					case off:
						return l.swap(ctx, e, Stopped)
					}
				}
				if errors.Is(err, errLost) || e.Steps[i].Change.Ending() == kube.EndsStepwise && fault.KindOf(err) == fault.Unavailable {
					return e, err // the journal: see persist
				}
				e.Problem, e.Fault = fault.Say(err), fault.KindOf(err)
				return l.swap(ctx, e, Failed)
			}
			s := &e.Steps[i]
			s.Last = o.Progress
			v := w.look(o, time.Now())
			if v == rolledOut || v == held {
				s.Ready, s.Begun, s.Complete = true, e.begun(), time.Now()
				stop = stop || v == held && !e.resumes(stage+1, s.Change.Ref)
				break
			}
			switch v {
			case stuck:
				return l.swap(ctx, e, Failed)
			case replaced:
				beside, err := l.beside(ctx, s.Change, o)
				if err != nil {
					return e, err
				}
				if !beside {
					return l.replaced(ctx, e, o)
				}
				w.id = o.LastAction
			}
			// What changes too soon after the last telling is told later: the
			// watch yields at least every second.
			if o.Progress.State != kube.Observing && !tell.Same(o.Progress) && time.Since(told) >= narrateEvery {
				told, tell = time.Now(), o.Progress
				// Who asks meanwhile is answered from the journal.
				if o.Progress.Waits() || s.Change.Ending() == kube.EndsStepwise {
					if e, err = l.swap(ctx, e, Watching); err != nil {
						return e, err
					}
				}
				r.Progress(ctx, e)
			}
			if stage < e.Stages()-1 && time.Since(e.Seen) >= seenEvery {
				if e, err = l.swap(ctx, e, Watching); err != nil { // how long nobody was there is told by this
					return e, err
				}
			}
		}
	}
	if stage == e.Stages()-1 {
		if e.Bake = l.bakes(e); e.Bake != nil {
			return l.swap(ctx, e, Baking)
		}
		return l.swap(ctx, e, Done)
	}
	if stop {
		return l.swap(ctx, e, Stopped) // the rest was to begin when this is rolled out
	}
	off, err := l.calledOff(ctx, e)
	switch {
	case err != nil:
		return e, err
	case off:
		return l.swap(ctx, e, Stopped)
	}
	e.Begun = time.Now()
	return l.swap(ctx, e, Applying)
}

// follow yields how far a step is: the roll-out of its workload, or what its own
// steps say, which are gone through here.
func (l *Ledger) follow(ctx context.Context, e *Entry, i int) iter.Seq2[kube.Workload, error] {
	s := e.Steps[i]
	if s.Change.Ending() != kube.EndsStepwise {
		return l.watcher.WatchRollout(ctx, s.Change.Ref, s.Generation)
	}
	return func(yield func(kube.Workload, error) bool) {
		for wait := stepEvery; ; {
			// Nothing is done but by the process that holds the entry.
			var err error
			if *e, err = l.swap(ctx, *e, Watching); err == nil && s.Change.Stops() {
				var off bool
				if off, err = l.calledOff(ctx, *e); off {
					err = errCalledOff
				}
			}
			if err != nil {
				yield(kube.Workload{}, err)
				return
			}
			p, err := l.stepOnce(ctx, s.Change, e.mark(s))
			switch {
			case err == nil:
				if !yield(kube.Workload{Ref: s.Change.Ref, LastAction: e.mark(s), Progress: p}, nil) {
					return
				}
			case fault.KindOf(err) != fault.Unavailable:
				yield(kube.Workload{}, err)
				return
			default:
				l.log.WarnContext(ctx, "does not get on for now", "action", e.ID, "err", err)
			}
			select {
			case <-ctx.Done():
				yield(kube.Workload{}, ctx.Err())
				return
			case <-time.After(max(wait, p.Again)):
			}
			if wait = min(2*wait, stepLast); p.Stuck == nil || p.Stuck.Reason != kube.Budget {
				wait = stepEvery // something moves, or is looked at only
			}
		}
	}
}

// errCalledOff says that somebody stopped what is being done.
var errCalledOff = errors.New("action: called off")

// stepOnce goes one step on. A step that was begun is finished even if the
// process is told to stop.
func (l *Ledger) stepOnce(ctx context.Context, c kube.Change, mark string) (kube.Progress, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyLimit)
	defer cancel()
	return l.writer.Step(ctx, c, mark)
}

// atOnce reports whether nothing of the stage that runs is to be waited for.
func (e Entry) atOnce() bool {
	stage := e.Stage()
	return !slices.ContainsFunc(e.Steps, func(s Step) bool { return s.Stage == stage && s.Change.Ending() != kube.EndsAtOnce })
}

// resumes reports whether a stage lets the roll-out of something go on.
func (e Entry) resumes(stage int, ref kube.Ref) bool {
	return slices.ContainsFunc(e.Steps, func(s Step) bool {
		return s.Stage == stage && s.Change.Ref == ref && s.Change.Aspect() == kube.AspectPaused
	})
}

// beside reports whether the last action on an object is one of this journal that
// changed something else of it: it takes nothing from the change c, which still
// is as it was made.
func (l *Ledger) beside(ctx context.Context, c kube.Change, o kube.Workload) (bool, error) {
	by := markedBy(o.LastAction)
	if by == "" || !c.Holds(o) {
		return false, nil
	}
	other, err := l.Entry(ctx, by)
	if fault.KindOf(err) == fault.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(other.Steps, func(s Step) bool {
		return s.Change.Ref == c.Ref && s.Change.Aspect() == c.Aspect()
	}), nil
}

// undone reports whether somebody said yes to putting an entry back.
func (l *Ledger) undone(ctx context.Context, e Entry) (bool, error) {
	found := false
	err := l.journal.ActionsOf(ctx, e.Conversation, func(data []byte) (bool, error) {
		o, err := decode(data)
		found = err == nil && o.Undoes == e.ID && !slices.Contains([]State{Proposed, Waiting, Denied, Expired}, o.State)
		return !found && o.ID != e.ID, err
	})
	if err != nil {
		return false, noJournal(err)
	}
	return found, nil
}

// replaced ends an entry whose object was changed while it rolled out.
func (l *Ledger) replaced(ctx context.Context, e Entry, o kube.Workload) (Entry, error) {
	to, err := l.replacedBy(ctx, e, o, Superseded)
	if err != nil {
		return e, err
	}
	return l.swap(ctx, e, to)
}

// replacedBy is the end of an entry whose object was changed: it was put back, or
// otherwise.
func (l *Ledger) replacedBy(ctx context.Context, e Entry, o kube.Workload, otherwise State) (State, error) {
	if by := markedBy(o.LastAction); by != e.ID && by != "" {
		next, err := l.Entry(ctx, by)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return otherwise, err
		}
		if next.Undoes == e.ID || next.Intent == "rollback" {
			return RolledBack, nil
		}
	}
	return otherwise, nil
}

// begun is when the stage that runs was begun.
func (e Entry) begun() time.Time {
	if e.Begun.IsZero() {
		return e.Decided
	}
	return e.Begun
}

// late is how long nobody was there to carry an entry out that is under way.
func (e Entry) late(now time.Time) time.Duration {
	if e.State != Watching && e.State != Applying || e.Seen.IsZero() {
		return 0
	}
	return now.Sub(e.Seen)
}
