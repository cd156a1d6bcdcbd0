package slacktest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// delivery is something that the app is told.
type delivery struct {
	kind    string // events_api, slash_commands or interactive
	payload object
	lane    string // what is told of one conversation is told in order
	by      string // the person who caused it, or ""
	what    string // for failures
	again   bool   // it is the repetition of another
	answer  func(payload object)
	failed  func()
}

// sent is an envelope that waits for its acknowledgement.
type sent struct {
	ack  chan object // has room for one
	conn *conn
}

// send queues a delivery. The server is locked.
func (s *Server) send(d *delivery) {
	if d.by != "" && !d.again {
		s.last = d
	}
	s.queue = append(s.queue, d)
	select {
	case s.queued <- struct{}{}:
	default:
	}
}

// Repeat delivers what a person did last once more, as Slack does when an
// acknowledgement came too late for it.
func (s *Server) Repeat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.cfg.Fail("there is nothing to repeat")
		return
	}
	d := *s.last
	d.again, d.answer, d.failed = true, nil, nil
	s.send(&d)
}

// dispatch takes deliveries in order. Through a socket they are written in that
// order; over HTTP those of one conversation follow each other.
func (s *Server) dispatch() {
	for {
		s.mu.Lock()
		var d *delivery
		if len(s.queue) > 0 {
			d, s.queue = s.queue[0], s.queue[1:]
		}
		overHTTP := s.cfg.EventsURL+s.cfg.CommandsURL+s.cfg.InteractionsURL != ""
		s.mu.Unlock()
		switch {
		case d == nil:
			select {
			case <-s.queued:
			case <-s.ctx.Done():
				return
			}
		case overHTTP:
			before, done := s.enter(d.lane)
			s.wg.Go(func() {
				select {
				case <-before:
				case <-s.ctx.Done():
				}
				s.carry(d, func(attempt int, reason string) (object, string) { return s.post(d, attempt, reason) }, func() { close(done) })
			})
		default:
			first, reason := s.write(d, 0, "")
			s.wg.Go(func() {
				s.carry(d, func(attempt int, why string) (object, string) {
					if attempt > 0 {
						first, reason = s.write(d, attempt, why)
					}
					if reason != "" {
						return nil, reason
					}
					return s.await(first)
				}, func() {})
			})
		}
	}
}

// enter queues up in a lane.
func (s *Server) enter(lane string) (before, done chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, done = s.lanes[lane], make(chan struct{})
	if before == nil {
		before = make(chan struct{})
		close(before)
	}
	s.lanes[lane] = done
	return before, done
}

// carry tries until a delivery is taken or given up; first is called after the
// first attempt.
func (s *Server) carry(d *delivery, try func(attempt int, reason string) (answer object, failed string), first func()) {
	s.mu.Lock()
	retries := s.cfg.Retries
	s.mu.Unlock()
	reason := ""
	if d.again {
		reason = "timeout"
	}
	for attempt, again := 0, 0; ; attempt++ {
		answer, failed := try(attempt, reason)
		if attempt == 0 {
			first()
		}
		reason = failed
		if failed == "" {
			if d.answer != nil {
				d.answer(answer)
			}
			return
		}
		if failed == "connection_closed" && d.kind == "events_api" {
			continue // nobody was late: the next connection gets it
		}
		if d.kind != "events_api" || again >= len(retries) || failed == "no_retry" {
			break
		}
		wait := retries[again]
		if again++; wait > 0 {
			due, stop := s.clock.after(wait)
			select {
			case <-due:
			case <-s.ctx.Done():
				stop()
				return
			}
		}
	}
	if s.ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	if d.kind == "slash_commands" && strings.HasSuffix(reason, "timeout") {
		reason = "operation_timeout"
	}
	s.failures = append(s.failures, d.what+": "+reason)
	s.note()
	s.mu.Unlock()
	if d.failed != nil {
		d.failed()
	}
}

// sign is the signature of a body, as Slack documents it.
func sign(secret, at string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "v0:%s:%s", at, body)
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

// post is a delivery over HTTP.
func (s *Server) post(d *delivery, attempt int, reason string) (object, string) {
	s.mu.Lock()
	cfg := s.cfg
	s.mu.Unlock()
	to := map[string]string{"events_api": cfg.EventsURL, "slash_commands": cfg.CommandsURL, "interactive": cfg.InteractionsURL}[d.kind]
	if to == "" {
		return nil, "no_url"
	}
	kind, body := "application/json", mustJSON(d.payload)
	switch d.kind {
	case "slash_commands":
		form := url.Values{}
		for k, v := range d.payload {
			form.Set(k, fmt.Sprint(v))
		}
		kind, body = "application/x-www-form-urlencoded", []byte(form.Encode())
	case "interactive":
		kind, body = "application/x-www-form-urlencoded", []byte(url.Values{"payload": {string(body)}}.Encode())
	}
	h := http.Header{"Content-Type": {kind}}
	if d.again {
		attempt++
	}
	if attempt > 0 {
		h.Set("X-Slack-Retry-Num", strconv.Itoa(attempt))
		h.Set("X-Slack-Retry-Reason", "http_"+strings.TrimPrefix(reason, "http_"))
	}
	status, answer, head, err := s.request(cfg, to, h, body)
	switch {
	case errors.Is(err, errLate):
		return nil, "http_timeout"
	case err != nil:
		return nil, "connection_failed"
	case status/100 != 2 && head.Get("X-Slack-No-Retry") == "1":
		return nil, "no_retry"
	case status/100 != 2:
		return nil, "http_error"
	}
	var out object
	if json.Unmarshal(answer, &out) != nil && len(answer) > 0 && d.kind == "slash_commands" {
		out = object{"text": string(answer)}
	}
	return out, ""
}

var errLate = errors.New("no answer in time")

// request posts a signed body.
func (s *Server) request(cfg Config, to string, h http.Header, body []byte) (int, []byte, http.Header, error) {
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	late, stop := s.clock.after(cfg.AckLimit)
	defer stop()
	go func() {
		select {
		case <-late:
			cancel(errLate)
		case <-ctx.Done():
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	at := strconv.FormatInt(time.Now().Unix(), 10) // who checks it has no clock that a test puts forward
	req.Header = h
	req.Header.Set("User-Agent", "Slackbot 1.0 (+https://api.slack.com/robots)")
	req.Header.Set("X-Slack-Request-Timestamp", at)
	req.Header.Set("X-Slack-Signature", sign(cfg.SigningSecret, at, body))
	res, err := http.DefaultTransport.RoundTrip(req) // which follows no redirect
	if err != nil {
		if errors.Is(context.Cause(ctx), errLate) {
			err = errLate
		}
		return 0, nil, nil, err
	}
	defer func() { _ = res.Body.Close() }() // it was read
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, answer, res.Header, err
}

// VerifyURL does what Slack does when somebody enters the URL for events: it has
// to give back a challenge.
func (s *Server) VerifyURL(ctx context.Context) error {
	cfg, challenge := s.Config(), secret()
	body := mustJSON(object{"token": "slacktest", "challenge": challenge, "type": "url_verification"})
	status, answer, _, err := s.request(cfg, cfg.EventsURL, http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	var echo struct{ Challenge string }
	_ = json.Unmarshal(answer, &echo) // it may be plain text
	if got := strings.TrimSpace(string(answer)); status != http.StatusOK || got != challenge && echo.Challenge != challenge {
		return fmt.Errorf("your URL didn't respond with the value of the challenge parameter: %d %s", status, got)
	}
	return nil
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it came from JSON, or is our own
	}
	return b
}

// event tells the app of an event, where it subscribed and its scopes allow.
// The server is locked.
func (s *Server) event(kind, scope, lane, by string, ev object) {
	if !wants(s.cfg.Events, kind) || scope != "" && !s.granted(scope) {
		return
	}
	id := s.id("Ev")
	now := s.clock.now()
	s.send(&delivery{kind: "events_api", lane: lane, by: by, what: kind, payload: object{
		"token": "slacktest", "team_id": Team, "context_team_id": Team, "api_app_id": AppID, "event": ev, "type": "event_callback", "event_id": id, "event_time": now.Unix(),
		"authorizations":        []object{{"enterprise_id": nil, "team_id": Team, "user_id": BotUser, "is_bot": true, "is_enterprise_install": false}},
		"is_ext_shared_channel": false, "event_context": "4-" + id,
	}})
}

// wants says whether a list has something; nil has everything.
func wants(list []string, what string) bool {
	for _, l := range list {
		if l == what {
			return true
		}
	}
	return list == nil
}

// within waits for something that may come a little later, and says whether it
// came. It is asked with the server locked.
func (s *Server) within(limit time.Duration, what string, f func() bool) bool {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	late, stop := s.clock.after(limit)
	defer stop()
	go func() {
		select {
		case <-late:
			cancel()
		case <-ctx.Done():
		}
	}()
	return s.until(ctx, what, func() func() bool {
		ok := f()
		return func() bool { return ok }
	}) == nil
}
