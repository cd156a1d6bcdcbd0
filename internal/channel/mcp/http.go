package mcp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// Path is where the tools are served over HTTP.
const Path = "/mcp"

const (
	maxBody  = 256 << 10
	deadline = 2 * time.Minute
)

// Client is a program that may call, known by its token.
type Client struct {
	Name   string   // the id of the speaker that it is
	SHA256 [32]byte // of its token
}

// ParseHash reads the hash of a token: 64 hexadecimal digits.
func ParseHash(s string) (sum [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(sum) {
		return sum, fault.New(fault.Usage, "a token's hash is 64 hexadecimal digits, as sha256sum prints it")
	}
	copy(sum[:], b)
	return sum, nil
}

// callerKey is where a request's context has the client's name.
type callerKey struct{}

// Handler serves the clients over streamable HTTP. Each request stands for itself, so
// that any replica answers it.
func (s *Server) Handler(clients []Client) http.Handler {
	servers := map[string]*mcp.Server{}
	for _, c := range clients {
		servers[c.Name] = s.of(access.NewSpeaker(Channel, c.Name, access.Token))
	}
	inner := mcp.NewStreamableHTTPHandler(func(r *http.Request) *mcp.Server {
		name, _ := r.Context().Value(callerKey{}).(string)
		return servers[name]
	}, &mcp.StreamableHTTPOptions{Stateless: true, Logger: s.log, DisableLocalhostProtection: true}) // the token is asked for on loopback too
	origin := http.NewCrossOriginProtection()
	stack := webhook.New(s.log, webhook.MaxBody(maxBody), webhook.Deadline(deadline))
	return stack.Handle(func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodPost {
			if err := sane(r); err != nil {
				return err
			}
		}
		name, _ := caller(r, clients)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, name)))
		return nil
	}, func(r *http.Request) error {
		if _, ok := caller(r, clients); !ok {
			return webhook.Unauthorized(`Bearer realm="firstmate"`, "The access token is missing or wrong.", nil)
		}
		return fault.Wrap(origin.Check(r), fault.Refused, "I do not answer to pages of other sites.")
	})
}

// caller is the client whose token a request carries.
func caller(r *http.Request, clients []Client) (name string, ok bool) {
	sum := sha256.Sum256([]byte(webhook.BearerToken(r)))
	for _, c := range clients { // all of them: the time must not tell which was near
		if subtle.ConstantTimeCompare(sum[:], c.SHA256[:]) == 1 {
			name, ok = c.Name, true
		}
	}
	return name, ok
}

// sane says what is wrong with a body that is no message of the protocol, in words.
func sane(r *http.Request) error {
	b, err := webhook.ReadBody(r)
	if err != nil {
		return err
	}
	var m struct {
		Version string `json:"jsonrpc"`
	}
	if json.Unmarshal(b, &m) != nil || m.Version != "2.0" {
		return fault.New(fault.Usage, "The request's body is no message of JSON-RPC 2.0.")
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	r.ContentLength = int64(len(b))
	return nil
}
