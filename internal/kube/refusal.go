package kube

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// What the API server writes where it refuses something; the texts are stable,
// and nothing but them says it.
var (
	noRight     = regexp.MustCompile(`[Uu]ser "([^"]*)" cannot (\S+) resource "([^"]*)"(?: in API group "([^"]*)")?(?: in the namespace "([^"]*)")?`)
	overQuota   = regexp.MustCompile(`exceeded quota: ([^,\s]+)`)
	underQuota  = regexp.MustCompile(`failed quota: ([^:\s]+): must specify (.+)`)
	webhookSays = regexp.MustCompile(`(?s)admission webhook "([^"]*)" denied the request(?:: (.*)| without explanation)`)
	webhookDown = regexp.MustCompile(`failed calling webhook "([^"]*)"`)
	policySays  = regexp.MustCompile(`(?s)ValidatingAdmissionPolicy '([^']*)' with binding '[^']*' denied request: (.*)`)
	podSecurity = regexp.MustCompile(`(?s)violates PodSecurity "([^"]*)": (.*)`)
	budgetInEnd = regexp.MustCompile(`^The disruption budget (\S+) (.*)$`)
	terminating = regexp.MustCompile(`because it is being terminated`)
)

// refusal words what the API server does not allow, with what can be done about
// it; nil for what is no refusal that is known. what is what was being done.
func refusal(err error, what string) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return nil
	}
	s := status.Status()
	say := func(format string, a ...any) error { return fault.Wrap(err, fault.Forbidden, format, a...) }
	end := func(text string) string { return strings.TrimSuffix(clip(text), ".") }
	if s.Details != nil {
		for _, cause := range s.Details.Causes {
			if m := budgetInEnd.FindStringSubmatch(cause.Message); m != nil && cause.Type == policyv1.DisruptionBudgetCause {
				return say("I could not %s: the disruption budget %s %s. Wait until more pods are ready, or scale what it protects up first.", what, clip(m[1]), end(m[2]))
			}
		}
	}
	if m := webhookSays.FindStringSubmatch(s.Message); m != nil {
		why := "it gave no reason"
		if m[2] != "" {
			why = end(m[2])
		}
		return say("The cluster would not accept that: its admission webhook %s refused it: %s. Change what it names, or ask whoever runs that webhook.", clip(m[1]), why)
	}
	if m := webhookDown.FindStringSubmatch(s.Message); m != nil {
		return say("The cluster would not let me %s: its admission webhook %s does not answer, and nothing is changed without it. Tell whoever runs that webhook.", what, clip(m[1]))
	}
	if m := policySays.FindStringSubmatch(s.Message); m != nil {
		return say("The cluster would not accept that: its admission policy %s says: %s. Change that, or ask whoever keeps the policy.", clip(m[1]), end(m[2]))
	}
	if m := podSecurity.FindStringSubmatch(s.Message); m != nil {
		return say("The cluster would not accept that: the namespace takes only pods of the Pod Security level %s: %s. Change that in the pod template.", clip(m[1]), end(m[2]))
	}
	if !apierrors.IsForbidden(err) {
		return nil
	}
	msg := end(s.Message)
	if m := overQuota.FindStringSubmatch(s.Message); m != nil {
		return say("The namespace's quota does not allow me to %s: %s. Raise it (kubectl edit resourcequota %s), or free some of it first.", what, msg, clip(m[1]))
	}
	if m := underQuota.FindStringSubmatch(s.Message); m != nil {
		return say("The namespace's quota does not allow me to %s: the quota %s wants every container to say %s. Add that to the pod template.", what, clip(m[1]), end(m[2]))
	}
	if terminating.MatchString(s.Message) {
		return say("The cluster does not allow me to %s: %s. Take another namespace, or make it anew when it is gone.", what, msg)
	}
	if m := noRight.FindStringSubmatch(s.Message); m != nil {
		return say("The cluster does not allow me to %s: %s. %s", what, msg, lacking(m[2], m[3], m[4], m[5]))
	}
	return nil
}

// lacking says which right to ask for.
func lacking(verb, resource, group, namespace string) string {
	verb, resource, namespace = clip(verb), clip(resource), clip(namespace)
	if verb == "impersonate" {
		return "My own account lacks the right to act as that person: give it the verb impersonate on " + resource + "."
	}
	if group != "" {
		resource += "." + clip(group)
	}
	reads := slices.Contains([]string{"get", "list", "watch"}, verb)
	usual := slices.Contains([]string{
		"deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps", "pods", "services", "events",
		"jobs.batch", "cronjobs.batch", "horizontalpodautoscalers.autoscaling", "pods/eviction", "configmaps",
	}, resource)
	switch {
	case namespace == "":
		return "Ask for a cluster role with the verb " + verb + " on " + resource + "."
	case usual && reads:
		return "Ask for the role view in " + namespace + "."
	case usual:
		return "Ask for the role edit in " + namespace + "."
	}
	return "Ask for a role with the verb " + verb + " on " + resource + " in " + namespace + "."
}
