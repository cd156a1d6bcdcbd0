package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestQuote(t *testing.T) {
	if got, want := quote("/a/b", "it's", "", "--listen", "127.0.0.1:0"), `/a/b 'it'\''s' '' --listen 127.0.0.1:0`; got != want {
		t.Errorf("quote() = %s, want %s", got, want)
	}
}

func TestBotEndedSaysHowToStartAgain(t *testing.T) {
	d := &demo{url: "http://127.0.0.1:4711", kubeconfig: "/s/kubeconfig", dir: "/s/bot", programs: programs{bot: "/c/bot"}, bot: &process{}}
	want := "KUBECONFIG=/s/kubeconfig /c/bot serve --config /s/bot/firstmate.yaml --listen 127.0.0.1:4711\n"
	if got := d.botEnded(); !strings.Contains(got, want) {
		t.Errorf("botEnded() = %s", got)
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"--headless", "--pods", "7", "--dir=x"})
	if err != nil || !o.headless || o.pods != 7 || o.dir != "x" {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := parse([]string{"chat"}); err != errUsage {
		t.Errorf("an argument that is not a flag: %v", err)
	}
}

func TestProcess(t *testing.T) {
	start := func(script string) *process {
		t.Helper()
		cmd := exec.Command("sh", "-c", script)
		detach(cmd)
		p, err := startProcess(cmd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.terminate(time.Second) })
		return p
	}
	ctx := context.Background()

	p := start("echo noise; echo URL=here; exec sleep 60")
	if got, err := p.expect(ctx, "URL=", 10*time.Second); got != "here" || err != nil {
		t.Errorf("expect() = %q, %v", got, err)
	}
	if _, err := p.expect(ctx, "URL=", 50*time.Millisecond); err != errTooLong {
		t.Errorf("waiting for what does not come: %v", err)
	}
	if !p.terminate(10 * time.Second) {
		t.Error("SIGTERM did not stop it")
	}

	if _, err := start("exit 3").expect(ctx, "URL=", 10*time.Second); err == nil || err.Error() != "exit status 3" {
		t.Errorf("a process that ends: %v", err)
	}
	if start("trap '' TERM; echo up; while :; do sleep 0.1; done").terminate(300 * time.Millisecond) {
		// The trap may not be set yet when the signal comes: nothing to learn then.
		t.Log("stopped before it could refuse to")
	}
}

func TestLastLines(t *testing.T) {
	p := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(p, []byte("one\ntwo\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := lastLines(p, 2); strings.Contains(got, "one") || !strings.HasSuffix(got, "| two\n  | three") {
		t.Errorf("lastLines() = %q", got)
	}
}
