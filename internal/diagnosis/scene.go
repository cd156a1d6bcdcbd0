package diagnosis

import (
	"slices"
	"strings"
	"time"
)

// scene is a case made ready for the rules: the same facts stand once, in one
// order, under one name for each object; and who calls whom is known.
type scene struct {
	request Request
	now     time.Time
	target  Object
	whole   bool // no single workload is asked about
	facts   map[Kind][]Evidence
	all     []Evidence
	callees map[Object][]Object
	callers map[Object][]Object
	// path is the target and all that it calls, the nearest first; of a whole
	// namespace every workload that is known.
	path []Object
}

// setUp makes a scene of a case.
func setUp(c Case) *scene {
	s := &scene{request: c.Request, now: c.Request.Window.To, target: TargetObject(c.Request.Target), facts: map[Kind][]Evidence{}}
	if s.now.IsZero() {
		s.now = c.Taken
	}
	s.whole = s.target.Name == ""
	s.all = settle(c.Evidence, s.target)
	for _, e := range s.all {
		s.facts[e.Kind] = append(s.facts[e.Kind], e)
	}
	s.connect()
	s.walk()
	return s
}

// connect notes who calls whom.
func (s *scene) connect() {
	s.callees, s.callers = map[Object][]Object{}, map[Object][]Object{}
	for _, k := range []Kind{Calls, CallLatency, CallErrors, TimeShare} {
		for _, e := range s.facts[k] {
			from, to := e.Workload(), e.Peer
			if from == to || to.Name == "" || k == TimeShare && from != s.target {
				continue
			}
			if k == TimeShare && s.reached(from, to) {
				continue // a share says who is somewhere below, not who is called by whom
			}
			if !slices.Contains(s.callees[from], to) {
				s.callees[from] = append(s.callees[from], to)
				s.callers[to] = append(s.callers[to], from)
			}
		}
	}
}

// reached reports whether to is below from.
func (s *scene) reached(from, to Object) bool {
	return slices.Contains(s.below(from), to)
}

// below is a workload and all that it calls, directly or not, the nearest first.
func (s *scene) below(from Object) []Object {
	out := []Object{from}
	for i := 0; i < len(out); i++ {
		for _, to := range s.callees[out[i]] {
			if !slices.Contains(out, to) {
				out = append(out, to)
			}
		}
	}
	return out
}

func (s *scene) walk() {
	if !s.whole {
		s.path = s.below(s.target)
		return
	}
	for _, e := range s.all {
		if w := e.Workload(); isWorkload(w.Kind) && (s.target.Namespace == "" || w.Namespace == s.target.Namespace) && !slices.Contains(s.path, w) {
			s.path = append(s.path, w)
		}
	}
	for _, w := range slices.Clone(s.path) {
		for _, b := range s.below(w) {
			if !slices.Contains(s.path, b) {
				s.path = append(s.path, b)
			}
		}
	}
}

// asked reports whether a workload is what the question is about.
func (s *scene) asked(w Object) bool {
	return w == s.target || s.whole && (s.target.Namespace == "" || s.target.Namespace == w.Namespace)
}

// of gives the facts of some kinds about a workload or what belongs to it.
func (s *scene) of(w Object, kinds ...Kind) []Evidence {
	var out []Evidence
	for _, k := range kinds {
		for _, e := range s.facts[k] {
			if e.Workload() == w || e.About == w {
				out = append(out, e)
			}
		}
	}
	return out
}

// about gives the facts of a kind that are about an object itself.
func (s *scene) about(o Object, k Kind) []Evidence {
	var out []Evidence
	for _, e := range s.facts[k] {
		if e.About == o {
			out = append(out, e)
		}
	}
	return out
}

// settle gives each object its one name, drops what is said twice and sorts.
func settle(facts []Evidence, target Object) []Evidence {
	out := slices.Clone(facts)
	known := map[string][]Object{} // workloads by name
	fronts := map[Object]Object{}  // Services and the workload behind each
	note := func(o Object) {
		if isWorkload(o.Kind) && !slices.Contains(known[o.Name], o) {
			known[o.Name] = append(known[o.Name], o)
		}
	}
	for i := range out {
		e := &out[i]
		for _, o := range []*Object{&e.About, &e.Owner, &e.Peer} {
			if o.Name != "" {
				o.Cluster = target.Cluster // a case is about one cluster, however it is called
			}
			note(*o)
		}
	}
	note(target)
	for _, e := range out {
		if e.About.Kind == "Service" && isWorkload(e.Owner.Kind) {
			fronts[e.About] = e.Owner
		}
	}
	for i := range out {
		e := &out[i]
		if traffic(e.Kind) {
			e.About, e.Peer = resolve(e.About, target, known, fronts), resolve(e.Peer, target, known, fronts)
		}
		if e.Kind == PolicyShutsOut || e.Kind == Pool {
			e.Peer = resolve(e.Peer, target, known, fronts)
		}
		if e.Owner.Name != "" {
			e.Owner = resolve(e.Owner, target, known, fronts)
		}
	}
	sortEvidence(out)
	return slices.CompactFunc(out, func(a, b Evidence) bool { return key(a) == key(b) })
}

// traffic reports whether a kind may name a workload by the name of its service.
func traffic(k Kind) bool {
	switch k {
	case Latency, ErrorRatio, RequestRate, VersionLatency, VersionErrors, RouteLatency, RouteErrors, Calls, CallLatency, CallErrors, TimeShare, LogPattern, Issue, Alert:
		return true
	}
	return false
}

// resolve finds the workload that a name stands for: "payments", "payments:8080"
// and "payments.shop.svc.cluster.local" are the Deployment payments in shop.
func resolve(o, target Object, known map[string][]Object, fronts map[Object]Object) Object {
	if o.Name == "" || o.Kind != "" && o.Kind != "Service" {
		return o
	}
	host, _, _ := strings.Cut(o.Name, ":")
	name, ns := host, o.Namespace
	if part := strings.Split(host, "."); len(part) == 2 || len(part) > 2 && part[2] == "svc" {
		name, ns = part[0], part[1]
	}
	if ns == "" {
		ns = target.Namespace
	}
	if w, ok := fronts[Object{Cluster: target.Cluster, Namespace: ns, Kind: "Service", Name: name}]; ok {
		return w
	}
	var found []Object
	for _, w := range known[name] {
		if w.Namespace == ns {
			return w
		}
		found = append(found, w)
	}
	if len(found) == 1 && o.Namespace == "" {
		return found[0]
	}
	if o.Kind == "" && !strings.Contains(host, ".") {
		o.Namespace = ns
	}
	return o
}

// isWorkload reports whether a kind is one that has pods.
func isWorkload(kind string) bool {
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet":
		return true
	}
	return false
}

// move is how a measure stands: known at all, and up against what it was.
type move struct {
	known, up bool
	fact      Evidence
	ratio     float64 // now to before; 0 where there is no before
	onset     time.Time
}

// rise is what went up, in the fact's unit.
func (m move) rise() float64 { return val(m.fact.Value) - val(m.fact.Before) }

func val(p *float64) float64 {
	if p == nil {
		return 0
	}
	return *p
}

// has tells how far a value stands above its past: its ratio to the window
// before, or, where that is as bad already, to the week before. What is usual
// at this hour of the week is no rise.
func has(e Evidence, least, ratio float64) move {
	m := move{known: e.Value != nil, fact: e, onset: e.At}
	if e.Value == nil {
		return m
	}
	v := *e.Value
	above := func(b *float64, r float64) bool { return b != nil && v >= *b*r && v-*b >= least }
	if e.Before != nil && *e.Before > 0 {
		m.ratio = v / *e.Before
	}
	usual := e.Week != nil && !above(e.Week, 1+(ratio-1)/2)
	need := ratio
	if !e.At.IsZero() {
		need = 1 + (ratio-1)*0.6 // somebody looked at the curve and saw a step in it
	}
	switch {
	case usual:
	case above(e.Before, need):
		m.up = true
	case above(e.Week, ratio*1.3):
		m.up = true
		m.ratio = v / max(*e.Week, 1e-9)
	}
	return m
}

// judged tells whether a measure is up, by what is a rise in it.
func judged(e Evidence) move {
	switch e.Kind {
	case Latency, CallLatency, PodLatency, RouteLatency, VersionLatency:
		return has(e, 0.020, 1.5)
	case ErrorRatio, CallErrors, RouteErrors, PodErrors, VersionErrors:
		return has(e, 0.01, 2)
	case RequestRate, Calls:
		return has(e, 1, 1.6)
	case CPUThrottled:
		return has(e, 0.1, 1.5)
	}
	return has(e, 0, 1.5)
}

// strongest is the measure among facts that is furthest up, else one that is
// known. p99 comes before other quantiles.
func strongest(facts []Evidence) move {
	var best move
	rank := func(m move) int {
		switch {
		case m.up && m.fact.Name == "p99":
			return 4
		case m.up:
			return 3
		case m.known && m.fact.Name == "p99":
			return 2
		case m.known:
			return 1
		}
		return 0
	}
	for _, e := range facts {
		m := judged(e)
		if rank(m) > rank(best) || rank(m) == rank(best) && m.ratio > best.ratio {
			onset := best.onset
			best = m
			if m.up && !onset.IsZero() && (best.onset.IsZero() || onset.Before(best.onset)) {
				best.onset = onset
			}
		}
	}
	return best
}

// moved is how a measure of a workload as a server stands.
func (s *scene) moved(w Object, k Kind) move { return strongest(s.about(w, k)) }

// called is how the calls of one to another stand, as the caller sees them.
func (s *scene) called(from, to Object, k Kind) move {
	var facts []Evidence
	for _, e := range s.about(from, k) {
		if e.Peer == to {
			facts = append(facts, e)
		}
	}
	return strongest(facts)
}

// share is the part of the target's time that is spent in a workload itself.
func (s *scene) share(w Object) (Evidence, bool) {
	for _, e := range s.facts[TimeShare] {
		if e.Peer == w && e.Value != nil && (s.whole || e.About == s.target) {
			return e, true
		}
	}
	return Evidence{}, false
}

// replicas is how many pods of a workload are ready, and of how many.
func (s *scene) replicas(w Object) (ready, want float64, fact Evidence, known bool) {
	for _, e := range s.about(w, Replicas) {
		if e.Value != nil && e.Limit != nil {
			return *e.Value, *e.Limit, e, true
		}
	}
	return 0, 0, Evidence{}, false
}
