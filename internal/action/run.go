package action

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

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
