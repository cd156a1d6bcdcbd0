package fakenode

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// supervisor plays the kubelet for pods that cannot stay up because of what their
// spec says and not of what their tag does: it starts their containers, probes
// them, sees them end, and starts them again, each time later.
type supervisor struct {
	client kubernetes.Interface
	logs   *PodLogs
	tell   func(Said)

	mu    sync.Mutex
	lives map[types.UID]context.CancelFunc
	wg    sync.WaitGroup
}

// Said is what a container of the supervisor's wrote.
type Said struct {
	Namespace, Pod, Container string
	Labels                    map[string]string
	Lines                     []Line
}

func newSupervisor(client kubernetes.Interface, logs *PodLogs, tell func(Said)) *supervisor {
	return &supervisor{client: client, logs: logs, tell: tell, lives: map[types.UID]context.CancelFunc{}}
}

// run watches pods until ctx ends.
func (s *supervisor) run(ctx context.Context) {
	defer s.wg.Wait()
	bound := cache.NewListWatchFromClient(s.client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, fields.OneTermNotEqualSelector("spec.nodeName", ""))
	informer := cache.NewSharedInformer(bound, &corev1.Pod{}, 0)
	// Of all other pods only the name is kept: there may be thousands.
	_ = informer.SetTransform(func(o any) (any, error) { // fails only once it runs
		if pod, ok := o.(*corev1.Pod); ok && !doomed(pod) {
			return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, ResourceVersion: pod.ResourceVersion}}, nil
		}
		return o, nil
	})
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{ // fails only once it has stopped
		AddFunc:    func(o any) { s.begin(ctx, o) },
		UpdateFunc: func(_, o any) { s.begin(ctx, o) },
		DeleteFunc: s.end,
	})
	informer.RunWithContext(ctx)
}

func (s *supervisor) begin(ctx context.Context, o any) {
	pod, ok := o.(*corev1.Pod)
	if !ok || !doomed(pod) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lives[pod.UID] != nil || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	s.lives[pod.UID] = cancel
	l := &life{supervisor: s, pod: pod.DeepCopy()}
	s.wg.Go(func() {
		if err := l.run(ctx); err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
			klog.InfoS("A simulated pod stands still", "pod", klog.KObj(pod), "reason", err)
		}
	})
}

func (s *supervisor) end(o any) {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.lives[pod.UID]; cancel != nil {
		cancel()
		delete(s.lives, pod.UID)
		for _, c := range pod.Spec.Containers {
			_ = s.logs.Forget(pod.Namespace, pod.Name, c.Name) // a folder too many
		}
	}
}

// life is that of one pod.
type life struct {
	*supervisor
	pod *corev1.Pod
}

// run lasts as long as the pod.
func (l *life) run(ctx context.Context) error {
	if err := l.start(ctx); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex // the pod's status has several writers
	errs := make(chan error, len(l.pod.Spec.Containers))
	for i := range l.pod.Spec.Containers {
		if f, ok := fateOf(&l.pod.Spec.Containers[i]); ok {
			wg.Go(func() { errs <- l.loop(ctx, &mu, i, f) })
		}
	}
	wg.Wait()
	return <-errs
}

// start makes the pod run. Containers that can stay up are ready at once.
func (l *life) start(ctx context.Context) error {
	p, now := l.pod, metav1.Now()
	if p.Status.StartTime == nil {
		p.Status.StartTime = &now
	}
	h := fnv.New32a()
	h.Write([]byte(p.UID))
	ip := fmt.Sprintf("10.251.%d.%d", h.Sum32()>>8&0xff, 1+h.Sum32()&0xff%254)
	p.Status.Phase, p.Status.HostIP, p.Status.PodIP = corev1.PodRunning, "127.0.0.1", ip
	p.Status.HostIPs, p.Status.PodIPs = []corev1.HostIP{{IP: "127.0.0.1"}}, []corev1.PodIP{{IP: ip}}
	before := p.Status.ContainerStatuses
	p.Status.ContainerStatuses = nil
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		_, bad := fateOf(c)
		started := true
		s := corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: c.Image[:max(strings.LastIndex(c.Image, ":"), 0)] + fmt.Sprintf("@sha256:%x", sha256.Sum256([]byte(c.Image))),
			Ready: !bad, Started: &started, State: running(now),
		}
		if i < len(before) {
			s.RestartCount, s.LastTerminationState = before[i].RestartCount, before[i].LastTerminationState
		}
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, s)
	}
	return l.save(ctx)
}

func running(at metav1.Time) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}}
}

// loop starts one container again and again.
func (l *life) loop(ctx context.Context, mu *sync.Mutex, i int, f fate) error {
	c := &l.pod.Spec.Containers[i]
	for {
		mu.Lock()
		s := &l.pod.Status.ContainerStatuses[i]
		started, run := metav1.Now(), s.RestartCount
		s.State, *s.Started = running(started), true
		s.ContainerID = fmt.Sprintf("containerd://%x", sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", l.pod.UID, c.Name, run)))
		err := l.save(ctx)
		mu.Unlock()
		if err != nil {
			return err
		}
		if err := l.events(ctx, c, [][2]string{
			{"Pulled", fmt.Sprintf("Container image %q already present on machine", c.Image)},
			{"Created", "Created container: " + c.Name}, {"Started", "Started container " + c.Name},
		}); err != nil {
			return err
		}
		l.says(c, run, started.Time, greeting(c))
		code, err := l.live(ctx, c, f, run, started.Time)
		if err != nil {
			return err
		}
		mu.Lock()
		s = &l.pod.Status.ContainerStatuses[i]
		ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: code, Reason: "Error", StartedAt: started, FinishedAt: metav1.Now(), ContainerID: s.ContainerID,
		}}
		*s.Started = false
		pause := 400 * time.Millisecond
		if run == 0 {
			s.State = ended
		} else {
			pause = min(10*time.Second<<min(run-1, 5), 5*time.Minute)
			s.LastTerminationState = ended
			s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: fmt.Sprintf(
				"back-off %s restarting failed container=%s pod=%s_%s(%s)", pause, c.Name, l.pod.Name, l.pod.Namespace, l.pod.UID)}}
		}
		err = l.save(ctx)
		mu.Unlock()
		if err != nil {
			return err
		}
		if run > 0 {
			if err := l.event(ctx, c, corev1.EventTypeWarning, "BackOff", fmt.Sprintf(
				"Back-off restarting failed container %s in pod %s_%s(%s)", c.Name, l.pod.Name, l.pod.Namespace, l.pod.UID)); err != nil {
				return err
			}
		}
		if err := pauseFor(ctx, pause); err != nil {
			return err
		}
		mu.Lock()
		s = &l.pod.Status.ContainerStatuses[i]
		s.LastTerminationState = ended
		s.RestartCount++
		mu.Unlock()
	}
}

// live is one run of a container; it returns its exit code.
func (l *life) live(ctx context.Context, c *corev1.Container, f fate, run int32, started time.Time) (int32, error) {
	if f.lacks != "" {
		if err := pauseFor(ctx, f.lives); err != nil {
			return 0, err
		}
		l.says(c, run, time.Now(), farewell(f.lacks))
		return 1, nil
	}
	// Its probes ask before it listens.
	period := time.Duration(max(c.LivenessProbe.PeriodSeconds, 1)) * time.Second
	for at := time.Duration(c.LivenessProbe.InitialDelaySeconds)*time.Second + period; ; at += period {
		if err := pauseFor(ctx, time.Until(started.Add(at))); err != nil {
			return 0, err
		}
		refused := l.refused(c.LivenessProbe)
		if err := l.event(ctx, c, corev1.EventTypeWarning, "Unhealthy", "Liveness probe failed: "+refused); err != nil {
			return 0, err
		}
		if c.ReadinessProbe != nil {
			if err := l.event(ctx, c, corev1.EventTypeWarning, "Unhealthy", "Readiness probe failed: "+l.refused(c.ReadinessProbe)); err != nil {
				return 0, err
			}
		}
		if at >= f.lives {
			break
		}
	}
	if err := l.event(ctx, c, corev1.EventTypeNormal, "Killing", fmt.Sprintf("Container %s failed liveness probe, will be restarted", c.Name)); err != nil {
		return 0, err
	}
	// It is still loading and hears no SIGTERM.
	l.says(c, run, time.Now(), []string{`{"level":"info","msg":"loading the catalogue of prices","progress":"62%"}`})
	return 137, nil
}

// refused is what a probe says of a port on which nobody listens yet.
func (l *life) refused(p *corev1.Probe) string {
	switch {
	case p.HTTPGet != nil:
		address := l.pod.Status.PodIP + ":" + p.HTTPGet.Port.String()
		return fmt.Sprintf("Get \"http://%s%s\": dial tcp %s: connect: connection refused", address, p.HTTPGet.Path, address)
	case p.TCPSocket != nil:
		return fmt.Sprintf("dial tcp %s:%s: connect: connection refused", l.pod.Status.PodIP, p.TCPSocket.Port.String())
	}
	return "command exited with code 1"
}

func greeting(c *corev1.Container) []string {
	return []string{
		fmt.Sprintf(`{"level":"info","msg":"starting","service":%q,"version":%q}`, c.Name, c.Image[strings.LastIndex(c.Image, ":")+1:]),
		`{"level":"info","msg":"reading configuration","source":"environment"}`,
	}
}

func farewell(variable string) []string {
	return []string{fmt.Sprintf(`{"level":"fatal","msg":"invalid configuration","error":"required environment variable %s is not set"}`, variable)}
}

// says writes to the container's log.
func (l *life) says(c *corev1.Container, run int32, at time.Time, texts []string) {
	var lines []Line
	for i, text := range texts {
		lines = append(lines, Line{At: at.Add(time.Duration(i) * 13 * time.Millisecond), Stderr: strings.Contains(text, `"fatal"`), Text: text})
	}
	if err := l.logs.Append(l.pod.Namespace, l.pod.Name, c.Name, run, lines); err != nil {
		klog.InfoS("A container's log could not be written", "pod", klog.KObj(l.pod), "reason", err) // a full disk costs lines only
	}
	if l.tell != nil {
		l.tell(Said{Namespace: l.pod.Namespace, Pod: l.pod.Name, Container: c.Name, Labels: l.pod.Labels, Lines: lines})
	}
}

// save writes the pod's status, and the conditions that follow from it.
func (l *life) save(ctx context.Context) error {
	p := l.pod
	var unready []string
	for _, s := range p.Status.ContainerStatuses {
		if !s.Ready {
			unready = append(unready, s.Name)
		}
	}
	message := fmt.Sprintf("containers with unready status: [%s]", strings.Join(unready, " "))
	kept := p.Status.Conditions
	p.Status.Conditions = nil
	for _, c := range kept {
		if c.Type == corev1.PodScheduled {
			p.Status.Conditions = append(p.Status.Conditions, c)
		}
	}
	for _, c := range []corev1.PodCondition{
		{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue},
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
		{Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady", Message: message},
		{Type: corev1.ContainersReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady", Message: message},
	} {
		c.LastTransitionTime = *p.Status.StartTime
		p.Status.Conditions = append(p.Status.Conditions, c)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.UID}, "status": p.Status})
	if err != nil {
		return err
	}
	// A merge patch replaces lists: nothing of a former state is left.
	_, err = l.client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

func (l *life) events(ctx context.Context, c *corev1.Container, all [][2]string) error {
	for _, e := range all {
		if err := l.event(ctx, c, corev1.EventTypeNormal, e[0], e[1]); err != nil {
			return err
		}
	}
	return nil
}

// event says what the kubelet did; said again, it is counted.
func (l *life) event(ctx context.Context, c *corev1.Container, kind, reason, message string) error {
	p, now := l.pod, metav1.Now()
	events := l.client.CoreV1().Events(p.Namespace)
	name := fmt.Sprintf("%s.%.16x", p.Name, sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%s", p.UID, c.Name, reason, message)))
	old, err := events.Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		old.Count++
		old.LastTimestamp = now
		_, err = events.Update(ctx, old, metav1.UpdateOptions{})
		return err
	}
	if !apierrors.IsNotFound(err) {
		return err
	}
	_, err = events.Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: p.Namespace},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Name: p.Name, Namespace: p.Namespace, UID: p.UID, FieldPath: "spec.containers{" + c.Name + "}",
		},
		Type: kind, Reason: reason, Message: message, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Source: corev1.EventSource{Component: "kubelet", Host: p.Spec.NodeName}, ReportingController: "kubelet", ReportingInstance: p.Spec.NodeName,
	}, metav1.CreateOptions{})
	return err
}

func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
