package action

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// Hazard is a reason why a change may go wrong, or be noticed.
type Hazard string

// The hazards. The table in docs/safety.md says what each counts for.
const (
	ToZero     Hazard = "to_zero"     // nothing of it runs any more
	Deletes    Hazard = "deletes"     // an object is gone
	Drains     Hazard = "drains"      // a node is emptied
	Many       Hazard = "many"        // many objects at once
	OneLeft    Hazard = "one_left"    // one pod is left
	Doubles    Hazard = "doubles"     // more than twice as many pods
	OnlyPod    Hazard = "only_pod"    // the only pod of something is replaced
	EveryNode  Hazard = "every_node"  // something changes on every node
	OtherImage Hazard = "other_image" // an image from another place
	Unscaled   Hazard = "unscaled"    // nothing follows the load any more
	TakesPod   Hazard = "takes_pod"   // a pod is taken away
	LastReady  Hazard = "last_ready"  // a pod is taken away, and no other of its kind is ready
	LastNode   Hazard = "last_node"   // no node takes new pods any more
	Production Hazard = "production"  // it is production
	Clusters   Hazard = "clusters"    // several clusters at once
	Mutes      Hazard = "mutes"       // nobody is woken by something grave, or for long
)

// Hazards are all there are.
func Hazards() []Hazard {
	return []Hazard{ToZero, Deletes, Drains, Many, OneLeft, Doubles, OnlyPod, EveryNode, OtherImage, Unscaled, TakesPod, LastReady, LastNode, Production, Clusters, Mutes}
}

// So many objects at once are many, and a risk by themselves.
const (
	ManyAtOnce     = 5
	VeryManyAtOnce = 10
)

// MutesLong is for how long an alert may be silenced before that is a risk.
const MutesLong = 25 * time.Hour

// Facts are what the risk of a change depends on besides the change.
type Facts struct {
	Production bool // where it happens is production
	Together   int  // how many objects are changed in one proposal
	Clusters   int  // and in how many clusters
}

// Assess says how much can go wrong with a change, and why, worst first. The
// rules are the table in docs/safety.md.
func Assess(c kube.Change, f Facts) (access.Risk, []Hazard) {
	if c.Pull != nil && c.Pull.Close == 0 {
		c = c.Pull.Change // by way of Git it does the same in the end
	}
	risk, why := access.Low, []Hazard(nil)
	add := func(r access.Risk, h Hazard) {
		if r > risk {
			why = append([]Hazard{h}, why...)
		} else {
			why = append(why, h)
		}
		risk = max(risk, r)
	}
	from, to := c.FromReplicas, c.ToReplicas
	switch c.Verb {
	case kube.VerbScale:
		switch {
		case to == 0 && from > 0:
			add(access.High, ToZero)
		case to == 1 && from > 1:
			add(access.Medium, OneLeft)
		case from > 0 && to > 2*from:
			add(access.Medium, Doubles)
		}
	case kube.VerbImage, kube.VerbTemplate, kube.VerbRestart:
		if c.Ref.Kind == kube.DaemonSet {
			add(access.Medium, EveryNode)
		} else if from == 1 {
			add(access.Medium, OnlyPod)
		}
		if otherImage(c) {
			add(access.Medium, OtherImage)
		}
	case kube.VerbCanary:
		if otherImage(c) {
			add(access.Medium, OtherImage)
		}
	case kube.VerbDelete:
		add(access.High, Deletes)
	case kube.VerbAutoscale:
		if c.After == nil {
			add(access.Medium, Unscaled)
		}
	case kube.VerbDeletePod:
		if c.Pod != nil && (c.Pod.Only || c.Pod.Owner.Name == "") {
			add(access.High, LastReady)
		} else {
			add(access.Medium, TakesPod)
		}
	case kube.VerbDeleteJob:
		add(access.Medium, Deletes)
	case kube.VerbCordon:
		if c.Node != nil && c.Node.Others == 0 {
			add(access.High, LastNode)
		}
	case kube.VerbDrain:
		add(access.High, Drains)
	case kube.VerbSilence:
		if v := c.Silence; v != nil && (v.Severity == "critical" && !v.Acknowledged || v.To.Sub(v.From) > MutesLong) {
			add(access.Medium, Mutes)
		}
	case kube.VerbUnsilence:
		return access.Low, nil // it wakes people
	}
	if f.Production {
		add(min(risk+1, access.High), Production)
	}
	switch {
	case f.Together >= VeryManyAtOnce:
		add(access.High, Many)
	case f.Together >= ManyAtOnce:
		add(access.Medium, Many)
	}
	if f.Clusters > 1 {
		add(access.High, Clusters)
	}
	return risk, why
}

// otherImage reports whether a change brings an image from another place.
func otherImage(c kube.Change) bool {
	return slices.ContainsFunc(c.Images, func(im kube.ImageChange) bool {
		return im.From != "" && kube.Repository(im.From) != kube.Repository(im.To)
	})
}

// IsProduction says whether a namespace is production: by its name, one of the
// patterns as path.Match reads them, or by a label of it.
func IsProduction(name string, labels map[string]string, patterns []string) bool {
	for _, key := range []string{"firstmate-ops.github.io/environment", "app.kubernetes.io/environment", "environment", "env", "stage"} {
		if v, ok := labels[key]; ok {
			return slices.Contains([]string{"production", "prod", "live"}, strings.ToLower(v)) // what is labelled is what it says
		}
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return ok && err == nil
	})
}

// Places says of the place of an object whether it is production.
type Places func(ref kube.Ref) bool

// Mark has the ledger count what is in production as riskier. It is for before
// Run; without, nothing is production.
func (l *Ledger) Mark(production Places) { l.production = production }

// assess gives an entry its risks.
func (l *Ledger) assess(e *Entry) {
	var refs []kube.Ref
	clusters := map[string]bool{}
	for _, s := range e.Steps {
		clusters[s.Change.Ref.Cluster] = true
		if !slices.Contains(refs, s.Change.About()) {
			refs = append(refs, s.Change.About())
		}
	}
	for i := range e.Steps {
		s := &e.Steps[i]
		s.Risk, s.Hazards = Assess(s.Change, Facts{Production: l.production != nil && l.production(s.Change.Ref), Together: len(refs), Clusters: len(clusters)})
	}
}

// Risk is the greatest of its steps'.
func (e Entry) Risk() access.Risk {
	risk := access.Low
	for _, s := range e.Steps {
		risk = max(risk, s.Risk)
	}
	return risk
}
