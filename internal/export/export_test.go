package export

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"go.yaml.in/yaml/v3"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files anew")

var english = sync.OnceValue(func() *intents.Catalogue {
	c, err := intents.English()
	if err != nil {
		panic(err)
	}
	return c
})

var (
	both  = sync.OnceValues(func() (alexaLanguage, AlexaMeaning) { return alexa(english()) })
	agent = sync.OnceValue(func() dfAgent { return dialogflow(english()) })
)

// small is a catalogue whose exports can be read.
func small(t *testing.T) *intents.Catalogue {
	t.Helper()
	c, err := intents.Load(fstest.MapFS{"a.yaml": {Data: []byte(`
words: {lead: [please], and: [and], environments: [production]}
numbers: {units: {three: 3, five: 5, eight: 8}}
intents:
  scale:
    risk: write
    help: change how many pods run
    slots: {targets: {type: target, required: true}, replicas: {type: int}, delta: {type: int}, factor: {type: number}, namespace: {type: namespace}}
    sentences:
      - (scale|set) {targets} to {replicas} [pods] [in {namespace}]
      - double {targets} {factor=2}
      - remove {delta:less} pods from {targets}
      - kubectl scale {targets} --replicas {replicas}
  confirm: {risk: none, help: say yes, slots: {}, sentences: [(yes|go ahead)]}
  logs:
    risk: read
    help: read logs
    slots: {targets: {type: target}, filter: {type: phrase}, level: {type: level}}
    sentences: ["search for {filter}", "logs of {targets} with {filter}", "[all] {level} logs of {targets}"]
lists:
  level: {error: [error, errors], warning: [warning]}
`)}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGolden(t *testing.T) {
	a, meaning, err := Alexa(small(t), AlexaEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	if m := meaning["scale_factor_two"]; m.Name != "scale" || m.Slots.String("factor") != "2" {
		t.Errorf("scale_factor_two means %+v", m)
	}
	if m := meaning["scale_delta_less"]; m.Name != "scale" || m.Types["delta"] != "less" {
		t.Errorf("scale_delta_less means %+v", m)
	}
	d, err := Dialogflow(small(t))
	if err != nil {
		t.Fatal(err)
	}
	cx, err := DialogflowCX(small(t))
	if err != nil {
		t.Fatal(err)
	}
	for platform, files := range map[string]Files{"alexa": a, "dialogflow": d, "dialogflow-cx": cx} {
		golden := filepath.Join("testdata", platform)
		if *update {
			if err := files.Write(golden); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := written(golden)
		if err != nil || len(kept) != len(files) {
			t.Errorf("%s: %d files, golden are %d, %v", platform, len(files), len(kept), err)
		}
		for name, content := range files {
			if want, err := os.ReadFile(filepath.Join(golden, name)); err != nil || string(want) != string(content) {
				t.Errorf("%s differs from its golden file (%v): look at it, then go test ./internal/export -update", name, err)
			}
		}
	}
}

func TestAlexaLimits(t *testing.T) {
	lang, meaning := both()
	types := map[string]bool{"AMAZON.NUMBER": true, "AMAZON.SearchQuery": true}
	legal := regexp.MustCompile(`^[A-Za-z_]+$`)
	for _, typ := range lang.Types {
		if types[typ.Name] || !legal.MatchString(typ.Name) || len(typ.Values) == 0 {
			t.Errorf("type %q with %d values", typ.Name, len(typ.Values))
		}
		types[typ.Name] = true
		seen := map[string]bool{}
		for _, v := range typ.Values {
			if len(v.Name.Synonyms) == 0 {
				t.Errorf("type %s: %q has no synonym", typ.Name, v.Name.Value)
			}
			for _, s := range append([]string{v.Name.Value}, v.Name.Synonyms...) {
				if seen[s] || s == "" || len(s) > alexaValue || !spoken(s) {
					t.Errorf("type %s: value %q", typ.Name, s)
				}
				seen[s] = true
			}
		}
	}
	if len(lang.Intents) > alexaIntents {
		t.Errorf("%d intents", len(lang.Intents))
	}
	slot := regexp.MustCompile(`\{([a-z_]+)\}`)
	seen := map[string]string{}
	names := map[string]bool{}
	for _, in := range lang.Intents {
		if names[in.Name] || !legal.MatchString(strings.TrimPrefix(in.Name, "AMAZON.")) {
			t.Errorf("intent %q", in.Name)
		}
		names[in.Name] = true
		native := strings.HasPrefix(in.Name, "AMAZON.")
		if native && len(in.Slots) > 0 || !native && len(in.Samples) == 0 || in.Samples == nil || len(in.Samples) > alexaSamples {
			t.Errorf("%s has %d samples and slots %v", in.Name, len(in.Samples), in.Slots)
		}
		kind := map[string]string{}
		for _, s := range in.Slots {
			if kind[s.Name] != "" || !types[s.Type] || !legal.MatchString(s.Name) {
				t.Errorf("%s: slot %+v", in.Name, s)
			}
			kind[s.Name] = s.Type
		}
		used := map[string]bool{}
		for _, s := range in.Samples {
			if other, dup := seen[s]; dup {
				t.Errorf("%q belongs to %s and %s", s, other, in.Name)
			}
			seen[s] = in.Name
			words := strings.Join(strings.Fields(slot.ReplaceAllString(s, " ")), " ")
			if !spoken(words) || len(s) > alexaLength || strings.Contains(s, "  ") {
				t.Errorf("%s: sample %q", in.Name, s)
			}
			here := map[string]bool{}
			free := false
			for _, m := range slot.FindAllStringSubmatch(s, -1) {
				if here[m[1]] || kind[m[1]] == "" {
					t.Errorf("%s: sample %q repeats or does not declare %s", in.Name, s, m[1])
				}
				here[m[1]], used[m[1]] = true, true
				free = free || kind[m[1]] == "AMAZON.SearchQuery"
			}
			if free && len(here) > 1 {
				t.Errorf("%s: free text beside another slot: %q", in.Name, s)
			}
		}
		for name := range kind {
			if !used[name] {
				t.Errorf("%s: no sample has the slot %s", in.Name, name)
			}
		}
	}
	for _, must := range strings.Fields("HelpIntent StopIntent CancelIntent YesIntent NoIntent FallbackIntent RepeatIntent") {
		if !names["AMAZON."+must] {
			t.Errorf("AMAZON.%s is missing", must)
		}
	}
	b, err := encode(lang)
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) > alexaAllSamples || len(b) > alexaBytes || !regexp.MustCompile(`^[a-z]+ [a-z ]+$`).MatchString(lang.InvocationName) {
		t.Errorf("%d samples, %d bytes, called %q", len(seen), len(b), lang.InvocationName)
	}
	for name := range names {
		if _, ok := meaning[name]; !ok && !slices.Contains([]string{anything, "AMAZON.FallbackIntent", "AMAZON.MoreIntent", "AMAZON.NavigateHomeIntent"}, name) {
			t.Errorf("nobody knows what %s means", name)
		}
	}
	t.Logf("%d intents, %d samples, %d bytes", len(lang.Intents), len(seen), len(b))
}

func TestDialogflowLimits(t *testing.T) {
	a := agent()
	entity := map[string]bool{"@sys.number": true, "@sys.any": true}
	ids := map[string]string{}
	once := func(id, what string) {
		if old, dup := ids[id]; dup || len(id) != 36 {
			t.Errorf("id %s of %s and %s", id, old, what)
		}
		ids[id] = what
	}
	for _, e := range a.entities {
		once(e.ID, e.Name)
		entity["@"+e.Name] = true
		if len(e.entries) == 0 || len(e.Name) > 30 {
			t.Errorf("entity %q with %d entries", e.Name, len(e.entries))
		}
		for _, v := range e.entries {
			if v.Value == "" || len(v.Synonyms) == 0 || len(v.Synonyms) > dialogflowSynonyms {
				t.Errorf("entity %s: %+v", e.Name, v)
			}
		}
	}
	if len(a.entities) > dialogflowEntities || len(a.intents) > dialogflowIntents {
		t.Errorf("%d entities, %d intents", len(a.entities), len(a.intents))
	}
	seen := map[string]string{}
	fallbacks, welcomes := 0, 0
	for _, in := range a.intents {
		once(in.ID, in.Name)
		if !in.WebhookUsed || len(in.Responses) != 1 || len(in.Responses[0].Parameters) > dialogflowParameters || len(a.phrases[in.Name]) > dialogflowPhrases {
			t.Errorf("intent %+v", in)
		}
		if in.FallbackIntent {
			fallbacks++
		}
		if slices.Contains(in.Events, dfEvent{"WELCOME"}) {
			welcomes++
		}
		params := map[string]string{}
		for _, p := range in.Responses[0].Parameters {
			once(p.ID, in.Name+"."+p.Name)
			if params[p.Name] != "" || !entity[p.DataType] || len(p.Name) > 30 || p.Value != "$"+p.Name {
				t.Errorf("%s: parameter %+v", in.Name, p)
			}
			params[p.Name] = p.DataType
		}
		for _, p := range a.phrases[in.Name] {
			once(p.ID, p.text())
			if other, dup := seen[p.text()]; dup || len(p.text()) > dialogflowLength || strings.Contains(p.text(), "  ") {
				t.Errorf("phrase %q of %s and %s", p.text(), other, in.Name)
			}
			seen[p.text()] = in.Name
			for _, d := range p.Data {
				if d.Text == "" || (d.Alias != "") != (d.Meta != "") || d.Alias != "" && params[d.Alias] != d.Meta {
					t.Errorf("%s: phrase %q: %+v", in.Name, p.text(), d)
				}
			}
		}
	}
	if fallbacks != 1 || welcomes != 1 {
		t.Errorf("%d fallback intents, %d welcome intents", fallbacks, welcomes)
	}
	t.Logf("%d intents, %d phrases, %d entities", len(a.intents), len(seen), len(a.entities))
}

// TestNothingIsHalfSaid holds that what a platform reports of a sample is all
// that it says: a slot that Alexa cannot send is in the intent's name, and what
// the agent would lose of a change is not in the agent.
func TestNothingIsHalfSaid(t *testing.T) {
	lang, meaning := both()
	r := intents.NewRecognizer(english())
	inv := intents.NewInventory(example())
	say := strings.NewReplacer("{targets}", "web", "{delta}", "three", "{replicas}", "three", "{factor}", "three", "{namespace}", "staging")
	told := 0
	for _, in := range lang.Intents {
		m := meaning[in.Name]
		if m.Name != "scale" {
			continue
		}
		for _, s := range in.Samples {
			got := r.Recognize(say.Replace(s), inv, intents.Expect{})
			for _, slot := range []string{"delta", "factor", "replicas"} {
				if !got.Slots.Has(slot) {
					continue
				}
				told++
				want, fixed := m.Slots.Number(slot)
				if !fixed {
					want = map[string]float64{"": 3, "less": -3, "percent_up": 1.03, "percent_down": 0.97, "percent_of": 0.03}[m.Types[slot]]
				}
				if n, _ := got.Slots.Number(slot); n != want {
					t.Errorf("%s: %q is %s %v, and Alexa would make it %v", in.Name, s, slot, n, want)
				}
			}
		}
	}
	if told < 100 {
		t.Errorf("only %d numbers", told)
	}
	for _, p := range agent().phrases["scale"] {
		if got := r.Recognize(p.text(), inv, intents.Expect{}); got.Slots.Has("factor") && !slices.ContainsFunc(p.Data, func(d dfData) bool { return d.Alias == "factor" }) {
			t.Errorf("the agent loses the factor of %q", p.text())
		} else if n, ok := got.Slots.Number("delta"); ok && n < 0 {
			t.Errorf("the agent loses the sign of %q", p.text())
		}
	}
}

// fixture is the inventory of the catalogue's own tests.
func fixture(t *testing.T) intents.InventoryData {
	t.Helper()
	b, err := os.ReadFile("../../intents/en/tests/inventory.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Inventory intents.InventoryData `yaml:"inventory"`
	}
	if err := yaml.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	return f.Inventory
}

// TestSamplesReadBack holds that what Alexa is told is read as the same intent
// also with the names of another cluster.
func TestSamplesReadBack(t *testing.T) {
	inv := fixture(t)
	r := intents.NewRecognizer(english())
	index := intents.NewInventory(inv)
	lang, meaning := both()
	values := map[string][]string{
		"Workload": {"cart", "image resizer", "notifications"}, "Namespace": {inv.Namespaces[0], inv.Namespaces[1]}, "Node": {inv.Nodes[0]}, "Cluster": {inv.Clusters[0]},
		"AMAZON.NUMBER": {"four", "six", "twelve"}, "Version": {"three point one"}, "AMAZON.SearchQuery": {"out of memory"}, "Moment": {"fifteen minutes"},
	}
	for _, typ := range lang.Types {
		if values[typ.Name] == nil {
			for _, v := range typ.Values {
				values[typ.Name] = append(values[typ.Name], v.Name.Value)
			}
		}
	}
	total, wrong := 0, 0
	for _, in := range lang.Intents {
		for _, s := range in.Samples {
			if in.Name == anything {
				continue
			}
			text := s
			for i, slot := range in.Slots {
				if slot.Type == "Moment" { // what fits differs from sample to sample
					text = ""
					break
				}
				v := values[slot.Type]
				text = strings.ReplaceAll(text, "{"+slot.Name+"}", v[(total+i)%len(v)])
			}
			if text == "" {
				continue
			}
			total++
			if got := r.Recognize(text, index, intents.Expect{}); got.Intent != meaning[in.Name].Name {
				wrong++
				t.Logf("%s: %q reads as %s", in.Name, text, got.Intent)
			}
		}
	}
	// A list's value may be another part of speech than the sample's own: “with
	// errors” and “with latest”. More than a few of those are a mistake.
	if total < 500 || wrong*100 > total {
		t.Errorf("%d of %d samples are read as something else", wrong, total)
	}
}

// TestFewSamplesAreLeftOut holds that the catalogue does not say one thing and
// mean another: what the recogniser reads differently is not exported.
func TestFewSamplesAreLeftOut(t *testing.T) {
	c := english()
	r := reader{intents.NewRecognizer(c), intents.NewInventory(example())}
	for _, spec := range c.Specs() {
		us, misread := r.usables(c, kinds(c), spec.Name, alexaSamples)
		t.Logf("%s: %d samples, %d read as something else: %.3q", spec.Name, len(us), len(misread), misread)
		if len(us) == 0 && spec.Name != "chain" && spec.Name != intents.OutOfScope {
			t.Errorf("%s cannot be said", spec.Name)
		}
		if len(misread) > 10+len(us)/2 {
			t.Errorf("%s: %d samples are read as it, %d as something else", spec.Name, len(us), len(misread))
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		return string(b)
	}
	if err := (Files{"a.json": []byte("1"), "in/b.json": []byte("2")}).Write(dir); err != nil || read("in/b.json") != "2" {
		t.Fatal(err, read("in/b.json"))
	}
	if err := os.WriteFile(filepath.Join(dir, "mine.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (Files{"a.json": []byte("3")}).Write(dir); err != nil || read("a.json") != "3" || read("in/b.json") != "" || read("mine.txt") != "mine" {
		t.Errorf("%v: %q %q %q", err, read("a.json"), read("in/b.json"), read("mine.txt"))
	}
	if err := (Files{"a.json": []byte("4"), "mine.txt": []byte("4")}).Write(dir); fault.KindOf(err) != fault.Usage || read("a.json") != "3" || read("mine.txt") != "mine" {
		t.Errorf("%v: %q %q", err, read("a.json"), read("mine.txt"))
	}
	if err := os.Remove(filepath.Join(dir, manifest)); err != nil {
		t.Fatal(err)
	}
	if err := (Files{"a.json": []byte("5")}).Write(dir); fault.KindOf(err) != fault.Usage || !strings.Contains(fault.Say(err), "not empty") || read("a.json") != "3" {
		t.Errorf("%v: %q", err, read("a.json"))
	}
	outside := filepath.Join(filepath.Dir(dir), "precious")
	for file, content := range map[string]string{outside: "x", filepath.Join(dir, manifest): "../precious\n/etc/passwd\na.json\n"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := (Files{"c.json": []byte("6")}).Write(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("a file outside was removed: %v", err)
	}
}

func TestExportsAreTheSameEveryTime(t *testing.T) {
	a, _, err := Alexa(small(t), AlexaEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		b, _, _ := Alexa(small(t), AlexaEndpoint)
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		if string(x) != string(y) {
			t.Fatal("two exports differ")
		}
	}
}
