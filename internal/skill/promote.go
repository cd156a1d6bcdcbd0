package skill

import (
	"context"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// promote plans to put what runs in one namespace on the same workloads in
// another.
func (c *Crew) promote(ctx context.Context, t *dialogue.Turn, before [][]kube.Change) (plan, error) {
	if ofCanary(t) {
		return c.promoteCanary(ctx, t)
	}
	in := t.Intent.Slots
	from, to := in.String("from"), in.String("to")
	if c.isCluster(ctx, t, from) || c.isCluster(ctx, t, to) {
		return c.promoteAcross(ctx, t, before)
	}
	for _, ns := range []string{from, to} {
		if ns != "" && !slices.Contains(c.cluster.Namespaces(ctx, c.where(t)), ns) {
			return plan{}, fault.New(fault.NotFound, "There is no namespace %s.", ns)
		}
	}
	names, its, err := c.promoted(ctx, t, from)
	if err != nil {
		return plan{}, err
	}
	if from == "" && its != to {
		from = its
	}
	var p plan
	var same []kube.Workload
	for _, name := range names {
		if from, to, err = c.fromTo(ctx, t, name, from, to); err != nil {
			return plan{}, err
		}
		src, err := c.pick(ctx, kube.Query{Cluster: c.where(t), Namespace: from, Name: name})
		if err != nil {
			return plan{}, err
		}
		dst, err := c.pick(ctx, kube.Query{Cluster: c.where(t), Namespace: to, Name: name})
		if err != nil {
			return plan{}, err
		}
		src, dst = foreseen([]kube.Workload{src}, before)[0], foreseen([]kube.Workload{dst}, before)[0]
		images := promotion(src, dst)
		if len(images) == 0 {
			same = append(same, dst)
			continue
		}
		p.changes = append(p.changes, kube.Change{
			Ref: dst.Ref, Verb: kube.VerbImage, Based: dst.Generation, Images: images, Of: from,
			FromVersion: dst.Version(), ToVersion: promotedVersion(src, dst), Cause: cause(t.Request.Speaker, t.Request.Text),
		})
		if pr := src.Progress; !pr.Done() || pr.Ready < pr.Desired {
			say, err := c.catalogue.Say("promote.unwell", dialogue.Data{"Name": name, "Of": from, "Ready": pr.Ready, "Desired": pr.Desired})
			if err != nil {
				return plan{}, err
			}
			p.warnings = append(p.warnings, say)
		}
	}
	if len(p.changes) == 0 {
		return plan{}, already(t, same, "promote.same", dialogue.Data{"Namespace": to, "Of": from})
	}
	return p, nil
}

// promoted are the names of what is to be promoted, and the namespace in which
// it was spoken of, where that was so.
func (c *Crew) promoted(ctx context.Context, t *dialogue.Turn, from string) (of []string, its string, err error) {
	said := t.Intent.Slots.Targets()
	switch {
	case len(said) == 1 && (said[0] == intents.TargetIt || said[0] == intents.TargetThem):
		ws, err := c.spokenOf(ctx, t)
		if len(namespaces(ws)) == 1 {
			its = ws[0].Ref.Namespace
		}
		return names(ws), its, err
	case len(said) == 1 && said[0] == intents.TargetAll && from == "":
		r, err := t.Reply("ask.from", nil)
		if err != nil {
			return nil, "", err
		}
		return nil, "", instead{reply: t.Ask(r, "from", c.cluster.Namespaces(ctx, c.where(t)))}
	case len(said) == 1 && said[0] == intents.TargetAll:
		ws, err := c.cluster.Find(ctx, kube.Query{Cluster: c.where(t), Namespace: from, Kind: kube.Deployment})
		if err == nil && len(ws) == 0 {
			err = fault.New(fault.NotFound, "There are no Deployments in %s.", from)
		}
		return names(ws), "", err
	case len(said) == 0:
		return nil, "", fault.New(fault.NotUnderstood, "Which one do you mean? Say its name.")
	}
	return said, "", nil
}

// fromTo finds the namespaces that were not said: where there is one that it can
// be, it is that one.
func (c *Crew) fromTo(ctx context.Context, t *dialogue.Turn, name, from, to string) (string, string, error) {
	all, err := c.cluster.Find(ctx, kube.Query{Cluster: c.where(t), Name: name})
	if err != nil {
		return "", "", err
	}
	where := namespaces(all)
	switch {
	case from != "" && from == to:
		return "", "", fault.New(fault.NotUnderstood, "From %s to %s is no way to go. Say two namespaces.", from, to)
	case len(where) == 0:
		return "", "", fault.New(fault.NotFound, "I see no %s in the cluster.", name)
	case len(where) == 1:
		return "", "", fault.New(fault.NotFound, "%s is only in %s. To promote it, there must be one in another namespace as well.", name, where[0])
	}
	if from == "" && to == "" {
		// Both ways are possible, and one of them is the wrong one.
		if to, err = c.oneOf(t, "to", nil, where); err != nil {
			return "", "", err
		}
	}
	other := func(than string) []string {
		return slices.DeleteFunc(slices.Clone(where), func(ns string) bool { return ns == than })
	}
	if from == "" {
		can := other(to)
		if slices.Contains(can, c.home(ctx, t)) {
			can = []string{c.home(ctx, t)}
		}
		if from, err = c.oneOf(t, "from", can, other(to)); err != nil {
			return "", "", err
		}
	}
	if to == "" {
		can := other(from)
		if to, err = c.oneOf(t, "to", can, can); err != nil {
			return "", "", err
		}
	}
	return from, to, nil
}

// oneOf is the only namespace that it can be, or asks.
func (c *Crew) oneOf(t *dialogue.Turn, slot string, can, choices []string) (string, error) {
	if len(can) == 1 {
		return can[0], nil
	}
	r, err := t.Reply("ask."+slot, nil)
	if err != nil {
		return "", err
	}
	r.Fault = fault.Ambiguous
	return "", instead{reply: t.Ask(r, slot, choices)}
}

// promotion is what of a workload must change to run what another one runs:
// containers of the same name, or the only ones.
func promotion(src, dst kube.Workload) []kube.ImageChange {
	var out []kube.ImageChange
	for _, e := range dst.Containers {
		to := src.Image(e.Name)
		if to == "" && len(src.Containers) == 1 && len(dst.Containers) == 1 {
			to = src.Containers[0].Image
		}
		if to != "" && to != e.Image {
			out = append(out, kube.ImageChange{Container: e.Name, From: e.Image, To: to})
		}
	}
	return out
}

// promotedVersion is how what runs there is said: the version, or the whole image
// where the two come from different places.
func promotedVersion(src, dst kube.Workload) string {
	a, ok := src.Main()
	b, ok2 := dst.Main()
	if ok && ok2 && kube.Repository(a.Image) != kube.Repository(b.Image) {
		return a.Image
	}
	return strings.TrimSpace(src.Version())
}
