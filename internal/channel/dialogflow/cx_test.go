package dialogflow_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/dialogflow"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

const cxSession = "projects/p/locations/global/agents/a/sessions/s1"

func cxHandler(t testing.TB, cfg dialogflow.Config, e *channeltest.Engine) http.Handler {
	t.Helper()
	h, err := dialogflow.NewCX(cfg, e, catalogue{}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Routes(mux)
	return mux
}

func cxRaw(body io.Reader) *http.Request {
	r := httptest.NewRequest("POST", dialogflow.PathCX, body)
	r.Header.Set("Content-Type", "application/json")
	r.SetBasicAuth("df", "secret")
	return r
}

func cxQuery(id, text string) string {
	b, _ := json.Marshal(map[string]any{"detectIntentResponseId": id, "text": text, "sessionInfo": map[string]any{"session": cxSession}})
	return string(b)
}

func cxPost(t *testing.T, cfg dialogflow.Config, e *channeltest.Engine, body string) (*dialogue.Request, *httptest.ResponseRecorder) {
	t.Helper()
	w := httptest.NewRecorder()
	cxHandler(t, cfg, e).ServeHTTP(w, cxRaw(strings.NewReader(body)))
	if rs := e.Requests(); len(rs) > 0 {
		return &rs[len(rs)-1], w
	}
	return nil, w
}

func TestChannelCX(t *testing.T) {
	channeltest.Run(t, channeltest.Channel{
		Handler: func(t *testing.T, e *channeltest.Engine) http.Handler { return cxHandler(t, credentials, e) },
		Request: func(delivery, text string) *http.Request { return cxRaw(strings.NewReader(cxQuery(delivery, text))) },
		Raw:     cxRaw,
		Forge: map[string]func(*http.Request){
			"none":           func(r *http.Request) { r.Header.Del("Authorization") },
			"wrong password": func(r *http.Request) { r.SetBasicAuth("df", "guess") },
			"bearer":         func(r *http.Request) { r.Header.Set("Authorization", "Bearer secret") },
		},
		MaxBody: 64 << 10,
	})
}

func TestOfficialSampleCX(t *testing.T) {
	b, err := os.ReadFile("testdata/cx/WebhookRequest-welcome.json")
	if err != nil {
		t.Fatal(err)
	}
	got, w := cxPost(t, credentials, channeltest.NewEngine(nil), string(b))
	if w.Code != 200 || got == nil || got.Text != "hi" || got.DeliveryID != "dialogflow:0a190188-37e9-400a-89e3-f3e878c86916" ||
		got.Speaker != access.NewSpeaker("dialogflow", "bd38c7-398-d25-963-7c23a0533", access.Session) || !strings.HasSuffix(got.Conversation, "/sessions/bd38c7-398-d25-963-7c23a0533") || !got.Pull {
		t.Errorf("%+v %d %s", got, w.Code, w.Body)
	}
}

func TestWhatHappenedCX(t *testing.T) {
	for _, tt := range []struct {
		name, body, text string
		status           int
		intent           *intents.Intent
		speaker          access.Speaker
	}{
		{name: "text", body: `"text":"scale web to 5"`, text: "scale web to 5"},
		{name: "transcript", body: `"transcript":"scale web to five"`, text: "scale web to five"},
		{name: "keys", body: `"dtmfDigits":"25807463#"`, text: "25807463"},
		{name: "no keys", body: `"dtmfDigits":"#"`, text: ""},
		{name: "the welcome event", body: `"triggerEvent":"WELCOME"`, text: "hello"},
		{name: "silence", body: `"triggerEvent":"sys.no-input-default"`, text: "what did you say?"},
		{name: "another event", body: `"triggerEvent":"ORDER_PIZZA"`, text: ""},
		{
			name: "an intent by itself", body: `"triggerIntent":"projects/p/intents/1","intentInfo":{"displayName":"Scale","parameters":{"targets":{"originalValue":"web","resolvedValue":"web"},"replicas":{"resolvedValue":5}}}`,
			intent: &intents.Intent{Name: "scale", Slots: intents.Slots{"targets": []string{"web"}, "replicas": 5.0}},
		},
		{name: "an intent and text", body: `"text":"x","intentInfo":{"displayName":"scale","confidence":0.9}`, text: "x", intent: &intents.Intent{Name: "scale", Slots: intents.Slots{}}},
		{name: "an intent, unsure", body: `"text":"x","intentInfo":{"displayName":"scale","confidence":0.4}`, text: "x"},
		{name: "a caller", body: `"text":"x","payload":{"telephony":{"caller_id":"+15550100"}}`, text: "x", speaker: access.NewSpeaker("dialogflow", "+15550100", access.CallerID)},
		{name: "a caller who is none", body: `"text":"x","payload":{"telephony":{"caller_id":"ann"}}`, text: "x"},
		{name: "odd types", body: `"text":"x","payload":[1],"intentInfo":"scale","languageCode":7,"fulfillmentInfo":null,"sentiment":{}`, text: "x"},
		{name: "odd text", body: `"text":{"a":1},"transcript":"y"`, text: "y"},
		{name: "long text", body: `"text":"` + strings.Repeat("é", 1001) + `"`, status: 400},
	} {
		got, w := cxPost(t, credentials, channeltest.NewEngine(nil), `{"detectIntentResponseId":"r","sessionInfo":{"session":"`+cxSession+`"},`+tt.body+`}`)
		if tt.status != 0 {
			if w.Code != tt.status || got != nil {
				t.Errorf("%s: %d, %+v", tt.name, w.Code, got)
			}
			continue
		}
		if w.Code != 200 || got == nil {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
			continue
		}
		if tt.speaker == (access.Speaker{}) {
			tt.speaker = access.NewSpeaker("dialogflow", "s1", access.Session)
		}
		if got.Text != tt.text || !reflect.DeepEqual(got.Intent, tt.intent) || got.Speaker != tt.speaker {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

// cxAnswer is the answer as Dialogflow reads it.
type cxAnswer struct {
	FulfillmentResponse struct {
		Messages []struct {
			Text            *struct{ Text []string }
			OutputAudioText *struct{ SSML string }
		}
		MergeBehavior string
	}
	SessionInfo struct{ Parameters map[string]any }
	Payload     struct{ Firstmate map[string]any }
}

func TestAnswerCX(t *testing.T) {
	reply := dialogue.Reply{Speech: "Scale web & co from 3 to 5. Shall I?", Text: "…", Expect: dialogue.ExpectConfirm, Outcome: dialogue.OutcomePending, Proposal: &dialogue.Proposal{ID: "p1"}}
	e := channeltest.NewEngine(func(dialogue.Request) dialogue.Reply { return reply })
	ask := func() (a cxAnswer) {
		_, w := cxPost(t, credentials, e, cxQuery("r", "scale web to 5"))
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		return a
	}
	a := ask()
	m := a.FulfillmentResponse.Messages
	if len(m) != 2 || m[0].Text == nil || m[0].Text.Text[0] != "Scale web & co from 3 to 5. Shall I?" || m[1].OutputAudioText == nil ||
		m[1].OutputAudioText.SSML != "<speak><s>Scale web and co from 3 to 5.</s><s>Shall I?</s></speak>" || a.FulfillmentResponse.MergeBehavior != "REPLACE" {
		t.Errorf("%+v, %+v", a, m[1].OutputAudioText)
	}
	if want := map[string]any{"firstmate_expect": "confirm", "firstmate_proposal": "p1", "firstmate_outcome": "pending"}; !reflect.DeepEqual(a.SessionInfo.Parameters, want) {
		t.Errorf("%+v", a.SessionInfo.Parameters)
	}
	// What is over is taken away again.
	reply = dialogue.Reply{Speech: "Fine.", Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone}
	if want := map[string]any{"firstmate_expect": nil, "firstmate_proposal": nil, "firstmate_outcome": nil}; !reflect.DeepEqual(ask().SessionInfo.Parameters, want) {
		t.Errorf("%+v", ask().SessionInfo.Parameters)
	}
	// And what is long is cut, both for the ear and for the eye.
	reply = dialogue.Reply{Speech: strings.Repeat("A <pod> of web is not ready. ", 5000)}
	_, w := cxPost(t, credentials, e, cxQuery("r", "list pods"))
	if a := ask(); w.Body.Len() > 64<<10 || !strings.HasSuffix(a.FulfillmentResponse.Messages[0].Text.Text[0], "…and more.") || !strings.HasSuffix(a.FulfillmentResponse.Messages[1].OutputAudioText.SSML, "more.</s></speak>") {
		t.Errorf("%d bytes", w.Body.Len())
	}
}

func TestIntentFirst(t *testing.T) {
	cfg := credentials
	cfg.IntentFirst = true
	e := channeltest.NewEngine(nil)
	if got, _ := cxPost(t, cfg, e, cxQuery("r", "hi")); !got.IntentFirst {
		t.Error("CX")
	}
	w := httptest.NewRecorder()
	handler(t, cfg, e).ServeHTTP(w, raw(strings.NewReader(query("r", "hi"))))
	if got := e.Requests(); !got[len(got)-1].IntentFirst {
		t.Error("ES")
	}
}

func TestPatience(t *testing.T) {
	for _, patience := range []time.Duration{-time.Second, 29 * time.Second} {
		cfg := credentials
		cfg.Patience = patience
		if _, err := dialogflow.NewCX(cfg, channeltest.NewEngine(nil), catalogue{}, quiet()); fault.KindOf(err) != fault.Usage {
			t.Errorf("%v: %v", patience, err)
		}
	}
	cfg := credentials
	cfg.Patience = 20 * time.Second
	if got, _ := cxPost(t, cfg, channeltest.NewEngine(nil), cxQuery("r", "yes")); got.Patience != cfg.Patience {
		t.Errorf("%v", got.Patience)
	}
}
