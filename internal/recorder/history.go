package recorder

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// Said is where turns are kept to be shown again; *store.Store is one.
type Said interface {
	// AddSaid keeps a turn. A key that was seen before adds nothing.
	AddSaid(ctx context.Context, conversation, speaker, key string, title, turn []byte) error
	// Said calls f with the turns of a conversation, oldest first.
	Said(ctx context.Context, conversation string, f func(at time.Time, turn []byte) error) error
	// Told calls f with its outcomes, oldest first.
	Told(ctx context.Context, conversation string, f func(seq int64, at time.Time, event []byte) error) error
}

const (
	// maxTurn bounds what is kept of a turn, in bytes. Of a longer one, what is for
	// the eye only is left out.
	maxTurn = 64 << 10
	// maxTitle is how long the title of a conversation may be, in characters.
	maxTitle = 80
)

// Turn is a turn of a conversation as it is shown again: what was said and
// answered, or, where Who is empty, what was told without being asked.
type Turn struct {
	At    time.Time      `json:"at"`
	Who   string         `json:"who"`
	Text  string         `json:"text"`
	Reply dialogue.Reply `json:"reply"`
	// Action is the change that was told of, where nobody asked.
	Action string `json:"action,omitempty"`
}

// History keeps the turns of a channel, so that people find them again. It is for
// people to read: the audit trail is what proves anything.
type History struct {
	of      *Recorder
	said    Said
	channel string
}

// History returns a listener that keeps the turns of a channel, in the words that
// people used: names, which the audit trail may mask, stay; secrets do not.
func (r *Recorder) History(s Said, channel string) *History { return &History{r, s, channel} }

// Listen keeps a turn. What goes wrong is logged.
func (h *History) Listen(ctx context.Context, heard dialogue.Heard) {
	s := heard.Request.Speaker
	if s.Channel != h.channel {
		return
	}
	ctx = context.WithoutCancel(ctx) // also of one who hangs up
	t := Turn{Who: s.Name, Text: h.of.own(heard), Reply: heard.Reply}
	if t.Who == "" {
		t.Who = s.Key()
	}
	b, err := t.encode()
	if err == nil {
		err = h.said.AddSaid(ctx, heard.Request.Conversation, s.Key(), heard.Request.DeliveryID, []byte(title(t.Text)), b)
	}
	if err != nil {
		h.of.log.ErrorContext(ctx, "a turn is not in the history", "conversation", heard.Request.Conversation, "err", err)
	}
}

// encode writes a turn that is not too long.
func (t Turn) encode() ([]byte, error) {
	b, err := json.Marshal(t)
	if err == nil && len(b) > maxTurn {
		t.Reply.Blocks = []dialogue.Block{}
		b, err = json.Marshal(t)
	}
	if err == nil && len(b) > maxTurn { // of a hundred objects, each with its diff
		t.Reply.Proposal = nil
		b, err = json.Marshal(t)
	}
	return b, err
}

// title is what a conversation is called that began with a sentence.
func title(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) > maxTitle {
		text = string([]rune(text)[:maxTitle-1]) + "…"
	}
	return text
}

// Turns returns what was said and told in a conversation, oldest first, and the
// position of the last outcome in it: what comes after that is still to be told.
func (h *History) Turns(ctx context.Context, conversation string) (turns []Turn, after int64, err error) {
	err = h.said.Said(ctx, conversation, func(at time.Time, b []byte) error {
		var t Turn
		if err := json.Unmarshal(b, &t); err != nil {
			return fmt.Errorf("recorder: a turn that was kept: %w", err)
		}
		t.At = at
		turns = append(turns, t)
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	err = h.said.Told(ctx, conversation, func(seq int64, at time.Time, b []byte) error {
		var ev dialogue.Event
		if err := json.Unmarshal(b, &ev); err != nil {
			return fmt.Errorf("recorder: an outcome that was kept: %w", err)
		}
		after = seq
		turns = append(turns, Turn{At: at, Reply: ev.Reply, Action: ev.Action})
		return nil
	})
	slices.SortStableFunc(turns, func(a, b Turn) int { return a.At.Compare(b.At) })
	return turns, after, err
}
