package gate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// shop draws samples of a service: requests in an interval, each of which fails
// or not, and the p99 of how long they took.
type shop struct {
	rng      *rand.Rand
	requests float64 // in an interval, on average
	fails    float64 // ratio
	p99      float64 // seconds
	noise    float64 // of the latency, the σ of its logarithm
	swing    float64 // how much of an interval's noise stays in the next, 0 to 1
	before   float64
}

func (s *shop) sample(side *Side) {
	n := math.Round(s.requests * math.Exp(0.3*s.rng.NormFloat64()))
	if n == 0 {
		return
	}
	failed := 0.0
	for range int(n) {
		if s.rng.Float64() < s.fails {
			failed++
		}
	}
	s.before = s.swing*s.before + math.Sqrt(1-s.swing*s.swing)*s.rng.NormFloat64()
	side.Requests += n
	side.Errors = append(side.Errors, failed/n)
	side.Latency = append(side.Latency, s.p99*math.Exp(s.noise*s.before))
}

// bake plays a whole bake: the old version for twice as long, then look after
// look at the new one, for as long again where it is unsure. It returns at which
// look the new one was called worse, 0 for never, and the verdict.
func bake(was, is *shop) (int, Verdict) {
	looks := 20
	e := Evidence{Old: Side{Version: "2.2"}, New: Side{Version: "2.3"}}
	for range 2 * looks {
		was.sample(&e.Old)
	}
	for look := 1; ; look++ {
		is.sample(&e.New)
		v := Decide(e, look == looks)
		if v.Kind == Worse {
			return look, v
		}
		switch {
		case look == looks && v.Kind == Unsure && looks == 20:
			looks = 40
		case look == looks:
			return 0, v
		}
	}
}

// The rate of false alarms of a whole bake, all of its twenty looks together, is
// below one in a hundred, over 4,000 seeded bakes of each kind of service whose
// new version is like the old one. Measured: 52 of 28,000, of which 35 where each
// interval is half like the one before it.
func TestNoiseRollsNothingBack(t *testing.T) {
	const bakes = 4000
	for _, tt := range []shop{
		{requests: 10, fails: 0.002, p99: 0.2, noise: 0.3},
		{requests: 100, fails: 0.002, p99: 0.2, noise: 0.3},
		{requests: 100, fails: 0, p99: 0.05, noise: 0.1},
		{requests: 100, fails: 0.05, p99: 0.5, noise: 0.3},
		{requests: 30, fails: 0.3, p99: 1, noise: 0.8},
		{requests: 100, fails: 0.002, p99: 0.2, noise: 0.5, swing: 0.5}, // intervals are like those before
		{requests: 3, fails: 0.01, p99: 0.2, noise: 0.5},
	} {
		t.Run(fmt.Sprintf("%v requests, %v fail, noise %v, swing %v", tt.requests, tt.fails, tt.noise, tt.swing), func(t *testing.T) {
			t.Parallel()
			alarms := 0
			for seed := range uint64(bakes) {
				was, is := tt, tt
				was.rng = rand.New(rand.NewPCG(seed, 1))
				is.rng = rand.New(rand.NewPCG(seed, 2))
				if at, _ := bake(&was, &is); at > 0 {
					alarms++
				}
			}
			t.Logf("%d of %d", alarms, bakes)
			if alarms >= bakes/100 {
				t.Errorf("%d of %d versions that are alike were called worse", alarms, bakes)
			}
		})
	}
}

// What is worse is found, and soon: at which of the twenty looks in the middle,
// and in how many of 100 bakes at all.
func TestWhatIsWorseIsFoundSoon(t *testing.T) {
	const bakes = 1000
	fine := shop{requests: 100, fails: 0.002, p99: 0.2, noise: 0.3}
	for _, tt := range []struct {
		name          string
		was           shop
		worse         func(*shop)
		middle, share int // look, percent
		reason        Reason
	}{
		{"twice the latency", fine, func(s *shop) { s.p99 *= 2 }, 5, 99, Latency},
		{"5 percent fail", fine, func(s *shop) { s.fails = 0.05 }, 5, 99, Errors},
		{"5 percent of 10 requests fail", shop{requests: 10, fails: 0.002, p99: 0.2, noise: 0.3}, func(s *shop) { s.fails = 0.05 }, 12, 75, Errors},
		{"2 percent fail", fine, func(s *shop) { s.fails = 0.02 }, 6, 97, Errors},
		{"three times as many fail", shop{requests: 100, fails: 0.05, p99: 0.2, noise: 0.3}, func(s *shop) { s.fails = 0.15 }, 5, 99, Errors},
		{"all fail", fine, func(s *shop) { s.fails = 1 }, 5, 100, Errors},
		{"twice the latency, intervals alike", shop{requests: 100, p99: 0.2, noise: 0.3, swing: 0.5}, func(s *shop) { s.p99 *= 2 }, 11, 80, Latency},
		{"twice the latency in much noise", shop{requests: 100, p99: 0.2, noise: 0.6}, func(s *shop) { s.p99 *= 2 }, 14, 70, Latency},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var found []int
			for seed := range uint64(bakes) {
				was, is := tt.was, tt.was
				tt.worse(&is)
				was.rng = rand.New(rand.NewPCG(seed, 3))
				is.rng = rand.New(rand.NewPCG(seed, 4))
				at, v := bake(&was, &is)
				switch {
				case at == 0:
					at = 1000
				case !slices.Contains(v.Why, tt.reason):
					t.Fatalf("worse because of %v", v.Why)
				}
				found = append(found, at)
			}
			slices.Sort(found)
			middle, share := found[bakes/2], 100*slices.Index(append(found, 1000), 1000)/bakes
			t.Logf("found at look %d in the middle, in %d %% at all", middle, share)
			if middle > tt.middle || share < tt.share {
				t.Errorf("found at look %d in the middle (want %d), in %d %% at all (want %d)", middle, tt.middle, share, tt.share)
			}
		})
	}
}

func times(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }

func side(n int, fails, p99 float64) Side {
	return Side{Errors: times(n, fails), Latency: times(n, p99), Requests: float64(100 * n)}
}

func TestDecide(t *testing.T) {
	fine := side(20, 0.002, 0.2)
	for _, tt := range []struct {
		name string
		e    Evidence
		over bool
		want Kind
		why  []Reason
	}{
		{"alike", Evidence{Old: fine, New: fine}, true, Good, nil},
		{"alike, before the end", Evidence{Old: fine, New: fine}, false, Open, nil},
		{"better", Evidence{Old: side(20, 0.1, 0.9), New: fine}, true, Good, nil},
		{"worse, before the end", Evidence{Old: fine, New: side(5, 0.12, 0.2)}, false, Worse, []Reason{Errors}},
		{"slow, too few samples to be sure", Evidence{Old: side(5, 0.002, 0.15), New: side(5, 0.002, 0.6)}, true, Unsure, []Reason{Latency}},
		{"slow, too few samples, before the end", Evidence{Old: side(5, 0.002, 0.15), New: side(5, 0.002, 0.6)}, false, Open, nil},
		{"fails, too few samples, and in the log", Evidence{Old: side(5, 0.002, 0.15), New: side(5, 0.12, 0.15), Logs: []Note{{"boom", 9}}}, true, Unsure, []Reason{Errors, Logs}},
		{"too few samples", Evidence{Old: fine, New: side(4, 0.12, 0.2)}, false, Open, nil},
		{"an old version that nobody asked", Evidence{New: side(20, 0.12, 0.2)}, true, Quiet, nil},
		{"worse in both", Evidence{Old: fine, New: side(8, 0.12, 0.5)}, false, Worse, []Reason{Errors, Latency}},
		{"significant but small", Evidence{Old: side(50, 0.002, 0.2), New: side(50, 0.006, 0.22)}, true, Good, nil},
		{"half a percent of ten percent", Evidence{Old: side(50, 0.10, 0.2), New: side(50, 0.12, 0.2)}, true, Good, nil},
		{"three milliseconds", Evidence{Old: side(50, 0, 0.003), New: side(50, 0, 0.006)}, true, Good, nil},
		{"two of few requests", Evidence{Old: side(20, 0, 0.2), New: Side{Errors: times(20, 0.02), Requests: 60}}, true, Good, nil},
		{"restarts", Evidence{Old: fine, New: Side{Restarts: 2}}, false, Worse, []Reason{Restarts}},
		{"as many restarts as before", Evidence{Old: Side{Restarts: 3}, New: Side{Restarts: 4}}, true, Quiet, nil},
		{"new in the log", Evidence{Old: fine, New: fine, Logs: []Note{{"boom <*>", 40}, {"once", 1}}}, true, Doubtful, []Reason{Logs}},
		{"new in the log, before the end", Evidence{Old: fine, New: fine, Logs: []Note{{"boom <*>", 40}}}, false, Open, []Reason{Logs}},
		{"once in the log", Evidence{Old: fine, New: fine, Logs: []Note{{"once", 1}}}, true, Good, nil},
		{"new issue", Evidence{Old: fine, New: fine, Issues: []Note{{"TypeError", 9}}}, true, Doubtful, []Reason{Issues}},
		{"worse and in the log", Evidence{Old: fine, New: side(9, 0.5, 0.2), Logs: []Note{{"boom", 9}}}, false, Worse, []Reason{Errors, Logs}},
		{"nothing", Evidence{}, true, Quiet, nil},
		{"nothing to be had", Evidence{Missing: []string{"Prometheus does not answer."}}, true, Blind, nil},
		{"a worker that nobody sends requests", Evidence{Unseen: true}, false, Unseen, nil},
		{"a worker that restarts", Evidence{Unseen: true, New: Side{Restarts: 3}}, false, Worse, []Reason{Restarts}},
		{"latency of nobody", Evidence{Old: Side{Errors: times(20, 0), Requests: 900}, New: Side{Errors: times(20, 0), Requests: 900}}, true, Good, nil},
	} {
		v := Decide(tt.e, tt.over)
		if v.Kind != tt.want || !slices.Equal(v.Why, tt.why) {
			t.Errorf("%s: %q %v, want %q %v", tt.name, v.Kind, v.Why, tt.want, tt.why)
		}
	}
}

func TestRecovered(t *testing.T) {
	bad, slow, fine := side(20, 0.12, 0.2), side(20, 0.002, 0.9), side(5, 0.002, 0.2)
	normal := fine.Level()
	coming := side(6, 0.002, 0.2)
	coming.Errors[0], coming.Errors[1] = 0.12, 0.06
	for _, tt := range []struct {
		name   string
		e      Evidence
		normal Level
		over   bool
		want   Kind
	}{
		{"back", Evidence{Old: bad, New: fine}, normal, false, Back},
		{"back, nobody knows how it was", Evidence{Old: bad, New: fine}, Level{}, false, Back},
		{"back in a moment", Evidence{Old: bad, New: coming}, normal, false, Back},
		{"too early", Evidence{Old: bad, New: side(2, 0.002, 0.2)}, normal, false, Open},
		{"as bad, not over", Evidence{Old: bad, New: bad}, normal, false, Open},
		{"as bad", Evidence{Old: bad, New: bad}, normal, true, Still},
		{"quick again", Evidence{Old: slow, New: fine}, normal, false, Back},
		{"quick again, nobody knows how it was", Evidence{Old: slow, New: fine}, Level{}, false, Back},
		{"as slow", Evidence{Old: slow, New: slow}, normal, true, Still},
		{"nothing was wrong", Evidence{Old: fine, New: fine}, Level{}, false, Calm},
		{"nobody asks", Evidence{Old: bad}, normal, true, Quiet},
		{"nobody answers", Evidence{Old: bad, Missing: []string{"x"}}, normal, true, Blind},
		{"a worker", Evidence{Unseen: true}, Level{}, false, Unseen},
		{"worse than before", Evidence{Old: fine, New: bad}, Level{}, true, Still},
	} {
		if v := Recovered(tt.e, tt.normal, tt.over); v.Kind != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, v.Kind, tt.want)
		}
	}
	if v := Recovered(Evidence{Old: bad, New: coming}, normal, false); v.New.Errors > 0.003 {
		t.Errorf("it is said to fail %v of requests now", v.New.Errors)
	}
}

func TestInterval(t *testing.T) {
	for bake, want := range map[time.Duration]time.Duration{
		5 * time.Minute: 15 * time.Second, 20 * time.Second: time.Second, 5 * time.Second: time.Second, time.Hour: 30 * time.Second,
	} {
		if got := Interval(bake); got != want {
			t.Errorf("%v: %v, want %v", bake, got, want)
		}
	}
}
