package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// botStart bounds the start of the assistant, botStop its end.
	botStart = time.Minute
	botStop  = 10 * time.Second
	// sandboxStart allows for a slow machine; with many pods it is longer.
	sandboxStart = 3 * time.Minute
	sandboxStop  = 10 * time.Second
)

// config is the assistant's configuration. %[1]s is the folder for its files, %[2]s what Alertmanager says to be
// known.
const config = `# Written by "make demo".
state: {path: %[1]s/firstmate.db}
access:
  people:
    - name: demo
      speakers: ["web:*", "dialogflow:*"]
      user: demo
      groups: [shop-operators]
      write: true
dialogflow: {pin: false, es: {username: demo, password: demo}}
alerts: {username: alertmanager, password: %[2]s}
# Somebody watches: how a version does is told sooner than after the usual five minutes.
rollouts: {bake_for: 90s}
`

// banner is what a person sees before the chat begins.
const banner = `
  Here is a cluster with a small shop in it, and firstmate to talk to.

  In a browser:  %[1]s
  Here, try:     how is checkout doing?
                 scale checkout to 5
                 roll out cart 2.1-bad        (an image that does not exist)

  kubectl:       KUBECONFIG=%[2]s %[3]s get pods
  Ctrl-D or Ctrl-C ends the chat and removes everything.

`

// demo is what runs: the sandbox, and the assistant in it.
type demo struct {
	options  options
	programs programs

	sandbox, bot, carrier *process
	// carrierURL is where the carrier of a story is, voice how it speaks.
	carrierURL, voice string
	// dir is for the assistant's files: in the sandbox's folder, so that they go
	// (or stay) with it.
	dir        string
	kubeconfig string
	url        string
	// env are the lines with which the sandbox said where its servers are.
	env []string
}

// start returns when everything is ready.
func (d *demo) start(ctx context.Context) error {
	if err := d.startSandbox(ctx); err != nil {
		return err
	}
	if err := d.startBot(ctx); err != nil {
		return err
	}
	d.announce("READY")
	return nil
}

// announce prints a line for programs; in a chat and a story there are none that listen.
func (d *demo) announce(line string) {
	if d.options.headless {
		fmt.Println(line)
	}
}

func (d *demo) startSandbox(ctx context.Context) error {
	args := []string{"up", "--with-parent", "--alert-webhook-later"}
	if d.options.dir != "" {
		args = append(args, "--dir", d.options.dir)
	}
	if d.options.pods > 0 {
		args = append(args, "--pods", fmt.Sprint(d.options.pods))
	}
	for _, name := range slices.Sorted(maps.Keys(d.programs.servers)) {
		args = append(args, "--server", name+"="+d.programs.servers[name])
	}
	for _, name := range d.options.faults {
		args = append(args, "--fault", name)
	}
	cmd := exec.Command(d.programs.sandbox, append(args, d.options.sandbox...)...)
	cmd.Stderr = os.Stderr
	// The sandbox watches its standard input, and stops when it is closed: by
	// the kernel, if this process is killed. Nothing is ever written to it.
	if _, err := cmd.StdinPipe(); err != nil {
		return err
	}
	detach(cmd)
	var err error
	if d.sandbox, err = startProcess(cmd); err != nil {
		return fmt.Errorf("starting the sandbox: %w", err)
	}
	limit := sandboxStart + time.Duration(d.options.pods)*50*time.Millisecond + d.options.patience
	err = d.sandbox.read(ctx, limit, func(line string) bool {
		name, value, ok := strings.Cut(line, "=")
		switch {
		case !ok, strings.HasSuffix(name, "_PID"):
		case name == "KUBECONFIG":
			d.kubeconfig = value
			d.announce(line)
		default:
			d.env = append(d.env, line)
			d.announce(line)
		}
		return line == "READY"
	})
	if err != nil {
		return fmt.Errorf("the sandbox did not start: %w", err)
	}
	return nil
}

func (d *demo) startBot(ctx context.Context) error {
	d.dir = filepath.Join(filepath.Dir(d.kubeconfig), "bot")
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	password := rand.Text()
	text, listen := fmt.Sprintf(config, d.dir, password), "127.0.0.1:0"
	if d.options.story != "" {
		if err := d.startCarrier(ctx); err != nil {
			return err
		}
		var err error
		if text, listen, err = d.nightly(text); err != nil {
			return err
		}
	}
	if err := os.WriteFile(d.configFile(), []byte(text), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(d.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()

	cmd := exec.Command(d.programs.bot, d.botArgs(listen)...)
	cmd.Env = slices.Concat(os.Environ(), []string{"KUBECONFIG=" + d.kubeconfig}, d.env)
	cmd.Stderr = log
	detach(cmd)
	dieWithParent(cmd, syscall.SIGKILL)
	if d.bot, err = startProcess(cmd); err != nil {
		return fmt.Errorf("starting the assistant: %w", err)
	}
	d.url, err = d.bot.expect(ctx, "FIRSTMATE_URL=", botStart)
	if err != nil {
		return fmt.Errorf("the assistant did not start: %w%s", err, lastLines(d.logFile(), 15))
	}
	if err := d.wireAlerts(password); err != nil {
		return err
	}
	d.announce("FIRSTMATE_URL=" + d.url)
	return nil
}

// wireAlerts tells Alertmanager where the assistant is. It is known only now: the
// assistant took whatever port was free.
func (d *demo) wireAlerts(password string) error {
	to, err := url.Parse(d.url)
	if err != nil {
		return err
	}
	to.User, to.Path = url.UserPassword("alertmanager", password), "/webhooks/alertmanager"
	file := filepath.Join(filepath.Dir(d.kubeconfig), "alert-webhook")
	// It may be read at any time: never half of it.
	if err := os.WriteFile(file+".new", []byte(to.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func (d *demo) configFile() string { return filepath.Join(d.dir, "firstmate.yaml") }
func (d *demo) logFile() string    { return filepath.Join(d.dir, "bot.log") }

func (d *demo) botArgs(listen string) []string {
	return []string{"serve", "--config", d.configFile(), "--listen", listen}
}

// wait returns when the demo should end. It survives the assistant, so that
// somebody may kill that, start it again and see what it remembers.
func (d *demo) wait(ctx context.Context) error {
	bot := d.bot.done
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.sandbox.done:
			return fmt.Errorf("the sandbox ended by itself: %w", d.sandbox.failure())
		case <-bot:
			fmt.Fprint(os.Stderr, d.botEnded())
			bot = nil
		}
	}
}

// botEnded says how to start the assistant again where it was.
func (d *demo) botEnded() string {
	listen := "127.0.0.1:0"
	if u, err := url.Parse(d.url); err == nil && u.Host != "" {
		listen = u.Host
	}
	return fmt.Sprintf("demo: the assistant ended by itself: %v (its log is %s). The sandbox runs on; to start the assistant again:\n\n  %s %s\n\n",
		d.bot.failure(), d.logFile(), strings.Join(append([]string{"KUBECONFIG=" + quote(d.kubeconfig)}, d.env...), " "), quote(append([]string{d.programs.bot}, d.botArgs(listen)...)...))
}

// chat runs the assistant's chat in this terminal until it ends.
func (d *demo) chat(ctx context.Context) error {
	fmt.Printf(banner, d.url, quote(d.kubeconfig), d.programs.kubectl)
	for _, line := range d.env {
		fmt.Println("  " + line)
	}
	fmt.Println()
	cmd := exec.Command(d.programs.bot, "chat")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "KUBECONFIG="+d.kubeconfig, "FIRSTMATE_URL="+d.url)
	dieWithParent(cmd, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the chat: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	bot := d.bot.done
	for {
		select {
		case err := <-ended:
			if ctx.Err() != nil {
				return nil // Ctrl-C reached both
			}
			if err != nil {
				return fmt.Errorf("the chat: %w", err)
			}
			return nil
		case <-ctx.Done():
			// The terminal sends Ctrl-C to the chat as well, SIGTERM comes here only.
			cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-ended:
			case <-time.After(2 * time.Second):
				cmd.Process.Kill()
				<-ended
			}
			return nil
		case <-d.sandbox.done:
			cmd.Process.Signal(syscall.SIGTERM)
			<-ended
			return fmt.Errorf("the sandbox ended by itself: %w", d.sandbox.failure())
		case <-bot:
			fmt.Fprint(os.Stderr, "\n", d.botEnded())
			bot = nil
		}
	}
}

// stop ends the assistant, then the cluster it talks to.
func (d *demo) stop() {
	for _, p := range []struct {
		*process
		patience time.Duration
		name     string
	}{{d.carrier, botStop, "the carrier"}, {d.bot, botStop, "the assistant"}, {d.sandbox, sandboxStop, "the sandbox"}} {
		if p.process == nil {
			continue
		}
		if !p.terminate(p.patience) {
			fmt.Fprintf(os.Stderr, "demo: %s did not stop within %s and was killed\n", p.name, p.patience)
		}
	}
}

// lastLines is the end of a file that is about to be removed.
func lastLines(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return "\n  its log ends with:\n  | " + strings.Join(lines[max(0, len(lines)-n):], "\n  | ")
}

// quote makes words safe to paste into a shell.
func quote(words ...string) string {
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n\"'`$\\*?[](){}<>|&;!#~") {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

var errTooLong = errors.New("it took too long")
