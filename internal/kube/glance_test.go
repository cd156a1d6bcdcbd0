package kube_test

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/firstmate-ops/firstmate/internal/kube"
)

// Next to a workload that is well nothing is asked: all of it is watched. A Service
// that looks wrong is looked into.
func TestGlance(t *testing.T) {
	t.Parallel()
	behind, dam := dammed(t)
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "registry.example.com/shop/web:1", func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}
	})
	service(t, ns, "good", map[string]string{"app": "web"}, intstr.FromString("http"))
	service(t, ns, "other", map[string]string{"app": "other"}, intstr.FromInt32(1))
	_, err := admin(t).AutoscalingV2().HorizontalPodAutoscalers(ns).Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "grows"},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: kube.Deployment, Name: "web"}, MinReplicas: ptr[int32](2), MaxReplicas: 4},
	}, metav1.CreateOptions{})
	ok(t, err)
	settled(t, ref)
	watching, asking := reader(t, behind, kube.ReaderOptions{}), reader(t, cluster(t), kube.ReaderOptions{NoPods: true})
	glance := func(r *kube.Reader) kube.Survey {
		return get[kube.Survey](t)(r.Glance(t.Context(), get[kube.Workload](t)(r.Get(t.Context(), ref))))
	}
	near := func(s kube.Survey) string {
		var out []string
		for _, v := range s.Services {
			say := v.Ref.Name
			if v.Wrong != "" {
				say += " wrong"
			}
			if slices.ContainsFunc(v.Ports, func(p kube.ServicePort) bool { return p.Astray }) {
				say += " astray"
			}
			out = append(out, say)
		}
		slices.Sort(out)
		if s.Scaler != nil {
			out = append(out, s.Scaler.Name)
		}
		if slices.ContainsFunc(s.Nodes, func(n kube.NodeHealth) bool { return n.Pods > 0 }) {
			out = append(out, "on nodes")
		}
		for _, p := range s.Pods {
			for _, c := range p.Containers {
				if c.Restarts > 0 && c.Last != nil {
					out = append(out, c.Name+" ended with "+c.Last.Reason)
				}
			}
		}
		return strings.Join(append(out, s.Missing...), ", ")
	}
	const well = "good, grows, on nodes"
	eventually(t, "all of it is watched", func() bool {
		before := dam.asked.Load()
		got := near(glance(watching))
		return dam.asked.Load() == before && got == well
	})
	eventually(t, "all of it is seen by asking", func() bool { return near(glance(asking)) == well })

	service(t, ns, "web", map[string]string{"app": "wbe"}, intstr.FromInt32(8080))
	service(t, ns, "port", map[string]string{"app": "web"}, intstr.FromInt32(9999))
	const sick = "good, port astray, web wrong, grows, on nodes"
	var s kube.Survey
	eventually(t, "the Services are watched", func() bool { s = glance(watching); return near(s) == sick })
	if i := slices.IndexFunc(s.Services, func(v kube.ServiceState) bool { return v.Wrong != "" }); !s.Services[i].Known || s.Services[i].Ready != 0 {
		t.Errorf("what is behind it was not looked at: %+v", s.Services[i])
	}
	// Who asks is answered from the cache of the API server, which comes after.
	eventually(t, "the Services are seen by asking", func() bool { return near(glance(asking)) == sick })

	w := kube.NewWriter(cluster(t))
	applied(t, w, planned(t, w, toImage(ref, "registry.example.com/shop/web:2-crash")), "a1")
	for name, r := range map[string]*kube.Reader{"watching": watching, "asking": asking} {
		eventually(t, "a pod crashed, "+name, func() bool { return strings.Contains(near(glance(r)), "web ended with Error") })
	}
	if _, err := watching.Glance(t.Context(), kube.Workload{Ref: kube.Ref{Namespace: ns, Kind: kube.Deployment, Name: "none"}}); err == nil {
		t.Error("looked at what is not there")
	}
}

// Who may not read Services and autoscalers is told the rest, and what is missing;
// also where that was allowed before.
func TestGlanceWithoutRights(t *testing.T) {
	t.Parallel()
	const user = "near-sighted"
	behind, dam := dammed(t, user)
	ns := space(t)
	ref := create(t, ns, kube.Deployment, "registry.example.com/shop/web:1")
	service(t, ns, "good", map[string]string{"app": "web"}, intstr.FromInt32(80))
	settled(t, ref)
	looks := func(name string, groups, resources []string) {
		_, err := admin(t).RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{{APIGroups: groups, Resources: resources, Verbs: []string{"get", "list", "watch"}}},
		}, metav1.CreateOptions{})
		ok(t, err)
		_, err = admin(t).RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: user}},
		}, metav1.CreateOptions{})
		ok(t, err)
	}
	started := func() *kube.Reader {
		r := get[*kube.Reader](t)(kube.NewReader(behind, kube.ReaderOptions{}, discard))
		eventually(t, "the rights count", func() bool {
			r = get[*kube.Reader](t)(kube.NewReader(behind, kube.ReaderOptions{}, discard))
			if r.Start(t.Context()) != nil {
				return false
			}
			// Given while it started, they may have counted too late for more than one namespace.
			_, err := r.Get(t.Context(), ref)
			return err == nil
		})
		return r
	}
	glance := func(r *kube.Reader) kube.Survey {
		return get[kube.Survey](t)(r.Glance(t.Context(), get[kube.Workload](t)(r.Get(t.Context(), ref))))
	}
	lacks := []string{"its autoscaler: the cluster does not allow it", "the Services of " + ns + ": the cluster does not allow it"}
	missing := func(s kube.Survey) bool {
		slices.Sort(s.Missing)
		return slices.Equal(s.Missing, lacks) && len(s.Services) == 0 && s.Scaler == nil && len(s.Nodes) > 0
	}
	looks(user, []string{"", "apps"}, []string{"namespaces", "nodes", "pods", "deployments", "statefulsets", "daemonsets"})
	if s := glance(started()); !missing(s) {
		t.Errorf("%+v", s)
	}

	looks(user+"-more", []string{"", "autoscaling"}, []string{"services", "horizontalpodautoscalers"})
	var r *kube.Reader
	eventually(t, "it is watched", func() bool {
		r = started()
		before := dam.asked.Load()
		s := glance(r)
		return len(s.Missing) == 0 && len(s.Services) == 1 && dam.asked.Load() == before
	})
	ok(t, admin(t).RbacV1().ClusterRoleBindings().Delete(t.Context(), user+"-more", metav1.DeleteOptions{}))
	eventually(t, "the right is gone", func() bool {
		dam.cut()
		return missing(glance(r))
	})
}
