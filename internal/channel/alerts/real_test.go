package alerts_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/alerts"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// TestTheRealAlertmanagerCalls has a real Alertmanager tell of an alert, and that
// it is over.
func TestTheRealAlertmanagerCalls(t *testing.T) {
	board, e := alertmanager.NewBoard(time.Now), &ear{}
	mux := http.NewServeMux()
	mux.Handle("/", handler(t, alerts.Config{Username: "am", Password: "s3cret"}, both{e, board}))
	s := httptest.NewServer(mux)
	defer s.Close()
	am := sandboxtest.AlertmanagerCalling(t, strings.Replace(s.URL, "http://", "http://am:s3cret@", 1)+alerts.Path)
	fire := func(ends string) {
		body := `[{"labels":{"alertname":"CheckoutDown","severity":"critical","namespace":"shop","deployment":"checkout"},"annotations":{"summary":"nobody can pay"},"startsAt":"` +
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
	fire("")
	wait(1)
	firing, err := board.Alerts(t.Context(), alertmanager.Filter{})
	if err != nil || len(firing) != 1 || firing[0].Name != "CheckoutDown" || firing[0].Severity != "critical" || firing[0].Summary != "nobody can pay" || firing[0].Fingerprint == "" {
		t.Errorf("%+v, %v", firing, err)
	}
	fire(`,"endsAt":"` + time.Now().Add(-time.Second).UTC().Format(time.RFC3339) + `"`)
	wait(2)
	if c := e.heard()[1]; !c.Resolved || c.Ended.IsZero() || c.Group != e.heard()[0].Group || c.Alert.Fingerprint != firing[0].Fingerprint {
		t.Errorf("%+v", c)
	}
	if firing, err := board.Alerts(t.Context(), alertmanager.Filter{}); err != nil || len(firing) != 0 {
		t.Errorf("still on the board: %+v, %v", firing, err)
	}
}
