package dialogue

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// yields reports whether what the platform recognised counts for more than our
// own reading, where it comes first: not where both say the same, of which ours
// knows the names that exist, and not against a no.
func yields(res intents.Result, p intents.Intent) bool {
	return res.Intent != p.Name && res.Intent != "deny" && res.Intent != "cancel"
}

// recognize reads a sentence of a conversation that is in a cluster. Where it
// names clusters that nobody looked at yet, it is read again with their names.
// unknown says which names are missing.
func (e *Engine) recognize(ctx context.Context, text, in string, open intents.Expect) (res intents.Result, inv *intents.Inventory, unknown error) {
	inv, unknown = e.inventory(ctx, []string{in})
	res = e.recognizer.Recognize(text, inv, open)
	named := clusters(intents.Intent{Name: res.Intent, Slots: res.Slots})
	if len(named) == 0 {
		return res, inv, unknown
	}
	was := inv
	if inv, unknown = e.inventory(ctx, named); inv != was {
		res = e.recognizer.Recognize(text, inv, open)
	}
	return res, inv, unknown
}

// clusters are those that an intent names.
func clusters(in intents.Intent) []string {
	out := in.Slots.Strings("cluster")
	for _, s := range in.Slots.Steps() {
		out = append(out, clusters(s)...)
	}
	return out
}

// namesNobody reports an intent that is about a name nobody knows.
func namesNobody(in intents.Intent) bool {
	return in.Slots.Has("unknown_target") || slices.ContainsFunc(in.Slots.Steps(), namesNobody)
}

// supply lets a question, and "roll back", be about what was spoken of last,
// where the sentence names nothing. Any other change asks what it is about.
func (e *Engine) supply(t *Turn) bool {
	in := t.Intent
	if len(t.Session.Targets) == 0 && in.Name == "diagnose" && !in.Slots.Has("unknown_target") && !in.Slots.Has("targets") {
		t.Intent.Slots = maps.Clone(in.Slots) // "what is wrong?": with all there is
		t.Intent.Slots["targets"] = []string{intents.TargetCluster}
		return true
	}
	if len(t.Session.Targets) == 0 || in.Slots.Has("unknown_target") || in.Slots.Has("targets") || e.risk(in) != intents.RiskRead && in.Name != "rollback" {
		return false
	}
	it := intents.TargetIt
	if len(t.Session.Targets) > 1 {
		it = intents.TargetThem
	}
	t.Intent.Slots = maps.Clone(in.Slots)
	t.Intent.Slots["targets"] = []string{it}
	return true
}

// supplyIt lets "uncordon it" be about the node, and "silence it" about the alert,
// that was spoken of last, where nothing else was spoken of since. "Drain" alone
// is not enough of a word for that.
func supplyIt(t *Turn, slot string) bool {
	kind := map[string]string{"node": kindNode, "alert": kindAlert}[slot]
	said := strings.FieldsFunc(strings.ToLower(t.Request.Text), func(r rune) bool { return !unicode.IsLetter(r) })
	it := slices.ContainsFunc([]string{"it", "that", "this"}, func(w string) bool { return slices.Contains(said, w) })
	if o := t.Session.Targets; kind != "" && it && len(o) == 1 && o[0].Kind == kind {
		t.Intent.Slots = maps.Clone(t.Intent.Slots)
		t.Intent.Slots[slot] = o[0].Name
		return true
	}
	return false
}

// askFor asks for what an intent lacks, which may be a step of the turn's; asked
// is false where it lacks nothing.
func (e *Engine) askFor(t *Turn, in intents.Intent, step int, slot string, inv *intents.Inventory) (r Reply, asked bool, err error) {
	if e.handlers[in.Name] == nil {
		return Reply{}, false, nil
	}
	if u := in.Slots.String("unknown_target"); u != "" {
		r, err = e.askName(t, u, inv)
		delete(in.Slots, "unknown_target")
		slot = "targets"
	} else if slot != "" {
		if r, err = t.Reply("ask."+slot, Data{"Intent": in.Name, "Targets": in.Slots.Targets()}); err == nil {
			r = t.Ask(r, slot, nil)
		}
	}
	if slot == "" || err != nil {
		return Reply{}, false, err
	}
	t.Session.Question.Step = step
	return r, true, nil
}

// risk is what an intent may do.
func (e *Engine) risk(in intents.Intent) intents.Risk {
	spec, _ := e.catalogue.Spec(in.Name)
	return spec.Risk
}

// NotYet says what was understood of an intent that nothing is done about yet.
func (t *Turn) NotYet() (Reply, error) {
	what, err := t.Want()
	if err != nil {
		return Reply{}, err
	}
	return t.Reply("not_yet", Data{"Speech": what.Speech, "Text": what.Text})
}

// Want words what an intent asks for: "the logs of web", "to drain node-2".
func (t *Turn) Want() (intents.Say, error) {
	in := t.Intent
	var names []string
	for _, n := range in.Slots.Targets() {
		switch n {
		case intents.TargetIt, intents.TargetThem:
			for _, s := range t.Session.Targets {
				names = append(names, s.Name)
			}
		case intents.TargetCluster:
		case intents.TargetAll:
			names = append(names, "everything")
		default:
			names = append(names, n)
		}
	}
	if u := in.Slots.String("unknown_target"); u != "" {
		names = append(names, u)
	}
	for _, slot := range []string{"name", "pod", "node"} {
		if n := in.Slots.String(slot); n != "" {
			names = append(names, n)
		}
	}
	key := "want." + in.Name
	if !slices.Contains(t.catalogue.ReplyKeys(), key) {
		key = "want.other"
	}
	spec, _ := t.catalogue.Spec(in.Name)
	return t.catalogue.Say(key, Data{
		"Names": names, "Metric": strings.ReplaceAll(in.Slots.String("metric"), "_", " "), "Alert": in.Slots.String("alert"), "Help": spec.Help,
	})
}

// missing names the first needed slot that an intent lacks.
func (e *Engine) missing(in intents.Intent) string {
	spec, ok := e.catalogue.Spec(in.Name)
	if !ok {
		return ""
	}
	for _, slot := range spec.Slots {
		if slot.Required && !slot.SaidIn(in.Slots) && !(slot.Name == "targets" && in.Slots.Has("unknown_target")) {
			return slot.Name
		}
	}
	return ""
}

// askName says that nothing is called so, and offers the nearest names.
func (e *Engine) askName(t *Turn, said string, inv *intents.Inventory) (Reply, error) {
	near := e.recognizer.Nearest(said, inv)
	r, err := t.Reply("ask.unknown_target", Data{"Said": said, "Near": near})
	if err != nil {
		return Reply{}, err
	}
	r.Fault = fault.NotFound
	return t.Ask(r, "targets", near), nil
}

// askWhich asks between readings of a sentence that would change something.
func (e *Engine) askWhich(t *Turn, res intents.Result) (Reply, error) {
	var choices []string
	same := true
	for _, c := range append([]intents.Candidate{{Intent: res.Intent, Slots: res.Slots}}, res.Candidates...) {
		same = same && c.Intent == res.Intent && len(c.Slots.Targets()) == 1
		choices = append(choices, strings.Join(c.Slots.Targets(), " and "))
	}
	if !same {
		return Reply{}, fault.New(fault.NotUnderstood, "I can read that in more than one way. Please say it in other words.")
	}
	r, err := t.Reply("ask.which", Data{"Choices": choices})
	if err != nil {
		return Reply{}, err
	}
	r.Fault = fault.Ambiguous
	return t.Ask(r, "targets", choices), nil
}
