package traffic

import (
	"cmp"

	"github.com/firstmate-ops/firstmate/sandbox/internal/fakenode"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/emit"
)

// Hear passes on what a container wrote that the shop has no part in: one that
// cannot stay up. An agent on its node would read that from its log file.
func (g *Generator) Hear(said fakenode.Said) {
	if g.opts.Loki == "" {
		return
	}
	stream := emit.Stream("namespace", said.Namespace, "app", cmp.Or(said.Labels["app"], said.Labels["app.kubernetes.io/name"]),
		"pod", said.Pod, "container", said.Container)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range said.Lines {
		g.lines.Add(stream, l.At, l.Text)
	}
}
