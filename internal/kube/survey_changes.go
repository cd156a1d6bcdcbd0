package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Revised is a revision of a workload with what it changed.
type Revised struct {
	Number int64     `json:"number"`
	At     time.Time `json:"at"` // when it was first made, or made again by a roll-back
	// Made is when the cluster first had it: long before At, if it was gone back to.
	Made    time.Time    `json:"made"`
	Version string       `json:"version"`
	Hash    string       `json:"hash"` // by which its pods are told
	Current bool         `json:"current"`
	Cause   string       `json:"cause,omitempty"` // the change-cause, clipped
	Changed []Difference `json:"changed,omitempty"`
}

// Facet is what of a pod template differs.
type Facet string

// The facets.
const (
	FacetImage     Facet = "image"
	FacetEnv       Facet = "env"       // a variable, or where it is taken from
	FacetResources Facet = "resources" // a request or a limit
	FacetProbe     Facet = "probe"
	FacetConfig    Facet = "config" // a ConfigMap or Secret that it refers to
	FacetCommand   Facet = "command"
	FacetPorts     Facet = "ports"
	FacetVolume    Facet = "volume"
	FacetContainer Facet = "container" // one that came or went
	FacetRestart   Facet = "restart"   // nothing but that it was restarted
	FacetLabels    Facet = "labels"
	FacetPlacing   Facet = "placing" // where it may run: selectors, affinity, tolerations
	FacetOther     Facet = "other"
)

// Difference is one thing in which two pod templates differ. From and To are
// masked where they look like a secret; "" is that it was not there.
type Difference struct {
	Facet     Facet  `json:"aspect"`
	Container string `json:"container,omitempty"`
	Name      string `json:"name,omitempty"` // of the variable, the resource, the probe, the object
	From      string `json:"from,omitempty"`
	To        string `json:"to,omitempty"`
}

// changes finds what the revisions changed, newest first.
func (s *surveyed) changes(ctx context.Context) {
	type kept struct {
		Revised
		template corev1.PodTemplateSpec
	}
	var all []kept
	var err error
	if s.w.Ref.Kind == Deployment {
		err = s.r.ownedReplicaSets(ctx, s.w, func(rs *appsv1.ReplicaSet, n int64) {
			t := rs.Spec.Template.DeepCopy()
			delete(t.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
			all = append(all, kept{Revised{
				Number: n, Made: rs.CreationTimestamp.Time, Hash: rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey], Cause: clip(rs.Annotations[changeCause]),
			}, *t})
		})
	} else {
		var l []appsv1.ControllerRevision
		l, err = s.r.ownedControllerRevisions(ctx, s.w)
		for _, c := range l {
			var patch struct {
				Spec struct {
					Template corev1.PodTemplateSpec `json:"template"`
				} `json:"spec"`
			}
			if json.Unmarshal(c.Data.Raw, &patch) != nil {
				continue // not of a StatefulSet or DaemonSet: nothing to compare
			}
			all = append(all, kept{Revised{
				Number: c.Revision, Made: c.CreationTimestamp.Time, Hash: c.Labels[appsv1.ControllerRevisionHashLabelKey], Cause: clip(c.Annotations[changeCause]),
			}, patch.Spec.Template})
		}
	}
	if s.lacks(err, "its earlier versions") {
		return
	}
	slices.SortFunc(all, func(a, b kept) int { return cmp.Compare(b.Number, a.Number) })
	out := make([]Revised, len(all))
	for i, k := range slices.Backward(all) {
		rev := k.Revised
		in := s.w
		in.Containers = nil
		for _, c := range k.template.Spec.Containers {
			in.Containers = append(in.Containers, Container{Name: c.Name, Image: c.Image})
		}
		rev.Version, rev.At, rev.Current = in.Version(), rev.Made, i == 0
		if i+1 < len(all) {
			rev.Changed = Differences(all[i+1].template, k.template)
			rev.At = later(rev.At, out[i+1].At)
		}
		out[i] = rev
	}
	s.set(func(o *Survey) { o.Changes = out })
}

// began corrects when the current revision began. A roll-back takes up an old
// ReplicaSet again, which keeps the time at which it was made; the first pod that
// it has made since tells better.
func (s *surveyed) began() {
	if len(s.out.Changes) < 2 || !s.out.Changes[0].Made.Before(s.out.Changes[0].At) {
		return
	}
	now, first := &s.out.Changes[0], time.Time{}
	for _, p := range s.out.Pods {
		if p.Revision == now.Hash && !p.Created.Before(now.At) && (first.IsZero() || p.Created.Before(first)) {
			first = p.Created
		}
	}
	now.At = later(now.At, first)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Differences tells in what two pod templates differ, in a fixed order.
func Differences(from, to corev1.PodTemplateSpec) []Difference {
	var out []Difference
	add := func(a Facet, container, name, f, t string) {
		if f != t {
			out = append(out, Difference{a, container, clip(name), clip(f), clip(t)})
		}
	}
	all := func(a Facet, container string, f, t map[string]string) {
		for _, k := range sortedKeys(f, t) {
			add(a, container, k, f[k], t[k])
		}
	}
	was, is := containersOf(from.Spec), containersOf(to.Spec)
	for _, n := range sortedKeys(was, is) {
		f, wasThere := was[n]
		t, isThere := is[n]
		if !wasThere || !isThere {
			add(FacetContainer, n, n, f.Image, t.Image)
			continue
		}
		add(FacetImage, n, n, f.Image, t.Image)
		envs(add, n, f, t)
		all(FacetResources, n, resources(f), resources(t))
		all(FacetProbe, n, texts(probesOf(f)), texts(probesOf(t)))
		all(FacetConfig, n, sourcesOf(f), sourcesOf(t))
		add(FacetCommand, n, "", maskText(strings.Join(append(slices.Clone(f.Command), f.Args...), " ")), maskText(strings.Join(append(slices.Clone(t.Command), t.Args...), " ")))
		add(FacetPorts, n, "", portsOf(f), portsOf(t))
	}
	all(FacetVolume, "", volumesOf(from.Spec), volumesOf(to.Spec))
	all(FacetLabels, "", from.Labels, to.Labels)
	add(FacetPlacing, "", "", placing(from.Spec), placing(to.Spec))
	all(FacetConfig, "", annotations(from, true), annotations(to, true))
	if len(out) == 0 {
		f, t := from.Annotations["kubectl.kubernetes.io/restartedAt"], to.Annotations["kubectl.kubernetes.io/restartedAt"]
		add(FacetRestart, "", "", f, t)
	}
	all(FacetOther, "", annotations(from, false), annotations(to, false))
	return out
}

func sortedKeys[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func containersOf(p corev1.PodSpec) map[string]corev1.Container {
	out := map[string]corev1.Container{}
	for _, c := range slices.Concat(p.InitContainers, p.Containers) {
		out[c.Name] = c
	}
	return out
}

// envs compares variables. That a secret-looking one changed is told, not to what.
func envs(add func(a Facet, container, name, f, t string), container string, from, to corev1.Container) {
	was, is := variables(from), variables(to)
	for _, k := range sortedKeys(was, is) {
		f, t := was[k], is[k]
		if f == t {
			continue
		}
		mf, mt := maskValue(k, f), maskValue(k, t)
		if mf == mt { // both masked: that they differ is all there is to say
			mt += " (another)"
		}
		add(FacetEnv, container, k, mf, mt)
	}
}

// variables are the environment of a container; one that is taken from elsewhere
// says from where.
func variables(c corev1.Container) map[string]string {
	out := map[string]string{}
	for _, e := range c.Env {
		v := e.Value
		if from := e.ValueFrom; from != nil {
			switch {
			case from.ConfigMapKeyRef != nil:
				v = "from ConfigMap " + from.ConfigMapKeyRef.Name + ", key " + from.ConfigMapKeyRef.Key
			case from.SecretKeyRef != nil:
				v = "from Secret " + from.SecretKeyRef.Name + ", key " + from.SecretKeyRef.Key
			case from.FieldRef != nil:
				v = "from field " + from.FieldRef.FieldPath
			case from.ResourceFieldRef != nil:
				v = "from resource " + from.ResourceFieldRef.Resource
			}
		}
		out[e.Name] = v
	}
	return out
}

func resources(c corev1.Container) map[string]string {
	out := map[string]string{}
	for what, list := range map[string]corev1.ResourceList{"limit": c.Resources.Limits, "request": c.Resources.Requests} {
		for name, q := range list {
			out[string(name)+" "+what] = q.String()
		}
	}
	return out
}

func texts(all []described) map[string]string {
	out := map[string]string{}
	for _, d := range all {
		out[d.name] = d.text
	}
	return out
}

// sourcesOf are the objects that all variables are taken from at once.
func sourcesOf(c corev1.Container) map[string]string {
	out := map[string]string{}
	for _, f := range c.EnvFrom {
		switch {
		case f.ConfigMapRef != nil:
			out["ConfigMap "+f.ConfigMapRef.Name] = "all keys" + f.Prefix
		case f.SecretRef != nil:
			out["Secret "+f.SecretRef.Name] = "all keys" + f.Prefix
		}
	}
	return out
}

func portsOf(c corev1.Container) string {
	var out []string
	for _, p := range c.Ports {
		out = append(out, strings.TrimPrefix(fmt.Sprintf("%s %d", p.Name, p.ContainerPort), " "))
	}
	return strings.Join(out, ", ")
}

// volumesOf tells where volumes come from; what is mounted from a ConfigMap or a
// Secret by its name.
func volumesOf(p corev1.PodSpec) map[string]string {
	out := map[string]string{}
	for _, v := range p.Volumes {
		switch {
		case v.ConfigMap != nil:
			out[v.Name] = "ConfigMap " + v.ConfigMap.Name
		case v.Secret != nil:
			out[v.Name] = "Secret " + v.Secret.SecretName
		case v.PersistentVolumeClaim != nil:
			out[v.Name] = "PersistentVolumeClaim " + v.PersistentVolumeClaim.ClaimName
		case v.EmptyDir != nil:
			out[v.Name] = "an empty folder"
		default:
			out[v.Name] = "another source"
		}
	}
	return out
}

func placing(p corev1.PodSpec) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(p.NodeSelector)) {
		out = append(out, k+"="+p.NodeSelector[k])
	}
	for _, t := range p.Tolerations {
		out = append(out, "tolerates "+t.Key)
	}
	if p.Affinity != nil {
		if raw, err := json.Marshal(p.Affinity); err == nil {
			out = append(out, string(raw))
		}
	}
	return strings.Join(out, ", ")
}

// annotations are those by which charts note that configuration changed, or the
// others; when it was restarted is told apart.
func annotations(t corev1.PodTemplateSpec, config bool) map[string]string {
	out := map[string]string{}
	for k, v := range t.Annotations {
		isConfig := strings.Contains(k, "checksum") || strings.Contains(k, "config-hash") || strings.Contains(k, "confighash")
		if k != "kubectl.kubernetes.io/restartedAt" && isConfig == config {
			out[k] = v
		}
	}
	return out
}

// Masked stands for a value that looks like a secret.
const Masked = "***"

var (
	secretName  = regexp.MustCompile(`(?i)pass(word|wd|phrase)?|secret|token|api_?-?key|private|credential|auth|_pw$|(^|_)pwd|signing|(^|_)dsn$|(^|_)key$|cookie|salt|session`)
	userinfo    = regexp.MustCompile(`(://)[^/@\s:]*:[^/@\s]*@`)
	secretWords = regexp.MustCompile(`(?i)((?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|credential|auth)[\w-]*\s*[=: ]\s*)("[^"]*"|'[^']*'|\S+)`)
	longRandom  = regexp.MustCompile(`\b(?:eyJ[\w-]+\.[\w-]+\.[\w-]*|gh[pousr]_\w{20,}|xox[abprs]-[\w-]{10,}|sk_(?:live|test)_\w+|AKIA[0-9A-Z]{16}|[0-9a-fA-F]{40,}|[A-Za-z0-9+/]{48,}={0,2})`)
)

// maskValue masks the value of a variable whose name or form is that of a secret.
func maskValue(name, v string) string {
	if v == "" || strings.HasPrefix(v, "from ") {
		return v
	}
	if secretName.MatchString(name) && !strings.Contains(v, "://") {
		return Masked
	}
	return maskText(v)
}

// maskText masks in a text what looks like a secret.
func maskText(v string) string {
	v = userinfo.ReplaceAllString(v, "${1}"+Masked+"@")
	v = secretWords.ReplaceAllString(v, "${1}"+Masked)
	return longRandom.ReplaceAllString(v, Masked)
}
