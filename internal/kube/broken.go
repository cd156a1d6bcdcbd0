package kube

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// brokenPods finds the pods that a StatefulSet's roll-out would wait for in
// vain (https://github.com/kubernetes/kubernetes/issues/67250) and that the
// speaker may delete. Where that cannot be found out, the roll-out is tried
// without: the watch tells what holds it up.
func brokenPods(ctx context.Context, a api, c Change, live object) []PodRef {
	set, ok := live.whole.(*appsv1.StatefulSet)
	if !ok || c.Verb != VerbImage && c.Verb != VerbTemplate || set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return nil
	}
	l, err := a.client.CoreV1().Pods(c.Ref.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(set.Spec.Selector)})
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
		if err := a.delete(ctx, podOf(c, p.Name), string(p.UID), true); err == nil {
			out = append(out, PodRef{Name: p.Name, UID: string(p.UID)})
		}
	}
	return out
}

func podOf(c Change, name string) Ref {
	return Ref{Cluster: c.Ref.Cluster, Namespace: c.Ref.Namespace, Kind: Pod, Name: name}
}

// deletePods deletes what the change said it would. A pod that is gone, or
// that cannot be deleted any more, fails nothing: the watch tells what holds
// the roll-out up.
func deletePods(ctx context.Context, a api, c Change) {
	for _, p := range c.DeletePods {
		_ = a.delete(ctx, podOf(c, p.Name), p.UID, false) // see above
	}
}
