package kube

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"
)

// lagLook is how often it is looked whether a watch has caught up.
const lagLook = 5 * time.Millisecond

// CatchUp waits until the watches hold an object as the API server has it now,
// or hold it no more where it is gone, or ctx ends: who is told that something
// was done, and asks at once how it is, must not hear how it was. It returns at
// once for what is not watched, and where the API server does not say.
func (r *Reader) CatchUp(ctx context.Context, ref Ref) {
	inf := r.watchOf(ref.Kind)
	if inf == nil {
		return
	}
	key := cache.NewObjectName(ref.Namespace, ref.Name).String()
	seen := func() object {
		o, _, _ := inf.GetStore().GetByKey(key) // a cache cannot fail
		return objectOf(o)
	}
	before := seen() // first: what is gone by the answer may have a successor of its name
	live, err := there(ctx, api{r.cluster, r.client}, ref)
	if err != nil {
		r.log.DebugContext(ctx, "the watch is not waited for", "object", ref, "err", err)
		return
	}
	if upToDate(before, seen(), live) {
		return
	}
	tick := time.NewTicker(lagLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			r.log.WarnContext(ctx, "the watch has not caught up", "object", ref)
			return
		case <-tick.C:
		}
		if upToDate(before, seen(), live) {
			r.names.Add(1) // what counts names may hear of it a moment later
			return
		}
	}
}

// upToDate reports whether what a watch holds is as new as what the API server
// answered, or newer. before is what it held before that was asked.
func upToDate(before, now, live object) bool {
	if live.meta == nil { // gone: what is there may be one that was made since
		return now.meta == nil || before.meta == nil || now.meta.UID != before.meta.UID
	}
	if now.meta == nil {
		return false
	}
	if now.meta.ResourceVersion == live.meta.ResourceVersion {
		return true
	}
	// Before Kubernetes 1.35 versions are opaque by the letter, and numbers of
	// etcd in fact; where they are not, only the same one counts.
	newer, err := resourceversion.CompareResourceVersion(now.meta.ResourceVersion, live.meta.ResourceVersion)
	return err == nil && newer > 0
}

// watchOf is the watch of a kind, nil where it is not watched.
func (r *Reader) watchOf(kind string) cache.SharedIndexInformer {
	switch kind {
	case Deployment:
		return r.deployments
	case StatefulSet:
		return r.statefulSets
	case DaemonSet:
		return r.daemonSets
	case Node:
		return r.nodes
	case CronJob:
		return r.cronJobs
	case Job:
		return r.jobs
	case Pod:
		return r.pods
	case Service:
		if r.services.sees() {
			return r.services.inf
		}
	case HPA:
		if r.scalers.sees() {
			return r.scalers.inf
		}
	}
	return nil
}

// CatchUp waits until the watches of an object's cluster have caught up with it.
func (f *Fleet) CatchUp(ctx context.Context, ref Ref) {
	m, err := f.member(ref.Cluster)
	if err != nil {
		return
	}
	if r := m.reader(); r != nil { // else its first look is to come
		r.CatchUp(ctx, ref)
	}
}
