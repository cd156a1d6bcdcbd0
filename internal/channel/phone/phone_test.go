package phone_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Twilio signs with
	"encoding/base64"
	"encoding/xml"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/phone"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

const (
	account = "AC00000000000000000000000000000001"
	token   = "0123456789abcdef"
	ours    = "+15005550001"
	anns    = "+14158675309"
	public  = "https://bot.example"
	call    = "CA00000000000000000000000000000001"
)

func config() phone.Config {
	return phone.Config{
		Provider: phone.Twilio, Account: account, Token: token, Numbers: []string{ours}, PublicURL: public,
		Voice: "Polly.Joanna", Language: "en-US", MinConfidence: 0.4, Hints: 100,
	}
}

// english is read once: that is most of what a test would wait for.
var english = sync.OnceValues(intents.English)

// ann is the only one who is known.
type ann struct{}

func (ann) Who(_ context.Context, s access.Speaker) (access.Person, bool, error) {
	return access.Person{Name: "ann"}, s.ID == anns, nil
}

// line is the carrier's API, which keeps what is sent.
type line struct {
	mu     sync.Mutex
	texts  []string
	status string
	sent   chan struct{}
}

func (l *line) Text(_ context.Context, to, text string) error {
	l.mu.Lock()
	l.texts = append(l.texts, to+": "+text)
	l.mu.Unlock()
	if l.sent != nil {
		l.sent <- struct{}{}
	}
	return nil
}

func (l *line) Status(context.Context, string) (string, string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status, anns, nil
}

func (l *line) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.texts, "\n")
}

// desk is a Handler and who is on the other side of it.
type desk struct {
	t      testing.TB
	engine *channeltest.Engine
	line   *line
	h      *phone.Handler
	mux    *http.ServeMux
}

func newDesk(t testing.TB, cfg phone.Config, e *channeltest.Engine, calls phone.Calls) *desk {
	t.Helper()
	words, err := english()
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, engine: e, line: &line{status: phone.Completed, sent: make(chan struct{}, 100)}, mux: http.NewServeMux()}
	d.h, err = phone.New(cfg, phone.Parts{
		Engine: e, Words: words, People: ann{}, Line: d.line, Calls: calls,
		Names: func(context.Context) []string { return []string{"payments-api", "web", "web"} },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.h.Routes(d.mux)
	return d
}

// sign signs as Twilio documents it, and is not what the package verifies with.
func sign(key, at string, form url.Values) string {
	names := make([]string, 0, len(form))
	for k := range form {
		names = append(names, k)
	}
	sort.Strings(names)
	data := at
	for _, k := range names {
		data += k + form.Get(k)
	}
	mac := hmac.New(sha1.New, []byte(key))
	_, _ = io.WriteString(mac, data)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func request(at string, form url.Values) *http.Request {
	u, err := url.Parse(at)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest("POST", u.RequestURI(), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Twilio-Signature", sign(token, at, form))
	return r
}

func form(pairs ...string) url.Values {
	f := url.Values{"AccountSid": {account}, "CallSid": {call}, "CallStatus": {"in-progress"}, "From": {anns}, "To": {ours}, "StirVerstat": {"TN-Validation-Passed-A"}}
	for i := 0; i < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
	}
	return f
}

// twiml is a document as the carrier reads it.
type twiml struct {
	Say    []string `xml:"Say"`
	Gather []struct {
		Input   string   `xml:"input,attr"`
		Action  string   `xml:"action,attr"`
		Hints   string   `xml:"hints,attr"`
		Always  bool     `xml:"actionOnEmptyResult,attr"`
		BargeIn bool     `xml:"bargeIn,attr"`
		Finish  string   `xml:"finishOnKey,attr"`
		Digits  int      `xml:"numDigits,attr"`
		Say     []string `xml:"Say"`
		Timeout int      `xml:"timeout,attr"`
	} `xml:"Gather"`
	Pause    []struct{} `xml:"Pause"`
	Redirect []string   `xml:"Redirect"`
	Hangup   []struct{} `xml:"Hangup"`
	Message  []string   `xml:"Message"`
	raw      string
}

func (a twiml) said() string {
	all := strings.Join(a.Say, " ")
	for _, g := range a.Gather {
		all += " " + strings.Join(g.Say, " ")
	}
	return strings.TrimSpace(all)
}

// next is where the carrier goes on.
func (a twiml) next() string {
	switch {
	case len(a.Gather) > 0:
		return a.Gather[0].Action
	case len(a.Redirect) > 0:
		return a.Redirect[0]
	}
	return ""
}

func (d *desk) post(at string, f url.Values) twiml {
	d.t.Helper()
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, request(at, f))
	if w.Code != http.StatusOK {
		d.t.Fatalf("%s: status %d: %s", at, w.Code, w.Body)
	}
	return parse(d.t, w)
}

func parse(t testing.TB, w *httptest.ResponseRecorder) twiml {
	t.Helper()
	a := twiml{raw: w.Body.String()}
	dec := xml.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	dec.Strict = true
	if err := dec.Decode(&a); err != nil {
		t.Fatalf("%v:\n%s", err, w.Body)
	}
	return a
}

// dial begins a call.
func (d *desk) dial(pairs ...string) twiml {
	return d.post(public+phone.PathVoice, form(append([]string{"CallStatus", "ringing"}, pairs...)...))
}

func (d *desk) say(a twiml, text string) twiml {
	return d.post(a.next(), form("SpeechResult", text, "Confidence", "0.9"))
}

func (d *desk) key(a twiml, digits string) twiml { return d.post(a.next(), form("Digits", digits)) }

func (d *desk) silent(a twiml) twiml { return d.post(a.next(), form()) }

func (d *desk) hears(a twiml, words ...string) {
	d.t.Helper()
	for _, w := range words {
		if !strings.Contains(strings.ToLower(a.said()), strings.ToLower(w)) {
			d.t.Errorf("heard %q, without %q", a.said(), w)
		}
	}
}

// scripted answers like an engine that scales web after a yes and the PIN.
func scripted() *channeltest.Engine {
	return channeltest.NewEngine(func(r dialogue.Request) dialogue.Reply {
		reply := func(text, expect string, out dialogue.Outcome, fault string) dialogue.Reply {
			re := dialogue.Reply{Speech: text, Text: text, Expect: expect, Outcome: out}
			if fault != "" {
				re.Fault = "not_understood"
			}
			if out == dialogue.OutcomePending || expect != dialogue.ExpectNone {
				re.Proposal = &dialogue.Proposal{ID: "p1"}
			}
			return re
		}
		switch r.Text {
		case "scale web to five", "repeat":
			return reply("Web runs three pods. I would scale it to five. It is in shop. Shall I?", dialogue.ExpectConfirm, dialogue.OutcomeNone, "")
		case "yes":
			return reply("Your PIN, please.", dialogue.ExpectPIN, dialogue.OutcomeNone, "")
		case "2580":
			return reply("I am scaling web to five.", dialogue.ExpectNone, dialogue.OutcomePending, "")
		case "how is it going?":
			return reply("4 of 5 pods are up.", dialogue.ExpectNone, dialogue.OutcomePending, "")
		case "no":
			return reply("I leave web as it is.", dialogue.ExpectNone, dialogue.OutcomeNone, "")
		case "mumble":
			return reply("I did not understand that.", dialogue.ExpectNone, dialogue.OutcomeNone, "x")
		case "how is everything?":
			return reply("One is fine. Two is fine. Three is fine. Four is fine.", dialogue.ExpectNone, dialogue.OutcomeNone, "")
		}
		return reply("Well: "+r.Text+".", dialogue.ExpectNone, dialogue.OutcomeNone, "")
	})
}
