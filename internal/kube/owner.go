package kube

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Tool is what keeps objects as something else says they should be.
type Tool string

// The tools that are known. What Argo CD and Flux own they put back; Helm alone
// only writes when somebody calls it.
const (
	ArgoCD Tool = "Argo CD"
	Flux   Tool = "Flux"
	Helm   Tool = "Helm"
)

// The objects by which Argo CD and Flux are told what to keep, and what the
// Helm program calls its own.
const (
	Application   = "Application"
	Kustomization = "Kustomization"
	HelmRelease   = "HelmRelease"
	Release       = "Release" // of Helm alone: no object, but a name
)

// Owner is what an object belongs to.
type Owner struct {
	Tool      Tool   `json:"tool"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Ref names the object that the owner is.
func (o Owner) Ref(cluster string) Ref {
	return Ref{Cluster: cluster, Namespace: o.Namespace, Kind: o.Kind, Name: o.Name}
}

// Reverts reports whether the owner puts back what others change.
func (o Owner) Reverts() bool { return o.Tool == ArgoCD || o.Tool == Flux }

// ArgoOptions is how an Argo CD marks what it owns.
type ArgoOptions struct {
	// Label has the name of the Application; "" is argocd.argoproj.io/instance.
	// (app.kubernetes.io/instance, which Argo CD took before 3.0, is on what
	// every Helm chart makes, so it counts only where it is said to.)
	Label string
	// Namespace is where Applications are; "" is argocd.
	Namespace string
}

const (
	argoTracking  = "argocd.argoproj.io/tracking-id"
	argoInstance  = "argocd.argoproj.io/instance"
	argoNamespace = "argocd"
	fluxKustomize = "kustomize.toolkit.fluxcd.io/"
	fluxHelm      = "helm.toolkit.fluxcd.io/"
	helmManagedBy = "app.kubernetes.io/managed-by"
	helmRelease   = "meta.helm.sh/release-name"
	helmNamespace = "meta.helm.sh/release-namespace"
)

// ownerOf tells from an object's labels and annotations what it belongs to. An
// object of a Flux HelmRelease has Helm's marks too, and one of an Argo CD
// Application may have all of them: what works last, and reverts, counts.
func ownerOf(ref Ref, m metav1.ObjectMeta, argo ArgoOptions) (Owner, bool) {
	if o, ok := argoOwner(ref, m, argo); ok {
		return o, true
	}
	for _, f := range []struct{ kind, prefix string }{{HelmRelease, fluxHelm}, {Kustomization, fluxKustomize}} {
		if name := m.Labels[f.prefix+"name"]; name != "" {
			return Owner{Tool: Flux, Kind: f.kind, Namespace: cmp.Or(m.Labels[f.prefix+"namespace"], ref.Namespace), Name: name}, true
		}
	}
	if name := m.Annotations[helmRelease]; name != "" && m.Labels[helmManagedBy] == "Helm" {
		return Owner{Tool: Helm, Kind: Release, Namespace: cmp.Or(m.Annotations[helmNamespace], ref.Namespace), Name: name}, true
	}
	return Owner{}, false
}

func argoOwner(ref Ref, m metav1.ObjectMeta, argo ArgoOptions) (Owner, bool) {
	o := Owner{Tool: ArgoCD, Kind: Application, Namespace: cmp.Or(argo.Namespace, argoNamespace)}
	if id := m.Annotations[argoTracking]; id != "" {
		// APPLICATION:GROUP/KIND:NAMESPACE/NAME. An id of another object was
		// copied from it, as controllers do with annotations: it says nothing.
		parts := strings.Split(id, ":")
		if len(parts) == 3 && strings.HasSuffix(parts[1], "/"+ref.Kind) && (parts[2] == ref.Namespace+"/"+ref.Name || parts[2] == "/"+ref.Name) {
			o.Name = parts[0]
			if ns, name, ok := strings.Cut(parts[0], "_"); ok { // Applications of any namespace
				o.Namespace, o.Name = ns, name
			}
			return o, o.Name != ""
		}
	}
	o.Name = m.Labels[cmp.Or(argo.Label, argoInstance)]
	return o, o.Name != ""
}

// Source is where what an owner keeps comes from, and whether it keeps it now.
type Source struct {
	Owner Owner `json:"owner"`
	// Places are the parts of repositories that it is made of, the one that
	// counts most last.
	Places []Place `json:"places,omitempty"`
	// Inline is what the owner's own object sets over what the repositories say.
	Inline []Override `json:"inline,omitempty"`
	// Release is the HelmRelease whose values the places hold, nil for none.
	Release *Owner `json:"release,omitempty"`

	Automatic bool `json:"automatic"` // what is new in the repository is applied by itself
	Heals     bool `json:"heals"`     // what is changed in the cluster is put back
	// Parents are what the owner's own object belongs to.
	Parents []Owner `json:"parents,omitempty"`
	// Held says that a parent would undo it if the owner were told to stand
	// still.
	Held bool `json:"held,omitempty"`
}

// Place is a part of a Git repository.
type Place struct {
	Repository string   `json:"repository"`         // a URL, as the owner has it
	Revision   string   `json:"revision,omitempty"` // branch, tag or commit; "" and HEAD are the default branch
	Fixed      bool     `json:"fixed,omitempty"`    // the revision is a tag or a commit for sure
	Path       string   `json:"path"`               // the folder
	Recurse    bool     `json:"recurse,omitempty"`  // folders in it count too
	Values     []string `json:"values,omitempty"`   // value files of a Helm chart, from the root; the last counts most
}

// The kinds of Override.
const (
	OverrideImage    = "image"    // Name is the image
	OverrideReplicas = "replicas" // Name is the workload
	OverrideValue    = "value"    // Name is the path of a Helm value
)

// Override is something that an owner's object sets itself.
type Override struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Overrides reports whether the owner's own object sets something.
func (s Source) Overrides(kind, name string) bool {
	return slices.Contains(s.Inline, Override{kind, name})
}
