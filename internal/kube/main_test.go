package kube_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

var sandbox *sandboxtest.Sandbox

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait for controllers most of their time, not for a processor.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(sandboxtest.Main(m, func(s *sandboxtest.Sandbox) { sandbox = s }, "--empty"))
}

var discard = slog.New(slog.DiscardHandler)

// patience is how long the controllers may take on a busy machine.
const patience = 40 * time.Second

func ptr[T any](v T) *T { return &v }

// ok fails the test at once where there is an error.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func get[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

var adminClient = sync.OnceValues(func() (*kubernetes.Clientset, error) {
	rc, err := clientcmd.BuildConfigFromFlags("", sandbox.Kubeconfig)
	if err != nil {
		return nil, err
	}
	rc.QPS, rc.Burst = 500, 500
	return kubernetes.NewForConfig(rc)
})

// admin is a client that may do all, to prepare and to look.
func admin(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	sandboxtest.Need(t, sandbox)
	return get[*kubernetes.Clientset](t)(adminClient())
}

func cluster(t *testing.T) *kube.Cluster {
	t.Helper()
	sandboxtest.Need(t, sandbox)
	return get[*kube.Cluster](t)(kube.Connect(sandbox.Kubeconfig, "", ""))
}

func reader(t *testing.T, c *kube.Cluster, opt kube.ReaderOptions) *kube.Reader {
	t.Helper()
	r := get[*kube.Reader](t)(kube.NewReader(c, opt, discard))
	ok(t, r.Start(t.Context()))
	return r
}

var shared = sync.OnceValues(func() (*kube.Reader, error) {
	c, err := kube.Connect(sandbox.Kubeconfig, "", "")
	if err != nil {
		return nil, err
	}
	r, err := kube.NewReader(c, kube.ReaderOptions{}, discard)
	if err != nil {
		return nil, err
	}
	return r, r.Start(context.Background()) // ends with the process
})

// watching is the one Reader that most tests share.
func watching(t *testing.T) *kube.Reader {
	t.Helper()
	sandboxtest.Need(t, sandbox)
	return get[*kube.Reader](t)(shared())
}

var spaces atomic.Int32

// space makes a namespace for one test.
func space(t *testing.T) string {
	t.Helper()
	ns := fmt.Sprintf("t%d", spaces.Add(1))
	_, err := admin(t).CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{"test": ns}}}, metav1.CreateOptions{})
	ok(t, err)
	return ns
}

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: ptr[int64](0),
			Containers:                    []corev1.Container{{Name: "web", Image: image, Env: []corev1.EnvVar{{Name: "A", Value: "1"}}}},
		},
	}
}

// create makes a workload called web with two pods (a DaemonSet: one a node).
func create(t *testing.T, ns, kind, image string, change ...func(*appsv1.Deployment)) kube.Ref {
	t.Helper()
	meta := metav1.ObjectMeta{Name: "web", Namespace: ns}
	sel := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	a, ctx, opt := admin(t).AppsV1(), t.Context(), metav1.CreateOptions{FieldManager: "setup"}
	var err error
	switch kind {
	case kube.Deployment:
		d := &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: ptr[int32](2), Selector: sel, Template: template(image)}}
		for _, c := range change {
			c(d)
		}
		_, err = a.Deployments(ns).Create(ctx, d, opt)
	case kube.StatefulSet:
		_, err = a.StatefulSets(ns).Create(ctx, &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Replicas: ptr[int32](2), Selector: sel, Template: template(image)}}, opt)
	case kube.DaemonSet:
		_, err = a.DaemonSets(ns).Create(ctx, &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: sel, Template: template(image)}}, opt)
	}
	ok(t, err)
	return kube.Ref{Cluster: watching(t).Cluster(), Namespace: ns, Kind: kind, Name: "web"}
}

// live is a workload as the API server has it.
type live struct {
	metav1.ObjectMeta
	Template corev1.PodTemplateSpec
	Replicas int32
}

func look(t *testing.T, ref kube.Ref) live {
	t.Helper()
	a, ctx := admin(t).AppsV1(), t.Context()
	switch ref.Kind {
	case kube.Deployment:
		d := get[*appsv1.Deployment](t)(a.Deployments(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{}))
		return live{d.ObjectMeta, d.Spec.Template, *d.Spec.Replicas}
	case kube.StatefulSet:
		d := get[*appsv1.StatefulSet](t)(a.StatefulSets(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{}))
		return live{d.ObjectMeta, d.Spec.Template, *d.Spec.Replicas}
	}
	d := get[*appsv1.DaemonSet](t)(a.DaemonSets(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{}))
	return live{d.ObjectMeta, d.Spec.Template, 0}
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// follow watches a roll-out until it is as wanted, and returns what it saw, each
// story once.
func follow(t *testing.T, r *kube.Reader, ref kube.Ref, generation int64, until func(kube.Progress) bool) (seen []kube.Progress) {
	t.Helper()
	eventually(t, "the reader sees it", func() bool { _, err := r.Get(t.Context(), ref); return err == nil })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for w, err := range r.WatchRollout(ctx, ref, generation) {
		if err != nil {
			t.Fatalf("%v; seen until then: %s", err, story(seen))
		}
		if len(seen) == 0 || !seen[len(seen)-1].Same(w.Progress) {
			seen = append(seen, w.Progress)
		}
		if until(w.Progress) {
			return seen
		}
	}
	t.Fatal("the watch ended by itself")
	return nil
}

func story(ps []kube.Progress) string {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintf(&b, "\n  %s %+v", p.Message(), p)
		if p.Stuck != nil {
			fmt.Fprintf(&b, " stuck %+v", *p.Stuck)
		}
	}
	return b.String()
}

func settled(t *testing.T, ref kube.Ref) {
	t.Helper()
	// A controller that has not seen a new object yet leaves zero counts, which
	// look settled for a DaemonSet.
	follow(t, watching(t), ref, look(t, ref).Generation, func(p kube.Progress) bool { return p.Done() && p.Ready > 0 })
}

func planned(t *testing.T, w *kube.Writer, c kube.Change) kube.Change {
	t.Helper()
	c, _, err := w.Plan(t.Context(), c)
	ok(t, err)
	return c
}

func applied(t *testing.T, w *kube.Writer, c kube.Change, id string) kube.Applied {
	t.Helper()
	return get[kube.Applied](t)(w.Apply(t.Context(), c, id))
}

func toImage(ref kube.Ref, image string) kube.Change {
	return kube.Change{Ref: ref, Verb: kube.VerbImage, Images: []kube.ImageChange{{Container: "web", To: image}}, ToVersion: kube.Tag(image), Cause: "a test"}
}

func toScale(ref kube.Ref, n int32) kube.Change {
	return kube.Change{Ref: ref, Verb: kube.VerbScale, ToReplicas: n}
}

func everyKind(t *testing.T, f func(t *testing.T, kind string)) {
	t.Helper()
	for _, kind := range []string{kube.Deployment, kube.StatefulSet, kube.DaemonSet} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f(t, kind)
		})
	}
}
