package slack

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// Slack's limits of a message.
const (
	maxBlocks      = 50
	maxSection     = 3000 // characters of a text
	maxLabel       = 75   // of a button
	maxValue       = 2000 // of a button
	maxBlockID     = 255
	maxElements    = 25 // in a row of buttons
	maxOptions     = 100
	maxNotice      = 3000 // of what a notification shows; more is cut off anyway
	maxNoticeBytes = 3900 // of that, escaped; chat.update takes 4000
	maxText        = 4500 // of the answer in the message; the rest is a file
	maxCode        = 2900 // of a diff, table or log in the message; longer ones are a file
	maxCodeAll     = 5000 // of all of them together, so that all is below Slack's 13,200
	maxFiles       = 5    // what is more of them is one
	maxCell        = 60   // of a table
)

// rendered is a message as Slack takes it: text in blocks that nothing in them can
// format, and what is shown as a file beneath.
type rendered struct {
	notice string // what a notification shows, escaped
	blocks []slack.Block
	files  []attachment
}

// attachment is a file: its bytes, or a chart to be drawn.
type attachment struct {
	name, title, kind string
	data              string
	chart             *observability.Chart
}

// phrases words what Slack's messages have beside the answer.
type phrases func(key string, data map[string]any) string

// userID is somebody's id, and nothing else.
var userID = regexp.MustCompile(`^[UW][A-Z0-9]+$`)

// render puts a message for Slack. All of its text goes where Slack formats nothing:
// plain_text and the text of rich_text.
func render(m chat.Message, say phrases) (r rendered) {
	text := clean(m.Reply.Text)
	if strings.TrimSpace(text) == "" {
		text = clean(m.Reply.Speech)
	}
	r.notice = notice(text)
	if userID.MatchString(m.Mention) {
		call := slack.NewTextBlockObject(slack.MarkdownType, "<@"+m.Mention+">", false, false)
		call.Verbatim = true
		r.blocks = append(r.blocks, slack.NewContextBlock("", call))
		r.notice = "<@" + m.Mention + "> " + r.notice
	}
	if heard := clean(m.Heard); heard != "" {
		r.blocks = append(r.blocks, slack.NewContextBlock("", quiet(clip(say("heard", map[string]any{"Heard": heard}), maxSection))))
	}
	if all := text; utf8.RuneCountInString(text) > maxText {
		text = clip(text, maxText)
		defer func() { r.keep(attachment{name: "answer.txt", data: all}) }()
	}
	for _, p := range pieces(text, maxSection) {
		r.blocks = append(r.blocks, section(p))
	}
	room := maxCodeAll
	for _, b := range m.Reply.Blocks {
		r.block(b, &room, say)
	}
	if !slices.ContainsFunc(m.Reply.Blocks, func(b dialogue.Block) bool { return b.Type == "diff" }) && asksForAct(m.Reply) {
		for _, c := range m.Reply.Proposal.Changes {
			r.block(dialogue.Block{Type: "diff", Title: c.Name, Text: c.Diff}, &room, say)
		}
	}
	rows := buttons(m, say)
	if most := maxBlocks - len(rows); len(r.blocks) > most {
		r.blocks = r.blocks[:most]
	}
	r.blocks = append(r.blocks, rows...)
	return r
}

// asksForAct reports whether somebody is to agree to a change, which they must see.
func asksForAct(r dialogue.Reply) bool {
	return r.Proposal != nil && (r.Expect == dialogue.ExpectConfirm || r.Expect == dialogue.ExpectApproval)
}

// block adds a table, a diff, lines of a log or a chart.
func (r *rendered) block(b dialogue.Block, room *int, say phrases) {
	title := clip(strings.Join(strings.Fields(clean(b.Title)), " "), 200)
	var code, ext string
	switch {
	case b.Chart != nil:
		r.keep(attachment{name: fileName(title, "chart") + ".png", title: title, chart: b.Chart})
		return
	case b.Type == "table":
		code, ext = table(b), "txt"
	case b.Type == "diff":
		code, ext = clean(b.Text), "diff"
	default:
		code, ext = clean(b.Text), "txt"
	}
	if code = strings.Trim(code, "\n"); strings.TrimSpace(code) == "" {
		return
	}
	if n := utf8.RuneCountInString(title) + utf8.RuneCountInString(code); n > maxCode || n > *room {
		f := attachment{name: fileName(title, b.Type) + "." + ext, title: title, data: code, kind: map[string]string{"diff": "diff"}[ext]}
		if name := r.keep(f); name == f.name {
			r.blocks = append(r.blocks, slack.NewContextBlock("", quiet(clip(say("attached", map[string]any{"Name": name}), maxSection))))
		}
		return
	}
	*room -= utf8.RuneCountInString(title) + utf8.RuneCountInString(code)
	var parts []slack.RichTextElement
	if title != "" {
		parts = append(parts, slack.NewRichTextSection(slack.NewRichTextSectionTextElement(title, &slack.RichTextSectionTextStyle{Bold: true})))
	}
	parts = append(parts, &slack.RichTextPreformatted{Type: slack.RTEPreformatted, Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement(code, nil)}})
	r.blocks = append(r.blocks, slack.NewRichTextBlock("", parts...))
}

// keep keeps a file, and returns the name of the one that it is in: what is more than
// anybody opens is one file.
func (r *rendered) keep(f attachment) string {
	if len(r.files) < maxFiles || f.chart != nil && len(r.files) < 2*maxFiles {
		r.files = append(r.files, f)
		return f.name
	}
	if f.chart != nil {
		return ""
	}
	last := &r.files[len(r.files)-1]
	if last.name != "more.txt" {
		r.files = append(r.files, attachment{name: "more.txt"})
		last = &r.files[len(r.files)-1]
	}
	last.data += f.title + "\n" + f.data + "\n"
	return last.name
}

// notice is what a notification shows of a text. Slack takes no message without one.
func notice(text string) string {
	text = strings.TrimSpace(clip(text, maxNotice))
	for n := maxNotice; len(escape(text)) > maxNoticeBytes; n -= 100 {
		text = clip(text, n)
	}
	if text == "" {
		return "…"
	}
	return escape(text)
}

// section is text that nothing in it can format.
func section(text string) slack.Block { return slack.NewSectionBlock(quiet(text), nil, nil) }

// quiet is text that is shown as it is: no markup, no emoji by their names.
func quiet(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, text, false, false)
}

// buttons are rows of what can be pressed. Their block says which conversation they are
// of, so that a press reaches it from wherever the message is shown.
func buttons(m chat.Message, say phrases) []slack.Block {
	var all []slack.BlockElement
	for _, b := range m.Buttons {
		e := slack.NewButtonBlockElement(b.ID, b.ID, quiet(clip(clean(b.Label), maxLabel)))
		if b.Style == chat.Primary || b.Style == chat.Danger {
			e.Style = slack.Style(b.Style)
		}
		if p, ok := chat.ReadPress(b.ID); ok && p.Ask != "" {
			e.Value = form{Choices: nil}.value()
		}
		all = append(all, e)
	}
	// What is chosen from can also be something that is not among what is offered.
	if e := m.Reply.Expect; len(m.Buttons) > 0 && len(m.Reply.Choices) > 0 && !reserved(e) {
		b := slack.NewButtonBlockElement("ask:"+e, form{Choices: m.Reply.Choices}.value(), quiet(say("other", nil)))
		if utf8.RuneCountInString(b.ActionID) <= maxBlockID {
			all = append(all, b)
		}
	}
	var rows []slack.Block
	for row := range slices.Chunk(all, maxElements) {
		rows = append(rows, slack.NewActionBlock(rowID(m.Reply.Conversation, len(rows)), row...))
	}
	return rows
}

// reserved are the expectations that name no slot.
func reserved(expect string) bool {
	switch expect {
	case "", dialogue.ExpectNone, dialogue.ExpectConfirm, dialogue.ExpectApproval, dialogue.ExpectPIN:
		return true
	}
	return false
}

// rowID names a row of buttons by its conversation; conversationOf reads it.
func rowID(conversation string, n int) string {
	id := fmt.Sprintf("row%d|%s", n, conversation)
	if len(id) > maxBlockID {
		return fmt.Sprintf("row%d|", n)
	}
	return id
}

func conversationOf(blockID string) (chat.Address, bool) {
	row, conversation, ok := strings.Cut(blockID, "|")
	if !ok || !strings.HasPrefix(row, "row") {
		return chat.Address{}, false
	}
	return chat.Parse(conversation)
}

// form is what a button that opens a form knows about it.
type form struct {
	Choices []string `json:"c,omitempty"`
}

// value is the form as a button keeps it: as many choices as there is room for.
func (f form) value() string {
	f.Choices = f.Choices[:min(len(f.Choices), maxOptions)]
	for {
		b, err := json.Marshal(f)
		if err == nil && len(b) <= maxValue || len(f.Choices) == 0 {
			return string(b)
		}
		f.Choices = f.Choices[:len(f.Choices)-1]
	}
}

// table is a table in columns.
func table(b dialogue.Block) string {
	rows := b.Rows
	if len(b.Columns) > 0 {
		rows = append([][]string{b.Columns}, rows...)
	}
	var widths []int
	cells := make([][]string, len(rows))
	for i, row := range rows {
		for j, c := range row {
			c = clip(strings.Join(strings.Fields(clean(c)), " "), maxCell)
			cells[i] = append(cells[i], c)
			if j == len(widths) {
				widths = append(widths, 0)
			}
			widths[j] = max(widths[j], utf8.RuneCountInString(c))
		}
	}
	var out strings.Builder
	for _, row := range cells {
		var line strings.Builder
		for j, c := range row {
			line.WriteString(c)
			if j < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[j]-utf8.RuneCountInString(c)+2))
			}
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return out.String()
}

// clean takes out what is no text: control characters other than new line and tab, and
// changes of the direction of writing.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// fileName makes a title the name of a file.
func fileName(title, otherwise string) string {
	name := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, clip(title, 40)), "-")
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	if name == "" {
		return otherwise
	}
	return name
}
