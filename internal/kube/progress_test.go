package kube

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func ptr[T any](v T) *T { return &v }

func TestRolloutProgressOfADeployment(t *testing.T) {
	deadline := []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionFalse},
		{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded"},
	}
	for name, c := range map[string]struct {
		replicas   *int32
		paused     bool
		generation int64 // 0: the observed one
		status     appsv1.DeploymentStatus
		want       Progress
		message    string
	}{
		"complete": {
			replicas: ptr[int32](3), status: appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, ReadyReplicas: 3, AvailableReplicas: 3},
			want: Progress{State: Complete, Desired: 3, Updated: 3, Ready: 3, Available: 3, Total: 3}, message: "successfully rolled out",
		},
		"one replica where none is written": {
			status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1},
			want:   Progress{State: Complete, Desired: 1, Updated: 1, Ready: 1, Available: 1, Total: 1}, message: "successfully rolled out",
		},
		"not observed, whatever the counts say": {
			replicas: ptr[int32](3), generation: 8, status: appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, Conditions: deadline},
			want: Progress{State: Observing, Desired: 3, Updated: 3, Ready: 3, Available: 3, Total: 3}, message: "waiting for the change to be observed",
		},
		"updating": {
			replicas: ptr[int32](3), status: appsv1.DeploymentStatus{Replicas: 4, UpdatedReplicas: 1, ReadyReplicas: 3, AvailableReplicas: 3},
			want: Progress{State: Updating, Desired: 3, Updated: 1, Ready: 3, Available: 3, Total: 4}, message: "1 out of 3 new replicas have been updated",
		},
		"old pods going, with maxSurge": {
			replicas: ptr[int32](3), status: appsv1.DeploymentStatus{Replicas: 5, UpdatedReplicas: 3, ReadyReplicas: 5, AvailableReplicas: 5},
			want: Progress{State: Terminating, Desired: 3, Updated: 3, Ready: 5, Available: 5, Total: 5}, message: "2 old replicas are pending termination",
		},
		"waiting": {
			replicas: ptr[int32](3), status: appsv1.DeploymentStatus{Replicas: 3, UpdatedReplicas: 3, ReadyReplicas: 2, AvailableReplicas: 2},
			want: Progress{State: Waiting, Desired: 3, Updated: 3, Ready: 2, Available: 2, Total: 3}, message: "2 of 3 updated replicas are available",
		},
		"deadline exceeded": {
			replicas: ptr[int32](3), status: appsv1.DeploymentStatus{Replicas: 4, UpdatedReplicas: 1, ReadyReplicas: 3, AvailableReplicas: 3, Conditions: deadline},
			want: Progress{State: DeadlineExceeded, Desired: 3, Updated: 1, Ready: 3, Available: 3, Total: 4}, message: "exceeded its progress deadline",
		},
		"deadline exceeded wins over counts that look complete": {
			replicas: ptr[int32](1), status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1, Conditions: deadline},
			want: Progress{State: DeadlineExceeded, Desired: 1, Updated: 1, Ready: 1, Available: 1, Total: 1}, message: "exceeded its progress deadline",
		},
		"paused in the middle": {
			replicas: ptr[int32](3), paused: true, status: appsv1.DeploymentStatus{Replicas: 4, UpdatedReplicas: 1, ReadyReplicas: 4, AvailableReplicas: 4},
			want: Progress{State: Paused, Desired: 3, Updated: 1, Ready: 4, Available: 4, Total: 4}, message: "paused",
		},
		"paused when all was done": {
			replicas: ptr[int32](1), paused: true, status: appsv1.DeploymentStatus{Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1},
			want: Progress{State: Complete, Desired: 1, Updated: 1, Ready: 1, Available: 1, Total: 1}, message: "successfully rolled out",
		},
		"paused and not observed": {
			replicas: ptr[int32](1), paused: true, generation: 8,
			want: Progress{State: Observing, Desired: 1}, message: "waiting for the change to be observed",
		},
		"scaled to zero": {
			replicas: ptr[int32](0), want: Progress{State: Complete}, message: "successfully rolled out",
		},
		"going to zero": {
			replicas: ptr[int32](0), status: appsv1.DeploymentStatus{Replicas: 2, ReadyReplicas: 2, AvailableReplicas: 2},
			want: Progress{State: Terminating, Ready: 2, Available: 2, Total: 2}, message: "2 old replicas are pending termination",
		},
		"scaling up": {
			replicas: ptr[int32](5), status: appsv1.DeploymentStatus{Replicas: 5, UpdatedReplicas: 5, ReadyReplicas: 2, AvailableReplicas: 2},
			want: Progress{State: Waiting, Desired: 5, Updated: 5, Ready: 2, Available: 2, Total: 5}, message: "2 of 5 updated replicas are available",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 7}, Status: c.status}
			d.Spec.Replicas, d.Spec.Paused, d.Status.ObservedGeneration = c.replicas, c.paused, 7
			if c.generation != 0 {
				d.Generation = c.generation
			}
			got := RolloutProgress(d)
			if got != c.want || got.Message() != c.message || got.Done() != (c.want.State == Complete) {
				t.Errorf("got %+v %q\nwant %+v %q", got, got.Message(), c.want, c.message)
			}
		})
	}
}

func TestProgressOfAStatefulSet(t *testing.T) {
	rolling := appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType}
	partition := func(n int32) appsv1.StatefulSetUpdateStrategy {
		s := rolling
		s.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: &n}
		return s
	}
	onDelete := appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	const seen = 4
	for name, c := range map[string]struct {
		strategy   appsv1.StatefulSetUpdateStrategy
		replicas   *int32
		generation int64
		status     appsv1.StatefulSetStatus
		state      State
		updated    int32
	}{
		"complete":                                 {rolling, ptr[int32](3), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, UpdatedReplicas: 3, CurrentRevision: "b", UpdateRevision: "b"}, Complete, 3},
		"default replicas":                         {rolling, nil, seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 1, ReadyReplicas: 1, AvailableReplicas: 1, CurrentRevision: "b", UpdateRevision: "b"}, Complete, 1},
		"never observed":                           {rolling, ptr[int32](3), 0, appsv1.StatefulSetStatus{}, Observing, 0},
		"not observed":                             {rolling, ptr[int32](3), seen + 1, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, CurrentRevision: "b", UpdateRevision: "b"}, Observing, 3},
		"updating":                                 {rolling, ptr[int32](3), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 3, ReadyReplicas: 2, AvailableReplicas: 2, UpdatedReplicas: 1, CurrentRevision: "a", UpdateRevision: "b"}, Updating, 1},
		"all updated, one not ready":               {rolling, ptr[int32](3), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 3, ReadyReplicas: 2, AvailableReplicas: 2, UpdatedReplicas: 3, CurrentRevision: "a", UpdateRevision: "b"}, Waiting, 3},
		"ready, not yet available":                 {rolling, ptr[int32](2), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 2, ReadyReplicas: 2, AvailableReplicas: 1, CurrentRevision: "b", UpdateRevision: "b"}, Waiting, 2},
		"scaling up":                               {rolling, ptr[int32](3), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 2, ReadyReplicas: 2, AvailableReplicas: 2, CurrentRevision: "b", UpdateRevision: "b"}, Waiting, 2},
		"scaling down":                             {rolling, ptr[int32](1), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, CurrentRevision: "b", UpdateRevision: "b"}, Terminating, 3},
		"scaled to zero":                           {rolling, ptr[int32](0), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, CurrentRevision: "b", UpdateRevision: "b"}, Complete, 0},
		"partition, its part is done":              {partition(2), ptr[int32](3), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, UpdatedReplicas: 1, CurrentRevision: "a", UpdateRevision: "b"}, Complete, 1},
		"partition, its part is not done":          {partition(1), ptr[int32](3), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, UpdatedReplicas: 1, CurrentRevision: "a", UpdateRevision: "b"}, Updating, 1},
		"partition beyond the replicas":            {partition(9), ptr[int32](3), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, CurrentRevision: "a", UpdateRevision: "b"}, Complete, 0},
		"OnDelete: old pods are not waited for":    {onDelete, ptr[int32](3), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 3, ReadyReplicas: 3, AvailableReplicas: 3, CurrentRevision: "a", UpdateRevision: "b"}, Complete, 0},
		"OnDelete: one deleted, the new not ready": {onDelete, ptr[int32](3), seen, appsv1.StatefulSetStatus{ObservedGeneration: seen, Replicas: 3, ReadyReplicas: 2, AvailableReplicas: 2, UpdatedReplicas: 1, CurrentRevision: "a", UpdateRevision: "b"}, Waiting, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Generation: c.generation}, Status: c.status}
			d.Spec.Replicas, d.Spec.UpdateStrategy = c.replicas, c.strategy
			if got := StatefulSetProgress(d); got.State != c.state || got.Updated != c.updated {
				t.Errorf("got %+v, want %s with %d updated", got, c.state, c.updated)
			}
		})
	}
}

func TestProgressOfADaemonSet(t *testing.T) {
	rolling := appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType}
	onDelete := appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
	const seen = 4
	for name, c := range map[string]struct {
		strategy   appsv1.DaemonSetUpdateStrategy
		generation int64
		status     appsv1.DaemonSetStatus
		want       Progress
	}{
		"complete": {
			rolling, seen, appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, CurrentNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberReady: 3, NumberAvailable: 3},
			Progress{State: Complete, Desired: 3, Updated: 3, Ready: 3, Available: 3, Total: 3},
		},
		"not observed": {
			rolling, seen + 1, appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, CurrentNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberReady: 3, NumberAvailable: 3},
			Progress{State: Observing, Desired: 3, Updated: 3, Ready: 3, Available: 3, Total: 3},
		},
		"updating": {
			rolling, seen, appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, CurrentNumberScheduled: 3, UpdatedNumberScheduled: 1, NumberReady: 2, NumberAvailable: 2},
			Progress{State: Updating, Desired: 3, Updated: 1, Ready: 2, Available: 2, Total: 3},
		},
		"waiting": {
			rolling, seen, appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, CurrentNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberReady: 3, NumberAvailable: 2},
			Progress{State: Waiting, Desired: 3, Updated: 3, Ready: 3, Available: 2, Total: 3},
		},
		"no node fits": {rolling, seen, appsv1.DaemonSetStatus{}, Progress{State: Complete}},
		"OnDelete: old pods are not waited for": {
			onDelete, seen, appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, CurrentNumberScheduled: 3, UpdatedNumberScheduled: 0, NumberReady: 3, NumberAvailable: 3},
			Progress{State: Complete, Desired: 3, Updated: 3, Ready: 3, Available: 3, Total: 3, OnDelete: true},
		},
		"OnDelete: a new node has no pod yet": {
			onDelete, seen, appsv1.DaemonSetStatus{DesiredNumberScheduled: 4, CurrentNumberScheduled: 3, NumberReady: 3, NumberAvailable: 3},
			Progress{State: Updating, Desired: 4, Updated: 3, Ready: 3, Available: 3, Total: 3, OnDelete: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.status.ObservedGeneration = seen
			d := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Generation: c.generation}, Status: c.status}
			d.Spec.UpdateStrategy = c.strategy
			if got := DaemonSetProgress(d); got != c.want {
				t.Errorf("got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestFreshNeverCountsOldPods(t *testing.T) {
	for _, c := range []struct {
		p          Progress
		old, fresh int32
	}{
		{Progress{}, 0, 0},
		{Progress{Total: 4, Updated: 1, Available: 3}, 3, 0},
		{Progress{Total: 4, Updated: 1, Available: 4}, 3, 1},
		{Progress{Total: 3, Updated: 3, Available: 2}, 0, 2},
		{Progress{Total: 3, Updated: 3, Available: 3}, 0, 3},
		{Progress{Total: 2, Updated: 3, Available: 1}, 0, 1}, // counts read in the middle of a change
	} {
		if c.p.Old() != c.old || c.p.Fresh() != c.fresh {
			t.Errorf("%+v: %d old, %d fresh; want %d and %d", c.p, c.p.Old(), c.p.Fresh(), c.old, c.fresh)
		}
	}
}

func TestSameMeansToldInTheSameWords(t *testing.T) {
	p := Progress{State: Waiting, Desired: 3, Stuck: &Stuck{Reason: CrashLoop, Pods: 2, Restarts: 3, Pod: "a"}}
	other := p
	other.Stuck = &Stuck{Reason: CrashLoop, Pods: 2, Restarts: 4, Pod: "b"}
	if !p.Same(other) {
		t.Error("another restart count is another story")
	}
	for _, differs := range []Progress{
		{State: Waiting, Desired: 3},
		{State: Updating, Desired: 3, Stuck: p.Stuck},
		{State: Waiting, Desired: 3, Stuck: &Stuck{Reason: OOMKilled, Pods: 2}},
		{State: Waiting, Desired: 3, Stuck: &Stuck{Reason: CrashLoop, Pods: 3}},
	} {
		if p.Same(differs) || differs.Same(p) {
			t.Errorf("%+v is told like %+v", differs, p)
		}
	}
}
