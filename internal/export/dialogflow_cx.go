package export

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
)

// The shapes below are those of an agent that Dialogflow CX exports in the
// JSON package format (cloud.google.com/dialogflow/cx/docs/reference/json-export):
// what is named is named by its display name.
type cxPart struct {
	Text        string `json:"text"`
	ParameterID string `json:"parameterId,omitempty"`
}

type cxPhrase struct {
	Parts        []cxPart `json:"parts"`
	RepeatCount  int      `json:"repeatCount"`
	LanguageCode string   `json:"languageCode"`
}

type cxParameter struct {
	ID         string `json:"id"`
	EntityType string `json:"entityType"`
	IsList     bool   `json:"isList,omitempty"`
}

type cxIntent struct {
	Name        string        `json:"name"`
	DisplayName string        `json:"displayName"`
	Parameters  []cxParameter `json:"parameters,omitempty"`
	Priority    int           `json:"priority"`
	IsFallback  bool          `json:"isFallback,omitempty"`
	Description string        `json:"description,omitempty"`
}

type cxEntityType struct {
	Name          string `json:"name"`
	DisplayName   string `json:"displayName"`
	Kind          string `json:"kind"`
	AutoExpansion string `json:"autoExpansionMode,omitempty"`
}

type cxEntity struct {
	Value        string   `json:"value"`
	Synonyms     []string `json:"synonyms"`
	LanguageCode string   `json:"languageCode"`
}

type cxFulfillment struct {
	Messages []cxMessage `json:"messages,omitempty"`
	Webhook  string      `json:"webhook,omitempty"`
	Tag      string      `json:"tag,omitempty"`
}

type cxMessage struct {
	Text struct {
		Text []string `json:"text"`
	} `json:"text"`
	LanguageCode string `json:"languageCode"`
}

type cxRoute struct {
	Intent             string        `json:"intent,omitempty"`
	Event              string        `json:"event,omitempty"`
	TriggerFulfillment cxFulfillment `json:"triggerFulfillment"`
	Name               string        `json:"name"`
}

type cxFlow struct {
	Name             string    `json:"name"`
	DisplayName      string    `json:"displayName"`
	Description      string    `json:"description"`
	TransitionRoutes []cxRoute `json:"transitionRoutes"`
	EventHandlers    []cxRoute `json:"eventHandlers"`
	NLUSettings      struct {
		ModelType string  `json:"modelType"`
		Threshold float64 `json:"classificationThreshold"`
	} `json:"nluSettings"`
}

// What an agent may be; the limits are those of the table “Dialogflow CX” at
// cloud.google.com/dialogflow/quotas.
const (
	cxRoutes  = 100 // of a flow, from intents
	cxName    = 64  // characters of a display name
	cxWebhook = "https://firstmate.example.com/webhooks/dialogflow/cx"
	cxHook    = "firstmate" // the webhook's display name
	cxStart   = "Default Start Flow"
	cxFirst   = "00000000-0000-0000-0000-000000000000" // of the flow and the intent that every agent has
	cxSecond  = "00000000-0000-0000-0000-000000000001" // of the intent for what is none
)

// DialogflowCX returns the folder of a Dialogflow CX agent in the JSON package
// format, to be zipped and restored. It has one flow of one page: whatever is
// said, keyed or not said goes to the webhook.
func DialogflowCX(c *intents.Catalogue) (Files, error) { return dialogflow(c).cx() }

func (a dfAgent) cx() (Files, error) {
	out := Files{}
	flow := cxFlow{Name: cxFirst, DisplayName: cxStart, Description: "Everything goes to firstmate"}
	flow.NLUSettings.ModelType, flow.NLUSettings.Threshold = "MODEL_TYPE_STANDARD", 0.3
	hook := func(tag string) cxFulfillment { return cxFulfillment{Webhook: cxHook, Tag: tag} }
	put := func(in cxIntent, phrases []cxPhrase) error {
		dir := "intents/" + in.DisplayName + "/"
		if !in.IsFallback {
			flow.TransitionRoutes = append(flow.TransitionRoutes, cxRoute{
				Intent: in.DisplayName, TriggerFulfillment: hook(in.DisplayName), Name: id("cx/route/" + in.DisplayName),
			})
		}
		if len(phrases) > 0 {
			if err := out.put(dir+"trainingPhrases/en.json", map[string]any{"trainingPhrases": phrases}); err != nil {
				return err
			}
		}
		return out.put(dir+in.DisplayName+".json", in)
	}
	for _, in := range a.intents {
		p := a.phrases[in.Name]
		if len(p) == 0 {
			continue // ES has more that every agent has
		}
		if len(flow.TransitionRoutes) == cxRoutes-1 || len(in.Name) > cxName {
			return nil, fmt.Errorf("export: %s does not fit into a flow of Dialogflow CX", in.Name)
		}
		if err := put(in.cx(), cxPhrases(p)); err != nil {
			return nil, err
		}
	}
	hello := cxIntent{Name: cxFirst, DisplayName: "Default Welcome Intent", Priority: 500000}
	if err := put(hello, []cxPhrase{cxWords("hi there"), cxWords("good morning"), cxWords("just going to say hi")}); err != nil {
		return nil, err
	}
	none := cxIntent{Name: cxSecond, DisplayName: "Default Negative Intent", Priority: 500000, IsFallback: true}
	if err := put(none, nil); err != nil {
		return nil, err
	}
	for _, event := range []string{"sys.no-match-default", "sys.no-input-default"} {
		flow.EventHandlers = append(flow.EventHandlers, cxRoute{Event: event, TriggerFulfillment: hook(event), Name: id("cx/event/" + event)})
	}
	sorry := cxMessage{LanguageCode: "en"}
	sorry.Text.Text = []string{"I cannot reach firstmate right now. What it was doing goes on; please try again in a moment."}
	flow.EventHandlers = append(flow.EventHandlers, cxRoute{
		Event: "webhook.error", TriggerFulfillment: cxFulfillment{Messages: []cxMessage{sorry}}, Name: id("cx/event/webhook.error"),
	})
	for _, e := range a.entities {
		if err := out.putEntity(e); err != nil {
			return nil, err
		}
	}
	for name, v := range map[string]any{
		"flows/" + cxStart + "/" + cxStart + ".json": flow,
		"webhooks/" + cxHook + ".json": map[string]any{
			"name": id("cx/webhook"), "displayName": cxHook, "timeout": map[string]int{"seconds": 5},
			"genericWebService": map[string]any{"uri": cxWebhook, "webhookType": "STANDARD"},
		},
		"agent.json": map[string]any{
			"displayName": "firstmate", "description": "Talk to your Kubernetes cluster", "defaultLanguageCode": "en", "timeZone": "Etc/UTC", "startFlow": cxStart,
			// A PIN is keyed, and ends with #.
			"advancedSettings": map[string]any{"dtmfSettings": map[string]any{"enabled": true, "maxDigits": 12, "finishDigit": "#"}},
		},
	} {
		if err := out.put(name, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cx is an intent as CX has it.
func (in dfIntent) cx() cxIntent {
	out := cxIntent{Name: id("cx/intent/" + in.Name), DisplayName: in.Name, Priority: in.Priority}
	for _, p := range in.Responses[0].Parameters {
		out.Parameters = append(out.Parameters, cxParameter{ID: p.Name, EntityType: p.DataType, IsList: p.IsList})
	}
	return out
}

func cxPhrases(phrases []dfPhrase) []cxPhrase {
	var out []cxPhrase
	for _, p := range phrases {
		c := cxPhrase{RepeatCount: 1, LanguageCode: "en"}
		for _, d := range p.Data {
			c.Parts = append(c.Parts, cxPart{Text: d.Text, ParameterID: d.Alias})
		}
		out = append(out, c)
	}
	return out
}

func cxWords(text string) cxPhrase {
	return cxPhrase{Parts: []cxPart{{Text: text}}, RepeatCount: 1, LanguageCode: "en"}
}

// putEntity writes an entity type and what is of it.
func (f Files) putEntity(e dfEntity) error {
	t := cxEntityType{Name: id("cx/entity/" + e.Name), DisplayName: e.Name, Kind: "KIND_MAP"}
	if e.AutomatedExpansion {
		t.AutoExpansion = "AUTO_EXPANSION_MODE_DEFAULT"
	}
	var entities []cxEntity
	for _, v := range e.entries {
		entities = append(entities, cxEntity{Value: v.Value, Synonyms: v.Synonyms, LanguageCode: "en"})
	}
	if err := f.put("entityTypes/"+e.Name+"/entities/en.json", map[string]any{"entities": entities}); err != nil {
		return err
	}
	return f.put("entityTypes/"+e.Name+"/"+e.Name+".json", t)
}

// put encodes a file.
func (f Files) put(name string, v any) error {
	b, err := encode(v)
	f[name] = b
	return err
}

// DialogflowAgents returns what Dialogflow takes, both editions: the ES agent, the
// CX agent below cx/, and each as the ZIP that is restored from.
func DialogflowAgents(c *intents.Catalogue) (Files, error) { return dialogflow(c).both() }

func (a dfAgent) both() (Files, error) {
	es, err := a.es()
	if err != nil {
		return nil, err
	}
	cx, err := a.cx()
	if err != nil {
		return nil, err
	}
	out := maps.Clone(es)
	for name, b := range cx {
		out["cx/"+name] = b
	}
	if out["firstmate-es.zip"], err = es.zip(); err != nil {
		return nil, err
	}
	out["firstmate-cx.zip"], err = cx.zip()
	return out, err
}

// zip packs the files, always alike.
func (f Files) zip() ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.SortedFunc(maps.Keys(f), strings.Compare) {
		e, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			return nil, fmt.Errorf("export: packing %s: %w", name, err)
		}
		if _, err := e.Write(f[name]); err != nil {
			return nil, fmt.Errorf("export: packing %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("export: packing: %w", err)
	}
	return b.Bytes(), nil
}
