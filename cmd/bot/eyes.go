package main

import (
	"context"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/diagnosis/collect"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability/podlogs"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// clusters is what the skills look at: all that is watched, or as much of it as
// the person who asks may see.
type clusters interface {
	skill.Reader
	collect.Cluster
	Edits(ctx context.Context, w kube.Workload) ([]kube.Edit, error)
	Sees(ctx context.Context, ref kube.Ref) bool
	MayReadLogs(ctx context.Context, ref kube.Ref) error
	MayMeasure(ctx context.Context, ref kube.Ref) error
	podlogs.Cluster
}

// eyes says through whose eyes a cluster is looked at.
type eyes struct{ who *access.Guard }

// of returns a context in which a View shows what a speaker may see. Who cannot
// be looked up sees nothing.
func (e eyes) of(ctx context.Context, s access.Speaker) context.Context {
	p, known, err := e.who.Who(ctx, s)
	switch {
	case err != nil || !known:
		return kube.Through(ctx, kube.As{})
	case p.Own:
		return kube.ThroughOwn(ctx)
	}
	return kube.Through(ctx, kube.As{User: p.User, Groups: p.Groups})
}

// seeing is an engine whose turns look through the eyes of who speaks.
type seeing struct {
	*dialogue.Engine
	eyes eyes
}

// Respond answers a turn.
func (s seeing) Respond(ctx context.Context, r dialogue.Request) dialogue.Reply {
	return s.Engine.Respond(s.eyes.of(ctx, r.Speaker), r)
}

// telling is a reporter that looks through the eyes of who asked for what it
// tells of.
type telling struct {
	action.Reporter
	eyes eyes
}

// Progress tells how far a running entry has come.
func (t telling) Progress(ctx context.Context, e action.Entry) {
	t.Reporter.Progress(t.eyes.of(ctx, e.Speaker), e)
}

// Outcome tells the end of an entry.
func (t telling) Outcome(ctx context.Context, e action.Entry) error {
	return t.Reporter.Outcome(t.eyes.of(ctx, e.Speaker), e)
}
