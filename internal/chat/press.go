package chat

import (
	"strings"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// Button is something to press under a message, or to choose.
type Button struct {
	ID    string // at most maxID bytes; Press reads it
	Label string
	Style string // "primary", "danger", or "" for neither
}

// The styles of a Button.
const (
	Primary = "primary"
	Danger  = "danger"
)

// What the ids of buttons begin with.
const (
	idYes     = "yes:"
	idNo      = "no:"
	idApprove = "approve:"
	idSay     = "say:"
	idAsk     = "ask:"
)

const (
	// maxID is the most bytes that an id of a button may have on any platform.
	maxID = 100
	// maxChoices is how many choices are offered to press: what a menu takes anywhere.
	maxChoices = 25
)

// AskPIN is what Press.Ask asks for where it is no slot: the presser's PIN, which is
// typed into a form that nobody else sees.
const AskPIN = "pin"

// Press is what a press means. One field is set.
type Press struct {
	Text    string // is said
	Confirm string // the proposal of this id is agreed to
	Deny    string // the proposal of this id is refused
	Approve string // somebody else's proposal is approved, just as it was shown
	// Ask is a slot that is missing, or AskPIN: the platform opens a form, and what is
	// written there is said.
	Ask string
}

// ReadPress is what pressing the button with this id means; ok is false for an id that
// is none of ours.
func ReadPress(id string) (p Press, ok bool) {
	if len(id) > maxID {
		return Press{}, false
	}
	for _, kind := range []struct {
		prefix string
		field  *string
	}{{idYes, &p.Confirm}, {idNo, &p.Deny}, {idApprove, &p.Approve}, {idSay, &p.Text}, {idAsk, &p.Ask}} {
		if rest, ok := strings.CutPrefix(id, kind.prefix); ok && rest != "" {
			*kind.field = rest
			return p, true
		}
	}
	return Press{}, false
}

// Buttons are what can be pressed under a reply. What is agreed to or refused is the
// proposal that is shown with them, whatever is open by then.
func Buttons(r dialogue.Reply) []Button {
	var out []Button
	add := func(prefix, what, label, style string) {
		if what != "" && len(prefix)+len(what) <= maxID {
			out = append(out, Button{prefix + what, label, style})
		}
	}
	switch r.Expect {
	case dialogue.ExpectConfirm:
		if r.Proposal == nil { // a question about words: did you say …?
			add(idSay, "yes", "Yes", Primary)
			add(idSay, "no", "No", "")
			return out
		}
		add(idYes, r.Proposal.ID, "Yes", yesStyle(r))
		for _, c := range r.Choices {
			add(idSay, c, sentenceCase(c), "")
		}
		add(idNo, r.Proposal.ID, "No", "")
	case dialogue.ExpectApproval:
		if r.Proposal != nil && r.Proposal.Digest != "" {
			add(idApprove, r.Proposal.Key(), "Approve", Primary)
			add(idNo, r.Proposal.ID, "Withdraw", "")
		}
	case dialogue.ExpectPIN:
		add(idAsk, AskPIN, "Enter PIN", Primary)
		if r.Proposal != nil {
			add(idNo, r.Proposal.ID, "No", "")
		}
	case dialogue.ExpectNone, "":
		if r.Outcome == dialogue.OutcomeDone && r.Proposal != nil {
			add(idSay, "undo", "Undo", "")
		}
		if r.Intent == "diagnose" && r.Fault == "" {
			add(idSay, "why do you think so?", "Why do you think so?", "")
		}
	default: // a choice, or a slot
		for i, c := range r.Choices {
			if i == maxChoices {
				break
			}
			add(idSay, c, c, "")
		}
		if len(r.Choices) == 0 {
			add(idAsk, r.Expect, "Answer", "")
		}
	}
	return out
}

// yesStyle is that of the yes to a proposal: what is risky does not invite.
func yesStyle(r dialogue.Reply) string {
	if r.Proposal.Risk == "high" {
		return Danger
	}
	return Primary
}

func sentenceCase(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
