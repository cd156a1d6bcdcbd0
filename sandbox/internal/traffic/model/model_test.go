package model_test

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	. "github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model/modeltest"
)

// noon is a moment at which the shop is moderately busy.
var noon = modeltest.Noon

// sums are what a service's pods did while it was watched.
type sums struct {
	all, failed, calls float64
	hist               Histogram
}

// watch runs the model for some minutes to warm up and then for five, and adds
// up what every service answered in these.
func watch(m *Model, w *World, c Conditions, warm time.Duration, each func(*Step)) map[string]*sums {
	const tick = 5 * time.Second
	at := noon
	run := func(d time.Duration) {
		for end := at.Add(d); at.Before(end); {
			at = at.Add(tick)
			s := m.Step(at, tick, w, c, 1)
			if each != nil {
				each(s)
			}
		}
	}
	run(warm)
	before := tally(m)
	run(5 * time.Minute)
	after := tally(m)
	for name, s := range after {
		if b := before[name]; b != nil {
			s.all -= b.all
			s.failed -= b.failed
			s.calls -= b.calls
			s.hist.Sum -= b.hist.Sum
			for i := range s.hist.Buckets {
				s.hist.Buckets[i] -= b.hist.Buckets[i]
			}
		}
	}
	return after
}

func tally(m *Model) map[string]*sums {
	all := map[string]*sums{}
	add := func(name string, h *Histogram, code int) {
		s := all[name]
		if s == nil {
			s = &sums{}
			all[name] = s
		}
		n := h.Count()
		s.all += n
		if code >= 500 {
			s.failed += n
		}
		s.hist.Sum += h.Sum
		for i, b := range h.Buckets {
			s.hist.Buckets[i] += b
		}
	}
	for _, p := range m.Pods() {
		if p.Service < 0 {
			continue
		}
		svc := m.Shop().Services[p.Service]
		if svc.ID.Namespace != "shop" {
			continue
		}
		p.EachAnswer(func(k Answer, h *Histogram) {
			add(svc.ID.Name, h, k.Code)
			add(svc.ID.Name+"@"+p.Version, h, k.Code)
			add(fmt.Sprintf("%s/%d", svc.ID.Name, k.Route), h, k.Code)
		})
		p.EachCall(func(k Asked, h *Histogram) { add(svc.ID.Name+">"+k.To.Name, h, k.Code) })
	}
	return all
}

func (s *sums) ratio() float64             { return s.failed / s.all }
func (s *sums) q(quantile float64) float64 { return s.hist.Quantile(quantile) }

func shop(name string) ID { return ID{"shop", name} }

func pods(m *Model, name string) []*PodState {
	var list []*PodState
	for _, p := range m.Pods() {
		if p.Pod.Namespace == "shop" && p.Pod.App == name {
			list = append(list, p)
		}
	}
	return list
}

func TestAnOrdinaryDay(t *testing.T) {
	m := New(Sample(), 1)
	got := watch(m, modeltest.Cluster(), Conditions{}, time.Minute, nil)
	for name, want := range map[string]struct{ low, high float64 }{ // of the p99
		"gateway": {.1, 1}, "checkout/0": {.2, 1}, "checkout/1": {.02, .2}, "cart": {.02, .25}, "payments-api": {.1, .5},
		"catalog": {.01, .1}, "search": {.1, .5}, "postgres": {.005, .05}, "redis-cache": {.0005, .01}, "web": {.1, 1},
	} {
		s := got[name]
		if p := s.q(.99); p < want.low || p > want.high {
			t.Errorf("p99 of %s is %.3f s, want %v to %v", name, p, want.low, want.high)
		}
		if r := s.ratio(); r > .006 {
			t.Errorf("%.2f %% of %s fails", 100*r, name)
		}
	}
	for _, p := range m.Pods() {
		main := p.Main(m)
		if busy, throttled := p.Limited(); busy > .55 || throttled > .05 {
			t.Errorf("%s: CPU at %.0f %% of its limit, throttled %.2f", p.Pod.Name, 100*busy, throttled)
		}
		if p.Memory < .2*main.MemoryLimit || p.Memory > .92*main.MemoryLimit {
			t.Errorf("%s: memory at %.0f %% of its limit", p.Pod.Name, 100*p.Memory/main.MemoryLimit)
		}
		if p.PoolSize > 0 && p.PoolInUse > .6*p.PoolSize {
			t.Errorf("%s: %v of %v connections", p.Pod.Name, p.PoolInUse, p.PoolSize)
		}
	}
	// What comes in at the top arrives below: nothing is lost or made up.
	if a, b := got["gateway>checkout"].all, got["checkout"].all; math.Abs(a-b) > .02*b {
		t.Errorf("the gateway made %v calls, checkout answered %v", a, b)
	}
}

func TestTheSameSeedGivesTheSameShop(t *testing.T) {
	run := func(seed uint64) map[string]*sums {
		return watch(New(Sample(), seed), modeltest.Cluster(), Conditions{}, 0, nil)
	}
	a, b, c := run(7), run(7), run(8)
	if !reflect.DeepEqual(a, b) {
		t.Error("two runs with one seed differ")
	}
	if reflect.DeepEqual(a, c) {
		t.Error("two seeds give the same")
	}
}

func TestLoadFollowsTheClock(t *testing.T) {
	at := func(day, hour int) float64 {
		sum := 0.0
		for i := range 60 {
			sum += Load(time.Date(2026, 3, day, hour, i, 0, 0, time.UTC), 1) / 60
		}
		return sum
	}
	if night, evening := at(4, 4), at(4, 19); night > .65*evening {
		t.Errorf("at night %.2f, in the evening %.2f", night, evening)
	}
	if wednesday, saturday := at(4, 19), at(7, 19); saturday < 1.04*wednesday {
		t.Errorf("on Wednesday %.2f, on Saturday %.2f", wednesday, saturday)
	}
}

// A cause, and what of it must be seen where.
func TestCausality(t *testing.T) {
	calm := watch(New(Sample(), 3), modeltest.Cluster(), Conditions{}, time.Minute, nil)
	slower := func(t *testing.T, got map[string]*sums, name string, times float64) {
		t.Helper()
		if a, b := got[name].q(.95), calm[name].q(.95); a < times*b {
			t.Errorf("p95 of %s is %.3f s, before it was %.3f; want %v times that", name, a, b, times)
		}
	}
	asBefore := func(t *testing.T, got map[string]*sums, name string) {
		t.Helper()
		if a, b := got[name].q(.95), calm[name].q(.95); a > 1.5*b {
			t.Errorf("p95 of %s is %.3f s, before it was %.3f; it has nothing to do with it", name, a, b)
		}
		if r := got[name].ratio(); r > .01 {
			t.Errorf("%.1f %% of %s fails; it has nothing to do with it", 100*r, name)
		}
	}
	fails := func(t *testing.T, got map[string]*sums, name string, low, high float64) {
		t.Helper()
		if r := got[name].ratio(); r < low || r > high {
			t.Errorf("%.1f %% of %s fails, want %.0f to %.0f", 100*r, name, 100*low, 100*high)
		}
	}
	t.Run("a slow database makes all that ask it slow", func(t *testing.T) {
		m := New(Sample(), 3)
		got := watch(m, modeltest.Cluster(), Conditions{Slow: map[ID]float64{shop("postgres"): 120}}, time.Minute, nil)
		for _, name := range []string{"postgres", "checkout/0", "checkout/1", "payments-api"} {
			slower(t, got, name, 3)
		}
		asBefore(t, got, "search")
		for _, p := range pods(m, "checkout") {
			if p.PoolInUse < .5 {
				t.Errorf("%s holds %.2f connections; slow queries should keep more", p.Pod.Name, p.PoolInUse)
			}
		}
	})
	t.Run("a slow callee two hops away makes callers slow", func(t *testing.T) {
		m := New(Sample(), 3)
		got := watch(m, modeltest.Cluster(), Conditions{Slow: map[ID]float64{shop("catalog"): 110}}, time.Minute, nil)
		for _, name := range []string{"catalog", "cart", "checkout/0"} {
			slower(t, got, name, 3)
		}
		asBefore(t, got, "payments-api")
		asBefore(t, got, "checkout/1")
		if p := pods(m, "cart")[0]; p.InFlight < 1 {
			t.Errorf("cart waits with %.1f requests", p.InFlight)
		}
	})
	t.Run("a bad version fails, the other does not", func(t *testing.T) {
		w := modeltest.Cluster()
		for i := range w.Pods {
			if w.Pods[i].Name == "checkout-7d9f-0" {
				w.Pods[i].Containers[0].Tag = "v2"
			}
		}
		got := watch(New(Sample(), 3), w, Conditions{Versions: map[Version]Behaviour{{shop("checkout"), "v2"}: {Errors: .3}}}, time.Minute, nil)
		fails(t, got, "checkout@v2", .25, .35)
		fails(t, got, "checkout@v1", 0, .01)
		fails(t, got, "gateway", .003, .05)
	})
	t.Run("a slow version is slow by itself", func(t *testing.T) {
		w := modeltest.Cluster()
		for i := range w.Pods {
			if w.Pods[i].App == "checkout" {
				w.Pods[i].Containers[0].Tag = "v2"
			}
		}
		got := watch(New(Sample(), 3), w, Conditions{Versions: map[Version]Behaviour{{shop("checkout"), "v2"}: {Latency: 14}}}, time.Minute, nil)
		slower(t, got, "checkout/0", 3)
		asBefore(t, got, "payments-api")
		asBefore(t, got, "postgres")
	})
	t.Run("a low limit throttles before it fails", func(t *testing.T) {
		w := modeltest.Cluster()
		for i := range w.Pods {
			if w.Pods[i].App == "checkout" {
				w.Pods[i].Containers[0].CPULimit = .09
			}
		}
		m := New(Sample(), 3)
		got := watch(m, w, Conditions{}, time.Minute, nil)
		slower(t, got, "checkout/0", 1.3)
		if _, throttled := pods(m, "checkout")[0].Limited(); throttled < .15 {
			t.Errorf("throttled in %.0f %% of the periods", 100*throttled)
		}
		fails(t, got, "checkout", 0, .02)
	})
	t.Run("too much load: slow, then turned away", func(t *testing.T) {
		m := New(Sample(), 3)
		rush := Conditions{Load: 2, Entries: map[At]float64{{shop("web"), 2}: 6, {shop("frontend"), 3}: 6, {shop("frontend"), 4}: 6}}
		var slowAt, failAt time.Time
		var last Histogram
		watch(m, modeltest.Cluster(), rush, 0, func(s *Step) {
			now, bad := Histogram{}, 0.0
			for _, p := range pods(m, "checkout") {
				for k, h := range p.Answers {
					for i, n := range h.Buckets {
						now.Buckets[i] += n
					}
					if k.Code == 503 {
						bad += h.Count()
					}
				}
			}
			diff := now
			for i := range diff.Buckets {
				diff.Buckets[i] -= last.Buckets[i]
			}
			last = now
			if slowAt.IsZero() && diff.Quantile(.5) > .6 {
				slowAt = s.At
			}
			if failAt.IsZero() && bad > 0 {
				failAt = s.At
			}
		})
		if slowAt.IsZero() || failAt.IsZero() || !slowAt.Before(failAt) {
			t.Errorf("slow at %v, turned away at %v", slowAt, failAt)
		}
		if busy, throttled := pods(m, "checkout")[0].Limited(); busy < .9 || throttled < .5 {
			t.Errorf("CPU at %.2f of the limit, throttled %.2f", busy, throttled)
		}
	})
	t.Run("retries multiply the load of a callee that is too slow", func(t *testing.T) {
		c := Conditions{
			Slow:  map[ID]float64{shop("payments-api"): 6},
			Calls: map[Pair]Manner{{shop("checkout"), shop("payments-api")}: {Timeout: 300 * time.Millisecond, Retries: 4, Rushed: true}},
		}
		got := watch(New(Sample(), 3), modeltest.Cluster(), c, time.Minute, nil)
		if a, b := got["payments-api"].all, calm["payments-api"].all; a < 2.5*b {
			t.Errorf("%v requests, before %v", a, b)
		}
		if a, b := got["checkout/0"].all, calm["checkout/0"].all; a > 1.2*b {
			t.Errorf("checkout itself was asked %v times, before %v", a, b)
		}
		fails(t, got, "checkout/0", .2, 1)
	})
	t.Run("connections that are not given back run out", func(t *testing.T) {
		m := New(Sample(), 3)
		got := watch(m, modeltest.Cluster(), Conditions{Loses: map[ID]float64{shop("checkout"): .3}}, 2*time.Minute, nil)
		fails(t, got, "checkout", .5, 1)
		asBefore(t, got, "postgres")
		if p := pods(m, "checkout")[0]; p.PoolInUse != p.PoolSize || p.PoolTimeouts == 0 {
			t.Errorf("%v of %v connections in use, %v time-outs", p.PoolInUse, p.PoolSize, p.PoolTimeouts)
		}
	})
	t.Run("a leak ends in a kill", func(t *testing.T) {
		m := New(Sample(), 3)
		killed := 0
		watch(m, modeltest.Cluster(), Conditions{Versions: map[Version]Behaviour{{shop("checkout"), "v1"}: {Leak: 2 * (1 << 20)}}}, 0, func(s *Step) {
			for _, p := range s.Killed {
				if p.Pod.App != "checkout" {
					t.Errorf("%s was killed", p.Pod.Name)
				}
				killed++
			}
		})
		if killed != 3 {
			t.Errorf("%d pods were killed", killed)
		}
	})
	t.Run("a hog slows its node only", func(t *testing.T) {
		w := modeltest.Cluster()
		w.Pods = append(w.Pods, Pod{Namespace: "reports", Name: "export-0", UID: "hog", Node: "node-2", App: "export", Running: true, Containers: []Container{{Name: "export", Running: true}}})
		m := New(Sample(), 3)
		watch(m, w, Conditions{Hogs: map[ID]float64{{"reports", "export"}: 34}}, time.Minute, nil)
		for _, p := range pods(m, "checkout") {
			h := Histogram{}
			for k, one := range p.Answers {
				if k.Route == 1 { // which needs the database alone, on another node
					for i, n := range one.Buckets {
						h.Buckets[i] += n
					}
				}
			}
			if slow := h.Quantile(.9) > 2*calm["checkout/1"].q(.9); slow != (p.Pod.Node == "node-2") {
				t.Errorf("%s on %s: p90 %.3f s, on a calm day %.3f", p.Pod.Name, p.Pod.Node, h.Quantile(.9), calm["checkout/1"].q(.9))
			}
		}
		if n := m.Nodes()["node-2"]; n.Busy < 30 || n.Waited == 0 {
			t.Errorf("node-2 has %.1f cores busy", n.Busy)
		}
	})
	t.Run("a shorter time-out in the settings fails what is slower", func(t *testing.T) {
		w := modeltest.Cluster()
		for i := range w.Pods {
			if w.Pods[i].App == "checkout" {
				w.Pods[i].Settings = map[string]string{"PAYMENTS_TIMEOUT": "40ms"}
			}
		}
		got := watch(New(Sample(), 3), w, Conditions{}, time.Minute, nil)
		fails(t, got, "checkout/0", .7, 1)
		asBefore(t, got, "payments-api")
	})
}

// The cluster's objects decide who reaches whom.
func TestObjectsDecideWhoIsReached(t *testing.T) {
	edit := func(f func(*Exposed)) func(*World) {
		return func(w *World) {
			s := w.Services[shop("payments-api")]
			f(&s)
			w.Services[shop("payments-api")] = s
		}
	}
	label := func(app string) func(map[string]string) bool {
		return func(l map[string]string) bool { return l["app"] == app }
	}
	for name, test := range map[string]struct {
		change func(*World)
		want   Cause
	}{
		"nothing is wrong": {func(*World) {}, Fine},
		"no endpoints":     {edit(func(s *Exposed) { s.Endpoints = nil }), Refused},
		"none is ready":    {edit(func(s *Exposed) { s.Endpoints = []Endpoint{{Pod: "payments-api-7d9f-0", Port: 80, TargetPort: 8080}} }), Refused},
		"another port":     {edit(func(s *Exposed) { s.Ports = []int32{81} }), Refused},
		"a port nobody hears": {edit(func(s *Exposed) {
			for i := range s.Endpoints {
				s.Endpoints[i].TargetPort = 9999
			}
		}), Refused},
		"no Service":             {func(w *World) { delete(w.Services, shop("payments-api")) }, NoHost},
		"a database without pod": {func(w *World) { s := w.Services[shop("postgres")]; s.Endpoints = nil; w.Services[shop("postgres")] = s }, Upstream},
		"shut out by a policy": {func(w *World) {
			w.Policies = []Policy{{Namespace: "shop", Selects: label("payments-api"), Ingress: true}}
		}, Unreachable},
		"let in by a policy": {func(w *World) {
			w.Policies = []Policy{{Namespace: "shop", Selects: label("payments-api"), Ingress: true, From: []Rule{{
				Ports: []int32{8080}, Peers: []func(string, map[string]string) bool{func(ns string, l map[string]string) bool { return l["app"] == "checkout" }},
			}}}}
		}, Fine},
		"not let out": {func(w *World) {
			w.Policies = []Policy{{Namespace: "shop", Selects: label("checkout"), Egress: true}}
		}, Unreachable},
		"on a node that is gone": {func(w *World) {
			for i := range w.Pods {
				if w.Pods[i].App == "payments-api" {
					w.Pods[i].Node = "node-3"
				}
			}
			w.Nodes["node-3"] = Node{Name: "node-3", CPUs: 32}
		}, Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			w := modeltest.Cluster()
			test.change(w)
			seen := map[Cause]int{}
			failed := 0
			watch(New(Sample(), 5), w, Conditions{}, 0, func(s *Step) {
				for _, e := range s.Events {
					if e.Mark == Failed && e.Pod.Pod.App == "checkout" && e.Route == 0 && e.Pod.Pod.Namespace == "shop" && e.Outcome.Cause != Bug && e.Outcome.Cause != Defect {
						seen[e.Outcome.Cause]++
						failed++
					}
				}
			})
			if test.want == Fine && failed > 20 || test.want != Fine && seen[test.want] < failed*9/10 || test.want != Fine && failed == 0 {
				t.Errorf("checkout's calls failed %d times: %v; want cause %v", failed, seen, test.want)
			}
		})
	}
}

func TestTracesHoldTheWholeWay(t *testing.T) {
	m := New(Sample(), 2)
	m.Sample(Sampling{Lines: 6, Traces: .2})
	n := 0
	watch(m, modeltest.Cluster(), Conditions{}, 0, func(s *Step) {
		for _, tr := range s.Traces {
			n++
			for i, sp := range tr.Spans {
				if sp.Parent >= i || (sp.Parent < 0) != (i == 0) {
					t.Fatalf("span %d has parent %d", i, sp.Parent)
				}
				if i == 0 {
					continue
				}
				parent := tr.Spans[sp.Parent]
				end, parentEnd := sp.Start.Add(time.Duration(sp.Took*1e9)), parent.Start.Add(time.Duration(parent.Took*1e9))
				if sp.Start.Before(parent.Start) || end.After(parentEnd.Add(time.Microsecond)) {
					t.Fatalf("%s (%v, %.4f s) is not within %s (%v, %.4f s)", sp.Name, sp.Start, sp.Took, parent.Name, parent.Start, parent.Took)
				}
			}
		}
	})
	if n < 500 {
		t.Errorf("%d traces", n)
	}
}

func BenchmarkStep(b *testing.B) {
	m, w, at := New(Sample(), 1), modeltest.Cluster(), noon
	for b.Loop() {
		at = at.Add(15 * time.Second)
		m.Step(at, 15*time.Second, w, Conditions{}, 1)
	}
}
