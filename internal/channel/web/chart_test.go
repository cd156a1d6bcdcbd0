package web_test

import (
	"encoding/json"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// TestCharts holds that who may ask gets a picture of the data, and that nothing
// that a stranger sends is drawn or takes long.
func TestCharts(t *testing.T) {
	at := time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	line := observability.Series{Name: "web", Unit: observability.Cores, Points: []observability.Point{{At: at, Value: 1}, {At: at.Add(time.Hour), Value: 2}}}
	good, err := json.Marshal(observability.Chart{Title: "web: cpu", Kind: observability.Lines, Unit: observability.Cores, Series: []observability.Series{line}})
	if err != nil {
		t.Fatal(err)
	}
	ages := `{"kind":"line","series":[{"name":"` + strings.Repeat("a", 100_000) + `","points":[{"at":"0001-01-01T00:00:00Z","value":1e308},{"at":"9999-01-01T00:00:00Z","value":-1e308}]}],"marks":[{"at":"2026-01-01T00:00:00Z","label":"` + strings.Repeat("é", 10_000) + `"}]}`
	many := `{"kind":"line","series":[{"points":[` + strings.TrimSuffix(strings.Repeat(`{"value":1},`, 60_000), ",") + `]}]}`
	for _, tt := range []struct {
		name, query, body, token, content string
		status                            int
	}{
		{"light", "", string(good), "tok", "application/json", 200},
		{"dark", "?theme=dark&tz=Europe/Berlin", string(good), "tok", "application/json", 200},
		{"nothing in it", "", `{}`, "tok", "application/json", 200},
		{"of ages, with endless names", "", ages, "tok", "application/json", 200},
		{"nobody", "", string(good), "", "application/json", 401},
		{"no time zone", "?tz=../../etc/passwd", string(good), "tok", "application/json", 400},
		{"no JSON", "", "<svg>", "tok", "application/json", 400},
		{"a form", "", "a=b", "tok", "application/x-www-form-urlencoded", 415},
		{"too many points", "", many, "tok", "application/json", 400},
		{"too long", "", `{"title":"` + strings.Repeat("a", 3<<20) + `"}`, "tok", "application/json", 413},
	} {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/api/v1/charts"+tt.query, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", tt.content)
		if tt.token != "" {
			r.Header.Set("Authorization", "Bearer "+tt.token)
		}
		w := httptest.NewRecorder()
		start := time.Now()
		handler(t, web.Config{Token: "tok"}, &channeltest.Engine{}).ServeHTTP(w, r)
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s took %v", tt.name, took)
		}
		if w.Code != tt.status {
			t.Errorf("%s: status %d, want %d: %.200s", tt.name, w.Code, tt.status, w.Body.String())
			continue
		}
		if tt.status != 200 {
			continue
		}
		if img, err := png.Decode(w.Body); err != nil || img.Bounds().Dx() < 1000 || w.Header().Get("Content-Type") != "image/png" {
			t.Errorf("%s: %v, %s", tt.name, err, w.Header().Get("Content-Type"))
		}
	}
}
