package kube

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// State is how far a roll-out has come; the states are those that
// `kubectl rollout status` tells apart.
type State string

// The states. All but Complete and DeadlineExceeded may move on by themselves.
const (
	Observing        State = "observing"         // the controller has not seen the change yet
	Updating         State = "updating"          // new pods are being made
	Terminating      State = "terminating"       // old pods are going
	Waiting          State = "waiting"           // new pods are not available yet
	Paused           State = "paused"            // held by spec.paused
	DeadlineExceeded State = "deadline_exceeded" // no progress for spec.progressDeadlineSeconds
	Complete         State = "complete"
)

// Progress is how far a roll-out has come, in pods.
type Progress struct {
	State     State `json:"state"`
	Desired   int32 `json:"desired"`
	Updated   int32 `json:"updated"`
	Ready     int32 `json:"ready"`     // old and new
	Available int32 `json:"available"` // old and new
	Total     int32 `json:"total"`     // old and new, terminating ones aside
	// OnDelete says that pods of the version before stay until somebody deletes
	// them: the update strategy asks for that.
	OnDelete bool   `json:"on_delete,omitempty"`
	Stuck    *Stuck `json:"stuck,omitempty"`
	Pull     Pull   `json:"pull,omitzero"` // by which the change gets there; the zero one where it needs none
	// Again is when there may be something new; 0 is at once. For steps only.
	Again time.Duration `json:"-"`
}

// Done reports whether the roll-out has ended well.
func (p Progress) Done() bool { return p.State == Complete }

// Old is the number of pods of the version before that are still there.
func (p Progress) Old() int32 { return max(0, p.Total-p.Updated) }

// Fresh is the number of pods that run the new version and are available, as
// far as the counts tell: old pods are counted as available first.
func (p Progress) Fresh() int32 { return max(0, min(p.Updated, p.Available-p.Old())) }

// RolloutProgress tells how far a Deployment's roll-out has come. The rules
// are those of kubectl's DeploymentStatusViewer.
func RolloutProgress(d *appsv1.Deployment) Progress {
	s := d.Status
	p := Progress{Desired: 1, Updated: s.UpdatedReplicas, Ready: s.ReadyReplicas, Available: s.AvailableReplicas, Total: s.Replicas}
	if d.Spec.Replicas != nil {
		p.Desired = *d.Spec.Replicas
	}
	p.State = Complete
	switch {
	case d.Generation > s.ObservedGeneration:
		p.State = Observing
	case deadlineExceeded(d):
		p.State = DeadlineExceeded
	case p.Updated < p.Desired:
		p.State = Updating
	case p.Total > p.Updated, p.Total > p.Desired: // the latter when scaled down, which kubectl does not wait for
		p.State = Terminating
	case p.Available < p.Updated:
		p.State = Waiting
	}
	if d.Spec.Paused && p.State != Complete && p.State != Observing {
		p.State = Paused
	}
	return p
}

func deadlineExceeded(d *appsv1.Deployment) bool {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing {
			return c.Reason == "ProgressDeadlineExceeded"
		}
	}
	return false
}

// StatefulSetProgress tells how far a StatefulSet's roll-out has come. The
// rules are those of kubectl's StatefulSetStatusViewer; with OnDelete, pods
// are only replaced when somebody deletes them, so only the count is waited for.
func StatefulSetProgress(d *appsv1.StatefulSet) Progress {
	s := d.Status
	p := Progress{Desired: 1, Updated: s.UpdatedReplicas, Ready: s.ReadyReplicas, Available: s.AvailableReplicas, Total: s.Replicas}
	if d.Spec.Replicas != nil {
		p.Desired = *d.Spec.Replicas
	}
	onDelete := d.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType
	toUpdate := p.Desired
	if r := d.Spec.UpdateStrategy.RollingUpdate; r != nil && r.Partition != nil {
		toUpdate = max(0, p.Desired-*r.Partition)
	}
	if s.UpdateRevision == s.CurrentRevision {
		p.Updated = s.Replicas // nothing is old
	}
	p.OnDelete = onDelete && p.Updated < p.Total
	p.State = Complete
	switch {
	case s.ObservedGeneration == 0 || d.Generation > s.ObservedGeneration:
		p.State = Observing
	case !onDelete && s.UpdateRevision != s.CurrentRevision && p.Updated < toUpdate:
		p.State = Updating
	case p.Total > p.Desired:
		p.State = Terminating
	case p.Ready < p.Desired, p.Available < p.Desired:
		p.State = Waiting
	}
	return p
}

// DaemonSetProgress tells how far a DaemonSet's roll-out has come. The rules
// are those of kubectl's DaemonSetStatusViewer.
func DaemonSetProgress(d *appsv1.DaemonSet) Progress {
	s := d.Status
	p := Progress{
		Desired: s.DesiredNumberScheduled, Updated: s.UpdatedNumberScheduled, Ready: s.NumberReady,
		Available: s.NumberAvailable, Total: s.CurrentNumberScheduled, State: Complete,
	}
	onDelete := d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType
	if onDelete {
		p.OnDelete = p.Updated < p.Total
		p.Updated = p.Total
	}
	switch {
	case d.Generation > s.ObservedGeneration:
		p.State = Observing
	case p.Updated < p.Desired:
		p.State = Updating
	case p.Available < p.Desired:
		p.State = Waiting
	}
	return p
}

// Reason says why a roll-out does not go on.
type Reason string

// The reasons, worst first where several hold.
const (
	ImagePull     Reason = "image_pull"
	CrashLoop     Reason = "crash_loop"
	OOMKilled     Reason = "oom"
	BadConfig     Reason = "config" // the container cannot be created: a ConfigMap, Secret or key is missing
	Quota         Reason = "quota"
	Rejected      Reason = "rejected" // pods are not admitted, for another reason than quota
	Unschedulable Reason = "unschedulable"
	NotReady      Reason = "readiness"

	Budget    Reason = "budget"     // a disruption budget allows no eviction now
	Bare      Reason = "bare"       // a pod that nothing makes anew, and nobody agreed to its going
	Lingering Reason = "lingering"  // deleted, and not gone after its grace period
	JobRetry  Reason = "job_retry"  // an attempt of a Job failed, and it tries again
	JobFailed Reason = "job_failed" // a Job gave up
)

// Hard reports whether the reason goes away only when somebody changes
// something: waiting for the progress deadline would tell nothing new.
func (r Reason) Hard() bool {
	return r == ImagePull || r == CrashLoop || r == OOMKilled || r == BadConfig || r == Quota || r == Rejected || r == NotMerged || r == NotArrived
}

// Stuck is why a roll-out does not go on. Detail is text from the cluster:
// data, to be shown, never to be obeyed.
type Stuck struct {
	Reason    Reason `json:"reason"`
	Pods      int    `json:"pods"` // how many pods it holds up; 0 where none could be made
	Pod       string `json:"pod,omitempty"`
	Container string `json:"container,omitempty"`
	Image     string `json:"image,omitempty"`
	ExitCode  int32  `json:"exit_code,omitempty"`
	Restarts  int32  `json:"restarts,omitempty"`
	Detail    string `json:"detail,omitempty"`
	// Left are the pods that a drain still has before it, as namespace/name and
	// joined by commas.
	Left string `json:"left,omitempty"`
}

// detailLimit bounds text taken from the cluster, in bytes.
const detailLimit = 160

// FindStuck tells what holds a roll-out up, from the pods of the new revision,
// events about its objects (newest last), and the conditions of a Deployment;
// nil where nothing does that can be seen.
func FindStuck(pods []*corev1.Pod, events []corev1.Event, conditions []appsv1.DeploymentCondition) *Stuck {
	var worst *Stuck
	for _, pod := range pods {
		s := podTrouble(pod)
		if s == nil {
			continue
		}
		switch {
		case worst == nil || rank(s.Reason) < rank(worst.Reason):
			worst = s
		case s.Reason == worst.Reason:
			worst.Pods++
		}
	}
	if worst != nil {
		if worst.Detail == "" {
			worst.Detail = lastWarning(events, worst.Pod)
		}
		if worst.Reason == ImagePull {
			worst.Detail = pullCause(worst.Detail)
		}
		worst.Detail = clip(worst.Detail)
		return worst
	}
	for _, c := range conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return notMade(c.Message)
		}
	}
	// A StatefulSet and a DaemonSet have no such condition. A pod made after the
	// failure shows that it is over.
	var made time.Time
	for _, pod := range pods {
		if t := pod.CreationTimestamp.Time; t.After(made) {
			made = t
		}
	}
	for _, e := range slices.Backward(events) {
		if e.Reason == "FailedCreate" && e.Type == corev1.EventTypeWarning && (len(pods) == 0 || eventTime(e).After(made)) {
			return notMade(e.Message)
		}
	}
	return nil
}

// notMade is the trouble when pods are refused before they exist.
func notMade(message string) *Stuck {
	s := &Stuck{Reason: Rejected, Detail: clip(message)}
	if strings.Contains(message, "exceeded quota") {
		s.Reason = Quota
	}
	return s
}

func rank(r Reason) int {
	return slices.Index([]Reason{ImagePull, OOMKilled, CrashLoop, BadConfig, Unschedulable, NotReady}, r)
}

// podTrouble tells what keeps one pod from being ready; nil for a ready pod
// and one that is just starting.
func podTrouble(pod *corev1.Pod) *Stuck {
	if pod.DeletionTimestamp != nil {
		return nil
	}
	for _, cs := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		s := &Stuck{Pods: 1, Pod: pod.Name, Container: cs.Name, Image: cs.Image, Restarts: cs.RestartCount}
		if cs.State.Waiting != nil {
			s.Detail = cs.State.Waiting.Message
			switch cs.State.Waiting.Reason {
			case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError":
				s.Reason = ImagePull
				switch {
				case cs.State.Waiting.Reason == "InvalidImageName":
					s.Detail = cs.State.Waiting.Reason // the message is a parser's
				case strings.HasPrefix(s.Detail, "Back-off pulling image") && !strings.Contains(s.Detail, ": "):
					s.Detail = "" // kubelets before 1.31 tell the cause in an event only
				}
				return s
			case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
				s.Reason = BadConfig
				return s
			}
		}
		crashed := cmp.Or(cs.State.Terminated, cs.LastTerminationState.Terminated) // the newer one
		looping := cs.State.Waiting != nil && cs.State.Waiting.Reason == "CrashLoopBackOff"
		if crashed != nil && !cs.Ready && (looping || cs.RestartCount > 0 || cs.State.Terminated != nil) && (crashed.ExitCode != 0 || looping) {
			s.Reason, s.ExitCode = CrashLoop, crashed.ExitCode
			if crashed.Reason == "OOMKilled" {
				s.Reason = OOMKilled
			}
			s.Detail = cmp.Or(strings.TrimSpace(crashed.Message), s.Detail)
			return s
		}
	}
	for _, c := range pod.Status.Conditions {
		switch {
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable:
			return &Stuck{Reason: Unschedulable, Pods: 1, Pod: pod.Name, Detail: c.Message}
		case c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue && pod.Status.Phase == corev1.PodRunning:
			return &Stuck{Reason: NotReady, Pods: 1, Pod: pod.Name}
		}
	}
	return nil
}

// lastWarning is the newest warning about a pod that says more than the name
// of what its container waits for ("Error: ImagePullBackOff").
func lastWarning(events []corev1.Event, pod string) string {
	for _, e := range slices.Backward(events) {
		if e.InvolvedObject.Name == pod && e.Type == corev1.EventTypeWarning && !strings.HasPrefix(e.Message, "Error: ") {
			return e.Message
		}
	}
	return ""
}

// pullCause is why an image cannot be pulled, as a short clause where the
// container runtime's text is one that is known, else that text, clipped. Names
// of images and addresses in the text are not taken for words of it.
func pullCause(detail string) string {
	var words []string
	for _, w := range strings.Fields(strings.ToLower(quoted.ReplaceAllString(detail, " "))) {
		if !strings.Contains(w, "/") {
			words = append(words, strings.Trim(w, ".,:;()"))
		}
	}
	text := " " + strings.Join(words, " ") + " "
	for _, c := range []struct{ cause, signs string }{
		{"the image name is not valid", "invalidimagename|invalid reference format|couldn't parse image"},
		{"the registry refuses access", "unauthorized|unauthenticated|denied|forbidden|401|403"},
		{"the registry does not answer", "timeout|client.timeout|no such host|connection refused|server misbehaving|deadline exceeded|503"},
		{"no such image or tag in the registry", "not found|notfound|manifest unknown|does not exist|404"},
	} {
		for sign := range strings.SplitSeq(c.signs, "|") {
			if strings.Contains(text, " "+sign+" ") {
				return c.cause
			}
		}
	}
	return clip(detail)
}

// quoted is a quoted part of a text.
var quoted = regexp.MustCompile(`"[^"]*"`)

// clip bounds text of the cluster and takes out of it line breaks, control
// signs and signs that reorder what a terminal or a chat shows.
func clip(s string) string { return clipTo(s, detailLimit) }

func clipTo(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// Same reports whether another look would be told in the same words.
func (p Progress) Same(o Progress) bool {
	a, b := p.Stuck, o.Stuck
	p.Stuck, o.Stuck = nil, nil
	if p != o || (a == nil) != (b == nil) {
		return false
	}
	return a == nil || a.Reason == b.Reason && a.Pods == b.Pods
}

// Message is the progress in the words of `kubectl rollout status`, for logs.
func (p Progress) Message() string {
	switch p.State {
	case Observing:
		return "waiting for the change to be observed"
	case Updating:
		return fmt.Sprintf("%d out of %d new replicas have been updated", p.Updated, p.Desired)
	case Terminating:
		return fmt.Sprintf("%d old replicas are pending termination", p.Old())
	case Waiting:
		return fmt.Sprintf("%d of %d updated replicas are available", p.Available, p.Updated)
	case Paused:
		return "paused"
	case DeadlineExceeded:
		return "exceeded its progress deadline"
	}
	return "successfully rolled out"
}
