package kube

import (
	"context"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// VerbSilence holds alerts back for a while, and VerbUnsilence lets them be heard
// again. They change nothing of a cluster; they are changes all the same, because
// they keep people from being woken: who may, the yes, the audit trail and undo
// are the same.
const (
	VerbSilence   Verb = "silence"
	VerbUnsilence Verb = "unsilence"
)

// Alert is the kind of what is silenced.
const Alert = "Alert"

func silenceVerbs() map[Verb]verb {
	return map[Verb]verb{VerbSilence: silencing{}, VerbUnsilence: unsilencing{}}
}

// Silence is the values of VerbSilence and VerbUnsilence.
type Silence struct {
	Matchers []LabelMatcher `json:"matchers"`
	From     time.Time      `json:"from,omitzero"` // zero before it is made
	To       time.Time      `json:"to"`
	By       string         `json:"by"`
	Comment  string         `json:"comment"`
	// Acknowledged says that somebody has seen the alert and looks at it.
	Acknowledged bool   `json:"acknowledged,omitempty"`
	Severity     string `json:"severity,omitempty"` // the gravest of what it holds back now
	Holds        int    `json:"holds,omitempty"`    // so many alerts that fire now; found by Plan
}

// LabelMatcher is a condition on a label of an alert.
type LabelMatcher struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Regex bool   `json:"regex,omitempty"`
	Not   bool   `json:"not,omitempty"`
}

// until is when a silence ends, for the trail.
func (s *Silence) until() string {
	if s == nil {
		return ""
	}
	return "silenced until " + s.To.UTC().Format("2006-01-02 15:04 UTC")
}

// silencing is a silence that is made, unsilencing one that is ended.
type (
	silencing   struct{}
	unsilencing struct{}
)

func (silencing) doing(c Change) string { return "silence " + c.Ref.Name }
func (silencing) from(Change) string    { return "heard" }
func (silencing) to(c Change) string    { return c.Silence.until() }
func (silencing) aspect() Aspect        { return "silence" }
func (silencing) ending(Change) Ending  { return EndsAtOnce }

func (silencing) inverse(c Change) (Change, bool) {
	c.Verb = VerbUnsilence
	return c, true
}

func (unsilencing) doing(c Change) string { return "unsilence " + c.Ref.Name }
func (unsilencing) from(c Change) string  { return c.Silence.until() }
func (unsilencing) to(Change) string      { return "heard" }
func (unsilencing) aspect() Aspect        { return "silence" }
func (unsilencing) ending(Change) Ending  { return EndsAtOnce }

func (unsilencing) inverse(c Change) (Change, bool) {
	c.Verb, c.UID = VerbSilence, "" // another one is made
	return c, true
}

// errNoSilences is what the Writer of a cluster says: who silences stands before it.
func errNoSilences() error {
	return fault.New(fault.Refused, "I cannot silence alerts: set observability.alertmanager.url.")
}

func (silencing) plan(_ context.Context, _ api, c Change) (Change, string, error) {
	return c, "", errNoSilences()
}

func (silencing) apply(context.Context, api, Change, string) (Applied, error) {
	return Applied{}, errNoSilences()
}

func (unsilencing) plan(_ context.Context, _ api, c Change) (Change, string, error) {
	return c, "", errNoSilences()
}

func (unsilencing) apply(context.Context, api, Change, string) (Applied, error) {
	return Applied{}, errNoSilences()
}
