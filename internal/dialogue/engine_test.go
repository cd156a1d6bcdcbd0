package dialogue_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/store"
)

var ann = access.Speaker{Channel: "web", ID: "ann"}

// room is an engine with the real catalogue, recogniser and store, and
// handlers that only say what they were asked.
type room struct {
	*dialogue.Engine
	t    *testing.T
	mu   sync.Mutex
	seen []intents.Intent
	do   map[string]dialogue.HandlerFunc
}

// english is made once: compiling it is most of what a test would wait for.
var english = sync.OnceValues(func() (*intents.Recognizer, error) {
	c, err := intents.English()
	if err != nil {
		return nil, err
	}
	return intents.NewRecognizer(c), nil
})

func newRoom(t *testing.T) *room {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	recognizer, err := english()
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.OpenSQLite(context.Background(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	inv := intents.NewInventory(intents.InventoryData{
		Namespaces: []string{"shop", "staging"},
		Workloads: []intents.Workload{
			{Name: "web", Namespace: "shop", Kind: "Deployment"}, {Name: "checkout", Namespace: "shop", Kind: "Deployment"},
			{Name: "cart", Namespace: "shop", Kind: "Deployment"},
		},
	})
	r := &room{t: t, do: map[string]dialogue.HandlerFunc{}}
	handlers := map[string]dialogue.Handler{}
	for _, s := range c.Specs() {
		handlers[s.Name] = dialogue.HandlerFunc(func(ctx context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
			r.mu.Lock()
			r.seen = append(r.seen, turn.Intent)
			do := r.do[turn.Intent.Name]
			r.mu.Unlock()
			if do != nil {
				return do(ctx, turn)
			}
			return dialogue.Reply{Speech: turn.Intent.Name, Text: turn.Intent.Name}, nil
		})
	}
	delete(handlers, intents.OutOfScope)
	delete(handlers, "amend")
	r.Engine = dialogue.NewEngine(c, recognizer, func(context.Context, []string) (*intents.Inventory, error) { return inv, nil }, st, handlers, dialogue.NewHub(), nil, slog.New(slog.DiscardHandler))
	return r
}

func (r *room) say(text string) dialogue.Reply {
	return r.Respond(context.Background(), dialogue.Request{Conversation: "c", Speaker: ann, Text: text})
}

func (r *room) last() intents.Intent {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) == 0 {
		return intents.Intent{}
	}
	return r.seen[len(r.seen)-1]
}

func TestAskBackAndAnswer(t *testing.T) {
	r := newRoom(t)
	if a := r.say("scale web"); a.Expect != "replicas" || !strings.Contains(a.Text, "How many") {
		t.Fatalf("asked %q, expects %q", a.Text, a.Expect)
	}
	r.say("nine")
	got := r.last()
	if n, _ := got.Slots.Int("replicas"); got.Name != "scale" || n != 9 || !slices.Equal(got.Slots.Targets(), []string{"web"}) {
		t.Errorf("the answer made %+v", got)
	}
	if a := r.say("scale to five"); a.Expect != "targets" {
		t.Fatalf("asked %q, expects %q", a.Text, a.Expect)
	}
	r.say("cart")
	got = r.last()
	if n, _ := got.Slots.Int("replicas"); n != 5 || !slices.Equal(got.Slots.Targets(), []string{"cart"}) {
		t.Errorf("the answer made %+v", got)
	}
}

func TestAWholeSentenceWinsOverTheOpenQuestion(t *testing.T) {
	r := newRoom(t)
	r.say("scale web")
	r.say("restart checkout")
	if got := r.last(); got.Name != "restart" || got.Slots.Has("replicas") {
		t.Errorf("made %+v", got)
	}
	r.say("scale web")
	r.say("scale cart to two")
	if got := r.last(); !slices.Equal(got.Slots.Targets(), []string{"cart"}) {
		t.Errorf("made %+v", got)
	}
}

func TestAnUnknownNameIsAskedAbout(t *testing.T) {
	r := newRoom(t)
	a := r.say("scale chekkout-sevice to five")
	if a.Fault != fault.NotFound || len(a.Choices) == 0 {
		t.Fatalf("answered %+v", a)
	}
	if got := r.last(); got.Name != "" {
		t.Fatalf("acted: %+v", got)
	}
	r.say("checkout")
	got := r.last()
	if n, _ := got.Slots.Int("replicas"); got.Name != "scale" || n != 5 || !slices.Equal(got.Slots.Targets(), []string{"checkout"}) {
		t.Errorf("the answer made %+v", got)
	}
}

func TestChoices(t *testing.T) {
	r := newRoom(t)
	r.do["restart"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		if turn.Intent.Slots.Has("namespace") {
			return dialogue.Reply{Text: "restart"}, nil
		}
		return turn.Ask(dialogue.Reply{Text: "Which?"}, "namespace", []string{"shop", "staging"}), nil
	}
	for _, answer := range []string{"staging", "the second one", "in staging"} {
		if a := r.say("restart web"); a.Expect != dialogue.ExpectChoice || len(a.Choices) != 2 {
			t.Fatalf("asked %+v", a)
		}
		r.say(answer)
		if got := r.last(); got.Name != "restart" || got.Slots.String("namespace") != "staging" || !slices.Equal(got.Slots.Targets(), []string{"web"}) {
			t.Errorf("%q made %+v", answer, got)
		}
	}
}

func TestYesTakesTheOnlyChoice(t *testing.T) {
	r := newRoom(t)
	r.do["deploy"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		if turn.Intent.Slots.Has("image_agreed") {
			return dialogue.Reply{Text: "deploy"}, nil
		}
		return turn.Ask(dialogue.Reply{Text: "Really?"}, "image_agreed", []string{"ghcr.io/x/y:1"}), nil
	}
	r.say("deploy ghcr.io/x/y:1 to web")
	r.say("yes")
	if got := r.last(); got.Name != "deploy" || got.Slots.String("image_agreed") != "ghcr.io/x/y:1" {
		t.Errorf("made %+v", got)
	}
}

func TestAmend(t *testing.T) {
	r := newRoom(t)
	if a := r.say("make it six"); a.Fault != fault.NotUnderstood {
		t.Errorf("nothing to amend: %+v", a)
	}
	r.do["scale"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		turn.Session.Pending = "p1"
		in := turn.Intent
		turn.Session.LastWrite = &in
		return dialogue.Reply{Text: "Shall I?", Expect: dialogue.ExpectConfirm}, nil
	}
	r.say("add two replicas to web")
	r.say("no, make it six")
	got := r.last()
	if n, _ := got.Slots.Int("replicas"); got.Name != "scale" || n != 6 || got.Slots.Has("delta") {
		t.Errorf("made %+v", got)
	}
	r.say("sorry, in staging")
	if got := r.last(); got.Slots.String("namespace") != "staging" || got.Slots.String("replicas") != "6" {
		t.Errorf("made %+v", got)
	}
}

func TestADeliveryIsHandledOnce(t *testing.T) {
	r := newRoom(t)
	req := dialogue.Request{DeliveryID: "d", Conversation: "c", Speaker: ann, Text: "restart web"}
	first := r.Respond(context.Background(), req)
	req.Text = "restart cart"
	again := r.Respond(context.Background(), req)
	if first.Text != again.Text || len(r.seen) != 1 {
		t.Errorf("answers %q and %q, handled %d times", first.Text, again.Text, len(r.seen))
	}
}

func TestErrorsBecomeSpeechWithoutTheirCause(t *testing.T) {
	r := newRoom(t)
	r.do["restart"] = func(context.Context, *dialogue.Turn) (dialogue.Reply, error) {
		return dialogue.Reply{}, errors.New("dial tcp 10.0.0.1: hunter2")
	}
	a := r.say("restart web")
	if a.Fault != fault.Internal || strings.Contains(a.Speech+a.Text, "hunter2") || a.Speech == "" {
		t.Errorf("said %+v", a)
	}
	if a := r.say("what is the meaning of life"); a.Fault != fault.NotUnderstood || a.Intent != intents.OutOfScope {
		t.Errorf("said %+v", a)
	}
}

func TestThePlatformsIntentCountsWhereTheTextDoesNot(t *testing.T) {
	r := newRoom(t)
	req := dialogue.Request{Conversation: "c", Speaker: ann, Text: "blorp the flurb", Intent: &intents.Intent{Name: "scale", Slots: intents.Slots{"targets": []string{"web"}}}}
	if a := r.Respond(context.Background(), req); a.Expect != "replicas" {
		t.Errorf("a slot is missing, answered %+v", a)
	}
	req.Text, req.Conversation = "restart cart", "d"
	r.Respond(context.Background(), req)
	if got := r.last(); got.Name != "restart" {
		t.Errorf("the text is understood, but made %+v", got)
	}
}

func TestOneConversationIsHandledInOrderOthersInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		var inside, most, all atomic.Int32
		r.do["restart"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
			all.Add(1)
			if turn.Request.Conversation == "c" {
				most.Store(max(most.Load(), inside.Add(1)))
				defer inside.Add(-1)
			}
			time.Sleep(time.Second)
			return dialogue.Reply{}, nil
		}
		start := time.Now()
		var wg sync.WaitGroup
		for _, conv := range []string{"c", "c", "c", "d", "e", "f"} {
			wg.Go(func() {
				r.Respond(context.Background(), dialogue.Request{Conversation: conv, Speaker: ann, Text: "restart web"})
			})
		}
		wg.Wait()
		if most.Load() != 1 || all.Load() != 6 || time.Since(start) != 3*time.Second {
			t.Errorf("%d at once in one conversation, %d in all, in %v", most.Load(), all.Load(), time.Since(start))
		}
	})
}

// start makes "restart" begin an action whose outcome is pushed after a while.
func (r *room) start(after time.Duration) {
	r.do["restart"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
		turn.Session.LastAction = "a1"
		conv := turn.Request.Conversation
		time.AfterFunc(after, func() {
			err := r.Push(context.Background(), conv, dialogue.Event{
				Kind: dialogue.EventOutcome, Action: "a1", Reply: dialogue.Reply{Speech: "Done.", Text: "Done.", Outcome: dialogue.OutcomeDone},
			}, nil)
			if err != nil {
				r.t.Error(err)
			}
		})
		return dialogue.Reply{Text: "Restarting.", Speech: "Restarting.", Outcome: dialogue.OutcomePending, Proposal: &dialogue.Proposal{ID: "a1"}}, nil
	}
}

func TestPatience(t *testing.T) {
	for _, tt := range []struct {
		after       time.Duration
		first, next string
	}{
		{2 * time.Second, "Done.", "status"},                      // within the channel's patience: told once
		{10 * time.Second, "Restarting.", "Done. status"},         // later: told with the next answer
		{4 * time.Second, "Restarting.", "Done. status"},          // just too late
		{3*time.Second + 499*time.Millisecond, "Done.", "status"}, // just in time
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRoom(t)
			r.start(tt.after)
			req := dialogue.Request{DeliveryID: "d1", Conversation: "c", Speaker: ann, Text: "restart web", Pull: true, Patience: 3500 * time.Millisecond}
			first := r.Respond(context.Background(), req)
			if first.Speech != tt.first || first.Intent != "restart" {
				t.Errorf("after %v said %q", tt.after, first.Speech)
			}
			if again := r.Respond(context.Background(), req); again.Speech != first.Speech {
				t.Errorf("the retry got %q, not %q", again.Speech, first.Speech)
			}
			time.Sleep(time.Minute)
			req.DeliveryID, req.Text = "d2", "how is web"
			if next := r.Respond(context.Background(), req); next.Speech != tt.next {
				t.Errorf("after %v then said %q", tt.after, next.Speech)
			}
			req.DeliveryID = "d3"
			if third := r.Respond(context.Background(), req); third.Speech != "status" {
				t.Errorf("told again: %q", third.Speech)
			}
		})
	}
}

func TestAnOutcomeIsPushedOnce(t *testing.T) {
	r := newRoom(t)
	sub := r.Subscribe("c")
	defer sub.Close()
	ev := dialogue.Event{Kind: dialogue.EventOutcome, Action: "a1", Reply: dialogue.Reply{Text: "Done.", Outcome: dialogue.OutcomeDone}}
	updates := 0
	for range 3 {
		if err := r.Push(context.Background(), "c", ev, func(*dialogue.Session) { updates++ }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(sub.C); n != 1 {
		t.Errorf("%d pushes", n)
	}
	var kept int
	if err := r.Events(context.Background(), "c", 0, func(dialogue.Event) error { kept++; return nil }); err != nil || kept != 1 {
		t.Errorf("%d kept, %v", kept, err)
	}
}

func TestContextFadesAfterASilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		var before []dialogue.Target
		r.do["status"] = func(_ context.Context, turn *dialogue.Turn) (dialogue.Reply, error) {
			before = turn.Session.Targets
			turn.Session.Focus(dialogue.Target{Name: "web", Namespace: "shop"})
			return dialogue.Reply{}, nil
		}
		r.say("how is web")
		time.Sleep(29 * time.Minute)
		r.say("how is web")
		if len(before) != 1 {
			t.Errorf("forgot %v too early", before)
		}
		time.Sleep(31 * time.Minute)
		r.say("how is web")
		if len(before) != 0 {
			t.Errorf("still remembers %v", before)
		}
	})
}

func TestHubNeverWaitsAndLosesNoOutcome(t *testing.T) {
	h := dialogue.NewHub()
	sub := h.Subscribe("c")
	for range 1000 {
		h.Publish("c", dialogue.Event{Kind: dialogue.EventProgress})
	}
	h.Publish("c", dialogue.Event{Kind: dialogue.EventOutcome, Seq: 7})
	h.Publish("other", dialogue.Event{Kind: dialogue.EventOutcome, Seq: 8})
	sub.Close()
	sub.Close()
	var outcomes []int64
	for ev := range sub.C {
		if ev.Kind == dialogue.EventOutcome {
			outcomes = append(outcomes, ev.Seq)
		}
	}
	if !slices.Equal(outcomes, []int64{7}) {
		t.Errorf("got outcomes %v", outcomes)
	}
	h.Publish("c", dialogue.Event{}) // nobody listens any more
}
