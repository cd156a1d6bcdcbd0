package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/observability/sentry"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// view is what a person may see of the clusters; *kube.View is one.
type view interface {
	Sees(ctx context.Context, ref kube.Ref) bool
	Names(ctx context.Context) (kube.Names, error)
}

// held holds back, of what is asked outside of the cluster, what is about objects
// that the person of a context may not see: outside nobody knows of their rights.
type held struct {
	view view
	// all are the workloads there are, whoever may see them.
	all      func() []kube.Ref
	clusters func() []string // home first
}

// namespaceKind is the kind of namespaces; who may list them may know of the
// cluster as a whole.
const namespaceKind = "Namespace"

// seesAlert reports whether the person of a context may know of an alert: they may
// see the object that it names, or the pods of its place.
func (h held) seesAlert(ctx context.Context, a observability.Alert) bool {
	name, ns, label := alertmanager.About(a)
	at := kube.Ref{Cluster: a.Labels["cluster"], Namespace: ns}
	if !slices.Contains(h.clusters(), at.Cluster) {
		at.Cluster = "" // home, as everywhere else
	}
	if ns == "" {
		at.Kind = namespaceKind
		if label == "node" || label == "instance" {
			at.Kind, at.Name = kube.Node, strings.Split(name, ":")[0]
		}
		return h.view.Sees(ctx, at)
	}
	at.Kind = kube.Pod
	if h.view.Sees(ctx, at) {
		return true
	}
	kinds := map[string][]string{"deployment": {kube.Deployment}, "statefulset": {kube.StatefulSet}, "daemonset": {kube.DaemonSet}, "pod": {kube.Pod}}[label]
	if kinds == nil {
		kinds = []string{kube.Deployment, kube.StatefulSet, kube.DaemonSet}
	}
	at.Name = name
	return name != "" && slices.ContainsFunc(kinds, func(k string) bool { at.Kind = k; return h.view.Sees(ctx, at) })
}

// knows reports whether the person of a context may know what a program calls a
// service: it is none of the cluster's, or one of those that are called so may be
// seen.
func (h held) knows(ctx context.Context, service string) bool {
	service = plainService(service)
	hidden := false
	for _, r := range h.all() {
		if !slices.Contains(serviceNames(r), service) {
			continue
		}
		if h.view.Sees(ctx, r) {
			return true
		}
		hidden = true
	}
	return !hidden
}

// plainService is what a service is called without scheme, port, path and the
// cluster's domain.
func plainService(s string) string {
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s = rest
	}
	s, _, _ = strings.Cut(strings.ToLower(s), ":")
	s, _, _ = strings.Cut(s, ".svc")
	return strings.TrimSuffix(s, "/")
}

// serviceNames are what a workload may be called by others.
func serviceNames(r kube.Ref) []string {
	n, ns := strings.ToLower(r.Name), strings.ToLower(r.Namespace)
	return []string{n, n + "." + ns, ns + "-" + n, ns + "/" + n, n + "-" + ns, n + "-service", n + "service", strings.TrimSuffix(n, "-service")}
}

// seesObject reports whether the person of a context may know of what a diagnosis
// found. Of what stands around a workload the view has left out what they may not.
func (h held) seesObject(ctx context.Context, o diagnosis.Object) bool {
	switch {
	case o.Name == "":
		return true
	case o.Kind == "" && o.Namespace == "":
		return h.knows(ctx, o.Name)
	case slices.Contains([]string{kube.Deployment, kube.StatefulSet, kube.DaemonSet, kube.Pod, kube.Node}, o.Kind):
		return h.view.Sees(ctx, kube.Ref{Cluster: o.Cluster, Namespace: o.Namespace, Kind: o.Kind, Name: o.Name})
	}
	return true
}

// heldAlerts are alerts and silences as the person of a context may see them.
type heldAlerts struct {
	held
	from interface {
		Alerts(ctx context.Context, f alertmanager.Filter) ([]observability.Alert, error)
	}
	silences func(ctx context.Context) ([]observability.Silence, error) // nil: nobody knows of any
}

// Alerts lists the alerts that fit a filter.
func (h heldAlerts) Alerts(ctx context.Context, f alertmanager.Filter) ([]observability.Alert, error) {
	all, err := h.from.Alerts(ctx, f)
	return slices.DeleteFunc(all, func(a observability.Alert) bool { return !h.seesAlert(ctx, a) }), err
}

// Silences lists the silences that hold back an alert that may be seen, or name a
// place of which that is so.
func (h heldAlerts) Silences(ctx context.Context) ([]observability.Silence, error) {
	all, err := h.silences(ctx)
	if err != nil {
		return nil, err
	}
	alerts, err := h.Alerts(ctx, alertmanager.Filter{Silenced: true, Inhibited: true})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(s observability.Silence) bool {
		if slices.ContainsFunc(alerts, func(a observability.Alert) bool { return slices.Contains(a.SilencedBy, s.ID) }) {
			return false
		}
		labels := map[string]string{}
		for _, m := range s.Matchers {
			if !m.Regex && !m.Not {
				labels[m.Name] = m.Value
			}
		}
		return !h.seesAlert(ctx, observability.Alert{Labels: labels})
	}), nil
}

// heldErrors are errors of the workloads that the person of a context may see.
type heldErrors struct {
	held
	errorTracker
}

// errorTracker has errors of workloads; *sentry.Client is one.
type errorTracker interface {
	skill.ErrorTracker
	Since(ctx context.Context, t observability.Target, since time.Time) ([]observability.Issue, error)
}

// ProjectOf finds the project of a workload.
func (h heldErrors) ProjectOf(ctx context.Context, name, namespace string) (sentry.Project, bool, error) {
	if !h.sees(ctx, name, namespace) {
		return sentry.Project{}, false, nil // as if there were none
	}
	return h.errorTracker.ProjectOf(ctx, name, namespace)
}

// sees reports whether the person of a context may see a workload of a name.
func (h heldErrors) sees(ctx context.Context, name, namespace string) bool {
	return slices.ContainsFunc(h.all(), func(r kube.Ref) bool {
		return strings.EqualFold(r.Name, name) && (namespace == "" || r.Namespace == namespace) && h.view.Sees(ctx, r)
	})
}

// Issues lists issues: where no project is named, those of all workloads that may
// be seen.
func (h heldErrors) Issues(ctx context.Context, q sentry.IssueQuery) ([]observability.Issue, error) {
	if len(q.Projects) > 0 {
		return h.errorTracker.Issues(ctx, q)
	}
	names, err := h.view.Names(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range names.Workloads {
		p, ok, err := h.errorTracker.ProjectOf(ctx, r.Name, r.Namespace)
		if err != nil {
			return nil, err
		}
		if ok && !slices.Contains(q.Projects, p) {
			q.Projects = append(q.Projects, p)
		}
	}
	if len(q.Projects) == 0 {
		return nil, nil
	}
	return h.errorTracker.Issues(ctx, q)
}

// Since lists the issues of a workload, for a diagnosis.
func (h heldErrors) Since(ctx context.Context, t observability.Target, since time.Time) ([]observability.Issue, error) {
	if !h.sees(ctx, t.Name, t.Namespace) {
		return nil, nil
	}
	return h.errorTracker.Since(ctx, t, since)
}

// heldTraces are traces in which services that the person of a context may not
// see have no name.
type heldTraces struct {
	held
	skill.TraceStore
}

// unseen is what such a service is called.
const unseen = "a service you may not see"

// Traces returns spans of requests that went through a service.
func (h heldTraces) Traces(ctx context.Context, service string, w observability.Window, limit int) ([]observability.Span, error) {
	spans, err := h.TraceStore.Traces(ctx, service, w, limit)
	known := map[string]bool{}
	for i, s := range spans {
		yes, ok := known[s.Service]
		if !ok {
			yes = h.knows(ctx, s.Service)
			known[s.Service] = yes
		}
		if !yes {
			spans[i].Service, spans[i].Name = unseen, ""
		}
	}
	return spans, err
}
