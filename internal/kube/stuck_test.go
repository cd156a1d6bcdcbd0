package kube

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pod makes a pod of the shape the API server shows: phase and readiness follow
// from the containers.
func pod(name string, containers ...corev1.ContainerStatus) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}}
	p.Status.Phase = corev1.PodPending
	ready := corev1.ConditionTrue
	for _, c := range containers {
		if c.State.Running != nil || c.RestartCount > 0 {
			p.Status.Phase = corev1.PodRunning
		}
		if !c.Ready {
			ready = corev1.ConditionFalse
		}
	}
	p.Status.ContainerStatuses = containers
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: ready}}
	return p
}

func waits(reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "app", Image: "acme/app:2", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
}

func runs(ready bool) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "app", Image: "acme/app:2", Ready: ready, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
}

func died(code int32, reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}}
}

func crashed(c corev1.ContainerStatus, restarts int32, last corev1.ContainerState) corev1.ContainerStatus {
	c.RestartCount, c.LastTerminationState = restarts, last
	return c
}

func warning(about, reason, message string, at time.Time) corev1.Event {
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{Name: about}, Type: corev1.EventTypeWarning,
		Reason: reason, Message: message, LastTimestamp: metav1.NewTime(at),
	}
}

const notFound = `failed to pull and unpack image "registry.example.com/shop/web:9-bad": failed to resolve reference "registry.example.com/shop/web:9-bad": registry.example.com/shop/web:9-bad: not found`

func TestFindStuck(t *testing.T) {
	t0 := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	gone := pod("gone", waits("ImagePullBackOff", ""))
	gone.DeletionTimestamp = &metav1.Time{Time: t0}
	pending := pod("pending")
	pending.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/3 nodes are available: 3 Insufficient cpu.",
	}}
	withInit := func(init corev1.ContainerStatus) *corev1.Pod {
		p := pod("i", waits("PodInitializing", ""))
		init.Name = "migrate"
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{init}
		return p
	}
	initDone := pod("i", runs(true))
	initDone.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", Ready: true, RestartCount: 2, State: died(0, "Completed", ""), LastTerminationState: died(1, "Error", "")}}
	newer := pod("new", runs(true))
	newer.CreationTimestamp = metav1.NewTime(t0.Add(time.Minute))
	older := pod("old", runs(true))
	older.CreationTimestamp = metav1.NewTime(t0.Add(-time.Minute))

	quota := `pods "web-7d4b9-" is forbidden: exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3`
	webhook := `admission webhook "policy.example.com" denied the request: no latest tags`
	failure := func(m string) []appsv1.DeploymentCondition {
		return []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: m}}
	}

	for name, c := range map[string]struct {
		pods       []*corev1.Pod
		events     []corev1.Event
		conditions []appsv1.DeploymentCondition
		want       *Stuck
	}{
		"nothing to see":                      {},
		"ready":                               {pods: []*corev1.Pod{pod("a", runs(true))}},
		"just starting":                       {pods: []*corev1.Pod{pod("a", waits("ContainerCreating", ""))}},
		"terminating":                         {pods: []*corev1.Pod{gone}},
		"restarted, now ready":                {pods: []*corev1.Pod{pod("a", crashed(runs(true), 4, died(137, "OOMKilled", "")))}},
		"init container succeeded in the end": {pods: []*corev1.Pod{initDone}},
		"pull fails": {
			pods: []*corev1.Pod{pod("a", waits("ErrImagePull", "rpc error: code = NotFound desc = "+notFound))},
			want: &Stuck{Reason: ImagePull, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", Detail: "no such image or tag in the registry"},
		},
		"pull backs off, cause in the message": {
			pods: []*corev1.Pod{pod("a", waits("ImagePullBackOff", `Back-off pulling image "x": ErrImagePull: `+notFound))},
			want: &Stuck{Reason: ImagePull, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", Detail: "no such image or tag in the registry"},
		},
		"pull backs off, cause in an event only": {
			pods: []*corev1.Pod{pod("a", waits("ImagePullBackOff", `Back-off pulling image "acme/app:2"`))},
			events: []corev1.Event{
				warning("a", "Failed", `Failed to pull image "acme/app:2": unauthorized: authentication required`, t0),
				warning("a", "Failed", "Error: ErrImagePull", t0), warning("a", "Failed", "Error: ImagePullBackOff", t0),
			},
			want: &Stuck{Reason: ImagePull, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", Detail: "the registry refuses access"},
		},
		"image name": {
			pods: []*corev1.Pod{pod("a", waits("InvalidImageName", `couldn't parse image name "!": not found`))},
			want: &Stuck{Reason: ImagePull, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", Detail: "the image name is not valid"},
		},
		"never pull": {
			pods: []*corev1.Pod{pod("a", waits("ErrImageNeverPull", `Container image "x" is not present with pull policy of Never`))},
			want: &Stuck{Reason: ImagePull, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", Detail: `Container image "x" is not present with pull policy of Never`},
		},
		"registry down": {
			pods: []*corev1.Pod{pod("a", waits("RegistryUnavailable", "dial tcp 10.0.0.1:443: i/o timeout"))},
			want: &Stuck{Reason: ImagePull, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", Detail: "the registry does not answer"},
		},
		"crash loop": {
			pods: []*corev1.Pod{pod("a", crashed(waits("CrashLoopBackOff", "back-off 10s"), 3, died(1, "Error", "no database\n")))},
			want: &Stuck{Reason: CrashLoop, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", ExitCode: 1, Restarts: 3, Detail: "no database"},
		},
		"crash loop that ends with 0": {
			pods: []*corev1.Pod{pod("a", crashed(waits("CrashLoopBackOff", "back-off 10s"), 1, died(0, "Completed", "")))},
			want: &Stuck{Reason: CrashLoop, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", Restarts: 1, Detail: "back-off 10s"},
		},
		"the first crash, before the back-off": {
			pods: []*corev1.Pod{pod("a", corev1.ContainerStatus{Name: "app", Image: "acme/app:2", State: died(2, "Error", "panic: nil")})},
			want: &Stuck{Reason: CrashLoop, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", ExitCode: 2, Detail: "panic: nil"},
		},
		"crashed, started again, not ready yet": {
			pods:   []*corev1.Pod{pod("a", crashed(runs(false), 1, died(1, "Error", "")))},
			events: []corev1.Event{warning("a", "BackOff", "Back-off restarting failed container", t0)},
			want:   &Stuck{Reason: CrashLoop, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", ExitCode: 1, Restarts: 1, Detail: "Back-off restarting failed container"},
		},
		"killed for memory": {
			pods: []*corev1.Pod{pod("a", crashed(waits("CrashLoopBackOff", "back-off 20s"), 2, died(137, "OOMKilled", "")))},
			want: &Stuck{Reason: OOMKilled, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", ExitCode: 137, Restarts: 2, Detail: "back-off 20s"},
		},
		"the newest end counts": {
			pods: []*corev1.Pod{pod("a", corev1.ContainerStatus{
				Name: "app", Image: "acme/app:2", RestartCount: 1, State: died(137, "OOMKilled", "x"), LastTerminationState: died(1, "Error", "y"),
			})},
			want: &Stuck{Reason: OOMKilled, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", ExitCode: 137, Restarts: 1, Detail: "x"},
		},
		"config": {
			pods: []*corev1.Pod{pod("a", waits("CreateContainerConfigError", `secret "db" not found`))},
			want: &Stuck{Reason: BadConfig, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", Detail: `secret "db" not found`},
		},
		"cannot run": {
			pods: []*corev1.Pod{pod("a", waits("RunContainerError", "exec: no such file"))},
			want: &Stuck{Reason: BadConfig, Pods: 1, Pod: "a", Container: "app", Image: "acme/app:2", Detail: "exec: no such file"},
		},
		"init container crashes": {
			pods: []*corev1.Pod{withInit(crashed(waits("CrashLoopBackOff", ""), 2, died(3, "Error", "no table")))},
			want: &Stuck{Reason: CrashLoop, Pods: 1, Pod: "i", Container: "migrate", Image: "acme/app:2", ExitCode: 3, Restarts: 2, Detail: "no table"},
		},
		"init container runs": {pods: []*corev1.Pod{withInit(runs(false))}},
		"unschedulable": {
			pods: []*corev1.Pod{pending},
			want: &Stuck{Reason: Unschedulable, Pods: 1, Pod: "pending", Detail: "0/3 nodes are available: 3 Insufficient cpu."},
		},
		"not ready, with the newest warning": {
			pods: []*corev1.Pod{pod("a", runs(false))},
			events: []corev1.Event{
				warning("a", "Unhealthy", "Readiness probe failed: 500", t0), warning("a", "Unhealthy", "Readiness probe failed: 503", t0),
				warning("b", "Unhealthy", "of another pod", t0),
				{InvolvedObject: corev1.ObjectReference{Name: "a"}, Type: corev1.EventTypeNormal, Reason: "Pulled", Message: "pulled"},
			},
			want: &Stuck{Reason: NotReady, Pods: 1, Pod: "a", Detail: "Readiness probe failed: 503"},
		},
		"several pods, one reason": {
			pods: []*corev1.Pod{pod("a", runs(true)), pod("b", waits("ImagePullBackOff", "EOF")), pod("c", waits("ErrImagePull", "EOF")), pod("d", runs(true))},
			want: &Stuck{Reason: ImagePull, Pods: 2, Pod: "b", Container: "app", Image: "acme/app:2", Detail: "EOF"},
		},
		"the worst first, and only its pods are counted": {
			pods: []*corev1.Pod{
				pod("a", runs(false)), pending, pod("b", waits("CreateContainerError", "x")),
				pod("c", crashed(waits("CrashLoopBackOff", ""), 1, died(1, "Error", "boom"))),
				pod("d", crashed(waits("CrashLoopBackOff", ""), 1, died(137, "OOMKilled", "big"))),
				pod("e", waits("ErrImagePull", "EOF")), pod("f", runs(false)),
			},
			want: &Stuck{Reason: ImagePull, Pods: 1, Pod: "e", Container: "app", Image: "acme/app:2", Detail: "EOF"},
		},
		"memory before a crash": {
			pods: []*corev1.Pod{
				pod("c", crashed(waits("CrashLoopBackOff", ""), 1, died(1, "Error", "boom"))),
				pod("d", crashed(waits("CrashLoopBackOff", ""), 1, died(137, "OOMKilled", "big"))),
			},
			want: &Stuck{Reason: OOMKilled, Pods: 1, Pod: "d", Container: "app", Image: "acme/app:2", ExitCode: 137, Restarts: 1, Detail: "big"},
		},
		"quota, as a condition": {
			pods: []*corev1.Pod{pod("a", runs(true))}, conditions: failure(quota),
			want: &Stuck{Reason: Quota, Detail: quota},
		},
		"quota that is over": {
			pods:       []*corev1.Pod{pod("a", runs(true))},
			conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionFalse, Message: quota}},
		},
		"webhook, as a condition": {conditions: failure(webhook), want: &Stuck{Reason: Rejected, Detail: webhook}},
		"quota, as an event": {
			events: []corev1.Event{warning("web", "Other", "x", t0), warning("web", "FailedCreate", "create Pod db-0 failed error: "+quota, t0)},
			want:   &Stuck{Reason: Quota, Detail: "create Pod db-0 failed error: " + quota},
		},
		"webhook, as an event":                    {events: []corev1.Event{warning("web", "FailedCreate", webhook, t0)}, want: &Stuck{Reason: Rejected, Detail: webhook}},
		"some pods were made before":              {pods: []*corev1.Pod{older}, events: []corev1.Event{warning("web", "FailedCreate", quota, t0)}, want: &Stuck{Reason: Quota, Detail: quota}},
		"a pod was made since":                    {pods: []*corev1.Pod{older, newer}, events: []corev1.Event{warning("web", "FailedCreate", quota, t0)}},
		"what the pods say comes before quota":    {pods: []*corev1.Pod{pending}, conditions: failure(quota), want: &Stuck{Reason: Unschedulable, Pods: 1, Pod: "pending", Detail: "0/3 nodes are available: 3 Insufficient cpu."}},
		"a pod without containers and conditions": {pods: []*corev1.Pod{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := FindStuck(c.pods, c.events, c.conditions)
			if c.want != nil {
				c.want.Detail = clip(c.want.Detail)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			var slimmed []*corev1.Pod
			for _, p := range c.pods {
				slimmed = append(slimmed, slimPod(p))
			}
			if d := cmp.Diff(got, FindStuck(slimmed, c.events, c.conditions)); d != "" {
				t.Errorf("the watched form of the pods tells another story:\n%s", d)
			}
		})
	}
}

func TestWhatIsHardNeedsSomebody(t *testing.T) {
	for r, want := range map[Reason]bool{
		ImagePull: true, CrashLoop: true, OOMKilled: true, BadConfig: true, Quota: true, Rejected: true,
		Unschedulable: false, NotReady: false, "": false,
	} {
		if r.Hard() != want {
			t.Errorf("%s: hard %v", r, !want)
		}
	}
}

func TestPullCause(t *testing.T) {
	const (
		missing = "no such image or tag in the registry"
		access  = "the registry refuses access"
		silent  = "the registry does not answer"
		invalid = "the image name is not valid"
	)
	for text, want := range map[string]string{
		"": "",
		"rpc error: code = NotFound desc = " + notFound:                                                                                                                   missing,
		"reading manifest 9 in docker.io/library/nginx: manifest unknown":                                                                                                 missing,
		`unexpected status from HEAD request to https://r.example.com/v2/a/manifests/1: 404 Not Found`:                                                                    missing,
		`failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://auth.example.com/token: 401 Unauthorized`:                    access,
		`failed to resolve reference "r.example.com/a:1": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope`: access,
		`unexpected status from HEAD request to https://r.example.com/v2/a: 403 Forbidden`:                                                                                access,
		"denied: requested access to the resource is denied":                                                                                                              access,
		`failed to do request: Head "https://r.example.com/v2/a": dial tcp 10.0.0.1:443: i/o timeout`:                                                                     silent,
		`failed to do request: Head "https://r.example.com/v2/a": dial tcp: lookup r.example.com on 10.96.0.10:53: no such host`:                                          silent,
		`dial tcp 127.0.0.1:5000: connect: connection refused`:                                                                                                            silent,
		`net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)`:                                                        silent,
		"context deadline exceeded": silent,
		"InvalidImageName":          invalid,
		`Failed to apply default image tag "A:1": couldn't parse image name "A:1": invalid reference format: repository name must be lowercase`: invalid,
		// Names are not words.
		`failed to pull "r.example.com/denied:1": EOF`:                                        `failed to pull "r.example.com/denied:1": EOF`,
		`failed to pull r.example.com/timeout:403: EOF`:                                       `failed to pull r.example.com/timeout:403: EOF`,
		`failed to resolve "r.example.com/forbidden:1": r.example.com/forbidden:1: not found`: missing,
		"no space left\non device":                                                            "no space left on device",
	} {
		if got := pullCause(text); got != want {
			t.Errorf("%q\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"  a \t b\r\n\x1b[31mc\x7f ":  "a b [31mc",
		"caf\xe9 \xff":                "caf? ?",
		"crème brûlée":                "crème brûlée",
		strings.Repeat("a", 160):      strings.Repeat("a", 160),
		strings.Repeat("a", 161):      strings.Repeat("a", 160) + "…",
		strings.Repeat("ü", 90):       strings.Repeat("ü", 80) + "…",
		"a" + strings.Repeat("ü", 90): "a" + strings.Repeat("ü", 79) + "…", // not in the middle of a letter
		"a\u202eb\u2028c\u0085d":      "a b c d",
	} {
		if got := clip(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzClip(f *testing.F) {
	f.Add("a\nb")
	f.Add(strings.Repeat("\xff", 200))
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{clip(s), pullCause(s)} {
			if !utf8.ValidString(got) || len(got) > detailLimit+len("…") || strings.ContainsFunc(got, unicode.IsControl) {
				t.Errorf("%q became %q", s, got)
			}
		}
		if once := clip(s); len(once) <= detailLimit && clip(once) != once {
			t.Errorf("clip(%q) is not stable", s)
		}
	})
}
