package model

import (
	"math"
	"time"
)

// Load is how busy the shop is at a moment, as a share of the busiest time of an
// ordinary day. It depends on nothing but the moment and the seed: a day has a
// quiet night, a bump at noon and its top in the evening; weekends are busier;
// slow waves of several lengths make no two days alike.
func Load(t time.Time, seed uint64) float64 {
	u := t.UTC()
	hour := float64(u.Hour()) + float64(u.Minute())/60 + float64(u.Second())/3600
	bump := func(at, wide float64) float64 {
		d := math.Abs(hour - at)
		d = min(d, 24-d)
		return math.Exp(-d * d / (2 * wide * wide))
	}
	day := .50 + .22*bump(12.5, 2.6) + .47*bump(19.5, 3.2)
	if w := u.Weekday(); w == time.Saturday || w == time.Sunday {
		day *= 1.12
	}
	waves := 0.0
	seconds := float64(u.Unix())
	for i, period := range []float64{5407, 1709, 613, 191} {
		phase := float64(mix(seed+uint64(i))%1000) / 1000 * 2 * math.Pi
		waves += math.Sin(2*math.Pi*seconds/period+phase) * []float64{.03, .025, .02, .015}[i]
	}
	return day * (1 + waves)
}

// mix spreads the bits of a number (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
