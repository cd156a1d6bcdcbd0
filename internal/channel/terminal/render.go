package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// style is how text is shown.
type style struct {
	width int // columns to cut tables to; 0 cuts nothing
	color bool
}

// The colours; sparingly used: good, bad, beside the point.
const (
	red   = "31"
	green = "32"
	dim   = "2"
)

// paint colours one line; the code "" leaves it as it is.
func (s style) paint(code, line string) string {
	if !s.color || code == "" || line == "" {
		return line
	}
	return "\x1b[" + code + "m" + line + "\x1b[0m"
}

// sanitize takes out what a terminal would obey: control characters other than
// new line and tab, and changes of the direction of writing.
func sanitize(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && hidden(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

// escapeJSON writes the same characters the way JSON does, where the encoder
// leaves them as they are; outside of strings JSON has none of them.
func escapeJSON(b []byte) string {
	var out strings.Builder
	for _, r := range string(b) {
		if hidden(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// oneLine is text in a single harmless line, cut to a width that is not 0.
func oneLine(s string, width int) string {
	return cut(strings.Join(strings.Fields(sanitize(s)), " "), width)
}

// cut shortens a line to a width that is not 0.
func cut(line string, width int) string {
	if width <= 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width-1]) + "…"
}

// render is a reply as lines of text.
func render(r dialogue.Reply, s style) string {
	var b strings.Builder
	text := r.Text
	if text == "" {
		text = r.Speech
	}
	first, rest, several := strings.Cut(sanitize(strings.TrimRight(text, "\n")), "\n")
	b.WriteString(s.paint(mood(r), first) + "\n")
	if several {
		b.WriteString(rest + "\n")
	}
	for _, blk := range r.Blocks {
		b.WriteString(renderBlock(blk, s))
	}
	if r.Expect == dialogue.ExpectConfirm {
		return b.String() // the question has said what else may be answered
	}
	for i, c := range r.Choices {
		fmt.Fprintf(&b, "  %d. %s\n", i+1, oneLine(c, 0))
	}
	return b.String()
}

// mood is the colour of a reply's first line.
func mood(r dialogue.Reply) string {
	switch {
	case r.Outcome == dialogue.OutcomeFailed, r.Outcome == dialogue.OutcomeRolledBack, r.Fault != "":
		return red
	case r.Outcome == dialogue.OutcomeDone:
		return green
	}
	return ""
}

func renderBlock(blk dialogue.Block, s style) string {
	if blk.Chart != nil && blk.Chart.Kind != "line" {
		return "" // its numbers stand in a table beside
	}
	var b strings.Builder
	if blk.Title != "" {
		b.WriteString(s.paint(dim, oneLine(blk.Title, s.width)) + "\n")
	}
	switch blk.Type {
	case "table":
		b.WriteString(renderTable(blk, s))
	case "chart":
		b.WriteString(renderChart(blk, s))
	default:
		for line := range strings.SplitSeq(strings.TrimRight(sanitize(blk.Text), "\n"), "\n") {
			if blk.Type == "diff" {
				line = s.paint(diffColor(line), line)
			}
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

func diffColor(line string) string {
	switch {
	case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"), strings.HasPrefix(line, "@@"):
		return dim
	case strings.HasPrefix(line, "+"):
		return green
	case strings.HasPrefix(line, "-"):
		return red
	}
	return ""
}

// renderTable aligns the columns, two spaces apart.
func renderTable(blk dialogue.Block, s style) string {
	var rows [][]string
	if len(blk.Columns) > 0 {
		rows = append(rows, blk.Columns)
	}
	rows = append(rows, blk.Rows...)
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(oneLine(cell, 0)))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&line, "%-*s", widths[i]+2, oneLine(cell, 0))
		}
		shown := cut(strings.TrimRight(line.String(), " "), s.width)
		if n == 0 && len(blk.Columns) > 0 {
			shown = s.paint(dim, shown)
		}
		b.WriteString(shown + "\n")
	}
	return b.String()
}

// renderChart draws lines over time as a row of blocks each.
func renderChart(blk dialogue.Block, s style) string {
	if blk.Chart == nil {
		return ""
	}
	const width = 48
	high, named := 0.0, 0
	for _, line := range blk.Chart.Series {
		named = max(named, utf8.RuneCountInString(oneLine(line.Name, 24)))
		for _, p := range line.Points {
			high = max(high, p.Value)
		}
	}
	var b strings.Builder
	for _, line := range blk.Chart.Series {
		n := len(line.Points)
		if n == 0 {
			continue
		}
		var row strings.Builder
		for i := range min(width, n) {
			// The highest of what falls into one place: a peak is not to be lost.
			v := 0.0
			for _, p := range line.Points[i*n/min(width, n) : (i+1)*n/min(width, n)] {
				v = max(v, p.Value)
			}
			level := 0
			if high > 0 {
				level = int(v / high * 7)
			}
			row.WriteRune([]rune("▁▂▃▄▅▆▇█")[max(0, min(level, 7))])
		}
		shown := fmt.Sprintf("%-*s %s %s", named, oneLine(line.Name, 24), row.String(), blk.Chart.Unit.Text(line.Points[n-1].Value))
		b.WriteString(cut(shown, s.width) + "\n")
	}
	return b.String()
}
