package main

import (
	"context"
	"slices"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// namesShown is how many names the console is given for its examples.
const namesShown = 6

// webNames are the names for the console's examples.
type webNames struct{ a *app }

// Names are Deployments of the home namespace that a speaker may see.
func (n webNames) Names(ctx context.Context, by access.Speaker) []string {
	home, eyes := n.a.fleet.Namespace(""), n.a.eyes.of(ctx, by)
	var out []string
	for _, w := range n.a.fleet.All() {
		if w.Namespace != home || w.Kind != kube.Deployment || slices.Contains(out, w.Name) || n.a.view != nil && !n.a.view.Sees(eyes, w) {
			continue
		}
		out = append(out, w.Name)
	}
	slices.Sort(out)
	return out[:min(len(out), namesShown)]
}
