package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
)

// What an agent may be; the limits are those of the table “Dialogflow ES” at
// cloud.google.com/dialogflow/quotas, the number of samples is ours.
const (
	dialogflowIntents    = 2000
	dialogflowSamples    = 250 // of an intent; the limit is 2000
	dialogflowPhrases    = 2000
	dialogflowLength     = 768 // characters of a training phrase
	dialogflowParameters = 20  // of an intent
	dialogflowEntities   = 250
	dialogflowSynonyms   = 200 // of a value
	dialogflowWebhook    = "https://firstmate.example.com/webhooks/dialogflow/es"
	// By these events the agent calls again for what takes longer than it waits.
	dialogflowWaitEvent = "FIRSTMATE_WAIT_"
	dialogflowWaits     = 3
)

// The shapes below are those of an agent that Dialogflow ES exports.
type dfParameter struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Required bool   `json:"required"`
	DataType string `json:"dataType"`
	Value    string `json:"value"`
	Default  string `json:"defaultValue"`
	IsList   bool   `json:"isList"`
}

type dfMessage struct {
	Type   string   `json:"type"`
	Lang   string   `json:"lang"`
	Speech []string `json:"speech"`
}

type dfResponse struct {
	ResetContexts    bool          `json:"resetContexts"`
	Action           string        `json:"action"`
	AffectedContexts []string      `json:"affectedContexts"`
	Parameters       []dfParameter `json:"parameters"`
	Messages         []dfMessage   `json:"messages"`
	Speech           []string      `json:"speech"`
}

type dfEvent struct {
	Name string `json:"name"`
}

type dfIntent struct {
	ID                    string       `json:"id"`
	Name                  string       `json:"name"`
	Auto                  bool         `json:"auto"`
	Contexts              []string     `json:"contexts"`
	Responses             []dfResponse `json:"responses"`
	Priority              int          `json:"priority"`
	WebhookUsed           bool         `json:"webhookUsed"`
	WebhookForSlotFilling bool         `json:"webhookForSlotFilling"`
	FallbackIntent        bool         `json:"fallbackIntent"`
	Events                []dfEvent    `json:"events"`
}

type dfData struct {
	Text        string `json:"text"`
	Alias       string `json:"alias,omitempty"`
	Meta        string `json:"meta,omitempty"`
	UserDefined bool   `json:"userDefined"`
}

type dfPhrase struct {
	ID         string   `json:"id"`
	Data       []dfData `json:"data"`
	IsTemplate bool     `json:"isTemplate"`
	Count      int      `json:"count"`
	Lang       string   `json:"lang"`
	Updated    int      `json:"updated"`
}

func (p dfPhrase) text() string {
	var b strings.Builder
	for _, d := range p.Data {
		b.WriteString(d.Text)
	}
	return b.String()
}

type dfEntity struct {
	ID                   string `json:"id"`
	Name                 string `json:"name"`
	IsOverridable        bool   `json:"isOverridable"`
	IsEnum               bool   `json:"isEnum"`
	IsRegexp             bool   `json:"isRegexp"`
	AutomatedExpansion   bool   `json:"automatedExpansion"`
	AllowFuzzyExtraction bool   `json:"allowFuzzyExtraction"`
	entries              []dfEntry
}

type dfEntry struct {
	Value    string   `json:"value"`
	Synonyms []string `json:"synonyms"`
}

// dfAgent is an agent before it is written.
type dfAgent struct {
	intents  []dfIntent
	phrases  map[string][]dfPhrase // by intent
	entities []dfEntity
}

// Dialogflow returns the folder of a Dialogflow ES agent, to be zipped and
// restored into a project. Every intent calls the webhook, which reads the
// sentence itself and takes the agent's reading where it cannot.
func Dialogflow(c *intents.Catalogue) (Files, error) { return dialogflow(c).es() }

func (a dfAgent) es() (Files, error) {
	out := Files{}
	if err := out.put("package.json", map[string]string{"version": "1.0.0"}); err != nil {
		return nil, err
	}
	if err := out.put("agent.json", map[string]any{
		"description": "Talk to your Kubernetes cluster", "displayName": "firstmate", "language": "en", "supportedLanguages": []string{},
		"defaultTimezone": "Etc/UTC", "isPrivate": true, "mlMinConfidence": 0.3, "enableOnePlatformApi": true, "onePlatformApiVersion": "v2",
		"disableInteractionLogs": false, "disableStackdriverLogs": true, "analyzeQueryTextSentiment": false,
		"webhook": map[string]any{
			"url": dialogflowWebhook, "username": "", "headers": map[string]string{}, "available": true,
			"useForDomains": false, "cloudFunctionsEnabled": false, "cloudFunctionsInitialized": false,
		},
	}); err != nil {
		return nil, err
	}
	for _, in := range a.intents {
		if err := out.put("intents/"+in.Name+".json", in); err != nil {
			return nil, err
		}
		if p := a.phrases[in.Name]; len(p) > 0 {
			if err := out.put("intents/"+in.Name+"_usersays_en.json", p); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range a.entities {
		if err := out.put("entities/"+e.Name+".json", e); err != nil {
			return nil, err
		}
		if err := out.put("entities/"+e.Name+"_entries_en.json", e.entries); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func dialogflow(c *intents.Catalogue) dfAgent {
	ks := kinds(c)
	r := reader{intents.NewRecognizer(c), intents.NewInventory(example())}
	a := dfAgent{phrases: map[string][]dfPhrase{}}
	used := map[string]bool{}
	taken := map[string]bool{}
	for _, spec := range c.Specs() {
		us, _ := r.usables(c, ks, spec.Name, dialogflowSamples)
		in := newIntent(spec.Name)
		for _, u := range us {
			if (spec.Risk == intents.RiskWrite || spec.Name == "amend") && (len(u.Fixed) > 0 || len(shifted(u)) > 0) {
				continue // the agent would report half of it: "remove two" as two, "switch it off" as nothing
			}
			p, ok := phrase(u, ks)
			if !ok || taken[p.text()] || len(p.text()) > dialogflowLength {
				continue
			}
			if !in.parameters(u, ks, used) {
				continue
			}
			taken[p.text()] = true
			p.ID = id("phrase/" + spec.Name + "/" + p.text())
			a.phrases[spec.Name] = append(a.phrases[spec.Name], p)
		}
		if len(a.phrases[spec.Name]) > 0 {
			a.intents = append(a.intents, in)
		}
	}
	fallback := newIntent("Default Fallback Intent")
	fallback.FallbackIntent, fallback.Responses[0].Action = true, "input.unknown"
	fallback.Responses[0].Messages[0].Speech = []string{"I did not understand that. Say “help” for what I can do."}
	welcome := newIntent("Default Welcome Intent")
	welcome.Responses[0].Action, welcome.Events = "input.welcome", []dfEvent{{"WELCOME"}}
	a.intents = append(a.intents, fallback, welcome)
	for n := 1; n <= dialogflowWaits; n++ {
		wait := newIntent(fmt.Sprint("Wait ", n))
		wait.Responses[0].Action, wait.Events = "firstmate.wait", []dfEvent{{fmt.Sprint(dialogflowWaitEvent, n)}}
		a.intents = append(a.intents, wait)
	}
	a.entities = entities(c, ks, used)
	return a
}

func newIntent(name string) dfIntent {
	return dfIntent{
		ID: id("intent/" + name), Name: name, Auto: true, Contexts: []string{}, Priority: 500000, WebhookUsed: true, Events: []dfEvent{},
		Responses: []dfResponse{{
			AffectedContexts: []string{}, Parameters: []dfParameter{}, Speech: []string{},
			Messages: []dfMessage{{Type: "0", Lang: "en", Speech: []string{}}},
		}},
	}
}

// parameters adds those of a sample, if there is room for them.
func (in *dfIntent) parameters(u usable, ks map[string]slotKind, used map[string]bool) bool {
	have := &in.Responses[0].Parameters
	fresh := slices.Clone(*have)
	for _, p := range u.Parts {
		if p.Slot == "" || slices.ContainsFunc(fresh, func(o dfParameter) bool { return o.Name == p.Slot }) {
			continue
		}
		fresh = append(fresh, dfParameter{
			ID: id("parameter/" + in.Name + "/" + p.Slot), Name: p.Slot, DataType: ks[p.Type].dialogflow, Value: "$" + p.Slot, IsList: p.Slot == "targets",
		})
	}
	if len(fresh) > dialogflowParameters {
		return false
	}
	for _, p := range fresh {
		used[p.DataType] = true
	}
	*have = fresh
	return true
}

// phrase annotates a filled sample.
func phrase(u usable, ks map[string]slotKind) (dfPhrase, bool) {
	p := dfPhrase{Lang: "en"}
	for i, part := range u.Parts {
		if i > 0 {
			if last := &p.Data[len(p.Data)-1]; last.Alias == "" {
				last.Text += " "
			} else {
				p.Data = append(p.Data, dfData{Text: " "})
			}
		}
		if part.Slot == "" {
			if n := len(p.Data); n > 0 && p.Data[n-1].Alias == "" {
				p.Data[n-1].Text += part.Text
			} else {
				p.Data = append(p.Data, dfData{Text: part.Text})
			}
			continue
		}
		k := ks[part.Type]
		if k.dialogflow == "" {
			return p, false
		}
		p.Data = append(p.Data, dfData{Text: strings.TrimSuffix(u.filled[i], k.unit), Alias: part.Slot, Meta: k.dialogflow, UserDefined: true})
		if k.unit != "" {
			p.Data = append(p.Data, dfData{Text: k.unit})
		}
	}
	return p, true
}

// entities writes those that parameters use. Names of the cluster expand by
// what is said; the webhook knows which of them exist.
func entities(c *intents.Catalogue, ks map[string]slotKind, used map[string]bool) []dfEntity {
	out := map[string]dfEntity{}
	lists := c.Lists()
	for _, typ := range slices.Sorted(maps.Keys(ks)) {
		k := ks[typ]
		name, own := strings.CutPrefix(k.dialogflow, "@")
		if !own || strings.HasPrefix(name, "sys.") || !used[k.dialogflow] {
			continue
		}
		e := out[name]
		e.ID, e.Name, e.IsOverridable = id("entity/"+name), name, true
		if slices.Contains(lists, typ) {
			values, _ := c.List(typ)
			for _, v := range values {
				if len(v.Said) > 0 {
					e.entries = append(e.entries, dfEntry{v.Value, v.Said[:min(len(v.Said), dialogflowSynonyms)]})
				}
			}
		} else {
			e.AutomatedExpansion = true
			for _, v := range k.examples {
				if !slices.ContainsFunc(e.entries, func(o dfEntry) bool { return o.Value == v }) {
					e.entries = append(e.entries, dfEntry{v, []string{v}})
				}
			}
		}
		out[name] = e
	}
	var list []dfEntity
	for _, name := range slices.Sorted(maps.Keys(out)) {
		list = append(list, out[name])
	}
	return list
}
