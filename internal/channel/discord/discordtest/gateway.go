package discordtest

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// Gateway intents; those of members and of messages' content are privileged.
const (
	guilds         = 1 << 0
	guildMembers   = 1 << 1
	guildPresences = 1 << 8
	guildMessages  = 1 << 9
	directMessages = 1 << 12
	messageContent = 1 << 15
	knownIntents   = 1<<26 - 1
)

// session is a client's, also while it is away.
type session struct {
	id      string
	intents int
	seq     int
	sent    []sent // what was told, to be told again
	conn    *conn
}

type sent struct {
	seq   int
	frame []byte
}

type packet struct {
	Op int             `json:"op"`
	D  json.RawMessage `json:"d"`
	S  *int            `json:"s,omitempty"`
	T  string          `json:"t,omitempty"`
}

type event struct {
	name   string
	intent int // 0 needs none
	data   any
	read   func(intents int) any // in place of data where what is told depends on the intents
}

// conn is a websocket; one goroutine writes what is put into out.
type conn struct {
	ws       *websocket.Conn
	out      chan []byte
	compress atomic.Bool
	once     sync.Once
	gone     chan struct{}
	code     int // to close with; 0 just drops the connection
	reason   string
}

func (c *conn) send(frame []byte) {
	select {
	case c.out <- frame:
	case <-c.gone:
	default:
		c.close(4008, "You are too slow.") // thousands wait already
	}
}

func (c *conn) close(code int, reason string) {
	c.once.Do(func() {
		c.code, c.reason = code, reason
		close(c.gone)
	})
}

// write is the only one to write, and ends the connection when it is closed.
func (c *conn) write() {
	defer func() { _ = c.ws.Close() }() // it ends here, however it went
	for {
		select {
		case frame := <-c.out:
			if c.put(frame) != nil {
				return
			}
		case <-c.gone:
			for len(c.out) > 0 && c.code != 0 {
				if c.put(<-c.out) != nil {
					return
				}
			}
			if c.code != 0 {
				_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(c.code, c.reason), time.Now().Add(time.Second))
			}
			return
		}
	}
}

// put compresses what is long for a client that asked for it, as Discord may.
func (c *conn) put(frame []byte) error {
	if !c.compress.Load() || len(frame) < 2048 {
		return c.ws.WriteMessage(websocket.TextMessage, frame)
	}
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write(frame); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return c.ws.WriteMessage(websocket.BinaryMessage, b.Bytes())
}

// leave takes the connection from a session, which can be resumed then.
func (ses *session) leave(code int, reason string) {
	if ses.conn != nil {
		ses.conn.close(code, reason)
		ses.conn = nil
	}
}

func op(code int, d any) []byte {
	raw, err := json.Marshal(map[string]any{"op": code, "d": d, "s": nil, "t": nil})
	if err != nil {
		panic(err) // of maps and numbers
	}
	return raw
}

// tell gives a session an event, which it gets now or when it resumes.
func (s *Server) tell(ses *session, name string, d any) {
	ses.seq++
	frame, err := json.Marshal(map[string]any{"op": 0, "t": name, "s": ses.seq, "d": d})
	if err != nil {
		s.t.Errorf("the event %s: %v", name, err)
		return
	}
	const kept = 5000
	ses.sent = append(ses.sent, sent{ses.seq, frame})
	ses.sent = ses.sent[max(0, len(ses.sent)-kept):]
	if ses.conn != nil {
		ses.conn.send(frame)
	}
}

// dispatch tells every session that asked for such events.
func (s *Server) dispatch(e event) {
	for _, ses := range s.sessions {
		if e.intent != 0 && ses.intents&e.intent == 0 {
			continue
		}
		d := e.data
		if e.read != nil {
			d = e.read(ses.intents)
		}
		s.tell(ses, e.name, d)
	}
	s.happened()
}

func (s *Server) serveGateway(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // the client was told
	}
	c := &conn{ws: ws, out: make(chan []byte, 8192), gone: make(chan struct{})}
	s.busy.Add(2)
	go func() {
		defer s.busy.Done()
		c.write()
	}()
	defer s.busy.Done()
	if v := r.URL.Query().Get("v"); v != "9" && v != "10" {
		c.close(4012, "Invalid API version")
		return
	}
	c.send(op(10, map[string]any{"heartbeat_interval": s.heartbeat.Milliseconds(), "_trace": []string{}}))
	s.listen(c)
}

// listen reads what a client sends until it is gone.
func (s *Server) listen(c *conn) {
	var ses *session
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if ses != nil && ses.conn == c {
			ses.conn = nil
		}
		c.close(0, "")
		s.happened()
	}()
	received, since := 0, time.Now()
	for {
		// A sign of life is late by the half of its interval when the session ends.
		if c.ws.SetReadDeadline(time.Now().Add(s.heartbeat*3/2)) != nil {
			return
		}
		_, raw, err := c.ws.ReadMessage()
		if err != nil {
			s.hungUp(c, ses, err)
			return
		}
		if time.Since(since) > time.Minute {
			received, since = 0, time.Now()
		}
		received++
		var p packet
		switch {
		case received > 120:
			c.close(4008, "You are being rate limited.")
		case len(raw) > 4096 || json.Unmarshal(raw, &p) != nil:
			c.close(4002, "Error while decoding payload.")
		case p.Op == 1:
			c.send(op(11, nil))
		case p.Op == 2 && ses == nil:
			ses = s.identify(c, p.D)
		case p.Op == 6 && ses == nil:
			ses = s.resume(c, p.D)
		case p.Op == 2 || p.Op == 6:
			c.close(4005, "Already authenticated.")
		case ses == nil:
			c.close(4003, "Not authenticated.")
		case p.Op == 3 || p.Op == 4 || p.Op == 8: // presence, voice, members: taken note of
		default:
			c.close(4001, "Unknown opcode.")
		}
	}
}

// hungUp ends the session of a client that took its leave; others may resume.
func (s *Server) hungUp(c *conn, ses *session, err error) {
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		c.close(4009, "Session timed out.")
		return
	}
	var closed *websocket.CloseError
	if errors.As(err, &closed) && ses != nil && (closed.Code == websocket.CloseNormalClosure || closed.Code == websocket.CloseGoingAway) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.sessions, ses.id)
	}
}

func (s *Server) identify(c *conn, raw json.RawMessage) *session {
	var d struct {
		Token      string          `json:"token"`
		Intents    *int            `json:"intents"`
		Properties json.RawMessage `json:"properties"`
		Compress   bool            `json:"compress"`
		Shard      []int           `json:"shard"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch err := json.Unmarshal(raw, &d); {
	case err != nil || d.Properties == nil:
		c.close(4002, "Error while decoding payload.")
	case d.Token != s.token && d.Token != "Bot "+s.token:
		c.close(4004, "Authentication failed.")
	case d.Shard != nil && (len(d.Shard) != 2 || d.Shard[0] != 0 || d.Shard[1] != 1):
		c.close(4010, "Invalid shard.")
	case d.Intents == nil || *d.Intents < 0 || *d.Intents > knownIntents:
		c.close(4013, "Invalid intent(s).")
	case *d.Intents&guildPresences != 0 || *d.Intents&messageContent != 0 && !s.content:
		c.close(4014, "Disallowed intent(s).")
	case c.over():
	default:
		c.compress.Store(d.Compress) // before anything long is sent
		ses := &session{id: "session" + s.snowflake(), intents: *d.Intents, conn: c}
		s.sessions[ses.id] = ses
		s.identified++
		s.tell(ses, "READY", map[string]any{
			"v": 10, "user": s.selfObject(), "guilds": []any{map[string]any{"id": s.guild, "unavailable": true}}, "session_id": ses.id,
			"session_type": "normal", "resume_gateway_url": s.gatewayURL(), "shard": []int{0, 1}, "private_channels": []any{}, "relationships": []any{},
			"application": map[string]any{"id": s.bot.id, "flags": s.applicationFlags()},
		})
		if ses.intents&guilds != 0 {
			s.tell(ses, "GUILD_CREATE", s.guildCreate(ses.intents))
		}
		s.happened()
		return ses
	}
	return nil
}

func (c *conn) over() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

func (s *Server) resume(c *conn, raw json.RawMessage) *session {
	var d struct {
		Token   string `json:"token"`
		Session string `json:"session_id"`
		Seq     int    `json:"seq"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := json.Unmarshal(raw, &d); err != nil {
		c.close(4002, "Error while decoding payload.")
		return nil
	}
	ses := s.sessions[d.Session]
	switch {
	case d.Token != s.token && d.Token != "Bot "+s.token:
		c.close(4004, "Authentication failed.")
	case ses == nil:
		c.send(op(9, false))
	case d.Seq > ses.seq:
		c.close(4007, "Invalid seq.")
	case c.over():
	default:
		ses.leave(4000, "Resumed elsewhere.")
		ses.conn = c
		for _, e := range ses.sent {
			if e.seq > d.Seq {
				c.send(e.frame)
			}
		}
		s.resumed++
		s.tell(ses, "RESUMED", map[string]any{"_trace": []string{}})
		s.happened()
		return ses
	}
	return nil
}

// Disconnect drops every connection to the gateway without a word. What happens
// from now on is told when the bot resumes.
func (s *Server) Disconnect() { s.Close(0) }

// Close closes every connection with a code.
func (s *Server) Close(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ses := range s.sessions {
		ses.leave(code, "")
	}
	s.happened()
}

// Reconnect asks the bot to connect anew and to resume (opcode 7).
func (s *Server) Reconnect() { s.order(op(7, nil)) }

// Invalidate ends the bot's sessions (opcode 9): it has to identify again, and
// what it did not hear is lost.
func (s *Server) Invalidate() {
	s.order(op(9, false))
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
	s.happened()
}

func (s *Server) order(frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ses := range s.sessions {
		if ses.conn != nil {
			ses.conn.send(frame)
		}
	}
}
