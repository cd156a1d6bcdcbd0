package action

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/gate"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// Measurer measures the version that a change rolled out and the one before it.
// What cannot be measured is named in the evidence.
type Measurer interface {
	Measure(ctx context.Context, t Trial) gate.Evidence
}

// Trial is a change that is rolled out and being watched.
type Trial struct {
	Change   kube.Change
	Begun    time.Time     // until then only the old version ran
	Complete time.Time     // from then on only the new one; of a canary, both
	Until    time.Time     // what is measured ends here
	Back     bool          // it went back to an older version
	Interval time.Duration // of one sample
	Bake     time.Duration // for how long it is watched in all
}

// Guard says how a new version is watched once it is rolled out. The zero value
// is not at all.
type Guard struct {
	For      time.Duration
	Measurer Measurer
	// Reverts says of what is rolled back without a question where it does worse;
	// nil is nothing.
	Reverts func(kube.Ref) bool
	// Promotes says of which canaries that do as well are promoted without a
	// question; nil is none.
	Promotes func(kube.Ref) bool
}

// recoverFor is how long it is watched at most whether going back helped.
const recoverFor = 2 * time.Minute

// Baked is how a new version has done since it is rolled out.
type Baked struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Back  bool      `json:"back,omitempty"` // whether going back helped is what is watched
	Tried []Tried   `json:"tried"`
	// Looked says that it was measured, so that it was told that it is watched.
	Looked bool `json:"looked,omitempty"`
	// Longer says that it is watched for as long again: at the end of its time it
	// looked worse, which could still be chance.
	Longer bool `json:"longer,omitempty"`
	// Changed says that the watching ended because somebody changed or deleted it.
	Changed bool `json:"changed,omitempty"`
	// Next is the entry that puts back what does worse, or promotes what does well.
	Next string `json:"next,omitempty"`
}

// Tried is how one step has done.
type Tried struct {
	Step    int          `json:"step"` // its index
	Verdict gate.Verdict `json:"verdict"`
}

// Worse reports whether any of it does worse than what ran before.
func (b *Baked) Worse() bool { return b != nil && b.any(gate.Worse) }

func (b *Baked) any(k gate.Kind) bool {
	return slices.ContainsFunc(b.Tried, func(t Tried) bool { return t.Verdict.Kind == k })
}

// lengthen has what looks worse, and may be chance, watched for longer.
func (b *Baked) lengthen(by time.Duration) {
	b.Longer, b.Until = true, time.Now().Add(by)
	for i := range b.Tried {
		if b.Tried[i].Verdict.Kind == gate.Unsure {
			b.Tried[i].Verdict.Kind = gate.Open
		}
	}
}

// why is what the audit trail has of the verdicts.
func (b *Baked) why() string {
	var out []string
	for _, t := range b.Tried {
		v := t.Verdict
		s := fmt.Sprintf("%s %s: errors %.4f → %.4f, p99 %.3fs → %.3fs", v.New.Version, v.Kind, v.Old.Errors, v.New.Errors, v.Old.Latency, v.New.Latency)
		if len(v.Why) > 0 {
			s += fmt.Sprintf(" (%s)", v.Why)
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// Guard has the ledger watch what is rolled out. It is for before Run.
func (l *Ledger) Guard(g Guard) { l.guard = g }

// bakes returns what is to be watched of an entry that is rolled out, nil where
// that is nothing.
func (l *Ledger) bakes(e Entry) *Baked {
	if l.guard.For <= 0 || l.guard.Measurer == nil {
		return nil
	}
	now := time.Now()
	b := &Baked{Since: now, Until: now.Add(l.guard.For)}
	for i, s := range e.Steps {
		released := s.Change.Verb == kube.VerbImage || s.Change.Verb == kube.VerbTemplate || s.Change.Verb == kube.VerbCanary
		if released && s.Applied && s.Ready && s.Last.State != kube.Paused && !s.Last.OnDelete && (s.Last.Desired > 0 || s.Last.State == "") {
			b.Tried = append(b.Tried, Tried{Step: i})
		}
	}
	if len(b.Tried) == 0 {
		return nil
	}
	if b.Back = e.goesBack(); b.Back {
		b.Until = now.Add(min(l.guard.For, recoverFor))
	}
	return b
}

// goesBack reports whether an entry goes back to what ran before.
func (e Entry) goesBack() bool { return e.Undoes != "" || e.Intent == "rollback" || e.Intent == "undo" }

// bake watches what is rolled out until the time is up, it does worse, or
// somebody changes it.
func (l *Ledger) bake(ctx context.Context, e Entry, r Reporter) (Entry, error) {
	if e.Bake == nil || l.guard.Measurer == nil { // it was to be watched by a process with another configuration
		return l.swap(ctx, e, Done)
	}
	late := time.Since(e.Seen) > staleYes
	b := *e.Bake
	b.Tried = slices.Clone(b.Tried)
	e.Bake, e.Steps = &b, slices.Clone(e.Steps)
	normal, err := l.normal(ctx, e)
	if err != nil {
		return e, err
	}
	looks, stop := l.lookAt(ctx, e)
	defer stop()
	watchers := make([]watcher, len(b.Tried))
	for i, t := range b.Tried {
		s := e.Steps[t.Step]
		watchers[i] = watcher{patience: l.patience, change: s.Change, id: e.mark(s), seen: true, begun: b.Since}
	}
	interval := gate.Interval(l.guard.For)
	for !b.Worse() {
		over := !time.Now().Before(b.Until)
		if err := l.measure(ctx, e, normal, over); err != nil {
			return e, err
		}
		longer := over && !b.Longer && b.any(gate.Unsure)
		if longer {
			b.lengthen(l.guard.For)
			over = false
		}
		if (!b.Looked || longer) && b.any(gate.Open) {
			r.Progress(ctx, e)
		}
		b.Looked = true
		if e, err = l.swap(ctx, e, Baking); err != nil { // who asks meanwhile is answered from the journal
			return e, err
		}
		if b.Worse() {
			break
		}
		if over || !b.any(gate.Open) {
			return l.passed(ctx, e)
		}
		for next := time.After(interval); next != nil && !b.Worse(); {
			select {
			case <-ctx.Done():
				return e, ctx.Err()
			case <-next:
				next = nil
			case o := <-looks:
				ended, err := l.seen(ctx, &e, o, &watchers[o.tried])
				switch {
				case err != nil:
					return e, err
				case ended != "":
					return l.swap(ctx, e, ended)
				}
			}
		}
	}
	return l.reject(ctx, e, late)
}

// look is a workload as it was seen meanwhile.
type look struct {
	tried int // which one of what is watched
	w     kube.Workload
	err   error
}

// lookAt follows the workloads of what is watched until stop is called.
func (l *Ledger) lookAt(ctx context.Context, e Entry) (looks <-chan look, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	out := make(chan look)
	var wg sync.WaitGroup
	for i, t := range e.Bake.Tried {
		s := e.Steps[t.Step]
		wg.Go(func() {
			for o, err := range l.watcher.WatchRollout(ctx, s.Change.Ref, s.Generation) {
				select {
				case out <- look{i, o, err}:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return out, func() { cancel(); wg.Wait() }
}

// normal is how it was before what an entry goes back from, as far as the
// journal knows.
func (l *Ledger) normal(ctx context.Context, e Entry) (gate.Level, error) {
	if e.Undoes == "" {
		return gate.Level{}, nil
	}
	of, err := l.Entry(ctx, e.Undoes)
	if fault.KindOf(err) == fault.NotFound {
		return gate.Level{}, nil
	}
	if err != nil || of.Bake == nil {
		return gate.Level{}, err
	}
	for _, t := range of.Bake.Tried {
		if of.Steps[t.Step].Change.Ref == e.Steps[e.Bake.Tried[0].Step].Change.Ref {
			return t.Verdict.Old, nil
		}
	}
	return gate.Level{}, nil
}

// seen takes in how a workload is meanwhile: whether it is still what was rolled
// out, and stays up. ended is the end of the entry where it is not, "" where it is.
func (l *Ledger) seen(ctx context.Context, e *Entry, o look, w *watcher) (ended State, err error) {
	t := &e.Bake.Tried[o.tried]
	s := &e.Steps[t.Step]
	switch {
	case fault.KindOf(o.err) == fault.NotFound:
		e.Bake.Changed = true
		if back, err := l.undone(ctx, *e); back || err != nil {
			return RolledBack, err
		}
		return Done, nil
	case o.err != nil:
		return "", ctx.Err() // it cannot be seen for now; it is measured all the same
	}
	switch w.look(o.w, time.Now()) {
	case stuck:
		if w.hard != kube.CrashLoop && w.hard != kube.OOMKilled {
			return "", nil // that is not of the version
		}
		t.Verdict.Kind = gate.Worse
		t.Verdict.Why = append([]gate.Reason{gate.Crashes}, t.Verdict.Why...)
		s.Last = o.w.Progress
		*e, err = l.swap(ctx, *e, Baking)
	case replaced:
		var beside bool
		if beside, err = l.beside(ctx, s.Change, o.w); err != nil || beside {
			w.id = o.w.LastAction
			return "", err
		}
		e.Bake.Changed = true
		return l.replacedBy(ctx, *e, o.w, Done)
	}
	return "", err
}

// measure has all that is watched measured and judged.
func (l *Ledger) measure(ctx context.Context, e Entry, normal gate.Level, over bool) error {
	b := e.Bake
	until := time.Now()
	if until.After(b.Until) {
		until = b.Until
	}
	for i, t := range b.Tried {
		if t.Verdict.Kind != gate.Open {
			continue
		}
		s := e.Steps[t.Step]
		seen := l.guard.Measurer.Measure(ctx, Trial{
			Change: s.Change, Begun: s.Begun, Complete: s.Complete, Until: until, Back: b.Back,
			Interval: gate.Interval(l.guard.For), Bake: l.guard.For,
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		seen.Old.Version = cmp.Or(seen.Old.Version, s.Change.FromVersion)
		seen.New.Version = cmp.Or(seen.New.Version, s.Change.ToVersion)
		if b.Back {
			b.Tried[i].Verdict = gate.Recovered(seen, normal, over)
		} else {
			b.Tried[i].Verdict = gate.Decide(seen, over)
		}
		l.log.DebugContext(ctx, "measured", "action", e.ID, "object", s.Change.Ref, "verdict", b.Tried[i].Verdict)
	}
	return nil
}

// passed ends what was watched and does not do worse. A canary that does as well
// is promoted where the configuration says so.
func (l *Ledger) passed(ctx context.Context, e Entry) (Entry, error) {
	changes, then := e.Promotion()
	if len(changes) > 0 && e.Bake.promising() && l.guard.Promotes != nil && l.guard.Promotes(changes[0].Ref) {
		next, err := l.follows(ctx, e, Proposal{Key: e.ID + PromoteKey, Intent: "promote", Changes: changes, Then: then}, "canary does as well")
		if err != nil {
			return e, err
		}
		e.Bake.Next = next
	}
	return l.swap(ctx, e, Done)
}

// promising reports whether all that was watched does as well as before.
func (b *Baked) promising() bool {
	return !slices.ContainsFunc(b.Tried, func(t Tried) bool { return t.Verdict.Kind != gate.Good })
}

// The keys under which is proposed what follows from an entry's verdict; the
// narrator offers it under the same, where it needs a yes.
const (
	OfferKey   = "/offer"
	PromoteKey = "/promote"
)

// reject ends what does worse: it is put back, where the configuration and the
// policy let it be done without a question, else it is left to the person, who is
// told. What nobody was there to see for long is not put back by surprise.
func (l *Ledger) reject(ctx context.Context, e Entry, late bool) (Entry, error) {
	changes := e.Withdrawal()
	free := len(changes) > 0 && !late && !e.Bake.Back && l.guard.Reverts != nil &&
		!slices.ContainsFunc(changes, func(c kube.Change) bool { return !l.guard.Reverts(c.About()) })
	if free {
		next, err := l.follows(ctx, e, Proposal{Key: e.ID + OfferKey, Intent: "rollback", Changes: changes, Undoes: e.ID}, "does worse")
		if err != nil {
			return e, err
		}
		if e.Bake.Next = next; next != "" {
			return l.swap(ctx, e, RolledBack)
		}
	}
	return l.swap(ctx, e, Failed)
}

// follows proposes what follows from an entry, as the one who asked for that, and
// says yes to it in their stead. It is "" where the policy does not let them do
// it without a PIN or somebody's approval, or the cluster does not. Doing it twice
// is the same as once.
func (l *Ledger) follows(ctx context.Context, e Entry, p Proposal, how string) (string, error) {
	p.Conversation, p.Speaker, p.Said = e.Conversation, e.Speaker, e.Said
	o, err := l.Propose(ctx, p)
	switch {
	case fault.KindOf(err) == fault.Unavailable:
		return "", err // the journal or the cluster: see persist
	case err != nil:
		l.log.WarnContext(ctx, "what should follow by itself cannot", "action", e.ID, "err", err)
		return "", nil
	case o.State != Proposed:
		return o.ID, nil // by a process that did not live to journal it
	}
	person, err := l.access.Writer(ctx, e.Speaker)
	if err != nil {
		return "", nil //nolint:nilerr // they may not any more: it is left to whoever may
	}
	o.Verdict = l.access.Judge(e.Speaker, person, o.acts(), time.Now())
	if o.Verdict.Refusal() != nil || o.Verdict.PIN || len(o.open()) > 0 || o.Verdict.Kind == access.Deny {
		return "", nil
	}
	o.By = Decider{e.Speaker, person.Name, "by itself: " + how}
	o, err = l.begin(ctx, o, e.Speaker)
	return o.ID, err
}

// Withdrawal are the changes that put back what does worse.
func (e Entry) Withdrawal() []kube.Change {
	if e.Bake == nil {
		return nil
	}
	of := e
	of.Steps = nil
	for _, t := range e.Bake.Tried {
		if t.Verdict.Kind == gate.Worse {
			of.Steps = append(of.Steps, e.Steps[t.Step])
		}
	}
	changes, _ := of.Inverse()
	for i := range changes {
		changes[i].Cause = "firstmate, rolled back for " + e.Speaker.Key() + ": does worse than before"
	}
	return changes
}

// Promotion are the changes that put what a canary runs on all pods, and then
// remove the canary; none where the entry made no canary.
func (e Entry) Promotion() (changes []kube.Change, then [][]kube.Change) {
	if len(e.Steps) != 1 || e.Steps[0].Change.Canary == nil || e.Steps[0].Change.Verb != kube.VerbCanary {
		return nil, nil
	}
	return e.Steps[0].Change.Promotion("firstmate, promoted for " + e.Speaker.Key())
}
