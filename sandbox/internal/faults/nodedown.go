package faults

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// nodeDown is a machine that stops without a word: nobody renews its lease any
// more. Kubernetes notices after its grace period of 50 seconds, and evicts its
// pods five minutes later.
type nodeDown struct {
	hands *hands
	node  string // "" while it is off
}

// Asked tells what somebody would ask.
func (n *nodeDown) Asked() Asked { return Asked{"checkout", "failing"} }

func (n *nodeDown) On(ctx context.Context) error {
	name, err := n.choose(ctx)
	if err != nil {
		return err
	}
	n.node = name
	return n.lease(ctx, func(l *coordinationv1.Lease) {
		// The simulator, which renews the leases of its nodes, leaves alone a node
		// whose lease somebody else has: its pods are not run any more either.
		holder, never := name, int32(365*24*60*60)
		l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds = &holder, &never
	})
}

func (n *nodeDown) Off(ctx context.Context) error {
	if n.node == "" {
		return nil
	}
	err := n.lease(ctx, func(l *coordinationv1.Lease) {
		// One that has ended, the simulator takes, within ten seconds.
		seconds, past := int32(40), metav1.NewMicroTime(time.Now().Add(-time.Hour))
		l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &seconds, &past
	})
	if err != nil {
		return err
	}
	err = n.hands.wait(ctx, n.node+" is ready again", func(ctx context.Context) bool {
		node, err := n.hands.admin.CoreV1().Nodes().Get(ctx, n.node, metav1.GetOptions{})
		return err == nil && len(node.Spec.Taints) == 0 && slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
	})
	if err != nil {
		return err
	}
	n.node = ""
	return nil
}

// choose finds a node where checkout runs and, if possible, no data is kept.
func (n *nodeDown) choose(ctx context.Context) (string, error) {
	pods, err := n.hands.admin.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", err
	}
	points := map[string]int{}
	for _, p := range pods.Items {
		switch {
		case p.Spec.NodeName == "", p.DeletionTimestamp != nil: // a fault before may have left some that go
		case p.Labels["app"] == "checkout":
			points[p.Spec.NodeName] += 100
		case strings.HasPrefix(p.Name, "postgres-"):
			points[p.Spec.NodeName] -= 50
		}
	}
	best := ""
	for name, p := range points {
		if p > 0 && (best == "" || p > points[best] || p == points[best] && name < best) {
			best = name
		}
	}
	if best == "" {
		return "", errors.New("checkout runs on no node")
	}
	return best, nil
}

func (n *nodeDown) lease(ctx context.Context, change func(*coordinationv1.Lease)) error {
	leases := n.hands.admin.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		l, err := leases.Get(ctx, n.node, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(l)
		_, err = leases.Update(ctx, l, metav1.UpdateOptions{})
		return err
	})
}
