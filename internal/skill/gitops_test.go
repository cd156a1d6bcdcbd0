package skill

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// keeping is a cluster in which workloads belong to something.
type keeping struct {
	Reader
	owners  map[string]kube.Owner  // by workload
	sources map[string]kube.Source // by owner; one that lacks cannot be seen
	err     error
}

func (k *keeping) OwnerOf(_ context.Context, ref kube.Ref) (kube.Owner, bool, error) {
	o, ok := k.owners[ref.Name]
	return o, ok, k.err
}

func (k *keeping) SourceOf(_ context.Context, _ string, o kube.Owner) (kube.Source, error) {
	s, ok := k.sources[o.Name]
	if !ok {
		return kube.Source{Owner: o}, fault.New(fault.NotFound, "It is not there.")
	}
	s.Owner = o
	return s, nil
}

func (k *keeping) Get(_ context.Context, ref kube.Ref) (kube.Workload, error) {
	return kube.Workload{Ref: ref, Containers: []kube.Container{{Name: "app", Image: "r/app:2"}, {Name: "side", Image: "r/side:1"}}}, nil
}

func TestKept(t *testing.T) {
	catalogue, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	argo := func(name string) kube.Owner {
		return kube.Owner{Tool: kube.ArgoCD, Kind: kube.Application, Namespace: "argocd", Name: name}
	}
	flux := kube.Owner{Tool: kube.Flux, Kind: kube.Kustomization, Namespace: "flux", Name: "apps"}
	healing := kube.Source{Automatic: true, Heals: true, Places: []kube.Place{{Repository: "https://github.com/acme/deploy"}}}
	byHand := kube.Source{Places: healing.Places}
	set := healing
	set.Parents, set.Held = []kube.Owner{{Tool: kube.ArgoCD, Kind: "ApplicationSet", Name: "all"}}, true
	k := &keeping{
		owners: map[string]kube.Owner{
			"web": argo("shop"), "cart": argo("shop"), "slow": argo("by-hand"), "gone": argo("elsewhere"), "set": argo("of-set"), "fluxed": flux,
			"charted": {Tool: kube.Helm, Kind: kube.Release, Namespace: "shop", Name: "rel"},
		},
		sources: map[string]kube.Source{"shop": healing, "by-hand": byHand, "of-set": set, "apps": healing},
	}
	both := GitOps{Pulls: true, Emergency: true}
	scale := func(names ...string) (out []kube.Change) {
		for _, n := range names {
			out = append(out, kube.Change{Ref: kube.Ref{Namespace: "shop", Kind: kube.Deployment, Name: n}, Verb: kube.VerbScale, ToReplicas: 5})
		}
		return out
	}
	one := func(c kube.Change, do func(*kube.Change)) []kube.Change { do(&c); return []kube.Change{c} }
	template := func(images string) []kube.Change {
		return one(scale("web")[0], func(c *kube.Change) {
			c.Verb, c.ToTemplate = kube.VerbTemplate, []byte(`{"spec":{"containers":[`+images+`]}}`)
		})
	}
	for _, tt := range []struct {
		name    string
		may     GitOps
		said    string
		way     string
		changes []kube.Change
		want    string // the verbs and objects, in order
		warns   string // each in one of the warnings, divided by |
		kind    fault.Kind
		says    string
	}{
		{name: "what nobody keeps", may: both, changes: scale("free"), want: "scale free"},
		{name: "a restart is no difference", may: both, changes: one(scale("web")[0], func(c *kube.Change) { c.Verb = kube.VerbRestart }), want: "restart web"},
		{name: "helm is a warning", changes: scale("charted"), want: "scale charted", warns: "helm upgrade"},
		{name: "a pull request each", may: both, changes: scale("web", "cart"), want: "pull web, pull cart", warns: "would put back|do it directly"},
		{name: "an emergency that is not allowed is not offered", may: GitOps{Pulls: true}, changes: scale("web"), want: "pull web", warns: "would put back"},
		{name: "directly, with the owner held once", may: both, way: wayDirect, changes: scale("web", "cart"), want: "hold shop, scale web, scale cart", warns: "Git will still|leaves everything"},
		{name: "flux too", may: both, way: wayDirect, changes: scale("fluxed"), want: "hold apps, scale fluxed", warns: "Kustomization apps alone"},
		{name: "said at the beginning", may: both, said: "Emergency: scale web to 5", changes: scale("web"), want: "hold shop, scale web", warns: "leaves everything"},
		{name: "said later it is no order", may: both, said: "scale web to 5, no emergency", changes: scale("web"), want: "pull web", warns: "would put back"},
		{name: "what is synced by hand needs no hold", may: both, way: wayDirect, changes: scale("slow"), want: "scale slow", warns: "Git will still"},
		{name: "what keeps the owner is named", may: both, way: wayDirect, changes: scale("set"), want: "hold of-set, scale set", warns: "ApplicationSet all, which will undo that"},
		{name: "an owner that cannot be seen", may: both, way: wayDirect, changes: scale("gone"), want: "scale gone", warns: "cannot see here"},
		{name: "nor its repository then", may: both, changes: scale("gone"), kind: fault.Refused, says: "do not know its repository. In an emergency"},
		{name: "directly where that is not allowed", may: GitOps{Pulls: true}, way: wayDirect, changes: scale("web"), kind: fault.Refused, says: "gitops.emergency does not allow"},
		{name: "without a token", changes: scale("web"), kind: fault.Refused, says: "Change it in https://github.com/acme/deploy; I open pull requests once gitops.github.token is set."},
		{name: "a version before is its images", may: both, changes: template(`{"name":"app","image":"r/app:1"},{"name":"side","image":"r/side:1"},{"name":"new","image":"r/new:1"}`), want: "pull web of app r/app:2 r/app:1", warns: "would put back"},
		{name: "that differs in no image", may: both, changes: template(`{"name":"app","image":"r/app:2"}`), kind: fault.Refused, says: "Revert the commit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewCrew(k, nil, catalogue)
			c.UseGitOps(tt.may)
			in := intents.Intent{Name: "scale", Slots: intents.Slots{}}
			if tt.way != "" {
				in.Slots["way"] = tt.way
			}
			turn := dialogue.NewTurn(catalogue, dialogue.Request{Text: tt.said}, &dialogue.Session{}, in)
			p, err := c.kept(t.Context(), turn, plan{changes: tt.changes})
			if fault.KindOf(err) != tt.kind || err != nil && !strings.Contains(fault.Say(err), tt.says) {
				t.Fatal(err)
			}
			if err != nil {
				if turn.Session.LastWrite == nil {
					t.Error("“do it directly” would not know what")
				}
				return
			}
			var got []string
			for _, ch := range p.changes {
				s := string(ch.Verb) + " " + ch.Ref.Name
				if ch.Pull != nil {
					for _, im := range ch.Pull.Change.Images {
						s += " of " + im.Container + " " + im.From + " " + im.To
					}
				}
				got = append(got, s)
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if n := strings.Count(tt.warns, "|"); tt.warns == "" != (len(p.warnings) == 0) || len(p.warnings) < n {
				t.Errorf("it warns %+v", p.warnings)
			}
			for w := range strings.SplitSeq(tt.warns, "|") {
				if !slices.ContainsFunc(p.warnings, func(s intents.Say) bool { return strings.Contains(s.Text, w) }) && w != "" {
					t.Errorf("nothing warns of %q: %+v", w, p.warnings)
				}
			}
			if !tt.may.Emergency && slices.ContainsFunc(p.warnings, func(s intents.Say) bool { return strings.Contains(s.Text, "directly") }) {
				t.Error("what is not allowed is offered")
			}
		})
	}
	t.Run("a cluster that does not answer", func(t *testing.T) {
		c := NewCrew(&keeping{err: errors.New("no")}, nil, catalogue)
		turn := dialogue.NewTurn(catalogue, dialogue.Request{}, &dialogue.Session{}, intents.Intent{Name: "scale", Slots: intents.Slots{}})
		if _, err := c.kept(t.Context(), turn, plan{changes: scale("web")}); err == nil {
			t.Error("whose it is was not known, and it is proposed all the same")
		}
	})
}
