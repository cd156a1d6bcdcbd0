package chart

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// frame is where the data is drawn, and what is at its borders.
type frame struct {
	left, right, bottom, top vg.Length
	from, to                 float64 // seconds
	high                     float64 // the low end is 0
}

func (f frame) x(at time.Time) vg.Length {
	s := float64(at.UnixMilli()) / 1000
	return f.left + (f.right-f.left)*vg.Length((s-f.from)/(f.to-f.from))
}

func (f frame) y(v float64) vg.Length {
	return f.bottom + (f.top-f.bottom)*vg.Length(v/f.high)
}

// lines draws series over time.
func (d *drawing) lines(c observability.Chart) {
	shown := c.Series[:min(len(c.Series), mostLines)]
	earlier := c.Earlier[:min(len(c.Earlier), 3)]
	var legend []entry
	style := func(i int) draw.LineStyle {
		return draw.LineStyle{Color: d.th.lines[i%len(d.th.lines)], Width: 1.7}
	}
	before := func(i int) draw.LineStyle {
		return draw.LineStyle{Color: under(d.th.faint, d.th.back, []float64{1, 0.8, 0.6}[i%3]), Width: 1.2, Dashes: [][]vg.Length{{5, 2.5}, {1.5, 1.5}, {6, 2, 1.5, 2}}[i%3]}
	}
	for i, s := range shown {
		legend = append(legend, entry{s.Name, style(i)})
	}
	for i, s := range earlier {
		legend = append(legend, entry{s.Name, before(i)})
	}
	if more := len(c.Series) - len(shown); more > 0 {
		legend = append(legend, entry{name: fmt.Sprintf("and %d more", more)})
	}
	if len(legend) > 1 {
		d.legend(legend)
	}
	f := frame{right: width - margin - 4, bottom: margin + 13, top: d.top - 6, from: math.Inf(1), to: math.Inf(-1)}
	if len(c.Marks) > 0 {
		f.top -= 10 // their names stand above the data
	}
	for _, s := range slices.Concat(shown, earlier) {
		for _, p := range s.Points {
			at := float64(p.At.UnixMilli()) / 1000
			f.from, f.to, f.high = min(f.from, at), max(f.to, at), max(f.high, p.Value)
		}
	}
	if math.IsInf(f.from, 0) {
		sty := d.style(10, d.th.faint, false)
		sty.XAlign = draw.XCenter
		d.FillText(sty, vg.Point{X: width / 2, Y: d.top / 2}, "no data")
		return
	}
	if f.to-f.from < 1 {
		f.from, f.to = f.from-30, f.to+30
	}
	d.axes(&f, c.Unit)
	for _, m := range c.Marks {
		d.band(f, m)
	}
	if len(shown) == 1 {
		for _, run := range d.runs(f, shown[0]) {
			if len(run) > 1 {
				area := append(slices.Clone(run), vg.Point{X: run[len(run)-1].X, Y: f.bottom}, vg.Point{X: run[0].X, Y: f.bottom})
				d.FillPolygon(under(d.th.lines[0], d.th.back, 0.13), area)
			}
		}
		d.grid(f, c.Unit, false)
	}
	for i, s := range earlier {
		for _, run := range d.runs(f, s) {
			d.StrokeLines(before(i), run)
		}
	}
	for i, s := range slices.Backward(shown) { // the first is on top
		for _, run := range d.runs(f, s) {
			d.StrokeLines(style(i), run)
			if len(run) == 1 {
				d.dot(run[0], style(i))
			}
		}
		if n := len(s.Points); n > 0 {
			d.dot(vg.Point{X: f.x(s.Points[n-1].At), Y: f.y(s.Points[n-1].Value)}, style(i))
		}
	}
	for _, m := range c.Marks {
		d.mark(f, m)
	}
}

func (d *drawing) dot(at vg.Point, s draw.LineStyle) {
	d.DrawGlyphNoClip(draw.GlyphStyle{Color: s.Color, Radius: 2.6, Shape: draw.CircleGlyph{}}, at)
}

// runs are the parts of a line between gaps.
func (d *drawing) runs(f frame, s observability.Series) (out [][]vg.Point) {
	points := s.Points
	if len(points) > most {
		points = points[len(points)-most:]
	}
	var gaps []time.Duration
	for i := 1; i < len(points); i++ {
		gaps = append(gaps, points[i].At.Sub(points[i-1].At))
	}
	slices.Sort(gaps)
	usual := time.Duration(math.MaxInt64)
	if len(gaps) > 0 && gaps[len(gaps)/2] < usual/4 {
		usual = gaps[len(gaps)/2] * 5 / 2
	}
	var run []vg.Point
	for i, p := range points {
		if i > 0 && p.At.Sub(points[i-1].At) > usual {
			out, run = append(out, run), nil
		}
		run = append(run, vg.Point{X: f.x(p.At), Y: f.y(max(0, p.Value))})
	}
	return append(out, run)
}

// axes finds room for the numbers and writes them.
func (d *drawing) axes(f *frame, unit observability.Unit) {
	f.high = max(f.high*1.06, 1e-12)
	if unit == observability.Ratio {
		f.high = max(f.high, 0.01)
	}
	if unit == observability.Count {
		f.high = max(f.high, 2)
	}
	sty := d.style(8.5, d.th.faint, false)
	widest := vg.Length(0)
	for _, t := range valueTicks(f.high, unit) {
		widest = max(widest, sty.Width(t.label))
	}
	f.left = margin + widest + 5
	d.grid(*f, unit, true)
	sty.XAlign = draw.XCenter
	for _, t := range timeTicks(f.from, f.to, d.loc) {
		x := f.left + (f.right-f.left)*vg.Length((t.value-f.from)/(f.to-f.from))
		d.StrokeLine2(draw.LineStyle{Color: d.th.faint, Width: 0.6}, x, f.bottom, x, f.bottom-3)
		if w := sty.Width(t.label) / 2; x-w > 2 && x+w < width-2 {
			d.FillText(sty, vg.Point{X: x, Y: f.bottom - 10}, t.label)
		}
	}
}

// grid draws the horizontal lines, with their values where they are wanted.
func (d *drawing) grid(f frame, unit observability.Unit, labels bool) {
	sty := d.style(8.5, d.th.faint, false)
	sty.XAlign = draw.XRight
	for _, t := range valueTicks(f.high, unit) {
		line := draw.LineStyle{Color: d.th.grid, Width: 0.7}
		if t.value == 0 {
			line.Color = d.th.faint
		}
		d.StrokeLine2(line, f.left, f.y(t.value), f.right, f.y(t.value))
		if labels {
			d.FillText(sty, vg.Point{X: f.left - 5, Y: f.y(t.value) + 0.8}, t.label)
		}
	}
}

// band shades while something lasted.
func (d *drawing) band(f frame, m observability.Mark) {
	if m.Until.IsZero() {
		return
	}
	x0, x1 := max(f.x(m.At), f.left), min(f.x(m.Until), f.right)
	if x1 > x0 {
		d.FillPolygon(under(d.th.mark, d.th.back, 0.14), rectangle(x0, f.bottom, max(x1, x0+1.5), f.top))
	}
}

// mark draws when something happened, with its name beside it.
func (d *drawing) mark(f frame, m observability.Mark) {
	x := f.x(m.At)
	if x < f.left || x > f.right {
		return
	}
	d.StrokeLine2(draw.LineStyle{Color: d.th.mark, Width: 1.1, Dashes: []vg.Length{3.5, 2.5}}, x, f.bottom, x, f.top+10)
	sty := d.style(8.5, d.th.mark, true)
	label := fit(m.Label, sty, (f.right-f.left)/2)
	w, at := sty.Width(label), x+4
	if at+w > f.right {
		at = x - 4 - w
	}
	d.FillText(sty, vg.Point{X: at, Y: f.top + 7}, label)
}

// mostTicks bounds what a chart of thousands of years would take.
const mostTicks = 100

type tick struct {
	value float64
	label string
}

// valueTicks are about four round values from 0 to high, in one unit.
func valueTicks(high float64, unit observability.Unit) (out []tick) {
	by, name := unit.Scale(high)
	top := high * by
	step := math.Pow(10, math.Floor(math.Log10(top/4)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if m*step >= top/4.5 {
			step *= m
			break
		}
	}
	if unit == observability.Count {
		step = max(1, math.Round(step))
	}
	for i := 0; float64(i)*step <= top*1.0001; i++ {
		label := observability.Digits(float64(i) * step)
		if i > 0 && name != "" {
			label += " " + name
		}
		out = append(out, tick{float64(i) * step / by, strings.TrimSuffix(label, " cores")})
	}
	return out
}

// timeTicks are at most six round local times.
func timeTicks(from, to float64, loc *time.Location) (out []tick) {
	step := 7 * 24 * time.Hour
	for _, s := range []time.Duration{
		10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 2 * 24 * time.Hour,
	} {
		if (to-from)/s.Seconds() <= 6 {
			step = s
			break
		}
	}
	for range 10 { // a chart of years
		if (to-from)/step.Seconds() > 6 && step > 24*time.Hour {
			step *= 2
		}
	}
	y, m, day := time.Unix(int64(from), 0).In(loc).Date()
	for i := 0; ; i++ {
		// By the clock on the wall: not all days have 24 hours.
		at := time.Date(y, m, day, 0, 0, int(step.Seconds())*i, 0, loc)
		if step >= time.Hour {
			at = time.Date(y, m, day, int(step.Hours())*i, 0, 0, 0, loc)
		}
		if at.After(time.Unix(int64(to), 0)) || len(out) >= mostTicks {
			return out
		}
		if float64(at.Unix()) < from {
			continue
		}
		form := "15:04"
		switch h, mi, s := at.Clock(); {
		case h+mi+s == 0:
			form = "Jan 2"
		case step < time.Minute:
			form = "15:04:05"
		}
		out = append(out, tick{float64(at.Unix()), at.Format(form)})
	}
}
