package control

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/sandbox/internal/faults"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

type lamp struct{ on bool }

func (l *lamp) On(context.Context) error  { l.on = true; return nil }
func (l *lamp) Off(context.Context) error { l.on = false; return nil }
func (l *lamp) Asked() faults.Asked       { return faults.Asked{Workload: "web", Symptom: "slow"} }

type broken struct{}

func (broken) On(context.Context) error  { return errors.New("no power") }
func (broken) Off(context.Context) error { return nil }

type shop struct{ conditions model.Conditions }

func (s *shop) Change(f func(*model.Conditions)) { f(&s.conditions) }

func TestAPI(t *testing.T) {
	set, l, s := faults.NewSet(), &lamp{}, &shop{}
	if err := set.Add(map[string]faults.Fault{"lamp": l, "broken": broken{}}); err != nil {
		t.Fatal(err)
	}
	h := Handler(set, s)
	for _, test := range []struct {
		method, path, host, origin, body string
		code                             int
		want                             string
	}{
		{"GET", "/faults", "", "", "", 200, `{"name":"lamp","on":false,"asked":{"workload":"web","symptom":"slow"}}`},
		{"PUT", "/faults/lamp", "", "", "", 200, `"on":true`},
		{"GET", "/faults", "", "", "", 200, `{"name":"lamp","on":true`},
		{"PUT", "/faults/lamp?ago=10m", "", "", "", 400, "--fault-ago"},
		{"PUT", "/faults/other", "", "", "", 404, "no such fault"},
		{"PUT", "/faults/broken", "", "", "", 500, "no power"},
		{"DELETE", "/faults/lamp", "shop.example.com", "", "", 403, "on this machine"},
		{"DELETE", "/faults/lamp", "127.0.0.1:80", "http://shop.example.com", "", 403, "on this machine"},
		{"DELETE", "/faults/lamp", "localhost:4000", "", "", 200, `"on":false`},
		{"DELETE", "/faults/other", "[::1]:4000", "", "", 404, "no such fault"},
		{"PUT", "/versions/shop/checkout/v7", "", "", `{"errors":0.2,"latency":3}`, 200, "0.2"},
		{"PUT", "/versions/shop/checkout/v7", "", "", `{"errors":7}`, 400, "ratio"},
		{"PUT", "/versions/shop/checkout/v7", "", "", `{"mood":7}`, 400, "mood"},
		{"PUT", "/versions/shop/nobody/v7", "", "", `{}`, 404, "no service"},
		{"POST", "/faults/lamp", "", "", "", 405, ""},
	} {
		r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
		r.Host = test.host
		if test.host == "" {
			r.Host = "127.0.0.1:4000"
		}
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != test.code || !strings.Contains(rec.Body.String(), test.want) {
			t.Errorf("%s %s (host %q): %d %s, want %d with %q", test.method, test.path, test.host, rec.Code, rec.Body, test.code, test.want)
		}
	}
	if l.on {
		t.Error("it is still on")
	}
	v := model.Version{ID: model.ID{Namespace: "shop", Name: "checkout"}, Tag: "v7"}
	if b := s.conditions.Versions[v]; b.Errors != .2 || b.Latency != 3 {
		t.Errorf("the release behaves as %+v", b)
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodDelete, "/versions/shop/checkout/v7", nil)
	r.Host = "127.0.0.1:4000"
	if h.ServeHTTP(rec, r); rec.Code != 200 || len(s.conditions.Versions) != 0 {
		t.Errorf("%d, left %v", rec.Code, s.conditions.Versions)
	}
	rec = httptest.NewRecorder()
	r = httptest.NewRequest(http.MethodPut, "/versions/shop/checkout/v7", strings.NewReader("{}"))
	r.Host = "127.0.0.1:4000"
	if Handler(set, nil).ServeHTTP(rec, r); rec.Code != http.StatusConflict {
		t.Errorf("without a shop: %d", rec.Code)
	}
}
