// Package recorder writes into the audit trail what people said, and what was
// refused to them. What is done about it the ledger writes.
package recorder

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/misses"
)

// Trail is the audit trail; *store.Store has it.
type Trail interface {
	// AppendAudit adds lines. With a key that was added before it adds nothing.
	AppendAudit(ctx context.Context, key string, lines ...[]byte) error
}

// Directory knows who speakers are; *access.Guard is one.
type Directory interface {
	Who(ctx context.Context, s access.Speaker) (access.Person, bool, error)
}

// Recorder listens to turns.
type Recorder struct {
	trail Trail
	who   Directory
	plain func() func(string) bool
	log   *slog.Logger

	mu    sync.Mutex
	of    *intents.Inventory // that of the last turn
	known misses.Known       // its names
}

// New returns a recorder. vocabulary gives the words that the catalogue knows.
func New(t Trail, who Directory, vocabulary func() map[string]bool, log *slog.Logger) *Recorder {
	plain := sync.OnceValue(func() func(string) bool {
		words := vocabulary()
		return func(w string) bool { return words[w] }
	})
	return &Recorder{trail: t, who: who, plain: plain, log: log}
}

// Listen writes down a turn, once for each delivery. What goes wrong is logged.
func (r *Recorder) Listen(ctx context.Context, h dialogue.Heard) {
	ctx = context.WithoutCancel(ctx) // also of one who hangs up
	if err := r.listen(ctx, h, time.Now()); err != nil {
		r.log.ErrorContext(ctx, "a turn is not in the audit trail", "conversation", h.Request.Conversation, "err", err)
	}
}

func (r *Recorder) listen(ctx context.Context, h dialogue.Heard, now time.Time) error {
	s := h.Request.Speaker
	person, _, err := r.who.Who(ctx, s)
	if err != nil {
		return err
	}
	said := audit.Event{
		Kind: audit.Said, At: now, Channel: s.Channel, Speaker: s.ID, Name: s.Name, Assurance: s.Assurance.String(), Person: person.Name,
		Conversation: h.Request.Conversation, Intent: h.Reply.Intent, Said: r.sentence(h),
	}
	if p := h.Reply.Proposal; p != nil {
		said.Action = p.ID
	}
	if h.Reply.Guessed {
		said.How = "guess"
	}
	button, action := h.Request.Button()
	if button != "" {
		said.How, said.Action = "button", action
	}
	events := []audit.Event{said}
	if k := h.Reply.Fault; k == fault.Refused || k == fault.Forbidden { // by a rule, or by the cluster itself
		no := said
		no.Kind, no.Said, no.Why, no.User = audit.Refused, "", h.Reply.Speech, person.User
		events = append(events, no)
	}
	lines := make([][]byte, len(events))
	for i, ev := range events {
		if lines[i], err = ev.Encode(); err != nil {
			return err
		}
	}
	key := ""
	if id := h.Request.DeliveryID; id != "" {
		key = "said/" + id
	}
	return r.trail.AppendAudit(ctx, key, lines...)
}

var (
	figure  = regexp.MustCompile(`(?i)\d|\b(zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)\b`)
	figures = regexp.MustCompile(`(?i)\d+|\b(zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)\b`)
)

// minPIN is of how many figures a PIN has at least.
const minPIN = 4

// sentence is what was said, without what must not be kept. Where a yes or a
// PIN is waited for, as many figures as make a PIN are one.
func (r *Recorder) sentence(h dialogue.Heard) string {
	text := strings.TrimSpace(h.Request.Text)
	if button, _ := h.Request.Button(); text == "" || button != "" {
		return ""
	}
	if strings.Contains(h.Open.Slot, "pin") || strings.Contains(h.Open.Slot, "code") {
		return "{secret}"
	}
	masked := r.names(h.Inventory).MaskSecrets(text, r.plain())
	if h.Open.Confirm && len(figure.FindAllString(masked, -1)) >= minPIN {
		masked = figures.ReplaceAllString(masked, "{number}")
	}
	return masked
}

// names are those of an inventory, ready for masking: in a big cluster there are
// many, and one turn after the other has the same.
func (r *Recorder) names(inv *intents.Inventory) misses.Known {
	if inv == nil {
		return misses.Know(intents.InventoryData{})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of != inv {
		r.of, r.known = inv, misses.Know(inv.Data())
	}
	return r.known
}
