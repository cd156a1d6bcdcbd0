package loki

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/websocket"
)

// tailLimit is how many lines from before Loki may send at once.
const tailLimit = "1000"

// Tail gives what comes, batch by batch, until the function says no, the
// context ends, or the connection does.
func (c *Client) Tail(ctx context.Context, query string, start time.Time, each func([]Stream) bool) error {
	u := c.back.URL("/loki/api/v1/tail", url.Values{"query": {query}, "start": {ns(start)}, "limit": {tailLimit}})
	switch u.Scheme {
	case "https":
		u.Scheme = "wss"
	default:
		u.Scheme = "ws"
	}
	h := c.back.Header()
	if c.opt.Tenant != "" {
		h.Set("X-Scope-OrgID", c.opt.Tenant)
	}
	trust, err := c.back.TLS()
	if err != nil {
		return err
	}
	dialer := &websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: c.back.Timeout(), TLSClientConfig: trust}
	conn, resp, err := dialer.DialContext(ctx, u.String(), h) //nolint:bodyclose // closed where there is one: a switch of protocols has none
	if err != nil {
		if resp != nil {
			defer resp.Body.Close()
			text, _ := io.ReadAll(io.LimitReader(resp.Body, 2048))
			return c.back.Status(resp.StatusCode, string(text))
		}
		return c.back.Fault(err)
	}
	defer func() { _ = conn.Close() }() // it is over either way
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	for {
		var m struct {
			Streams []Stream `json:"streams"`
		}
		if err := conn.ReadJSON(&m); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return c.back.Fault(err)
		}
		if !each(m.Streams) {
			return nil
		}
	}
}
