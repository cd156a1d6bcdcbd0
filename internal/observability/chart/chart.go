// Package chart draws charts as PNG, light and dark, to be read on a phone.
//
// It draws with gonum/plot's canvas and fonts, which look best of the Go
// libraries that were compared; its axes and legends lie over the data, so those
// are set here.
package chart

import (
	"image/color"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// Options are how a chart is drawn.
type Options struct {
	Dark     bool
	Location *time.Location // of the times; nil is UTC
}

// Painter draws charts; it keeps the fonts. It is safe for concurrent use.
type Painter struct{ text text.Handler }

// NewPainter loads the fonts.
func NewPainter() *Painter {
	return &Painter{text.Plain{Fonts: font.NewCache(liberation.Collection())}}
}

const (
	width     = 5.4 * vg.Inch
	height    = 3.3 * vg.Inch
	dpi       = 220
	margin    = 11
	mostLines = 8
	mostBars  = 12
	most      = 3000 // points of a line; nobody sees more
)

type theme struct {
	back, ink, faint, grid, mark color.RGBA
	lines                        []color.RGBA
}

func hex(v uint32) color.RGBA {
	return color.RGBA{R: uint8(v >> 16 & 0xff), G: uint8(v >> 8 & 0xff), B: uint8(v & 0xff), A: 255}
}

func hexes(all ...uint32) (out []color.RGBA) {
	for _, v := range all {
		out = append(out, hex(v))
	}
	return out
}

// themeOf gives colours that differ in lightness too, for those who do not see
// them all.
func themeOf(dark bool) theme {
	if dark {
		return theme{hex(0x1e1f22), hex(0xe8eaed), hex(0x9ba3ad), hex(0x34373c), hex(0xff7b72), hexes(0x58a6ff, 0xf2a33c, 0x4cc38a, 0xc297ff, 0xff8b81, 0x5fd3d8, 0xe6d265, 0xf08bc3)}
	}
	return theme{hex(0xffffff), hex(0x1b1f24), hex(0x5b6570), hex(0xe4e7ea), hex(0xcf222e), hexes(0x1f6feb, 0xc9630a, 0x18794e, 0x7c3fd6, 0xb3261e, 0x0b7a83, 0x8a6d00, 0xb02a78)}
}

// under is a colour lying thinly over another.
func under(c, back color.RGBA, part float64) color.RGBA {
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*part + float64(b)*(1-part))) }
	return color.RGBA{mix(c.R, back.R), mix(c.G, back.G), mix(c.B, back.B), 255}
}

// PNG writes a chart.
func (p *Painter) PNG(w io.Writer, c observability.Chart, o Options) error {
	if o.Location == nil {
		o.Location = time.UTC
	}
	h := height
	if c.Kind == observability.Bars {
		h = vg.Length(30+24*max(1, min(len(c.Series), mostBars))) + 2*margin
	}
	img := vgimg.NewWith(vgimg.UseWH(width, h), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(themeOf(o.Dark).back))
	d := &drawing{Canvas: draw.New(img), text: p.text, th: themeOf(o.Dark), loc: o.Location, top: h - margin}
	d.title(c.Title)
	if c.Kind == observability.Bars {
		d.bars(c)
	} else {
		d.lines(c)
	}
	_, err := vgimg.PngCanvas{Canvas: img}.WriteTo(w)
	return err
}

// drawing is a chart being drawn, from the top down.
type drawing struct {
	draw.Canvas
	text text.Handler
	th   theme
	loc  *time.Location
	top  vg.Length // what is above is taken
}

func (d *drawing) style(size vg.Length, c color.Color, bold bool) draw.TextStyle {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = 3 // bold, by the numbers of golang.org/x/image/font
	}
	return draw.TextStyle{Color: c, Font: f, Handler: d.text, YAlign: draw.YCenter}
}

// fit shortens text in its middle, where names of pods differ least.
func fit(s string, sty draw.TextStyle, room vg.Length) string {
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "")
	}
	r := []rune(s)
	for n := len(r); sty.Width(s) > room && n > 6; {
		n--
		s = string(r[:n/2]) + "…" + string(r[len(r)-n/2:])
	}
	return s
}

func (d *drawing) title(s string) {
	sty := d.style(11.5, d.th.ink, true)
	d.FillText(sty, vg.Point{X: margin, Y: d.top - 7}, fit(s, sty, width-2*margin))
	d.top -= 19
}

// entry is a line of the legend.
type entry struct {
	name string
	draw.LineStyle
}

// legend writes what the lines are, in as many rows as it takes.
func (d *drawing) legend(all []entry) {
	sty := d.style(8.5, d.th.faint, false)
	x, y := vg.Length(margin), d.top-5
	for _, e := range all {
		name := fit(e.name, sty, width/2)
		w := sty.Width(name) + 19
		if x+w > width-margin && x > margin {
			x, y = margin, y-12
		}
		d.StrokeLine2(e.LineStyle, x, y, x+12, y)
		d.FillText(sty, vg.Point{X: x + 15, Y: y}, name)
		x += w + 10
	}
	d.top = y - 9
}

func rectangle(x0, y0, x1, y1 vg.Length) []vg.Point {
	return []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}}
}

// bars draws a bar for each series, its name above it and its value at its end.
func (d *drawing) bars(c observability.Chart) {
	largest := 0.0
	all := slices.DeleteFunc(slices.Clone(c.Series), func(s observability.Series) bool { return len(s.Points) == 0 })
	for _, s := range all {
		largest = max(largest, s.Points[len(s.Points)-1].Value)
	}
	name, value := d.style(8.5, d.th.ink, false), d.style(8.5, d.th.ink, true)
	value.XAlign = draw.XRight
	y := d.top - 2
	for _, s := range all[:min(len(all), mostBars)] {
		v := s.Points[len(s.Points)-1].Value
		written := c.Unit.Text(v)
		d.FillText(name, vg.Point{X: margin, Y: y - 5}, fit(s.Name, name, width-2*margin-value.Width(written)-8))
		d.FillText(value, vg.Point{X: width - margin, Y: y - 5}, written)
		d.FillPolygon(d.th.grid, rectangle(margin, y-18, width-margin, y-12.5))
		if largest > 0 && v > 0 {
			d.FillPolygon(d.th.lines[0], rectangle(margin, y-18, margin+(width-2*margin)*vg.Length(v/largest), y-12.5))
		}
		y -= 24
	}
}
