package skill

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

func (c *Crew) jobPlanners() map[string]planner {
	return map[string]planner{"run_job": c.runJob}
}

// batchJob finds a CronJob or Job by its name: in the namespace that was said;
// else at home; else where it is the only one; else it asks. ok is false where
// there is none of the name, or a workload of it is nearer.
func (c *Crew) batchJob(ctx context.Context, t *dialogue.Turn, name string) (ref kube.Ref, ok bool, err error) {
	b, ok, err := c.batch(ctx, t, name)
	return b.Ref, ok, err
}

func (c *Crew) batch(ctx context.Context, t *dialogue.Turn, name string) (b kube.BatchJob, ok bool, err error) {
	said := t.Intent.Slots.String("namespace")
	all, err := c.cluster.Batch(ctx, kube.Query{Cluster: c.where(t), Namespace: said, Name: name})
	if err != nil || len(all) == 0 {
		return b, false, err
	}
	ws, err := c.cluster.Find(ctx, kube.Query{Cluster: c.where(t), Namespace: said, Name: name})
	if err != nil || len(ws) > 0 {
		return b, false, err
	}
	var where []string
	for _, o := range all {
		if o.Ref.Namespace == c.home(ctx, t) || len(all) == 1 {
			return o, true, nil
		}
		if !slices.Contains(where, o.Ref.Namespace) {
			where = append(where, o.Ref.Namespace)
		}
	}
	if len(where) == 1 {
		return b, false, fault.New(fault.Ambiguous, "There are a CronJob and a Job called %s. Say which kind you mean.", name)
	}
	r, err := t.Reply("ask.where", dialogue.Data{"Name": name, "Where": where})
	if err != nil {
		return b, false, err
	}
	r.Fault = fault.Ambiguous
	return b, false, instead{reply: t.Ask(r, "namespace", where)}
}

// batchesMeant finds the CronJobs and Jobs that a turn is about; none where it is
// about anything else.
func (c *Crew) batchesMeant(ctx context.Context, t *dialogue.Turn) ([]kube.BatchJob, error) {
	names := t.Intent.Slots.Targets()
	var out []kube.BatchJob
	if len(names) == 1 && (names[0] == intents.TargetIt || names[0] == intents.TargetThem) {
		for _, s := range t.Session.Targets {
			if s.Kind != kube.CronJob && s.Kind != kube.Job {
				return nil, nil
			}
			found, err := c.cluster.Batch(ctx, kube.Query{Cluster: s.Cluster, Namespace: s.Namespace, Kind: s.Kind, Name: s.Name})
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
		}
		return out, nil
	}
	for _, name := range names {
		b, ok, err := c.batch(ctx, t, name)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, nil
		}
		out = append(out, b)
	}
	return out, nil
}

// runJob plans to run CronJobs out of turn.
func (c *Crew) runJob(ctx context.Context, t *dialogue.Turn, _ [][]kube.Change) (plan, error) {
	jobs, err := c.batchesMeant(ctx, t)
	if err != nil {
		return plan{}, err
	}
	if len(jobs) == 0 {
		return plan{}, c.noCronJob(ctx, t)
	}
	var p plan
	for _, j := range jobs {
		if !j.Scheduled {
			return plan{}, fault.New(fault.Refused, "%s is a Job: it runs once, and that has begun. I can run CronJobs out of turn.", j.Ref.Name)
		}
		p.changes = append(p.changes, kube.Change{Ref: j.Ref, Verb: kube.VerbRunJob})
		running := j.Running()
		if len(running) > 0 {
			p.warnings, err = c.warn(p.warnings, "job.running", dialogue.Data{"Name": j.Ref.Name, "Count": len(running), "Forbids": j.Forbids, "For": ago(time.Since(running[0].Began))})
		}
		if err == nil && j.Suspended {
			p.warnings, err = c.warn(p.warnings, "job.suspended", dialogue.Data{"Name": j.Ref.Name})
		}
		if err != nil {
			return plan{}, err
		}
	}
	return p, nil
}

// noCronJob says that what somebody wants to run is no CronJob.
func (c *Crew) noCronJob(ctx context.Context, t *dialogue.Turn) error {
	ws, err := c.workloads(ctx, t)
	if err != nil {
		return err
	}
	return fault.New(fault.Refused, "%s is a %s, which runs all the time. I can run CronJobs out of turn.", ws[0].Ref.Name, ws[0].Ref.Kind)
}

// orJobs is a planner of what is asked about workloads, or about CronJobs and
// Jobs, which are then suspended or let go on.
func (c *Crew) orJobs(verb kube.Verb, workloads planner) planner {
	return func(ctx context.Context, t *dialogue.Turn, before [][]kube.Change) (plan, error) {
		jobs, err := c.batchesMeant(ctx, t)
		if err != nil {
			return plan{}, err
		}
		if len(jobs) == 0 && workloads == nil {
			return plan{}, fault.New(fault.Refused, "I can hold CronJobs and Jobs only.")
		}
		if len(jobs) == 0 {
			return workloads(ctx, t, before)
		}
		var p plan
		var same []string
		for _, j := range jobs {
			for _, ch := range slices.Concat(before...) {
				if ch.Ref == j.Ref && (ch.Verb == kube.VerbSuspend || ch.Verb == kube.VerbUnsuspend) {
					j.Suspended = ch.Verb == kube.VerbSuspend
				}
			}
			if j.Suspended == (verb == kube.VerbSuspend) {
				same = append(same, j.Ref.Name)
				continue
			}
			p.changes = append(p.changes, kube.Change{Ref: j.Ref, Verb: verb})
			if n := len(j.Running()); n > 0 && verb == kube.VerbSuspend {
				p.warnings, err = c.warn(p.warnings, "job.goes_on", dialogue.Data{"Name": j.Ref.Name, "Count": n})
			}
			if err == nil && verb == kube.VerbSuspend && j.State.Active > 0 {
				p.warnings, err = c.warn(p.warnings, "job.pods_stop", dialogue.Data{"Name": j.Ref.Name, "Count": j.State.Active})
			}
			if err != nil {
				return plan{}, err
			}
		}
		if len(p.changes) == 0 {
			t.Session.Focus(target(jobs[0].Ref))
			return plan{}, nothingToDo(t, "job.already", dialogue.Data{"Names": same, "Suspended": verb == kube.VerbSuspend})
		}
		return p, nil
	}
}

// ago is a stretch of time as one says it.
func ago(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / u.of); n == 1 {
			return "1 " + u.name
		} else if n > 1 {
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return "less than a minute"
}

// jobStatus says how CronJobs and Jobs are: when they ran, how that went, and
// when they run next.
func (c *Crew) jobStatus(ctx context.Context, t *dialogue.Turn, refs []kube.Ref) (dialogue.Reply, error) {
	var speech, text []string
	var targets []dialogue.Target
	for _, ref := range refs {
		found, err := c.cluster.Batch(ctx, kube.Query(ref))
		if err != nil {
			return dialogue.Reply{}, err
		}
		if len(found) == 0 {
			return dialogue.Reply{}, fault.New(fault.NotFound, "%s %s is not in %s any more.", ref.Kind, ref.Name, ref.Namespace)
		}
		r, err := c.jobState(t, found[0], time.Now())
		if err != nil {
			return r, err
		}
		speech, text, targets = append(speech, r.Speech), append(text, r.Text), append(targets, target(ref))
	}
	t.Session.Focus(targets...)
	return dialogue.Reply{Speech: strings.Join(speech, " "), Text: strings.Join(text, "\n"), Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone}, nil
}

func (c *Crew) jobState(t *dialogue.Turn, j kube.BatchJob, now time.Time) (dialogue.Reply, error) {
	data := dialogue.Data{"Name": j.Ref.Name, "Place": c.place(j.Ref), "Suspended": j.Suspended, "Status": j.State.Status, "Why": j.State.Why, "For": "", "Failed": j.State.Failed}
	if !j.Scheduled {
		data["For"] = ago(now.Sub(j.State.Began))
		if !j.State.Ended.IsZero() {
			data["For"] = ago(now.Sub(j.State.Ended))
		}
		return t.Reply("status.job", data)
	}
	data["Schedule"], data["Zone"] = j.Schedule, cmp.Or(j.TimeZone, "UTC")
	data["Running"] = len(j.Running())
	data["Last"], data["Next"], data["NextAt"], data["Good"], data["Why"] = "", "", "", "", ""
	if !j.LastRun.IsZero() {
		data["Last"] = ago(now.Sub(j.LastRun))
	}
	if !j.Next.IsZero() {
		data["Next"], data["NextAt"] = ago(j.Next.Sub(now)), j.Next.Format("2006-01-02 15:04 MST")
	}
	if s, ok := j.LastEnded(); ok {
		data["Status"], data["Why"] = s.Status, s.Why
	}
	if !j.LastGood.IsZero() {
		data["Good"] = ago(now.Sub(j.LastGood))
	}
	return t.Reply("status.cronjob", data)
}
