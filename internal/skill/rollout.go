package skill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// deploy plans another version or image.
func (c *Crew) deploy(ctx context.Context, t *dialogue.Turn, ws []kube.Workload) (plan, error) {
	if ofCanary(t) {
		return c.canary(ctx, t, ws)
	}
	var p plan
	var same []kube.Workload
	for _, w := range ws {
		from, to, err := c.newImage(ctx, t, w)
		if err != nil {
			return plan{}, err
		}
		if from.Image == to {
			same = append(same, w)
			continue
		}
		p.changes = append(p.changes, kube.Change{
			Ref: w.Ref, Verb: kube.VerbImage, Images: []kube.ImageChange{{Container: from.Name, From: from.Image, To: to}},
			FromVersion: kube.Tag(from.Image), ToVersion: sayVersion(from.Image, to), Cause: cause(t.Request.Speaker, t.Request.Text),
			AddPause: addedPause(t),
		})
		if p.warnings, err = c.warnPaused(p.warnings, w); err != nil {
			return plan{}, err
		}
	}
	if len(p.changes) == 0 {
		return plan{}, already(t, same, "deploy.same", dialogue.Data{"Version": same[0].Version()})
	}
	return p, nil
}

// warnPaused adds that a roll-out is held, where it is.
func (c *Crew) warnPaused(warnings []intents.Say, w kube.Workload) ([]intents.Say, error) {
	if !w.Paused {
		return warnings, nil
	}
	say, err := c.catalogue.Say("deploy.paused", dialogue.Data{"Name": w.Ref.Name})
	return append(warnings, say), err
}

// sayVersion is how the new image is said: the tag, or the whole image where
// more than the tag changes.
func sayVersion(from, to string) string {
	if kube.Repository(from) != kube.Repository(to) {
		return to
	}
	return kube.Tag(to)
}

// cause is what `kubectl rollout history` will show.
func cause(s access.Speaker, said string) string {
	said = strings.Join(strings.Fields(said), " ")
	if len(said) > 120 {
		said = strings.ToValidUTF8(said[:120], "") + "…"
	}
	return fmt.Sprintf("firstmate, asked by %s: %s", s.Key(), said)
}

// newImage finds the container that is meant and the image it is to run.
func (c *Crew) newImage(ctx context.Context, t *dialogue.Turn, w kube.Workload) (kube.Container, string, error) {
	in := t.Intent.Slots
	from, ok := w.Main()
	if said := in.String("container"); said != "" {
		i := slices.IndexFunc(w.Containers, func(e kube.Container) bool { return e.Name == said })
		if i < 0 {
			return from, "", fault.New(fault.NotFound, "%s has no container %s.", w.Ref.Name, said)
		}
		from, ok = w.Containers[i], true
	}
	if !ok {
		var all []string
		for _, e := range w.Containers {
			all = append(all, e.Name)
		}
		r, err := t.Reply("ask.container", dialogue.Data{"Name": w.Ref.Name, "Containers": all})
		if err != nil {
			return from, "", err
		}
		r.Fault = fault.Ambiguous
		return from, "", instead{reply: t.Ask(r, "container", all)}
	}
	if image := in.String("image"); image != "" {
		return c.otherImage(t, w, from, image)
	}
	version := in.String("version")
	history, err := c.cluster.History(ctx, w)
	if err != nil {
		return from, "", err
	}
	var known []string
	for _, rev := range history {
		for _, e := range rev.Containers {
			if e.Name == from.Name && kube.Repository(e.Image) == kube.Repository(from.Image) {
				known = append(known, kube.Tag(e.Image))
			}
		}
	}
	to := kube.WithVersion(from.Image, version, known)
	if _, err := reference.ParseNormalizedNamed(to); err != nil {
		return from, "", fault.New(fault.NotUnderstood, "%q cannot be a version: image tags are letters, digits, dots and dashes.", version)
	}
	return from, to, nil
}

// otherImage takes an image that was given in full. One of another name is
// asked about by itself: it may be another program.
func (c *Crew) otherImage(t *dialogue.Turn, w kube.Workload, from kube.Container, image string) (kube.Container, string, error) {
	if _, err := reference.ParseNormalizedNamed(image); err != nil {
		return from, "", fault.New(fault.NotUnderstood, "%q is not an image.", image)
	}
	repo := kube.Repository(from.Image)
	switch {
	case kube.Repository(image) == repo, t.Intent.Slots.String("image_agreed") == image:
		return from, image, nil
	case !strings.Contains(kube.Repository(image), "/") && strings.HasSuffix(repo, "/"+kube.Repository(image)):
		return from, repo + image[len(kube.Repository(image)):], nil // the short name of the image in use
	}
	r, err := t.Reply("ask.other_image", dialogue.Data{"Name": w.Ref.Name, "From": from.Image, "To": image})
	if err != nil {
		return from, "", err
	}
	r.Fault = fault.Ambiguous
	return from, "", instead{reply: t.Ask(r, "image_agreed", []string{image})}
}

// goBack plans to go back to an earlier revision, or to remove a canary.
func (c *Crew) goBack(ctx context.Context, t *dialogue.Turn, before [][]kube.Change) (plan, error) {
	if ofCanary(t) {
		return c.withdrawCanary(ctx, t)
	}
	return c.ofWorkloads(c.rollback)(ctx, t, before)
}

// rollback plans to go back to an earlier revision.
func (c *Crew) rollback(ctx context.Context, t *dialogue.Turn, ws []kube.Workload) (plan, error) {
	var p plan
	for _, w := range ws {
		history, err := c.cluster.History(ctx, w)
		if err != nil {
			return plan{}, err
		}
		rev, err := earlier(history, w, t)
		if err != nil {
			return plan{}, err
		}
		p.changes = append(p.changes, kube.Change{
			Ref: w.Ref, Verb: kube.VerbTemplate, Based: w.Generation, ToTemplate: rev.Template, ToRevision: rev.Number,
			FromVersion: w.Version(), ToVersion: rev.Version(w), Cause: cause(t.Request.Speaker, t.Request.Text),
		})
		if p.warnings, err = c.warnPaused(p.warnings, w); err != nil {
			return plan{}, err
		}
	}
	return p, nil
}

// earlier picks the revision that is meant: the one that was named, or the
// newest that runs another version. (What kubectl takes, the newest but one,
// may differ by no more than a restart.)
func earlier(history []kube.Revision, w kube.Workload, t *dialogue.Turn) (kube.Revision, error) {
	in, name := t.Intent.Slots, w.Ref.Name
	if in.Has("revision") {
		n, ok := in.Int("revision")
		i := slices.IndexFunc(history, func(r kube.Revision) bool { return r.Number == int64(n) })
		if !ok || i < 0 {
			return kube.Revision{}, fault.New(fault.NotFound, "The cluster remembers no revision %s of %s; it has %s.", in.String("revision"), name, revisions(history, w))
		}
		if history[i].Current {
			return kube.Revision{}, fault.New(fault.NotUnderstood, "Revision %d is what %s runs now.", n, name)
		}
		return history[i], nil
	}
	if v := in.String("version"); v != "" {
		for _, r := range history {
			if strings.TrimPrefix(r.Version(w), "v") == strings.TrimPrefix(v, "v") {
				if r.Version(w) == history[0].Version(w) {
					return kube.Revision{}, fault.New(fault.NotUnderstood, "%s runs %s already.", name, v)
				}
				return r, nil
			}
		}
		return kube.Revision{}, fault.New(fault.NotFound, "The cluster remembers no version %s of %s; it has %s. To roll out a version it does not remember, say “roll out %s of %s”.", v, name, revisions(history, w), v, name)
	}
	steps, said := in.Int("steps")
	if said && steps > 1 {
		return kube.Previous(history, steps, name)
	}
	for _, r := range history {
		if !r.Current && r.Version(w) != history[0].Version(w) {
			return r, nil
		}
	}
	return kube.Previous(history, 1, name)
}

func revisions(history []kube.Revision, w kube.Workload) string {
	var out []string
	for _, r := range history {
		out = append(out, fmt.Sprintf("%d (%s)", r.Number, r.Version(w)))
	}
	return and(out)
}

// restart plans a rolling restart.
func (c *Crew) restart(_ context.Context, t *dialogue.Turn, ws []kube.Workload) (plan, error) {
	var p plan
	var err error
	for _, w := range ws {
		if p.warnings, err = c.warnPaused(p.warnings, w); err != nil {
			return plan{}, err
		}
		p.changes = append(p.changes, kube.Change{
			Ref: w.Ref, Verb: kube.VerbRestart, RestartedAt: time.Now().Format(time.RFC3339), FromVersion: w.Version(),
			FromReplicas: w.Progress.Desired, Cause: cause(t.Request.Speaker, t.Request.Text),
		})
	}
	return p, nil
}
