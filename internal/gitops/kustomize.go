package gitops

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// inKustomization finds a value in a kustomization: what it sets itself, else
// what its patches set, else what is in what it is made of.
func (f *finder) inKustomization(file, name string, w want, depth int) ([]Edit, error) {
	docs := f.docs(file)
	if len(docs) == 0 {
		return nil, nil
	}
	k, dir := root(docs[0]), path.Dir(file)
	name = strings.TrimSuffix(strings.TrimPrefix(name, text(k, "namePrefix")), text(k, "nameSuffix"))
	found, err := f.setByKustomization(file, k, name, w)
	if err != nil || len(found) > 0 {
		if err == nil && w.container != "" {
			f.walk(k, dir, depth)
			found[0].Also = f.users(found[0].image)
		}
		return found, err
	}
	if found, err = f.inPatches(k, dir, name, w); err != nil || len(found) > 0 {
		return found, err
	}
	var out []Edit
	for _, r := range below(k) {
		p := path.Join(dir, r)
		if !slices.Contains(f.files, p) {
			found, err := f.inFolder(p, name, false, w, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, found...)
			continue
		}
		out = append(out, f.inManifest(p, name, w)...)
	}
	return out, nil
}

// below are the files and folders that a kustomization is made of.
func below(k *yaml.Node) []string {
	var out []string
	for _, key := range []string{"resources", "bases", "components"} {
		for _, n := range items(k, key) {
			if r := text(n); r != "" && !strings.Contains(r, "://") && !strings.Contains(r, "?ref=") {
				out = append(out, r)
			}
		}
	}
	return out
}

// walk comes by all workloads of a kustomization.
func (f *finder) walk(k *yaml.Node, dir string, depth int) {
	for _, r := range below(k) {
		p := path.Join(dir, r)
		if slices.Contains(f.files, p) {
			f.inManifest(p, "", want{})
			continue
		}
		if _, err := f.inFolder(p, "", false, want{}, depth+1); err != nil {
			return // it leads too deep: what was come by so far counts
		}
	}
}

// users are the workloads that run an image.
func (f *finder) users(image string) []string {
	var out []string
	for _, l := range f.all {
		for _, c := range containers(l.node) {
			if kube.Repository(text(c, "image")) == image && !slices.Contains(out, l.name) {
				out = append(out, l.name)
			}
		}
	}
	return out
}

// setByKustomization finds what a kustomization's images and replicas set.
func (f *finder) setByKustomization(file string, k *yaml.Node, name string, w want) ([]Edit, error) {
	if w.container == "" {
		for i, r := range items(k, "replicas") {
			if text(r, "name") == name {
				f.met = true
				return []Edit{{File: file, Path: []any{"replicas", i, "count"}, From: text(r, "count"), To: w.to, Number: true}}, nil
			}
		}
		return nil, nil
	}
	repo := kube.Repository(w.from)
	for i, im := range items(k, "images") {
		named := text(im, "newName")
		if named == "" {
			named = text(im, "name")
		}
		if named != repo {
			continue
		}
		f.met = true
		field, to := "newTag", kube.Tag(w.to)
		if _, digest, ok := strings.Cut(w.to, "@"); ok {
			field, to = "digest", digest
		}
		switch {
		case kube.Repository(w.to) != repo:
			return nil, fault.New(fault.Refused, "%s is an image of another name than %s, and I only change versions in a kustomization's images. Change %s by hand.", w.to, repo, file)
		case text(im, "newTag") == "" && text(im, "digest") == "":
			continue // it gives the image another name only
		case text(im, field) == "" || text(im, "newTag") != "" && text(im, "digest") != "":
			return nil, fault.New(fault.Refused, "%s pins the image in another way than by a %s, so I leave it alone.", file, strings.TrimPrefix(strings.ToLower(field), "new"))
		}
		return []Edit{{File: file, Path: []any{"images", i, field}, From: text(im, field), To: to, image: text(im, "name")}}, nil
	}
	return nil, nil
}

// inPatches finds a value in the patches of a kustomization. Those that cannot
// be changed byte by byte are refused, where they are about the value.
func (f *finder) inPatches(k *yaml.Node, dir, name string, w want) ([]Edit, error) {
	var out []Edit
	look := func(n *yaml.Node, file string) error {
		if file != "" && slices.Contains(f.files, path.Join(dir, file)) {
			p := path.Join(dir, file)
			out = append(out, f.inManifest(p, name, w)...)
			for _, d := range f.docs(p) {
				if err := jsonPatch(root(d), n, p, name, w); err != nil {
					return err
				}
			}
			return nil
		}
		inline := text(n, "patch")
		if n.Kind == yaml.ScalarNode {
			inline = n.Value // of patchesStrategicMerge
		}
		docs, err := documents([]byte(inline))
		if inline == "" || err != nil {
			return nil
		}
		for i, d := range docs {
			if err := jsonPatch(root(d), n, "a patch in "+dir, name, w); err != nil {
				return err
			}
			for _, o := range objects("", i, root(d)) {
				if text(o.node, "kind") == f.ref.Kind && (text(o.node, "metadata", "name") == name || text(n, "target", "name") == name) && valuePath(o.node, w) != nil {
					return inPatch("a patch in "+dir, name, w)
				}
			}
		}
		return nil
	}
	for _, key := range []string{"patches", "patchesStrategicMerge", "patchesJson6902"} {
		for _, n := range items(k, key) {
			file := text(n, "path")
			if n.Kind == yaml.ScalarNode {
				file = n.Value
			}
			if err := look(n, file); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// jsonPatch refuses where the operations of a JSON patch are about the value.
func jsonPatch(ops, patch *yaml.Node, where, name string, w want) error {
	field := "/image"
	if w.container == "" {
		field = "/spec/replicas"
	}
	if ops == nil || ops.Kind != yaml.SequenceNode || text(patch, "target", "name") != name {
		return nil
	}
	for _, op := range ops.Content {
		if strings.HasSuffix(text(op, "path"), field) {
			return inPatch(where, name, w)
		}
	}
	return nil
}

func inPatch(where, name string, w want) error {
	return fault.New(fault.Refused, "%s of %s is set by %s in a way that I cannot change without touching the rest. Change it there by hand.", upper(w.what()), name, where)
}

// sharers are the kustomizations elsewhere that use a file outside of the
// owner's own folder.
func (f *finder) sharers(file, home string) []string {
	home = path.Clean(home)
	if home == "." || strings.HasPrefix(file, home+"/") {
		return nil
	}
	var out []string
	for _, k := range f.files {
		dir := path.Dir(k)
		if f.kustomizationIn(dir) != k || dir == home || dir == path.Dir(file) || strings.HasPrefix(dir, home+"/") {
			continue
		}
		docs := f.docs(k)
		if len(docs) == 0 {
			continue
		}
		for _, r := range below(root(docs[0])) {
			p := path.Join(dir, r)
			if (p == file || p == path.Dir(file)) && !slices.Contains(out, dir) {
				out = append(out, dir)
			}
		}
	}
	return out
}
