package kube

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// templating replaces the whole pod template with that of another revision.
type templating struct{}

func (templating) doing(c Change) string { return "change " + c.Ref.Name }
func (templating) from(c Change) string  { return c.FromVersion }
func (templating) to(c Change) string    { return c.ToVersion }
func (templating) aspect() Aspect        { return AspectTemplate }

func (templating) inverse(c Change) (Change, bool) {
	c.FromTemplate, c.ToTemplate = c.ToTemplate, c.FromTemplate
	return c, true
}

func (templating) onto(c Change, live object) (Change, error) {
	raw, err := json.Marshal(live.template)
	if err != nil {
		return c, fmt.Errorf("kube: %w", err)
	}
	c.FromTemplate, c.FromVersion, c.FromReplicas = raw, versionOf(c.Ref, live), podsOf(c.Ref, live)
	return c, nil
}

// versionOf is how the version of a live object is said.
func versionOf(ref Ref, live object) string {
	now := Workload{Ref: ref}
	for _, e := range live.template.Spec.Containers {
		now.Containers = append(now.Containers, Container{Name: e.Name, Image: e.Image})
	}
	return now.Version()
}

func (templating) moved(c Change, live object) (is string, field []string, err error) {
	var from corev1.PodTemplateSpec
	if err := json.Unmarshal(c.FromTemplate, &from); err != nil {
		return "", nil, fmt.Errorf("kube: %w", err)
	}
	if !equality.Semantic.DeepEqual(from, *live.template) {
		is = "has another pod template"
	}
	return is, nil, nil
}

func (templating) patch(c Change) (map[string]any, error) {
	var t map[string]any
	if err := json.Unmarshal(c.ToTemplate, &t); err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	t["$patch"] = "replace"
	return map[string]any{"spec": map[string]any{"template": t}}, nil
}

func (templating) behind(c, before Change) (Change, error) {
	if before.Aspect() == AspectTemplate {
		return c, unforeseen(c)
	}
	return c, nil
}

func (templating) further(c, back Change) Change {
	c.ToTemplate, c.ToVersion = back.ToTemplate, back.ToVersion
	return c
}
