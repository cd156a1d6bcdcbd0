package carriertest

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Act is what somebody does after they heard something. The zero Act is silence.
type Act struct {
	Say    string
	Keys   string
	HangUp bool
}

// Person decides what to do after hearing something.
type Person func(heard string) Act

// Line is a line of a script: who hears what fits, does this.
type Line struct {
	Hears string `json:"hears"` // a regexp, in any case; "" is anything
	Act
}

// Script is somebody who goes through these lines in order. While what is heard
// does not fit the next line, they listen; after the last one they hang up when
// nothing was said for a while.
func Script(lines ...Line) (Person, error) {
	res := make([]*regexp.Regexp, len(lines))
	for i, l := range lines {
		re, err := regexp.Compile("(?is)" + l.Hears)
		if err != nil {
			return nil, err
		}
		res[i] = re
	}
	at := 0
	return func(heard string) Act {
		if at == len(lines) || !res[at].MatchString(heard) {
			return Act{}
		}
		at++
		return lines[at-1].Act
	}, nil
}

// Said is one thing that was said or keyed in a call.
type Said struct {
	By     string // "bot" or "person"
	Text   string // what was said
	Heard  string // what came over the line
	Keys   string
	Sure   float64 // of what a person said
	Silent bool
	At     time.Time
}

// Call is a call, going on or over.
type Call struct {
	SID, From, To string
	Outbound      bool // it was placed by the API
	Created       time.Time

	carrier *Carrier
	cancel  context.CancelFunc
	status  string
	said    []Said
	err     error
	done    chan struct{}
}

// Said returns what was said so far.
func (k *Call) Said() []Said {
	k.carrier.mu.Lock()
	defer k.carrier.mu.Unlock()
	return append([]Said(nil), k.said...)
}

// Status is how far the call is, in Twilio's words.
func (k *Call) Status() string {
	k.carrier.mu.Lock()
	defer k.carrier.mu.Unlock()
	return k.status
}

// Heard is all that the person heard so far.
func (k *Call) Heard() string {
	var out []string
	for _, s := range k.Said() {
		if s.By == "bot" {
			out = append(out, s.Heard)
		}
	}
	return strings.Join(out, "\n")
}

// Wait waits for the end of the call, and says what went wrong in it.
func (k *Call) Wait(ctx context.Context) error {
	select {
	case <-k.done:
		return k.err
	case <-ctx.Done():
		k.carrier.mu.Lock()
		if k.cancel != nil {
			k.cancel()
		}
		k.carrier.mu.Unlock()
		<-k.done
		return errors.Join(ctx.Err(), k.err)
	}
}

// Over waits for the end of the call, and leaves it going when the context ends.
func (k *Call) Over(ctx context.Context) error {
	select {
	case <-k.done:
		return k.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Incoming is a call to a number whose webhooks are at Voice and Status.
type Incoming struct {
	From, To      string
	Voice, Status string
	Verstat       string // what the network says of the caller's number
}

// Dial has somebody call a number.
func (c *Carrier) Dial(in Incoming, p Person) *Call {
	k := c.begin(in.From, in.To, false)
	c.wg.Go(func() { c.run(k, in.Voice, in.Status, in.Verstat, p, func(context.Context) string { return "" }) })
	return k
}

// begin notes a new call.
func (c *Carrier) begin(from, to string, outbound bool) *Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := &Call{SID: c.sid("CA"), From: from, To: to, Outbound: outbound, Created: time.Now(), carrier: c, status: "queued", done: make(chan struct{})}
	c.calls = append(c.calls, k)
	c.note()
	return k
}

func (k *Call) set(status string) {
	k.carrier.mu.Lock()
	k.status = status
	k.carrier.note()
	k.carrier.mu.Unlock()
}

func (k *Call) add(s Said) {
	s.At = time.Now()
	k.carrier.mu.Lock()
	k.said = append(k.said, s)
	k.carrier.note()
	k.carrier.mu.Unlock()
}

// run has a call happen. answeredBy finds out who picked up.
func (c *Carrier) run(k *Call, voice, status, verstat string, p Person, answeredBy func(context.Context) string) {
	ctx, cancel := context.WithCancel(c.ctx)
	k.carrier.mu.Lock()
	k.cancel = cancel
	k.carrier.mu.Unlock()
	defer cancel()
	defer close(k.done)
	form := url.Values{
		"AccountSid": {c.cfg.Account}, "ApiVersion": {"2010-04-01"}, "CallSid": {k.SID}, "From": {k.From}, "To": {k.To},
		"Caller": {k.From}, "Called": {k.To}, "Direction": {"inbound"}, "CallStatus": {"ringing"},
	}
	if verstat != "" {
		form.Set("StirVerstat", verstat)
	}
	if k.Outbound {
		form.Set("Direction", "outbound-api")
		form.Set("CallStatus", "in-progress")
	}
	k.set("in-progress")
	if who := answeredBy(ctx); who != "" {
		form.Set("AnsweredBy", who)
	}
	err := c.converse(ctx, k, voice, form, p)
	if ctx.Err() != nil && c.ctx.Err() == nil {
		err = nil // hung up by the API
	}
	c.finish(k, status, form, "completed", err)
}

// finish ends a call and posts its status.
func (c *Carrier) finish(k *Call, status string, form url.Values, how string, err error) {
	k.set(how)
	c.show("☎ %s: %s", k.To, how)
	if status != "" && c.ctx.Err() == nil {
		form.Set("CallStatus", how)
		form.Set("CallDuration", "1")
		form.Set("Timestamp", time.Now().UTC().Format(time.RFC1123Z))
		_, perr := c.post(c.ctx, status, form)
		err = errors.Join(err, perr)
	}
	c.mu.Lock()
	k.err = err
	c.note()
	c.mu.Unlock()
}

// verb is an element of TwiML.
type verb struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Verbs   []verb     `xml:",any"`
}

type document struct {
	XMLName xml.Name `xml:"Response"`
	Verbs   []verb   `xml:",any"`
}

func (v verb) attr(name, otherwise string) string {
	for _, a := range v.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return otherwise
}

func (v verb) number(name string, otherwise int) int {
	n, err := strconv.Atoi(v.attr(name, strconv.Itoa(otherwise)))
	if err != nil {
		return otherwise
	}
	return n
}

func (v verb) words() string { return strings.Join(strings.Fields(v.Text), " ") }

// document posts and reads what is answered as Twilio would: what it does not
// know is an error.
func (c *Carrier) document(ctx context.Context, at string, form url.Values) (document, error) {
	b, err := c.post(ctx, at, form)
	if err != nil {
		return document{}, err
	}
	var d document
	if err := xml.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("carriertest: no TwiML: %w:\n%s", err, b)
	}
	return d, check(d.Verbs, "Response")
}

// check holds a document to what Twilio takes.
func check(verbs []verb, within string) error {
	for _, v := range verbs {
		ok := false
		switch name := v.XMLName.Local; name {
		case "Say":
			ok = len([]rune(v.words())) <= 3000 && v.words() != ""
		case "Pause":
			ok = v.number("length", 1) > 0
		case "Gather":
			timeout, input := v.number("timeout", 5), v.attr("input", "dtmf")
			ok = within == "Response" && timeout > 0 && v.number("numDigits", 1) > 0 && (input == "dtmf" || input == "speech" || input == "speech dtmf" || input == "dtmf speech")
			hints := strings.Split(v.attr("hints", ""), ",")
			for _, h := range hints {
				ok = ok && len(strings.TrimSpace(h)) <= 100
			}
			if ok = ok && len(hints) <= 500; ok {
				if err := check(v.Verbs, "Gather"); err != nil {
					return err
				}
			}
		case "Message":
			ok = within == "Response" && len([]rune(v.words())) <= 1600
		case "Redirect", "Hangup":
			ok = within == "Response"
		}
		if !ok {
			return fmt.Errorf("carriertest: Twilio does not take this <%s> within <%s>: %+v", v.XMLName.Local, within, v)
		}
	}
	return nil
}

// maxDocuments is how many documents one call may have.
const maxDocuments = 400

// errHungUp ends a call from the person's side.
var errHungUp = errors.New("the person hung up")

// converse fetches documents and does what they say, until somebody hangs up.
func (c *Carrier) converse(ctx context.Context, k *Call, at string, form url.Values, p Person) error {
	heard := ""
	for range maxDocuments {
		d, err := c.document(ctx, at, form)
		if err != nil {
			return err
		}
		form = base(form)
		next, err := c.obey(ctx, k, d, form, p, &heard)
		if errors.Is(err, errHungUp) || err == nil && next == "" {
			return nil
		}
		if err != nil {
			return err
		}
		at = next
	}
	return fmt.Errorf("carriertest: the call has no end")
}

// base is a form without what was heard in the turn before.
func base(form url.Values) url.Values {
	out := url.Values{}
	for k, v := range form {
		switch k {
		case "SpeechResult", "Confidence", "Digits", "FinishedOnKey", "Language":
		default:
			out[k] = v
		}
	}
	out.Set("CallStatus", "in-progress")
	return out
}

// obey does what a document says and returns where to go on; "" is nowhere. What
// was heard is added to form.
func (c *Carrier) obey(ctx context.Context, k *Call, d document, form url.Values, p Person, heard *string) (string, error) {
	for _, v := range d.Verbs {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		switch v.XMLName.Local {
		case "Say", "Pause":
			if err := c.play(ctx, k, v, heard); err != nil {
				return "", err
			}
		case "Redirect":
			return v.words(), nil
		case "Hangup":
			return "", nil
		case "Gather":
			for _, in := range v.Verbs {
				if err := c.play(ctx, k, in, heard); err != nil {
					return "", err
				}
			}
			next, err := c.gather(ctx, k, v, form, p(*heard))
			*heard = ""
			if next != "" || err != nil {
				return next, err
			}
		}
	}
	return "", nil
}

// play says something, or nothing for a while.
func (c *Carrier) play(ctx context.Context, k *Call, v verb, heard *string) error {
	if v.XMLName.Local == "Pause" {
		c.rest(ctx, v.number("length", 1))
		return nil
	}
	text := v.words()
	c.show("🤖 %s", text)
	over := text
	if c.cfg.Mouth != nil {
		var err error
		if over, err = c.cfg.Mouth.Speak(ctx, text); err != nil {
			return err
		}
	}
	k.add(Said{By: "bot", Text: text, Heard: over})
	*heard = strings.TrimSpace(*heard + " " + over)
	return nil
}

// gather listens to what somebody does, and returns where it is posted to; ""
// is nowhere.
func (c *Carrier) gather(ctx context.Context, k *Call, v verb, form url.Values, act Act) (string, error) {
	input, to := v.attr("input", "dtmf"), v.attr("action", "")
	switch {
	case act.HangUp:
		c.show("👤 (hangs up)")
		return "", errHungUp
	case act.Keys != "" && strings.Contains(input, "dtmf"):
		finish := v.attr("finishOnKey", "#")
		keys := act.Keys
		if finish != "" {
			if before, _, ok := strings.Cut(keys, finish); ok {
				keys = before
				form.Set("FinishedOnKey", finish)
			}
		}
		if n := v.number("numDigits", 0x7fff); len(keys) > n {
			keys = keys[:n]
		}
		form.Set("Digits", keys)
		k.add(Said{By: "person", Keys: keys})
		c.show("👤 (keys %d digits)", len(keys))
		return to, nil
	case act.Say != "" && strings.Contains(input, "speech"):
		over, sure := act.Say, 0.95
		if c.cfg.Ear != nil {
			var hints []string
			for h := range strings.SplitSeq(v.attr("hints", ""), ",") {
				if h = strings.TrimSpace(h); h != "" {
					hints = append(hints, h)
				}
			}
			var err error
			if over, sure, err = c.cfg.Ear.Hear(ctx, act.Say, hints); err != nil {
				return "", err
			}
		}
		k.add(Said{By: "person", Text: act.Say, Heard: over, Sure: sure})
		c.show("👤 %s", act.Say)
		if over != "" {
			form.Set("SpeechResult", over)
			form.Set("Confidence", strconv.FormatFloat(sure, 'f', 4, 64))
			form.Set("Language", v.attr("language", "en-US"))
		} else if v.attr("actionOnEmptyResult", "false") != "true" {
			return "", nil
		}
		return to, nil
	}
	k.add(Said{By: "person", Silent: true})
	c.rest(ctx, v.number("timeout", 5))
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if v.attr("actionOnEmptyResult", "false") == "true" {
		return to, nil
	}
	return "", nil
}
