package discord

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/discord/discordtest"
	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/export"
)

// harbour is the HTTP way: handler and Discord.
func (s *ship) harbour() (*Bot, http.Handler) {
	s.t.Helper()
	s.cfg.PublicKey = s.sea.PublicKey()
	b, _ := s.sail()
	mux := http.NewServeMux()
	b.Routes(mux)
	return b, mux
}

// asked is the body of a command in a direct message.
func (s *ship) asked(id, text string) []byte {
	said, err := json.Marshal(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return fmt.Appendf(nil, `{"id":%q,"application_id":%q,"type":2,"token":"tok-%s","channel_id":%q,"channel":{"id":%q,"type":1},"user":{"id":"53","username":"ann"},
		"data":{"id":"7","name":"firstmate","options":[{"name":"ask","type":1,"options":[{"name":"text","type":3,"value":%s}]}]}}`, id, s.sea.Bot(), id, s.sea.DM("ann"), s.sea.DM("ann"), said)
}

func (s *ship) signed(at time.Time, body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body))
	stamp, sum := s.sea.Sign(at, body)
	r.Header.Set(headerTimestamp, stamp)
	r.Header.Set(headerSignature, sum)
	return r
}

// TestChannel holds the HTTP way to what every HTTP channel promises.
func TestChannel(t *testing.T) {
	s := newShip(t, echo)
	number := func(delivery string) string { return strings.ReplaceAll(delivery, "d", "10") }
	channeltest.Run(t, channeltest.Channel{
		Handler: func(t *testing.T, e *channeltest.Engine) http.Handler {
			own := *s // the same Discord and store for all
			own.t, own.engine, own.parts.Engine = t, e, e
			var late atomic.Int64 // what is answered is none of that Discord's: nobody waits until it is
			own.parts.Now = func() time.Time { return time.Now().Add(time.Duration(late.Add(1)) * time.Second) }
			_, h := own.harbour()
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				before := len(e.Requests())
				h.ServeHTTP(w, r)
				if rec, ok := w.(*httptest.ResponseRecorder); ok && rec.Code == http.StatusOK && before == 0 {
					own.until(func() bool { return len(e.Requests()) > 0 }) // it is answered later
				} else if ok && rec.Code == http.StatusOK && r.Header.Get("X-Other") != "" {
					own.until(func() bool { return len(e.Requests()) > before })
				}
			})
		},
		Request: func(delivery, text string) *http.Request {
			r := s.signed(time.Now(), s.asked(number(delivery), text))
			if delivery == "d2" {
				r.Header.Set("X-Other", "1")
			}
			return r
		},
		Raw: func(r io.Reader) *http.Request {
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			out := s.signed(time.Now(), b)
			if _, sized := r.(*bytes.Reader); !sized {
				out.ContentLength = -1
			}
			return out
		},
		Forge: map[string]func(*http.Request){
			"no signature": func(r *http.Request) { r.Header.Del(headerSignature) },
			"no time":      func(r *http.Request) { r.Header.Del(headerTimestamp) },
			"no hex":       func(r *http.Request) { r.Header.Set(headerSignature, "%") },
			"short":        func(r *http.Request) { r.Header.Set(headerSignature, "abcd") },
			"two":          func(r *http.Request) { r.Header.Add(headerSignature, r.Header.Get(headerSignature)) },
			"two times":    func(r *http.Request) { r.Header.Add(headerTimestamp, r.Header.Get(headerTimestamp)) },
			"old":          func(r *http.Request) { again(s, r, -time.Minute) },
			"early":        func(r *http.Request) { again(s, r, time.Minute) },
			"no number":    func(r *http.Request) { r.Header.Set(headerTimestamp, "now") },
			"another's": func(r *http.Request) {
				r.Header.Set(headerSignature, hex.EncodeToString(make([]byte, 64)))
			},
			"another time": func(r *http.Request) {
				r.Header.Set(headerTimestamp, strconv.FormatInt(time.Now().Unix()+2, 10))
			},
		},
		MaxBody: 64 << 10, SignsBody: true, Remembers: true,
	})
}

// again signs a request for another time.
func again(s *ship, r *http.Request, off time.Duration) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	stamp, sum := s.sea.Sign(time.Now().Add(off), b)
	r.Header.Set(headerTimestamp, stamp)
	r.Header.Set(headerSignature, sum)
}

// TestInteractionsOverHTTP has Discord find the endpoint in order, and commands, buttons
// and completion go over it. The gateway is not opened.
func TestInteractionsOverHTTP(t *testing.T) {
	s := newShip(t, func(r dialogue.Request) dialogue.Reply {
		out := echo(r)
		if strings.HasPrefix(r.Text, "scale") {
			out.Expect, out.Proposal = dialogue.ExpectConfirm, &dialogue.Proposal{ID: "p1"}
		}
		return out
	})
	s.sea.Roles("ann", "operators")
	_, h := s.harbour()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	s.registered(1)
	if err := s.sea.UseEndpoint(s.ctx, web.URL+Path); err != nil {
		t.Fatal(err)
	}
	s.sea.Command("ann", "general", "firstmate scale", map[string]string{"workload": "web", "replicas": "5"})
	asked := s.says("general", "", "You said: scale web to 5")
	s.until(func() bool { return len(s.sea.Threads("general")) == 1 }) // it can be answered in words
	s.sea.Repeat()
	s.sea.Click("ann", asked.ID, asked.Buttons[0].ID)
	s.says("general", asked.ID, "You said: p1")
	dm := s.sea.DM("bob")
	s.sea.Command("bob", dm, "firstmate ask", map[string]string{"text": "how is web?"})
	s.says(dm, "", "how is web?")
	id := s.sea.Command("stranger", s.sea.DM("stranger"), "firstmate ask", map[string]string{"text": "how is web?"})
	if it, err := s.sea.Answered(s.ctx, id); err != nil || it.Answer != answerMessage {
		t.Errorf("%+v, %v", it, err)
	}
	got := s.engine.Requests()
	if len(got) != 3 || got[0].Speaker.Roles == "" || got[0].Conversation != s.conversation("general", asked.ID) || got[1].Conversation != got[0].Conversation {
		t.Errorf("%+v", got)
	}
	if began, _ := s.sea.Connections(); began != 0 {
		t.Error("the gateway was opened too")
	}
}

// TestAnAnswerThatComesTooLate holds that it is given when the interaction's token is
// good for nothing any more.
func TestAnAnswerThatComesTooLate(t *testing.T) {
	begun, later := make(chan struct{}), make(chan struct{})
	s := newShip(t, func(r dialogue.Request) dialogue.Reply {
		close(begun)
		<-later
		return echo(r)
	})
	s.sail()
	s.registered(1)
	id := s.sea.Command("ann", "general", "firstmate ask", map[string]string{"text": "why is web slow?"})
	<-begun
	s.sea.Advance(20 * time.Minute)
	close(later)
	s.says("general", s.sea.Interaction(id).Message, "why is web slow?")
}

// TestWhereThereCanBeNoThread holds that the conversation goes on in the channel.
func TestWhereThereCanBeNoThread(t *testing.T) {
	s := newShip(t, echo)
	s.sea.Deny("general", 1<<35) // make public threads
	s.sail()
	root := s.sea.Say("ann", "general", "", "@firstmate one")
	m := s.says("general", "", "one")
	if m.To != root {
		t.Errorf("it replies to %q, not to %q", m.To, root)
	}
	s.sea.Say("ann", "general", "", "@firstmate two")
	s.says("general", "", "two")
}

// TestTheIntentMayBeOff holds that the bot comes without the privileged intent too.
func TestTheIntentMayBeOff(t *testing.T) {
	s := newShip(t, echo, discordtest.WithoutMessageContent())
	s.sail()
	root := s.sea.Say("ann", "general", "", "@firstmate one")
	s.says("general", root, "one")
	s.sea.Say("ann", "general", root, "this it cannot read")
	s.sea.Say("ann", "general", root, "@firstmate two")
	s.says("general", root, "two")
	if n := len(s.engine.Requests()); n != 2 || !strings.Contains(s.log.String(), "Message Content Intent") {
		t.Errorf("%d turns; %s", n, s.log)
	}
}

// TestServersThatMayNotAsk holds that an invitation elsewhere gives nothing away.
func TestServersThatMayNotAsk(t *testing.T) {
	s := newShip(t, echo)
	s.cfg.Guilds = []string{"1"}
	s.parts.Names = func(context.Context, access.Speaker, string, string) []string { return []string{"web"} }
	s.sail()
	s.registered(1)
	s.sea.Say("ann", "general", "", "@firstmate one")
	it, err := s.sea.Answered(s.ctx, s.sea.Command("ann", "general", "firstmate ask", map[string]string{"text": "two"}))
	if err != nil || it.Answer != answerMessage {
		t.Errorf("%+v, %v", it, err)
	}
	if got := s.sea.Autocomplete("ann", "general", "firstmate scale", "workload", "w"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	s.sea.Say("ann", s.sea.DM("ann"), "", "three")
	s.says(s.sea.DM("ann"), "", "three")
	if got := s.engine.Requests(); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestSameCommands(t *testing.T) {
	commands, err := export.DiscordCommands(english())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := json.Marshal(commands)
	if err != nil {
		t.Fatal(err)
	}
	theirs := strings.NewReplacer(`"type":1,"name":"firstmate"`, `"id":"1","version":"2","nsfw":false,"type":1,"name":"firstmate","name_localizations":null`).Replace(string(ours))
	for _, tt := range []struct {
		name, theirs string
		same         bool
	}{
		{"none", "[]", false},
		{"ours", string(ours), true},
		{"as Discord has them", theirs, true},
		{"another description", strings.Replace(theirs, "How many pods", "How many", 1), false},
		{"an option less", strings.Replace(theirs, `"required":true`, `"required":false`, 1), false},
		{"one more", strings.TrimSuffix(theirs, "]") + `,{"name":"x"}]`, false},
	} {
		if same, err := sameCommands(ours, []byte(tt.theirs)); err != nil || same != tt.same {
			t.Errorf("%s: %t, %v", tt.name, same, err)
		}
	}
}

func TestByVoice(t *testing.T) {
	for said, want := range map[string]string{
		"answer by voice: how is web?":                   "how is web?",
		"please answer with a voice message, how is web": "how is web",
		"how is web? answer by voice":                    "how is web?",
		"how is web, and reply in voice please.":         "how is web",
		"how is the voice service":                       "",
		"answer by voice":                                "",
		"scale voice to 5":                               "",
		"how is answer by voice doing":                   "",
	} {
		rest, ok := byVoice(said)
		if ok != (want != "") || ok && rest != want {
			t.Errorf("%q: %q, %t", said, rest, ok)
		}
	}
}

// FuzzInteraction holds that what a stranger sends who could sign does no harm.
func FuzzInteraction(f *testing.F) {
	f.Add([]byte(`{"type":1}`))
	f.Add([]byte(`{"id":"5","application_id":"9","type":2,"token":"t","guild_id":"3","channel_id":"4","member":{"user":{"id":"53"},"roles":["88"]},"data":{"name":"firstmate","options":[{"name":"scale","type":1,"options":[{"name":"workload","value":"web"},{"name":"replicas","value":5}]}]}}`))
	f.Add([]byte(`{"id":"5","application_id":"9","type":3,"token":"t","channel_id":"4","user":{"id":"53"},"message":{"id":"7","components":[{"type":1,"components":[{"type":2,"custom_id":"yes:p","label":"Yes"}]}]},"data":{"custom_id":"choose","values":["say:a"]}}`))
	f.Add([]byte(`{"id":"5","application_id":"9","type":5,"token":"t","channel_id":"4","user":{"id":"53"},"data":{"custom_id":"ask:pin","components":[{"type":18,"component":{"type":4,"custom_id":"answer","value":"2580"}}]}}`))
	b := &Bot{Parts: Parts{Words: english(), Sentence: export.DiscordSentence, Who: func(context.Context, access.Speaker) (access.Person, bool, error) { return access.Person{}, true, nil }, Names: func(context.Context, access.Speaker, string, string) []string { return []string{"web"} }}, cfg: Config{Guilds: []string{"3"}}, places: map[string]place{}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		in, err := decode(raw)
		if err != nil {
			return
		}
		turn := b.decide(t.Context(), in)
		if turn.first.Type == 0 {
			t.Errorf("no answer to %s", raw)
		}
		if turn.take != nil && (turn.take.Speaker.ID == "" || turn.take.Text == "" && turn.take.Press == (chat.Press{})) {
			t.Errorf("nothing is said by %+v", turn.take)
		}
	})
}
