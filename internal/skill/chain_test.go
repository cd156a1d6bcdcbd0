package skill

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// town is a small cluster that does at once what it is told.
type town struct {
	Reader
	mu      sync.Mutex
	ws      []kube.Workload
	applied []string
	stuck   string // what does not roll out
	moving  int    // so often it scales itself while somebody plans
}

func newTown() *town {
	t := &town{}
	for _, w := range []struct {
		namespace, kind, name, image string
		n                            int32
	}{
		{"shop", kube.Deployment, "web", "r/web:v1.9", 3}, {"shop", kube.Deployment, "cart", "r/cart:2.0", 2},
		{"shop", kube.DaemonSet, "log-agent", "r/log:3", 3}, {"staging", kube.Deployment, "web", "r/web:v2.0", 1},
		{"staging", kube.Deployment, "billing", "r/billing:1", 1}, {"lab", kube.Deployment, "billing", "r/billing:2", 1},
	} {
		t.ws = append(t.ws, kube.Workload{
			Ref: kube.Ref{Cluster: "home", Namespace: w.namespace, Kind: w.kind, Name: w.name}, Generation: 1,
			Containers: []kube.Container{{Name: w.name, Image: w.image}}, Progress: ready(w.n),
		})
	}
	return t
}

func ready(n int32) kube.Progress {
	return kube.Progress{State: kube.Complete, Desired: n, Updated: n, Ready: n, Available: n, Total: n}
}

func (*town) Namespace(string) string                     { return "shop" }
func (*town) Cluster() string                             { return "home" }
func (*town) Clusters() []string                          { return []string{"home"} }
func (*town) Namespaces(context.Context, string) []string { return []string{"lab", "shop", "staging"} }

func (t *town) Find(_ context.Context, q kube.Query) ([]kube.Workload, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []kube.Workload
	for _, w := range t.ws {
		if (q.Namespace == "" || q.Namespace == w.Ref.Namespace) && (q.Name == "" || q.Name == w.Ref.Name) && (q.Kind == "" || q.Kind == w.Ref.Kind) {
			out = append(out, w)
		}
	}
	return out, nil
}

func (t *town) Diagnose(_ context.Context, w kube.Workload) (kube.Progress, error) {
	return w.Progress, nil
}

func (*town) History(context.Context, kube.Workload) ([]kube.Revision, error) { return nil, nil }

func (*town) AutoscalerOf(context.Context, kube.Ref) (kube.Autoscaler, bool, error) {
	return kube.Autoscaler{}, false, nil
}

func (t *town) at(ref kube.Ref) *kube.Workload {
	return &t.ws[slices.IndexFunc(t.ws, func(w kube.Workload) bool { return w.Ref == ref })]
}

func (t *town) Plan(_ context.Context, c kube.Change) (kube.Change, kube.Diff, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.moving > 0 { // after the plan was made up, before it is tried
		t.moving--
		w := t.at(c.Ref)
		w.Generation++
		w.Progress = ready(w.Progress.Desired + 1)
	}
	if c.Based != 0 && c.Based != t.at(c.Ref).Generation {
		return c, kube.Diff{}, fault.Wrap(kube.ErrStale, fault.Conflict, "It was being changed.")
	}
	if c.Verb == kube.VerbScale {
		c.FromReplicas = t.at(c.Ref).Progress.Desired
	}
	if c.ToReplicas > 50 {
		return c, kube.Diff{}, fault.New(fault.Forbidden, "The quota allows no more than 50.")
	}
	return c, kube.Diff{}, nil
}

func (t *town) Apply(_ context.Context, c kube.Change, id string) (kube.Applied, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.at(c.Ref)
	w.Generation++
	w.LastAction = id
	if c.Verb == kube.VerbScale {
		w.Progress = ready(c.ToReplicas)
	}
	if c.Ref.Name == t.stuck {
		w.Progress.State = kube.DeadlineExceeded
	}
	t.applied = append(t.applied, c.Ref.Namespace+"/"+c.Ref.Name+" "+c.From()+" "+c.To())
	return kube.Applied{Generation: w.Generation}, nil
}

// Batch: there are no jobs here.
func (*town) Batch(context.Context, kube.Query) ([]kube.BatchJob, error) { return nil, nil }

func (*town) Step(context.Context, kube.Change, string) (kube.Progress, error) {
	return kube.Progress{}, errors.New("no steps")
}

// CatchUp: what is done here is seen at once.
func (*town) CatchUp(context.Context, kube.Ref) {}

func (t *town) WatchRollout(_ context.Context, ref kube.Ref, _ int64) iter.Seq2[kube.Workload, error] {
	return func(yield func(kube.Workload, error) bool) {
		t.mu.Lock()
		w := *t.at(ref)
		t.mu.Unlock()
		yield(w, nil)
	}
}

func TestAStepMaySwitchThePlace(t *testing.T) {
	k := newTalk(t)
	chain := func(steps ...intents.Intent) dialogue.Reply {
		return k.Respond(t.Context(), dialogue.Request{
			Conversation: "c", Speaker: access.Speaker{Channel: "web", ID: "ann"}, Text: "blorp",
			Intent: &intents.Intent{Name: "chain", Slots: intents.Slots{"steps": steps}},
		})
	}
	to := intents.Intent{Name: "switch_namespace", Slots: intents.Slots{"namespace": "staging"}}
	r := chain(to, intents.Intent{Name: "restart", Slots: intents.Slots{"targets": []string{"web"}}})
	if !strings.Contains(r.Text, "From now on I look in staging first") || !strings.Contains(r.Text, "Restart Deployment web in staging") {
		t.Errorf("%s", r.Text)
	}
	k.says("no", "")
	k.says("where are we?", "in the namespace staging")
	is := func(name string) intents.Intent {
		return intents.Intent{Name: "status", Slots: intents.Slots{"targets": []string{name}, "namespace": "shop"}}
	}
	if r := chain(is("web"), is("cart")); r.Text != "web runs v1.9, 3 of 3 pods ready.\ncart runs 2.0, 2 of 2 pods ready." || r.Expect != dialogue.ExpectNone || r.Proposal != nil {
		t.Errorf("%+v", r)
	}
	k.says("how is it?", "^cart runs")
	if r := chain(intents.Intent{Name: "undo"}, to); r.Fault != fault.Refused || !strings.Contains(r.Text, "step 1") {
		t.Errorf("%+v", r)
	}
}

// talk is a conversation with everything real but the cluster.
type talk struct {
	*dialogue.Engine
	t      *testing.T
	town   *town
	ledger *action.Ledger
	store  *store.Store
	told   int64
}

var recognizer = sync.OnceValues(func() (*intents.Recognizer, error) {
	c, err := intents.English()
	if err != nil {
		return nil, err
	}
	return intents.NewRecognizer(c), nil
})

func newTalk(t *testing.T) *talk {
	place := newTown()
	return talkIn(t, place, place)
}

// talkIn is a conversation about one town or several.
func talkIn(t *testing.T, place interface {
	Reader
	action.Writer
	action.Watcher
}, of *town, with ...func(*Crew),
) *talk {
	return talkUnder(t, nil, place, of, with...)
}

// talkUnder is one under rules; nil are those that go without saying.
func talkUnder(t *testing.T, rules access.Policy, place interface {
	Reader
	action.Writer
	action.Watcher
}, of *town, with ...func(*Crew),
) *talk {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	r, err := recognizer()
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.OpenSQLite(context.Background(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	data := intents.InventoryData{Clusters: place.Clusters(), Namespaces: place.Namespaces(t.Context(), "")}
	for _, w := range of.ws {
		data.Workloads = append(data.Workloads, intents.Workload{Name: w.Ref.Name, Namespace: w.Ref.Namespace, Kind: w.Ref.Kind})
	}
	inv := intents.NewInventory(data)
	people := access.NewGuard([]access.Person{{Name: "ann", Speakers: []string{"web:ann"}, User: "ann", Write: rules == nil}}, rules, nil)
	log := slog.New(slog.DiscardHandler)
	ledger := action.NewLedger(st, place, place, people, action.DefaultPatience, log)
	crew := NewCrew(place, ledger, c)
	for _, f := range with {
		f(crew)
	}
	e := dialogue.NewEngine(c, r, func(context.Context, []string) (*intents.Inventory, error) { return inv, nil }, st, crew.Handlers(), dialogue.NewHub(), nil, log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- ledger.Run(ctx, NewNarrator(crew, e, log)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return &talk{Engine: e, t: t, town: of, ledger: ledger, store: st}
}

// says says something, or, with "…", waits for the outcome; the answer must fit.
func (k *talk) says(text, want string) dialogue.Reply {
	k.t.Helper()
	var r dialogue.Reply
	if text == "…" {
		k.ledger.Settle(k.t.Context())
		err := k.Events(k.t.Context(), "c", k.told, func(ev dialogue.Event) error {
			r, k.told = ev.Reply, ev.Seq
			return nil
		})
		if err != nil {
			k.t.Fatal(err)
		}
	} else {
		r = k.Respond(k.t.Context(), dialogue.Request{Conversation: "c", Speaker: access.Speaker{Channel: "web", ID: "ann"}, Text: text})
	}
	if !regexp.MustCompile("(?s)" + want).MatchString(r.Text) {
		k.t.Errorf("%s\nwas answered: %s\n        want: %s", text, r.Text, want)
	}
	return r
}

func TestConversationsWithoutACluster(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string // said, answered, …
		did   string
	}{
		{"two steps", []string{
			"restart web and then scale cart to three", `^1\. Restart Deployment web in shop, 3 pods, one after the other\.\n2\. Scale Deployment cart in shop from 2 to 3 replicas\.\nShall I do both\? \(yes or no\)$`,
			"yes", `^Restarting web, then scaling cart from 2 to 3 …$`,
			"…", `^✔ web is restarted, 3 of 3 pods ready and cart runs 3 of 3 replicas \(was 2\)\.$`,
			"undo", `^Scale Deployment cart in shop from 3 to 2 replicas\.\nThe restart of web cannot be undone\.\nShall I go ahead`,
		}, "shop/web v1.9 restarted, shop/cart 2 3"},
		{"it is of the step before, as that leaves it", []string{
			"scale web to five, then add two replicas to it", `from 3 to 5 replicas\.\n2\. Scale Deployment web in shop from 5 to 7`,
			"yes", "", "…", "web runs 5 of 5|web runs 7 of 7",
			"undo", `^Scale Deployment web in shop from 7 to 3`,
			"yes", "", "…", "web runs 3 of 3",
			"undo", "nothing in this conversation",
		}, "shop/web 3 5, shop/web 5 7, shop/web 7 3"},
		{"a step that cannot be", []string{
			"restart web and scale log-agent to two", `^I propose nothing, because of step 2: log-agent is a DaemonSet`,
			"restart cart and scale web to sixty", `^I propose nothing, because of step 2: The quota`,
			"scale cart to two and scale web to sixty", `^I propose nothing|quota`,
			"yes", "Nothing is waiting",
		}, ""},
		{"a step with nothing to do", []string{
			"scale cart to two and restart web", `^Restart Deployment web .*\.\ncart already runs 2 replicas\.\nShall I go ahead`,
			"no", `^All right, I leave web as it is`,
			"scale cart to two and scale web to three", `^cart already runs 2 replicas\.\nweb already runs 3 replicas\.$`,
			"yes", "Nothing is waiting",
		}, ""},
		{"questions before and behind", []string{
			"show me the status of web and then scale it to four and then show me the status of cart", `^web runs v1.9, 3 of 3 pods ready\.\nScale Deployment web in shop from 3 to 4 replicas\.\nYour question I answer when that is done\.\nShall I go ahead`,
			"repeat that", `^Scale Deployment web`,
			"yes", "", "…", `^✔ web runs 4 of 4 replicas \(was 3\)\.\ncart runs 2.0, 2 of 2 pods ready\.$`,
		}, "shop/web 3 4"},
		{"questions behind what fails", []string{
			"scale cart to four and then restart web and then show me the status of web", `^1\. .*Your question I answer`,
			"yes", "", "…", `^✘ cart is stuck.*\nNot done: restart Deployment web in shop, 3 pods, one after the other\.\nWhat you asked behind that I have not looked at\.\nShall I scale cart back to 2\?`,
			"help", `^I am waiting for your yes or no about scaling cart`,
			"no", "",
			"help", `^cart did not get on\. Say “undo” to put it back, or ask “how is cart\?”`,
		}, "shop/cart 2 4"},
		{"a step that is asked about", []string{
			"restart web and then scale billing to two", `^billing is in staging and lab\. Which one\?`,
			"lab", `^1\. Restart Deployment web in shop.*\n2\. Scale Deployment billing in lab from 1 to 2`,
			"no, make it three", `billing in lab from 1 to 3`,
			"yes", "", "…", "billing runs 3 of 3",
		}, "shop/web v1.9 restarted, lab/billing 1 3"},
		{"where one is", []string{
			"which namespace am I in?", `^You are in the namespace shop of the cluster home\.$`,
			"switch to staging", `^From now on I look in staging first`,
			"which version of web runs?", `^web in staging runs v2.0\.$`,
			"scale web to two", `^Scale Deployment web in staging from 1 to 2`,
			"how is everything?", `2 workloads in staging`,
			"no, on the home cluster", `2 workloads in staging`,
			"switch to the home cluster", `^You are on home already; I know no other cluster\.`,
			"switch to shop", `^From now on I look in shop first`,
			"how is web?", `^web runs v1.9`,
		}, ""},
		{"what cannot be done yet", []string{
			"scale web to four and then show me the logs of web", `^Scale Deployment web in shop from 3 to 4 replicas\.\nYour question I answer when that is done\.`,
			"no", "",
			"show me the logs of web", `^I understand that you want the logs of web, but I cannot do that yet\.$`,
		}, ""},
		{"help", []string{
			"help", "^This is what you can say",
			"scale web", "How many", "help", `^How many replicas should web have\?\nSay just that`, "five", "from 3 to 5",
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newTalk(t)
				if strings.Contains(tt.name, "fails") {
					k.town.stuck = "cart"
				}
				for i := 0; i < len(tt.lines); i += 2 {
					k.says(tt.lines[i], tt.lines[i+1])
				}
				if got := strings.Join(k.town.applied, ", "); got != tt.did {
					t.Errorf("did %s", got)
				}
			})
		})
	}
}

func (*town) OwnerOf(context.Context, kube.Ref) (kube.Owner, bool, error) {
	return kube.Owner{}, false, nil
}
