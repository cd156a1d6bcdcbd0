package chat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// wall is a chat of which nothing is known but what stands there.
type wall struct {
	mu    sync.Mutex
	ids   int
	says  map[string][]string // by the conversation, as it was posted: "id text"
	now   map[string]string   // by the id
	edits map[string]int
	marks []string
	fails func() error // before anything is posted
	slow  time.Duration
}

func newWall() *wall {
	return &wall{says: map[string][]string{}, now: map[string]string{}, edits: map[string]int{}}
}

func (w *wall) Post(_ context.Context, to chat.Address, m chat.Message) (string, error) {
	time.Sleep(w.slow)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fails != nil {
		if err := w.fails(); err != nil {
			return "", err
		}
	}
	w.ids++
	id := fmt.Sprint("m", w.ids)
	w.says[to.Conversation()] = append(w.says[to.Conversation()], m.Reply.Text)
	w.now[id] = m.Reply.Text
	if m.Mention != "" {
		w.marks = append(w.marks, m.Mention+" "+m.Reply.Text)
	}
	return id, nil
}

func (w *wall) Edit(_ context.Context, _ chat.Address, id string, m chat.Message) error {
	time.Sleep(w.slow)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now[id] == "" {
		return fmt.Errorf("no such message: %w", chat.ErrGone)
	}
	w.now[id] = m.Reply.Text
	w.edits[id]++
	return nil
}

// shows is what was posted in a conversation, in order.
func (w *wall) shows(conversation string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.says[conversation])
}

// books are kept in memory, with the lease of the store.
type books struct {
	mu     sync.Mutex
	posted map[string]string
	leases map[string]lease
	of     []string
}

type lease struct {
	by    int
	until time.Time
}

func newBooks() *books { return &books{posted: map[string]string{}, leases: map[string]lease{}} }

// process is one that shares books with others.
type process struct {
	*books
	self int
}

func (p process) ClaimPost(_ context.Context, name string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.leases[name]
	if p.posted[name] != "" || l.by != p.self && time.Now().Before(l.until) {
		return false, nil
	}
	p.leases[name] = lease{p.self, time.Now().Add(5 * time.Second)}
	return true, nil
}

func (p process) KeepPosted(_ context.Context, name, message string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.posted[name] = message
	return nil
}

func (p process) Posted(_ context.Context, name string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.posted[name], nil
}

func (p process) Conversations(_ context.Context, prefix string, f func(string) error) error {
	for _, c := range p.of {
		if strings.HasPrefix(c, prefix) {
			if err := f(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func thread(id string) chat.Address {
	return chat.Address{Platform: "test", Team: "T", Channel: "C", Thread: id}
}

func said(delivery, where, text string) chat.Incoming {
	return chat.Incoming{Delivery: delivery, At: thread(where), Speaker: access.NewSpeaker("test", "ann", access.Signature), Text: text}
}

// open runs a room until the test ends or stop is called, which waits for its end.
func open(t *testing.T, r *chat.Room) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestABurstIsAnsweredOnceAndInOrder says two hundred things at once in each of five
// threads, many of them twice.
func TestABurstIsAnsweredOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := map[string]int{}
		most := 0
		var mu sync.Mutex
		e := channeltest.NewEngine(func(r dialogue.Request) dialogue.Reply {
			mu.Lock()
			at[r.Conversation]++
			if at[r.Conversation] > 1 {
				t.Errorf("two turns of %s at the same time", r.Conversation)
			}
			most = max(most, len(at))
			mu.Unlock()
			time.Sleep(time.Duration(len(r.Text)%7) * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if at[r.Conversation]--; at[r.Conversation] == 0 {
				delete(at, r.Conversation)
			}
			return dialogue.Reply{Text: "re " + r.Text}
		})
		w := newWall()
		room := chat.New("test", e, w, process{newBooks(), 1}, chat.Options{}, quiet())
		stop := open(t, room)
		var acks []<-chan struct{}
		for n := range 200 {
			for where := range 5 {
				id := fmt.Sprint(where, "-", n)
				acks = append(acks, room.Take(said(id, fmt.Sprint(where), fmt.Sprint(n))))
				if n%3 == 0 {
					acks = append(acks, room.Take(said(id, fmt.Sprint(where), fmt.Sprint(n))))
				}
			}
		}
		for _, a := range acks {
			<-a
		}
		for where := range 5 {
			got := w.shows(thread(fmt.Sprint(where)).Conversation())
			if len(got) != 200 {
				t.Fatalf("%d answers in thread %d", len(got), where)
			}
			for n, s := range got {
				if s != fmt.Sprint("re ", n) {
					t.Fatalf("answer %d is %q", n, s)
				}
			}
		}
		if most < 2 {
			t.Error("threads waited for each other")
		}
		stop()
	})
}

// Two replicas are given the same messages, and what one posted the other does not.
func TestReplicasAnswerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w, b := channeltest.NewEngine(nil), newWall(), newBooks()
		w.slow = 10 * time.Millisecond
		rooms := []*chat.Room{chat.New("test", e, w, process{b, 1}, chat.Options{}, quiet()), chat.New("test", e, w, process{b, 2}, chat.Options{}, quiet())}
		for _, r := range rooms {
			defer open(t, r)()
		}
		for n := range 20 {
			for _, r := range rooms {
				r.Take(said(fmt.Sprint(n), "1", "hi"))
			}
		}
		time.Sleep(time.Minute)
		if got := w.shows(thread("1").Conversation()); len(got) != 20 {
			t.Errorf("%d answers", len(got))
		}
	})
}

func starting(dialogue.Request) dialogue.Reply {
	return dialogue.Reply{Text: "Scaling web to 5 …", Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomePending, Proposal: &dialogue.Proposal{ID: "a1"}}
}

func event(kind, text string) dialogue.Event {
	r := dialogue.Reply{Text: text, Outcome: dialogue.OutcomeDone, Proposal: &dialogue.Proposal{ID: "a1"}}
	return dialogue.Event{Kind: kind, Action: "a1", Reply: r}
}

// What is told of a change changes one message, seldom enough for the platform; how it
// ended is a message of its own, below, for the one who asked.
func TestOneMessageTellsHowItGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := channeltest.NewEngine(starting), newWall()
		conv := thread("1").Conversation()
		room := chat.New("test", e, w, process{newBooks(), 1}, chat.Options{EditEvery: time.Second}, quiet())
		defer open(t, room)()
		<-room.Take(said("d1", "1", "yes"))
		for n := range 50 {
			room.Overhear(conv, event(dialogue.EventProgress, fmt.Sprint(n, " of 50")))
			room.Overhear("web-1", event(dialogue.EventProgress, "not here"))
			time.Sleep(100 * time.Millisecond)
		}
		room.Overhear(conv, event(dialogue.EventProgress, "50 of 50"))
		ev := event(dialogue.EventOutcome, "web runs 5 of 5.")
		e.Push(conv, ev)
		room.Overhear(conv, ev)
		time.Sleep(time.Second)
		room.Overhear(conv, ev) // told again
		time.Sleep(time.Minute)
		if got := w.shows(conv); !slices.Equal(got, []string{"Scaling web to 5 …", "web runs 5 of 5."}) {
			t.Errorf("%q", got)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.now["m1"] != "50 of 50" || w.edits["m1"] > 8 || w.edits["m1"] < 5 {
			t.Errorf("%q after %d edits", w.now["m1"], w.edits["m1"])
		}
		if !slices.Equal(w.marks, []string{"ann web runs 5 of 5."}) {
			t.Errorf("told: %q", w.marks)
		}
	})
}

// A message that somebody deleted is written anew.
func TestProgressOfADeletedMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := channeltest.NewEngine(starting), newWall()
		conv := thread("1").Conversation()
		room := chat.New("test", e, w, process{newBooks(), 1}, chat.Options{}, quiet())
		defer open(t, room)()
		<-room.Take(said("d1", "1", "yes"))
		w.mu.Lock()
		delete(w.now, "m1")
		w.mu.Unlock()
		for _, s := range []string{"1 of 5", "2 of 5"} {
			room.Overhear(conv, event(dialogue.EventProgress, s))
			time.Sleep(3 * time.Second)
		}
		got := w.shows(conv)
		w.mu.Lock()
		defer w.mu.Unlock()
		if !slices.Equal(got, []string{"Scaling web to 5 …", "1 of 5"}) || w.now["m2"] != "2 of 5" {
			t.Errorf("%q, %q", got, w.now)
		}
	})
}

// TestOutcomesStandWhateverHappens: the platform is away, the process ends, another one
// begins; each outcome stands there once.
func TestOutcomesStandWhateverHappens(t *testing.T) {
	for _, away := range []time.Duration{0, 3 * time.Second, 10 * time.Minute} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprint(away, " ", restart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					e, w, b := channeltest.NewEngine(nil), newWall(), newBooks()
					conv := thread("1").Conversation()
					b.of = []string{conv, "slack:T:C:1"}
					back := time.Now().Add(away)
					w.fails = func() error {
						if time.Now().Before(back) {
							return errors.New("503")
						}
						return nil
					}
					room := chat.New("test", e, w, process{b, 1}, chat.Options{}, quiet())
					stop := open(t, room)
					for n := range 3 {
						ev := dialogue.Event{Kind: dialogue.EventOutcome, Action: fmt.Sprint("a", n), Reply: dialogue.Reply{Text: fmt.Sprint("done ", n)}}
						e.Push(conv, ev)
						room.Overhear(conv, ev)
					}
					if restart {
						time.Sleep(time.Second)
						stop()
						room = chat.New("test", e, w, process{b, 2}, chat.Options{}, quiet())
						stop = open(t, room)
					}
					time.Sleep(away + 2*time.Minute)
					if got := w.shows(conv); !slices.Equal(got, []string{"done 0", "done 1", "done 2"}) {
						t.Errorf("%q", got)
					}
					stop()
				})
			})
		}
	}
}

// An answer that cannot be posted is not acknowledged, so that the platform repeats what
// was said; then it is answered as it was.
func TestWhatIsNotAnsweredIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := channeltest.NewEngine(nil), newWall()
		away := true
		w.fails = func() error {
			if away {
				return errors.New("503")
			}
			return nil
		}
		room := chat.New("test", e, w, process{newBooks(), 1}, chat.Options{}, quiet())
		stop := open(t, room)
		first := room.Take(said("d1", "1", "hi"))
		time.Sleep(time.Minute)
		select {
		case <-first:
			t.Error("acknowledged")
		default:
		}
		w.mu.Lock()
		away = false
		w.mu.Unlock()
		<-room.Take(said("d1", "1", "hi"))
		if got := w.shows(thread("1").Conversation()); len(got) != 1 {
			t.Errorf("%q", got)
		}
		stop()
		late := room.Take(said("d2", "1", "hi"))
		time.Sleep(time.Minute)
		select {
		case <-late:
			t.Error("acknowledged by a room that is closed")
		default:
		}
	})
}

// Where we were sent away nothing is tried for ever.
func TestAChannelThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := channeltest.NewEngine(nil), newWall()
		tries := 0
		w.fails = func() error {
			tries++
			return fmt.Errorf("channel_not_found: %w", chat.ErrGone)
		}
		conv := thread("1").Conversation()
		room := chat.New("test", e, w, process{newBooks(), 1}, chat.Options{}, quiet())
		defer open(t, room)()
		<-room.Take(said("d1", "1", "hi"))
		ev := event(dialogue.EventOutcome, "done")
		e.Push(conv, ev)
		room.Overhear(conv, ev)
		time.Sleep(time.Hour)
		w.mu.Lock()
		defer w.mu.Unlock()
		if tries != 2 {
			t.Errorf("tried %d times", tries)
		}
	})
}

type ears struct {
	heard speech.Heard
	err   error
	asked speech.Hints
}

func (e *ears) Recognize(_ context.Context, _ speech.Audio, h speech.Hints) (speech.Heard, error) {
	e.asked = h
	return e.heard, e.err
}

func TestRecordings(t *testing.T) {
	there := func(context.Context) (speech.Audio, error) {
		return speech.Audio{Format: speech.Ogg, Data: []byte("OggS")}, nil
	}
	for _, tt := range []struct {
		name   string
		ears   *ears
		audio  func(context.Context) (speech.Audio, error)
		text   string
		unsure bool
		answer string
	}{
		{"heard well", &ears{heard: speech.Heard{Text: "scale web to five", Confidence: 1}}, there, "scale web to five", false, "ok"},
		{"heard badly", &ears{heard: speech.Heard{Text: "scale web to five", Confidence: 0.1}}, there, "scale web to five", true, "ok"},
		{"nobody listens", nil, there, "", false, "I cannot listen to recordings here. Please type it."},
		{
			"not to be fetched", &ears{},
			func(context.Context) (speech.Audio, error) {
				return speech.Audio{}, fault.New(fault.Unavailable, "I cannot get at the recording.")
			}, "", false, "I cannot get at the recording.",
		},
		{"deaf", &ears{err: fault.New(fault.Unavailable, "Nothing hears right now.")}, there, "", false, "Nothing hears right now."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, w := channeltest.NewEngine(nil), newWall()
				opt := chat.Options{Hints: func(context.Context) speech.Hints { return speech.Hints{Names: []string{"web"}} }}
				if tt.ears != nil {
					opt.Ears = tt.ears
				}
				room := chat.New("test", e, w, process{newBooks(), 1}, opt, quiet())
				defer open(t, room)()
				in := said("d1", "1", "")
				in.Audio = tt.audio
				<-room.Take(in)
				if got := w.shows(thread("1").Conversation()); !slices.Equal(got, []string{tt.answer}) {
					t.Errorf("%q", got)
				}
				reqs := e.Requests()
				if tt.text == "" {
					if len(reqs) > 0 {
						t.Errorf("%+v", reqs)
					}
					return
				}
				if len(reqs) != 1 || reqs[0].Text != tt.text || reqs[0].Unsure != tt.unsure || !slices.Equal(tt.ears.asked.Names, []string{"web"}) {
					t.Errorf("%+v, %+v", reqs, tt.ears.asked)
				}
			})
		})
	}
}

// What is pressed is about the proposal that it stood under.
func TestPresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := channeltest.NewEngine(nil), newWall()
		room := chat.New("test", e, w, process{newBooks(), 1}, chat.Options{}, quiet())
		defer open(t, room)()
		for i, id := range []string{"yes:a1", "no:a1", "approve:a1@d", "say:undo"} {
			in := said(fmt.Sprint(i), "1", "")
			in.Press, _ = chat.ReadPress(id)
			given := ""
			in.Answer = func(_ context.Context, m chat.Message) (string, error) {
				given = m.Reply.Text
				return "", nil
			}
			<-room.Take(in)
			if given != "ok" {
				t.Errorf("%s was answered %q", id, given)
			}
		}
		var got []string
		for _, r := range e.Requests() {
			got = append(got, strings.Join([]string{r.Confirm, r.Deny, r.Approve, r.Text}, "|"))
		}
		if want := []string{"a1|||", "|a1||", "||a1@d|", "|||undo"}; !slices.Equal(got, want) || len(w.shows(thread("1").Conversation())) > 0 {
			t.Errorf("%q", got)
		}
	})
}

// More than can be taken is told so, and what was taken is answered.
func TestTooMuchIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := channeltest.NewEngine(nil), newWall()
		room := chat.New("test", e, w, process{newBooks(), 1}, chat.Options{}, quiet())
		for n := range 1500 {
			room.Take(said(fmt.Sprint(n), "1", "hi"))
		}
		defer open(t, room)()
		time.Sleep(time.Minute)
		got := w.shows(thread("1").Conversation())
		if n := len(e.Requests()); len(got) != 1500 || n != 1000 || !strings.Contains(got[0], "more waiting") {
			t.Errorf("%d answers to %d turns, the first %q", len(got), n, got[0])
		}
	})
}

// threaded is a wall with threads below messages.
type threaded struct{ *wall }

func (threaded) Below(at chat.Address, id string) chat.Address {
	at.Thread = id
	return at
}

// What belongs together stands below the first of it, also for another process; who
// answers there need not say what it is about.
func TestOneThreadForATopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w, b := channeltest.NewEngine(nil), newWall(), newBooks()
		at := chat.Address{Platform: "test", Team: "T", Channel: "C"}
		checkout := []dialogue.Target{{Namespace: "shop", Name: "checkout"}}
		tell := func(room *chat.Room, topic, text string) {
			ev := dialogue.Event{Kind: dialogue.EventOutcome, Action: text, Topic: topic, Reply: dialogue.Reply{Text: text}}
			if topic != "" {
				ev.About = checkout
			}
			e.Push(at.Conversation(), ev)
			room.Overhear(at.Conversation(), ev)
			time.Sleep(time.Second)
		}
		for n := range 2 {
			room := chat.New("test", e, threaded{w}, process{b, n}, chat.Options{}, quiet())
			stop := open(t, room)
			for _, what := range []string{"fired", "cause", "done"} {
				tell(room, "incident 1", fmt.Sprint(what, n))
			}
			tell(room, "", fmt.Sprint("nobody is there", n))
			stop()
		}
		below := at
		below.Thread = "m1"
		if got := w.shows(at.Conversation()); !slices.Equal(got, []string{"fired0", "nobody is there0", "nobody is there1"}) {
			t.Errorf("in the channel %q", got)
		}
		if got := w.shows(below.Conversation()); !slices.Equal(got, []string{"cause0", "done0", "fired1", "cause1", "done1"}) {
			t.Errorf("in the thread %q", got)
		}
		if got := e.AboutWhat(below.Conversation()); !slices.Equal(got, checkout) {
			t.Errorf("about %v", got)
		}
	})
}

// Where somebody deleted the message that an incident hangs on, what is told next begins
// another thread, and is not lost.
func TestADeletedTopicBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, w := channeltest.NewEngine(nil), newWall()
		at := chat.Address{Platform: "test", Team: "T", Channel: "C"}
		room := chat.New("test", e, deleted{threaded{w}, "m1"}, process{newBooks(), 1}, chat.Options{}, quiet())
		defer open(t, room)()
		for _, text := range []string{"fired", "cause", "done"} {
			ev := dialogue.Event{Kind: dialogue.EventOutcome, Action: text, Topic: "incident 1", Reply: dialogue.Reply{Text: text}}
			e.Push(at.Conversation(), ev)
			room.Overhear(at.Conversation(), ev)
			time.Sleep(time.Second)
		}
		below := at
		below.Thread = "m2"
		if got := w.shows(at.Conversation()); !slices.Equal(got, []string{"fired", "cause"}) {
			t.Errorf("in the channel %q", got)
		}
		if got := w.shows(below.Conversation()); !slices.Equal(got, []string{"done"}) {
			t.Errorf("in the new thread %q", got)
		}
	})
}

// deleted is a chat in which one thread is gone.
type deleted struct {
	threaded
	thread string
}

func (d deleted) Post(ctx context.Context, to chat.Address, m chat.Message) (string, error) {
	if to.Thread == d.thread {
		return "", fmt.Errorf("no such thread: %w", chat.ErrGone)
	}
	return d.threaded.Post(ctx, to, m)
}
