package alerts_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/alerts"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// TestTheRealAlertmanagerCalls has a real Alertmanager tell of an alert, and that
// it is over.
func TestTheRealAlertmanagerCalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	board, e := alertmanager.NewBoard(open(t, path), time.Now), &ear{}
	var answering atomic.Pointer[http.Handler]
	answer := func(b *alertmanager.Board) {
		h, err := alerts.New(alerts.Config{Username: "am", Password: "s3cret"}, both{b, e}, b, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		h.Routes(mux)
		var next http.Handler = mux
		answering.Store(&next)
	}
	answer(board)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answering.Load()).ServeHTTP(w, r) }))
	defer s.Close()
	am := sandboxtest.AlertmanagerCalling(t, strings.Replace(s.URL, "http://", "http://am:s3cret@", 1)+alerts.Path)
	fire := func(pod, ends string) {
		body := `[{"labels":{"alertname":"CheckoutDown","pod":"` + pod + `","severity":"critical","namespace":"shop","deployment":"checkout"},"annotations":{"summary":"nobody can pay"},"startsAt":"` +
			time.Now().Add(-time.Minute).UTC().Format(time.RFC3339) + `"` + ends + `}]`
		resp, err := http.Post(am.URL+"/api/v2/alerts", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status, err)
		}
	}
	wait := func(n int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); len(e.heard()) < n; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("heard %+v", e.heard())
			}
		}
	}
	fire("", "")
	wait(1)
	firing, err := board.Alerts(t.Context(), alertmanager.Filter{})
	if err != nil || len(firing) != 1 || firing[0].Name != "CheckoutDown" || firing[0].Severity != "critical" || firing[0].Summary != "nobody can pay" || firing[0].Fingerprint == "" {
		t.Errorf("%+v, %v", firing, err)
	}
	// The process ends, another goes on with the same store. Alertmanager tells of a
	// group as a whole: of a new alert together with the one that was told.
	board = alertmanager.NewBoard(open(t, path), time.Now)
	if got, err := board.Alerts(t.Context(), alertmanager.Filter{}); err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], firing[0]) {
		t.Fatalf("after a restart: %+v, %v", got, err)
	}
	answer(board)
	fire("checkout-1", "")
	wait(3)
	for _, c := range e.heard()[1:3] {
		if told := c.Alert.Labels["pod"] == ""; c.Repeated != told {
			t.Errorf("after a restart %v, repeated: %v", c.Alert.Labels, c.Repeated)
		}
	}
	fire("checkout-1", `,"endsAt":"`+time.Now().Add(-time.Second).UTC().Format(time.RFC3339)+`"`)
	fire("", `,"endsAt":"`+time.Now().Add(-time.Second).UTC().Format(time.RFC3339)+`"`)
	resolved := func() (out []observability.AlertChange) {
		for _, c := range e.heard() {
			if c.Resolved && c.Alert.Labels["pod"] == "" {
				out = append(out, c)
			}
		}
		return out
	}
	for end := time.Now().Add(20 * time.Second); len(resolved()) == 0 || len(mustAlerts(t, board)) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("heard %+v, on the board %+v", e.heard(), mustAlerts(t, board))
		}
	}
	if c := resolved()[0]; !c.Resolved || c.Ended.IsZero() || c.Group != e.heard()[0].Group || c.Alert.Fingerprint != firing[0].Fingerprint {
		t.Errorf("%+v", c)
	}
}

func mustAlerts(t *testing.T, b *alertmanager.Board) []observability.Alert {
	t.Helper()
	all, err := b.Alerts(t.Context(), alertmanager.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
