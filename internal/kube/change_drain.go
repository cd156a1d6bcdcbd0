package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Drain is what a drain is about, besides the node.
type Drain struct {
	// TakeBare says that pods that nothing makes anew go too; Bare are those, as
	// they were shown: one that comes later does not go.
	TakeBare bool     `json:"take_bare,omitempty"`
	Bare     []PodRef `json:"bare,omitempty"`
	Pods     int      `json:"pods"`              // how many would go
	Stay     int      `json:"stay,omitempty"`    // of DaemonSets and the kubelet's own
	Data     []string `json:"data,omitempty"`    // pods whose emptyDir data goes with them
	Budgets  []string `json:"budgets,omitempty"` // disruption budgets that allowed no eviction when it was shown
}

// lingerAfter is how long a pod may outstay its grace period before that is told.
const lingerAfter = 15 * time.Second

// draining cordons a node and evicts what runs there, through the eviction API,
// which asks the disruption budgets.
type draining struct{}

func (draining) doing(c Change) string { return "drain " + c.Ref.Name }
func (draining) from(c Change) string  { return plural(c.drain().Pods, "pod") }
func (draining) to(Change) string      { return "drained" }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (c Change) drain() Drain {
	if c.Drain == nil {
		return Drain{}
	}
	return *c.Drain
}

// inverse lets the node take pods again, where it did before. What was evicted
// has been made anew elsewhere and stays there.
func (draining) inverse(c Change) (Change, bool) {
	if c.node().Cordoned {
		return Change{}, false
	}
	c.Verb, c.Drain = VerbUncordon, nil
	now := c.node()
	now.Cordoned = true
	c.Node = &now
	return c, true
}

func (draining) aspect() Aspect { return aspectSchedulable }

func (draining) behind(c, before Change) (Change, error) { return cordoning{}.behind(c, before) }

func (draining) further(_, back Change) Change { return back }

func (draining) pace() Pace { return PaceDrain }

func (draining) stops() {}

// plan finds out what would go, and asks for a dry-run of every single part.
func (draining) plan(ctx context.Context, a api, c Change) (Change, string, error) {
	c, unified, err := planPatch(ctx, a, cordoning{}, c)
	if err != nil {
		return c, "", err
	}
	pods, err := podsOn(ctx, a.client, c.Ref.Name)
	if err != nil {
		return c, "", err
	}
	on := SortPods(pods)
	p := c.drain()
	if len(on.Bare) > 0 && !p.TakeBare {
		return c, "", fault.New(fault.Refused, "Nothing would make %s anew, so I do not drain %s. Say “drain %s including bare pods” if they may go.", PodNames(on.Bare), c.Ref.Name, c.Ref.Name)
	}
	going := slices.Concat(on.Evict, on.Bare)
	p.Bare, p.Pods, p.Stay, p.Data, p.Budgets = on.Bare, len(going)+len(on.Leaving), on.Daemon+on.Mirror, nil, nil
	for _, ref := range on.Data {
		p.Data = append(p.Data, ref.Name)
	}
	for _, ref := range going {
		budget, err := evict(ctx, a, ref, true)
		if err != nil {
			return c, "", err
		}
		if budget != "" && !slices.Contains(p.Budgets, budget) {
			p.Budgets = append(p.Budgets, budget)
		}
	}
	c.Drain = &p
	return c, unified + podDiff(c.Ref.Name, pods, going), nil
}

// podDiff shows which pods of a node would go.
func podDiff(node string, pods []corev1.Pod, going []PodRef) string {
	var before, after strings.Builder
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, p := range pods {
		line := p.Namespace + "/" + p.Name + "\n"
		before.WriteString(line)
		if !slices.ContainsFunc(going, func(g PodRef) bool { return g.UID == string(p.UID) }) {
			after.WriteString(line)
		}
	}
	return udiff.Unified("pods on "+node+" now", "pods on "+node+" then", before.String(), after.String())
}

// PodNames joins the names of pods as one says them; of many only some.
func PodNames(pods []PodRef) string {
	const some = 4
	var names []string
	for _, p := range pods[:min(some, len(pods))] {
		names = append(names, p.Name)
	}
	if more := len(pods) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// apply cordons the node. The mark that it leaves says that the drain has begun.
func (draining) apply(ctx context.Context, a api, c Change, id string) (Applied, error) {
	return applyPatch(ctx, a, cordoning{}, c, id)
}

// step evicts what is still there and may go now. Nothing is remembered from one
// step to the next: a pod that is being deleted is not evicted again, and the
// UID keeps one of the same name from being taken for it.
func (draining) step(ctx context.Context, a api, c Change, id string) (Progress, error) {
	live, err := a.get(ctx, c.Ref)
	if err != nil {
		return Progress{}, err
	}
	n, ok := live.whole.(*corev1.Node)
	switch {
	case !ok || string(n.UID) != c.UID:
		return Progress{}, fault.New(fault.Conflict, "%s is another node now than the one that I was to drain, so I stopped.", c.Ref.Name)
	case !n.Spec.Unschedulable:
		return Progress{}, moved(c, live.meta, "takes new pods again", []string{"f:spec", "f:unschedulable"})
	case n.Annotations[lastAction] != id:
		return Progress{}, fault.New(fault.Conflict, "Something else is done about %s now, so I stopped draining it.", c.Ref.Name)
	}
	pods, err := podsOn(ctx, a.client, c.Ref.Name)
	if err != nil {
		return Progress{}, err
	}
	on := SortPods(pods)
	agreed := c.drain().Bare
	var held, left []PodRef
	stuck := Stuck{Reason: Budget}
	for _, ref := range slices.Concat(on.Evict, on.Bare) {
		left = append(left, ref)
		if slices.ContainsFunc(on.Bare, func(b PodRef) bool { return b.UID == ref.UID }) &&
			!slices.ContainsFunc(agreed, func(b PodRef) bool { return b.UID == ref.UID }) {
			held, stuck = append(held, ref), Stuck{Reason: Bare}
			continue
		}
		budget, err := evict(ctx, a, ref, false)
		if err != nil {
			return Progress{}, err
		}
		if budget != "" {
			held = append(held, ref)
			if stuck.Detail == "" {
				stuck.Detail = budget
			}
		}
	}
	left = append(left, on.Leaving...)
	if len(held) == 0 {
		held = lingering(pods, time.Now())
		stuck = Stuck{Reason: Lingering}
	}
	return drained(c.drain().Pods, left, held, stuck), nil
}

// lingering are the pods that should be gone by now.
func lingering(pods []corev1.Pod, now time.Time) []PodRef {
	var out []PodRef
	for _, p := range pods {
		if own := metav1.GetControllerOf(&p); own != nil && own.Kind == DaemonSet {
			continue
		}
		if p.DeletionTimestamp != nil && now.Sub(p.DeletionTimestamp.Time) > lingerAfter {
			out = append(out, PodRef{Namespace: p.Namespace, Name: p.Name, UID: string(p.UID)})
		}
	}
	return out
}

// drained is how far a drain is, of so many pods: left are still there, held
// among them do not get away.
func drained(total int, left, held []PodRef, stuck Stuck) Progress {
	n := max(total, len(left))
	p := Progress{State: Terminating, Desired: int32(n), Updated: int32(n - len(left)), Ready: int32(n - len(left)), Total: int32(len(left))}
	if len(left) == 0 {
		p.State = Complete
		return p
	}
	if len(held) > 0 {
		stuck.Pods, stuck.Pod = len(held), held[0].Name
		names := make([]string, len(left))
		for i, ref := range left {
			names[i] = ref.Namespace + "/" + ref.Name
		}
		slices.Sort(names)
		stuck.Left = strings.Join(names, ", ")
		p.Stuck = &stuck
	}
	return p
}

// evict asks for the eviction of this very pod. Where a disruption budget does
// not allow it now, it returns the budget's name. A pod that is gone is no error.
func evict(ctx context.Context, a api, ref PodRef, dryRun bool) (budget string, err error) {
	uid := types.UID(ref.UID)
	ev := &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, DryRun: dryRunOf(dryRun)},
	}
	// Not tried again by the client: "too many requests" is the budget's no.
	err = a.client.CoreV1().RESTClient().Post().Namespace(ref.Namespace).Resource("pods").Name(ref.Name).SubResource("eviction").
		Body(ev).MaxRetries(0).Do(ctx).Error()
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err): // gone, or another of its name
		return "", nil
	case apierrors.IsTooManyRequests(err):
		return budgetOf(err, ref), nil
	case apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return "", nil // all of it goes anyway
	}
	return "", err
}

// budgetOf names the disruption budget that does not allow an eviction, or, where
// it is not named, the pod.
func budgetOf(err error, ref PodRef) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if words := strings.Fields(cause.Message); cause.Type == policyv1.DisruptionBudgetCause && len(words) > 3 && strings.HasPrefix(cause.Message, "The disruption budget ") {
				return clip(words[3])
			}
		}
	}
	return ref.Name
}
