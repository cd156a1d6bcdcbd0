package skill

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// GitOps is what may be done about objects that Argo CD or Flux keep.
type GitOps struct {
	Pulls     bool // pull requests can be opened
	Emergency bool // a direct change is allowed, with what would put it back held
}

// keeper knows what objects belong to.
type keeper interface {
	OwnerOf(ctx context.Context, ref kube.Ref) (o kube.Owner, ok bool, err error)
	SourceOf(ctx context.Context, cluster string, o kube.Owner) (kube.Source, error)
}

// The ways that a change of what Git keeps may go; values of the slot "way".
const (
	wayPull   = "pull_request"
	wayDirect = "direct"
)

// UseGitOps says what may be done about what Argo CD or Flux keep. Without it
// such a change is refused.
func (c *Crew) UseGitOps(g GitOps) { c.gitops = g }

// way is how somebody wants a change to go, "" where they did not say. Whoever
// begins with “emergency” wants it at once; they are asked all the same.
func way(t *dialogue.Turn) string {
	if w := t.Intent.Slots.String("way"); w != "" {
		return w
	}
	first, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(t.Request.Text)), " ")
	if strings.Trim(first, ",:;.!-—") == "emergency" {
		return wayDirect
	}
	return ""
}

// kept has the changes of what something else keeps go the way that their owner
// allows: by a pull request, or directly with the owner held.
func (c *Crew) kept(ctx context.Context, t *dialogue.Turn, p plan) (plan, error) {
	var out []kube.Change
	for _, ch := range p.changes {
		if !slices.Contains([]kube.Verb{kube.VerbScale, kube.VerbImage, kube.VerbTemplate}, ch.Verb) {
			out = append(out, ch)
			continue
		}
		o, ok, err := c.cluster.OwnerOf(ctx, ch.Ref)
		if k := fault.KindOf(err); k == fault.NotFound || k == fault.Forbidden {
			ok, err = false, nil // what is wrong with it is told when it is tried
		}
		if err != nil {
			return p, err
		}
		var said []intents.Say
		var changes []kube.Change
		switch {
		case p.follows && (!ok || !o.Reverts()):
			return p, fault.New(fault.Refused, "%s belongs to neither Argo CD nor Flux, so I know no repository to say it in.", ch.Ref.Name)
		case !ok:
			changes = []kube.Change{ch}
		case !o.Reverts():
			changes = []kube.Change{ch}
			said, err = c.warned(ch, kube.Source{Owner: o}, "gitops.helm")
		default:
			changes, said, err = c.owned(ctx, t, ch, o, p.follows)
		}
		if err != nil {
			return p, err
		}
		for _, n := range changes {
			if !slices.ContainsFunc(out, func(o kube.Change) bool { return o.Verb == kube.VerbHold && o.Ref == n.Ref }) {
				out = append(out, n)
			}
		}
		for _, s := range said {
			if !slices.Contains(p.warnings, s) {
				p.warnings = append(p.warnings, s)
			}
		}
	}
	p.changes = out
	return p, nil
}

// owned is the change of a workload that Argo CD or Flux keep.
func (c *Crew) owned(ctx context.Context, t *dialogue.Turn, ch kube.Change, o kube.Owner, follows bool) ([]kube.Change, []intents.Say, error) {
	in := t.Intent
	t.Session.LastWrite, t.Session.ReadLast = &in, false // also where it fails: it may be wanted another way then
	s, err := c.cluster.SourceOf(ctx, ch.Ref.Cluster, o)
	lost := fault.KindOf(err) == fault.NotFound || fault.KindOf(err) == fault.Forbidden
	if err != nil && !lost {
		return nil, nil, err
	}
	if way(t) == wayDirect {
		if !c.gitops.Emergency {
			return nil, nil, fault.New(fault.Refused, "%s belongs to the %s %s of %s, and gitops.emergency does not allow me to change it past Git.", ch.Ref.Name, o.Kind, o.Name, o.Tool)
		}
		return c.directly(ch, s, lost)
	}
	switch {
	case lost:
		return nil, nil, fault.New(fault.Refused, "%s belongs to the %s %s of %s, which would put back what I change, and I cannot see it here, so I do not know its repository.%s", ch.Ref.Name, o.Kind, o.Name, o.Tool, c.emergency())
	case !c.gitops.Pulls:
		return nil, nil, fault.New(fault.Refused, "%s belongs to the %s %s of %s, which would put back what I change. Change it in %s; I open pull requests once gitops.github.token is set.%s", ch.Ref.Name, o.Kind, o.Name, o.Tool, repositories(s), c.emergency())
	}
	inner, err := c.gitHas(ctx, ch, follows)
	if err != nil {
		return nil, nil, err
	}
	keys := []string{"gitops.instead"}
	if c.gitops.Emergency {
		keys = append(keys, "gitops.or_directly")
	}
	if follows {
		keys = []string{"gitops.follows"}
	}
	said, err := c.warned(ch, s, keys...)
	return []kube.Change{{
		Ref: ch.Ref, Verb: kube.VerbPull, Cause: cause(t.Request.Speaker, t.Request.Text),
		Pull: &kube.PullRequest{Change: inner, Source: s, Follows: follows, Author: cmp.Or(t.Request.Speaker.Name, t.Request.Speaker.ID)},
	}}, said, err
}

// emergency is the sentence by which a direct change is offered.
func (c *Crew) emergency() string {
	if c.gitops.Emergency {
		return " In an emergency say “do it directly”."
	}
	return ""
}

func repositories(s kube.Source) string {
	var out []string
	for _, p := range s.Places {
		if !slices.Contains(out, p.Repository) {
			out = append(out, p.Repository)
		}
	}
	if len(out) == 0 {
		return "its repository"
	}
	return and(out)
}

// directly is the change itself, with the owner held before it so that it stays.
func (c *Crew) directly(ch kube.Change, s kube.Source, lost bool) ([]kube.Change, []intents.Say, error) {
	ch.AddPause = 0 // Git would take it back
	changes := []kube.Change{ch}
	keys := []string{"gitops.git_differs"}
	switch {
	case lost:
		keys = []string{"gitops.lost"}
	case s.Heals:
		changes = []kube.Change{kube.Hold(ch.Ref.Cluster, s.Owner, true), ch}
		keys = append(keys, "gitops.held")
	}
	if len(s.Parents) > 0 && s.Heals {
		keys = append(keys, "gitops.parents")
	}
	said, err := c.warned(ch, s, keys...)
	return changes, said, err
}

// warned words what should be known of a change of what something keeps.
func (c *Crew) warned(ch kube.Change, s kube.Source, keys ...string) ([]intents.Say, error) {
	var parents []string
	for _, p := range s.Parents {
		parents = append(parents, p.Kind+" "+p.Name)
	}
	var out []intents.Say
	for _, key := range keys {
		say, err := c.catalogue.Say(key, dialogue.Data{
			"Name": ch.Ref.Name, "Tool": string(s.Owner.Tool), "Kind": s.Owner.Kind, "Owner": s.Owner.Name, "Parents": parents, "Undone": s.Held,
		})
		if err != nil {
			return nil, err
		}
		out = append(out, say)
	}
	return out, nil
}

// gitHas is a change as Git can have it: a number or images. Of a whole pod
// template, the images are what a version is.
func (c *Crew) gitHas(ctx context.Context, ch kube.Change, follows bool) (kube.Change, error) {
	if ch.Verb != kube.VerbTemplate {
		return ch, nil
	}
	to, err := imagesOf(ch.ToTemplate)
	if err != nil {
		return ch, err
	}
	w := kube.Workload{}
	if follows { // the cluster has it: what was there before counts
		w.Containers, err = imagesOf(ch.FromTemplate)
	} else {
		w, err = c.cluster.Get(ctx, ch.Ref)
	}
	if err != nil {
		return ch, err
	}
	out := kube.Change{Ref: ch.Ref, Verb: kube.VerbImage, FromVersion: ch.FromVersion, ToVersion: ch.ToVersion}
	for _, e := range to {
		if from := w.Image(e.Name); from != "" && from != e.Image {
			out.Images = append(out.Images, kube.ImageChange{Container: e.Name, From: from, To: e.Image})
		}
	}
	if len(out.Images) == 0 {
		return ch, fault.New(fault.Refused, "What %s ran before differs in something else than its images, so I cannot take it back in Git. Revert the commit there.", ch.Ref.Name)
	}
	return out, nil
}

// imagesOf are the containers of a pod template.
func imagesOf(template json.RawMessage) ([]kube.Container, error) {
	var t struct {
		Spec struct {
			Containers []kube.Container `json:"containers"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(template, &t); err != nil {
		return nil, fmt.Errorf("skill: pod template: %w", err)
	}
	return t.Spec.Containers, nil
}

// following plans to have Git say what was changed directly before: “open a pull
// request for that”. ok is false where that is not what is meant.
func (c *Crew) following(ctx context.Context, t *dialogue.Turn) (p plan, ok bool, err error) {
	if t.Intent.Slots.String("way") != wayPull || t.Session.LastAction == "" {
		return p, false, nil
	}
	e, err := c.ledger.Entry(ctx, t.Session.LastAction)
	if fault.KindOf(err) == fault.NotFound {
		return p, false, nil
	}
	if err != nil || e.State != action.Done || e.Intent != t.Intent.Name {
		return p, false, err
	}
	for _, s := range e.Steps {
		ch := s.Change
		if !slices.Contains([]kube.Verb{kube.VerbScale, kube.VerbImage, kube.VerbTemplate}, ch.Verb) {
			continue
		}
		ch.UID, ch.Generation, ch.Based, ch.DeletePods = "", 0, 0, nil
		p.changes = append(p.changes, ch)
	}
	p.follows = len(p.changes) > 0
	return p, p.follows, nil
}

// inGit is what somebody would have said to be offered the pull request by which
// a failed one is taken back; ok is false where that is not what is offered.
func inGit(offer action.Entry) (in intents.Intent, ok bool) {
	var names []string
	for _, s := range offer.Steps {
		if s.Change.Verb != kube.VerbPull || s.Change.Pull.Close != 0 || s.Change.InnerVerb() != kube.VerbImage {
			return in, false
		}
		names = append(names, s.Change.Ref.Name)
	}
	slots := intents.Slots{"targets": names, "namespace": offer.Steps[0].Change.Ref.Namespace}
	return intents.Intent{Name: "rollback", Slots: slots}, true
}

// heal plans to have owners put back again what differs from Git.
func (c *Crew) heal(ctx context.Context, t *dialogue.Turn, ws []kube.Workload) (plan, error) {
	var p plan
	var same []kube.Workload
	focus(t, ws)
	for _, w := range ws {
		o, ok, err := c.cluster.OwnerOf(ctx, w.Ref)
		switch {
		case err != nil:
			return p, err
		case !ok || !o.Reverts():
			return p, fault.New(fault.Refused, "%s belongs to neither Argo CD nor Flux, so nothing puts it back.", w.Ref.Name)
		}
		s, err := c.cluster.SourceOf(ctx, w.Ref.Cluster, o)
		if err != nil {
			return p, err
		}
		ch := kube.Hold(w.Ref.Cluster, o, false)
		switch {
		case s.Heals:
			same = append(same, w)
			continue
		case o.Kind == kube.Application && !s.Automatic:
			return p, fault.New(fault.Refused, "The Application %s is synced by hand, so there is no self-heal to switch on.", o.Name)
		case slices.ContainsFunc(p.changes, func(other kube.Change) bool { return other.Ref == ch.Ref }):
			continue
		}
		said, err := c.warned(kube.Change{Ref: w.Ref}, s, "gitops.puts_back")
		if err != nil {
			return p, err
		}
		p.changes, p.warnings = append(p.changes, ch), append(p.warnings, said...)
	}
	if len(p.changes) == 0 {
		return p, already(t, same, "gitops.kept", dialogue.Data{})
	}
	return p, nil
}

// ownerData fills the blanks of wordings about pull requests and owners.
func ownerData(s action.Step) dialogue.Data {
	d := dialogue.Data{
		"Verb": string(s.Change.InnerVerb()), "Number": s.Last.Pull.Number, "URL": s.Last.Pull.URL, "State": string(s.Last.Pull.State),
		"Checks": s.Last.Pull.Checks, "Failing": s.Last.Pull.Failing, "Arrived": s.Last.Pull.Arrived,
		"Repository": "", "Base": "", "File": "", "Said": "", "Also": []string{}, "Close": 0, "Hold": false, "Tool": "", "Suspends": false,
	}
	if p := s.Change.Pull; p != nil {
		d["Repository"], d["Base"], d["File"], d["Said"], d["Also"], d["Close"] = p.Repository, p.Base, strings.Join(p.Files, ", "), p.Said, p.Also, p.Close
		d["Tool"] = string(p.Source.Owner.Tool)
	}
	if h := s.Change.Held; h != nil {
		d["Hold"], d["Tool"], d["Suspends"] = h.On, string(h.Tool), h.By.Kind != kube.Application
	}
	return d
}

// pullStatus says what became of the pull request by which a workload is being
// changed in this conversation; ok is false where there is none under way.
func (c *Crew) pullStatus(ctx context.Context, t *dialogue.Turn, w kube.Workload) (say intents.Say, ok bool, err error) {
	if t.Session.LastAction == "" {
		return say, false, nil
	}
	e, err := c.ledger.Entry(ctx, t.Session.LastAction)
	if fault.KindOf(err) == fault.NotFound {
		return say, false, nil
	}
	if err != nil || e.State.Ended() {
		return say, false, err
	}
	for _, s := range e.Steps {
		if s.Change.Verb == kube.VerbPull && s.Change.Ref == w.Ref && s.Applied && s.Last.Waits() {
			say, err = c.catalogue.Say("progress.pull", c.stepData(s))
			return say, err == nil, err
		}
	}
	return say, false, nil
}
