// Package alertmanager asks Prometheus' Alertmanager, by its v2 API, what fires,
// and silences it. It is a client of its own: the one that Alertmanager
// publishes is generated, and brings go-openapi's runtime with 88 packages of 27
// modules for five requests.
package alertmanager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// Client talks to one Alertmanager, or to a cluster of them behind one address.
type Client struct {
	backend *backend.Client
}

// New returns a client. It talks to nobody yet.
func New(b *backend.Client) *Client { return &Client{backend: b} }

// Check reports whether it is there and speaks this API.
func (c *Client) Check(ctx context.Context) error {
	var got struct {
		Cluster struct {
			Status string `json:"status"`
		} `json:"cluster"`
	}
	if err := c.backend.JSON(ctx, http.MethodGet, "api/v2/status", nil, nil, &got); err != nil {
		return err
	}
	if got.Cluster.Status == "" {
		return c.backend.Garbage(errors.New("no status of its cluster"))
	}
	return nil
}

// Filter is which alerts are wanted.
type Filter struct {
	// Silenced and Inhibited have also those listed that are held back.
	Silenced  bool
	Inhibited bool
	Matchers  []observability.Matcher // all must match
}

// alert is an alert as the API gives it.
type alert struct {
	Fingerprint  string            `json:"fingerprint"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Status       struct {
		State       string   `json:"state"`
		SilencedBy  []string `json:"silencedBy"`
		InhibitedBy []string `json:"inhibitedBy"`
	} `json:"status"`
}

// Alerts lists what fires, the gravest first, then the newest.
func (c *Client) Alerts(ctx context.Context, f Filter) ([]observability.Alert, error) {
	q := url.Values{"active": {"true"}, "silenced": {yes(f.Silenced)}, "inhibited": {yes(f.Inhibited)}, "unprocessed": {"true"}}
	for _, m := range f.Matchers {
		if !labelName(m.Name) {
			return nil, fmt.Errorf("alertmanager: %q is no label", m.Name)
		}
		q.Add("filter", m.String())
	}
	var got []alert
	if err := c.backend.JSON(ctx, http.MethodGet, "api/v2/alerts", q, nil, &got); err != nil {
		return nil, err
	}
	if got == nil {
		return nil, c.backend.Garbage(errors.New("no list of alerts"))
	}
	out := make([]observability.Alert, 0, len(got))
	for _, a := range got {
		if a.Fingerprint == "" || len(a.Labels) == 0 {
			return nil, c.backend.Garbage(errors.New("an alert without fingerprint or labels"))
		}
		v := Value(a.Fingerprint, a.Labels, a.Annotations, a.StartsAt, a.GeneratorURL)
		v.SilencedBy, v.InhibitedBy = a.Status.SilencedBy, a.Status.InhibitedBy
		out = append(out, v)
	}
	Sort(out)
	return out, nil
}

// Value is an alert from what both the API and the webhook say of it.
func Value(fingerprint string, labels, annotations map[string]string, since time.Time, link string) observability.Alert {
	a := observability.Alert{
		Fingerprint: fingerprint, Labels: map[string]string{}, Since: since,
		Name:     clip(labels["alertname"], maxName),
		Severity: strings.ToLower(clip(cmp.Or(labels["severity"], labels["priority"]), maxName)),
		Summary:  clip(logs.Mask(cmp.Or(annotations["summary"], annotations["message"], annotations["description"])), maxSummary),
	}
	for k, v := range labels {
		a.Labels[k] = clip(v, maxName)
	}
	for _, l := range []string{annotations["runbook_url"], link} {
		if u, err := url.Parse(l); a.Link == "" && err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && len(l) < maxLink && logs.Mask(l) == l { // a secret is no part of a link that everybody gets
			a.Link = l
		}
	}
	return a
}

// Sort puts the gravest first, then the newest.
func Sort(alerts []observability.Alert) {
	slices.SortStableFunc(alerts, func(a, b observability.Alert) int {
		return cmp.Or(cmp.Compare(Grave(b.Severity), Grave(a.Severity)), b.Since.Compare(a.Since), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
}

// Grave is how grave a severity is; words that nobody knows are between a
// warning and information.
func Grave(severity string) int {
	switch strings.ToLower(severity) {
	case "critical", "page", "emergency", "fatal", "p1", "sev1", "disaster":
		return 4
	case "error", "high", "major", "p2", "sev2":
		return 3
	case "warning", "warn", "medium", "p3", "sev3":
		return 2
	case "info", "informational", "information", "low", "none", "p4", "p5", "sev4", "sev5", "debug":
		return 0
	}
	return 1
}

// silence is a silence as the API takes and gives it.
type silence struct {
	ID        string    `json:"id,omitempty"`
	Matchers  []matcher `json:"matchers"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
	Status    *struct {
		State string `json:"state"`
	} `json:"status,omitempty"`
}

type matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual *bool  `json:"isEqual,omitempty"` // nil, of an old server, is true
}

// Silences lists the silences that are active or pending, those that end last first.
func (c *Client) Silences(ctx context.Context) ([]observability.Silence, error) {
	var got []silence
	if err := c.backend.JSON(ctx, http.MethodGet, "api/v2/silences", nil, nil, &got); err != nil {
		return nil, err
	}
	if got == nil {
		return nil, c.backend.Garbage(errors.New("no list of silences"))
	}
	out := make([]observability.Silence, 0, len(got))
	for _, s := range got {
		if s.ID == "" || s.Status == nil {
			return nil, c.backend.Garbage(errors.New("a silence without id or status"))
		}
		if s.Status.State == "expired" {
			continue
		}
		v := observability.Silence{
			ID: s.ID, From: s.StartsAt, To: s.EndsAt, By: clip(s.CreatedBy, maxName), Comment: clip(s.Comment, maxComment), State: s.Status.State,
		}
		for _, m := range s.Matchers {
			v.Matchers = append(v.Matchers, observability.Matcher{Name: m.Name, Value: m.Value, Regex: m.IsRegex, Not: m.IsEqual != nil && !*m.IsEqual})
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b observability.Silence) int { return cmp.Or(b.To.Compare(a.To), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// Silence makes a silence and returns its id. One that matches everything, or
// that ends nowhere, is refused.
func (c *Client) Silence(ctx context.Context, s observability.Silence) (string, error) {
	body := silence{StartsAt: s.From.UTC(), EndsAt: s.To.UTC(), CreatedBy: s.By, Comment: s.Comment}
	exact := false
	for _, m := range s.Matchers {
		if !labelName(m.Name) {
			return "", fmt.Errorf("alertmanager: %q is no label", m.Name)
		}
		exact = exact || !m.Regex && !m.Not && m.Value != ""
		equal := !m.Not
		body.Matchers = append(body.Matchers, matcher{Name: m.Name, Value: m.Value, IsRegex: m.Regex, IsEqual: &equal})
	}
	switch {
	case !exact:
		return "", fault.New(fault.Refused, "That silence would hold back alerts that nobody named. Say the name of an alert.")
	case !s.To.After(s.From):
		return "", fault.New(fault.Refused, "That silence would be over before it begins. Say until when.")
	case s.By == "" || s.Comment == "":
		return "", errors.New("alertmanager: a silence says who made it, and why")
	}
	var got struct {
		ID string `json:"silenceID"`
	}
	if err := c.backend.JSON(ctx, http.MethodPost, "api/v2/silences", nil, body, &got); err != nil {
		return "", err
	}
	if got.ID == "" {
		return "", c.backend.Garbage(errors.New("no id of the new silence"))
	}
	return got.ID, nil
}

// Unsilence ends a silence. One that is over, or not known any more, is as
// ended as can be: that is looked up, because an Alertmanager has an error of its
// own for either, by version.
func (c *Client) Unsilence(ctx context.Context, id string) error {
	err := c.backend.JSON(ctx, http.MethodDelete, "api/v2/silence/"+url.PathEscape(id), nil, nil, nil)
	if err == nil {
		return nil
	}
	all, lookErr := c.Silences(ctx)
	if lookErr != nil || slices.ContainsFunc(all, func(s observability.Silence) bool { return s.ID == id }) {
		return err
	}
	return nil
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// labelName reports whether a name needs no quotes in a matcher.
func labelName(s string) bool {
	for i, r := range s {
		if r != '_' && r != ':' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// The longest that is kept of what alerts say.
const (
	maxName    = 200
	maxSummary = 500
	maxComment = 2000 // who made a silence is found by its end
	maxLink    = 2000
)

// clip keeps the beginning of a text, in one line and without control signs.
func clip(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "�"), func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 }), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most-1]) + "…"
	}
	return s
}
