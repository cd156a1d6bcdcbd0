package oncall

import (
	"context"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/oncall/schedule"
)

// speaker is somebody on the telephone that was rung: the number was dialled,
// which is as good as the carrier's word for who calls.
func (d *Desk) speaker(phone string) access.Speaker {
	return access.NewSpeaker(d.cfg.PhoneChannel, phone, access.StirShaken)
}

// ask finds out why it is so, in the name of whoever is to be rung and in the
// conversation that the call will be: what the diagnosis offers is open there.
func (d *Desk) ask(ctx context.Context, t task) {
	b, _, _, err := d.read(ctx)
	in := b.incident(t.incident)
	if err != nil || in == nil {
		d.Log.ErrorContext(ctx, "on-call: the incident is not there", "incident", t.incident, "err", err)
		return
	}
	a := in.First()
	slots := intents.Slots{"targets": []string{intents.TargetCluster}}
	if a.Target.Name != "" && a.Target.Kind == "" {
		slots["targets"] = []string{a.Target.Name}
	}
	if a.Target.Namespace != "" {
		slots["namespace"] = a.Target.Namespace
	}
	if in.Symptom != "" {
		slots["symptom"] = string(in.Symptom)
	}
	limit, cancel := context.WithTimeout(ctx, askLimit-time.Second)
	defer cancel()
	r := d.voice.Respond(limit, dialogue.Request{
		DeliveryID: "oncall:" + t.call.Ref, Conversation: t.call.Conversation, Speaker: d.speaker(t.contact.Phone),
		Intent: &intents.Intent{Name: "diagnose", Slots: slots},
	})
	f := d.finding(t.call.Conversation)
	opening, rest, err := d.opening(*in, t.call, r, f)
	if err != nil {
		d.Log.ErrorContext(ctx, "on-call: no words for the call", "incident", in.ID, "err", err)
	}
	d.note(ctx, func(b *Book, now time.Time) []task { return b.asked(t.call.Ref, opening, rest, f.Finding, now) })
}

// Diagnosed takes over what a diagnosis in a conversation of ours found, and how it
// is said in few words.
func (d *Desk) Diagnosed(conversation string, k diagnosis.Case, v diagnosis.Verdict, said, brief string) {
	if !ours(conversation) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.findings[conversation] = briefed{found(k, v, said), brief, len(v.Causes) > 0}
}

// briefed is a finding and how it is said first.
type briefed struct {
	Finding
	brief  string
	caused bool // it found a cause
}

func (d *Desk) finding(conversation string) briefed {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.findings[conversation]
	delete(d.findings, conversation)
	return f
}

// conversations is how those of calls are named.
const conversations = "oncall-"

func ours(conversation string) bool { return strings.HasPrefix(conversation, conversations) }

// opening is what is said first, in few words: what the diagnosis says where it found
// something, else what the alert says. rest is the diagnosis as it is said else.
func (d *Desk) opening(in Incident, c Call, r dialogue.Reply, f briefed) (_ *dialogue.Reply, rest string, _ error) {
	a := in.First()
	firing := 0
	for _, o := range in.Alerts {
		if !o.Resolved {
			firing++
		}
	}
	known := f.brief != "" && r.Fault == ""
	data := map[string]string{
		"Person": c.Person, "Alert": a.Name, "Target": a.Target.Name, "Summary": a.Summary, "Since": a.Since.In(d.cfg.Plan.Zone).Format("15:04"),
		"Speech": "", "Text": "", "After": in.After, "More": "", "Unsaid": "",
	}
	if known {
		data["Speech"], data["Text"] = f.brief, r.Text
		if !f.caused {
			data["Unsaid"] = a.Name
		}
	}
	if firing > 1 {
		data["More"] = plural(firing - 1)
	}
	say, err := d.say("oncall.opening", data)
	if err != nil {
		return nil, "", err
	}
	out := dialogue.Reply{Conversation: c.Conversation, Intent: "diagnose", Speech: say.Speech, Text: say.Text, Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone}
	if known {
		out.Expect, out.Proposal, out.Choices, out.Blocks, out.Outcome = r.Expect, r.Proposal, r.Choices, r.Blocks, r.Outcome
		if r.Speech != f.brief {
			rest = r.Speech
		}
	}
	return &out, rest, nil
}

// Opening is how a call that was placed begins, and goes on.
type Opening struct {
	Conversation string
	Speaker      access.Speaker
	Reply        dialogue.Reply
	// Rest is what Reply leaves out, for who says "more" to it.
	Rest string
	// Mailbox is what is said where a machine picks up.
	Mailbox string
	// Alert is what the call is about, which who says “acknowledge” means.
	Alert string
	// More says that something is still to come that they would want to hear.
	More bool
}

// Answered is told that somebody picked up.
func (d *Desk) Answered(ctx context.Context, ref string) error {
	return d.change(ctx, func(b *Book, now time.Time) []task { b.answered(ref, now); return nil })
}

// Opening gives what is said to who picks up a call. It is asked at every turn of
// it, and changes nothing.
func (d *Desk) Opening(ctx context.Context, ref string) (Opening, bool) {
	b, _, _, err := d.read(ctx)
	in, c := b.call(ref)
	if err != nil || in == nil {
		return Opening{}, false
	}
	o := Opening{Conversation: c.Conversation, Speaker: d.speaker(c.Phone), More: in.State == Taken && in.Action != ""}
	words, data := "", map[string]string(nil)
	switch {
	case in.State == Over && (c.Opening == nil || c.Answered.IsZero() || !c.Answered.Before(in.Closed)):
		words = "oncall.moot"
	case c.Opening == nil:
		a := in.First()
		words, data = "oncall.opening", map[string]string{
			"Person": c.Person, "Alert": a.Name, "Target": a.Target.Name, "Summary": a.Summary, "Since": a.Since.In(d.cfg.Plan.Zone).Format("15:04"), "Speech": "", "Text": "", "After": in.After, "More": "", "Unsaid": "",
		}
	default:
		o.Reply, o.Rest = *c.Opening, c.Rest
	}
	if in.State != Over {
		a := in.First()
		o.Alert = a.Name
		say, err := d.say("oncall.mailbox", map[string]string{"Person": c.Person, "Alert": a.Name, "Target": a.Target.Name})
		if err != nil {
			d.Log.ErrorContext(ctx, "on-call: no words for a mailbox", "err", err)
		}
		o.Mailbox = say.Speech
	}
	if words != "" {
		say, err := d.say(words, data)
		if err != nil {
			d.Log.ErrorContext(ctx, "on-call: no words", "words", words, "err", err)
			return o, false
		}
		o.Reply = dialogue.Reply{Conversation: c.Conversation, Speech: say.Speech, Text: say.Text, Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone}
	}
	return o, true
}

// Ended is told how a call ended, in the carrier's words.
func (d *Desk) Ended(ctx context.Context, ref, status string) error {
	return d.change(ctx, func(b *Book, now time.Time) []task { return b.ended(ref, clipped(status), now) })
}

// Listen notes what somebody on the telephone agreed to: dialogue.Listener.
func (d *Desk) Listen(ctx context.Context, h dialogue.Heard) {
	r := h.Reply
	if !ours(h.Request.Conversation) || r.Proposal == nil {
		return
	}
	going := r.Outcome == dialogue.OutcomePending || r.Outcome == dialogue.OutcomeDone
	if !going || r.Expect == dialogue.ExpectConfirm || r.Expect == dialogue.ExpectPIN || r.Intent == "status" || r.Intent == "repeat" || r.Intent == "diagnose" {
		return
	}
	if len(r.Proposal.Changes) > 0 && r.Proposal.Changes[0].Kind == "Alert" {
		return // a silence mends nothing
	}
	d.note(ctx, func(b *Book, now time.Time) []task {
		b.decided(h.Request.Conversation, r.Proposal.ID, clipped(r.Speech), now)
		return nil
	})
}

func clipped(s string) string { return diagnosis.Clip(s, 240) }

// onCall is who has the first duty now.
func (d *Desk) onCall(ctx context.Context) ([]schedule.Duty, error) {
	b, _, _, err := d.read(ctx)
	return d.cfg.Plan.Duties(time.Now(), b.Takeovers), err
}
