package skill

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// region is several small clusters.
type region struct {
	*town
	mu     sync.Mutex
	silent map[string]bool // clusters that do not answer
	slow   map[string]bool // clusters that let one wait for ever
}

func newRegion() *region {
	r := &region{town: &town{}, silent: map[string]bool{}, slow: map[string]bool{}}
	for _, w := range []struct {
		cluster, namespace, name, image string
		n                               int32
	}{
		{"kind-dev", "shop", "web", "r/web:v2.0", 1}, {"kind-dev", "shop", "lab", "r/lab:1", 1},
		{"prod-eu", "shop", "web", "r/web:v1.9", 3}, {"prod-eu", "shop", "cart", "r/cart:2.0", 2}, {"prod-eu", "shop", "ledger", "r/ledger:1", 1},
		{"prod-us", "shop", "web", "r/web:v1.9", 3}, {"prod-us", "shop", "cart", "r/cart:2.0", 2},
	} {
		r.ws = append(r.ws, kube.Workload{
			Ref: kube.Ref{Cluster: w.cluster, Namespace: w.namespace, Kind: kube.Deployment, Name: w.name}, Generation: 1,
			Containers: []kube.Container{{Name: w.name, Image: w.image}}, Progress: ready(w.n),
		})
	}
	return r
}

func (*region) Cluster() string                                 { return "kind-dev" }
func (*region) Clusters() []string                              { return []string{"kind-dev", "prod-eu", "prod-us"} }
func (*region) Production(c string) bool                        { return c == "prod-eu" }
func (*region) Namespaces(_ context.Context, c string) []string { return []string{"shop"} }
func (*region) Namespace(string) string                         { return "shop" }

func (r *region) Seen(_ context.Context, name string) []kube.Ref {
	var out []kube.Ref
	for _, w := range r.ws {
		if w.Ref.Name == name {
			out = append(out, w.Ref)
		}
	}
	return out
}

func (r *region) answers(ctx context.Context, cluster string) error {
	r.mu.Lock()
	silent, slow := r.silent[cluster], r.slow[cluster]
	r.mu.Unlock()
	switch {
	case slow:
		<-ctx.Done()
		return ctx.Err()
	case silent:
		return fault.New(fault.Unavailable, "The cluster %s does not answer.", cluster)
	case !slices.Contains(r.Clusters(), cluster):
		return fault.New(fault.NotFound, "I know no cluster %s.", cluster)
	}
	return nil
}

func (r *region) Find(ctx context.Context, q kube.Query) ([]kube.Workload, error) {
	if q.Cluster == "" {
		q.Cluster = r.Cluster()
	}
	if err := r.answers(ctx, q.Cluster); err != nil {
		return nil, err
	}
	all, err := r.town.Find(ctx, q)
	return slices.DeleteFunc(all, func(w kube.Workload) bool { return w.Ref.Cluster != q.Cluster }), err
}

func (r *region) List(ctx context.Context, q kube.ListQuery) (kube.Table, error) {
	ws, err := r.Find(ctx, kube.Query{Cluster: q.Cluster, Namespace: q.Namespace})
	t := kube.Table{Kind: q.Kind, Columns: []string{"NAME", "READY"}}
	for _, w := range ws {
		t.Items = append(t.Items, kube.Item{Name: w.Ref.Name, Cells: []string{"1/1"}, Healthy: true})
	}
	return t, err
}

func (r *region) Plan(ctx context.Context, c kube.Change) (kube.Change, kube.Diff, error) {
	if err := r.answers(ctx, c.Ref.Cluster); err != nil {
		return c, kube.Diff{}, err
	}
	return r.town.Plan(ctx, c)
}

func (r *region) Apply(ctx context.Context, c kube.Change, id string) (kube.Applied, error) {
	a, err := r.town.Apply(ctx, c, id)
	r.town.mu.Lock()
	defer r.town.mu.Unlock()
	if c.Verb == kube.VerbImage {
		c.Foresee(r.at(c.Ref))
	}
	r.applied[len(r.applied)-1] = c.Ref.Cluster + "/" + r.applied[len(r.applied)-1]
	if c.Ref.Cluster+"/"+c.Ref.Name == r.stuck {
		r.at(c.Ref).Progress.State = kube.DeadlineExceeded
	}
	return a, err
}

func TestSeveralClusters(t *testing.T) {
	for _, tt := range []struct {
		name   string
		silent string
		stuck  string
		lines  []string // said, answered, …
		did    string
	}{
		{"questions", "", "", []string{
			"how is web?", `^web runs v2.0, 1 of 1 pod ready\.$`,
			"how is web in prod-eu?", `^web in prod-eu runs v1.9, 3 of 3 pods ready\.$`,
			"and in prod-us?", `^web in prod-us runs v1.9, 3 of 3 pods ready\.$`,
			"how is it?", `^web in prod-us runs`,
			"how is web everywhere?", `^web runs 1 of 1 in kind-dev, 3 of 3 in prod-eu and 3 of 3 in prod-us\.$`,
			"which version of web runs in all clusters?", `^web runs v2.0 in kind-dev, v1.9 in prod-eu and v1.9 in prod-us\.$`,
			"how is cart in prod-eu and prod-us?", `^cart runs 2 of 2 in prod-eu and 2 of 2 in prod-us\.$`,
			"how is cart everywhere?", `^cart runs 2 of 2 in prod-eu and 2 of 2 in prod-us\.\nIn kind-dev: I see no cart in kind-dev\.$`,
			"how is everything in prod-eu?", `^All is well: 3 workloads in prod-eu,`,
			"how are the clusters?", `^In kind-dev: All is well: 2 .*\nIn prod-eu: All is well: 3 .*\nIn prod-us: All is well: 2`,
			"list deployments everywhere", `^In kind-dev: 2 deployments in shop.*\nIn prod-eu: 3 deployments.*\nIn prod-us: 2 deployments`,
			"how is lab everywhere?", `^lab runs 1 of 1 in kind-dev\.\nIn prod-eu: I see no lab in prod-eu\.`,
		}, ""},
		{"where the name is", "", "", []string{
			"how is ledger?", `^ledger in prod-eu runs 1`, // the only one there is
			"how is cart?", `^cart is in prod-eu and prod-us\. Which one\?`,
			"prod-us", `^cart in prod-us runs 2.0`,
			"scale cart to five", `Which one`,
			"the first one", `^Scale Deployment cart in shop from 2 to 5 replicas in prod-eu\. Shall I`,
			"no, in prod-us", `^Scale Deployment cart in shop from 2 to 5 replicas in prod-us\. Shall I`,
			"not in prod-us, in prod-eu", `^Scale Deployment cart in shop from 2 to 5 replicas in prod-eu\. Shall I`,
			"no", "", "how is lab in prod-eu?", `^I see no lab in prod-eu\.$`,
			"restart lab in mars", "", "yes", "Nothing is waiting",
		}, ""},
		{"where one is", "", "", []string{
			"switch to prod-eu", `^From now on I look in the cluster prod-eu first, in this conversation; its namespace is shop\.$`,
			"where are we?", `the namespace shop of the cluster prod-eu`,
			"how is web?", `^web in prod-eu runs v1.9`,
			"restart cart", `^Restart Deployment cart in shop, 2 pods, one after the other in prod-eu\. Shall I`,
			"yes", `^Restarting cart in prod-eu …$`, "…", `^✔ cart is restarted, 2 of 2 pods ready in prod-eu\.$`,
			"how is web in kind-dev?", `^web runs v2.0`,
			"use the cluster mars", `^I know no cluster "mars"\. I look after kind-dev, prod-eu and prod-us\.$`,
			"switch to kind-dev", `^From now on I look in the cluster kind-dev first`,
			"switch to kind-dev", `^You are on kind-dev already\.$`,
			"how is web?", `^web runs v2.0`,
		}, "prod-eu/shop/cart 2.0 restarted"},
		{"it keeps its cluster", "", "", []string{
			"how is web in prod-us?", "", "scale it to five", `^Scale Deployment web in shop from 3 to 5 replicas in prod-us\.`,
			"yes", "", "…", `^✔ web runs 5 of 5 replicas \(was 3\) in prod-us\.$`,
			"undo", `^Scale Deployment web in shop from 5 to 3 replicas in prod-us\.`,
			"yes", "", "…", `in prod-us`,
			"how is it?", `^web in prod-us runs`, "and cart there?", `^cart in prod-us runs`,
		}, "prod-us/shop/web 3 5, prod-us/shop/web 5 3"},
		{"one after the other", "", "", []string{
			"scale web to five in prod-us and prod-eu", `^1\. Scale Deployment web in shop from 3 to 5 replicas in prod-us\.\n2\. Scale Deployment web in shop from 3 to 5 replicas in prod-eu\.\nThis is risky: it is done in several clusters\.\nShall I do both\?`,
			"yes", "", "…", `^✔ web runs 5 of 5 replicas \(was 3\) in prod-us and web runs 5 of 5 replicas \(was 3\) in prod-eu\.$`,
			"undo", `^1\. .* from 5 to 3 replicas in prod-(eu|us)\.\n2\. .* from 5 to 3 replicas in prod-`,
			"yes", "", "…", `✔`,
			"how is it?", `web in prod-us runs.*\n?.*web in prod-eu runs|web in prod-eu runs.*\n?.*web in prod-us runs`,
		}, ""},
		{"production comes last", "", "", []string{
			"restart web in all clusters", `^1\. .* in kind-dev\.\n2\. .* in prod-us\.\n3\. .* in prod-eu\.`,
			"no", "", "scale cart to two in all clusters", `^In kind-dev: I see no cart.*\nIn prod-us: cart already runs.*\nIn prod-eu: cart already runs`, "yes", "Nothing is waiting",
			"scale cart to three everywhere", `^1\. .*prod-us\.\n2\. .*prod-eu\.\nIn kind-dev: I see no cart in kind-dev\.`,
			"no", "",
		}, ""},
		{"what goes wrong stops there", "", "prod-us/web", []string{
			"scale web to five in all clusters", `Shall I do all 3`, "yes", "",
			"…", `^✘ web in prod-us is stuck.*\nNot done: scale Deployment web in shop from 3 to 5 replicas in prod-eu\.\nShall I scale web back to 3 in prod-us\?`,
			"yes", "", "…", "",
		}, "kind-dev/shop/web 1 5, prod-us/shop/web 3 5, prod-us/shop/web 5 3"},
		{"one is silent", "prod-us", "", []string{
			"how is web everywhere?", `^web runs 1 of 1 in kind-dev and 3 of 3 in prod-eu\.\nprod-us does not answer\.$`,
			"list deployments in all clusters", `^In kind-dev: .*\nIn prod-eu: .*\nprod-us does not answer\.$`,
			"how is web in prod-us?", `^The cluster prod-us does not answer\.$`,
			"how is web in prod-eu?", `^web in prod-eu runs`,
			"scale web to five in prod-eu and prod-us", `^The cluster prod-us does not answer\. So I propose nothing`,
			"switch to prod-us", `^The cluster prod-us does not answer\. You stay in kind-dev\.$`,
			"where are we?", `cluster kind-dev`, "yes", "Nothing is waiting",
		}, ""},
		{"from one to another", "", "", []string{
			"promote web from kind-dev to prod-us", `^In prod-us, move Deployment web in shop from v1.9 to v2.0, which runs in kind-dev\. Shall I`,
			"yes", "", "…", `^✔ web is on v2.0 .* in prod-us\.$`,
			"promote web from kind-dev to prod-us", `^web in prod-us already runs what runs in kind-dev\.$`,
			"promote cart from kind-dev to prod-us", `^I see no cart in kind-dev\.$`,
			"promote web from prod-eu to prod-eu", `no way to go`,
			"promote lab from kind-dev to prod-eu", `^I see no lab in prod-eu\.$`,
		}, "prod-us/shop/web v1.9 v2.0"},
		{"a chain", "", "", []string{
			"restart web in prod-eu and then scale cart to 3 in prod-us", `^1\. Restart Deployment web .* in prod-eu\.\n2\. Scale Deployment cart .* in prod-us\.`,
			"yes", "", "…", `✔`,
			"switch to prod-us and then restart web", `Restart Deployment web .* in prod-us\.`,
			"no", "",
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegion()
				r.silent[tt.silent] = true
				r.stuck = tt.stuck
				k := talkIn(t, r, r.town)
				for i := 0; i < len(tt.lines); i += 2 {
					k.says(tt.lines[i], tt.lines[i+1])
				}
				if got := strings.Join(r.applied, ", "); tt.did != "" && got != tt.did {
					t.Errorf("did %s", got)
				}
			})
		})
	}
}

// TestAClusterThatHangsIsNamedAtTheDeadline holds that whoever does not answer
// holds nobody up longer than a question may take.
func TestAClusterThatHangsIsNamedAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion()
		r.slow["prod-us"] = true
		k := talkIn(t, r, r.town)
		for said, want := range map[string]string{
			"how is web everywhere?":           `^web runs 1 of 1 in kind-dev and 3 of 3 in prod-eu\.\nprod-us does not answer\.$`,
			"list deployments in all clusters": `^In kind-dev: .*\nIn prod-eu: .*\nprod-us does not answer\.$`,
		} {
			k.says(said, want)
		}
		r.mu.Lock()
		r.slow["prod-eu"], r.slow["kind-dev"] = true, true
		r.mu.Unlock()
		if got := k.says("how is web everywhere?", `^None of the clusters answers: kind-dev, prod-eu and prod-us\.$`); got.Fault != fault.Unavailable {
			t.Errorf("%+v", got)
		}
	})
}

// TestTheEarHearsTheCluster holds that whoever only listens hears where a change
// would be made, whatever the verb.
func TestTheEarHearsTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion()
		k := talkIn(t, r, r.town)
		for _, said := range []string{"restart web in prod-eu", "scale web to five in prod-eu", "deploy web 3.0 in prod-eu", "restart everything in prod-eu"} {
			got := k.says(said, "in prod-eu")
			if !strings.Contains(got.Speech, "in prod eu") || got.Expect != dialogue.ExpectConfirm || slices.ContainsFunc(got.Proposal.Changes, func(c dialogue.Change) bool { return c.Cluster != "prod-eu" }) {
				t.Errorf("%s: %q %+v", said, got.Speech, got.Proposal)
			}
			k.says("no", "")
		}
	})
}

func TestNoPlanLeavesTheClustersThatWereNamed(t *testing.T) {
	ch := func(c string) kube.Change { return kube.Change{Ref: kube.Ref{Cluster: c, Name: "web"}} }
	p := plan{changes: []kube.Change{ch("a")}, then: [][]kube.Change{{ch("b")}}}
	if err := onlyIn(p, []string{"a", "b"}); err != nil {
		t.Error(err)
	}
	if err := onlyIn(p, []string{"a"}); fault.KindOf(err) != fault.Internal || !strings.Contains(fault.Say(err), "in b") {
		t.Error(err)
	}
}
