package phone_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/phone"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// suite is the channel for channeltest: somebody says a text on a call that is
// going on.
func suite(path string, body func(delivery, text string) (string, url.Values)) channeltest.Channel {
	spoiled := func(spoil func(*http.Request)) func(*http.Request) { return spoil }
	return channeltest.Channel{
		Handler: func(t *testing.T, e *channeltest.Engine) http.Handler { return newDesk(t, config(), e, nil).mux },
		Request: func(delivery, text string) *http.Request {
			at, f := body(delivery, text)
			return request(at, f)
		},
		Raw: func(b io.Reader) *http.Request {
			r := httptest.NewRequest("POST", path, b)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			// What is too long is not read to its end, so its signature does not matter.
			if s, ok := b.(*strings.Reader); ok {
				all, _ := io.ReadAll(s)
				f, _ := url.ParseQuery(string(all))
				r.Header.Set("X-Twilio-Signature", sign(token, public+path, f))
				r.Body = io.NopCloser(strings.NewReader(string(all)))
				return r
			}
			r.Header.Set("X-Twilio-Signature", sign(token, public+path, nil))
			return r
		},
		Forge: map[string]func(*http.Request){
			"none":    spoiled(func(r *http.Request) { r.Header.Del("X-Twilio-Signature") }),
			"garbage": spoiled(func(r *http.Request) { r.Header.Set("X-Twilio-Signature", "hunter2") }),
			"other key": spoiled(func(r *http.Request) {
				r.Header.Set("X-Twilio-Signature", sign("guess", public+r.URL.RequestURI(), nil))
			}),
			"other path": spoiled(func(r *http.Request) { r.URL.RawQuery += "&running=1" }),
			"other body": spoiled(func(r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				s := strings.Replace(string(b), "scale", "delete", 1)
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(s)), int64(len(s))
			}),
			"no form": spoiled(func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }),
		},
		MaxBody:   64 << 10,
		SignsBody: true,
	}
}

func TestChannel(t *testing.T) {
	channeltest.Run(t, suite(phone.PathVoice, func(delivery, text string) (string, url.Values) {
		return public + phone.PathVoice + "?n=" + strings.TrimPrefix(delivery, "d"), form("SpeechResult", text, "Confidence", "0.9")
	}))
}

func TestSMSChannel(t *testing.T) {
	channeltest.Run(t, suite(phone.PathSMS, func(delivery, text string) (string, url.Values) {
		return public + phone.PathSMS, url.Values{"AccountSid": {account}, "MessageSid": {"SM" + delivery}, "From": {anns}, "To": {ours}, "Body": {text}}
	}))
}

func TestACall(t *testing.T) { synctest.Test(t, testACall) } // waiting takes no time

func testACall(t *testing.T) {
	e := scripted()
	d := newDesk(t, config(), e, nil)
	a := d.dial()
	d.hears(a, "firstmate", "what can i do")
	g := a.Gather[0]
	if g.Input != "speech dtmf" || !g.Always || !g.BargeIn || !strings.Contains(g.Hints, "payments api") || strings.Count(g.Hints, "web") != 1 {
		t.Errorf("%+v", g)
	}
	a = d.say(a, "scale web to five")
	d.hears(a, "three", "five", "shop", "shall i") // what is agreed to is said whole
	a = d.say(a, "yes")
	d.hears(a, "your PIN", "key it in", "pound")
	if g := a.Gather[0]; g.Input != "dtmf" || g.Finish != "#" || g.Digits != 0 || g.Hints != "" {
		t.Errorf("the PIN is not asked of the keypad alone: %+v", g)
	}
	a = d.key(a, "2580")
	d.hears(a, "I am scaling web")
	if strings.Contains(a.raw, "2580") {
		t.Error("the PIN is said back")
	}
	for range 3 {
		if a = d.silent(a); a.said() != "" || len(a.Gather) != 1 || len(a.Redirect) != 1 { // what is said would delay the outcome
			t.Errorf("it is not listened in silence at first: %s", a.raw)
		}
	}
	a = d.silent(a) // who waits is told how it goes, now and then
	d.hears(a, "4 of 5", "pods")
	if a.Gather[0].Timeout > 3 || len(a.Redirect) != 1 {
		t.Errorf("it is waited for too long: %s", a.raw)
	}
	a = d.say(a, "goodbye")
	d.hears(a, "text message", "goodbye")
	if len(a.Hangup) != 1 || len(a.Gather) != 0 {
		t.Errorf("%s", a.raw)
	}
	var said []string
	seen := map[string]bool{}
	for _, r := range e.Requests() {
		said = append(said, r.Text)
		if r.Conversation != "phone:"+call || r.Speaker != access.NewSpeaker("phone", anns, access.StirShaken) || !r.Pull || seen[r.DeliveryID] {
			t.Errorf("%+v", r)
		}
		seen[r.DeliveryID] = true
	}
	const going = "how is it going?"
	if want := []string{"scale web to five", "yes", "2580", going, going, going, going, going}; !reflect.DeepEqual(said, want) {
		t.Errorf("the engine was asked %q", said)
	}
}

func TestWhoCalls(t *testing.T) {
	for verstat, want := range map[string]access.Assurance{
		"TN-Validation-Passed-A": access.Verified, "TN-Validation-Passed-B": access.Claimed, "TN-Validation-Passed-A-Passthrough": access.Claimed,
		"TN-Validation-Failed-A": access.Claimed, "No-TN-Validation": access.Claimed, "": access.Claimed,
	} {
		e := channeltest.NewEngine(nil)
		d := newDesk(t, config(), e, nil)
		d.post(public+phone.PathVoice+"?n=1", form("SpeechResult", "hi", "StirVerstat", verstat))
		if got := e.Requests()[0].Speaker; got.Assurance != want || got.ID != anns {
			t.Errorf("%q: %+v", verstat, got)
		}
	}
}

func TestAStrangerIsTurnedAway(t *testing.T) {
	e := scripted()
	d := newDesk(t, config(), e, nil)
	stranger := func(a twiml, pairs ...string) twiml {
		return d.post(a.next(), form(append([]string{"From", "+14155550000"}, pairs...)...))
	}
	a := d.dial("From", "+14155550000")
	d.hears(a, "do not know your number", "code")
	if g := a.Gather[0]; g.Input != "dtmf" {
		t.Errorf("%+v", g)
	}
	if b := stranger(a, "SpeechResult", "scale web to five", "Confidence", "1"); len(b.Hangup) != 1 || len(e.Requests()) != 0 {
		t.Errorf("%s, and the engine was asked %v", b.raw, e.Requests())
	}
	if b := stranger(a); len(b.Hangup) != 1 {
		t.Error(b.raw)
	}
	stranger(a, "Digits", "48291374#")
	if r := e.Requests(); len(r) != 1 || r[0].Text != "link 48291374" {
		t.Errorf("%+v", r)
	}
	if a := d.dial("From", ""); len(a.Hangup) != 1 || len(a.Gather) != 0 {
		t.Errorf("somebody without a number: %s", a.raw)
	}
	cfg := config()
	cfg.Unknown = true
	d = newDesk(t, cfg, e, nil)
	d.hears(d.dial("From", "+14155550000"), "what can I do")
}

// Silence is asked about twice, then there is the keypad, then a text message.
func TestSilence(t *testing.T) {
	e := scripted()
	d := newDesk(t, config(), e, nil)
	a := d.say(d.dial(), "scale web to five")
	a = d.silent(a)
	d.hears(a, "did not hear you", "yes or no")
	a = d.silent(a)
	d.hears(a, "did not hear you", "scale it to five") // what is asked is said again
	a = d.silent(a)
	d.hears(a, "keypad", "press 1 for yes", "2 for no", "3 for more", "0 to hear it again")
	if a.Gather[0].Input != "dtmf" {
		t.Errorf("%+v", a.Gather[0])
	}
	d.hears(d.key(a, "0"), "scale it to five", "shall i")
	d.hears(d.key(a, "1"), "your PIN")
	a = d.silent(a)
	d.hears(a, "cannot hear you", "change nothing", "text message")
	if len(a.Hangup) != 1 || !reflect.DeepEqual(e.Left(), []string{"phone:" + call}) {
		t.Errorf("%s, left %v", a.raw, e.Left())
	}
	<-d.line.sent
	if got := d.line.all(); !strings.HasPrefix(got, anns+": I could not hear you on the phone, so I did not do what I asked") {
		t.Errorf("%q", got)
	}
}

func TestWhatIsNotHeardWellIsAskedAgain(t *testing.T) {
	for _, tt := range []struct{ name, text, confidence, hears string }{
		{"unsure", "yes", "0.39", "not sure that i heard you right: yes"},
		{"no number", "yes", "NaN", "not sure"},
		{"garbage", "yes", "high", "not sure"},
		{"none of it", "yes", "0.0", "not sure"},
		{"a PIN aloud", "two five eight zero", "0.9", "do not say a PIN aloud"},
		{"a PIN in figures", "2580", "0.9", "do not say a PIN aloud"},
	} {
		e := scripted()
		d := newDesk(t, config(), e, nil)
		a := d.say(d.dial(), "scale web to five")
		n := len(e.Requests())
		a = d.post(a.next(), form("SpeechResult", tt.text, "Confidence", tt.confidence))
		d.hears(a, tt.hears)
		if len(e.Requests()) != n || strings.Contains(a.raw, "2580") {
			t.Errorf("%s: it was acted on or said back: %s", tt.name, a.raw)
		}
		a = d.post(a.next(), form("SpeechResult", tt.text, "Confidence", tt.confidence))
		a = d.post(a.next(), form("SpeechResult", tt.text, "Confidence", tt.confidence))
		d.hears(a, "keypad")
	}
	// A recogniser that gives no confidence is believed.
	e := scripted()
	d := newDesk(t, config(), e, nil)
	d.hears(d.post(d.say(d.dial(), "scale web to five").next(), form("SpeechResult", "yes")), "your PIN")
	// What is not understood counts like what is not heard.
	a := d.dial()
	for range 2 {
		a = d.say(a, "mumble")
		d.hears(a, "did not understand")
	}
	d.hears(d.say(a, "mumble"), "did not understand", "keypad")
}

func TestThePINIsKeyedOnly(t *testing.T) {
	e := scripted()
	d := newDesk(t, config(), e, nil)
	a := d.say(d.say(d.dial(), "scale web to five"), "yes")
	n := len(e.Requests())
	for _, b := range []twiml{d.say(a, "two five eight zero"), d.key(a, "12"), d.key(a, "12*4"), d.silent(a)} {
		d.hears(b, "key it in")
		if b.Gather[0].Input != "dtmf" {
			t.Errorf("%+v", b.Gather[0])
		}
	}
	if len(e.Requests()) != n {
		t.Errorf("the engine heard of it: %+v", e.Requests()[n:])
	}
	d.hears(d.key(a, "*"), "leave web as it is")
	a = d.silent(d.silent(d.silent(a)))
	if len(a.Hangup) != 1 {
		t.Errorf("who keys no PIN is waited for: %s", a.raw)
	}
}

func TestMore(t *testing.T) {
	d := newDesk(t, config(), scripted(), nil)
	a := d.say(d.dial(), "how is everything?")
	d.hears(a, "Two is fine")
	if strings.Contains(a.said(), "Three") {
		t.Errorf("too much at once: %s", a.said())
	}
	a = d.key(a, "3")
	d.hears(a, "Three is fine", "Four is fine")
	d.hears(d.say(a, "more"), "Well: more")
}

// The carrier repeats what it got no answer to, and gets the first one.
func TestRepetitionsHaveTheSameDelivery(t *testing.T) {
	e := scripted()
	d := newDesk(t, config(), e, nil)
	a := d.dial()
	one, two := d.say(a, "scale web to five"), d.say(a, "scale web to five")
	if one.raw != two.raw {
		t.Errorf("%s\n%s", one.raw, two.raw)
	}
	if r := e.Requests(); r[0].DeliveryID != r[1].DeliveryID || r[0].DeliveryID != "phone:"+call+":1" {
		t.Errorf("%q, %q", r[0].DeliveryID, r[1].DeliveryID)
	}
	other := d.post(a.next(), form("CallSid", "CA2", "SpeechResult", "yes"))
	d.hears(other, "PIN")
	if r := e.Requests(); r[2].Conversation != "phone:CA2" || r[2].DeliveryID == r[0].DeliveryID {
		t.Errorf("two calls are one: %+v", r[2])
	}
}

func TestHangingUpClosesWhatIsOpen(t *testing.T) {
	e := scripted()
	d := newDesk(t, config(), e, nil)
	d.say(d.dial(), "scale web to five")
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, request(public+phone.PathStatus, form("CallStatus", "completed")))
	if w.Code != http.StatusNoContent || !reflect.DeepEqual(e.Left(), []string{"phone:" + call}) {
		t.Errorf("%d, left %v", w.Code, e.Left())
	}
	w = httptest.NewRecorder()
	d.mux.ServeHTTP(w, request(public+phone.PathStatus, form("CallStatus", "ringing")))
	if w.Code != http.StatusNoContent || len(e.Left()) != 1 {
		t.Errorf("%d, left %v", w.Code, e.Left())
	}
	d.engine.Push("phone:"+call, dialogue.Event{Kind: dialogue.EventOutcome, Action: "p1", Reply: dialogue.Reply{Text: "✔ web has 5 pods."}})
	d.h.Told(t.Context(), "phone:"+call)
	<-d.line.sent
	if got := d.line.all(); got != anns+": ✔ web has 5 pods." {
		t.Errorf("%q", got)
	}
}

// A caller says anything; whatever it is, the answer is a document, and a PIN
// stands nowhere in it.
func FuzzVoice(f *testing.F) {
	f.Add("n=1", "scale web to five", "0.9", "", "+14158675309")
	f.Add("n=3&expect=pin", "", "", "2580", "+14158675309")
	f.Add("n=3&expect=confirm&menu=1&missed=3", "", "", "1", "+14158675309")
	f.Add("n=2&running=1&polled=119", "<Say>&amp;\x00\x1b[31m", "NaN", "*#", "anonymous")
	f.Add("n=-1&expect=x", "yes", "1e400", "A", "")
	f.Add("working=1&n=9&ref=inc%2F1", "2580", "0", "", "+1")
	f.Fuzz(func(t *testing.T, query, text, confidence, digits, from string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		d := newDesk(t, config(), scripted(), nil)
		w := httptest.NewRecorder()
		q.Del("polled") // which waits
		q.Del("running")
		d.mux.ServeHTTP(w, request(public+phone.PathVoice+"?"+q.Encode(), form("SpeechResult", text, "Confidence", confidence, "Digits", digits, "From", from)))
		switch {
		case w.Code >= 500:
			t.Fatalf("%d %s", w.Code, w.Body)
		case w.Code != 200:
			return
		}
		a := parse(t, w)
		if len(digits) >= 4 && strings.Contains(a.said(), strings.Trim(digits, "#*")) && strings.Trim(digits, "0123456789") == "" && q.Get("expect") == "pin" {
			t.Errorf("a PIN is said back: %s", a.raw)
		}
		if len(a.Hangup) == 0 && a.next() == "" {
			t.Errorf("the call goes nowhere: %s", a.raw)
		}
	})
}

func TestConfiguration(t *testing.T) {
	for name, spoil := range map[string]func(*phone.Config){
		"no provider":  func(c *phone.Config) { c.Provider = "" },
		"telnyx":       func(c *phone.Config) { c.Provider = "telnyx" },
		"no token":     func(c *phone.Config) { c.Token = "" },
		"no numbers":   func(c *phone.Config) { c.Numbers = nil },
		"odd number":   func(c *phone.Config) { c.Numbers = []string{"0664"} },
		"http":         func(c *phone.Config) { c.PublicURL = "http://bot.example" },
		"query":        func(c *phone.Config) { c.PublicURL += "/?a=b" },
		"api":          func(c *phone.Config) { c.APIURL = "http://api.example" },
		"confidence":   func(c *phone.Config) { c.MinConfidence = 1 },
		"signing key":  func(c *phone.Config) { c.Provider, c.APIURL = phone.SignalWire, "https://x.signalwire.com/api/laml" },
		"signalwire's": func(c *phone.Config) { c.Provider, c.SigningKey = phone.SignalWire, "PSK" },
	} {
		c := config()
		spoil(&c)
		if err := c.Check(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	c := config()
	c.PublicURL = "http://127.0.0.1:8080"
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

// Whatever is written, the answer is one message, and fits.
func FuzzSMS(f *testing.F) {
	f.Add("how is web?", anns, "")
	f.Add("2580", anns, "STOP")
	f.Add("<Message>\x00\u202e"+strings.Repeat("é", 1600), "+14155550000", "")
	f.Fuzz(func(t *testing.T, body, from, opt string) {
		d := newDesk(t, config(), scripted(), nil)
		w := httptest.NewRecorder()
		d.mux.ServeHTTP(w, request(public+phone.PathSMS, url.Values{
			"AccountSid": {account}, "MessageSid": {"SM1"}, "From": {from}, "Body": {body}, "OptOutType": {opt},
		}))
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code != 200 {
			return
		}
		if a := parse(t, w); len(a.Message) > 1 || len(a.Message) == 1 && len([]rune(a.Message[0])) > 1600 {
			t.Errorf("%s", a.raw)
		}
	})
}
