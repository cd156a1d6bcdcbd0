package access

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// ReadPolicy reads a file of rules: a list of them, or one under "policies".
func ReadPolicy(file string, text []byte) (Policy, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fault.Wrap(err, fault.Usage, "%s is not YAML: %v.", file, err)
	}
	if len(doc.Content) == 0 {
		return nil, nil // an empty file
	}
	root := doc.Content[0]
	if root.Kind == yaml.MappingNode && len(root.Content) == 2 && root.Content[0].Value == "policies" {
		root = root.Content[1]
	}
	if root.Kind != yaml.SequenceNode {
		return nil, fault.New(fault.Usage, "%s:%d: a policy is a list of rules.", file, root.Line)
	}
	return ParseRules(file, root.Content)
}

// ParseRules reads rules. What is wrong is named with file, line, rule and key.
func ParseRules(file string, rules []*yaml.Node) (Policy, error) {
	var out Policy
	seen := map[string]int{}
	for i, n := range rules {
		p := &ruleParser{file: file, number: i + 1}
		r, err := p.rule(n)
		if err != nil {
			return nil, err
		}
		if line, ok := seen[r.Name]; ok {
			return nil, p.wrong(n, "name", "line %d has a rule of that name already", line)
		}
		seen[r.Name] = n.Line
		out = append(out, r)
	}
	return out, nil
}

// ruleParser reads one rule.
type ruleParser struct {
	file   string
	number int
	name   string
}

// wrong says what is wrong at a key of the rule.
func (p *ruleParser) wrong(n *yaml.Node, key, format string, a ...any) error {
	rule := fmt.Sprintf("rule %d", p.number)
	if p.name != "" {
		rule += fmt.Sprintf(" (%s)", p.name)
	}
	where := rule
	if key != "" {
		where += ", key " + key
	}
	return fault.New(fault.Usage, "%s:%d: %s: %s.", p.file, n.Line, where, fmt.Sprintf(format, a...))
}

// fields walks the keys of a mapping; each known key has a reader.
func (p *ruleParser) fields(n *yaml.Node, prefix string, known map[string]func(key string, v *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return p.wrong(n, prefix, "this is a mapping of keys")
	}
	seen := map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		key := k.Value
		if prefix != "" {
			key = prefix + "." + k.Value
		}
		read := known[k.Value]
		if read == nil {
			names := slices.Sorted(maps.Keys(known))
			near := slices.MinFunc(names, func(a, b string) int {
				return cmp.Compare(levenshtein.ComputeDistance(a, k.Value), levenshtein.ComputeDistance(b, k.Value))
			})
			return p.wrong(k, key, "I know no such key; do you mean %s?", near)
		}
		if seen[k.Value] {
			return p.wrong(k, key, "it is there twice")
		}
		seen[k.Value] = true
		if err := read(key, v); err != nil {
			return err
		}
	}
	return nil
}

func (p *ruleParser) rule(n *yaml.Node) (Rule, error) {
	r := Rule{Where: fmt.Sprintf("%s:%d", p.file, n.Line), Verdict: -1}
	if n.Kind != yaml.MappingNode {
		return r, p.wrong(n, "", "a rule is a mapping with name, match and verdict")
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == "name" && n.Content[i+1].Kind == yaml.ScalarNode {
			p.name = n.Content[i+1].Value // so that what is wrong above it is said with it
		}
	}
	matched, by := false, n
	err := p.fields(n, "", map[string]func(string, *yaml.Node) error{
		"name":   func(k string, v *yaml.Node) error { return p.text(k, v, &r.Name) },
		"reason": func(k string, v *yaml.Node) error { return p.text(k, v, &r.Reason) },
		"match": func(k string, v *yaml.Node) (err error) {
			matched = true
			r.Match, err = p.match(k, v)
			return err
		},
		"unless": func(k string, v *yaml.Node) error {
			m, err := p.match(k, v)
			if err == nil && len(v.Content) == 0 {
				err = p.wrong(v, k, "it is empty, so the rule would never match; leave it out or say when not")
			}
			r.Unless = &m
			return err
		},
		"verdict": func(k string, v *yaml.Node) error { return word(p, k, v, ParseKind, &r.Verdict) },
		"by": func(k string, v *yaml.Node) error {
			by = v
			return p.fields(v, k, map[string]func(string, *yaml.Node) error{
				"person":    func(k string, v *yaml.Node) error { return p.names(k, v, &r.By.People) },
				"group":     func(k string, v *yaml.Node) error { return p.names(k, v, &r.By.Groups) },
				"assurance": func(k string, v *yaml.Node) error { return word(p, k, v, ParseAssurance, &r.By.Assurance) },
			})
		},
	})
	nobody := len(r.By.People)+len(r.By.Groups) == 0
	switch {
	case err != nil:
		return r, err
	case r.Name == "":
		return r, p.wrong(n, "name", "every rule has a name, by which verdicts are explained")
	case !matched:
		return r, p.wrong(n, "match", "it is missing; write match: {} for a rule about everything")
	case r.Verdict < 0:
		return r, p.wrong(n, "verdict", "it is missing; write allow, confirm, pin, approve or deny")
	case r.Verdict == Approve && nobody:
		return r, p.wrong(by, "by", "say who may approve, with person or group")
	case r.Verdict != Approve && by != n:
		return r, p.wrong(by, "by", "it goes with the verdict approve only")
	}
	return r, nil
}

func (p *ruleParser) match(key string, n *yaml.Node) (Match, error) {
	var m Match
	err := p.fields(n, key, map[string]func(string, *yaml.Node) error{
		"person":    func(k string, v *yaml.Node) error { return p.names(k, v, &m.People) },
		"group":     func(k string, v *yaml.Node) error { return p.names(k, v, &m.Groups) },
		"channel":   func(k string, v *yaml.Node) error { return p.names(k, v, &m.Channels) },
		"cluster":   func(k string, v *yaml.Node) error { return p.names(k, v, &m.Clusters) },
		"namespace": func(k string, v *yaml.Node) error { return p.names(k, v, &m.Namespaces) },
		"intent":    func(k string, v *yaml.Node) error { return p.names(k, v, &m.Intents) },
		"assurance": func(k string, v *yaml.Node) error { return word(p, k, v, ParseAssurance, &m.Assurance) },
		"below": func(k string, v *yaml.Node) error {
			err := word(p, k, v, ParseAssurance, &m.Below)
			if err == nil && m.Below == None {
				err = p.wrong(v, k, "nothing is below none; write claimed, verified or strong")
			}
			return err
		},
		"risk": func(k string, v *yaml.Node) error { return word(p, k, v, ParseRisk, &m.Risk) },
		"labels": func(k string, v *yaml.Node) error {
			if v.Kind != yaml.MappingNode || len(v.Content) == 0 {
				return p.wrong(v, k, "write labels as {name: value}")
			}
			m.Labels = map[string]string{}
			for i := 0; i < len(v.Content); i += 2 {
				var value string
				if err := p.text(k+"."+v.Content[i].Value, v.Content[i+1], &value); err != nil {
					return err
				}
				if err := p.pattern(k, v.Content[i+1], value); err != nil {
					return err
				}
				m.Labels[v.Content[i].Value] = value
			}
			return nil
		},
		"time": func(k string, v *yaml.Node) error {
			windows := []*yaml.Node{v}
			if v.Kind == yaml.SequenceNode {
				windows = v.Content
			}
			for _, n := range windows {
				w, err := p.window(k, n)
				if err != nil {
					return err
				}
				m.Windows = append(m.Windows, w)
			}
			if len(windows) == 0 {
				return p.wrong(v, k, "it is empty; write from and to")
			}
			return nil
		},
	})
	return m, err
}

func (p *ruleParser) window(key string, n *yaml.Node) (Window, error) {
	var days []string
	var from, to, zone string
	at := map[string]*yaml.Node{}
	scalar := func(into *string) func(string, *yaml.Node) error {
		return func(k string, v *yaml.Node) error {
			at[k] = v
			return p.text(k, v, into)
		}
	}
	err := p.fields(n, key, map[string]func(string, *yaml.Node) error{
		"days": func(k string, v *yaml.Node) error {
			at[k] = v
			return p.names(k, v, &days)
		},
		"from": scalar(&from), "to": scalar(&to), "zone": scalar(&zone),
	})
	if err != nil {
		return Window{}, err
	}
	w, err := NewWindow(days, from, to, zone)
	var wrong *WindowError
	if errors.As(err, &wrong) {
		k := key + "." + wrong.Key
		return w, p.wrong(cmp.Or(at[k], n), k, "%s", wrong.Why)
	}
	return w, err
}

func (p *ruleParser) text(key string, n *yaml.Node, into *string) error {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return p.wrong(n, key, "this is a text")
	}
	*into = n.Value
	return nil
}

// names reads one name or a list of names.
func (p *ruleParser) names(key string, n *yaml.Node, into *[]string) error {
	all := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		all = n.Content
	}
	for _, e := range all {
		var s string
		if err := p.text(key, e, &s); err != nil {
			return err
		}
		if err := p.pattern(key, e, s); err != nil {
			return err
		}
		*into = append(*into, s)
	}
	if len(all) == 0 {
		return p.wrong(n, key, "it is empty, which would match everything; leave the key out for that")
	}
	return nil
}

func (p *ruleParser) pattern(key string, n *yaml.Node, s string) error {
	if _, err := path.Match(s, ""); err != nil {
		return p.wrong(n, key, "%q is no pattern; * is any run of characters", s)
	}
	return nil
}

// word reads one of a few words.
func word[T any](p *ruleParser, key string, n *yaml.Node, parse func(string) (T, error), into *T) error {
	v, err := parse(n.Value)
	if err != nil || n.Kind != yaml.ScalarNode {
		if err == nil {
			err = errors.New("this is one word")
		}
		return p.wrong(n, key, "%v", err)
	}
	*into = v
	return nil
}
