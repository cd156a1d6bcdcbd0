package kube

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// resourceOf is where objects of a kind are that are read as plain objects.
func resourceOf(kind string) (schema.GroupVersionResource, bool) {
	gvr, ok := map[string]schema.GroupVersionResource{
		Deployment:      {Group: "apps", Version: "v1", Resource: "deployments"},
		StatefulSet:     {Group: "apps", Version: "v1", Resource: "statefulsets"},
		DaemonSet:       {Group: "apps", Version: "v1", Resource: "daemonsets"},
		Application:     {Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"},
		Kustomization:   {Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Resource: "kustomizations"},
		HelmRelease:     {Group: "helm.toolkit.fluxcd.io", Version: "v2", Resource: "helmreleases"},
		"GitRepository": {Group: "source.toolkit.fluxcd.io", Version: "v1", Resource: "gitrepositories"},
	}[kind]
	return gvr, ok
}

// plain reads an object of any kind that resourceOf knows.
func (r *Reader) plain(ctx context.Context, ref Ref) (*unstructured.Unstructured, error) {
	gvr, ok := resourceOf(ref.Kind)
	if !ok {
		return nil, fmt.Errorf("kube: no resource is known for %s", ref.Kind)
	}
	o, err := r.dynamic.Resource(gvr).Namespace(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fault.Wrap(err, fault.NotFound, "There is no %s %s in %s.", ref.Kind, ref.Name, ref.Namespace)
	}
	if err != nil {
		return nil, r.cluster.sentence(err, "look at the "+ref.Kind+" "+ref.Name)
	}
	return o, nil
}

func metaOf(o *unstructured.Unstructured) metav1.ObjectMeta {
	return metav1.ObjectMeta{Labels: o.GetLabels(), Annotations: o.GetAnnotations()}
}

// OwnerOf tells what a workload belongs to; ok is false where that is nothing
// that is known.
func (r *Reader) OwnerOf(ctx context.Context, ref Ref) (o Owner, ok bool, err error) {
	if _, known := resourceOf(ref.Kind); !known {
		return Owner{}, false, nil
	}
	obj, err := r.plain(ctx, ref)
	if err != nil {
		return Owner{}, false, err
	}
	o, ok = ownerOf(ref, metaOf(obj), r.opt.Argo)
	return o, ok, nil
}

// SourceOf reads where an owner has what it keeps from. Of one that is read
// nothing but itself is known: Helm alone leaves no trace of where its chart was.
func (r *Reader) SourceOf(ctx context.Context, o Owner) (Source, error) {
	if !o.Reverts() {
		return Source{Owner: o}, nil
	}
	obj, err := r.plain(ctx, o.Ref(r.cluster.Name))
	if err != nil {
		return Source{Owner: o}, err
	}
	var s Source
	switch o.Kind {
	case Application:
		s = applicationSource(o, obj)
	case Kustomization:
		s, err = r.kustomizationSource(ctx, o, obj)
	case HelmRelease:
		s, err = r.releaseSource(ctx, o, obj)
	}
	if err != nil {
		return s, err
	}
	return s, r.parents(ctx, o, obj, &s)
}

// parents finds what an owner's own object belongs to, and whether that would
// undo a change of it.
func (r *Reader) parents(ctx context.Context, o Owner, obj *unstructured.Unstructured, s *Source) error {
	for _, ref := range obj.GetOwnerReferences() {
		if ref.Kind == "ApplicationSet" { // its controller writes the Application's spec
			s.Parents, s.Held = append(s.Parents, Owner{Tool: ArgoCD, Kind: ref.Kind, Namespace: o.Namespace, Name: ref.Name}), true
		}
	}
	parent, ok := ownerOf(o.Ref(r.cluster.Name), metaOf(obj), r.opt.Argo)
	if !ok || parent == o { // Flux keeps its own first Kustomization
		return nil
	}
	s.Parents = append(s.Parents, parent)
	switch {
	case o.Tool == Flux:
		s.Held = s.Held || assertsSuspend(obj)
	case parent.Kind == Application:
		p, err := r.plain(ctx, parent.Ref(r.cluster.Name))
		if err != nil {
			if k := fault.KindOf(err); k == fault.NotFound || k == fault.Forbidden {
				return nil // it is named; more is not to be known
			}
			return err
		}
		s.Held = s.Held || applicationSource(parent, p).Heals
	}
	return nil
}

// assertsSuspend reports whether somebody who applies an object keeps
// spec.suspend: they take it back at their next turn.
func assertsSuspend(obj *unstructured.Unstructured) bool {
	return slices.ContainsFunc(obj.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
		return f.Operation == metav1.ManagedFieldsOperationApply && owns(f, []string{"f:spec", "f:suspend"})
	})
}

// str, list and mapping read a field of a plain object; what is not there, or
// of another type, is empty.
func str(o map[string]any, fields ...string) string {
	v, _, _ := unstructured.NestedString(o, fields...) // see above
	return v
}

func mapping(o map[string]any, fields ...string) map[string]any {
	v, _, _ := unstructured.NestedMap(o, fields...) // see str
	return v
}

func list(o map[string]any, fields ...string) []any {
	v, _, _ := unstructured.NestedSlice(o, fields...) // see str
	return v
}

func yes(o map[string]any, fields ...string) bool {
	v, _, _ := unstructured.NestedBool(o, fields...) // see str
	return v
}

// mappings are the elements of a list that are mappings.
func mappings(in []any) []map[string]any {
	var out []map[string]any
	for _, v := range in {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// address is the URL of a repository without what somebody may have put in to
// get in by: it is shown, and journaled.
func address(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.User == nil || u.Scheme == "ssh" {
		return raw // user@host:path has a name in it and no secret
	}
	u.User = nil
	return u.String()
}

// applicationSource reads an Application of Argo CD.
func applicationSource(o Owner, obj *unstructured.Unstructured) Source {
	s := Source{Owner: o}
	spec := mapping(obj.Object, "spec")
	if auto, ok, _ := unstructured.NestedMap(spec, "syncPolicy", "automated"); ok { // of another type it is none
		on, said, _ := unstructured.NestedBool(auto, "enabled") // absent is on
		s.Automatic = on || !said
		s.Heals = s.Automatic && yes(auto, "selfHeal")
	}
	all := mappings(list(spec, "sources"))
	if len(all) == 0 {
		all = []map[string]any{mapping(spec, "source")}
	}
	named := map[string]map[string]any{} // by the name that value files refer to
	for _, src := range all {
		if name := str(src, "ref"); name != "" {
			named[name] = src
		}
	}
	for _, src := range all {
		helm := mapping(src, "helm")
		p := Place{Repository: address(str(src, "repoURL")), Revision: str(src, "targetRevision"), Path: str(src, "path"), Recurse: yes(src, "directory", "recurse")}
		var beside []Place
		for _, v := range list(helm, "valueFiles") {
			file, _ := v.(string) // not what the CRD allows otherwise
			if ref, rest, ok := strings.Cut(strings.TrimPrefix(file, "$"), "/"); ok && strings.HasPrefix(file, "$") && named[ref] != nil {
				beside = append(beside, Place{Repository: address(str(named[ref], "repoURL")), Revision: str(named[ref], "targetRevision"), Values: []string{path.Clean(rest)}})
			} else if file != "" && !strings.Contains(file, "://") {
				p.Values = append(p.Values, path.Join(p.Path, file))
			}
		}
		if str(src, "chart") == "" && p.Path != "" {
			s.Places = append(s.Places, p)
		}
		s.Places = append(s.Places, beside...)
		s.Inline = append(s.Inline, argoOverrides(src)...)
	}
	return s
}

// argoOverrides are what the source of an Application sets itself.
func argoOverrides(src map[string]any) []Override {
	var out []Override
	for _, p := range mappings(list(src, "helm", "parameters")) {
		out = append(out, Override{OverrideValue, str(p, "name")})
	}
	values := mapping(src, "helm", "valuesObject")
	if raw := str(src, "helm", "values"); raw != "" && values == nil {
		if yaml.Unmarshal([]byte(raw), &values) != nil {
			values = nil // Argo CD cannot read it either
		}
	}
	out = append(out, leaves(values, "")...)
	for _, v := range list(src, "kustomize", "images") {
		if image, ok := v.(string); ok { // [NAME=]IMAGE
			name, to, both := strings.Cut(image, "=")
			out = append(out, Override{OverrideImage, Repository(name)})
			if both {
				out = append(out, Override{OverrideImage, Repository(to)})
			}
		}
	}
	for _, p := range mappings(list(src, "kustomize", "replicas")) {
		out = append(out, Override{OverrideReplicas, str(p, "name")})
	}
	return out
}

// leaves are the paths of Helm values.
func leaves(values map[string]any, prefix string) []Override {
	var out []Override
	for k, v := range values {
		if m, ok := v.(map[string]any); ok {
			out = append(out, leaves(m, prefix+k+".")...)
			continue
		}
		out = append(out, Override{OverrideValue, prefix + k})
	}
	slices.SortFunc(out, func(a, b Override) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// kustomizationSource reads a Kustomization of Flux and what it is made of.
func (r *Reader) kustomizationSource(ctx context.Context, o Owner, obj *unstructured.Unstructured) (Source, error) {
	on := !yes(obj.Object, "spec", "suspend")
	s := Source{Owner: o, Automatic: on, Heals: on}
	for _, im := range mappings(list(obj.Object, "spec", "images")) {
		s.Inline = append(s.Inline, Override{OverrideImage, str(im, "name")})
		if to := str(im, "newName"); to != "" {
			s.Inline = append(s.Inline, Override{OverrideImage, to})
		}
	}
	kind := str(obj.Object, "spec", "sourceRef", "kind")
	if kind != "GitRepository" {
		return s, nil // a bucket or an image: nothing to commit to
	}
	ns := cmp.Or(str(obj.Object, "spec", "sourceRef", "namespace"), o.Namespace)
	repo, err := r.plain(ctx, Ref{Cluster: r.cluster.Name, Namespace: ns, Kind: kind, Name: str(obj.Object, "spec", "sourceRef", "name")})
	if err != nil {
		return s, err
	}
	ref := mapping(repo.Object, "spec", "ref")
	p := Place{Repository: address(str(repo.Object, "spec", "url")), Revision: str(ref, "branch"), Path: strings.TrimPrefix(path.Clean("/"+str(obj.Object, "spec", "path")), "/"), Recurse: true}
	for _, f := range []string{"commit", "name", "semver", "tag"} { // these go before a branch
		if v := str(ref, f); v != "" {
			p.Revision, p.Fixed = v, true
			break
		}
	}
	s.Places = []Place{p}
	return s, nil
}

// releaseSource reads a HelmRelease of Flux: its values stand in its own
// manifest, which some Kustomization keeps.
func (r *Reader) releaseSource(ctx context.Context, o Owner, obj *unstructured.Unstructured) (Source, error) {
	on := !yes(obj.Object, "spec", "suspend")
	mode := str(obj.Object, "spec", "driftDetection", "mode")
	s := Source{Owner: o, Automatic: on, Heals: on && mode == "enabled"}
	parent, ok := ownerOf(o.Ref(r.cluster.Name), metaOf(obj), r.opt.Argo)
	if !ok || !parent.Reverts() {
		return s, nil
	}
	p, err := r.plain(ctx, parent.Ref(r.cluster.Name))
	if err != nil {
		return s, err
	}
	from := applicationSource(parent, p)
	if parent.Kind == Kustomization {
		if from, err = r.kustomizationSource(ctx, parent, p); err != nil {
			return s, err
		}
	}
	s.Places, s.Release = from.Places, &o
	return s, nil
}
