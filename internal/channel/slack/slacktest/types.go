//go:build unix

package slacktest

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/peers"
)

// WrongTypes has TypeScript check payloads by the types of Slack's own libraries:
// lists of blocks, and views. It returns what is wrong, by name. The test is
// skipped, visibly, where there is no Node.
func WrongTypes(t testing.TB, payloads map[string]any) map[string]string {
	t.Helper()
	dir := peers.Node(t, "slack")
	in := object{}
	for name, p := range payloads {
		if _, ok := p.([]any); ok {
			in[name] = object{"kind": "message", "value": object{"blocks": p}}
		} else {
			in[name] = object{"kind": "view", "value": p}
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", "types.js")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(mustJSON(in))
	out, err := cmd.Output()
	var wrong map[string]string
	if err == nil {
		err = json.Unmarshal(out, &wrong)
	}
	if err != nil || wrong[""] != "" {
		t.Fatalf("Slack's types: %v: %s", err, out)
	}
	return wrong
}

// CheckTypes has all that the app showed so far checked by Slack's own types. As
// it skips where there is no Node, it comes last in a test, or in one of its own.
func (s *Server) CheckTypes(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	all := map[string]any{}
	for text, p := range s.shown {
		all[text] = p
	}
	s.mu.Unlock()
	if len(all) == 0 {
		t.Error("the app showed no blocks")
	}
	for text, why := range WrongTypes(t, all) {
		t.Errorf("Slack's types say %s of %s", why, text)
	}
}
