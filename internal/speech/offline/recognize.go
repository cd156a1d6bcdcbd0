package offline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// What bounds a recogniser.
const (
	maxNames  = 50     // in a grammar: with 200, every third sentence on the telephone is misheard
	sentences = 30_000 // that the trigram is made of
	maxModels = 8      // kept: a set of names each
)

// How sure it is of what it heard.
const (
	agreed   = 0.9 // both ways to listen gave one meaning
	doubtful = 0.3 // they did not
)

// reader is what tells whether two sentences mean the same.
type reader interface {
	Recognize(text string, inv *intents.Inventory, e intents.Expect) intents.Result
}

// Recognizer hears by pocketsphinx, twice: once with a grammar, which lets
// nothing else be heard, and once with how often words follow each other in it,
// which lets much else be. Where both mean the same, it was said.
type Recognizer struct {
	tools   Tools
	reader  reader
	grammar func(question bool) *intents.Grammar
	dir     string // of models
	log     *slog.Logger

	mu     sync.Mutex
	models map[string]*model
	used   []string // their keys, the latest last
}

// model is what pocketsphinx needs for one set of names.
type model struct {
	once      sync.Once
	err       error
	dir       string
	inventory *intents.Inventory
}

// NewRecognizer returns a recogniser. Its models are made in a folder of its own,
// which Close removes.
func NewRecognizer(t Tools, c *intents.Catalogue, r reader, log *slog.Logger) (*Recognizer, error) {
	if ok, lacks := t.Hears(); !ok {
		return nil, fmt.Errorf("not installed: %s", strings.Join(lacks, ", "))
	}
	dir, err := os.MkdirTemp("", "firstmate-speech-*")
	if err != nil {
		return nil, err
	}
	return &Recognizer{
		tools: t, reader: r, dir: dir, log: log, models: map[string]*model{},
		grammar: func(question bool) *intents.Grammar {
			x := [][]string{{"x"}}
			v := vocabulary{names: x, places: x, nodes: x, alerts: x}
			return c.Grammar(v.hears, question)
		},
	}, nil
}

// Close removes what was made.
func (r *Recognizer) Close() error { return os.RemoveAll(r.dir) }

// Recognize hears a sentence.
func (r *Recognizer) Recognize(ctx context.Context, a speech.Audio, h speech.Hints) (speech.Heard, error) {
	grammar, other, err := r.Both(ctx, a, h)
	if err != nil {
		return speech.Heard{}, err
	}
	return r.Judge(ctx, grammar, other, h)
}

// Judge makes one of the two ways to listen.
func (r *Recognizer) Judge(ctx context.Context, grammar, other string, h speech.Hints) (speech.Heard, error) {
	out := speech.Heard{Engine: Engine, Text: cmp.Or(grammar, other), Confidence: doubtful}
	if out.Text == "" {
		return speech.Heard{Engine: Engine}, nil
	}
	m, err := r.model(ctx, h)
	if err != nil {
		return speech.Heard{}, err
	}
	switch {
	case grammar != "" && other != "" && r.same(grammar, other, m.inventory):
		out.Confidence = agreed
	case other != "" && other != out.Text:
		out.Alternatives = []string{other}
	}
	return out, nil
}

// Engine is what the engine is called.
const Engine = "offline"

// same reports whether two sentences mean the same, and mean anything.
func (r *Recognizer) same(a, b string, inv *intents.Inventory) bool {
	x, y := r.reader.Recognize(a, inv, intents.Expect{}), r.reader.Recognize(b, inv, intents.Expect{})
	if x.Intent == intents.OutOfScope {
		return a == b
	}
	return x.Intent == y.Intent && reflect.DeepEqual(x.Slots, y.Slots)
}

// Both gives what was heard by the grammar, and by how words follow each other.
func (r *Recognizer) Both(ctx context.Context, a speech.Audio, h speech.Hints) (grammar, other string, err error) {
	p, err := r.tools.Decode(ctx, a)
	if err != nil {
		return "", "", err
	}
	if p.Seconds() < 0.1 {
		return "", "", nil
	}
	m, err := r.model(ctx, h)
	if err != nil {
		return "", "", err
	}
	dir, err := os.MkdirTemp(r.dir, "turn-*")
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for name, b := range map[string][]byte{"a.wav": p.Resampled(speech.EngineRate).WAV(), "ctl": []byte("a\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return "", "", err
		}
	}
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() {
		other, failed = r.listen(ctx, m, dir, "other", "-lm", filepath.Join(m.dir, "lm"), "-lw", "9")
	})
	grammar, err = r.listen(ctx, m, dir, "grammar", "-fsg", filepath.Join(m.dir, "fsg"))
	wg.Wait()
	return grammar, other, errors.Join(err, failed)
}

// listen runs pocketsphinx over the sound in dir.
func (r *Recognizer) listen(ctx context.Context, m *model, dir, name string, args ...string) (string, error) {
	hyp := filepath.Join(dir, name)
	_, err := r.tools.run(ctx, r.tools.Sphinx, append([]string{
		"-hmm", filepath.Join(r.tools.Model, "en-us"), "-dict", filepath.Join(m.dir, "dict"),
		"-ctl", filepath.Join(dir, "ctl"), "-cepdir", dir, "-cepext", ".wav", "-adcin", "yes", "-adchdr", "44", "-hyp", hyp,
		"-beam", "1e-80", "-wbeam", "1e-60", "-pbeam", "1e-80", "-wip", "0.2", "-logfn", os.DevNull,
	}, args...), nil)
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(hyp)
	if err != nil {
		return "", err
	}
	text := string(b)
	if i := strings.LastIndex(text, "("); i >= 0 {
		text = text[:i]
	}
	return strings.Join(strings.Fields(text), " "), nil
}

// model gives the model of the names that may be said, and makes it where it is
// not there yet.
func (r *Recognizer) model(ctx context.Context, h speech.Hints) (*model, error) {
	few := func(all []string, most int) []string {
		all = slices.Clone(all[:min(len(all), most)])
		slices.Sort(all)
		return all
	}
	h.Names, h.Places = few(h.Names, maxNames), few(h.Places, maxNames/2)
	h.Nodes, h.Alerts = few(h.Nodes, maxNames/2), few(h.Alerts, maxNames/2)
	key := strconv.FormatBool(h.Question)
	for _, all := range [][]string{h.Names, h.Places, h.Nodes, h.Alerts} {
		key += "\x01" + strings.Join(all, "\x00")
	}
	r.mu.Lock()
	m := r.models[key]
	if m == nil {
		m = &model{}
		r.models[key] = m
	}
	r.used = append(slices.DeleteFunc(r.used, func(k string) bool { return k == key }), key)
	if len(r.used) > maxModels {
		old := r.used[0]
		r.used = r.used[1:]
		if m := r.models[old]; m.dir != "" {
			_ = os.RemoveAll(m.dir) // it goes with the rest at the end
		}
		delete(r.models, old)
	}
	r.mu.Unlock()
	m.once.Do(func() { m.err = r.make(context.WithoutCancel(ctx), m, h) })
	if m.err != nil {
		r.mu.Lock()
		if r.models[key] == m { // so that the next one may fare better
			delete(r.models, key)
			r.used = slices.DeleteFunc(r.used, func(k string) bool { return k == key })
		}
		r.mu.Unlock()
	}
	return m, m.err
}

// make makes a model of what may be said.
func (r *Recognizer) make(ctx context.Context, m *model, h speech.Hints) error {
	v := vocabulary{}
	var d intents.InventoryData
	for _, n := range h.Names {
		v.names = append(v.names, saidName(n)...)
		d.Workloads = append(d.Workloads, intents.Workload{Name: n, Kind: "Deployment"})
	}
	for _, n := range h.Places {
		v.places = append(v.places, saidName(n)...)
		d.Namespaces = append(d.Namespaces, n)
	}
	for _, n := range h.Nodes {
		v.nodes = append(v.nodes, saidName(n)...)
		d.Nodes = append(d.Nodes, n)
	}
	for _, n := range h.Alerts {
		v.alerts = append(v.alerts, saidName(apart(n))...)
		d.Alerts = append(d.Alerts, n)
	}
	m.inventory = intents.NewInventory(d)
	n := expand(r.grammar(h.Question), v)
	words := n.words()
	l, err := readLexicon(r.tools, words)
	if err != nil {
		return err
	}
	if err := l.complete(ctx, words); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(r.dir, "names-*")
	if err != nil {
		return err
	}
	write := func(name string, f func(*os.File) error) {
		file, e := os.Create(filepath.Join(dir, name))
		if e == nil {
			e = errors.Join(f(file), file.Close())
		}
		err = errors.Join(err, e)
	}
	var mute []string
	write("dict", func(f *os.File) (e error) { mute, e = l.writeDictionary(f, words); return e })
	n.forget(mute)
	write("fsg", func(f *os.File) error { return n.writeFSG(f) })
	t := newTrigram()
	n.sample(sentences, t.add)
	write("lm", func(f *os.File) error { return t.write(f) })
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	arcs := 0
	for _, a := range n.arcs {
		arcs += len(a)
	}
	r.log.Debug("made what may be said", "names", len(h.Names), "nodes", len(n.arcs), "arcs", arcs, "words", len(words), "mute", mute)
	m.dir = dir
	return nil
}

// forget drops words that nobody knows how to say.
func (n *network) forget(mute []string) {
	gone := map[string]bool{}
	for _, w := range mute {
		gone[w] = true
	}
	for i := range n.arcs {
		n.arcs[i] = slices.DeleteFunc(n.arcs[i], func(a arc) bool { return gone[a.word] })
	}
}

// apart writes the words of a name apart that capitals tell apart: HighErrorRate.
func apart(name string) string {
	var b strings.Builder
	small := false
	for _, r := range name {
		if small && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		small = unicode.IsLower(r) || unicode.IsDigit(r)
		b.WriteRune(r)
	}
	return b.String()
}

// saidName are the ways to say a name: in words as it is written, and short forms
// spelled.
func saidName(name string) [][]string {
	var words []string
	for w := range strings.FieldsSeq(strings.ToLower(speech.Name(name))) {
		words = append(words, letters(w)...)
	}
	if len(words) == 0 {
		return nil
	}
	return [][]string{words}
}

// letters parts figures from letters, and says figures as words.
func letters(w string) []string {
	var out []string
	for part := range strings.FieldsSeq(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return ' '
	}, w)) {
		for part != "" {
			i := strings.IndexFunc(part, func(r rune) bool { return (r >= '0' && r <= '9') != (part[0] >= '0' && part[0] <= '9') })
			if i < 0 {
				i = len(part)
			}
			p := part[:i]
			part = part[i:]
			if p[0] < '0' || p[0] > '9' {
				out = append(out, p)
				continue
			}
			for _, d := range p {
				out = append(out, digits()[d-'0'])
			}
		}
	}
	return out
}
