package diagnosis

import (
	"slices"
	"time"
)

// trouble is how a workload is off, with the facts that show it.
type trouble struct {
	yes   bool
	facts []Evidence
	onset time.Time
}

func (t *trouble) add(onset time.Time, facts ...Evidence) {
	t.yes = true
	for _, e := range facts {
		if !slices.ContainsFunc(t.facts, func(o Evidence) bool { return key(o) == key(e) }) {
			t.facts = append(t.facts, e)
		}
	}
	if !onset.IsZero() && (t.onset.IsZero() || onset.Before(t.onset)) {
		t.onset = onset
	}
}

// slow reports whether a workload takes longer than it did, by its own word or
// by that of who calls it on the way from the target.
func (s *scene) slow(w Object) trouble {
	var t trouble
	if m := s.moved(w, Latency); m.up {
		t.add(m.onset, m.fact)
	}
	for _, c := range s.callers[w] {
		if m := s.called(c, w, CallLatency); m.up {
			t.add(m.onset, m.fact)
		}
	}
	if e, ok := s.share(w); ok && !t.yes && w != s.target && *e.Value >= 0.5 && (e.Before == nil || *e.Value >= 1.3**e.Before) && !s.unhurried(w) {
		if m := s.moved(s.target, Latency); m.up || s.whole {
			t.add(m.onset, e)
		}
	}
	return t
}

// unhurried reports whether something is known to take no longer than it did.
func (s *scene) unhurried(w Object) bool {
	known := false
	for _, m := range s.views(w, Latency, CallLatency) {
		known = known || m.known
		if m.up {
			return false
		}
	}
	return known
}

// views is a measure of a workload as it gives it itself and as each caller does.
func (s *scene) views(w Object, own, call Kind) []move {
	out := []move{s.moved(w, own)}
	for _, c := range s.callers[w] {
		out = append(out, s.called(c, w, call))
	}
	return out
}

// failing reports whether requests to a workload fail more than they did.
func (s *scene) failing(w Object) trouble {
	var t trouble
	for _, m := range s.views(w, ErrorRatio, CallErrors) {
		if m.up {
			t.add(m.onset, m.fact)
		}
	}
	if d := s.down(w); d.yes {
		t.add(d.onset, d.facts...)
	}
	return t
}

// down reports whether nothing of a workload is there to answer.
func (s *scene) down(w Object) trouble {
	var t trouble
	if ready, want, e, ok := s.replicas(w); ok && ready == 0 && want > 0 {
		t.add(e.At, e)
	}
	for _, e := range s.of(w, Endpoints) {
		if e.Value != nil && *e.Value == 0 {
			if _, want, _, ok := s.replicas(w); !ok || want > 0 {
				t.add(e.At, e)
			}
		}
	}
	return t
}

// short reports whether pods of a workload are missing.
func (s *scene) short(w Object) trouble {
	var t trouble
	if ready, want, e, ok := s.replicas(w); ok && ready < want {
		t.add(e.At, e)
	}
	return t
}

// hurt is any of slow, failing and short.
func (s *scene) hurt(w Object) trouble {
	t := s.slow(w)
	for _, o := range []trouble{s.failing(w), s.short(w)} {
		if o.yes {
			t.add(o.onset, o.facts...)
		}
	}
	return t
}

// healthy gives the measures by which a workload is known to be well, none
// where it is not, or where too little is known.
func (s *scene) healthy(w Object) []Evidence {
	var facts []Evidence
	measured := 0
	for _, k := range []struct{ own, call Kind }{{Latency, CallLatency}, {ErrorRatio, CallErrors}} {
		known := false
		for _, m := range s.views(w, k.own, k.call) {
			if m.up {
				return nil
			}
			if m.known && m.fact.Before != nil {
				facts, known = append(facts, m.fact), true
			}
		}
		if known {
			measured++
		}
	}
	if s.down(w).yes || s.short(w).yes {
		return nil
	}
	if measured == 0 {
		return nil
	}
	if (s.request.Symptom == SymptomSlow || s.request.Symptom == SymptomTimeout) && !s.knows(facts, Latency, CallLatency) {
		return nil
	}
	if s.request.Symptom == SymptomErrors && !s.knows(facts, ErrorRatio, CallErrors) {
		return nil
	}
	return facts
}

// content gives the measures by which a workload is well by its own word, whatever
// its callers say: none where it is not, or where one is not known.
func (s *scene) content(w Object) []Evidence {
	var facts []Evidence
	for _, k := range []Kind{Latency, ErrorRatio} {
		m := s.moved(w, k)
		if !m.known || m.up || m.fact.Before == nil {
			return nil
		}
		facts = append(facts, m.fact)
	}
	return facts
}

func (s *scene) knows(facts []Evidence, kinds ...Kind) bool {
	return slices.ContainsFunc(facts, func(e Evidence) bool { return slices.Contains(kinds, e.Kind) })
}

// deeper gives what a workload calls that is off in the same way: it explains
// its caller's trouble, as far as the rise of its calls makes up the caller's.
func (s *scene) deeper(w Object, k Kind) (facts []Evidence, by Object, ok bool) {
	own := s.moved(w, k)
	for _, p := range s.callees[w] {
		if p == w {
			continue
		}
		switch k {
		case Latency:
			m := s.called(w, p, CallLatency)
			if m.up && (!own.up || m.rise() >= 0.4*own.rise()) {
				return []Evidence{m.fact}, p, true
			}
			if !m.known {
				if m := s.moved(p, Latency); m.up && (!own.up || m.rise() >= 0.4*own.rise()) {
					return []Evidence{m.fact}, p, true
				}
			}
		case ErrorRatio:
			m := s.called(w, p, CallErrors)
			if m.up && (!own.up || val(m.fact.Value) >= 0.4*val(own.fact.Value)) {
				return []Evidence{m.fact}, p, true
			}
			if d := s.down(p); d.yes {
				return d.facts, p, true
			}
			// A callee that became many times slower runs into its caller's time-outs.
			if l := s.called(w, p, CallLatency); l.up && l.ratio >= 4 && !m.known {
				return []Evidence{l.fact}, p, true
			}
		}
	}
	if k == Latency && w == s.target {
		for _, e := range s.facts[TimeShare] {
			if e.About == w && e.Peer != w && val(e.Value) >= 0.5 && (e.Before == nil || *e.Value >= 1.3**e.Before) && !s.unhurried(e.Peer) {
				return []Evidence{e}, e.Peer, true
			}
		}
	}
	return nil, Object{}, false
}

// since is when a symptom showed at the target, else at a workload.
func (s *scene) since(w Object) time.Time {
	if t := s.hurt(s.target); !t.onset.IsZero() {
		return t.onset
	}
	return s.hurt(w).onset
}

// rollout is the newest roll-out of a workload that changed something. The cluster tells
// times by the second: of two in one, the one with the greater revision is the newer.
func (s *scene) rollout(w Object) (Evidence, bool) {
	var out Evidence
	found := false
	for _, e := range s.about(w, Rollout) {
		newer := e.At.After(out.At) || e.At.Equal(out.At) && val(e.Value) > val(out.Value)
		if e.Name != "restart" && (!found || newer) {
			out, found = e, true
		}
	}
	return out, found
}

// lead is how well a change before a trouble fits it in time: 0 where it came
// after the trouble began.
func lead(change, onset time.Time) float64 {
	if change.IsZero() || onset.IsZero() {
		return 0.6
	}
	switch d := onset.Sub(change); {
	case d < -slack:
		return 0
	case d <= prompt:
		return 1
	case d <= 5*prompt:
		return 1 - 0.65*float64(d-prompt)/float64(4*prompt)
	}
	return 0.25
}

// prompt is how soon most of what a change does shows: it is used at once.
const prompt = 6 * time.Minute

// slack is how far an onset may be off, being read from samples.
const slack = 3 * time.Minute
