package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

type rng = rand.Rand

// Model is a shop under load. It is not for use by several at once.
type Model struct {
	shop  *Shop
	seed  uint64
	rng   *rng
	pods  map[string]*PodState // by UID
	order []*PodState          // sorted by namespace and name
	world *World
	lines map[edge]*line
	turns []int     // whose turn it is, by service
	carry []float64 // of each entry, what was too little for a request
	nodes map[string]*NodeState
	outer map[outerKey]*Histogram

	step       *Step
	conditions Conditions
	weight     float64
	request    uint64
	// Logged is how many requests of an ordinary step are written about, as a
	// ratio; Traced how many are traced.
	sampling Sampling
}

// Sampling is how much of what happens is told one by one. Metrics always count
// everything.
type Sampling struct {
	// Lines is how many lines a minute a pod writes about what is ordinary.
	Lines float64
	// Traces is the ratio of requests that are traced.
	Traces float64
}

// outerKey is a series of what comes in from outside.
type outerKey struct {
	Service int
	Code    int
}

// New returns a shop that nothing has happened in.
func New(shop *Shop, seed uint64) *Model {
	return &Model{
		shop: shop, seed: seed, rng: rand.New(rand.NewPCG(seed, 0x5109)),
		pods: map[string]*PodState{}, turns: make([]int, len(shop.Services)), carry: make([]float64, len(shop.Entries)),
		nodes: map[string]*NodeState{}, outer: map[outerKey]*Histogram{},
		sampling: Sampling{Lines: 6, Traces: .01},
	}
}

// Shop is the call graph.
func (m *Model) Shop() *Shop { return m.shop }

// Pods are the pods of the world that the model was shown last, sorted.
func (m *Model) Pods() []*PodState { return m.order }

// Nodes are the nodes by name.
func (m *Model) Nodes() map[string]*NodeState { return m.nodes }

// Outside calls f with what those outside got from each service they call.
func (m *Model) Outside(f func(service ID, code int, h *Histogram)) {
	keys := make([]outerKey, 0, len(m.outer))
	for k := range m.outer {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b outerKey) int {
		if a.Service != b.Service {
			return a.Service - b.Service
		}
		return a.Code - b.Code
	})
	for _, k := range keys {
		f(m.shop.Services[k.Service].ID, k.Code, m.outer[k])
	}
}

// Sample changes how much is told one by one.
func (m *Model) Sample(s Sampling) { m.sampling = s }

// Step lets length of time pass until at. Each request that is walked through the
// call graph stands for weight requests.
func (m *Model) Step(at time.Time, length time.Duration, w *World, c Conditions, weight float64) *Step {
	m.step = &Step{At: at, Length: length}
	m.conditions, m.weight = c, weight
	m.see(w, at)
	dt := length.Seconds()
	for _, p := range m.order {
		p.begin(m, at, dt)
	}
	for i := range m.shop.Entries {
		e := &m.shop.Entries[i]
		rate := e.Rate * Load(at, m.seed) * orOne(c.Load) * factor(c.Entries, At{e.To, e.Route})
		m.carry[i] += rate * dt / weight * (1 + .06*m.rng.NormFloat64())
		for ; m.carry[i] >= 1; m.carry[i]-- {
			m.enter(e, at.Add(-time.Duration(m.rng.Float64()*float64(length))))
		}
	}
	for _, p := range m.order {
		p.end(m, at, dt)
	}
	m.settleNodes(dt)
	return m.step
}

// see takes in the cluster as it stands now.
func (m *Model) see(w *World, now time.Time) {
	if m.world == w {
		return
	}
	m.world = w
	seen := make(map[string]bool, len(w.Pods))
	m.order = m.order[:0]
	for i := range w.Pods {
		p := &w.Pods[i]
		seen[p.UID] = true
		s, ok := m.pods[p.UID]
		if !ok {
			s = newPodState(m, p)
			m.pods[p.UID] = s
		}
		s.see(p)
		m.order = append(m.order, s)
	}
	for uid := range m.pods {
		if !seen[uid] {
			delete(m.pods, uid)
		}
	}
	slices.SortFunc(m.order, func(a, b *PodState) int {
		if c := strings.Compare(a.Pod.Namespace, b.Pod.Namespace); c != 0 {
			return c
		}
		return strings.Compare(a.Pod.Name, b.Pod.Name)
	})
	for name, n := range w.Nodes {
		if m.nodes[name] == nil {
			m.nodes[name] = &NodeState{}
		}
		m.nodes[name].Node = n
	}
	for name := range m.nodes {
		if _, ok := w.Nodes[name]; !ok {
			delete(m.nodes, name)
		}
	}
	m.lines = map[edge]*line{}
}

// NodeState is a node and what its pods make of it.
type NodeState struct {
	Node Node
	Busy float64 // cores in use
	// CPUSeconds and Waited (by processes for a CPU) are since the beginning.
	CPUSeconds, Waited float64
	Up                 float64 // seconds since the beginning
	MemoryUsed         float64
	stretch            float64 // of everything that runs there
}

// settleNodes adds up what the pods of each node use. A node whose pods want more
// cores than it has makes all of them wait.
func (m *Model) settleNodes(dt float64) {
	for _, n := range m.nodes {
		n.Busy, n.MemoryUsed = .35, 2.2e9 // the system's own
	}
	for _, p := range m.order {
		if n := m.nodes[p.Pod.Node]; n != nil {
			n.Busy += p.CPU
			n.MemoryUsed += p.Memory + 30*mib*float64(len(p.Pod.Containers)-1)
		}
	}
	for _, n := range m.nodes {
		cpus := max(n.Node.CPUs, 1)
		busy := n.Busy / cpus
		n.Busy = min(n.Busy, .995*cpus)
		n.CPUSeconds += n.Busy * dt
		n.Up += dt
		crowded := max(0, busy-.8) / .2
		n.stretch = 1 + 5*min(crowded, 1.4)
		n.Waited += min(crowded, 1) * .9 * dt
	}
}

// crowding is how much longer things take on a pod's node.
func (m *Model) crowding(p *PodState) float64 {
	if n := m.nodes[p.Pod.Node]; n != nil && n.stretch > 1 {
		return n.stretch
	}
	return 1
}

// normal is a factor whose logarithm is normally distributed, cut where nobody
// would believe it.
func (m *Model) normal(sigma float64) float64 {
	return math.Exp(sigma * max(-2.6, min(3.4, m.rng.NormFloat64())))
}
