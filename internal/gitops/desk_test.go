package gitops

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/gitops/gitopstest"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// manifest has what an editor of YAML likes to lose.
const manifest = "# the cart\r\nkind: Deployment\r\nmetadata: {name: cart}   # ours\r\nspec:\r\n    replicas: 3\t# enough\r\n    template:\r\n        spec:\r\n            containers:\r\n            -   name: \"cart\"\r\n                image: 'r.example/shop/cart:v1'\r\n\r\n"

// ground is a workload that a test moves about.
type ground struct {
	mu sync.Mutex
	w  kube.Workload
}

func (g *ground) Get(context.Context, kube.Ref) (kube.Workload, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.w, nil
}

func (g *ground) Diagnose(_ context.Context, w kube.Workload) (kube.Progress, error) {
	return w.Progress, nil
}

func (*ground) Plan(context.Context, kube.Change) (kube.Change, kube.Diff, error) {
	return kube.Change{}, kube.Diff{}, errors.New("of the cluster")
}

func (*ground) Apply(context.Context, kube.Change, string) (kube.Applied, error) {
	return kube.Applied{}, errors.New("of the cluster")
}

func (*ground) Step(context.Context, kube.Change, string) (kube.Progress, error) {
	return kube.Progress{}, errors.New("of the cluster")
}

type world struct {
	*ground
	forge *gitopstest.Forge
	desk  *Desk
	src   kube.Source
}

func newWorld(t *testing.T, files map[string]string) *world {
	t.Helper()
	f, err := gitopstest.New(t.TempDir(), "secret")
	if err != nil {
		t.Skip("needs the program git: ", err)
	}
	t.Cleanup(f.Close)
	if err := f.Create("acme/deploy", files); err != nil {
		t.Fatal(err)
	}
	w := &world{ground: &ground{}, forge: f}
	w.w = kube.Workload{Ref: scaleTo(5).Ref, UID: "u", Generation: 1, Labels: map[string]string{"tier": "front"}, Containers: []kube.Container{{Name: "cart", Image: "r.example/shop/cart:v1"}}}
	w.w.Progress = kube.Progress{State: kube.Complete, Desired: 3, Ready: 3}
	w.desk = w.newDesk(t, "secret")
	w.src = kube.Source{
		Owner:  kube.Owner{Tool: kube.ArgoCD, Kind: kube.Application, Namespace: "argocd", Name: "shop"},
		Places: []kube.Place{{Repository: f.URL + "/acme/deploy", Revision: "HEAD", Path: "shop"}},
	}
	return w
}

// newDesk is a desk of a process that knows nothing yet.
func (w *world) newDesk(t *testing.T, token string) *Desk {
	t.Helper()
	d, err := NewDesk(w.ground, w.ground, Options{URL: w.forge.URL, Token: token, Arrival: time.Hour}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *world) change(c kube.Change) kube.Change {
	return kube.Change{
		Ref: c.Ref, Verb: kube.VerbPull, As: kube.As{User: "anna@example.com"}, Cause: "firstmate, asked by web:anna: scale cart @everyone `x` <b>",
		Pull: &kube.PullRequest{Change: c, Source: w.src, Author: "Anna"},
	}
}

func (w *world) plan(t *testing.T, c kube.Change) kube.Change {
	t.Helper()
	planned, diff, err := w.desk.Plan(t.Context(), w.change(c))
	if err != nil {
		t.Fatal(fault.Say(err), err)
	}
	if diff.Unified == "" {
		t.Error("no diff is shown")
	}
	return planned
}

func TestPullRequest(t *testing.T) {
	w := newWorld(t, map[string]string{"shop/cart.yaml": manifest, "README": "x"})
	c := w.plan(t, scaleTo(5))
	if got := c.From() + " to " + c.To(); got != "3 to 5" || c.Pull.Repository != "acme/deploy" || c.Pull.Base != "main" || c.Pull.Files[0] != "shop/cart.yaml" || c.Labels["tier"] != "front" {
		t.Fatalf("%s %+v", got, c.Pull)
	}
	if b, err := w.forge.Branches("acme/deploy"); err != nil || len(b) > 0 {
		t.Fatal("a plan pushed ", b, err)
	}
	if _, err := w.desk.Apply(t.Context(), c, "ABC"); err != nil {
		t.Fatal(err)
	}
	got, err := w.forge.Show("acme/deploy", c.Pull.Head, "shop/cart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(manifest, "replicas: 3", "replicas: 5", 1); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	log, err := w.forge.Log("acme/deploy", c.Pull.Head)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Anna <anna@example.com>\nfirstmate <firstmate@users.noreply.", "Scale cart in shop from 3 to 5\n", "action ABC", "M\tshop/cart.yaml"} {
		if !strings.Contains(log, want) {
			t.Errorf("the commit does not say %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, "README") || strings.Contains(log, "@everyone") || strings.Contains(log, "<b>") {
		t.Errorf("the commit says too much:\n%s", log)
	}
	for _, tt := range []struct {
		name string
		do   func() error
		is   kube.Progress
	}{
		{"opened", func() error { return nil }, kube.Progress{State: kube.Waiting, Pull: kube.Pull{State: kube.PullOpen}}},
		{"checked", func() error { return w.forge.Check(1, "lint", "in_progress", "") }, kube.Progress{State: kube.Waiting, Pull: kube.Pull{State: kube.PullOpen, Checks: "pending"}}},
		{"failed", func() error { return w.forge.Check(1, "lint", "completed", "failure") }, kube.Progress{State: kube.Waiting, Pull: kube.Pull{State: kube.PullOpen, Checks: "failed", Failing: "lint"}}},
		{"passed", func() error { return w.forge.Check(1, "lint", "completed", "success") }, kube.Progress{State: kube.Waiting, Pull: kube.Pull{State: kube.PullOpen, Checks: "passed"}}},
		{"merged", func() error { return w.forge.Merge(1) }, kube.Progress{State: kube.Waiting, Pull: kube.Pull{State: kube.PullMerged}}},
		{"arrived", func() error { w.w.Progress = kube.Progress{State: kube.Updating, Desired: 5}; return nil }, kube.Progress{State: kube.Updating, Desired: 5, Pull: kube.Pull{State: kube.PullMerged, Arrived: true}}},
		{"rolled out", func() error { w.w.Progress = kube.Progress{State: kube.Complete, Desired: 5}; return nil }, kube.Progress{State: kube.Complete, Desired: 5, Pull: kube.Pull{State: kube.PullMerged, Arrived: true}}},
	} {
		if err := tt.do(); err != nil {
			t.Fatal(err)
		}
		p, err := w.desk.Step(t.Context(), c, "ABC")
		if err != nil {
			t.Fatal(err)
		}
		if wants := tt.is.State == kube.Waiting; p.Waits() != wants {
			t.Errorf("%s: waits for people: %v", tt.name, p.Waits())
		}
		if p.Pull.Number != 1 || !strings.HasSuffix(p.Pull.URL, "/acme/deploy/pull/1") {
			t.Errorf("%s: %+v", tt.name, p.Pull)
		}
		p.Again, p.Pull.Number, p.Pull.URL = 0, 0, ""
		if p != tt.is {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.name, p, tt.is)
		}
	}
	if w.forge.Same() == 0 {
		t.Error("GitHub was never asked whether anything is new, but always for all")
	}
}

// TestOnce holds that a process that dies at any place, and the next one, make
// one branch and one pull request together.
func TestOnce(t *testing.T) {
	for _, died := range []string{"before all", "with the branch pushed", "with all done", "at the same time"} {
		t.Run(died, func(t *testing.T) {
			w := newWorld(t, map[string]string{"shop/cart.yaml": manifest})
			c := w.plan(t, scaleTo(5))
			switch died {
			case "with the branch pushed":
				if err := w.desk.publish(t.Context(), repository{"acme", "deploy"}, *c.Pull, c, "ABC"); err != nil {
					t.Fatal(err)
				}
			case "with all done":
				if _, err := w.desk.Apply(t.Context(), c, "ABC"); err != nil {
					t.Fatal(err)
				}
			case "at the same time":
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						if _, err := w.newDesk(t, "secret").Apply(t.Context(), c, "ABC"); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
			}
			a, err := w.newDesk(t, "secret").Apply(t.Context(), c, "ABC")
			if err != nil {
				t.Fatal(err)
			}
			if a.Already != (died == "with all done" || died == "at the same time") {
				t.Errorf("already: %v", a.Already)
			}
			branches, err := w.forge.Branches("acme/deploy")
			if pulls := w.forge.Pulls(); err != nil || len(pulls) != 1 || len(branches) != 1 || pulls[0].Head != branches[0] {
				t.Errorf("%v %v %v", pulls, branches, err)
			}
		})
	}
}

func TestPullRequestIsTakenBack(t *testing.T) {
	w := newWorld(t, map[string]string{"shop/cart.yaml": manifest})
	c := w.plan(t, imageTo("r.example/shop/cart:v2"))
	if _, err := w.desk.Apply(t.Context(), c, "A"); err != nil {
		t.Fatal(err)
	}
	back, ok := c.Inverse()
	if !ok {
		t.Fatal("it cannot be taken back")
	}
	t.Run("while it is open, it is closed", func(t *testing.T) {
		c, _, err := w.desk.Plan(t.Context(), back)
		if err != nil || c.Pull.Close != 1 {
			t.Fatal(c.Pull, err)
		}
		for range 2 { // once more after a crash
			if _, err := w.desk.Apply(t.Context(), c, "B"); err != nil {
				t.Fatal(err)
			}
		}
		p, err := w.desk.Step(t.Context(), c, "B")
		if err != nil || p.State != kube.Complete || w.forge.Pulls()[0].State != "closed" || w.forge.Pulls()[0].Merged {
			t.Fatal(p, err, w.forge.Pulls())
		}
		if p, err := w.desk.Step(t.Context(), w.change(kube.Change{}), "A"); err == nil {
			t.Error(p)
		}
	})
	t.Run("closed, the first is stuck for good", func(t *testing.T) {
		p, err := w.desk.Step(t.Context(), c, "A")
		if err != nil || p.Stuck == nil || p.Stuck.Reason != kube.NotMerged || !p.Stuck.Reason.Hard() {
			t.Fatal(p, err)
		}
		if _, _, err := w.desk.Plan(t.Context(), back); fault.KindOf(err) != fault.NotFound {
			t.Error(err)
		}
	})
	t.Run("merged, another one is opened", func(t *testing.T) {
		c := w.plan(t, imageTo("r.example/shop/cart:v2"))
		if _, err := w.desk.Apply(t.Context(), c, "C"); err != nil {
			t.Fatal(err)
		}
		if err := w.forge.Merge(2); err != nil {
			t.Fatal(err)
		}
		back, _ := c.Inverse()
		c, _, err := w.desk.Plan(t.Context(), back)
		if err != nil || c.Pull.Close != 0 {
			t.Fatal(c.Pull, err)
		}
		if _, err := w.desk.Apply(t.Context(), c, "D"); err != nil {
			t.Fatal(err)
		}
		if got, err := w.forge.Show("acme/deploy", c.Pull.Head, "shop/cart.yaml"); err != nil || got != manifest {
			t.Errorf("%q %v", got, err)
		}
	})
}

// TestGitFollows is the morning after an emergency: Git is to say what the
// cluster does.
func TestGitFollows(t *testing.T) {
	w := newWorld(t, map[string]string{"shop/cart.yaml": manifest})
	for n, c := range []kube.Change{scaleTo(5), imageTo("r.example/shop/cart:v0")} {
		w.w.Progress.Desired, w.w.Containers[0].Image = 5, "r.example/shop/cart:v0"
		ch := w.change(c)
		ch.Pull.Follows = true
		ch, diff, err := w.desk.Plan(t.Context(), ch)
		if err != nil || strings.Count(diff.Unified, "\n+") != 2 {
			t.Fatal(diff.Unified, err)
		}
		if got := ch.From() + " to " + ch.To(); got != []string{"3 to 5", "v1 to "}[n] || ch.Pull.Said != "" {
			t.Errorf("%s, and Git says %q", got, ch.Pull.Said)
		}
		if _, err := w.desk.Apply(t.Context(), ch, "A"); err != nil {
			t.Fatal(err)
		}
		if err := w.forge.Merge(n + 1); err != nil {
			t.Fatal(err)
		}
		if p, err := w.desk.Step(t.Context(), ch, "A"); err != nil || !p.Done() {
			t.Errorf("%+v %v", p, err)
		}
	}
}

func TestPullRequestIsRefused(t *testing.T) {
	w := newWorld(t, map[string]string{"shop/cart.yaml": manifest})
	plan := func(change func(*kube.Change)) error {
		c := w.change(scaleTo(5))
		change(&c)
		_, _, err := w.desk.Plan(t.Context(), c)
		return err
	}
	place := func(do func(p *kube.Place)) func(*kube.Change) {
		return func(c *kube.Change) {
			p := w.src.Places[0]
			do(&p)
			c.Pull.Source.Places = []kube.Place{p}
		}
	}
	for _, tt := range []struct {
		name string
		err  error
		kind fault.Kind
		says string
	}{
		{"another host gets no token", plan(place(func(p *kube.Place) { p.Repository = "https://evil.example/acme/deploy" })), fault.Refused, "evil.example"},
		{"nor one that only looks like it", plan(place(func(p *kube.Place) { p.Repository = "https://" + w.desk.host + ".evil.example/acme/deploy" })), fault.Refused, "evil.example"},
		{"nor by a way out of the path", plan(place(func(p *kube.Place) { p.Repository = w.forge.URL + "/acme/../../x" })), fault.Refused, "not a repository"},
		{"nor by a file", plan(place(func(p *kube.Place) { p.Repository = "file:///etc" })), fault.Refused, "etc"},
		{"no such repository", plan(place(func(p *kube.Place) { p.Repository = w.forge.URL + "/acme/none" })), fault.Forbidden, "acme/none"},
		{"no such branch", plan(place(func(p *kube.Place) { p.Revision = "v1.0" })), fault.Refused, "no branch"},
		{"a tag", plan(place(func(p *kube.Place) { p.Revision, p.Fixed = "main", true })), fault.Refused, "no branch"},
		{"not from git", plan(func(c *kube.Change) { c.Pull.Source.Places = nil }), fault.Refused, "not made from a Git repository"},
		{"the number is so already", plan(func(c *kube.Change) { c.Pull.Change = scaleTo(3) }), fault.Conflict, "nothing to commit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if fault.KindOf(tt.err) != tt.kind || !strings.Contains(fault.Say(tt.err), tt.says) {
				t.Errorf("%v", tt.err)
			}
		})
	}
	t.Run("a token that is not taken", func(t *testing.T) {
		_, _, err := w.newDesk(t, "wrong").Plan(t.Context(), w.change(scaleTo(5)))
		if fault.KindOf(err) != fault.Forbidden || strings.Contains(err.Error(), "wrong") {
			t.Error(err)
		}
	})
	t.Run("what was changed since it was shown", func(t *testing.T) {
		c := w.plan(t, scaleTo(5))
		if err := w.forge.Commit("acme/deploy", map[string]string{"other": "x"}); err != nil {
			t.Fatal(err)
		}
		d := w.plan(t, scaleTo(6))
		if err := w.forge.Commit("acme/deploy", map[string]string{"shop/cart.yaml": strings.Replace(manifest, "replicas: 3", "replicas: 4", 1)}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []kube.Change{c, d} {
			if _, err := w.desk.Apply(t.Context(), c, "A"); fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.Say(err), "says 4") {
				t.Error(err)
			}
		}
		if len(w.forge.Pulls()) > 0 {
			t.Error(w.forge.Pulls())
		}
	})
	t.Run("a GitHub in trouble is asked again later", func(t *testing.T) {
		c := w.plan(t, scaleTo(5))
		w.forge.Fail(1)
		if _, err := w.desk.Apply(t.Context(), c, "A"); fault.KindOf(err) != fault.Unavailable {
			t.Fatal(err)
		}
		if _, err := w.desk.Apply(t.Context(), c, "A"); err != nil || len(w.forge.Pulls()) != 1 {
			t.Fatal(err)
		}
		w.forge.Fail(1)
		p, err := w.desk.Step(t.Context(), c, "A")
		if fault.KindOf(err) != fault.Unavailable || p.Again < time.Second {
			t.Error(p, err)
		}
	})
}

func TestParseRepository(t *testing.T) {
	for raw, want := range map[string]string{
		"https://github.com/acme/deploy":           "acme/deploy",
		"https://github.com/acme/deploy.git":       "acme/deploy",
		"https://token@GitHub.com/acme/deploy.git": "acme/deploy",
		"git@github.com:acme/deploy.git":           "acme/deploy",
		"ssh://git@github.com/acme/deploy.git":     "acme/deploy",
		"ssh://git@github.com:22/acme/de.ploy/":    "acme/de.ploy",
		"https://gitlab.com/acme/deploy":           "",
		"https://github.com.evil.example/a/b":      "",
		"https://evil.example#@github.com/a/b":     "",
		"https://github.com:8443/a/b":              "",
		"https://github.com/a/b/c":                 "",
		"https://github.com/a/..":                  "",
		"https://github.com/a/b%2Fc":               "",
		"git@evil.example:github.com/a/b":          "",
		"/srv/git/x.git":                           "",
		"":                                         "",
	} {
		got, err := parseRepository(raw, "github.com")
		if is := got.String(); err == nil && is != want || err != nil && want != "" {
			t.Errorf("%s: %q %v, want %q", raw, is, err, want)
		}
	}
}
