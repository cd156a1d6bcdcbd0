package sentry_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/sentry"
	"github.com/firstmate-ops/firstmate/internal/observability/sentry/sentrytest"
)

func client(t *testing.T, url string) *sentry.Client {
	t.Helper()
	b, err := backend.New(backend.Options{Name: "Sentry", URL: url, Bearer: sentrytest.Token, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c, err := sentry.New(b, sentry.Options{Organization: sentrytest.Organization, Projects: map[string]string{"basket": "cart"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// published is Sentry's own description, where somebody has it: it may not be
// copied into this repository.
func published(t *testing.T) [][]byte {
	t.Helper()
	name := os.Getenv("FIRSTMATE_SENTRY_OPENAPI")
	if name == "" {
		return nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{b}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ids(issues []observability.Issue) string {
	var out []string
	for _, i := range issues {
		out = append(out, i.ID)
	}
	return strings.Join(out, " ")
}

func shop(now time.Time) []sentrytest.Issue {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	return []sentrytest.Issue{
		{ID: "1", Title: "TimeoutError: payments", Project: "checkout", Events: 900, Users: 12, First: ago(240 * time.Hour), Last: ago(time.Minute), Release: "checkout@1.4.1"},
		{
			ID: "2", Title: "KeyError: 'total' token=ghp_16C7e42F292c6912E7710c838347Ae178B4a", Culprit: "cart.pay", Project: "checkout", Events: 50, Users: 40, First: ago(20 * time.Minute), Last: ago(2 * time.Minute),
			Release: "checkout@1.4.2", Unhandled: true, Message: "password=hunter2secret\x1b[31m",
			Exceptions: []sentrytest.Exception{
				{Type: "IOError", Value: "cause", Frames: []sentrytest.Frame{{Function: "read", File: "lib/io.py", Line: 3}}},
				{Type: "KeyError", Value: "'total'", Unhandled: true, Frames: []sentrytest.Frame{
					{Function: "main", File: "app/main.py", Line: 1, InApp: true}, {Function: "wrap", File: "lib/wrap.py", Line: 2}, {Function: "pay", File: "app/pay.py", Line: 42, InApp: true}, {Function: "get", File: "lib/dict.py", Line: 9},
				}},
			},
		},
		{ID: "3", Title: `ValueError: "odd" \ text`, Project: "checkout", Events: 7, Users: 1, First: ago(300 * time.Hour), Last: ago(3 * time.Minute), Substatus: "regressed"},
		{ID: "4", Title: "old and done", Project: "checkout", Events: 1, First: ago(300 * time.Hour), Last: ago(200 * time.Hour), Status: "resolved"},
		{ID: "5", Title: "TypeError", Project: "cart", Events: 5000, Users: 2, First: ago(100 * time.Hour), Last: ago(time.Hour)},
	}
}

// TestIssues asks all that is asked of Sentry; each request and answer is checked
// against the descriptions.
func TestIssues(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	s := sentrytest.New(t, []string{"checkout", "cart"}, shop(now), published(t)...)
	c, ctx := client(t, s.URL), t.Context()
	if err := c.Check(ctx); err != nil {
		t.Fatal(err)
	}
	checkout, ok, err := c.ProjectOf(ctx, "checkout", "shop")
	if err != nil || !ok || checkout.Slug != "checkout" {
		t.Fatal(checkout, ok, err)
	}
	if p, ok, err := c.ProjectOf(ctx, "basket", "shop"); err != nil || !ok || p.Slug != "cart" {
		t.Error("a project that the configuration names:", p, ok, err)
	}
	if _, ok, err := c.ProjectOf(ctx, "search", "shop"); err != nil || ok {
		t.Error("a project that is not there:", ok, err)
	}
	one := []sentry.Project{checkout}
	for _, tt := range []struct {
		name string
		q    sentry.IssueQuery
		want string
	}{
		{"all", sentry.IssueQuery{}, "1 2 3 5"},
		{"of a project", sentry.IssueQuery{Projects: one}, "1 2 3"},
		{"new since a release", sentry.IssueQuery{Projects: one, FirstRelease: "checkout@1.4.2"}, "2"},
		{"new since a time", sentry.IssueQuery{Projects: one, Since: now.Add(-30 * time.Minute)}, "2"},
		{"by events", sentry.IssueQuery{Sort: sentry.Frequency, Limit: 2}, "5 1"},
		{"by users", sentry.IssueQuery{Projects: one, Sort: sentry.Users}, "2 1 3"},
		{"regressions", sentry.IssueQuery{State: "regressed"}, "3"},
		{"resolved", sentry.IssueQuery{State: "resolved", From: now.Add(-400 * time.Hour)}, "4"},
		{"unhandled", sentry.IssueQuery{State: "unhandled"}, "2"},
		{"seen lately", sentry.IssueQuery{From: now.Add(-30 * time.Minute), To: now}, "1 2 3"},
		{"a text", sentry.IssueQuery{Text: "TimeoutError"}, "1"},
		{"a text with quotes and backslashes", sentry.IssueQuery{Text: `"odd" \`}, "3"},
		{"a text that would be a query", sentry.IssueQuery{Text: `" is:resolved "`}, ""},
		{"a release that would be a query", sentry.IssueQuery{FirstRelease: `x" OR is:resolved`}, ""},
	} {
		if got := ids(must[[]observability.Issue](t)(c.Issues(ctx, tt.q))); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if _, err := c.Issues(ctx, sentry.IssueQuery{State: "is:resolved"}); err == nil {
		t.Error("a state is a query of its own")
	}
	got := must[[]observability.Issue](t)(c.Issues(ctx, sentry.IssueQuery{FirstRelease: "checkout@1.4.2"}))[0]
	if strings.Contains(got.Title, "ghp_") || !strings.HasPrefix(got.Title, "KeyError: 'total'") || got.Events != 50 || got.Users != 40 || got.Short != "CHECKOUT-2" || got.FirstRelease != "checkout@1.4.2" || got.Link == "" || !got.First.Equal(now.Add(-20*time.Minute)) {
		t.Errorf("%+v", got)
	}
	if got := must[[]observability.Issue](t)(c.Issues(ctx, sentry.IssueQuery{State: "regressed"}))[0]; !got.Regressed {
		t.Errorf("%+v", got)
	}

	e := must[sentry.Event](t)(c.Latest(ctx, "2"))
	if len(e.Exceptions) != 2 || e.Exceptions[0].Type != "KeyError" || !e.Exceptions[0].Unhandled || e.Exceptions[1].Type != "IOError" || e.Release != "checkout@1.4.2" || e.Environment != "production" {
		t.Errorf("%+v", e)
	}
	if strings.Contains(e.Message, "hunter2") || strings.Contains(e.Message, "\x1b") {
		t.Errorf("not masked: %q", e.Message)
	}
	var frames []string
	for _, f := range e.Exceptions[0].Frames {
		frames = append(frames, f.String())
	}
	if got, want := strings.Join(frames, ", "), "pay (app/pay.py:42), main (app/main.py:1), get (lib/dict.py:9), wrap (lib/wrap.py:2)"; got != want {
		t.Errorf("frames: %s", got)
	}
	if _, err := c.Latest(ctx, "5"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("no event: %v", err)
	}
}

// TestPages holds that all pages are asked for, by their cursors alone.
func TestPages(t *testing.T) {
	now := time.Now()
	var many []sentrytest.Issue
	for n := range 45 {
		many = append(many, sentrytest.Issue{ID: fmt.Sprint(n + 1), Title: "E", Project: "checkout", First: now, Last: now.Add(-time.Duration(n) * time.Second)})
	}
	s := sentrytest.New(t, []string{"checkout", "cart", "web"}, many)
	s.Pages(2)
	c := client(t, s.URL)
	if got := must[[]sentry.Project](t)(c.Projects(t.Context())); len(got) != 3 {
		t.Errorf("projects %v", got)
	}
	if got := must[[]sentry.Project](t)(c.Projects(t.Context())); len(got) != 3 || len(s.Calls()) != 2 {
		t.Errorf("asked again at once: %v", s.Calls())
	}
	got := must[[]observability.Issue](t)(c.Issues(t.Context(), sentry.IssueQuery{Limit: 5}))
	if ids(got) != "1 2 3 4 5" || len(s.Calls()) != 5 {
		t.Errorf("%s after %v", ids(got), s.Calls())
	}
	if got := must[[]observability.Issue](t)(c.Issues(t.Context(), sentry.IssueQuery{Limit: 1000})); len(got) != 20 || len(s.Calls()) != 15 {
		t.Errorf("%d after %d calls: it goes on for ever", len(got), len(s.Calls()))
	}
}

// TestMarkDeploy holds that a roll-out is told once, also when told again.
func TestMarkDeploy(t *testing.T) {
	s := sentrytest.New(t, []string{"checkout"}, nil, published(t)...)
	c, ctx, at := client(t, s.URL), t.Context(), time.Now().UTC().Truncate(time.Second)
	p := must[[]sentry.Project](t)(c.Projects(ctx))[0]
	for range 2 {
		if err := c.MarkDeploy(ctx, p, "checkout@1.4.2", "production", "ABC", at); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.MarkDeploy(ctx, p, "checkout@1.4.2", "staging", "DEF", at); err != nil {
		t.Fatal(err)
	}
	got := s.Deploys()
	if len(got) != 2 || got[0] != (sentrytest.Deploy{Release: "checkout@1.4.2", Environment: "production", Name: "ABC", At: at}) {
		t.Errorf("%+v", got)
	}
	if err := c.MarkDeploy(ctx, p, "../../x", "production", "ABC", at); fault.KindOf(err) != fault.Refused {
		t.Errorf("a release that is a path: %v", err)
	}
	if r, ok, err := c.FindRelease(ctx, p, "checkout", "v1.4.2"); err != nil || !ok || r.Version != "checkout@1.4.2" {
		t.Error(r, ok, err)
	}
	if _, ok, err := c.FindRelease(ctx, p, "checkout", "1.4"); err != nil || ok {
		t.Error("a release that is only begun so:", ok, err)
	}
}

// TestLimits holds that Sentry is left alone for as long as it wants.
func TestLimits(t *testing.T) {
	s := sentrytest.New(t, []string{"checkout"}, nil)
	s.Limit(2, time.Now().Add(20*time.Second))
	c := client(t, s.URL)
	var errs []error
	for range 5 {
		_, err := c.Issues(t.Context(), sentry.IssueQuery{})
		errs = append(errs, err)
	}
	if errs[0] != nil || errs[1] != nil {
		t.Error(errs)
	}
	for _, err := range errs[2:] {
		if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Say(err), "Sentry asks me to come back in") {
			t.Error(err)
		}
	}
	if n := len(s.Calls()); n != 2 {
		t.Errorf("%d requests reached it", n)
	}
}

// TestWhatIsNoSentry is one that is down, slow, of another token, and several
// that talk of something else.
func TestWhatIsNoSentry(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"slow":   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"page":   func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<html>login</html>") },
		"object": func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, `{"detail":"x"}`) },
		"other":  func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, `[{"a":1}]`) },
		"count": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, `[{"id":"1","title":"x","count":"many"}]`)
		},
		"error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(h)
			defer srv.Close()
			c := client(t, srv.URL)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if got, err := c.Issues(ctx, sentry.IssueQuery{}); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Say(err), "Sentry") {
				t.Errorf("%v, %v", got, err)
			}
			if name == "object" || name == "page" || name == "slow" {
				if _, err := c.Latest(ctx, "1"); err == nil {
					t.Error("it has an event")
				}
				if err := c.Check(ctx); err == nil {
					t.Error("it counts as healthy")
				}
			}
		})
	}
	s := sentrytest.New(t, nil, nil)
	b, err := backend.New(backend.Options{Name: "Sentry", URL: s.URL, Bearer: "wrong"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := sentry.New(b, sentry.Options{Organization: sentrytest.Organization})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(t.Context()); fault.KindOf(err) != fault.Usage {
		t.Errorf("a wrong token: %v", err)
	}
	if _, err := sentry.New(b, sentry.Options{Organization: "../x"}); fault.KindOf(err) != fault.Usage {
		t.Errorf("an organization that is a path: %v", err)
	}
}
