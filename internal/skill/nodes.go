package skill

import (
	"context"
	"slices"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// maintainer reads nodes, pods, and what runs to an end.
type maintainer interface {
	Node(ctx context.Context, ref kube.Ref) (kube.NodeState, error)
	Pods(ctx context.Context, q kube.PodQuery) ([]kube.PodState, error)
	Batch(ctx context.Context, q kube.Query) ([]kube.BatchJob, error)
}

func (c *Crew) nodePlanners() map[string]planner {
	return map[string]planner{"cordon": c.cordon(kube.VerbCordon), "uncordon": c.cordon(kube.VerbUncordon), "drain": c.drain}
}

// node finds the node that a turn is about, as it will be after the changes
// before.
func (c *Crew) node(ctx context.Context, t *dialogue.Turn, before [][]kube.Change) (kube.NodeState, error) {
	n, err := c.cluster.Node(ctx, kube.Ref{Cluster: c.where(t), Kind: kube.Node, Name: t.Intent.Slots.String("node")})
	if err != nil {
		return n, err
	}
	t.Session.Focus(target(n.Ref))
	for _, ch := range slices.Concat(before...) {
		if ch.Ref != n.Ref {
			continue
		}
		n.Unschedulable = ch.Verb != kube.VerbUncordon
		if ch.Verb == kube.VerbDrain {
			n.Pods = kube.OnNode{Daemon: n.Pods.Daemon, Mirror: n.Pods.Mirror}
		}
	}
	return n, nil
}

// cordon plans to keep new pods off a node, or to let it take them again.
func (c *Crew) cordon(verb kube.Verb) planner {
	return func(ctx context.Context, t *dialogue.Turn, before [][]kube.Change) (plan, error) {
		n, err := c.node(ctx, t, before)
		if err != nil {
			return plan{}, err
		}
		if n.Unschedulable == (verb == kube.VerbCordon) {
			return plan{}, nothingToDo(t, "node.already", dialogue.Data{"Name": n.Ref.Name, "Cordoned": n.Unschedulable})
		}
		p := plan{changes: []kube.Change{{Ref: n.Ref, Verb: verb, Node: &kube.NodeChange{Others: n.Others, Running: n.Pods.Running()}}}}
		if verb == kube.VerbCordon && n.Others == 0 {
			p.warnings, err = c.warn(p.warnings, "node.last", dialogue.Data{"Name": n.Ref.Name})
		}
		return p, err
	}
}

// drain plans to empty a node. Pods that nothing would make anew are asked about.
func (c *Crew) drain(ctx context.Context, t *dialogue.Turn, before [][]kube.Change) (plan, error) {
	n, err := c.node(ctx, t, before)
	if err != nil {
		return plan{}, err
	}
	told := t.Intent.Slots.Has("bare")
	if n.Unschedulable && len(n.Pods.Evict)+len(n.Pods.Bare)+len(n.Pods.Leaving) == 0 {
		return plan{}, nothingToDo(t, "node.empty", dialogue.Data{"Name": n.Ref.Name, "Stay": n.Pods.Running()})
	}
	if bare := n.Pods.Bare; len(bare) > 0 && !told {
		r, err := t.Reply("ask.bare_node", dialogue.Data{"Name": n.Ref.Name, "Count": len(bare), "Pods": kube.PodNames(bare)})
		if err != nil {
			return plan{}, err
		}
		r.Fault = fault.Ambiguous
		return plan{}, instead{reply: t.Ask(r, "bare", []string{"including them"})}
	}
	p := plan{changes: []kube.Change{{
		Ref: n.Ref, Verb: kube.VerbDrain, Drain: &kube.Drain{TakeBare: told}, Node: &kube.NodeChange{Others: n.Others, Running: n.Pods.Running()},
	}}}
	if n.Others == 0 {
		p.warnings, err = c.warn(p.warnings, "node.nowhere", dialogue.Data{"Name": n.Ref.Name})
	}
	return p, err
}

// nothingToDo says so in place of a plan.
func nothingToDo(t *dialogue.Turn, key string, data dialogue.Data) error {
	r, err := t.Reply(key, data)
	if err != nil {
		return err
	}
	return instead{reply: r, nothing: true}
}

// warn adds a warning to others.
func (c *Crew) warn(to []intents.Say, key string, data dialogue.Data) ([]intents.Say, error) {
	say, err := c.catalogue.Say(key, data)
	if err != nil {
		return nil, err
	}
	return append(to, say), nil
}

// found is what only the dry-run found out and people want to know before they
// say yes.
func (c *Crew) found(e action.Entry) (out []intents.Say, err error) {
	for _, s := range e.Steps {
		ch := s.Change
		if d := ch.Drain; d != nil && ch.Verb == kube.VerbDrain {
			if len(d.Bare) > 0 {
				out, err = c.warn(out, "drain.bare", dialogue.Data{"Count": len(d.Bare), "Pods": kube.PodNames(d.Bare)})
			}
			if err == nil && len(d.Data) > 0 {
				out, err = c.warn(out, "drain.data", dialogue.Data{"Count": len(d.Data), "Names": d.Data[:min(manySteps, len(d.Data))], "More": max(0, len(d.Data)-manySteps)})
			}
			if err == nil && len(d.Budgets) > 0 {
				out, err = c.warn(out, "drain.budgets", dialogue.Data{"Names": d.Budgets})
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// maintenance fills the blanks of wordings about nodes, pods and jobs.
func maintenance(s action.Step, data dialogue.Data) dialogue.Data {
	ch := s.Change
	for k, v := range map[string]any{"Running": 0, "Stay": 0, "Owner": "", "CronJob": "", "Active": 0, "Left": "", "Total": s.Last.Total, "Kept": false} {
		data[k] = v
	}
	if p := s.Last.Stuck; p != nil {
		data["Left"] = p.Left
	}
	if ch.Node != nil {
		data["Running"], data["Kept"] = ch.Node.Running, ch.Node.Cordoned
	}
	if ch.Drain != nil {
		data["Stay"], data["Desired"] = ch.Drain.Stay, max(s.Last.Desired, int32(ch.Drain.Pods))
	}
	if ch.Pod != nil {
		data["Owner"] = ch.Pod.Owner.Name
	}
	if ch.Run != nil {
		data["CronJob"] = ch.Run.CronJob
	}
	if ch.Hold != nil {
		data["Active"] = ch.Hold.Active
	}
	return data
}

// statusElsewhere says how something is that is no workload; done is false where
// a workload is meant.
func (c *Crew) statusElsewhere(ctx context.Context, t *dialogue.Turn) (r dialogue.Reply, done bool, err error) {
	in := t.Intent.Slots
	names := in.Targets()
	if node := in.String("node"); node != "" {
		r, err = c.nodeStatus(ctx, t, kube.Ref{Cluster: c.where(t), Kind: kube.Node, Name: node})
		return r, true, err
	}
	if len(names) == 0 || names[0] == intents.TargetCluster || names[0] == intents.TargetAll {
		return r, false, nil
	}
	if names[0] == intents.TargetIt || names[0] == intents.TargetThem {
		if e, running := c.underWay(ctx, t); running {
			r, err = c.progress(e)
			r.Proposal, r.Outcome = nil, dialogue.OutcomeNone // an answer, no news
			return r, true, err
		}
		if len(t.Session.Targets) != 1 {
			return r, false, nil
		}
		o := t.Session.Targets[0]
		switch ref := (kube.Ref{Cluster: o.Cluster, Namespace: o.Namespace, Kind: o.Kind, Name: o.Name}); o.Kind {
		case kube.Node:
			r, err = c.nodeStatus(ctx, t, ref)
			return r, true, err
		case kube.Pod:
			r, err = c.podStatus(ctx, t, ref)
			return r, true, err
		case kube.CronJob, kube.Job:
			r, err = c.jobStatus(ctx, t, []kube.Ref{ref})
			return r, true, err
		}
		return r, false, nil
	}
	var refs []kube.Ref
	for _, name := range names {
		ref, ok, err := c.batchJob(ctx, t, name)
		if err != nil || !ok {
			return r, err != nil, err
		}
		refs = append(refs, ref)
	}
	r, err = c.jobStatus(ctx, t, refs)
	return r, true, err
}

// underWay returns what this conversation is just having done bit by bit.
func (c *Crew) underWay(ctx context.Context, t *dialogue.Turn) (action.Entry, bool) {
	if t.Session.LastAction == "" {
		return action.Entry{}, false
	}
	e, err := c.ledger.Entry(ctx, t.Session.LastAction)
	if err != nil || e.State.Ended() || e.State == action.Proposed {
		return e, false // what the journal does not know is told from the cluster
	}
	s := e.Stuck()
	return e, s != nil && s.Change.Ending() == kube.EndsStepwise
}

// nodeStatus says how a node is, and what is on it.
func (c *Crew) nodeStatus(ctx context.Context, t *dialogue.Turn, ref kube.Ref) (dialogue.Reply, error) {
	n, err := c.cluster.Node(ctx, ref)
	if err != nil {
		return dialogue.Reply{}, err
	}
	t.Session.Focus(target(n.Ref))
	return t.Reply("status.node", dialogue.Data{
		"Name": n.Ref.Name, "Ready": n.Ready, "Cordoned": n.Unschedulable, "Pods": n.Pods.Running(),
		"Going": len(n.Pods.Evict) + len(n.Pods.Bare) + len(n.Pods.Leaving), "Stay": n.Pods.Daemon + n.Pods.Mirror,
	})
}

// cutShort words the end of a change that was stopped where it was, ok is false
// where none was.
func (c *Crew) cutShort(e action.Entry) (intents.Say, bool, error) {
	s := e.Stuck()
	if s == nil || !s.Applied || !s.Change.Stops() {
		return intents.Say{}, false, nil
	}
	say, err := c.catalogue.Say("stopped."+string(s.Change.Verb), c.stepData(*s))
	return say, true, err
}

// own is the wording that a verb has of its own, else the common one.
func (c *Crew) own(key string, verb kube.Verb) string {
	if k := key + "." + string(verb); c.catalogue.CanSay(k) {
		return k
	}
	return key
}
