package skill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// plan is a change with what should be said before anybody agrees to it.
type plan struct {
	changes  []kube.Change
	then     [][]kube.Change // what follows, each when the former is rolled out
	warnings []intents.Say
	undoes   string
	ask      *intents.Say // the read-back, where it is one that is worded for what was asked
	after    *later       // what is to be answered when all is done; nil for nothing
	follows  bool         // Git is to say what the cluster does already
}

// planner makes a plan of what a turn asks for. before is what the steps before
// it in a chain will have changed, stage by stage; none where it is asked for by
// itself.
type planner func(ctx context.Context, t *dialogue.Turn, before [][]kube.Change) (plan, error)

// changing is what all intents that change something have in common: whether
// the speaker may, and the read-back.
func (c *Crew) changing(f planner) dialogue.HandlerFunc {
	return func(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
		if err := c.ledger.MayChange(ctx, t.Request.Speaker); err != nil {
			return dialogue.Reply{}, err
		}
		if err := c.landed(ctx, t); err != nil {
			return dialogue.Reply{}, err
		}
		return again(ctx, func() (dialogue.Reply, error) {
			p, ok, err := c.following(ctx, t)
			if err == nil && !ok {
				p, err = f(ctx, t, nil)
			}
			if err == nil {
				p, err = c.kept(ctx, t, p)
			}
			if err != nil {
				return answered(err)
			}
			return c.propose(ctx, t, p)
		})
	}
}

// A plan is made again this often, and this long after, where what it was made
// of changed meanwhile, or the watch lags behind.
const (
	planTries = 20
	planPause = 100 * time.Millisecond
)

// What was agreed to in this conversation is made before anything else is
// planned: who says "roll back" right after a yes means what the yes was for.
const (
	landTries = 100
	landPause = 50 * time.Millisecond
)

func (c *Crew) landed(ctx context.Context, t *dialogue.Turn) error {
	for try := 0; t.Session.LastAction != "" && try < landTries; try++ {
		e, err := c.ledger.Entry(ctx, t.Session.LastAction)
		switch {
		case fault.KindOf(err) == fault.NotFound:
			return nil // long ago
		case err != nil:
			return err
		case e.State != action.Approved && (e.State != action.Applying || e.Touched()):
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(landPause):
		}
	}
	if t.Session.LastAction == "" {
		return nil
	}
	return fault.New(fault.Unavailable, "I have not done yet what you said yes to before: the cluster takes its time. Ask me again when I have told you how it went.")
}

// again makes a plan, anew while what it starts from changes under it.
func again(ctx context.Context, plan func() (dialogue.Reply, error)) (dialogue.Reply, error) {
	for try := 1; ; try++ {
		r, err := plan()
		if !errors.Is(err, kube.ErrStale) || try == planTries {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, err
		case <-time.After(planPause):
		}
	}
}

// ofWorkloads is a planner of what is asked about workloads: it finds them, as
// they will be after the steps before.
func (c *Crew) ofWorkloads(f func(ctx context.Context, t *dialogue.Turn, ws []kube.Workload) (plan, error)) planner {
	return func(ctx context.Context, t *dialogue.Turn, before [][]kube.Change) (plan, error) {
		ws, err := c.workloads(ctx, t)
		if err != nil {
			return plan{}, err
		}
		if before != nil {
			focus(t, ws)
			ws = foreseen(ws, before)
		}
		return f(ctx, t, ws)
	}
}

// already says that nothing is to be done about these workloads.
func already(t *dialogue.Turn, ws []kube.Workload, key string, data dialogue.Data) error {
	focus(t, ws)
	data["Names"] = names(ws)
	r, err := t.Reply(key, data)
	if err != nil {
		return err
	}
	return instead{reply: r, nothing: true}
}

// propose dry-runs and journals a plan, and reads it back.
func (c *Crew) propose(ctx context.Context, t *dialogue.Turn, p plan) (dialogue.Reply, error) {
	after, err := p.after.encode()
	if err != nil {
		return dialogue.Reply{}, err
	}
	p = c.staged(p)
	if len(p.then) > 0 {
		p = asAsked(p) // of many steps, what was said is enough to listen to
	}
	key := t.Request.DeliveryID
	ask := func() (action.Entry, error) {
		return c.ledger.Propose(ctx, action.Proposal{
			Key: key, Conversation: t.Request.Conversation, Speaker: t.Request.Speaker,
			Said: t.Request.Text, Intent: t.Intent.Name, Changes: p.changes, Then: p.then, Undoes: p.undoes, After: after,
		})
	}
	e, err := ask()
	if err == nil && unasked(t, e, p) && addsPause(e) {
		// Who need not be asked is not asked because of something beside it.
		p = asAsked(p)
		if key != "" {
			key += "/as-asked"
		}
		e, err = ask()
	}
	if err != nil {
		return dialogue.Reply{}, err
	}
	found, err := c.found(e)
	if err != nil {
		return dialogue.Reply{}, err
	}
	p.warnings = slices.Concat(found, p.warnings)
	r, err := c.readback(t, e, p)
	if err != nil {
		return dialogue.Reply{}, err
	}
	about, err := c.phrases(e, "started.")
	if err != nil {
		return dialogue.Reply{}, err
	}
	t.Session.Question = nil
	t.Session.Propose(e.ID, e.Speaker, e.Expires, r, about)
	t.Session.TakesPIN = e.Verdict.PIN
	if t.Intent.Name != "undo" {
		in := t.Intent
		t.Session.LastWrite, t.Session.ReadLast = &in, false
	}
	if about := targets(e); len(about) > 0 {
		t.Session.Focus(about...)
	}
	if unasked(t, e, p) {
		return c.confirm(ctx, t)
	}
	return r, nil
}

// unasked reports whether an entry is done without a question: the policy wants no
// yes, there is nothing to be warned of, and nobody guessed at what was said.
func unasked(t *dialogue.Turn, e action.Entry, p plan) bool {
	return !t.Intent.Guessed && e.Verdict.Kind == access.Allow && len(p.warnings) == 0 && e.State == action.Proposed
}

// targets are the objects of an entry, each once; a Service goes with its
// workload.
func targets(e action.Entry) []dialogue.Target {
	var out []dialogue.Target
	for _, s := range e.Steps {
		if s.Change.Verb == kube.VerbHold {
			continue // what keeps a workload is nothing that people speak of
		}
		if o := target(s.Change.Subject()); !slices.Contains(out, o) && (o.Kind != kube.Service || len(e.Steps) == 1) {
			out = append(out, o)
		}
	}
	return out
}

// readback says what would be done, and asks.
func (c *Crew) readback(t *dialogue.Turn, e action.Entry, p plan) (dialogue.Reply, error) {
	key := "readback"
	data := dialogue.Data{"Warned": len(p.warnings) > 0 || p.after != nil, "Count": e.Stages()}
	var speech, text []string
	for n := range e.Stages() {
		phrase, err := c.phrases(e.OfStage(n), "change.")
		if err != nil {
			return dialogue.Reply{}, err
		}
		number := ""
		if e.Stages() > 1 {
			key, number = "readback.chain", fmt.Sprintf("%d. ", n+1)
		}
		speech, text = append(speech, number+upper(phrase.Speech)), append(text, number+upper(phrase.Text))
	}
	say := intents.Say{Speech: strings.Join(speech, ". "), Text: strings.Join(text, ".\n")}
	more, err := c.needs(e)
	if err != nil {
		return dialogue.Reply{}, err
	}
	warnings := append(slices.Clone(p.warnings), more...)
	if blips, ok, err := c.blips(e); err != nil {
		return dialogue.Reply{}, err
	} else if ok {
		warnings = append(warnings, blips)
	}
	data["Warned"] = len(warnings) > 0 || p.after != nil
	if p.after != nil {
		w, err := c.catalogue.Say("chain.after", dialogue.Data{"Count": len(p.after.Asked)})
		if err != nil {
			return dialogue.Reply{}, err
		}
		warnings = append(slices.Clone(warnings), w)
	}
	risky, high, err := c.risky(e)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if high {
		warnings = append(slices.Clone(warnings), risky)
		data["Warned"] = true
	}
	if p.ask != nil && len(e.Steps) == 1 && !high && len(warnings) == 0 {
		key, say = "readback.instead", *p.ask
	}
	for i, w := range warnings {
		if i == 0 {
			say.Speech, say.Text = say.Speech+".", say.Text+"."
		}
		say.Speech, say.Text = say.Speech+" "+w.Speech, say.Text+"\n"+w.Text
	}
	data["Speech"], data["Text"] = say.Speech, say.Text
	data["Pause"] = addsPause(e)
	r, err := t.Reply(key, data)
	if addsPause(e) {
		r.Choices = []string{dialogue.ChoiceAsAsked}
	}
	r.Expect, r.Outcome, r.Proposal = dialogue.ExpectConfirm, dialogue.OutcomePending, proposal(e)
	r.Blocks = diffs(e)
	return r, err
}

// someHazards is how many reasons are said; a list of more is not listened to.
const someHazards = 3

// risky says why a change is a high risk; high is false for one that is not.
func (c *Crew) risky(e action.Entry) (say intents.Say, high bool, err error) {
	if e.Risk() < access.High {
		return intents.Say{}, false, nil
	}
	// What is said of many objects alike is said of none: they are counted already.
	var order []action.Hazard
	said := map[action.Hazard][]intents.Say{}
	for _, s := range e.Steps {
		if s.Risk < access.High {
			continue
		}
		for _, h := range s.Hazards {
			data := c.stepData(s)
			if cluster := s.Change.Ref.Cluster; h == action.Production && c.several() && c.cluster.Production(cluster) {
				data["Namespace"] = cluster // all of it is
			}
			why, err := c.catalogue.Say("hazard."+string(h), data)
			if err != nil {
				return intents.Say{}, true, err
			}
			if !slices.Contains(order, h) {
				order = append(order, h)
			}
			if !slices.Contains(said[h], why) {
				said[h] = append(said[h], why)
			}
		}
	}
	few := slices.DeleteFunc(slices.Clone(order), func(h action.Hazard) bool { return len(said[h]) > someHazards })
	if len(few) == 0 {
		few = order
	}
	var speech, text []string
	for _, h := range few {
		for _, why := range said[h] {
			speech, text = append(speech, why.Speech), append(text, why.Text)
		}
	}
	say, err = c.catalogue.Say("risky", dialogue.Data{"Speech": and(speech[:min(len(speech), someHazards)]), "Text": and(text)})
	return say, true, err
}

// proposal is an entry as the outer contract shows it.
func proposal(e action.Entry) *dialogue.Proposal {
	p := &dialogue.Proposal{ID: e.ID, Digest: e.Digest, Risk: e.Risk().String(), Changes: make([]dialogue.Change, len(e.Steps))}
	for i, s := range e.Steps {
		ref := s.Change.Ref
		p.Changes[i] = dialogue.Change{
			Cluster: ref.Cluster, Namespace: ref.Namespace, Kind: ref.Kind, Name: ref.Name,
			From: s.Change.From(), To: s.Change.To(), Diff: s.Diff,
		}
	}
	return p
}

func diffs(e action.Entry) []dialogue.Block {
	var out []dialogue.Block
	for _, s := range e.Steps {
		if s.Diff != "" {
			out = append(out, dialogue.Block{Type: "diff", Title: s.Change.Ref.Name, Text: s.Diff})
		}
	}
	return out
}

// manySteps is how many objects are named one by one; more are counted.
const manySteps = 4

// phrases words what each step of an entry does or did and joins them.
func (c *Crew) phrases(e action.Entry, prefix string) (intents.Say, error) {
	if e.Stages() > 1 {
		return c.stagePhrases(e, prefix)
	}
	of, verb := e.Steps[0].Change, e.Steps[0].Change.Verb
	if len(e.Steps) > manySteps && !slices.ContainsFunc(e.Steps, func(s action.Step) bool { return s.Change.Verb != verb }) {
		say, err := c.manyPhrase(e, prefix+"many")
		if err != nil {
			return say, err
		}
		return c.inCluster(of, prefix, say)
	}
	var speech, text []string
	for _, s := range e.Steps {
		key := prefix + string(s.Change.Verb)
		if prefix == "done." && s.Last.OnDelete && s.Change.Aspect() == kube.AspectTemplate {
			key = "done.on_delete"
		}
		if prefix == "done." && s.Last.State == kube.Paused && s.Change.Aspect() == kube.AspectTemplate {
			key = "done.paused"
		}
		data := c.stepData(s)
		data["Name"] = s.Change.About().Name // the cluster is said behind
		say, err := c.catalogue.Say(key, data)
		if err != nil {
			return intents.Say{}, err
		}
		speech, text = append(speech, say.Speech), append(text, say.Text)
	}
	return c.inCluster(of, prefix, intents.Say{Speech: and(speech), Text: and(text)})
}

// stagePhrases words what one stage after the other does or did.
func (c *Crew) stagePhrases(e action.Entry, prefix string) (intents.Say, error) {
	var speech, text []string
	for n := range e.Stages() {
		say, err := c.phrases(e.OfStage(n), prefix)
		if err != nil {
			return intents.Say{}, err
		}
		speech, text = append(speech, say.Speech), append(text, say.Text)
	}
	if prefix == "done." {
		return intents.Say{Speech: and(speech), Text: and(text)}, nil
	}
	return intents.Say{Speech: strings.Join(speech, ", then "), Text: strings.Join(text, ", then ")}, nil
}

// manyPhrase words what many steps of one verb do or did together.
func (c *Crew) manyPhrase(e action.Entry, key string) (intents.Say, error) {
	all := make([]string, len(e.Steps))
	spaces := []string{}
	pods := int32(0)
	for i, s := range e.Steps {
		ref := s.Change.Ref
		all[i] = ref.Name
		pods += max(s.Change.FromReplicas, s.Last.Desired)
		if !slices.Contains(spaces, ref.Namespace) {
			spaces = append(spaces, ref.Namespace)
		}
	}
	ch := e.Steps[0].Change
	data := dialogue.Data{
		"Verb": string(ch.Verb), "Count": len(all), "Names": all, "Some": all[:3], "More": len(all) - 3,
		"Namespaces": spaces, "Pods": pods, "To": ch.To(),
	}
	what, err := c.catalogue.Say("many."+string(ch.Verb), data)
	if err != nil {
		return what, err
	}
	data["Speech"], data["Text"] = what.Speech, what.Text
	return c.catalogue.Say(c.own(key, ch.Verb), data)
}

// stepData fills the blanks of wordings about one step.
func (c *Crew) stepData(s action.Step) dialogue.Data {
	p, at, image := s.Last, s.Change.About(), ""
	for _, im := range s.Change.Images {
		image = im.To
	}
	broken := []string{}
	for _, pod := range s.Change.DeletePods {
		broken = append(broken, pod.Name)
	}
	name := at.Name
	if c.several() {
		name += " in " + s.Change.Ref.Cluster
	}
	d := maintenance(s, dialogue.Data{
		"Delete": broken, "Restart": s.Change.Verb == kube.VerbRestart,
		"Name": name, "Kind": at.Kind, "Namespace": at.Namespace, "Place": c.placeWithin(at),
		"Of": s.Change.Of, "Image": image, "Ports": s.Change.Ports,
		"From": s.Change.From(), "To": s.Change.To(), "Revision": s.Change.ToRevision,
		"Desired": p.Desired, "Ready": p.Ready, "Updated": p.Updated, "Fresh": p.Fresh(), "Old": p.Old(),
		"FromReplicas": s.Change.FromReplicas, "ToReplicas": s.Change.ToReplicas,
	})
	maps.Copy(d, ownerData(s))
	c.silenceData(s, d)
	maps.Copy(d, canaryData(s))
	maps.Copy(d, pauseData(s.Change))
	return d
}

// and joins phrases the way people do.
func and(phrases []string) string {
	if len(phrases) < 2 {
		return strings.Join(phrases, "")
	}
	return strings.Join(phrases[:len(phrases)-1], ", ") + " and " + phrases[len(phrases)-1]
}

// upper begins a sentence.
func upper(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
