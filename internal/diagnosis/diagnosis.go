// Package diagnosis says why something is slow, failing or not starting.
// Collectors gather typed evidence under one deadline (Gather), a pure ranking
// turns evidence into causes (Rank). What lies between them, the Case, is one
// JSON file: the same Case gives the same Verdict, with or without a cluster.
// Text in evidence came from logs, events and alerts: it is shown, clipped and
// masked, and compared; never obeyed.
package diagnosis

import (
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
)

// Symptom is what is wrong with the target, as the intent diagnose names it.
type Symptom string

// The symptoms; SymptomUnsaid is "what is wrong with checkout?".
const (
	SymptomUnsaid      Symptom = ""
	SymptomSlow        Symptom = "slow"
	SymptomErrors      Symptom = "errors"
	SymptomFailing     Symptom = "failing"
	SymptomCrash       Symptom = "crash"
	SymptomRestarts    Symptom = "restarts"
	SymptomOOM         Symptom = "oom"
	SymptomTimeout     Symptom = "timeout"
	SymptomDown        Symptom = "down"
	SymptomPending     Symptom = "pending"
	SymptomNotStarting Symptom = "not_starting"
	SymptomImagePull   Symptom = "image_pull"
)

// Symptoms are all of them, SymptomUnsaid first.
func Symptoms() []Symptom {
	return []Symptom{SymptomUnsaid, SymptomSlow, SymptomErrors, SymptomFailing, SymptomCrash, SymptomRestarts, SymptomOOM, SymptomTimeout, SymptomDown, SymptomPending, SymptomNotStarting, SymptomImagePull}
}

// Request is what is asked.
type Request struct {
	// Target is the workload that is asked about. Without a Name it is its whole
	// Namespace, without a Namespace too the whole cluster; Kind "Node" is a node.
	Target  observability.Target `json:"target"`
	Symptom Symptom              `json:"symptom,omitempty"`
	// Window is when the trouble is looked for; To is the moment of the question.
	// It is compared with what was before From, and with a week ago.
	Window observability.Window `json:"window"`
}

// Object names something of a cluster, or outside of it: a back-end that is
// called but runs elsewhere has Kind "" and a Name only.
type Object struct {
	Cluster   string `json:"cluster,omitempty"` // "" is the home cluster
	Namespace string `json:"namespace,omitempty"`
	Kind      string `json:"kind,omitempty"` // "Deployment", "Pod", "Node", "ConfigMap", …
	Name      string `json:"name"`
}

// String gives the form kind/name, with the namespace before it, for people.
func (o Object) String() string {
	s := o.Name
	if o.Kind != "" {
		s = strings.ToLower(o.Kind) + "/" + s
	}
	if o.Namespace != "" {
		s = o.Namespace + "/" + s
	}
	return s
}

// TargetObject is a target as an Object.
func TargetObject(t observability.Target) Object {
	return Object{Cluster: t.Cluster, Namespace: t.Namespace, Kind: t.Kind, Name: t.Name}
}

// Evidence is one fact with where it comes from. Which fields a Kind fills is
// said at the Kind. Times that are not known are zero, numbers that are not
// known are nil: nothing is made up.
type Evidence struct {
	Kind Kind `json:"kind"`
	// At is when it happened or began: an onset, not the moment of looking.
	At time.Time `json:"at,omitzero"`
	// About is the thing that the fact is about.
	About Object `json:"about"`
	// Owner is the workload that About belongs to, where About is none: that of
	// a Pod, or that a Service, HPA, PVC, ConfigMap or NetworkPolicy is for.
	Owner Object `json:"owner,omitzero"`
	// Peer is the other side: what is called, the node that a pod is on, what is missing.
	Peer Object `json:"peer,omitzero"`

	// Name is the detail that the fact is about: a container, a key, a metric, a reason.
	Name string `json:"name,omitempty"`
	// From and To are what it was and what it is, as text.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Value is the number now (in Unit), Before in the window before, Week at
	// the same hour a week ago, Limit what it may be at most.
	Value  *float64           `json:"value,omitempty"`
	Before *float64           `json:"before,omitempty"`
	Week   *float64           `json:"week,omitempty"`
	Limit  *float64           `json:"limit,omitempty"`
	Unit   observability.Unit `json:"unit,omitempty"`
	// Count is how often.
	Count int `json:"count,omitempty"`
	// Text is what a log, event or alert says, clipped and masked.
	Text string `json:"text,omitempty"`

	// Source is the back-end: "kubernetes", "prometheus", "loki", "logs", "sentry",
	// "alertmanager", "traces". Query is what it was asked, Link where to look.
	Source string `json:"source"`
	Query  string `json:"query,omitempty"`
	Link   string `json:"link,omitempty"`
}

// Num makes a number of evidence.
func Num(v float64) *float64 { return &v }

// Workload is the workload that a fact belongs to: About, or its Owner.
func (e Evidence) Workload() Object {
	if e.Owner != (Object{}) {
		return e.Owner
	}
	return e.About
}
