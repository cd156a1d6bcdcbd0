package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/aymanbagabas/go-udiff"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

const (
	fieldManager = "firstmate"
	// lastAction marks an object with the last action that was applied to it:
	// after a crash it tells an applied change from one that was not.
	lastAction = "firstmate-ops.github.io/last-action"
	// changeCause is what `kubectl rollout history` shows.
	changeCause = "kubernetes.io/change-cause"
	restartedAt = "kubectl.kubernetes.io/restartedAt"
	// applyTries is how often a patch is tried when the object's status
	// changes under it; each try looks at the object anew.
	applyTries = 8
)

// Writer changes a cluster. Only the ledger may hold one.
type Writer struct {
	cluster *Cluster
	mu      sync.Mutex
	clients map[string]kubernetes.Interface // by who is impersonated
}

// NewWriter returns a Writer. It talks to nobody yet.
func NewWriter(c *Cluster) *Writer {
	return &Writer{cluster: c, clients: map[string]kubernetes.Interface{}}
}

func (w *Writer) client(as As) (kubernetes.Interface, error) {
	key := strings.Join(append([]string{as.User}, as.Groups...), "\x00")
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.clients[key]; ok {
		return c, nil
	}
	c, err := kubernetes.NewForConfig(w.cluster.writing(as))
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	w.clients[key] = c
	return c, nil
}

// object is a workload in full, whatever its kind.
type object struct {
	meta     *metav1.ObjectMeta
	template *corev1.PodTemplateSpec
	replicas *int32 // nil for a DaemonSet
	whole    any
}

func (w *Writer) get(ctx context.Context, c kubernetes.Interface, ref Ref) (object, error) {
	a := c.AppsV1()
	switch ref.Kind {
	case Deployment:
		d, err := a.Deployments(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		return objectOf(d), err
	case StatefulSet:
		d, err := a.StatefulSets(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		return objectOf(d), err
	case DaemonSet:
		d, err := a.DaemonSets(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
		return objectOf(d), err
	}
	return object{}, fault.New(fault.NotUnderstood, "I cannot change a %s.", ref.Kind)
}

func (w *Writer) patch(ctx context.Context, c kubernetes.Interface, ref Ref, patch []byte, dryRun bool) (object, error) {
	opt := metav1.PatchOptions{FieldManager: fieldManager}
	if dryRun {
		opt.DryRun = []string{metav1.DryRunAll}
	}
	a := c.AppsV1()
	switch ref.Kind {
	case Deployment:
		d, err := a.Deployments(ref.Namespace).Patch(ctx, ref.Name, types.StrategicMergePatchType, patch, opt)
		return objectOf(d), err
	case StatefulSet:
		d, err := a.StatefulSets(ref.Namespace).Patch(ctx, ref.Name, types.StrategicMergePatchType, patch, opt)
		return objectOf(d), err
	case DaemonSet:
		d, err := a.DaemonSets(ref.Namespace).Patch(ctx, ref.Name, types.StrategicMergePatchType, patch, opt)
		return objectOf(d), err
	}
	return object{}, fault.New(fault.NotUnderstood, "I cannot change a %s.", ref.Kind)
}

func objectOf(o any) object {
	switch d := o.(type) {
	case *appsv1.Deployment:
		return object{&d.ObjectMeta, &d.Spec.Template, d.Spec.Replicas, d}
	case *appsv1.StatefulSet:
		return object{&d.ObjectMeta, &d.Spec.Template, d.Spec.Replicas, d}
	case *appsv1.DaemonSet:
		return object{&d.ObjectMeta, &d.Spec.Template, nil, d}
	}
	return object{}
}

// Plan completes a change against the object as it is now and asks the API
// server what it would do (a server-side dry-run, so that admission, quota and
// RBAC have their say). The returned Change carries what is there now as From.
func (w *Writer) Plan(ctx context.Context, c Change) (Change, Diff, error) {
	what := c.doing()
	client, err := w.client(c.As)
	if err != nil {
		return c, Diff{}, err
	}
	live, err := w.get(ctx, client, c.Ref)
	if err != nil {
		return c, Diff{}, w.cluster.sentence(err, what)
	}
	if c, err = c.onto(live); err != nil {
		return c, Diff{}, err
	}
	patch, err := c.patch("", "")
	if err != nil {
		return c, Diff{}, err
	}
	would, err := w.patch(ctx, client, c.Ref, patch, true)
	if err != nil {
		return c, Diff{}, w.cluster.sentence(err, what)
	}
	c.DeletePods = w.brokenPods(ctx, client, c, live)
	d := Diff{Generation: c.Generation, UID: c.UID}
	if d.Unified, err = diff(c.Ref, live, would); err != nil {
		return c, Diff{}, err
	}
	return c, d, nil
}

// Applied is what the API server answered to a change.
type Applied struct {
	Generation int64 // of the object with the change in it
	Already    bool  // it had been applied before, by an attempt that did not live to say so
}

// Apply makes the change, once for an id: a second call finds the mark of the
// first on the object. It fails with fault.Conflict where what the change
// starts from is not there any more.
func (w *Writer) Apply(ctx context.Context, c Change, id string) (Applied, error) {
	what := c.doing()
	client, err := w.client(c.As)
	if err != nil {
		return Applied{}, err
	}
	for try := 1; ; try++ {
		live, err := w.get(ctx, client, c.Ref)
		if err != nil {
			return Applied{}, w.cluster.sentence(err, what)
		}
		if live.meta.Annotations[lastAction] == id {
			w.deletePods(ctx, client, c)
			return Applied{Generation: live.meta.Generation, Already: true}, nil
		}
		if err := c.still(live); err != nil {
			return Applied{}, err
		}
		patch, err := c.patch(live.meta.ResourceVersion, id)
		if err != nil {
			return Applied{}, err
		}
		now, err := w.patch(ctx, client, c.Ref, patch, false)
		if apierrors.IsConflict(err) && try < applyTries {
			continue // the status moved on, or the spec: look again
		}
		if err != nil {
			return Applied{}, w.cluster.sentence(err, what)
		}
		w.deletePods(ctx, client, c)
		return Applied{Generation: now.meta.Generation}, nil
	}
}

// brokenPods finds the pods that a StatefulSet's roll-out would wait for in
// vain (https://github.com/kubernetes/kubernetes/issues/67250) and that the
// speaker may delete. Where that cannot be found out, the roll-out is tried
// without: the watch tells what holds it up.
func (w *Writer) brokenPods(ctx context.Context, client kubernetes.Interface, c Change, live object) []PodRef {
	set, ok := live.whole.(*appsv1.StatefulSet)
	if !ok || c.Verb != VerbImage && c.Verb != VerbTemplate || set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return nil
	}
	pods := client.CoreV1().Pods(c.Ref.Namespace)
	l, err := pods.List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(set.Spec.Selector)})
	if err != nil {
		return nil
	}
	var out []PodRef
	for i := range l.Items {
		p := &l.Items[i]
		if o := metav1.GetControllerOf(p); o == nil || string(o.UID) != c.UID {
			continue
		}
		if s := podTrouble(p); s == nil || !s.Reason.Hard() {
			continue
		}
		ref := PodRef{Name: p.Name, UID: string(p.UID)}
		if err := pods.Delete(ctx, p.Name, ref.options(metav1.DryRunAll)); err == nil {
			out = append(out, ref)
		}
	}
	return out
}

// options make a deletion one of this very pod.
func (p PodRef) options(dryRun ...string) metav1.DeleteOptions {
	uid := types.UID(p.UID)
	return metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, DryRun: dryRun}
}

// deletePods deletes what the change said it would. A pod that is gone, or
// that cannot be deleted any more, fails nothing: the watch tells what holds
// the roll-out up.
func (w *Writer) deletePods(ctx context.Context, client kubernetes.Interface, c Change) {
	for _, p := range c.DeletePods {
		_ = client.CoreV1().Pods(c.Ref.Namespace).Delete(ctx, p.Name, p.options()) // see above
	}
}

// doing is the change in words that follow "could not".
func (c Change) doing() string {
	switch c.Verb {
	case VerbScale:
		return "scale " + c.Ref.Name
	case VerbRestart:
		return "restart " + c.Ref.Name
	}
	return "change " + c.Ref.Name
}

// onto takes over from the object what the change starts from.
func (c Change) onto(live object) (Change, error) {
	c.UID, c.Generation = string(live.meta.UID), live.meta.Generation
	switch c.Verb {
	case VerbScale:
		if c.Ref.Kind == DaemonSet {
			return c, fault.New(fault.Refused, "%s is a DaemonSet: it runs one pod on each node, so it has no number to change.", c.Ref.Name)
		}
		c.FromReplicas = replicasOf(live)
	case VerbImage:
		for i, im := range c.Images {
			from, ok := imageOf(live, im.Container)
			if !ok {
				return c, fault.New(fault.NotFound, "%s has no container %s.", c.Ref.Name, im.Container)
			}
			c.Images[i].From = from
		}
		if len(c.Images) == 1 {
			c.FromVersion = Tag(c.Images[0].From)
		}
	case VerbTemplate:
		raw, err := json.Marshal(live.template)
		if err != nil {
			return c, fmt.Errorf("kube: %w", err)
		}
		c.FromTemplate = raw
		now := Workload{Ref: c.Ref}
		for _, e := range live.template.Spec.Containers {
			now.Containers = append(now.Containers, Container{Name: e.Name, Image: e.Image})
		}
		c.FromVersion = now.Version()
	case VerbRestart:
		if c.RestartedAt == "" {
			return c, fmt.Errorf("kube: a restart without a time")
		}
	}
	return c, nil
}

func replicasOf(o object) int32 {
	if o.replicas == nil {
		return 1 // the API's default
	}
	return *o.replicas
}

func imageOf(o object, container string) (string, bool) {
	for _, c := range o.template.Spec.Containers {
		if c.Name == container {
			return c.Image, true
		}
	}
	return "", false
}

// still checks that the object is as it was when the change was shown.
func (c Change) still(live object) error {
	if string(live.meta.UID) != c.UID {
		return fault.New(fault.Conflict, "%s was deleted and made anew meanwhile, so I left it alone. Ask me again.", c.Ref.Name)
	}
	if live.meta.Generation == c.Generation {
		return nil
	}
	is := ""           // what is there now, where it is not what the change starts from
	var field []string // where it is, in the terms of managedFields
	switch c.Verb {
	case VerbScale:
		field = []string{"f:spec", "f:replicas"}
		switch n := replicasOf(live); n {
		case c.FromReplicas:
		case 1:
			is = "runs 1 replica"
		default:
			is = fmt.Sprintf("runs %d replicas", n)
		}
	case VerbImage:
		for _, im := range c.Images {
			image, ok := imageOf(live, im.Container)
			if ok && image == im.From {
				continue
			}
			field = []string{"f:spec", "f:template", "f:spec", "f:containers", fmt.Sprintf(`k:{"name":%q}`, im.Container), "f:image"}
			switch {
			case !ok:
				is = "has no container " + im.Container
			case Repository(image) == Repository(im.From):
				is = "runs " + Tag(image)
			default: // the tag alone would not tell the difference
				is = "runs " + image
			}
		}
	case VerbTemplate:
		var from corev1.PodTemplateSpec
		if err := json.Unmarshal(c.FromTemplate, &from); err != nil {
			return fmt.Errorf("kube: %w", err)
		}
		if !equality.Semantic.DeepEqual(from, *live.template) {
			is = "has another pod template"
		}
	}
	if is == "" {
		return nil
	}
	by := ""
	if m := changedBy(live.meta, field); m != "" {
		by = " by " + m
	}
	return fault.New(fault.Conflict, "%s was changed%s meanwhile: it now %s. I left it alone; ask me again.", c.Ref.Name, by, is)
}

// changedBy names who gave a field its value: its owner, else who changed the
// object's spec last, controllers aside. A field's owner is the better answer,
// and the only one for kubectl scale, whose entry has no time.
func changedBy(m *metav1.ObjectMeta, field []string) string {
	var newest metav1.ManagedFieldsEntry
	for _, f := range m.ManagedFields {
		switch {
		case len(field) > 0 && owns(f, field):
			if f.Manager == controllerManager {
				return "an autoscaler" // no other controller sets what we change
			}
			return clip(f.Manager)
		case f.Subresource != "" || f.Time == nil || f.Manager == controllerManager:
		case newest.Time == nil || newest.Time.Before(f.Time):
			newest = f
		}
	}
	return clip(newest.Manager)
}

const controllerManager = "kube-controller-manager"

// owns reports whether an entry of managedFields holds a field.
func owns(f metav1.ManagedFieldsEntry, field []string) bool {
	if f.FieldsV1 == nil {
		return false
	}
	at := f.FieldsV1.GetRawBytes()
	for _, step := range field {
		var in map[string]json.RawMessage
		if json.Unmarshal(at, &in) != nil {
			return false // not what the API documents: nobody is named for it
		}
		next, ok := in[step]
		if !ok {
			return false
		}
		at = next
	}
	return true
}

// patch is the change as a strategic merge patch. A resourceVersion makes it
// conditional, an id leaves the mark of the action.
func (c Change) patch(resourceVersion, id string) ([]byte, error) {
	annotations := map[string]any{}
	if id != "" {
		annotations[lastAction] = id
	}
	spec := map[string]any{}
	switch c.Verb {
	case VerbScale:
		spec["replicas"] = c.ToReplicas
	case VerbImage:
		containers := make([]any, len(c.Images))
		for i, im := range c.Images {
			containers[i] = map[string]any{"name": im.Container, "image": im.To}
		}
		spec["template"] = map[string]any{"spec": map[string]any{"containers": containers}}
	case VerbRestart:
		spec["template"] = map[string]any{"metadata": map[string]any{"annotations": map[string]any{restartedAt: c.RestartedAt}}}
	case VerbTemplate:
		var t map[string]any
		if err := json.Unmarshal(c.ToTemplate, &t); err != nil {
			return nil, fmt.Errorf("kube: %w", err)
		}
		t["$patch"] = "replace"
		spec["template"] = t
	default:
		return nil, fmt.Errorf("kube: unknown verb %q", c.Verb)
	}
	if c.Verb != VerbScale && c.Cause != "" {
		annotations[changeCause] = c.Cause
	}
	meta := map[string]any{"annotations": annotations}
	if resourceVersion != "" {
		meta["resourceVersion"] = resourceVersion
	}
	b, err := json.Marshal(map[string]any{"metadata": meta, "spec": spec})
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	return b, nil
}

// diff compares two states of an object as YAML, without what the server
// manages and without firstmate's own marks.
func diff(ref Ref, before, after object) (string, error) {
	a, err := shown(before)
	if err != nil {
		return "", err
	}
	b, err := shown(after)
	if err != nil {
		return "", err
	}
	name := strings.ToLower(ref.Kind) + "/" + ref.Name
	return udiff.Unified(name+" now", name+" then", a, b), nil
}

func shown(o object) (string, error) {
	raw, err := json.Marshal(o.whole)
	if err != nil {
		return "", fmt.Errorf("kube: %w", err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return "", fmt.Errorf("kube: %w", err)
	}
	delete(m, "status")
	if meta, ok := m["metadata"].(map[string]any); ok {
		for _, k := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"} {
			delete(meta, k)
		}
		if an, ok := meta["annotations"].(map[string]any); ok {
			for _, k := range []string{lastAction, changeCause, corev1.LastAppliedConfigAnnotation, appsv1.DeprecatedTemplateGeneration} {
				delete(an, k)
			}
			if len(an) == 0 {
				delete(meta, "annotations")
			}
		}
	}
	y, err := yaml.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("kube: %w", err)
	}
	return string(y), nil
}
