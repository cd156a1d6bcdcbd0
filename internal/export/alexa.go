package export

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
)

// What an interaction model may be. Amazon's reference
// (developer.amazon.com/docs/custom-skills/create-the-interaction-model-for-your-skill.html,
// and interaction-model-schema.html of SMAPI) gives the rules of names and
// samples: names of intents, slots and types are letters and underscores, a
// sample is words, blanks, possessive apostrophes, periods of abbreviations and
// {slots}, a slot occurs once, equal samples belong to one intent, and a sample
// with AMAZON.SearchQuery has other words and no other slot. The numbers are
// ours, chosen to stay clear of Amazon's.
const (
	alexaIntents    = 250
	alexaSamples    = 200    // of an intent
	alexaAllSamples = 10_000 // of the skill
	alexaLength     = 200    // characters of a sample
	alexaValue      = 140    // characters of a slot value or synonym
	alexaBytes      = 1_500_000
	alexaInvocation = "first mate" // two words, none of them one that launches skills
)

// alexaModel is a file interactionModels/custom/LOCALE.json of a skill package.
type alexaModel struct {
	InteractionModel struct {
		LanguageModel alexaLanguage `json:"languageModel"`
		Dialog        alexaDialog   `json:"dialog"`
		Prompts       []alexaPrompt `json:"prompts"`
	} `json:"interactionModel"`
}

type alexaLanguage struct {
	InvocationName string        `json:"invocationName"`
	Intents        []alexaIntent `json:"intents"`
	Types          []alexaType   `json:"types"`
}

type alexaIntent struct {
	Name    string      `json:"name"`
	Slots   []alexaSlot `json:"slots,omitempty"`
	Samples []string    `json:"samples"`
}

type alexaSlot struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type alexaType struct {
	Name   string       `json:"name"`
	Values []alexaEntry `json:"values"`
}

type alexaEntry struct {
	ID   string    `json:"id,omitempty"` // the catalogue's value
	Name alexaName `json:"name"`
}

// alexaName always has a synonym: the schema of SMAPI (ask-smapi-model,
// TypeValueObject) demands one.
type alexaName struct {
	Value    string   `json:"value"`
	Synonyms []string `json:"synonyms"`
}

func newName(said []string) alexaName {
	if len(said) == 1 {
		return alexaName{said[0], []string{"the " + said[0]}}
	}
	return alexaName{said[0], said[1:]}
}

// builtIn maps intents of the catalogue to those that Alexa has already; they
// may be given samples but no slots.
func builtIn() map[string]string {
	return map[string]string{
		"confirm": "AMAZON.YesIntent", "deny": "AMAZON.NoIntent", "cancel": "AMAZON.CancelIntent", "repeat": "AMAZON.RepeatIntent", "help": "AMAZON.HelpIntent",
	}
}

// anything is the intent that takes a sentence as it was said, for what no
// sample foresees; the recogniser reads it.
const anything = "anything"

// AlexaMeaning maps the names of a model's intents to what they mean. Alexa
// sends no words: what a sample says without a slot ("double") or around one
// ("remove {delta}") has to be in the name of its intent.
type AlexaMeaning map[string]AlexaIntent

// AlexaIntent is the meaning of one intent of a model.
type AlexaIntent struct {
	Name  string        // in the catalogue
	Slots intents.Slots // that are said without a slot
	// Types are of slots whose value is not the number that Alexa sends: "less"
	// is its negative, "percent_up" a factor.
	Types map[string]string
	// Samples are the sentences of the intent, each of which the recogniser reads
	// as its meaning once the slots are filled.
	Samples []string
}

// Alexa returns an Alexa skill's package: its manifest and its interaction
// model, the same for each kind of English. What samples can show of the catalogue
// is in it; what they cannot goes through the intent “anything”. endpoint is the
// https address that Alexa is to post to.
func Alexa(c *intents.Catalogue, endpoint string) (Files, AlexaMeaning, error) {
	lang, meaning := alexa(c)
	var m alexaModel
	m.InteractionModel.LanguageModel = lang
	m.InteractionModel.Dialog, m.InteractionModel.Prompts = alexaAsks()
	b, err := encode(m)
	if err != nil {
		return nil, nil, err
	}
	skill, err := alexaManifest(endpoint)
	if err != nil {
		return nil, nil, err
	}
	out := Files{"skill.json": skill}
	for _, locale := range alexaLocales() {
		out["interactionModels/custom/"+locale+".json"] = b
	}
	return out, meaning, nil
}

// AlexaMeanings are what the intents of the model mean, without the files.
func AlexaMeanings(c *intents.Catalogue) AlexaMeaning {
	_, meaning := alexa(c)
	return meaning
}

func alexa(c *intents.Catalogue) (alexaLanguage, AlexaMeaning) {
	ks := kinds(c)
	r := reader{intents.NewRecognizer(c), intents.NewInventory(example())}
	lang := alexaLanguage{InvocationName: alexaInvocation}
	meaning := AlexaMeaning{}
	made := map[string]*alexaIntent{}
	types := map[string]bool{}
	taken := map[string]bool{}
	total := 0
	for _, spec := range c.Specs() {
		us, _ := r.usables(c, ks, spec.Name, alexaSamples)
		for _, u := range us {
			shift := shifted(u)
			name := alexaVariant(spec.Name, u.Fixed, shift)
			if native := builtIn()[spec.Name]; native != "" && len(u.Fixed) == 0 && !slices.ContainsFunc(u.Parts, func(p intents.SamplePart) bool { return p.Slot != "" }) {
				name = native
			}
			sample := u.Fill(func(p intents.SamplePart) string { return "{" + p.Slot + "}" + ks[p.Type].unit })
			if taken[sample] || rude(sample) || len(sample) > alexaLength || name == "" || !carries(u, ks) || total == alexaAllSamples {
				continue
			}
			in := made[name]
			if in == nil {
				if len(made) == alexaIntents-len(builtIn())-5 {
					continue
				}
				in = &alexaIntent{Name: name}
				made[name] = in
				meaning[name] = AlexaIntent{Name: spec.Name, Slots: u.Fixed, Types: shift}
			}
			taken[sample] = true
			total++
			in.Samples = append(in.Samples, sample)
			for _, p := range u.Parts {
				if p.Slot == "" {
					continue
				}
				kind := ks[p.Type].alexa
				if !slices.ContainsFunc(in.Slots, func(s alexaSlot) bool { return s.Name == p.Slot }) {
					in.Slots = append(in.Slots, alexaSlot{p.Slot, kind})
				}
				types[kind] = true
			}
		}
	}
	for name, native := range builtIn() {
		if made[native] == nil {
			made[native] = &alexaIntent{Name: native}
			meaning[native] = AlexaIntent{Name: name}
		}
	}
	made["AMAZON.StopIntent"] = &alexaIntent{Name: "AMAZON.StopIntent"}
	made["AMAZON.FallbackIntent"] = &alexaIntent{Name: "AMAZON.FallbackIntent"}
	made["AMAZON.NavigateHomeIntent"] = &alexaIntent{Name: "AMAZON.NavigateHomeIntent"} // every skill with a model must have it
	made["AMAZON.MoreIntent"] = &alexaIntent{Name: "AMAZON.MoreIntent"}                 // the rest of an answer
	meaning["AMAZON.StopIntent"] = AlexaIntent{Name: "cancel"}
	made[anything] = &alexaIntent{Name: anything, Slots: []alexaSlot{{"text", "AMAZON.SearchQuery"}}, Samples: []string{
		"say {text}", "tell the crew {text}", "the order is {text}", "captain says {text}", "my question is {text}",
		"i want to know {text}", "listen {text}", "for the ship {text}", "go and {text}", "now {text}",
	}}
	for _, name := range slices.Sorted(maps.Keys(made)) {
		in := made[name]
		if in.Samples == nil {
			in.Samples = []string{}
		}
		lang.Intents = append(lang.Intents, *in)
		if m, ok := meaning[name]; ok {
			m.Samples = in.Samples
			meaning[name] = m
		}
	}
	lang.Types = alexaTypes(c, ks, types)
	return lang, meaning
}

// rude reports words that people use at three in the morning, and that Amazon
// lets nobody publish.
func rude(sample string) bool {
	for w := range strings.FieldsSeq(sample) {
		switch w {
		case "hell", "tf", "wtf", "bloody", "damn", "damned", "goddamn", "ass", "arse", "freaking", "friggin", "frigging":
			return true
		}
		if strings.Contains(w, "fuck") || strings.Contains(w, "shit") || strings.HasPrefix(w, "crap") {
			return true
		}
	}
	return false
}

// carries reports whether free text, if there is any, stands alone with words
// around it.
func carries(u usable, ks map[string]slotKind) bool {
	slots, free, words := 0, false, false
	for _, p := range u.Parts {
		if p.Slot == "" {
			words = true
			continue
		}
		slots++
		free = free || ks[p.Type].alexa == "AMAZON.SearchQuery"
	}
	return !free || slots == 1 && words
}

// shifted gives the types of a sample's slots whose value is not what is said.
func shifted(u usable) map[string]string {
	out := map[string]string{}
	for _, p := range u.Parts {
		switch p.Type {
		case "less", "percent_up", "percent_down", "percent_of":
			out[p.Slot] = p.Type
		}
	}
	return out
}

// alexaVariant names the intent of samples that fix slots or shift them: status
// and what=version are status_what_version, scale by {delta:less} is
// scale_delta_less. It is "" where no name would be legal.
func alexaVariant(intent string, fixed intents.Slots, shift map[string]string) string {
	name := intent
	for _, slot := range slices.Sorted(maps.Keys(shift)) {
		name += "_" + slot + "_" + shift[slot]
	}
	for _, slot := range slices.Sorted(maps.Keys(fixed)) {
		name += "_" + slot + "_" + letters(fmt.Sprint(fixed[slot]))
	}
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return ""
	}
	return name
}

// letters writes a value without digits and signs.
func letters(value string) string {
	digit := []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
	var out []string
	word := ""
	flush := func() {
		if word != "" {
			out = append(out, word)
			word = ""
		}
	}
	for _, r := range strings.ToLower(value) {
		switch {
		case r >= '0' && r <= '9':
			flush()
			n, _ := strconv.Atoi(string(r))
			out = append(out, digit[n])
		case r == '.':
			flush()
			out = append(out, "point")
		case r == '-':
			flush()
			out = append(out, "minus")
		case r == '@':
		case r == '*':
			out = append(out, "all")
		default:
			if r == ' ' || r == '_' {
				flush()
				continue
			}
			word += string(r)
		}
	}
	flush()
	return strings.Join(out, "_")
}

// alexaTypes writes the slot types that samples use. Names of the cluster are
// dynamic entities: what stands here only gives them a beginning.
func alexaTypes(c *intents.Catalogue, ks map[string]slotKind, used map[string]bool) []alexaType {
	out := map[string]alexaType{}
	lists := c.Lists()
	for _, typ := range slices.Sorted(maps.Keys(ks)) {
		k := ks[typ]
		if !used[k.alexa] || strings.HasPrefix(k.alexa, "AMAZON.") {
			continue
		}
		t := out[k.alexa]
		t.Name = k.alexa
		if slices.Contains(lists, typ) {
			entries, _ := c.List(typ)
			seen := map[string]bool{}
			for _, e := range entries {
				var said []string
				for _, s := range e.Said {
					if spoken(s) && len(s) <= alexaValue && !seen[s] {
						seen[s] = true
						said = append(said, s)
					}
				}
				if len(said) > 0 {
					t.Values = append(t.Values, alexaEntry{e.Value, newName(said)})
				}
			}
		} else {
			for _, e := range k.examples {
				if !slices.ContainsFunc(t.Values, func(v alexaEntry) bool { return v.Name.Value == e }) {
					t.Values = append(t.Values, alexaEntry{Name: newName([]string{e})})
				}
			}
		}
		out[k.alexa] = t
	}
	types := []alexaType{}
	for _, name := range slices.Sorted(maps.Keys(out)) {
		types = append(types, out[name])
	}
	return types
}
