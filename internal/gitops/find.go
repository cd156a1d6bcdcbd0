package gitops

import (
	"errors"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// Tree is the files of a commit.
type Tree interface {
	// Files lists the paths of all files, sorted.
	Files() []string
	// Read gives a file; an error where there is none.
	Read(path string) ([]byte, error)
}

// Edit is one value that takes the place of another.
type Edit struct {
	File   string
	Doc    int
	Path   []any
	From   string
	To     string
	Number bool
	// Also are the workloads besides the one that is meant that the value counts
	// for.
	Also []string

	image string // the name that the value counts for, in a kustomization's images
}

// Values says where charts keep what is changed, as dotted paths; {name} stands
// for the workload. The first that is there and says what runs is taken.
type Values struct {
	Image    []string // the whole image
	Tag      []string // its tag
	Replicas []string
}

const (
	// maxFile is more than any manifest has that a person wrote, in bytes.
	maxFile = 1 << 20
	// maxDepth is how deep kustomizations may stand in each other.
	maxDepth = 16
	// maxFiles is how many files are read to find one value.
	maxFiles = 4000
)

// finder looks for one workload in a tree.
type finder struct {
	tree   Tree
	files  []string
	values Values
	ref    kube.Ref
	parsed map[string][]*yaml.Node
	all    []located // every workload that was come by
	met    bool      // the one that is looked for was

	follows bool // Git may say something else than what runs
}

// located is a document that was come by.
type located struct {
	file string
	doc  int
	path []any // to the object in the document
	node *yaml.Node
	name string // as it will be in the cluster
}

// Find finds the values of a change in the places that its owner is made of.
func Find(tree Tree, p kube.PullRequest, place kube.Place, v Values) ([]Edit, error) {
	c := p.Change
	f := &finder{tree: tree, files: tree.Files(), values: v, ref: c.Ref, parsed: map[string][]*yaml.Node{}, follows: p.Follows}
	var out []Edit
	for _, w := range wants(c) {
		e, err := f.find(p.Source, place, w)
		if err != nil {
			return nil, err
		}
		e.Also = slices.DeleteFunc(e.Also, func(n string) bool { return n == c.Ref.Name })
		out = append(out, e)
	}
	return out, nil
}

// want is one value that is to be another.
type want struct {
	container string // "" for the number of replicas
	from, to  string
}

func wants(c kube.Change) []want {
	if c.Verb == kube.VerbScale {
		return []want{{from: c.From(), to: c.To()}}
	}
	out := make([]want, len(c.Images))
	for i, im := range c.Images {
		out[i] = want{container: im.Container, from: im.From, to: im.To}
	}
	return out
}

// what is a want in words.
func (w want) what() string {
	if w.container == "" {
		return "the number of replicas"
	}
	return "the image"
}

func (f *finder) find(src kube.Source, place kube.Place, w want) (Edit, error) {
	if name, set := overridden(src, f.ref.Name, w); set {
		return Edit{}, fault.New(fault.Refused, "The %s %s sets %s of %s itself, over what the repository says, so it has to be changed there.", src.Owner.Kind, src.Owner.Name, w.what(), name)
	}
	switch {
	case src.Release != nil:
		return f.inRelease(place, *src.Release, w)
	case len(place.Values) > 0 || slices.Contains(f.files, path.Join(place.Path, "Chart.yaml")):
		return f.inValues(src, place, w)
	}
	found, err := f.inFolder(place.Path, f.ref.Name, place.Recurse, w, 0)
	switch {
	case err != nil:
		return Edit{}, err
	case len(found) == 0:
		return Edit{}, f.notFound(place, w)
	case len(found) > 1:
		return Edit{}, fault.New(fault.Ambiguous, "The repository says %s of %s in several places: %s. Change it there by hand.", w.what(), f.ref.Name, listed(found))
	}
	e := found[0]
	if others := f.sharers(e.File, place.Path); len(others) > 0 {
		return e, fault.New(fault.Refused, "%s of %s stands in %s, which %s uses as well, so a change there would not stay in one place. Change it by hand.", upper(w.what()), f.ref.Name, e.File, strings.Join(others, " and "))
	}
	return e, nil
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func listed(es []Edit) string {
	var out []string
	for _, e := range es {
		out = append(out, e.File)
	}
	return strings.Join(out, " and ")
}

func overridden(src kube.Source, name string, w want) (string, bool) {
	if w.container == "" {
		return name, src.Overrides(kube.OverrideReplicas, name)
	}
	return name, src.Overrides(kube.OverrideImage, kube.Repository(w.from))
}

func (f *finder) notFound(p kube.Place, w want) error {
	where := "the repository " + p.Repository
	if p.Path != "" {
		where = p.Path + " of " + p.Repository
	}
	if f.met {
		return fault.New(fault.NotFound, "I found %s in %s, but %s of it is not written there.", f.ref.Name, where, w.what())
	}
	return fault.New(fault.NotFound, "I found no %s %s in %s.", f.ref.Kind, f.ref.Name, where)
}

// docs parses a file, which may hold several documents; nil where it cannot be
// read as YAML, as the templates of a chart.
func (f *finder) docs(file string) []*yaml.Node {
	if d, ok := f.parsed[file]; ok || len(f.parsed) >= maxFiles {
		return d
	}
	b, err := f.tree.Read(file)
	if err != nil || len(b) > maxFile {
		return nil
	}
	d, err := documents(b)
	if err != nil {
		d = nil
	}
	f.parsed[file] = d
	return d
}

func isYAML(file string) bool {
	ext := path.Ext(file)
	return ext == ".yaml" || ext == ".yml"
}

// kustomizationIn is the file by which a folder is a kustomization, "" for none.
func (f *finder) kustomizationIn(dir string) string {
	for _, name := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		if file := path.Join(dir, name); slices.Contains(f.files, file) {
			return file
		}
	}
	return ""
}

// inFolder finds a value in a folder: a kustomization, or the manifests in it.
func (f *finder) inFolder(dir, name string, recurse bool, w want, depth int) ([]Edit, error) {
	if depth > maxDepth {
		return nil, fault.New(fault.Refused, "The kustomizations of %s lead into each other too deeply for me.", f.ref.Name)
	}
	if k := f.kustomizationIn(dir); k != "" {
		return f.inKustomization(k, name, w, depth)
	}
	var out []Edit
	for _, file := range f.files {
		in := path.Dir(file)
		if !isYAML(file) || in != path.Clean(dir) && !(recurse && (dir == "" || dir == "." || strings.HasPrefix(in+"/", path.Clean(dir)+"/"))) {
			continue
		}
		out = append(out, f.inManifest(file, name, w)...)
	}
	return out, nil
}

// inManifest finds a value in a plain manifest.
func (f *finder) inManifest(file, name string, w want) []Edit {
	var out []Edit
	for i, d := range f.docs(file) {
		for _, o := range objects(file, i, root(d)) {
			o.name = text(o.node, "metadata", "name")
			if containers(o.node) != nil {
				f.all = append(f.all, o)
			}
			ns := text(o.node, "metadata", "namespace")
			if text(o.node, "kind") != f.ref.Kind || o.name != name || ns != "" && ns != f.ref.Namespace {
				continue
			}
			f.met = true
			if p := valuePath(o.node, w); p != nil {
				out = append(out, Edit{File: file, Doc: i, Path: slices.Concat(o.path, p), From: text(o.node, p...), To: w.to, Number: w.container == ""})
			}
		}
	}
	return out
}

// objects are the objects of a document: itself, or the items of a List.
func objects(file string, doc int, n *yaml.Node) []located {
	if text(n, "kind") != "List" {
		return []located{{file: file, doc: doc, node: n}}
	}
	var out []located
	for i, o := range items(n, "items") {
		out = append(out, located{file: file, doc: doc, path: []any{"items", i}, node: o})
	}
	return out
}

func containers(n *yaml.Node) []*yaml.Node { return items(n, "spec", "template", "spec", "containers") }

// valuePath is where an object has a value; nil where it has none.
func valuePath(n *yaml.Node, w want) []any {
	if w.container == "" {
		p := []any{"spec", "replicas"}
		if text(n, p...) == "" {
			return nil
		}
		return p
	}
	for i, c := range containers(n) {
		if text(c, "name") == w.container && text(c, "image") != "" {
			return []any{"spec", "template", "spec", "containers", i, "image"}
		}
	}
	return nil
}

// Apply makes the edits and returns the files that are different.
func Apply(tree Tree, edits []Edit) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, e := range edits {
		src, ok := out[e.File]
		if !ok {
			var err error
			if src, err = tree.Read(e.File); err != nil {
				return nil, err
			}
		}
		b, err := Set(src, e.Doc, e.Path, e.To, e.Number)
		if err != nil {
			return nil, leftAlone(err, e)
		}
		out[e.File] = b
	}
	return out, nil
}

// leftAlone words why a value cannot be changed.
func leftAlone(err error, e Edit) error {
	why := "is written in a way that I cannot change without touching the rest"
	if errors.Is(err, errShared) {
		why = "is shared by an anchor, so other values would change with it"
	}
	return fault.Wrap(err, fault.Refused, "The value %s in %s %s. Change it by hand.", dotted(e.Path), e.File, why)
}
