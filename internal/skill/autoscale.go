package skill

import (
	"context"
	"strconv"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// autoscale plans to make, change or switch off autoscalers.
func (c *Crew) autoscale(ctx context.Context, t *dialogue.Turn, ws []kube.Workload) (plan, error) {
	b, err := boundsSaid(t.Intent.Slots)
	if err != nil {
		return plan{}, err
	}
	var p plan
	var same []kube.Workload
	var there kube.Autoscaler
	for _, w := range ws {
		if w.Ref.Kind == kube.DaemonSet {
			return plan{}, fault.New(fault.Refused, "%s is a DaemonSet: it runs one pod on each node, so there is nothing to autoscale.", w.Ref.Name)
		}
		hpa, ok, err := c.cluster.AutoscalerOf(ctx, w.Ref)
		if err != nil {
			return plan{}, err
		}
		switch {
		case b.Off && !ok, ok && !b.Off && b.Percent == 0 && b.Metric == "" && (b.Min == 0 || b.Min == hpa.Min) && (b.Max == 0 || b.Max == hpa.Max):
			same, there = append(same, w), hpa
			continue
		case !ok && b.Max == 0:
			r, err := t.Reply("ask.max", dialogue.Data{"Targets": []string{w.Ref.Name}})
			if err != nil {
				return plan{}, err
			}
			return plan{}, instead{reply: t.Ask(r, "max", nil)}
		}
		p.changes = append(p.changes, autoscaling(w, hpa, b))
	}
	if len(p.changes) > 0 {
		return p, nil
	}
	key := "autoscale.same"
	if b.Off {
		key = "autoscale.none"
	}
	return plan{}, already(t, same, key, dialogue.Data{"Min": there.Min, "Max": there.Max})
}

// autoscaling is the change of a workload's autoscaler; one that has none gets
// one of its own name.
func autoscaling(w kube.Workload, hpa kube.Autoscaler, b kube.Bounds) kube.Change {
	ref, target := w.Ref, w.Ref
	ref.Kind = kube.HPA
	if hpa.Name != "" {
		ref.Name = hpa.Name
	}
	return kube.Change{Ref: ref, Target: &target, Verb: kube.VerbAutoscale, Bounds: &b}
}

// boundsSaid are the limits that were said.
func boundsSaid(s intents.Slots) (kube.Bounds, error) {
	b := kube.Bounds{Metric: s.String("metric"), Off: s.String("enabled") == "false"}
	for _, at := range []struct {
		slot string
		to   *int32
		most float64
	}{{"min", &b.Min, maxReplicas}, {"max", &b.Max, maxReplicas}, {"percent", &b.Percent, 1000}} {
		if !s.Has(at.slot) {
			continue
		}
		n, ok := s.Number(at.slot)
		switch {
		case !ok || n != float64(int32(n)):
			return b, fault.New(fault.NotUnderstood, "How many is %q? Say a whole number.", s.String(at.slot))
		case n < 1:
			return b, fault.New(fault.NotUnderstood, "An autoscaler cannot go below one. To stop everything, switch the autoscaler off and scale to zero.")
		case n > at.most:
			return b, fault.New(fault.Refused, "%.0f is more than I would set; %.0f is my limit.", n, at.most)
		}
		*at.to = int32(n)
	}
	if b.Min > 0 && b.Max > 0 && b.Min > b.Max {
		return b, fault.New(fault.NotUnderstood, "At least %d and at most %d cannot both be. Say the smaller number first.", b.Min, b.Max)
	}
	return b, nil
}

// rebound is what to change of the autoscaler of a workload that somebody wants
// to scale: a number that is set by hand would not last. limits says which.
func rebound(hpa kube.Autoscaler, now, to int32) (b kube.Bounds, limits string) {
	switch {
	case to > now && to > hpa.Max:
		return kube.Bounds{Min: to, Max: to}, "minimum and maximum"
	case to > now:
		return kube.Bounds{Min: to}, "minimum"
	case to < hpa.Min:
		return kube.Bounds{Min: to, Max: to}, "minimum and maximum"
	}
	return kube.Bounds{Max: to}, "maximum"
}

// throughAutoscaler plans to have the autoscaler do what somebody wants by hand.
func (c *Crew) throughAutoscaler(w kube.Workload, hpa kube.Autoscaler, to int32) (kube.Change, intents.Say, error) {
	b, limits := rebound(hpa, w.Progress.Desired, to)
	say, err := c.catalogue.Say("scale.autoscaled", dialogue.Data{
		"Name": w.Ref.Name, "Autoscaler": hpa.Name, "Min": hpa.Min, "Max": hpa.Max, "Limits": limits, "To": strconv.Itoa(int(to)),
	})
	return autoscaling(w, hpa, b), say, err
}
