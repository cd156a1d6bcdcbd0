package model

import (
	"math"
	"slices"
	"time"
)

// hop is the network between two pods, in seconds.
const hop = .0004

// edge is a service that calls another; -1 is outside.
type edge struct{ from, to int }

// line is how one service reaches another: who answers, or why nobody does.
type line struct {
	ends []end
	fail Cause // when there are no ends
}

// end is a pod that a call may reach; fail is what happens to calls that do.
type end struct {
	pod  *PodState
	fail Cause
}

// line works out from the cluster's objects how a service reaches another.
func (m *Model) line(from, to int) *line {
	e := edge{from, to}
	if l, ok := m.lines[e]; ok {
		return l
	}
	l := &line{}
	m.lines[e] = l
	svc := &m.shop.Services[to]
	if svc.Kind == Worker {
		for _, p := range m.order {
			if p.Service == to {
				l.ends = append(l.ends, end{pod: p})
			}
		}
		return l
	}
	s, ok := m.world.Services[svc.ID]
	if !ok {
		l.fail = NoHost
		return l
	}
	headless := s.ClusterIP == "None"
	if !headless && !slices.Contains(s.Ports, svc.Port) {
		l.fail = Refused
		return l
	}
	var caller *Pod
	for _, p := range m.order {
		if from >= 0 && p.Service == from {
			caller = &p.Pod
			break
		}
	}
	for _, ep := range s.Endpoints {
		if !ep.Ready || (!headless && ep.Port != svc.Port) {
			continue
		}
		i := slices.IndexFunc(m.order, func(p *PodState) bool {
			return p.Pod.Namespace == svc.ID.Namespace && p.Pod.Name == ep.Pod
		})
		if i < 0 {
			continue
		}
		p := m.order[i]
		port := ep.TargetPort
		if headless {
			port = svc.Port
		}
		o := end{pod: p}
		switch {
		case !m.world.Nodes[p.Pod.Node].Ready, !m.world.allowed(caller, &p.Pod, port):
			o.fail = Unreachable
		case p.Service != to || len(p.Pod.Ports) > 0 && !slices.Contains(p.Pod.Ports, port):
			o.fail = Refused
		}
		l.ends = append(l.ends, o)
	}
	if len(l.ends) == 0 {
		l.fail = Refused
		if headless {
			l.fail = NoHost
		}
	}
	return l
}

// pick takes the next pod in turn.
func (m *Model) pick(to int, l *line) (*PodState, Cause) {
	if len(l.ends) == 0 {
		if l.fail == Fine {
			return nil, Refused
		}
		return nil, l.fail
	}
	m.turns[to]++
	e := l.ends[m.turns[to]%len(l.ends)]
	if e.fail == Fine && !e.pod.alive() {
		return nil, Refused
	}
	return e.pod, e.fail
}

// walker is one request on its way.
type walker struct {
	m     *Model
	at    time.Time
	id    uint64
	trace *Trace
}

// enter lets a request in from outside.
func (m *Model) enter(e *Entry, at time.Time) {
	m.request++
	w := &walker{m: m, at: at, id: mix(m.seed ^ m.request<<20 ^ uint64(at.UnixNano()))}
	to := m.shop.Find(e.To)
	if m.rng.Float64() < m.sampling.Traces && m.shop.Services[to].Kind != Worker {
		w.trace = &Trace{Request: w.id}
	}
	pod, cause := m.pick(to, m.line(-1, to))
	var o Outcome
	switch cause {
	case Fine:
		o = w.serve(pod, e.Route, 0, -1)
	case Unreachable:
		o = Outcome{Took: 5, Code: 504, Cause: cause}
	default:
		o = Outcome{Took: .001, Code: 503, Cause: cause}
	}
	if w.trace != nil && len(w.trace.Spans) > 0 {
		m.step.Traces = append(m.step.Traces, *w.trace)
	}
	if m.shop.Services[to].Kind == Worker {
		return
	}
	k := outerKey{to, o.Code}
	if m.outer[k] == nil {
		m.outer[k] = &Histogram{}
	}
	m.outer[k].Add(o.Took, m.weight)
}

// moment is the time an offset after the request came in.
func (w *walker) moment(off float64) time.Time { return w.at.Add(time.Duration(off * 1e9)) }

// span begins a span and returns its index, -1 if the request is not traced.
func (w *walker) span(s Span) int {
	if w.trace == nil {
		return -1
	}
	w.trace.Spans = append(w.trace.Spans, s)
	return len(w.trace.Spans) - 1
}

func (w *walker) finish(i int, o Outcome) {
	if i >= 0 {
		s := &w.trace.Spans[i]
		s.Took, s.Code, s.Cause = o.Took, o.Code, o.Cause
	}
}

// serve lets a pod serve a route, off seconds after the request came in.
func (w *walker) serve(p *PodState, route int, off float64, parent int) Outcome {
	m := w.m
	svc := &m.shop.Services[p.Service]
	r := &svc.Routes[route]
	span := w.span(Span{Pod: p, Name: r.Method + " " + r.Path, Parent: parent, Start: w.moment(off)})
	p.n += m.weight
	o := w.work(p, svc, r, off, span)
	k := Answer{route, o.Code}
	h := p.Answers[k]
	if h == nil {
		h = &Histogram{}
		p.Answers[k] = h
	}
	h.Add(o.Took, m.weight)
	p.Served += m.weight
	p.Received += 700 * m.weight
	p.Sent += 2600 * m.weight
	w.finish(span, o)
	w.tell(p, route, off, o)
	return o
}

// work is what happens between a request's arrival at a pod and the answer.
func (w *walker) work(p *PodState, svc *Service, r *Route, off float64, span int) Outcome {
	m := w.m
	if p.workers.backlog >= float64(svc.Queue) && m.rng.Float64() > 1/max(p.workers.busy, 1) ||
		p.cpu.backlog >= float64(svc.Queue) && m.rng.Float64() > 1/max(p.cpu.busy, 1) {
		return Outcome{Took: .0008, Code: 503, Cause: Overloaded}
	}
	cpu := r.CPU.Seconds() * orOne(p.behave.CPU) * factor(m.conditions.Work, svc.ID) * p.strain(m)
	wait := p.workers.draw(m.rng) + p.cpu.draw(m.rng, cpu)
	slow := factor(m.conditions.Slow, svc.ID) * orOne(p.behave.Latency) * p.strain(m)
	if c := m.crowding(p); c > 1 {
		slow *= 1 + (c-1)*.5
		if m.rng.Float64() < .5 { // off the CPU for some slices of its time
			wait += m.rng.ExpFloat64() * .035 * (c - 1)
		}
	}
	own := r.Median.Seconds() * m.normal(r.Spread) * slow
	p.cpuS += cpu * m.weight
	o := Outcome{Took: wait + own*.6, Code: 200}
	if r.Created {
		o.Code = 201
	}
	switch {
	case m.rng.Float64() < p.behave.Errors:
		o.Code, o.Cause = 500, Defect
	case m.rng.Float64() < r.Broken:
		o.Code, o.Cause = 500, Bug
	case m.rng.Float64() < r.NotFound:
		o.Code = 404
		if r.Created {
			o.Code = 422
		}
	default:
		for i := range r.Calls {
			c := &r.Calls[i]
			if c.Chance > 0 && c.Chance < 1 && m.rng.Float64() >= c.Chance {
				continue
			}
			got := w.call(p, svc, c, off+o.Took, span)
			o.Took += got.Took
			if !got.Failed() || c.Optional {
				continue
			}
			o.Cause, o.Peer, o.PeerCode = got.Cause, c.To, got.PeerCode
			o.Code = w.answer(svc, c, got)
			break
		}
		o.Took += own * .4
	}
	p.held += max(0, o.Took-wait) * m.weight
	return o
}

// answer is the status code that a service gives when a call of its has failed.
func (w *walker) answer(svc *Service, c *Call, got Outcome) int {
	if to := w.m.shop.Find(c.To); to >= 0 && w.m.shop.Services[to].Kind == Database {
		return 500
	}
	switch got.Cause {
	case TimedOut, Unreachable:
		return 504
	case Upstream:
		if svc.ID.Name == "gateway" || svc.ID.Name == "web" || svc.ID.Name == "frontend" { // pass on what they got
			return got.PeerCode
		}
	}
	return 502
}

// call makes a call with its retries. The pod's own connections come first, if
// it is one to a database.
func (w *walker) call(p *PodState, svc *Service, c *Call, off float64, parent int) Outcome {
	m := w.m
	manner := Manner{Timeout: c.Timeout, Retries: c.Retries}
	if c.Setting != "" {
		if d, err := time.ParseDuration(p.Pod.Settings[c.Setting]); err == nil {
			manner.Timeout = d
		}
	}
	if other, ok := m.conditions.Calls[Pair{svc.ID, c.To}]; ok {
		manner = other
	}
	total := Outcome{}
	for attempt := 0; ; attempt++ {
		got := w.attempt(p, svc, c, manner.Timeout.Seconds(), off+total.Took, parent)
		took := total.Took + got.Took
		total = got
		total.Took = took
		if !got.Failed() {
			if got.Took > 1 && got.Took > 8*m.typical(c) {
				w.grumble(p, Event{Mark: SlowCall, Outcome: Outcome{Took: got.Took, Peer: c.To, Code: got.Code}}, off+took)
			}
			return total
		}
		if attempt >= manner.Retries {
			break
		}
		w.grumble(p, Event{Mark: Retry, Attempt: attempt + 1, Outcome: Outcome{Took: got.Took, Cause: got.Cause, Peer: c.To, PeerCode: got.PeerCode}}, off+took)
		if !manner.Rushed {
			total.Took += .02 * math.Pow(2, float64(attempt)) * (.5 + m.rng.Float64())
		}
	}
	if c.Optional {
		w.grumble(p, Event{Mark: Degraded, Outcome: Outcome{Took: total.Took, Cause: total.Cause, Peer: c.To, PeerCode: total.PeerCode}}, off+total.Took)
	}
	return total
}

// typical is about what a call takes on a good day.
func (m *Model) typical(c *Call) float64 {
	to := m.shop.Find(c.To)
	return m.shop.Services[to].Routes[c.Route].Median.Seconds()
}

// attempt makes a call once.
func (w *walker) attempt(p *PodState, svc *Service, c *Call, timeout, off float64, parent int) Outcome {
	m := w.m
	to := m.shop.Find(c.To)
	callee := &m.shop.Services[to]
	queued := 0.0
	if callee.Kind == Database && svc.Pool > 0 {
		wait := p.pool.draw(m.rng)
		patience := svc.Patience.Seconds()
		if wait > 0 {
			p.PoolWaits += m.weight
			p.PoolWaited += min(wait, patience) * m.weight
		}
		p.poolN += m.weight
		if wait > patience {
			p.PoolTimeouts += m.weight
			return Outcome{Took: patience, Code: 500, Cause: NoConnection, Peer: c.To}
		}
		queued = wait
	}
	span := w.span(Span{Pod: p, Name: callee.Routes[c.Route].Method + " " + callee.Routes[c.Route].Path, Peer: c.To, Parent: parent, Start: w.moment(off + queued)})
	got := w.reach(p, svc, c, to, timeout, off+queued, span)
	w.finish(span, got)
	k := Asked{c.To, c.Route, got.Code}
	h := p.Calls[k]
	if h == nil {
		h = &Histogram{}
		p.Calls[k] = h
	}
	h.Add(got.Took, m.weight)
	p.Sent += 600 * m.weight
	p.Received += 1900 * m.weight
	if callee.Kind == Database {
		p.poolHeld += got.Took * m.weight
	}
	got.Took += queued
	return got
}

// reach finds somebody to answer and waits for that.
func (w *walker) reach(p *PodState, svc *Service, c *Call, to int, timeout, off float64, span int) Outcome {
	m := w.m
	fail := func(took float64, code int, cause Cause) Outcome {
		return Outcome{Took: min(took, timeout), Code: code, Cause: cause, Peer: c.To}
	}
	if m.conditions.Lookups > 0 && m.rng.Float64() < m.conditions.Lookups {
		return fail(.6+1.5*m.rng.Float64(), 503, Lookup)
	}
	callee, cause := m.pick(to, m.line(p.Service, to))
	switch cause {
	case NoHost, Refused:
		return fail(.002, 503, cause)
	case Unreachable:
		return fail(timeout, 504, cause)
	}
	if _, ok := m.conditions.Expired[c.To]; ok {
		return fail(.004+.002*m.rng.Float64(), 503, Certificate)
	}
	got := w.serve(callee, c.Route, off+hop, span)
	got.Took += 2 * hop
	if got.Took > timeout {
		return fail(timeout, 504, TimedOut)
	}
	if got.Failed() {
		return Outcome{Took: got.Took, Code: got.Code, Cause: Upstream, Peer: c.To, PeerCode: got.Code}
	}
	return Outcome{Took: got.Took, Code: got.Code}
}

// most is how many failures a pod writes about in a step: a program that fails a
// thousand times a second does not write a thousand lines that anyone keeps.
const most = 40

// tell writes about a request that was served: some of the ordinary ones, and
// what failed here.
func (w *walker) tell(p *PodState, route int, off float64, o Outcome) {
	if o.Failed() {
		w.grumble(p, Event{Mark: Failed, Route: route, Outcome: o}, off+o.Took)
		return
	}
	svc := &w.m.shop.Services[p.Service]
	if svc.Kind == Database && o.Took > .5 {
		w.grumble(p, Event{Mark: Statement, Route: route, Outcome: o}, off+o.Took)
		return
	}
	if svc.Kind == Database || svc.Kind == Cache || w.m.rng.Float64() >= p.ratio || p.lines < 1 {
		return
	}
	p.lines--
	w.event(p, Event{Mark: Served, Route: route, Outcome: o}, off+o.Took)
}

func (w *walker) grumble(p *PodState, e Event, off float64) {
	if p.grumbles++; p.grumbles <= most {
		w.event(p, e, off)
	}
}

func (w *walker) event(p *PodState, e Event, off float64) {
	e.At, e.Pod, e.Request, e.Traced = w.moment(off), p, w.id, w.trace != nil
	w.m.step.Events = append(w.m.step.Events, e)
}
