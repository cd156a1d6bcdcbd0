package phone

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// vouched is what the carrier says of a number that is the caller's own:
// attestation A, and the signature was found right.
const vouched = "TN-Validation-Passed-A"

const (
	maxText = 1000 // characters of what somebody says
	// tries is how often is asked again before the keypad's menu.
	tries = 2
	// sayEvery is every which time that is waited is said how it goes, which is every
	// ten seconds and what is said.
	sayEvery = 4
	// maxPolls bounds how long somebody listens to how it goes, some ten minutes.
	maxPolls = 240
)

// saneSID is what calls and messages are called.
var saneSID = regexp.MustCompile(`^[A-Za-z0-9:_-]{1,128}$`)

// exchange is one turn of a call: who is on the line, what was heard, and what
// the call remembers.
type exchange struct {
	sid          string
	from         string
	conversation string
	speaker      access.Speaker
	leg          leg
	text         string  // what was said
	keyed        string  // what was keyed
	confidence   float64 // in what was said
	unsure       bool    // the carrier is not sure of what was said
	machine      bool    // picked up, the carrier says
	more         bool    // something is still to come, though nothing runs
	alert        string  // that the call is about
	rest         string  // what the opening left out, while it is what is answered
}

func (h *Handler) voice(w http.ResponseWriter, r *http.Request) error {
	form, err := h.cfg.verified(r)
	if err != nil {
		return err
	}
	x, err := h.decode(form, r.URL.Query())
	if err != nil {
		return err
	}
	if over(form.Get("CallStatus")) {
		return writeTwiML(w) // nobody is there any more
	}
	verbs, err := h.turn(r.Context(), x)
	if err != nil {
		return err
	}
	return writeTwiML(w, verbs...)
}

// decode makes an exchange of what the carrier posts.
func (h *Handler) decode(form, query url.Values) (exchange, error) {
	l, ok := legOf(query)
	x := exchange{sid: form.Get("CallSid"), from: form.Get("From"), leg: l, keyed: form.Get("Digits")}
	switch {
	case !ok:
		return x, fault.New(fault.Usage, "The URL is none that I gave the carrier.")
	case !saneSID.MatchString(x.sid):
		return x, fault.New(fault.Usage, "The request names no call.")
	case h.cfg.foreign(form):
		return x, fault.New(fault.Refused, "The call is another account's.")
	}
	x.text = strings.TrimSpace(plain(form.Get("SpeechResult")))
	if utf8.RuneCountInString(x.text) > maxText {
		return x, fault.New(fault.Usage, "The sentence is too long: at most %d characters are taken.", maxText)
	}
	if c := form.Get("Confidence"); c != "" {
		n, err := strconv.ParseFloat(c, 64)
		x.confidence, x.unsure = n, err != nil || !(n >= h.cfg.MinConfidence) // also what is no number
	}
	if strings.Trim(x.keyed, "0123456789*#") != "" || len(x.keyed) > 2*mostDigits {
		return x, fault.New(fault.Usage, "The keys are none of a telephone.")
	}
	x.machine = machine(form.Get("AnsweredBy"))
	how := access.CallerID
	if form.Get("StirVerstat") == vouched || h.cfg.Provider == Telnyx && form.Get("ShakenStirAttestation") == "A" && form.Get("ShakenStirValidated") == "true" {
		how = access.StirShaken
	}
	x.conversation, x.speaker = Channel+":"+x.sid, access.NewSpeaker(Channel, x.from, how)
	return x, nil
}

// delivery is the id of a turn: what the carrier repeats has the same.
func (x exchange) delivery() string { return Channel + ":" + x.sid + ":" + number(x.leg.turn) }

// request is a turn for the engine.
func (x exchange) request(text string) dialogue.Request {
	return dialogue.Request{
		DeliveryID: x.delivery(), Conversation: x.conversation, Speaker: x.speaker, Text: text, Pull: true, Patience: patience,
	}
}

// turn answers one turn of a call.
func (h *Handler) turn(ctx context.Context, x exchange) ([]any, error) {
	if x.leg.ref != "" {
		return h.placed(ctx, x)
	}
	_, known, err := h.parts.People.Who(ctx, x.speaker)
	switch {
	case err != nil:
		return h.hangUp(fault.Say(err)), nil
	case known && x.from != "", h.cfg.Unknown:
	default:
		return h.stranger(ctx, x)
	}
	if x.leg.turn > 0 {
		return h.answer(ctx, x)
	}
	return h.greet(ctx, x, "hello")
}

// greet begins a call that came in.
func (h *Handler) greet(ctx context.Context, x exchange, key string) ([]any, error) {
	hello, err := h.words(key, nil)
	next := x.leg.next()
	next.expect = expectNone
	return h.ask(ctx, next, hello), err
}

// placed takes a turn of a call that was placed.
func (h *Handler) placed(ctx context.Context, x exchange) ([]any, error) {
	var o Opening
	ok := false
	if h.parts.Calls != nil {
		o, ok = h.parts.Calls.Opening(ctx, x.leg.ref)
	}
	if !ok {
		bye, err := h.words("moot", nil)
		return h.hangUp(bye), err
	}
	x.conversation, x.speaker, x.more, x.alert = o.Conversation, o.Speaker, o.More, o.Alert
	switch {
	case x.leg.mailbox && x.keyed == "":
		return h.nobody(ctx, x)
	case x.leg.mailbox: // a machine presses no keys: somebody is there after all
		x.leg.mailbox = false
		return h.open(ctx, x, o)
	case x.leg.turn == 0 && x.machine:
		return h.mailbox(ctx, x, o.Mailbox)
	case x.leg.turn > 0:
		x.leg.running = x.leg.running || o.More
		if x.leg.turn == 1 { // another process of ours may have said it
			x.rest = o.Rest
		}
		return h.answer(ctx, x)
	}
	return h.open(ctx, x, o)
}

// mailbox leaves a message where a machine picked up, and gives somebody whom the
// carrier took for one a way to say so. A machine has heard nothing and agrees to
// nothing: what it says is not listened to.
func (h *Handler) mailbox(ctx context.Context, x exchange, message string) ([]any, error) {
	if message == "" {
		return h.nobody(ctx, x)
	}
	there, err := h.words("mailbox", nil)
	text, _ := compose(dialogue.Reply{Speech: message})
	next := x.leg.next()
	next.mailbox = true
	return h.listen(next, "", h.cfg.say(text+" "+there)), err
}

// nobody ends a call in which nobody was there.
func (h *Handler) nobody(ctx context.Context, x exchange) ([]any, error) {
	if err := h.parts.Calls.Ended(ctx, x.leg.ref, Machine); err != nil {
		return nil, err // the carrier asks again
	}
	return []any{hangup{}}, nil
}

// open begins a call that was placed and picked up.
func (h *Handler) open(ctx context.Context, x exchange, o Opening) ([]any, error) {
	if err := h.parts.Calls.Answered(ctx, x.leg.ref); err != nil {
		return nil, err // the carrier asks again
	}
	verbs, err := h.speak(ctx, x, o.Reply)
	h.of(x.conversation, func(t *talk) { t.rest = strings.TrimSpace(t.rest + " " + o.Rest) })
	return verbs, err
}

// stranger takes a turn of somebody nobody knows: whoever keys a link's code is
// not one any more.
func (h *Handler) stranger(ctx context.Context, x exchange) ([]any, error) {
	if x.leg.turn == 0 && x.from != "" {
		sorry, err := h.words("stranger", nil)
		next := x.leg.next()
		next.expect = expectCode
		return append(h.listen(next, "", h.cfg.say(sorry)), hangup{}), err
	}
	if code := strings.Trim(x.keyed, "#*"); len(code) >= 4 && x.from != "" {
		r, ok := h.begin(ctx, x.request("link "+code)).wait(ctx, answerWithin)
		if ok && r.Fault == "" {
			next := x.leg.next()
			next.expect = expectNone
			return h.ask(ctx, next, r.Speech), nil
		}
		return h.hangUp(r.Speech), nil
	}
	bye, err := h.words("bye", map[string]any{"Running": false})
	return h.hangUp(bye), err
}

// answer takes a turn after the first one.
func (h *Handler) answer(ctx context.Context, x exchange) ([]any, error) {
	if x.leg.working {
		return h.collect(ctx, x, h.begin(ctx, x.request("")))
	}
	text, again := x.said()
	switch {
	case again != "":
		return h.askAgain(ctx, x, again)
	case text == "" && x.leg.running && x.leg.expect == expectNone:
		return h.howItGoes(ctx, x)
	case text == "":
		return h.silence(ctx, x)
	case farewell(text):
		return h.bye(ctx, x)
	}
	if more.MatchString(text) {
		if rest := cmp.Or(h.restOf(x.conversation), x.rest); rest != "" {
			return h.speak(ctx, x, dialogue.Reply{Speech: rest, Expect: x.leg.expect})
		}
	}
	if x.alert != "" && acknowledges.MatchString(text) { // there is one alert that it can be
		text = "acknowledge " + x.alert
	}
	return h.collect(ctx, x, h.begin(ctx, x.request(text)))
}

// collect waits for the answer of a turn; where it takes too long, the caller
// is told so and the carrier asks again.
func (h *Handler) collect(ctx context.Context, x exchange, j *job) ([]any, error) {
	r, ok := j.wait(ctx, answerWithin)
	if ok {
		return h.speak(ctx, x, r)
	}
	key := "moment"
	if x.leg.working {
		key = "still"
	}
	wait, err := h.words(key, nil)
	l := x.leg
	l.working = true
	return []any{h.cfg.say(wait), pause{Length: 1}, redirect{Method: http.MethodPost, URL: h.cfg.public(PathVoice, l.query())}}, err
}

// said is what was said or keyed, in words; again names what is wrong with it.
func (x exchange) said() (text, again string) {
	switch {
	case x.keyed != "" && x.leg.expect == expectPIN:
		keys := strings.TrimRight(x.keyed, "#")
		switch {
		case strings.HasPrefix(keys, "*") || keys == "0":
			return "no", ""
		case len(keys) < 4 || strings.Contains(keys, "*"):
			return "", "pin"
		}
		return keys, ""
	case x.keyed != "":
		return x.key(), ""
	case x.text == "":
		return "", ""
	case x.leg.expect == expectPIN:
		return "", "pin" // it was not listened to
	case x.unsure:
		return "", "unsure"
	case dialogue.SaysSecret(x.text):
		return "", "secret"
	}
	return x.text, ""
}

// key is what a key of the menu stands for.
func (x exchange) key() string {
	choice := x.leg.expect == expectChoice
	switch k := x.keyed[len(x.keyed)-1:]; {
	case choice && k >= "1" && k <= "5":
		return map[string]string{"1": "the first one", "2": "the second one", "3": "the third one", "4": "the fourth one", "5": "the fifth one"}[k]
	case k == "1" && x.leg.expect == expectConfirm:
		return "yes"
	case k == "1":
		return "how is it going?"
	case k == "2" || k == "*":
		return "no"
	case k == "3":
		return "more"
	case k == "9":
		return "goodbye"
	}
	return "repeat"
}

var (
	bye          = regexp.MustCompile(`(?i)^\W*((ok|okay|thanks|thank you|no|great|alright|all right)[ ,.!]+)*(good ?bye|bye|bye bye|good night|hang up|you can hang up|end the call|that(['’]s| is| will be) all|i am done|i['’]m done|we are done)\b[^a-z]*(thanks|thank you|now|for now|please|firstmate|first mate)?\W*$`)
	acknowledges = regexp.MustCompile(`(?i)^\W*(i\s+)?(ack|acknowledged?)(\s+(it|that|this|the alert))?\W*(please|thanks|thank you)?\W*$`)

	more = regexp.MustCompile(`(?i)^\W*(more|tell me more|more please|and more|say more|what else)\W*$`)
)

// farewell reports whether somebody wants to hang up.
func farewell(text string) bool { return bye.MatchString(text) }

// restOf is what was left out of the last answer; it is given once.
func (h *Handler) restOf(conversation string) (rest string) {
	h.of(conversation, func(t *talk) { rest, t.rest = t.rest, "" })
	return rest
}

// ask says something and listens.
func (h *Handler) ask(ctx context.Context, next leg, text string) []any {
	return h.listen(next, h.hints(ctx, next), h.cfg.say(text))
}

func (h *Handler) hints(ctx context.Context, next leg) string {
	if next.menu || next.expect == expectPIN || next.expect == expectCode {
		return ""
	}
	return hints(next.expect, h.parts.Names(ctx), h.cfg.Hints)
}

func (h *Handler) hangUp(text string) []any { return []any{h.cfg.say(text), hangup{}} }

// speak says a reply and listens to what is said to it.
func (h *Handler) speak(ctx context.Context, x exchange, r dialogue.Reply) ([]any, error) {
	text, rest := compose(r)
	if !r.Private {
		h.of(x.conversation, func(t *talk) { t.rest = rest })
	}
	next := x.leg.next()
	switch r.Expect {
	case dialogue.ExpectConfirm:
		next.expect = expectConfirm
	case dialogue.ExpectChoice:
		next.expect = expectChoice
	case dialogue.ExpectPIN:
		next.expect = expectPIN
	case dialogue.ExpectNone, dialogue.ExpectApproval, "":
		next.expect = expectNone
	default:
		next.expect = expectOther
	}
	if x.leg.ref != "" && x.leg.turn > 0 && h.parts.Calls != nil { // what was just agreed to may have something to come
		if o, ok := h.parts.Calls.Opening(ctx, x.leg.ref); ok {
			x.more = o.More
		}
	}
	next.running = x.leg.running || r.Outcome == dialogue.OutcomePending && r.Proposal != nil && r.Expect != dialogue.ExpectConfirm && r.Expect != dialogue.ExpectPIN
	if r.Outcome == dialogue.OutcomeDone || r.Outcome == dialogue.OutcomeFailed || r.Outcome == dialogue.OutcomeRolledBack {
		next.running = x.more
	}
	if next.expect == expectPIN {
		key, err := h.words("pin", nil)
		return h.ask(ctx, next, text+" "+key), err
	}
	if r.Fault == fault.NotUnderstood { // words, but none that one could act on
		next.missed = x.leg.missed + 1
		next.expect = x.leg.expect
		if next.missed > tries {
			return h.menu(ctx, next, text)
		}
	}
	if next.running && next.expect == expectNone {
		return h.listen(next, h.hints(ctx, next), h.cfg.say(text)), nil
	}
	if next.expect == expectNone && next.missed == 0 {
		anything, err := h.words("anything", nil)
		return h.ask(ctx, next, text+" "+anything), err
	}
	return h.ask(ctx, next, text), nil
}

// howItGoes goes on while something runs: it waits a moment for the outcome. How
// far it is, is said now and then: what is said delays the outcome.
func (h *Handler) howItGoes(ctx context.Context, x exchange) ([]any, error) {
	if x.leg.polled >= maxPolls {
		return h.bye(ctx, x)
	}
	wait := hearOutcome
	if x.leg.ref != "" && !x.more { // what was to come has come, or is about to
		wait = hearNews
	}
	h.outcome(ctx, x.conversation, wait)
	r, ok := h.begin(ctx, x.request("how is it going?")).wait(ctx, answerWithin-hearOutcome)
	if !ok {
		return h.collect(ctx, x, h.begin(ctx, x.request("")))
	}
	x.leg.running = r.Outcome == dialogue.OutcomePending || r.Outcome == dialogue.OutcomeNone
	if !x.leg.running || r.Expect == dialogue.ExpectConfirm {
		return h.speak(ctx, x, r)
	}
	next := x.leg.next()
	next.polled, next.expect = x.leg.polled+1, expectNone
	if next.polled%sayEvery != 0 {
		return h.listen(next, h.hints(ctx, next)), nil
	}
	text, _ := compose(r)
	return h.listen(next, h.hints(ctx, next), h.cfg.say(text)), nil
}

// outcome waits for the end of something in a conversation, but not too long.
func (h *Handler) outcome(ctx context.Context, conversation string, d time.Duration) {
	sub := h.parts.Engine.Subscribe(conversation)
	defer sub.Close()
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			return
		case ev := <-sub.C:
			if ev.Kind == dialogue.EventOutcome {
				return
			}
		}
	}
}
