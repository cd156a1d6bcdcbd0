package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/peers"
)

// What follows knows nothing of how the files are made: it reads them as JSON
// and holds them to what Amazon publishes, in
// developer.amazon.com/docs/custom-skills/create-intents-utterances-and-slots.html,
// …/create-the-interaction-model-for-your-skill.html,
// …/choose-the-invocation-name-for-a-custom-skill.html,
// developer.amazon.com/docs/smapi/interaction-model-schema.html and
// …/skill-manifest.html.

type object = map[string]any

// rules collects what is wrong.
type rules struct{ wrong []string }

func (r *rules) say(format string, a ...any) { r.wrong = append(r.wrong, fmt.Sprintf(format, a...)) }

// get walks to a value; what is not there, or another kind of thing, is wrong.
func get[T any](r *rules, o object, path ...string) (out T) {
	var at any = o
	for _, p := range path {
		m, _ := at.(object)
		at = m[p]
	}
	out, ok := at.(T)
	if !ok {
		r.say("%s is %T", strings.Join(path, "."), at)
	}
	return out
}

func each(r *rules, o object, path ...string) (out []object) {
	for i, e := range get[[]any](r, o, path...) {
		m, ok := e.(object)
		if !ok {
			r.say("%s[%d] is %T", strings.Join(path, "."), i, e)
		}
		out = append(out, m)
	}
	return out
}

var (
	alexaNames    = regexp.MustCompile(`^[A-Za-z]([A-Za-z_]*[A-Za-z])?$`)
	alexaBuiltIn  = regexp.MustCompile(`^AMAZON\.[A-Za-z]+Intent$`)
	alexaWords    = regexp.MustCompile(`^[\p{L}\p{M} .'_-]+$`)
	alexaHole     = regexp.MustCompile(`\{([^{}]*)\}`)
	alexaPublicly = regexp.MustCompile(`^[a-z.' ]+$`)
)

// alexaModelRules says what is wrong with an interaction model.
func alexaModelRules(b []byte) []string {
	r := &rules{}
	var file object
	if err := json.Unmarshal(b, &file); err != nil {
		return []string{err.Error()}
	}
	if len(b) > 1_500_000 {
		r.say("%d bytes", len(b))
	}
	im := get[object](r, file, "interactionModel")
	lang := get[object](r, im, "languageModel")
	r.invocation(get[string](r, lang, "invocationName"))
	types := r.types(each(r, lang, "types"))
	slots := r.intents(each(r, lang, "intents"), types)
	r.dialog(im, slots)
	return r.wrong
}

// invocation: two words at least, lower case, and none that Alexa listens to itself.
func (r *rules) invocation(name string) {
	words := strings.Fields(name)
	if len(words) < 2 || len(name) < 2 || len(name) > 50 || !alexaPublicly.MatchString(name) || strings.Join(words, " ") != name {
		r.say("invocation name %q", name)
	}
	reserved := strings.Fields("alexa amazon echo computer skill app " + // wake words, and what Amazon forbids
		"run start play resume use launch ask open tell load begin enable " + // launching
		"to from in using with about for that by if and whether") // connecting
	articles := strings.Fields("the a an")
	for _, w := range words {
		if slices.Contains(reserved, w) || len(words) == 2 && slices.Contains(articles, w) {
			r.say("invocation name %q has the word %q", name, w)
		}
	}
}

// types returns the names of custom slot types.
func (r *rules) types(all []object) map[string]bool {
	out := map[string]bool{}
	values := 0
	for _, t := range all {
		name := get[string](r, t, "name")
		if !alexaNames.MatchString(name) || out[name] {
			r.say("slot type %q", name)
		}
		out[name] = true
		vs := each(r, t, "values")
		if len(vs) == 0 {
			r.say("slot type %s has no values", name)
		}
		said, ids := map[string]bool{}, map[string]bool{}
		for _, v := range vs {
			values++
			if id, ok := v["id"].(string); ok && (ids[id] || id == "" || len(id) > 100) {
				r.say("slot type %s: id %q", name, id)
			} else if ok {
				ids[id] = true
			}
			forms := append([]any{get[string](r, v, "name", "value")}, get[[]any](r, v, "name", "synonyms")...)
			for _, f := range forms {
				s, ok := f.(string)
				if !ok || s == "" || len(s) > 140 || strings.TrimSpace(s) != s || said[strings.ToLower(s)] {
					r.say("slot type %s: %q is twice, too long or nothing", name, f)
				}
				said[strings.ToLower(s)] = true
			}
		}
	}
	if values > 50_000 {
		r.say("%d slot values", values)
	}
	return out
}

// intents returns the slots of each intent with their types.
func (r *rules) intents(all []object, types map[string]bool) map[string]map[string]string {
	amazon := []string{"AMAZON.NUMBER", "AMAZON.FOUR_DIGIT_NUMBER", "AMAZON.SearchQuery", "AMAZON.DURATION", "AMAZON.TIME", "AMAZON.DATE"}
	native := []string{"Cancel", "Fallback", "Help", "NavigateHome", "No", "Repeat", "Stop", "Yes", "More", "Next", "Previous", "StartOver"}
	out := map[string]map[string]string{}
	whose := map[string]string{}
	if len(all) > 250 {
		r.say("%d intents", len(all))
	}
	for _, in := range all {
		name := get[string](r, in, "name")
		built := alexaBuiltIn.MatchString(name)
		if !built && (!alexaNames.MatchString(name) || strings.HasPrefix(name, "AMAZON")) || out[name] != nil ||
			built && !slices.Contains(native, strings.TrimSuffix(strings.TrimPrefix(name, "AMAZON."), "Intent")) {
			r.say("intent %q", name)
		}
		out[name] = map[string]string{}
		if in["slots"] != nil {
			for _, s := range each(r, in, "slots") {
				slot, typ := get[string](r, s, "name"), get[string](r, s, "type")
				if !alexaNames.MatchString(slot) || out[name][slot] != "" || !types[typ] && !slices.Contains(amazon, typ) || built {
					r.say("intent %s: slot %q of the type %q", name, slot, typ)
				}
				out[name][slot] = typ
			}
		}
		samples := get[[]any](r, in, "samples")
		if !built && len(samples) == 0 {
			r.say("intent %s has no samples", name)
		}
		used := map[string]bool{}
		for _, v := range samples {
			s, _ := v.(string)
			r.sample(name, s, out[name], used)
			plain := strings.ToLower(s)
			if other, ok := whose[plain]; ok {
				r.say("%q is a sample of %s and of %s", s, other, name)
			}
			whose[plain] = name
		}
		for slot := range out[name] {
			if !used[slot] {
				r.say("intent %s: nothing says the slot %s", name, slot)
			}
		}
	}
	for _, must := range []string{"Cancel", "Help", "Stop", "NavigateHome", "Fallback", "Yes", "No", "Repeat"} {
		if out["AMAZON."+must+"Intent"] == nil {
			r.say("there is no AMAZON.%sIntent", must)
		}
	}
	return out
}

func (r *rules) sample(intent, s string, slots map[string]string, used map[string]bool) {
	if s == "" || len(s) > 200 || strings.Join(strings.Fields(s), " ") != s {
		r.say("intent %s: sample %q", intent, s)
	}
	here, free := map[string]bool{}, false
	for _, m := range alexaHole.FindAllStringSubmatch(s, -1) {
		if slots[m[1]] == "" || here[m[1]] {
			r.say("intent %s: sample %q has the slot %s twice, or does not declare it", intent, s, m[1])
		}
		here[m[1]], used[m[1]] = true, true
		free = free || slots[m[1]] == "AMAZON.SearchQuery"
	}
	words := strings.TrimSpace(alexaHole.ReplaceAllString(s, " "))
	if words != "" && !alexaWords.MatchString(words) {
		r.say("intent %s: sample %q has signs that nobody can say", intent, s)
	}
	if rude := regexp.MustCompile(`(?i)\b(\w*fuck\w*|\w*shit\w*|damn\w*|goddamn\w*|hell|tf|wtf|bloody|crap\w*|ass|arse)\b`).FindString(words); rude != "" {
		r.say("intent %s: sample %q: Amazon takes no %q", intent, s, rude)
	}
	if free && (words == "" || len(here) > 1) {
		r.say("intent %s: sample %q: free speech needs words before it, and no other slot", intent, s)
	}
}

// dialog: what may be asked for is there, and there are words to ask with.
func (r *rules) dialog(im object, slots map[string]map[string]string) {
	prompts := map[string]bool{}
	for _, p := range each(r, im, "prompts") {
		id := get[string](r, p, "id")
		vs := each(r, p, "variations")
		if id == "" || prompts[id] || len(vs) == 0 || len(vs) > 5 {
			r.say("prompt %q with %d variations", id, len(vs))
		}
		prompts[id] = true
		for _, v := range vs {
			if typ, said := get[string](r, v, "type"), get[string](r, v, "value"); typ != "PlainText" && typ != "SSML" || said == "" || len(said) > 200 {
				r.say("prompt %s: %v", id, v)
			}
		}
	}
	for _, in := range each(r, im, "dialog", "intents") {
		name := get[string](r, in, "name")
		known := slots[name]
		if known == nil {
			r.say("the dialog has an intent %q that the model has not", name)
		}
		ask := each(r, in, "slots")
		if len(ask) != len(known) {
			r.say("the dialog has %d of %d slots of %s", len(ask), len(known), name)
		}
		for _, s := range ask {
			slot := get[string](r, s, "name")
			if typ := get[string](r, s, "type"); known[slot] != typ {
				r.say("the dialog's slot %s is a %q, the model's a %q", slot, typ, known[slot])
			}
			if id, _ := get[object](r, s, "prompts")["elicitation"].(string); get[bool](r, s, "elicitationRequired") && !prompts[id] {
				r.say("the slot %s is asked for by a prompt %q that is not there", slot, id)
			}
		}
	}
}

// alexaManifestRules says what is wrong with a skill's manifest.
func alexaManifestRules(b []byte, models []string) []string {
	r := &rules{}
	var file object
	if err := json.Unmarshal(b, &file); err != nil {
		return []string{err.Error()}
	}
	m := get[object](r, file, "manifest")
	if v := get[string](r, m, "manifestVersion"); v != "1.0" {
		r.say("manifest version %q", v)
	}
	endpoint := get[object](r, m, "apis", "custom", "endpoint")
	u, err := url.Parse(get[string](r, endpoint, "uri"))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Port() != "" && u.Port() != "443" {
		r.say("endpoint %v, %v", u, err)
	}
	if kind := get[string](r, endpoint, "sslCertificateType"); !slices.Contains([]string{"Trusted", "Wildcard", "SelfSigned"}, kind) {
		r.say("certificate type %q", kind)
	}
	for _, p := range each(r, m, "permissions") {
		if n := get[string](r, p, "name"); !strings.HasPrefix(n, "alexa::") {
			r.say("permission %q", n)
		}
	}
	info := get[object](r, m, "publishingInformation")
	if c := get[string](r, info, "category"); !regexp.MustCompile(`^[A-Z]+(_[A-Z]+)*$`).MatchString(c) {
		r.say("category %q", c)
	}
	if t := get[string](r, info, "testingInstructions"); t == "" || len(t) > 4000 {
		r.say("testing instructions of %d characters", len(t))
	}
	if !get[bool](r, info, "isAvailableWorldwide") && len(get[[]any](r, info, "distributionCountries")) == 0 {
		r.say("available nowhere")
	}
	locales := get[object](r, info, "locales")
	for name, v := range locales {
		l, _ := v.(object)
		if !slices.Contains(models, name) {
			r.say("locale %s without a model", name)
		}
		if n := get[string](r, l, "name"); len(n) < 2 || len(n) > 50 {
			r.say("%s: name %q", name, n)
		}
		if s := get[string](r, l, "summary"); s == "" || len(s) > 160 {
			r.say("%s: summary of %d characters", name, len(s))
		}
		if s := get[string](r, l, "description"); s == "" || len(s) > 4000 {
			r.say("%s: description of %d characters", name, len(s))
		}
		phrases := get[[]any](r, l, "examplePhrases")
		if len(phrases) == 0 || len(phrases) > 3 {
			r.say("%s: %d example phrases", name, len(phrases))
		}
		for _, p := range phrases {
			if s, _ := p.(string); !strings.HasPrefix(s, "Alexa, ") || !strings.Contains(s, "first mate") || len(s) > 200 {
				r.say("%s: example phrase %q", name, p)
			}
		}
		if words := get[[]any](r, l, "keywords"); len(words) > 30 {
			r.say("%s: %d keywords", name, len(words))
		}
	}
	for _, name := range models {
		if locales[name] == nil {
			r.say("model %s without its locale", name)
		}
	}
	for name := range get[object](r, m, "privacyAndCompliance", "locales") {
		if !slices.Contains(models, name) {
			r.say("privacy in %s without a model", name)
		}
	}
	for _, flag := range []string{"allowsPurchases", "usesPersonalInfo", "isChildDirected", "isExportCompliant", "containsAds"} {
		get[bool](r, m, "privacyAndCompliance", flag)
	}
	return r.wrong
}

func alexaFiles(t *testing.T) Files {
	t.Helper()
	files, _, err := Alexa(english(), AlexaEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTheSkillKeepsAmazonsRules(t *testing.T) {
	files := alexaFiles(t)
	if len(files) != 3 {
		t.Errorf("%d files", len(files))
	}
	for _, locale := range []string{"en-GB", "en-US"} {
		model := files["interactionModels/custom/"+locale+".json"]
		for _, w := range alexaModelRules(model) {
			t.Errorf("%s: %s", locale, w)
		}
		if !bytes.Contains(model, []byte(`"invocationName": "first mate"`)) {
			t.Errorf("%s: it is not called first mate", locale)
		}
	}
	for _, w := range alexaManifestRules(files["skill.json"], []string{"en-GB", "en-US"}) {
		t.Errorf("skill.json: %s", w)
	}
}

// TestTheRulesNotice holds that the rules are not kept by looking away: each
// change of the files is one that Amazon refuses.
func TestTheRulesNotice(t *testing.T) {
	files, _, err := Alexa(small(t), AlexaEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	model, skill := string(files["interactionModels/custom/en-US.json"]), string(files["skill.json"])
	if w := alexaModelRules([]byte(model)); len(w) > 0 {
		t.Fatalf("%q", w)
	}
	for _, tt := range []struct{ of, old, new string }{
		{model, `"first mate"`, `"firstmate"`},
		{model, `"first mate"`, `"First Mate"`},
		{model, `"first mate"`, `"the mate"`},
		{model, `"first mate"`, `"ask mate"`},
		{model, `"first mate"`, `"mate number 1"`},
		{model, `"name": "anything"`, `"name": "any thing"`},
		{model, `"name": "anything"`, `"name": "anything2"`},
		{model, `"say {text}"`, `"{text}"`},
		{model, `"say {text}"`, `"say {text} {text}"`},
		{model, `"say {text}"`, `"say {words}"`},
		{model, `"say {text}"`, `"say, {text}"`},
		{model, `"say {text}"`, `"say 5 {text}"`},
		{model, `"say {text}"`, `"say  {text}"`},
		{model, `"say {text}"`, `"tell the crew {text}"`},
		{model, `"say {text}"`, `"` + strings.Repeat("say ", 60) + `{text}"`},
		{model, `"say {text}"`, `7`},
		{model, `"AMAZON.SearchQuery"`, `"AMAZON.Anything"`},
		{model, `"type": "Workload"`, `"type": "Work"`},
		{model, `"AMAZON.StopIntent"`, `"AMAZON.HaltIntent"`},
		{model, `"AMAZON.NavigateHomeIntent"`, `"Home"`},
		{model, `"name": "Workload"`, `"name": "Workload2"`},
		{model, `"Elicit.Slot.anything.text"`, `"Elicit.Slot.else"`},
		{model, `"PlainText"`, `"Text"`},
		{model, `"interactionModel"`, `"model"`},
		{skill, `"https://`, `"http://`},
		{skill, `"Trusted"`, `"trusted"`},
		{skill, `"en-GB"`, `"en-AU"`},
		{skill, `"Alexa, open first mate"`, `"open first mate"`},
		{skill, `"1.0"`, `"2"`},
		{skill, `"isExportCompliant": true`, `"isExportCompliant": "yes"`},
		{skill, `"summary": "`, `"summary": "` + strings.Repeat("x", 160)},
	} {
		if !strings.Contains(tt.of, tt.old) {
			t.Errorf("there is no %s to change", tt.old)
			continue
		}
		broken := []byte(strings.Replace(tt.of, tt.old, tt.new, 1))
		wrong := alexaModelRules(broken)
		if tt.of == skill {
			wrong = alexaManifestRules(broken, []string{"en-GB", "en-US"})
		}
		if len(wrong) == 0 {
			t.Errorf("%s for %s is noticed by nobody", tt.new, tt.old)
		}
	}
}

// TestAmazonsOwnTypes has TypeScript hold the files to the types that Amazon
// publishes for its Skill Management API: no field that it does not know, none
// of another type, no word that it does not list.
func TestAmazonsOwnTypes(t *testing.T) {
	dir := peers.Node(t, "smapi")
	files := alexaFiles(t)
	check := func(model, skill []byte) (string, error) {
		source := fmt.Sprintf("import { v1 } from \"ask-smapi-model\";\nexport const model: v1.skill.interactionModel.InteractionModelData = %s;\nexport const skill: v1.skill.Manifest.SkillManifestEnvelope = %s;\n", model, skill)
		if err := os.WriteFile(filepath.Join(dir, "skill.ts"), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--preserveSymlinks", "skill.ts")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	model, skill := files["interactionModels/custom/en-US.json"], files["skill.json"]
	if out, err := check(model, skill); err != nil {
		t.Errorf("%v: %.2000s", err, out)
	}
	few, _, err := Alexa(small(t), AlexaEndpoint) // that they do look
	if err != nil {
		t.Fatal(err)
	}
	model = few["interactionModels/custom/en-US.json"]
	for _, change := range [][2]string{{`"delegationStrategy"`, `"strategy"`}, {`"SKILL_RESPONSE"`, `"NEVER"`}, {`"elicitationRequired": true`, `"elicitationRequired": "yes"`}} {
		if !bytes.Contains(model, []byte(change[0])) {
			t.Errorf("no %s", change[0])
		}
		if out, err := check(bytes.Replace(model, []byte(change[0]), []byte(change[1]), 1), skill); err == nil {
			t.Errorf("%s is noticed by nobody: %s", change[1], out)
		}
	}
	if out, err := check(model, bytes.Replace(skill, []byte(`"PRIVATE"`), []byte(`"SECRET"`), 1)); err == nil {
		t.Errorf("a distribution that there is not is noticed by nobody: %s", out)
	}
}
