package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// terminalDriver is somebody who calls bot ask, without a server, with their
// own kubeconfig.
type terminalDriver struct {
	w      *world
	config string
}

func openTerminal(_ *testing.T, w *world) (driver, error) {
	config, err := w.config()
	return &terminalDriver{w, config}, err
}

func (d *terminalDriver) say(ctx context.Context, text string) (string, error) {
	cmd := exec.CommandContext(ctx, program, "ask", "--json", "--config", d.config, "--conversation", "script", text)
	cmd.Env, cmd.Dir = d.w.environ(), d.w.dir
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return "", err
	}
	var r dialogue.Reply
	if err := json.Unmarshal(out, &r); err != nil {
		return "", fmt.Errorf("bot ask ended with %d: %w\n%s%s", cmd.ProcessState.ExitCode(), err, out, &complaint)
	}
	return r.Text, sound(r)
}
