package kube

import (
	corev1 "k8s.io/api/core/v1"
)

// The verbs of nodes.
const (
	VerbCordon   Verb = "cordon"   // spec.unschedulable
	VerbUncordon Verb = "uncordon" // the same, taken back
	VerbDrain    Verb = "drain"    // cordon, then evict what runs there
)

func nodeVerbs() map[Verb]verb {
	return map[Verb]verb{VerbCordon: cordoning{}, VerbUncordon: cordoning{}, VerbDrain: draining{}}
}

// aspectSchedulable is whether a node takes new pods.
const aspectSchedulable Aspect = "schedulable"

// NodeChange is what a change of a node starts from, found by Plan.
type NodeChange struct {
	Cordoned bool `json:"cordoned"`         // it took no new pods before
	Others   int  `json:"others,omitempty"` // nodes besides it that took pods when it was shown
	Running  int  `json:"running"`          // pods on it when it was shown
}

// cordoning keeps new pods off a node, or lets it take them again.
type cordoning struct{}

func (cordoning) doing(c Change) string { return string(c.Verb) + " " + c.Ref.Name }

func (cordoning) from(c Change) string { return schedulable(!c.node().Cordoned) }

func (cordoning) to(c Change) string { return schedulable(c.Verb == VerbUncordon) }

func schedulable(yes bool) string {
	if yes {
		return "schedulable"
	}
	return "cordoned"
}

func (c Change) node() NodeChange {
	if c.Node == nil {
		return NodeChange{}
	}
	return *c.Node
}

func (cordoning) inverse(c Change) (Change, bool) {
	was := c.node().Cordoned
	if was == (c.Verb == VerbCordon) {
		return Change{}, false // it was so before
	}
	now := c.node()
	now.Cordoned = !was
	c.Node = &now
	c.Verb = VerbCordon
	if !was {
		c.Verb = VerbUncordon
	}
	return c, true
}

func (cordoning) aspect() Aspect { return aspectSchedulable }

func (cordoning) ending(Change) Ending { return EndsAtOnce }

func (cordoning) onto(c Change, live object) (Change, error) {
	now := c.node()
	n, ok := live.whole.(*corev1.Node)
	now.Cordoned = ok && n.Spec.Unschedulable
	c.Node = &now
	return c, nil
}

func (cordoning) moved(c Change, live object) (string, []string, error) {
	n, ok := live.whole.(*corev1.Node)
	if !ok || n.Spec.Unschedulable == c.node().Cordoned {
		return "", nil, nil
	}
	field := []string{"f:spec", "f:unschedulable"}
	if n.Spec.Unschedulable {
		return "is cordoned", field, nil
	}
	return "takes new pods", field, nil
}

func (cordoning) patch(c Change) (map[string]any, error) {
	if c.Verb == VerbUncordon {
		return map[string]any{"spec": map[string]any{"unschedulable": nil}}, nil
	}
	return map[string]any{"spec": map[string]any{"unschedulable": true}}, nil
}

// behind is the change as it is once another one of the node is made.
func (cordoning) behind(c, before Change) (Change, error) {
	if before.Aspect() == aspectSchedulable {
		now := c.node()
		now.Cordoned = before.Verb != VerbUncordon
		c.Node = &now
	}
	return c, nil
}

// further: where a node ends is what counts.
func (cordoning) further(_, back Change) Change { return back }
