package gitops

import (
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// files is a tree in memory.
type files map[string]string

func (f files) Files() []string {
	var out []string
	for name := range f {
		out = append(out, name)
	}
	return out
}

func (f files) Read(name string) ([]byte, error) {
	s, ok := f[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(s), nil
}

func unpack(s string) files {
	out := files{}
	for _, f := range txtar.Parse([]byte(s)).Files {
		out[f.Name] = string(f.Data)
	}
	return out
}

const cart = `
kind: Deployment
metadata: {name: cart}
spec:
  replicas: 3 # enough
  template:
    spec:
      containers:
      - {name: proxy, image: proxy:1}
      - name: cart
        image: r.example/shop/cart:v1
`

func scaleTo(n int32) kube.Change {
	return kube.Change{Ref: kube.Ref{Namespace: "shop", Kind: kube.Deployment, Name: "cart"}, Verb: kube.VerbScale, FromReplicas: 3, ToReplicas: n}
}

func imageTo(to string) kube.Change {
	return kube.Change{
		Ref: kube.Ref{Namespace: "shop", Kind: kube.Deployment, Name: "cart"}, Verb: kube.VerbImage,
		Images: []kube.ImageChange{{Container: "cart", From: "r.example/shop/cart:v1", To: to}},
	}
}

func TestFind(t *testing.T) {
	values := Values{Image: []string{"image"}, Tag: []string{"image.tag", "{name}.image.tag"}, Replicas: []string{"replicaCount"}}
	for _, tt := range []struct {
		name, tree string
		src        kube.Source
		place      kube.Place
		change     kube.Change
		file, was  string // the file and line that change
		now        string
		also       string
		kind       fault.Kind
		follows    bool
	}{
		{name: "a manifest", tree: "-- shop/cart.yaml --" + cart, place: kube.Place{Path: "shop"}, change: scaleTo(5), file: "shop/cart.yaml", was: "  replicas: 3 # enough", now: "  replicas: 5 # enough"},
		{name: "its image", tree: "-- shop/cart.yaml --" + cart, place: kube.Place{Path: "shop"}, change: imageTo("r.example/shop/cart:v2"), file: "shop/cart.yaml", was: "        image: r.example/shop/cart:v1", now: "        image: r.example/shop/cart:v2"},
		{name: "at the root", tree: "-- cart.yaml --" + cart, place: kube.Place{}, change: scaleTo(5), file: "cart.yaml", was: "  replicas: 3 # enough", now: "  replicas: 5 # enough"},
		{name: "behind others in a file", tree: "-- a/x.yml --\nkind: Service\nmetadata: {name: cart}\n---" + cart, place: kube.Place{Path: "a"}, change: scaleTo(5), file: "a/x.yml", was: "  replicas: 3 # enough", now: "  replicas: 5 # enough"},
		{name: "in a list", tree: "-- a/x.yaml --\nkind: List\nitems:\n- kind: Deployment\n  metadata: {name: cart}\n  spec: {replicas: 3}\n", place: kube.Place{Path: "a"}, change: scaleTo(5), file: "a/x.yaml", was: "  spec: {replicas: 3}", now: "  spec: {replicas: 5}"},
		{name: "not in folders below", tree: "-- a/b/x.yaml --" + cart, place: kube.Place{Path: "a"}, change: scaleTo(5), kind: fault.NotFound},
		{name: "in folders below where they count", tree: "-- a/b/x.yaml --" + cart, place: kube.Place{Path: "a", Recurse: true}, change: scaleTo(5), file: "a/b/x.yaml", was: "  replicas: 3 # enough", now: "  replicas: 5 # enough"},
		{name: "not in a folder that only begins so", tree: "-- ab/x.yaml --" + cart, place: kube.Place{Path: "a", Recurse: true}, change: scaleTo(5), kind: fault.NotFound},
		{name: "not of another namespace", tree: "-- a/x.yaml --" + strings.Replace(cart, "{name: cart}", "{name: cart, namespace: prod}", 1), place: kube.Place{Path: "a"}, change: scaleTo(5), kind: fault.NotFound},
		{name: "twice", tree: "-- a/x.yaml --" + cart + "-- a/y.yaml --" + cart, place: kube.Place{Path: "a"}, change: scaleTo(5), kind: fault.Ambiguous},
		{name: "without the number", tree: "-- a/x.yaml --" + strings.Replace(cart, "replicas:", "other:", 1), place: kube.Place{Path: "a"}, change: scaleTo(5), kind: fault.NotFound},
		{
			name: "replicas of a kustomization", tree: "-- p/kustomization.yaml --\nresources: [../base]\nreplicas:\n- name: cart\n  count: 3\n-- base/kustomization.yaml --\nresources: [c.yaml]\n-- base/c.yaml --" + cart,
			place: kube.Place{Path: "p"}, change: scaleTo(5), file: "p/kustomization.yaml", was: "  count: 3", now: "  count: 5",
		},
		{
			name: "images of a kustomization", tree: "-- p/kustomization.yaml --\nresources: [../base]\nimages:\n- {name: r.example/shop/cart, newTag: v1}\n-- base/kustomization.yaml --\nresources: [c.yaml]\n-- base/c.yaml --" + cart + "---" + strings.Replace(cart, "name: cart}", "name: worker}", 1),
			place: kube.Place{Path: "p"}, change: imageTo("r.example/shop/cart:2.10"), file: "p/kustomization.yaml", was: "- {name: r.example/shop/cart, newTag: v1}", now: `- {name: r.example/shop/cart, newTag: "2.10"}`, also: "worker",
		},
		{
			name: "an image that is renamed", tree: "-- p/kustomization.yaml --\nresources: [c.yaml]\nimages:\n- {name: cart, newName: r.example/shop/cart, newTag: 'v1'}\n-- p/c.yaml --" + strings.Replace(cart, "r.example/shop/cart:v1", "cart", 1),
			place: kube.Place{Path: "p"}, change: imageTo("r.example/shop/cart:v2"), file: "p/kustomization.yaml", was: "- {name: cart, newName: r.example/shop/cart, newTag: 'v1'}", now: "- {name: cart, newName: r.example/shop/cart, newTag: 'v2'}",
		},
		{
			name: "another image than the kustomization's", tree: "-- p/kustomization.yaml --\nimages:\n- {name: r.example/shop/cart, newTag: v1}\n",
			place: kube.Place{Path: "p"}, change: imageTo("r.example/shop/other:v1"), kind: fault.Refused,
		},
		{
			name: "a digest where a tag is wanted", tree: "-- p/kustomization.yaml --\nimages:\n- {name: r.example/shop/cart, digest: 'sha256:00'}\n",
			place: kube.Place{Path: "p"}, change: imageTo("r.example/shop/cart:v2"), kind: fault.Refused,
		},
		{
			name: "a patch of the kustomization", tree: "-- p/kustomization.yaml --\nresources: [c.yaml]\npatches: [{path: more.yaml}]\n-- p/c.yaml --" + cart + "-- p/more.yaml --\nkind: Deployment\nmetadata: {name: cart}\nspec: {replicas: 7}\n",
			place: kube.Place{Path: "p"}, change: scaleTo(5), file: "p/more.yaml", was: "spec: {replicas: 7}", now: "spec: {replicas: 5}",
		},
		{
			name: "an inline patch about it", tree: "-- p/kustomization.yaml --\nresources: [c.yaml]\npatches:\n- patch: |\n    kind: Deployment\n    metadata: {name: cart}\n    spec: {replicas: 7}\n-- p/c.yaml --" + cart,
			place: kube.Place{Path: "p"}, change: scaleTo(5), kind: fault.Refused,
		},
		{
			name: "an inline patch about something else", tree: "-- p/kustomization.yaml --\nresources: [c.yaml]\npatches:\n- patch: |\n    kind: Deployment\n    metadata: {name: cart}\n    spec: {replicas: 7}\n-- p/c.yaml --" + cart,
			place: kube.Place{Path: "p"}, change: imageTo("r.example/shop/cart:v2"), file: "p/c.yaml", was: "        image: r.example/shop/cart:v1", now: "        image: r.example/shop/cart:v2",
		},
		{
			name: "a JSON patch about it", tree: "-- p/kustomization.yaml --\nresources: [c.yaml]\npatches:\n- {target: {kind: Deployment, name: cart}, path: j.yaml}\n-- p/j.yaml --\n- {op: replace, path: /spec/replicas, value: 7}\n-- p/c.yaml --" + cart,
			place: kube.Place{Path: "p"}, change: scaleTo(5), kind: fault.Refused,
		},
		{
			name: "a base that nobody else uses", tree: "-- p/kustomization.yaml --\nresources: [../base]\nnamePrefix: my-\n-- base/kustomization.yaml --\nresources: [c.yaml]\n-- base/c.yaml --" + cart,
			place: kube.Place{Path: "p"}, change: func() kube.Change { c := scaleTo(5); c.Ref.Name = "my-cart"; return c }(), file: "base/c.yaml", was: "  replicas: 3 # enough", now: "  replicas: 5 # enough",
		},
		{
			name: "a base that staging uses too", tree: "-- p/kustomization.yaml --\nresources: [../base]\n-- s/kustomization.yaml --\nresources: [../base]\n-- base/kustomization.yaml --\nresources: [c.yaml]\n-- base/c.yaml --" + cart,
			place: kube.Place{Path: "p"}, change: scaleTo(5), kind: fault.Refused,
		},
		{
			name: "kustomizations in a circle", tree: "-- p/kustomization.yaml --\nresources: [../q]\n-- q/kustomization.yaml --\nresources: [../p]\n",
			place: kube.Place{Path: "p"}, change: scaleTo(5), kind: fault.Refused,
		},
		{
			name: "the values of a chart", tree: "-- c/Chart.yaml --\nname: cart\n-- c/values.yaml --\nreplicaCount: 3\nimage: {tag: v1}\n-- c/templates/d.yaml --\nkind: Deployment\nmetadata: {name: cart}\nspec: {replicas: {{ .Values.replicaCount }}}\n",
			place: kube.Place{Path: "c"}, change: imageTo("r.example/shop/cart:v2"), file: "c/values.yaml", was: "image: {tag: v1}", now: "image: {tag: v2}",
		},
		{
			name: "values of a place go before those of the chart", tree: "-- c/Chart.yaml --\nname: cart\n-- c/values.yaml --\nreplicaCount: 1\n-- prod.yaml --\nreplicaCount: 3\n",
			place: kube.Place{Path: "c", Values: []string{"c/values.yaml", "prod.yaml"}}, change: scaleTo(5), file: "prod.yaml", was: "replicaCount: 3", now: "replicaCount: 5",
		},
		{
			name: "values by the workload's name", tree: "-- v.yaml --\ncart: {image: {tag: \"v1\"}}\nweb: {image: {tag: \"v1\"}}\n",
			place: kube.Place{Values: []string{"v.yaml"}}, change: imageTo("r.example/shop/cart:v2"), file: "v.yaml", was: `cart: {image: {tag: "v1"}}`, now: `cart: {image: {tag: "v2"}}`,
		},
		{
			name: "a whole image", tree: "-- v.yaml --\nimage: r.example/shop/cart:v1\n",
			place: kube.Place{Values: []string{"v.yaml"}}, change: imageTo("r.example/shop/other:v2"), file: "v.yaml", was: "image: r.example/shop/cart:v1", now: "image: r.example/shop/other:v2",
		},
		{name: "values that say something else than what runs", tree: "-- v.yaml --\nreplicaCount: 9\n", place: kube.Place{Values: []string{"v.yaml"}}, change: scaleTo(5), kind: fault.Conflict},
		{name: "which is as it should be where Git is to follow", follows: true, tree: "-- v.yaml --\nreplicaCount: 9\n", place: kube.Place{Values: []string{"v.yaml"}}, change: scaleTo(5), file: "v.yaml", was: "replicaCount: 9", now: "replicaCount: 5"},
		{name: "values without it", tree: "-- v.yaml --\nfoo: 9\n", place: kube.Place{Values: []string{"v.yaml"}}, change: scaleTo(5), kind: fault.NotFound},
		{
			name: "a release of flux", tree: "-- apps/cart.yaml --\nkind: HelmRelease\nmetadata: {name: other}\nspec: {values: {replicaCount: 3}}\n---\nkind: HelmRelease\nmetadata: {name: cart}\nspec: {values: {replicaCount: 3 }}\n",
			src:   kube.Source{Release: &kube.Owner{Kind: kube.HelmRelease, Name: "cart"}},
			place: kube.Place{Path: "apps", Recurse: true}, change: scaleTo(5), file: "apps/cart.yaml", was: "spec: {values: {replicaCount: 3 }}", now: "spec: {values: {replicaCount: 5 }}",
		},
		{
			name: "set by the Application itself", tree: "-- shop/cart.yaml --" + cart, src: kube.Source{Inline: []kube.Override{{Kind: kube.OverrideReplicas, Name: "cart"}}},
			place: kube.Place{Path: "shop"}, change: scaleTo(5), kind: fault.Refused,
		},
		{
			name: "a value set by the Application itself", tree: "-- v.yaml --\nreplicaCount: 3\n", src: kube.Source{Inline: []kube.Override{{Kind: kube.OverrideValue, Name: "replicaCount"}}},
			place: kube.Place{Values: []string{"v.yaml"}}, change: scaleTo(5), kind: fault.Refused,
		},
		{name: "an anchor that others use", tree: "-- a/x.yaml --\nkind: Deployment\nmetadata: {name: cart}\nspec: {replicas: &n 3, min: *n}\n", place: kube.Place{Path: "a"}, change: scaleTo(5), kind: fault.Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := unpack(tt.tree)
			edits, err := Find(tree, kube.PullRequest{Source: tt.src, Change: tt.change, Follows: tt.follows}, tt.place, values)
			var changed map[string][]byte
			if err == nil {
				changed, err = Apply(tree, edits)
			}
			if fault.KindOf(err) != tt.kind {
				t.Fatalf("%v", err)
			}
			if tt.kind != "" {
				t.Log(fault.Say(err))
				return
			}
			want := strings.Replace(tree[tt.file], tt.was+"\n", tt.now+"\n", 1)
			if want == tree[tt.file] {
				t.Fatal("the test expects nothing to change")
			}
			if len(changed) != 1 || string(changed[tt.file]) != want {
				t.Errorf("changed:\n%s", changed)
			}
			if got := strings.Join(edits[0].Also, " "); got != tt.also {
				t.Errorf("also counts for %q, want %q", got, tt.also)
			}
		})
	}
}
