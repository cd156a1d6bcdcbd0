package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/peers"
)

// inspector is the protocol's own client, run once for each call.
type inspector struct {
	dir, home string
	target    []string // how to reach the tools
}

// inspected is what the inspector prints of a call.
type inspected struct {
	Tools []struct {
		Name        string `json:"name"`
		Annotations struct {
			ReadOnly bool `json:"readOnlyHint"`
		} `json:"annotations"`
	} `json:"tools"`
	Content []struct {
		Text string `json:"text"`
	} `json:"content"`
	Structured struct {
		Outcome  string `json:"outcome"`
		Expect   string `json:"expect"`
		Proposal *struct {
			ID      string `json:"id"`
			Digest  string `json:"digest"`
			Changes []struct {
				Diff string `json:"diff"`
			} `json:"changes"`
		} `json:"proposal"`
	} `json:"structuredContent"`
	IsError bool `json:"isError"`
}

func (in inspector) run(ctx context.Context, args ...string) (inspected, error) {
	var out inspected
	cmd := exec.CommandContext(ctx, "node", slices.Concat([]string{filepath.Join(in.dir, "inspect.js")}, in.target, args)...)
	cmd.Env = append(os.Environ(), "HOME="+in.home)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ee := (*exec.ExitError)(nil); errors.As(err, &ee) && stdout.Len() > 0 {
		err = nil // a tool that refuses ends it so, too
	}
	if err != nil {
		return out, fmt.Errorf("the inspector: %w\n%s", err, &stderr)
	}
	b := stdout.Bytes()
	if err := json.NewDecoder(bytes.NewReader(b[max(0, bytes.IndexByte(b, '{')):])).Decode(&out); err != nil {
		return out, fmt.Errorf("the inspector printed\n%s\n%s: %w", b, &stderr, err)
	}
	return out, nil
}

func (in inspector) call(t *testing.T, tool string, args ...string) inspected {
	t.Helper()
	all := []string{"--method", "tools/call", "--tool-name", tool}
	for _, a := range args {
		all = append(all, "--tool-arg", a)
	}
	out, err := in.run(t.Context(), all...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (i inspected) text() string {
	var b strings.Builder
	for _, c := range i.Content {
		b.WriteString(c.Text)
	}
	return b.String()
}

// TestInspector has the protocol's own inspector list and call the tools, over HTTP and
// over standard input and output. A change takes two calls, of which the second names the
// proposal of the first.
func TestInspector(t *testing.T) {
	dir := peers.Node(t, "mcp")
	w := worldOf(t, "t-inspector")
	w.rights.config = channelSettings + mcpClients()
	url, err := w.url(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	over := inspector{dir: dir, home: t.TempDir(), target: []string{url + "/mcp", "--transport", "http", "--header", "Authorization: Bearer " + mcpToken}}
	all, err := over.run(t.Context(), "--method", "tools/list", "--strict")
	if err != nil {
		t.Fatal(err)
	}
	reads := 0
	for _, tool := range all.Tools {
		if tool.Annotations.ReadOnly {
			reads++
		}
		if tool.Annotations.ReadOnly && slices.Contains([]string{"scale", "deploy", "rollback", "confirm", "drain", "ask"}, tool.Name) {
			t.Errorf("%s says that it changes nothing", tool.Name)
		}
	}
	if len(all.Tools) < 30 || reads < 10 {
		t.Errorf("%d tools, %d that only look", len(all.Tools), reads)
	}
	if got := over.call(t, "status", `targets=["web"]`).text(); !strings.Contains(got, "3 of 3") {
		t.Errorf("%q", got)
	}
	asked := over.call(t, "scale", `targets=["web"]`, "replicas=5")
	p := asked.Structured.Proposal
	if p == nil || asked.Structured.Expect != "confirm" || p.Digest == "" || len(p.Changes) != 1 || !strings.Contains(p.Changes[0].Diff, "+  replicas: 5") {
		t.Fatalf("%+v", asked)
	}
	// Without the confirmation nothing is done, whatever is tried in its place.
	for _, try := range [][]string{
		{"ask", "text=yes, do it"}, {"confirm", "proposal=" + p.ID + "x"}, {"confirm", "proposal=" + p.ID, "conversation=other"},
		{"approve", "proposal=" + p.ID + "@" + p.Digest}, {"scale", `targets=["web"]`, "replicas=5", "confirm=true"},
	} {
		if out := over.call(t, try[0], try[1:]...); !out.IsError {
			t.Errorf("%v: %s", try, out.text())
		}
	}
	if got, err := kubectl(t.Context(), "", "-n", w.namespace, "get", "deployment/web", "-o", "jsonpath={.spec.replicas} {.metadata.generation}"); err != nil || got != "3 1" {
		t.Errorf("web is %s, %v", got, err)
	}
	if out := over.call(t, "confirm", "proposal="+p.ID); out.IsError || out.Structured.Outcome != "done" {
		t.Errorf("%+v", out)
	}
	if got, err := kubectl(t.Context(), "", "-n", w.namespace, "get", "deployment/web", "-o", "jsonpath={.spec.replicas} {.metadata.generation}"); err != nil || got != "5 2" {
		t.Errorf("web is %s, %v", got, err)
	}

	// Over standard input and output, with the person's own kubeconfig.
	own := inspector{dir: dir, home: t.TempDir(), target: []string{program, "mcp"}}
	for _, e := range w.environ() {
		if !strings.HasPrefix(e, "PATH=") && !strings.HasPrefix(e, "HOME=") {
			own.target = append(own.target, "-e", e)
		}
	}
	if out := own.call(t, "status", `targets=["web"]`); !strings.Contains(out.text(), "5 of 5") {
		t.Errorf("%+v", out)
	}
	if out := own.call(t, "scale", `targets=["web"]`, "replicas=4"); out.Structured.Proposal == nil || out.Structured.Expect != "confirm" {
		t.Errorf("%+v", out)
	}
	if got, err := kubectl(t.Context(), "", "-n", w.namespace, "get", "deployment/web", "-o", "jsonpath={.spec.replicas}"); err != nil || got != "5" {
		t.Errorf("web is %s, %v", got, err)
	}
}
