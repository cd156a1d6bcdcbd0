package action

import (
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/kube"
)

func TestAPausedDeploymentIsScaledButNotRolledOut(t *testing.T) {
	now := time.Now()
	paused := kube.Progress{State: kube.Paused, Desired: 4, Updated: 1, Ready: 4, Available: 4, Total: 4}
	growing := paused
	growing.Ready, growing.Total = 2, 3
	for _, tt := range []struct {
		verb kube.Verb
		p    kube.Progress
		want verdict
	}{
		{kube.VerbImage, paused, held},
		{kube.VerbTemplate, paused, held},
		{kube.VerbRestart, paused, held},
		{kube.VerbScale, paused, rolledOut},
		{kube.VerbScale, growing, goesOn},
	} {
		w := watcher{patience: DefaultPatience, id: "a", change: kube.Change{Verb: tt.verb, ToReplicas: 4}}
		if got := w.look(kube.Workload{LastAction: "a", Progress: tt.p}, now); got != tt.want {
			t.Errorf("%s of %+v: %v, want %v", tt.verb, tt.p, got, tt.want)
		}
	}
}

func TestTheMarkMayLagBehind(t *testing.T) {
	w := watcher{patience: DefaultPatience, id: "a", change: kube.Change{Verb: kube.VerbRestart}}
	now := time.Now()
	p := kube.Progress{State: kube.Waiting, Desired: 1}
	for _, tt := range []struct {
		after time.Duration
		mark  string
		want  verdict
	}{
		{0, "before", goesOn},           // the watch has not seen it yet
		{time.Second, "before", goesOn}, //
		{2 * time.Second, "a", goesOn},  // now it has
		{2 * time.Second, "b", replaced},
	} {
		if got := w.look(kube.Workload{LastAction: tt.mark, Progress: p}, now.Add(tt.after)); got != tt.want {
			t.Errorf("after %v with %q: %v, want %v", tt.after, tt.mark, got, tt.want)
		}
	}
	late := watcher{patience: DefaultPatience, id: "a", change: kube.Change{Verb: kube.VerbRestart}}
	late.look(kube.Workload{Progress: p}, now)
	if got := late.look(kube.Workload{Progress: p}, now.Add(markLag)); got != replaced {
		t.Errorf("a mark that never comes: %v", got)
	}
}
