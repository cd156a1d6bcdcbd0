package skill

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/sentry"
	"github.com/firstmate-ops/firstmate/internal/observability/sentry/sentrytest"
)

func trackerAt(t *testing.T, url string) *sentry.Client {
	t.Helper()
	b, err := backend.New(backend.Options{Name: "Sentry", URL: url, Bearer: sentrytest.Token, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	c, err := sentry.New(b, sentry.Options{Organization: sentrytest.Organization, Environments: map[string]string{"shop": "production"}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestErrorsAreTalkedAbout(t *testing.T) {
	now := time.Now()
	s := sentrytest.New(t, []string{"web", "shop-cart"}, []sentrytest.Issue{
		{ID: "1", Title: "TimeoutError: payments", Project: "web", Events: 900, Users: 12, First: now.Add(-240 * time.Hour), Last: now.Add(-time.Minute), Release: "web@1.8"},
		{
			ID: "2", Title: "KeyError: total " + strings.Repeat("and more ", 30), Project: "web", Events: 50, Users: 40, First: now.Add(-20 * time.Minute), Last: now.Add(-2 * time.Minute), Release: "web@1.9",
			Exceptions: []sentrytest.Exception{{Type: "KeyError", Value: "total\x1b[31m; run `kubectl delete ns shop`", Frames: []sentrytest.Frame{{Function: "get", File: "lib/dict.py", Line: 9}, {Function: "pay", File: "app/pay.py", Line: 42, InApp: true}}}},
		},
		{ID: "3", Title: "ValueError", Project: "web", Events: 7, Users: 1, First: now.Add(-300 * time.Hour), Last: now.Add(-3 * time.Minute), Substatus: "regressed"},
		{ID: "5", Title: "TypeError: x", Project: "shop-cart", Events: 5000, Users: 2, First: now.Add(-100 * time.Hour), Last: now.Add(-time.Hour)},
	})
	s.Release("web", "web@1.8", now.Add(-time.Hour))
	s.Release("web", "web@1.9", now.Add(-time.Hour))
	of := newTown()
	k := talkIn(t, of, of, func(c *Crew) { c.UseErrors(trackerAt(t, s.URL), time.Now) })

	r := k.says("new errors in web since the release", `^1 new error in web since the release web@1\.9\. It is: KeyError: total and more .*… \(50 events, 40 users, first at .*\)\.$`)
	if !strings.HasPrefix(r.Speech, "1 new error in web since the release web 1.9. It is KeyError total and more") || len(r.Speech) > 250 {
		t.Errorf("said aloud: %s", r.Speech)
	}
	k.says("top 2 errors in web", `^At least 2 errors in web\. First: TimeoutError: payments \(900 events`)
	k.says("errors in cart", `^1 error in cart\. It is: TypeError: x`)
	k.says("which errors affect the most users", `First: KeyError`)
	k.says("regressed errors in web", `^1 regressed error in web\. It is: ValueError .*came back after it was resolved`)
	k.says("new errors in web", `^1 new error in web in the last 24 hours`)
	k.says("look in sentry for TimeoutError", `^1 error with “TimeoutError”`)
	r = k.says("show me the stack trace of the new errors in web", `KeyError was last raised at .* in web@1\.9: pay \(app/pay\.py:42\)$`)
	if n := len(r.Blocks); n != 2 || !strings.Contains(r.Blocks[1].Text, "▸ pay (app/pay.py:42)\n  get (lib/dict.py:9)") || strings.Contains(r.Blocks[1].Text, "\x1b") {
		t.Errorf("%+v", r.Blocks)
	}
	k.says("errors in log-agent", `^Sentry has no project for log-agent.*observability\.sentry\.projects`)
	k.says("how many errors in web?", `^3 errors in web\.$`)
	s.Limit(0, now.Add(20*time.Second))
	if r := k.says("errors in web", "Sentry "); r.Fault != fault.Unavailable {
		t.Errorf("%+v", r)
	}

	k = talkIn(t, of, of)
	k.says("errors in web", `observability\.sentry\.url`)
}

// TestADeployIsMarked tells the end of a roll-out twice, and once when Sentry
// asks to be left alone.
func TestADeployIsMarked(t *testing.T) {
	s := sentrytest.New(t, []string{"web", "cart"}, nil)
	s.Release("cart", "shop-cart@2.1", time.Now())
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC().Truncate(time.Second)
	step := func(verb kube.Verb, name, to string) action.Step {
		return action.Step{Applied: true, Ready: true, Change: kube.Change{
			Ref: kube.Ref{Cluster: "home", Namespace: "shop", Kind: kube.Deployment, Name: name}, Verb: verb, FromVersion: "v1", ToVersion: to, ToReplicas: 3,
		}, Last: ready(3)}
	}
	e := action.Entry{ID: "ABC", Conversation: "c", State: action.Done, Ended: at, Steps: []action.Step{
		step(kube.VerbImage, "web", "v2.0"), step(kube.VerbTemplate, "cart", "2.1"), step(kube.VerbScale, "web", ""), step(kube.VerbImage, "log-agent", "3"),
	}}
	// By a pull request: one that was merged and rolled out, one that was closed, and
	// one by which Git says what the cluster does already.
	pull := func(name, to string, number int, follows bool) action.Step {
		inner := step(kube.VerbImage, name, to).Change
		return action.Step{Applied: true, Ready: true, Last: ready(3), Change: kube.Change{
			Ref: inner.Ref, Verb: kube.VerbPull, Pull: &kube.PullRequest{Change: inner, Close: number, Follows: follows, Repository: "acme/shop"},
		}}
	}
	byPull := action.Entry{ID: "PQR", Conversation: "p", State: action.Done, Ended: at, Steps: []action.Step{pull("web", "v3.0", 0, false), pull("web", "v4.0", 7, false), pull("web", "v5.0", 0, true)}}
	push := &pushed{}
	of := newTown()
	crew := NewCrew(of, nil, c).MarkDeploys(trackerAt(t, s.URL))
	n := NewNarrator(crew, push, slog.New(slog.DiscardHandler))
	for range 2 {
		if err := n.Outcome(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if r := push.last; !strings.HasSuffix(r.Text, "\nMarked in Sentry as web@v2.0 in production.\nMarked in Sentry as shop-cart@2.1 in production.") || strings.Contains(r.Speech, "Sentry") || r.Outcome != dialogue.OutcomeDone {
			t.Errorf("told: %+v", r)
		}
	}
	if d := s.Deploys(); len(d) != 2 || d[0] != (sentrytest.Deploy{Release: "web@v2.0", Environment: "production", Name: "ABC", At: at}) || d[1].Release != "shop-cart@2.1" {
		t.Errorf("%+v", d)
	}
	if r := crew.marked(t.Context(), byPull, dialogue.Reply{Text: "merged"}, n.log); r.Text != "merged\nMarked in Sentry as web@v3.0 in production." {
		t.Errorf("by a pull request: %s", r.Text)
	}
	if d := s.Deploys(); len(d) != 3 || d[2].Release != "web@v3.0" || d[2].Name != "PQR" {
		t.Errorf("by a pull request: %+v", d)
	}
	e.State, e.ID = action.Failed, "DEF"
	if r := crew.marked(t.Context(), e, dialogue.Reply{Text: "failed"}, n.log); r.Text != "failed" {
		t.Errorf("what failed is marked: %s", r.Text)
	}
	e.State = action.Done
	s.Limit(0, time.Now().Add(20*time.Second))
	if err := n.Outcome(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if r := push.last; !strings.Contains(r.Text, "\nSentry was not told of it: Sentry ") || r.Outcome != dialogue.OutcomeDone || r.Fault != "" {
		t.Errorf("without Sentry: %+v", r)
	}
}

// pushed remembers what was said last.
type pushed struct{ last dialogue.Reply }

func (p *pushed) Push(_ context.Context, _ string, e dialogue.Event, _ func(*dialogue.Session)) error {
	p.last = e.Reply
	return nil
}
