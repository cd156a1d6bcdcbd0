package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/phone"
	"github.com/firstmate-ops/firstmate/internal/channel/phone/carriertest"
	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/oncall"
	"github.com/firstmate-ops/firstmate/internal/oncall/schedule"
)

// night is on-call, the telephone's webhooks, the client of the carrier's API and a
// carrier, put together as bot serve does, with a script in place of the engine and
// of what it diagnoses. There is no network between them, so that a night takes no
// time.
type night struct {
	t       *testing.T
	desk    *oncall.Desk
	carrier *carriertest.Carrier
	engine  *nightEngine
	limit   context.Context
}

const (
	nightAnn, nightBob = "+436641000001", "+436641000002"
	nightPlan          = `
people: {ann: {phone: "` + nightAnn + `"}, bob: {phone: "` + nightBob + `"}}
schedules:
  - {name: primary, layers: [{people: [ann], from: 2000-01-01}]}
  - {name: secondary, layers: [{people: [bob], from: 2000-01-01}]}
escalation: [{ring: [primary], tries: 2, wait: 5m}, {ring: [secondary], tries: 1, wait: 5m}]
rounds: 1
rings: [{severity: [critical]}]
`
)

func atNight(t *testing.T, cfg carriertest.Config, f func(n *night)) {
	t.Helper()
	catalogue, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(3 * time.Hour) // it begins at midnight
		plan, err := schedule.Parse("oncall.yaml", []byte(nightPlan), nil)
		if err != nil {
			t.Fatal(err)
		}
		c := phoneDefaults()
		c.Account, c.Token, c.Numbers, c.PublicURL, c.APIURL = "AC1", "secret", []string{"+15005550001"}, "https://bot.example", "https://api.example"
		log := slog.New(slog.DiscardHandler)
		wires := carriertest.Wires{}
		api, err := phone.NewCarrier(c.config(), wires, log)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		n := &night{t: t, limit: ctx}
		n.desk = oncall.NewDesk(oncall.Config{Policy: oncall.Policy{Plan: plan, AckFor: time.Hour}, Channel: "incidents", PhoneChannel: phone.Channel}, oncall.Parts{
			Store: &nightStore{}, Line: line{api}, People: everybody{}, Catalogue: catalogue, Log: log,
			Until: func(string, time.Time) (time.Time, bool) { return time.Time{}, false },
			Measure: func(_ context.Context, _ observability.Target, _ observability.Metric, since time.Time) (oncall.Reading, error) {
				r := oncall.Reading{Window: 15 * time.Second}
				for at := since.Add(r.Window); !at.After(time.Now()); at = at.Add(r.Window / 4) {
					r.Samples = append(r.Samples, oncall.Sample{At: at, Requests: 500})
				}
				return r, nil
			},
		})
		n.engine = newNightEngine(t, catalogue, n.desk)
		n.desk.Speak(n.engine, nightTalk{n.engine})
		h, err := phone.New(c.config(), phone.Parts{Engine: n.engine, Words: catalogue, People: everybody{}, Line: api, Calls: calls{n.desk}}, log)
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		h.Routes(mux)
		cfg.Account, cfg.Token, cfg.Pace, cfg.Transport = c.Account, string(c.Token), 1, wires
		n.carrier = carriertest.New(cfg)
		wires["bot.example"], wires["api.example"] = mux, n.carrier
		running, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { n.desk.Run(running); close(done) }()
		f(n)
		n.carrier.Close()
		stop()
		<-done
	})
}

// nightStore is a book in memory.
type nightStore struct {
	mu      sync.Mutex
	version int64
	data    []byte
}

func (s *nightStore) Book(context.Context, string) (int64, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version, slices.Clone(s.data), nil
}

func (s *nightStore) SwapBook(_ context.Context, _ string, version int64, data []byte) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version != s.version {
		return false, nil
	}
	s.version, s.data = s.version+1, slices.Clone(data)
	return true, nil
}

type everybody struct{}

func (everybody) Who(_ context.Context, s access.Speaker) (access.Person, bool, error) {
	return access.Person{Name: map[string]string{nightAnn: "ann", nightBob: "bob"}[s.ID]}, true, nil
}

// nightEngine answers as the engine does in a call about a release that fails.
type nightEngine struct {
	*channeltest.Engine
	desk  *oncall.Desk
	turns func(conversation, intent string) dialogue.Reply

	mu      sync.Mutex
	once    map[string]dialogue.Reply // by delivery
	pushed  map[string]bool
	changed []string // whose yes and PIN something was done by
}

func newNightEngine(t *testing.T, c *intents.Catalogue, d *oncall.Desk) *nightEngine {
	handlers := d.Handlers()
	for name, says := range map[string]string{"alert_ack": "Shall I keep it quiet?", "status": "It is being done."} {
		handlers[name] = dialogue.HandlerFunc(func(context.Context, *dialogue.Turn) (dialogue.Reply, error) {
			return dialogue.Reply{Speech: says, Text: says, Outcome: dialogue.OutcomePending, Expect: dialogue.ExpectNone}, nil
		})
	}
	d.Around(handlers)
	return &nightEngine{
		Engine: channeltest.NewEngine(nil), desk: d, once: map[string]dialogue.Reply{}, pushed: map[string]bool{},
		turns: func(conversation, intent string) dialogue.Reply {
			turn := dialogue.NewTurn(c, dialogue.Request{Conversation: conversation}, &dialogue.Session{}, intents.Intent{Name: intent, Slots: intents.Slots{}})
			r, err := handlers[intent].Handle(t.Context(), turn)
			if err != nil {
				t.Error(err)
			}
			return r
		},
	}
}

func (e *nightEngine) Respond(ctx context.Context, r dialogue.Request) dialogue.Reply {
	e.mu.Lock()
	defer e.mu.Unlock()
	if was, ok := e.once[r.DeliveryID]; ok {
		return was
	}
	e.Engine.Respond(ctx, r) // which keeps it
	out := e.answer(r)
	out.Conversation = r.Conversation
	e.once[r.DeliveryID] = out
	e.desk.Listen(ctx, dialogue.Heard{Request: r, Reply: out})
	return out
}

func (e *nightEngine) answer(r dialogue.Request) dialogue.Reply {
	id := "p-" + r.Conversation
	says := func(text, expect string, outcome dialogue.Outcome) dialogue.Reply {
		return dialogue.Reply{Speech: text, Text: text, Expect: expect, Outcome: outcome, Intent: "confirm", Proposal: &dialogue.Proposal{ID: id}}
	}
	switch {
	case r.Intent != nil:
		target := r.Intent.Slots.Targets()[0]
		said := target + " fails because of " + target + "."
		e.desk.Diagnosed(r.Conversation, diagnosis.Case{Request: diagnosis.Request{Target: observability.Target{Name: target}}}, diagnosis.Verdict{
			Causes: []diagnosis.Cause{{Rule: diagnosis.RuleBadReleaseErrors, About: diagnosis.Object{Name: target}, Sure: diagnosis.Surely}},
			Shows:  []diagnosis.Evidence{{Kind: diagnosis.ErrorRatio, About: diagnosis.Object{Name: target}, Value: diagnosis.Num(0.12), Before: diagnosis.Num(0.001)}},
		}, said, said+" Shall I roll it back?")
		return says(said+" Its error rate went up. Shall I roll it back?", dialogue.ExpectConfirm, dialogue.OutcomePending)
	case r.Text == "roll it back":
		return says("Roll it back from version two to version one. Shall I go ahead?", dialogue.ExpectConfirm, dialogue.OutcomePending)
	case r.Text == "yes":
		return says("Your PIN, please.", dialogue.ExpectPIN, dialogue.OutcomePending)
	case r.Text == "2580":
		e.changed = append(e.changed, r.Speaker.ID)
		time.AfterFunc(3*time.Second, func() {
			done := says("It is back on version one.", dialogue.ExpectNone, dialogue.OutcomeDone)
			e.Push(r.Conversation, dialogue.Event{Kind: dialogue.EventOutcome, Action: id, Reply: done})
		})
		return says("Rolling back.", dialogue.ExpectNone, dialogue.OutcomePending)
	case strings.HasPrefix(r.Text, "acknowledge "):
		return e.turns(r.Conversation, "alert_ack")
	case r.Text == "call the next one":
		return e.turns(r.Conversation, "oncall_next")
	case r.Text == "how is it going?":
		return e.news(r.Conversation)
	}
	return dialogue.Reply{Speech: "I did not understand that.", Text: "?", Fault: "not_understood", Expect: dialogue.ExpectNone}
}

// news are the outcomes that nobody heard, else how it goes.
func (e *nightEngine) news(conversation string) dialogue.Reply {
	untold, err := e.Untold(context.Background(), conversation)
	if err == nil && len(untold) > 0 {
		r := untold[len(untold)-1]
		r.Expect = dialogue.ExpectNone
		return r
	}
	return e.turns(conversation, "status")
}

// nightTalk is what on-call says without being asked, once for each key.
type nightTalk struct{ *nightEngine }

func (e nightTalk) Push(_ context.Context, conversation string, ev dialogue.Event, _ func(*dialogue.Session)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if key := conversation + "/" + ev.Action; !e.pushed[key] {
		e.pushed[key] = true
		e.nightEngine.Push(conversation, ev)
	}
	return nil
}

// fires tells of an alert, as Alertmanager's webhook does.
func (n *night) fires(name, target string) {
	n.t.Helper()
	err := n.desk.Hear(n.limit, []observability.AlertChange{{Group: "g/" + name, Alert: observability.Alert{
		Fingerprint: "f/" + name, Name: name, Severity: "critical", Since: time.Now(), Labels: map[string]string{"alertname": name, "namespace": "shop", "deployment": target},
	}}})
	if err != nil {
		n.t.Fatal(err)
	}
}

// has gives somebody a telephone; lines are what they hear and what they do then.
func (n *night) has(number string, lines ...carriertest.Line) {
	n.t.Helper()
	p, err := carriertest.Script(lines...)
	if err != nil {
		n.t.Fatal(err)
	}
	n.carrier.Has(number, carriertest.Subscriber{Person: p})
}

func hears(what, say, keys string) carriertest.Line {
	return carriertest.Line{Hears: what, Act: carriertest.Act{Say: say, Keys: keys}}
}

func hangsUp(what string) carriertest.Line {
	return carriertest.Line{Hears: what, Act: carriertest.Act{HangUp: true}}
}

// after lets time pass.
func (n *night) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// rung is whose telephone rang, and how that ended.
func (n *night) rung(want string) {
	n.t.Helper()
	var out []string
	for _, k := range n.carrier.Calls() {
		out = append(out, map[string]string{nightAnn: "ann", nightBob: "bob"}[k.To]+" "+k.Status())
	}
	if got := strings.Join(out, ", "); got != want {
		n.t.Fatalf("rung: %s; want %s\n%s", got, want, strings.Join(n.line(), "\n"))
	}
}

// line is the time-line.
func (n *night) line() (out []string) {
	_ = n.engine.Events(n.limit, "incidents", 0, func(ev dialogue.Event) error {
		out = append(out, ev.Reply.Text)
		return nil
	})
	return out
}

func (n *night) tells(times int, what string) {
	n.t.Helper()
	if got := strings.Count(strings.Join(n.line(), "\n"), what); got != times {
		n.t.Errorf("the time-line has %q %d times, not %d:\n%s", what, got, times, strings.Join(n.line(), "\n"))
	}
}

// TestACallThatIsPlaced goes from the alert to "back to normal", also where the
// carrier repeats everything and where its API loses its answers.
func TestACallThatIsPlaced(t *testing.T) {
	for _, c := range []struct {
		name  string
		cfg   carriertest.Config
		loses int
	}{{"at once", carriertest.Config{}, 0}, {"everything is repeated", carriertest.Config{Twice: true}, 0}, {"answers are lost", carriertest.Config{}, 1}} {
		t.Run(c.name, func(t *testing.T) {
			atNight(t, c.cfg, func(n *night) {
				n.carrier.LoseAnswers(c.loses)
				n.has(nightAnn, hears("shall i roll", "roll it back", ""), hears("go ahead", "yes", ""), hears("key it in", "", "2580#"), hears("back to normal", "goodbye", ""))
				n.fires("HighErrorRate", "checkout")
				n.after(2 * time.Minute)
				n.rung("ann completed")
				if !slices.Equal(n.engine.changed, []string{nightAnn}) {
					t.Errorf("changed by %v", n.engine.changed)
				}
				for _, what := range []string{"I call ann", "ann picked up", "ann decided", "errors are back to normal"} {
					n.tells(1, what)
				}
				if texts := n.carrier.Texts(nightAnn); len(texts) > 0 {
					t.Errorf("it was told, and texted: %+v", texts)
				}
			})
		})
	}
}

// TestWhoIsNotReachedIsFollowed: whatever a telephone does instead of answering, it
// is tried again, and then the next one is rung.
func TestWhoIsNotReachedIsFollowed(t *testing.T) {
	for _, c := range []struct {
		name string
		ann  carriertest.Subscriber
		ends string
		told string // on the time-line
		by   time.Duration
	}{
		{"busy", carriertest.Subscriber{Status: "busy"}, "busy", "ann did not pick up (busy)", 20 * time.Second},
		{"no answer", carriertest.Subscriber{Status: "no-answer"}, "no-answer", "ann did not pick up (no-answer)", 70 * time.Second},
		{"failed", carriertest.Subscriber{Status: "failed"}, "failed", "ann did not pick up (failed)", 20 * time.Second},
		{"a mailbox", carriertest.Mailbox("yes, leave a message"), "completed", "a mailbox picked up for ann", 50 * time.Second},
	} {
		for _, twice := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				atNight(t, carriertest.Config{Twice: twice}, func(n *night) {
					n.carrier.Has(nightAnn, c.ann)
					n.has(nightBob, hears("shall i", "acknowledge", ""), hears("quiet", "goodbye", ""))
					n.fires("HighErrorRate", "checkout")
					n.after(c.by + 30*time.Second)
					n.rung("ann " + c.ends + ", ann " + c.ends + ", bob completed")
					n.tells(2, c.told)
					n.tells(0, "ann picked up")
					n.tells(1, "bob picked up")
					n.tells(1, "bob has it")
					if len(n.engine.changed) > 0 {
						t.Errorf("changed by %v", n.engine.changed)
					}
					calls := n.carrier.Calls()
					if took := calls[2].Created.Sub(calls[0].Created); took > c.by {
						t.Errorf("bob is rung %s after ann", took)
					}
					n.after(10 * time.Minute)
					n.rung("ann " + c.ends + ", ann " + c.ends + ", bob completed") // nobody else is woken
				})
			})
		}
	}
}

// TestNobodyPicksUp: then it is said in the channel, and everybody gets a message.
func TestNobodyPicksUp(t *testing.T) {
	atNight(t, carriertest.Config{}, func(n *night) {
		n.carrier.Has(nightAnn, carriertest.Subscriber{Status: "no-answer"})
		n.carrier.Has(nightBob, carriertest.Mailbox("this is bob"))
		n.fires("HighErrorRate", "checkout")
		n.after(10 * time.Minute)
		n.rung("ann no-answer, ann no-answer, bob completed")
		n.tells(1, "I reached nobody in 3 calls")
		for _, number := range []string{nightAnn, nightBob} {
			if texts := n.carrier.Texts(number); len(texts) != 1 || !strings.Contains(texts[0].Body, "I reached nobody") {
				t.Errorf("%s got %+v", number, texts)
			}
		}
		if got := n.carrier.Calls()[2].Heard(); got != "This is first mate, for bob: High Error Rate fires on checkout. I go on calling. If you are there, press 1." {
			t.Errorf("the mailbox has %q", got)
		}
	})
}

// TestHangingUpInMidConfirmation: who hangs up when the change is read back, or when
// the PIN is asked for, has agreed to nothing; after five minutes the next one is rung.
func TestHangingUpInMidConfirmation(t *testing.T) {
	for name, lines := range map[string][]carriertest.Line{
		"at the offer":     {hangsUp("shall i roll")},
		"at the read-back": {hears("shall i roll", "roll it back", ""), hangsUp("go ahead")},
		"at the PIN":       {hears("shall i roll", "roll it back", ""), hears("go ahead", "yes", ""), hangsUp("key it in")},
	} {
		t.Run(name, func(t *testing.T) {
			atNight(t, carriertest.Config{}, func(n *night) {
				n.has(nightAnn, lines...)
				n.has(nightBob, hears("shall i roll", "roll it back", ""), hears("go ahead", "yes", ""), hears("key it in", "", "2580#"), hears("back to normal", "goodbye", ""))
				n.fires("HighErrorRate", "checkout")
				n.after(4 * time.Minute)
				n.rung("ann completed")
				n.tells(1, "ann hung up without a decision")
				if left := n.engine.Left(); len(left) != 1 || len(n.engine.changed) > 0 {
					t.Errorf("left %v, changed by %v", left, n.engine.changed)
				}
				n.after(4 * time.Minute)
				n.rung("ann completed, bob completed")
				if !slices.Equal(n.engine.changed, []string{nightBob}) {
					t.Errorf("changed by %v", n.engine.changed)
				}
			})
		})
	}
}

// TestTwoCallsAtOnce: two incidents, of which each has somebody on the telephone at
// the same time; each hears of theirs alone.
func TestTwoCallsAtOnce(t *testing.T) {
	atNight(t, carriertest.Config{}, func(n *night) {
		n.has(nightAnn, hears("checkout fails", "call the next one", ""), hears("i call bob", "goodbye", ""))
		n.has(nightBob, hears("checkout fails", "", ""), hears("did not hear", "roll it back", ""), hears("go ahead", "yes", ""), hears("key it in", "", "2580#"), hears("back to normal", "goodbye", ""))
		n.fires("HighErrorRate", "checkout")
		if err := n.carrier.WaitFor(n.limit, "bob's call", func() bool { return len(n.carrier.Calls()) == 2 && n.carrier.Calls()[0].Status() == "completed" }); err != nil {
			t.Fatal(err)
		}
		n.has(nightAnn, hears("cart fails", "acknowledge", ""), hears("quiet", "goodbye", ""))
		n.fires("CartErrors", "cart")
		n.after(3 * time.Minute)
		n.rung("ann completed, bob completed, ann completed")
		all := n.carrier.Calls()
		bob, second := all[1].Said(), all[2].Said()
		if second[0].At.After(bob[len(bob)-1].At) {
			t.Error("they are one after the other")
		}
		if h := all[1].Heard(); strings.Contains(h, "cart") {
			t.Errorf("bob heard\n%s", h)
		}
		if h := all[2].Heard(); strings.Contains(h, "checkout") {
			t.Errorf("ann heard\n%s", h)
		}
		if !slices.Equal(n.engine.changed, []string{nightBob}) {
			t.Errorf("changed by %v", n.engine.changed)
		}
		b, err := json.Marshal(n.line())
		if err != nil || !strings.Contains(string(b), "ann has it") {
			t.Errorf("%s %v", b, err)
		}
	})
}
