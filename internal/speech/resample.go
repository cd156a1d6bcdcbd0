package speech

import "math"

// taps is how far to each side a sample looks, in samples of the lower rate.
const taps = 12

// resample changes the rate by a windowed sinc: the usual way, and good enough that
// what is heard of a telephone's band is all there.
func resample(in []int16, from, to int) []int16 {
	n := int(int64(len(in)) * int64(to) / int64(from))
	out := make([]int16, n)
	ratio := float64(from) / float64(to)
	cutoff := math.Min(1, 1/ratio) * 0.95
	reach := float64(taps) / cutoff
	for i := range out {
		at := float64(i) * ratio
		sum, weight := 0.0, 0.0
		for k := int(math.Ceil(at - reach)); float64(k) <= at+reach; k++ {
			if k < 0 || k >= len(in) {
				continue
			}
			d := float64(k) - at
			w := cutoff * sinc(cutoff*d) * (0.5 + 0.5*math.Cos(math.Pi*d/reach))
			sum += w * float64(in[k])
			weight += w
		}
		if weight > 0 {
			sum /= weight
		}
		out[i] = int16(math.Max(math.MinInt16, math.Min(math.MaxInt16, math.Round(sum))))
	}
	return out
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// The band of a telephone, in hertz.
const (
	bandLow  = 300
	bandHigh = 3400
)

// Telephone is the sound as a telephone's band lets it through.
func (p PCM) Telephone() PCM {
	if p.Rate < 2*bandHigh {
		return p
	}
	const reach = 200 // samples to each side: some 80 Hz of slope
	kernel := make([]float64, 2*reach+1)
	for i := range kernel {
		d := float64(i - reach)
		high, low := 2*bandHigh/float64(p.Rate), 2*bandLow/float64(p.Rate)
		kernel[i] = (high*sinc(high*d) - low*sinc(low*d)) * (0.5 + 0.5*math.Cos(math.Pi*d/(reach+1)))
	}
	out := PCM{Rate: p.Rate, Samples: make([]int16, len(p.Samples))}
	for i := range out.Samples {
		sum := 0.0
		for k, w := range kernel {
			if at := i + k - reach; at >= 0 && at < len(p.Samples) {
				sum += w * float64(p.Samples[at])
			}
		}
		out.Samples[i] = int16(math.Max(math.MinInt16, math.Min(math.MaxInt16, math.Round(sum))))
	}
	return out
}
