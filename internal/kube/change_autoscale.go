package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// VerbAutoscale makes, changes or switches off the autoscaler of a workload.
const VerbAutoscale Verb = "autoscale"

// Bounds are what is asked of an autoscaler; what is 0 or "" stays as it is.
type Bounds struct {
	Min     int32  `json:"min,omitempty"`
	Max     int32  `json:"max,omitempty"`
	Percent int32  `json:"percent,omitempty"` // of what the pods request, on average
	Metric  string `json:"metric,omitempty"`  // "cpu" or "memory"
	Off     bool   `json:"off,omitempty"`
}

// usualPercent is what a new autoscaler keeps the CPU at where nobody said.
const usualPercent = 80

// autoscaling makes, replaces or deletes a HorizontalPodAutoscaler.
type autoscaling struct{ whole }

func (autoscaling) doing(c Change) string { return "change the autoscaler of " + c.About().Name }
func (autoscaling) from(c Change) string  { return boundsOf(c.Before) }
func (autoscaling) to(c Change) string    { return boundsOf(c.After) }
func (autoscaling) aspect() Aspect        { return "autoscaler" }
func (autoscaling) ending(Change) Ending  { return EndsAtOnce }

func (autoscaling) inverse(c Change) (Change, bool) {
	c.Before, c.After, c.Bounds = c.After, c.Before, nil
	if c.Before == nil {
		c.UID = "" // it is made anew
	}
	return c, true
}

func (autoscaling) plan(ctx context.Context, a api, c Change) (Change, string, error) {
	live, err := there(ctx, a, c.Ref)
	if err != nil {
		return c, "", err
	}
	if c.Bounds != nil {
		if c.After, err = c.bounded(live); err != nil {
			return c, "", err
		}
	}
	c, unified, err := planWhole(ctx, a, c, live)
	if err != nil {
		return c, "", err
	}
	about, err := there(ctx, a, c.About())
	if err != nil {
		return c, "", err
	}
	if about.whole != nil { // a rule about the workload is one about its autoscaler
		labels := map[string]string{}
		maps.Copy(labels, about.meta.Labels)
		for k, v := range c.Labels {
			if _, ok := labels[k]; !ok {
				labels[k] = v
			}
		}
		c.Labels = labels
	}
	return c, unified, nil
}

// bounded is the autoscaler as it is to be: the one that is there, or a new one,
// with the bounds that were asked for.
func (c Change) bounded(live object) (json.RawMessage, error) {
	b := *c.Bounds
	if b.Off {
		return nil, nil
	}
	at := c.About()
	h := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: c.Ref.Name, Namespace: c.Ref.Namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": fieldManager}},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: at.Kind, Name: at.Name}},
	}
	if live.whole != nil {
		raw, err := bareJSON(live)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, h); err != nil {
			return nil, fmt.Errorf("kube: %w", err)
		}
		if to := h.Spec.ScaleTargetRef; to.Kind != at.Kind || to.Name != at.Name {
			return nil, fault.New(fault.Refused, "There is an autoscaler %s in %s already, and it is for the %s %s.", c.Ref.Name, c.Ref.Namespace, to.Kind, to.Name)
		}
	}
	s := &h.Spec
	if b.Min > 0 {
		s.MinReplicas = &b.Min
	}
	if b.Max > 0 {
		s.MaxReplicas = b.Max
	}
	switch {
	case s.MaxReplicas == 0:
		return nil, fault.New(fault.NotUnderstood, "Up to how many pods may %s have? Say for example “autoscale %s between 2 and 10”.", at.Name, at.Name)
	case s.MinReplicas != nil && *s.MinReplicas > s.MaxReplicas:
		return nil, fault.New(fault.NotUnderstood, "The autoscaler of %s cannot keep at least %d and at most %d pods. Say both limits.", at.Name, *s.MinReplicas, s.MaxReplicas)
	}
	if b.Percent > 0 || b.Metric != "" || live.whole == nil {
		utilize(s, b)
	}
	h.TypeMeta = metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: HPA}
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	return raw, nil
}

// utilize sets the metric that is asked for and leaves the others.
func utilize(s *autoscalingv2.HorizontalPodAutoscalerSpec, b Bounds) {
	name := corev1.ResourceName(b.Metric)
	if name == "" {
		name = corev1.ResourceCPU
	}
	percent := b.Percent
	if percent == 0 {
		percent = usualPercent
	}
	for i, m := range s.Metrics {
		if m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil && m.Resource.Name == name {
			if b.Percent > 0 || m.Resource.Target.AverageUtilization == nil {
				s.Metrics[i].Resource.Target = autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent}
			}
			return
		}
	}
	s.Metrics = append(s.Metrics, autoscalingv2.MetricSpec{
		Type: autoscalingv2.ResourceMetricSourceType,
		Resource: &autoscalingv2.ResourceMetricSource{
			Name: name, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent},
		},
	})
}

// boundsOf says what an autoscaler does: "2 to 10 at 80% cpu".
func boundsOf(raw json.RawMessage) string {
	if raw == nil {
		return nothing
	}
	var h autoscalingv2.HorizontalPodAutoscaler
	if err := json.Unmarshal(raw, &h); err != nil {
		return "an autoscaler" // as an entry of another version wrote it
	}
	least := int32(1)
	if h.Spec.MinReplicas != nil {
		least = *h.Spec.MinReplicas
	}
	out := []string{fmt.Sprintf("%d to %d", least, h.Spec.MaxReplicas)}
	for _, m := range h.Spec.Metrics {
		if m.Resource != nil && m.Resource.Target.AverageUtilization != nil {
			out = append(out, fmt.Sprintf("at %d%% %s", *m.Resource.Target.AverageUtilization, clip(string(m.Resource.Name))))
		} else {
			out = append(out, "by "+strings.ToLower(string(m.Type))+" metric")
		}
	}
	return strings.Join(out, " ")
}
