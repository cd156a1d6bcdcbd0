package dialogflow

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/intents"
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
		req, session, err := decode(body, everything{})
		if err != nil {
			if fault.KindOf(err) != fault.Usage {
				t.Errorf("a stranger's bytes are our defect: %v", err)
			}
			return
		}
		if session == "" || req.Conversation != "dialogflow:"+session || req.Speaker.ID == "" || strings.Contains(req.Speaker.ID, "/") {
			t.Errorf("%+v", req)
		}
		if utf8.RuneCountInString(req.Text) > maxText {
			t.Errorf("%d characters of text", utf8.RuneCountInString(req.Text))
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
