package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// tiny is an API server with one Deployment called like itself, as far as a
// Reader and a Writer need it.
type tiny struct {
	*httptest.Server
	name  string
	down  atomic.Bool // it accepts connections and breaks them
	hangs atomic.Bool // it accepts requests and says nothing

	mu      sync.Mutex
	patched []string // by whom each Deployment was changed
	seen    int      // requests
}

func newTiny(t *testing.T, name string) *tiny {
	s := &tiny{name: name}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *tiny) deployment() appsv1.Deployment {
	one := int32(1)
	return appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: s.name, Namespace: "shop", UID: "u1", Generation: 1, ResourceVersion: "7"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": s.name}},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "r/c:1"}}}},
		},
	}
}

func (s *tiny) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen++
	s.mu.Unlock()
	switch {
	case s.down.Load():
		panic(http.ErrAbortHandler)
	case r.URL.Query().Get("sendInitialEvents") != "":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonInvalid, Code: 422})
		return // a list and a watch do as well
	case s.hangs.Load() || r.URL.Query().Get("watch") != "":
		if !s.hangs.Load() {
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
		return
	}
	w.Header().Set("Content-Type", "application/json")
	list := func(version, kind string, items any) any {
		return map[string]any{"kind": kind, "apiVersion": version, "metadata": map[string]any{"resourceVersion": "7"}, "items": items}
	}
	var out any
	switch path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api/v1"), "/apis/apps/v1"); {
	case path == "/version":
		out = map[string]string{"gitVersion": "v1.2." + s.name}
	case r.Method == http.MethodPatch:
		s.mu.Lock()
		s.patched = append(s.patched, r.Header.Get("Impersonate-User")+" "+strings.Join(r.Header.Values("Impersonate-Group"), ",")+" "+r.URL.Query().Get("dryRun"))
		s.mu.Unlock()
		d := s.deployment()
		d.Generation++
		out = d
	case path == "/namespaces/shop/deployments/"+s.name:
		out = s.deployment()
	case path == "/deployments":
		out = list("apps/v1", "DeploymentList", []appsv1.Deployment{s.deployment()})
	case path == "/namespaces":
		out = list("v1", "NamespaceList", []corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}})
	case path == "/nodes":
		out = list("v1", "NodeList", []corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "node-" + s.name}}})
	case path == "/statefulsets":
		out = list("apps/v1", "StatefulSetList", []any{})
	case path == "/daemonsets":
		out = list("apps/v1", "DaemonSetList", []any{})
	default:
		out = list("v1", "PodList", []any{})
	}
	_ = json.NewEncoder(w).Encode(out) // whoever asked has gone
}

func (s *tiny) member(lazy bool) Member {
	return Member{Name: s.name, Lazy: lazy, Connect: func() (*Cluster, error) {
		return &Cluster{Name: "of its context", Namespace: "shop", config: &rest.Config{Host: s.URL}}, nil
	}}
}

func (s *tiny) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func quietly() *slog.Logger { return slog.New(slog.DiscardHandler) }

func startFleet(t *testing.T, opt FleetOptions, members ...Member) *Fleet {
	t.Helper()
	f, err := NewFleet(members, opt, quietly())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// within waits until something is so.
func within(t *testing.T, d time.Duration, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", d, what)
		}
	}
}

func TestAFleetAsksTheClusterThatIsMeant(t *testing.T) {
	east, west, far := newTiny(t, "east"), newTiny(t, "west"), newTiny(t, "far")
	f := startFleet(t, FleetOptions{}, east.member(true), west.member(false), far.member(true))
	ctx := t.Context()
	if got := f.Clusters(); !slices.Equal(got, []string{"east", "west", "far"}) || f.Cluster() != "east" {
		t.Errorf("%v", got)
	}
	for _, c := range []struct{ asked, want string }{{"", "east"}, {"east", "east"}, {"west", "west"}} {
		ws, err := f.Find(ctx, Query{Cluster: c.asked})
		if err != nil || len(ws) != 1 || ws[0].Ref != (Ref{Cluster: c.want, Namespace: "shop", Kind: Deployment, Name: c.want}) {
			t.Errorf("%q: %+v %v", c.asked, ws, err)
		}
	}
	if far.requests() != 0 {
		t.Error("a lazy cluster is looked at before anybody speaks of it")
	}
	names := f.Names()
	if len(f.Seen(t.Context(), "far")) != 0 || len(f.Nodes()) != 2 {
		t.Errorf("%v %v", f.Seen(t.Context(), "far"), f.Nodes())
	}
	if err := f.Learn(ctx, "west", "far"); err != nil {
		t.Error(err)
	}
	if got := f.Seen(t.Context(), "far"); len(got) != 1 || got[0].Cluster != "far" || f.Names() == names || len(f.Nodes()) != 3 || len(f.All()) != 3 {
		t.Errorf("%v %v %v", got, f.Nodes(), f.All())
	}
	if !slices.Equal(f.AllNamespaces(), []string{"shop"}) || !slices.Equal(f.Namespaces(t.Context(), "far"), []string{"shop"}) || f.Namespaces(t.Context(), "nowhere") != nil {
		t.Errorf("%v", f.AllNamespaces())
	}
	if _, err := f.Find(ctx, Query{Cluster: "mars"}); fault.KindOf(err) != fault.NotFound || fault.Say(err) != "I know no cluster mars. I look after east, west, far." {
		t.Error(err)
	}
	tab, err := f.List(ctx, ListQuery{Kind: "clusters"})
	if err != nil || len(tab.Items) != 3 || fmt.Sprint(tab.Items[2].Cells) != "[answers v1.2.far 1 shop]" || tab.Items[2].Name != "far" {
		t.Errorf("%+v %v", tab, err)
	}
}

func TestAClusterThatDiesIsNamedAndTheOthersGoOn(t *testing.T) {
	east, west := newTiny(t, "east"), newTiny(t, "west")
	f := startFleet(t, FleetOptions{Beat: time.Hour}, east.member(false), west.member(false))
	ctx := t.Context()
	if err := f.Learn(ctx, "west"); err != nil || !f.Up("west") {
		t.Fatal(err)
	}
	for f.Standings(ctx)[1].Version == "" { // asked for beside the names
		time.Sleep(10 * time.Millisecond)
	}
	for name, die := range map[string]*atomic.Bool{"breaks": &west.down, "hangs": &west.hangs} {
		die.Store(true)
		time.Sleep(freshFor) // what it said before counts for so long
		began := time.Now()
		_, err := f.Find(ctx, Query{Cluster: "west"})
		if took := time.Since(began); fault.KindOf(err) != fault.Unavailable || fault.Say(err) != "The cluster west does not answer." || took > pingLimit+time.Second || f.Up("west") {
			t.Errorf("%s: %v after %v", name, err, took)
		}
		if _, err := f.Find(ctx, Query{Cluster: "east"}); err != nil || !f.Up("east") {
			t.Errorf("%s: %v", name, err)
		}
		st := f.Standings(ctx)
		if len(st) != 2 || !st[0].Answers || st[1].Answers || st[1].Since.IsZero() || st[1].Version != "v1.2.west" && name == "hangs" {
			t.Errorf("%s: %+v", name, st)
		}
		tab, err := f.List(ctx, ListQuery{Kind: "clusters"})
		if err != nil || !tab.Items[0].Healthy || tab.Items[1].Healthy || !strings.HasPrefix(tab.Items[1].Status, "does not answer since ") {
			t.Errorf("%s: %+v %v", name, tab, err)
		}
		die.Store(false)
		if _, err := f.Find(ctx, Query{Cluster: "west"}); err != nil || !f.Up("west") {
			t.Errorf("%s: it is back, and %v", name, err)
		}
	}
}

func TestAClusterThatComesLaterIsSeen(t *testing.T) {
	east, west := newTiny(t, "east"), newTiny(t, "west")
	west.down.Store(true)
	f := startFleet(t, FleetOptions{Patience: 300 * time.Millisecond}, east.member(false), west.member(false))
	if _, err := f.Find(t.Context(), Query{Cluster: "west"}); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Say(err), "west") {
		t.Error(err)
	}
	if _, err := f.Find(t.Context(), Query{}); err != nil {
		t.Error(err)
	}
	watched := make(chan error, 1)
	go func() { // as the ledger does after a restart
		for w, err := range f.WatchRollout(t.Context(), Ref{Cluster: "west", Namespace: "shop", Kind: Deployment, Name: "west"}, 1) {
			if err == nil && w.Ref.Name != "west" {
				err = errors.New("it is another")
			}
			watched <- err
			return
		}
	}()
	west.down.Store(false)
	within(t, 5*time.Second, "west is seen", func() bool { _, err := f.Find(t.Context(), Query{Cluster: "west"}); return err == nil })
	if err := <-watched; err != nil {
		t.Error(err)
	}
}

func TestNobodyWaitsTwiceForAClusterThatHangs(t *testing.T) {
	east, west := newTiny(t, "east"), newTiny(t, "west")
	west.hangs.Store(true)
	const patience = 400 * time.Millisecond
	f := startFleet(t, FleetOptions{Patience: patience}, east.member(false), west.member(false))
	began := time.Now()
	for range 5 { // as the names of a cluster are asked for, and then its workloads
		if err := f.Learn(t.Context(), "west"); fault.KindOf(err) != fault.Unavailable {
			t.Error(err)
		}
		if _, err := f.Find(t.Context(), Query{Cluster: "west"}); fault.KindOf(err) != fault.Unavailable {
			t.Error(err)
		}
	}
	if took := time.Since(began); took > 3*patience {
		t.Errorf("ten questions took %v", took)
	}
}

func TestAHomeThatIsDownKeepsNoOtherFromAnswering(t *testing.T) {
	east, west := newTiny(t, "east"), newTiny(t, "west")
	east.down.Store(true)
	f := startFleet(t, FleetOptions{Patience: time.Second}, east.member(false), west.member(true), Member{Name: "broken", Lazy: true, Connect: func() (*Cluster, error) {
		return nil, fault.New(fault.Usage, "Its kubeconfig is gone.")
	}})
	if _, err := f.Find(t.Context(), Query{Cluster: "west"}); err != nil {
		t.Error(err)
	}
	if _, err := f.Find(t.Context(), Query{}); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Say(err), "The cluster east does not answer") {
		t.Error(err)
	}
	if _, err := f.Find(t.Context(), Query{Cluster: "broken"}); fault.KindOf(err) != fault.Usage || fault.Say(err) != "I cannot look at the cluster broken: Its kubeconfig is gone." {
		t.Error(err)
	}
	if st := f.Standings(t.Context()); len(st) != 3 || st[0].Answers || !st[1].Answers || st[2].Answers {
		t.Errorf("%+v", st)
	}
	// One that must have its home waits for it.
	waits, err := NewFleet([]Member{east.member(false), west.member(false)}, FleetOptions{Wait: true}, quietly())
	if err != nil {
		t.Fatal(err)
	}
	limit, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := waits.Start(limit); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// TestWritesGoToTheirCluster holds that a change reaches the cluster that it
// names, as the speaker, and no other.
func TestWritesGoToTheirCluster(t *testing.T) {
	east, west := newTiny(t, "east"), newTiny(t, "west")
	f := startFleet(t, FleetOptions{}, east.member(false), west.member(false))
	if err := f.Learn(t.Context(), "west"); err != nil {
		t.Fatal(err)
	}
	w := NewWriters(f)
	change := func(cluster string) Change {
		return Change{
			Ref: Ref{Cluster: cluster, Namespace: "shop", Kind: Deployment, Name: cluster}, Verb: VerbScale, ToReplicas: 2,
			As: As{User: "ann-of-" + cluster, Groups: []string{"ops"}},
		}
	}
	for _, s := range []*tiny{east, west} {
		planned, _, err := w.Plan(t.Context(), change(s.name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Apply(t.Context(), planned, "id1"); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		if want := []string{"ann-of-" + s.name + " ops All", "ann-of-" + s.name + " ops "}; !slices.Equal(s.patched, want) {
			t.Errorf("%s: patched by %q", s.name, s.patched)
		}
		s.mu.Unlock()
	}
	for name, c := range map[string]Change{"none": change(""), "unknown": change("mars")} {
		if _, _, err := w.Plan(t.Context(), c); err == nil {
			t.Errorf("%s: planned", name)
		}
		if _, err := w.Apply(t.Context(), c, "id2"); err == nil {
			t.Errorf("%s: applied", name)
		}
	}
	gone := change("west")
	gone.Ref.Name, gone.UID, gone.Generation = "west", "another", 1
	if _, err := w.Apply(t.Context(), gone, "id3"); fault.KindOf(err) != fault.Conflict || !strings.HasPrefix(fault.Say(err), "In the cluster west: ") && !strings.Contains(fault.Say(err), "west") {
		t.Errorf("a conflict does not name its cluster: %v", err)
	}
	west.down.Store(true)
	time.Sleep(freshFor)
	if _, _, err := w.Plan(t.Context(), change("west")); fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.Say(err), "The cluster west does not answer") {
		t.Error(err)
	}
	if n := len(east.patched); n != 2 {
		t.Errorf("east was patched %d times", n)
	}
}

func TestContexts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	const config = `
apiVersion: v1
kind: Config
current-context: kind-dev
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts:
- {name: prod, context: {cluster: c, user: u}}
- {name: kind-dev, context: {cluster: c, user: u}}
`
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if names, current, err := Contexts(file); err != nil || !slices.Equal(names, []string{"kind-dev", "prod"}) || current != "kind-dev" {
		t.Errorf("%v %q %v", names, current, err)
	}
	if _, _, err := Contexts(file + "-none"); fault.KindOf(err) != fault.Usage {
		t.Error(err)
	}
	for context, want := range map[string]string{
		"prod": "", "arn:aws:eks:eu-west-1:123456789:cluster/prod": "prod", "gke_acme_europe-west1_prod_eu": "prod_eu", "kubernetes-admin@kubernetes": "kubernetes", "gke_x": "", "@": "", "arn:aws:other": "",
	} {
		if got := ShortName(context); got != want {
			t.Errorf("%s: %q, want %q", context, got, want)
		}
	}
}
