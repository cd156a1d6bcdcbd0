// Package silencer makes and ends silences of alerts as changes: it stands before
// the Writer of the clusters and takes those two verbs. So a silence, which keeps
// people from being woken, goes the way of every change: a policy says who may,
// somebody says yes, it is journaled and done once, it stands in the audit trail
// with the name of who asked, and undo ends it.
package silencer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
)

// Writer changes clusters; *kube.Writers is one.
type Writer interface {
	Plan(ctx context.Context, c kube.Change) (kube.Change, kube.Diff, error)
	Apply(ctx context.Context, c kube.Change, id string) (kube.Applied, error)
	Step(ctx context.Context, c kube.Change, id string) (kube.Progress, error)
}

// Alertmanager is where silences are; *alertmanager.Client is one.
type Alertmanager interface {
	Alerts(ctx context.Context, f alertmanager.Filter) ([]observability.Alert, error)
	Silences(ctx context.Context) ([]observability.Silence, error)
	Silence(ctx context.Context, s observability.Silence) (string, error)
	Unsilence(ctx context.Context, id string) error
}

// Silencer passes on what is no silence.
type Silencer struct {
	writer Writer
	alerts Alertmanager
	now    func() time.Time
}

// New returns a Silencer before a Writer.
func New(w Writer, a Alertmanager, now func() time.Time) *Silencer {
	return &Silencer{writer: w, alerts: a, now: now}
}

// Plan completes a silence with what it holds back now.
func (s *Silencer) Plan(ctx context.Context, c kube.Change) (kube.Change, kube.Diff, error) {
	switch {
	case c.Verb != kube.VerbSilence && c.Verb != kube.VerbUnsilence:
		return s.writer.Plan(ctx, c)
	case c.Silence == nil:
		return c, kube.Diff{}, errors.New("silencer: a silence of nothing")
	}
	v := *c.Silence
	c.Silence, c.Labels = &v, labels(v)
	sign := "+"
	if c.Verb == kube.VerbUnsilence {
		sign = "-"
		if _, ok, err := s.find(ctx, func(o observability.Silence) bool { return o.ID == c.UID }); err != nil || !ok {
			return c, kube.Diff{}, cmpErr(err, over(c))
		}
	} else if v.From = s.now(); !v.To.After(v.From) {
		return c, kube.Diff{}, over(c)
	}
	firing, err := s.alerts.Alerts(ctx, alertmanager.Filter{Silenced: c.Verb == kube.VerbUnsilence, Inhibited: true, Matchers: values(v)})
	if err != nil {
		return c, kube.Diff{}, err
	}
	v.Holds, v.Severity = len(firing), ""
	if len(firing) > 0 {
		v.Severity = firing[0].Severity
	}
	text := fmt.Sprintf("--- silences\n+++ silences\n%s%s\n%suntil %s, by %s: %s\n", sign, strings.Join(written(v), " "), sign, v.To.UTC().Format(time.RFC3339), v.By, v.Comment)
	return c, kube.Diff{Unified: text}, nil
}

// Apply makes or ends a silence, once for an id: it is left in the comment.
func (s *Silencer) Apply(ctx context.Context, c kube.Change, id string) (kube.Applied, error) {
	switch {
	case c.Verb != kube.VerbSilence && c.Verb != kube.VerbUnsilence:
		return s.writer.Apply(ctx, c, id)
	case c.Silence == nil:
		return kube.Applied{}, errors.New("silencer: a silence of nothing")
	case c.Verb == kube.VerbUnsilence:
		return kube.Applied{}, s.alerts.Unsilence(ctx, c.UID)
	}
	want := observability.Silence{
		Matchers: values(*c.Silence), From: s.now(), To: c.Silence.To, By: c.Silence.By, Comment: c.Silence.Comment + mark(id),
	}
	made, ok, err := s.find(ctx, func(o observability.Silence) bool {
		return strings.HasSuffix(o.Comment, mark(id)) && slices.Equal(sorted(o.Matchers), sorted(want.Matchers))
	})
	switch {
	case err != nil:
		return kube.Applied{}, err
	case ok:
		return kube.Applied{UID: made.ID, Already: true}, nil
	case !want.To.After(want.From):
		return kube.Applied{}, over(c)
	}
	made.ID, err = s.alerts.Silence(ctx, want)
	return kube.Applied{UID: made.ID}, err
}

// Step passes on: a silence is there at once.
func (s *Silencer) Step(ctx context.Context, c kube.Change, id string) (kube.Progress, error) {
	return s.writer.Step(ctx, c, id)
}

func (s *Silencer) find(ctx context.Context, f func(observability.Silence) bool) (observability.Silence, bool, error) {
	all, err := s.alerts.Silences(ctx)
	if err != nil {
		return observability.Silence{}, false, err
	}
	i := slices.IndexFunc(all, f)
	if i < 0 {
		return observability.Silence{}, false, nil
	}
	return all[i], true, nil
}

// mark is what a silence has at the end of its comment.
func mark(id string) string { return " (firstmate " + id + ")" }

// Unmarked is a comment without what Apply leaves in it.
func Unmarked(comment string) string {
	if i := strings.LastIndex(comment, " (firstmate "); i >= 0 && strings.HasSuffix(comment, ")") {
		return comment[:i]
	}
	return comment
}

func over(c kube.Change) error {
	return fault.New(fault.Conflict, "The silence of %s is over already.", c.Ref.Name)
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// labels are what a silence says of the alerts for sure: policies go by them.
func labels(v kube.Silence) map[string]string {
	out := map[string]string{}
	for _, m := range v.Matchers {
		if !m.Regex && !m.Not {
			out[m.Name] = m.Value
		}
	}
	return out
}

func values(v kube.Silence) []observability.Matcher {
	out := make([]observability.Matcher, len(v.Matchers))
	for i, m := range v.Matchers {
		out[i] = observability.Matcher(m)
	}
	return out
}

func written(v kube.Silence) []string {
	var out []string
	for _, m := range values(v) {
		out = append(out, m.String())
	}
	return out
}

func sorted(ms []observability.Matcher) []string {
	var out []string
	for _, m := range ms {
		out = append(out, m.String())
	}
	slices.Sort(out)
	return out
}
