package prometheus

import (
	"context"
	"slices"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

const (
	mostAlerts   = 2000 // names of alerting rules that are taken
	longestAlert = 100
)

// AlertNames are what the alerting rules are called, whether they fire or not, each
// once and in order.
func (c *Client) AlertNames(ctx context.Context) ([]string, error) {
	got, err := c.api.Rules(ctx, nil)
	if err != nil {
		return nil, c.fault(err)
	}
	var out []string
	for _, g := range got.Groups {
		for _, r := range g.Rules {
			if a, ok := r.(v1.AlertingRule); ok && a.Name != "" && len(a.Name) <= longestAlert {
				out = append(out, a.Name)
			}
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	return out[:min(mostAlerts, len(out))], nil
}
