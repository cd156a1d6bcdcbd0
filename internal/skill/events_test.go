package skill

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// surveyed is a cluster of which only what is next to a workload is asked.
type surveyed struct {
	Reader
	s   kube.Survey
	err error
}

func (s surveyed) Glance(context.Context, kube.Workload) (kube.Survey, error) { return s.s, s.err }

func TestStatusInDepth(t *testing.T) {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 15, 0, 0, 0, time.UTC)
	pod := func(ago time.Duration, reason string, code int32, restarts int) kube.PodDetail {
		return kube.PodDetail{Containers: []kube.ContainerDetail{{Name: "web", Restarts: restarts, Last: &kube.Termination{Reason: reason, ExitCode: code, Message: "no \"db\"", At: now.Add(-ago)}}}}
	}
	for name, want := range map[string]struct {
		s            kube.Survey
		err          error
		text, speech string
	}{
		"well":                   {},
		"crashed yesterday":      {s: kube.Survey{Pods: []kube.PodDetail{pod(30*time.Hour, "Error", 1, 2)}}},
		"ended once, as it does": {s: kube.Survey{Pods: []kube.PodDetail{pod(time.Minute, "Completed", 0, 0)}}},
		"crashed": {
			s:    kube.Survey{Pods: []kube.PodDetail{pod(10*time.Minute, "Error", 1, 2), pod(5*time.Minute, "Error", 3, 1)}},
			text: `But 2 pods crashed and were restarted: container web, 3 restarts, the last at 14:55 with exit code 3 ("no \"db\"").`, speech: "But 2 pods crashed and were restarted, 3 times in all, the last at 14:55 with exit code 3.",
		},
		"out of memory": {
			s:    kube.Survey{Pods: []kube.PodDetail{pod(5*time.Minute, "OOMKilled", 137, 4)}},
			text: "But container web ran out of memory and was killed: 4 restarts in 1 pod, the last at 14:55.", speech: "But it ran out of memory: 4 restarts in 1 pod, the last at 14:55.",
		},
		"a port": {
			s:    kube.Survey{Services: []kube.ServiceState{{Ref: kube.Ref{Name: "web"}, Ports: []kube.ServicePort{{Port: 80, Target: "9999", Astray: true, Listens: []string{"8080"}}}}}},
			text: "But of the Service web port 80 leads to 9999, and the containers have 8080.", speech: "But the Service web leads to a port that its containers do not have.",
		},
		"a selector that somebody may wait for": {s: kube.Survey{Services: []kube.ServiceState{{Ref: kube.Ref{Name: "web"}, Wrong: "x", Known: true, Ready: 2}}}},
		"at its maximum": {
			s:    kube.Survey{Scaler: &kube.ScalerState{Name: "web", Max: 5, Limited: true, Targets: []string{"cpu 140 % of 70 %"}}},
			text: "But its autoscaler web is at its maximum of 5 and wants more (cpu 140 % of 70 %).", speech: "But its autoscaler is at its maximum of 5 and wants more.",
		},
		"a node": {
			s:    kube.Survey{Nodes: []kube.NodeHealth{{Name: "node-1", Pods: 2}, {Name: "node-2"}}},
			text: "But the node node-1 with 2 pods of it is not ready.", speech: "But the node node 1 with 2 pods of it is not ready.",
		},
		"nobody answers": {err: fault.New(fault.Unavailable, "The cluster does not answer.")},
	} {
		crew := NewCrew(surveyed{s: want.s, err: want.err}, nil, c)
		got, err := crew.depth(t.Context(), kube.Workload{}, now)
		if err != nil || got.Text != want.text || want.speech != "" && got.Speech != want.speech {
			t.Errorf("%s: %v\n%q\n%q", name, err, got.Text, got.Speech)
		}
	}
}

func TestEachEventHasItsWords(t *testing.T) {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range []string{"FailedScheduling", "BackOff", "Unhealthy", "FailedCreate", "FailedMount", "Evicted", "NodeNotReady", "Failed", "SomethingNew"} {
		for _, objects := range []int{1, 3} {
			say, err := c.Say("events.one", map[string]any{
				"Reason": reason, "Kind": "pod", "Name": "web-1", "Objects": objects, "Others": objects - 1, "Count": 7, "Message": "because of <this>", "At": "14:55", "Once": false, "Warning": true,
			})
			if err != nil || !strings.Contains(say.Text, reason+" on pod web-1") || !strings.HasSuffix(say.Text, ", 7 times, last at 14:55: because of <this>") ||
				strings.Contains(say.Speech, "because of") || !strings.HasSuffix(say.Speech, ", 7 times, last at 14:55") || strings.Contains(say.Text, "and 2 more") != (objects == 3) {
				t.Errorf("%s of %d: %v\n%q\n%q", reason, objects, err, say.Text, say.Speech)
			}
		}
	}
}
