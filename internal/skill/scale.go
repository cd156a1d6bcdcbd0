package skill

import (
	"context"
	"math"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// maxReplicas is more than anybody means: a misheard number must not become a
// thousand pods.
const maxReplicas = 1000

// scale plans another number of replicas.
func (c *Crew) scale(ctx context.Context, t *dialogue.Turn, ws []kube.Workload) (plan, error) {
	var p plan
	var same []kube.Workload
	for _, w := range ws {
		if w.Ref.Kind == kube.DaemonSet {
			return plan{}, fault.New(fault.Refused, "%s is a DaemonSet: it runs one pod on each node, so it has no number to change.", w.Ref.Name)
		}
		to, err := wanted(t.Intent.Slots, w.Progress.Desired)
		if err != nil {
			return plan{}, err
		}
		if to == w.Progress.Desired {
			same = append(same, w)
			continue
		}
		hpa, kept, err := c.cluster.AutoscalerOf(ctx, w.Ref)
		if err != nil && fault.KindOf(err) != fault.Forbidden { // who may not see autoscalers may still scale
			return plan{}, err
		}
		if kept && to != 0 {
			ch, say, err := c.throughAutoscaler(w, hpa, to)
			if err != nil {
				return plan{}, err
			}
			p.changes, p.ask = append(p.changes, ch), &say
			continue
		}
		p.changes = append(p.changes, kube.Change{Ref: w.Ref, Verb: kube.VerbScale, Based: w.Generation, ToReplicas: to})
		warn, err := c.scaleWarnings(w, to, hpa, kept)
		if err != nil {
			return plan{}, err
		}
		p.warnings = append(p.warnings, warn...)
	}
	if len(p.changes) == 0 {
		return plan{}, already(t, same, "scale.same", dialogue.Data{"Replicas": same[0].Progress.Desired})
	}
	return p, nil
}

// wanted is the number of replicas that was asked for, in words or relative to
// the present one.
func wanted(s intents.Slots, now int32) (int32, error) {
	n := float64(now)
	switch {
	case s.Has("replicas"):
		v, ok := s.Number("replicas")
		if !ok {
			return 0, fault.New(fault.NotUnderstood, "How many replicas is %q? Say a whole number.", s.String("replicas"))
		}
		n = v
	case s.Has("delta"):
		v, ok := s.Number("delta")
		if !ok {
			return 0, fault.New(fault.NotUnderstood, "How many more or fewer is %q? Say a whole number.", s.String("delta"))
		}
		n += v
	case s.Has("factor"):
		v, ok := s.Number("factor")
		if !ok || v < 0 {
			return 0, fault.New(fault.NotUnderstood, "How many times is %q? Say a number.", s.String("factor"))
		}
		n = math.Ceil(n * v) // half of three is two: rather one too many
	}
	switch {
	case n != math.Trunc(n):
		return 0, fault.New(fault.NotUnderstood, "Replicas come in whole numbers, so I cannot make it %v.", n)
	case n < 0:
		return 0, fault.New(fault.NotUnderstood, "That would be fewer than none: there are %d now.", now)
	case n > maxReplicas:
		return 0, fault.New(fault.Refused, "%.0f replicas is more than I would start; %d is my limit.", n, maxReplicas)
	}
	return int32(n), nil
}

// scaleWarnings says what people regret not having known; that nothing runs then
// is said with the risk.
func (c *Crew) scaleWarnings(w kube.Workload, to int32, hpa kube.Autoscaler, kept bool) ([]intents.Say, error) {
	if to != 0 || !kept {
		return nil, nil
	}
	rests, err := c.catalogue.Say("scale.rests", dialogue.Data{"Name": w.Ref.Name, "Autoscaler": hpa.Name})
	return []intents.Say{rests}, err
}

func names(ws []kube.Workload) []string {
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = w.Ref.Name
	}
	return out
}
