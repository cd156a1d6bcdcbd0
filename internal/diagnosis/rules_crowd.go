package diagnosis

import "slices"

// Nodes that others have taken.

// neighbours is another workload that eats a node on which pods are slow; where
// it is not known which one it is, the node.
func neighbours(s *scene) []*finding {
	var out []*finding
	for _, load := range s.facts[NodeLoad] {
		if load.Limit == nil || val(load.Value) < 0.85**load.Limit || load.Before != nil && val(load.Value) < 1.2**load.Before {
			continue
		}
		on, here, there := s.livesOn(load.About)
		if len(on) == 0 {
			continue
		}
		found := false
		for _, n := range s.facts[Neighbour] {
			if n.Peer == load.About && n.Name == load.Name && !slices.Contains(on, n.Owner) && greedy(n, load) {
				found = true
				out = append(out, s.crowded(at(n.Workload(), on[0]).speaks(0.6, n, load).from(n.At, load.At), load, on, here, there))
			}
		}
		if !found {
			out = append(out, s.crowded(at(load.About, on[0]).speaks(0.5, load).from(load.At), load, on, here, there))
		}
	}
	return out
}

// livesOn is the workloads on the way that have pods on a node, and what is
// measured of pods here that are slower than those elsewhere, or as slow.
func (s *scene) livesOn(node Object) (on []Object, slower, alike []Evidence) {
	for _, w := range s.path {
		var here, there []Evidence
		var slowHere, slowThere float64
		for _, e := range s.of(w, PodLatency) {
			if e.Peer == node {
				here, slowHere = append(here, e), slowHere+val(e.Value)
			} else {
				there, slowThere = append(there, e), slowThere+val(e.Value)
			}
		}
		if len(here) == 0 && !slices.ContainsFunc(s.facts[OnNode], func(e Evidence) bool { return e.Owner == w && e.Peer == node }) {
			continue
		}
		on = append(on, w)
		if len(here) == 0 || len(there) == 0 {
			continue
		}
		if slowHere/float64(len(here)) >= 1.4*slowThere/float64(len(there)) {
			slower = append(slower, here...)
		} else if s.slow(w).yes {
			alike = append(alike, there...)
		}
	}
	return on, slower, alike
}

// crowded weighs what is the same of every explanation by a node without room.
func (s *scene) crowded(f *finding, load Evidence, on []Object, slower, alike []Evidence) *finding {
	f.Detail, f.hurts = load.About.Name, on
	if load.Before != nil && val(load.Value) >= 1.5**load.Before {
		f.speaks(0.3)
	}
	var t trouble
	for _, w := range on {
		if x := s.slow(w); x.yes {
			t.add(x.onset, x.facts...)
		}
	}
	if t.yes {
		f.speaks(0.3, t.facts...)
		if lead(load.At, t.onset) == 0 {
			f.keep *= 0.4
		}
	} else {
		f.keep *= 0.5
	}
	switch {
	case len(slower) > 0:
		f.speaks(0.6, slower...)
	case len(alike) > 0:
		f.but(0.4, alike...) // elsewhere they are as slow
	}
	if by, p, ok := s.deeper(on[0], Latency); ok && !slices.Contains(on, p) {
		f.but(0.3, by...)
	}
	// What is greedy because it is asked more by the same traffic is no stranger.
	if s.on(f.About) {
		f.keep *= 0.4
	}
	return f
}

func nextNeighbour(_ *scene, f *finding) Step {
	if f.About.Kind == "Node" {
		return Step{Do: LookAt, About: f.About, Name: "cpu"}
	}
	return Step{Do: LimitOther, About: f.About, Name: f.Detail}
}

// greedy reports whether a neighbour takes a good part of a node, more than it
// did and more than it asked for.
func greedy(n, load Evidence) bool {
	if val(n.Value) < 0.2*val(load.Limit) {
		return false
	}
	if n.Before != nil && val(n.Value) < 1.5**n.Before {
		return false
	}
	return n.Limit == nil || val(n.Value) > *n.Limit
}
