package kube_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

func TestWatchAGoodRollout(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, kind string) {
		for name, r := range map[string]*kube.Reader{"watching pods": watching(t), "asking for pods": reader(t, cluster(t), kube.ReaderOptions{NoPods: true})} {
			ref := create(t, space(t), kind, "acme/web:1")
			settled(t, ref)
			w := kube.NewWriter(cluster(t))
			p := planned(t, w, toImage(ref, "acme/web:2"))
			seen := follow(t, r, ref, applied(t, w, p, "a1").Generation, kube.Progress.Done)
			if slices.ContainsFunc(seen[:len(seen)-1], kube.Progress.Done) || len(seen) < 2 {
				t.Errorf("%s: complete before the end:%s", name, story(seen))
			}
			for _, s := range seen {
				if s.Stuck != nil && s.Stuck.Reason.Hard() {
					t.Errorf("%s: a good roll-out is stuck: %s", name, story(seen))
				}
			}
			o := get[kube.Workload](t)(r.Get(t.Context(), ref))
			if o.LastAction != "a1" || o.Version() != "2" || o.Progress.Updated != o.Progress.Desired || o.Progress.Old() != 0 {
				t.Errorf("%s: %+v", name, o)
			}
		}
	})
}

func TestWatchABadRollout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tag    string
		want   kube.Stuck // what is compared of it
		detail string
	}{
		{"2-bad", kube.Stuck{Reason: kube.ImagePull, Container: "web", Image: "acme/web:2-bad"}, "no such image or tag in the registry"},
		{"2-crash", kube.Stuck{Reason: kube.CrashLoop, Container: "web", Image: "acme/web:2-crash", ExitCode: 1}, ""},
		{"2-oom", kube.Stuck{Reason: kube.OOMKilled, Container: "web", Image: "acme/web:2-oom", ExitCode: 137}, ""},
		{"2-unready", kube.Stuck{Reason: kube.NotReady}, "Readiness probe failed: HTTP probe failed with statuscode: 503"},
	} {
		t.Run(c.tag, func(t *testing.T) {
			t.Parallel()
			everyKind(t, func(t *testing.T, kind string) {
				ref := create(t, space(t), kind, "acme/web:1")
				settled(t, ref)
				w, r := kube.NewWriter(cluster(t)), watching(t)
				change := planned(t, w, toImage(ref, "acme/web:"+c.tag))
				seen := follow(t, r, ref, applied(t, w, change, "a1").Generation, func(p kube.Progress) bool {
					return p.Stuck != nil && p.Stuck.Reason == c.want.Reason && (c.detail == "" || p.Stuck.Detail == c.detail)
				})
				got := *seen[len(seen)-1].Stuck
				if got.Pods < 1 || got.Pod == "" || len(got.Detail) > 163 || c.want.ExitCode != 0 && got.Detail == "" {
					t.Errorf("%+v", got)
				}
				if (kube.Stuck{Reason: got.Reason, Container: got.Container, Image: got.Image, ExitCode: got.ExitCode}) != c.want {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
				if c.tag != "2-bad" {
					return
				}
				asking := reader(t, cluster(t), kube.ReaderOptions{NoPods: true})
				p := get[kube.Progress](t)(asking.Diagnose(t.Context(), get[kube.Workload](t)(asking.Get(t.Context(), ref))))
				if p.Stuck == nil || p.Stuck.Reason != kube.ImagePull || p.Stuck.Detail != c.detail {
					t.Errorf("asking for pods: %+v", p)
				}
				// And back: the bad pods hold nothing up, but for a StatefulSet,
				// which needs the broken one deleted.
				inv, _ := change.Inverse()
				back := planned(t, w, inv)
				alone := back
				alone.DeletePods = nil
				g := applied(t, w, alone, "a2").Generation
				if kind == kube.StatefulSet {
					seen := follow(t, r, ref, g, func(p kube.Progress) bool { return p.Stuck != nil })
					s := seen[len(seen)-1].Stuck
					if s.Reason != kube.ImagePull || s.Detail != "web-1 still has the version before; a StatefulSet waits for it until somebody deletes it" {
						t.Errorf("%+v", s)
					}
					if len(back.DeletePods) != 1 || back.DeletePods[0].Name != s.Pod {
						t.Errorf("the plan deletes %+v, not %s", back.DeletePods, s.Pod)
					}
					// As after a crash between the patch and the deletion.
					if again := applied(t, w, back, "a2"); !again.Already {
						t.Errorf("applied twice: %+v", again)
					}
				} else if len(back.DeletePods) != 0 {
					t.Errorf("the plan deletes %+v", back.DeletePods)
				}
				follow(t, r, ref, g, kube.Progress.Done)
			})
		})
	}
}

func TestWatchPodsThatAreNotMade(t *testing.T) {
	t.Parallel()
	t.Run("quota", func(t *testing.T) {
		t.Parallel()
		everyKind(t, func(t *testing.T, kind string) {
			ns := space(t)
			ref := create(t, ns, kind, "acme/web:1")
			settled(t, ref)
			hard := corev1.ResourceList{corev1.ResourcePods: resource.MustParse("2")}
			if kind == kube.DaemonSet {
				hard[corev1.ResourcePods] = resource.MustParse("0")
			}
			_, err := admin(t).CoreV1().ResourceQuotas(ns).Create(t.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}, metav1.CreateOptions{})
			ok(t, err)
			eventually(t, "the quota counts", func() bool {
				q := get[*corev1.ResourceQuota](t)(admin(t).CoreV1().ResourceQuotas(ns).Get(t.Context(), "small", metav1.GetOptions{}))
				return q.Status.Used != nil
			})
			w := kube.NewWriter(cluster(t))
			c := toImage(ref, "acme/web:2")
			if kind != kube.DaemonSet {
				c = toScale(ref, 5)
			}
			seen := follow(t, watching(t), ref, applied(t, w, planned(t, w, c), "a1").Generation, func(p kube.Progress) bool {
				return p.Stuck != nil && p.Stuck.Reason == kube.Quota
			})
			if s := seen[len(seen)-1].Stuck; s.Pods != 0 || s.Detail == "" {
				t.Errorf("%+v", s)
			}
		})
	})
	t.Run("admission", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		ref := create(t, ns, kube.Deployment, "acme/web:1")
		settled(t, ref)
		policy(t, ns, "tags", "pods", "", `object.spec.containers.all(c, !c.image.endsWith(":latest"))`, "no latest tags")
		eventually(t, "the policy refuses", func() bool {
			_, err := admin(t).CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "try"}, Spec: template("a:latest").Spec}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err != nil
		})
		w := kube.NewWriter(cluster(t))
		c := planned(t, w, toImage(ref, "acme/web:latest"))
		follow(t, watching(t), ref, applied(t, w, c, "a1").Generation, func(p kube.Progress) bool {
			return p.Stuck != nil && p.Stuck.Reason == kube.Rejected && p.Stuck.Detail != ""
		})
	})
	t.Run("no room", func(t *testing.T) {
		t.Parallel()
		ref := create(t, space(t), kube.Deployment, "acme/web:1", func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.NodeSelector = map[string]string{"disk": "none"}
		})
		seen := follow(t, watching(t), ref, 1, func(p kube.Progress) bool { return p.Stuck != nil && p.Stuck.Pods == 2 })
		if s := seen[len(seen)-1].Stuck; s.Reason != kube.Unschedulable || s.Detail == "" {
			t.Errorf("%+v", s)
		}
	})
}

func TestWatchDeadlineAndTheWayBack(t *testing.T) {
	t.Parallel()
	ref := create(t, space(t), kube.Deployment, "acme/web:1", func(d *appsv1.Deployment) { d.Spec.ProgressDeadlineSeconds = ptr[int32](2) })
	settled(t, ref)
	w, r := kube.NewWriter(cluster(t)), watching(t)
	c := planned(t, w, toImage(ref, "acme/web:2-bad"))
	seen := follow(t, r, ref, applied(t, w, c, "a1").Generation, func(p kube.Progress) bool { return p.State == kube.DeadlineExceeded })
	if s := seen[len(seen)-1].Stuck; s == nil || s.Reason != kube.ImagePull {
		t.Errorf("without a reason: %s", story(seen))
	}
	inv, _ := c.Inverse()
	seen = follow(t, r, ref, applied(t, w, planned(t, w, inv), "a2").Generation, kube.Progress.Done)
	for _, p := range seen {
		if p.State == kube.DeadlineExceeded {
			t.Errorf("the old deadline is taken for one of the way back: %s", story(seen))
		}
	}
}

func TestWatchPaused(t *testing.T) {
	t.Parallel()
	ref := create(t, space(t), kube.Deployment, "acme/web:1")
	settled(t, ref)
	out, err := sandbox.Kubectl(t.Context(), "", "-n", ref.Namespace, "rollout", "pause", "deploy/web")
	if err != nil {
		t.Fatal(out)
	}
	w := kube.NewWriter(cluster(t))
	c := planned(t, w, toImage(ref, "acme/web:2"))
	follow(t, watching(t), ref, applied(t, w, c, "a1").Generation, func(p kube.Progress) bool { return p.State == kube.Paused })
}

func TestWatchWaitsUntilTheChangeIsSeen(t *testing.T) {
	t.Parallel()
	ref := create(t, space(t), kube.Deployment, "acme/web:1")
	settled(t, ref)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	next := look(t, ref).Generation + 1
	looks := 0
	w := kube.NewWriter(cluster(t))
	for o, err := range watching(t).WatchRollout(ctx, ref, next) {
		ok(t, err)
		looks++
		if looks <= 2 {
			if o.Generation >= next || o.Progress.State != kube.Observing {
				t.Fatalf("before the change: %+v", o)
			}
			if looks == 2 { // a state that lasts is yielded again
				if got := applied(t, w, planned(t, w, toScale(ref, 3)), "a1"); got.Generation != next {
					t.Fatalf("%+v", got)
				}
			}
			continue
		}
		if o.Progress.State != kube.Observing && o.Generation < next {
			t.Fatalf("an old state is told for the new one: %+v", o)
		}
		if o.Progress.Done() {
			if o.Progress.Desired != 3 || o.Progress.Ready != 3 {
				t.Errorf("%+v", o)
			}
			break
		}
	}
}

func TestWatchEndsWithItsObjectAndItsContext(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{kube.Deployment, kube.DaemonSet} {
		ns := space(t)
		ref := create(t, ns, kind, "acme/web:2-bad")
		var last error
		looks := 0
		follow(t, watching(t), ref, 1, func(p kube.Progress) bool { return p.Stuck != nil })
		for o, err := range watching(t).WatchRollout(t.Context(), ref, 1) {
			last = err
			if looks++; looks == 1 {
				ok(t, err)
				ok(t, admin(t).CoreV1().Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{}))
				_, err := sandbox.Kubectl(t.Context(), "", "-n", ns, "delete", kind, "web", "--wait=false", "--ignore-not-found")
				ok(t, err)
			}
			_ = o
		}
		if fault.KindOf(last) != fault.NotFound || fault.Say(last) != fmt.Sprintf("%s web is not in %s any more.", kind, ns) {
			t.Errorf("%s: ended with %v", kind, last)
		}
	}
	ref := create(t, space(t), kube.Deployment, "acme/web:2-unready")
	follow(t, watching(t), ref, 1, func(kube.Progress) bool { return true })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	var last error
	for _, err := range watching(t).WatchRollout(ctx, ref, 1) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("ended with %v", last)
	}
}
