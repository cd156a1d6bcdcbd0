package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Survey is a workload with all around it that may explain how it is, as plain
// values. It is asked for when it is needed: to watch all of it in a cluster of
// 5,000 pods would cost more than it is worth.
type Survey struct {
	Workload   Workload       `json:"workload"`
	At         time.Time      `json:"at"`
	Pods       []PodDetail    `json:"pods,omitempty"`
	Changes    []Revised      `json:"changes,omitempty"` // newest first
	Services   []ServiceState `json:"services,omitempty"`
	References []Reference    `json:"references,omitempty"`
	Claims     []Claim        `json:"claims,omitempty"`
	Quotas     []QuotaState   `json:"quotas,omitempty"` // of its namespace
	Policies   []Policy       `json:"policies,omitempty"`
	Blocked    []Blocked      `json:"blocked,omitempty"`
	Scaler     *ScalerState   `json:"scaler,omitempty"`
	Nodes      []NodeHealth   `json:"nodes,omitempty"` // those its pods are on, and those that are not well
	Neighbours []Neighbour    `json:"neighbours,omitempty"`
	Events     []Happening    `json:"events,omitempty"` // of it, its pods and their nodes; newest first
	// Talks are the Services that its configuration names; Heard the workloads
	// whose configuration names it.
	Talks []Ref `json:"talks,omitempty"`
	Heard []Ref `json:"heard,omitempty"`
	// DNS are the workloads that answer for names in the cluster.
	DNS []Workload `json:"dns,omitempty"`
	// Missing is what could not be seen, each with why.
	Missing []string `json:"missing,omitempty"`
}

// messageLimit bounds a message of the cluster where all of it may matter, as
// the scheduler's on why no node will do, in bytes.
const messageLimit = 480

// surveyed is a survey that is being made, and what its parts are made of.
type surveyed struct {
	r        *Reader
	w        Workload
	template corev1.PodTemplateSpec
	pods     []corev1.Pod
	others   []named // workloads of the namespace, with their templates
	services []corev1.Service
	events   []corev1.Event
	failures []appsv1.DeploymentCondition // of a Deployment

	mu  sync.Mutex
	out Survey
}

// named is a workload with its pod template.
type named struct {
	ref      Ref
	template corev1.PodTemplateSpec
}

// Survey looks at a workload and all around it, with many questions at a time.
// What cannot be seen is named in Missing; an error is only that the workload
// itself cannot be seen.
func (r *Reader) Survey(ctx context.Context, w Workload) (Survey, error) {
	s := &surveyed{r: r, w: w, out: Survey{Workload: w, At: time.Now()}}
	// What the rest is made of, then the rest.
	s.parallel(ctx, s.listPods, s.listOthers, s.listServices, s.listEvents, s.changes, s.scaler, s.quotas)
	if i := slices.IndexFunc(s.others, func(n named) bool { return n.ref == w.Ref }); i >= 0 {
		s.template = s.others[i].template
	} else { // a DaemonSet, or one that was just made
		t, err := r.liveTemplate(ctx, w)
		if err != nil {
			return s.out, err
		}
		s.template = t
	}
	s.parallel(ctx, s.exposure, s.references, s.claims, s.policies)
	s.progress()
	s.details()
	s.began()
	s.nodes()
	s.neighbours()
	s.happenings()
	slices.Sort(s.out.Missing)
	s.out.Missing = slices.Compact(s.out.Missing)
	return s.out, nil
}

// Survey looks at a workload and all around it.
func (f *Fleet) Survey(ctx context.Context, w Workload) (Survey, error) {
	r, err := f.reader(ctx, w.Ref.Cluster)
	if err != nil {
		return Survey{Workload: w}, err
	}
	return r.Survey(ctx, w)
}

// parallel does several things at a time and waits for all.
func (s *surveyed) parallel(ctx context.Context, do ...func(context.Context)) {
	var wg sync.WaitGroup
	for _, f := range do {
		wg.Go(func() { f(ctx) })
	}
	wg.Wait()
}

// lacks notes what could not be seen, and reports whether that is so.
func (s *surveyed) lacks(err error, what string) bool {
	if err == nil {
		return false
	}
	why := "the cluster did not answer in time"
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		why = "the cluster does not allow it"
	case apierrors.IsNotFound(err):
		why = "the cluster knows nothing of the kind"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Missing = append(s.out.Missing, what+": "+why)
	return true
}

// set changes the outcome, which several do at a time.
func (s *surveyed) set(f func(*Survey)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.out)
}

// listPods asks for the pods anew: those of the watch are without what
// containers need to start.
func (s *surveyed) listPods(ctx context.Context) {
	l, err := s.r.client.CoreV1().Pods(s.w.Ref.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.SelectorFromSet(s.w.Selector).String(), ResourceVersion: "0", // the API server's own cache will do
	})
	if s.lacks(err, "its pods") {
		return
	}
	s.pods = slices.DeleteFunc(l.Items, func(p corev1.Pod) bool {
		kind, name := owner(&p)
		return kind != s.w.Ref.Kind || name != s.w.Ref.Name
	})
}

// listOthers asks for the workloads of the namespace, whose configuration may
// name this one. DaemonSets serve nobody by name.
func (s *surveyed) listOthers(ctx context.Context) {
	ns := s.w.Ref.Namespace
	ds, err := s.r.sharedDeployments(ctx, ns)
	if s.lacks(err, "the other workloads of "+ns) {
		return
	}
	for _, d := range ds {
		if s.w.Ref.Kind == Deployment && d.Name == s.w.Ref.Name {
			s.failures = d.Status.Conditions
		}
		s.others = append(s.others, named{s.ref(Deployment, d.Name), d.Spec.Template})
	}
	sets, err := s.r.sharedStatefulSets(ctx, ns)
	if s.lacks(err, "the other workloads of "+ns) {
		return
	}
	for _, d := range sets {
		s.others = append(s.others, named{s.ref(StatefulSet, d.Name), d.Spec.Template})
	}
}

func (s *surveyed) ref(kind, name string) Ref {
	return Ref{Cluster: s.w.Ref.Cluster, Namespace: s.w.Ref.Namespace, Kind: kind, Name: name}
}

func (s *surveyed) listServices(ctx context.Context) {
	var err error
	s.services, err = s.r.sharedServices(ctx, s.w.Ref.Namespace)
	s.lacks(err, "the Services of "+s.w.Ref.Namespace)
}

// progress puts the reason into the workload's progress, from what was seen
// already.
func (s *surveyed) progress() {
	p := &s.out.Workload.Progress
	if p.State == Observing {
		return
	}
	fresh := make([]*corev1.Pod, 0, len(s.pods))
	hash := ""
	if s.w.Ref.Kind == Deployment && len(s.out.Changes) > 0 {
		hash = s.out.Changes[0].Hash
	}
	for i := range s.pods {
		if hash == "" || s.pods[i].Labels[appsv1.DefaultDeploymentUniqueLabelKey] == hash {
			fresh = append(fresh, &s.pods[i])
		}
	}
	about := append([]string{s.w.Ref.Name, s.w.Ref.Name + "-" + hash}, names(s.pods)...)
	events := slices.DeleteFunc(slices.Clone(s.events), func(e corev1.Event) bool { return !slices.Contains(about, e.InvolvedObject.Name) })
	if !p.Done() || p.Ready < p.Desired {
		p.Stuck = FindStuck(fresh, events, s.failures)
	}
}

func names(pods []corev1.Pod) []string {
	out := make([]string, len(pods))
	for i := range pods {
		out[i] = pods[i].Name
	}
	return out
}

// PodDetail is a pod with what its containers do and did.
type PodDetail struct {
	PodState
	Version    string            `json:"version"`            // the tag of the workload's main container in it
	Revision   string            `json:"revision,omitempty"` // the hash by which pods of a revision are told
	Node       string            `json:"node,omitempty"`
	Phase      string            `json:"phase"`
	Reason     string            `json:"reason,omitempty"`  // of the pod itself: "Evicted"
	Message    string            `json:"message,omitempty"` // clipped
	Containers []ContainerDetail `json:"containers,omitempty"`
	Conditions []Condition       `json:"conditions,omitempty"` // those that are not as they should be
}

// ContainerDetail is a container of a pod as it is now.
type ContainerDetail struct {
	Name     string       `json:"name"`
	Init     bool         `json:"init,omitempty"`
	Image    string       `json:"image"`
	Ready    bool         `json:"ready"`
	Restarts int          `json:"restarts,omitempty"`
	State    string       `json:"state"`            // running, waiting or ended; "" not known
	Reason   string       `json:"reason,omitempty"` // of waiting or ended: "CrashLoopBackOff"
	Message  string       `json:"message,omitempty"`
	Since    time.Time    `json:"since,omitzero"`
	Last     *Termination `json:"last,omitempty"` // how it ended the last time, also now
	// Limits and Requests are CPU in cores and memory in bytes; 0 is none.
	CPULimit      float64 `json:"cpu_limit,omitempty"`
	CPURequest    float64 `json:"cpu_request,omitempty"`
	MemoryLimit   float64 `json:"memory_limit,omitempty"`
	MemoryRequest float64 `json:"memory_request,omitempty"`
	// Probes are what it is asked, as "readiness: GET :8080/healthz every 5s".
	Probes []string `json:"probes,omitempty"`
	Ports  []int32  `json:"ports,omitempty"`
}

// Termination is how a container ended.
type Termination struct {
	ExitCode int32     `json:"exit_code"`
	Signal   int32     `json:"signal,omitempty"`
	Reason   string    `json:"reason,omitempty"` // "OOMKilled", "Error"
	Message  string    `json:"message,omitempty"`
	Began    time.Time `json:"began,omitzero"`
	At       time.Time `json:"at,omitzero"`
}

// Condition is a condition of an object that is not as it should be.
type Condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

func (s *surveyed) details() {
	for i := range s.pods {
		s.out.Pods = append(s.out.Pods, podDetail(s.w, &s.pods[i]))
	}
	slices.SortFunc(s.out.Pods, func(a, b PodDetail) int { return cmp.Compare(a.Ref.Name, b.Ref.Name) })
}

func podDetail(w Workload, p *corev1.Pod) PodDetail {
	out := PodDetail{
		PodState: podState(w.Ref.Cluster, p), Node: p.Spec.NodeName, Phase: string(p.Status.Phase),
		Reason: clip(p.Status.Reason), Message: clipTo(p.Status.Message, messageLimit),
	}
	for _, l := range revisionLabels {
		out.Revision = cmp.Or(out.Revision, p.Labels[l])
	}
	if out.Trouble != nil {
		out.Trouble.Detail = clip(out.Trouble.Detail)
	}
	in := w
	in.Containers = nil
	for _, c := range p.Spec.Containers {
		in.Containers = append(in.Containers, Container{Name: c.Name, Image: c.Image})
	}
	out.Version = in.Version()
	out.Containers = append(containers(p.Spec.InitContainers, p.Status.InitContainerStatuses, true), containers(p.Spec.Containers, p.Status.ContainerStatuses, false)...)
	for _, c := range p.Status.Conditions {
		if c.Status != corev1.ConditionTrue && c.Reason != "PodCompleted" {
			out.Conditions = append(out.Conditions, Condition{string(c.Type), string(c.Status), clip(c.Reason), clipTo(c.Message, messageLimit), c.LastTransitionTime.Time})
		}
	}
	return out
}

func containers(specs []corev1.Container, statuses []corev1.ContainerStatus, init bool) []ContainerDetail {
	out := make([]ContainerDetail, 0, len(specs))
	for _, c := range specs {
		d := ContainerDetail{
			Name: c.Name, Init: init, Image: c.Image,
			CPULimit: c.Resources.Limits.Cpu().AsApproximateFloat64(), CPURequest: c.Resources.Requests.Cpu().AsApproximateFloat64(),
			MemoryLimit: c.Resources.Limits.Memory().AsApproximateFloat64(), MemoryRequest: c.Resources.Requests.Memory().AsApproximateFloat64(),
		}
		for _, p := range c.Ports {
			d.Ports = append(d.Ports, p.ContainerPort)
		}
		for _, p := range probesOf(c) {
			d.Probes = append(d.Probes, p.name+": "+p.text)
		}
		if i := slices.IndexFunc(statuses, func(s corev1.ContainerStatus) bool { return s.Name == c.Name }); i >= 0 {
			d.status(statuses[i])
		}
		out = append(out, d)
	}
	return out
}

func (d *ContainerDetail) status(s corev1.ContainerStatus) {
	d.Ready, d.Restarts = s.Ready, int(s.RestartCount)
	switch {
	case s.State.Waiting != nil:
		d.State, d.Reason, d.Message = "waiting", clip(s.State.Waiting.Reason), clipTo(s.State.Waiting.Message, messageLimit)
	case s.State.Running != nil:
		d.State, d.Since = "running", s.State.Running.StartedAt.Time
	case s.State.Terminated != nil:
		d.State, d.Reason, d.Message, d.Since = "ended", clip(s.State.Terminated.Reason), clipTo(s.State.Terminated.Message, messageLimit), s.State.Terminated.FinishedAt.Time
	}
	if t := cmp.Or(s.State.Terminated, s.LastTerminationState.Terminated); t != nil {
		d.Last = &Termination{t.ExitCode, t.Signal, clip(t.Reason), clipTo(t.Message, messageLimit), t.StartedAt.Time, t.FinishedAt.Time}
	}
}

// described is something of a container in words that two can be compared by.
type described struct{ name, text string }

// probesOf are the probes of a container.
func probesOf(c corev1.Container) []described {
	var out []described
	for _, p := range []struct {
		name  string
		probe *corev1.Probe
	}{{"startup", c.StartupProbe}, {"readiness", c.ReadinessProbe}, {"liveness", c.LivenessProbe}} {
		if p.probe != nil {
			out = append(out, described{p.name, probeText(*p.probe)})
		}
	}
	return out
}

func probeText(p corev1.Probe) string {
	var b strings.Builder
	switch h := p.ProbeHandler; {
	case h.HTTPGet != nil:
		fmt.Fprintf(&b, "GET :%s%s", h.HTTPGet.Port.String(), h.HTTPGet.Path)
	case h.TCPSocket != nil:
		fmt.Fprintf(&b, "TCP :%s", h.TCPSocket.Port.String())
	case h.GRPC != nil:
		fmt.Fprintf(&b, "gRPC :%d %s", h.GRPC.Port, fromPtr(h.GRPC.Service))
	case h.Exec != nil:
		b.WriteString("a command")
	}
	if p.InitialDelaySeconds > 0 {
		fmt.Fprintf(&b, ", first after %ds", p.InitialDelaySeconds)
	}
	fmt.Fprintf(&b, ", every %ds, within %ds, %d times", cmp.Or(p.PeriodSeconds, 10), cmp.Or(p.TimeoutSeconds, 1), cmp.Or(p.FailureThreshold, 3))
	return clip(strings.TrimSpace(b.String()))
}

func fromPtr[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
