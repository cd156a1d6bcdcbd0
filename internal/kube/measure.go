package kube

import "context"

// MayMeasure is nil: who asks a Fleet sees what the process sees.
func (f *Fleet) MayMeasure(context.Context, Ref) error { return nil }

// MayMeasure refuses where the person of a context may not look themselves at
// what a number is about: the pods of a namespace, those of all where there is
// none, or the nodes.
func (v *View) MayMeasure(ctx context.Context, ref Ref) error {
	if ref.Kind == Node {
		return v.need(ctx, ref.Cluster, Right{Verb: "list", Resource: "nodes"})
	}
	return v.need(ctx, ref.Cluster, Right{Verb: "list", Resource: "pods", Namespace: ref.Namespace})
}
