package kube

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// The verbs of Jobs and CronJobs.
const (
	VerbRunJob    Verb = "run_job"    // a Job from a CronJob's template, as kubectl create job --from
	VerbDeleteJob Verb = "delete_job" // what undoes it
	VerbSuspend   Verb = "suspend"    // spec.suspend
	VerbUnsuspend Verb = "unsuspend"  // the same, taken back
)

func jobVerbs() map[Verb]verb {
	return map[Verb]verb{VerbRunJob: jobRunning{}, VerbDeleteJob: jobDeleting{}, VerbSuspend: suspending{}, VerbUnsuspend: suspending{}}
}

// instantiate is what kubectl create job --from leaves on a Job.
const instantiate = "cronjob.kubernetes.io/instantiate"

// JobRun is a Job that is made out of turn. The change is about the CronJob until
// Plan has given the Job its name, and about the Job from then on.
type JobRun struct {
	CronJob string          `json:"cron_job"`
	UID     string          `json:"uid"`           // of the CronJob
	Job     json.RawMessage `json:"job,omitempty"` // as it is to be made
}

func (c Change) run() JobRun {
	if c.Run == nil {
		return JobRun{CronJob: c.Ref.Name}
	}
	return *c.Run
}

// jobRunning makes a Job from a CronJob and waits for its end.
type jobRunning struct{}

func (jobRunning) doing(c Change) string { return "run " + c.run().CronJob }
func (jobRunning) from(Change) string    { return "" }
func (jobRunning) to(c Change) string    { return c.Ref.Name }
func (jobRunning) aspect() Aspect        { return "existence" }
func (jobRunning) pace() Pace            { return PaceJob }

// inverse deletes the Job, whether it still runs or not. What it did stays done.
func (jobRunning) inverse(c Change) (Change, bool) {
	c.Verb = VerbDeleteJob
	return c, true
}

func (jobRunning) plan(ctx context.Context, a api, c Change) (Change, string, error) {
	of := c.Ref
	of.Kind, of.Name = CronJob, c.run().CronJob
	live, err := a.get(ctx, of)
	if err != nil {
		return c, "", err
	}
	cj, ok := live.whole.(*batchv1.CronJob)
	if !ok {
		return c, "", fmt.Errorf("kube: %s is no CronJob", of)
	}
	job := jobOf(cj, jobName(cj.Name))
	raw, err := json.Marshal(job)
	if err != nil {
		return c, "", fmt.Errorf("kube: %w", err)
	}
	c.Run = &JobRun{CronJob: cj.Name, UID: string(cj.UID), Job: raw}
	c.Ref.Kind, c.Ref.Name = Job, job.Name
	c.UID, c.Generation, c.Labels = "", 0, cj.Labels
	would, err := a.client.BatchV1().Jobs(c.Ref.Namespace).Create(ctx, job, metav1.CreateOptions{FieldManager: fieldManager, DryRun: dryRunOf(true)})
	if err != nil {
		return c, "", err
	}
	unified, err := diff(c.Ref, object{}, objectOf(would))
	return c, unified, err
}

// jobName is a name for one run. It is chosen once, with the plan, so that making
// the Job twice fails the second time.
func jobName(cronJob string) string {
	return cronJob[:min(len(cronJob), 52)] + "-" + strings.ToLower(rand.Text()[:8])
}

// jobOf is the Job that kubectl create job --from=cronjob would make.
func jobOf(c *batchv1.CronJob, name string) *batchv1.Job {
	yes := true
	job := &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: Job},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: c.Namespace, Labels: c.Spec.JobTemplate.Labels, Annotations: map[string]string{instantiate: "manual"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: CronJob, Name: c.Name, UID: c.UID, Controller: &yes}},
		},
		Spec: c.Spec.JobTemplate.Spec,
	}
	for k, v := range c.Spec.JobTemplate.Annotations {
		job.Annotations[k] = v
	}
	return job
}

func (jobRunning) apply(ctx context.Context, a api, c Change, id string) (Applied, error) {
	var job batchv1.Job
	if err := json.Unmarshal(c.run().Job, &job); err != nil {
		return Applied{}, fmt.Errorf("kube: %w", err)
	}
	jobs := a.client.BatchV1().Jobs(c.Ref.Namespace)
	made, err := jobs.Get(ctx, job.Name, metav1.GetOptions{})
	if err == nil && made.Annotations[lastAction] == id {
		return Applied{UID: string(made.UID), Generation: made.Generation, Already: true}, nil
	}
	of := c.Ref
	of.Kind, of.Name = CronJob, c.run().CronJob
	live, err := a.get(ctx, of)
	if err != nil {
		return Applied{}, err
	}
	cj, ok := live.whole.(*batchv1.CronJob)
	switch {
	case !ok || string(cj.UID) != c.run().UID:
		return Applied{}, fault.New(fault.Conflict, "%s was deleted and made anew meanwhile, so I left it alone. Ask me again.", of.Name)
	case !equality.Semantic.DeepEqual(job.Spec, cj.Spec.JobTemplate.Spec):
		shown := c
		shown.Ref = of
		return Applied{}, moved(shown, live.meta, "runs something else than I showed", nil)
	}
	job.Annotations[lastAction] = id
	made, err = jobs.Create(ctx, &job, metav1.CreateOptions{FieldManager: fieldManager})
	if apierrors.IsAlreadyExists(err) { // an attempt whose answer never came
		if made, err = jobs.Get(ctx, job.Name, metav1.GetOptions{}); err == nil && made.Annotations[lastAction] != id {
			return Applied{}, fault.New(fault.Conflict, "There is another Job %s already. Ask me again.", job.Name)
		}
	}
	if err != nil {
		return Applied{}, err
	}
	return Applied{UID: string(made.UID), Generation: made.Generation}, nil
}

// step says how far the Job is.
func (jobRunning) step(ctx context.Context, a api, c Change, _ string) (Progress, error) {
	live, err := a.get(ctx, c.Ref)
	if apierrors.IsNotFound(err) {
		return Progress{}, fault.Wrap(err, fault.Conflict, "Somebody deleted the Job %s while it ran.", c.Ref.Name)
	}
	if err != nil {
		return Progress{}, err
	}
	job, ok := live.whole.(*batchv1.Job)
	if !ok {
		return Progress{}, fmt.Errorf("kube: %s is no Job", c.Ref)
	}
	l, err := a.client.CoreV1().Pods(c.Ref.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(job.Spec.Selector)})
	if err != nil && !apierrors.IsForbidden(err) { // who may not see pods sees that it failed, not why
		return Progress{}, err
	}
	var pods []*corev1.Pod
	if err == nil {
		for i := range l.Items {
			pods = append(pods, &l.Items[i])
		}
	}
	return JobProgress(job, pods), nil
}

// JobProgress is how far a Job is, and what it failed of.
func JobProgress(job *batchv1.Job, pods []*corev1.Pod) Progress {
	s := jobState(job)
	p := Progress{State: Updating, Desired: 1, Updated: s.Succeeded, Ready: s.Succeeded, Total: s.Active, Available: s.Active}
	if job.Spec.Completions != nil {
		p.Desired = *job.Spec.Completions
	}
	trouble := jobTrouble(pods)
	switch {
	case s.Status == "Complete":
		p.State = Complete
	case s.Status == "Failed":
		p.State = DeadlineExceeded
		p.Stuck = &Stuck{Reason: JobFailed, Pods: int(s.Failed), Detail: s.Why}
		if trouble != nil {
			p.Stuck = trouble
			p.Stuck.Restarts = max(s.Failed, p.Stuck.Restarts)
		}
	case s.Status == "Suspended":
		p.State = Waiting
	case trouble != nil && (trouble.Reason == CrashLoop || trouble.Reason == OOMKilled) && trouble.Restarts == 0:
		p.Stuck = trouble
		p.Stuck.Reason, p.Stuck.Pods = JobRetry, int(s.Failed)
	default:
		p.Stuck = trouble
	}
	return p
}

// jobTrouble is what keeps a Job's pods from coming to a good end: the newest
// one's trouble counts.
func jobTrouble(pods []*corev1.Pod) *Stuck {
	pods = slices.Clone(pods)
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return b.CreationTimestamp.Time.Compare(a.CreationTimestamp.Time) })
	for _, p := range pods {
		s := podTrouble(p)
		if s == nil || s.Reason == NotReady {
			continue
		}
		s.Detail = clip(s.Detail)
		return s
	}
	return nil
}

// jobDeleting deletes a Job with its pods, in the background.
type jobDeleting struct{}

func (jobDeleting) doing(c Change) string         { return "delete the Job " + c.Ref.Name }
func (jobDeleting) from(c Change) string          { return c.Ref.Name }
func (jobDeleting) to(Change) string              { return "deleted" }
func (jobDeleting) inverse(Change) (Change, bool) { return Change{}, false }
func (jobDeleting) aspect() Aspect                { return "existence" }
func (jobDeleting) ending(Change) Ending          { return EndsAtOnce }

func (jobDeleting) plan(ctx context.Context, a api, c Change) (Change, string, error) {
	live, err := a.get(ctx, c.Ref)
	if err != nil {
		return c, "", err
	}
	c.UID, c.Labels = string(live.meta.UID), live.meta.Labels
	if err := a.delete(ctx, c.Ref, c.UID, true); err != nil {
		return c, "", err
	}
	unified, err := diff(c.Ref, live, object{})
	return c, unified, err
}

func (jobDeleting) apply(ctx context.Context, a api, c Change, _ string) (Applied, error) {
	err := a.delete(ctx, c.Ref, c.UID, false)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return Applied{Already: true}, nil
	}
	return Applied{}, err
}

// Suspension is what a change of spec.suspend starts from, found by Plan.
type Suspension struct {
	Suspended bool  `json:"suspended"`
	Active    int32 `json:"active,omitempty"` // pods of a Job, which suspending deletes
}

func (c Change) hold() Suspension {
	if c.Hold == nil {
		return Suspension{}
	}
	return *c.Hold
}

// suspending holds a CronJob or a Job, or lets it go on.
type suspending struct{}

func (suspending) doing(c Change) string {
	if c.Verb == VerbSuspend {
		return "suspend " + c.Ref.Name
	}
	return "resume " + c.Ref.Name
}

func (suspending) from(c Change) string { return suspended(c.hold().Suspended) }
func (suspending) to(c Change) string   { return suspended(c.Verb == VerbSuspend) }

func suspended(yes bool) string {
	if yes {
		return "suspended"
	}
	return "active"
}

func (suspending) inverse(c Change) (Change, bool) {
	was := c.hold().Suspended
	if was == (c.Verb == VerbSuspend) {
		return Change{}, false // it was so before
	}
	c.Hold = &Suspension{Suspended: !was}
	c.Verb = VerbUnsuspend
	if was {
		c.Verb = VerbSuspend
	}
	return c, true
}

func (suspending) aspect() Aspect       { return "suspended" }
func (suspending) ending(Change) Ending { return EndsAtOnce }

func suspendOf(live object) Suspension {
	var on *bool
	var s Suspension
	switch d := live.whole.(type) {
	case *batchv1.CronJob:
		on = d.Spec.Suspend
	case *batchv1.Job:
		on, s.Active = d.Spec.Suspend, d.Status.Active
	}
	s.Suspended = on != nil && *on
	return s
}

func (suspending) onto(c Change, live object) (Change, error) {
	s := suspendOf(live)
	if c.Verb == VerbUnsuspend {
		s.Active = 0
	}
	c.Hold = &s
	if j, ok := live.whole.(*batchv1.Job); ok && !jobState(j).Ended.IsZero() {
		return c, fault.New(fault.Refused, "The Job %s has ended already, so there is nothing to hold.", c.Ref.Name)
	}
	return c, nil
}

func (suspending) moved(c Change, live object) (string, []string, error) {
	s := suspendOf(live)
	if s.Suspended == c.hold().Suspended {
		return "", nil, nil
	}
	return "is " + suspended(s.Suspended), []string{"f:spec", "f:suspend"}, nil
}

func (suspending) patch(c Change) (map[string]any, error) {
	return map[string]any{"spec": map[string]any{"suspend": c.Verb == VerbSuspend}}, nil
}

// behind is the change as it is once another one of the same object is made.
func (suspending) behind(c, before Change) (Change, error) {
	if before.Verb == VerbSuspend || before.Verb == VerbUnsuspend {
		c.Hold = &Suspension{Suspended: before.Verb == VerbSuspend}
	}
	return c, nil
}

// further: how the object ends is what counts.
func (suspending) further(_, back Change) Change { return back }
