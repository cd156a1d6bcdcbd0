// Package alerts is the webhook that Alertmanager calls when something fires or
// is over. It verifies who calls before it reads anything, says what it was told
// before, and hands the rest on as values: what is done about it is for others.
package alerts

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// Path is where Alertmanager posts to.
const Path = "/webhooks/alertmanager"

// MaxBody is the largest notification that is taken, some thousand alerts.
const MaxBody = 2 << 20

// remembered is how many changes are known again when they are repeated.
const remembered = 10_000

// Config is what Alertmanager authenticates with: a bearer token, or a user name
// and password, as in its http_config.
type Config struct {
	Token              string
	Username, Password string
}

func (c Config) verifier() (webhook.Verifier, error) {
	basic := c.Username != "" || c.Password != ""
	switch {
	case c.Token == "" && !basic:
		return nil, fault.New(fault.Usage, "Alertmanager's webhook needs alerts.token, or alerts.username and alerts.password, to know who calls.")
	case c.Token != "" && basic:
		return nil, fault.New(fault.Usage, "alerts.token and alerts.username are both set; Alertmanager can send only one of them.")
	case basic && (c.Username == "" || c.Password == ""):
		return nil, fault.New(fault.Usage, "alerts needs both username and password; one of them is empty.")
	case basic:
		return webhook.Basic(c.Username, c.Password), nil
	}
	return webhook.Bearer(c.Token), nil
}

// Consumer is told what fires and what is over. What it returns an error for it
// is told again: Alertmanager repeats what was not taken.
type Consumer interface {
	Hear(ctx context.Context, changes []observability.AlertChange) error
}

// Memory knows what was told before this process began, or to another one;
// *alertmanager.Board is one. What the consumer did not take it must not know.
type Memory interface {
	Knows(ctx context.Context, change observability.AlertChange) (bool, error)
}

// Handler answers Alertmanager.
type Handler struct {
	consumer Consumer
	memory   Memory
	verify   webhook.Verifier
	stack    *webhook.Stack
	log      *slog.Logger

	mu    sync.Mutex
	seen  map[key]bool
	order []key // oldest first
}

// key is what a change is known again by: Alertmanager repeats what fires, several
// of a cluster may send the same, and an alert may be of more than one group.
type key struct {
	fingerprint string
	resolved    bool
	since       time.Time
}

// New returns the webhook; memory may be nil. It refuses a configuration that lets
// anybody call.
func New(c Config, consumer Consumer, memory Memory, log *slog.Logger) (*Handler, error) {
	verify, err := c.verifier()
	if err != nil {
		return nil, err
	}
	return &Handler{
		consumer: consumer, memory: memory, verify: verify, log: log, seen: map[key]bool{},
		stack: webhook.New(log, webhook.MaxBody(MaxBody), webhook.Deadline(10*time.Second)),
	}, nil
}

// Routes registers the webhook.
func (h *Handler) Routes(mux *http.ServeMux) {
	mux.Handle("POST "+Path, h.stack.Handle(h.serve, h.verify))
}

// notification is version 4 of what Alertmanager sends.
type notification struct {
	Version   string `json:"version"`
	GroupKey  string `json:"groupKey"`
	Truncated int    `json:"truncatedAlerts"`
	Alerts    []struct {
		Status       string            `json:"status"`
		Labels       map[string]string `json:"labels"`
		Annotations  map[string]string `json:"annotations"`
		StartsAt     time.Time         `json:"startsAt"`
		EndsAt       time.Time         `json:"endsAt"`
		GeneratorURL string            `json:"generatorURL"`
		Fingerprint  string            `json:"fingerprint"`
	} `json:"alerts"`
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	var n notification
	if err := webhook.ReadJSON(r, &n); err != nil {
		return err
	}
	changes, err := n.changes()
	if err != nil {
		return err
	}
	if n.Truncated > 0 {
		h.log.WarnContext(r.Context(), "Alertmanager left alerts out; see max_alerts of its webhook", "left_out", n.Truncated)
	}
	// One at a time: of two that bring the same at once, one is the repetition.
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh := map[key]bool{}
	for i, c := range changes {
		k := keyOf(c)
		changes[i].Repeated = h.seen[k] || fresh[k]
		if !changes[i].Repeated && h.memory != nil {
			if changes[i].Repeated, err = h.memory.Knows(r.Context(), c); err != nil {
				return err
			}
		}
		fresh[k] = true
	}
	if err := h.consumer.Hear(r.Context(), changes); err != nil {
		return err
	}
	for _, c := range changes {
		h.remember(keyOf(c))
	}
	return webhook.WriteJSON(w, http.StatusOK, struct {
		Taken int `json:"taken"`
	}{len(changes)})
}

func keyOf(c observability.AlertChange) key {
	return key{c.Alert.Fingerprint, c.Resolved, c.Alert.Since.UTC()}
}

// remember notes a change; the oldest are forgotten.
func (h *Handler) remember(k key) {
	if h.seen[k] {
		return
	}
	h.seen[k] = true
	h.order = append(h.order, k)
	if n := len(h.order) - remembered; n > 0 {
		for _, old := range h.order[:n] {
			delete(h.seen, old)
		}
		h.order = append([]key(nil), h.order[n:]...)
	}
}

// changes are what a notification says.
func (n notification) changes() ([]observability.AlertChange, error) {
	wrong := func(why string) error {
		return fault.Wrap(errors.New("alerts: "+why), fault.Usage, "That is no notification of Alertmanager in version 4.")
	}
	switch {
	case n.Version != "4":
		return nil, wrong("another version")
	case n.GroupKey == "":
		return nil, wrong("no group")
	case len(n.Alerts) == 0:
		return nil, wrong("no alerts")
	}
	out := make([]observability.AlertChange, 0, len(n.Alerts))
	for _, a := range n.Alerts {
		if a.Fingerprint == "" || len(a.Labels) == 0 || a.StartsAt.IsZero() || a.Status != "firing" && a.Status != "resolved" {
			return nil, wrong("an alert without a status, a fingerprint, labels or a beginning")
		}
		c := observability.AlertChange{Alert: alertmanager.Value(a.Fingerprint, a.Labels, a.Annotations, a.StartsAt, a.GeneratorURL), Group: n.GroupKey}
		if a.Status == "resolved" {
			c.Resolved, c.Ended = true, a.EndsAt
		}
		out = append(out, c)
	}
	return out, nil
}
