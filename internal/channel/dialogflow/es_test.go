package dialogflow_test

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/dialogflow"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

const session = "projects/p/agent/sessions/s1"

// catalogue knows two intents.
type catalogue struct{}

func (catalogue) Spec(name string) (intents.Spec, bool) {
	specs := map[string][]intents.SlotSpec{
		"scale":    {{Name: "targets"}, {Name: "replicas"}, {Name: "namespace"}, {Name: "all"}},
		"roll_out": {{Name: "targets"}, {Name: "version"}},
	}
	slots, ok := specs[name]
	return intents.Spec{Name: name, Slots: slots}, ok
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

var credentials = config(dialogflow.Auth{Username: "df", Password: "secret"})

func config(a dialogflow.Auth) dialogflow.Config {
	return dialogflow.Config{Auth: a, Patience: dialogflow.DefaultPatience}
}

func handler(t testing.TB, cfg dialogflow.Config, e *channeltest.Engine) http.Handler {
	t.Helper()
	h, err := dialogflow.NewES(cfg, e, catalogue{}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Routes(mux)
	return mux
}

func raw(body io.Reader) *http.Request {
	r := httptest.NewRequest("POST", dialogflow.PathES, body)
	r.Header.Set("Content-Type", "application/json")
	r.SetBasicAuth("df", "secret")
	return r
}

// post sends a body and returns what the engine was asked and the answer.
func post(t *testing.T, e *channeltest.Engine, body string) (*dialogue.Request, *httptest.ResponseRecorder) {
	t.Helper()
	w := httptest.NewRecorder()
	handler(t, credentials, e).ServeHTTP(w, raw(strings.NewReader(body)))
	if rs := e.Requests(); len(rs) > 0 {
		return &rs[len(rs)-1], w
	}
	return nil, w
}

func query(responseID, text string) string {
	b, _ := json.Marshal(map[string]any{
		"responseId": responseID, "session": session, "queryResult": map[string]any{"queryText": text},
	})
	return string(b)
}

func TestChannel(t *testing.T) {
	channeltest.Run(t, channeltest.Channel{
		Handler: func(t *testing.T, e *channeltest.Engine) http.Handler { return handler(t, credentials, e) },
		Request: func(delivery, text string) *http.Request { return raw(strings.NewReader(query(delivery, text))) },
		Raw:     raw,
		Forge: map[string]func(*http.Request){
			"none":           func(r *http.Request) { r.Header.Del("Authorization") },
			"wrong password": func(r *http.Request) { r.SetBasicAuth("df", "guess") },
			"wrong user":     func(r *http.Request) { r.SetBasicAuth("root", "secret") },
			"bearer":         func(r *http.Request) { r.Header.Set("Authorization", "Bearer secret") },
		},
		MaxBody: 64 << 10,
	})
}

func TestConfiguration(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  dialogflow.Auth
		ok   bool
	}{
		{"nothing", dialogflow.Auth{}, false},
		{"no password", dialogflow.Auth{Username: "u"}, false},
		{"no user", dialogflow.Auth{Password: "p"}, false},
		{"no header value", dialogflow.Auth{HeaderName: "X-Key"}, false},
		{"no header name", dialogflow.Auth{HeaderValue: "v"}, false},
		{"half of the second", dialogflow.Auth{Username: "u", Password: "p", HeaderName: "X-Key"}, false},
		{"two of one header", dialogflow.Auth{Username: "u", Password: "p", HeaderName: "authorization", HeaderValue: "v"}, false},
		{"basic", dialogflow.Auth{Username: "u", Password: "p"}, true},
		{"header", dialogflow.Auth{HeaderName: "X-Key", HeaderValue: "v"}, true},
		{"both", dialogflow.Auth{Username: "u", Password: "p", HeaderName: "X-Key", HeaderValue: "v"}, true},
		{"a certificate", dialogflow.Auth{ClientName: "*.dialogflow.com"}, true},
		{"a token", dialogflow.Auth{Token: dialogflow.Token{Audience: "https://bot.example/x", Account: agent}}, true},
		{"a token for anybody", dialogflow.Auth{Token: dialogflow.Token{Account: agent}}, false},
		{"anybody's token", dialogflow.Auth{Token: dialogflow.Token{Audience: "https://bot.example/x"}}, false},
		{"a person's token", dialogflow.Auth{Token: dialogflow.Token{Audience: "https://bot.example/x", Account: "me@example.com"}}, false},
		{"keys by plain HTTP", dialogflow.Auth{Token: dialogflow.Token{Audience: "https://bot.example/x", Account: agent, KeysURL: "http://keys.example"}}, false},
		{"a token and a password", dialogflow.Auth{Username: "u", Password: "p", Token: dialogflow.Token{Audience: "https://bot.example/x", Account: agent}}, false},
	} {
		_, err := dialogflow.NewES(config(tt.cfg), channeltest.NewEngine(nil), catalogue{}, quiet())
		if (err == nil) != tt.ok || err != nil && fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestBothCredentialsMustMatch(t *testing.T) {
	cfg := config(dialogflow.Auth{Username: "df", Password: "secret", HeaderName: "X-Key", HeaderValue: "k1"})
	for _, tt := range []struct {
		name   string
		set    func(*http.Request)
		status int
	}{
		{"both", func(r *http.Request) { r.Header.Set("X-Key", "k1") }, 200},
		{"basic only", func(*http.Request) {}, 401},
		{"header only", func(r *http.Request) { r.Header.Set("X-Key", "k1"); r.Header.Del("Authorization") }, 401},
		{"header wrong", func(r *http.Request) { r.Header.Set("X-Key", "k2") }, 401},
	} {
		r := raw(strings.NewReader(query("r1", "hi")))
		tt.set(r)
		w := httptest.NewRecorder()
		handler(t, cfg, channeltest.NewEngine(nil)).ServeHTTP(w, r)
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.status)
		}
	}
}

func TestOfficialSamples(t *testing.T) {
	said := map[string]string{
		"request.json":                              "user's original query to your agent",
		"ActionsOnGoogle/request.json":              "query from the user",
		"ActionsOnGoogle/WelcomeEvent.json":         "hello",
		"ActionsOnGoogle/ConfirmationEvent.json":    "yes",
		"ActionsOnGoogle/EndConversationEvent.json": "cancel",
		"ActionsOnGoogle/ListSelectionEvent.json":   "Title of selected item",
		"ActionsOnGoogle/DatetimeEvent.json":        "April 19th 2018 at 3pm",
		"ActionsOnGoogle/DeliveryAddressEvent.json": "346 DUNSMUIR TER UNIT 5",
		"ActionsOnGoogle/NoInputEvent.json":         "actions_intent_NO_INPUT",
		"ActionsOnGoogle/PermissionEvent.json":      "actions_intent_PERMISSION",
		"ActionsOnGoogle/SignInEvent.json":          "actions_intent_SIGN_IN",
	}
	seen := 0
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" || filepath.Base(filepath.Dir(path)) == "cx" {
			return err
		}
		seen++
		name, _ := filepath.Rel("testdata", path)
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var sample struct{ ResponseID, Session string }
			if err := json.Unmarshal(b, &sample); err != nil {
				t.Fatal(err)
			}
			got, w := post(t, channeltest.NewEngine(nil), string(b))
			if w.Code != 200 || got == nil {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if got.Text != said[filepath.ToSlash(name)] {
				t.Errorf("text %q, want %q", got.Text, said[filepath.ToSlash(name)])
			}
			if got.Conversation != "dialogflow:"+sample.Session || got.DeliveryID != "dialogflow:"+sample.ResponseID {
				t.Errorf("conversation %q, delivery %q", got.Conversation, got.DeliveryID)
			}
			if got.Speaker.Channel != "dialogflow" || !strings.HasSuffix(sample.Session, "/"+got.Speaker.ID) {
				t.Errorf("speaker %+v", got.Speaker)
			}
			if got.IntentFirst || !got.Pull || got.Patience != dialogflow.DefaultPatience || got.Confirm != "" || got.Intent != nil {
				t.Errorf("%+v", got)
			}
		})
		return nil
	})
	if err != nil || seen != len(said) {
		t.Errorf("%d samples, want %d (%v)", seen, len(said), err)
	}
}

func TestIntentOfTheAgent(t *testing.T) {
	for _, tt := range []struct {
		name, result string
		want         *intents.Intent
	}{
		{"name and numbers", `{"queryText":"x","intent":{"displayName":"Scale"},"parameters":{"targets":"web","replicas":5}}`,
			&intents.Intent{Name: "scale", Slots: intents.Slots{"targets": []string{"web"}, "replicas": 5.0}}},
		{"spaces", `{"queryText":"x","intent":{"displayName":"Roll Out"},"parameters":{"targets":["web","cart"],"version":"v2"}}`,
			&intents.Intent{Name: "roll_out", Slots: intents.Slots{"targets": []string{"web", "cart"}, "version": "v2"}}},
		{"dots", `{"queryText":"x","intent":{"displayName":"roll.out"}}`, &intents.Intent{Name: "roll_out", Slots: intents.Slots{}}},
		{"what was not said", `{"queryText":"x","intent":{"displayName":"scale"},"parameters":{"targets":[],"replicas":"","namespace":null,"all":false}}`,
			&intents.Intent{Name: "scale", Slots: intents.Slots{"all": false}}},
		{"number in a string", `{"queryText":"x","intent":{"displayName":"scale"},"parameters":{"replicas":"5"}}`,
			&intents.Intent{Name: "scale", Slots: intents.Slots{"replicas": "5"}}},
		{"no slots of it", `{"queryText":"x","intent":{"displayName":"scale"},"parameters":{"deployment":"web","target":"web","unknown_target":"web"}}`,
			&intents.Intent{Name: "scale", Slots: intents.Slots{}}},
		{"odd values", `{"queryText":"x","intent":{"displayName":"scale"},"parameters":{"replicas":{"a":1},"targets":[1,{"b":2}]}}`,
			&intents.Intent{Name: "scale", Slots: intents.Slots{}}},
		{"unknown", `{"queryText":"x","intent":{"displayName":"Order pizza"},"parameters":{"targets":"web"}}`, nil},
		{"none", `{"queryText":"x"}`, nil},
	} {
		got, w := post(t, channeltest.NewEngine(nil), `{"session":"`+session+`","queryResult":`+tt.result+`}`)
		if got == nil {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
			continue
		}
		if !reflect.DeepEqual(got.Intent, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got.Intent, tt.want)
		}
		if got.DeliveryID != "" {
			t.Errorf("%s: delivery id %q out of nothing", tt.name, got.DeliveryID)
		}
	}
}

func TestOddRequests(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		status     int
		text       string
	}{
		{"welcome without text", `{"session":"a/b","queryResult":{"intent":{"displayName":"Default Welcome Intent"}}}`, 200, "hello"},
		{"welcome event", `{"session":"a/b","queryResult":{"queryText":"WELCOME"}}`, 200, "hello"},
		{"welcome intent, said", `{"session":"a/b","queryResult":{"queryText":"scale web to 5","intent":{"displayName":"Default Welcome Intent"}}}`, 200, "scale web to 5"},
		{"welcome as a word", `{"session":"a/b","queryResult":{"queryText":"you are welcome"}}`, 200, "you are welcome"},
		{"other language", `{"session":"a/b","queryResult":{"queryText":"wie geht es web","languageCode":"de"}}`, 200, "wie geht es web"},
		{"odd payload", `{"session":"a/b","queryResult":{"queryText":"actions_intent_TEXT"},"originalDetectIntentRequest":{"payload":[1]}}`, 200, "actions_intent_TEXT"},
		{"no session", `{"queryResult":{"queryText":"hi"}}`, 400, ""},
		{"session without a name", `{"session":"a/b/","queryResult":{"queryText":"hi"}}`, 400, ""},
		{"long session", `{"session":"a/` + strings.Repeat("b", 600) + `","queryResult":{"queryText":"hi"}}`, 400, ""},
		{"long text", query("r", strings.Repeat("é", 1001)), 400, ""},
		{"wrong types", `{"session":5,"queryResult":[]}`, 400, ""},
	} {
		got, w := post(t, channeltest.NewEngine(nil), tt.body)
		if w.Code != tt.status || (got != nil) != (tt.status == 200) {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		} else if got != nil && got.Text != tt.text {
			t.Errorf("%s: text %q, want %q", tt.name, got.Text, tt.text)
		}
	}
}

// timed notes how long the answer may take.
type timed struct {
	*channeltest.Engine
	patience, deadline time.Duration
}

func (e *timed) Respond(ctx context.Context, r dialogue.Request) dialogue.Reply {
	d, _ := ctx.Deadline()
	e.patience, e.deadline = r.Patience, time.Until(d)
	return dialogue.Reply{}
}

func TestAnswerComesBeforeDialogflowGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &timed{}
		h, err := dialogflow.NewES(credentials, e, catalogue{}, quiet())
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		h.Routes(mux)
		mux.ServeHTTP(httptest.NewRecorder(), raw(strings.NewReader(query("r1", "yes"))))
		if e.patience != 3500*time.Millisecond || e.deadline <= e.patience || e.deadline >= 5*time.Second {
			t.Errorf("patience %v, deadline %v", e.patience, e.deadline)
		}
	})
}

// esAnswer is the answer as Dialogflow reads it.
type esAnswer struct {
	FulfillmentText     string
	FulfillmentMessages []struct{ Text struct{ Text []string } }
	OutputContexts      []struct {
		Name          string
		LifespanCount int
		Parameters    map[string]any
	}
	Source string
}

func answer(t *testing.T, r dialogue.Reply) (esAnswer, int) {
	t.Helper()
	_, w := post(t, channeltest.NewEngine(func(dialogue.Request) dialogue.Reply { return r }), query("r1", "scale web to 5"))
	var a esAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return a, w.Body.Len()
}

func TestAnswer(t *testing.T) {
	a, _ := answer(t, dialogue.Reply{
		Speech: "Scale web from 3 to 5?", Text: "web: 3 → 5", Expect: dialogue.ExpectConfirm, Proposal: &dialogue.Proposal{ID: "p1"},
	})
	if a.FulfillmentText != "Scale web from 3 to 5?" || a.FulfillmentMessages[0].Text.Text[0] != a.FulfillmentText || a.Source != "firstmate" {
		t.Errorf("%+v", a)
	}
	c := a.OutputContexts[0]
	if c.Name != session+"/contexts/firstmate" || c.LifespanCount != 5 || c.Parameters["expect"] != "confirm" || c.Parameters["proposal"] != "p1" {
		t.Errorf("%+v", c)
	}
	if a, _ := answer(t, dialogue.Reply{Text: "only text"}); a.FulfillmentText != "only text" {
		t.Errorf("%+v", a)
	}
}

func TestAnswerIsHarmless(t *testing.T) {
	a, _ := answer(t, dialogue.Reply{Speech: "<speak>a\x1b[31mb\u202ec\u009bd\x00e\xff\nf</speak>"})
	if a.FulfillmentText != "< speak>a[31mbcde\uFFFD\nf</speak>" {
		t.Errorf("%q", a.FulfillmentText)
	}
}

func TestAnswerFits(t *testing.T) {
	for name, speech := range map[string]string{
		"sentences":    strings.Repeat("A pod of web is not ready. ", 10_000),
		"no sentences": strings.Repeat("é", 100_000),
		"escapes":      strings.Repeat("<", 100_000),
	} {
		a, n := answer(t, dialogue.Reply{Speech: speech})
		if n > 64<<10 || !strings.HasSuffix(a.FulfillmentText, "…and more.") || strings.Contains(a.FulfillmentText, "\uFFFD") {
			t.Errorf("%s: %d bytes, ends %q", name, n, a.FulfillmentText[len(a.FulfillmentText)-30:])
		}
		if name == "sentences" && !strings.HasSuffix(a.FulfillmentText, "ready. …and more.") {
			t.Errorf("cut within a sentence: %q", a.FulfillmentText[len(a.FulfillmentText)-40:])
		}
	}
}
