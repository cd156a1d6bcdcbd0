package kube

import (
	"unique"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// slim keeps of a watched object what is read of it: a cache of 5,000 pods
// would otherwise be mostly managedFields, volumes and environment variables.
// (What must be complete, as for a diff or a roll-back, is asked for anew.)
func slim(o any) (any, error) {
	switch d := o.(type) {
	case *corev1.Pod:
		return slimPod(d), nil
	case *appsv1.Deployment:
		slimMeta(&d.ObjectMeta)
		d.Spec.Template = slimTemplate(d.Spec.Template)
	case *appsv1.StatefulSet:
		slimMeta(&d.ObjectMeta)
		d.Spec.Template = slimTemplate(d.Spec.Template)
		d.Spec.VolumeClaimTemplates = nil
	case *appsv1.DaemonSet:
		slimMeta(&d.ObjectMeta)
		d.Spec.Template = slimTemplate(d.Spec.Template)
	case *corev1.Node:
		return slimNode(d), nil
	case *batchv1.CronJob:
		slimMeta(&d.ObjectMeta)
		d.Spec.JobTemplate = batchv1.JobTemplateSpec{}
	case *batchv1.Job:
		return slimJob(d), nil
	case *corev1.Namespace:
		slimMeta(&d.ObjectMeta)
	case *corev1.Service:
		return slimService(d), nil
	case *autoscalingv2.HorizontalPodAutoscaler:
		slimMeta(&d.ObjectMeta)
		d.Spec.Behavior = nil
	}
	return o, nil
}

func slimService(s *corev1.Service) *corev1.Service {
	out := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: s.Name, Namespace: one(s.Namespace), UID: s.UID, ResourceVersion: s.ResourceVersion}}
	out.Labels, out.Spec.Selector = ones(s.Labels), ones(s.Spec.Selector)
	out.Spec.ClusterIP, out.Spec.Ports = s.Spec.ClusterIP, s.Spec.Ports
	return out
}

func slimNode(n *corev1.Node) *corev1.Node {
	out := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion}}
	out.Spec.Unschedulable = n.Spec.Unschedulable
	for _, c := range n.Status.Conditions {
		out.Status.Conditions = append(out.Status.Conditions, corev1.NodeCondition{
			Type: corev1.NodeConditionType(one(string(c.Type))), Status: corev1.ConditionStatus(one(string(c.Status))),
			Reason: one(c.Reason), Message: one(c.Message), LastTransitionTime: c.LastTransitionTime,
		})
	}
	return out
}

func slimJob(j *batchv1.Job) *batchv1.Job {
	out := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Name: j.Name, Namespace: one(j.Namespace), UID: j.UID, ResourceVersion: j.ResourceVersion, Generation: j.Generation,
		CreationTimestamp: j.CreationTimestamp, DeletionTimestamp: j.DeletionTimestamp,
	}}
	if o := metav1.GetControllerOf(j); o != nil {
		yes := true
		out.OwnerReferences = []metav1.OwnerReference{{APIVersion: one(o.APIVersion), Kind: one(o.Kind), Name: one(o.Name), UID: types.UID(one(string(o.UID))), Controller: &yes}}
	}
	out.Spec.Suspend = j.Spec.Suspend
	out.Status = j.Status
	out.Status.UncountedTerminatedPods = nil
	return out
}

func slimMeta(m *metav1.ObjectMeta) {
	m.ManagedFields, m.Finalizers = nil, nil
	id, ok := m.Annotations[lastAction]
	m.Annotations = nil
	if ok {
		m.Annotations = map[string]string{lastAction: id}
	}
}

func slimTemplate(t corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	var out corev1.PodTemplateSpec
	out.Labels = ones(t.Labels)
	for _, c := range t.Spec.Containers {
		out.Spec.Containers = append(out.Spec.Containers, corev1.Container{Name: one(c.Name), Image: one(c.Image), Ports: c.Ports})
	}
	return out
}

// revisionLabels say which revision of its workload a pod is of.
var revisionLabels = [...]string{appsv1.DefaultDeploymentUniqueLabelKey, appsv1.ControllerRevisionHashLabelKey}

// one returns a string that is shared by all who hold the same text: pods of a
// workload differ in little.
func one(s string) string { return unique.Make(s).Value() }

// ones are labels that are shared in the same way.
func ones(in map[string]string) map[string]string {
	if in == nil {
		return nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[one(k)] = one(v)
	}
	return out
}

func slimPod(p *corev1.Pod) *corev1.Pod {
	out := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: p.Name, Namespace: one(p.Namespace), UID: p.UID, ResourceVersion: p.ResourceVersion,
		CreationTimestamp: p.CreationTimestamp, DeletionTimestamp: p.DeletionTimestamp,
	}}
	for _, l := range revisionLabels {
		if v, ok := p.Labels[l]; ok {
			if out.Labels == nil {
				out.Labels = make(map[string]string, 1)
			}
			out.Labels[l] = one(v)
		}
	}
	if c := p.Annotations[defaultContainer]; c != "" {
		out.Annotations = map[string]string{defaultContainer: one(c)}
	}
	yes := true
	for _, o := range p.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			out.OwnerReferences = []metav1.OwnerReference{{
				APIVersion: one(o.APIVersion), Kind: one(o.Kind), Name: one(o.Name), UID: types.UID(one(string(o.UID))), Controller: &yes,
			}}
		}
	}
	out.Spec.NodeName = one(p.Spec.NodeName)
	out.Status.Phase, out.Status.Reason = corev1.PodPhase(one(string(p.Status.Phase))), one(p.Status.Reason)
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady || c.Type == corev1.PodScheduled && c.Status != corev1.ConditionTrue {
			out.Status.Conditions = append(out.Status.Conditions, corev1.PodCondition{
				Type: corev1.PodConditionType(one(string(c.Type))), Status: corev1.ConditionStatus(one(string(c.Status))), Reason: one(c.Reason), Message: one(c.Message),
			})
		}
	}
	out.Status.InitContainerStatuses = slimStatuses(p.Status.InitContainerStatuses)
	out.Status.ContainerStatuses = slimStatuses(p.Status.ContainerStatuses)
	return out
}

func slimStatuses(in []corev1.ContainerStatus) []corev1.ContainerStatus {
	if len(in) == 0 {
		return nil
	}
	out := make([]corev1.ContainerStatus, len(in))
	for i, c := range in {
		out[i] = corev1.ContainerStatus{
			Name: one(c.Name), Image: one(c.Image), Ready: c.Ready, RestartCount: c.RestartCount,
			State: c.State, LastTerminationState: c.LastTerminationState,
		}
	}
	return out
}
