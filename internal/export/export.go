// Package export writes what other platforms need to know of the catalogue: an
// Alexa skill's interaction model, a Dialogflow agent. It decides what fits
// their rules; what can be said comes from the catalogue.
package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Files are what a platform takes, by path below the folder, with slashes.
type Files map[string][]byte

// manifest lists the files that an export wrote, so that the next one replaces
// no others.
const manifest = ".firstmate-export"

// Write puts the files into a folder. One that is not empty must have been
// written by an export before: then its files are replaced, those that are gone
// removed, and others left alone.
func (f Files) Write(dir string) error {
	old, err := written(dir)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names { // before anything is touched
		if slices.Contains(old, name) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); !errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Usage, "%s is in the way: it is not from an export of mine. Move it, or choose another folder.", filepath.Join(dir, name))
		}
	}
	for _, name := range old {
		if _, ok := f[name]; !ok {
			if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fault.Wrap(err, fault.Usage, "I cannot remove an old file: %v.", err)
			}
		}
	}
	put := func(name string, content []byte) error {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			return fault.Wrap(err, fault.Usage, "I cannot make a folder: %v.", err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return fault.Wrap(err, fault.Usage, "I cannot write: %v.", err)
		}
		return nil
	}
	// The list first: an export that is cut off can be repeated.
	if err := put(manifest, []byte(strings.Join(names, "\n")+"\n")); err != nil {
		return err
	}
	for _, name := range names {
		if err := put(name, f[name]); err != nil {
			return err
		}
	}
	return nil
}

// written lists what an export before left in a folder.
func written(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Usage, "I cannot write there: %v.", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, manifest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Usage, "%s is not empty and not from an export of mine. Choose an empty folder.", dir)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Usage, "I cannot read what I wrote before: %v.", err)
	}
	var names []string
	for name := range strings.Lines(string(b)) {
		if name = strings.TrimSpace(name); filepath.IsLocal(filepath.FromSlash(name)) && path.Clean(name) == name {
			names = append(names, name)
		}
	}
	return names, nil
}

// encode writes JSON for people to read and compare.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return b.Bytes(), nil
}

// id is a UUID that depends on nothing but a name, so that an export does not
// differ from the one before.
func id(name string) string {
	h := sha256.Sum256([]byte("firstmate/" + name))
	h[6], h[8] = h[6]&0x0f|0x50, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// example is the cluster that samples speak of where a platform wants values.
func example() intents.InventoryData {
	return intents.InventoryData{
		Clusters: []string{"east", "west"}, Namespaces: []string{"staging", "production"}, Nodes: []string{"node-1", "node-2"},
		Workloads: []intents.Workload{
			{Name: "web", Namespace: "staging"}, {Name: "checkout", Namespace: "staging"}, {Name: "search", Namespace: "staging"},
			{Name: "payments-api", Namespace: "staging"}, {Name: "frontend", Namespace: "production"}, {Name: "backend", Namespace: "production"},
		},
	}
}

// slotKind is what slots of several types of the catalogue have in common to a
// platform.
type slotKind struct {
	alexa      string   // slot type; "" cannot be said
	dialogflow string   // entity; "" cannot be written
	examples   []string // values as they are said
	unit       string   // follows the value in a sample
}

// kinds maps the types of slots. Times are kept as they are said: AMAZON.TIME
// and @sys.date would resolve them in the time zone of the device.
func kinds(c *intents.Catalogue) map[string]slotKind {
	number := slotKind{alexa: "AMAZON.NUMBER", dialogflow: "@sys.number", examples: []string{"five", "three", "eight"}}
	percent := slotKind{alexa: "AMAZON.NUMBER", dialogflow: "@sys.number", examples: []string{"fifty", "twenty", "seventy"}, unit: " percent"}
	workload := slotKind{alexa: "Workload", dialogflow: "@workload", examples: []string{"web", "checkout", "search", "payments api", "frontend", "backend"}}
	version := slotKind{alexa: "Version", dialogflow: "@version", examples: []string{"two point three", "one point nine", "v two"}}
	moment := func(examples ...string) slotKind {
		return slotKind{alexa: "Moment", dialogflow: "@moment", examples: examples}
	}
	out := map[string]slotKind{
		"int": number, "less": number, "number": number, "port": {alexa: "AMAZON.NUMBER", dialogflow: "@sys.number", examples: []string{"eighty eighty"}},
		"percent": percent, "percent_up": percent, "percent_down": percent, "percent_of": percent,
		"target": workload, "known": workload, "listed": workload,
		"namespace":  {alexa: "Namespace", dialogflow: "@namespace", examples: []string{"staging", "production"}},
		"any_name":   {alexa: "Namespace", dialogflow: "@namespace", examples: []string{"staging", "production"}},
		"cluster":    {alexa: "Cluster", dialogflow: "@cluster", examples: []string{"east", "west"}},
		"node":       {alexa: "Node", dialogflow: "@node", examples: []string{"node one", "node two"}},
		"version":    version,
		"vtag":       version,
		"image_name": {alexa: "Image", dialogflow: "@image", examples: []string{"nginx", "redis", "postgres"}},
		"new_name":   {alexa: "NewName", dialogflow: "@new_name", examples: []string{"proxy", "cache"}},
		"duration":   moment("fifteen minutes", "two hours", "an hour"),
		"period":     moment("fifteen minutes", "two hours", "three days"),
		"clock":      moment("noon", "three pm"),
		"moment":     moment("yesterday", "noon"),
		"hour":       moment("noon", "yesterday", "three pm"),
		"phrase":     {alexa: "AMAZON.SearchQuery", dialogflow: "@sys.any", examples: []string{"connection refused", "timeout"}},
	}
	for _, name := range c.Lists() {
		entries, _ := c.List(name)
		k := slotKind{alexa: camel(name), dialogflow: "@" + name}
		for _, e := range entries {
			if i := slices.IndexFunc(e.Said, spoken); i >= 0 {
				k.examples = append(k.examples, e.Said[i])
			}
		}
		if len(k.examples) > 0 {
			out[name] = k
		}
	}
	return out
}

// camel writes snake_case as CamelCase: names of slot types take no digits.
func camel(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}

// spoken reports words that can be said aloud as they are written: letters,
// apostrophes and blanks.
func spoken(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz' ") == ""
}

// usable is the samples of an intent that a platform can take, filled to be read.
type usable struct {
	intents.Sample
	filled []string // the value of each part
}

// reader reads samples back, so that none is exported that means another thing.
type reader struct {
	recognizer *intents.Recognizer
	inventory  *intents.Inventory
}

// reads reports whether our own recogniser takes the sample for its intent, or
// where the platform's reading would count, for nothing at all.
func (r reader) reads(text, intent string) bool {
	got := r.recognizer.Recognize(text, r.inventory, intents.Expect{})
	return got.Intent == intent
}

// usables are the samples of an intent whose words can be said and whose slots
// the platform knows, each slot once, and that are read as what they are.
func (r reader) usables(c *intents.Catalogue, kinds map[string]slotKind, intent string, atMost int) (out []usable, misread []string) {
	n := 0
	for _, s := range c.Samples(intent, 8*atMost) {
		if len(out) == atMost {
			break
		}
		u := usable{Sample: s}
		u.Parts = slices.Clone(s.Parts)
		ok, words := true, false
		seen := map[string]bool{}
		for i, p := range u.Parts {
			if p.Slot == "" {
				text := strings.Join(strings.Fields(strings.ReplaceAll(" "+p.Text+" ", " , ", " ")), " ")
				ok = ok && (text == "" || spoken(text))
				words = words || text != ""
				u.Parts[i].Text = text
				u.filled = append(u.filled, text)
				continue
			}
			k, known := kinds[p.Type]
			if declared := kinds[c.SlotType(intent, p.Slot)]; !known || seen[p.Slot] || p.Slot == "_" || declared.alexa != k.alexa {
				ok = false
				break
			}
			seen[p.Slot] = true
			u.filled = append(u.filled, k.examples[(n+len(seen)-1)%len(k.examples)]+k.unit)
		}
		if !ok || !words {
			continue
		}
		u.drop()
		n++
		if text := strings.Join(u.filled, " "); !r.reads(text, intent) {
			misread = append(misread, text)
			continue
		}
		out = append(out, u)
	}
	return out, misread
}

// drop leaves out parts of which nothing is left to say.
func (u *usable) drop() {
	for i := len(u.Parts) - 1; i >= 0; i-- {
		if u.Parts[i].Slot == "" && u.Parts[i].Text == "" {
			u.Parts, u.filled = slices.Delete(u.Parts, i, i+1), slices.Delete(u.filled, i, i+1)
		}
	}
}
