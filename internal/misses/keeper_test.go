package misses_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/misses"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// ship is an engine with the real recogniser and store, whose skills only
// propose or answer.
type ship struct {
	t       *testing.T
	path    string
	store   *store.Store
	engine  *dialogue.Engine
	machine *intents.Recognizer
}

func newShip(t *testing.T, max int) *ship {
	t.Helper()
	s := &ship{t: t, path: filepath.Join(t.TempDir(), "x.db")}
	s.restart(max)
	return s
}

// restart is another process on the same file; max 0 keeps nothing.
func (s *ship) restart(max int) {
	c, err := intents.English()
	if err != nil {
		s.t.Fatal(err)
	}
	if s.machine == nil {
		s.machine = intents.NewRecognizer(c)
	}
	if s.store, err = store.OpenSQLite(context.Background(), s.path); err != nil {
		s.t.Fatal(err)
	}
	st := s.store
	s.t.Cleanup(func() { _ = st.Close() })
	inv := intents.NewInventory(intents.InventoryData{
		Namespaces: []string{"shop", "staging"},
		Workloads:  []intents.Workload{{Name: "web", Namespace: "shop"}, {Name: "payments-api", Namespace: "shop"}},
	})
	handlers := map[string]dialogue.Handler{}
	for _, spec := range c.Specs() {
		handlers[spec.Name] = dialogue.HandlerFunc(func(_ context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
			if spec.Risk != intents.RiskWrite {
				return dialogue.Reply{Text: spec.Name}, nil
			}
			in := t.Intent
			t.Session.LastWrite, t.Session.Pending = &in, "p1"
			return dialogue.Reply{Text: "Shall I?", Expect: dialogue.ExpectConfirm, Proposal: &dialogue.Proposal{ID: "p1"}}, nil
		})
	}
	delete(handlers, intents.OutOfScope)
	delete(handlers, "amend")
	var l dialogue.Listener
	if max > 0 {
		l = misses.NewKeeper(s.store, max, c.Vocabulary, slog.New(slog.DiscardHandler))
	}
	s.engine = dialogue.NewEngine(c, s.machine, func(context.Context, []string) (*intents.Inventory, error) { return inv, nil }, s.store, handlers, dialogue.NewHub(), l, slog.New(slog.DiscardHandler))
}

func (s *ship) say(conversation, text string) {
	s.engine.Respond(context.Background(), dialogue.Request{Conversation: conversation, Speaker: access.Speaker{Channel: "web", ID: "ann"}, Text: text})
}

// kept lists what is in the file, one line a miss.
func (s *ship) kept() string {
	s.t.Helper()
	ms, err := misses.Load(context.Background(), s.store, time.Time{})
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for _, m := range ms {
		b.WriteString(m.Text + " | " + string(m.Why) + " | " + m.As)
		if m.Next != nil {
			b.WriteString(" | " + m.Next.Text + " | " + m.Next.Intent)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestWhatIsKept(t *testing.T) {
	for _, tt := range []struct {
		name string
		say  []string
		want string
	}{
		{"understood", []string{"restart web", "yes", "how is web", "thanks"}, ""},
		{"not understood", []string{"blorp web sideways", "scale web to five"}, "blorp {workload} sideways | not understood | out_of_scope | scale {workload} to five | scale\n"},
		{"nothing after", []string{"blorp web sideways"}, "blorp {workload} sideways | not understood | out_of_scope\n"},
		{"twice", []string{"blorp web", "blorp it now", "restart web"}, "blorp {workload} | not understood | out_of_scope | blorp it now | out_of_scope\nblorp it now | not understood | out_of_scope | restart {workload} | restart\n"},
		{"only the next", []string{"blorp web", "restart web", "yes"}, "blorp {workload} | not understood | out_of_scope | restart {workload} | restart\n"},
		{"unknown name", []string{"scale pyaments to five", "payments api"}, "scale {workload} to five | nothing is called so | scale | {workload} | amend\n"},
		{"answer is no correction", []string{"scale web", "five"}, ""},
		{"amended", []string{"scale web to five", "no, make it six"}, "scale {workload} to five | corrected at once | scale | no, make it six | amend\n"},
		{"said anew", []string{"scale web to five", "scale web to nine"}, "scale {workload} to five | corrected at once | scale | scale {workload} to nine | scale\n"},
		{"another request", []string{"scale web to five", "restart web"}, ""},
		{"reminded", []string{"scale web to five", "how is web", "how is payments-api"}, ""},
		{"secret", []string{"password is hunter2", "help"}, "password is {secret} | not understood | out_of_scope | help | help\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShip(t, 10)
			for _, text := range tt.say {
				s.say("c", text)
				s.say("other", "thanks") // another conversation is not the next sentence
			}
			if got := s.kept(); got != tt.want {
				t.Errorf("kept\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestTheNextSentenceMustComeSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShip(t, 10)
		s.say("c", "blorp web")
		time.Sleep(2*time.Minute + time.Second)
		s.say("c", "scale web to five")
		time.Sleep(2*time.Minute + time.Second)
		s.say("c", "no, make it six")
		if got, want := s.kept(), "blorp {workload} | not understood | out_of_scope\n"; got != want {
			t.Errorf("kept %s", got)
		}
	})
}

func TestTheNextSentenceMayGoToAnotherProcess(t *testing.T) {
	s := newShip(t, 10)
	s.say("c", "blorp web")
	s.restart(10)
	s.say("c", "restart web")
	if got := s.kept(); !strings.HasSuffix(got, "| restart {workload} | restart\n") {
		t.Errorf("kept %s", got)
	}
}

func TestOnlyTheNewestAreKept(t *testing.T) {
	s := newShip(t, 3)
	for range 7 {
		s.say("c", "blorp web")
	}
	if got := strings.Count(s.kept(), "\n"); got != 3 {
		t.Errorf("%d are kept", got)
	}
}

// TestNothingReachesTheFile holds that neither an opted-out process nor a
// masked sentence leaves in the file what must not be there.
func TestNothingReachesTheFile(t *testing.T) {
	s := newShip(t, 0)
	s.say("c", "blorp quuxify web")
	s.say("c", "scale web to five")
	s.say("c", "no, make it six")
	if got := s.kept(); got != "" {
		t.Errorf("kept although opted out: %s", got)
	}
	if s.contains("quuxify") {
		t.Error("the sentence is in the file although opted out")
	}
	s.restart(10)
	s.say("c", "blorp quuxify payments-api with ghp_16C7e42F292c6912E7710c838347")
	if !s.contains("quuxify") {
		t.Error("the test looks in the wrong place")
	}
	if s.contains("16C7e42F") || strings.Contains(s.kept(), "payments") {
		t.Errorf("a secret or a name is kept: %s", s.kept())
	}
}

// contains looks for text in the database and its log.
func (s *ship) contains(text string) bool {
	s.t.Helper()
	files, err := filepath.Glob(s.path + "*")
	if err != nil || len(files) == 0 {
		s.t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			s.t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

func TestGroups(t *testing.T) {
	now := time.Now()
	m := func(text string, why misses.Why, as string, ago time.Duration, next, intent string) misses.Miss {
		out := misses.Miss{Text: text, Why: why, As: as, At: now.Add(-ago)}
		if intent != "" {
			out.Next = &misses.Next{Text: next, Intent: intent}
		}
		return out
	}
	got := misses.Grouped([]misses.Miss{
		m("a", misses.NotUnderstood, "out_of_scope", 3*time.Hour, "help", "help"),
		m("b", misses.UnknownName, "scale", 2*time.Hour, "cart", "amend"),
		m("a", misses.NotUnderstood, "out_of_scope", time.Hour, "restart it", "restart"),
		m("a", misses.NotUnderstood, "out_of_scope", 2*time.Hour, "", ""),
		m("a", misses.NotUnderstood, "out_of_scope", 2*time.Hour, "restart it", "restart"),
		m("c", misses.NotUnderstood, "out_of_scope", time.Minute, "", ""),
	})
	var b strings.Builder
	for _, g := range got {
		b.WriteString(g.Text + " " + g.Suggest() + " " + g.Nexts[0].Text + ";")
	}
	if b.String() != "a restart restart it;c out_of_scope ;b scale cart;" || got[0].Count != 4 || !got[0].Last.Equal(now.Add(-time.Hour)) || got[0].Nexts[0].Count != 2 {
		t.Errorf("grouped %s: %+v", b.String(), got)
	}
}
