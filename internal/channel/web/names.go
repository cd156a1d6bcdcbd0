package web

import (
	"context"
	"net/http"

	"github.com/firstmate-ops/firstmate/internal/access"
)

const namesPath = "/api/v1/names"

// Names knows what can be spoken of.
type Names interface {
	// Names are a few workloads that exist now and that who asks may know of, those
	// of the home namespace.
	Names(ctx context.Context, by access.Speaker) []string
}

// names tells a few names, for sentences that may be tried.
func (s *Server) names(w http.ResponseWriter, r *http.Request, c caller) error {
	return answer(w, struct {
		Names []string `json:"names"`
	}{list(s.parts.Names.Names(r.Context(), c.speaker))})
}
