package channeltest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// Channel describes an HTTP channel to the suite.
type Channel struct {
	// Handler is the channel with an engine, as it is served.
	Handler func(t *testing.T, e *Engine) http.Handler
	// Request is an authentic request: someone says text. An equal delivery is
	// the platform's repetition of a message.
	Request func(delivery, text string) *http.Request
	// Raw is an authentic request with any body.
	Raw func(body io.Reader) *http.Request
	// Forge spoils the credentials of an authentic request, each in its way.
	Forge map[string]func(r *http.Request)
	// MaxBody is the largest body that the channel takes.
	MaxBody int
	// SignsBody marks a channel whose signature is over the body too: of what is
	// forged, the body is read as far as its limit, and nothing is done with it.
	SignsBody bool
	// OneWay marks a channel that nobody talks through: it takes no turns, so that
	// what is repeated is not for the engine to know.
	OneWay bool
	// Remembers marks a channel that itself knows what it took: a repetition does not
	// reach the engine again.
	Remembers bool
}

// Hostile is text as a cluster may hold it and nobody wants it executed.
const Hostile = "<script>alert(1)</script>\x1b[31mred\x1b[0m\u202e & \"quoted\" \u2028 {{.}} $(reboot)"

// Run checks what every HTTP channel promises.
func Run(t *testing.T, c Channel) {
	t.Run("credentials are checked before the body is read", c.credentials)
	t.Run("oversize body", c.oversize)
	t.Run("garbage body", c.garbage)
	t.Run("hostile text", c.hostile)
	if !c.OneWay {
		t.Run("repeated delivery", c.repeated)
	}
}

func (c Channel) do(t *testing.T, e *Engine, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	c.Handler(t, e).ServeHTTP(w, r)
	return w
}

func (c Channel) credentials(t *testing.T) {
	if len(c.Forge) == 0 {
		t.Fatal("no forged credentials to try")
	}
	for name, forge := range c.Forge {
		t.Run(name, func(t *testing.T) {
			r := c.Request("d1", "scale web to 5")
			forge(r)
			if !c.SignsBody || name == "none" {
				r.Body = io.NopCloser(untouchable{t})
			}
			e := NewEngine(nil)
			w := c.do(t, e, r)
			if w.Code != http.StatusUnauthorized && w.Code != http.StatusForbidden && w.Code != http.StatusBadRequest {
				t.Errorf("status %d", w.Code)
			}
			wantSentence(t, w)
			if n := len(e.Requests()); n != 0 {
				t.Errorf("%d turns were taken", n)
			}
		})
	}
}

func (c Channel) oversize(t *testing.T) {
	big := append([]byte(`{"x":"`), bytes.Repeat([]byte("x"), c.MaxBody)...)
	big = append(big, `"}`...)
	for name, body := range map[string]io.Reader{
		"declared":   bytes.NewReader(big),
		"undeclared": io.MultiReader(bytes.NewReader(big)),
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEngine(nil)
			w := c.do(t, e, c.Raw(body))
			if w.Code != http.StatusRequestEntityTooLarge {
				t.Errorf("status %d", w.Code)
			}
			wantSentence(t, w)
			if n := len(e.Requests()); n != 0 {
				t.Errorf("%d turns were taken", n)
			}
		})
	}
}

func (c Channel) garbage(t *testing.T) {
	for name, body := range map[string]string{
		"empty":    "",
		"no JSON":  "hunter2 {",
		"array":    `["hunter2"]`,
		"string":   `"hunter2"`,
		"null":     "null",
		"nesting":  strings.Repeat("[", 10_001),
		"bytes":    "\xff\xfe\x00hunter2",
		"no field": `{"hunter2":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEngine(nil)
			w := c.do(t, e, c.Raw(strings.NewReader(body)))
			if w.Code < 400 || w.Code > 499 {
				t.Errorf("status %d", w.Code)
			}
			wantSentence(t, w)
			if strings.Contains(w.Body.String(), "hunter2") {
				t.Errorf("the answer leaks the body: %s", w.Body)
			}
			if n := len(e.Requests()); n != 0 {
				t.Errorf("%d turns were taken", n)
			}
		})
	}
}

func (c Channel) hostile(t *testing.T) {
	e := NewEngine(func(dialogue.Request) dialogue.Reply {
		return dialogue.Reply{Speech: Hostile, Text: Hostile}
	})
	w := c.do(t, e, c.Request("d1", "how is web"))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	for _, ct := range []string{"html", "javascript"} {
		if strings.Contains(w.Header().Get("Content-Type"), ct) {
			t.Errorf("content type %q", w.Header().Get("Content-Type"))
		}
	}
	if b := w.Body.String(); strings.Contains(b, "<script") || strings.ContainsAny(b, "\x1b\x00") {
		t.Errorf("hostile text came through: %q", b)
	}
}

func (c Channel) repeated(t *testing.T) {
	e := NewEngine(nil)
	h := c.Handler(t, e)
	for _, d := range []string{"d1", "d1", "d2"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, c.Request(d, "scale web to 5"))
		if w.Code != http.StatusOK {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
	got := e.Requests()
	if c.Remembers && len(got) > 0 { // the first stands for the repetition
		got = append(got[:1:1], got...)
	}
	if len(got) != 3 {
		t.Fatalf("%d turns, want 3", len(got))
	}
	if got[0].DeliveryID == "" || got[0].DeliveryID != got[1].DeliveryID || got[0].Conversation != got[1].Conversation {
		t.Errorf("the repetition is not recognisable: %+v, %+v", got[0], got[1])
	}
	if got[0].DeliveryID == got[2].DeliveryID {
		t.Errorf("two deliveries share the id %q", got[0].DeliveryID)
	}
	if got[0].Speaker.Channel == "" || got[0].Speaker.ID == "" {
		t.Errorf("nobody speaks: %+v", got[0].Speaker)
	}
}

// wantSentence fails unless the answer is {"error": sentence}.
func wantSentence(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var body struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || !strings.HasSuffix(body.Error, ".") {
		t.Errorf("no sentence for the person: %q (%v)", w.Body, err)
	}
}

// untouchable fails the test when somebody reads it.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read before the sender was verified")
	return 0, errors.New("untouchable")
}
