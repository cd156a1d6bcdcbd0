package gitops

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Why a value is left alone. Whoever asks words it for a person.
var (
	errNoValue = errors.New("gitops: there is no such value")
	errShared  = errors.New("gitops: the value is shared by an anchor, so other values would change with it")
	errForm    = errors.New("gitops: the value is written in a way that cannot be changed byte by byte")
	errNotYAML = errors.New("gitops: not YAML")
)

// documents parses a stream of YAML documents. Positions in the nodes count
// from the beginning of the stream.
func documents(src []byte) (docs []*yaml.Node, err error) {
	defer func() { // the parser is known to panic on some garbage
		if r := recover(); r != nil {
			docs, err = nil, fmt.Errorf("%w: %v", errNotYAML, r)
		}
	}()
	if !utf8.Valid(src) {
		return nil, fmt.Errorf("%w: it is not UTF-8", errNotYAML)
	}
	d := yaml.NewDecoder(bytes.NewReader(src))
	for {
		var n yaml.Node
		switch err := d.Decode(&n); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errNotYAML, err)
		}
		docs = append(docs, &n)
	}
}

// root is what a document holds; nil for an empty one.
func root(doc *yaml.Node) *yaml.Node {
	if doc == nil || doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// child is the value under a key or an index; nil where there is none. Aliases
// and merged mappings are not followed: what stands there belongs to others too.
func child(n *yaml.Node, step any) *yaml.Node {
	if n == nil {
		return nil
	}
	switch s := step.(type) {
	case string:
		if n.Kind != yaml.MappingNode {
			return nil
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == s {
				return n.Content[i+1]
			}
		}
	case int:
		if n.Kind == yaml.SequenceNode && s >= 0 && s < len(n.Content) {
			return n.Content[s]
		}
	}
	return nil
}

// at is the value at a path of keys and indexes; nil where there is none.
func at(n *yaml.Node, path ...any) *yaml.Node {
	for _, step := range path {
		n = child(n, step)
	}
	return n
}

// text is the scalar at a path, "" where there is none. An alias of a scalar
// counts as that scalar.
func text(n *yaml.Node, path ...any) string {
	n = at(n, path...)
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return ""
	}
	return n.Value
}

// items are the elements of the list at a path.
func items(n *yaml.Node, path ...any) []*yaml.Node {
	if n = at(n, path...); n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// safe is what a value may consist of that is put into a file: image
// references and numbers. None of it needs escaping in quotes.
var safe = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$`)

// numeric looks like a number to some reader of YAML.
var numeric = regexp.MustCompile(`^[0-9.eExXoObB_+:-]+$`)

// Set puts another value in the place of the scalar at a path of one document
// of a YAML stream. All other bytes stay as they are: comments, quotes,
// indentation, line ends. A number is written as one; anything else so that
// every reader takes it for a string.
func Set(src []byte, doc int, path []any, value string, number bool) ([]byte, error) {
	if !safe.MatchString(value) {
		return nil, fmt.Errorf("%w: %q", errForm, value)
	}
	docs, err := documents(src)
	if err != nil {
		return nil, err
	}
	if doc < 0 || doc >= len(docs) {
		return nil, errNoValue
	}
	on := []*yaml.Node{root(docs[doc])}
	for _, step := range path {
		on = append(on, child(on[len(on)-1], step))
	}
	n := on[len(on)-1]
	if n == nil {
		return nil, errNoValue
	}
	if aliased(docs[doc], on) {
		return nil, errShared
	}
	from, to, err := extent(src, n)
	if err != nil {
		return nil, err
	}
	raw, err := written(n, value, number)
	if err != nil {
		return nil, err
	}
	out := slices.Concat(src[:from], []byte(raw), src[to:])
	return out, check(docs, out, doc, path, value)
}

// aliased reports whether an alias of the document leads to one of these nodes.
func aliased(n *yaml.Node, to []*yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		return slices.Contains(to, n.Alias)
	}
	return slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return aliased(c, to) })
}

// extent is where the scalar of a node stands: its quotes with it, its anchor
// and tag not.
func extent(src []byte, n *yaml.Node) (from, to int, err error) {
	from, ok := offset(src, n.Line, n.Column)
	if !ok {
		return 0, 0, errForm
	}
	if n.Kind == yaml.AliasNode {
		if raw := "*" + n.Value; bytes.HasPrefix(src[from:], []byte(raw)) {
			return from, from + len(raw), nil
		}
		return 0, 0, errForm
	}
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return 0, 0, errForm
	}
	for from < len(src) && (src[from] == '&' || src[from] == '!') {
		for from < len(src) && !bytes.ContainsRune([]byte(" \t\r\n"), rune(src[from])) {
			from++
		}
		for from < len(src) && (src[from] == ' ' || src[from] == '\t') {
			from++
		}
	}
	raw := n.Value
	switch {
	case n.Style&yaml.SingleQuotedStyle != 0:
		raw = "'" + strings.ReplaceAll(raw, "'", "''") + "'"
	case n.Style&yaml.DoubleQuotedStyle != 0:
		raw = `"` + raw + `"` // with escapes in it, it is not found again
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 0, 0, errForm
	}
	if !bytes.HasPrefix(src[from:], []byte(raw)) {
		return 0, 0, errForm
	}
	return from, from + len(raw), nil
}

// offset finds a line and column of the parser, which count characters from 1.
func offset(src []byte, line, column int) (int, bool) {
	at := 0
	if bytes.HasPrefix(src, []byte("\ufeff")) {
		at = len("\ufeff")
	}
	for ; line > 1; line-- {
		i := bytes.IndexAny(src[at:], "\r\n\u0085\u2028\u2029")
		if i < 0 {
			return 0, false
		}
		at += i
		if bytes.HasPrefix(src[at:], []byte("\r\n")) {
			at += 2
			continue
		}
		_, n := utf8.DecodeRune(src[at:])
		at += n
	}
	for ; column > 1; column-- {
		if at >= len(src) {
			return 0, false
		}
		_, n := utf8.DecodeRune(src[at:])
		at += n
	}
	return at, at < len(src)
}

// written is a value in the style of the node that it takes the place of.
func written(n *yaml.Node, value string, number bool) (string, error) {
	switch {
	case n.Style&yaml.SingleQuotedStyle != 0:
		return "'" + value + "'", nil
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return `"` + value + `"`, nil
	}
	var parsed yaml.Node
	if err := yaml.Unmarshal([]byte(value), &parsed); err != nil || root(&parsed) == nil {
		return "", errForm
	}
	tag := root(&parsed).ShortTag()
	switch {
	case number && tag != "!!int":
		return "", errForm
	case number, tag == "!!str" && !numeric.MatchString(value) && !yes(value):
		return value, nil
	}
	return `"` + value + `"`, nil
}

// yes reports whether a word is a truth value to readers of YAML 1.1.
func yes(s string) bool {
	return slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}, strings.ToLower(s))
}

// check holds that nothing but the one value is different.
func check(before []*yaml.Node, src []byte, doc int, path []any, value string) error {
	after, err := documents(src)
	if err != nil || len(after) != len(before) {
		return errForm
	}
	n := at(root(after[doc]), path...)
	if n == nil || n.Kind != yaml.ScalarNode || n.Value != value {
		return errForm
	}
	was := at(root(before[doc]), path...)
	for i := range before {
		if !same(before[i], after[i], was) {
			return errForm
		}
	}
	return nil
}

// same compares two trees but for one node of the first.
func same(a, b, but *yaml.Node) bool {
	if a == but {
		return a.HeadComment == b.HeadComment && a.LineComment == b.LineComment && a.FootComment == b.FootComment
	}
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || a.Anchor != b.Anchor || a.Style != b.Style || len(a.Content) != len(b.Content) ||
		a.HeadComment != b.HeadComment || a.LineComment != b.LineComment || a.FootComment != b.FootComment {
		return false
	}
	for i := range a.Content {
		if !same(a.Content[i], b.Content[i], but) {
			return false
		}
	}
	return true
}
