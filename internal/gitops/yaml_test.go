package gitops

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestSet(t *testing.T) {
	image := []any{"image"}
	for _, tt := range []struct {
		name, src string
		doc       int
		path      []any
		value     string
		number    bool
		want      string // "" where it is left alone
		err       error
	}{
		{name: "plain", src: "image: a/b:1 # why\n", path: image, value: "a/b:2", want: "image: a/b:2 # why\n"},
		{name: "single quotes", src: "image:   'a:1'\n", path: image, value: "a:2", want: "image:   'a:2'\n"},
		{name: "double quotes", src: "image: \"a:1\"\n", path: image, value: "a:2", want: "image: \"a:2\"\n"},
		{name: "quoted number stays quoted", src: "n: '3'\n", path: []any{"n"}, value: "5", number: true, want: "n: '5'\n"},
		{name: "number", src: "n: 3\n", path: []any{"n"}, value: "5", number: true, want: "n: 5\n"},
		{name: "a tag that looks like a number", src: "tag: v1\n", path: []any{"tag"}, value: "2.10", want: "tag: \"2.10\"\n"},
		{name: "a commit that looks like a number", src: "tag: abc\n", path: []any{"tag"}, value: "1e5", want: "tag: \"1e5\"\n"},
		{name: "a tag that is a truth value to some", src: "tag: abc\n", path: []any{"tag"}, value: "on", want: "tag: \"on\"\n"},
		{name: "a word is no number", src: "n: 3\n", path: []any{"n"}, value: "many", number: true, err: errForm},
		{name: "line ends of Windows", src: "# x\r\nimage: a:1\r\nb: 2\r\n", path: image, value: "a:2", want: "# x\r\nimage: a:2\r\nb: 2\r\n"},
		{name: "line ends of old", src: "# x\rimage: a:1\rb: 2\r", path: image, value: "a:2", want: "# x\rimage: a:2\rb: 2\r"},
		{name: "byte order mark", src: "\ufeffimage: a:1\n", path: image, value: "a:2", want: "\ufeffimage: a:2\n"},
		{name: "no end of line at the end", src: "image: a:1", path: image, value: "a:22", want: "image: a:22"},
		{name: "signs of many bytes before it", src: "ü: \"äöü\"\n{ñ: é, image: a:1}: 1\n", path: image, value: "a:2", err: errNoValue},
		{name: "signs of many bytes on its line", src: "x: {\"äöü🚢\": 1, image: a:1}\n", path: []any{"x", "image"}, value: "a:2", want: "x: {\"äöü🚢\": 1, image: a:2}\n"},
		{name: "several documents", src: "---\na: 1\n---\n# second\nimage: a:1\n...\n---\nb: 1\n", doc: 1, path: image, value: "a:2", want: "---\na: 1\n---\n# second\nimage: a:2\n...\n---\nb: 1\n"},
		{name: "in a list, with tabs behind", src: "l:\n- n: 1\n-   image: a:1\t# x\n", path: []any{"l", 1, "image"}, value: "a:2", want: "l:\n- n: 1\n-   image: a:2\t# x\n"},
		{name: "an anchor nobody uses", src: "image: &i a:1\n", path: image, value: "a:2", want: "image: &i a:2\n"},
		{name: "an anchor with a tag", src: "image: !!str &i 'a:1'\n", path: image, value: "a:2", want: "image: !!str &i 'a:2'\n"},
		{name: "an anchor that others use", src: "image: &i a:1\nother: *i\n", path: image, value: "a:2", err: errShared},
		{name: "inside of an anchor that others use", src: "a: &x {image: a:1}\nb: *x\n", path: []any{"a", "image"}, value: "a:2", err: errShared},
		{name: "an alias gives way to the value", src: "d: &i a:1\nimage: *i # x\n", path: image, value: "a:2", want: "d: &i a:1\nimage: a:2 # x\n"},
		{name: "merged in from elsewhere", src: "d: &x {image: a:1}\nb:\n  <<: *x\n", path: []any{"b", "image"}, value: "a:2", err: errNoValue},
		{name: "several lines", src: "image: a\n  b\n", path: image, value: "a:2", err: errForm},
		{name: "a block", src: "image: |\n  a:1\n", path: image, value: "a:2", err: errForm},
		{name: "escapes", src: "image: \"a\\x3a1\"\n", path: image, value: "a:2", err: errForm},
		{name: "empty", src: "image:\n", path: image, value: "a:2", err: errForm},
		{name: "a mapping", src: "image: {a: 1}\n", path: image, value: "a:2", err: errForm},
		{name: "not there", src: "images: a:1\n", path: image, value: "a:2", err: errNoValue},
		{name: "a template", src: "image: {{ .Values.image }}\n", path: image, value: "a:2", err: errForm},
		{name: "garbage", src: "image: [a\n", path: image, value: "a:2", err: errNotYAML},
		{name: "what could break out of its place", src: "image: a:1\n", path: image, value: "a:2 # b", err: errForm},
		{name: "a line of its own", src: "image: a:1\n", path: image, value: "a:2\nb: 1", err: errForm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Set([]byte(tt.src), tt.doc, tt.path, tt.value, tt.number)
			if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if err == nil && string(got) != tt.want {
				t.Errorf("got\n%q\nwant\n%q", got, tt.want)
			}
		})
	}
}

// places are the paths of all scalars of a document.
func places(n *yaml.Node, path []any, out *[][]any) {
	switch n.Kind {
	case yaml.DocumentNode:
		for _, c := range n.Content {
			places(c, path, out)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			places(n.Content[i+1], append(append([]any{}, path...), n.Content[i].Value), out)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			places(c, append(append([]any{}, path...), i), out)
		}
	case yaml.ScalarNode, yaml.AliasNode:
		*out = append(*out, path)
	}
}

// FuzzSet holds that what is set is there and that nothing else is different,
// neither a byte nor what another reader makes of it.
func FuzzSet(f *testing.F) {
	for _, s := range []string{
		"a: 1\n", "spec:\r\n  replicas: 3 # three\r\n  x: &a 'b'\r\n", "- a\n- {b: c, \"d\": \"e\"}\n---\nk: *x\n", "\ufeffä: ü\n---\n? a\n: b\n",
		"a: &x [1, 2]\nb: *x\n", "a: >-\n  t\nb: !!str 1\n", "images:\n- name: a\n  newTag: v1\n", "a:\n\tb\n", "%YAML 1.1\n---\na: b\n",
	} {
		for i, v := range []string{"5", "v2.10", "2.10", "on", "a/b:c@sha256:00"} {
			f.Add([]byte(s), uint(i), v, i%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte, which uint, value string, number bool) {
		docs, err := documents(src)
		if err != nil || len(docs) == 0 {
			return
		}
		doc := int(which % uint(len(docs)))
		var all [][]any
		places(docs[doc], nil, &all)
		if len(all) == 0 {
			return
		}
		path := all[which%uint(len(all))]
		out, err := Set(src, doc, path, value, number)
		if err != nil {
			return
		}
		// One stretch of bytes is another, and it holds the value.
		head := 0
		for head < len(src) && head < len(out) && src[head] == out[head] {
			head++
		}
		tail := 0
		for tail < len(src)-head && tail < len(out)-head && src[len(src)-1-tail] == out[len(out)-1-tail] {
			tail++
		}
		if lines := bytes.Count(src, []byte("\n")); lines != bytes.Count(out, []byte("\n")) {
			t.Fatalf("there were %d lines: %q", lines, out)
		}
		if !bytes.Contains(out, []byte(value)) || len(out)-head-tail > len(value)+2 {
			t.Fatalf("%q became %q: not only %q changed", src, out, value)
		}
		// Decoded, by the other half of the library, all but the one value is equal.
		was, now := decoded(src, doc), decoded(out, doc)
		if was == nil || now == nil {
			return // keys that no Go map can hold
		}
		want, ok := put(was, path, value, now)
		if ok && !reflect.DeepEqual(want, now) {
			t.Fatalf("%q became %q:\nwant %#v\ngot  %#v", src, out, want, now)
		}
	})
}

func decoded(src []byte, doc int) any {
	d := yaml.NewDecoder(bytes.NewReader(src))
	var v any
	for range doc + 1 {
		v = nil
		if d.Decode(&v) != nil {
			return nil
		}
	}
	return v
}

// put sets a value in a decoded document, as now has it; ok is false where keys
// are doubled or not strings.
func put(v any, path []any, value string, now any) (any, bool) {
	if len(path) == 0 {
		if s, ok := now.(string); ok && s != value {
			return nil, true
		}
		return now, true
	}
	switch s := path[0].(type) {
	case string:
		m, ok := v.(map[string]any)
		n, ok2 := now.(map[string]any)
		if !ok || !ok2 || strings.Contains(s, "<<") {
			return nil, false
		}
		out := map[string]any{}
		for k, e := range m {
			out[k] = e
		}
		out[s], ok = put(m[s], path[1:], value, n[s])
		return out, ok
	case int:
		l, ok := v.([]any)
		n, ok2 := now.([]any)
		if !ok || !ok2 || s >= len(l) || s >= len(n) {
			return nil, false
		}
		out := append([]any{}, l...)
		out[s], ok = put(l[s], path[1:], value, n[s])
		return out, ok
	}
	return nil, false
}
