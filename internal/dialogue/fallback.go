package dialogue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
)

// Fallback understands sentences that the recogniser does not. What it returns is
// trusted as far as a misheard sentence: see Engine.UseFallback.
type Fallback interface {
	// Understand returns what a sentence asks for; ok is false where that cannot be
	// said. It ends before ctx does.
	Understand(ctx context.Context, r FallbackRequest) (in intents.Intent, ok bool, err error)
}

// FallbackRequest is a sentence that was not understood.
type FallbackRequest struct {
	Text string
	// Inventory are the names that the speaker may know of.
	Inventory *intents.Inventory
	// MayAct is whether the sentence may be a request for a change: where it is a
	// question, a refusal, a quotation or the like, only reading makes sense.
	MayAct  bool
	Speaker access.Speaker
}

// UseFallback has sentences that are out of scope looked at by f, before anything
// runs. What it makes of them is held to less than what the recogniser finds: it is
// no answer to anything that was asked for consent, no yes, no code; it changes only
// what is named, and only what the sentence could ask for; a change is read back and
// agreed to by itself, whatever was agreed to in advance or needs no yes; and the
// answer says that it was a guess.
func (e *Engine) UseFallback(f Fallback) { e.fallback = f }

// HasFallback reports whether sentences that are out of scope are looked at by one.
func (e *Engine) HasFallback() bool { return e.fallback != nil }

// Guessable reports whether a fall-back may understand a sentence as this intent:
// not as one that decides, identifies somebody, changes where the next sentence
// counts, or corrects what was said before.
func Guessable(s intents.Spec) bool {
	switch s.Risk {
	case intents.RiskRead:
		return true
	case intents.RiskWrite:
		return s.Name != chain // its steps are looked at
	case intents.RiskNone:
	}
	return slices.Contains([]string{"basis", "greet", "help", "oncall_who", "rights", "thanks"}, s.Name)
}

// GuessableSlot reports whether a fall-back may fill this slot: not one that gets
// around something, as a drain that spares no pod or a change that leaves Git out.
func GuessableSlot(name string) bool {
	return !slices.Contains([]string{"bare", "way", "prestop", "container", "choice", "code"}, name)
}

const (
	chain    = "chain"
	maxSteps = 4 // of a chain that was guessed
	// minGuessed is of how many letters a sentence has to be to be guessed at.
	minGuessed = 4
)

// guess asks the fall-back, where it may be asked; ok is false where that came to
// nothing.
func (e *Engine) guess(ctx context.Context, t *Turn, inv *intents.Inventory) (intents.Intent, bool) {
	text := strings.TrimSpace(t.Request.Text)
	if e.fallback == nil || t.Intent.Name != intents.OutOfScope || t.Request.Intent != nil || len([]rune(text)) < minGuessed ||
		t.Session.Waiting() || t.Session.WantsPIN || delicate(text) ||
		misfit(text, func() []string { return inv.Data().Nodes }) != nil {
		return intents.Intent{}, false
	}
	req := FallbackRequest{Text: text, Inventory: inv, MayAct: e.recognizer.MayAct(text, inv), Speaker: t.Request.Speaker}
	in, ok, err := e.fallback.Understand(ctx, req)
	if err != nil {
		e.log.WarnContext(ctx, "the fall-back did not answer", "conversation", t.Request.Conversation, "err", err)
		return intents.Intent{}, false
	}
	if !ok {
		return intents.Intent{}, false
	}
	if err := e.allowed(in, req.MayAct); err != nil {
		e.log.WarnContext(ctx, "what the fall-back understood is not taken", "conversation", t.Request.Conversation, "err", err)
		return intents.Intent{}, false
	}
	in.Guessed, t.guess = true, true
	in.Slots = maps.Clone(in.Slots)
	if in.Slots == nil {
		in.Slots = intents.Slots{}
	}
	return in, true
}

// allowed says why an intent must not come from a fall-back; nil where it may.
func (e *Engine) allowed(in intents.Intent, mayAct bool) error {
	if in.Name != chain {
		return e.allowedStep(in, mayAct)
	}
	steps := in.Slots.Steps()
	if len(in.Slots) != 1 || len(steps) < 2 || len(steps) > maxSteps {
		return fmt.Errorf("dialogue: a chain of %d steps", len(steps))
	}
	for _, s := range steps {
		if err := e.allowedStep(s, mayAct); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) allowedStep(in intents.Intent, mayAct bool) error {
	spec, ok := e.catalogue.Spec(in.Name)
	if !ok || !Guessable(spec) || e.handlers[in.Name] == nil {
		return fmt.Errorf("dialogue: %.40q is no intent to be guessed", in.Name)
	}
	for slot := range in.Slots {
		known := slot == "unknown_target" && slices.ContainsFunc(spec.Slots, func(s intents.SlotSpec) bool { return s.Name == "targets" })
		if !known && (!GuessableSlot(slot) || !slices.ContainsFunc(spec.Slots, func(s intents.SlotSpec) bool { return s.Name == slot })) {
			return fmt.Errorf("dialogue: slot %.40q of %s is none to be guessed", slot, in.Name)
		}
	}
	if spec.Risk != intents.RiskWrite {
		return nil
	}
	if !mayAct {
		return fmt.Errorf("dialogue: %s, of a sentence that asks for no change", in.Name)
	}
	all := func(name string) bool { return name == intents.TargetAll || name == intents.TargetCluster }
	if slices.ContainsFunc(in.Slots.Targets(), all) || in.Slots.String("cluster") == intents.TargetAll {
		return fmt.Errorf("dialogue: %s of everything", in.Name)
	}
	return nil
}

// delicate reports a text that may be about consent, or hold a secret: it is
// understood by our own recogniser or not at all, and goes nowhere else.
func delicate(text string) bool {
	if digits, _ := saidDigits(text, "pin", "my", "the", "is", "number", "code", "it", "its"); len(digits) >= minSecret || SaysSecret(text) {
		return true
	}
	words := spokenWords(text)
	consent := func(w string) bool {
		return slices.Contains([]string{
			"yes", "yeah", "yep", "yup", "aye", "no", "nope", "nah", "ok", "okay", "sure", "affirmative", "negative", "fine", "absolutely", "definitely", "correct",
			"agreed", "granted", "proceed", "y", "n", "ja", "si", "oui", "da", "hai",
		}, w)
	}
	low := " " + strings.Join(words, " ") + " "
	for _, said := range []string{" go ahead ", " do it ", " carry on ", " i agree "} {
		if strings.HasPrefix(low, said) {
			return true
		}
	}
	return len(words) > 0 && consent(words[0]) || slices.ContainsFunc(words, func(w string) bool {
		for _, stem := range []string{"approv", "confirm", "authoris", "authoriz", "consent", "passw", "passcode", "passphrase", "credential"} {
			if strings.HasPrefix(w, stem) {
				return true
			}
		}
		return slices.Contains([]string{"pin", "pins", "code", "codes", "otp", "token", "tokens", "secret", "apikey", "bearer", "link", "pair", "redeem", "yes", "yep", "yeah", "agreed", "agrees"}, w) ||
			isDigits(w) && len(w) > minSecret
	})
}

// asGuess says before an answer what the sentence was taken for, where that was a guess.
func (t *Turn) asGuess(r Reply) (Reply, error) {
	r.Guessed = t.Intent.Guessed
	if !t.guess {
		return r, nil
	}
	var speech, text []string
	steps := []intents.Intent{t.Intent}
	if t.Intent.Name == chain {
		steps = t.Intent.Slots.Steps()
	}
	for _, in := range steps {
		spec, _ := t.catalogue.Spec(in.Name)
		var names, details []string
		for _, s := range spec.Slots {
			switch v := in.Slots.String(s.Name); {
			case !in.Slots.Has(s.Name):
			case s.Name == "targets":
				for _, n := range in.Slots.Targets() {
					names = append(names, t.called(n)...)
				}
			case s.Name == "node", s.Name == "pod", s.Name == "alert", s.Name == "name":
				names = append(names, v)
			default:
				details = append(details, s.Name+" "+v)
			}
		}
		say, err := t.catalogue.Say("guess.step", Data{"Help": spec.Help, "Names": names, "Details": details})
		if err != nil {
			return r, fmt.Errorf("dialogue: %w", err)
		}
		speech, text = append(speech, say.Speech), append(text, say.Text)
	}
	say, err := t.catalogue.Say("guess", Data{"Speech": strings.Join(speech, "; then "), "Text": strings.Join(text, "; then ")})
	if err != nil {
		return r, fmt.Errorf("dialogue: %w", err)
	}
	r.Speech, r.Text = say.Speech+" "+r.Speech, say.Text+"\n"+r.Text
	return r, nil
}

// called is a target as it is called: what "it" is, by its name.
func (t *Turn) called(name string) []string {
	if name != intents.TargetIt && name != intents.TargetThem {
		return []string{strings.TrimPrefix(name, "@")}
	}
	var out []string
	for _, o := range t.Session.Targets {
		out = append(out, o.Name)
	}
	return out
}
