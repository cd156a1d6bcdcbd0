package dialogflow

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

type everything struct{}

func (everything) Spec(name string) (intents.Spec, bool) {
	return intents.Spec{Name: name, Slots: []intents.SlotSpec{{Name: "targets"}, {Name: "replicas"}}}, true
}

func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatal("no samples", err)
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"session":"a/b","queryResult":{"queryText":"x","intent":{"displayName":"scale"},"parameters":{"targets":["web",1],"replicas":"5"}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := decodeES(body)
		session := in.Session
		req := dialogue.Request{}
		if err == nil {
			req, err = in.heard().turn(everything{}, Config{})
		}
		if err != nil {
			if fault.KindOf(err) != fault.Usage {
				t.Errorf("a stranger's bytes are our defect: %v", err)
			}
			return
		}
		if session == "" || req.Conversation != "dialogflow:"+session || req.Speaker.ID == "" || req.Speaker.Assurance > access.Claimed || strings.Contains(req.Speaker.ID, "/") {
			t.Errorf("%+v", req)
		}
		if utf8.RuneCountInString(req.Text) > maxText {
			t.Errorf("%d characters of text", utf8.RuneCountInString(req.Text))
		}
		if in.waited() > MaxFollowUps {
			t.Errorf("it called again %d times", in.waited())
		}
		if req.Intent == nil {
			return // it was not sure
		}
		if v, ok := req.Intent.Slots["targets"]; ok {
			if _, number := v.(float64); !number && len(req.Intent.Slots.Targets()) == 0 {
				if _, b := v.(bool); !b {
					t.Errorf("targets %#v", v)
				}
			}
		}
	})
}

func FuzzDecodeCX(f *testing.F) {
	b, err := os.ReadFile("testdata/cx/WebhookRequest-welcome.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"detectIntentResponseId":"r","dtmfDigits":"1234#","sessionInfo":{"session":"a/b"},"payload":{"telephony":{"caller_id":"+15551234"}}}`))
	f.Add([]byte(`{"text":"x","sessionInfo":{"session":"a/b"},"intentInfo":{"displayName":"scale","confidence":"high","parameters":{"targets":{"resolvedValue":["web",1]}}}}`))
	f.Add([]byte(`{"triggerEvent":"sys.no-input-default","sessionInfo":{"session":"a/b"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := decodeCX(body)
		req := dialogue.Request{}
		if err == nil {
			req, err = in.heard().turn(everything{}, Config{})
		}
		if err != nil {
			if fault.KindOf(err) != fault.Usage {
				t.Errorf("a stranger's bytes are our defect: %v", err)
			}
			return
		}
		if req.Conversation != "dialogflow:"+in.SessionInfo.Session || req.Speaker.ID == "" || req.Speaker.Assurance > access.Claimed || utf8.RuneCountInString(req.Text) > maxText {
			t.Errorf("%+v", req)
		}
	})
}

func FuzzSSML(f *testing.F) {
	f.Add("a <b> & \x00 \u202e c")
	f.Fuzz(func(t *testing.T, words string) {
		b, err := renderCX(dialogue.Reply{Speech: words})
		if err != nil || len(b) > maxResponse || !json.Valid(b) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		var out cxResponse
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		said := out.FulfillmentResponse.Messages[1].OutputAudioText.SSML
		for d := xml.NewDecoder(strings.NewReader(said)); ; {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%q: %v", said, err)
			}
			if e, ok := tok.(xml.StartElement); ok && e.Name.Local != "speak" && e.Name.Local != "s" {
				t.Fatalf("%q has an element %s", said, e.Name.Local)
			}
		}
	})
}
