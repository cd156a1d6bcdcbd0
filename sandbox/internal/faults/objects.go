package faults

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
)

// Objects are the faults that are wrong objects and nothing else: what a person
// did to the shop that they should not have done, with their own rights.
func Objects(rc *rest.Config) (map[string]Fault, error) {
	h, err := newHands(rc)
	if err != nil {
		return nil, err
	}
	return map[string]Fault{
		"image-typo": &rollOut{hands: h, workload: "checkout", symptom: "not starting", change: func(t *corev1.PodTemplateSpec) string {
			setTag(t, "v1.O.1") // for v1.0.1
			return "checkout v1.0.1"
		}},
		"missing-env": &rollOut{hands: h, workload: "checkout", symptom: "not starting", change: func(t *corev1.PodTemplateSpec) string {
			setTag(t, "v1.4.0") // which wants to know where the payments are
			return "checkout v1.4.0"
		}},
		"strict-probe": &rollOut{hands: h, workload: "checkout", symptom: "not starting", change: func(t *corev1.PodTemplateSpec) string {
			t.Spec.Containers[0].LivenessProbe = &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}},
				PeriodSeconds: 1, TimeoutSeconds: 1, FailureThreshold: 2,
			}
			return "checkout: restart hanging pods sooner"
		}},
		"wrong-selector": &edit{hands: h, service: "checkout", symptom: "failing", change: func(s *corev1.ServiceSpec) {
			s.Selector = map[string]string{"app": "checkout", "release": "stable"} // a label that no pod has
		}},
		"wrong-port": &edit{hands: h, service: "checkout", symptom: "failing", change: func(s *corev1.ServiceSpec) {
			s.Ports[0].TargetPort = intstr.FromInt32(8081)
		}},
		"network-policy": &made{hands: h, asked: "checkout", symptom: "failing", make: allowOnly, remove: func(ctx context.Context, h *hands) error {
			return gone(h.person.NetworkingV1().NetworkPolicies(namespace).Delete(ctx, policyName, metav1.DeleteOptions{}))
		}},
		"pvc-unbound": &after{
			first: &made{hands: h, make: claim, remove: func(ctx context.Context, h *hands) error {
				return gone(h.person.CoreV1().PersistentVolumeClaims(namespace).Delete(ctx, claimName, metav1.DeleteOptions{}))
			}},
			then: &rollOut{hands: h, workload: "search", symptom: "not starting", about: []string{claimName}, change: func(t *corev1.PodTemplateSpec) string {
				t.Spec.Volumes = append(t.Spec.Volumes, corev1.Volume{Name: "index", VolumeSource: corev1.VolumeSource{
					PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claimName},
				}})
				c := &t.Spec.Containers[0]
				c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "index", MountPath: "/var/lib/search"})
				return "search: keep the index over restarts"
			}},
		},
		"quota": &after{
			first: &made{hands: h, make: limitNamespace, remove: func(ctx context.Context, h *hands) error {
				return gone(h.admin.CoreV1().ResourceQuotas(namespace).Delete(ctx, quotaName, metav1.DeleteOptions{}))
			}},
			then: &rollOut{hands: h, workload: "checkout", symptom: "not starting", change: func(t *corev1.PodTemplateSpec) string {
				setTag(t, "v1.1.0")
				return "checkout v1.1.0"
			}},
		},
		"node-down": &nodeDown{hands: h},
	}, nil
}

const (
	policyName = "checkout-ingress"
	claimName  = "search-index"
	quotaName  = "shop-budget"
)

// allowOnly makes a policy that forgot who calls checkout.
func allowOnly(ctx context.Context, h *hands) error {
	_, err := h.person.NetworkingV1().NetworkPolicies(namespace).Create(ctx, &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: policyName},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "checkout"}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
				{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web-admin"}}},
			}}},
		},
	}, metav1.CreateOptions{FieldManager: applied})
	return err
}

// claim asks for storage of a class that there is none of.
func claim(ctx context.Context, h *hands) error {
	class := "fast-ssd"
	_, err := h.person.CoreV1().PersistentVolumeClaims(namespace).Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claimName, Labels: map[string]string{"app": "search"}},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("20Gi")}},
		},
	}, metav1.CreateOptions{FieldManager: applied})
	return err
}

// limitNamespace makes a quota that has room for what runs and nothing else, and
// waits until it is counted.
func limitNamespace(ctx context.Context, h *hands) error {
	pods, err := h.admin.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var cpu resource.Quantity
	for _, p := range pods.Items {
		if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		for _, c := range p.Spec.Containers {
			cpu.Add(c.Resources.Requests[corev1.ResourceCPU])
		}
	}
	// Somebody rounded it up to a tenth of a core.
	hard := *resource.NewMilliQuantity((cpu.MilliValue()+99)/100*100, resource.DecimalSI)
	quotas := h.admin.CoreV1().ResourceQuotas(namespace)
	if _, err := quotas.Create(ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: quotaName},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceRequestsCPU: hard}},
	}, metav1.CreateOptions{FieldManager: applied}); err != nil {
		return err
	}
	return h.wait(ctx, "the quota is counted", func(ctx context.Context) bool {
		q, err := quotas.Get(ctx, quotaName, metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) > 0
	})
}

// setTag changes the image of a pod's first container.
func setTag(t *corev1.PodTemplateSpec, tag string) {
	c := &t.Spec.Containers[0]
	for i := len(c.Image) - 1; i >= 0 && c.Image[i] != '/'; i-- {
		if c.Image[i] == ':' {
			c.Image = c.Image[:i]
			break
		}
	}
	c.Image = fmt.Sprintf("%s:%s", c.Image, tag)
}
