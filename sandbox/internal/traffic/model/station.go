package model

import "math"

// station is something of which there is a fixed number, with a queue before it:
// workers, connections, the CPU. What it was asked for in the last step says how
// long a request of this step waits.
type station struct {
	servers float64
	busy    float64 // ratio of the servers that are asked for; may be over 1
	backlog float64 // requests that wait because more came than could be served
	hold    float64 // seconds that a request keeps a server

	wait, chance float64 // mean wait of who waits, and the chance to
}

// full is the utilisation from which a queue is followed over time: below it, it
// is in balance at once.
const full = .96

// settle takes what the last dt seconds asked for: n requests that each held a
// server for hold seconds. limit is how many may wait.
func (s *station) settle(n, hold, dt float64, limit float64) {
	s.hold = hold
	if s.servers <= 0 { // all taken for good
		s.busy, s.backlog, s.wait, s.chance = 1, limit, math.Inf(1), 1
		return
	}
	if n <= 0 || hold <= 0 || dt <= 0 {
		s.busy, s.backlog, s.wait, s.chance = 0, 0, 0, 0
		return
	}
	rate, capacity := n/dt, s.servers/hold
	s.busy = rate / capacity
	s.backlog = min(max(0, s.backlog+(rate-capacity)*dt), limit)
	r := min(s.busy, full)
	// Sakasegawa's approximation for M/M/c.
	root := math.Sqrt(2 * (s.servers + 1))
	s.chance = math.Pow(r, root-1)
	mean := s.chance / (s.servers * (1 - r)) * hold
	if s.backlog > 0 {
		s.chance = 1
		mean += s.backlog / capacity
	}
	s.wait = 0
	if s.chance > 0 {
		s.wait = mean / s.chance
	}
}

// draw is how long this request waits.
func (s *station) draw(r *rng) float64 {
	if s.chance <= 0 || r.Float64() >= s.chance {
		return 0
	}
	if math.IsInf(s.wait, 1) {
		return s.wait
	}
	if s.backlog > 0 { // everybody waits for about as long
		return s.wait * (.8 + .4*r.Float64())
	}
	return r.ExpFloat64() * s.wait
}

// inUse is how many servers are taken.
func (s *station) inUse() float64 { return min(s.busy, 1) * s.servers }
