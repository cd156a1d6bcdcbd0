package skill

import (
	"cmp"
	"context"
	"log/slog"
	"slices"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// Pusher says something in a conversation; *dialogue.Engine is one.
type Pusher interface {
	Push(ctx context.Context, conversation string, e dialogue.Event, update func(*dialogue.Session)) error
}

// Narrator tells the conversation that asked for a change how it goes, and
// offers to roll back what got stuck. It is the ledger's Reporter.
type Narrator struct {
	crew *Crew
	push Pusher
	log  *slog.Logger
}

// NewNarrator returns a narrator.
func NewNarrator(c *Crew, p Pusher, log *slog.Logger) *Narrator {
	return &Narrator{crew: c, push: p, log: log}
}

// Progress tells how far a running entry has come.
func (n *Narrator) Progress(ctx context.Context, e action.Entry) {
	r, err := n.crew.progress(e)
	if err == nil {
		err = n.push.Push(ctx, e.Conversation, dialogue.Event{Kind: dialogue.EventProgress, Action: e.ID, Reply: r}, nil)
	}
	if err != nil {
		n.log.ErrorContext(ctx, "progress not told", "action", e.ID, "err", err)
	}
}

// Outcome tells the end of an entry, once, with the offer to roll back where
// the roll-out is stuck.
func (n *Narrator) Outcome(ctx context.Context, e action.Entry) error {
	r, err := n.crew.told(e)
	if err != nil {
		return err
	}
	if r, err = n.crew.rest(ctx, e, r); err != nil {
		return err
	}
	var offer *action.Entry
	var about intents.Say
	again := e.State == action.Failed && e.Fault == fault.Conflict && e.Unmade() != nil
	promotes := promising(e)
	switch {
	case again:
		offer, err = n.crew.anew(ctx, e)
	case promotes:
		offer, err = n.crew.offerPromotion(ctx, e)
	case e.State == action.Failed && e.Touched() && e.Undoes == "":
		offer, err = n.crew.offer(ctx, e)
	}
	if err != nil {
		// Without an offer the outcome is still worth telling.
		n.log.WarnContext(ctx, "nothing to offer", "action", e.ID, "err", err)
		offer = nil
	}
	switch {
	case offer != nil && again:
		if r, err = n.crew.withAnew(r, *offer); err != nil {
			return err
		}
	case offer != nil && promotes:
		if r, err = n.crew.withPromotion(r, *offer); err != nil {
			return err
		}
	case offer != nil:
		if r, err = n.crew.withOffer(r, *offer); err != nil {
			return err
		}
	case again:
		if r, err = n.crew.withoutAnew(r); err != nil {
			return err
		}
	}
	if offer != nil {
		if about, err = n.crew.phrases(*offer, "started."); err != nil {
			return err
		}
	}
	r = n.crew.marked(ctx, e, r, n.log)
	ev := dialogue.Event{Kind: dialogue.EventOutcome, Action: e.ID, Reply: r}
	return n.push.Push(ctx, e.Conversation, ev, func(s *dialogue.Session) {
		if offer == nil || s.Waiting() || s.LastAction != e.ID {
			return // something else is being talked about
		}
		s.Propose(offer.ID, offer.Speaker, offer.Expires, r, about)
		s.PendingIsOffer, s.TakesPIN = true, offer.Verdict.PIN
		if in, ok := inGit(*offer); ok {
			s.LastWrite, s.ReadLast = &in, false // "do it directly" is about the offer
		}
	})
}

// progress words how far a running entry has come.
func (c *Crew) progress(e action.Entry) (dialogue.Reply, error) {
	if e.State == action.Baking {
		say, err := c.watching(e)
		return dialogue.Reply{Speech: say.Speech, Text: say.Text, Proposal: proposal(e), Outcome: dialogue.OutcomeDone}, err
	}
	s := e.Stuck()
	for i := range e.Steps {
		if s != nil && s.Change.Ending() == kube.EndsAtOnce && !e.Steps[i].Ready && e.Steps[i].Stage == s.Stage {
			s = &e.Steps[i] // what is done at once is not what is waited for
		}
	}
	if s == nil {
		s = &e.Steps[len(e.Steps)-1]
	}
	data := c.stepData(*s)
	why, err := c.why(workloadOf(s.Change), s.Last)
	if err != nil {
		return dialogue.Reply{}, err
	}
	data["WhySpeech"], data["Why"] = why.Speech, why.Text
	key := "progress." + string(s.Last.State)
	switch {
	case s.Last.State == "" || s.Last.State == kube.Observing:
		key = c.own("progress.begun", s.Change.Verb)
	case s.Last.Stuck != nil:
		key = c.own("progress.held", s.Change.Verb)
	case c.catalogue.CanSay("progress." + string(s.Change.Verb)):
		key = "progress." + string(s.Change.Verb)
	case s.Last.State == kube.Complete, s.Last.State == kube.Paused, s.Last.State == kube.DeadlineExceeded:
		key = "progress.waiting"
	}
	r, err := dialogue.Word(c.catalogue, key, data)
	if err != nil {
		return r, err
	}
	r.Proposal, r.Outcome = proposal(e), dialogue.OutcomePending
	if e.Stages() > 1 {
		say, err := c.catalogue.Say("progress.step", dialogue.Data{"N": e.Stage() + 1, "Count": e.Stages(), "Speech": r.Speech, "Text": r.Text})
		r.Speech, r.Text = say.Speech, say.Text
		return r, err
	}
	return r, nil
}

// workloadOf is what is known of a workload from its change alone.
func workloadOf(ch kube.Change) kube.Workload {
	w := kube.Workload{Ref: ch.Ref}
	for _, im := range ch.Images {
		w.Containers = append(w.Containers, kube.Container{Name: im.Container, Image: im.To})
	}
	return w
}

// told words the end of an entry.
func (c *Crew) told(e action.Entry) (dialogue.Reply, error) {
	var say intents.Say
	var err error
	r := dialogue.Reply{Expect: dialogue.ExpectNone, Proposal: proposal(e)}
	switch e.State {
	case action.Done:
		r.Outcome = dialogue.OutcomeDone
		if say, err = c.phrases(e, "done."); err == nil {
			say = intents.Say{Speech: upper(say.Speech) + ".", Text: "✔ " + say.Text + "."}
		}
		if v, verr := c.verdicts(e); err == nil && v.Text != "" {
			say, err = intents.Say{Speech: say.Speech + " " + v.Speech, Text: say.Text + " " + v.Text}, verr
		}
	case action.RolledBack, action.Superseded:
		r.Outcome = dialogue.OutcomeRolledBack
		if e.State == action.Superseded {
			r.Outcome, r.Fault = dialogue.OutcomeFailed, fault.Conflict
		}
		at := e.Steps[0]
		if s := e.Stuck(); s != nil {
			at = *s
		}
		if e.Bake != nil {
			say, err = c.verdicts(e)
			break
		}
		say, err = c.catalogue.Say("outcome."+string(e.State), c.stepData(at))
	case action.Expired:
		r.Outcome, r.Fault = dialogue.OutcomeFailed, fault.Refused
		say, err = c.catalogue.Say("outcome.expired", c.stepData(e.Steps[0]))
	case action.Stopped:
		r.Outcome = dialogue.OutcomeFailed
		say, err = c.stopped(e)
	case action.Failed:
		r.Outcome, r.Fault = dialogue.OutcomeFailed, cmp.Or(e.Fault, fault.Failed)
		say, err = c.failure(e)
	default:
		r.Outcome = dialogue.OutcomeNone
		say, err = c.catalogue.Say("outcome.dropped", c.stepData(e.Steps[0]))
	}
	r.Speech, r.Text = say.Speech, say.Text
	if by := e.Approvers(); err == nil && len(by) > 0 {
		if say, err = c.catalogue.Say("approved.by", dialogue.Data{"Names": by}); err == nil {
			r.Speech, r.Text = r.Speech+" "+say.Speech, r.Text+" "+say.Text
		}
	}
	return r, err
}

// stopped words the end of an entry that was called off: what is done.
func (c *Crew) stopped(e action.Entry) (intents.Say, error) {
	if say, cut, err := c.cutShort(e); cut || err != nil {
		return say, err
	}
	e.Steps = slices.DeleteFunc(slices.Clone(e.Steps), func(s action.Step) bool { return !s.Ready })
	done, err := c.phrases(e, "done.")
	if err != nil {
		return intents.Say{}, err
	}
	return c.catalogue.Say("outcome.stopped", dialogue.Data{"Speech": done.Speech, "Text": done.Text})
}

// rest adds to an outcome what was not done behind the step that did not end
// well, and what was to be answered when all was done.
func (c *Crew) rest(ctx context.Context, e action.Entry, r dialogue.Reply) (dialogue.Reply, error) {
	if e.State == action.Done {
		return c.answerLater(ctx, e, r)
	}
	var said []intents.Say
	if left := e.Rest(); len(left) > 0 {
		of := e
		of.Steps = left
		first := left[0].Stage
		for i := range of.Steps {
			of.Steps[i].Stage -= first
		}
		what, err := c.phrases(of, "change.")
		if err != nil {
			return r, err
		}
		say, err := c.catalogue.Say("chain.rest", dialogue.Data{"Speech": what.Speech, "Text": what.Text})
		if err != nil {
			return r, err
		}
		said = append(said, say)
	}
	if len(e.After) > 0 {
		say, err := c.catalogue.Say("chain.unanswered", nil)
		if err != nil {
			return r, err
		}
		said = append(said, say)
	}
	for _, s := range said {
		r.Speech, r.Text = r.Speech+" "+s.Speech, r.Text+"\n"+s.Text
	}
	return r, nil
}

// failure words why an entry failed, and what is true now.
func (c *Crew) failure(e action.Entry) (intents.Say, error) {
	if e.Bake.Worse() {
		return c.verdicts(e)
	}
	s := e.Stuck()
	if s == nil {
		s = &e.Steps[len(e.Steps)-1]
	}
	if u := e.Unmade(); e.Problem != "" && u != nil {
		s = u // those of the stage that were made before it are not what went wrong
	}
	data := c.stepData(*s)
	data["Problem"] = e.Problem
	var done []string
	for _, st := range e.Steps {
		if st.Applied && st.Change.Ref != s.Change.Ref {
			done = append(done, st.Change.Ref.Name)
		}
	}
	data["Others"] = done
	if e.Problem != "" {
		key := "failed.not_applied"
		switch {
		case s.Applied:
			key = c.own("failed.lost", s.Change.Verb)
		case e.Fault == fault.Unavailable:
			key = "failed.unknown" // the patch was sent; its answer never came
		}
		return c.catalogue.Say(key, data)
	}
	why, err := c.why(workloadOf(s.Change), s.Last)
	if err != nil {
		return intents.Say{}, err
	}
	data["WhySpeech"], data["Why"] = why.Speech, why.Text
	data["Fix"] = ""
	if st := s.Last.Stuck; st != nil && c.catalogue.CanSay("fix."+string(st.Reason)) {
		data["Pod"] = st.Pod
		fix, err := c.catalogue.Say("fix."+string(st.Reason), data)
		if err != nil {
			return intents.Say{}, err
		}
		data["Fix"] = fix.Text
	}
	return c.catalogue.Say(c.own("failed.stuck", s.Change.Verb), data)
}

// offer proposes to put back what a failed entry changed, in the name of the
// one who asked for it; nil where nothing can be put back.
func (c *Crew) offer(ctx context.Context, e action.Entry) (*action.Entry, error) {
	changes, ok := e.OfStage(e.Stage()).Inverse() // what went well before stays
	if e.Bake.Worse() {
		changes = e.Withdrawal()
		ok = len(changes) > 0
	}
	if !ok || slices.ContainsFunc(changes, func(ch kube.Change) bool { return ch.Verb == kube.VerbDeleteJob }) {
		return nil, nil // a Job that failed is kept: it tells why
	}
	for i := range changes {
		changes[i].Cause = cause(e.Speaker, "roll back, offered after “"+e.Said+"”")
	}
	o, err := c.ledger.Propose(ctx, action.Proposal{
		Key: e.ID + action.OfferKey, Conversation: e.Conversation, Speaker: e.Speaker, Said: e.Said,
		Intent: "rollback", Changes: changes, Undoes: e.ID,
	})
	return &o, err
}

// withOffer adds the offer to an outcome.
func (c *Crew) withOffer(r dialogue.Reply, offer action.Entry) (dialogue.Reply, error) {
	phrase, err := c.phrases(offer, "offer.")
	if err != nil {
		return r, err
	}
	say, err := c.catalogue.Say("offer", dialogue.Data{"Speech": phrase.Speech, "Text": phrase.Text})
	r.Speech, r.Text = r.Speech+" "+say.Speech, r.Text+"\n"+say.Text
	r.Expect, r.Proposal = dialogue.ExpectConfirm, proposal(offer)
	return r, err
}

// anew proposes again what was not done because somebody had changed it
// meanwhile: against what is there now, for another yes.
func (c *Crew) anew(ctx context.Context, e action.Entry) (*action.Entry, error) {
	first := e.Stage()
	stages := make([][]kube.Change, e.Stages()-first)
	for _, s := range e.Steps {
		if s.Applied || s.Stage < first {
			continue
		}
		ch := s.Change
		if ch.Before == nil && ch.After == nil {
			ch.UID = "" // of what was made or is deleted, it says which one is meant
		}
		ch.Cause = cmp.Or(ch.Cause, cause(e.Speaker, e.Said))
		stages[s.Stage-first] = append(stages[s.Stage-first], ch)
	}
	o, err := c.ledger.Propose(ctx, action.Proposal{
		Key: e.ID + "/again", Conversation: e.Conversation, Speaker: e.Speaker, Said: e.Said, Intent: e.Intent,
		Changes: stages[0], Then: stages[1:], Undoes: e.Undoes, After: e.After,
	})
	if err != nil {
		return nil, err
	}
	return &o, nil
}

// withAnew adds a proposal of the same, as things are now, to an outcome.
func (c *Crew) withAnew(r dialogue.Reply, o action.Entry) (dialogue.Reply, error) {
	what, err := c.phrases(o, "change.")
	if err != nil {
		return r, err
	}
	data := dialogue.Data{"Speech": upper(what.Speech), "Text": upper(what.Text), "RiskSpeech": "", "Risk": ""}
	if risk, high, err := c.risky(o); err != nil {
		return r, err
	} else if high {
		data["RiskSpeech"], data["Risk"] = risk.Speech, risk.Text
	}
	say, err := c.catalogue.Say("offer.anew", data)
	r.Speech, r.Text = r.Speech+" "+say.Speech, r.Text+"\n"+say.Text
	r.Expect, r.Proposal, r.Blocks = dialogue.ExpectConfirm, proposal(o), diffs(o)
	return r, err
}

// withoutAnew says that it can be asked for again, where it could not be
// proposed again.
func (c *Crew) withoutAnew(r dialogue.Reply) (dialogue.Reply, error) {
	say, err := c.catalogue.Say("failed.again", nil)
	r.Speech, r.Text = r.Speech+" "+say.Speech, r.Text+" "+say.Text
	return r, err
}
