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

// TestPeopleMayTakeTheirTime holds that nothing is called stuck while people are
// waited for, however long nothing moves.
func TestPeopleMayTakeTheirTime(t *testing.T) {
	now := time.Now()
	open := kube.Progress{State: kube.Waiting, Pull: kube.Pull{Number: 1, State: kube.PullOpen}}
	arrived := kube.Progress{State: kube.Updating, Desired: 2, Pull: kube.Pull{Number: 1, State: kube.PullMerged, Arrived: true}}
	closed := kube.Progress{State: kube.Waiting, Pull: kube.Pull{Number: 1, State: kube.PullClosed}, Stuck: &kube.Stuck{Reason: kube.NotMerged}}
	w := watcher{patience: DefaultPatience, id: "a", change: kube.Change{Verb: kube.VerbPull}}
	at := now
	for _, tt := range []struct {
		after time.Duration
		p     kube.Progress
		want  verdict
	}{
		{0, open, goesOn},
		{72 * time.Hour, open, goesOn},
		{time.Second, arrived, goesOn}, // from here on, machines are
		{DefaultPatience.Still - time.Second, arrived, goesOn},
		{2 * time.Second, arrived, stuck},
		{time.Second, closed, goesOn},
		{DefaultPatience.Hard, closed, stuck},
	} {
		at = at.Add(tt.after)
		if got := w.look(kube.Workload{LastAction: "a", Progress: tt.p}, at); got != tt.want {
			t.Errorf("%v later, with %+v: %v, want %v", tt.after, tt.p.Pull, got, tt.want)
		}
	}
}
