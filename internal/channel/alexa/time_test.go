package alexa

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/alexa/alexatest"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// TestAlexaNeverWaitsTooLong has the engine take its time.
func TestAlexaNeverWaitsTooLong(t *testing.T) {
	amazon()
	meanings()
	for _, tt := range []struct {
		name     string
		takes    time.Duration
		private  bool
		says     string
		moments  int // said on the way
		kept     int
		endpoint string
	}{
		{name: "at once", takes: 100 * time.Millisecond, says: "Because."},
		{name: "a moment", takes: 3 * time.Second, says: "Because.", moments: 1},
		{name: "just in time", takes: answerLimit - time.Millisecond, says: "Because.", moments: 1},
		{name: "too long", takes: 30 * time.Second, says: "I am still at it. Ask me in a moment how it is going.", moments: 1, kept: 1},
		{name: "too long, and not to be kept", takes: 30 * time.Second, private: true, says: "I am still at it. Ask me in a moment how it is going.", moments: 1},
		{name: "with an endpoint that is not Alexa's", takes: 3 * time.Second, says: "Because.", endpoint: "https://evil.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, err := alexatest.New()
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				e := channeltest.NewEngine(func(dialogue.Request) dialogue.Reply {
					time.Sleep(tt.takes)
					return dialogue.Reply{Speech: "Because.", Text: "because", Private: tt.private}
				})
				later := &kept{}
				// The bubble's time is not that of the certificates.
				s := &skill{engine: e, keeper: later, amazon: server, now: certified(server)}
				h := s.handler(t)
				body := alexatest.Said{Intent: "diagnose", At: s.now(), Endpoint: tt.endpoint}.Body()
				r := httptest.NewRequest(http.MethodPost, Path, strings.NewReader(string(body)))
				if err := server.Sign(r.Header, body); err != nil {
					t.Fatal(err)
				}
				w := httptest.NewRecorder()
				begun := time.Now()
				h.ServeHTTP(w, r)
				if took := time.Since(begun); took > answerLimit {
					t.Errorf("it took %v", took)
				}
				got := read(t, w.Body.Bytes())
				if got.speech() != tt.says || !got.ends() {
					t.Errorf("%q", got.speech())
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				spoken := server.Spoken()
				if len(spoken) != tt.moments {
					t.Errorf("said on the way: %+v", spoken)
				}
				for _, d := range spoken {
					if d.URL != "https://api.amazonalexa.com/v1/directives" || d.Token != "Bearer the-token" || d.RequestID != "amzn1.echo-api.request.1" || !strings.Contains(d.Speech, "One moment") {
						t.Errorf("%+v", d)
					}
				}
				events := later.all()
				if len(events) != tt.kept {
					t.Errorf("%+v", events)
				}
				for _, ev := range events {
					if ev.Kind != dialogue.EventOutcome || ev.Action != "alexa:amzn1.echo-api.request.1" || ev.Reply.Speech != "Because." {
						t.Errorf("%+v", ev)
					}
				}
			})
		})
	}
}

// certified is a clock that stands within the validity of a server's certificates.
func certified(a *alexatest.Amazon) func() time.Time {
	at := a.Signer().Cert.NotBefore.Add(time.Hour)
	return func() time.Time { return at }
}

func TestEndpoint(t *testing.T) {
	for raw, ok := range map[string]bool{
		"https://api.amazonalexa.com": true, "https://api.eu.amazonalexa.com": true, "https://api.fe.amazonalexa.com/": true, "https://API.AmazonAlexa.com:443": true,
		"http://api.amazonalexa.com": false, "https://amazonalexa.com.evil.example": false, "https://evilamazonalexa.com": false, "https://evil.example/amazonalexa.com": false,
		"https://user@api.amazonalexa.com": false, "https://api.amazonalexa.com:8443": false, "https://api.amazonalexa.com/x": false, "https://api.amazonalexa.com?x": false, "https://127.0.0.1": false, "": false, "::": false,
		"https://evil.example#.amazonalexa.com": false, "https://api.amazonalexa.com#x": false,
	} {
		to, err := endpoint(raw)
		if (err == nil) != ok || ok && !strings.HasSuffix(to, "amazonalexa.com/v1/directives") {
			t.Errorf("%q: %q, %v", raw, to, err)
		}
	}
}
