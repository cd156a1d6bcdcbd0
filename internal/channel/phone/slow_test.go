package phone_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/phone"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// An answer that takes long is waited for in pieces, each of which comes before
// the carrier hangs up; it is given once it is there, and was worked on once.
func TestAnAnswerThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		e := channeltest.NewEngine(func(r dialogue.Request) dialogue.Reply {
			if r.Text != "" {
				asked++
				time.Sleep(20 * time.Second)
			}
			return dialogue.Reply{Speech: "The database is slow.", Text: "The database is slow."}
		})
		d := newDesk(t, config(), e, nil)
		a := d.dial()
		began, said := time.Now(), ""
		for n := 0; ; n++ {
			at := time.Now()
			if n == 0 {
				a = d.say(a, "why is checkout slow")
			} else {
				a = d.post(a.Redirect[0], form())
			}
			if took := time.Since(at); took > 10*time.Second || n > 10 {
				t.Fatalf("an answer took %v, the %d-th", took, n)
			}
			said += a.said() + " "
			if len(a.Gather) > 0 {
				break
			}
		}
		d.hears(twiml{Say: []string{said}}, "one moment", "still looking", "The database is slow")
		if asked != 1 || time.Since(began) > 25*time.Second {
			t.Errorf("asked %d times, %v", asked, time.Since(began))
		}
	})
}

// A process that did not have the call sends its outcome too, once the carrier
// says that the call is over.
func TestAnOutcomeAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := channeltest.NewEngine(nil)
		d := newDesk(t, config(), e, nil)
		d.line.status = "in-progress"
		for _, c := range []string{"phone:" + call, "sms:" + anns, "web:1", "phone"} {
			e.Push(c, dialogue.Event{Kind: dialogue.EventOutcome, Action: c, Reply: dialogue.Reply{Text: "✔ done of " + c}})
			d.h.Told(t.Context(), c)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := d.line.all(); got != anns+": ✔ done of sms:"+anns {
			t.Errorf("while the call goes on: %q", got)
		}
		d.line.mu.Lock()
		d.line.status = phone.Completed
		d.line.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := d.line.all(); got != anns+": ✔ done of sms:"+anns+"\n"+anns+": ✔ done of phone:"+call {
			t.Errorf("%q", got)
		}
	})
}

// SignalWire signs as Twilio does, with a key of its own, in a header of its own.
func TestSignalWire(t *testing.T) {
	cfg := config()
	cfg.Provider, cfg.SigningKey, cfg.APIURL = phone.SignalWire, "PSK_1", "https://space.signalwire.com/api/laml"
	d := newDesk(t, cfg, channeltest.NewEngine(nil), nil)
	at := public + phone.PathVoice
	for _, tt := range []struct {
		name, header, key string
		status            int
	}{
		{"its header", "X-SignalWire-Signature", "PSK_1", http.StatusOK},
		{"the one it took over", "X-Twilio-Signature", "PSK_1", http.StatusOK},
		{"the API's token", "X-SignalWire-Signature", token, http.StatusForbidden},
		{"no key", "X-SignalWire-Signature", "", http.StatusForbidden},
	} {
		f := form("CallStatus", "ringing")
		r := request(at, f)
		r.Header.Del("X-Twilio-Signature")
		r.Header.Set(tt.header, sign(tt.key, at, f))
		w := httptest.NewRecorder()
		if d.mux.ServeHTTP(w, r); w.Code != tt.status {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
}

// later is a call that was placed, with something to come once it was agreed to.
type later struct{ more bool }

func (l *later) Opening(context.Context, string) (phone.Opening, bool) {
	return phone.Opening{Conversation: "oncall-1", Speaker: access.NewSpeaker("phone", anns, access.StirShaken), More: l.more}, true
}
func (*later) Answered(context.Context, string) error      { return nil }
func (*later) Ended(context.Context, string, string) error { return nil }

// Who agreed to something of which more is to come is not asked whether there is
// anything else; the news is said as soon as it is there.
func TestMoreIsToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := &later{}
		said := "Rolling back."
		e := channeltest.NewEngine(nil)
		e.Answer = func(r dialogue.Request) dialogue.Reply {
			if r.Text == "yes" {
				calls.more = true // it is noted while the turn is answered
				return dialogue.Reply{Speech: said, Text: said, Outcome: dialogue.OutcomeDone}
			}
			out := dialogue.OutcomePending
			if !calls.more {
				out = dialogue.OutcomeDone
			}
			return dialogue.Reply{Speech: said, Text: said, Outcome: out}
		}
		d := newDesk(t, config(), e, calls)
		at := public + phone.PathVoice + "?n=1&ref=1-1"
		a := d.post(at, form("SpeechResult", "yes", "Confidence", "0.9"))
		if strings.Contains(a.said(), "Anything else") {
			t.Errorf("said %q", a.said())
		}
		go func() {
			time.Sleep(700 * time.Millisecond)
			said, calls.more = "Errors are back to normal.", false
			e.Push("oncall-1", dialogue.Event{Kind: dialogue.EventOutcome, Reply: dialogue.Reply{Text: said}})
		}()
		began := time.Now()
		a = d.silent(a)
		d.hears(a, "back to normal", "Anything else")
		if took := time.Since(began); took > time.Second {
			t.Errorf("the news came after %v", took)
		}
	})
}
