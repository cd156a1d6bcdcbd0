package action

import (
	"cmp"
	"time"

	"github.com/firstmate-ops/firstmate/internal/kube"
)

// Patience says how long a roll-out may stand still, and a question may wait.
type Patience struct {
	// Hard is how long a reason that does not go away by itself (an image that
	// cannot be pulled, a crash loop) is watched before it is called stuck.
	Hard time.Duration
	// Still is how long nothing may move where Kubernetes itself has no
	// deadline, as for StatefulSets and DaemonSets.
	Still time.Duration
	// Answer is how long a proposal waits for yes; 0 is ProposalLife.
	Answer time.Duration
	// Drain is how long a drain goes on trying, from the yes; 0 is DrainLife.
	Drain time.Duration
}

// DrainLife is how long a drain goes on trying, unless Patience says.
const DrainLife = 15 * time.Minute

// DefaultPatience is long enough for one failed pull to be tried again, and
// short enough for a telephone call.
var DefaultPatience = Patience{Hard: 5 * time.Second, Still: 10 * time.Minute}

// markLag is how long the watch may lag behind a change that left the object's
// generation as it was.
const markLag = 3 * time.Second

// verdict is what a look at a roll-out says.
type verdict int

const (
	goesOn verdict = iota
	rolledOut
	stuck
	held     // by spec.paused: it goes on when somebody lets it
	replaced // by somebody else's change
)

// watcher remembers of a roll-out what its verdict depends on.
type watcher struct {
	patience Patience
	change   kube.Change
	id       string
	begun    time.Time // when it was begun, by whatever process
	seen     bool      // the object has carried the action's mark
	began    time.Time
	hard     kube.Reason // since when: hardAt
	hardAt   time.Time
	moved    kube.Progress // since when: movedAt
	movedAt  time.Time
}

// look takes in the workload as it is at a time and says what that means.
func (w *watcher) look(o kube.Workload, now time.Time) verdict {
	p := o.Progress
	counts := p
	counts.Stuck = nil
	if w.movedAt.IsZero() || counts != w.moved || p.Waits() {
		w.moved, w.movedAt = counts, now
	}
	if p.State == kube.Observing {
		return goesOn
	}
	if w.began.IsZero() {
		w.began = now
	}
	w.seen = w.seen || o.LastAction == w.id
	if !w.seen && now.Sub(w.began) < markLag {
		return goesOn
	}
	if o.LastAction != w.id || !w.change.Holds(o) {
		return replaced
	}
	if p.Stuck == nil || !p.Stuck.Reason.Hard() {
		w.hard = ""
	} else if w.hard != p.Stuck.Reason {
		w.hard, w.hardAt = p.Stuck.Reason, now
	}
	scales := w.change.Aspect() == kube.AspectReplicas
	switch {
	case p.Done(), scales && p.State == kube.Paused && p.Total == p.Desired && p.Ready >= p.Desired:
		return rolledOut // a paused Deployment is scaled all the same
	case p.State == kube.Paused && !scales:
		return held
	case p.State == kube.DeadlineExceeded:
		return stuck
	case w.hard != "" && now.Sub(w.hardAt) >= w.patience.Hard:
		return stuck
	case w.tooLong(now):
		return stuck
	}
	return goesOn
}

// tooLong reports whether a change has taken longer than one of its pace may.
func (w *watcher) tooLong(now time.Time) bool {
	switch w.change.Pace() {
	case kube.PaceJob:
		return false
	case kube.PaceDrain:
		return now.Sub(w.begun) >= cmp.Or(w.patience.Drain, DrainLife)
	}
	return now.Sub(w.movedAt) >= w.patience.Still
}
