package oncall_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/oncall"
	"github.com/firstmate-ops/firstmate/internal/oncall/schedule"
)

const plan = `
people:
  ann: {phone: "+43 664 1000001"}
  bob: {phone: "+43 664 1000002"}
schedules:
  - name: primary
    layers: [{people: [ann], from: 2000-01-01}]
  - name: secondary
    layers: [{people: [bob], from: 2000-01-01}]
escalation:
  - {ring: [primary], tries: 2, wait: 5m}
  - {ring: [secondary], tries: 1, wait: 5m}
rounds: 1
rings:
  - {severity: [critical]}
  - {severity: [warning], when: [{from: "08:00", to: "20:00"}]}
`

// english is read once: it takes a while.
var english = sync.OnceValues(intents.English)

// store is a book in memory, for several desks.
type store struct {
	mu      sync.Mutex
	version int64
	data    []byte
}

func (s *store) Book(context.Context, string) (int64, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version, slices.Clone(s.data), nil
}

func (s *store) SwapBook(_ context.Context, _ string, version int64, data []byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version != s.version {
		return false, nil
	}
	s.version, s.data = s.version+1, slices.Clone(data)
	return true, nil
}

func (s *store) book(t *testing.T) oncall.Book {
	t.Helper()
	_, data, _ := s.Book(t.Context(), "")
	var b oncall.Book
	if data != nil {
		if err := json.Unmarshal(data, &b); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// world is what a desk works with: it notes who is rung and what is said.
type world struct {
	t     *testing.T
	store *store
	desk  *oncall.Desk
	cat   *intents.Catalogue

	mu     sync.Mutex
	rung   []string // person@ref
	off    []string // calls called off
	texts  []string // person: text
	pushed map[string][]dialogue.Event
	keys   map[string]bool
	cause  map[string]string // by target
	noCall error
	ratio  float64
	slow   time.Duration // of a diagnosis
	line   []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	cat, err := english()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, cat: cat, store: &store{}, pushed: map[string][]dialogue.Event{}, keys: map[string]bool{}, cause: map[string]string{}, ratio: 0.12}
	w.desk = w.newDesk()
	return w
}

func (w *world) newDesk() *oncall.Desk {
	p, err := schedule.Parse("oncall.yaml", []byte(plan), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	d := oncall.NewDesk(oncall.Config{Policy: oncall.Policy{Plan: p, AckFor: time.Hour}, Channel: "incidents", PhoneChannel: "phone"}, oncall.Parts{
		Store: w.store, Line: w, People: w, Catalogue: w.cat, Log: slog.New(slog.DiscardHandler),
		Measure: func(_ context.Context, _ observability.Target, _ observability.Metric, since time.Time) (oncall.Reading, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			r := oncall.Reading{Window: 10 * time.Second, Soon: oncall.Sample{Value: w.ratio, Requests: 183}}
			for at := since.Add(r.Window); !at.After(time.Now()); at = at.Add(2500 * time.Millisecond) {
				r.Samples = append(r.Samples, oncall.Sample{At: at, Value: w.ratio, Requests: 50})
			}
			return r, nil
		},
		Until: func(string, time.Time) (time.Time, bool) { return time.Time{}, false },
	})
	d.Speak(voice{w, d}, w)
	return d
}

// run lets a desk run for as long as the test.
func (w *world) run(d *oncall.Desk) (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	return func() { cancel(); <-done }
}

type voice struct {
	w    *world
	desk *oncall.Desk
}

func (v voice) Respond(_ context.Context, r dialogue.Request) dialogue.Reply {
	time.Sleep(v.w.slow)
	target := r.Intent.Slots.Targets()[0]
	v.w.mu.Lock()
	cause := v.w.cause[target]
	v.w.mu.Unlock()
	if cause == "" {
		return dialogue.Reply{Fault: "not_found", Speech: "Nothing is called so."}
	}
	k := diagnosis.Case{Request: diagnosis.Request{Target: observability.Target{Name: target}}}
	v.desk.Diagnosed(r.Conversation, k, diagnosis.Verdict{
		Causes: []diagnosis.Cause{{Rule: "bad_release_errors", About: diagnosis.Object{Name: cause}, Sure: diagnosis.Surely}},
		Shows:  []diagnosis.Evidence{{Kind: diagnosis.ErrorRatio, About: diagnosis.Object{Name: target}, Value: diagnosis.Num(0.12), Before: diagnosis.Num(0.001)}},
	}, target+" fails because of "+cause+".", target+" fails because of "+cause+". Shall I roll it back?")
	return dialogue.Reply{
		Conversation: r.Conversation, Speech: target + " fails 12 percent since zero three because of " + cause + ". Shall I roll it back to version one?", Text: target + " fails.",
		Expect: dialogue.ExpectConfirm, Proposal: &dialogue.Proposal{ID: "p-" + r.Conversation}, Outcome: dialogue.OutcomePending,
	}
}

func (w *world) Push(_ context.Context, conversation string, ev dialogue.Event, _ func(*dialogue.Session)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if key := conversation + "/" + ev.Action; !w.keys[key] {
		w.keys[key] = true
		w.pushed[conversation] = append(w.pushed[conversation], ev)
		if conversation == "incidents" {
			w.line = append(w.line, ev.Reply.Text)
		}
	}
	return nil
}

func (w *world) Events(_ context.Context, conversation string, _ int64, f func(dialogue.Event) error) error {
	w.mu.Lock()
	evs := slices.Clone(w.pushed[conversation])
	w.mu.Unlock()
	for _, ev := range evs {
		if err := f(ev); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) Ring(_ context.Context, to schedule.Contact, ref string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rung = append(w.rung, to.Person+"@"+ref)
	return "CA" + ref, w.noCall
}

func (w *world) HangUp(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = append(w.off, id)
	return nil
}

func (w *world) Text(_ context.Context, to schedule.Contact, text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, to.Person+": "+text)
	return nil
}

func (w *world) Who(context.Context, access.Speaker) (access.Person, bool, error) {
	return access.Person{Name: "bob"}, true, nil
}

// fires tells of an alert, for the first time or again.
func (w *world) fires(name, target, severity string, since time.Time, more ...string) {
	w.t.Helper()
	w.tell(change(name, target, severity, since, more...))
}

func change(name, target, severity string, since time.Time, more ...string) observability.AlertChange {
	group := "g/" + name + "/" + target
	if len(more) > 0 {
		group = more[0]
	}
	return observability.AlertChange{Group: group, Alert: observability.Alert{
		Fingerprint: "f/" + name + "/" + target, Name: name, Severity: severity, Since: since, Labels: map[string]string{"alertname": name, "namespace": "shop", "deployment": target},
	}}
}

func (w *world) tell(cs ...observability.AlertChange) {
	w.t.Helper()
	if err := w.desk.Hear(w.t.Context(), cs); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

func (w *world) resolves(name, target string, since time.Time) {
	w.t.Helper()
	c := change(name, target, "critical", since)
	c.Resolved = true
	w.tell(c)
}

// after lets time pass.
func (w *world) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// picksUp is what the telephone does when somebody picks up, and gives what they hear.
func (w *world) picksUp(ref string) string {
	w.t.Helper()
	if err := w.desk.Answered(w.t.Context(), ref); err != nil {
		w.t.Fatal(err)
	}
	o, ok := w.desk.Opening(w.t.Context(), ref)
	if !ok {
		w.t.Fatalf("there is no call %s", ref)
	}
	synctest.Wait()
	return o.Reply.Speech
}

func (w *world) ends(ref, status string) {
	w.t.Helper()
	if err := w.desk.Ended(w.t.Context(), ref, status); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// says is a turn of the call as the engine tells listeners.
func (w *world) agrees(ref string) {
	w.desk.Listen(w.t.Context(), dialogue.Heard{
		Request: dialogue.Request{Conversation: "oncall-" + ref},
		Reply:   dialogue.Reply{Intent: "confirm", Speech: "Rolling back.", Proposal: &dialogue.Proposal{ID: "p-" + ref}, Outcome: dialogue.OutcomePending, Expect: dialogue.ExpectNone},
	})
	synctest.Wait()
}

func (w *world) turn(ref, intent string) (dialogue.Reply, error) {
	w.t.Helper()
	s := &dialogue.Session{}
	t := dialogue.NewTurn(w.cat, dialogue.Request{Conversation: "oncall-" + ref}, s, intents.Intent{Name: intent, Slots: intents.Slots{}})
	handlers := w.desk.Handlers()
	handlers["alert_ack"] = dialogue.HandlerFunc(func(context.Context, *dialogue.Turn) (dialogue.Reply, error) {
		return dialogue.Reply{Speech: "Quiet for an hour?"}, nil
	})
	w.desk.Around(handlers)
	r, err := handlers[intent].Handle(w.t.Context(), t)
	synctest.Wait()
	return r, err
}

// asks is a turn whose answer does not matter.
func (w *world) asks(ref, intent string) {
	w.t.Helper()
	if _, err := w.turn(ref, intent); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) ends2(ref string, outcome dialogue.Outcome, said string) {
	w.t.Helper()
	if err := w.Push(w.t.Context(), "oncall-"+ref, dialogue.Event{Kind: dialogue.EventOutcome, Action: "p-" + ref, Reply: dialogue.Reply{Speech: said, Outcome: outcome}}, nil); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) was(want string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.rung, " "); got != want {
		w.t.Fatalf("rung %q, want %q\n%s", got, want, strings.Join(w.line, "\n"))
	}
}

func (w *world) state(want oncall.State) {
	w.t.Helper()
	b := w.store.book(w.t)
	if got := b.Incidents[0].State; got != want {
		w.t.Fatalf("it is %s, want %s\n%s", got, want, strings.Join(w.line, "\n"))
	}
}

// night is at three in the morning; synctest begins at midnight.
func night(t *testing.T, f func(w *world, now time.Time)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3 * time.Hour)
		w := newWorld(t)
		w.cause["checkout"] = "checkout"
		stop := w.run(w.desk)
		defer stop()
		synctest.Wait()
		f(w, time.Now())
	})
}
