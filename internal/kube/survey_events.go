package kube

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// Happening is events of one kind about objects of one kind: what Kubernetes
// records again and again about pod after pod is one thing that happens.
type Happening struct {
	Type    string    `json:"type"`    // Warning or Normal
	Reason  string    `json:"reason"`  // "FailedScheduling"
	Message string    `json:"message"` // of the newest one, clipped
	About   Ref       `json:"about"`   // the newest one's object
	Objects int       `json:"objects"`
	Count   int       `json:"count"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// EventQuery says which events are meant; an empty field means any.
type EventQuery struct {
	Cluster   string
	Namespace string
	Workload  *Workload // of it and what it made: ReplicaSets, pods, claims, autoscaler
	Node      string
	Warnings  bool // no normal ones
	Normal    bool // only normal ones
	From, To  time.Time
}

// eventLimit is how many events are looked at. Kubernetes keeps those of an hour.
const eventLimit = 5000

// Events returns what happened, grouped, the newest first. more says that there
// was more than is looked at.
func (r *Reader) Events(ctx context.Context, q EventQuery) (out []Happening, more bool, err error) {
	ns := cmp.Or(q.Namespace, r.scope)
	sel := fields.Set{}
	switch {
	case q.Workload != nil:
		ns = q.Workload.Ref.Namespace
	case q.Node != "":
		ns = "" // a node's events are in default, or wherever who wrote them thought right
		sel["involvedObject.kind"], sel["involvedObject.name"] = Node, q.Node
	}
	if q.Warnings {
		sel["type"] = corev1.EventTypeWarning
	}
	if q.Normal {
		sel["type"] = corev1.EventTypeNormal
	}
	l, err := r.client.CoreV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: fields.SelectorFromSet(sel).String(), Limit: eventLimit})
	if err != nil {
		return nil, false, r.cluster.sentence(err, "look at the events")
	}
	all := slices.DeleteFunc(l.Items, func(e corev1.Event) bool {
		at := eventTime(e)
		return !q.From.IsZero() && at.Before(q.From) || !q.To.IsZero() && at.After(q.To)
	})
	if q.Workload != nil {
		about, err := r.aboutOf(ctx, *q.Workload)
		if err != nil {
			return nil, false, err
		}
		all = slices.DeleteFunc(all, func(e corev1.Event) bool { return !about(e) })
	}
	return group(r.cluster.Name, all), l.Continue != "", nil
}

// Events returns what happened in a cluster.
func (f *Fleet) Events(ctx context.Context, q EventQuery) ([]Happening, bool, error) {
	r, err := f.reader(ctx, q.Cluster)
	if err != nil {
		return nil, false, err
	}
	return r.Events(ctx, q)
}

// aboutOf tells which events are about a workload or something that it made.
// Events outlive pods, so a pod that is gone is known by its name.
func (r *Reader) aboutOf(ctx context.Context, w Workload) (func(corev1.Event) bool, error) {
	pods, err := r.podsOf(ctx, w)
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, p := range pods {
		have[p.Name] = true
	}
	scaler := ""
	if a, ok, err := r.AutoscalerOf(ctx, w.Ref); err == nil && ok {
		scaler = a.Name
	}
	return func(e corev1.Event) bool {
		o := e.InvolvedObject
		switch {
		case o.Kind == w.Ref.Kind && o.Name == w.Ref.Name:
			return true
		case o.Kind == "HorizontalPodAutoscaler":
			return o.Name == scaler
		case o.Kind == Pod && have[o.Name]:
			return true
		}
		return madeBy(w, o.Kind, o.Name)
	}, nil
}

var (
	ofReplicaSet  = regexp.MustCompile(`^-[a-z0-9]{5,10}$`)
	ofDeployment  = regexp.MustCompile(`^-[a-z0-9]{5,10}-[a-z0-9]{5}$`)
	ofStatefulSet = regexp.MustCompile(`^-\d+$`)
	ofDaemonSet   = regexp.MustCompile(`^-[a-z0-9]{5}$`)
)

// madeBy reports whether a name is one that a workload gives what it makes.
func madeBy(w Workload, kind, name string) bool {
	rest, ok := strings.CutPrefix(name, w.Ref.Name)
	switch {
	case !ok && kind != "PersistentVolumeClaim":
		return false
	case kind == "ReplicaSet" && w.Ref.Kind == Deployment:
		return ofReplicaSet.MatchString(rest)
	case kind == Pod && w.Ref.Kind == Deployment:
		return ofDeployment.MatchString(rest)
	case kind == Pod && w.Ref.Kind == StatefulSet:
		return ofStatefulSet.MatchString(rest)
	case kind == Pod && w.Ref.Kind == DaemonSet:
		return ofDaemonSet.MatchString(rest)
	case kind == "PersistentVolumeClaim" && w.Ref.Kind == StatefulSet: // TEMPLATE-NAME-0
		i := strings.LastIndex(name, "-"+w.Ref.Name+"-")
		return i > 0 && ofStatefulSet.MatchString(name[i+1+len(w.Ref.Name):])
	}
	return false
}

// hidden are the parts of a message that differ from object to object.
var hidden = regexp.MustCompile(`"[^"]*"|\S*[0-9]\S*|\([^)]*\)`)

// group puts together events that say the same of objects of a kind.
func group(cluster string, events []corev1.Event) []Happening {
	type key struct{ kind, typ, reason, text string }
	at := map[key]int{}
	objects := map[key]map[string]bool{}
	var out []Happening
	for _, e := range events {
		k := key{e.InvolvedObject.Kind, e.Type, e.Reason, strings.Join(strings.Fields(hidden.ReplaceAllString(e.Message, "")), " ")}
		first, last := e.FirstTimestamp.Time, eventTime(e)
		if first.IsZero() {
			first = last
		}
		count := int(max(1, e.Count))
		if e.Series != nil {
			count = int(max(1, e.Series.Count))
			last = later(last, e.Series.LastObservedTime.Time)
		}
		ref := Ref{Cluster: cluster, Namespace: e.InvolvedObject.Namespace, Kind: e.InvolvedObject.Kind, Name: e.InvolvedObject.Name}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k], objects[k] = i, map[string]bool{}
			out = append(out, Happening{Type: clip(e.Type), Reason: clip(e.Reason), First: first})
		}
		h := &out[i]
		objects[k][ref.Namespace+"/"+ref.Name] = true
		h.Objects, h.Count = len(objects[k]), h.Count+count
		if first.Before(h.First) {
			h.First = first
		}
		if !last.Before(h.Last) {
			h.Last, h.About, h.Message = last, ref, clipTo(e.Message, messageLimit)
		}
	}
	slices.SortStableFunc(out, func(a, b Happening) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.About.Name, b.About.Name), cmp.Compare(a.Message, b.Message))
	})
	return out
}

// surveyEvents is how many warnings of a namespace a survey looks at.
const surveyEvents = 1000

// listEvents asks for the warnings of the namespace, for all that is about its
// workloads and autoscalers themselves, and for what happened to nodes.
func (s *surveyed) listEvents(ctx context.Context) {
	ns := s.w.Ref.Namespace
	var warnings, normal, nodes []corev1.Event
	ask := func(into *[]corev1.Event, ns, what, sel string) func(context.Context) {
		return func(ctx context.Context) {
			var err error
			*into, err = s.r.sharedEvents(ctx, ns, sel)
			s.lacks(err, what)
		}
	}
	s.parallel(ctx,
		ask(&warnings, ns, "the events of "+ns, "type=Warning"),
		ask(&normal, ns, "the events of "+ns, "type=Normal,involvedObject.kind="+s.w.Ref.Kind),
		ask(&nodes, metav1.NamespaceDefault, "the events of nodes", "involvedObject.kind="+Node),
	)
	if s.w.Ref.Kind == Deployment {
		var scaler []corev1.Event
		ask(&scaler, ns, "the events of "+ns, "type=Normal,involvedObject.kind=HorizontalPodAutoscaler")(ctx)
		normal = append(slices.Clone(normal), scaler...)
	}
	s.events = slices.Concat(warnings, normal, nodes)
	slices.SortStableFunc(s.events, func(a, b corev1.Event) int { return eventTime(a).Compare(eventTime(b)) })
}

// happenings keeps of the events those about the workload, what it made and
// needs, and the nodes that it is on.
func (s *surveyed) happenings() {
	have := map[string]bool{}
	for _, p := range s.pods {
		have[Pod+"/"+p.Name] = true
	}
	for _, c := range s.out.Claims {
		have["PersistentVolumeClaim/"+c.Name] = true
	}
	for _, n := range s.out.Nodes {
		have[Node+"/"+n.Name] = true
	}
	if s.out.Scaler != nil {
		have["HorizontalPodAutoscaler/"+s.out.Scaler.Name] = true
	}
	for _, svc := range s.out.Services {
		have["Service/"+svc.Ref.Name] = true
	}
	have[s.w.Ref.Kind+"/"+s.w.Ref.Name] = true
	mine := slices.DeleteFunc(slices.Clone(s.events), func(e corev1.Event) bool {
		o := e.InvolvedObject
		return !have[o.Kind+"/"+o.Name] && !(o.Namespace == s.w.Ref.Namespace && madeBy(s.w, o.Kind, o.Name))
	})
	s.out.Events = group(s.w.Ref.Cluster, mine)
}
