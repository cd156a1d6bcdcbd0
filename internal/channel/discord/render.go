package discord

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// Discord's limits, and how much of them is used.
const (
	maxContent   = 2000
	maxLabel     = 80
	maxOption    = 100
	maxCustomID  = 100
	maxRow       = 5
	maxOptions   = 25
	maxFiles     = 10
	maxFileBytes = 8 << 20

	// mostText is how much of the words are shown, mostBlock how much of one block; the
	// whole is a file then.
	mostText  = 1500
	mostBlock = 900
	leastRoom = 80 // for a block to be begun
)

// Flags of messages.
const (
	flagSuppressEmbeds = 1 << 2
	flagEphemeral      = 1 << 6
	flagVoice          = 1 << 13
)

// mentionsAllowed is who may be called by a message: nobody whom its text names.
type mentionsAllowed struct {
	Parse []string `json:"parse"`
	Users []string `json:"users,omitempty"`
}

// body is a message as it is sent.
type body struct {
	Content     string          `json:"content"`
	Components  []any           `json:"components"`
	Allowed     mentionsAllowed `json:"allowed_mentions"`
	Flags       int             `json:"flags,omitempty"`
	Attachments []attached      `json:"attachments"`
	Reference   *reference      `json:"message_reference,omitempty"`
	Nonce       string          `json:"nonce,omitempty"`
	Enforce     bool            `json:"enforce_nonce,omitempty"`
}

type attached struct {
	ID          string  `json:"id"` // the number of the file, as text
	Filename    string  `json:"filename"`
	Description string  `json:"description,omitempty"`
	Seconds     float64 `json:"duration_secs,omitempty"`
	Waveform    string  `json:"waveform,omitempty"`
}

type reference struct {
	MessageID string `json:"message_id"`
	OrFail    bool   `json:"fail_if_not_exists"`
}

// file is a file of a message.
type file struct {
	name, kind, about string
	data              []byte
}

type row struct {
	Type       int   `json:"type"`
	Components []any `json:"components"`
}

type button struct {
	Type  int    `json:"type"`
	Style int    `json:"style"`
	Label string `json:"label"`
	ID    string `json:"custom_id"`
}

type menu struct {
	Type        int          `json:"type"`
	ID          string       `json:"custom_id"`
	Placeholder string       `json:"placeholder"`
	Options     []menuOption `json:"options"`
}

type menuOption struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// menuID is the custom id of a menu; what is chosen is in the value.
const menuID = "choose"

// painter draws charts; *chart.Painter is one.
type painter func(c observability.Chart) ([]byte, error)

// render makes a message of what is to be said. What does not fit is in files; lead
// stands before it, and is markdown already. A chart that cannot be drawn is left out and
// reported.
func render(m chat.Message, lead string, paint painter) (body, []file, error) {
	var content strings.Builder
	var files []file
	var failed error
	attach := func(f file) bool {
		if len(files) == maxFiles || len(f.data) > maxFileBytes {
			return false
		}
		name, ext, _ := strings.Cut(f.name, ".")
		for i := 2; ; i++ {
			taken := false
			for _, o := range files {
				taken = taken || o.name == f.name
			}
			if !taken {
				break
			}
			f.name = fmt.Sprintf("%s-%d.%s", name, i, ext)
		}
		files = append(files, f)
		return true
	}
	if m.Mention != "" && snowflake(m.Mention) {
		content.WriteString("<@" + m.Mention + "> ")
	}
	content.WriteString(lead)
	if m.Heard != "" {
		content.WriteString("> " + escaped(plain(m.Heard, 300)) + "\n")
	}
	text := escaped(m.Reply.Text)
	if text == "" {
		text = escaped(m.Reply.Speech)
	}
	if units(text) > mostText {
		text = clipLines(text, mostText)
		attach(file{name: "answer.txt", kind: "text/plain; charset=utf-8", about: "The whole answer", data: []byte(m.Reply.Text)})
	}
	content.WriteString(text)
	for _, b := range m.Reply.Blocks {
		if b.Type == "chart" {
			if b.Chart == nil || paint == nil {
				continue
			}
			png, err := paint(*b.Chart)
			if err != nil {
				failed = err
				continue
			}
			attach(file{name: "chart.png", kind: "image/png", about: plain(b.Chart.Title, 200), data: png})
			continue
		}
		whole, language, name := block(b)
		if whole == "" {
			continue
		}
		title := ""
		if b.Title != "" {
			title = "\n**" + escaped(plain(b.Title, 100)) + "**"
		}
		wrapping := units("\n"+title) + units(fenced(language, "")) + 2
		room := min(mostBlock, maxContent-units(content.String())-wrapping)
		if room < leastRoom {
			attach(file{name: name, kind: "text/plain; charset=utf-8", about: plain(b.Title, 200), data: []byte(whole + "\n")})
			continue
		}
		shown := fenced(language, whole)
		if units(shown) > room+units(fenced(language, "")) {
			shown = fenced(language, clipLines(whole, room-20)+"\n…")
			for units(shown) > room+units(fenced(language, "")) && room > leastRoom { // of what fencing made longer
				room -= leastRoom / 2
				shown = fenced(language, clipLines(whole, room-20)+"\n…")
			}
			attach(file{name: name, kind: "text/plain; charset=utf-8", about: plain(b.Title, 200), data: []byte(whole + "\n")})
		}
		content.WriteString(title + "\n" + shown)
	}
	out := body{Content: clip(content.String(), maxContent), Components: components(m.Buttons), Allowed: mentionsAllowed{Parse: []string{}}, Flags: flagSuppressEmbeds}
	if m.Mention != "" && snowflake(m.Mention) {
		out.Allowed.Users = []string{m.Mention}
	}
	out.attach(files)
	if out.Content == "" && len(files) == 0 {
		out.Content = "…" // an empty message is none
	}
	return out, files, failed
}

// attach names the files that are sent with a message.
func (b *body) attach(files []file) {
	b.Attachments = make([]attached, len(files))
	for i, f := range files {
		b.Attachments[i] = attached{ID: strconv.Itoa(i), Filename: f.name, Description: f.about}
	}
}

// block is a block as text for a code block, with the language that colours it and the
// name of its file.
func block(b dialogue.Block) (text, language, name string) {
	switch b.Type {
	case "table":
		return table(b), "", "table.txt"
	case "diff":
		return strings.TrimRight(b.Text, "\n"), "diff", "changes.diff"
	case "log":
		return strings.TrimRight(b.Text, "\n"), "", "log.txt"
	}
	return strings.TrimRight(b.Text, "\n"), "", "text.txt"
}

// mostCell is how wide a column is at most: a code block that wraps is no table.
const mostCell = 48

// table lines up columns.
func table(b dialogue.Block) string {
	rows := append([][]string{b.Columns}, b.Rows...)
	var widths []int
	for r, cells := range rows {
		rows[r] = make([]string, len(cells))
		for i, c := range cells {
			rows[r][i] = plain(c, mostCell)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(rows[r][i]))
		}
	}
	var out bytes.Buffer
	for _, cells := range rows {
		var line strings.Builder
		for i, c := range cells {
			line.WriteString(c)
			if i < len(cells)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-width(c)+2))
			}
		}
		if l := strings.TrimRight(line.String(), " "); l != "" {
			out.WriteString(l + "\n")
		}
	}
	return strings.TrimRight(out.String(), "\n")
}

// components are the buttons under a message; many choices are a menu.
func components(all []chat.Button) []any {
	choices, rest := []chat.Button{}, []chat.Button{}
	for _, b := range all {
		if p, ok := chat.ReadPress(b.ID); ok && p.Text != "" && b.Style == "" {
			choices = append(choices, b)
			continue
		}
		rest = append(rest, b)
	}
	if len(all) <= maxRow {
		choices, rest = nil, all
	}
	out := []any{}
	if len(choices) > 0 {
		m := menu{Type: componentSelect, ID: menuID, Placeholder: "Choose", Options: []menuOption{}}
		seen := map[string]bool{}
		for _, b := range choices {
			if len(m.Options) < maxOptions && b.ID != "" && units(b.ID) <= maxOption && !seen[b.ID] {
				seen[b.ID] = true
				m.Options = append(m.Options, menuOption{Label: label(b.Label, maxOption), Value: b.ID})
			}
		}
		if len(m.Options) > 0 {
			out = append(out, row{componentRow, []any{m}})
		}
	}
	var line []any
	seen := map[string]bool{}
	for _, b := range rest {
		if b.ID == "" || units(b.ID) > maxCustomID || seen[b.ID] || len(out) == maxRow {
			continue
		}
		seen[b.ID] = true
		if line = append(line, button{componentButton, style(b.Style), label(b.Label, maxLabel), b.ID}); len(line) == maxRow {
			out, line = append(out, row{componentRow, line}), nil
		}
	}
	if len(line) > 0 {
		out = append(out, row{componentRow, line})
	}
	return out
}

// style is a button's: blurple, red or grey.
func style(s string) int {
	switch s {
	case chat.Primary:
		return 1
	case chat.Danger:
		return 4
	}
	return 2
}

func label(s string, most int) string {
	if s = plain(s, most); s == "" {
		return "?"
	}
	return s
}
