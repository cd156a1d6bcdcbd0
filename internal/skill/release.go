package skill

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability/sentry"
)

// DeployMarker is told what was rolled out; *sentry.Client is one.
type DeployMarker interface {
	ProjectOf(ctx context.Context, name, namespace string) (sentry.Project, bool, error)
	FindRelease(ctx context.Context, p sentry.Project, name, version string) (sentry.Release, bool, error)
	// MarkDeploy tells of a deploy once, however often it is called with the same name.
	MarkDeploy(ctx context.Context, p sentry.Project, release, environment, name string, at time.Time) error
	EnvironmentOf(namespace string) string
}

// MarkDeploys has what is rolled out marked.
func (c *Crew) MarkDeploys(m DeployMarker) *Crew {
	c.outside.marker = m
	return c
}

// markingFor is how long telling the marker may hold up the word to people.
const markingFor = 4 * time.Second

// marked marks what an entry rolled out and says so in the text. What goes wrong
// with that is said and logged, and changes nothing about the roll-out.
func (c *Crew) marked(ctx context.Context, e action.Entry, r dialogue.Reply, log *slog.Logger) dialogue.Reply {
	if c.outside.marker == nil || e.State != action.Done {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, markingFor)
	defer cancel()
	for _, s := range e.Steps {
		ch := s.Change
		if p := ch.Pull; p != nil {
			if p.Close != 0 || p.Follows {
				continue // nothing came to the cluster
			}
			ch = p.Change // merged, and seen rolled out: else it were not done
		}
		ref, version := ch.Ref, ch.ToVersion
		if !s.Applied || version == "" || !slices.Contains([]kube.Verb{kube.VerbImage, kube.VerbTemplate}, ch.Verb) {
			continue
		}
		release, env, err := c.mark(ctx, ref, version, e)
		if err != nil {
			log.WarnContext(ctx, "a deploy is not marked", "action", e.ID, "object", ref, "err", err)
		}
		if err == nil && release == "" {
			continue // it reports to no project
		}
		problem := ""
		if err != nil {
			problem = fault.Say(err)
		}
		say, err := c.catalogue.Say("errors.marked", dialogue.Data{"Name": ref.Name, "Release": release, "Environment": env, "Problem": problem})
		if err != nil {
			log.ErrorContext(ctx, "not worded", "err", err)
			continue
		}
		r.Text += "\n" + say.Text
	}
	return r
}

// mark marks one deploy; the release is "" where the workload reports to no project.
func (c *Crew) mark(ctx context.Context, ref kube.Ref, version string, e action.Entry) (release, env string, err error) {
	m := c.outside.marker
	p, ok, err := m.ProjectOf(ctx, ref.Name, ref.Namespace)
	if err != nil || !ok {
		return "", "", err
	}
	release = ref.Name + "@" + version // as Sentry's own tools name releases
	known, ok, err := m.FindRelease(ctx, p, ref.Name, version)
	if err != nil {
		return release, "", err
	}
	if ok {
		release = known.Version
	}
	at := e.Ended
	if at.IsZero() {
		at = e.Decided
	}
	env = m.EnvironmentOf(ref.Namespace)
	return release, env, m.MarkDeploy(ctx, p, release, env, e.ID, at)
}
