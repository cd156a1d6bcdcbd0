package kube_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/firstmate-ops/firstmate/internal/kube"
)

// TestEditsAreWhatTheClusterRemembers changes workloads by other programs and
// through firstmate: of the latter the cluster is not asked.
func TestEditsAreWhatTheClusterRemembers(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, kind string) {
		ns := space(t)
		ref := create(t, ns, kind, "acme/web:1")
		settled(t, ref)
		a, opt := admin(t).AppsV1(), metav1.PatchOptions{FieldManager: "kubectl-edit"}
		patch := []byte(`{"metadata":{"annotations":{"kubernetes.io/change-cause":"by hand"}},"spec":{"template":{"metadata":{"annotations":{"x":"y"}}}}}`)
		var err error
		switch kind {
		case kube.Deployment:
			_, err = a.Deployments(ns).Patch(t.Context(), "web", types.StrategicMergePatchType, patch, opt)
		case kube.StatefulSet:
			_, err = a.StatefulSets(ns).Patch(t.Context(), "web", types.StrategicMergePatchType, patch, opt)
		case kube.DaemonSet:
			_, err = a.DaemonSets(ns).Patch(t.Context(), "web", types.StrategicMergePatchType, patch, opt)
		}
		ok(t, err)
		settled(t, ref)
		w := kube.NewWriter(cluster(t))
		c := toImage(ref, "acme/web:2")
		c.Cause = "firstmate, asked by web:ann: put web on 2"
		applied(t, w, planned(t, w, c), "id")
		settled(t, ref)
		edits := get[[]kube.Edit](t)(watching(t).Edits(t.Context(), get[kube.Workload](t)(watching(t).Get(t.Context(), ref))))
		var by []string
		revisions := map[int64]string{}
		for _, e := range edits {
			if time.Since(e.At).Abs() > 5*time.Minute {
				t.Errorf("%+v is of another time", e)
			}
			if e.Revision > 0 {
				revisions[e.Revision] = e.Cause
			} else {
				by = append(by, e.By)
			}
		}
		slices.Sort(by)
		if !slices.Equal(by, []string{"kubectl-edit", "setup"}) {
			t.Errorf("edited by %q", by)
		}
		if kind == kube.Deployment && (len(revisions) != 2 || revisions[2] != "by hand") {
			t.Errorf("rolled out %v", revisions)
		}
	})
}
