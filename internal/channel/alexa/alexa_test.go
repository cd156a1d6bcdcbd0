package alexa

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/alexa/alexatest"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/export"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// amazon is one for all tests: keys take long to make.
var amazon = sync.OnceValue(func() *alexatest.Amazon {
	a, err := alexatest.New()
	if err != nil {
		panic(err)
	}
	return a
})

var english = sync.OnceValue(func() *intents.Catalogue {
	c, err := intents.English()
	if err != nil {
		panic(err)
	}
	return c
})

// meanings are those of the model that is exported.
var meanings = sync.OnceValue(func() map[string]Meaning {
	all := export.AlexaMeanings(english())
	out := map[string]Meaning{}
	for name, m := range all {
		out[name] = Meaning{m.Name, m.Slots, m.Types, m.Samples}
	}
	return out
})

// kept is a keeper that remembers what it was given.
type kept struct {
	mu     sync.Mutex
	events []dialogue.Event
}

func (k *kept) Push(_ context.Context, _ string, ev dialogue.Event, _ func(*dialogue.Session)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, ev)
	return nil
}

func (k *kept) all() []dialogue.Event {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.events
}

// skill is the endpoint with everything around it.
type skill struct {
	cfg      Config
	engine   responder
	keeper   keeper
	names    func(context.Context) Names
	accounts Accounts
	now      func() time.Time
	amazon   *alexatest.Amazon
	log      bytes.Buffer
}

func (s *skill) handler(t testing.TB) http.Handler {
	t.Helper()
	if s.cfg.ApplicationID == "" {
		s.cfg.ApplicationID = alexatest.ApplicationID
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.amazon == nil {
		s.amazon = amazon()
	}
	if s.keeper == nil {
		s.keeper = &kept{}
	}
	h, err := New(s.cfg, Parts{
		Engine: s.engine, Later: s.keeper, Words: english(), Meanings: meanings, Names: s.names, Accounts: s.accounts,
		Keys: NewKeys(s.amazon, s.amazon.Roots, s.now), Directives: NewDirectives(s.amazon), Now: s.now,
	}, slog.New(slog.NewTextHandler(&s.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Routes(mux)
	return mux
}

// signed is an authentic request.
func signedRequest(body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body))
	if err := amazon().Sign(r.Header, body); err != nil {
		panic(err)
	}
	return r
}

// say sends something to the skill and returns what it answers.
func say(t testing.TB, h http.Handler, s alexatest.Said) response {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, signedRequest(s.Body()))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return read(t, w.Body.Bytes())
}

func read(t testing.TB, body []byte) response {
	t.Helper()
	var out response
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return out
}

func (r response) speech() string {
	if r.Response.OutputSpeech == nil {
		return ""
	}
	return strings.Join(strings.Fields(strings.NewReplacer("<speak>", "", "</speak>", "", "<s>", " ", "</s>", " ").Replace(r.Response.OutputSpeech.SSML)), " ")
}

func (r response) ends() bool {
	return r.Response.ShouldEndSession != nil && *r.Response.ShouldEndSession
}

func TestChannel(t *testing.T) {
	forge := map[string]func(*http.Request){
		"no signature": func(r *http.Request) { r.Header.Del(headerSignature) },
		"the old one alone": func(r *http.Request) {
			r.Header["Signature"] = r.Header[headerSignature]
			r.Header.Del(headerSignature)
		},
		"no base64":              func(r *http.Request) { r.Header.Set(headerSignature, "%") },
		"two signatures":         func(r *http.Request) { r.Header.Add(headerSignature, r.Header.Get(headerSignature)) },
		"short":                  func(r *http.Request) { r.Header.Set(headerSignature, base64.StdEncoding.EncodeToString([]byte("x"))) },
		"no address":             func(r *http.Request) { r.Header.Del(headerChain) },
		"another host":           func(r *http.Request) { r.Header.Set(headerChain, "https://evil.example/echo.api/echo-api-cert.pem") },
		"out of Amazon's folder": func(r *http.Request) { r.Header.Set(headerChain, "https://s3.amazonaws.com/echo.api/../evil/c.pem") },
	}
	body := func(delivery, text string) []byte {
		return alexatest.Said{ID: delivery, Intent: anything, Slots: map[string]string{anythingSlot: text}}.Body()
	}
	channeltest.Run(t, channeltest.Channel{
		Handler: func(t *testing.T, e *channeltest.Engine) http.Handler { return (&skill{engine: e}).handler(t) },
		Request: func(delivery, text string) *http.Request { return signedRequest(body(delivery, text)) },
		Raw: func(r io.Reader) *http.Request {
			b, err := io.ReadAll(r)
			if err != nil {
				panic(err)
			}
			out := signedRequest(b)
			if _, sized := r.(*bytes.Reader); !sized {
				out.ContentLength = -1
			}
			return out
		},
		Forge:   forge,
		MaxBody: 64 << 10,
	})
}

func TestWhatIsUnderstood(t *testing.T) {
	for _, tt := range []struct {
		name  string
		said  alexatest.Said
		text  string
		means string // of Request.Intent
	}{
		{"opened", alexatest.Said{Type: "LaunchRequest"}, "hello", ""},
		{"yes", alexatest.Said{Intent: "AMAZON.YesIntent"}, "yes", ""},
		{"a yes out of the blue", alexatest.Said{Intent: "AMAZON.YesIntent", New: true}, "hello", ""},
		{"no", alexatest.Said{Intent: "AMAZON.NoIntent"}, "no", ""},
		{"stop", alexatest.Said{Intent: "AMAZON.StopIntent"}, "never mind", ""},
		{"cancel", alexatest.Said{Intent: "AMAZON.CancelIntent"}, "never mind", ""},
		{"repeat", alexatest.Said{Intent: "AMAZON.RepeatIntent"}, "repeat that", ""},
		{"help", alexatest.Said{Intent: "AMAZON.HelpIntent"}, "help", ""},
		{"noise", alexatest.Said{Intent: "AMAZON.FallbackIntent"}, "", ""},
		{"not of this model", alexatest.Said{Intent: "somebodyElses"}, "", ""},
		{"free", alexatest.Said{Intent: anything, Slots: map[string]string{anythingSlot: " why is \x07 web\nslow "}}, "why is web slow", ""},
		{"a number that was not heard", alexatest.Said{Intent: "scale", Slots: map[string]string{"targets": "web", "replicas": "?"}}, "scale web", "scale"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := channeltest.NewEngine(nil)
			say(t, (&skill{engine: e}).handler(t), tt.said)
			got := e.Requests()
			if len(got) != 1 || tt.text != "" && tt.means == "" && got[0].Text != tt.text || tt.text == "" && got[0].Text != "" {
				t.Fatalf("%+v", got)
			}
			if in := got[0].Intent; (in == nil) != (tt.means == "") || in != nil && in.Name != tt.means {
				t.Errorf("means %+v", in)
			}
			if !got[0].Pull || got[0].Patience <= 0 || got[0].Conversation != "alexa:amzn1.ask.account.TEST" || got[0].DeliveryID != "alexa:amzn1.echo-api.request.1" {
				t.Errorf("%+v", got[0])
			}
		})
	}
}

// TestEverySampleIsReadAsItsIntent holds that whatever Alexa recognises becomes a
// sentence that our recogniser reads as the same.
func TestEverySampleIsReadAsItsIntent(t *testing.T) {
	r := intents.NewRecognizer(english())
	inv := intents.NewInventory(intents.InventoryData{
		Clusters: []string{"east", "west"}, Namespaces: []string{"staging", "production"}, Nodes: []string{"node-1", "node-2"},
		Workloads: []intents.Workload{{Name: "web", Namespace: "staging"}, {Name: "payments-api", Namespace: "staging"}},
	})
	said := map[string]string{
		"targets": "payments api", "replicas": "5", "delta": "2", "min": "2", "max": "8", "namespace": "staging", "version": "two point three", "cluster": "west",
		"node": "node one", "factor": "3",
	}
	n := 0
	for name, m := range meanings() {
		if strings.HasPrefix(name, "AMAZON.") {
			continue
		}
		for _, sample := range m.Samples {
			slots, all := map[string]string{}, true
			for _, s := range slotsOf(sample) {
				v, ok := said[s]
				slots[s], all = v, all && ok
			}
			if !all {
				continue
			}
			n++
			text, in := understand(meanings(), name, slots)
			if got := r.Recognize(text, inv, intents.Expect{}); got.Intent != m.Intent || in.Name != m.Intent {
				t.Errorf("%s %v → %q is read as %s, not %s", name, slots, text, got.Intent, m.Intent)
			}
			for slot, v := range m.Slots {
				if in.Slots[slot] == nil {
					t.Errorf("%s lost %s=%v", name, slot, v)
				}
			}
			break
		}
	}
	if n < 50 {
		t.Errorf("only %d intents were tried", n)
	}
}

func TestSessions(t *testing.T) {
	yes := dialogue.Reply{Speech: "Scale web from 3 to 5. Shall I?", Text: "web 3 → 5", Expect: dialogue.ExpectConfirm}
	done := dialogue.Reply{Speech: "Web runs.", Text: "web runs", Expect: dialogue.ExpectNone, Intent: "status"}
	talk := json.RawMessage(`{"talk":true}`)
	for _, tt := range []struct {
		name     string
		said     alexatest.Said
		reply    dialogue.Reply
		speech   string
		reprompt string
		ends     bool
		elicits  bool
	}{
		{"a question", alexatest.Said{Intent: "scale"}, yes, "Scale web from 3 to 5. Shall I?", "Shall I?", false, false},
		{"an answer", alexatest.Said{Intent: "status"}, done, "Web runs.", "", true, false},
		{"an answer in a talk", alexatest.Said{Intent: "status", Known: talk}, done, "Web runs. Anything else?", "Anything else?", false, false},
		{"opened", alexatest.Said{Type: "LaunchRequest", New: true}, dialogue.Reply{Speech: "Hello."}, "Hello. What shall I do?", "What shall I do?", false, false},
		{"a PIN", alexatest.Said{Intent: "AMAZON.YesIntent"}, dialogue.Reply{Speech: "Say your PIN.", Expect: dialogue.ExpectPIN}, "Say your PIN. What is it?", "What is it?", false, true},
		{"a choice", alexatest.Said{Intent: "scale"}, dialogue.Reply{Speech: "Web or worker?", Expect: dialogue.ExpectChoice}, "Web or worker?", "Web or worker?", false, true},
		{"a slot", alexatest.Said{Intent: "scale"}, dialogue.Reply{Speech: "How many?", Expect: "replicas"}, "How many?", "How many?", false, true},
		{"not understood", alexatest.Said{Intent: "AMAZON.FallbackIntent"}, dialogue.Reply{Speech: "I did not get that.", Fault: fault.NotUnderstood}, "I did not get that. What shall I do?", "What shall I do?", false, false},
		{"no more", alexatest.Said{Intent: "AMAZON.NoIntent", Known: json.RawMessage(`{"talk":true,"else":true}`)}, dialogue.Reply{Speech: "never asked"}, "Goodbye.", "", true, false},
		{"never mind in a talk", alexatest.Said{Intent: "AMAZON.StopIntent", Known: talk}, dialogue.Reply{Speech: "As you like.", Intent: "cancel"}, "As you like.", "", true, false},
		{"German", alexatest.Said{Intent: "status", Locale: "de-DE"}, dialogue.Reply{Speech: "never asked"}, "I speak English only. Please set this skill, or the device, to English.", "", true, false},
		{"British", alexatest.Said{Intent: "status", Locale: "en-GB"}, done, "Web runs.", "", true, false},
		{"attributes of somebody else", alexatest.Said{Intent: "status", Known: json.RawMessage(`{"talk":7}`)}, done, "Web runs.", "", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := channeltest.NewEngine(func(dialogue.Request) dialogue.Reply { return tt.reply })
			r := say(t, (&skill{engine: e}).handler(t), tt.said)
			if r.speech() != tt.speech || r.ends() != tt.ends {
				t.Errorf("%q, ends: %t", r.speech(), r.ends())
			}
			again := ""
			if r.Response.Reprompt != nil {
				again = strings.NewReplacer("<speak><s>", "", "</s></speak>", "").Replace(r.Response.Reprompt.OutputSpeech.SSML)
			}
			if again != tt.reprompt || (len(r.Response.Directives) > 0) != tt.elicits {
				t.Errorf("asks again %q, directives %+v", again, r.Response.Directives)
			}
			if !r.ends() && !strings.HasSuffix(r.speech(), "?") {
				t.Errorf("it waits and does not ask: %q", r.speech())
			}
			asked := len(e.Requests()) > 0
			if quiet := tt.reply.Speech == "never asked"; asked == quiet {
				t.Errorf("the engine was asked: %t", asked)
			}
		})
	}
}

// TestTwoSentencesAtATime holds that no more is said at once, and that the rest is
// there for who wants it; what somebody is asked to agree to is said whole.
func TestTwoSentencesAtATime(t *testing.T) {
	reply := dialogue.Reply{Speech: "One. Two. Three. Four. Five."}
	e := channeltest.NewEngine(func(dialogue.Request) dialogue.Reply { return reply })
	h := (&skill{engine: e}).handler(t)
	known := func(r response) json.RawMessage {
		b, err := json.Marshal(r.SessionAttributes)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	r := say(t, h, alexatest.Said{Intent: "status"})
	for _, step := range []struct {
		next  alexatest.Said
		hears string
	}{
		{alexatest.Said{Intent: "AMAZON.YesIntent"}, "One. Two. Shall I go on?"},
		{alexatest.Said{Intent: "AMAZON.MoreIntent"}, "Three. Four. Shall I go on?"},
		{alexatest.Said{}, "Five."},
	} {
		if got := r.speech(); got != step.hears || r.ends() != !strings.HasSuffix(step.hears, "?") {
			t.Fatalf("%q, ends: %t", got, r.ends())
		}
		if step.next.Intent != "" {
			step.next.Known = known(r)
			r = say(t, h, step.next)
		}
	}
	if n := len(e.Requests()); n != 1 {
		t.Errorf("the engine was asked %d times", n)
	}
	first := say(t, h, alexatest.Said{Intent: "status", ID: "amzn1.echo-api.request.2"})
	if r := say(t, h, alexatest.Said{Intent: "AMAZON.NoIntent", Known: known(first)}); r.speech() != "Goodbye." || !r.ends() {
		t.Errorf("no: %q", r.speech())
	}
	reply.Expect, reply.Speech = dialogue.ExpectConfirm, "One. Two. Three. Four. Shall I?"
	if r := say(t, h, alexatest.Said{Intent: "scale"}); r.speech() != "One. Two. Three. Four. Shall I?" || r.SessionAttributes.Rest != "" {
		t.Errorf("what is agreed to: %q", r.speech())
	}
	if r := say(t, h, alexatest.Said{Intent: "AMAZON.YesIntent"}); len(e.Requests()) != 4 {
		t.Errorf("a yes to a change is taken for another: %q", r.speech())
	}
}

func TestWhatTakesNoAnswer(t *testing.T) {
	for _, typ := range []string{"SessionEndedRequest", "System.ExceptionEncountered"} {
		e := channeltest.NewEngine(nil)
		if r := say(t, (&skill{engine: e}).handler(t), alexatest.Said{Type: typ}); r.speech() != "" || r.Response.Card != nil || len(e.Requests()) > 0 {
			t.Errorf("%s: %+v", typ, r)
		}
	}
	e := channeltest.NewEngine(nil)
	if r := say(t, (&skill{engine: e}).handler(t), alexatest.Said{Intent: "AMAZON.NavigateHomeIntent"}); !r.ends() || r.speech() != "" {
		t.Errorf("%+v", r)
	}
}

// accounts knows tokens.
type accounts map[string]string

func (a accounts) Owner(_ context.Context, token string) (string, error) {
	switch id, ok := a[token]; {
	case token == "away":
		return "", fault.New(fault.Unavailable, "Nobody answers there.")
	case !ok:
		return "", fault.New(fault.Refused, "Not linked.")
	default:
		return id, nil
	}
}

func TestWhoSpeaks(t *testing.T) {
	idp := accounts{"anns": "ann@example.com"}
	for _, tt := range []struct {
		name     string
		said     alexatest.Said
		accounts Accounts
		required bool
		want     string
		sure     access.Assurance
		card     string
		speech   string
	}{
		{"an account", alexatest.Said{User: "u1"}, nil, false, "alexa:u1", access.Claimed, "Simple", ""},
		{"a voice", alexatest.Said{User: "u1", Person: "p1"}, nil, false, "alexa:p1", access.Verified, "Simple", ""},
		{"a linked account", alexatest.Said{User: "u1", UserToken: "anns"}, idp, true, "alexa:ann@example.com", access.Claimed, "Simple", ""},
		{"a linked voice", alexatest.Said{User: "u1", UserToken: "bobs", Person: "p1", PersonToken: "anns"}, idp, true, "alexa:ann@example.com", access.Verified, "Simple", ""},
		{"another voice by a linked account", alexatest.Said{User: "u1", UserToken: "anns", Person: "p2"}, idp, true, "alexa:p2", access.Verified, "Simple", ""},
		{"tokens that nobody asked for", alexatest.Said{User: "u1", UserToken: "anns"}, nil, false, "alexa:u1", access.Claimed, "Simple", ""},
		{"not linked, and need not be", alexatest.Said{User: "u1"}, idp, false, "alexa:u1", access.Claimed, "Simple", ""},
		{"not linked", alexatest.Said{User: "u1"}, idp, true, "", 0, "LinkAccount", "link your account"},
		{"a voice, not linked", alexatest.Said{User: "u1", Person: "p1"}, idp, true, "", 0, "LinkAccount", "link your account"},
		{"linked no more", alexatest.Said{User: "u1", UserToken: "old"}, idp, false, "", 0, "LinkAccount", "link it again"},
		{"nobody can tell", alexatest.Said{User: "u1", UserToken: "away"}, idp, true, "", 0, "", "Nobody answers there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.said.Intent = "status"
			e := channeltest.NewEngine(nil)
			r := say(t, (&skill{engine: e, accounts: tt.accounts, cfg: Config{LinkRequired: tt.required}}).handler(t), tt.said)
			card := ""
			if r.Response.Card != nil {
				card = r.Response.Card.Type
			}
			if card != tt.card || !strings.Contains(r.speech(), tt.speech) {
				t.Errorf("card %q, %q", card, r.speech())
			}
			got := e.Requests()
			if tt.want == "" {
				if len(got) > 0 || !r.ends() {
					t.Errorf("a turn was taken, or the session goes on: %+v", r)
				}
				return
			}
			if len(got) != 1 || got[0].Speaker.Key() != tt.want || got[0].Speaker.Assurance != tt.sure {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestItFits(t *testing.T) {
	long := strings.Repeat(`Web & "worker" ran <fast> — ümläut. `, 3000)
	e := channeltest.NewEngine(func(dialogue.Request) dialogue.Reply {
		return dialogue.Reply{Speech: long + "Shall I?", Text: strings.ReplaceAll(long, ". ", ".\n"), Expect: dialogue.ExpectConfirm,
			Blocks: []dialogue.Block{{Type: "table", Title: "All", Columns: []string{"a", "b"}, Rows: [][]string{{"1", "2"}}}, {Type: "chart", Title: "never"}}}
	})
	h := (&skill{engine: e}).handler(t)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, signedRequest(alexatest.Said{Intent: "status"}.Body()))
	r := read(t, w.Body.Bytes())
	switch {
	case w.Body.Len() > maxResponse:
		t.Errorf("%d bytes", w.Body.Len())
	case len([]rune(r.Response.OutputSpeech.SSML)) > maxSpeech:
		t.Errorf("%d characters of speech", len(r.Response.OutputSpeech.SSML))
	case len([]rune(r.Response.Card.Content))+len([]rune(r.Response.Card.Title)) > maxCard:
		t.Errorf("%d characters on the card", len([]rune(r.Response.Card.Content)))
	case !strings.HasSuffix(r.speech(), "Shall I?"):
		t.Errorf("what is asked was cut: …%s", r.speech()[len(r.speech())-60:])
	}
}

func TestACardShowsWhatTheEyeNeeds(t *testing.T) {
	reply := dialogue.Reply{Speech: "Three pods.", Text: "3 pods:", Blocks: []dialogue.Block{
		{Type: "table", Title: "Pods", Columns: []string{"name", "ready"}, Rows: [][]string{{"web-1", "yes"}}}, {Type: "chart", Title: "never"},
	}}
	e := channeltest.NewEngine(func(dialogue.Request) dialogue.Reply { return reply })
	h := (&skill{engine: e}).handler(t)
	if c := say(t, h, alexatest.Said{Intent: "status"}).Response.Card; c == nil || c.Content != "3 pods:\n\nPods\nname · ready\nweb-1 · yes" {
		t.Errorf("%+v", c)
	}
	reply.Private = true
	if c := say(t, h, alexatest.Said{Intent: "status"}).Response.Card; c != nil {
		t.Errorf("what is said once stays on a card: %+v", c)
	}
}

func TestConfiguration(t *testing.T) {
	for name, cfg := range map[string]Config{"no skill": {}, "odd": {ApplicationID: "skill"}, "blanks": {ApplicationID: "amzn1.ask.skill.a b"}, "no accounts": {ApplicationID: alexatest.ApplicationID, LinkRequired: true}} {
		if _, err := New(cfg, Parts{}, slog.New(slog.DiscardHandler)); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}
