package fakenode

import (
	"fmt"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// bootTime is how long a program of the sandbox takes until it answers a probe
// that its kubelet makes before it sends it anybody.
const bootTime = 6 * time.Second

// need is a setting without which some versions of a program do not start.
type need struct {
	image    *regexp.Regexp
	variable string
}

// needs are those of the sandbox's programs.
var needs = []need{{regexp.MustCompile(`/shop/checkout:v1[.]4[.][0-9]+$`), "PAYMENTS_API_URL"}}

// unstartable is needs and bootTime as an expression of jq about a pod, for
// KWOK's stages: these pods are not theirs but the supervisor's.
func unstartable() string {
	lacks := "false"
	for _, n := range needs {
		lacks += fmt.Sprintf(` or ((.image | test("%s")) and ([.env[]?.name] | index("%s") | not))`, n.image, n.variable)
	}
	return fmt.Sprintf(`.spec.restartPolicy == "Always" and ([.spec.containers[] | (%s) or `+
		`(.livenessProbe != null and .startupProbe == null and ((.livenessProbe.initialDelaySeconds // 0) + (.livenessProbe.periodSeconds // 10) * (.livenessProbe.failureThreshold // 3) < %d))] | any)`,
		lacks, int(bootTime.Seconds()))
}

// fate is why a container cannot stay up.
type fate struct {
	// lacks is the variable that it exits without, "" if it is its liveness probe
	// that has it killed.
	lacks string
	// lives is how long a run of it lasts.
	lives time.Duration
}

// fateOf says whether a container cannot stay up, and why.
func fateOf(c *corev1.Container) (fate, bool) {
	for _, n := range needs {
		if n.image.MatchString(c.Image) && !sets(c, n.variable) {
			return fate{lacks: n.variable, lives: 1200 * time.Millisecond}, true
		}
	}
	if p := c.LivenessProbe; p != nil && c.StartupProbe == nil {
		period, failures := p.PeriodSeconds, p.FailureThreshold
		if period == 0 {
			period = 10
		}
		if failures == 0 {
			failures = 3
		}
		patience := time.Duration(p.InitialDelaySeconds+period*failures) * time.Second
		if patience < bootTime {
			return fate{lives: patience}, true
		}
	}
	return fate{}, false
}

func sets(c *corev1.Container, variable string) bool {
	for _, e := range c.Env {
		if e.Name == variable {
			return true
		}
	}
	return false
}

// doomed says whether a pod has a container that cannot stay up.
func doomed(pod *corev1.Pod) bool {
	if pod.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		return false
	}
	found := false
	for i := range pod.Spec.Containers {
		if regexp.MustCompile(neverPulled).MatchString(pod.Spec.Containers[i].Image) {
			return false // KWOK's stages wait for the image
		}
		_, ok := fateOf(&pod.Spec.Containers[i])
		found = found || ok
	}
	return found
}
