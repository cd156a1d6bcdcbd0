package diagnosis

import (
	"cmp"
	"slices"
	"time"
)

// rule is one explanation: where its preconditions hold it makes findings, each
// with what speaks for it and against it; then it says what to do.
type rule struct {
	name string
	// tier sorts rules by how plainly they name a cause: a rule yields where one
	// of a lower tier explains the same workload's trouble.
	tier int
	find func(s *scene) []*finding
	next func(s *scene, f *finding) Step
}

// finding is a cause in the making.
type finding struct {
	Cause
	tier int
	// hurts are the workloads whose trouble it explains directly.
	hurts []Object
	// started is whether it is about pods that do not come up, rather than about
	// how those that run answer.
	started  bool
	miss     float64 // how likely all of it is chance
	keep     float64 // what contradictions leave of it
	unscaled bool    // it holds also where the workload's own measures are well
}

// at makes a finding about an object that hurts a workload.
func at(about, hurts Object) *finding {
	return &finding{Cause: Cause{About: about}, hurts: []Object{hurts}, miss: 1, keep: 1}
}

// speaks adds facts that make it likelier by a weight of 0 to 1.
func (f *finding) speaks(weight float64, facts ...Evidence) *finding {
	f.miss *= 1 - weight
	f.Evidence = join(f.Evidence, facts)
	return f
}

// but adds facts that contradict it and leave only a part of it.
func (f *finding) but(part float64, facts ...Evidence) *finding {
	f.keep *= part
	f.Against = join(f.Against, facts)
	return f
}

// score is how likely it is.
func (f *finding) score() float64 { return min(0.97, 1-f.miss) * f.keep }

// from sets when it began: the first moment that is known.
func (f *finding) from(times ...time.Time) *finding {
	for _, t := range times {
		if f.Since.IsZero() && !t.IsZero() {
			f.Since = t
		}
	}
	return f
}

// join adds facts that are not there yet.
func join(list, more []Evidence) []Evidence {
	for _, e := range more {
		if k := key(e); e.Kind != "" && !slices.ContainsFunc(list, func(o Evidence) bool { return key(o) == k }) {
			list = append(list, e)
		}
	}
	return list
}

// without drops facts.
func without(list, these []Evidence) []Evidence {
	return slices.DeleteFunc(slices.Clone(list), func(e Evidence) bool {
		k := key(e)
		return slices.ContainsFunc(these, func(o Evidence) bool { return key(o) == k })
	})
}

// What a score must reach to be said, and to be said how.
const (
	worthSaying = 0.3
	isProbable  = 0.55
	isSure      = 0.8
)

// Rules are the names of all rules, sorted.
func Rules() []string {
	var out []string
	for _, r := range rules() {
		out = append(out, r.name)
	}
	slices.Sort(out)
	return out
}

// Rank says what the evidence of a case means. It is pure: the order of the
// evidence does not matter, and the same evidence gives the same verdict.
func Rank(c Case) Verdict {
	s := setUp(c)
	list := s.findings()
	v := Verdict{Shows: s.shows()}
	well := !s.whole && s.healthy(s.target) != nil || s.whole && len(s.path) > 0
	for _, f := range list {
		if f.Score < worthSaying {
			continue
		}
		v.Causes = append(v.Causes, f.Cause)
	}
	v.Innocent = s.innocent(list)
	switch {
	case len(v.Causes) > 0:
		v.Outcome, v.Since = Found, v.Causes[0].Since
	case len(v.Shows) == 0 && !c.late(fromObjects) && (well || s.fine() && !c.late(fromTraffic)):
		v.Outcome = Nothing
	default:
		v.Outcome = Unclear
	}
	if v.Since.IsZero() && len(v.Shows) > 0 && v.Outcome != Nothing {
		v.Since = s.hurt(s.target).onset
	}
	v.Missing = s.missing(v)
	return v
}

// The collectors without whose answer nothing is called well.
const (
	fromObjects = "kubernetes"
	fromTraffic = "traffic"
)

// late reports whether a collector did not find all in time.
func (c Case) late(collector string) bool {
	return slices.ContainsFunc(c.Missing, func(m Missing) bool { return m.Collector == collector && m.Late })
}

// findings asks every rule, weighs what holds for all, and sorts.
func (s *scene) findings() []*finding {
	var list []*finding
	next := map[string]func(*scene, *finding) Step{}
	for _, r := range rules() {
		next[r.name] = r.next
		for _, f := range r.find(s) {
			f.Rule, f.tier = r.name, r.tier
			list = append(list, f)
		}
	}
	for _, f := range list {
		s.reach(f)
		s.fit(f)
	}
	slices.SortStableFunc(list, func(a, b *finding) int { return cmp.Compare(a.tier, b.tier) })
	for i, f := range list {
		s.yield(f, list[:i])
		f.Score = round(f.score())
		f.Against = without(f.Against, f.Evidence)
		f.Next = next[f.Rule](s, f)
	}
	slices.SortStableFunc(list, func(a, b *finding) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.tier, b.tier), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.About.String(), b.About.String()), cmp.Compare(a.Detail, b.Detail))
	})
	for i, f := range list {
		f.Sure = sure(f.Score)
		rival := i == 0 && len(list) > 1 && list[1].Score > f.Score-0.1 && list[1].About != f.About
		if rival && f.Sure == Surely {
			f.Sure = Probably
		}
		if i > 0 && list[0].Sure != Surely && f.Sure == Surely {
			f.Sure = list[0].Sure
		}
	}
	return list
}

func sure(score float64) Sure {
	switch {
	case score >= isSure:
		return Surely
	case score >= isProbable:
		return Probably
	}
	return Perhaps
}

func round(x float64) float64 { return float64(int(x*1000+0.5)) / 1000 }

// reach weakens what hurts a workload that the target calls, as far as it does
// not show at that workload, and all of it where the target itself is well.
func (s *scene) reach(f *finding) {
	direct := slices.ContainsFunc(f.hurts, s.asked)
	if !direct && !f.unscaled {
		h := f.hurts[0]
		switch t := s.hurt(h); {
		case t.yes:
		case s.healthy(h) != nil:
			f.but(0.15, s.healthy(h)...)
		default:
			f.but(0.7)
		}
	}
	if s.whole || direct && f.started {
		return
	}
	if well := s.healthy(s.target); well != nil {
		f.but(0.25, well...)
	}
}

// fit weakens what does not go with how the question was put.
func (s *scene) fit(f *finding) {
	switch s.request.Symptom {
	case SymptomSlow, SymptomErrors, SymptomTimeout:
		// Pods of a new version that do not come up slow nobody down as long as
		// the old ones are all there.
		if f.started && !s.short(f.hurts[0]).yes && !s.failing(f.hurts[0]).yes && !s.slow(f.hurts[0]).yes {
			f.keep *= 0.8
		}
	case SymptomCrash, SymptomRestarts, SymptomOOM, SymptomPending, SymptomNotStarting, SymptomImagePull:
		if !f.started {
			f.keep *= 0.7
		}
	}
}

// yield weakens a finding where plainer ones explain the same workload.
func (s *scene) yield(f *finding, plainer []*finding) {
	var best *finding
	for _, g := range plainer {
		if g.tier >= f.tier || !slices.ContainsFunc(g.hurts, func(o Object) bool { return slices.Contains(f.hurts, o) }) {
			continue
		}
		if best == nil || g.score() > best.score() {
			best = g
		}
	}
	if best != nil {
		f.but(1-0.6*best.score(), without(best.Evidence, f.Evidence)...)
	}
}

// shows is how the trouble shows at the target.
func (s *scene) shows() []Evidence {
	var out []Evidence
	of := []Object{s.target}
	if s.whole {
		of = s.path
	}
	for _, w := range of {
		if !s.asked(w) {
			continue
		}
		for _, t := range []trouble{s.slow(w), s.failing(w), s.short(w)} {
			out = join(out, t.facts)
		}
		out = join(out, s.of(w, CrashLoop, OOMKilled, ImagePull, Unschedulable, NotMade, MissingReference, InitFailed, VolumeUnbound, VolumeFailed))
	}
	return out
}

// fine reports whether all pods of what is asked about are there, where the
// question is about that.
func (s *scene) fine() bool {
	switch s.request.Symptom {
	case SymptomSlow, SymptomErrors, SymptomTimeout:
		return false
	}
	ready, want, _, ok := s.replicas(s.target)
	return ok && ready >= want && want > 0
}
