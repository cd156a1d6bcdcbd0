package skill

import (
	"context"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// context says where the conversation is: where names are looked for first.
func (c *Crew) context(t *dialogue.Turn) (dialogue.Reply, error) {
	return t.Reply("status.context", dialogue.Data{
		"Cluster": c.base(t), "Namespace": c.home(t), "Own": c.cluster.Namespace(c.base(t)),
	})
}

// switchNamespace makes a namespace the one where names are looked for first,
// in this conversation.
func (c *Crew) switchNamespace(_ context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	ns := t.Intent.Slots.String("namespace")
	if !slices.Contains(c.cluster.Namespaces(c.base(t)), ns) {
		return dialogue.Reply{}, fault.New(fault.NotFound, "There is no namespace %s.", ns)
	}
	same := c.home(t) == ns
	t.Session.Home = ns
	if ns == c.cluster.Namespace(c.base(t)) {
		t.Session.Home = ""
	}
	return t.Reply("switch.namespace", dialogue.Data{"Namespace": ns, "Same": same})
}

// switchCluster says that there is but one cluster to be in.
func (c *Crew) switchCluster(_ context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	said, is := t.Intent.Slots.String("cluster"), c.cluster.Cluster()
	r, err := t.Reply("switch.cluster", dialogue.Data{"Cluster": is, "Said": said, "Same": strings.EqualFold(said, is)})
	if !strings.EqualFold(said, is) {
		r.Fault = fault.NotFound
	}
	return r, err
}
