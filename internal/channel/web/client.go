package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Now is the position after every outcome there is already.
const Now int64 = -1

const (
	maxAnswer  = 16 << 20 // of an answer or an event; diffs may be long
	maxBackOff = time.Second
	// maxSilence is for how long a stream may send nothing before it counts as
	// broken; three heartbeats.
	maxSilence = 3 * heartbeat
)

// Client talks to the API of a server.
type Client struct {
	base  string
	token string
	hc    *http.Client
}

// NewClient returns a client of the server at baseURL. token is "" where the
// server needs none. hc must have no time limit of its own: streams have no end.
func NewClient(baseURL, token string, hc *http.Client) *Client {
	return &Client{base: strings.TrimRight(baseURL, "/"), token: token, hc: hc}
}

// Turn says something in a conversation and returns the answer. confirm is the
// id of the proposal that it says yes to, or "".
func (c *Client) Turn(ctx context.Context, conversation, text, confirm string) (dialogue.Reply, error) {
	body, err := json.Marshal(turnRequest{Conversation: conversation, Text: text, Confirm: confirm})
	if err != nil {
		return dialogue.Reply{}, fmt.Errorf("web: encoding the turn: %w", err)
	}
	req, err := c.request(ctx, http.MethodPost, turnsPath, bytes.NewReader(body))
	if err != nil {
		return dialogue.Reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.do(req)
	if err != nil {
		return dialogue.Reply{}, err
	}
	defer resp.Body.Close()
	var r dialogue.Reply
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&r); err != nil {
		return dialogue.Reply{}, fault.Wrap(err, fault.Unavailable, "I do not understand the answer from %s; is it firstmate?", c.base)
	}
	return r, nil
}

// Events yields what is pushed in a conversation: the outcomes after a
// position, each once, and progress as it comes. A stream that breaks is taken
// up again where it broke, also after the server was started anew; it ends with
// ctx, or with an error that coming back would not mend. With Now, what is said
// after Events returned is not missed, if the server could be reached.
func (c *Client) Events(ctx context.Context, conversation string, after int64) iter.Seq2[dialogue.Event, error] {
	f := &follower{c: c, conversation: conversation, after: after}
	if after == Now {
		// An error here is met again, and told, by the loop.
		_ = f.connect(ctx)
	}
	return f.run(ctx)
}

// follower is a stream that survives its connections.
type follower struct {
	c            *Client
	conversation string
	after        int64
	conn         *connection // nil while there is none
}

func (f *follower) run(ctx context.Context) iter.Seq2[dialogue.Event, error] {
	return func(yield func(dialogue.Event, error) bool) {
		defer f.disconnect()
		wait := maxBackOff / 16
		for ctx.Err() == nil {
			if err := f.connect(ctx); err != nil {
				if ctx.Err() != nil {
					return
				}
				if fault.KindOf(err) != fault.Unavailable {
					yield(dialogue.Event{}, err)
					return
				}
			}
			for f.conn != nil {
				ev, ok := f.conn.next()
				if !ok {
					f.disconnect()
					break
				}
				wait = maxBackOff / 16
				if ev.Kind == dialogue.EventOutcome {
					if ev.Seq <= f.after {
						continue
					}
					f.after = ev.Seq
				}
				if !yield(ev, nil) {
					return
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			wait = min(2*wait, maxBackOff)
		}
	}
}

// connect opens the stream at the position, unless it is open.
func (f *follower) connect(ctx context.Context) error {
	if f.conn != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	req, err := f.c.request(ctx, http.MethodGet, eventsPrefix+url.PathEscape(f.conversation)+eventsSuffix, nil)
	if err != nil {
		cancel()
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", strconv.FormatInt(f.after, 10))
	if f.after == Now {
		req.Header.Set("Last-Event-ID", latest)
	}
	watchdog := time.AfterFunc(maxSilence, cancel)
	resp, err := f.c.do(req) //nolint:bodyclose // the follower closes it, in close and when it reconnects
	if err != nil {
		watchdog.Stop()
		cancel()
		return err
	}
	conn := &connection{body: resp.Body, lines: bufio.NewScanner(resp.Body), cancel: cancel, watchdog: watchdog}
	conn.lines.Buffer(nil, maxAnswer)
	start, ok := conn.start()
	if !ok {
		conn.close()
		return fault.New(fault.Unavailable, "%s broke off the stream of events.", f.c.base)
	}
	f.after = start // lower than ours where the server has forgotten
	f.conn = conn
	return nil
}

func (f *follower) disconnect() {
	if f.conn != nil {
		f.conn.close()
		f.conn = nil
	}
}

// connection is one open stream of server-sent events.
type connection struct {
	body     io.Closer
	lines    *bufio.Scanner
	cancel   context.CancelFunc
	watchdog *time.Timer
}

func (c *connection) close() {
	c.watchdog.Stop()
	c.cancel()
	_ = c.body.Close() // nothing more is wanted of it
}

// start reads the first block, which tells the position of the stream.
func (c *connection) start() (int64, bool) {
	b, ok := c.block()
	return b.id, ok
}

// next returns the next event.
func (c *connection) next() (dialogue.Event, bool) {
	for {
		b, ok := c.block()
		if !ok {
			return dialogue.Event{}, false
		}
		var d eventData
		if b.data == "" || json.Unmarshal([]byte(b.data), &d) != nil {
			continue // a heartbeat, or something newer than this client
		}
		return dialogue.Event{Seq: b.id, Kind: b.event, Action: d.Action, Reply: d.Reply}, true
	}
}

// block is what stands between two empty lines of a stream.
type block struct {
	id          int64
	event, data string
}

func (c *connection) block() (block, bool) {
	var b block
	for c.lines.Scan() {
		c.watchdog.Reset(maxSilence)
		line := c.lines.Text()
		if line == "" {
			return b, true
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			b.id, _ = strconv.ParseInt(value, 10, 64) // 0 where it is none of ours
		case "event":
			b.event = value
		case "data":
			b.data += value
		}
	}
	return b, false
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fault.Wrap(err, fault.Usage, "%q is no address of a server.", c.base)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// do sends a request; every answer but 200 is an error with a sentence.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	resp, err := c.hc.Do(req)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "I cannot reach firstmate at %s; is it running?", c.base)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var body struct {
		Error string `json:"error"`
	}
	kind := kindOf(resp.StatusCode)
	if json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&body) != nil || body.Error == "" {
		return nil, fault.New(kind, "%s answered with status %d; is it firstmate?", c.base, resp.StatusCode)
	}
	return nil, fault.New(kind, "%s", body.Error)
}

// kindOf sorts the status of an answer that is no reply.
func kindOf(status int) fault.Kind {
	switch {
	case status == http.StatusForbidden:
		return fault.Refused
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return fault.Unavailable
	}
	return fault.Usage // also a wrong token: it is configuration
}
