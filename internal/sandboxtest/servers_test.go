package sandboxtest_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

func TestServersAnswerAndCanBeKilled(t *testing.T) {
	for name, c := range map[string]struct {
		start      func(testing.TB) *sandboxtest.Server
		path, want string
	}{
		"prometheus":   {sandboxtest.Prometheus, "/api/v1/query?query=vector(1)", `"status":"success"`},
		"loki":         {sandboxtest.Loki, "/loki/api/v1/labels", `"status":"success"`},
		"alertmanager": {sandboxtest.Alertmanager, "/api/v2/alerts", "[]"},
		"jaeger":       {sandboxtest.Jaeger, "/api/services", `"errors":null`},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.start(t)
			if body, err := get(t, s.URL+c.path); err != nil || !strings.Contains(body, c.want) {
				t.Errorf("%s says %v\n%s", c.path, err, body)
			}
			resume, err := s.Stall()
			if err != nil {
				t.Fatal(err)
			}
			if body, err := get(t, s.URL+c.path); err == nil {
				t.Errorf("it answers although it stands still: %s", body)
			}
			if err := resume(); err != nil {
				t.Fatal(err)
			}
			if body, err := get(t, s.URL+c.path); err != nil {
				t.Errorf("after it stood still: %v\n%s", err, body)
			}
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				if _, err := get(t, s.URL+c.path); err != nil {
					break
				}
				if time.Now().After(end) {
					t.Fatal("it answers although it was killed")
				}
			}
		})
	}
}

// get asks with a short patience; what is not 200 is an error.
func get(t *testing.T, url string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}
