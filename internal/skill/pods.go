package skill

import (
	"context"
	"slices"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// maxPods is more pods than anybody means to delete with one sentence.
const maxPods = 100

func (c *Crew) podPlanners() map[string]planner {
	return map[string]planner{"delete_pod": c.deletePods}
}

// deletePods plans to delete one pod, or those that are so.
func (c *Crew) deletePods(ctx context.Context, t *dialogue.Turn, _ [][]kube.Change) (plan, error) {
	pods, err := c.podsMeant(ctx, t)
	if err != nil {
		return plan{}, err
	}
	told := t.Intent.Slots.Has("bare")
	bare := slices.DeleteFunc(slices.Clone(pods), func(p kube.PodState) bool { return !p.Bare() })
	if len(bare) == len(pods) && !told {
		return plan{}, c.askBare(t, bare)
	}
	var p plan
	if len(bare) > 0 && !told { // the others go; what cannot come back is left
		pods = slices.DeleteFunc(pods, kube.PodState.Bare)
		if p.warnings, err = c.warn(p.warnings, "pods.bare_left", dialogue.Data{"Count": len(bare), "Pods": podNames(bare)}); err != nil {
			return plan{}, err
		}
	}
	if len(pods) > maxPods {
		return plan{}, fault.New(fault.Refused, "Those are %d pods; %d is my limit for one sentence. Name a workload or a namespace.", len(pods), maxPods)
	}
	for _, s := range pods {
		p.changes = append(p.changes, kube.Change{Ref: s.Ref, UID: s.UID, Verb: kube.VerbDeletePod, Pod: &kube.PodDeletion{TakeBare: told}})
	}
	if alone := c.alone(ctx, pods); len(alone) > 0 {
		if p.warnings, err = c.warn(p.warnings, "pods.only", dialogue.Data{"Names": alone}); err != nil {
			return plan{}, err
		}
	}
	p.warnings, err = c.warn(p.warnings, "pods.no_undo", dialogue.Data{"Count": len(pods), "Bare": told && len(bare) == len(pods)})
	return p, err
}

// askBare asks about pods that nothing would make anew.
func (c *Crew) askBare(t *dialogue.Turn, pods []kube.PodState) error {
	r, err := t.Reply("ask.bare_pod", dialogue.Data{"Count": len(pods), "Pods": podNames(pods)})
	if err != nil {
		return err
	}
	r.Fault = fault.Ambiguous
	return instead{reply: t.Ask(r, "bare", []string{"for good"})}
}

func podNames(pods []kube.PodState) string {
	refs := make([]kube.PodRef, len(pods))
	for i, p := range pods {
		refs[i] = kube.PodRef{Name: p.Ref.Name}
	}
	return kube.PodNames(refs)
}

// alone names the workloads that would be left without a ready pod.
func (c *Crew) alone(ctx context.Context, pods []kube.PodState) []string {
	var out []string
	for _, p := range pods {
		if !p.Ready || p.Bare() || slices.Contains(out, p.Owner.Name) {
			continue
		}
		all, err := c.cluster.Pods(ctx, kube.PodQuery{Cluster: p.Ref.Cluster, Namespace: p.Ref.Namespace, Owner: p.Owner.Name, OwnerKind: p.Owner.Kind})
		if err != nil {
			return out // a warning less
		}
		if !slices.ContainsFunc(all, func(o kube.PodState) bool {
			return o.Ready && !o.Leaving && !slices.ContainsFunc(pods, func(g kube.PodState) bool { return g.UID == o.UID })
		}) {
			out = append(out, p.Owner.Name)
		}
	}
	return out
}

// podsMeant finds the pods that a turn is about: one by its name, or those of
// workloads or of a namespace that are as was said.
func (c *Crew) podsMeant(ctx context.Context, t *dialogue.Turn) ([]kube.PodState, error) {
	in := t.Intent.Slots
	if name := in.String("pod"); name != "" {
		p, err := c.podNamed(ctx, t, name)
		return []kube.PodState{p}, err
	}
	which, of := in.String("which"), ""
	var out []kube.PodState
	if len(in.Targets()) == 0 {
		of = c.namespace(ctx, t)
		if !slices.Contains(c.cluster.Namespaces(ctx, c.where(t)), of) {
			return nil, fault.New(fault.NotFound, "There is no namespace %s.", of)
		}
		all, err := c.cluster.Pods(ctx, kube.PodQuery{Cluster: c.where(t), Namespace: of})
		if err == nil {
			out, err = kube.PickPods(all, which)
		}
		if err != nil {
			return nil, err
		}
	} else {
		ws, err := c.workloads(ctx, t)
		if err != nil {
			return nil, err
		}
		focus(t, ws)
		of = and(names(ws))
		for _, w := range ws {
			all, err := c.cluster.Pods(ctx, kube.PodQuery{Cluster: w.Ref.Cluster, Namespace: w.Ref.Namespace, Owner: w.Ref.Name, OwnerKind: w.Ref.Kind})
			if err != nil {
				return nil, err
			}
			picked, err := kube.PickPods(all, which)
			if err != nil {
				return nil, err
			}
			out = append(out, picked...)
		}
	}
	out = slices.DeleteFunc(out, func(p kube.PodState) bool { return p.Mirror })
	if len(out) == 0 {
		return nil, nothingToDo(t, "pods.none", dialogue.Data{"Which": which, "Of": of, "Workload": len(in.Targets()) > 0})
	}
	return out, nil
}

// podNamed finds a pod: in the namespace that was said; else at home; else where
// it is the only one of its name; else it asks.
func (c *Crew) podNamed(ctx context.Context, t *dialogue.Turn, name string) (kube.PodState, error) {
	said := t.Intent.Slots.String("namespace")
	all, err := c.cluster.Pods(ctx, kube.PodQuery{Cluster: c.where(t), Namespace: said, Name: name})
	if err != nil {
		return kube.PodState{}, err
	}
	var where []string
	for _, p := range all {
		if len(all) == 1 || p.Ref.Namespace == c.home(ctx, t) {
			return p, nil
		}
		where = append(where, p.Ref.Namespace)
	}
	if len(all) > 0 {
		r, err := t.Reply("ask.where", dialogue.Data{"Name": name, "Where": where})
		if err != nil {
			return kube.PodState{}, err
		}
		r.Fault = fault.Ambiguous
		return kube.PodState{}, instead{reply: t.Ask(r, "namespace", where)}
	}
	ws, err := c.cluster.Find(ctx, kube.Query{Cluster: c.where(t), Namespace: said, Name: name})
	if err != nil {
		return kube.PodState{}, err
	}
	if len(ws) > 0 {
		return kube.PodState{}, fault.New(fault.NotFound, "There is no pod %s; it is a %s. Say which of its pods you mean, like “the oldest pod of %s”.", name, ws[0].Ref.Kind, name)
	}
	return kube.PodState{}, fault.New(fault.NotFound, "I see no pod %s. It may be gone already.", name)
}

// podStatus says how one pod is that was spoken of.
func (c *Crew) podStatus(ctx context.Context, t *dialogue.Turn, ref kube.Ref) (dialogue.Reply, error) {
	all, err := c.cluster.Pods(ctx, kube.PodQuery{Cluster: ref.Cluster, Namespace: ref.Namespace, Name: ref.Name})
	if err != nil {
		return dialogue.Reply{}, err
	}
	data := dialogue.Data{"Name": ref.Name, "There": len(all) > 0, "Status": "", "Ready": false, "Restarts": 0}
	if len(all) > 0 {
		data["Status"], data["Ready"], data["Restarts"] = all[0].Status, all[0].Ready, all[0].Restarts
	}
	return t.Reply("status.pod", data)
}
