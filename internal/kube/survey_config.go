package kube

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Reference is a ConfigMap or Secret that a workload's pods need.
type Reference struct {
	Kind     string `json:"kind"` // ConfigMap or Secret
	Name     string `json:"name"`
	Key      string `json:"key,omitempty"` // "" is all of it
	How      string `json:"how"`           // "variable DB_HOST of web", "volume config"
	Optional bool   `json:"optional,omitempty"`
	// Missing says that it, or the key, is not there. Secrets are never looked
	// at: that one is missing is known only from what the pods complain of.
	Missing bool   `json:"missing,omitempty"`
	Lacks   string `json:"lacks,omitempty"` // what is missing: "object" or "key"
	// Changed is when a ConfigMap's data was last changed, and By with what
	// program; What are the keys that this program set, by name only.
	Changed time.Time `json:"changed,omitzero"`
	Made    time.Time `json:"made,omitzero"`
	By      string    `json:"by,omitempty"`
}

// referencesOf are the ConfigMaps and Secrets that a pod template needs.
func referencesOf(t corev1.PodTemplateSpec) []Reference {
	var out []Reference
	add := func(kind, name, key, how string, optional *bool) {
		if name != "" {
			out = append(out, Reference{Kind: kind, Name: name, Key: key, How: clip(how), Optional: fromPtr(optional)})
		}
	}
	for _, c := range slices.Concat(t.Spec.InitContainers, t.Spec.Containers) {
		for _, e := range c.Env {
			if e.ValueFrom == nil {
				continue
			}
			if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
				add("ConfigMap", r.Name, r.Key, "variable "+e.Name+" of "+c.Name, r.Optional)
			}
			if r := e.ValueFrom.SecretKeyRef; r != nil {
				add("Secret", r.Name, r.Key, "variable "+e.Name+" of "+c.Name, r.Optional)
			}
		}
		for _, e := range c.EnvFrom {
			if r := e.ConfigMapRef; r != nil {
				add("ConfigMap", r.Name, "", "all variables of "+c.Name, r.Optional)
			}
			if r := e.SecretRef; r != nil {
				add("Secret", r.Name, "", "all variables of "+c.Name, r.Optional)
			}
		}
	}
	volume := func(v string, kind, name string, items []corev1.KeyToPath, optional *bool) {
		add(kind, name, "", "volume "+v, optional)
		for _, i := range items {
			add(kind, name, i.Key, "volume "+v, optional)
		}
	}
	for _, v := range t.Spec.Volumes {
		if m := v.ConfigMap; m != nil {
			volume(v.Name, "ConfigMap", m.Name, m.Items, m.Optional)
		}
		if m := v.Secret; m != nil {
			volume(v.Name, "Secret", m.SecretName, m.Items, m.Optional)
		}
		if v.Projected == nil {
			continue
		}
		for _, p := range v.Projected.Sources {
			if m := p.ConfigMap; m != nil && m.Name != "kube-root-ca.crt" {
				volume(v.Name, "ConfigMap", m.Name, m.Items, m.Optional)
			}
			if m := p.Secret; m != nil {
				volume(v.Name, "Secret", m.Name, m.Items, m.Optional)
			}
		}
	}
	return out
}

// configLimit is how many ConfigMaps of one workload are looked at.
const configLimit = 20

// references looks at the ConfigMaps that the workload needs, each by its name:
// which keys they have and when they were changed, never what is in them. Of
// Secrets only what the pods complain of is told.
func (s *surveyed) references(ctx context.Context) {
	refs := referencesOf(s.template)
	maps := map[string]*corev1.ConfigMap{}
	var mu sync.Mutex
	var do []func(context.Context)
	asked := map[string]bool{}
	for _, r := range refs {
		if r.Kind != "ConfigMap" || asked[r.Name] || len(asked) == configLimit {
			continue
		}
		asked[r.Name] = true
		do = append(do, func(ctx context.Context) {
			m, err := s.r.client.CoreV1().ConfigMaps(s.w.Ref.Namespace).Get(ctx, r.Name, metav1.GetOptions{ResourceVersion: "0"})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				maps[r.Name] = m
			case apierrors.IsNotFound(err):
				maps[r.Name] = nil
			default:
				s.lacks(err, "the ConfigMap "+r.Name)
			}
		})
	}
	s.parallel(ctx, do...)
	complaints := s.complaints()
	for i := range refs {
		r := &refs[i]
		if r.Kind == "Secret" {
			r.missingSecret(complaints)
			continue
		}
		m, seen := maps[r.Name]
		if !seen {
			continue
		}
		r.look(m)
	}
	s.dns(ctx)
	s.set(func(o *Survey) { o.References = refs })
}

// look tells what is there of what is needed; m is nil where there is no such
// ConfigMap.
func (r *Reference) look(m *corev1.ConfigMap) {
	if m == nil {
		r.Missing, r.Lacks = !r.Optional, "object"
		return
	}
	_, text := m.Data[r.Key]
	_, binary := m.BinaryData[r.Key]
	if r.Key != "" && !text && !binary {
		r.Missing, r.Lacks = !r.Optional, "key"
	}
	r.Made = m.CreationTimestamp.Time
	r.Changed, r.By = dataChange(m.ManagedFields)
	r.Changed = cmpTime(r.Changed, r.Made)
}

func cmpTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// dataChange is when the data of a ConfigMap was last changed: who changes only
// labels changes nothing that a pod reads.
func dataChange(fields []metav1.ManagedFieldsEntry) (time.Time, string) {
	return lastChange(slices.DeleteFunc(slices.Clone(fields), func(f metav1.ManagedFieldsEntry) bool {
		return f.FieldsV1 == nil || !strings.Contains(f.FieldsV1.GetRawString(), `"f:data"`) && !strings.Contains(f.FieldsV1.GetRawString(), `"f:binaryData"`)
	}))
}

// complaints are what pods and their events say, for what is known only so.
func (s *surveyed) complaints() []string {
	var out []string
	for _, p := range s.pods {
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if c.State.Waiting != nil && c.State.Waiting.Message != "" {
				out = append(out, c.State.Waiting.Message)
			}
		}
	}
	about := names(s.pods)
	for _, e := range s.events {
		if e.Reason == "FailedMount" && slices.Contains(about, e.InvolvedObject.Name) {
			out = append(out, e.Message)
		}
	}
	return out
}

// missingSecret reads from complaints whether a Secret is missing. The kubelet
// says `secret "x" not found` and `couldn't find key k in Secret ns/x`.
func (r *Reference) missingSecret(complaints []string) {
	for _, c := range complaints {
		switch {
		case strings.Contains(c, `secret "`+r.Name+`" not found`):
			r.Missing, r.Lacks = true, "object"
		case r.Key != "" && strings.Contains(c, "key "+r.Key+" in Secret") && strings.Contains(c, "/"+r.Name),
			r.Key != "" && strings.Contains(c, "references non-existent secret key: "+r.Key):
			r.Missing, r.Lacks = true, "key"
		}
	}
}
