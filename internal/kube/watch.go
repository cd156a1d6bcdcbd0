package kube

import (
	"context"
	"iter"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

const (
	// watchPause lets a burst of pod changes count as one.
	watchPause = 50 * time.Millisecond
	// watchRecheck is how often a roll-out is looked at without a change: the
	// reason it is stuck may be in an event, which is not watched.
	watchRecheck = time.Second
	// watchLag is how long the watch may take to see an object that was made.
	watchLag = 5 * time.Second
)

// WatchRollout yields a workload, with the reason if its roll-out is stuck, now
// and whenever its progress changes, until the consumer stops, ctx ends (its
// error is yielded), or the workload is gone. generation is what the API server
// answered to the change: before the watch has caught up with it the state is
// Observing. A state that lasts is yielded again every second.
func (r *Reader) WatchRollout(ctx context.Context, ref Ref, generation int64) iter.Seq2[Workload, error] {
	return func(yield func(Workload, error) bool) {
		changed, stop := r.changes(ref)
		defer stop()
		tick := time.NewTicker(watchRecheck)
		defer tick.Stop()
		began, seen := time.Now(), false
		for {
			w, err := r.progressAt(ctx, ref, generation)
			if fault.KindOf(err) == fault.NotFound && !seen && time.Since(began) < watchLag {
				w, err = Workload{Ref: ref, Progress: Progress{State: Observing}}, nil // it was just made
			} else {
				seen = true
			}
			switch {
			case err == nil:
				if !yield(w, nil) {
					return
				}
			case ctx.Err() != nil || fault.KindOf(err) != fault.Unavailable:
				yield(Workload{}, err)
				return
			default: // the API server may come back; the roll-out goes on meanwhile
				r.log.WarnContext(ctx, "roll-out not seen for now", "workload", ref, "err", err)
			}
			select {
			case <-ctx.Done():
				yield(Workload{}, ctx.Err())
				return
			case <-changed:
				if !pause(ctx, watchPause) {
					yield(Workload{}, ctx.Err())
					return
				}
			case <-tick.C:
			}
		}
	}
}

// pause waits, and reports whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// progressAt is the workload once the change that made this generation is seen.
func (r *Reader) progressAt(ctx context.Context, ref Ref, generation int64) (Workload, error) {
	w, err := r.Get(ctx, ref)
	if err != nil {
		return Workload{}, err
	}
	if w.Generation < generation {
		w.Progress.State = Observing
		return w, nil
	}
	w.Progress, err = r.Diagnose(ctx, w)
	return w, err
}
