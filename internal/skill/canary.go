package skill

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// canaryPercent is what a canary gets where nobody says how much.
const canaryPercent = 10

// ofCanary reports whether a turn is about a canary: it was called one.
func ofCanary(t *dialogue.Turn) bool { return t.Intent.Slots.String("strategy") == "canary" }

// canary plans a second Deployment with another version beside one.
func (c *Crew) canary(ctx context.Context, t *dialogue.Turn, ws []kube.Workload) (plan, error) {
	var p plan
	percent, said := t.Intent.Slots.Int("percent")
	if !said {
		percent = canaryPercent
	}
	for _, w := range ws {
		if w.Ref.Kind != kube.Deployment {
			return plan{}, kube.NoCanary(w.Ref)
		}
		from, to, err := c.newImage(ctx, t, w)
		if err != nil {
			return plan{}, err
		}
		if from.Image == to {
			return plan{}, already(t, []kube.Workload{w}, "deploy.same", dialogue.Data{"Version": w.Version()})
		}
		of := w.Ref
		p.changes = append(p.changes, kube.Change{
			Ref: kube.CanaryOf(of), Target: &of, Verb: kube.VerbCanary, Based: w.Generation, Canary: &kube.Canary{Of: of, Percent: percent},
			Images:      []kube.ImageChange{{Container: from.Name, From: from.Image, To: to}},
			FromVersion: kube.Tag(from.Image), ToVersion: sayVersion(from.Image, to), Cause: cause(t.Request.Speaker, t.Request.Text),
		})
		warn := func(key string, data dialogue.Data) error {
			say, err := c.catalogue.Say(key, data)
			p.warnings = append(p.warnings, say)
			return err
		}
		if pr := w.Progress; !pr.Done() {
			if err := warn("canary.rolling", dialogue.Data{"Name": of.Name, "Fresh": pr.Fresh(), "Desired": pr.Desired}); err != nil {
				return plan{}, err
			}
		}
		if a, ok, err := c.cluster.AutoscalerOf(ctx, of); err != nil {
			return plan{}, err
		} else if ok {
			if err := warn("canary.autoscaled", dialogue.Data{"Name": of.Name, "Autoscaler": a.Name}); err != nil {
				return plan{}, err
			}
		}
	}
	return p, nil
}

// pair is a canary and the Deployment beside it.
type pair struct{ canary, beside kube.Workload }

// canaries finds the canaries that a turn is about: of what was named, else as
// canarySpokenOf says.
func (c *Crew) canaries(ctx context.Context, t *dialogue.Turn) ([]pair, error) {
	names := t.Intent.Slots.Targets()
	if slices.Contains(names, intents.TargetIt) || slices.Contains(names, intents.TargetThem) {
		return c.canarySpokenOf(ctx, t)
	}
	ws, err := c.workloads(ctx, t)
	if err != nil {
		return nil, err
	}
	var out []pair
	for _, w := range ws {
		ref := w.Ref
		if of, ok := w.CanaryBeside(); ok {
			ref = of
		}
		p, ok, err := c.canaryBeside(ctx, ref)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, c.noCanary(ctx, t, ref.Name)
		}
		out = append(out, p)
	}
	return out, nil
}

// canarySpokenOf finds "the canary": of what was spoken of, else the only one where
// names are looked for first.
func (c *Crew) canarySpokenOf(ctx context.Context, t *dialogue.Turn) ([]pair, error) {
	for _, s := range t.Session.Targets {
		ref := kube.Ref{Cluster: s.Cluster, Namespace: s.Namespace, Kind: s.Kind, Name: s.Name}
		if p, ok, err := c.canaryBeside(ctx, ref); err != nil || ok {
			return []pair{p}, err
		}
	}
	ws, err := c.cluster.Find(ctx, kube.Query{Cluster: c.where(t), Namespace: c.namespace(ctx, t), Kind: kube.Deployment})
	if err != nil {
		return nil, err
	}
	var all []pair
	var names []string
	for _, w := range ws {
		of, ok := w.CanaryBeside()
		if !ok {
			continue
		}
		p, ok, err := c.canaryBeside(ctx, of)
		if err != nil {
			return nil, err
		}
		if ok {
			all, names = append(all, p), append(names, of.Name)
		}
	}
	switch len(all) {
	case 0:
		return nil, c.noCanary(ctx, t, "")
	case 1:
		return all, nil
	}
	r, err := t.Reply("canary.which", dialogue.Data{"Names": names})
	if err != nil {
		return nil, err
	}
	r.Fault = fault.Ambiguous
	return nil, instead{reply: t.Ask(r, "targets", names)}
}

// canaryBeside is a Deployment and its canary, if it has one.
func (c *Crew) canaryBeside(ctx context.Context, ref kube.Ref) (pair, bool, error) {
	find := func(r kube.Ref) (kube.Workload, bool, error) {
		ws, err := c.cluster.Find(ctx, kube.Query{Cluster: r.Cluster, Namespace: r.Namespace, Kind: kube.Deployment, Name: r.Name})
		if err != nil || len(ws) == 0 {
			return kube.Workload{}, false, err
		}
		return ws[0], true, nil
	}
	canary, ok, err := find(kube.CanaryOf(ref))
	if err != nil || !ok {
		return pair{}, false, err
	}
	beside, ok, err := find(ref)
	if err != nil || !ok {
		return pair{}, false, err
	}
	_, ok = canary.CanaryBeside()
	return pair{canary, beside}, ok, nil
}

func (c *Crew) noCanary(ctx context.Context, t *dialogue.Turn, name string) error {
	r, err := t.Reply("canary.none", dialogue.Data{"Name": name, "Namespace": c.namespace(ctx, t)})
	if err != nil {
		return err
	}
	r.Fault = fault.NotFound
	return instead{reply: r, nothing: true}
}

// change is the change that made a canary, as far as it is seen on it.
func (p pair) change(as string) kube.Change {
	of := p.beside.Ref
	ch := kube.Change{
		Ref: p.canary.Ref, Target: &of, Verb: kube.VerbCanary, UID: p.canary.UID, FromVersion: p.beside.Version(), ToVersion: p.canary.Version(),
		Canary: &kube.Canary{Of: of, UID: p.beside.UID, Beside: p.beside.Progress.Desired, Pods: p.canary.Progress.Desired}, Cause: as,
	}
	for _, e := range p.canary.Containers {
		if from := p.beside.Image(e.Name); from != e.Image {
			ch.Images = append(ch.Images, kube.ImageChange{Container: e.Name, From: from, To: e.Image})
		}
	}
	return ch
}

// withdrawCanary plans to remove canaries.
func (c *Crew) withdrawCanary(ctx context.Context, t *dialogue.Turn) (plan, error) {
	pairs, err := c.canaries(ctx, t)
	if err != nil {
		return plan{}, err
	}
	var p plan
	for _, pr := range pairs {
		ch, _ := pr.change("").Inverse()
		p.changes = append(p.changes, ch)
	}
	return p, nil
}

// promoteCanary plans to put what canaries run on all pods, and to remove them
// when that is rolled out.
func (c *Crew) promoteCanary(ctx context.Context, t *dialogue.Turn) (plan, error) {
	pairs, err := c.canaries(ctx, t)
	if err != nil {
		return plan{}, err
	}
	var p plan
	p.then = make([][]kube.Change, 1)
	for _, pr := range pairs {
		ch := pr.change("")
		if len(ch.Images) == 0 { // it was promoted, and is still there
			gone, _ := ch.Inverse()
			p.then[0] = append(p.then[0], gone)
			continue
		}
		changes, then := ch.Promotion(cause(t.Request.Speaker, t.Request.Text))
		p.changes, p.then[0] = append(p.changes, changes...), append(p.then[0], then[0]...)
	}
	if len(p.changes) == 0 {
		p.changes, p.then = p.then[0], nil
	}
	return p, nil
}

// statusOfCanary says how canaries are.
func (c *Crew) statusOfCanary(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	pairs, err := c.canaries(ctx, t)
	if err != nil {
		return answered(err)
	}
	var speech, text []string
	var beside []kube.Workload
	for _, p := range pairs {
		beside = append(beside, p.beside)
		pr, err := c.cluster.Diagnose(ctx, p.canary)
		if err != nil {
			return dialogue.Reply{}, err
		}
		data := dialogue.Data{
			"Name": p.beside.Ref.Name, "Version": p.canary.Version(), "Ready": pr.Ready, "Desired": pr.Desired,
			"Beside": p.beside.Progress.Desired, "Old": p.beside.Version(),
		}
		say, err := c.catalogue.Say("canary.status", data)
		if err != nil {
			return dialogue.Reply{}, err
		}
		more, err := c.canaryMore(ctx, t, p, pr)
		if err != nil {
			return dialogue.Reply{}, err
		}
		speech = append(speech, strings.TrimSpace(say.Speech+" "+more.Speech))
		text = append(text, strings.TrimSpace(say.Text+" "+more.Text))
	}
	focus(t, beside)
	return dialogue.Reply{Speech: strings.Join(speech, " "), Text: strings.Join(text, "\n")}, nil
}

// canaryMore is why a canary is stuck, and how it does while it is being watched, or
// what came of that.
func (c *Crew) canaryMore(ctx context.Context, t *dialogue.Turn, p pair, pr kube.Progress) (intents.Say, error) {
	if pr.Stuck != nil {
		why, err := c.why(p.canary, pr)
		return intents.Say{Speech: upper(why.Speech) + ".", Text: upper(why.Text) + "."}, err
	}
	if say, ok, err := c.watched(ctx, t, p.canary.Ref); ok || err != nil {
		return say, err
	}
	e, err := c.ledger.Entry(ctx, cmp.Or(p.canary.LastAction, "-"))
	if fault.KindOf(err) == fault.NotFound {
		return intents.Say{}, nil
	}
	if err != nil || e.State == action.Baking || e.Bake == nil {
		return intents.Say{}, err
	}
	return c.verdicts(e)
}
