package intents

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"
)

// place is where something is written, for messages.
type place struct {
	file string
	line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// wordLists are the closed word classes and tables of the language.
type wordLists struct {
	lead, filler, tail []string // phrases that ask nicely and mean nothing
	article            []string // before a name
	kindBefore         []string // "deployment web", "pods of web"
	kindAfter          []string // "the web deployment"
	and                []string // joins names
	never              []string // words that are no unknown name: "heart", "tomorrow"
	inflected          []string // words that typing errors must not be repaired to or from
	counted            []string // what is counted: pods, replicas
	env                []string // namespaces people name without our knowing them
	chain              []string // joins steps
	reason             []string // opens a reason, which may say anything
	correction         []string // "no wait": what follows replaces what was said
	asideVerbs         []string // what makes words a clause of their own
	asideStart         []string // what such a clause must not begin with
	asideNever         []string // what such a clause must not hold
	neverSkipped       []string // words that frames never pass over
	hesitation         []string // what is dropped where nothing fits otherwise
	statives           []string // verbs that tell how something is
	inCluster          []string // what stands before the name of a cluster
	aboutCluster       []string // the same of what is asked about
	toCluster          []string // the same of something that is brought there
	clusterNoun        []string // what stands behind it
	allClusters        []string // follows "in"
	everywhere         []string
	notThere           []string // what makes a cluster the one that is not meant
	asking             []string // courtesies that want a verb behind them
	unguarded          []string // hold a word that forbids acts, and forbid none
	idle               []string // words that a frame of a reading intent may skip

	guardStart, guardAnywhere []string

	targets      map[string][]string // "@it" → it, that, …
	asr          map[string][]string // word → what speech recognisers make of it
	contractions map[string]string
	units        map[string]int
	scales       map[string]int
	numbers      map[string]int // "a dozen"
	homophones   map[string]int // "to" → 2, where only a number fits
	ordinals     map[string]int // "second"; -1 is the last
}

// Load reads all YAML files at the root of fsys as one catalogue. Every error
// names file and line, and the intent or template; all errors are reported at
// once, so that one round of editing mends them.
func Load(fsys fs.FS) (*Catalogue, error) {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("intents: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("intents: no *.yaml files")
	}
	sort.Strings(names)
	l := &loader{
		c: &Catalogue{
			intents: map[string]*intentDef{},
			rules:   map[string]*rule{},
			lists:   map[string][]listEntry{},
			replies: map[string]*reply{},
		},
		seen: map[string]place{}, said: map[string]bool{}, leaves: leaves{}, wordings: newWordings(),
	}
	for _, name := range names {
		if name == heldOut {
			continue
		}
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("intents: %w", err)
		}
		l.file = path.Base(name)
		l.read(b)
	}
	if len(l.errs) == 0 { // a file that cannot be read would be followed by a flood of missing rules
		l.check()
	}
	if len(l.errs) > 0 {
		return nil, fmt.Errorf("intents: %w", errors.Join(l.errs...))
	}
	for _, d := range l.c.intents {
		l.c.specs = append(l.c.specs, d.spec)
	}
	slices.SortFunc(l.c.specs, func(a, b Spec) int { return strings.Compare(a.Name, b.Name) })
	return l.c, nil
}

// heldOut is the file of test sentences that lies beside the catalogue and is no
// part of it: no template is tuned on them.
const heldOut = "heldout.yaml"

// loader collects a catalogue and what is wrong with it.
type loader struct {
	c    *Catalogue
	file string
	seen map[string]place // intents, rules, replies, … already defined
	said map[string]bool
	errs []error

	leaves   leaves
	wordings *template.Template // what all have in common
}

func (l *loader) errorf(n *yaml.Node, format string, args ...any) {
	l.errorAt(place{l.file, n.Line}, format, args...)
}

func (l *loader) errorAt(at place, format string, args ...any) {
	msg := fmt.Sprintf("%s: %s", at, fmt.Sprintf(format, args...))
	if !l.said[msg] { // a template may use a broken rule more than once
		l.said[msg] = true
		l.errs = append(l.errs, errors.New(msg))
	}
}

// define reports a second definition with both places.
func (l *loader) define(what string, n *yaml.Node) bool {
	if at, dup := l.seen[what]; dup {
		l.errorf(n, "%s is already defined at %s", what, at)
		return false
	}
	l.seen[what] = place{l.file, n.Line}
	return true
}

func (l *loader) read(b []byte) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		l.errs = append(l.errs, fmt.Errorf("%s: %w", l.file, err))
		return
	}
	if len(doc.Content) == 0 {
		return
	}
	l.mapping(doc.Content[0], "the file", func(key string, k, v *yaml.Node) {
		switch key {
		case "intents":
			l.mapping(v, "intents", l.intent)
		case "answers":
			l.mapping(v, "answers", func(slot string, k, v *yaml.Node) {
				if l.define("answers for "+slot, k) {
					l.c.answers = append(l.c.answers, l.sentences(slot, v, sentence{answer: true})...)
				}
			})
		case "said":
			l.mapping(v, "said", func(intent string, k, v *yaml.Node) {
				if l.define("what is said of "+intent, k) {
					l.c.said = append(l.c.said, l.sentences(intent, v, sentence{})...)
				}
			})
		case "rules":
			l.mapping(v, "rules", func(name string, k, v *yaml.Node) {
				text := l.str(v)
				n, err := parseTemplate(text, l.leaves)
				if err != nil {
					l.errorf(v, "rule %s: template %q: %v", name, text, err)
					return
				}
				if l.define("rule <"+name+">", k) {
					l.c.rules[name] = &rule{text: text, at: place{l.file, v.Line}, node: n}
				}
			})
		case "lists":
			l.mapping(v, "lists", l.list)
		case "words":
			l.mapping(v, "words", l.wordList)
		case "targets":
			l.table(k, v, &l.c.words.targets)
		case "asr":
			l.table(k, v, &l.c.words.asr)
		case "contractions":
			if l.define("contractions", k) {
				l.c.words.contractions = map[string]string{}
				l.mapping(v, "contractions", func(key string, _, v *yaml.Node) {
					l.c.words.contractions[key] = l.str(v)
				})
			}
		case "numbers":
			l.mapping(v, "numbers", func(key string, k, v *yaml.Node) {
				dst, ok := map[string]*map[string]int{
					"units": &l.c.words.units, "scales": &l.c.words.scales, "phrases": &l.c.words.numbers,
					"homophones": &l.c.words.homophones, "ordinals": &l.c.words.ordinals,
				}[key]
				if !ok {
					l.errorf(k, "unknown key %q in numbers", key)
					return
				}
				if l.define("numbers "+key, k) {
					if err := v.Decode(dst); err != nil {
						l.errorf(v, "numbers %s: %v", key, err)
					}
				}
			})
		case "guards":
			l.mapping(v, "guards", func(key string, k, v *yaml.Node) {
				switch key {
				case "start":
					l.c.words.guardStart = append(l.c.words.guardStart, l.phrases(v)...)
				case "anywhere":
					l.c.words.guardAnywhere = append(l.c.words.guardAnywhere, l.phrases(v)...)
				default:
					l.errorf(k, "unknown key %q in guards", key)
				}
			})
		case "replies":
			l.mapping(v, "replies", l.reply)
		default:
			l.errorf(k, "unknown key %q", key)
		}
	})
}

// mapping calls f for each key in the order written.
func (l *loader) mapping(n *yaml.Node, what string, f func(key string, k, v *yaml.Node)) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		l.errorf(n, "%s: wants a mapping", what)
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if line, dup := seen[k.Value]; dup {
			l.errorf(k, "%s: %q is already at line %d", what, k.Value, line)
			continue
		}
		seen[k.Value] = k.Line
		f(k.Value, k, v)
	}
}

func (l *loader) str(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		l.errorf(n, "wants text")
		return ""
	}
	return n.Value
}

func (l *loader) strs(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return []string{n.Value}
	}
	if n.Kind != yaml.SequenceNode {
		l.errorf(n, "wants a list")
		return nil
	}
	var out []string
	for _, e := range n.Content {
		out = append(out, l.str(e))
	}
	return out
}

// table reads word → words.
func (l *loader) table(k, v *yaml.Node, dst *map[string][]string) {
	if !l.define(k.Value, k) {
		return
	}
	*dst = map[string][]string{}
	l.mapping(v, k.Value, func(key string, _, v *yaml.Node) { (*dst)[key] = l.phrases(v) })
}

// phrases reads templates without slots and unfolds them.
func (l *loader) phrases(n *yaml.Node) []string {
	if n.Kind != yaml.SequenceNode {
		l.errorf(n, "wants a list")
		return nil
	}
	var out []string
	for _, e := range n.Content {
		text := l.str(e)
		t, err := parseTemplate(text, l.leaves)
		if err == nil {
			var ps []string
			if ps, err = t.unfold(); err == nil {
				out = append(out, ps...)
				continue
			}
		}
		l.errorf(e, "phrase %q: %v", text, err)
	}
	return out
}

func (l *loader) wordList(key string, k, v *yaml.Node) {
	w := &l.c.words
	dst, ok := map[string]*[]string{
		"lead": &w.lead, "filler": &w.filler, "tail": &w.tail, "article": &w.article,
		"kind_before": &w.kindBefore, "kind_after": &w.kindAfter, "and": &w.and,
		"never_names": &w.never, "never_repaired": &w.inflected, "counted": &w.counted,
		"environments": &w.env, "chain": &w.chain, "reason": &w.reason, "idle": &w.idle, "correction": &w.correction, "unguarded": &w.unguarded, "statives": &w.statives, "in_cluster": &w.inCluster, "about_cluster": &w.aboutCluster, "to_cluster": &w.toCluster, "cluster_noun": &w.clusterNoun, "all_clusters": &w.allClusters, "everywhere": &w.everywhere, "not_there": &w.notThere, "never_skipped": &w.neverSkipped, "hesitation": &w.hesitation, "asking": &w.asking, "aside_verbs": &w.asideVerbs, "aside_never": &w.asideNever, "aside_start": &w.asideStart,
	}[key]
	if !ok {
		l.errorf(k, "unknown key %q in words", key)
		return
	}
	*dst = append(*dst, l.phrases(v)...)
}

func (l *loader) list(name string, k, v *yaml.Node) {
	if _, builtin := builtinTypes[name]; builtin {
		l.errorf(k, "list %s: the name is taken by a built-in type", name)
		return
	}
	if !l.define("list "+name, k) {
		return
	}
	l.c.lists[name] = nil
	l.mapping(v, "list "+name, func(value string, _, v *yaml.Node) {
		for _, p := range l.phrases(v) {
			l.c.lists[name] = append(l.c.lists[name], listEntry{value: value, text: p, at: place{l.file, v.Line}})
		}
	})
}

func (l *loader) intent(name string, k, v *yaml.Node) {
	if !l.define("intent "+name, k) {
		return
	}
	d := &intentDef{spec: Spec{Name: name}, slots: map[string]slotDef{}}
	l.c.intents[name] = d
	if !isIdent(name) {
		l.errorf(k, "intent %q: names are lower case words joined by _", name)
	}
	l.mapping(v, "intent "+name, func(key string, k, v *yaml.Node) {
		switch key {
		case "risk":
			d.spec.Risk = Risk(l.str(v))
			if !slices.Contains([]Risk{RiskNone, RiskRead, RiskWrite}, d.spec.Risk) {
				l.errorf(v, "intent %s: risk %q is none of none, read, write", name, d.spec.Risk)
			}
		case "help":
			d.spec.Help = l.str(v)
		case "examples":
			d.spec.Examples = l.strs(v)
		case "slots":
			l.mapping(v, "intent "+name+": slots", func(slot string, k, v *yaml.Node) { l.slot(d, slot, k, v) })
		case "sentences":
			l.c.templates = append(l.c.templates, l.sentences(name, v, sentence{})...)
		case "terse":
			l.c.templates = append(l.c.templates, l.sentences(name, v, sentence{terse: true})...)
		case "frames":
			l.frames(name, v)
		default:
			l.errorf(k, "intent %s: unknown key %q", name, key)
		}
	})
	if d.spec.Risk == "" {
		l.errorf(k, "intent %s: risk is missing", name)
	}
	if d.spec.Help == "" {
		l.errorf(k, "intent %s: help is missing", name)
	}
}

func (l *loader) slot(d *intentDef, slot string, k, v *yaml.Node) {
	var s slotDef
	l.mapping(v, "slot "+slot, func(key string, k, v *yaml.Node) {
		switch key {
		case "type":
			s.typ = l.str(v)
		case "required":
			if err := v.Decode(&s.required); err != nil {
				l.errorf(v, "intent %s: slot %s: required: %v", d.spec.Name, slot, err)
			}
		case "or":
			s.or = l.strs(v)
		case "default":
			s.fallback = l.str(v)
		default:
			l.errorf(k, "intent %s: slot %s: unknown key %q", d.spec.Name, slot, key)
		}
	})
	if s.typ == "" {
		l.errorf(k, "intent %s: slot %s: type is missing", d.spec.Name, slot)
	}
	d.slots[slot] = s
	d.order = append(d.order, slot)
	d.spec.Slots = append(d.spec.Slots, SlotSpec{Name: slot, Type: s.typ, Required: s.required, Or: s.or})
}

func (l *loader) sentences(intent string, v *yaml.Node, of sentence) []sentence {
	if v.Kind != yaml.SequenceNode {
		l.errorf(v, "%s: wants a list of sentences", intent)
		return nil
	}
	var out []sentence
	for _, e := range v.Content {
		text := l.str(e)
		n, err := parseTemplate(text, l.leaves)
		if err != nil {
			l.errorf(e, "%s: template %q: %v", intent, text, err)
			continue
		}
		of.intent, of.text, of.at, of.node = intent, text, place{l.file, e.Line}, n
		out = append(out, of)
	}
	return out
}

// frames reads cue and parts, see [frame].
func (l *loader) frames(intent string, v *yaml.Node) {
	if v.Kind != yaml.SequenceNode {
		l.errorf(v, "%s: frames: wants a list", intent)
		return
	}
	for _, e := range v.Content {
		f := &frame{}
		var cue *yaml.Node
		l.mapping(e, intent+": frame", func(key string, k, v *yaml.Node) {
			switch key {
			case "cue":
				cue = v
				f.cues = append(f.cues, l.sentences(intent, one(v), sentence{})...)
			case "before":
				f.before = l.sentences(intent, one(v), sentence{})
			case "parts":
				f.parts = l.sentences(intent, one(v), sentence{})
			case "exact":
				if err := v.Decode(&f.exact); err != nil {
					l.errorf(v, "%s: frame: exact: %v", intent, err)
				}
			case "skip":
				if f.idle = l.str(v) == "idle"; !f.idle {
					l.errorf(v, "%s: frame: skip: %q is not idle", intent, v.Value)
				}
			default:
				l.errorf(k, "%s: frame: unknown key %q", intent, key)
			}
		})
		if len(f.cues) == 0 {
			l.errorf(e, "%s: frame: cue is missing", intent)
			continue
		}
		alt := &node{kind: nodeAlt}
		for _, c := range f.cues {
			alt.kids = append(alt.kids, c.node)
		}
		l.c.templates = append(l.c.templates, sentence{intent: intent, text: f.cues[0].text, at: place{l.file, cue.Line}, node: alt, frame: f})
	}
}

// one makes a list of a lone template.
func one(v *yaml.Node) *yaml.Node {
	if v.Kind == yaml.ScalarNode {
		return &yaml.Node{Kind: yaml.SequenceNode, Line: v.Line, Content: []*yaml.Node{v}}
	}
	return v
}

func (l *loader) reply(key string, k, v *yaml.Node) {
	if !l.define("reply "+key, k) {
		return
	}
	var speech, text string
	if v.Kind == yaml.ScalarNode {
		text = v.Value
	} else {
		l.mapping(v, "reply "+key, func(part string, k, v *yaml.Node) {
			switch part {
			case "speech":
				speech = l.str(v)
			case "text":
				text = l.str(v)
			default:
				l.errorf(k, "reply %s: unknown key %q", key, part)
			}
		})
	}
	if text == "" {
		text = speech
	}
	if speech == "" {
		speech = text
	}
	if text == "" {
		l.errorf(k, "reply %s: text is missing", key)
		return
	}
	r := &reply{at: place{l.file, k.Line}}
	var err error
	if r.text, err = parseReply(l.wordings, key, text); err != nil {
		l.errorf(k, "reply %s: text: %v", key, err)
		return
	}
	if r.speech = r.text; speech != text {
		if r.speech, err = parseReply(l.wordings, key, speech); err != nil {
			l.errorf(k, "reply %s: speech: %v", key, err)
			return
		}
	}
	l.c.replies[key] = r
}

// check finds what only the whole catalogue shows: unknown rules, types and
// slots, rules that contain themselves, templates that accept silence.
func (l *loader) check() {
	names := make([]string, 0, len(l.c.rules))
	for name := range l.c.rules {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		r := l.c.rules[name]
		if chain := l.cycle(r.node, []string{name}); chain != "" {
			l.errorAt(r.at, "rule <%s> contains itself: %s", name, chain)
			return // everything below would not end
		}
	}
	for _, name := range names {
		r := l.c.rules[name]
		l.checkNode(r.node, nil, func(format string, args ...any) {
			l.errorAt(r.at, "rule <%s>: template %q: %s", name, r.text, fmt.Sprintf(format, args...))
		})
	}
	for _, s := range slices.Concat(l.c.templates, l.c.answers, l.c.said) {
		report := func(format string, args ...any) {
			l.errorAt(s.at, "%s: template %q: %s", s.intent, s.text, fmt.Sprintf(format, args...))
		}
		var slots map[string]slotDef
		if d := l.c.intents[s.intent]; d != nil && !s.answer {
			slots = d.slots
		}
		l.checkNode(s.node, slots, report)
		if s.frame != nil {
			for _, part := range slices.Concat(s.frame.before, s.frame.parts) {
				report := func(format string, args ...any) {
					l.errorAt(part.at, "%s: part %q: %s", part.intent, part.text, fmt.Sprintf(format, args...))
				}
				l.checkNode(part.node, slots, report)
				if part.node.empty(l.c.rules, 0) {
					report("accepts no words at all")
				}
			}
		}
		if s.node.empty(l.c.rules, 0) {
			report("accepts an empty sentence")
		}
	}
	intents := make([]string, 0, len(l.c.intents))
	for name := range l.c.intents {
		intents = append(intents, name)
	}
	sort.Strings(intents)
	for _, name := range intents {
		d := l.c.intents[name]
		at := l.seen["intent "+name]
		for _, slot := range d.order {
			s := d.slots[slot]
			if !l.typeExists(s.typ) {
				l.errorAt(at, "intent %s: slot %s: unknown type %q", name, slot, s.typ)
			}
			for _, o := range s.or {
				o, _, _ = strings.Cut(o, "=")
				if _, ok := d.slots[o]; !ok {
					l.errorAt(at, "intent %s: slot %s: or: no slot %q", name, slot, o)
				}
			}
		}
	}
}

func (l *loader) typeExists(t string) bool {
	if _, ok := builtinTypes[t]; ok {
		return true
	}
	_, ok := l.c.lists[t]
	return ok
}

// cycle returns the chain of rules by which n reaches the last rule again.
func (l *loader) cycle(n *node, chain []string) string {
	if n.kind == nodeRule {
		next := append(slices.Clone(chain), n.word)
		if slices.Contains(chain, n.word) {
			return strings.Join(next, " → ")
		}
		if r := l.c.rules[n.word]; r != nil {
			return l.cycle(r.node, next)
		}
		return ""
	}
	for _, k := range n.kids {
		if c := l.cycle(k, chain); c != "" {
			return c
		}
	}
	return ""
}

// checkNode reports unknown rules, types and slots. slots is nil in rules and
// answers, where a slot must say its type.
func (l *loader) checkNode(n *node, slots map[string]slotDef, report func(string, ...any)) {
	switch n.kind {
	case nodeRule:
		r, ok := l.c.rules[n.word]
		if !ok {
			report("no rule <%s>", n.word)
			return
		}
		if slots != nil {
			l.checkNode(r.node, slots, report)
		}
	case nodeSlot:
		typ := n.typ
		d, declared := slots[n.slot]
		if slots != nil && !declared && n.slot != ignored {
			report("the intent has no slot %q", n.slot)
			return
		}
		if typ == "" {
			typ = d.typ
		}
		if typ == "" {
			report("{%s} must say its type: {%s:type}", n.slot, n.slot)
		} else if !l.typeExists(typ) {
			report("{%s}: unknown type %q", n.slot, typ)
		}
	case nodeFix:
		if _, declared := slots[n.slot]; slots != nil && !declared {
			report("the intent has no slot %q", n.slot)
		}
	}
	for _, k := range n.kids {
		l.checkNode(k, slots, report)
	}
}

// maxUnfolded bounds the phrases that one line of a word list stands for.
const maxUnfolded = 4096

// unfold writes out every word sequence the node stands for.
func (n *node) unfold() ([]string, error) {
	switch n.kind {
	case nodeWord:
		return []string{n.word}, nil
	case nodeSeq:
		out := []string{""}
		for _, k := range n.kids {
			ps, err := k.unfold()
			if err != nil {
				return nil, err
			}
			if len(out)*len(ps) > maxUnfolded {
				return nil, errors.New("stands for too many phrases")
			}
			next := make([]string, 0, len(out)*len(ps))
			for _, a := range out {
				for _, b := range ps {
					next = append(next, strings.TrimSpace(a+" "+b))
				}
			}
			out = next
		}
		return out, nil
	case nodeAlt:
		var out []string
		for _, k := range n.kids {
			ps, err := k.unfold()
			if err != nil {
				return nil, err
			}
			out = append(out, ps...)
		}
		return out, nil
	case nodeOpt:
		ps, err := n.kids[0].unfold()
		return append([]string{""}, ps...), err
	}
	return nil, errors.New("phrases are words, (a|b) and [a]")
}
