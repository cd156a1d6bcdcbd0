package kube

import (
	"fmt"
	"slices"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// imaging sets the images of containers.
type imaging struct{}

func (imaging) doing(c Change) string { return "change " + c.Ref.Name }
func (imaging) from(c Change) string  { return c.FromVersion }
func (imaging) to(c Change) string    { return c.ToVersion }
func (imaging) aspect() Aspect        { return AspectTemplate }

func (imaging) inverse(c Change) (Change, bool) {
	for i, im := range c.Images {
		c.Images[i] = ImageChange{Container: im.Container, From: im.To, To: im.From}
	}
	c.PreStop = unpaused(c.PreStop)
	return c, true
}

func (imaging) onto(c Change, live object) (Change, error) {
	for i, im := range c.Images {
		from, ok := imageOf(live, im.Container)
		if !ok {
			return c, fault.New(fault.NotFound, "%s has no container %s.", c.Ref.Name, im.Container)
		}
		c.Images[i].From = from
	}
	if len(c.Images) == 1 {
		c.FromVersion = Tag(c.Images[0].From)
	}
	c.FromReplicas = podsOf(c.Ref, live)
	return c, nil
}

func (imaging) moved(c Change, live object) (is string, field []string, err error) {
	for _, im := range c.Images {
		image, ok := imageOf(live, im.Container)
		if ok && image == im.From {
			continue
		}
		field = []string{"f:spec", "f:template", "f:spec", "f:containers", fmt.Sprintf(`k:{"name":%q}`, im.Container), "f:image"}
		switch {
		case !ok:
			is = "has no container " + im.Container
		case Repository(image) == Repository(im.From):
			is = "runs " + Tag(image)
		default: // the tag alone would not tell the difference
			is = "runs " + image
		}
	}
	for _, p := range c.PreStop {
		if s := movedHook(live, p); s != "" && is == "" {
			is, field = s, []string{"f:spec", "f:template", "f:spec", "f:containers", fmt.Sprintf(`k:{"name":%q}`, p.Container), "f:lifecycle"}
		}
	}
	return is, field, nil
}

func (imaging) patch(c Change) (map[string]any, error) {
	var containers []any
	of := map[string]map[string]any{}
	container := func(name string) map[string]any {
		if of[name] == nil {
			of[name] = map[string]any{"name": name}
			containers = append(containers, of[name])
		}
		return of[name]
	}
	for _, im := range c.Images {
		container(im.Container)["image"] = im.To
	}
	for _, p := range c.PreStop {
		container(p.Container)["lifecycle"] = p.patch()
	}
	return map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": containers}}}}, nil
}

func (imaging) holds(c Change, w Workload) bool {
	return !slices.ContainsFunc(c.Images, func(im ImageChange) bool { return w.Image(im.Container) != im.To })
}

func (imaging) behind(c, before Change) (Change, error) {
	switch before.Verb {
	case VerbTemplate:
		return c, unforeseen(c)
	case VerbImage:
		c.Images = slices.Clone(c.Images)
		for _, im := range before.Images {
			if i := containerAt(c.Images, im.Container); i >= 0 {
				c.Images[i].From, c.FromVersion = im.To, before.ToVersion
			}
		}
		c.PreStop = slices.DeleteFunc(slices.Clone(c.PreStop), func(p PreStop) bool {
			return slices.ContainsFunc(before.PreStop, func(o PreStop) bool { return o.Container == p.Container })
		})
	}
	return c, nil
}

func (imaging) further(c, back Change) Change {
	c.ToVersion, c.Images = back.ToVersion, slices.Clone(c.Images)
	for _, im := range back.Images {
		if i := containerAt(c.Images, im.Container); i >= 0 {
			c.Images[i].To = im.To
		} else {
			c.Images = append(c.Images, im)
		}
	}
	c.PreStop = slices.Clone(c.PreStop)
	for _, p := range back.PreStop {
		if !slices.ContainsFunc(c.PreStop, func(o PreStop) bool { return o.Container == p.Container }) {
			c.PreStop = append(c.PreStop, p)
		}
	}
	return c
}

func (imaging) foresee(c Change, w *Workload) {
	w.Containers = slices.Clone(w.Containers)
	for j := range w.Containers {
		if i := containerAt(c.Images, w.Containers[j].Name); i >= 0 {
			w.Containers[j].Image = c.Images[i].To
		}
	}
}

func containerAt(images []ImageChange, container string) int {
	return slices.IndexFunc(images, func(o ImageChange) bool { return o.Container == container })
}

func imageOf(o object, container string) (string, bool) {
	for _, c := range o.template.Spec.Containers {
		if c.Name == container {
			return c.Image, true
		}
	}
	return "", false
}

// unforeseen says that a change cannot be known before another one is made.
func unforeseen(c Change) error {
	return fault.New(fault.Refused, "What %s goes back to depends on what is done to it before. Ask me for that when the rest is done.", c.Ref.Name)
}
