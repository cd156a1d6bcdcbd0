package skill

import (
	"context"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Guard knows who speakers are; *access.Guard is one.
type Guard interface {
	Who(ctx context.Context, s access.Speaker) (access.Person, bool, error)
	Writer(ctx context.Context, s access.Speaker) (access.Person, error)
	Policy() access.Policy
	linker
}

type linker interface {
	NewCode(ctx context.Context, person string) (access.Hidden, error)
	Redeem(ctx context.Context, s access.Speaker, code access.Hidden) (access.Person, error)
	Unlink(ctx context.Context, s access.Speaker) (bool, error)
}

// Identity answers who somebody is, what they may do, and links them.
type Identity struct{ guard Guard }

// NewIdentity returns the skills about who somebody is.
func NewIdentity(g Guard) *Identity { return &Identity{g} }

// Handlers maps each intent to what does it.
func (i *Identity) Handlers() map[string]dialogue.Handler {
	return map[string]dialogue.Handler{
		"rights": dialogue.HandlerFunc(i.rights), "link": dialogue.HandlerFunc(i.link), "unlink": dialogue.HandlerFunc(i.unlink),
	}
}

// rights says who the speaker is here and which rules are about them.
func (i *Identity) rights(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	s := t.Request.Speaker
	p, ok, err := i.guard.Who(ctx, s)
	if err != nil {
		return dialogue.Reply{}, err
	}
	data := dialogue.Data{"Person": p.Name, "Speaker": s.Key(), "How": how(s), "User": p.User, "Groups": p.Groups}
	if !ok {
		return t.Reply("rights.nobody", data)
	}
	if _, err := i.guard.Writer(ctx, s); err != nil {
		if k := fault.KindOf(err); k != fault.Refused {
			return dialogue.Reply{}, err
		}
		data["Problem"] = fault.Say(err)
		return t.Reply("rights.none", data)
	}
	data["Speech"] = ""
	table := dialogue.Block{Type: "table", Columns: []string{"WHAT", "SO", "RULE"}}
	for _, r := range i.guard.Policy().For(s, p, time.Now()) {
		so := verdictWords(r)
		if r.Reason != "" {
			so += ": " + r.Reason
		}
		table.Rows = append(table.Rows, []string{r.Words(), so, r.Name})
		if len(table.Rows) <= manySteps { // more than that nobody listens to
			data["Speech"] = data["Speech"].(string) + upper(r.Words()) + ": " + verdictWords(r) + ". "
		}
	}
	data["Speech"] = trimmed(data["Speech"].(string))
	r, err := t.Reply("rights.some", data)
	r.Blocks = []dialogue.Block{table}
	return r, err
}

func trimmed(s string) string {
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// verdictWords says what a rule wants.
func verdictWords(r access.Rule) string {
	switch r.Verdict {
	case access.Allow:
		return "at once"
	case access.Confirm:
		return "after your yes"
	case access.PIN:
		return "after your yes and your PIN"
	case access.Approve:
		return "with the approval of " + r.By.Words()
	}
	return "never"
}

// link shows a code where somebody is known, and takes it where they are not.
func (i *Identity) link(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	s := t.Request.Speaker
	t.Intent.Slots = nil // a code stands nowhere but in the turn's secret
	if t.Secret != "" {
		p, err := i.guard.Redeem(ctx, s, t.Secret)
		if err != nil {
			return dialogue.Reply{}, err
		}
		return t.Reply("link.done", dialogue.Data{"Person": p.Name})
	}
	p, ok, err := i.guard.Who(ctx, s)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if !ok {
		r, err := t.Reply("link.who", nil)
		r.Fault = fault.Refused
		return r, err
	}
	code, err := i.guard.NewCode(ctx, p.Name)
	if err != nil {
		return dialogue.Reply{}, err
	}
	r, err := t.Reply("link.code", dialogue.Data{"Code": code.Shown(), "Person": p.Name, "Minutes": int(access.CodeLife.Minutes())})
	r.Private = true
	return r, err
}

// unlink ends a link that a code made.
func (i *Identity) unlink(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	ok, err := i.guard.Unlink(ctx, t.Request.Speaker)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if ok {
		return t.Reply("unlink.done", nil)
	}
	p, ok, err := i.guard.Who(ctx, t.Request.Speaker)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if ok {
		return t.Reply("unlink.fixed", dialogue.Data{"Person": p.Name})
	}
	return t.Reply("unlink.nothing", nil)
}
