package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/firstmate-ops/firstmate/sandbox/internal/kube"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

// rollOutLimit is how long a roll-out may take; nodes that are simulated need
// seconds.
const rollOutLimit = 90 * time.Second

// cluster is what faults do to the cluster, as people do it.
type cluster struct{ client kubernetes.Interface }

func (k *cluster) deployment(ctx context.Context, name string) (*appsv1.Deployment, error) {
	return k.client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
}

// patch changes a Deployment and waits until it is rolled out.
func (k *cluster) patch(ctx context.Context, name string, change map[string]any) error {
	b, err := json.Marshal(change)
	if err != nil {
		return err
	}
	if _, err := k.client.AppsV1().Deployments(namespace).Patch(ctx, name, types.StrategicMergePatchType, b, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("changing %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, rollOutLimit)
	defer cancel()
	return kube.WaitFor(ctx, name+" is rolled out", 200*time.Millisecond, func(ctx context.Context) bool {
		d, err := k.deployment(ctx, name)
		if err != nil {
			return false
		}
		s, want := d.Status, *d.Spec.Replicas
		return s.ObservedGeneration >= d.Generation && s.Replicas == want && s.UpdatedReplicas == want && s.AvailableReplicas == want
	})
}

// template is a change of a Deployment's pods: of its first container and of the
// pods' annotations.
func template(cause string, container map[string]any, annotations map[string]any) map[string]any {
	spec := map[string]any{}
	if container != nil {
		spec["containers"] = []any{container}
	}
	return map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{"kubernetes.io/change-cause": cause}},
		"spec":     map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": annotations}, "spec": spec}},
	}
}

// release is a new version, rolled out.
type release struct {
	cluster   *cluster
	shop      Shop
	workload  string
	behaviour model.Behaviour
	asked     Asked
	before    string // the image; "" while it is off
}

func (r *release) Asked() Asked { return r.asked }

func (r *release) On(ctx context.Context) error {
	d, err := r.cluster.deployment(ctx, r.workload)
	if err != nil {
		return err
	}
	image := d.Spec.Template.Spec.Containers[0].Image
	next, err := nextImage(image)
	if err != nil {
		return err
	}
	r.before = image
	r.shop.Change(func(c *model.Conditions) {
		model.Set(&c.Versions, model.Version{ID: service(r.workload), Tag: tag(next)}, r.behaviour)
	})
	if err := r.roll(ctx, d, next); err != nil {
		return err
	}
	return nil
}

func (r *release) Off(ctx context.Context) error {
	if r.before == "" {
		return nil
	}
	d, err := r.cluster.deployment(ctx, r.workload)
	if err != nil {
		return err
	}
	// Somebody may have rolled it back meanwhile.
	if d.Spec.Template.Spec.Containers[0].Image != r.before {
		if err := r.roll(ctx, d, r.before); err != nil {
			return err
		}
	}
	next, err := nextImage(r.before)
	if err != nil {
		return err
	}
	r.shop.Change(func(c *model.Conditions) {
		delete(c.Versions, model.Version{ID: service(r.workload), Tag: tag(next)})
	})
	r.before = ""
	return nil
}

func (r *release) roll(ctx context.Context, d *appsv1.Deployment, image string) error {
	return r.cluster.patch(ctx, r.workload, template(r.workload+" "+tag(image),
		map[string]any{"name": d.Spec.Template.Spec.Containers[0].Name, "image": image}, nil))
}

func tag(image string) string { return image[strings.LastIndex(image, ":")+1:] }

var lastNumber = regexp.MustCompile(`(\d+)([^\d]*)$`)

// nextImage is the image whose tag's last number is one more.
func nextImage(image string) (string, error) {
	t := tag(image)
	m := lastNumber.FindStringSubmatchIndex(t)
	if m == nil || m[4] != m[5] {
		return "", fmt.Errorf("the tag of %q ends with no number", image)
	}
	n, err := strconv.Atoi(t[m[2]:m[3]])
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(image, t) + t[:m[2]] + strconv.Itoa(n+1), nil
}

// leak is a version that does not give memory back.
type leak struct {
	cluster  *cluster
	shop     Shop
	workload string
	rate     float64 // bytes a second
	version  model.Version
}

func (l *leak) Asked() Asked { return Asked{l.workload, "failing"} }

// On returns at once; the first container is full some minutes later.
func (l *leak) On(ctx context.Context) error {
	d, err := l.cluster.deployment(ctx, l.workload)
	if err != nil {
		return err
	}
	l.version = model.Version{ID: service(l.workload), Tag: tag(d.Spec.Template.Spec.Containers[0].Image)}
	l.leaks(l.rate)
	return nil
}

func (l *leak) Off(ctx context.Context) error {
	l.leaks(0)
	return nil
}

// leaks changes this one thing of how the version behaves.
func (l *leak) leaks(rate float64) {
	l.shop.Change(func(c *model.Conditions) {
		b := c.Versions[l.version]
		b.Leak = rate
		model.Set(&c.Versions, l.version, b)
	})
}

// limit is a CPU limit that somebody has lowered too far.
type limit struct {
	cluster  *cluster
	shop     Shop
	workload string
	before   *corev1.ResourceRequirements
}

func (l *limit) Asked() Asked { return Asked{l.workload, "slow"} }

func (l *limit) On(ctx context.Context) error {
	d, err := l.cluster.deployment(ctx, l.workload)
	if err != nil {
		return err
	}
	c := d.Spec.Template.Spec.Containers[0]
	before := c.Resources.DeepCopy()
	// What a pod of checkout needs at this hour is about three quarters of it.
	cpu := resource.NewMilliQuantity(int64(math.Round(5+(.085*l.shop.Load(time.Now())+.012)*1000/.75/5)*5), resource.DecimalSI)
	after := before.DeepCopy()
	after.Limits[corev1.ResourceCPU], after.Requests[corev1.ResourceCPU] = *cpu, *cpu
	l.before = before
	if err := l.cluster.patch(ctx, l.workload, template("save CPU", map[string]any{"name": c.Name, "resources": after}, nil)); err != nil {
		return err
	}
	return nil
}

func (l *limit) Off(ctx context.Context) error {
	if l.before == nil {
		return nil
	}
	d, err := l.cluster.deployment(ctx, l.workload)
	if err != nil {
		return err
	}
	c := d.Spec.Template.Spec.Containers[0]
	if err := l.cluster.patch(ctx, l.workload, template(l.workload+" "+tag(c.Image), map[string]any{"name": c.Name, "resources": l.before}, nil)); err != nil {
		return err
	}
	l.before = nil
	return nil
}

// setting is a value in a ConfigMap that was changed, and the restart that makes
// it count.
type setting struct {
	cluster                         *cluster
	shop                            Shop
	workload, configMap, key, value string
	before                          string
}

func (s *setting) Asked() Asked { return Asked{s.workload, "failing"} }

func (s *setting) On(ctx context.Context) error {
	cm, err := s.cluster.client.CoreV1().ConfigMaps(namespace).Get(ctx, s.configMap, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if cm.Data[s.key] == "" {
		return fmt.Errorf("ConfigMap %s has no %s", s.configMap, s.key)
	}
	before := cm.Data[s.key]
	if err := s.set(ctx, s.value); err != nil {
		return err
	}
	s.before = before
	return nil
}

func (s *setting) Off(ctx context.Context) error {
	if s.before == "" {
		return nil
	}
	if err := s.set(ctx, s.before); err != nil {
		return err
	}
	s.before = ""
	return nil
}

func (s *setting) set(ctx context.Context, value string) error {
	b, err := json.Marshal(map[string]any{"data": map[string]string{s.key: value}})
	if err != nil {
		return err
	}
	if _, err := s.cluster.client.CoreV1().ConfigMaps(namespace).Patch(ctx, s.configMap, types.MergePatchType, b, metav1.PatchOptions{}); err != nil {
		return err
	}
	// As "kubectl rollout restart" does.
	return s.cluster.patch(ctx, s.workload, map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
		"annotations": map[string]any{"kubectl.kubernetes.io/restartedAt": time.Now().Format(time.RFC3339)},
	}}}})
}

// crowd is so many searches that the autoscaler has no pods left to add.
type crowd struct {
	cluster *cluster
	shop    Shop
}

func (c *crowd) Asked() Asked { return Asked{"search", "slow"} }

func (c *crowd) On(ctx context.Context) error {
	hpa, err := c.cluster.client.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(ctx, "search", metav1.GetOptions{})
	if err != nil {
		return err
	}
	// A little more than its pods could do at their limit of a core: each query
	// takes 40 ms of it, and five a second come in the busiest hour.
	rate := float64(hpa.Spec.MaxReplicas) / .04 * .99
	c.shop.Change(func(cond *model.Conditions) {
		model.Set(&cond.Entries, model.At{ID: service("frontend"), Route: 1}, rate/5/c.shop.Load(time.Now()))
	})
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	return kube.WaitFor(ctx, "the autoscaler of search is at its maximum", kube.Seldom, func(ctx context.Context) bool {
		hpa, err := c.cluster.client.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(ctx, "search", metav1.GetOptions{})
		return err == nil && hpa.Status.CurrentReplicas >= hpa.Spec.MaxReplicas
	})
}

// Off ends the crowd; the autoscaler takes the pods away in its own time.
func (c *crowd) Off(ctx context.Context) error {
	c.shop.Change(func(cond *model.Conditions) { delete(cond.Entries, model.At{ID: service("frontend"), Route: 1}) })
	return nil
}

// neighbour is a program that takes all of the CPU of a node that the shop runs on.
type neighbour struct {
	cluster *cluster
	shop    Shop
}

const (
	neighbourNamespace = "analytics"
	neighbourName      = "month-end-export"
)

func (n *neighbour) Asked() Asked { return Asked{"checkout", "slow"} }

func (n *neighbour) On(ctx context.Context) error {
	pods, err := n.cluster.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=checkout"})
	if err != nil {
		return err
	}
	if len(pods.Items) == 0 || pods.Items[0].Spec.NodeName == "" {
		return errors.New("checkout has no pod to be a neighbour of")
	}
	_, err = n.cluster.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: neighbourNamespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	labels := map[string]string{"app": neighbourName, "app.kubernetes.io/name": neighbourName}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: neighbourName, Namespace: neighbourNamespace, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": neighbourName}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					NodeSelector: map[string]string{corev1.LabelHostname: pods.Items[0].Spec.NodeName},
					Containers: []corev1.Container{{
						Name: "export", Image: "registry.example.com/analytics/export:0.9",
						Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m"), corev1.ResourceMemory: resource.MustParse("1Gi")}},
					}},
				},
			},
		},
	}
	deployments := n.cluster.client.AppsV1().Deployments(neighbourNamespace)
	if _, err := deployments.Create(ctx, d, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	n.shop.Change(func(c *model.Conditions) {
		model.Set(&c.Hogs, model.ID{Namespace: neighbourNamespace, Name: neighbourName}, 1000)
	})
	wait, cancel := context.WithTimeout(ctx, rollOutLimit)
	defer cancel()
	if err := kube.WaitFor(wait, neighbourName+" runs", 200*time.Millisecond, func(ctx context.Context) bool {
		d, err := deployments.Get(ctx, neighbourName, metav1.GetOptions{})
		return err == nil && d.Status.AvailableReplicas > 0
	}); err != nil {
		return err
	}
	return nil
}

func (n *neighbour) Off(ctx context.Context) error {
	policy := metav1.DeletePropagationForeground
	err := n.cluster.client.AppsV1().Deployments(neighbourNamespace).Delete(ctx, neighbourName, metav1.DeleteOptions{PropagationPolicy: &policy})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	n.shop.Change(func(c *model.Conditions) {
		delete(c.Hogs, model.ID{Namespace: neighbourNamespace, Name: neighbourName})
	})
	return nil
}
