package collect

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

var (
	web     = kube.Ref{Namespace: "shop", Kind: kube.Deployment, Name: "web"}
	webHere = diagnosis.Object{Namespace: "shop", Kind: kube.Deployment, Name: "web"}
	now     = window.To
)

// survey makes one of a workload with three pods, of which some may be broken.
func survey(change func(*kube.Survey)) kube.Survey {
	s := kube.Survey{At: now, Workload: kube.Workload{Ref: web, Selector: map[string]string{"app": "web"}, Progress: kube.Progress{State: kube.Complete, Desired: 3, Updated: 3, Ready: 3, Available: 3, Total: 3}}}
	for _, n := range []string{"a", "b", "c"} {
		s.Pods = append(s.Pods, kube.PodDetail{
			PodState: kube.PodState{Ref: kube.Ref{Namespace: "shop", Kind: kube.Pod, Name: "web-1-" + n}, Ready: true, Created: t0}, Revision: "1", Version: "v1", Node: "node-" + n,
			Containers: []kube.ContainerDetail{{Name: "web", Image: "acme/web:v1", Ready: true, State: "running", MemoryLimit: 64 << 20}},
		})
	}
	s.Changes = []kube.Revised{{Number: 1, At: t0.Add(-48 * time.Hour), Made: t0.Add(-48 * time.Hour), Version: "v1", Hash: "1", Current: true}}
	change(&s)
	return s
}

// broken makes the first pod not ready.
func broken(s *kube.Survey) *kube.ContainerDetail {
	s.Pods[0].Ready, s.Pods[0].Created = false, now.Add(-10*time.Minute)
	s.Workload.Progress.State, s.Workload.Progress.Ready = kube.Waiting, 2
	s.Pods[0].Containers[0].Ready = false
	return &s.Pods[0].Containers[0]
}

// kinds is how many facts of each kind there are, of those that tell of trouble.
func kinds(all []diagnosis.Evidence) map[diagnosis.Kind]int {
	out := map[diagnosis.Kind]int{}
	for _, e := range all {
		switch e.Kind {
		case diagnosis.Replicas, diagnosis.OnNode, diagnosis.RestartCount, diagnosis.Endpoints:
		default:
			out[e.Kind]++
		}
	}
	return out
}

func first(t *testing.T, all []diagnosis.Evidence, k diagnosis.Kind) diagnosis.Evidence {
	t.Helper()
	for _, e := range all {
		if e.Kind == k {
			return e
		}
	}
	t.Fatalf("no %s in %+v", k, all)
	return diagnosis.Evidence{}
}

func TestWellIsNoTrouble(t *testing.T) {
	got := of(survey(func(*kube.Survey) {}), window, nil)
	if k := kinds(got); len(k) != 0 {
		t.Errorf("a workload that is well shows %v", k)
	}
	r := first(t, got, diagnosis.Replicas)
	if *r.Value != 3 || *r.Limit != 3 || r.Count != 3 || !r.At.IsZero() || r.About != webHere {
		t.Errorf("%+v", r)
	}
}

func TestObjects(t *testing.T) {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	pod := diagnosis.Object{Namespace: "shop", Kind: kube.Pod, Name: "web-1-a"}
	svc := diagnosis.Object{Namespace: "shop", Kind: "Service", Name: "web"}
	for name, c := range map[string]struct {
		change func(*kube.Survey)
		want   []diagnosis.Evidence // each has to be there, in the fields that are set here
		only   int                  // how many kinds of trouble there are; 0 is those wanted
	}{
		"a roll-out": {change: func(s *kube.Survey) {
			s.Changes = append([]kube.Revised{{Number: 2, At: ago(20 * time.Minute), Version: "v2", Hash: "2", Current: true, Changed: []kube.Difference{
				{Facet: kube.FacetImage, Container: "web", From: "acme/web:v1", To: "acme/web:v2"}, {Facet: kube.FacetEnv, Container: "web", Name: "MODE", From: "a"},
				{Facet: kube.FacetResources, Container: "web", Name: "cpu limit", From: "1", To: "100m"}, {Facet: kube.FacetProbe, Container: "web", Name: "readiness", From: "x", To: "y"},
			}}}, s.Changes...)
		}, want: []diagnosis.Evidence{
			{Kind: diagnosis.Rollout, About: webHere, At: ago(20 * time.Minute), From: "v1", To: "v2", Name: "image,env,resources,probe", Before: diagnosis.Num(1), Value: diagnosis.Num(2)},
			{Kind: diagnosis.EnvChange, About: webHere, Name: "MODE", From: "a"},
			{Kind: diagnosis.ResourcesChange, About: webHere, Name: "web limits.cpu", From: "1", To: "100m"},
			{Kind: diagnosis.ProbeChange, About: webHere, Name: "web readiness", From: "x", To: "y"},
		}},
		"an old roll-out": {change: func(s *kube.Survey) {
			s.Changes = append([]kube.Revised{{Number: 2, At: ago(26 * time.Hour), Version: "v2", Hash: "2", Current: true}}, s.Changes...)
		}},
		"a ConfigMap was written": {change: func(s *kube.Survey) {
			s.References = []kube.Reference{{Kind: "ConfigMap", Name: "conf", Key: "a", Made: t0.Add(-time.Hour), Changed: ago(5 * time.Minute), By: "kubectl-edit"}, {Kind: "ConfigMap", Name: "conf", Key: "b", Made: t0.Add(-time.Hour), Changed: ago(5 * time.Minute)}}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.ConfigChange, At: ago(5 * time.Minute), About: diagnosis.Object{Namespace: "shop", Kind: "ConfigMap", Name: "conf"}, Owner: webHere, Text: "kubectl-edit"}}},
		"somebody scaled it down": {change: func(s *kube.Survey) {
			s.Events = []kube.Happening{{Type: "Normal", Reason: "ScalingReplicaSet", Message: "Scaled down replica set web-1 from 3 to 1", Last: ago(time.Minute)}}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.Scaled, About: webHere, From: "3", To: "1", At: ago(time.Minute)}}},
		"a roll-out scales too": {change: func(s *kube.Survey) {
			s.Events = []kube.Happening{{Type: "Normal", Reason: "ScalingReplicaSet", Message: "Scaled down replica set web-0 from 3 to 0", Last: ago(time.Minute)}}
		}},
		"an image that is not there": {change: func(s *kube.Survey) {
			k := broken(s)
			k.State, k.Reason, k.Image = "waiting", "ImagePullBackOff", "acme/web:v2"
			s.Pods[0].Trouble = &kube.Stuck{Reason: kube.ImagePull, Container: "web"}
			s.Pods[0].Revision = "2"
			s.Changes = append([]kube.Revised{{Number: 2, At: ago(10 * time.Minute), Version: "v2", Hash: "2", Changed: []kube.Difference{{Facet: kube.FacetImage, Container: "web", From: "acme/web:v1", To: "acme/web:v2"}}}}, s.Changes...)
			s.Events = []kube.Happening{{Type: "Warning", Reason: "Failed", Message: "Failed to pull image: not found", About: s.Pods[0].Ref, Last: now}}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.ImagePull, About: pod, Owner: webHere, Name: "web", From: "acme/web:v1", To: "acme/web:v2", Text: "Failed to pull image: not found"}}, only: 2},
		"a crash loop": {change: func(s *kube.Survey) {
			k := broken(s)
			k.State, k.Reason, k.Restarts = "waiting", "CrashLoopBackOff", 4
			k.Last = &kube.Termination{ExitCode: 1, Reason: "Error", Message: "no DB_HOST", Began: ago(65 * time.Second), At: ago(time.Minute)}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.CrashLoop, About: pod, Owner: webHere, Name: "web", Value: diagnosis.Num(1), Count: 4, To: "Error", Text: "no DB_HOST"}}},
		"out of memory": {change: func(s *kube.Survey) {
			k := &s.Pods[0].Containers[0]
			k.Restarts, k.Last = 1, &kube.Termination{ExitCode: 137, Reason: "OOMKilled", At: ago(3 * time.Minute)}
		}, want: []diagnosis.Evidence{
			{Kind: diagnosis.OOMKilled, About: pod, Owner: webHere, Name: "web", At: ago(3 * time.Minute), Limit: diagnosis.Num(64 << 20), Count: 1}, {Kind: diagnosis.Exited, About: pod, To: "OOMKilled"},
		}},
		"out of memory, yesterday": {change: func(s *kube.Survey) {
			s.Pods[0].Containers[0].Restarts, s.Pods[0].Containers[0].Last = 1, &kube.Termination{ExitCode: 137, Reason: "OOMKilled", At: ago(30 * time.Hour)}
		}},
		"an init container": {change: func(s *kube.Survey) {
			k := broken(s)
			k.Init, k.State, k.Reason, k.Restarts, k.Name = true, "waiting", "CrashLoopBackOff", 2, "migrate"
			k.Last = &kube.Termination{ExitCode: 3, Reason: "Error", At: ago(time.Minute)}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.InitFailed, About: pod, Name: "migrate", Value: diagnosis.Num(3), At: ago(10 * time.Minute)}}},
		"nowhere to run": {change: func(s *kube.Survey) {
			broken(s)
			s.Pods[0].Conditions = []kube.Condition{{Type: "PodScheduled", Status: "False", Reason: "Unschedulable", Since: ago(time.Minute), Message: "0/3 nodes are available: 1 node(s) had untolerated taint {x: y}, 2 Insufficient cpu. preemption: none."}}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.Unschedulable, About: pod, Owner: webHere, Name: "cpu,taint", At: ago(time.Minute)}}},
		"a quota": {change: func(s *kube.Survey) {
			s.Workload.Progress.Ready, s.Workload.Progress.State = 1, kube.Updating
			s.Workload.Progress.Stuck = &kube.Stuck{Reason: kube.Quota, Detail: "exceeded quota: small"}
			s.Quotas = []kube.QuotaState{{Name: "small", Resource: "pods", Used: 3, Hard: 3}, {Name: "small", Resource: "limits.cpu", Used: 1, Hard: 3}}
			s.Events = []kube.Happening{{Type: "Warning", Reason: "FailedCreate", Message: `forbidden: exceeded quota: small, requested: pods=1`, First: ago(4 * time.Minute), Last: now}}
		}, want: []diagnosis.Evidence{
			{Kind: diagnosis.NotMade, About: webHere, Name: "quota", At: ago(4 * time.Minute)},
			{Kind: diagnosis.QuotaFull, About: diagnosis.Object{Namespace: "shop", Kind: "ResourceQuota", Name: "small"}, Owner: webHere, Name: "pods", Value: diagnosis.Num(3), Limit: diagnosis.Num(3)},
		}},
		"a key that is missing": {change: func(s *kube.Survey) {
			k := broken(s)
			k.State, k.Reason = "waiting", "CreateContainerConfigError"
			s.References = []kube.Reference{{Kind: "ConfigMap", Name: "conf", Key: "level", How: "variable LEVEL of web", Missing: true, Lacks: "key", Made: t0.Add(-time.Hour), Changed: t0.Add(-time.Hour)}}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.MissingReference, About: pod, Owner: webHere, Peer: diagnosis.Object{Namespace: "shop", Kind: "ConfigMap", Name: "conf"}, Name: "level"}}},
		"a key that nobody misses yet": {change: func(s *kube.Survey) {
			s.References = []kube.Reference{{Kind: "ConfigMap", Name: "conf", Key: "level", Missing: true, Lacks: "key"}}
		}},
		"an unbound claim": {change: func(s *kube.Survey) {
			broken(s)
			s.Claims = []kube.Claim{{Name: "data", Phase: "Pending", Class: "fast", NoClass: true, Pods: 1}, {Name: "well", Phase: "Bound"}}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.VolumeUnbound, About: diagnosis.Object{Namespace: "shop", Kind: "PersistentVolumeClaim", Name: "data"}, Owner: webHere, Name: "fast", Peer: diagnosis.Object{Kind: "StorageClass", Name: "fast"}}}},
		"a wrong selector": {change: func(s *kube.Survey) {
			s.Services = []kube.ServiceState{{Ref: kube.Ref{Namespace: "shop", Kind: "Service", Name: "web"}, Selector: map[string]string{"app": "wbe"}, Wrong: "app=wbe, the pods have app=web", Known: true}}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.SelectorMismatch, About: svc, Owner: webHere, From: "app=wbe", To: "app=web"}, {Kind: diagnosis.Endpoints, About: svc, Value: diagnosis.Num(0), Limit: diagnosis.Num(0)}}, only: 1},
		"a wrong port": {change: func(s *kube.Survey) {
			s.Services = []kube.ServiceState{{Ref: kube.Ref{Namespace: "shop", Kind: "Service", Name: "web"}, Chooses: 3, Ready: 3, Known: true, Ports: []kube.ServicePort{{Port: 80, Target: "9999", Astray: true, Listens: []string{"8080"}}}}}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.PortMismatch, About: svc, Owner: webHere, Name: "80", From: "9999", To: "8080"}}},
		"a probe that fails": {change: func(s *kube.Survey) {
			k := broken(s)
			k.Probes = []string{"readiness: GET :8080/ready, every 5s, within 1s, 3 times"}
			s.Events = []kube.Happening{{Type: "Warning", Reason: "Unhealthy", Message: "Readiness probe failed: HTTP probe failed with statuscode: 404", About: s.Pods[0].Ref, Count: 20, First: ago(10 * time.Minute), Last: now}}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.ProbeFailed, About: pod, Owner: webHere, Name: "readiness", Count: 20, From: "GET :8080/ready, every 5s, within 1s, 3 times"}}},
		"a pod that took its time": {change: func(s *kube.Survey) {
			s.Events = []kube.Happening{{Type: "Warning", Reason: "Unhealthy", Message: "Readiness probe failed: connection refused", About: s.Pods[0].Ref, Count: 2, First: ago(9 * time.Minute), Last: ago(9 * time.Minute)}}
		}},
		"a node that is gone": {change: func(s *kube.Survey) {
			s.Nodes = []kube.NodeHealth{{Name: "node-a", Pods: 1, Bad: []kube.Condition{{Type: "Ready", Status: "Unknown", Since: ago(7 * time.Minute), Message: "Kubelet stopped posting node status."}}}, {Name: "node-b", Ready: true, Cordoned: true}}
		}, want: []diagnosis.Evidence{
			{Kind: diagnosis.NodeDown, About: diagnosis.Object{Kind: "Node", Name: "node-a"}, Name: "unreachable", At: ago(7 * time.Minute)}, {Kind: diagnosis.NodeCordoned, About: diagnosis.Object{Kind: "Node", Name: "node-b"}},
		}},
		"at its maximum": {change: func(s *kube.Survey) {
			s.Scaler = &kube.ScalerState{Name: "web", Min: 2, Max: 3, Current: 3, Desired: 3, Limited: true, Targets: []string{"cpu 140 % of 70 %"}, LastMove: ago(8 * time.Minute)}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.HPA, About: diagnosis.Object{Namespace: "shop", Kind: "HorizontalPodAutoscaler", Name: "web"}, Owner: webHere, Value: diagnosis.Num(3), Limit: diagnosis.Num(3), Name: "cpu", To: "70%/140%", Text: "TooManyReplicas", At: ago(8 * time.Minute)}}},
		"a Secret that is missing": {change: func(s *kube.Survey) {
			broken(s)
			s.References = []kube.Reference{{Kind: "Secret", Name: "db", Missing: true, Lacks: "object"}}
		}, want: []diagnosis.Evidence{{Kind: diagnosis.MissingReference, About: pod, Peer: diagnosis.Object{Namespace: "shop", Kind: "Secret", Name: "db"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := of(survey(c.change), window, nil)
			for _, want := range c.want {
				found := false
				for _, e := range got {
					found = found || e.Kind == want.Kind && fits(e, want)
				}
				if !found {
					t.Errorf("no %+v\nin %+v", want, got)
				}
			}
			most := map[diagnosis.Kind]bool{}
			for _, w := range c.want {
				most[w.Kind] = true
			}
			most[diagnosis.Endpoints] = false
			n := 0
			for _, in := range most {
				if in {
					n++
				}
			}
			if c.only > 0 {
				n = c.only
			}
			if k := kinds(got); len(k) != n {
				t.Errorf("shows %v", k)
			}
		})
	}
}

// fits reports whether evidence is as wanted in all fields that are set there.
func fits(e, want diagnosis.Evidence) bool {
	masked := e
	if want.At.IsZero() {
		masked.At = want.At
	}
	for _, f := range []struct{ has, want *string }{{&masked.Name, &want.Name}, {&masked.From, &want.From}, {&masked.To, &want.To}, {&masked.Text, &want.Text}} {
		if *f.want == "" {
			*f.has = ""
		}
	}
	for _, f := range []struct{ has, want **float64 }{{&masked.Value, &want.Value}, {&masked.Before, &want.Before}, {&masked.Limit, &want.Limit}} {
		if *f.want == nil {
			*f.has = nil
		}
	}
	if want.Owner == (diagnosis.Object{}) {
		masked.Owner = want.Owner
	}
	if want.Peer == (diagnosis.Object{}) {
		masked.Peer = want.Peer
	}
	if want.Count == 0 {
		masked.Count = 0
	}
	masked.Unit, masked.Source = want.Unit, want.Source
	return cmp.Equal(masked, want)
}

func TestPolicyBetweenThoseWhoTalk(t *testing.T) {
	api := kube.Ref{Namespace: "shop", Kind: kube.Deployment, Name: "api"}
	s := survey(func(s *kube.Survey) {
		s.Blocked = []kube.Blocked{
			{From: web, To: api, Way: "in", Policy: kube.Ref{Namespace: "shop", Kind: "NetworkPolicy", Name: "closed"}, Changed: now, Port: 8080},
			{From: kube.Ref{Namespace: "shop", Kind: kube.Deployment, Name: "cron"}, To: api, Way: "in", Policy: kube.Ref{Name: "closed"}},
		}
	})
	got := of(s, window, map[kube.Ref]map[kube.Ref]bool{web: {api: true}})
	if kinds(got)[diagnosis.PolicyShutsOut] != 1 {
		t.Fatalf("%+v", got)
	}
	e := first(t, got, diagnosis.PolicyShutsOut)
	if e.Owner.Name != "api" || e.Peer.Name != "web" || e.Name != "ingress" || e.About.Name != "closed" || e.To != "8080" {
		t.Errorf("%+v", e)
	}
}
