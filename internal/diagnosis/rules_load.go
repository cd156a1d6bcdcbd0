package diagnosis

import (
	"slices"
	"strings"
)

// What is slow or failing because of load, limits or what it calls.

// slowDependency is the deepest callee that became slow: it makes all above it
// slow. What is known of why it is slow comes before it.
func slowDependency(s *scene, p Object) *finding {
	if s.asked(p) && len(s.callers[p]) == 0 {
		return nil
	}
	t := s.slow(p)
	if !t.yes {
		return nil
	}
	if _, _, ok := s.deeper(p, Latency); ok {
		return nil
	}
	if p == s.target { // it is what was asked about: itself is no answer
		return nil
	}
	f := at(p, p).speaks(0.75, t.facts...).from(s.since(p), t.onset)
	if e, ok := s.share(p); ok && *e.Value >= 0.4 {
		f.speaks(0.4, e)
	}
	for _, e := range s.of(p, LogPattern, Alert, Neighbour, DiskUse) {
		if e.Kind == LogPattern && (saysDNS(e.Text) || saysRetry(e.Text)) || e.Kind == Neighbour || e.Kind == DiskUse && val(e.Value) < 0.9 {
			continue
		}
		f.speaks(0.1, e)
	}
	// Several see it, each for itself; or name it.
	seen := 0
	for _, c := range s.callers[p] {
		if s.called(c, p, CallLatency).up {
			seen++
		}
		for _, e := range s.of(c, LogPattern) {
			if e.At.After(t.onset.Add(-slack)) && len(p.Name) > 3 && strings.Contains(e.Text, p.Name) && says(e.Text, "slow", "timeout", "timed out", "deadline", "took") {
				f.speaks(0.2, e)
			}
		}
	}
	if seen > 1 {
		f.speaks(0.4)
	}
	// Slow only in its callers' eyes: what is slow lies between them.
	if m := s.moved(p, Latency); m.known && !m.up {
		f.but(0.4, m.fact)
	}
	// It became slow later than what it is to explain.
	if own := s.slow(s.target); own.yes && !own.onset.IsZero() && !t.onset.IsZero() && t.onset.Sub(own.onset) > 2*slack {
		f.keep *= 0.5
	}
	// The target's time is not spent there.
	own, m := s.moved(s.target, Latency), s.called(s.target, p, CallLatency)
	if own.up && m.up && m.rise() < 0.25*own.rise() {
		f.keep *= 0.5
	}
	// So many more calls than there were would make anything slow.
	for _, c := range s.callers[p] {
		if calls := s.called(c, p, Calls); calls.up && s.amplified(calls.fact) >= 2 {
			f.but(0.6, calls.fact)
		}
	}
	return f
}

// failingDependency is the deepest callee that fails.
func failingDependency(s *scene, p Object) *finding {
	if p == s.target || len(s.callers[p]) == 0 && s.asked(p) {
		return nil
	}
	t := s.failing(p)
	if !t.yes {
		return nil
	}
	if _, deeper, ok := s.deeper(p, ErrorRatio); ok && deeper != p {
		return nil
	}
	f := at(p, p).speaks(0.72, t.facts...).from(s.since(p), t.onset)
	if d := s.down(p); d.yes {
		f.speaks(0.5, d.facts...)
		f.Detail = "down"
	}
	if m := s.moved(p, ErrorRatio); m.known && !m.up && !s.down(p).yes {
		f.but(0.5, m.fact) // it does not fail where it looks itself
	}
	if own := s.failing(s.target); own.yes && !own.onset.IsZero() && !t.onset.IsZero() && t.onset.Sub(own.onset) > 2*slack {
		f.keep *= 0.5
	}
	return f
}

// amplified is how many times more often a caller calls for each request of
// its own than it did; 0 where that is not known.
func (s *scene) amplified(calls Evidence) float64 {
	own := s.moved(calls.About, RequestRate)
	if calls.Value == nil || calls.Before == nil || *calls.Before <= 0 {
		return 0
	}
	ratio := *calls.Value / *calls.Before
	if own.known && own.fact.Before != nil && *own.fact.Before > 0 && *own.fact.Value > 0 {
		return ratio / (*own.fact.Value / *own.fact.Before)
	}
	return 0
}

// retryStorm is a caller that asks again and again, and drowns what it calls.
func retryStorm(s *scene, e Evidence) *finding {
	if !s.on(e.About) && !s.on(e.Peer) {
		return nil
	}
	a := s.amplified(e)
	if a < 1.8 {
		return nil
	}
	t := s.hurt(e.Peer)
	if !t.yes {
		return nil
	}
	// Who asks again does so because an answer failed or did not come in time;
	// else it simply has more to ask.
	weight := 0.2
	failed := s.failing(e.Peer)
	if failed.yes {
		weight = 0.6
	}
	f := at(e.About, e.Peer).speaks(weight, e).speaks(0.2, t.facts...).from(e.At, t.onset)
	if a >= 2.5 && failed.yes {
		f.speaks(0.3)
	}
	f.hurts = append(f.hurts, e.About)
	f.Detail = e.Peer.Name
	said := false
	for _, l := range s.of(e.About, LogPattern) {
		if saysRetry(l.Text + " " + l.From) {
			f.speaks(0.6, l)
			said = true
		}
	}
	if !said && !failed.yes {
		f.keep *= 0.5
	}
	if m := s.moved(e.About, RequestRate); m.known && !m.up {
		f.speaks(0.2, m.fact)
	}
	if m := s.moved(e.Peer, RequestRate); m.up {
		f.speaks(0.3, m.fact)
	} else if m.known {
		f.but(0.2, m.fact) // what is asked so often does not arrive: it fails on the way
	}
	// What is called does not answer at all: then asking again is what follows.
	if d := s.down(e.Peer); d.yes {
		f.but(0.4, d.facts...)
	}
	// A storm is felt where it goes. Where that is as well as ever, who calls has no
	// patience any more, or is kept from it: it asks again because of that.
	if well := s.content(e.Peer); len(well) > 0 && failed.yes {
		f.but(0.5, well...)
	}
	// A new version that calls more often is that version's doing.
	if r, ok := s.rollout(e.About); ok && lead(r.At, e.At) > 0.5 && len(s.about(e.About, LogPattern)) == 0 {
		f.but(0.6, r)
	}
	return f
}

// trafficSpike is more requests than ever, and a workload that feels it.
func trafficSpike(s *scene, w Object) *finding {
	m := s.moved(w, RequestRate)
	if !m.up {
		return nil
	}
	t := s.hurt(w)
	// The spike began where the first of the line got more: not at what that calls.
	for _, c := range s.callers[w] {
		if s.on(c) && s.moved(c, RequestRate).up {
			return nil
		}
	}
	f := at(w, w).speaks(0.5, m.fact).from(m.onset)
	for _, b := range s.below(w) {
		if b != w && s.moved(b, RequestRate).up {
			f.hurts = append(f.hurts, b)
		}
	}
	if m.ratio >= 2.5 {
		f.speaks(0.4)
	}
	if t.yes {
		f.speaks(0.4, t.facts...)
		if lead(m.onset, t.onset) == 0 {
			f.keep *= 0.5 // it was in trouble before
		}
	} else {
		f.keep *= 0.4 // it bears it
	}
	for _, e := range s.of(w, CPUThrottled, CPUUse) {
		if judged(e).up {
			f.speaks(0.2, e)
		}
	}
	for _, c := range s.callers[w] {
		if calls := s.called(c, w, Calls); s.amplified(calls.fact) >= 1.8 && s.failing(w).yes {
			f.but(0.4, calls.fact)
		}
	}
	return f
}

func nextScale(s *scene, f *finding) Step {
	step := Step{Do: ScaleUp, About: f.About}
	if _, want, _, ok := s.replicas(f.About); ok {
		grown := 2.0
		if m := s.moved(f.About, RequestRate); m.ratio > 1 {
			grown = min(m.ratio, 3)
		}
		step.Value = int(want*grown + 0.5)
	}
	for _, e := range s.facts[HPA] {
		if e.Owner == f.About && e.Limit != nil {
			step.Do, step.Value = RaiseMaximum, int(*e.Limit*2)
		}
	}
	return step
}

// hpaAtMax is an HPA that would add pods and may not.
func hpaAtMax(s *scene, e Evidence) *finding {
	w := e.Owner
	if !s.on(w) || e.Value == nil || e.Limit == nil || *e.Value < *e.Limit {
		return nil
	}
	wants := float64(e.Count) > *e.Limit || says(e.Text, "toomanyreplicas", "more than the maximum", "above the maximum") || beyond(e.To)
	if !wants {
		return nil // it is at its maximum, and content
	}
	f := at(e.About, w).speaks(0.8, e).from(e.At)
	f.Detail = w.Name
	if t := s.slow(w); t.yes {
		f.speaks(0.4, t.facts...).from(t.onset)
	} else if t := s.failing(w); t.yes {
		f.speaks(0.3, t.facts...).from(t.onset)
	} else {
		f.keep *= 0.5
	}
	if m := s.moved(w, RequestRate); m.up {
		f.speaks(0.4, m.fact)
	}
	for _, b := range s.below(w) {
		if b != w && s.moved(b, RequestRate).up {
			f.hurts = append(f.hurts, b)
		}
	}
	if by, _, ok := s.deeper(w, Latency); ok {
		f.but(0.4, by...)
	}
	return f
}

// beyond reports whether "current/target" says that current is the greater.
func beyond(of string) bool {
	var current, target float64
	n := 0
	for i, part := range splitTwo(of) {
		if v, ok := leadingNumber(part); ok {
			n++
			if i == 0 {
				current = v
			} else {
				target = v
			}
		}
	}
	return n == 2 && current > 1.1*target
}

func nextMaximum(s *scene, f *finding) Step {
	step := Step{Do: RaiseMaximum, About: f.hurts[0]}
	for _, e := range f.Evidence {
		if e.Kind == HPA && e.Limit != nil {
			step.Value = max(int(*e.Limit)*2, e.Count)
		}
	}
	return step
}

// cpuLimit is containers that are held back by their own limit.
func cpuLimit(s *scene, w Object) *finding {
	held := slices.DeleteFunc(s.of(w, CPUThrottled), func(e Evidence) bool { return val(e.Value) < 0.2 || e.Before != nil && !judged(e).up })
	if len(held) == 0 {
		return nil
	}
	t := s.slow(w)
	f := at(w, w).speaks(0.6, held...).from(t.onset, held[0].At)
	if val(held[0].Value) >= 0.4 {
		f.speaks(0.3)
	}
	if t.yes {
		f.speaks(0.4, t.facts...)
	} else if !s.hurt(w).yes {
		f.keep *= 0.4
	}
	for _, e := range s.of(w, ResourcesChange) {
		if says(e.Name, "limits.cpu") {
			f.speaks(0.7, e).from(e.At)
		}
	}
	for _, e := range s.of(w, CPUUse) {
		if e.Limit != nil && val(e.Value) >= 0.8**e.Limit {
			f.speaks(0.3, e)
		}
	}
	if m := s.moved(w, RequestRate); m.up {
		f.but(0.7, m.fact)
	}
	if by, _, ok := s.deeper(w, Latency); ok {
		f.but(0.3, by...)
	}
	return f
}

func nextCPU(s *scene, f *finding) Step {
	for _, e := range s.of(f.About, ResourcesChange) {
		if says(e.Name, "limits.cpu") {
			if step, ok := s.back(f.About, f); ok {
				return step
			}
		}
	}
	return Step{Do: RaiseLimit, About: f.About, Name: "cpu"}
}

// connectionPool is a pool that has nothing left while what it leads to is well.
func connectionPool(s *scene, w Object) *finding {
	var full, said []Evidence
	for _, e := range s.of(w, Pool) {
		if e.Limit != nil && *e.Limit > 0 && val(e.Value) >= 0.95**e.Limit || e.Count > 0 {
			full = append(full, e)
		}
	}
	for _, e := range s.of(w, LogPattern, Issue) {
		if saysPool(e.Text + " " + e.From) {
			said = append(said, e)
		}
	}
	if len(full)+len(said) == 0 {
		return nil
	}
	t := s.hurt(w)
	f := at(w, w).from(t.onset)
	if len(full) > 0 {
		f.speaks(0.7, full...).from(full[0].At)
		f.Detail = full[0].Name
	}
	if len(said) > 0 {
		f.speaks(0.65, said...).from(said[0].At)
	}
	if t.yes {
		f.speaks(0.3, t.facts...)
	} else {
		f.keep *= 0.4
	}
	// Connections are held for longer where what they lead to is slow.
	to := s.callees[w]
	if len(full) > 0 && full[0].Peer.Name != "" {
		to = []Object{full[0].Peer}
	}
	for _, p := range to {
		if m := s.moved(p, Latency); m.up {
			f.but(0.4, m.fact)
			break
		}
		if m := s.called(w, p, CallLatency); m.up && !s.moved(p, Latency).known && (database(p.Name) || len(full) > 0 && full[0].Peer == p) {
			f.but(0.5, m.fact)
			break
		}
	}
	if m := s.moved(w, RequestRate); m.up {
		f.but(0.7, m.fact)
	}
	return f
}

// diskFull is a volume with no room left.
func diskFull(s *scene, e Evidence) *finding {
	w := e.Workload()
	if !s.on(w) || val(e.Value) < 0.95 {
		return nil
	}
	f := at(e.About, w).speaks(0.6, e).from(e.At)
	for _, l := range s.of(w, LogPattern, CrashLoop) {
		if says(l.Text, "no space left", "disk full", "enospc", "disk quota") {
			f.speaks(0.7, l)
		}
	}
	if t := s.hurt(w); t.yes {
		f.speaks(0.3, t.facts...)
	} else {
		f.keep *= 0.5
	}
	return f
}
