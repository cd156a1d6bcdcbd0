package terminal

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// script answers sentences, and confirmations under "confirm <id>"; then
// pushes what follows of itself.
type script struct {
	*channeltest.Engine
	replies map[string]dialogue.Reply
	events  map[string][]dialogue.Event
}

func newScript(replies map[string]dialogue.Reply, events map[string][]dialogue.Event) *script {
	s := &script{replies: replies, events: events}
	s.Engine = channeltest.NewEngine(func(r dialogue.Request) dialogue.Reply {
		key := r.Text
		if r.Confirm != "" {
			key = "confirm " + r.Confirm
		}
		for _, ev := range s.events[key] {
			s.Push(r.Conversation, ev) // before the answer: the worst moment
		}
		reply, ok := s.replies[key]
		if !ok {
			return dialogue.Reply{Text: "no script for " + key, Fault: fault.NotUnderstood}
		}
		return reply
	})
	return s
}

func (s *script) local() Conversation {
	return Local(s, "c1", access.Speaker{Channel: "terminal", ID: "me"})
}

// said lists what the engine was told.
func (s *script) said() string {
	var out []string
	for _, r := range s.Requests() {
		out = append(out, strings.TrimSpace(r.Text+" "+r.Confirm))
	}
	return strings.Join(out, "; ")
}

func proposed(id string) dialogue.Reply {
	return dialogue.Reply{
		Intent: "scale", Slots: intents.Slots{"targets": []string{"web"}}, Text: "Scale web from 3 to 5?", Blocks: []dialogue.Block{},
		Expect: dialogue.ExpectConfirm, Outcome: dialogue.OutcomePending, Proposal: &dialogue.Proposal{ID: id},
	}
}

func running(id string) dialogue.Reply {
	return dialogue.Reply{
		Intent: "confirm", Text: "On it.", Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomePending, Proposal: &dialogue.Proposal{ID: id},
	}
}

func progress(id, text string) dialogue.Event {
	return dialogue.Event{Kind: dialogue.EventProgress, Action: id, Reply: dialogue.Reply{Text: text, Outcome: dialogue.OutcomePending}}
}

func outcome(id, text string, o dialogue.Outcome) dialogue.Event {
	return dialogue.Event{Kind: dialogue.EventOutcome, Action: id, Reply: dialogue.Reply{Text: text, Expect: dialogue.ExpectNone, Outcome: o}}
}

// unreachable is a server that is not there.
type unreachable struct{ *LocalConversation }

func (unreachable) Turn(context.Context, string, string) (dialogue.Reply, error) {
	return dialogue.Reply{}, fault.New(fault.Unavailable, "I cannot reach firstmate at http://x; is it running?")
}

// display is a small terminal: enough of one to see what a person would see.
type display struct {
	mu   sync.Mutex
	rows [][]rune
	x, y int
	esc  []rune // an escape sequence that has begun
	odd  string // what it did not understand
}

func (d *display) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range string(b) {
		d.put(r)
	}
	return len(b), nil
}

func (d *display) put(r rune) {
	for len(d.rows) <= d.y {
		d.rows = append(d.rows, nil)
	}
	switch {
	case r == '\x1b' || len(d.esc) > 0:
		d.escape(r)
	case r == '\r':
		d.x = 0
	case r == '\n':
		d.y++
	case r < ' ':
		d.odd += fmt.Sprintf("%q", r)
	default:
		row := d.rows[d.y]
		for len(row) <= d.x {
			row = append(row, ' ')
		}
		row[d.x] = r
		d.rows[d.y] = row
		d.x++
	}
}

func (d *display) escape(r rune) {
	d.esc = append(d.esc, r)
	if len(d.esc) < 3 || !(r >= '@' && r <= '~') {
		return
	}
	n := 1
	_, _ = fmt.Sscanf(string(d.esc[2:]), "%d", &n)
	switch seq := string(d.esc); r {
	case 'A':
		d.y = max(0, d.y-n)
	case 'B':
		d.y += n
	case 'C':
		d.x += n
	case 'D':
		d.x = max(0, d.x-n)
	case 'K':
		if seq == "\x1b[2K" {
			d.rows[d.y] = nil
		} else {
			d.rows[d.y] = d.rows[d.y][:min(d.x, len(d.rows[d.y]))]
		}
	case 'm':
	default:
		d.odd += fmt.Sprintf("%q", seq)
	}
	d.esc = nil
}

// String is what stands on the display.
func (d *display) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, row := range d.rows {
		out = append(out, strings.TrimRight(string(row), " "))
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n") + d.odd
}
