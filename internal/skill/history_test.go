package skill

import (
	"context"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// archive is what a cluster remembers of who edited it.
type archive map[string][]kube.Edit

func (archive) Sees(_ context.Context, ref kube.Ref) bool { return ref.Namespace != "hidden" }

func (a archive) Edits(_ context.Context, w kube.Workload) ([]kube.Edit, error) {
	return a[w.Ref.Name], nil
}

// newArchive is a conversation about a past.
func newArchive(t *testing.T, now time.Time, edits archive, events ...audit.Event) func(text string) dialogue.Reply {
	t.Helper()
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	r, err := recognizer()
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	for _, ev := range events {
		b, err := ev.Encode()
		if err == nil {
			err = st.AppendAudit(t.Context(), "", b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	place := newTown()
	data := intents.InventoryData{Clusters: []string{"home"}, Namespaces: place.Namespaces(t.Context(), "")}
	for _, w := range place.ws {
		data.Workloads = append(data.Workloads, intents.Workload{Name: w.Ref.Name, Namespace: w.Ref.Namespace, Kind: w.Ref.Kind})
	}
	inv := intents.NewInventory(data)
	people := access.NewGuard([]access.Person{{Name: "Ann", Speakers: []string{"web:a1"}, User: "ann", Write: true}}, nil, nil)
	crew := NewCrew(place, nil, c).Recall(Past{Trail: st, Cluster: edits, Who: people, Now: func() time.Time { return now }})
	e := dialogue.NewEngine(c, r, func(context.Context, []string) (*intents.Inventory, error) { return inv, nil }, st, crew.Handlers(), dialogue.NewHub(), nil, slog.New(slog.DiscardHandler))
	return func(text string) dialogue.Reply {
		return e.Respond(context.Background(), dialogue.Request{Conversation: "c", Speaker: access.Speaker{Channel: "web", ID: "a1"}, Text: text})
	}
}

// did are the lines of a change that one person made and that ended in a state.
func did(id, who string, at time.Time, o audit.Object, state string) []audit.Event {
	ev := audit.Event{Kind: audit.Applied, At: at, Action: id, Person: who, Channel: "web", Speaker: strings.ToLower(who[:1]) + "1", Objects: []audit.Object{o}}
	said, end := ev, ev
	said.Kind, said.Said = audit.Said, "do it"
	end.Kind, end.At, end.State = audit.Outcome, at.Add(time.Minute), state
	if state == "" {
		return []audit.Event{said, ev}
	}
	return []audit.Event{said, ev, end}
}

func object(name, namespace, verb, from, to string) audit.Object {
	return audit.Object{Cluster: "home", Namespace: namespace, Kind: "Deployment", Name: name, Verb: verb, From: from, To: to}
}

func TestWhoDidWhat(t *testing.T) {
	now := saturday(t)
	var events []audit.Event
	for _, e := range [][]audit.Event{
		did("a1", "Ann", now.Add(-26*time.Hour), object("web", "shop", "image", "1.8", "1.9"), "done"),
		did("a2", "Bob", now.Add(-25*time.Hour), object("cart", "shop", "restart", "", ""), "done"),
		did("a3", "Bob", now.Add(-4*time.Hour), object("web", "shop", "scale", "2", "3"), "failed"),
		did("a4", "Ann", now.Add(-3*time.Hour), object("web", "staging", "template", "2.1", "2.0"), "done"),
		did("a5", "Ann", now.Add(-2*time.Hour), object("old-thing", "shop", "scale", "1", "0"), "done"),
		{{Kind: audit.Seconded, At: now.Add(-61 * time.Minute), Action: "a6", Person: "Bob"}},
		did("a6", "Ann", now.Add(-time.Hour), object("cart", "shop", "scale", "2", "4"), ""),
		{{Kind: audit.Refused, At: now, Person: "Eve", Why: "no"}},
	} {
		events = append(events, e...)
	}
	say := newArchive(t, now, archive{
		"web":       {{At: now.Add(-30 * time.Minute), By: "kubectl-edit"}, {At: now.Add(-50 * 24 * time.Hour), By: "helm"}},
		"log-agent": {{At: now.Add(-90 * time.Minute), Cause: "nightly update", Revision: 4}},
	}, events...)
	for _, tt := range []struct {
		text, want string // of Speech
		rows       int
	}{
		{"who touched web today?", `^Ann rolled web back to 2\.0 in staging at 11:30\. Bob scaled web from 2 to 3 at 10:30, which failed\. Besides, the cluster says that kubectl edit changed web at 14:00\.$`, 4},
		{"what did i change today", `^Ann scaled cart`, 3},
		{"who touched it last", `^Bob scaled web from 2 to 3 at 10:30, which failed\. Ann put web on 1\.9 at 12:30 yesterday\. Besides`, 3},
		{"what changed in shop since noon", `^Ann scaled cart from 2 to 4 at 13:30, approved by Bob, which is still going on\. Ann scaled old thing from 1 to 0 at 12:30\.$`, 2},
		{"what did bob change yesterday", `^Bob restarted cart at 13:30 yesterday\.$`, 1},
		{"what did ann do today", `^Ann scaled cart from 2 to 4 .* Ann scaled old thing .* 1 more change before that\.$`, 3},
		{"what did i change today", `^Ann scaled cart`, 3},
		{"who deployed web yesterday", `^Ann put web on 1\.9 at 12:30 yesterday\.$`, 1},
		{"what did eve do today", `^eve has not changed anything through me today\.$`, 0},
		{"who scaled billing in lab", `^Nobody has changed billing in lab through me in the last 30 days\.$`, 0},
		{"who touched log-agent today", `^Nobody has changed log agent through me today\. But the cluster says that log agent was rolled out at 13:00\.$`, 1},
		{"who touched it yesterday", `^Nobody has changed log agent`, 0},
		{"who changed web since the last deploy", `^Ann rolled web back`, 3},
		{"show me the audit log", `^Ann scaled cart .* 4 more changes before that\.$`, 6},
		{"who touched web tomorrow", `^I cannot tell when tomorrow was\.`, 0},
	} {
		r := say(tt.text)
		rows := 0
		for _, b := range r.Blocks {
			rows += len(b.Rows)
		}
		if r.Intent != "history" || !regexp.MustCompile(tt.want).MatchString(r.Speech) || rows != tt.rows {
			t.Errorf("%s (%s)\nspeech: %s\n  want: %s\n  text: %s\n%d rows, want %d: %v", tt.text, r.Intent, r.Speech, tt.want, r.Text, rows, tt.rows, r.Blocks)
		}
	}
}

func TestWithoutAPastNothingIsMadeUp(t *testing.T) {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	crew := NewCrew(newTown(), nil, c)
	turn := dialogue.NewTurn(c, dialogue.Request{}, &dialogue.Session{}, intents.Intent{Name: "history", Slots: intents.Slots{}})
	r, err := crew.Handlers()["history"].Handle(t.Context(), turn)
	if err != nil || !strings.Contains(r.Text, "who did what") && !strings.Contains(strings.ToLower(r.Text), "yet") {
		t.Errorf("%q, %v", r.Text, err)
	}
}
