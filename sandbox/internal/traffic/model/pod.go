package model

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// Answer is a series of requests served: the route's index and the status code.
type Answer struct{ Route, Code int }

// Asked is a series of calls made: to whom and what came back; for a database or
// a cache, Route is what was asked.
type Asked struct {
	To    ID
	Route int
	Code  int
}

// PodState is a pod, and what its main container has done and is doing.
// Counters begin at 0 when the container starts.
type PodState struct {
	Pod     Pod
	Service int    // index in the shop; -1 for a pod that serves nothing
	Version string // the tag of the main container's image
	// Answers and Calls count what was served and what was called.
	Answers map[Answer]*Histogram
	Calls   map[Asked]*Histogram

	CPU        float64 // cores in use
	CPUSeconds float64
	// Periods of the CPU's quota and those in which it was used up.
	Periods, Throttled, ThrottledSeconds float64
	CPUWaited                            float64 // waited for a CPU of the node
	Memory                               float64 // working set in bytes
	Kills                                float64 // how often it outgrew its memory; not reset
	InFlight                             float64

	PoolSize, PoolInUse, PoolWaiting    float64
	PoolWaits, PoolWaited, PoolTimeouts float64
	Lost                                float64 // connections not given back
	Received, Sent                      float64 // bytes
	Served, Queue                       float64

	down     bool // killed; waits for the cluster to start it again
	leaked   float64
	jitter   float64 // pods of a kind are not quite alike
	behave   Behaviour
	workers  station
	pool     station
	cpu      throttle
	n, cpuS  float64 // of this step: requests, seconds of the CPU
	held     float64
	poolN    float64
	poolHeld float64
	lines    float64 // that may still be written about what is ordinary
	ratio    float64 // of ordinary requests that are written about
	grumbles int
}

func newPodState(m *Model, p *Pod) *PodState {
	s := &PodState{Service: -1}
	h := uint64(0)
	for _, c := range []byte(p.UID) {
		h = mix(h ^ uint64(c))
	}
	s.jitter = .9 + .2*float64(h%1000)/1000
	for i := range m.shop.Services {
		svc := &m.shop.Services[i]
		if svc.ID.Namespace == p.Namespace && p.App == svc.ID.Name && p.Container(svc.Container) != nil {
			s.Service = i
		}
	}
	s.Pod = *p
	s.reset()
	return s
}

// reset is what a start of the container does.
func (s *PodState) reset() {
	s.Answers, s.Calls = map[Answer]*Histogram{}, map[Asked]*Histogram{}
	s.CPUSeconds, s.Periods, s.Throttled, s.ThrottledSeconds, s.CPUWaited = 0, 0, 0, 0, 0
	s.PoolWaits, s.PoolWaited, s.PoolTimeouts, s.Lost, s.leaked = 0, 0, 0, 0, 0
	s.Received, s.Sent, s.Served = 0, 0, 0
	s.workers, s.pool, s.cpu, s.down = station{}, station{}, throttle{}, false
}

// see takes over what the cluster says of the pod.
func (s *PodState) see(p *Pod) {
	if p.Restarts != s.Pod.Restarts {
		s.reset()
	}
	s.Pod = *p
	s.Version = ""
	if len(p.Containers) > 0 {
		s.Version = p.Containers[0].Tag
	}
}

// Main is the container that serves, the first of a pod that serves nothing.
func (s *PodState) Main(m *Model) *Container {
	if s.Service >= 0 {
		return s.Pod.Container(m.shop.Services[s.Service].Container)
	}
	if len(s.Pod.Containers) > 0 {
		return &s.Pod.Containers[0]
	}
	return nil
}

// Revive starts a killed container again, where no cluster does.
func (s *PodState) Revive() {
	kills := s.Kills
	s.reset()
	s.Kills = kills
	s.Pod.Restarts++
}

// alive says whether the pod can answer, were anybody to ask it.
func (s *PodState) alive() bool { return s.Pod.Running && !s.down }

// Down says that the container was killed and has not been started again.
func (s *PodState) Down() bool { return s.down }

func (s *PodState) begin(m *Model, at time.Time, dt float64) {
	s.n, s.cpuS, s.held, s.poolN, s.poolHeld, s.grumbles = 0, 0, 0, 0, 0, 0
	if s.Service < 0 {
		return
	}
	svc := &m.shop.Services[s.Service]
	if c := s.Pod.Container(svc.Container); c != nil {
		s.Version = c.Tag
	}
	s.behave = m.conditions.Versions[Version{svc.ID, s.Version}]
	s.lines += m.sampling.Lines * dt / 60
	s.lines = min(s.lines, 3*max(1, m.sampling.Lines*dt/60))
	if s.Lost > 0 || m.conditions.Loses[svc.ID] > 0 {
		s.Lost = min(float64(svc.Pool), s.Lost+m.conditions.Loses[svc.ID]*s.jitter*dt)
	}
	if m.conditions.Loses[svc.ID] == 0 && s.Lost > 0 { // the server ends idle transactions in time
		s.Lost = max(0, s.Lost-dt/4)
	}
	s.PoolSize = float64(svc.Pool)
	s.pool.servers = s.PoolSize - math.Floor(s.Lost)
	s.workers.servers = float64(svc.Workers)
}

// end works out what the step's requests make of the pod for the next.
func (s *PodState) end(m *Model, at time.Time, dt float64) {
	main := s.Main(m)
	if main == nil || !s.Pod.Running || s.down {
		s.CPU, s.Memory, s.InFlight, s.PoolInUse, s.PoolWaiting = 0, 0, 0, 0, 0
		return
	}
	if s.Service < 0 {
		s.CPU = s.Pod.Idle.CPU * (.9 + .2*m.rng.Float64())
		if hog := m.conditions.Hogs[ID{s.Pod.Namespace, s.Pod.App}]; hog > 0 {
			s.CPU = hog * (.97 + .03*m.rng.Float64())
			if n := m.nodes[s.Pod.Node]; n != nil {
				s.CPU = min(s.CPU, n.Node.CPUs*1.1)
			}
		}
		if main.CPULimit > 0 {
			s.CPU = min(s.CPU, main.CPULimit)
		}
		s.Memory = s.Pod.Idle.Memory * (.97 + .06*m.rng.Float64())
		s.CPUSeconds += s.CPU * dt
		s.countPeriods(main, dt, 0)
		return
	}
	svc := &m.shop.Services[s.Service]
	cpu := s.cpuS + svc.IdleCPU*s.jitter*dt
	s.cpu.settle(s.n, s.cpuS, cpu, dt, main.CPULimit, float64(svc.Queue))
	s.CPU = cpu / dt
	if main.CPULimit > 0 {
		s.CPU = min(s.CPU, main.CPULimit)
	}
	s.CPUSeconds += s.CPU * dt
	s.countPeriods(main, dt, s.cpu.throttled)
	if c := m.crowding(s); c > 1 {
		s.CPUWaited += min(.9, s.CPU*(c-1)) * dt
	}
	if s.n > 0 { // so many of the next step's requests will be written about
		s.ratio = m.sampling.Lines * dt / 60 / s.n * m.weight
	}
	hold := 0.0
	if s.n > 0 {
		hold = s.held / s.n
	}
	s.workers.settle(s.n, hold, dt, float64(svc.Queue))
	s.InFlight = s.workers.inUse() + s.workers.backlog
	s.Queue = s.workers.backlog
	if svc.Pool > 0 {
		hold = 0
		if s.poolN > 0 {
			hold = s.poolHeld / s.poolN
		}
		// Who has waited longer than patience is no longer in the queue.
		limit := s.poolN / dt * svc.Patience.Seconds()
		s.pool.settle(s.poolN, hold, dt, limit)
		s.PoolInUse = min(float64(svc.Pool), math.Floor(s.Lost)+s.pool.inUse())
		s.PoolWaiting = s.pool.backlog
		if s.pool.busy < 1 && s.pool.backlog == 0 {
			s.PoolWaiting = s.poolN / dt * s.pool.chance * s.pool.wait
			if math.IsInf(s.PoolWaiting, 0) || math.IsNaN(s.PoolWaiting) {
				s.PoolWaiting = 0
			}
		}
	}
	warm := 1.0
	if up := at.Sub(s.Pod.Started); up > 0 {
		warm = 1 - math.Exp(-up.Seconds()/1200)
	}
	s.leaked += s.behave.Leak * s.jitter * dt
	s.Memory = (svc.Memory+svc.Warm*warm)*(.98+.04*s.jitter/1.1) + s.InFlight*svc.PerRequest + s.leaked
	s.Memory *= 1 + .004*m.rng.NormFloat64()
	if main.MemoryLimit > 0 && s.Memory >= main.MemoryLimit {
		s.Memory = main.MemoryLimit
		s.down = true
		s.Kills++
		m.step.Killed = append(m.step.Killed, s)
	}
}

func (s *PodState) countPeriods(c *Container, dt, throttled float64) {
	if c.CPULimit <= 0 {
		return
	}
	active := dt / .1 * min(1, .25+s.CPU/c.CPULimit)
	s.Periods += active
	s.Throttled += active * throttled
	s.ThrottledSeconds += active * throttled * .04
}

// strain is how much longer a request takes because memory is nearly full and is
// searched for garbage again and again.
func (s *PodState) strain(m *Model) float64 {
	main := s.Main(m)
	if main == nil || main.MemoryLimit <= 0 {
		return 1
	}
	return 1 + 4*max(0, s.Memory/main.MemoryLimit-.88)/.12
}

// Limited says how much of the CPU's limit is asked for and in how many of its
// periods it was held back.
func (s *PodState) Limited() (busy, throttled float64) { return s.cpu.busy, s.cpu.throttled }

// throttle is a CPU with a quota: it is held back within a tenth of a second
// before its mean is reached, and what comes beyond it waits.
type throttle struct {
	busy, throttled float64
	backlog         float64
	capacity        float64 // requests a second
	limit           float64
}

// period is how often a quota is given out, in seconds.
const period = .1

// settle takes what the last dt seconds asked for: n requests that needed so many
// seconds of the CPU, and those with all else that the pod did.
func (t *throttle) settle(n, requests, cpu, dt, limit, queue float64) {
	if limit <= 0 || n <= 0 {
		*t = throttle{}
		return
	}
	t.busy = cpu / dt / limit
	t.capacity = limit / (cpu / n)
	t.backlog = min(max(0, t.backlog+n-t.capacity*dt), queue)
	over := max(0, min(1, (t.busy-.55)/.45))
	t.throttled = over * over
	t.limit = limit
	if spans := requests / n / (limit * period); spans > 1 { // more than a period gives
		t.throttled = max(t.throttled, 1-1/spans)
	}
}

// draw is how long a request that needs so many seconds of the CPU is held back.
func (t *throttle) draw(r *rng, cpu float64) float64 {
	wait := 0.0
	if t.limit > 0 { // every quota but the last is used up and the rest of its period waited for
		wait = math.Floor(cpu/(t.limit*period)) * max(0, period-t.limit*period)
		// The others on the pod take their share of each quota.
		busy := min(t.busy, .92)
		wait *= 1 + r.ExpFloat64()*.5*busy/(1-busy)
	}
	if t.backlog > 0 {
		wait = t.backlog / t.capacity * (.8 + .4*r.Float64())
	}
	if t.throttled > 0 && r.Float64() < t.throttled {
		wait += .1 * r.Float64() * (1 + t.busy)
	}
	return wait
}

// EachAnswer calls f for what was served, in a fixed order.
func (s *PodState) EachAnswer(f func(Answer, *Histogram)) {
	each(s.Answers, func(a, b Answer) int { return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Code, b.Code)) }, f)
}

// EachCall calls f for what was called, in a fixed order.
func (s *PodState) EachCall(f func(Asked, *Histogram)) {
	each(s.Calls, func(a, b Asked) int {
		return cmp.Or(cmp.Compare(a.To.Namespace, b.To.Namespace), cmp.Compare(a.To.Name, b.To.Name), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Code, b.Code))
	}, f)
}

func each[K comparable](m map[K]*Histogram, compare func(a, b K) int, f func(K, *Histogram)) {
	for _, k := range slices.SortedFunc(maps.Keys(m), compare) {
		f(k, m[k])
	}
}
