package phone_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/phone"
	"github.com/firstmate-ops/firstmate/internal/channel/phone/carriertest"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// placer has calls placed and is told how they ended.
type placer struct {
	mu    sync.Mutex
	ended []string
	open  map[string]string // what is said first, by ref
}

func (p *placer) Opening(_ context.Context, ref string) (phone.Opening, bool) {
	text, ok := p.open[ref]
	return phone.Opening{
		Conversation: "incident:" + ref, Speaker: access.NewSpeaker("phone", anns, access.StirShaken),
		Reply: dialogue.Reply{Speech: text, Text: text, Expect: dialogue.ExpectConfirm, Proposal: &dialogue.Proposal{ID: "p1"}}, Mailbox: "Checkout fails.", Rest: "It began at three. Shall I roll it back to version one?", Alert: "HighErrorRate",
	}, ok
}

func (p *placer) Answered(_ context.Context, ref string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = append(p.ended, ref+" answered")
	return nil
}

func (p *placer) Ended(_ context.Context, ref, status string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = append(p.ended, ref+" "+status)
	return nil
}

func (p *placer) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.ended, ", ")
}

// exchange is a bot and a carrier that reach each other.
type exchange struct {
	*desk
	carrier *carriertest.Carrier
	line    *phone.Carrier
	calls   *placer
	url     string
	limit   context.Context
}

// The hosts of an exchange: there is no network, so that waiting takes no time.
const (
	apiHost = "api.example"
	botHost = "bot.example"
)

// exchanged is a test of a bot and a carrier, in which time passes only where
// everybody waits.
func exchanged(t *testing.T, e *channeltest.Engine, cfg carriertest.Config, f func(t *testing.T, x *exchange)) {
	t.Helper()
	exchangedWith(t, true, e, cfg, f)
}

func exchangedWith(t *testing.T, mailboxes bool, e *channeltest.Engine, cfg carriertest.Config, f func(t *testing.T, x *exchange)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := &exchange{calls: &placer{open: map[string]string{"inc/1": "Checkout fails. Shall I roll it back?"}}, url: "https://" + botHost}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		x.limit = ctx
		c := config()
		c.PublicURL, c.APIURL, c.Mailboxes = x.url, "https://"+apiHost, mailboxes
		x.desk = newDesk(t, c, e, x.calls)
		wires := carriertest.Wires{botHost: x.mux}
		cfg.Account, cfg.Token, cfg.Pace, cfg.Transport = account, token, 1, wires
		x.carrier = carriertest.New(cfg)
		defer x.carrier.Close()
		wires[apiHost] = x.carrier
		var err error
		if x.line, err = phone.NewCarrier(c, wires, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		f(t, x)
	})
}

func script(t *testing.T, lines ...carriertest.Line) carriertest.Person {
	t.Helper()
	p, err := carriertest.Script(lines...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func hears(what string) carriertest.Line { return carriertest.Line{Hears: what} }

func says(what, text string) carriertest.Line {
	return carriertest.Line{Hears: what, Act: carriertest.Act{Say: text}}
}

func keys(what, digits string) carriertest.Line {
	return carriertest.Line{Hears: what, Act: carriertest.Act{Keys: digits}}
}

func hangsUp(what string) carriertest.Line {
	return carriertest.Line{Hears: what, Act: carriertest.Act{HangUp: true}}
}

// in is a call that comes in, with the carrier's word for the number.
func (x *exchange) in(from string) carriertest.Incoming {
	return carriertest.Incoming{From: from, To: ours, Voice: x.url + phone.PathVoice, Status: x.url + phone.PathStatus, Verstat: "TN-Validation-Passed-A"}
}

func TestACallThatComesIn(t *testing.T) {
	for name, twice := range map[string]bool{"once": false, "the carrier repeats everything": true} {
		t.Run(name, func(t *testing.T) {
			exchanged(t, scripted(), carriertest.Config{Twice: twice}, func(t *testing.T, x *exchange) {
				k := x.carrier.Dial(x.in(anns), script(t,
					says("what can i do", "scale web to five"), says("shall i", "yes"), keys("your pin", "2580#"),
					hears("scaling web"), says("4 of 5", "goodbye"),
				))
				if err := k.Wait(x.limit); err != nil {
					t.Fatalf("%v\n%s", err, k.Heard())
				}
				if k.Status() != phone.Completed || !strings.Contains(k.Heard(), "Goodbye") {
					t.Errorf("%s: %s", k.Status(), k.Heard())
				}
				if left := x.engine.Left(); len(left) == 0 || left[0] != "phone:"+k.SID {
					t.Errorf("left %v", left)
				}
			})
		})
	}
}

func TestCallsThatArePlaced(t *testing.T) {
	exchanged(t, scripted(), carriertest.Config{}, func(t *testing.T, x *exchange) {
		x.carrier.Has(anns, carriertest.Subscriber{Person: script(t, says("roll it back", "no"), hangsUp("leave web"))})
		x.carrier.Has("+15005550002", carriertest.Subscriber{Status: phone.Busy})
		x.carrier.Has("+15005550003", carriertest.Subscriber{Status: phone.NoAnswer})
		for _, tt := range []struct{ to, ref, ended string }{
			{anns, "inc/1", "inc/1 completed"},
			{"+15005550002", "inc/2", "inc/2 busy"},
			{"+15005550003", "inc/3", "inc/3 no-answer"},
			{"+15005550004", "inc/4", "inc/4 failed"},
		} {
			sid, err := x.line.Call(x.limit, tt.to, tt.ref)
			if err != nil || sid == "" {
				t.Fatal(sid, err)
			}
			if err := x.carrier.WaitFor(x.limit, tt.ended, func() bool { return strings.HasSuffix(x.calls.all(), tt.ended) }); err != nil {
				t.Fatalf("%v: %s", err, x.calls.all())
			}
		}
		k := x.carrier.Calls()[0]
		if !strings.Contains(k.Heard(), "Shall I roll it back?") || !strings.Contains(k.Heard(), "I leave web as it is") {
			t.Error(k.Heard())
		}
		if r := x.engine.Requests(); len(r) != 1 || r[0].Conversation != "incident:inc/1" || r[0].Text != "no" {
			t.Errorf("%+v", r)
		}
		if left := x.engine.Left(); len(left) != 1 || left[0] != "incident:inc/1" {
			t.Errorf("left %v: only who picked up heard what was open", left)
		}
		if _, err := x.line.Call(x.limit, "0664 123", "inc/1"); err == nil {
			t.Error("no number, and it is called")
		}
	})
}

// After no answer it is looked whether the call was placed: it is never placed
// twice.
func TestACallIsPlacedOnce(t *testing.T) {
	exchanged(t, scripted(), carriertest.Config{}, func(t *testing.T, x *exchange) {
		x.carrier.Has(anns, carriertest.Subscriber{Status: phone.Busy})
		x.carrier.LoseAnswers(1)
		sid, err := x.line.Call(x.limit, anns, "inc/1")
		if n := len(x.carrier.Calls()); err != nil || n != 1 || sid != x.carrier.Calls()[0].SID {
			t.Errorf("%d calls, %q, %v", n, sid, err)
		}
		x.carrier.TooMany(2)
		if _, err := x.line.Call(x.limit, anns, "inc/1"); err != nil || len(x.carrier.Calls()) != 2 {
			t.Errorf("%d calls, %v", len(x.carrier.Calls()), err)
		}
		x.carrier.LoseAnswers(1)
		if err := x.line.Text(x.limit, anns, "hello"); err != nil || len(x.carrier.Texts(anns)) != 1 {
			t.Errorf("%d messages, %v", len(x.carrier.Texts(anns)), err)
		}
		if err := x.line.Text(x.limit, anns, strings.Repeat("long ", 1000)); err != nil || len(x.carrier.Texts(anns)[1].Body) > 1600 {
			t.Error(err)
		}
		if err := x.line.Check(x.limit); err != nil {
			t.Error(err)
		}
	})
}

// An API that takes requests and never answers is not asked to call again.
func TestNobodyIsCalledTwiceForAnAPIThatIsMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		posts := 0
		mute := carriertest.Wires{apiHost: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				posts++
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			_, _ = w.Write([]byte(`{"calls":[{"sid":"CA-old","to":"` + anns + `","from":"` + ours + `","date_created":"Mon, 02 Jan 1995 15:04:05 +0000"}]}`))
		})}
		c := config()
		c.APIURL = "https://" + apiHost
		line, err := phone.NewCarrier(c, mute, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if sid, err := line.Call(t.Context(), anns, "r"); err == nil || posts != 1 {
			t.Errorf("%q, %v, after %d posts", sid, err, posts)
		}
	})
}

func TestTwoCallsAtOnce(t *testing.T) {
	exchanged(t, scripted(), carriertest.Config{}, func(t *testing.T, x *exchange) {
		one := x.carrier.Dial(x.in(anns), script(t, says("what can i do", "scale web to five"), says("shall i", "no"), says("leave", "goodbye")))
		two := x.carrier.Dial(x.in(anns), script(t, says("what can i do", "scale web to five"), says("shall i", "yes"), keys("pin", "2580"), says("4 of 5", "bye")))
		for _, k := range []*carriertest.Call{one, two} {
			if err := k.Wait(x.limit); err != nil {
				t.Errorf("%v\n%s", err, k.Heard())
			}
		}
		if strings.Contains(one.Heard(), "PIN") || strings.Contains(two.Heard(), "leave web") {
			t.Errorf("one heard\n%s\nthe other\n%s", one.Heard(), two.Heard())
		}
	})
}

// Who hangs up while a change is read back did not agree to it.
func TestHangingUpInMidConfirmation(t *testing.T) {
	exchanged(t, scripted(), carriertest.Config{}, func(t *testing.T, x *exchange) {
		k := x.carrier.Dial(x.in(anns), script(t, says("what can i do", "scale web to five"), hangsUp("shall i")))
		if err := k.Wait(x.limit); err != nil {
			t.Fatal(err)
		}
		if r := x.engine.Requests(); len(r) != 1 || len(x.engine.Left()) != 1 {
			t.Errorf("%+v, left %v", r, x.engine.Left())
		}
	})
}

func TestSilenceOnTheLine(t *testing.T) {
	exchanged(t, scripted(), carriertest.Config{}, func(t *testing.T, x *exchange) {
		k := x.carrier.Dial(x.in(anns), script(t, says("what can i do", "scale web to five"), says("never said", "")))
		if err := k.Wait(x.limit); err != nil {
			t.Fatal(err)
		}
		for _, w := range []string{"yes or no", "keypad", "I hang up and change nothing"} {
			if !strings.Contains(k.Heard(), w) {
				t.Errorf("nobody said %q:\n%s", w, k.Heard())
			}
		}
	})
}

func TestMessages(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("A pod of web is not ready. ", 150))
	e := channeltest.NewEngine(func(r dialogue.Request) dialogue.Reply {
		if r.Text == "list pods" {
			return dialogue.Reply{Speech: "many", Text: long}
		}
		return dialogue.Reply{Speech: "said", Text: "Well: " + r.Text}
	})
	exchanged(t, e, carriertest.Config{}, func(t *testing.T, x *exchange) {
		send := func(from, body string) string {
			t.Helper()
			out, err := x.carrier.Message(x.limit, from, ours, x.url+phone.PathSMS, body)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		if got := send(anns, "how is web?"); got != "Well: how is web?" {
			t.Errorf("%q", got)
		}
		if r := e.Requests()[0]; r.Conversation != "sms:"+anns || r.Speaker != access.NewSpeaker("sms", anns, access.CallerID) || !r.Pull {
			t.Errorf("%+v", r)
		}
		whole, n := "", 0
		for part := send(anns, "list pods"); part != "Well: more"; part = send(anns, "more") {
			if len([]rune(part)) > 1600 {
				t.Errorf("%d characters", len([]rune(part)))
			}
			whole += " " + strings.TrimSuffix(part, " … Send “more” for the rest.")
			n++
		}
		if strings.TrimSpace(whole) != long || n != 3 {
			t.Errorf("%d parts:\n%s", n, whole)
		}
		if got := send("+14155550000", "scale web to five"); !strings.Contains(got, "do not know your number") {
			t.Errorf("%q", got)
		}
		asked := len(e.Requests())
		if got := send("+14155550000", "link 4829 1374"); got != "Well: link 4829 1374" || len(e.Requests()) != asked+1 {
			t.Errorf("%q", got)
		}
		for range 20 {
			send("+14155550000", "hello")
		}
		if got := send("+14155550000", "hello"); got != "" {
			t.Errorf("who sends many is answered each time: %q", got)
		}
	})
}

// unreachable is a network without a way.
type unreachable struct{ tried int }

func (u *unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	u.tried++
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
}

// What never reached the API is tried again: nobody was called by it.
func TestTheAPIThatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		way := &unreachable{}
		line, err := phone.NewCarrier(config(), way, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := line.Call(t.Context(), anns, "r"); err == nil || way.tried != 3 {
			t.Errorf("%v, after %d tries", err, way.tried)
		}
	})
}
