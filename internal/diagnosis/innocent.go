package diagnosis

import "slices"

// Why a change is innocent.
const (
	BeganBefore = "began_before"    // the trouble is older than the change
	OldIsSame   = "old_is_the_same" // the version before is off as well
	OthersToo   = "others_too"      // others that were not changed are off since the same moment
	CalleeDid   = "callee"          // what it calls explains it
	Unhurt      = "unhurt"          // nothing is wrong with it
)

// innocent tells of the changes on the way that look guilty and are not.
func (s *scene) innocent(list []*finding) []Innocent {
	var out []Innocent
	for _, w := range s.path {
		r, ok := s.rollout(w)
		if !ok || r.At.IsZero() || s.now.Sub(r.At) > 2*s.request.Window.Length()+2*slack {
			continue
		}
		if guilty(list, r, w) {
			continue
		}
		i := Innocent{Change: r}
		switch k, m := s.worse(w); {
		case !m.up:
			if s.healthy(w) == nil {
				continue // not known to be well
			}
			i.Why = Unhurt
		case lead(r.At, m.onset) == 0:
			i.Why = BeganBefore
		default:
			_, _, apart := s.versions(w, k, r)
			_, p, below := s.deeper(w, k)
			_, others := s.sibling(w, k, m)
			switch {
			case apart == alike:
				i.Why = OldIsSame
			case below:
				i.Why, i.Then = CalleeDid, p
			case others:
				i.Why = OthersToo
			default:
				continue
			}
		}
		out = append(out, i)
	}
	return out
}

// worse is the measure of a workload that is up, errors before latency.
func (s *scene) worse(w Object) (Kind, move) {
	if m := s.moved(w, ErrorRatio); m.up {
		return ErrorRatio, m
	}
	return Latency, s.moved(w, Latency)
}

// guilty reports whether the roll-out is part of the likeliest cause, or of one
// that is as good as it.
func guilty(list []*finding, r Evidence, w Object) bool {
	for i, f := range list {
		if f.Score < worthSaying || i > 0 && f.Score < list[0].Score-0.1 {
			continue
		}
		if slices.ContainsFunc(f.Evidence, func(e Evidence) bool { return key(e) == key(r) }) || f.Next.Do == RollBack && f.Next.About == w {
			return true
		}
	}
	return false
}

// What a verdict may lack.
const (
	LacksRequests = "requests" // how requests to the target fare
	LacksCalls    = "calls"    // what the target calls
	LacksPods     = "pods"     // how its pods are
)

// missing says what would have to be known to be surer. What collectors could
// not give stands in the case.
func (s *scene) missing(v Verdict) []string {
	if s.whole || len(v.Causes) > 0 && v.Causes[0].Sure == Surely {
		return nil
	}
	var out []string
	if !s.moved(s.target, Latency).known && !s.moved(s.target, ErrorRatio).known {
		out = append(out, LacksRequests)
	}
	if len(s.callees[s.target]) == 0 {
		out = append(out, LacksCalls)
	}
	if !s.knowsReplicas(s.target) {
		out = append(out, LacksPods)
	}
	return out
}
