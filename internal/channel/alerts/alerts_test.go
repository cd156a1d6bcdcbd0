package alerts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/alerts"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// ear is a consumer that remembers what it heard.
type ear struct {
	mu   sync.Mutex
	deaf error
	all  []observability.AlertChange
}

func (e *ear) Hear(_ context.Context, changes []observability.AlertChange) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.deaf != nil {
		return e.deaf
	}
	e.all = append(e.all, changes...)
	return nil
}

func (e *ear) heard() []observability.AlertChange {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all
}

func handler(t *testing.T, c alerts.Config, to alerts.Consumer) http.Handler {
	t.Helper()
	h, err := alerts.New(c, to, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Routes(mux)
	return mux
}

// notification is one alert as Alertmanager's documentation has it.
func notification(group, fingerprint, status, summary string, since time.Time) string {
	b, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": group, "truncatedAlerts": 0, "status": status, "receiver": "firstmate", "groupLabels": map[string]string{}, "commonLabels": map[string]string{},
		"commonAnnotations": map[string]string{}, "externalURL": "http://alertmanager.example",
		"alerts": []any{map[string]any{
			"status": status, "fingerprint": fingerprint, "labels": map[string]string{"alertname": "Down", "severity": "critical", "namespace": "shop"},
			"annotations": map[string]string{"summary": summary}, "startsAt": since, "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus.example/graph",
		}},
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func post(body io.Reader, auth func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodPost, alerts.Path, body)
	auth(r)
	return r
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func TestChannel(t *testing.T) {
	for name, c := range map[string]struct {
		config alerts.Config
		auth   func(*http.Request)
	}{
		"bearer": {alerts.Config{Token: "s3cret"}, bearer("s3cret")},
		"basic":  {alerts.Config{Username: "am", Password: "s3cret"}, func(r *http.Request) { r.SetBasicAuth("am", "s3cret") }},
	} {
		t.Run(name, func(t *testing.T) {
			channeltest.Run(t, channeltest.Channel{
				Handler: func(t *testing.T, _ *channeltest.Engine) http.Handler { return handler(t, c.config, &ear{}) },
				Request: func(delivery, text string) *http.Request {
					return post(strings.NewReader(notification("g", delivery, "firing", text+channeltest.Hostile, time.Now())), c.auth)
				},
				Raw: func(body io.Reader) *http.Request { return post(body, c.auth) },
				Forge: map[string]func(r *http.Request){
					"nothing":        func(r *http.Request) { r.Header.Del("Authorization") },
					"another token":  bearer("s3cre7"),
					"another person": func(r *http.Request) { r.SetBasicAuth("am", "wrong") },
					"an empty token": bearer(""),
				},
				MaxBody: alerts.MaxBody, OneWay: true,
			})
		})
	}
	for _, c := range []alerts.Config{{}, {Username: "a"}, {Password: "a"}, {Token: "a", Username: "b", Password: "c"}} {
		if _, err := alerts.New(c, &ear{}, nil, slog.New(slog.DiscardHandler)); fault.KindOf(err) != fault.Usage {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestRepetitionsAreKnown holds that what was told before is said to be, and that
// what was not taken counts as not told.
func TestRepetitionsAreKnown(t *testing.T) {
	e := &ear{}
	h := handler(t, alerts.Config{Token: "x"}, e)
	send := func(body string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, post(strings.NewReader(body), bearer("x")))
		return w.Code
	}
	at := time.Now().UTC().Truncate(time.Second)
	e.deaf = fault.New(fault.Unavailable, "Not now.")
	if code := send(notification("g", "f1", "firing", "x", at)); code != http.StatusServiceUnavailable {
		t.Errorf("status %d", code)
	}
	e.deaf = nil
	for _, b := range []string{
		notification("g", "f1", "firing", "x", at), notification("g", "f1", "firing", "x", at), notification("g", "f2", "firing", "x", at), notification("h", "f1", "firing", "x", at),
		notification("g", "f1", "resolved", "x", at), notification("g", "f1", "resolved", "x", at), notification("g", "f1", "firing", "x", at.Add(time.Hour)),
	} {
		if code := send(b); code != http.StatusOK {
			t.Errorf("status %d", code)
		}
	}
	var got []string
	for _, c := range e.heard() {
		got = append(got, fmt.Sprintf("%s/%s %v %v", c.Group, c.Alert.Fingerprint, c.Resolved, c.Repeated))
	}
	want := "g/f1 false false, g/f1 false true, g/f2 false false, h/f1 false true, g/f1 true false, g/f1 true true, g/f1 false false"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("heard %s\nwant  %s", s, want)
	}
	for name, body := range map[string]string{
		"another version": strings.Replace(notification("g", "f", "firing", "x", at), `"version":"4"`, `"version":"3"`, 1),
		"no group":        notification("", "f", "firing", "x", at),
		"no fingerprint":  notification("g", "", "firing", "x", at),
		"another status":  notification("g", "f", "burning", "x", at),
		"no beginning":    notification("g", "f", "firing", "x", time.Time{}),
	} {
		if code := send(body); code != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, code)
		}
	}
	if len(e.heard()) != 7 {
		t.Error("what is no notification was handed on")
	}
}

// open opens the store that a board is kept in.
func open(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestBoard(t *testing.T) {
	at := time.Now().UTC()
	now := at
	path := filepath.Join(t.TempDir(), "x.db")
	b := alertmanager.NewBoard(open(t, path), func() time.Time { return now })
	change := func(fingerprint, severity string, since time.Time, resolved bool) observability.AlertChange {
		return observability.AlertChange{Resolved: resolved, Alert: alertmanager.Value(fingerprint, map[string]string{"alertname": fingerprint, "severity": severity, "cluster": "c-" + fingerprint}, nil, since, "")}
	}
	hear := func(c ...observability.AlertChange) {
		if err := b.Hear(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	list := func() string {
		all, err := b.Alerts(t.Context(), alertmanager.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, a := range all {
			out = append(out, a.Name)
		}
		return strings.Join(out, " ")
	}
	hear(change("a", "warning", at, false), change("b", "critical", at, false), change("c", "warning", at.Add(time.Minute), false))
	if got := list(); got != "b c a" {
		t.Errorf("fires: %s", got)
	}
	hear(change("b", "critical", at, true), change("c", "warning", at, true)) // the latter is word of an earlier time
	if got := list(); got != "c a" {
		t.Errorf("fires: %s", got)
	}
	if got, err := b.Firing(t.Context(), "c-a"); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	hear(change("b", "critical", at, false)) // as late
	if got := list(); got != "c a" {
		t.Errorf("fires: %s", got)
	}
	// Another process, or the same after a restart, knows as much.
	b = alertmanager.NewBoard(open(t, path), func() time.Time { return now })
	for _, c := range []struct {
		change observability.AlertChange
		knows  bool
	}{
		{change("a", "warning", at, false), true}, {change("a", "warning", at.Add(time.Hour), false), false}, {change("a", "warning", at, true), false},
		{change("b", "critical", at, true), true}, {change("d", "warning", at, false), false},
	} {
		if knows, err := b.Knows(t.Context(), c.change); knows != c.knows || err != nil {
			t.Errorf("%s, resolved %v: known %v, %v", c.change.Alert.Name, c.change.Resolved, knows, err)
		}
	}
	now = now.Add(20 * time.Hour)
	hear(change("a", "warning", at, false)) // it is repeated
	now = now.Add(10 * time.Hour)
	if got := list(); got != "a" {
		t.Errorf("what nobody repeats: %s", got)
	}
}

// both tells two consumers.
type both struct{ a, b alerts.Consumer }

func (b both) Hear(ctx context.Context, changes []observability.AlertChange) error {
	if err := b.b.Hear(ctx, changes); err != nil {
		return err
	}
	return b.a.Hear(ctx, changes)
}
