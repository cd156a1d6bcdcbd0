package kube

import (
	"cmp"
	"context"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// VerbPull opens a pull request that changes what Git says of a workload, and
// VerbHold keeps an owner from putting back what is changed in the cluster.
const (
	VerbPull Verb = "pull"
	VerbHold Verb = "hold"
)

func gitopsVerbs() map[Verb]verb { return map[Verb]verb{VerbPull: pulling{}, VerbHold: holding{}} }

// PullRequest is the values of VerbPull.
type PullRequest struct {
	// Change is what the cluster shows once all is merged and has arrived.
	Change Change `json:"change"`
	Source Source `json:"source"`
	Author string `json:"author,omitempty"` // the name of who asked, for the commit
	// Follows says that Git is to say what the cluster does already.
	Follows bool `json:"follows,omitempty"`

	// Found when it is planned:
	Repository string   `json:"repository,omitempty"` // OWNER/NAME
	Base       string   `json:"base,omitempty"`       // the branch that it is to be merged into
	Head       string   `json:"head,omitempty"`       // the branch of the commit; no other change has it
	Files      []string `json:"files,omitempty"`
	Said       string   `json:"said,omitempty"` // what Git says now, where that is not what runs
	Also       []string `json:"also,omitempty"` // the workloads that it changes besides

	// Of is the branch of the pull request that is taken back; Close is its
	// number where it is still open, so that closing it is all there is to do.
	Of    string `json:"of,omitempty"`
	Close int    `json:"close,omitempty"`
}

// pulling is a pull request.
type pulling struct{}

func (pulling) doing(c Change) string { return "open a pull request for " + c.Ref.Name }

func (pulling) from(c Change) string {
	if c.Pull == nil {
		return ""
	}
	return c.Pull.Change.From()
}

func (pulling) to(c Change) string {
	if c.Pull == nil {
		return ""
	}
	return c.Pull.Change.To()
}

func (pulling) aspect() Aspect         { return "pull" }
func (pulling) ending(_ Change) Ending { return EndsStepwise }

func (pulling) inverse(c Change) (Change, bool) {
	if c.Pull == nil || c.Pull.Close != 0 {
		return Change{}, false
	}
	back, ok := c.Pull.Change.Inverse()
	if !ok {
		return Change{}, false
	}
	c.Pull = &PullRequest{Change: back, Source: c.Pull.Source, Author: c.Pull.Author, Of: c.Pull.Head}
	return c, true
}

// errNoPulls is what the Writer of a cluster says: who opens pull requests stands
// before it.
func errNoPulls() error {
	return fault.New(fault.Refused, "I cannot open pull requests: set gitops.github.token.")
}

func (pulling) plan(_ context.Context, _ api, c Change) (Change, string, error) {
	return c, "", errNoPulls()
}

func (pulling) apply(context.Context, api, Change, string) (Applied, error) {
	return Applied{}, errNoPulls()
}

func (pulling) step(context.Context, api, Change, string) (Progress, error) {
	return Progress{}, errNoPulls()
}

func (pulling) further(_, back Change) Change { return back }

func (pulling) behind(c, before Change) (Change, error) {
	if before.Verb == VerbPull {
		return c, fault.New(fault.Refused, "Both would change %s in Git, one before the other is merged. Ask me for the second when the first is through.", c.Ref.Name)
	}
	return c, nil
}

func (pulling) foresee(c Change, w *Workload) {
	if c.Pull != nil {
		c.Pull.Change.Foresee(w)
	}
}

// PullState is what became of a pull request.
type PullState string

// The states.
const (
	PullOpen   PullState = "open"
	PullMerged PullState = "merged"
	PullClosed PullState = "closed" // without being merged
)

// Pull is a pull request as it was last seen.
type Pull struct {
	Number int       `json:"number"`
	URL    string    `json:"url"`
	State  PullState `json:"state"`
	// Checks is the sum of what checks it: "" for none, pending, passed or
	// failed; Failing is the name of one that failed.
	Checks  string `json:"checks,omitempty"`
	Failing string `json:"failing,omitempty"`
	// Arrived says that the cluster has what was merged.
	Arrived bool `json:"arrived,omitempty"`
}

// Waits reports whether people, or what comes by when it likes, are waited for:
// that nothing moves says nothing then.
func (p Progress) Waits() bool { return p.Pull.Number != 0 && !p.Pull.Arrived && !p.Done() }

// What a pull request is held up by for good.
const (
	NotMerged  Reason = "not_merged"  // it was closed
	NotArrived Reason = "not_arrived" // it is merged, and the cluster does not get it
)

// Held is how an owner is kept from putting back what is changed in the
// cluster: the values of VerbHold.
type Held struct {
	On   bool  `json:"on"` // whether it stands still afterwards
	Tool Tool  `json:"tool"`
	By   Owner `json:"by"` // the owner's own
}

// Hold is the change by which an owner stands still, or with false goes on.
func Hold(cluster string, o Owner, on bool) Change {
	return Change{Ref: o.Ref(cluster), Verb: VerbHold, Held: &Held{On: on, Tool: o.Tool, By: o}}
}

// InnerVerb is what a change does in the end: that of the pull request's.
func (c Change) InnerVerb() Verb {
	if c.Pull != nil {
		return cmp.Or(c.Pull.Change.Verb, c.Verb)
	}
	return c.Verb
}
