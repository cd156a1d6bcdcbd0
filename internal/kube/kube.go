// Package kube is the clusters: a Reader fed by watches, a Writer that dry-runs
// and applies, and how far a roll-out has come. It is the only package that
// imports client-go.
package kube

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/distribution/reference"
)

// The kinds that can be scaled, rolled out and restarted.
const (
	Deployment  = "Deployment"
	StatefulSet = "StatefulSet"
	DaemonSet   = "DaemonSet"
)

// Ref names an object of a cluster.
type Ref struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
}

// String gives the form namespace/kind/name, for logs.
func (r Ref) String() string { return r.Namespace + "/" + strings.ToLower(r.Kind) + "/" + r.Name }

// Container is a container of a pod template.
type Container struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// Workload is a Deployment, StatefulSet or DaemonSet as it was last seen.
type Workload struct {
	Ref        Ref
	UID        string
	Generation int64
	Containers []Container
	Selector   map[string]string // matchLabels only
	Labels     map[string]string // of the object itself
	Progress   Progress          // without a reason: that needs the pods
	Paused     bool              // its roll-out is held
	LastAction string            // id of the last action that a Writer applied
}

// Image returns the image of a container, "" where there is none of that name.
func (w Workload) Image(container string) string {
	for _, c := range w.Containers {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}

// Main returns the container that a version of the workload is about: the only
// one, or the one named or imaged like the workload. ok is false where that
// leaves a choice.
func (w Workload) Main() (c Container, ok bool) {
	if len(w.Containers) == 1 {
		return w.Containers[0], true
	}
	for _, c := range w.Containers {
		if c.Name == w.Ref.Name {
			return c, true
		}
	}
	found := 0
	for _, e := range w.Containers {
		if repo := Repository(e.Image); repo[strings.LastIndex(repo, "/")+1:] == w.Ref.Name {
			c, found = e, found+1
		}
	}
	return c, found == 1
}

// Version is how the version of a workload is said: the tag of its main
// container, or the tags of all where no container is the main one.
func (w Workload) Version() string {
	if c, ok := w.Main(); ok {
		return Tag(c.Image)
	}
	tags := make([]string, 0, len(w.Containers))
	for _, c := range w.Containers {
		tags = append(tags, c.Name+" "+Tag(c.Image))
	}
	return strings.Join(tags, ", ")
}

// Tag returns the part of an image reference that says the version: the tag,
// else a short digest, else "latest", which is what no tag means.
func Tag(image string) string {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return image
	}
	if t, ok := ref.(reference.Tagged); ok {
		return t.Tag()
	}
	if d, ok := ref.(reference.Digested); ok {
		hex := d.Digest().Encoded()
		return d.Digest().Algorithm().String() + ":" + hex[:min(12, len(hex))]
	}
	return "latest"
}

// Repository returns an image reference without tag and digest, as it is
// written ("nginx" stays "nginx").
func Repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		image = image[:i]
	}
	return image
}

// WithVersion returns the image moved to a version as it was said, a leading v
// dropped: known tags of the same image decide whether the tag is written with
// a v, else the tag in use does.
func WithVersion(image, version string, known []string) string {
	repo := Repository(image)
	if strings.HasPrefix(version, "sha256:") {
		return repo + "@" + version
	}
	bare := strings.TrimPrefix(version, "v")
	for _, t := range known {
		if t == version || strings.TrimPrefix(t, "v") == bare {
			return repo + ":" + t
		}
	}
	if tag := Tag(image); hasV(tag) && startsWithDigit(bare) {
		return repo + ":v" + bare
	}
	return repo + ":" + version
}

func hasV(tag string) bool { return strings.HasPrefix(tag, "v") && startsWithDigit(tag[1:]) }

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// As is the Kubernetes user in whose name something is done; an empty User is
// the credentials of the process itself.
type As struct {
	User   string   `json:"user,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// Verb is what a Change does.
type Verb string

// The verbs of workloads.
const (
	VerbScale    Verb = "scale"    // spec.replicas
	VerbImage    Verb = "image"    // images of containers
	VerbRestart  Verb = "restart"  // a new restartedAt, as kubectl does
	VerbTemplate Verb = "template" // the whole pod template, of another revision
)

// ImageChange is a container's image before and after.
type ImageChange struct {
	Container string `json:"container"`
	From      string `json:"from"`
	To        string `json:"to"`
}

// Change is one change of one object, complete enough to be applied by a
// process that knows nothing else. All values are absolute, so applying it
// twice is the same as once.
type Change struct {
	Ref        Ref    `json:"ref"`
	UID        string `json:"uid"`
	Generation int64  `json:"generation"` // of the object's spec, as it was shown
	Verb       Verb   `json:"verb"`

	FromReplicas int32           `json:"from_replicas"` // VerbScale
	ToReplicas   int32           `json:"to_replicas"`   // VerbScale
	Images       []ImageChange   `json:"images,omitempty"`
	RestartedAt  string          `json:"restarted_at,omitempty"`  // VerbRestart; RFC 3339
	FromTemplate json.RawMessage `json:"from_template,omitempty"` // VerbTemplate
	ToTemplate   json.RawMessage `json:"to_template,omitempty"`   // VerbTemplate
	FromVersion  string          `json:"from_version,omitempty"`  // VerbTemplate, VerbImage: as said
	ToVersion    string          `json:"to_version,omitempty"`    // VerbTemplate, VerbImage: as said
	ToRevision   int64           `json:"to_revision,omitempty"`   // VerbTemplate: the revision it was taken from

	// DeletePods are broken pods of a StatefulSet, which would wait for them for
	// ever instead of replacing them. Found by Plan.
	DeletePods []PodRef `json:"delete_pods,omitempty"`

	// PreStop are hooks that come or go with the images of VerbImage. Found by Plan,
	// where AddPause is so many seconds: pods that stop abruptly are to wait first.
	PreStop  []PreStop `json:"pre_stop,omitempty"`
	AddPause int64     `json:"-"`

	// Blips are why requests fail while the pods are replaced. Found by Plan.
	Blips []Blip `json:"blips,omitempty"`

	// Labels are those of the object as it was when the change was planned:
	// policies go by them.
	Labels map[string]string `json:"labels,omitempty"`

	// Before and After are a whole object as it is and as it is to be, without
	// what the server manages; none where it is not there. Of verbs that make,
	// replace or delete objects.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	Target *Ref            `json:"target,omitempty"` // what people call it by, where that is not Ref
	Of     string          `json:"of,omitempty"`     // VerbImage: the namespace in which the images run already
	Bounds *Bounds         `json:"bounds,omitempty"` // VerbAutoscale: what was asked for
	Ports  []int32         `json:"ports,omitempty"`  // VerbCreate, VerbDelete

	Node  *NodeChange  `json:"node,omitempty"`  // the verbs of nodes
	Drain *Drain       `json:"drain,omitempty"` // VerbDrain
	Pod   *PodDeletion `json:"pod,omitempty"`   // VerbDeletePod
	Run   *JobRun      `json:"run,omitempty"`   // VerbRunJob
	Hold  *Suspension  `json:"hold,omitempty"`  // VerbSuspend, VerbUnsuspend

	Canary *Canary `json:"canary,omitempty"` // VerbCanary, VerbWithdraw

	// Based is the generation of the object that was looked at to make up the
	// change; 0 is any. Plan refuses another with ErrStale.
	Based int64 `json:"-"`

	Pull *PullRequest `json:"pull,omitempty"` // VerbPull
	Held *Held        `json:"held,omitempty"` // VerbHold

	Silence *Silence `json:"silence,omitempty"` // VerbSilence, VerbUnsilence

	As    As     `json:"as"`
	Cause string `json:"cause,omitempty"` // for `kubectl rollout history`
}

// About is what the change is about, as people call it: the workload, where an
// object beside it is changed.
func (c Change) About() Ref {
	if c.Target != nil {
		return *c.Target
	}
	return c.Ref
}

// ErrStale says that a change was made up from an object that is not like that
// any more: whoever made it up should look again.
var ErrStale = errors.New("kube: the object has changed since it was looked at")

// PodRef names one pod, and no other of the same name.
type PodRef struct {
	Namespace string `json:"namespace,omitempty"` // "" is that of the change
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// Diff is what a change would do, as the API server itself answered a dry-run.
type Diff struct {
	Generation int64  // of the object that was compared
	UID        string // of the object that was compared
	Unified    string // unified diff of the object's YAML, without what the server manages; "" where nothing would change
}
