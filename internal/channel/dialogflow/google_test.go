package dialogflow_test

import (
	"encoding/json"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	es "cloud.google.com/go/dialogflow/apiv2/dialogflowpb"
	cx "cloud.google.com/go/dialogflow/cx/apiv3/cxpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// answers are replies of every sort.
func answers() map[string]dialogue.Reply {
	return map[string]dialogue.Reply{
		"a question":     {Speech: "Scale web from 3 to 5. Shall I?", Expect: dialogue.ExpectConfirm, Outcome: dialogue.OutcomePending, Proposal: &dialogue.Proposal{ID: "p1"}},
		"an answer":      {Speech: "Web is fine.", Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone},
		"a choice":       {Speech: "Which one?", Expect: dialogue.ExpectChoice, Choices: []string{"web", "cart"}},
		"a PIN":          {Speech: "Your PIN, please.", Expect: dialogue.ExpectPIN},
		"work":           {Speech: "Rolling out v2.", Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomePending, Proposal: &dialogue.Proposal{ID: "p1"}},
		"hostile words":  {Speech: channeltest.Hostile},
		"nothing":        {},
		"too many words": {Speech: strings.Repeat("A pod of web is not ready. ", 10_000)},
	}
}

// TestAnswersAreGoogles reads our answers with Google's own messages, which
// know every key.
func TestAnswersAreGoogles(t *testing.T) {
	for name, reply := range answers() {
		e := channeltest.NewEngine(func(dialogue.Request) dialogue.Reply { return reply })
		for _, followUps := range []int{0, 3} {
			cfg := credentials
			cfg.FollowUps = followUps
			w := httptest.NewRecorder()
			handler(t, cfg, e).ServeHTTP(w, raw(strings.NewReader(query("r", "x"))))
			var a es.WebhookResponse
			if err := protojson.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Errorf("ES, %s: %v\n%.300s", name, err, w.Body)
			}
			called := a.FollowupEventInput != nil
			if called != (followUps > 0 && name == "work") || called == (len(a.FulfillmentMessages) == 1) {
				t.Errorf("ES, %s: %v", name, &a)
			}
		}
		_, w := cxPost(t, credentials, e, cxQuery("r", "x"))
		var a cx.WebhookResponse
		if err := protojson.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Errorf("CX, %s: %v\n%.300s", name, err, w.Body)
			continue
		}
		m := a.FulfillmentResponse.Messages
		if len(m) != 2 || m[0].GetText() == nil || m[1].GetOutputAudioText().GetSsml() == "" || a.FulfillmentResponse.MergeBehavior != cx.WebhookResponse_FulfillmentResponse_REPLACE {
			t.Errorf("CX, %s: %v", name, &a)
		}
		if _, null := a.SessionInfo.Parameters["firstmate_proposal"].GetKind().(*structpb.Value_NullValue); null != (reply.Proposal == nil) {
			t.Errorf("CX, %s: parameters %v", name, a.SessionInfo.Parameters)
		}
	}
}

// TestRequestsOfGoogles has Google's messages write the requests.
func TestRequestsOfGoogles(t *testing.T) {
	value := func(v any) *structpb.Value {
		out, err := structpb.NewValue(v)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	caller, err := structpb.NewStruct(map[string]any{"telephony": map[string]any{"caller_id": "+15550100"}})
	if err != nil {
		t.Fatal(err)
	}
	info := func() *cx.WebhookRequest_IntentInfo {
		return &cx.WebhookRequest_IntentInfo{DisplayName: "scale", Confidence: 0.9, Parameters: map[string]*cx.WebhookRequest_IntentInfo_IntentParameterValue{
			"targets": {OriginalValue: "web", ResolvedValue: value([]any{"web"})}, "replicas": {ResolvedValue: value(5)},
		}}
	}
	for text, r := range map[string]*cx.WebhookRequest{
		"scale web to 5":    {Query: &cx.WebhookRequest_Text{Text: "scale web to 5"}},
		"scale web to five": {Query: &cx.WebhookRequest_Transcript{Transcript: "scale web to five"}},
		"25807463":          {Query: &cx.WebhookRequest_DtmfDigits{DtmfDigits: "25807463#"}},
		"what did you say?": {Query: &cx.WebhookRequest_TriggerEvent{TriggerEvent: "sys.no-input-default"}},
		"":                  {Query: &cx.WebhookRequest_TriggerIntent{TriggerIntent: "projects/p/locations/l/agents/a/intents/i"}},
	} {
		r.DetectIntentResponseId, r.LanguageCode, r.IntentInfo, r.Payload = "r1", "en", info(), caller
		r.SessionInfo = &cx.SessionInfo{Session: cxSession, Parameters: map[string]*structpb.Value{"firstmate_expect": value("confirm")}}
		r.FulfillmentInfo = &cx.WebhookRequest_FulfillmentInfo{Tag: "scale"}
		r.SentimentAnalysisResult = &cx.WebhookRequest_SentimentAnalysisResult{Score: -1}
		b, err := protojson.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		got, w := cxPost(t, credentials, channeltest.NewEngine(nil), string(b))
		if got == nil || got.Text != text || got.DeliveryID != "dialogflow:r1" || got.Speaker.ID != "+15550100" || got.Intent == nil || got.Intent.Name != "scale" || got.Intent.Slots["replicas"] != 5.0 {
			t.Errorf("%s: %d %+v", b, w.Code, got)
		}
	}
	b, err := protojson.Marshal(&es.WebhookRequest{
		ResponseId: "r1", Session: session,
		QueryResult: &es.QueryResult{
			QueryText: "scale web to 5", LanguageCode: "en", IntentDetectionConfidence: 0.8, Intent: &es.Intent{DisplayName: "scale"},
			Parameters: &structpb.Struct{Fields: map[string]*structpb.Value{"targets": value([]any{"web"}), "replicas": value(5)}},
		},
		OriginalDetectIntentRequest: &es.OriginalDetectIntentRequest{Source: "GOOGLE_TELEPHONY", Payload: caller},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, w := post(t, channeltest.NewEngine(nil), string(b)); got == nil || got.Text != "scale web to 5" || got.Speaker.ID != "+15550100" || got.Intent == nil || got.Intent.Slots["replicas"] != 5.0 {
		t.Errorf("%s: %d %+v", b, w.Code, got)
	}
}

// TestSamplesAreGoogles: what the other tests send is what Google sends.
func TestSamplesAreGoogles(t *testing.T) {
	n := 0
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".json" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		if strings.HasPrefix(path, filepath.Join("testdata", "cx")) {
			return protojson.Unmarshal(b, &cx.WebhookRequest{})
		}
		return protojson.Unmarshal(b, &es.WebhookRequest{})
	})
	if err != nil || n != 12 {
		t.Errorf("%d samples, %v", n, err)
	}
	for _, b := range []string{query("r", "x"), cxQuery("r", "x")} {
		if !json.Valid([]byte(b)) {
			t.Errorf("%s", b)
		}
	}
	if err := protojson.Unmarshal([]byte(query("r", "x")), &es.WebhookRequest{}); err != nil {
		t.Error(err)
	}
	if err := protojson.Unmarshal([]byte(cxQuery("r", "x")), &cx.WebhookRequest{}); err != nil {
		t.Error(err)
	}
}
