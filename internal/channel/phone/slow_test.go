package phone_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

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
