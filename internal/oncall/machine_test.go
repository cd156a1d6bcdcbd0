package oncall_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
			r := oncall.Reading{Window: 10 * time.Second}
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
	}, target+" fails because of "+cause+".")
	return dialogue.Reply{
		Conversation: r.Conversation, Speech: target + " fails because of " + cause + ". Shall I roll it back?", Text: target + " fails.",
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

func TestTheCallInWhichItIsRolledBack(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now.Add(-time.Minute))
		w.was("ann@1-1")
		if said := w.picksUp("1-1"); said != "ann, this is first mate. checkout fails because of checkout. Shall I roll it back?" {
			t.Errorf("heard %q", said)
		}
		w.state(oncall.Talking)
		w.agrees("1-1")
		w.state(oncall.Taken)
		if o, _ := w.desk.Opening(t.Context(), "1-1"); !o.More {
			t.Error("the call does not wait for what is to come")
		}
		w.ends2("1-1", dialogue.OutcomeDone, "checkout is back on version one.")
		w.after(20 * time.Second)
		w.state(oncall.Taken) // errors are as they were
		if r, err := w.turn("1-1", "status"); err != nil || r.Speech != "Errors are at 12 percent; I go on watching." || r.Outcome != dialogue.OutcomePending {
			t.Errorf("how it goes: %+v %v", r, err)
		}
		w.mu.Lock()
		w.ratio = 0.002
		w.mu.Unlock()
		w.after(2 * 6 * time.Second)
		w.state(oncall.Over)
		heard := w.pushed["oncall-1-1"]
		if got := heard[len(heard)-1].Reply.Speech; got != "Errors are back to normal: 0.2 percent." {
			t.Errorf("the end is %q", got)
		}
		w.ends("1-1", "completed")
		w.fires("CheckoutErrors", "checkout", "critical", now.Add(-time.Minute)) // the rule has not noticed yet
		w.resolves("CheckoutErrors", "checkout", now.Add(-time.Minute))
		w.after(time.Hour)
		w.was("ann@1-1")
		if len(w.texts) > 0 {
			t.Errorf("texts %q", w.texts)
		}
		var line []string
		for _, l := range w.line {
			line = append(line, l[len("03:00:00 incident 1: "):])
		}
		want := []string{
			"CheckoutErrors (critical) fires on checkout in shop", "checkout fails because of checkout.", "I call ann", "ann picked up", "ann decided: Rolling back.",
			"checkout is back on version one.", "errors are back to normal: 0.2 percent",
		}
		if !slices.Equal(line[:len(want)], want) {
			t.Errorf("the time-line:\n%s", strings.Join(line, "\n"))
		}
	})
}

// TestWhatIsMadeIsMeasuredBeforeItsOutcome: a version that is rolled out is watched
// for minutes; nobody at three in the morning waits for that.
func TestWhatIsMadeIsMeasuredBeforeItsOutcome(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		made := false
		w.desk.RolledOut = func(context.Context, string) (bool, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return made, nil
		}
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.picksUp("1-1")
		w.agrees("1-1")
		w.mu.Lock()
		w.ratio = 0
		w.mu.Unlock()
		w.after(30 * time.Second)
		w.state(oncall.Taken) // the old version may be well for a moment: nothing is done yet
		w.mu.Lock()
		made = true
		w.mu.Unlock()
		w.after(14 * time.Second)
		w.state(oncall.Taken) // too little was measured since
		w.after(4 * time.Second)
		w.state(oncall.Over)
		w.mu.Lock()
		defer w.mu.Unlock()
		if said := w.pushed["oncall-1-1"]; len(said) != 1 || said[0].Reply.Speech != "Errors are back to normal: 0 percent." {
			t.Errorf("said %+v", said)
		}
	})
}

func TestWhoDoesNotAnswerIsFollowed(t *testing.T) {
	for _, c := range []struct {
		name, status string
	}{{"no answer", "no-answer"}, {"busy", "busy"}, {"declined", "busy"}, {"failed", "failed"}, {"a machine that hangs up at once", "completed"}} {
		t.Run(c.name, func(t *testing.T) {
			night(t, func(w *world, now time.Time) {
				w.fires("CheckoutErrors", "checkout", "critical", now)
				w.ends("1-1", c.status)
				w.ends("1-1", c.status) // the carrier repeats itself
				w.was("ann@1-1")
				w.after(16 * time.Second)
				w.was("ann@1-1 ann@1-2") // the second call gets through a telephone that is told to be quiet
				w.ends("1-2", c.status)
				w.was("ann@1-1 ann@1-2 bob@1-3")
				w.picksUp("1-3")
				w.asks("1-3", "alert_ack")
				w.ends("1-3", "completed")
				w.state(oncall.Taken)
				w.after(50 * time.Minute)
				w.was("ann@1-1 ann@1-2 bob@1-3")
				w.after(11 * time.Minute) // the acknowledgement has ended, and it still fires
				w.was("ann@1-1 ann@1-2 bob@1-3 ann@1-4")
			})
		})
	}
}

func TestNobodyIsReached(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now)
		for i := 1; i <= 3; i++ {
			w.ends(fmt.Sprintf("1-%d", i), "no-answer")
			w.after(16 * time.Second)
		}
		w.state(oncall.Unreached)
		w.was("ann@1-1 ann@1-2 bob@1-3")
		if last := w.line[len(w.line)-1]; !strings.Contains(last, "I reached nobody in 3 calls") {
			t.Errorf("said at last: %q", last)
		}
		if len(w.texts) != 2 || !strings.HasPrefix(w.texts[0]+w.texts[1], "ann: firstmate: CheckoutErrors fires on checkout and I reached nobody.") && !strings.HasPrefix(w.texts[1], "ann: ") {
			t.Errorf("texts %q", w.texts)
		}
		w.after(time.Hour)
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.was("ann@1-1 ann@1-2 bob@1-3")
	})
}

func TestACarrierThatFailsIsFollowed(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.noCall = errors.New("no")
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.after(time.Minute)
		w.was("ann@1-1 ann@1-2 bob@1-3")
		w.state(oncall.Unreached)
	})
}

// TestWhoHangsUpHasDecidedNothing: nothing is done, and after five minutes
// somebody else is called.
func TestWhoHangsUpHasDecidedNothing(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.picksUp("1-1")
		// The read-back waits for a yes: that is no decision.
		w.desk.Listen(t.Context(), dialogue.Heard{
			Request: dialogue.Request{Conversation: "oncall-1-1"},
			Reply:   dialogue.Reply{Intent: "rollback", Proposal: &dialogue.Proposal{ID: "p-1-1"}, Outcome: dialogue.OutcomePending, Expect: dialogue.ExpectConfirm},
		})
		w.ends("1-1", "completed")
		w.state(oncall.Waiting)
		w.after(4 * time.Minute)
		w.was("ann@1-1")
		w.after(61 * time.Second)
		w.was("ann@1-1 bob@1-2")
	})
}

func TestTheNextOneIsCalled(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.picksUp("1-1")
		if r, err := w.turn("1-1", "oncall_next"); err != nil || r.Speech != "I call bob." {
			t.Errorf("%+v %v", r, err)
		}
		w.after(time.Second)
		w.was("ann@1-1 bob@1-2")
		w.asks("1-1", "oncall_next") // it is said again
		w.ends("1-1", "completed")
		w.after(4 * time.Minute)
		w.was("ann@1-1 bob@1-2")
	})
}

func TestTwoAlertsOfOneCauseAreOneCall(t *testing.T) {
	for _, c := range []struct {
		name   string
		second func(w *world, now time.Time)
	}{
		{"of one target", func(w *world, now time.Time) { w.fires("CheckoutSlow", "checkout", "critical", now) }},
		{"told again", func(w *world, now time.Time) { w.fires("CheckoutErrors", "checkout", "critical", now) }},
		{"of one cause", func(w *world, now time.Time) {
			w.cause["web"] = "checkout"
			w.fires("WebErrors", "web", "critical", now)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			night(t, func(w *world, now time.Time) {
				w.fires("CheckoutErrors", "checkout", "critical", now)
				w.picksUp("1-1")
				c.second(w, now)
				w.after(10 * time.Second) // nobody is rung who is on the telephone
				w.ends("1-1", "completed")
				w.after(30 * time.Second)
				w.was("ann@1-1")
			})
		})
	}
	t.Run("of one group", func(t *testing.T) {
		night(t, func(w *world, now time.Time) {
			w.tell(change("CheckoutErrors", "checkout", "warning", now, "g"), change("NodeDown", "node", "critical", now, "g"))
			w.after(time.Second)
			w.was("ann@1-1")
			b := w.store.book(t)
			if a := b.Incidents[0].First(); a.Name != "NodeDown" || len(b.Open()) != 1 {
				t.Errorf("it is about %+v", a)
			}
		})
	})
	t.Run("two causes are two calls, one after the other", func(t *testing.T) {
		night(t, func(w *world, now time.Time) {
			w.cause["cart"] = "cart-db"
			w.fires("CheckoutErrors", "checkout", "critical", now)
			w.picksUp("1-1")
			w.fires("CartErrors", "cart", "critical", now)
			w.after(20 * time.Second)
			w.was("ann@1-1")
			if said := w.pushed["oncall-1-1"]; len(said) != 1 || !strings.HasPrefix(said[0].Reply.Speech, "Meanwhile ") {
				t.Errorf("in the call: %+v", said)
			}
			w.asks("1-1", "alert_ack")
			w.ends("1-1", "completed")
			w.after(6 * time.Second)
			w.was("ann@1-1 ann@2-1")
		})
	})
}

func TestQuietHours(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutSlow", "checkout", "warning", now)
		w.after(time.Hour)
		w.was("")
		w.state(oncall.Quiet)
		w.after(4*time.Hour - time.Second)
		w.was("")
		w.after(2 * time.Second)
		w.was("ann@1-1") // at eight
	})
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutSlow", "checkout", "warning", now)
		w.resolves("CheckoutSlow", "checkout", now)
		w.after(6 * time.Hour)
		w.was("")
	})
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutSlow", "checkout", "warning", now)
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.was("ann@1-1")
	})
}

func TestWhatResolvesMeanwhile(t *testing.T) {
	t.Run("while it rings", func(t *testing.T) {
		night(t, func(w *world, now time.Time) {
			w.fires("CheckoutErrors", "checkout", "critical", now)
			w.resolves("CheckoutErrors", "checkout", now)
			if !slices.Equal(w.off, []string{"CA1-1"}) {
				t.Errorf("called off: %v", w.off)
			}
			w.state(oncall.Over)
			if said := w.picksUp("1-1"); !strings.HasPrefix(said, "That is over already") {
				t.Errorf("who picks up all the same hears %q", said)
			}
			w.after(time.Hour)
			w.was("ann@1-1")
		})
	})
	t.Run("while they talk", func(t *testing.T) {
		night(t, func(w *world, now time.Time) {
			w.fires("CheckoutErrors", "checkout", "critical", now)
			w.picksUp("1-1")
			w.resolves("CheckoutErrors", "checkout", now)
			if said := w.pushed["oncall-1-1"]; len(said) != 1 || said[0].Reply.Speech != "The alert has just resolved by itself." {
				t.Errorf("said %+v", said)
			}
			w.ends("1-1", "completed")
			w.state(oncall.Over)
		})
	})
	t.Run("while the cause is looked for", func(t *testing.T) {
		night(t, func(w *world, now time.Time) {
			w.slow = 2 * time.Second
			w.fires("CheckoutErrors", "checkout", "critical", now)
			w.resolves("CheckoutErrors", "checkout", now)
			w.after(time.Minute)
			w.was("")
		})
	})
}

func TestADiagnosisThatFindsNothingRingsAllTheSame(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("StrangeThing", "mystery", "critical", now)
		w.was("ann@1-1")
		if said := w.picksUp("1-1"); !strings.Contains(said, "fires on mystery since 03:00") || strings.Contains(said, "Nothing is called") {
			t.Errorf("heard %q", said)
		}
	})
	night(t, func(w *world, now time.Time) {
		w.slow = time.Minute // it never comes
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.after(25 * time.Second)
		w.was("ann@1-1")
		if said := w.picksUp("1-1"); !strings.Contains(said, "fires on checkout") {
			t.Errorf("heard %q", said)
		}
		w.after(time.Minute) // and comes too late
		w.was("ann@1-1")
	})
}

func TestWhatDoesNotHelpIsTold(t *testing.T) {
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.picksUp("1-1")
		w.agrees("1-1")
		w.ends("1-1", "completed")
		w.ends2("1-1", dialogue.OutcomeFailed, "The roll-back is stuck.")
		w.after(3 * time.Second)
		w.was("ann@1-1 ann@1-2") // called back
		if said := w.picksUp("1-2"); !strings.HasPrefix(said, "ann, this is first mate. The change did not work.") {
			t.Errorf("heard %q", said)
		}
	})
	night(t, func(w *world, now time.Time) {
		w.fires("CheckoutErrors", "checkout", "critical", now)
		w.picksUp("1-1")
		w.agrees("1-1")
		w.ends("1-1", "completed")
		w.ends2("1-1", dialogue.OutcomeDone, "Back on version one.")
		w.after(3 * time.Second)
		if len(w.texts) != 1 || !strings.Contains(w.texts[0], "Back on version one.") {
			t.Errorf("texts %q", w.texts)
		}
		w.after(11 * time.Minute) // and still errors
		w.was("ann@1-1 ann@1-2")
		if said := w.picksUp("1-2"); !strings.Contains(said, "It is not over.") {
			t.Errorf("heard %q", said)
		}
	})
}

// TestARestartNeitherRingsTwiceNorForgets stops the process at every moment of a
// night in which nobody answers, and begins another.
func TestARestartNeitherRingsTwiceNorForgets(t *testing.T) {
	for stopAt := time.Duration(0); stopAt < 4*time.Minute; stopAt += 11 * time.Second {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(3 * time.Hour)
			w := newWorld(t)
			w.cause["checkout"] = "checkout"
			w.slow = 2 * time.Second
			stop := w.run(w.desk)
			w.fires("CheckoutErrors", "checkout", "critical", time.Now())
			w.after(stopAt)
			stop()
			w.desk = w.newDesk()
			w.fires("CheckoutErrors", "checkout", "critical", time.Now().Add(-stopAt)) // Alertmanager tells it again
			stop = w.run(w.desk)
			w.after(10 * time.Minute)
			w.was("ann@1-1 ann@1-2 bob@1-3")
			w.state(oncall.Unreached)
			stop()
		})
	}
}

// TestReplicas: of several that hear the same at once, one acts.
func TestReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3 * time.Hour)
		w := newWorld(t)
		w.cause["checkout"] = "checkout"
		desks := []*oncall.Desk{w.desk, w.newDesk(), w.newDesk()}
		for _, d := range desks {
			defer w.run(d)() // even if all of them thought that they lead
		}
		now := time.Now()
		for i := range 30 {
			go func() {
				if err := desks[i%3].Hear(t.Context(), []observability.AlertChange{change("CheckoutErrors", "checkout", "critical", now)}); err != nil {
					t.Error(err)
				}
			}()
		}
		w.after(5 * time.Second)
		w.was("ann@1-1")
		w.desk = desks[2]
		w.ends("1-1", "busy")
		w.desk = desks[0]
		w.ends("1-1", "busy")
		w.after(20 * time.Second)
		w.was("ann@1-1 ann@1-2")
		if n := strings.Count(strings.Join(w.line, "\n"), "I call ann"); n != 2 {
			t.Errorf("told %d times:\n%s", n, strings.Join(w.line, "\n"))
		}
	})
}

func TestWhoIsOnCall(t *testing.T) {
	night(t, func(w *world, _ time.Time) {
		if r, err := w.turn("1-1", "oncall_who"); err != nil || r.Speech != "ann is on call; secondary is bob." {
			t.Errorf("%q %v", r.Speech, err)
		}
	})
}
