package skill

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/gate"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// watching words that a version is rolled out, and is being watched.
func (c *Crew) watching(e action.Entry) (intents.Say, error) {
	done, err := c.phrases(e, "done.")
	if err != nil {
		return done, err
	}
	data := dialogue.Data{"Speech": upper(done.Speech), "Text": "✔ " + done.Text}
	key := "bake.begun"
	switch {
	case e.Bake == nil || len(e.Bake.Tried) == 0: // the ledger writes no such entry, and ends one that it finds
		key = "bake.unmeasured"
	case e.Bake.Longer:
		say, err := c.longer(e)
		if err != nil || say.Text != "" {
			return say, err
		}
		// It was measured again meanwhile, and nothing speaks against it so far.
		say, err = c.going(e, e.Bake.Tried[0])
		return intents.Say{Speech: upper(done.Speech) + ". " + say.Speech, Text: "✔ " + done.Text + ". " + say.Text}, err
	case e.Bake.Back:
		key = "bake.back"
	}
	if e.Bake != nil {
		data["For"] = lasting(e.Bake.Until.Sub(e.Bake.Since))
	}
	return c.catalogue.Say(key, data)
}

// longer words that what may be worse is watched for longer.
func (c *Crew) longer(e action.Entry) (intents.Say, error) {
	var all intents.Say
	for _, tried := range e.Bake.Tried {
		v := tried.Verdict
		if v.Kind != gate.Open || len(v.Why) == 0 {
			continue
		}
		data := c.verdictData(e.Steps[tried.Step], v)
		v.Kind = gate.Unsure
		why, err := c.reasons(v, data)
		if err != nil {
			return all, err
		}
		data["WhySpeech"], data["Why"], data["For"] = why.Speech, why.Text, lasting(time.Until(e.Bake.Until))
		say, err := c.catalogue.Say("bake.longer", data)
		if err != nil {
			return all, err
		}
		all.Speech, all.Text = strings.TrimSpace(all.Speech+" "+say.Speech), strings.TrimSpace(all.Text+"\n"+say.Text)
	}
	return all, nil
}

// lasting is a time as it is said, rounded up.
func lasting(d time.Duration) string {
	n, unit := int(math.Ceil(d.Seconds())), "second"
	if d > 90*time.Second {
		n, unit = int(math.Ceil(d.Minutes())), "minute"
	}
	if n = max(n, 1); n == 1 {
		return "1 " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}

// watched words how a workload does that is being watched; ok is false where this
// conversation has none watched.
func (c *Crew) watched(ctx context.Context, t *dialogue.Turn, ref kube.Ref) (say intents.Say, ok bool, err error) {
	if t.Session.LastAction == "" {
		return say, false, nil
	}
	e, err := c.ledger.Entry(ctx, t.Session.LastAction)
	if fault.KindOf(err) == fault.NotFound {
		return say, false, nil
	}
	if err != nil || e.State != action.Baking || e.Bake == nil {
		return say, false, err
	}
	for _, tried := range e.Bake.Tried {
		s := e.Steps[tried.Step]
		if s.Change.Ref != ref && s.Change.About() != ref {
			continue
		}
		say, err = c.going(e, tried)
		return say, true, err
	}
	return say, false, nil
}

// going words for how long it is watched yet, and how it does so far.
func (c *Crew) going(e action.Entry, tried action.Tried) (intents.Say, error) {
	data := dialogue.Data{"For": lasting(time.Until(e.Bake.Until)), "Longer": e.Bake.Longer, "SoFarSpeech": "", "SoFar": ""}
	if v := tried.Verdict; v.New.Requests > 0 {
		numbers, err := c.catalogue.Say("numbers", c.verdictData(e.Steps[tried.Step], v))
		if err != nil {
			return intents.Say{}, err
		}
		data["SoFarSpeech"], data["SoFar"] = numbers.Speech, numbers.Text
	}
	return c.catalogue.Say("bake.going", data)
}

// verdicts words what came of watching an entry; empty where nothing was watched.
func (c *Crew) verdicts(e action.Entry) (intents.Say, error) {
	var out []intents.Say
	say := func(key string, data dialogue.Data) error {
		s, err := c.catalogue.Say(key, data)
		out = append(out, s)
		return err
	}
	if e.Bake == nil {
		return intents.Say{}, nil
	}
	var err error
	for _, tried := range e.Bake.Tried {
		if err != nil {
			break
		}
		s, v := e.Steps[tried.Step], tried.Verdict
		data := c.verdictData(s, v)
		if v.Kind == gate.Worse || v.Kind == gate.Doubtful || v.Kind == gate.Unsure {
			why, werr := c.reasons(v, data)
			if werr != nil {
				return intents.Say{}, werr
			}
			data["WhySpeech"], data["Why"] = why.Speech, why.Text
		}
		if data["NumbersSpeech"], data["Numbers"], err = c.numbers(data); err != nil {
			break
		}
		key := "verdict." + string(v.Kind)
		switch {
		case e.Bake.Changed && e.State == action.RolledBack:
			key = "verdict.put_back"
		case e.Bake.Changed:
			key = "verdict.changed"
		case v.Kind == gate.Open, v.Kind == gate.Unseen: // another one of the same entry ended it, or there is nothing to say
			continue
		case v.Kind == gate.Quiet && e.Bake.Back:
			key = "verdict.quiet_back"
		}
		if err = say(key, data); err == nil && len(v.Missing) > 0 && v.Kind != gate.Blind && !e.Bake.Changed {
			err = say("verdict.missing", data)
		}
		if err != nil || e.Bake.Next == "" {
			continue
		}
		switch {
		case v.Kind == gate.Worse && s.Change.Canary != nil:
			err = say("verdict.withdrawing", data)
		case v.Kind == gate.Worse:
			err = say("verdict.rolling_back", data)
		case v.Kind == gate.Good:
			err = say("verdict.promoting", data)
		}
	}
	var all intents.Say
	for i, s := range out {
		if i > 0 {
			all.Speech, all.Text = all.Speech+" ", all.Text+" "
		}
		all.Speech, all.Text = all.Speech+upper(s.Speech), all.Text+s.Text
	}
	return all, err
}

func (c *Crew) numbers(data dialogue.Data) (speech, text string, err error) {
	say, err := c.catalogue.Say("numbers", data)
	return say.Speech, say.Text, err
}

// fewReasons is how many reasons are said to the ear.
const fewReasons = 2

// reasons words what speaks against a version.
func (c *Crew) reasons(v gate.Verdict, data dialogue.Data) (intents.Say, error) {
	var speech, text []string
	for _, why := range v.Why {
		say, err := c.catalogue.Say("reason."+string(why), data)
		if err != nil {
			return say, err
		}
		speech, text = append(speech, say.Speech), append(text, say.Text)
	}
	if v.Kind != gate.Worse { // "but it logs …"
		for i := range speech {
			speech[i], text[i] = "it "+speech[i], "it "+text[i]
		}
	}
	return intents.Say{Speech: and(speech[:min(len(speech), fewReasons)]), Text: and(text)}, nil
}

// verdictData fills the blanks of wordings about a verdict.
func (c *Crew) verdictData(s action.Step, v gate.Verdict) dialogue.Data {
	d := c.stepData(s)
	d["Canary"] = s.Change.Canary != nil
	d["Old"], d["New"] = v.Old.Version, v.New.Version
	d["OldErrors"], d["NewErrors"] = percent(v.Old.Errors), percent(v.New.Errors)
	d["OldLatencySpeech"], d["OldLatency"] = took(v.Old.Latency)
	d["NewLatencySpeech"], d["NewLatency"] = took(v.New.Latency)
	d["Timed"], d["Restarts"] = v.New.Timed && v.Old.Timed, v.New.Restarts
	d["Requests"] = requests(v.New.Requests)
	d["Errors"] = len(v.Why) > 0 && v.Why[0] == gate.Errors
	d["Log"], d["LogCount"], d["Issue"], d["IssueCount"], d["Missing"] = "", 0, "", 0, strings.Join(v.Missing, " ")
	if len(v.Logs) > 0 {
		d["Log"], d["LogCount"] = v.Logs[0].Text, v.Logs[0].Count
	}
	if len(v.Issues) > 0 {
		d["Issue"], d["IssueCount"] = v.Issues[0].Text, v.Issues[0].Count
	}
	why, err := c.why(workloadOf(s.Change), s.Last)
	if err != nil {
		why = intents.Say{}
	}
	d["StuckSpeech"], d["Stuck"] = why.Speech, why.Text
	return d
}

// percent is a ratio as it is said: 0.2, 12.
func percent(r float64) string {
	p := 100 * r
	digits := 0
	switch {
	case p < 0.005:
		return "0"
	case p < 0.1:
		digits = 2
	case p < 10:
		digits = 1
	}
	out := strconv.FormatFloat(p, 'f', digits, 64)
	if strings.Contains(out, ".") {
		out = strings.TrimRight(strings.TrimRight(out, "0"), ".")
	}
	return out
}

// took is a time as it is said and as it is written.
func took(seconds float64) (speech, text string) {
	if seconds >= 1 {
		n := strconv.FormatFloat(seconds, 'f', 1, 64)
		return n + " seconds", n + " s"
	}
	n := strconv.FormatFloat(math.Round(1000*seconds), 'f', 0, 64)
	return n + " milliseconds", n + " ms"
}

func requests(n float64) string {
	switch n = math.Round(n); n {
	case 0:
		return "none"
	case 1:
		return "1 request"
	}
	return strconv.FormatFloat(n, 'f', 0, 64) + " requests"
}

// offerPromotion proposes to promote a canary that does as well as what runs
// beside it; nil where the entry made none.
func (c *Crew) offerPromotion(ctx context.Context, e action.Entry) (*action.Entry, error) {
	changes, then := e.Promotion()
	if len(changes) == 0 {
		return nil, nil
	}
	o, err := c.ledger.Propose(ctx, action.Proposal{
		Key: e.ID + action.PromoteKey, Conversation: e.Conversation, Speaker: e.Speaker, Said: e.Said,
		Intent: "promote", Changes: changes, Then: then,
	})
	if err != nil {
		return nil, err
	}
	return &o, nil
}

// withPromotion adds that offer to an outcome.
func (c *Crew) withPromotion(r dialogue.Reply, offer action.Entry) (dialogue.Reply, error) {
	say, err := c.catalogue.Say("offer.promote", c.stepData(offer.Steps[0]))
	r.Speech, r.Text = r.Speech+" "+say.Speech, r.Text+"\n"+say.Text
	r.Expect, r.Proposal, r.Blocks = dialogue.ExpectConfirm, proposal(offer), diffs(offer)
	return r, err
}

// promising reports whether an entry made a canary that does as well, and that
// nobody has promoted or withdrawn.
func promising(e action.Entry) bool {
	if e.State != action.Done || e.Bake == nil || e.Bake.Changed || e.Bake.Next != "" {
		return false
	}
	for _, t := range e.Bake.Tried {
		if t.Verdict.Kind != gate.Good || e.Steps[t.Step].Change.Verb != kube.VerbCanary {
			return false
		}
	}
	return true
}

// canaryData is what is said of canaries alone.
func canaryData(s action.Step) dialogue.Data {
	d := dialogue.Data{"CanaryPods": int32(0), "Beside": int32(0), "Share": 0}
	can := s.Change.Canary
	if can == nil {
		return d
	}
	d["CanaryPods"], d["Beside"], d["Share"] = can.Pods, can.Beside, can.Share()
	if s.Change.Verb == kube.VerbCanary {
		d["To"] = s.Change.ToVersion
		d["From"] = s.Change.FromVersion
	}
	return d
}
