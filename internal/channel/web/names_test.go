package web_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
)

// known are names that only one speaker may know.
type known struct{ to string }

func (k known) Names(_ context.Context, by access.Speaker) []string {
	if by.Key() != k.to {
		return nil
	}
	return []string{"cart", "web"}
}

// TestNames holds that who asks gets the names that they may know of, and who is
// nobody gets none.
func TestNames(t *testing.T) {
	for _, tt := range []struct {
		to, token string
		status    int
		says      string
	}{
		{"web:token", "tok", 200, `{"names":["cart","web"]}`},
		{"web:ann", "tok", 200, `{"names":[]}`},
		{"web:token", "", 401, "error"},
	} {
		s := web.NewServer(t.Context(), web.Config{Token: "tok"}, &channeltest.Engine{}, slog.New(slog.DiscardHandler))
		s.Show(web.Parts{Names: known{tt.to}})
		mux := http.NewServeMux()
		s.Routes(mux)
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/api/v1/names", nil)
		if tt.token != "" {
			r.Header.Set("Authorization", "Bearer "+tt.token)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%+v: %d %s", tt, w.Code, w.Body)
		}
	}
}
