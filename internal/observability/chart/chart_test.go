package chart

import (
	"bytes"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

var evening = time.Date(2026, 11, 20, 18, 4, 0, 0, time.UTC)

func line(name string, unit observability.Unit, length, step time.Duration, f func(x float64) float64) observability.Series {
	s := observability.Series{Name: name, Unit: unit}
	for d := time.Duration(0); d <= length; d += step {
		s.Points = append(s.Points, observability.Point{At: evening.Add(d - length), Value: f(d.Seconds() / length.Seconds())})
	}
	return s
}

func wave(base, amp, n float64) func(float64) float64 {
	return func(x float64) float64 { return base + amp*math.Sin(x*n) + amp/4*math.Sin(x*n*13.7+1) }
}

// pictures are one chart of each kind.
func pictures() map[string]observability.Chart {
	slow := func(x float64) float64 {
		v := 0.19 + 0.02*math.Sin(x*40)
		if x > 0.7 {
			v += 0.65 * (1 - math.Exp(-(x-0.7)*18))
		}
		return v
	}
	gap := line("cart", observability.PerSecond, time.Hour, 15*time.Second, wave(40, 6, 9))
	gap.Points = append(gap.Points[:100], gap.Points[140:]...)
	var bars []observability.Series
	for i, n := range []string{"checkout-6c5b4d8f9-bcdfg", "payments-7d9f8b6c5-hjklm", "recommendations-engine-with-a-long-name-7d9f8b6c5-vwxzz", "cart-5f6d7c8b9-2x4kq", "web-0"} {
		bars = append(bars, observability.Series{Name: n, Unit: observability.Bytes, Points: []observability.Point{{At: evening, Value: 1.7e9 / float64(i+1)}}})
	}
	return map[string]observability.Chart{
		"one": {Title: "checkout: latency, p99", Kind: observability.Lines, Unit: observability.Seconds,
			Series: []observability.Series{line("checkout", observability.Seconds, time.Hour, 15*time.Second, slow)},
			Marks:  []observability.Mark{{At: evening.Add(-19 * time.Minute), Until: evening.Add(-16 * time.Minute), Label: "v1.4.2"}}},
		"compare": {Title: "checkout: latency, p99", Kind: observability.Lines, Unit: observability.Seconds,
			Series:  []observability.Series{line("now", observability.Seconds, time.Hour, 15*time.Second, slow)},
			Earlier: []observability.Series{line("an hour before", observability.Seconds, time.Hour, 15*time.Second, wave(0.21, 0.02, 25)), line("a week before", observability.Seconds, time.Hour, 15*time.Second, wave(0.17, 0.015, 21))},
			Marks:   []observability.Mark{{At: evening.Add(-19 * time.Minute), Label: "v1.4.2"}}},
		"several": {Title: "shop: memory by pod", Kind: observability.Lines, Unit: observability.Bytes, Series: []observability.Series{
			line("checkout-6c5b4d8f9-bcdfg", observability.Bytes, 26*time.Hour, 5*time.Minute, wave(3.1e8, 2e7, 6)),
			line("checkout-6c5b4d8f9-hjklm", observability.Bytes, 26*time.Hour, 5*time.Minute, wave(2.6e8, 2e7, 7)),
			line("payments-7d9f8b6c5-vwxzz", observability.Bytes, 26*time.Hour, 5*time.Minute, func(x float64) float64 { return 1e8 + 2.2e8*x }),
		}},
		"gap":   {Title: "cart: requests", Kind: observability.Lines, Unit: observability.PerSecond, Series: []observability.Series{gap}},
		"bars":  {Title: "memory: the first 5 pods", Kind: observability.Bars, Unit: observability.Bytes, Series: bars},
		"empty": {Title: "nothing", Kind: observability.Lines, Unit: observability.Ratio},
		"flat":  {Title: "checkout: error rate", Kind: observability.Lines, Unit: observability.Ratio, Series: []observability.Series{line("checkout", observability.Ratio, time.Hour, time.Minute, func(float64) float64 { return 0 })}},
	}
}

// TestPictures holds that each kind is drawn, light and dark, is large enough for
// a phone, not empty, and small enough to be sent. With CHART_DIR they are kept to
// be looked at.
func TestPictures(t *testing.T) {
	p := NewPainter()
	for name, c := range pictures() {
		for _, dark := range []bool{false, true} {
			var b bytes.Buffer
			start := time.Now()
			if err := p.PNG(&b, c, Options{Dark: dark}); err != nil {
				t.Fatal(err)
			}
			size, took := b.Len(), time.Since(start)
			if dir := os.Getenv("CHART_DIR"); dir != "" {
				file := name + map[bool]string{true: "-dark", false: "-light"}[dark] + ".png"
				if err := os.WriteFile(filepath.Join(dir, file), b.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Logf("%s: %d bytes, %v", file, size, took)
			}
			img, err := png.Decode(&b)
			if err != nil {
				t.Fatal(err)
			}
			if img.Bounds().Dx() < 1000 || size > 150<<10 {
				t.Errorf("%s is %v, %d bytes", name, img.Bounds(), size)
			}
			seen := map[[3]uint32]bool{}
			for x := range img.Bounds().Dx() {
				for y := 0; y < img.Bounds().Dy(); y += 2 {
					r, g, b, _ := img.At(x, y).RGBA()
					seen[[3]uint32{r >> 8, g >> 8, b >> 8}] = true
				}
			}
			th := themeOf(dark)
			has := func(c interface {
				RGBA() (r, g, b, a uint32)
			}) bool {
				r, g, b, _ := c.RGBA()
				return seen[[3]uint32{r >> 8, g >> 8, b >> 8}]
			}
			if !has(th.back) || !has(th.ink) || len(c.Series) > 0 && !has(th.lines[0]) || len(c.Marks) > 0 && !has(th.mark) || len(c.Series) > 2 && c.Kind == observability.Lines && !has(th.lines[2]) {
				t.Errorf("%s, dark %v: the background, the text, a line or a mark is not there", name, dark)
			}
		}
	}
}

func TestTicks(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	for _, tt := range []struct {
		from   time.Time
		length time.Duration
		want   string
	}{
		{evening, time.Hour, "19:10 19:20 19:30 19:40 19:50 20:00"},
		{evening, 10 * time.Minute, "19:04 19:06 19:08 19:10 19:12 19:14"},
		{evening, 24 * time.Hour, "Nov 21 06:00 12:00 18:00"},
		{evening, 7 * 24 * time.Hour, "Nov 22 Nov 24 Nov 26"},
		{evening, time.Minute, "19:04:00 19:04:10 19:04:20 19:04:30 19:04:40 19:04:50 19:05:00"},
		// The day that summer time ends has 25 hours.
		{time.Date(2026, 10, 24, 20, 0, 0, 0, berlin), 36 * time.Hour, "Oct 25 06:00 12:00 18:00 Oct 26 06:00"},
	} {
		var got []string
		for _, k := range timeTicks(float64(tt.from.Unix()), float64(tt.from.Add(tt.length).Unix()), berlin) {
			got = append(got, k.label)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%v: %s, want %s", tt.length, s, tt.want)
		}
	}
	for _, tt := range []struct {
		high float64
		unit observability.Unit
		want string
	}{
		{0.9, observability.Seconds, "0 200 ms 400 ms 600 ms 800 ms"},
		{3.2, observability.Seconds, "0 1 s 2 s 3 s"},
		{0.031, observability.Ratio, "0 1 % 2 % 3 %"},
		{3 << 30, observability.Bytes, "0 1 GiB 2 GiB 3 GiB"},
		{2.5, observability.Count, "0 1 2"},
		{0.06, observability.Cores, "0 20 m 40 m 60 m"},
		{1234, observability.PerSecond, "0 500 /s 1000 /s"},
	} {
		var got []string
		for _, k := range valueTicks(tt.high, tt.unit) {
			got = append(got, k.label)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%v %s: %s, want %s", tt.high, tt.unit, s, tt.want)
		}
	}
}
