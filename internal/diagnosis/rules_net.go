package diagnosis

import "strings"

// What stands between a caller and a workload, and nodes.

func selector(s *scene, e Evidence) *finding {
	if !s.on(e.Owner) {
		return nil
	}
	f := at(e.About, e.Owner).speaks(0.93, e).from(e.At)
	f.Detail = e.To
	for _, p := range s.about(e.About, Endpoints) {
		if val(p.Value) > 0 {
			f.but(0.2, p) // it chooses some pods after all
		} else {
			f.speaks(0.3, p)
		}
	}
	f.unscaled = true
	return f
}

func port(s *scene, e Evidence) *finding {
	if !s.on(e.Owner) {
		return nil
	}
	f := at(e.About, e.Owner).speaks(0.85, e).from(e.At)
	f.Detail = e.To
	if t := s.failing(e.Owner); t.yes {
		f.speaks(0.5, t.facts...).from(t.onset)
	}
	f.unscaled = true
	return f
}

// policy is a NetworkPolicy that keeps a caller out. Having been there before
// the trouble, or before calls that succeed, it is not to blame.
func policy(s *scene, e Evidence) *finding {
	if !s.on(e.Owner) && !s.on(e.Peer) {
		return nil
	}
	hurts := e.Owner
	if e.Name == "egress" && s.on(e.Peer) {
		hurts = e.Peer // what is called is what fails for the caller
	}
	f := at(e.About, hurts).speaks(0.75, e)
	f.Detail = e.Name
	from, to := e.Peer, e.Owner
	if e.Name == "egress" {
		from, to = e.Owner, e.Peer
	}
	if !s.on(from) && !s.asked(to) {
		return nil // it keeps out somebody who has no part in this
	}
	m := s.called(from, to, CallErrors)
	if t := s.failing(to); !m.up && (!t.yes || lead(e.At, t.onset) < 0.5) {
		f.keep *= 0.4 // it has been there, and all went well
	}
	switch {
	case m.up:
		f.speaks(0.7, m.fact).from(m.onset)
		if lead(e.At, m.onset) == 0 {
			f.keep *= 0.3
		}
	case m.known:
		f.but(0.2, m.fact)
	default:
		if t := s.failing(s.target); t.yes {
			f.speaks(0.3, t.facts...).from(t.onset)
		}
	}
	for _, l := range s.of(from, LogPattern) {
		if saysUnreachable(l.Text) {
			f.speaks(0.4, l).from(l.At)
		}
	}
	f.hurts = append(f.hurts, e.Owner, e.Peer)
	return f.from(e.At)
}

// certificate is one that has ended: by what is known of it, or by what those
// say who do not accept it.
func certificate(s *scene) []*finding {
	byAbout := map[Object]*finding{}
	var order []Object
	get := func(about, hurts Object) *finding {
		f := byAbout[about]
		if f == nil {
			f = at(about, hurts)
			byAbout[about], order = f, append(order, about)
		}
		return f
	}
	ended := map[Object]Object{} // by the workload that it is of
	for _, e := range s.facts[Certificate] {
		if !e.At.IsZero() && e.At.Before(s.now) && (s.on(e.Owner) || e.Owner == (Object{})) {
			w := e.Owner
			if w == (Object{}) {
				w = s.target
			}
			ended[w] = e.About
			get(e.About, w).speaks(0.85, e).from(e.At)
		}
	}
	for _, w := range s.path {
		for _, e := range s.of(w, LogPattern, CrashLoop, Issue) {
			if !saysExpired(e.Text + " " + e.From) {
				continue
			}
			about, hurts := w, w
			if c, ok := ended[w]; ok {
				about = c
			}
			// It is the callee's certificate that a caller does not accept.
			for _, p := range s.callees[w] {
				c, ok := ended[p]
				named := strings.Contains(e.Text, p.Name)
				if ok || named {
					about, hurts = p, p
					if ok {
						about = c
					}
					if named {
						break
					}
				}
			}
			f := get(about, hurts).speaks(0.85, e).from(e.At)
			f.hurts = append(f.hurts, w)
		}
	}
	var out []*finding
	for _, o := range order {
		f := byAbout[o]
		if t := s.failing(f.hurts[0]); t.yes {
			f.speaks(0.4, t.facts...).from(t.onset)
		}
		out = append(out, f)
	}
	return out
}

// dns is names that do not resolve. One name that does not is a wrong name;
// several, or the name server itself not being there, is the name server.
func dns(s *scene) []*finding {
	var server []Evidence
	about := Object{Cluster: s.target.Cluster, Namespace: "kube-system", Kind: "Service", Name: "kube-dns"}
	for _, e := range s.all {
		if w := e.Workload(); isWorkload(w.Kind) && (strings.Contains(w.Name, "coredns") || strings.Contains(w.Name, "kube-dns")) {
			switch e.Kind {
			case Replicas:
				if e.Value == nil || e.Limit == nil || *e.Value >= *e.Limit && *e.Limit > 0 {
					continue
				}
			case CrashLoop, OOMKilled, Unschedulable, ImagePull, MissingReference, ProbeFailed, LogPattern, ConfigChange, Scaled:
			default:
				continue
			}
			about, server = w, append(server, e)
		}
	}
	for _, e := range append(append([]Evidence(nil), s.facts[Endpoints]...), s.facts[Alert]...) {
		if says(e.About.Name+e.Name, "kube-dns", "coredns") && (e.Kind == Alert || val(e.Value) == 0) {
			server = append(server, e)
		}
	}
	var said []Evidence
	var hurts []Object
	for _, w := range s.path {
		for _, e := range s.of(w, LogPattern, CrashLoop, InitFailed, Issue) {
			if saysDNS(e.Text + " " + e.From) {
				said = append(said, e)
				hurts = append(hurts, w)
			}
		}
	}
	if len(said) == 0 && (len(server) == 0 || !s.hurt(s.target).yes) {
		return nil
	}
	if len(hurts) == 0 {
		hurts = []Object{s.target}
	}
	f := at(about, hurts[0])
	f.hurts = hurts
	if len(said) > 0 {
		f.speaks(0.7, said...).from(said[0].At)
	}
	if len(server) > 0 {
		f.speaks(0.7, server...).from(server[0].At)
	}
	for _, h := range hurts {
		f.hurts = append(f.hurts, s.callees[h]...) // they fail for their caller, and are not at fault
		if h != hurts[0] {
			f.speaks(0.4)
		}
	}
	// A single name that is not known, right after a change, is that change.
	if len(said) == 1 && len(server) == 0 && says(said[0].Text, "no such host", "nxdomain", "enotfound", "name or service not known") {
		for _, e := range s.of(hurts[0], EnvChange, ConfigChange, Rollout) {
			if e.Name != "restart" && lead(e.At, said[0].At) > 0 {
				f.but(0.5, e)
				break
			}
		}
	}
	return []*finding{f}
}

// nodeDown is a node that is gone, with pods of a workload on it.
func nodeDown(s *scene, e Evidence) *finding {
	var on []Evidence
	hurts := map[Object]bool{}
	f := at(e.About, Object{})
	f.hurts = nil
	for _, p := range s.facts[OnNode] {
		if p.Peer == e.About && s.on(p.Owner) {
			on = append(on, p)
			if !hurts[p.Owner] {
				hurts[p.Owner] = true
				f.hurts = append(f.hurts, p.Owner)
			}
		}
	}
	f.Detail = e.Name
	f.started = true
	if len(on) == 0 {
		// Its pods may be gone already: then somebody's are missing.
		for _, w := range s.path {
			if t := s.short(w); t.yes && lead(e.At, t.onset) > 0 {
				f.hurts = append(f.hurts, w)
				f.speaks(0.1, t.facts...)
			}
		}
		if len(f.hurts) == 0 {
			return nil
		}
		return f.speaks(0.6, e).from(e.At)
	}
	f.speaks(0.85, append([]Evidence{e}, on...)...).from(e.At)
	for _, w := range f.hurts {
		if t := s.hurt(w); t.yes {
			f.speaks(0.3, t.facts...)
			if lead(e.At, t.onset) == 0 {
				f.keep *= 0.4
			}
		}
	}
	return f
}

// nodePressure is pods that had to leave a node, or a node short of something.
func nodePressure(s *scene, w Object) *finding {
	evicted := s.of(w, Evicted)
	var pressed []Evidence
	for _, e := range s.facts[NodePressure] {
		for _, p := range s.facts[OnNode] {
			if p.Peer == e.About && p.Owner == w {
				pressed = join(pressed, []Evidence{e})
			}
		}
		for _, v := range evicted {
			if v.Peer == e.About {
				pressed = join(pressed, []Evidence{e})
			}
		}
	}
	if len(evicted)+len(pressed) == 0 {
		return nil
	}
	about := w
	if len(pressed) > 0 {
		about = pressed[0].About
	} else if evicted[0].Peer.Name != "" {
		about = evicted[0].Peer
	}
	f := at(about, w)
	f.started = true
	if len(evicted) > 0 {
		f.speaks(0.7, evicted...).from(evicted[0].At)
	}
	if len(pressed) > 0 {
		f.speaks(0.5, pressed...).from(pressed[0].At)
		f.Detail = pressed[0].Name
	}
	return f
}
