package fakenode

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// Which pods KWOK's stages leave alone, and which the supervisor takes, is said
// twice: it must be the same ones.
func TestStagesAndSupervisorAgree(t *testing.T) {
	probe := func(delay, period, failures int32) *corev1.Probe {
		return &corev1.Probe{InitialDelaySeconds: delay, PeriodSeconds: period, FailureThreshold: failures}
	}
	for name, c := range map[string]struct {
		image   string
		change  func(*corev1.Container)
		doomed  bool
		restart corev1.RestartPolicy
	}{
		"ordinary":            {image: "/shop/checkout:v1"},
		"lacks its setting":   {image: "/shop/checkout:v1.4.0", doomed: true},
		"has its setting":     {image: "/shop/checkout:v1.4.0", change: func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "PAYMENTS_API_URL", Value: "x"}} }},
		"has another setting": {image: "/shop/checkout:v1.4.2", change: func(c *corev1.Container) { c.Env = []corev1.EnvVar{{Name: "X"}} }, doomed: true},
		"another program":     {image: "/shop/cart:v1.4.0"},
		"a patient probe":     {image: "/shop/cart:2.0", change: func(c *corev1.Container) { c.LivenessProbe = probe(0, 2, 3) }},
		"the default probe":   {image: "/shop/cart:2.0", change: func(c *corev1.Container) { c.LivenessProbe = &corev1.Probe{} }},
		"an impatient probe":  {image: "/shop/cart:2.0", change: func(c *corev1.Container) { c.LivenessProbe = probe(1, 2, 2) }, doomed: true},
		"a delayed probe":     {image: "/shop/cart:2.0", change: func(c *corev1.Container) { c.LivenessProbe = probe(5, 1, 1) }},
		"a startup probe":     {image: "/shop/cart:2.0", change: func(c *corev1.Container) { c.LivenessProbe, c.StartupProbe = probe(0, 1, 1), probe(0, 1, 30) }},
		"a Job's pod":         {image: "/shop/checkout:v1.4.0", restart: corev1.RestartPolicyNever},
	} {
		p := newPlayer(t, func(p *corev1.Pod) {
			p.Spec.Containers = []corev1.Container{{Name: "c", Image: "registry.example.com" + c.image}}
			if c.change != nil {
				c.change(&p.Spec.Containers[0])
			}
			if c.restart != "" {
				p.Spec.RestartPolicy = c.restart
			}
		})
		if got := doomed(p.pod); got != c.doomed {
			t.Errorf("%s: doomed is %v", name, got)
		}
		stage, _ := p.next()
		if left := stage == ""; left != c.doomed {
			t.Errorf("%s: the stage that plays it is %q", name, stage)
		}
	}
}

func TestALetterForADigitIsNeverPulled(t *testing.T) {
	for image, want := range map[string]string{
		":v1.O.1": "pod-pull-error", ":2.l": "pod-pull-error", ":v1.0.1": "pod-run-ready", ":latest": "pod-run-ready", ":2024.11": "pod-run-ready", ":Ol-1": "pod-run-ready",
	} {
		if got, _ := newPlayer(t, nil, image).next(); got != want {
			t.Errorf("tag %q is played by %q, want %q", image, got, want)
		}
	}
}
