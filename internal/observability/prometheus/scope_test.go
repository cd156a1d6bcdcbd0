package prometheus

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

func TestPodsOfAWorkload(t *testing.T) {
	for _, tt := range []struct{ kind, name, yes, no string }{
		{"Deployment", "cart", "cart-7d9f8b6c5-bcdfg cart-5-bcdfg", "cart-api-7d9f8b6c5-bcdfg cart-0 carts-7d9f8b6c5-bcdfg cart-worker-bcdfg xcart-7d9f8b6c5-bcdfg"},
		{"StatefulSet", "db", "db-0 db-12", "db-a db-0-1 db-proxy-0"},
		{"DaemonSet", "agent", "agent-bcdfg", "agent-7d9f8b6c5-bcdfg agent-x"},
		{"CronJob", "backup", "backup-28912345-bcdfg", "backup-bcdfg"},
		{"Pod", "one", "one", "one-1"},
		{"", "cart", "cart-7d9f8b6c5-bcdfg cart-0 cart-bcdfg", "cart-api-7d9f8b6c5-bcdfg"},
		{"Deployment", "a.b", "a.b-7d9f8b6c5-bcdfg", "aXb-7d9f8b6c5-bcdfg"},
	} {
		r := regexp.MustCompile("^(?:" + podsOf(observability.Target{Kind: tt.kind, Name: tt.name}) + ")$")
		for _, p := range strings.Fields(tt.yes) {
			if !r.MatchString(p) {
				t.Errorf("%s %s has no pod %s", tt.kind, tt.name, p)
			}
		}
		for _, p := range strings.Fields(tt.no) {
			if r.MatchString(p) {
				t.Errorf("%s %s has not the pod %s", tt.kind, tt.name, p)
			}
		}
	}
	if r := podsOf(observability.Target{Kind: "Deployment", Name: "cart", Pods: []string{"odd.one", "cart-7d9f8b6c5-bcdfg"}}); !strings.HasSuffix(r, `|odd\.one`) {
		t.Error(r)
	}
}

func TestWorkloadOfAPod(t *testing.T) {
	for pod, want := range map[string]string{
		"cart-7d9f8b6c5-bcdfg": "cart", "cart-api-7d9f8b6c5-bcdfg": "cart-api", "db-0": "db", "agent-bcdfg": "agent", "backup-28912345-bcdfg": "backup", "alone": "alone",
	} {
		if got := workload(pod); got != want {
			t.Errorf("%s is of %s, want %s", pod, got, want)
		}
	}
}

func TestWholeNamespacesKeepTheirName(t *testing.T) {
	ns, cluster := observability.Target{Namespace: "shop"}, observability.Target{}
	for _, tt := range []struct {
		scope           []string
		inShop, inAll   string
		sayShop, sayAll bool
	}{
		{[]string{`namespace="$namespace"`, `pod=~"$pods"`}, `namespace="shop"`, "", true, true},
		{[]string{`service_name=~"$services"`}, "", "", false, true},
		{[]string{`job=~"$namespace/(?:$services)"`}, `job=~"shop/.*"`, "", true, true},
		{[]string{`reporter="destination"`, `destination_workload_namespace="$namespace"`, `destination_workload="$name"`}, `reporter="destination",destination_workload_namespace="shop"`, `reporter="destination"`, true, true},
		{[]string{`exported_service=~"$namespace-(?:$services)-.*"`}, `exported_service=~"shop-.*-.*"`, "", true, true},
	} {
		ms, err := parseScope(tt.scope)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := render(ms, ns); got != tt.inShop && tt.sayShop || ok != tt.sayShop {
			t.Errorf("%v of shop: %s, %v", tt.scope, got, ok)
		}
		if got, ok := render(ms, cluster); got != tt.inAll || ok != tt.sayAll {
			t.Errorf("%v of all: %s, %v", tt.scope, got, ok)
		}
	}
}

func TestFamiliesOfTheConfiguration(t *testing.T) {
	for _, tt := range []struct {
		f   Family
		say string
	}{
		{Family{Histogram: "shop_seconds"}, ""},
		{Family{Metric: "queue", Query: "sum by ($by) (jobs{$scope})"}, ""},
		{Family{Metric: "speed", Query: "sum by ($by) (jobs{$scope})"}, "metric is one of latency"},
		{Family{Metric: "queue", Query: "sum(jobs)"}, "$scope"},
		{Family{Metric: "queue", Histogram: "x"}, "remove them or the histogram"},
		{Family{Metric: "queue", Query: "jobs{$scope}", Of: "pods"}, "of is node or peer"},
		{Family{Metric: "queue", Query: "jobs{$scope}", Scopes: [][]string{{"namespace=$namespace"}}}, `like namespace="$namespace"`},
		{Family{Metric: "queue", Query: "jobs{$scope}", Scopes: [][]string{{`pod="$pods"`}}}, `pod=~"$pods"`},
		{Family{Metric: "queue", Query: "jobs{$scope}", Scopes: [][]string{{`pod=~"("`}}}, "no regular expression"},
	} {
		_, err := Expand([]Family{tt.f})
		if tt.say == "" && err != nil || tt.say != "" && (fault.KindOf(err) != fault.Usage || !strings.Contains(fault.Say(err), tt.say)) {
			t.Errorf("%+v: %v, want %q", tt.f, err, tt.say)
		}
	}
	all, _ := Expand([]Family{{Metric: "queue", Query: `sum by ($by) (a{x="y",$scope}) / sum(b{$scope}) + a{$scope}`}})
	if got := strings.Join(all[0].Needs, " "); got != "a b" {
		t.Errorf("needs %s", got)
	}
}

// FuzzQuery holds that no name gets out of its quotes: what a matcher compares
// with is the name, whatever it is made of, and there is nothing beside it.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"cart", `a"b`, `x"} or up{a="`, "a\\", "a\nb", "$pods", "$namespace", "a|b", ".*", "\xff", "ä"} {
		f.Add(s, s, s)
	}
	f.Fuzz(func(t *testing.T, namespace, name, pod string) {
		if namespace == "" || name == "" {
			return
		}
		target := observability.Target{Namespace: namespace, Kind: "Deployment", Name: name, Pods: []string{pod}}
		ms, err := parseScope([]string{`namespace="$namespace"`, `pod=~"$pods"`, `deployment="$name"`})
		if err != nil {
			t.Fatal(err)
		}
		scope, _ := render(ms, target)
		m := measure{Family: Family{Query: "sum by ($by) (up{$scope})"}, scope: scope}
		query := m.query(99, 0, 0)
		rest, ok := strings.CutPrefix(query, "sum (up{")
		if !ok {
			t.Fatal(query)
		}
		for i, want := range []string{`namespace=`, `pod=~`, `deployment=`} {
			rest, ok = strings.CutPrefix(rest, want)
			quoted, err := strconv.QuotedPrefix(rest)
			if !ok || err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			value, err := strconv.Unquote(quoted)
			if err != nil {
				t.Fatal(err)
			}
			switch i {
			case 0:
				ok = value == namespace
			case 2:
				ok = value == name
			default:
				r, err := regexp.Compile("^(?:" + value + ")$")
				if err != nil {
					t.Fatalf("%s: %v", value, err)
				}
				ok = !utf8.ValidString(name) || !utf8.ValidString(pod) || r.MatchString(name+"-7d9f8b6c5-bcdfg") && !r.MatchString(name+"-other")
			}
			if !ok && !strings.Contains(pod, "-other") {
				t.Fatalf("%s compares with %q", query, value)
			}
			rest = strings.TrimPrefix(rest[len(quoted):], ",")
		}
		if rest != "})" {
			t.Fatalf("%s: %q is too much", query, rest)
		}
	})
}
