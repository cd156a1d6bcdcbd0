package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/faults"
	"github.com/firstmate-ops/firstmate/sandbox/internal/kube"
)

// Every fault that is a wrong object is seen as people would see it, and is gone
// without a trace when it is switched off.
func TestFaultsThatAreWrongObjects(t *testing.T) {
	s := start(t, binary(t))
	defer s.stop(syscall.SIGTERM)
	rc, err := kube.Config(s.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := faults.Objects(rc)
	if err != nil {
		t.Fatal(err)
	}
	has := func(want ...string) func(string) bool {
		return func(out string) bool {
			return !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(out, w) })
		}
	}
	events := func(s *sandbox, want ...string) {
		s.t.Helper()
		s.eventually("the events", 40*time.Second, has(want...), "get", "events", "-n", "shop")
	}
	pods := func(s *sandbox, app string, want ...string) {
		s.t.Helper()
		s.eventually("the pods of "+app, 40*time.Second, has(want...), "get", "pods", "-n", "shop", "-l", "app="+app)
	}
	tests := []struct {
		name string
		seen func(s *sandbox)
	}{
		{"image-typo", func(s *sandbox) {
			pods(s, "checkout", "ImagePullBackOff")
			events(s, `Back-off pulling image "registry.example.com/shop/checkout:v1.O.1"`, "not found")
		}},
		{"missing-env", func(s *sandbox) {
			pods(s, "checkout", "CrashLoopBackOff")
			s.eventually("the exit code", 20*time.Second, has("1 Error"), "get", "pods", "-n", "shop", "-l", "app=checkout",
				"-o", `jsonpath={range .items[*].status.containerStatuses[*].lastState.terminated}{.exitCode} {.reason}{"\n"}{end}`)
			events(s, "Back-off restarting failed container checkout")
			pod := s.kubectl("get", "pods", "-n", "shop", "-l", "app=checkout", "-o", `jsonpath={.items[?(@.status.containerStatuses[0].restartCount>0)].metadata.name}`)
			for _, args := range [][]string{{"logs", "-n", "shop", pod}, {"logs", "-n", "shop", pod, "--previous"}} {
				s.eventually("the log", 20*time.Second, has("required environment variable PAYMENTS_API_URL is not set", "v1.4.0"), args...)
			}
		}},
		{"strict-probe", func(s *sandbox) {
			events(s, "Liveness probe failed: Get", "Readiness probe failed: Get", "connection refused", "Container checkout failed liveness probe, will be restarted")
			s.eventually("the exit code", 20*time.Second, has("137 Error"), "get", "pods", "-n", "shop", "-l", "app=checkout",
				"-o", `jsonpath={range .items[*].status.containerStatuses[*].lastState.terminated}{.exitCode} {.reason}{"\n"}{end}`)
		}},
		{"wrong-selector", func(s *sandbox) {
			s.eventually("no endpoints", 20*time.Second, func(out string) bool { return !strings.Contains(out, "10.") },
				"get", "endpointslices", "-n", "shop", "-l", "kubernetes.io/service-name=checkout", "-o", "jsonpath={.items[*].endpoints[*].addresses}")
		}},
		{"wrong-port", func(s *sandbox) {
			s.eventually("the other port", 20*time.Second, has("8081"),
				"get", "endpointslices", "-n", "shop", "-l", "kubernetes.io/service-name=checkout", "-o", "jsonpath={.items[*].ports[*].port}")
		}},
		{"pvc-unbound", func(s *sandbox) {
			s.eventually("the claim", 20*time.Second, has("search-index", "Pending", "fast-ssd"), "get", "pvc", "-n", "shop")
			pods(s, "search", "Pending")
			events(s, `storageclass.storage.k8s.io "fast-ssd" not found`, "unbound immediate PersistentVolumeClaims")
		}},
		{"quota", func(s *sandbox) {
			events(s, "exceeded quota: shop-budget, requested: requests.cpu=200m")
			s.eventually("the condition", 20*time.Second, has("ReplicaFailure"), "get", "deployment", "checkout", "-n", "shop", "-o", "jsonpath={.status.conditions[*].type}")
		}},
		{"network-policy", func(s *sandbox) {
			s.eventually("the policy", 10*time.Second, has("checkout"), "get", "networkpolicy", "-n", "shop")
		}},
		{"node-down", func(s *sandbox) {
			s.eventually("the node", 100*time.Second, has("NotReady"), "get", "nodes")
			events(s, "Node is not ready")
			s.eventually("the taint", 20*time.Second, has("node.kubernetes.io/unreachable"), "get", "nodes", "-o", "jsonpath={.items[*].spec.taints[*].key}")
			s.eventually("fewer endpoints", 60*time.Second, has("false"),
				"get", "endpointslices", "-n", "shop", "-l", "kubernetes.io/service-name=checkout", "-o", "jsonpath={.items[*].endpoints[*].conditions.ready}")
		}},
	}
	if len(tests) != len(objects) {
		t.Errorf("%d faults are tested, there are %d", len(tests), len(objects))
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &sandbox{t: t, path: s.path, kubeconfig: s.kubeconfig}
			before := s.shop()
			if err := objects[test.name].On(t.Context()); err != nil {
				t.Fatal(err)
			}
			test.seen(s)
			// "quota" is what Kubernetes itself says of one.
			if out := s.kubectl("get", "all,pvc,quota,networkpolicy,events,nodes", "-A", "-o", "yaml"); test.name != "quota" && strings.Contains(out, test.name) {
				t.Error("objects of the cluster tell the fault's name")
			}
			begun := time.Now()
			if err := objects[test.name].Off(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Logf("undone in %s", time.Since(begun).Round(time.Millisecond))
			var after string
			for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
				if after = s.shop(); after == before {
					return
				}
			}
			t.Errorf("it was\n%s\nand is\n%s", before, after)
		})
	}
}

// shop is what the shop is made of, without what changes by itself.
func (s *sandbox) shop() string {
	s.t.Helper()
	var list struct {
		Items []struct {
			Kind     string
			Metadata struct {
				Name        string
				Annotations map[string]string
			}
			Spec   json.RawMessage
			Status struct {
				Phase           string
				ReadyReplicas   int
				UpdatedReplicas int
				Replicas        int
			}
		}
	}
	var lines []string
	for _, args := range [][]string{
		{"-n", "shop", "deployments,statefulsets,replicasets,services,pvc,resourcequotas,networkpolicies,hpa,pdb,configmaps"}, {"nodes"},
	} {
		out := s.kubectl(append([]string{"get", "-o", "json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			s.t.Fatal(err)
		}
		for _, o := range list.Items {
			st := o.Status
			lines = append(lines, fmt.Sprintf("%s %s %s %s %s %d/%d/%d %s", o.Kind, o.Metadata.Name, o.Metadata.Annotations["deployment.kubernetes.io/revision"],
				o.Metadata.Annotations["kubernetes.io/change-cause"], st.Phase, st.ReadyReplicas, st.UpdatedReplicas, st.Replicas, o.Spec))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
