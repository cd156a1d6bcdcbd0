package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// mcpToken is the token of the program that calls.
const mcpToken = "e2e-mcp-token"

// mcpClients is the configuration that knows it.
func mcpClients() string {
	sum := sha256.Sum256([]byte(mcpToken))
	return "mcp:\n  clients: [{name: program, token_sha256: " + hex.EncodeToString(sum[:]) + "}]\n"
}

// bearing sends the token along.
type bearing struct{}

func (bearing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+mcpToken)
	return http.DefaultTransport.RoundTrip(r)
}

// mcpDriver is a program that asks in words, and confirms what its person agrees to.
type mcpDriver struct {
	session  *mcp.ClientSession
	proposal string // what is open
}

func openMCP(t *testing.T, w *world) (driver, error) {
	url, err := w.url(t.Context())
	if err != nil {
		return nil, err
	}
	c := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil)
	s, err := c.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: url + "/mcp", HTTPClient: &http.Client{Transport: bearing{}}}, nil)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = s.Close() })
	return &mcpDriver{session: s}, nil
}

func (d *mcpDriver) say(ctx context.Context, text string) (string, error) {
	name, args := "ask", map[string]any{"text": text}
	if text == "yes" && d.proposal != "" {
		name, args = "confirm", map[string]any{"proposal": d.proposal}
	}
	res, err := d.session.CallTool(ctx, &mcp.CallToolParams{Name: name, Arguments: args})
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(res.StructuredContent)
	if err != nil {
		return "", err
	}
	var r dialogue.Reply
	if err := json.Unmarshal(b, &r); err != nil {
		return "", err
	}
	d.proposal = ""
	if r.Proposal != nil && r.Expect == dialogue.ExpectConfirm {
		d.proposal = r.Proposal.ID
	}
	return r.Text, sound(r)
}
