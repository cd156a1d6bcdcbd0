package action

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

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
