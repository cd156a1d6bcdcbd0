package e2e_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestEndpoints checks what stands in the contract about the server's
// endpoints, whoever asks.
func TestEndpoints(t *testing.T) {
	w := worldOf(t, "t-endpoints")
	c := w.conversation("main")
	for _, text := range []string{"scale web to four", "yes"} {
		if err := c.say(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.outcome(t.Context(), "done", regexp.MustCompile("")); err != nil {
		t.Fatal(err)
	}
	url, err := w.url(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const turn = `{"conversation":"main","text":"how is web?"}`
	for _, e := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		answer                   string // a regexp
	}{
		{name: "alive", method: "GET", path: "/healthz", status: 200},
		{name: "ready", method: "GET", path: "/readyz", status: 200},
		{name: "console", method: "GET", path: "/", status: 200, answer: "(?i)<!doctype html>"},
		{name: "metrics", method: "GET", path: "/metrics", status: 200, answer: `firstmate_actions_total\{intent="scale",outcome="done"\} 1`},
		{name: "turn", method: "POST", path: "/api/v1/turns", body: turn, status: 200, answer: `"intent":"status"`},
		{name: "turn without text", method: "POST", path: "/api/v1/turns", body: `{}`, status: 400, answer: `"error":`},
		{name: "turn that is no JSON", method: "POST", path: "/api/v1/turns", body: `scale web to nine`, status: 400},
		{
			name: "turn from another site", method: "POST", path: "/api/v1/turns", body: turn, status: 403,
			header: map[string]string{"Origin": "https://example.com", "Sec-Fetch-Site": "cross-site"},
		},
		{name: "turn by another name", method: "POST", path: "/api/v1/turns", body: turn, status: 403, header: map[string]string{"Host": "evil.example.com"}},
		{name: "channel without configuration", method: "POST", path: "/webhooks/alexa", body: `{}`, status: 404},
		{name: "Dialogflow without password", method: "POST", path: "/webhooks/dialogflow/es", body: `{}`, status: 401},
		{
			name: "Dialogflow with a wrong password", method: "POST", path: "/webhooks/dialogflow/es", body: `no JSON`, status: 401,
			header: map[string]string{"Authorization": "Basic ZTJlOndyb25n"},
		},
		{name: "nothing", method: "GET", path: "/nothing", status: 404},
	} {
		t.Run(e.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), e.method, url+e.path, strings.NewReader(e.body))
			if err != nil {
				t.Fatal(err)
			}
			if e.body != "" {
				req.Header.Set("Content-Type", "application/json")
			}
			for k, v := range e.header {
				req.Header.Set(k, v)
			}
			req.Host = req.Header.Get("Host")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != e.status || !regexp.MustCompile(e.answer).Match(b) {
				t.Errorf("status %d, want %d and %s; answer:\n%s", resp.StatusCode, e.status, e.answer, b)
			}
		})
	}
}
