package skill

import (
	"context"
	"fmt"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// status says how workloads are.
func (c *Crew) status(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if t.Intent.Slots.String("what") == "context" {
		return c.context(ctx, t)
	}
	if ofCanary(t) {
		return c.statusOfCanary(ctx, t)
	}
	if r, done, err := c.statusElsewhere(ctx, t); done || err != nil {
		if err != nil {
			return answered(err)
		}
		return r, nil
	}
	targets := t.Intent.Slots.Targets()
	if len(targets) == 0 || targets[0] == intents.TargetCluster || targets[0] == intents.TargetAll {
		return c.overview(ctx, t)
	}
	if targets[0] == intents.TargetIt && len(t.Session.Targets) == 0 {
		return c.overview(ctx, t) // nothing was spoken of yet: "how is it going?"
	}
	ws, err := c.workloads(ctx, t)
	if err != nil {
		return answered(err)
	}
	focus(t, ws)
	var speech, text []string
	for i, w := range ws {
		if say, ok, err := c.pullStatus(ctx, t, w); err != nil {
			return dialogue.Reply{}, err
		} else if ok {
			speech, text = append(speech, say.Speech), append(text, say.Text)
			continue
		}
		begun, err := c.begun(ctx, t, w)
		if err != nil {
			return dialogue.Reply{}, err
		}
		if !begun {
			ws[i].Progress.State = kube.Observing
		} else if ws[i].Progress, err = c.cluster.Diagnose(ctx, w); err != nil {
			return dialogue.Reply{}, err
		}
		say, err := c.state(ws[i], t.Intent.Slots.String("what"))
		if err != nil {
			return dialogue.Reply{}, err
		}
		speech, text = append(speech, say.Speech), append(text, say.Text)
		if say, ok, err := c.watched(ctx, t, w.Ref); err != nil {
			return dialogue.Reply{}, err
		} else if ok {
			speech, text = append(speech, say.Speech), append(text, say.Text)
		}
		// What is around it is asked for where one is asked about, and the
		// roll-out itself does not say already what is wrong.
		if p := ws[i].Progress; len(ws) == 1 && t.Intent.Slots.String("what") == "" && p.Stuck == nil && p.State != kube.Observing {
			more, err := c.depth(ctx, ws[i], c.now())
			if err != nil {
				return dialogue.Reply{}, err
			}
			if more.Text != "" {
				speech, text = append(speech, more.Speech), append(text, more.Text)
			}
		}
	}
	r := dialogue.Reply{Speech: strings.Join(speech, " "), Text: strings.Join(text, "\n")}
	if len(ws) > 1 {
		r.Blocks = []dialogue.Block{workloadTable(ws)}
	}
	return r, nil
}

// begun reports whether a workload shows the change that this conversation is
// just making. Between "yes" and the cluster's first step, the workload looks
// as it did before: saying so would be the truth about the wrong thing.
func (c *Crew) begun(ctx context.Context, t *dialogue.Turn, w kube.Workload) (bool, error) {
	if t.Session.LastAction == "" {
		return true, nil
	}
	e, err := c.ledger.Entry(ctx, t.Session.LastAction)
	if fault.KindOf(err) == fault.NotFound {
		return true, nil
	}
	if err != nil || e.State.Ended() {
		return true, err
	}
	for _, s := range e.Steps {
		if s.Change.Ref == w.Ref && (!s.Applied || w.Generation < s.Generation) {
			return false, nil
		}
	}
	return true, nil
}

// state words how one workload is.
func (c *Crew) state(w kube.Workload, what string) (intents.Say, error) {
	return c.stateAt(w, what, c.place(w.Ref))
}

// stateAt words how a workload is, at a place that is said or not.
func (c *Crew) stateAt(w kube.Workload, what, place string) (intents.Say, error) {
	p := w.Progress
	data := dialogue.Data{
		"Name": w.Ref.Name, "Kind": w.Ref.Kind, "Place": place, "Version": w.Version(),
		"Desired": p.Desired, "Ready": p.Ready, "Updated": p.Updated, "Fresh": p.Fresh(), "Old": p.Old(), "Available": p.Available,
	}
	why, err := c.why(w, p)
	if err != nil {
		return intents.Say{}, err
	}
	data["WhySpeech"], data["Why"] = why.Speech, why.Text
	key := "status." + string(p.State)
	switch {
	case what == "version":
		key = "status.version"
	case what == "replicas":
		key = "status.replicas"
	case p.Desired == 0 && p.Done():
		key = "status.zero"
	case p.Done() && p.Ready < p.Desired:
		key = "status.unready"
	}
	return c.catalogue.Say(key, data)
}

// why words what holds a roll-out up; empty where nothing does.
func (c *Crew) why(w kube.Workload, p kube.Progress) (intents.Say, error) {
	s := p.Stuck
	if s == nil {
		return intents.Say{}, nil
	}
	image := s.Image
	if image == "" {
		image = w.Image(s.Container)
	}
	return c.catalogue.Say("why."+string(s.Reason), dialogue.Data{
		"Pods": s.Pods, "Pod": s.Pod, "Container": s.Container, "Image": image, "Tag": kube.Tag(image),
		"ExitCode": s.ExitCode, "Restarts": s.Restarts, "Detail": s.Detail,
	})
}

// overview says how a namespace is as a whole.
func (c *Crew) overview(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	ns := t.Intent.Slots.String("namespace")
	if ns == "" && c.where(t) == c.base(t) {
		ns = t.Session.Home
	}
	if ns != "" {
		if err := c.hasNamespace(ctx, c.where(t), ns); err != nil {
			return dialogue.Reply{}, err
		}
	}
	ws, err := c.cluster.Find(ctx, kube.Query{Cluster: c.where(t), Namespace: ns})
	if err != nil {
		return dialogue.Reply{}, err
	}
	var bad []kube.Workload
	for _, w := range ws {
		if p := w.Progress; !p.Done() || p.Ready < p.Desired {
			bad = append(bad, w)
		}
	}
	data := dialogue.Data{"Count": len(ws), "Bad": len(bad), "Names": names(bad), "Namespace": c.namespaceIn(c.where(t), ns)}
	if len(bad) == 0 {
		return t.Reply("status.all_well", data)
	}
	focus(t, bad)
	r, err := t.Reply("status.some_bad", data)
	r.Blocks = []dialogue.Block{workloadTable(bad)}
	return r, err
}

func workloadTable(ws []kube.Workload) dialogue.Block {
	b := dialogue.Block{Type: "table", Columns: []string{"NAMESPACE", "NAME", "KIND", "READY", "VERSION", "ROLL-OUT"}}
	for _, w := range ws {
		p := w.Progress
		b.Rows = append(b.Rows, []string{
			w.Ref.Namespace, w.Ref.Name, w.Ref.Kind, fmt.Sprintf("%d/%d", p.Ready, p.Desired), w.Version(), p.Message(),
		})
	}
	return b
}
