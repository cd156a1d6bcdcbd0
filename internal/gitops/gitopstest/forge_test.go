package gitopstest

import (
	"fmt"
	"os"
	"os/signal"
	"testing"
	"time"
)

// TestServe lets another program look at the forge: with FORGE_SECONDS set it
// prints where it is, and waits. One pull request is open.
func TestServe(t *testing.T) {
	f, err := New(t.TempDir(), "secret")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	if err := f.Create("acme/deploy", map[string]string{"a.yaml": "a: 1\n"}); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Show("acme/deploy", "main", "a.yaml"); err != nil || got != "a: 1\n" {
		t.Fatalf("%q %v", got, err)
	}
	d, err := time.ParseDuration(os.Getenv("FORGE_FOR"))
	if err != nil {
		return // nobody asked for it
	}
	if err := f.inClone("acme/deploy", "main", func(dir string) error {
		_, err := f.git(dir, "push", "-q", "origin", "HEAD:refs/heads/firstmate/x")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(os.Stderr, "FORGE="+f.URL)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	select {
	case <-time.After(d):
	case <-stop:
	}
}
