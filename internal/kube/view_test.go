package kube_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// TestAViewShowsWhatThePersonMaySee asks the real API server: ann may look at the
// Deployments of one namespace, bob at nothing.
func TestAViewShowsWhatThePersonMaySee(t *testing.T) {
	sandboxtest.Need(t, sandbox)
	mine, other := space(t), space(t)
	create(t, mine, kube.Deployment, "registry.example.com/shop/web:1.0")
	create(t, mine, kube.StatefulSet, "registry.example.com/shop/db:2.0")
	create(t, other, kube.Deployment, "registry.example.com/shop/web:3.0")
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "looks"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "list"}}}}
	_, err := admin(t).RbacV1().Roles(mine).Create(t.Context(), role, metav1.CreateOptions{})
	ok(t, err)
	_, err = admin(t).RbacV1().RoleBindings(mine).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "looks"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "looks"},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "ann-" + mine}},
	}, metav1.CreateOptions{})
	ok(t, err)

	c := get[*kube.Cluster](t)(kube.Connect(sandbox.Kubeconfig, "", mine))
	f := get[*kube.Fleet](t)(kube.NewFleet([]kube.Member{{Name: c.Name, Connect: func() (*kube.Cluster, error) { return c, nil }}}, kube.FleetOptions{}, discard))
	ok(t, f.Start(t.Context()))
	var later atomic.Int64
	v := kube.NewView(f, func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
	ann := kube.Through(t.Context(), kube.As{User: "ann-" + mine})
	eventually(t, "the watch and the authorizer have seen it all", func() bool {
		later.Add(int64(time.Minute)) // past what is remembered
		ws, err := f.Find(t.Context(), kube.Query{Namespace: other})
		return err == nil && len(ws) == 1 && v.Sees(ann, kube.Ref{Namespace: mine, Kind: kube.Deployment})
	})

	ws, err := v.Find(ann, kube.Query{})
	if err != nil || len(ws) != 1 || ws[0].Ref.Namespace != mine || ws[0].Ref.Kind != kube.Deployment {
		t.Errorf("ann finds %+v %v", ws, err)
	}
	if ws, err := v.Find(ann, kube.Query{Namespace: other, Name: "web"}); fault.KindOf(err) != fault.Forbidden || len(ws) != 0 {
		t.Errorf("in another namespace: %v %v", ws, err)
	}
	if _, err := v.Get(ann, kube.Ref{Namespace: other, Kind: kube.Deployment, Name: "web"}); fault.KindOf(err) != fault.Forbidden {
		t.Error(err)
	}
	if _, err := v.Get(ann, kube.Ref{Namespace: "nowhere", Kind: kube.Deployment, Name: "web"}); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("what is not there is told apart from what is hidden: %v", err)
	}
	tab, err := v.List(ann, kube.ListQuery{Kind: "workloads"})
	if err != nil || len(tab.Items) != 1 || tab.Items[0].Name != "web" {
		t.Errorf("%+v %v", tab, err)
	}
	for _, kind := range []string{"pods", "nodes", "statefulsets", "jobs"} {
		if tab, err := v.List(ann, kube.ListQuery{Kind: kind, Namespace: mine}); fault.KindOf(err) != fault.Forbidden || len(tab.Items) != 0 {
			t.Errorf("%s: %+v %v", kind, tab, err)
		}
	}
	if _, err := v.History(ann, ws[0]); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("the ReplicaSets are not hers: %v", err)
	}
	n, err := v.Names(ann)
	if err != nil || len(n.Workloads) != 1 || !slices.Equal(n.Namespaces, []string{mine}) || !slices.Equal(n.Tags, []string{"1.0"}) || len(n.Nodes) != 0 {
		t.Errorf("%+v %v", n, err)
	}

	bob := kube.Through(t.Context(), kube.As{User: "bob"})
	if ws, err := v.Find(bob, kube.Query{}); err != nil || len(ws) != 0 {
		t.Errorf("bob finds %v %v", ws, err)
	}
	if n, err := v.Names(bob); err != nil || len(n.Workloads)+len(n.Namespaces)+len(n.Tags)+len(n.Containers) != 0 {
		t.Errorf("%+v %v", n, err)
	}
	if ws, err := v.Find(t.Context(), kube.Query{}); fault.KindOf(err) != fault.Refused || len(ws) != 0 {
		t.Errorf("nobody finds %v %v", ws, err)
	}
	if ws, err := v.Find(kube.ThroughOwn(t.Context()), kube.Query{Namespace: other}); err != nil || len(ws) != 1 {
		t.Errorf("who started it finds %v %v", ws, err)
	}

	// A right that is taken away is gone once what was remembered is too old.
	ok(t, admin(t).RbacV1().RoleBindings(mine).Delete(t.Context(), "looks", metav1.DeleteOptions{}))
	if !v.Sees(ann, kube.Ref{Namespace: mine, Kind: kube.Deployment}) {
		t.Error("the answer was not remembered")
	}
	eventually(t, "the right is gone", func() bool {
		later.Add(int64(31 * time.Second))
		return !v.Sees(ann, kube.Ref{Namespace: mine, Kind: kube.Deployment})
	})
}
