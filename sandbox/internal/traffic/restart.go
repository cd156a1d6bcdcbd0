package traffic

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

func sortLines(lines []said) {
	slices.SortStableFunc(lines, func(a, b said) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
}

// backOff is how long the kubelet waits before the n-th restart of a container
// that ended soon after the one before.
func backOff(restarts int32) time.Duration {
	if restarts == 0 {
		return time.Second
	}
	return min(10*time.Second<<min(restarts-1, 5), 5*time.Minute)
}

// restart does what a kubelet does when the kernel has killed a container that
// outgrew its memory: it says so in the pod's status, waits, and starts it again.
func (g *Generator) restart(ctx context.Context, p *model.PodState) {
	main := p.Main(g.model)
	if main == nil {
		return
	}
	namespace, name, container, at := p.Pod.Namespace, p.Pod.Name, main.Name, g.last
	g.restarts.Go(func() {
		if err := g.killed(ctx, namespace, name, container, at); err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
			g.opts.Log.Warn("a container that was killed could not be started again", "reason", fmt.Errorf("%s/%s: %w", namespace, name, err))
		}
	})
}

func (g *Generator) killed(ctx context.Context, namespace, name, container string, at time.Time) error {
	pod, err := g.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == container })
	if i < 0 || pod.Status.ContainerStatuses[i].State.Running == nil {
		return nil
	}
	s := pod.Status.ContainerStatuses[i]
	over := &corev1.ContainerStateTerminated{
		ExitCode: 137, Reason: "OOMKilled", ContainerID: s.ContainerID,
		StartedAt: s.State.Running.StartedAt, FinishedAt: metav1.NewTime(at),
	}
	pause, crashing := time.Second, false
	if s.RestartCount > 0 && at.Sub(s.State.Running.StartedAt.Time) < 10*time.Minute {
		pause, crashing = backOff(s.RestartCount), true
	}
	s.Ready, s.Started = false, new(bool)
	if crashing {
		s.LastTerminationState = corev1.ContainerState{Terminated: over}
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: fmt.Sprintf(
			"back-off %s restarting failed container=%s pod=%s_%s(%s)", pause, container, name, namespace, pod.UID)}}
	} else {
		s.State = corev1.ContainerState{Terminated: over}
	}
	if err := g.patchStatus(ctx, pod, i, s, false); err != nil {
		return err
	}
	if crashing {
		if err := g.event(ctx, pod, container, corev1.EventTypeWarning, "BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)", container, name, namespace, pod.UID)); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(pause):
	}
	s.RestartCount++
	s.Ready = true
	*s.Started = true
	s.LastTerminationState = corev1.ContainerState{Terminated: over}
	s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	s.ContainerID = fmt.Sprintf("containerd://%016x%016x%032x", g.opts.Seed, s.RestartCount, at.UnixNano())
	if err := g.patchStatus(ctx, pod, i, s, true); err != nil {
		return err
	}
	for _, e := range [][2]string{
		{"Pulled", fmt.Sprintf("Container image %q already present on machine", s.Image)},
		{"Created", "Created container: " + container}, {"Started", "Started container " + container},
	} {
		if err := g.event(ctx, pod, container, corev1.EventTypeNormal, e[0], e[1]); err != nil {
			return err
		}
	}
	return nil
}

// patchStatus writes one container's status and what follows from it for the pod.
func (g *Generator) patchStatus(ctx context.Context, pod *corev1.Pod, i int, s corev1.ContainerStatus, ready bool) error {
	pod.Status.ContainerStatuses[i] = s
	status, reason, message := corev1.ConditionTrue, "", ""
	if !ready {
		status, reason, message = corev1.ConditionFalse, "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", s.Name)
	}
	for j := range pod.Status.Conditions {
		c := &pod.Status.Conditions[j]
		if (c.Type == corev1.PodReady || c.Type == corev1.ContainersReady) && c.Status != status {
			c.Status, c.Reason, c.Message, c.LastTransitionTime = status, reason, message, metav1.Now()
		}
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{
		"conditions": pod.Status.Conditions, "containerStatuses": pod.Status.ContainerStatuses,
	}})
	if err != nil {
		return err
	}
	// A merge patch replaces the lists, so that nothing of a former state is left.
	_, err = g.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// event says what the kubelet did; said again, it is counted.
func (g *Generator) event(ctx context.Context, pod *corev1.Pod, container, kind, reason, message string) error {
	events := g.client.CoreV1().Events(pod.Namespace)
	name := fmt.Sprintf("%s.%x.%s", pod.Name, pod.CreationTimestamp.Unix(), strings.ToLower(reason))
	now := metav1.Now()
	old, err := events.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		old.Count++
		old.LastTimestamp, old.Message = now, message
		_, err = events.Update(ctx, old, metav1.UpdateOptions{})
		return err
	}
	if !apierrors.IsNotFound(err) {
		return err
	}
	_, err = events.Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: pod.Namespace},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, FieldPath: "spec.containers{" + container + "}",
		},
		Type: kind, Reason: reason, Message: message, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Source: corev1.EventSource{Component: "kubelet", Host: pod.Spec.NodeName}, ReportingController: "kubelet", ReportingInstance: pod.Spec.NodeName,
	}, metav1.CreateOptions{})
	return err
}

// kill is how often a pod's container was killed in the past that was told, and
// its last run.
type kill struct {
	pod           *model.PodState
	times         int32
	started, last time.Time
	until         time.Time // when it is started again
}

// again is one more kill.
func (k *kill) again(p *model.PodState, at time.Time) {
	if k.times > 0 {
		k.started = k.until
	}
	k.pod, k.last, k.until = p, at, at.Add(backOff(k.times))
	k.times++
}

// killedBefore writes in a pod's status what happened in the past.
func (g *Generator) killedBefore(ctx context.Context, k *kill, now time.Time) error {
	main := k.pod.Main(g.model)
	if g.client == nil || main == nil {
		return nil
	}
	pod, err := g.client.CoreV1().Pods(k.pod.Pod.Namespace).Get(ctx, k.pod.Pod.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	i := slices.IndexFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == main.Name })
	if i < 0 || pod.Status.ContainerStatuses[i].State.Running == nil {
		return nil
	}
	s := pod.Status.ContainerStatuses[i]
	s.RestartCount += k.times
	s.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: 137, Reason: "OOMKilled", ContainerID: s.ContainerID, StartedAt: metav1.NewTime(k.started), FinishedAt: metav1.NewTime(k.last),
	}}
	// One that still waits is started now.
	if k.pod.Down() {
		k.pod.Revive()
		k.until = now
	}
	s.State.Running.StartedAt = metav1.NewTime(k.until)
	if err := g.patchStatus(ctx, pod, i, s, true); err != nil {
		return err
	}
	return g.event(ctx, pod, main.Name, corev1.EventTypeNormal, "Started", "Started container "+main.Name)
}
