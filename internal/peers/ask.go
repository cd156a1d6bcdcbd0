//go:build unix

package peers

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// Asked is a script of a peer that answers each line of JSON with one. It may be
// asked by several goroutines.
type Asked struct {
	script string
	mu     sync.Mutex
	in     io.Writer
	out    *bufio.Scanner
}

// longestAnswer is how long a line of JSON may be that a script answers.
const longestAnswer = 8 << 20

// Ask starts a script of a peer, which ends with the test. It skips the test where
// Node does.
func Ask(t testing.TB, name, script string) *Asked {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Dir = Node(t, name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // which ends it
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("%s of %s: %v", script, name, err)
		}
	})
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, longestAnswer)
	return &Asked{script: script, in: in, out: lines}
}

// Ask asks a question, and takes over the answer.
func (a *Asked) Ask(question, answer any) error {
	b, err := json.Marshal(question)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.in.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("peers: asking %s: %w", a.script, err)
	}
	if !a.out.Scan() {
		return errors.Join(fmt.Errorf("peers: %s said nothing", a.script), a.out.Err())
	}
	return json.Unmarshal(a.out.Bytes(), answer)
}
