package skill

import (
	"cmp"
	"context"
	"slices"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// isCluster reports a place that is a cluster, and no namespace where the turn is.
func (c *Crew) isCluster(ctx context.Context, t *dialogue.Turn, place string) bool {
	return c.several() && slices.Contains(c.cluster.Clusters(), place) && !slices.Contains(c.cluster.Namespaces(ctx, c.where(t)), place)
}

// promoteAcross plans to put what runs in one cluster on the same workloads in
// another: in the namespace of the same name, if there is one.
func (c *Crew) promoteAcross(ctx context.Context, t *dialogue.Turn, before [][]kube.Change) (plan, error) {
	slots := t.Intent.Slots
	from, to := cmp.Or(slots.String("from"), c.base(t)), cmp.Or(slots.String("to"), c.base(t))
	switch {
	case from == to:
		return plan{}, fault.New(fault.NotUnderstood, "From %s to %s is no way to go. Say two clusters.", from, to)
	case !c.isCluster(ctx, t, from) || !c.isCluster(ctx, t, to):
		return plan{}, fault.New(fault.NotUnderstood, "I can promote from one cluster to another or from one namespace to another; %s and %s are not the same kind of place.", from, to)
	}
	src, err := c.workloads(ctx, in(t, from, t.Session))
	if err != nil {
		return plan{}, err
	}
	var p plan
	var same []kube.Workload
	for _, s := range foreseen(src, before) {
		dst, err := c.counterpart(ctx, t, s, to)
		if err != nil {
			return plan{}, err
		}
		dst = foreseen([]kube.Workload{dst}, before)[0]
		images := promotion(s, dst)
		if len(images) == 0 {
			same = append(same, dst)
			continue
		}
		p.changes = append(p.changes, kube.Change{
			Ref: dst.Ref, Verb: kube.VerbImage, Based: dst.Generation, Images: images, Of: from,
			FromVersion: dst.Version(), ToVersion: promotedVersion(s, dst), Cause: cause(t.Request.Speaker, t.Request.Text),
		})
		if pr := s.Progress; !pr.Done() || pr.Ready < pr.Desired {
			say, err := c.catalogue.Say("promote.unwell", dialogue.Data{"Name": s.Ref.Name, "Of": from, "Ready": pr.Ready, "Desired": pr.Desired})
			if err != nil {
				return plan{}, err
			}
			p.warnings = append(p.warnings, say)
		}
	}
	if len(p.changes) == 0 {
		return plan{}, already(t, same, "promote.same", dialogue.Data{"Namespace": to, "Of": from})
	}
	return p, onlyIn(p, []string{to})
}

// counterpart is the workload of another cluster that a workload is promoted to.
func (c *Crew) counterpart(ctx context.Context, t *dialogue.Turn, w kube.Workload, cluster string) (kube.Workload, error) {
	there, err := c.cluster.Find(ctx, kube.Query{Cluster: cluster, Namespace: w.Ref.Namespace, Kind: w.Ref.Kind, Name: w.Ref.Name})
	if err != nil {
		return kube.Workload{}, err
	}
	if len(there) == 1 {
		return there[0], nil
	}
	one := in(t, cluster, t.Session)
	one.Intent = intents.Intent{Name: one.Intent.Name, Slots: intents.Slots{"cluster": cluster}}
	got, err := c.workload(ctx, one, w.Ref.Name)
	if q := t.Session.Question; err != nil && q != nil {
		q.Intent = t.Intent // what is asked for is a place in the other cluster
	}
	return got, err
}
