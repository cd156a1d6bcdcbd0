package discordtest

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// wire is a client of the gateway that does just what it is told.
type wire struct {
	t  *testing.T
	ws *websocket.Conn
}

func dial(t *testing.T, s *Server, query string) wire {
	t.Helper()
	ws, resp, err := websocket.DefaultDialer.DialContext(t.Context(), s.gatewayURL()+"/?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ws.Close(), resp.Body.Close() })
	return wire{t, ws}
}

func (w wire) send(frame string) {
	w.t.Helper()
	if err := w.ws.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		w.t.Fatal(err)
	}
}

type got struct {
	Op int
	T  string
	S  int
	D  map[string]any
}

// next reads a frame, or the code that the connection was closed with.
func (w wire) next() (got, int) {
	w.t.Helper()
	if err := w.ws.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	_, raw, err := w.ws.ReadMessage()
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return got{}, closed.Code
	}
	if err != nil {
		w.t.Fatal(err)
	}
	var g got
	_ = json.Unmarshal(raw, &g) // opcode 9 has a boolean
	return g, 0
}

// until reads up to an event.
func (w wire) until(event string) got {
	w.t.Helper()
	for {
		g, code := w.next()
		if code != 0 {
			w.t.Fatalf("closed with %d before %s", code, event)
		}
		if g.T == event {
			return g
		}
	}
}

func identify(s *Server, intents string) string {
	return `{"op":2,"d":{"token":"` + s.Token() + `","intents":` + intents + `,"properties":{"os":"linux","browser":"x","device":"x"}}}`
}

// TestTheGatewayRefuses goes through the codes that it closes with.
func TestTheGatewayRefuses(t *testing.T) {
	s := New(t, WithoutMessageContent())
	hello := identify(s, "513")
	for name, c := range map[string]struct {
		query string
		send  []string
		code  int
	}{
		"an old version":       {"v=6", nil, 4012},
		"no JSON":              {"v=10", []string{"hello"}, 4002},
		"an unknown opcode":    {"v=10", []string{hello, `{"op":99}`}, 4001},
		"before it identifies": {"v=10", []string{`{"op":3,"d":{}}`}, 4003},
		"a wrong token":        {"v=10", []string{`{"op":2,"d":{"token":"x","intents":0,"properties":{}}}`}, 4004},
		"twice":                {"v=10", []string{hello, hello}, 4005},
		"a seq of the future":  {"v=10", []string{`{"op":6,"d":{"token":"` + s.Token() + `","session_id":"S","seq":99}}`}, 4007},
		"a shard too many":     {"v=10", []string{`{"op":2,"d":{"token":"` + s.Token() + `","intents":0,"properties":{},"shard":[1,2]}}`}, 4010},
		"no intents":           {"v=10", []string{`{"op":2,"d":{"token":"` + s.Token() + `","properties":{}}}`}, 4013},
		"unknown intents":      {"v=10", []string{identify(s, "1099511627776")}, 4013},
		"privileged intents":   {"v=10", []string{identify(s, "32768")}, 4014},
		"no sign of life":      {"v=10", []string{}, 4009},
	} {
		t.Run(name, func(t *testing.T) {
			s.mu.Lock()
			s.sessions["S"] = &session{id: "S"}
			s.mu.Unlock()
			s := s
			if c.code == 4009 {
				s = New(t, Heartbeat(50*time.Millisecond))
			}
			w := dial(t, s, c.query+"&encoding=json")
			for _, frame := range c.send {
				w.send(frame)
			}
			for {
				g, code := w.next()
				if code != 0 {
					if code != c.code {
						t.Errorf("closed with %d, not %d", code, c.code)
					}
					return
				}
				if g.Op != 10 && g.Op != 0 {
					t.Errorf("%+v", g)
				}
			}
		})
	}
}

// TestWhatABotMayRead: without the privileged intent there is no content, unless
// the message is for the bot, in private, or its own.
func TestWhatABotMayRead(t *testing.T) {
	for _, intent := range []bool{true, false} {
		s := New(t)
		w := dial(t, s, "v=10&encoding=json")
		intents := "4609" // guilds, their messages, direct ones
		if intent {
			intents = "37377"
		}
		w.send(identify(s, intents))
		w.until("GUILD_CREATE")
		for _, c := range []struct {
			channel, text string
			read          bool
		}{
			{"ops", "among us", intent},
			{"ops", "@firstmate hear me", true},
			{s.DM("alice"), "in private", true},
		} {
			s.Say("alice", c.channel, "", c.text)
			if e := w.until("MESSAGE_CREATE"); (e.D["content"] != "") != c.read {
				t.Errorf("intent %v: of %q it reads %q", intent, c.text, e.D["content"])
			}
		}
		s.SayAudio("alice", "ops", "", []byte("OggS"))
		if files, _ := w.until("MESSAGE_CREATE").D["attachments"].([]any); (len(files) == 1) != intent {
			t.Errorf("intent %v: files %v", intent, files)
		}
		if got := ask(t, s, "POST", "/channels/"+s.Channel("ops")+"/messages", m{"content": "mine"}); got.status != 200 || w.until("MESSAGE_CREATE").D["content"] != "mine" {
			t.Error("the bot does not read what it wrote")
		}
	}
}

// TestOnlyWhatWasAskedFor holds intents, and that what nobody may see is not told.
func TestOnlyWhatWasAskedFor(t *testing.T) {
	s := New(t)
	w := dial(t, s, "v=10&encoding=json")
	w.send(identify(s, "4096")) // direct messages alone
	w.until("READY")
	s.Say("alice", "ops", "", "not for you")
	s.Deny("secrets", viewChannel)
	s.Say("alice", s.DM("alice"), "", "for you")
	if g, _ := w.next(); g.T != "MESSAGE_CREATE" || g.D["content"] != "for you" || g.D["member"] != nil || g.D["guild_id"] != nil {
		t.Errorf("%+v", g)
	}
	all := dial(t, s, "v=10&encoding=json")
	all.send(identify(s, "37377"))
	for _, c := range all.until("GUILD_CREATE").D["channels"].([]any) {
		if c.(map[string]any)["name"] == "secrets" {
			t.Error("a hidden channel is told")
		}
	}
	s.Say("alice", "secrets", "", "hidden")
	s.Say("alice", "ops", "", "open")
	if g := all.until("MESSAGE_CREATE"); g.D["content"] != "open" {
		t.Errorf("%+v", g)
	}
}

// TestResume: what was missed comes once, in order, before RESUMED; a session
// that was taken leave of is gone.
func TestResume(t *testing.T) {
	s := New(t)
	w := dial(t, s, "v=10&encoding=json")
	w.send(identify(s, "37377"))
	session, _ := w.until("READY").D["session_id"].(string)
	s.Say("alice", "ops", "", "one")
	last := w.until("MESSAGE_CREATE").S
	s.Disconnect()
	for _, text := range []string{"two", "three"} {
		s.Say("alice", "ops", "", text)
	}
	resume := func(seq int) string {
		d, err := json.Marshal(m{"op": 6, "d": m{"token": s.Token(), "session_id": session, "seq": seq}})
		if err != nil {
			t.Fatal(err)
		}
		return string(d)
	}
	w = dial(t, s, "v=10&encoding=json")
	w.send(resume(last))
	for i, want := range []string{"two", "three", ""} {
		g, code := w.next()
		for g.Op == 10 {
			g, code = w.next()
		}
		if code != 0 || g.S != last+i+1 || want != "" && g.D["content"] != want || want == "" && g.T != "RESUMED" {
			t.Errorf("%d: %+v, %d", i, g, code)
		}
	}
	s.Repeat()
	if g, _ := w.next(); g.D["content"] != "three" {
		t.Errorf("repeated: %+v", g)
	}
	if err := w.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := s.wait(t.Context(), "", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.sessions) == 0 }); err != nil {
		t.Fatal(err)
	}
	w = dial(t, s, "v=10&encoding=json")
	w.send(resume(last))
	for {
		if g, code := w.next(); g.Op == 9 {
			break
		} else if g.Op != 10 || code != 0 {
			t.Fatalf("%+v, %d", g, code)
		}
	}
}

// TestWhoIsCalled holds what a bot's text calls, and what allowed_mentions allow.
func TestWhoIsCalled(t *testing.T) {
	s := New(t, Rate(100, time.Second, 100))
	text := "<@" + s.User("alice") + "> <@&" + s.Role("ops") + "> @everyone"
	for name, c := range map[string]struct {
		allowed any
		want    int
	}{
		"all": {nil, 3}, "none": {m{"parse": l{}}, 0}, "people": {m{"parse": l{"users"}}, 1}, "her": {m{"users": l{s.User("alice")}}, 1}, "roles": {m{"parse": l{"roles"}}, 1}, "everyone": {m{"parse": l{"everyone"}}, 1},
	} {
		body := m{"content": text}
		if c.allowed != nil {
			body["allowed_mentions"] = c.allowed
		}
		if got := ask(t, s, "POST", "/channels/"+s.Channel(name)+"/messages", body); got.status != 200 {
			t.Fatal(got)
		}
		if got := s.Messages(name, "")[0].Mention; len(got) != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
