package alertmanager_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

func client(t *testing.T, url string) *alertmanager.Client {
	t.Helper()
	b, err := backend.New(backend.Options{Name: "Alertmanager", URL: url, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return alertmanager.New(b)
}

func get[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func names(alerts []observability.Alert) string {
	var out []string
	for _, a := range alerts {
		out = append(out, a.Name)
	}
	return strings.Join(out, " ")
}

// TestAgainstTheRealOne fires alerts at a real Alertmanager, silences one, sees
// it silenced and no other, and hears it again.
func TestAgainstTheRealOne(t *testing.T) {
	s := sandboxtest.Alertmanager(t)
	c, ctx, now := client(t, s.URL), t.Context(), time.Now()
	if err := c.Check(ctx); err != nil {
		t.Fatal(err)
	}
	if got := get[[]observability.Alert](t)(c.Alerts(ctx, alertmanager.Filter{})); len(got) != 0 {
		t.Fatalf("an empty one has %v", got)
	}
	nasty := `he said "down\up"` + "\nand more"
	fire(t, s.URL,
		firing("HighLatency", "warning", now.Add(-time.Hour), map[string]string{"namespace": "shop", "deployment": "checkout"}, map[string]string{"summary": "p99 is 2s"}),
		firing("HighLatency", "warning", now.Add(-time.Minute), map[string]string{"namespace": "prod", "deployment": "checkout"}, nil),
		firing("CheckoutDown", "critical", now.Add(-2*time.Hour), map[string]string{"namespace": "shop", "deployment": "checkout", "why": nasty}, map[string]string{"description": "gone\x1b[31m"}),
		firing("Watchdog", "none", now.Add(-3*time.Hour), nil, nil),
	)
	all := alertmanager.Filter{Silenced: true, Inhibited: true}
	got := get[[]observability.Alert](t)(c.Alerts(ctx, all))
	if names(got) != "CheckoutDown HighLatency HighLatency Watchdog" || got[1].Labels["namespace"] != "prod" {
		t.Fatalf("order: %s %v", names(got), got[1])
	}
	if a := got[0]; a.Severity != "critical" || strings.ContainsAny(a.Summary, "\x1b") || a.Since.Sub(now.Add(-2*time.Hour)).Abs() > time.Second || a.Link == "" {
		t.Errorf("%+v", a)
	}

	// A label's value with quotes, backslashes and lines is a value, no query.
	why := observability.Matcher{Name: "why", Value: nasty}
	if got := get[[]observability.Alert](t)(c.Alerts(ctx, alertmanager.Filter{Matchers: []observability.Matcher{why}})); names(got) != "CheckoutDown" {
		t.Errorf("by a nasty value: %s", names(got))
	}
	if _, err := c.Alerts(ctx, alertmanager.Filter{Matchers: []observability.Matcher{{Name: `a="b",c`, Value: "x"}}}); err == nil {
		t.Error("a matcher was smuggled in by a label's name")
	}

	id := get[string](t)(c.Silence(ctx, observability.Silence{
		Matchers: []observability.Matcher{{Name: "alertname", Value: "HighLatency"}, {Name: "namespace", Value: "shop"}},
		From:     now, To: now.Add(2 * time.Hour), By: "Ann", Comment: "known (firstmate ABC)",
	}))
	get[string](t)(c.Silence(ctx, observability.Silence{Matchers: []observability.Matcher{why}, From: now, To: now.Add(time.Hour), By: "Ann", Comment: "x"}))
	got = get[[]observability.Alert](t)(c.Alerts(ctx, alertmanager.Filter{}))
	if names(got) != "HighLatency Watchdog" || got[0].Labels["namespace"] != "prod" {
		t.Errorf("still heard: %s", names(got))
	}
	for _, a := range get[[]observability.Alert](t)(c.Alerts(ctx, all)) {
		if held := a.Name == "CheckoutDown" || a.Labels["namespace"] == "shop"; alertmanager.Held(a) != held {
			t.Errorf("%s: held %v", a.Name, !held)
		}
	}
	silences := get[[]observability.Silence](t)(c.Silences(ctx))
	if len(silences) != 2 || silences[0].ID != id || silences[0].By != "Ann" || silences[0].State != "active" || len(silences[0].Matchers) != 2 || silences[0].Comment != "known (firstmate ABC)" {
		t.Errorf("silences: %+v", silences)
	}

	for range 2 { // what is over already is no error
		if err := c.Unsilence(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Unsilence(ctx, "6f1a1d3e-0000-4000-8000-000000000000"); err != nil {
		t.Errorf("a silence that nobody knows: %v", err)
	}
	if got := get[[]observability.Alert](t)(c.Alerts(ctx, alertmanager.Filter{})); names(got) != "HighLatency HighLatency Watchdog" {
		t.Errorf("heard again: %s", names(got))
	}

	// What would silence everything is never sent.
	for name, m := range map[string][]observability.Matcher{
		"nothing": nil, "any": {{Name: "alertname", Value: ".*", Regex: true}}, "all but": {{Name: "alertname", Value: "x", Not: true}}, "empty": {{Name: "team", Value: ""}},
	} {
		if _, err := c.Silence(ctx, observability.Silence{Matchers: m, From: now, To: now.Add(time.Hour), By: "Ann", Comment: "x"}); fault.KindOf(err) != fault.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}

	resume, err := s.Stall()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := c.Alerts(ctx, all); fault.KindOf(err) != fault.Unavailable || time.Since(began) > 1500*time.Millisecond {
		t.Errorf("stalled: %v after %v", err, time.Since(began))
	}
	if err := errors.Join(resume(), s.Kill()); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	_, err = c.Alerts(ctx, all)
	if k := fault.KindOf(err); k != fault.Unavailable || !strings.Contains(fault.Say(err), "Alertmanager") || time.Since(began) > 1500*time.Millisecond {
		t.Errorf("killed: %v after %v", err, time.Since(began))
	}
}

// TestWhatIsNoAlertmanager is one that is slow, and several that talk of something else.
func TestWhatIsNoAlertmanager(t *testing.T) {
	for name, body := range map[string]string{
		"slow": "", "page": "<html>login</html>", "object": `{"status":"success"}`, "null": "null", "half": `[{"fingerprint":"a","labels":{`,
		"other": `[{"name":"x"}]`, "times": `[{"fingerprint":"a","labels":{"alertname":"x"},"startsAt":"yesterday"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body == "" {
					<-r.Context().Done()
					return
				}
				_, _ = fmt.Fprint(w, body)
			}))
			defer s.Close()
			c := client(t, s.URL)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if got, err := c.Alerts(ctx, alertmanager.Filter{}); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Say(err), "Alertmanager") {
				t.Errorf("alerts: %v, %v", got, err)
			}
			if name == "times" || name == "other" {
				return
			}
			if got, err := c.Silences(ctx); err == nil {
				t.Errorf("silences: %v", got)
			}
			if err := c.Unsilence(ctx, "x"); name == "slow" && err == nil {
				t.Error("an unsilence that nobody heard counts as done")
			}
			if err := c.Check(ctx); err == nil {
				t.Error("it counts as healthy")
			}
		})
	}
}

func TestConcerns(t *testing.T) {
	target := observability.Target{Namespace: "shop", Kind: "Deployment", Name: "checkout"}
	for _, tt := range []struct {
		labels string
		want   string
	}{
		{"deployment=checkout", "deployment"},
		{"namespace=shop deployment=checkout", "deployment"},
		{"namespace=prod deployment=checkout", ""},
		{"namespace=shop deployment=checkout-worker", ""},
		{"namespace=shop service=checkout", "service"},
		{"namespace=shop job=shop/checkout", "job"},
		{"namespace=shop pod=checkout-7d4b9c8f6d-x2x4z", "pod"},
		{"namespace=shop pod=checkout-0", "pod"},
		{"namespace=shop pod=checkout-worker-7d4b9c8f6d-x2x4z", ""},
		{"namespace=shop pod=checkout-worker-0", ""},
		{"namespace=shop", ""},
	} {
		labels := map[string]string{"alertname": "X"}
		for _, l := range strings.Fields(tt.labels) {
			k, v, _ := strings.Cut(l, "=")
			labels[k] = v
		}
		got, ok := alertmanager.Concerns(alertmanager.Value("f", labels, nil, time.Now(), ""), target)
		if got.Name != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %v, want %q", tt.labels, got, tt.want)
		}
	}
}

// What alerts say is masked as lines are, before anybody has it.
func TestWhatAlertsSayIsMasked(t *testing.T) {
	const secret = "hunter2-Zq8Lw4Tn6Rb1"
	a := alertmanager.Value("f", map[string]string{"alertname": "LoginFails", "namespace": "shop"}, map[string]string{
		"summary":     "login with password=" + secret + " to postgres://app:" + secret + "@db fails\x1b[31m " + strings.Repeat("very ", 500),
		"runbook_url": "https://ann:" + secret + "@wiki.example.com/login",
	}, time.Now(), "http://prometheus.example/graph?g0.expr=up")
	if strings.Contains(a.Summary, secret) || !strings.Contains(a.Summary, "[masked]") || strings.ContainsAny(a.Summary, "\x1b\n") || len([]rune(a.Summary)) > 500 {
		t.Errorf("%q", a.Summary)
	}
	if a.Link != "http://prometheus.example/graph?g0.expr=up" {
		t.Errorf("link %q", a.Link)
	}
}

func TestGroups(t *testing.T) {
	at := time.Now()
	value := func(name, severity, ns, deployment string) observability.Alert {
		return alertmanager.Value(name+ns+deployment, map[string]string{"alertname": name, "severity": severity, "namespace": ns, "deployment": deployment}, nil, at, "")
	}
	got := alertmanager.Groups([]observability.Alert{
		value("Slow", "critical", "shop", "web"), value("Slow", "warning", "shop", "cart"), value("Slow", "warning", "prod", "web"), value("Down", "odd", "shop", "cart"), value("Slow", "warning", "shop", "web"),
	})
	if len(got) != 3 || got[0].Severity != "critical" || strings.Join(got[0].About, " ") != "web cart" || len(got[0].Alerts) != 3 || got[1].Namespace != "prod" || got[2].Name != "Down" {
		t.Errorf("%+v", got)
	}
}
