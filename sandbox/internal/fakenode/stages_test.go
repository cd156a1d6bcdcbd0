package fakenode

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/utils/gotpl"
	"sigs.k8s.io/kwok/pkg/utils/lifecycle"
)

// player plays KWOK's stages on a pod without a cluster.
type player struct {
	t        *testing.T
	stages   lifecycle.Lifecycle
	renderer gotpl.Renderer
	pod      *corev1.Pod
	events   []corev1.Event
	deleted  bool
}

func newPlayer(t *testing.T, change func(*corev1.Pod), images ...string) *player {
	t.Helper()
	sim, err := New(context.Background(), Options{Dir: t.TempDir(), PodsPerNode: 110, Version: "v1.36.3"})
	if err != nil {
		t.Fatal(err)
	}
	var pods []*internalversion.Stage
	for _, s := range config.FilterWithType[*internalversion.Stage](sim.objects) {
		if s.Spec.ResourceRef.Kind == "Pod" {
			pods = append(pods, s)
		}
	}
	stages, err := lifecycle.NewLifecycle(pods)
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "shop-1", Namespace: "shop", UID: "u-1"},
		Spec:       corev1.PodSpec{NodeName: "node-1", RestartPolicy: corev1.RestartPolicyAlways},
		Status:     corev1.PodStatus{Phase: corev1.PodPending},
	}
	for i, image := range images {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
			Name: fmt.Sprintf("c%d", i), Image: "registry.example.com:5000/shop-bad/app" + image,
		})
	}
	if change != nil {
		change(pod)
	}
	return &player{t: t, stages: stages, pod: pod, renderer: gotpl.NewRenderer(gotpl.FuncMap{
		"NodeIPWith": func(string) string { return "127.0.0.1" },
		"PodIPWith":  func(string, bool, string, string, string) string { return "10.250.0.9" },
	})}
}

// next plays the next stage and returns its name and delay, "" if there is none.
func (p *player) next() (string, time.Duration) {
	p.t.Helper()
	ctx := context.Background()
	event := &lifecycle.Event{Labels: p.pod.Labels, Annotations: p.pod.Annotations, Data: p.pod}
	possible, err := p.stages.ListAllPossible(ctx, event)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(possible) == 0 {
		return "", 0
	}
	if len(possible) > 1 {
		p.t.Fatalf("stages %s and %s both fit", possible[0].Name(), possible[1].Name())
	}
	stage := possible[0]
	delay, _, err := stage.Delay(ctx, event, time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	_, err = stage.DoSteps(0, nil, p.pod, p.renderer,
		func(*internalversion.StageEvent) error { return nil },
		func() error { p.deleted = true; return nil },
		p.patch, p.apply)
	if err != nil {
		p.t.Fatalf("stage %s: %v", stage.Name(), err)
	}
	return stage.Name(), delay
}

func (p *player) patch(patch *lifecycle.Patch) error {
	before, err := json.Marshal(p.pod)
	if err != nil {
		return err
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch.Data, corev1.Pod{})
	if err != nil {
		return err
	}
	pod := &corev1.Pod{}
	if err := strict(after, pod); err != nil {
		return fmt.Errorf("%w in %s", err, patch.Data)
	}
	p.pod = pod
	return nil
}

func (p *player) apply(a *lifecycle.Apply) error {
	var e corev1.Event
	if err := strict(a.Data, &e); err != nil {
		return err
	}
	p.events = append(p.events, e)
	return nil
}

func strict(data []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// play plays the stages that are expected, and checks that they come.
func (p *player) play(stages ...string) {
	p.t.Helper()
	for _, want := range stages {
		if got, _ := p.next(); got != want {
			p.t.Fatalf("the next stage is %q, want %q", got, want)
		}
	}
}

func (p *player) ready() bool {
	for _, c := range p.pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (p *player) reasons() string {
	var all []string
	for _, e := range p.events {
		all = append(all, e.Type+" "+e.Reason)
	}
	return strings.Join(all, ", ")
}

func TestOrdinaryTagsRunAtOnce(t *testing.T) {
	// "bad" elsewhere in the image than at the end of the tag means nothing.
	for _, image := range []string{":v1", "", ":v1-bad2", ":bad", ":2.1-badge", "-bad", "@sha256:0123"} {
		p := newPlayer(t, nil, image)
		p.play("pod-run-ready", "")
		s := p.pod.Status.ContainerStatuses[0]
		if !p.ready() || s.State.Running == nil || s.ContainerID == "" || s.ImageID == "" || p.pod.Status.PodIP == "" {
			t.Errorf("tag %q: status %+v", image, p.pod.Status)
		}
	}
}

func TestBadIsNeverPulled(t *testing.T) {
	p := newPlayer(t, nil, ":v1", ":2.1-bad")
	p.play("pod-pull-error")
	if r := p.pod.Status.ContainerStatuses[1].State.Waiting.Reason; r != "ErrImagePull" {
		t.Errorf("waiting for %s", r)
	}
	if s := p.pod.Status.ContainerStatuses[0]; s.State.Running == nil || !s.Ready {
		t.Errorf("the container with a good image: %+v", s)
	}
	p.play("pod-pull-backoff", "")
	w := p.pod.Status.ContainerStatuses[1].State.Waiting
	if w.Reason != "ImagePullBackOff" || !strings.Contains(w.Message, "app:2.1-bad: not found") {
		t.Errorf("waiting for %+v", w)
	}
	if p.ready() || p.pod.Status.Phase != corev1.PodPending {
		t.Errorf("phase %s, ready %v", p.pod.Status.Phase, p.ready())
	}
	if got, want := p.reasons(), "Normal Pulling, Warning Failed, Warning Failed, Normal BackOff, Warning Failed"; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	if got, want := p.events[0].InvolvedObject.FieldPath, "spec.containers{c1}"; got != want {
		t.Errorf("the event is about %s, want %s", got, want)
	}
}

func TestCrashLoops(t *testing.T) {
	for tag, want := range map[string]corev1.ContainerStateTerminated{
		":v2-crash":     {ExitCode: 1, Reason: "Error"},
		":v2-oom":       {ExitCode: 137, Reason: "OOMKilled"},
		":v2-crash-oom": {ExitCode: 137, Reason: "OOMKilled"},
	} {
		p := newPlayer(t, nil, ":v1", tag)
		p.play("pod-run-unready", "pod-crash")
		crashed := func() *corev1.ContainerStatus { return &p.pod.Status.ContainerStatuses[1] }
		if s := crashed().State.Terminated; s == nil || s.Reason != want.Reason || s.ExitCode != want.ExitCode {
			t.Fatalf("%s: first crash %+v", tag, crashed())
		}
		for i, backoff := range []time.Duration{400 * time.Millisecond, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 300 * time.Second, 300 * time.Second} {
			name, delay := p.next()
			if name != "pod-restart" || delay != backoff {
				t.Fatalf("%s: restart %d is %q after %s, want after %s", tag, i+1, name, delay, backoff)
			}
			if got := crashed().RestartCount; got != int32(i+1) {
				t.Fatalf("%s: %d restarts counted, want %d", tag, got, i+1)
			}
			p.play("pod-crash")
			s := crashed()
			if s.State.Waiting == nil || s.State.Waiting.Reason != "CrashLoopBackOff" {
				t.Fatalf("%s: state %+v", tag, s.State)
			}
			if l := s.LastTerminationState.Terminated; l == nil || l.Reason != want.Reason || l.ExitCode != want.ExitCode {
				t.Fatalf("%s: last state %+v", tag, s.LastTerminationState)
			}
		}
		if !strings.HasPrefix(crashed().State.Waiting.Message, "back-off 5m0s restarting failed container=c1 pod=shop-1_shop(u-1)") {
			t.Errorf("message %q", crashed().State.Waiting.Message)
		}
		if good := p.pod.Status.ContainerStatuses[0]; !good.Ready || good.RestartCount != 0 || good.State.Running == nil {
			t.Errorf("%s: the other container: %+v", tag, good)
		}
		if p.ready() {
			t.Errorf("%s: the pod is ready", tag)
		}
	}
}

func TestSlowIsReadyAfterHalfAMinute(t *testing.T) {
	p := newPlayer(t, nil, ":v1-slow")
	p.play("pod-run-unready")
	if p.ready() || p.pod.Status.Phase != corev1.PodRunning {
		t.Errorf("phase %s, ready %v", p.pod.Status.Phase, p.ready())
	}
	if p.reasons() != "Warning Unhealthy" {
		t.Errorf("events %s", p.reasons())
	}
	name, delay := p.next()
	if name != "pod-become-ready" || delay != 30*time.Second || !p.ready() {
		t.Errorf("%q after %s, ready %v", name, delay, p.ready())
	}
	for _, c := range p.pod.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Reason != "" || c.Message != "") {
			t.Errorf("a true condition keeps its excuse: %+v", c)
		}
	}
	p.play("")
}

func TestUnreadyStaysSo(t *testing.T) {
	p := newPlayer(t, nil, ":v1-unready")
	p.play("pod-run-unready", "")
	if p.ready() {
		t.Error("the pod is ready")
	}
}

func TestReadinessCanBeToggled(t *testing.T) {
	p := newPlayer(t, nil, ":v1")
	p.play("pod-run-ready", "")
	p.pod.Annotations = map[string]string{"sandbox/not-ready": "true"}
	p.play("pod-become-unready", "")
	if p.ready() {
		t.Error("the pod is ready")
	}
	p.pod.Annotations = nil
	p.play("pod-become-ready", "")
	if !p.ready() {
		t.Error("the pod is not ready")
	}
}

func TestJobs(t *testing.T) {
	job := func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "j", APIVersion: "batch/v1", UID: "u-2"}}
	}
	p := newPlayer(t, job, ":v1")
	p.play("pod-run-ready", "pod-job-complete", "")
	if p.pod.Status.Phase != corev1.PodSucceeded {
		t.Errorf("phase %s", p.pod.Status.Phase)
	}
	p = newPlayer(t, job, ":v1-crash")
	p.play("pod-run-unready", "pod-fail", "")
	if p.pod.Status.Phase != corev1.PodFailed || p.pod.Status.ContainerStatuses[0].State.Terminated.ExitCode != 1 {
		t.Errorf("status %+v", p.pod.Status)
	}
}

func TestDeletedPodsGoAtAnyPoint(t *testing.T) {
	for _, tag := range []string{":v1", ":v1-bad", ":v1-crash", ":v1-slow", ":v1-unready"} {
		for played := range 4 {
			p := newPlayer(t, nil, tag)
			for range played {
				p.next()
			}
			now := metav1.Now()
			p.pod.DeletionTimestamp = &now
			name, delay := p.next()
			if name != "pod-delete" || delay != 0 || !p.deleted {
				t.Errorf("%s after %d stages: %q after %s", tag, played, name, delay)
			}
		}
	}
}

func TestStartDelayAndInitContainers(t *testing.T) {
	p := newPlayer(t, func(pod *corev1.Pod) {
		pod.Annotations = map[string]string{"sandbox/start-delay": "3s"}
		pod.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "registry.example.com/init:1"}}
	}, ":v1")
	p.play("pod-creating")
	if r := p.pod.Status.ContainerStatuses[0].State.Waiting.Reason; r != "ContainerCreating" {
		t.Errorf("waiting for %s", r)
	}
	name, delay := p.next()
	if name != "pod-run-ready" || delay != 3*time.Second {
		t.Errorf("%q after %s", name, delay)
	}
	if s := p.pod.Status.InitContainerStatuses; len(s) != 1 || s[0].State.Terminated == nil {
		t.Errorf("init containers %+v", s)
	}
}
