package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// latest, in place of a position, leaves out every outcome there is already.
const latest = "latest"

// eventData is an event as it is streamed; kind and position go beside it.
type eventData struct {
	dialogue.Reply
	Action string `json:"action"`
}

// writeTimeout is how long one event may take to reach a listener.
const writeTimeout = 10 * time.Second

// stream writes server-sent events.
type stream struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	told func(speech string)
	seen int64 // position of the last outcome that was sent
}

// events streams what is pushed in a conversation, outcomes from a position
// on, until the client or the server goes.
func (s *Server) events(w http.ResponseWriter, r *http.Request, c caller) error {
	id := r.PathValue("id")
	if err := s.mayEnter(r.Context(), c, id); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stop, cancel)()

	// Before anything is read, so that nothing falls between kept and live.
	sub := s.engine.Subscribe(id)
	defer sub.Close()
	st := &stream{w: w, rc: http.NewResponseController(w), told: func(speech string) { s.said.add(c.speaker.Key(), speech) }}
	var err error
	if st.seen, err = s.position(ctx, id, r); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not collect events
	w.WriteHeader(http.StatusOK)
	err = s.follow(r.WithContext(ctx), c, id, st, sub)
	if ctx.Err() != nil || errors.Is(err, errGone) || errors.Is(err, errLoggedOut) {
		return nil
	}
	return err
}

// follow sends the kept outcomes, then what comes. A live outcome is only the
// sign to read the kept ones again: so none is lost where the listener was
// slow, and none is sent twice.
func (s *Server) follow(r *http.Request, c caller, id string, st *stream, sub *dialogue.Subscription) error {
	ctx := r.Context()
	// The position goes first, for a listener that comes back before the first outcome.
	if err := st.write(fmt.Appendf(nil, "retry: 1000\nid: %d\n\n", st.seen)); err != nil {
		return err
	}
	if err := s.engine.Events(ctx, id, st.seen, st.outcome); err != nil {
		return err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			if err := s.stillIn(r, c); err != nil {
				return err
			}
			// With several replicas, word of an outcome may have been lost.
			if err = s.engine.Events(ctx, id, st.seen, st.outcome); err == nil {
				err = st.write([]byte(": still here\n\n"))
			}
		case ev, ok := <-sub.C:
			switch {
			case !ok:
				return nil
			case ev.Kind == dialogue.EventProgress:
				err = st.send(ev)
			case ev.Seq > st.seen:
				err = s.engine.Events(ctx, id, st.seen, st.outcome)
			}
		}
		if err != nil {
			return err
		}
	}
}

// position is after which outcome the listener wants to hear.
func (s *Server) position(ctx context.Context, id string, r *http.Request) (int64, error) {
	v := r.Header.Get("Last-Event-ID")
	if v == "" {
		v = r.URL.Query().Get("after")
	}
	var last int64
	look := func(ev dialogue.Event) error {
		last = ev.Seq
		return nil
	}
	switch v {
	case "", "0":
		return 0, nil
	case latest:
		err := s.engine.Events(ctx, id, 0, look)
		return last, err
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, fault.New(fault.Usage, "The position to start after is the id of an event, or “latest”.")
	}
	// A position that was never given out comes from before the store was
	// emptied; holding on to it would hide what is new.
	if err := s.engine.Events(ctx, id, n-1, look); err != nil || last > 0 {
		return n, err
	}
	return 0, nil
}

// outcome sends a kept outcome unless it was sent.
func (st *stream) outcome(ev dialogue.Event) error {
	if ev.Seq <= st.seen {
		return nil
	}
	st.seen = ev.Seq
	return st.send(ev)
}

func (st *stream) send(ev dialogue.Event) error {
	data, err := json.Marshal(eventData{Reply: ev.Reply, Action: ev.Action})
	if err != nil {
		return fmt.Errorf("web: encoding an event: %w", err)
	}
	st.told(ev.Reply.Speech)
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\n", ev.Kind)
	if ev.Kind == dialogue.EventOutcome {
		fmt.Fprintf(&b, "id: %d\n", ev.Seq)
	}
	fmt.Fprintf(&b, "data: %s\n\n", data)
	return st.write(b.Bytes())
}

// errGone is the end of a stream by its client, which nobody needs to know.
var errGone = errors.New("web: the listener is gone")

func (st *stream) write(b []byte) error {
	// A deadline for each event and not for the stream, which has no end. Not
	// every writer can do it.
	_ = st.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := st.w.Write(b); err != nil {
		return errGone
	}
	if err := st.rc.Flush(); err != nil {
		return errGone
	}
	return nil
}
