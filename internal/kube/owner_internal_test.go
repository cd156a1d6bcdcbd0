package kube

import (
	"reflect"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestOwnerOf(t *testing.T) {
	ref := Ref{Namespace: "shop", Kind: Deployment, Name: "cart"}
	app := Owner{ArgoCD, Application, "argocd", "shop"}
	type m = map[string]string
	for _, tt := range []struct {
		name                string
		labels, annotations m
		argo                ArgoOptions
		want                Owner // the zero one: nobody
	}{
		{name: "nothing"},
		{name: "the instance label alone says nothing", labels: m{"app.kubernetes.io/instance": "shop"}},
		{name: "unless it is said to", labels: m{"app.kubernetes.io/instance": "shop"}, argo: ArgoOptions{Label: "app.kubernetes.io/instance"}, want: app},
		{name: "argo's own label", labels: m{"argocd.argoproj.io/instance": "shop"}, want: app},
		{name: "argo's annotation", annotations: m{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/cart"}, want: app},
		{name: "argo's annotation, copied from another object", annotations: m{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}},
		{name: "argo's annotation of another kind", annotations: m{"argocd.argoproj.io/tracking-id": "shop:apps/StatefulSet:shop/cart"}},
		{name: "garbage", annotations: m{"argocd.argoproj.io/tracking-id": "shop"}},
		{name: "an application in a namespace of its own", annotations: m{"argocd.argoproj.io/tracking-id": "team-a_shop:apps/Deployment:shop/cart"}, want: Owner{ArgoCD, Application, "team-a", "shop"}},
		{name: "argo elsewhere", labels: m{"argocd.argoproj.io/instance": "shop"}, argo: ArgoOptions{Namespace: "gitops"}, want: Owner{ArgoCD, Application, "gitops", "shop"}},
		{name: "a kustomization", labels: m{"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}, want: Owner{Flux, Kustomization, "flux-system", "apps"}},
		{
			name:   "a helm release of flux, which has helm's marks too",
			labels: m{"helm.toolkit.fluxcd.io/name": "cart", "helm.toolkit.fluxcd.io/namespace": "shop", "app.kubernetes.io/managed-by": "Helm"}, annotations: m{"meta.helm.sh/release-name": "cart"},
			want: Owner{Flux, HelmRelease, "shop", "cart"},
		},
		{name: "helm", labels: m{"app.kubernetes.io/managed-by": "Helm"}, annotations: m{"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "shop"}, want: Owner{Helm, Release, "shop", "r"}},
		{name: "a chart that argo applied", labels: m{"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "r"}},
		{name: "helm, which argo took over", labels: m{"app.kubernetes.io/managed-by": "Helm", "argocd.argoproj.io/instance": "shop"}, annotations: m{"meta.helm.sh/release-name": "r"}, want: app},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := ownerOf(ref, metav1.ObjectMeta{Labels: tt.labels, Annotations: tt.annotations}, tt.argo)
			if ok != (tt.want != Owner{}) || ok && got != tt.want {
				t.Errorf("got %+v %v", got, ok)
			}
		})
	}
}

func TestApplicationSource(t *testing.T) {
	o := Owner{ArgoCD, Application, "argocd", "shop"}
	for _, tt := range []struct {
		name, spec string
		want       Source
	}{
		{"nothing", `{}`, Source{Places: nil}},
		{
			"a folder, healed", `{source: {repoURL: u, path: shop, targetRevision: main, directory: {recurse: true}}, syncPolicy: {automated: {selfHeal: true}}}`,
			Source{Automatic: true, Heals: true, Places: []Place{{Repository: "u", Revision: "main", Path: "shop", Recurse: true}}},
		},
		{"a password is nobody's", `{source: {repoURL: "https://me:secret@github.com/a/b.git", path: p}}`, Source{Places: []Place{{Repository: "https://github.com/a/b.git", Path: "p"}}}},
		{"a name to log in by is kept", `{source: {repoURL: "git@github.com:a/b.git", path: p}}`, Source{Places: []Place{{Repository: "git@github.com:a/b.git", Path: "p"}}}},
		{"automatic, not healed", `{syncPolicy: {automated: {}}}`, Source{Automatic: true}},
		{"switched off", `{syncPolicy: {automated: {enabled: false, selfHeal: true}}}`, Source{}},
		{"not a mapping", `{syncPolicy: {automated: yes}, source: 3}`, Source{}},
		{
			"a chart and its values", `{source: {repoURL: u, path: charts/cart, helm: {valueFiles: [values.yaml, ../prod.yaml, "https://x/y.yaml"], parameters: [{name: image.tag, value: v1}], values: "a: {b: 1}\nc: 2"}}}`,
			Source{
				Places: []Place{{Repository: "u", Path: "charts/cart", Values: []string{"charts/cart/values.yaml", "charts/prod.yaml"}}},
				Inline: []Override{{OverrideValue, "image.tag"}, {OverrideValue, "a.b"}, {OverrideValue, "c"}},
			},
		},
		{
			"a chart of a registry with values in git", `{sources: [{repoURL: r, chart: cart, targetRevision: 1.0.0, helm: {valueFiles: [$values/prod/cart.yaml]}}, {repoURL: u, targetRevision: main, ref: values}]}`,
			Source{Places: []Place{{Repository: "u", Revision: "main", Values: []string{"prod/cart.yaml"}}}},
		},
		{
			"kustomize overrides", `{source: {repoURL: u, path: p, kustomize: {images: ["a/cart=b/cart:v1", "c/web:v2"], replicas: [{name: cart, count: 3}]}}}`,
			Source{
				Places: []Place{{Repository: "u", Path: "p"}},
				Inline: []Override{{OverrideImage, "a/cart"}, {OverrideImage, "b/cart"}, {OverrideImage, "c/web"}, {OverrideReplicas, "cart"}},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var spec map[string]any
			if err := yaml.Unmarshal([]byte(tt.spec), &spec); err != nil {
				t.Fatal(err)
			}
			tt.want.Owner = o
			got := applicationSource(o, &unstructured.Unstructured{Object: map[string]any{"spec": spec}})
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}
