package skill

import (
	"context"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// context says where the conversation is: where names are looked for first.
func (c *Crew) context(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	return t.Reply("status.context", dialogue.Data{
		"Cluster": c.base(t), "Namespace": c.home(ctx, t), "Own": c.cluster.Namespace(c.base(t)),
	})
}

// switchNamespace makes a namespace the one where names are looked for first,
// in this conversation.
func (c *Crew) switchNamespace(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	ns := t.Intent.Slots.String("namespace")
	if cluster := t.Intent.Slots.String("cluster"); cluster != "" && cluster != c.base(t) {
		if r, err := c.switchCluster(ctx, t); err != nil || r.Fault != "" {
			return r, err
		}
	}
	if err := c.hasNamespace(ctx, c.base(t), ns); err != nil {
		return dialogue.Reply{}, err
	}
	same := c.home(ctx, t) == ns
	t.Session.Home = ns
	if ns == c.cluster.Namespace(c.base(t)) {
		t.Session.Home = ""
	}
	return t.Reply("switch.namespace", dialogue.Data{"Namespace": c.namespaceIn(c.base(t), ns), "Same": same})
}

// switchCluster makes a cluster the one where names are looked for first, in this
// conversation, once it answers.
func (c *Crew) switchCluster(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	said, all := t.Intent.Slots.String("cluster"), c.cluster.Clusters()
	at := slices.IndexFunc(all, func(name string) bool { return strings.EqualFold(name, said) })
	if at < 0 {
		r, err := t.Reply("switch.no_cluster", dialogue.Data{"Said": said, "Clusters": all, "Cluster": all[0]})
		r.Fault = fault.NotFound
		return r, err
	}
	name := all[at]
	if _, err := c.cluster.Find(ctx, kube.Query{Cluster: name, Name: "-"}); err != nil {
		return dialogue.Reply{}, fault.Wrap(err, fault.KindOf(err), "%s You stay in %s.", fault.Say(err), c.base(t))
	}
	same := c.base(t) == name
	if !same {
		t.Session.Cluster, t.Session.Home = name, ""
		if at == 0 {
			t.Session.Cluster = ""
		}
	}
	return t.Reply("switch.cluster", dialogue.Data{"Cluster": name, "Namespace": c.cluster.Namespace(name), "Same": same, "Only": len(all) == 1})
}
