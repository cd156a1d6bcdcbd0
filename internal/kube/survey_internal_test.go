package kube

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// parsed reads an object from YAML.
func parsed[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDifferences(t *testing.T) {
	const base = `
metadata: {labels: {app: web}}
spec:
  containers:
  - name: web
    image: acme/web:1
    env: [{name: MODE, value: fast}, {name: DB_PASSWORD, value: old}, {name: URL, value: "postgres://u:p4ss@db/x"}]
    resources: {limits: {cpu: 500m}}
    readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 5}
`
	for name, c := range map[string]struct {
		from, to string // replaced in base
		want     []Difference
	}{
		"nothing":            {"", "", nil},
		"image":              {"acme/web:1", "acme/web:2", []Difference{{FacetImage, "web", "web", "acme/web:1", "acme/web:2"}}},
		"a variable":         {"value: fast", "value: slow", []Difference{{FacetEnv, "web", "MODE", "fast", "slow"}}},
		"a variable gone":    {"{name: MODE, value: fast}, ", "", []Difference{{FacetEnv, "web", "MODE", "fast", ""}}},
		"a secret one":       {"value: old", "value: new", []Difference{{FacetEnv, "web", "DB_PASSWORD", "***", "*** (another)"}}},
		"a URL's password":   {"u:p4ss@db", "u:0ther@db2", []Difference{{FacetEnv, "web", "URL", "postgres://***@db/x", "postgres://***@db2/x"}}},
		"from a ConfigMap":   {"value: fast", "valueFrom: {configMapKeyRef: {name: conf, key: mode}}", []Difference{{FacetEnv, "web", "MODE", "fast", "from ConfigMap conf, key mode"}}},
		"a limit":            {"cpu: 500m", "cpu: 50m", []Difference{{FacetResources, "web", "cpu limit", "500m", "50m"}}},
		"the probe's path":   {"/healthz", "/ready", []Difference{{FacetProbe, "web", "readiness", "GET :8080/healthz, every 5s, within 1s, 3 times", "GET :8080/ready, every 5s, within 1s, 3 times"}}},
		"a restart":          {"metadata: {", "metadata: {annotations: {kubectl.kubernetes.io/restartedAt: now}, ", []Difference{{FacetRestart, "", "", "", "now"}}},
		"a checksum":         {"metadata: {", "metadata: {annotations: {checksum/config: abc}, ", []Difference{{FacetConfig, "", "checksum/config", "", "abc"}}},
		"a secret argument":  {"resources:", "args: [--token=abc, --x]\n    resources:", []Difference{{FacetCommand, "web", "", "", "--token=*** --x"}}},
		"another container":  {"- name: web", "- {name: proxy, image: acme/proxy:1}\n  - name: web", []Difference{{FacetContainer, "proxy", "proxy", "", "acme/proxy:1"}}},
		"a restart and more": {"metadata: {labels: {app: web}}\nspec:\n  containers:\n  - name: web\n    image: acme/web:1", "metadata: {labels: {app: web}, annotations: {kubectl.kubernetes.io/restartedAt: now}}\nspec:\n  containers:\n  - name: web\n    image: acme/web:2", []Difference{{FacetImage, "web", "web", "acme/web:1", "acme/web:2"}}},
	} {
		from := parsed[corev1.PodTemplateSpec](t, base)
		to := parsed[corev1.PodTemplateSpec](t, strings.Replace(base, c.from, c.to, 1))
		if diff := cmp.Diff(c.want, Differences(from, to)); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// TestNoSecretIsTold holds that what looks like one never leaves.
func TestNoSecretIsTold(t *testing.T) {
	const s = "s3cr3t-Value"
	for _, name := range []string{"PASSWORD", "DB_PASSWD", "API_KEY", "apikey", "AUTH_TOKEN", "CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "SIGNING_SALT", "SESSION_COOKIE", "PRIVATE", "MYSQL_PWD", "SENTRY_DSN"} {
		if got := maskValue(name, s); got != Masked {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, text := range []string{
		"https://user:" + s + "@host/", "--password=" + s, "password: " + s, "PASSWORD='" + s + "'", "token " + s,
		"host=db password=" + s + " user=x",
	} {
		if got := maskText(text); strings.Contains(got, s) {
			t.Errorf("%q is told as %q", text, got)
		}
	}
	for name, v := range map[string]string{"MODE": "fast", "TIMEOUT": "30s", "DB_HOST": "db.shop", "MONKEYS": "3"} {
		if got := maskValue(name, v); got != v {
			t.Errorf("%s=%s is told as %s, which helps nobody", name, v, got)
		}
	}
}

func TestServiceState(t *testing.T) {
	w := Workload{Ref: Ref{Namespace: "shop", Kind: Deployment, Name: "web"}}
	tpl := parsed[corev1.PodTemplateSpec](t, `
metadata: {labels: {app: web, tier: front}}
spec: {containers: [{name: web, ports: [{name: http, containerPort: 8080}]}]}`)
	pods := []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Labels: tpl.Labels}}, {ObjectMeta: metav1.ObjectMeta{Labels: tpl.Labels}}}
	for name, c := range map[string]struct {
		svc     string
		none    bool
		chooses int
		wrong   string
		astray  []bool
	}{
		"as it should be":     {svc: `{metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}`, chooses: 2, astray: []bool{false}},
		"by the port's name":  {svc: `{metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}}`, chooses: 2, astray: []bool{false}},
		"a name nobody has":   {svc: `{metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: web}]}}`, chooses: 2, astray: []bool{true}},
		"a number nobody has": {svc: `{metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8081}]}}`, chooses: 2, astray: []bool{true}},
		"headless":            {svc: `{metadata: {name: web}, spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80, targetPort: 80}]}}`, chooses: 2, astray: []bool{false}},
		"its name, another's label": {
			svc: `{metadata: {name: web}, spec: {selector: {app: wbe}, ports: [{port: 80, targetPort: 8080}]}}`, wrong: "app=wbe, the pods have app=web", astray: []bool{false},
		},
		"one label more": {
			svc: `{metadata: {name: web}, spec: {selector: {app: web, version: v1}, ports: [{port: 80, targetPort: 8080}]}}`, wrong: "version=v1, the pods have no version", astray: []bool{false},
		},
		"somebody else's":         {svc: `{metadata: {name: db}, spec: {selector: {app: db}, ports: [{port: 80}]}}`, none: true},
		"of the same tier":        {svc: `{metadata: {name: db}, spec: {selector: {app: db, tier: front}, ports: [{port: 80}]}}`, none: true},
		"somebody else leads it":  {svc: `{metadata: {name: web}, spec: {ports: [{port: 80}]}}`, none: true},
		"another name, the label": {svc: `{metadata: {name: front}, spec: {selector: {tier: front}, ports: [{port: 80, targetPort: 8080}]}}`, chooses: 2, astray: []bool{false}},
	} {
		got, ok := serviceState(w, tpl, pods, parsed[corev1.Service](t, c.svc))
		var astray []bool
		for _, p := range got.Ports {
			astray = append(astray, p.Astray)
		}
		if ok == c.none || ok && (got.Chooses != c.chooses || got.Wrong != c.wrong || !cmp.Equal(astray, c.astray)) {
			t.Errorf("%s: %v %+v", name, ok, got)
		}
	}
}

func TestPoliciesShutOut(t *testing.T) {
	tpl := func(app string) corev1.PodTemplateSpec {
		return parsed[corev1.PodTemplateSpec](t, `{metadata: {labels: {app: `+app+`}}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}}`)
	}
	at := func(ns, app string) party {
		return party{Ref{Namespace: ns, Kind: Deployment, Name: app}, tpl(app).Labels, map[string]string{"name": ns}, tpl(app)}
	}
	web, api, far := at("shop", "web"), at("shop", "api"), at("far", "web")
	for name, c := range map[string]struct {
		specs []string
		from  party
		way   string // "" is open
	}{
		"no policy":                    {from: web},
		"api takes nobody":             {[]string{`{podSelector: {matchLabels: {app: api}}, policyTypes: [Ingress]}`}, web, "in"},
		"all take nobody":              {[]string{`{podSelector: {}}`}, web, "in"},
		"of others":                    {[]string{`{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}`}, web, ""},
		"api takes web":                {[]string{`{podSelector: {}}`, `{podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}`}, web, ""},
		"api takes cart":               {[]string{`{podSelector: {matchLabels: {app: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: cart}}}]}]}`}, web, "in"},
		"on another port":              {[]string{`{podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 9090}]}]}`}, web, "in"},
		"on this port":                 {[]string{`{podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 8080}]}]}`}, web, ""},
		"on this port by name":         {[]string{`{podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: http}]}]}`}, web, ""},
		"in a range of ports":          {[]string{`{podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 8000, endPort: 9000}]}]}`}, web, ""},
		"web goes nowhere":             {[]string{`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}`}, web, "out"},
		"web goes to names only":       {[]string{`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]}`}, web, "out"},
		"web goes anywhere":            {[]string{`{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{}]}`}, web, ""},
		"from elsewhere, same label":   {[]string{`{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}`}, far, "in"},
		"from a namespace":             {[]string{`{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {name: far}}}]}]}`}, far, ""},
		"from a namespace, not of it":  {[]string{`{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {name: far}}, podSelector: {matchLabels: {app: cart}}}]}]}`}, far, "in"},
		"egress is said, ingress kept": {[]string{`{podSelector: {}, policyTypes: [Egress], egress: [{}]}`}, web, ""},
		"private addresses":            {[]string{`{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}`}, web, ""},
		"public addresses":             {[]string{`{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}`}, web, "in"},
	} {
		var all []networkingv1.NetworkPolicy
		for _, s := range c.specs {
			all = append(all, networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "shop"}, Spec: parsed[networkingv1.NetworkPolicySpec](t, s)})
		}
		got := shut(all, c.from, api)
		if way := ""; c.way != way && (len(got) != 1 || got[0].Way != c.way || got[0].Policy.Name != "p") || c.way == "" && len(got) != 0 {
			t.Errorf("%s: %+v, want %q", name, got, c.way)
		}
	}
}

func TestGroup(t *testing.T) {
	t0 := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	event := func(name, reason, message string, at time.Time, count int32) corev1.Event {
		e := warning(name, reason, message, at)
		e.InvolvedObject.Kind, e.InvolvedObject.Namespace, e.Count, e.FirstTimestamp = Pod, "shop", count, metav1.NewTime(at.Add(-time.Minute))
		return e
	}
	got := group("home", []corev1.Event{
		event("web-1", "BackOff", "Back-off restarting failed container web in pod web-1_shop(0a1b)", t0, 3),
		event("web-2", "BackOff", "Back-off restarting failed container web in pod web-2_shop(9z8y)", t0.Add(time.Minute), 4),
		event("web-2", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", t0, 1),
	})
	want := []Happening{
		{"Warning", "BackOff", "Back-off restarting failed container web in pod web-2_shop(9z8y)", Ref{"home", "shop", Pod, "web-2"}, 2, 7, t0.Add(-time.Minute), t0.Add(time.Minute)},
		{"Warning", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", Ref{"home", "shop", Pod, "web-2"}, 1, 1, t0.Add(-time.Minute), t0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestMadeBy(t *testing.T) {
	for _, c := range []struct {
		kind, workload, of, name string
		want                     bool
	}{
		{Pod, Deployment, "web", "web-7d4b9c6f5-abcde", true},
		{Pod, Deployment, "web", "web-api-7d4b9c6f5-abcde", false},
		{"ReplicaSet", Deployment, "web", "web-7d4b9c6f5", true},
		{Pod, StatefulSet, "db", "db-0", true},
		{Pod, StatefulSet, "db", "db-backup-0", false},
		{"PersistentVolumeClaim", StatefulSet, "db", "data-db-0", true},
		{"PersistentVolumeClaim", StatefulSet, "db", "data-db2-0", false},
		{Pod, DaemonSet, "agent", "agent-x7k2p", true},
		{Pod, DaemonSet, "agent", "agent", false},
	} {
		if got := madeBy(Workload{Ref: Ref{Kind: c.workload, Name: c.of}}, c.kind, c.name); got != c.want {
			t.Errorf("%s %s of %s %s: %v", c.kind, c.name, c.workload, c.of, got)
		}
	}
}

func TestReferencesLook(t *testing.T) {
	t0 := metav1.NewTime(time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC))
	data := metav1.ManagedFieldsEntry{Manager: "kubectl-edit", Time: &t0, FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:mode":{}}}`)}
	later := metav1.NewTime(t0.Add(time.Hour))
	labelled := metav1.ManagedFieldsEntry{Manager: "labeller", Time: &later, FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{}}}`)}
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{data, labelled}}, Data: map[string]string{"mode": "top secret"}}
	for name, c := range map[string]struct {
		ref   Reference
		m     *corev1.ConfigMap
		lacks string
	}{
		"there":            {Reference{Key: "mode"}, m, ""},
		"the whole":        {Reference{}, m, ""},
		"key missing":      {Reference{Key: "level"}, m, "key"},
		"missing":          {Reference{}, nil, "object"},
		"need not be":      {Reference{Optional: true}, nil, ""},
		"key need not be ": {Reference{Key: "level", Optional: true}, m, ""},
	} {
		r := c.ref
		r.look(c.m)
		if r.Missing != (c.lacks != "") || r.Missing && r.Lacks != c.lacks {
			t.Errorf("%s: %+v", name, r)
		}
		if c.m != nil && (!r.Changed.Equal(t0.Time) || r.By != "kubectl-edit") {
			t.Errorf("%s: changed %v by %s: a label is no change of its data", name, r.Changed, r.By)
		}
	}
	secret := Reference{Kind: "Secret", Name: "db", Key: "password"}
	secret.missingSecret([]string{`couldn't find key password in Secret shop/db`})
	if secret.Lacks != "key" {
		t.Errorf("%+v", secret)
	}
	other := Reference{Kind: "Secret", Name: "db"}
	other.missingSecret([]string{`secret "db2" not found`})
	if other.Missing {
		t.Error("another Secret's absence is no absence of this one")
	}
}

func TestHosts(t *testing.T) {
	for v, want := range map[string]string{
		"http://payments:8080/v1":                "payments",
		"postgres://u:p@orders-db.shop.svc/main": "orders-db",
		"payments:8080":                          "payments",
		"redis.shop.svc.cluster.local:6379,x":    "redis x",
		"--api=http://catalog/":                  "--api catalog",
		"Hello World":                            "",
	} {
		if got := strings.Join(hosts(v), " "); got != strings.TrimPrefix(want, "--api ") {
			t.Errorf("%q: %q", v, got)
		}
	}
}

func TestScalerAtItsMaximum(t *testing.T) {
	hpa := func(current int32, uses int32, limited bool) *autoscalingv2.HorizontalPodAutoscaler {
		h := &autoscalingv2.HorizontalPodAutoscaler{}
		h.Spec.MaxReplicas, h.Status.CurrentReplicas = 5, current
		h.Spec.Metrics = []autoscalingv2.MetricSpec{{Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{AverageUtilization: ref(int32(70))}}}}
		h.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{Resource: &autoscalingv2.ResourceMetricStatus{Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: ref(uses)}}}}
		if limited {
			h.Status.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: autoscalingv2.ScalingLimited, Status: corev1.ConditionTrue, Reason: "TooManyReplicas"}}
		}
		return h
	}
	for name, c := range map[string]struct {
		h    *autoscalingv2.HorizontalPodAutoscaler
		want bool
	}{
		"room":            {hpa(3, 180, false), false},
		"at it, and well": {hpa(5, 60, false), false},
		"at it, too much": {hpa(5, 180, false), true},
		"it says so":      {hpa(5, 60, true), true},
		"at its least":    {hpa(1, 10, false), false},
	} {
		if got := scalerState(c.h); got.Limited != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func ref[T any](v T) *T { return &v }

// TestSharedIsAskedOnce holds that many who ask at the same moment are one
// question, that a failure is nobody else's, and that it is forgotten.
func TestSharedIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shares
		var asked atomic.Int32
		slow := func(context.Context) (int, error) {
			time.Sleep(100 * time.Millisecond)
			return int(asked.Add(1)), nil
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if v, err := shared(t.Context(), &s, "a", slow); v != 1 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
			})
		}
		wg.Wait()
		if asked.Load() != 1 {
			t.Errorf("asked %d times", asked.Load())
		}
		time.Sleep(sharedLife + time.Millisecond)
		if v, _ := shared(t.Context(), &s, "a", slow); v != 2 {
			t.Errorf("what is old is told still: %d", v)
		}
		fails := func(ctx context.Context) (int, error) {
			time.Sleep(100 * time.Millisecond)
			return 0, errors.New("gone")
		}
		wg.Go(func() { _, _ = shared(t.Context(), &s, "b", fails) })
		time.Sleep(time.Millisecond)
		if v, err := shared(t.Context(), &s, "b", slow); v != 3 || err != nil {
			t.Errorf("another's failure is mine: %d, %v", v, err)
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if len(s.all) != 0 {
			t.Errorf("%d are kept", len(s.all))
		}
	})
}
