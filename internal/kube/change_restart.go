package kube

import "fmt"

// restarting sets a new restartedAt, as kubectl does.
type restarting struct{}

func (restarting) doing(c Change) string { return "restart " + c.Ref.Name }
func (restarting) from(c Change) string  { return c.FromVersion }
func (restarting) to(Change) string      { return "restarted" }
func (restarting) aspect() Aspect        { return AspectTemplate }

func (restarting) inverse(c Change) (Change, bool) { return c, false }

func (restarting) onto(c Change, live object) (Change, error) {
	if c.RestartedAt == "" {
		return c, fmt.Errorf("kube: a restart without a time")
	}
	if n := podsOf(c.Ref, live); n > 0 {
		c.FromReplicas = n
	}
	return c, nil
}

func (restarting) moved(Change, object) (is string, field []string, err error) {
	return "", nil, nil // a restart is right whatever runs
}

func (restarting) patch(c Change) (map[string]any, error) {
	return map[string]any{"spec": map[string]any{"template": map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{restartedAt: c.RestartedAt}},
	}}}, nil
}
