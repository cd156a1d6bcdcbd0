package skill

import (
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// outside is what the skills ask that is neither a cluster nor its metrics and
// logs; what is not configured is nil.
type outside struct {
	tracker ErrorTracker
	marker  DeployMarker
	traces  TraceStore
	now     func() time.Time // in the time zone that people mean
}

// outsideHandlers adds the intents that are answered from there to others.
func (c *Crew) outsideHandlers(h map[string]dialogue.HandlerFunc) {
	h["alerts_list"], h["errors"] = c.listAlerts, c.listErrors
	h["metrics"] = c.orTimeSpent(h["metrics"])
}
