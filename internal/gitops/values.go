package gitops

import (
	"path"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// inValues finds a value in the value files of a chart, the one that counts
// most first.
func (f *finder) inValues(src kube.Source, place kube.Place, w want) (Edit, error) {
	var files []string
	for _, v := range slices.Backward(place.Values) {
		files = append(files, v)
	}
	if own := path.Join(place.Path, "values.yaml"); place.Path != "" && !slices.Contains(files, own) {
		files = append(files, own)
	}
	e, err := f.inChart(files, nil, 0, w)
	if err != nil {
		return e, err
	}
	if key := dotted(e.Path); src.Overrides(kube.OverrideValue, key) {
		return e, fault.New(fault.Refused, "The Application %s sets %s itself, over what the repository says, so it has to be changed there.", src.Owner.Name, key)
	}
	return e, nil
}

func dotted(p []any) string {
	var out []string
	for _, s := range p {
		if s, ok := s.(string); ok {
			out = append(out, s)
		}
	}
	return strings.Join(out, ".")
}

// inRelease finds a value in the manifest of a HelmRelease.
func (f *finder) inRelease(place kube.Place, release kube.Owner, w want) (Edit, error) {
	dir := path.Clean(place.Path)
	for _, file := range f.files {
		if !isYAML(file) || dir != "." && !strings.HasPrefix(file, dir+"/") {
			continue
		}
		for i, d := range f.docs(file) {
			if n := root(d); text(n, "kind") == kube.HelmRelease && text(n, "metadata", "name") == release.Name {
				return f.inChart([]string{file}, []any{"spec", "values"}, i, w)
			}
		}
	}
	return Edit{}, fault.New(fault.NotFound, "I found no HelmRelease %s in %s of %s.", release.Name, place.Path, place.Repository)
}

// inChart finds a value under the configured paths of value files. One that
// says something else than what runs is not the one.
func (f *finder) inChart(files []string, under []any, doc int, w want) (Edit, error) {
	type candidate struct{ dotted, from, to string }
	var all []candidate
	switch {
	case w.container == "":
		for _, p := range f.values.Replicas {
			all = append(all, candidate{p, w.from, w.to})
		}
	default:
		for _, p := range f.values.Image {
			all = append(all, candidate{p, w.from, w.to})
		}
		if kube.Repository(w.from) == kube.Repository(w.to) && !strings.Contains(w.to, "@") {
			for _, p := range f.values.Tag {
				all = append(all, candidate{p, kube.Tag(w.from), kube.Tag(w.to)})
			}
		}
	}
	said := ""
	for _, file := range files {
		for _, c := range all {
			p := slices.Clone(under)
			for _, s := range strings.Split(strings.ReplaceAll(c.dotted, "{name}", f.ref.Name), ".") {
				p = append(p, s)
			}
			for i, d := range f.docs(file) {
				is := text(root(d), p...)
				switch {
				case i != doc || is == "":
				case is != c.from && !f.follows:
					said = dotted(p) + " in " + file + " says " + is
				default:
					return Edit{File: file, Doc: i, Path: p, From: is, To: c.to, Number: w.container == ""}, nil
				}
			}
		}
	}
	if said != "" {
		return Edit{}, fault.New(fault.Conflict, "The repository and the cluster disagree: %s, and what runs is %s. I leave that alone until both say the same.", said, w.from)
	}
	return Edit{}, fault.New(fault.NotFound, "I found no value for %s of %s in %s. Its path can be set under gitops.values.", w.what(), f.ref.Name, strings.Join(files, " and "))
}
