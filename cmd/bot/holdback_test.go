package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/diagnosis/collect"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/observability/sentry"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// gaze is somebody who may see these: namespace/kind/name, or namespace/kind.
type gaze []string

func (g gaze) Sees(_ context.Context, r kube.Ref) bool {
	all := r.Namespace + "/" + r.Kind
	return slices.Contains(g, all) || r.Name != "" && slices.Contains(g, all+"/"+r.Name)
}

func (g gaze) Names(ctx context.Context) (kube.Names, error) {
	n := kube.Names{}
	for _, r := range town() {
		if g.Sees(ctx, r) {
			n.Workloads = append(n.Workloads, r)
		}
	}
	return n, nil
}

func town() []kube.Ref {
	return []kube.Ref{
		{Cluster: "home", Namespace: "shop", Kind: kube.Deployment, Name: "web"}, {Cluster: "home", Namespace: "shop", Kind: kube.StatefulSet, Name: "db"},
		{Cluster: "home", Namespace: "vault", Kind: kube.Deployment, Name: "treasury"}, {Cluster: "home", Namespace: "vault", Kind: kube.StatefulSet, Name: "db"},
	}
}

func through(g gaze) held {
	return held{view: g, all: town, clusters: func() []string { return []string{"home"} }}
}

func labelled(said string) observability.Alert {
	labels := map[string]string{}
	for _, l := range strings.Fields(said) {
		k, v, _ := strings.Cut(l, "=")
		labels[k] = v
	}
	return alertmanager.Value(said, labels, nil, time.Now(), "")
}

func TestWhoMayKnowOfAnAlert(t *testing.T) {
	h := through(gaze{"shop/Deployment", "/Node/node-1"})
	pods := through(gaze{"shop/Pod"})
	admin := through(gaze{"shop/Pod", "vault/Pod", "/Node", "/Namespace"})
	for said, want := range map[string][3]bool{
		"alertname=A namespace=shop deployment=web":                    {true, true, true},
		"alertname=A namespace=shop service=web":                       {true, true, true},
		"alertname=A namespace=shop statefulset=db":                    {false, true, true},
		"alertname=A namespace=shop pod=web-7d4b9c8f6d-x2x4z":          {false, true, true},
		"alertname=A namespace=shop":                                   {false, true, true},
		"alertname=A namespace=vault deployment=treasury":              {false, false, true},
		"alertname=A namespace=vault deployment=web":                   {false, false, true},
		"alertname=A cluster=prometheus namespace=shop service=web":    {true, true, true},
		"alertname=A node=node-1":                                      {true, false, true},
		"alertname=A instance=node-1:9100":                             {true, false, true},
		"alertname=A node=node-2":                                      {false, false, true},
		"alertname=Watchdog":                                           {false, false, true},
		"alertname=A exported_namespace=vault exported_job=treasury x": {false, false, true},
	} {
		a := labelled(said)
		if got := [3]bool{h.seesAlert(t.Context(), a), pods.seesAlert(t.Context(), a), admin.seesAlert(t.Context(), a)}; got != want {
			t.Errorf("%s: %v, want %v", said, got, want)
		}
	}
}

// manager is an Alertmanager with two alerts and three silences.
type manager struct{}

func (manager) Alerts(context.Context, alertmanager.Filter) ([]observability.Alert, error) {
	a, b := labelled("alertname=A namespace=shop deployment=web"), labelled("alertname=B namespace=vault deployment=treasury")
	a.SilencedBy, b.SilencedBy = []string{"a"}, []string{"b"}
	return []observability.Alert{a, b}, nil
}

func (manager) Silences(context.Context) ([]observability.Silence, error) {
	return []observability.Silence{
		{ID: "a", Matchers: []observability.Matcher{{Name: "alertname", Value: "A"}}}, {ID: "b", Matchers: []observability.Matcher{{Name: "alertname", Value: "B"}}},
		{ID: "c", Matchers: []observability.Matcher{{Name: "namespace", Value: "shop"}, {Name: "deployment", Value: "web"}}},
		{ID: "d", Matchers: []observability.Matcher{{Name: "namespace", Value: "vault"}, {Name: "deployment", Value: "treasury"}}},
	}, nil
}

func TestAlertsAndSilencesAreHeldBack(t *testing.T) {
	h := heldAlerts{through(gaze{"shop/Deployment"}), manager{}, manager{}.Silences}
	alerts, err := h.Alerts(t.Context(), alertmanager.Filter{})
	if err != nil || len(alerts) != 1 || alerts[0].Name != "A" {
		t.Errorf("%+v, %v", alerts, err)
	}
	silences, err := h.Silences(t.Context())
	if err != nil || len(silences) != 2 || silences[0].ID != "a" || silences[1].ID != "c" {
		t.Errorf("%+v, %v", silences, err)
	}
}

// tracker is an error tracker with a project for each workload.
type tracker struct {
	skill.ErrorTracker
	asked *[]string
}

func (tracker) ProjectOf(_ context.Context, name, _ string) (sentry.Project, bool, error) {
	return sentry.Project{Slug: name}, true, nil
}

func (e tracker) Issues(_ context.Context, q sentry.IssueQuery) ([]observability.Issue, error) {
	for _, p := range q.Projects {
		*e.asked = append(*e.asked, p.Slug)
	}
	return []observability.Issue{{ID: "1"}}, nil
}

func (tracker) Since(context.Context, observability.Target, time.Time) ([]observability.Issue, error) {
	return []observability.Issue{{ID: "1"}}, nil
}

func TestErrorsAreHeldBack(t *testing.T) {
	var asked []string
	h := heldErrors{through(gaze{"shop/Deployment"}), tracker{asked: &asked}}
	if _, ok, err := h.ProjectOf(t.Context(), "treasury", ""); ok || err != nil {
		t.Error("the project of what may not be seen is found")
	}
	if _, ok, err := h.ProjectOf(t.Context(), "web", "shop"); !ok || err != nil {
		t.Error("the project of what may be seen is not found")
	}
	if got, err := h.Issues(t.Context(), sentry.IssueQuery{}); err != nil || len(got) != 1 || !slices.Equal(asked, []string{"web"}) {
		t.Errorf("asked for %v, got %v, %v", asked, got, err)
	}
	if got, err := h.Since(t.Context(), observability.Target{Namespace: "vault", Name: "treasury"}, time.Now()); len(got) != 0 || err != nil {
		t.Error(got, err)
	}
	nobody := heldErrors{through(gaze{}), tracker{asked: &asked}}
	if got, err := nobody.Issues(t.Context(), sentry.IssueQuery{}); len(got) != 0 || err != nil || len(asked) != 1 {
		t.Errorf("who sees nothing gets %v, %v", got, err)
	}
}

// ways are traces from web over others.
type ways struct{ skill.TraceStore }

func (ways) Traces(context.Context, string, observability.Window, int) ([]observability.Span, error) {
	var out []observability.Span
	for _, s := range []string{"web", "treasury", "treasury.vault", "db", "api.stripe.com"} {
		out = append(out, observability.Span{Service: s, Name: "GET /" + s})
	}
	return out, nil
}

func TestServicesInTracesAreHeldBack(t *testing.T) {
	spans, err := heldTraces{through(gaze{"shop/Deployment", "shop/StatefulSet"}), ways{}}.Traces(t.Context(), "web", observability.Window{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range spans {
		got = append(got, s.Service+" "+s.Name)
	}
	want := "web GET /web, a service you may not see , a service you may not see , db GET /db, api.stripe.com GET /api.stripe.com"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("%s", s)
	}
}

// hearsay is a collector that names all there is.
type hearsay struct{}

func (hearsay) Find(context.Context, kube.Query) ([]kube.Workload, error) {
	return []kube.Workload{{Ref: town()[0]}}, nil
}

func (hearsay) Survey(context.Context, kube.Workload) (kube.Survey, error) { return kube.Survey{}, nil }

func (hearsay) Behind(context.Context, kube.Ref) ([]kube.Workload, error) { return nil, nil }

func TestADiagnosisNamesNothingHidden(t *testing.T) {
	h := through(gaze{"shop/Deployment"})
	sources := collect.Sources{Cluster: hearsay{}, Alerts: manager{}, Traces: ways2{}, Sees: h.seesObject}
	r := diagnosis.Request{Target: observability.Target{Namespace: "shop", Kind: kube.Deployment, Name: "web"}, Window: observability.Window{From: time.Now().Add(-time.Hour), To: time.Now()}}
	all := 0
	for _, c := range collect.New(sources) {
		list, err := c.Collect(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", c.Name(), err)
		}
		for _, e := range list {
			all++
			for _, o := range []diagnosis.Object{e.About, e.Owner, e.Peer} {
				if strings.Contains(o.Name, "treasury") || o.Namespace == "vault" {
					t.Errorf("%s names %s", c.Name(), o)
				}
			}
		}
	}
	if all == 0 {
		t.Error("nothing was found at all")
	}
}

// ways2 is a trace of web that waits for treasury and for Stripe.
type ways2 struct{}

func (ways2) Traces(context.Context, string, observability.Window, int) ([]observability.Span, error) {
	at := time.Now().Add(-time.Minute)
	return []observability.Span{
		{Trace: "1", ID: "a", Service: "web", Name: "GET /", Start: at, Duration: time.Second},
		{Trace: "1", ID: "b", Parent: "a", Service: "treasury", Name: "pay", Start: at.Add(100 * time.Millisecond), Duration: 500 * time.Millisecond},
		{Trace: "1", ID: "c", Parent: "a", Service: "api.stripe.com", Name: "charge", Start: at.Add(700 * time.Millisecond), Duration: 200 * time.Millisecond},
	}, nil
}
