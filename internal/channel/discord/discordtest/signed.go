package discordtest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// UseEndpoint has interactions delivered by signed POST to an address in place
// of the gateway. As Discord does when such an address is set, it first sends a
// ping, and one with a wrong signature: the bot has to answer the one and to
// refuse the other.
func (s *Server) UseEndpoint(ctx context.Context, address string) error {
	ping := []byte(`{"id":"1","application_id":"` + s.bot.id + `","type":1,"token":"ping","version":1}`)
	status, body, _, err := s.post(ctx, address, ping, true)
	if err != nil {
		return err
	}
	var pong struct{ Type int }
	if status != http.StatusOK || json.Unmarshal(body, &pong) != nil || pong.Type != 1 {
		return fmt.Errorf("the ping was answered with %d: %s", status, body)
	}
	if status, body, _, err = s.post(ctx, address, ping, false); err != nil {
		return err
	}
	if status != http.StatusUnauthorized {
		return fmt.Errorf("a wrong signature was answered with %d: %s", status, body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoint = address
	return nil
}

// Sign signs a body as it is sent at a time.
func (s *Server) Sign(at time.Time, body []byte) (timestamp, signature string) {
	timestamp = strconv.FormatInt(at.Unix(), 10)
	return timestamp, hex.EncodeToString(ed25519.Sign(s.key, append([]byte(timestamp), body...)))
}

func (s *Server) post(ctx context.Context, address string, body []byte, right bool) (status int, answer []byte, kind string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	signed := body
	if !right {
		signed = append([]byte(" "), body...)
	}
	timestamp, signature := s.Sign(s.later(), signed)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Discord-Interactions/1.0 (+https://discord.com)")
	r.Header.Set("X-Signature-Timestamp", timestamp)
	r.Header.Set("X-Signature-Ed25519", signature)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return resp.StatusCode, answer, resp.Header.Get("Content-Type"), err
}

func (s *Server) later() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

// deliver posts an interaction; the answer is the body, or nothing (202) where
// the bot uses the callback. It is called under the lock, and does not wait.
func (s *Server) deliver(it *interaction, o map[string]any) {
	raw, err := json.Marshal(o)
	if err != nil {
		s.t.Errorf("the interaction %s: %v", it.id, err)
		return
	}
	address := s.endpoint
	s.again = func() {
		s.busy.Add(1)
		go func() {
			defer s.busy.Done()
			status, body, kind, err := s.post(context.Background(), address, raw, true)
			if err == nil && status == http.StatusOK {
				err = s.inline(it, kind, body)
			} else if err == nil && status != http.StatusAccepted {
				err = fmt.Errorf("status %d: %s", status, body)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if err != nil && it.answered == 0 {
				it.failed = err.Error()
			}
			s.happened()
		}()
	}
	s.again()
}

// inline takes the answer that is the body of a response.
func (s *Server) inline(it *interaction, kind string, body []byte) error {
	const path = "/interactions/{interaction_id}/{interaction_token}/callback"
	r, err := http.NewRequest(http.MethodPost, s.URL(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", kind)
	r.SetPathValue("interaction_id", it.id)
	r.SetPathValue("interaction_token", it.token)
	c := &call{Server: s, r: r}
	if err := c.read(route{method: http.MethodPost, path: path}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if it.answered != 0 {
		return nil // delivered once more
	}
	_, _, err = c.callback()
	return err
}
