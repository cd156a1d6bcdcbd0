package kube

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// podsByOwner indexes pods by namespace/kind/name of the workload that owns them.
const podsByOwner = "owner"

// Reader answers from shared watches what a cluster looks like now.
type Reader struct {
	cluster *Cluster
	client  kubernetes.Interface
	dynamic dynamic.Interface // for objects whose types are not built in
	log     *slog.Logger

	deployments, statefulSets, daemonSets cache.SharedIndexInformer
	namespaces                            cache.SharedIndexInformer // nil where only one namespace may be read
	nodes                                 cache.SharedIndexInformer // nil where they may not be read
	cronJobs, jobs                        cache.SharedIndexInformer // both nil where either may not be read
	pods                                  cache.SharedIndexInformer // nil with NoPods
	services, scalers                     *extra                    // nil where they may not be read, and with NoPods

	scope string // the one namespace that may be read, "" for all
	opt   ReaderOptions
	names atomic.Uint64 // grows whenever a name comes or goes

	shares shares // what surveys ask of whole namespaces

	mu      sync.Mutex
	waiting map[Ref]map[chan struct{}]struct{} // who wants to know of changes of a workload
}

// ReaderOptions are what a Reader may leave out.
type ReaderOptions struct {
	// NoPods leaves pods unwatched, and what is next to workloads: for a process
	// that lives for one turn, which asks for the few that it needs.
	NoPods bool
	// Argo is how Argo CD marks what it owns.
	Argo ArgoOptions
	// SyncLimit is how long the cluster may take to be seen for the first time;
	// 0 is a minute. A watch that is refused would take for ever.
	SyncLimit time.Duration
}

// NewReader returns a Reader that has not begun to watch; see Start.
func NewReader(c *Cluster, opt ReaderOptions, log *slog.Logger) (*Reader, error) {
	client, err := kubernetes.NewForConfig(c.reading())
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	plain, err := dynamic.NewForConfig(c.reading())
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	return &Reader{cluster: c, client: client, dynamic: plain, log: log, opt: opt, waiting: map[Ref]map[chan struct{}]struct{}{}}, nil
}

// Cluster is the cluster's name.
func (r *Reader) Cluster() string { return r.cluster.Name }

// Namespace is where names are looked for first.
func (r *Reader) Namespace() string { return r.cluster.Namespace }

// Start begins to watch and returns once everything has been seen once. The
// watches end with ctx. Where the credentials may only read the context's own
// namespace, that is all that is watched.
func (r *Reader) Start(ctx context.Context) error {
	_, err := r.client.AppsV1().Deployments("").List(ctx, metav1.ListOptions{Limit: 1})
	if apierrors.IsForbidden(err) {
		r.scope = r.cluster.Namespace
		r.log.InfoContext(ctx, "may not read the whole cluster; reading one namespace", "namespace", r.scope)
		_, err = r.client.AppsV1().Deployments(r.scope).List(ctx, metav1.ListOptions{Limit: 1})
	}
	if err != nil {
		return r.cluster.sentence(err, "look at the cluster")
	}
	f := informers.NewSharedInformerFactoryWithOptions(r.client, 0, informers.WithNamespace(r.scope), informers.WithTransform(slim))
	r.deployments = f.Apps().V1().Deployments().Informer()
	r.statefulSets = f.Apps().V1().StatefulSets().Informer()
	r.daemonSets = f.Apps().V1().DaemonSets().Informer()
	if r.scope == "" {
		r.namespaces = f.Core().V1().Namespaces().Informer()
		if err := r.onNames(r.namespaces); err != nil {
			return err
		}
		// Nodes are good to know by name, and not needed: who may not see them
		// can do all the rest.
		if _, err := r.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 1}); err == nil {
			r.nodes = f.Core().V1().Nodes().Informer()
			if err := r.onNames(r.nodes); err != nil {
				return err
			}
		}
	}
	for _, inf := range []cache.SharedIndexInformer{r.deployments, r.statefulSets, r.daemonSets} {
		if err := r.onNames(inf); err != nil {
			return err
		}
	}
	if err := r.watchJobs(ctx, f); err != nil {
		return err
	}
	if !r.opt.NoPods {
		r.pods = f.Core().V1().Pods().Informer()
		if err := r.pods.AddIndexers(cache.Indexers{podsByOwner: indexByOwner}); err != nil {
			return fmt.Errorf("kube: %w", err)
		}
		if err := r.onPods(); err != nil {
			return err
		}
		if err := r.watchExtras(ctx); err != nil {
			return err
		}
	}
	f.StartWithContext(ctx)
	limit, cancel := context.WithTimeout(ctx, cmp.Or(r.opt.SyncLimit, time.Minute))
	defer cancel()
	var unseen []string
	for t, ok := range f.WaitForCacheSync(limit.Done()) {
		if !ok {
			unseen = append(unseen, strings.ToLower(t.Elem().Name())+"s")
		}
	}
	slices.Sort(unseen)
	switch {
	case len(unseen) == 0:
		return nil
	case ctx.Err() != nil:
		return fault.Wrap(ctx.Err(), fault.Unavailable, "I was stopped before I had seen the cluster.")
	}
	return fault.New(fault.Forbidden, "I cannot watch the cluster's %s. The credentials need get, list and watch on them.", strings.Join(unseen, ", "))
}

// onNames counts names that come and go, and wakes who watches a workload.
func (r *Reader) onNames(inf cache.SharedIndexInformer) error {
	_, err := inf.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { r.names.Add(1); r.wake(workloadRef(r.cluster.Name, o)) },
		UpdateFunc: func(_, o any) { r.wake(workloadRef(r.cluster.Name, o)) },
		DeleteFunc: func(o any) { r.names.Add(1); r.wake(workloadRef(r.cluster.Name, o)) },
	})
	if err != nil {
		return fmt.Errorf("kube: %w", err)
	}
	return nil
}

func (r *Reader) onPods() error {
	wake := func(o any) {
		if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
			o = d.Obj
		}
		if p, ok := o.(*corev1.Pod); ok {
			kind, name := owner(p)
			r.wake(Ref{Cluster: r.cluster.Name, Namespace: p.Namespace, Kind: kind, Name: name})
		}
	}
	_, err := r.pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: wake, UpdateFunc: func(_, o any) { wake(o) }, DeleteFunc: wake,
	})
	if err != nil {
		return fmt.Errorf("kube: %w", err)
	}
	return nil
}

func (r *Reader) wake(ref Ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.waiting[ref] {
		select {
		case c <- struct{}{}:
		default: // told already, not looked yet
		}
	}
}

// changes returns a channel that is sent to when the workload may have
// changed, and the function that ends that.
func (r *Reader) changes(ref Ref) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[ref] == nil {
		r.waiting[ref] = map[chan struct{}]struct{}{}
	}
	r.waiting[ref][c] = struct{}{}
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting[ref], c)
		if len(r.waiting[ref]) == 0 {
			delete(r.waiting, ref)
		}
	}
}

// Names is a number that grows whenever a workload or namespace comes or goes.
func (r *Reader) Names() uint64 { return r.names.Load() }

// All returns the names of all workloads, CronJobs and Jobs, in no order.
func (r *Reader) All() []Ref {
	out := r.batchNames()
	for _, inf := range []cache.SharedIndexInformer{r.deployments, r.statefulSets, r.daemonSets} {
		for _, o := range inf.GetStore().List() {
			out = append(out, workloadRef(r.cluster.Name, o))
		}
	}
	return out
}

// Query says which workloads are meant, of one cluster; another empty field
// means any.
type Query struct {
	Cluster   string // asked of a Fleet, "" is the home cluster
	Namespace string
	Kind      string
	Name      string
}

// Find returns the workloads that fit, by namespace, name and kind.
func (r *Reader) Find(_ context.Context, q Query) ([]Workload, error) {
	var out []Workload
	for kind, inf := range map[string]cache.SharedIndexInformer{Deployment: r.deployments, StatefulSet: r.statefulSets, DaemonSet: r.daemonSets} {
		if q.Kind != "" && q.Kind != kind {
			continue
		}
		var objs []any
		switch {
		case q.Namespace != "" && q.Name != "":
			if o, ok, _ := inf.GetStore().GetByKey(q.Namespace + "/" + q.Name); ok { // a cache cannot fail
				objs = []any{o}
			}
		case q.Namespace != "":
			objs, _ = inf.GetIndexer().ByIndex(cache.NamespaceIndex, q.Namespace) // the index exists
		default:
			objs = inf.GetStore().List()
		}
		for _, o := range objs {
			if w, ok := r.workload(o); ok && (q.Name == "" || w.Ref.Name == q.Name) {
				out = append(out, w)
			}
		}
	}
	slices.SortFunc(out, func(a, b Workload) int {
		return cmp.Or(cmp.Compare(a.Ref.Namespace, b.Ref.Namespace), cmp.Compare(a.Ref.Name, b.Ref.Name), cmp.Compare(a.Ref.Kind, b.Ref.Kind))
	})
	return out, nil
}

// Get returns one workload as the watch last saw it.
func (r *Reader) Get(ctx context.Context, ref Ref) (Workload, error) {
	ws, err := r.Find(ctx, Query{Namespace: ref.Namespace, Kind: ref.Kind, Name: ref.Name})
	if err != nil {
		return Workload{}, err
	}
	if len(ws) != 1 {
		return Workload{}, fault.New(fault.NotFound, "%s %s is not in %s any more.", ref.Kind, ref.Name, ref.Namespace)
	}
	return ws[0], nil
}

// Namespaces lists the namespaces that can be seen.
func (r *Reader) Namespaces() []string {
	if r.namespaces == nil {
		return []string{r.scope}
	}
	names := r.namespaces.GetStore().ListKeys()
	slices.Sort(names)
	return names
}

// NamespaceLabels are the labels of a namespace, none where it cannot be seen.
func (r *Reader) NamespaceLabels(namespace string) map[string]string {
	if r.namespaces == nil {
		return nil
	}
	o, _, _ := r.namespaces.GetStore().GetByKey(namespace) // a cache cannot fail
	if n, ok := o.(*corev1.Namespace); ok {
		return n.Labels
	}
	return nil
}

// Nodes lists the nodes that can be seen.
func (r *Reader) Nodes() []string {
	if r.nodes == nil {
		return nil
	}
	names := r.nodes.GetStore().ListKeys()
	slices.Sort(names)
	return names
}

// Images lists the names of the containers that workloads have, and the tags
// they run, each once and sorted.
func (r *Reader) Images() (containers, tags []string) {
	seen, used := map[string]bool{}, map[string]bool{}
	for _, inf := range []cache.SharedIndexInformer{r.deployments, r.statefulSets, r.daemonSets} {
		for _, o := range inf.GetStore().List() {
			w, ok := r.workload(o)
			if !ok {
				continue
			}
			for _, c := range w.Containers {
				seen[c.Name] = true
				if tag := Tag(c.Image); tag != "" {
					used[tag] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(used))
}

// workload reads one of the watched objects.
func (r *Reader) workload(o any) (Workload, bool) {
	w := Workload{Ref: workloadRef(r.cluster.Name, o)}
	var pod corev1.PodSpec
	var sel *metav1.LabelSelector
	switch d := o.(type) {
	case *appsv1.Deployment:
		w.UID, w.Generation, w.LastAction, w.Progress = string(d.UID), d.Generation, d.Annotations[lastAction], RolloutProgress(d)
		w.Labels = d.Labels
		w.Paused = d.Spec.Paused
		pod, sel = d.Spec.Template.Spec, d.Spec.Selector
	case *appsv1.StatefulSet:
		w.UID, w.Generation, w.LastAction, w.Progress = string(d.UID), d.Generation, d.Annotations[lastAction], StatefulSetProgress(d)
		w.Labels = d.Labels
		pod, sel = d.Spec.Template.Spec, d.Spec.Selector
	case *appsv1.DaemonSet:
		w.UID, w.Generation, w.LastAction, w.Progress = string(d.UID), d.Generation, d.Annotations[lastAction], DaemonSetProgress(d)
		w.Labels = d.Labels
		pod, sel = d.Spec.Template.Spec, d.Spec.Selector
	default:
		return Workload{}, false
	}
	for _, c := range pod.Containers {
		w.Containers = append(w.Containers, Container{Name: c.Name, Image: c.Image})
	}
	if sel != nil {
		w.Selector = sel.MatchLabels
	}
	return w, true
}

func workloadRef(cluster string, o any) Ref {
	if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = d.Obj
	}
	ref := Ref{Cluster: cluster}
	switch d := o.(type) {
	case *appsv1.Deployment:
		ref.Namespace, ref.Kind, ref.Name = d.Namespace, Deployment, d.Name
	case *appsv1.StatefulSet:
		ref.Namespace, ref.Kind, ref.Name = d.Namespace, StatefulSet, d.Name
	case *appsv1.DaemonSet:
		ref.Namespace, ref.Kind, ref.Name = d.Namespace, DaemonSet, d.Name
	}
	return ref
}

// owner names the workload that made a pod. A ReplicaSet of a Deployment is
// called NAME-HASH, and its pods carry the hash as a label.
func owner(p *corev1.Pod) (kind, name string) {
	for _, o := range p.OwnerReferences {
		if o.Controller == nil || !*o.Controller {
			continue
		}
		if hash := p.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; o.Kind == "ReplicaSet" && hash != "" {
			if n, ok := strings.CutSuffix(o.Name, "-"+hash); ok {
				return Deployment, n
			}
		}
		return o.Kind, o.Name
	}
	return "", ""
}

func indexByOwner(o any) ([]string, error) {
	p, ok := o.(*corev1.Pod)
	if !ok {
		return nil, nil
	}
	kind, name := owner(p)
	return []string{p.Namespace + "/" + kind + "/" + name}, nil
}

// podsOf returns the pods of a workload: from the watch, or asked for.
func (r *Reader) podsOf(ctx context.Context, w Workload) ([]*corev1.Pod, error) {
	if r.pods != nil {
		objs, err := r.pods.GetIndexer().ByIndex(podsByOwner, w.Ref.Namespace+"/"+w.Ref.Kind+"/"+w.Ref.Name)
		if err != nil {
			return nil, fmt.Errorf("kube: %w", err)
		}
		pods := make([]*corev1.Pod, 0, len(objs))
		for _, o := range objs {
			if p, ok := o.(*corev1.Pod); ok {
				pods = append(pods, p)
			}
		}
		return pods, nil
	}
	l, err := r.client.CoreV1().Pods(w.Ref.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(w.Selector).String()})
	if err != nil {
		return nil, r.cluster.sentence(err, "look at the pods of "+w.Ref.Name)
	}
	var pods []*corev1.Pod
	for i := range l.Items {
		if kind, name := owner(&l.Items[i]); kind == w.Ref.Kind && name == w.Ref.Name {
			pods = append(pods, &l.Items[i])
		}
	}
	return pods, nil
}

// Diagnose returns the workload's progress with the reason it is stuck, if any
// can be seen. It asks the API server only where the roll-out is not complete.
func (r *Reader) Diagnose(ctx context.Context, w Workload) (Progress, error) {
	p := w.Progress
	if p.Done() || p.State == Observing {
		return p, nil
	}
	pods, err := r.podsOf(ctx, w)
	if err != nil {
		return p, err
	}
	rev, err := r.newestRevision(ctx, w)
	if err != nil {
		return p, err
	}
	var conditions []appsv1.DeploymentCondition
	if w.Ref.Kind == Deployment {
		if o, ok, _ := r.deployments.GetStore().GetByKey(w.Ref.Namespace + "/" + w.Ref.Name); ok { // a cache cannot fail
			if d, ok := o.(*appsv1.Deployment); ok {
				conditions = d.Status.Conditions
			}
		}
	}
	var fresh, old []*corev1.Pod
	for _, pod := range pods {
		if rev.label != "" && pod.Labels[rev.label] != rev.hash {
			old = append(old, pod)
		} else {
			fresh = append(fresh, pod)
		}
	}
	s := FindStuck(fresh, nil, conditions)
	// Why pods are not made is a condition of a Deployment, and in events only
	// for the others.
	unmade := len(fresh) == 0 || w.Ref.Kind != Deployment && len(fresh) < int(p.Desired)
	if s == nil && unmade || s != nil && s.Detail == "" {
		about := w.Ref.Name
		if s != nil {
			about = s.Pod
		} else if rev.object != "" {
			about = rev.object
		}
		events, err := r.events(ctx, w.Ref.Namespace, about)
		if err != nil {
			return p, err
		}
		s = FindStuck(fresh, events, conditions)
	}
	if w.Ref.Kind == StatefulSet && s == nil {
		// It waits for a broken pod of the version before as well, and does not
		// replace it by itself: https://github.com/kubernetes/kubernetes/issues/67250
		if o := FindStuck(old, nil, nil); o != nil && o.Reason.Hard() {
			s = o
			s.Detail = s.Pod + " still has the version before; a StatefulSet waits for it until somebody deletes it"
		}
	}
	p.Stuck = s
	return p, nil
}

// events returns what happened to one object, oldest first.
func (r *Reader) events(ctx context.Context, namespace, object string) ([]corev1.Event, error) {
	l, err := r.client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + object, Limit: 100})
	if err != nil {
		return nil, r.cluster.sentence(err, "look at the events of "+object)
	}
	slices.SortStableFunc(l.Items, func(a, b corev1.Event) int { return eventTime(a).Compare(eventTime(b)) })
	return l.Items, nil
}

func eventTime(e corev1.Event) time.Time {
	for _, t := range []time.Time{e.LastTimestamp.Time, e.EventTime.Time, e.FirstTimestamp.Time} {
		if !t.IsZero() {
			return t
		}
	}
	return e.CreationTimestamp.Time
}
