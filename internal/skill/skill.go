// Package skill is what firstmate does about each family of intents: it reads
// the cluster, proposes to the ledger, and words what it found. It holds no
// way to change a cluster but the ledger.
package skill

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// Reader is the clusters, for looking only; *kube.Fleet is one. What it is asked
// says of which cluster, and "" is the home cluster.
type Reader interface {
	finder
	historian
	lister
	maintainer
	keeper
	happener
	Diagnose(ctx context.Context, w kube.Workload) (kube.Progress, error)
	AutoscalerOf(ctx context.Context, ref kube.Ref) (kube.Autoscaler, bool, error)
}

type finder interface {
	Find(ctx context.Context, q kube.Query) ([]kube.Workload, error)
	Get(ctx context.Context, ref kube.Ref) (kube.Workload, error)
	Namespace(cluster string) string                  // where names are looked for first
	Cluster() string                                  // what the home cluster is called
	Clusters() []string                               // what all are called, home first
	Production(cluster string) bool                   // whether others depend on it
	Seen(ctx context.Context, name string) []kube.Ref // where workloads of a name were seen, without asking
}

type historian interface {
	History(ctx context.Context, w kube.Workload) ([]kube.Revision, error)
}

type lister interface {
	List(ctx context.Context, q kube.ListQuery) (kube.Table, error)
	Namespaces(ctx context.Context, cluster string) []string
}

// Ledger is where changes are proposed; *action.Ledger is one.
type Ledger interface {
	MayChange(ctx context.Context, s access.Speaker) error
	Propose(ctx context.Context, p action.Proposal) (action.Entry, error)
	Decide(ctx context.Context, id string, d action.Decision) (action.Entry, error)
	CallOff(ctx context.Context, id string, by access.Speaker) ([]action.Step, error)
	approver
	Entry(ctx context.Context, id string) (action.Entry, error)
	LastChange(ctx context.Context, conversation string) (action.Entry, bool, error)
}

type approver interface {
	MayApprove(ctx context.Context, e action.Entry, by access.Speaker) error
	Approve(ctx context.Context, id, shown string, by access.Speaker) (action.Entry, error)
	Awaiting(ctx context.Context, f func(action.Entry) bool) error
}

// Crew does what the intents ask for.
type Crew struct {
	cluster   Reader
	ledger    Ledger
	catalogue *intents.Catalogue
	gitops    GitOps
	past      Past
	logs      *logDesk

	investigation Investigation
	diagnosed     func(conversation string, k diagnosis.Case, v diagnosis.Verdict, said, brief string) // nil: nobody is told
	wording       Wordsmith                                                                            // nil: our own words
	alerts        Alerts
	metrics       Metrics

	outside outside
}

// NewCrew returns the skills over a cluster and a ledger.
func NewCrew(cluster Reader, ledger Ledger, c *intents.Catalogue) *Crew {
	return &Crew{cluster: cluster, ledger: ledger, catalogue: c}
}

// Handlers maps each intent to what does it.
func (c *Crew) Handlers() map[string]dialogue.Handler {
	h := map[string]dialogue.HandlerFunc{
		"chain": c.chain, "status": c.statusOfClusters, "list": c.everywhere(c.list), "history": c.everywhere(c.history), "diagnose": c.diagnose, "basis": c.basis,
		"events":           c.everywhere(c.events),
		"switch_namespace": c.switchNamespace, "switch_cluster": c.switchCluster,
		"confirm": c.confirm, "deny": c.orStop(c.deny), "cancel": c.orStop(c.deny), "undo": c.undo, "approve": c.approve,
		"logs": c.readLogs, "repeat": c.repeat, "help": c.help, "greet": c.greet, "thanks": c.thanks,
		"metrics": c.everywhere(c.measure),
	}
	c.outsideHandlers(h)
	out := make(map[string]dialogue.Handler, len(h))
	for name, f := range h {
		out[name] = f
	}
	for name, f := range c.planners() {
		out[name] = c.changing(f)
	}
	return out
}

// planners maps each intent that changes something to what plans it. Each
// family of them has a line here.
func (c *Crew) planners() map[string]planner {
	out := map[string]planner{}
	for _, family := range []map[string]planner{c.workloadPlanners(), c.pausePlanners(), c.nodePlanners(), c.podPlanners(), c.jobPlanners(), c.alertPlanners()} {
		maps.Copy(out, family)
	}
	out["pause"], out["resume"] = c.orJobs(kube.VerbSuspend, out["pause"]), c.orJobs(kube.VerbUnsuspend, out["resume"])
	for name, f := range out {
		out[name] = c.inEach(f)
	}
	return out
}

func (c *Crew) workloadPlanners() map[string]planner {
	return map[string]planner{
		"scale": c.ofWorkloads(c.scale), "deploy": c.ofWorkloads(c.deploy),
		"rollback": c.goBack, "restart": c.ofWorkloads(c.restart),
		"autoscale": c.ofWorkloads(c.autoscale), "promote": c.promote, "create": c.create,
		"heal": c.ofWorkloads(c.heal),
	}
}

// instead is an answer in place of a result: a question, or word that there is
// nothing to do. It is an error so that the way back from deep down is the
// ordinary one.
type instead struct {
	reply   dialogue.Reply
	nothing bool // it says that there is nothing to do
}

func (instead) Error() string { return "skill: there is something to say first" }

// answered gives what is to be said in place of a result as the answer.
func answered(err error) (dialogue.Reply, error) {
	var i instead
	if errors.As(err, &i) {
		return i.reply, nil
	}
	return dialogue.Reply{}, err
}

// workloads finds what a turn is about. Several possible namespaces are asked
// about; the error is then instead.
func (c *Crew) workloads(ctx context.Context, t *dialogue.Turn) ([]kube.Workload, error) {
	in := t.Intent.Slots
	names := in.Targets()
	switch {
	case len(names) == 1 && (names[0] == intents.TargetIt || names[0] == intents.TargetThem):
		return c.spokenOf(ctx, t)
	case len(names) == 1 && names[0] == intents.TargetAll:
		ns := c.namespace(ctx, t)
		ws, err := c.cluster.Find(ctx, kube.Query{Cluster: c.where(t), Namespace: ns, Kind: kube.Deployment})
		if err == nil && len(ws) == 0 {
			err = fault.New(fault.NotFound, "There are no Deployments in %s.", ns)
		}
		return ws, err
	}
	var out []kube.Workload
	for _, name := range names {
		w, err := c.workload(ctx, t, name)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(o kube.Workload) bool { return o.Ref == w.Ref }) {
			out = append(out, w)
		}
	}
	if len(out) == 0 {
		return nil, fault.New(fault.NotUnderstood, "Which one do you mean? Say its name.")
	}
	return out, nil
}

// namespace is the one that a turn is about where no name decides it.
func (c *Crew) namespace(ctx context.Context, t *dialogue.Turn) string {
	if ns := t.Intent.Slots.String("namespace"); ns != "" {
		return ns
	}
	return c.home(ctx, t)
}

// home is where names are looked for first: where the conversation switched to,
// else the cluster's own namespace.
func (c *Crew) home(ctx context.Context, t *dialogue.Turn) string {
	cluster := c.where(t)
	own := c.cluster.Namespace(cluster)
	if base := c.base(t); cluster != base {
		// Where the conversation is, is in another cluster; the same place there is
		// better than a context without a namespace of its own.
		if ns := cmp.Or(t.Session.Home, c.cluster.Namespace(base)); own == "default" && slices.Contains(c.cluster.Namespaces(ctx, cluster), ns) {
			return ns
		}
		return own
	}
	return cmp.Or(t.Session.Home, own)
}

// where is the cluster that a turn is about where no name decides it.
func (c *Crew) where(t *dialogue.Turn) string {
	return cmp.Or(t.Intent.Slots.String("cluster"), c.base(t))
}

// base is the cluster that the conversation is in: that which somebody switched
// to, while there is one of that name, else home.
func (c *Crew) base(t *dialogue.Turn) string {
	if slices.Contains(c.cluster.Clusters(), t.Session.Cluster) {
		return t.Session.Cluster
	}
	return c.cluster.Cluster()
}

// spokenOf finds what "it" or "them" is.
func (c *Crew) spokenOf(ctx context.Context, t *dialogue.Turn) ([]kube.Workload, error) {
	if len(t.Session.Targets) == 0 {
		r, err := t.Reply("ask.targets", dialogue.Data{"Intent": t.Intent.Name, "Targets": []string{}})
		if err != nil {
			return nil, err
		}
		return nil, instead{reply: t.Ask(r, "targets", nil)}
	}
	var out []kube.Workload
	seen := map[dialogue.Target]bool{}
	for _, s := range t.Session.Targets {
		if said := t.Intent.Slots.String("cluster"); said != "" {
			s.Cluster = said
		}
		if seen[s] {
			continue // "it" was in several clusters
		}
		seen[s] = true
		ns := s.Namespace
		if said := t.Intent.Slots.String("namespace"); said != "" {
			ns = said
		}
		w, err := c.pick(ctx, kube.Query{Cluster: s.Cluster, Namespace: ns, Kind: s.Kind, Name: s.Name})
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

func (c *Crew) pick(ctx context.Context, q kube.Query) (kube.Workload, error) {
	ws, err := c.cluster.Find(ctx, q)
	switch {
	case err != nil:
		return kube.Workload{}, err
	case len(ws) == 0:
		return kube.Workload{}, c.elsewhere(ctx, q)
	case len(ws) > 1:
		return kube.Workload{}, fault.New(fault.Ambiguous, "There are several called %s: %s. Say which kind you mean.", q.Name, kindsOf(ws))
	}
	return ws[0], nil
}

func kindsOf(ws []kube.Workload) string {
	var out []string
	for _, w := range ws {
		out = append(out, "a "+w.Ref.Kind)
	}
	return strings.Join(out, " and ")
}

// elsewhere says that a name is not where it was looked for, and where it is.
func (c *Crew) elsewhere(ctx context.Context, q kube.Query) error {
	ws, err := c.cluster.Find(ctx, kube.Query{Cluster: q.Cluster, Name: q.Name})
	if err != nil {
		return err
	}
	if len(ws) == 0 {
		return c.otherKind(ctx, q.Cluster, q.Name)
	}
	return fault.New(fault.NotFound, "There is no %s in %s; there is one in %s.", q.Name, q.Namespace, strings.Join(namespaces(ws), " and one in "))
}

// otherKind says that there is no workload of a name, and what else is called so.
func (c *Crew) otherKind(ctx context.Context, cluster, name string) error {
	jobs, err := c.cluster.Batch(ctx, kube.Query{Cluster: cluster, Name: name})
	switch {
	case err != nil:
		return err
	case len(jobs) == 0:
		return c.notIn(cluster, name)
	case jobs[0].Scheduled:
		return fault.New(fault.Refused, "%s is a CronJob: it can be run now, suspended and resumed, and that is all.", name)
	}
	return fault.New(fault.Refused, "%s is a Job: it can be suspended and resumed, and that is all.", name)
}

func namespaces(ws []kube.Workload) []string {
	var out []string
	for _, w := range ws {
		if !slices.Contains(out, w.Ref.Namespace) {
			out = append(out, w.Ref.Namespace)
		}
	}
	return out
}

// workload finds a name: in the namespace that was said; else at home; else where it is the only one; else it asks.
func (c *Crew) workload(ctx context.Context, t *dialogue.Turn, name string) (kube.Workload, error) {
	cluster := c.where(t)
	if ns := t.Intent.Slots.String("namespace"); ns != "" {
		if err := c.hasNamespace(ctx, cluster, ns); err != nil {
			return kube.Workload{}, err
		}
		return c.pick(ctx, kube.Query{Cluster: cluster, Namespace: ns, Name: name})
	}
	all, err := c.cluster.Find(ctx, kube.Query{Cluster: cluster, Name: name})
	if err != nil {
		return kube.Workload{}, err
	}
	where := namespaces(all)
	switch {
	case len(where) == 0:
		return c.inAnother(ctx, t, name)
	case slices.Contains(where, c.home(ctx, t)):
		return c.pick(ctx, kube.Query{Cluster: cluster, Namespace: c.home(ctx, t), Name: name})
	case len(where) == 1:
		return c.pick(ctx, kube.Query{Cluster: cluster, Namespace: where[0], Name: name})
	}
	r, err := t.Reply("ask.where", dialogue.Data{"Name": name, "Where": where})
	if err != nil {
		return kube.Workload{}, err
	}
	r.Fault = fault.Ambiguous
	return kube.Workload{}, instead{reply: t.Ask(r, "namespace", where)}
}

// focus makes workloads what "it" is from now on.
func focus(t *dialogue.Turn, ws []kube.Workload) {
	targets := make([]dialogue.Target, len(ws))
	for i, w := range ws {
		targets[i] = target(w.Ref)
	}
	t.Session.Focus(targets...)
}

func target(ref kube.Ref) dialogue.Target {
	return dialogue.Target{Cluster: ref.Cluster, Namespace: ref.Namespace, Kind: ref.Kind, Name: ref.Name}
}

// place is how a workload's namespace and cluster are said: not at all where
// they are the cluster's own, and home.
func (c *Crew) place(ref kube.Ref) string {
	return c.namespaceIn(ref.Cluster, c.placeWithin(ref))
}

// placeWithin is how a workload's namespace is said: not at all where it is the
// cluster's own.
func (c *Crew) placeWithin(ref kube.Ref) string {
	if ref.Namespace == c.cluster.Namespace(ref.Cluster) {
		return ""
	}
	return ref.Namespace
}
