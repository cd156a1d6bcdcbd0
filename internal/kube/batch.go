package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // schedules name time zones, and an image may have none

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// BatchJob is a CronJob or a Job as it was last seen.
type BatchJob struct {
	Ref       Ref
	UID       string
	Suspended bool

	// Of a CronJob.
	Schedule  string
	TimeZone  string    // "" is that of the cluster's controllers, usually UTC
	Forbids   bool      // a run that is due is left out while another one runs
	LastRun   time.Time // zero where it never ran
	LastGood  time.Time // when a run last ended well
	Next      time.Time // zero where it is suspended, or nobody can say
	Runs      []JobState
	Scheduled bool // it is a CronJob

	State JobState // of a Job
}

// JobState is how a Job stands.
type JobState struct {
	Name      string
	Status    string // Running, Complete, Failed, Suspended
	Began     time.Time
	Ended     time.Time // zero while it runs
	Succeeded int32
	Failed    int32 // pods that failed
	Active    int32
	Why       string // of Failed: the condition's reason, as in BackoffLimitExceeded
}

// Running are the runs of a CronJob that have not ended.
func (b BatchJob) Running() []JobState {
	return slices.DeleteFunc(slices.Clone(b.Runs), func(s JobState) bool { return !s.Ended.IsZero() })
}

// LastEnded is the run of a CronJob that ended last; ok is false where none did.
func (b BatchJob) LastEnded() (s JobState, ok bool) {
	for _, r := range b.Runs {
		if !r.Ended.IsZero() && (!ok || r.Ended.After(s.Ended)) {
			s, ok = r, true
		}
	}
	return s, ok
}

// watchJobs begins to watch CronJobs and Jobs, where that is allowed: who may not
// see them can do all the rest.
func (r *Reader) watchJobs(ctx context.Context, f informers.SharedInformerFactory) error {
	b := r.client.BatchV1()
	if _, err := b.CronJobs(r.scope).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		return nil
	}
	if _, err := b.Jobs(r.scope).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		return nil
	}
	r.cronJobs, r.jobs = f.Batch().V1().CronJobs().Informer(), f.Batch().V1().Jobs().Informer()
	if err := r.onNames(r.cronJobs); err != nil {
		return err
	}
	// A CronJob's own Jobs come and go, and nobody calls them by name.
	named := func(o any) {
		if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
			o = d.Obj
		}
		if j, ok := o.(*batchv1.Job); ok && cronJobOf(j) == "" {
			r.names.Add(1)
		}
	}
	if _, err := r.jobs.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: named, DeleteFunc: named}); err != nil {
		return fmt.Errorf("kube: %w", err)
	}
	return nil
}

// cronJobOf names the CronJob that a Job is a run of, "" for one of its own.
func cronJobOf(j *batchv1.Job) string {
	if o := metav1.GetControllerOf(j); o != nil && o.Kind == CronJob {
		return o.Name
	}
	return ""
}

// batchNames are the CronJobs, and the Jobs that are not runs of one.
func (r *Reader) batchNames() []Ref {
	if r.cronJobs == nil {
		return nil
	}
	var out []Ref
	for _, o := range r.cronJobs.GetStore().List() {
		if c, ok := o.(*batchv1.CronJob); ok {
			out = append(out, Ref{Cluster: r.cluster.Name, Namespace: c.Namespace, Kind: CronJob, Name: c.Name})
		}
	}
	for _, o := range r.jobs.GetStore().List() {
		if j, ok := o.(*batchv1.Job); ok && cronJobOf(j) == "" {
			out = append(out, Ref{Cluster: r.cluster.Name, Namespace: j.Namespace, Kind: Job, Name: j.Name})
		}
	}
	return out
}

// Batch returns the CronJobs and Jobs that fit, by namespace and name. Of a kind
// that may not be seen there are none.
func (r *Reader) Batch(_ context.Context, q Query) ([]BatchJob, error) {
	if r.cronJobs == nil {
		return nil, nil
	}
	fits := func(m metav1.ObjectMeta, kind string) bool {
		return (q.Kind == "" || q.Kind == kind) && (q.Name == "" || q.Name == m.Name) && (q.Namespace == "" || q.Namespace == m.Namespace)
	}
	runs := map[string][]JobState{} // by the UID of their CronJob
	var out []BatchJob
	for _, o := range r.jobs.GetStore().List() {
		j, ok := o.(*batchv1.Job)
		if !ok {
			continue
		}
		if c := metav1.GetControllerOf(j); c != nil && c.Kind == CronJob {
			runs[string(c.UID)] = append(runs[string(c.UID)], jobState(j))
		}
		if fits(j.ObjectMeta, Job) {
			out = append(out, BatchJob{
				Ref: Ref{Cluster: r.cluster.Name, Namespace: j.Namespace, Kind: Job, Name: j.Name}, UID: string(j.UID),
				Suspended: j.Spec.Suspend != nil && *j.Spec.Suspend, State: jobState(j),
			})
		}
	}
	for _, o := range r.cronJobs.GetStore().List() {
		if c, ok := o.(*batchv1.CronJob); ok && fits(c.ObjectMeta, CronJob) {
			out = append(out, cronJob(r.cluster.Name, c, runs[string(c.UID)], time.Now()))
		}
	}
	slices.SortFunc(out, func(a, b BatchJob) int {
		return cmp.Or(cmp.Compare(a.Ref.Namespace, b.Ref.Namespace), cmp.Compare(a.Ref.Name, b.Ref.Name), cmp.Compare(a.Ref.Kind, b.Ref.Kind))
	})
	return out, nil
}

// Batch returns the CronJobs and Jobs of a cluster that fit.
func (f *Fleet) Batch(ctx context.Context, q Query) ([]BatchJob, error) {
	r, err := f.reader(ctx, q.Cluster)
	if err != nil {
		return nil, err
	}
	return r.Batch(ctx, q)
}

func cronJob(cluster string, c *batchv1.CronJob, runs []JobState, now time.Time) BatchJob {
	out := BatchJob{
		Ref: Ref{Cluster: cluster, Namespace: c.Namespace, Kind: CronJob, Name: c.Name}, UID: string(c.UID),
		Suspended: c.Spec.Suspend != nil && *c.Spec.Suspend, Scheduled: true,
		Schedule: clip(c.Spec.Schedule), Forbids: c.Spec.ConcurrencyPolicy == batchv1.ForbidConcurrent, Runs: runs,
	}
	if c.Spec.TimeZone != nil {
		out.TimeZone = clip(*c.Spec.TimeZone)
	}
	if t := c.Status.LastScheduleTime; t != nil {
		out.LastRun = t.Time
	}
	if t := c.Status.LastSuccessfulTime; t != nil {
		out.LastGood = t.Time
	}
	slices.SortFunc(out.Runs, func(a, b JobState) int { return a.Began.Compare(b.Began) })
	for _, r := range runs { // those that somebody asked for are no part of the status
		if r.Began.After(out.LastRun) {
			out.LastRun = r.Began
		}
	}
	if !out.Suspended {
		out.Next = nextRun(c.Spec.Schedule, out.TimeZone, now)
	}
	return out
}

// nextRun is when a schedule is due next, in the zone that it is in; zero where
// that cannot be said. The rules are those of the CronJob controller, which uses
// the same library.
func nextRun(schedule, zone string, now time.Time) time.Time {
	if zone == "" && !strings.Contains(schedule, "TZ") {
		zone = "UTC"
	}
	if zone != "" {
		schedule = "TZ=" + zone + " " + schedule
		if l, err := time.LoadLocation(zone); err == nil {
			now = now.In(l)
		}
	}
	s, err := cron.ParseStandard(schedule)
	if err != nil {
		return time.Time{}
	}
	return s.Next(now)
}

func jobState(j *batchv1.Job) JobState {
	s := JobState{
		Name: j.Name, Status: "Running", Began: j.CreationTimestamp.Time,
		Succeeded: j.Status.Succeeded, Failed: j.Status.Failed, Active: j.Status.Active,
	}
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			s.Status, s.Ended = "Complete", c.LastTransitionTime.Time
		case batchv1.JobFailed:
			s.Status, s.Ended, s.Why = "Failed", c.LastTransitionTime.Time, clip(c.Reason)
		case batchv1.JobSuspended:
			s.Status = "Suspended"
		}
	}
	return s
}
