package web

import (
	"bytes"
	"net/http"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/chart"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

const (
	chartsPath = "/api/v1/charts"
	// The data of a chart is what a turn gave; more than this never does.
	maxChartBody   = 2 << 20
	maxChartPoints = 50_000
	maxChartSeries = 100
	// drawings at a time; each takes a tenth of a second of a core.
	drawings = 2
)

// chart draws the data of an answer's chart. A turn carries the data only, so
// that it does not pay for a picture nobody looks at; and as the data comes with
// the request, nothing is kept and there is no picture that others could fetch.
func (s *Server) chart(w http.ResponseWriter, r *http.Request, _ caller) error {
	if err := checkContentType(r.Header.Get("Content-Type")); err != nil {
		return err
	}
	var c observability.Chart
	if err := webhook.ReadJSON(r, &c); err != nil {
		return err
	}
	points := 0
	for _, all := range [][]observability.Series{c.Series, c.Earlier} {
		for _, line := range all {
			points += len(line.Points)
		}
	}
	if points > maxChartPoints || len(c.Series)+len(c.Earlier)+len(c.Marks) > maxChartSeries || len(c.Title) > 1000 {
		return fault.New(fault.Usage, "That is too much for one chart: at most %d lines and %d points are drawn.", maxChartSeries, maxChartPoints)
	}
	q := r.URL.Query()
	loc, err := time.LoadLocation(q.Get("tz"))
	if err != nil {
		return fault.Wrap(err, fault.Usage, "tz is a time zone like Europe/Berlin.")
	}
	select {
	case s.drawing <- struct{}{}:
		defer func() { <-s.drawing }()
	case <-r.Context().Done():
		return fault.New(fault.Unavailable, "Too many charts are wanted at once. Try again in a moment.")
	}
	var b bytes.Buffer
	if err := s.painter.PNG(&b, c, chart.Options{Dark: q.Get("theme") == "dark", Location: loc}); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, err = w.Write(b.Bytes())
	return err
}
