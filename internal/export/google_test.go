package export

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"path"
	"strings"
	"testing"

	es "cloud.google.com/go/dialogflow/apiv2/dialogflowpb"
	cx "cloud.google.com/go/dialogflow/cx/apiv3/cxpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// unzip reads a ZIP file as Dialogflow would.
func unzip(t *testing.T, b []byte) Files {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	out := Files{}
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if out[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// agents are the agents of the whole catalogue, out of their ZIP files.
func agents(t *testing.T) (esFiles, cxFiles Files) {
	t.Helper()
	all, err := agent().both()
	if err != nil {
		t.Fatal(err)
	}
	esFiles, cxFiles = unzip(t, all["firstmate-es.zip"]), unzip(t, all["firstmate-cx.zip"])
	if len(esFiles)+len(cxFiles)+2 != len(all) {
		t.Errorf("%d and %d files packed, of %d", len(esFiles), len(cxFiles), len(all))
	}
	for name, b := range esFiles {
		if !bytes.Equal(b, all[name]) {
			t.Errorf("%s is not as packed", name)
		}
	}
	for name, b := range cxFiles {
		if !bytes.Equal(b, all["cx/"+name]) {
			t.Errorf("cx/%s is not as packed", name)
		}
	}
	return esFiles, cxFiles
}

// strict reads JSON as a message of Google's, which knows every key of it.
func strict[M proto.Message](t *testing.T, name string, v any, m M) M {
	t.Helper()
	b, ok := v.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := protojson.Unmarshal(b, m); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return m
}

// without takes the language of each element of a list away: the package has
// it, and the message that the list belongs to has not.
func without(t *testing.T, name string, b []byte, list string) any {
	t.Helper()
	var doc map[string][]map[string]any
	if err := json.Unmarshal(b, &doc); err != nil || len(doc) != 1 {
		t.Fatalf("%s: %v", name, err)
	}
	for _, e := range doc[list] {
		if e["languageCode"] != "en" {
			t.Errorf("%s: language %v", name, e["languageCode"])
		}
		delete(e, "languageCode")
	}
	return doc
}

// TestCXAgentIsGoogles reads the exported agent with Google's own messages, and
// holds what is named in it against what is there.
func TestCXAgentIsGoogles(t *testing.T) {
	_, files := agents(t)
	agent := strict(t, "agent.json", files["agent.json"], &cx.Agent{})
	read := 1
	take := func(name string) []byte {
		b, ok := files[name]
		if !ok {
			t.Errorf("there is no %s", name)
		}
		read++
		return b
	}
	entities, named := map[string]bool{"@sys.number": true, "@sys.any": true}, map[string]string{}
	once := func(name, what string) {
		if other := named[name]; other != "" || len(name) != 36 || len(path.Base(what)) > 64 {
			t.Errorf("%s has the name of %s: %q", what, other, name)
		}
		named[name] = what
	}
	for name, b := range files {
		dir, file := path.Split(name)
		if path.Dir(path.Clean(dir)) != "entityTypes" || file == "en.json" {
			continue
		}
		read++
		e := strict(t, name, b, &cx.EntityType{})
		list := strict(t, dir+"entities", without(t, dir, take(dir+"entities/en.json"), "entities"), &cx.EntityType{})
		if e.Kind != cx.EntityType_KIND_MAP || len(list.Entities) == 0 || name != "entityTypes/"+e.DisplayName+"/"+e.DisplayName+".json" {
			t.Errorf("%s: %v with %d values", name, e, len(list.Entities))
		}
		once(e.Name, name)
		entities["@"+e.DisplayName] = true
	}
	intents, phrases, said := map[string]bool{}, 0, map[string]string{}
	for name, b := range files {
		dir, file := path.Split(name)
		if path.Dir(path.Clean(dir)) != "intents" || file == "en.json" {
			continue
		}
		read++
		in := strict(t, name, b, &cx.Intent{})
		once("i"+in.Name[1:], name) // the first of the flows and of the intents have one name
		if name != "intents/"+in.DisplayName+"/"+in.DisplayName+".json" || len(in.Parameters) > 20 {
			t.Errorf("%s: %v", name, in)
		}
		parameters := map[string]bool{}
		for _, p := range in.Parameters {
			if parameters[p.Id] || !entities[p.EntityType] {
				t.Errorf("%s: parameter %v", name, p)
			}
			parameters[p.Id] = true
		}
		if in.IsFallback {
			continue
		}
		intents[in.DisplayName] = true
		list := strict(t, dir+"trainingPhrases", without(t, dir, take(dir+"trainingPhrases/en.json"), "trainingPhrases"), &cx.Intent{})
		if len(list.TrainingPhrases) == 0 || len(list.TrainingPhrases) > 2000 {
			t.Errorf("%s: %d phrases", name, len(list.TrainingPhrases))
		}
		for _, p := range list.TrainingPhrases {
			var text strings.Builder
			for _, part := range p.Parts {
				if text.WriteString(part.Text); part.ParameterId != "" && !parameters[part.ParameterId] {
					t.Errorf("%s: a phrase has %q, the intent has not", name, part.ParameterId)
				}
			}
			if other := said[text.String()]; other != "" || text.Len() == 0 || text.Len() > 768 || p.RepeatCount < 1 {
				t.Errorf("%q of %s and %s", text.String(), other, name)
			}
			said[text.String()] = name
			phrases++
		}
	}
	hook := map[string]any{}
	if err := json.Unmarshal(take("webhooks/firstmate.json"), &hook); err != nil {
		t.Fatal(err)
	}
	if seconds, ok := hook["timeout"].(map[string]any); !ok || seconds["seconds"] != 5.0 {
		t.Errorf("timeout %v", hook["timeout"])
	}
	hook["timeout"] = "5s" // the package writes a duration as it is in memory
	webhook := strict(t, "webhook", hook, &cx.Webhook{})
	var doc map[string]any
	if err := json.Unmarshal(take("flows/Default Start Flow/Default Start Flow.json"), &doc); err != nil {
		t.Fatal(err)
	}
	handlers, _ := doc["eventHandlers"].([]any)
	for _, h := range handlers { // messages have a language in the package
		if f, _ := h.(map[string]any)["triggerFulfillment"].(map[string]any); f["messages"] != nil {
			delete(f["messages"].([]any)[0].(map[string]any), "languageCode")
		}
	}
	flow := strict(t, "flow", doc, &cx.Flow{})
	if agent.GetStartFlow() != flow.DisplayName || agent.DefaultLanguageCode != "en" || !agent.AdvancedSettings.DtmfSettings.Enabled {
		t.Errorf("%v", agent)
	}
	for _, r := range flow.TransitionRoutes {
		if !intents[r.Intent] || r.TriggerFulfillment.Webhook != webhook.DisplayName || r.TriggerFulfillment.Tag == "" {
			t.Errorf("route %v", r)
		}
		delete(intents, r.Intent)
		once(r.Name, r.Intent)
	}
	if len(intents) != 0 || len(flow.TransitionRoutes) > cxRoutes {
		t.Errorf("%d routes, none to %v", len(flow.TransitionRoutes), intents)
	}
	events := map[string]bool{}
	for _, h := range flow.EventHandlers {
		once(h.Name, h.Event)
		events[h.Event] = h.TriggerFulfillment.Webhook == webhook.DisplayName
	}
	if _, ok := events["webhook.error"]; !events["sys.no-match-default"] || !events["sys.no-input-default"] || !ok {
		t.Errorf("events %v", events)
	}
	if read != len(files) {
		t.Errorf("%d files read, there are %d", read, len(files))
	}
	t.Logf("%d routes, %d phrases, %d entity types", len(flow.TransitionRoutes), phrases, len(entities)-2)
}

// TestESAgentIsGoogles reads the exported agent, whose files are of a format of
// their own, into Google's messages.
func TestESAgentIsGoogles(t *testing.T) {
	files, _ := agents(t)
	entities, events := map[string]bool{"@sys.number": true, "@sys.any": true}, map[string]bool{}
	for name, b := range files {
		if !strings.HasPrefix(name, "entities/") || strings.HasSuffix(name, "_entries_en.json") {
			continue
		}
		var e struct{ Name string }
		if err := json.Unmarshal(b, &e); err != nil || name != "entities/"+e.Name+".json" {
			t.Errorf("%s: %v", name, err)
		}
		var entries []json.RawMessage
		if err := json.Unmarshal(files["entities/"+e.Name+"_entries_en.json"], &entries); err != nil || len(entries) == 0 {
			t.Errorf("%s: %d entries, %v", name, len(entries), err)
		}
		for _, raw := range entries {
			if v := strict(t, name, []byte(raw), &es.EntityType_Entity{}); v.Value == "" || len(v.Synonyms) == 0 {
				t.Errorf("%s: %v", name, v)
			}
		}
		entities["@"+e.Name] = true
	}
	fallbacks, phrases := 0, 0
	for name, b := range files {
		if !strings.HasPrefix(name, "intents/") || strings.HasSuffix(name, "_usersays_en.json") {
			continue
		}
		var in struct {
			ID, Name                    string
			WebhookUsed, FallbackIntent bool
			Priority                    int
			Events                      []struct{ Name string }
			Responses                   []struct {
				Action     string
				Parameters []struct {
					ID, Name, DataType, Value string
					IsList                    bool
				}
			}
		}
		var said []struct {
			Data []struct{ Text, Alias, Meta string }
		}
		if err := json.Unmarshal(b, &in); err != nil || len(in.Responses) != 1 || name != "intents/"+in.Name+".json" {
			t.Fatalf("%s: %v", name, err)
		}
		if users := files["intents/"+in.Name+"_usersays_en.json"]; users != nil {
			if err := json.Unmarshal(users, &said); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		parameters, parts := []any{}, []any{}
		declared := map[string]string{}
		for _, p := range in.Responses[0].Parameters {
			declared[p.Name] = p.DataType
			parameters = append(parameters, map[string]any{"name": p.ID, "displayName": p.Name, "value": p.Value, "entityTypeDisplayName": p.DataType, "isList": p.IsList})
			if !entities[p.DataType] {
				t.Errorf("%s: there is no entity %s", name, p.DataType)
			}
		}
		for _, s := range said {
			var p []any
			for _, d := range s.Data {
				if d.Alias != "" && declared[d.Alias] != d.Meta {
					t.Errorf("%s: %q is %s in a phrase and %s of the intent", name, d.Alias, d.Meta, declared[d.Alias])
				}
				p = append(p, map[string]any{"text": d.Text, "entityType": d.Meta, "alias": d.Alias, "userDefined": d.Alias != ""})
			}
			parts = append(parts, map[string]any{"type": "EXAMPLE", "parts": p, "timesAddedCount": 1})
			phrases++
		}
		var names []string
		for _, e := range in.Events {
			names = append(names, e.Name)
			events[e.Name] = true
		}
		m := strict(t, name, map[string]any{
			"name": "projects/p/agent/intents/" + in.ID, "displayName": in.Name, "webhookState": "WEBHOOK_STATE_ENABLED", "priority": in.Priority,
			"isFallback": in.FallbackIntent, "events": names, "trainingPhrases": parts, "action": in.Responses[0].Action, "parameters": parameters,
		}, &es.Intent{})
		if !in.WebhookUsed || !m.IsFallback && len(m.TrainingPhrases) == 0 && len(m.Events) == 0 {
			t.Errorf("%s cannot be reached: %v", name, m)
		}
		if m.IsFallback {
			fallbacks++
		}
	}
	for _, e := range []string{"WELCOME", "FIRSTMATE_WAIT_1", "FIRSTMATE_WAIT_2", "FIRSTMATE_WAIT_3"} {
		if !events[e] {
			t.Errorf("no intent is for the event %s", e)
		}
	}
	if fallbacks != 1 || files["agent.json"] == nil || files["package.json"] == nil {
		t.Errorf("%d fallback intents, agent %d bytes", fallbacks, len(files["agent.json"]))
	}
	t.Logf("%d phrases, %d entities", phrases, len(entities)-2)
}
