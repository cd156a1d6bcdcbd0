package slacktest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// pingEvery is how often a connection is pinged; clients miss it after 30 s.
const pingEvery = 2 * time.Second

// conn is a connection of Socket Mode.
type conn struct {
	ws      *websocket.Conn
	leaving bool          // it was told to go, and gets nothing more
	gone    chan struct{} // closed when it is
	mu      sync.Mutex    // one writes at a time
}

func (c *conn) write(v any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ws.SetWriteDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	return c.ws.WriteJSON(v)
}

// connect is where apps.connections.open sends a client to.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	ticket := r.PathValue("ticket")
	s.mu.Lock()
	good := s.tickets[ticket]
	delete(s.tickets, ticket) // it is for one connection
	s.mu.Unlock()
	if !good {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	// Clients of Slack's say that they come from api.slack.com.
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // it was answered
	}
	c := &conn{ws: ws, gone: make(chan struct{})}
	s.mu.Lock()
	n := len(s.conns) + 1
	s.mu.Unlock()
	if n > 10 || s.ctx.Err() != nil {
		_ = c.write(object{"type": "disconnect", "reason": "too_many_websockets"})
		_ = ws.Close()
		return
	}
	hello := object{"type": "hello", "num_connections": n, "debug_info": object{"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060}, "connection_info": object{"app_id": AppID}}
	if c.write(hello) != nil {
		_ = ws.Close()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		_ = ws.Close()
		return
	}
	s.conns = append(s.conns, c)
	s.opened++
	s.note()
	s.wg.Go(func() { s.ping(c) })
	s.wg.Go(func() { s.read(c) })
}

func (s *Server) ping(c *conn) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		// A first one at once: slack-go counts the time from it.
		if c.ws.WriteControl(websocket.PingMessage, []byte("Ping from applink-1"), time.Now().Add(time.Second)) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-c.gone:
			return
		}
	}
}

// read takes acknowledgements until the connection is gone.
func (s *Server) read(c *conn) {
	for {
		_, b, err := c.ws.ReadMessage()
		if err != nil {
			break
		}
		var ack struct {
			ID      string          `json:"envelope_id"`
			Payload json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(b, &ack) != nil || ack.ID == "" {
			s.Config().Fail("what is no acknowledgement came through the socket: %s", b)
			continue
		}
		var payload object
		if len(ack.Payload) > 0 && json.Unmarshal(ack.Payload, &payload) != nil {
			payload = nil // a string, or null
		}
		s.mu.Lock()
		if p := s.pending[ack.ID]; p != nil {
			delete(s.pending, ack.ID)
			p.ack <- payload
		}
		s.note()
		s.mu.Unlock()
	}
	_ = c.ws.Close()
	s.mu.Lock()
	s.conns = slices.DeleteFunc(s.conns, func(o *conn) bool { return o == c })
	close(c.gone)
	s.note()
	s.mu.Unlock()
}

// write puts a delivery on one of the connections.
func (s *Server) write(d *delivery, attempt int, reason string) (*sent, string) {
	limit := s.Config().AckLimit
	if d.kind == "events_api" && attempt > 0 {
		limit = 10 * time.Minute // an event waits for the app to come back
	}
	n := attempt
	if d.again {
		n++
	}
	for {
		var c *conn
		if !s.within(limit, "a connection", func() bool {
			free := slices.DeleteFunc(slices.Clone(s.conns), func(c *conn) bool { return c.leaving })
			if len(free) > 0 {
				s.next++
				c = free[s.next%len(free)]
			}
			return c != nil
		}) {
			return nil, "no_connection"
		}
		envelope := object{"envelope_id": secret(), "type": d.kind, "payload": d.payload, "accepts_response_payload": d.kind != "events_api"}
		if d.kind == "events_api" {
			envelope["retry_attempt"], envelope["retry_reason"] = n, reason
		}
		p := &sent{ack: make(chan object, 1), conn: c}
		id, _ := envelope["envelope_id"].(string)
		s.mu.Lock()
		s.pending[id] = p
		s.mu.Unlock()
		if c.write(envelope) == nil {
			return p, ""
		}
		_ = c.ws.Close() // which its reader notices
		<-c.gone
	}
}

// await waits for the acknowledgement.
func (s *Server) await(p *sent) (object, string) {
	late, stop := s.clock.after(s.Config().AckLimit)
	defer stop()
	select {
	case payload := <-p.ack:
		return payload, ""
	case <-late:
		return nil, "timeout"
	case <-p.conn.gone:
		select {
		case payload := <-p.ack: // it came just before
			return payload, ""
		default:
			return nil, "connection_closed"
		}
	case <-s.ctx.Done():
		return nil, "closed"
	}
}

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conns)
}

// Connected waits until as many connections were opened, counted from the
// beginning, and the last of them is open.
func (s *Server) Connected(ctx context.Context, opened int) error {
	return s.until(ctx, "a connection", func() func() bool {
		ok := s.opened >= opened && len(s.conns) > 0
		return func() bool { return ok }
	})
}

// Disconnect tells every connection to come again, as Slack does once in a while,
// and closes it when its client does, or soon after.
func (s *Server) Disconnect() {
	s.mu.Lock()
	old := slices.Clone(s.conns)
	for _, c := range old {
		c.leaving = true
	}
	s.mu.Unlock()
	for _, c := range old {
		_ = c.write(object{"type": "disconnect", "reason": "refresh_requested", "debug_info": object{"host": "applink-1"}}) // it may be gone
		s.wg.Go(func() {
			late, stop := s.clock.after(2 * time.Second)
			defer stop()
			select {
			case <-c.gone:
			case <-late:
				_ = c.ws.Close()
			case <-s.ctx.Done():
			}
		})
	}
}

// Warn tells every connection that it will be closed soon; what comes still comes
// through it.
func (s *Server) Warn() {
	for _, c := range s.connections() {
		_ = c.write(object{"type": "disconnect", "reason": "warning", "debug_info": object{"host": "applink-1"}}) // it may be gone
	}
}

// Drop cuts every connection without a word.
func (s *Server) Drop() {
	for _, c := range s.connections() {
		_ = c.ws.UnderlyingConn().Close() // its reader notices
	}
}
