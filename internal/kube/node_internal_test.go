package kube

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// onePod is a running pod of a controller; "" is none.
func onePod(name, ownerKind string, change ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "u-" + "1"},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
		},
	}
	if ownerKind != "" {
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{Kind: ownerKind, Name: "o", UID: "o", Controller: &yes}}
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func emptyDir(p *corev1.Pod) {
	p.Spec.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
}

func mirror(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }

func hasEnded(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }

func leaving(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Now()} }

func TestWhatADrainDoesWithEachPod(t *testing.T) {
	for name, c := range map[string]struct {
		pod  corev1.Pod
		want string
	}{
		"of a Deployment":                    {onePod("a", "ReplicaSet"), "evict"},
		"of a StatefulSet, with an emptyDir": {onePod("a", "StatefulSet", emptyDir), "evict data"},
		"of a Job that has ended":            {onePod("a", "Job", hasEnded, emptyDir), "evict"},
		"of a DaemonSet":                     {onePod("a", "DaemonSet", emptyDir), "daemon"},
		"of the kubelet":                     {onePod("a", "Node", mirror), "mirror"},
		"of nobody":                          {onePod("a", ""), "bare"},
		"of nobody, with an emptyDir":        {onePod("a", "", emptyDir), "bare data"},
		"of nobody, ended":                   {onePod("a", "", hasEnded, emptyDir), "finished"},
		"being deleted":                      {onePod("a", "ReplicaSet", leaving, emptyDir), "leaving"},
		"of a DaemonSet, being deleted":      {onePod("a", "DaemonSet", leaving), "daemon"},
		"of nobody, being deleted":           {onePod("a", "", leaving), "leaving"},
	} {
		o := SortPods([]corev1.Pod{c.pod})
		var got []string
		for what, n := range map[string]int{
			"evict": len(o.Evict), "bare": len(o.Bare), "leaving": len(o.Leaving), "daemon": o.Daemon, "mirror": o.Mirror, "finished": o.Finished,
		} {
			if n == 1 {
				got = append(got, what)
			}
		}
		if len(o.Data) == 1 {
			got = append(got, "data")
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("a pod %s: %v, want %s", name, got, c.want)
		}
	}
}

func TestHowFarADrainIs(t *testing.T) {
	a, b := PodRef{Namespace: "shop", Name: "a"}, PodRef{Namespace: "data", Name: "b"}
	p := drained(12, nil, nil, Stuck{})
	if p.State != Complete || p.Updated != 12 || p.Desired != 12 || p.Stuck != nil {
		t.Errorf("all gone: %+v", p)
	}
	p = drained(12, []PodRef{a, b}, nil, Stuck{})
	if p.State != Terminating || p.Updated != 10 || p.Stuck != nil {
		t.Errorf("two are going: %+v", p)
	}
	p = drained(12, []PodRef{a, b}, []PodRef{b}, Stuck{Reason: Budget, Detail: "cart"})
	if p.Updated != 10 || p.Stuck == nil || p.Stuck.Pods != 1 || p.Stuck.Pod != "b" || p.Stuck.Left != "data/b, shop/a" || p.Stuck.Detail != "cart" {
		t.Errorf("one is held: %+v %+v", p, p.Stuck)
	}
	if p = drained(1, []PodRef{a, b}, nil, Stuck{}); p.Desired != 2 || p.Updated != 0 {
		t.Errorf("more have come than were counted: %+v", p)
	}
}

func TestPickPods(t *testing.T) {
	now := time.Now()
	pod := func(name string, age time.Duration, status string, change ...func(*PodState)) PodState {
		p := PodState{Ref: Ref{Name: name}, UID: name, Created: now.Add(-age), Status: status, Ready: status == "Running"}
		for _, c := range change {
			c(&p)
		}
		return p
	}
	trouble := func(r Reason) func(*PodState) { return func(p *PodState) { p.Trouble = &Stuck{Reason: r} } }
	going := func(p *PodState) { p.Leaving, p.Ready = true, false }
	pods := []PodState{
		pod("old", 9*time.Hour, "Running"), pod("young", time.Minute, "Running"), pod("middle", time.Hour, "Running"),
		pod("loop", 2*time.Hour, "CrashLoopBackOff", trouble(CrashLoop)), pod("oom", 2*time.Hour, "OOMKilled", trouble(OOMKilled)),
		pod("pull", 3*time.Hour, "ImagePullBackOff", trouble(ImagePull)), pod("wait", 4*time.Hour, "Pending", trouble(Unschedulable)),
		pod("gone", 10*time.Hour, "Evicted"), pod("done", 11*time.Hour, "Completed"), pod("dying", 12*time.Hour, "Terminating", going),
	}
	for which, want := range map[string]string{
		"oldest": "old", "newest": "young", "any": "oom", "crashing": "loop oom", "evicted": "gone", "pending": "pull wait",
		"failed": "loop oom gone", "completed": "done", "stuck": "loop oom pull dying", "unhealthy": "loop oom pull wait gone",
		"all": "old young middle loop oom pull wait gone done", "": "old young middle loop oom pull wait gone done",
	} {
		got, err := PickPods(pods, which)
		var names []string
		for _, p := range got {
			names = append(names, p.Ref.Name)
		}
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("%q: %v %v, want %s", which, names, err, want)
		}
	}
	if _, err := PickPods(pods, "prettiest"); err == nil {
		t.Error("a word that nobody knows")
	}
	if got, err := PickPods(nil, "oldest"); err != nil || len(got) != 0 {
		t.Errorf("of none: %v %v", got, err)
	}
}

func TestNextRun(t *testing.T) {
	now := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ schedule, zone, want string }{
		{"30 2 * * *", "", "2026-03-29T02:30:00Z"},
		{"*/5 * * * *", "", "2026-03-28T12:05:00Z"},
		{"@daily", "", "2026-03-29T00:00:00Z"},
		{"@every 1h", "", "2026-03-28T13:00:00Z"},
		{"0 8 * * *", "Europe/Berlin", "2026-03-29T06:00:00Z"}, // clocks go forward that night
		{"0 13 * * *", "Europe/Berlin", "2026-03-29T11:00:00Z"},
		{"30 2 29 2 *", "", "2028-02-29T02:30:00Z"},
		{"TZ=Asia/Tokyo 0 9 * * *", "", "2026-03-29T00:00:00Z"},
		{"every day", "", ""}, {"0 8 * * *", "Mars/Olympus", ""},
	} {
		got := ""
		if n := nextRun(c.schedule, c.zone, now); !n.IsZero() {
			got = n.UTC().Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%q in %q: %q, want %q", c.schedule, c.zone, got, c.want)
		}
	}
}

func TestHowFarAJobIs(t *testing.T) {
	job := func(s batchv1.JobStatus) *batchv1.Job { return &batchv1.Job{Status: s} }
	cond := func(t batchv1.JobConditionType, why string) []batchv1.JobCondition {
		return []batchv1.JobCondition{{Type: t, Status: corev1.ConditionTrue, Reason: why}}
	}
	crashed := onePod("a", "Job", func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodFailed
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Message: "no disk"}}}}
	})
	unpulled := onePod("a", "Job", func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodPending
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}}}
	})
	for name, c := range map[string]struct {
		job    *batchv1.Job
		pods   []*corev1.Pod
		state  State
		reason Reason
		hard   bool
	}{
		"runs":                 {job(batchv1.JobStatus{Active: 1}), nil, Updating, "", false},
		"done":                 {job(batchv1.JobStatus{Succeeded: 1, Conditions: cond(batchv1.JobComplete, "")}), []*corev1.Pod{&crashed}, Complete, "", false},
		"one try failed":       {job(batchv1.JobStatus{Active: 1, Failed: 1}), []*corev1.Pod{&crashed}, Updating, JobRetry, false},
		"gave up":              {job(batchv1.JobStatus{Failed: 4, Conditions: cond(batchv1.JobFailed, "BackoffLimitExceeded")}), []*corev1.Pod{&crashed}, DeadlineExceeded, CrashLoop, true},
		"gave up, pods unseen": {job(batchv1.JobStatus{Failed: 4, Conditions: cond(batchv1.JobFailed, "DeadlineExceeded")}), nil, DeadlineExceeded, JobFailed, false},
		"cannot be pulled":     {job(batchv1.JobStatus{Active: 1}), []*corev1.Pod{&unpulled}, Updating, ImagePull, true},
		"suspended":            {job(batchv1.JobStatus{Conditions: cond(batchv1.JobSuspended, "")}), nil, Waiting, "", false},
	} {
		p := JobProgress(c.job, c.pods)
		var reason Reason
		if p.Stuck != nil {
			reason = p.Stuck.Reason
		}
		if p.State != c.state || reason != c.reason || reason.Hard() != c.hard {
			t.Errorf("%s: %s %q, want %s %q", name, p.State, reason, c.state, c.reason)
		}
	}
}

func TestReplacedPods(t *testing.T) {
	ready, starting := onePod("a", "ReplicaSet"), onePod("b", "ReplicaSet", func(p *corev1.Pod) {
		p.UID, p.Status.Phase, p.Status.Conditions, p.Status.ContainerStatuses = "u-b", corev1.PodPending, nil, nil
	})
	gone := onePod("c", "ReplicaSet", leaving)
	for name, c := range map[string]struct {
		pods   []*corev1.Pod
		broken []string
		want   State
	}{
		"none yet":                   {[]*corev1.Pod{&ready, &gone}, nil, Waiting},
		"one that starts":            {[]*corev1.Pod{&ready, &starting}, nil, Waiting},
		"both ready":                 {[]*corev1.Pod{&ready, &ready}, nil, Complete},
		"one was broken before":      {[]*corev1.Pod{&ready, &starting}, []string{"u-b"}, Complete},
		"the old one is still there": {[]*corev1.Pod{&gone, &ready, &ready}, nil, Complete},
	} {
		if p := replaced(offspring{desired: 2, pods: c.pods}, c.broken); p.State != c.want {
			t.Errorf("%s: %+v, want %s", name, p, c.want)
		}
	}
}
