package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

var (
	sandbox *sandboxtest.Sandbox // nil with -short
	program string               // the path of bot
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "firstmate-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
		}
	}()
	defer func() {
		if err := postgres.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
		}
	}()
	return sandboxtest.Main(built{m, dir}, func(s *sandboxtest.Sandbox) { sandbox = s }, "--empty")
}

// built builds bot before the tests run, if they will need it.
type built struct {
	m   *testing.M
	dir string
}

// Run builds and runs.
func (b built) Run() int {
	if !testing.Short() {
		program = filepath.Join(b.dir, "bot")
		out, err := exec.Command("go", "build", "-o", program, "../cmd/bot").CombinedOutput()
		if err != nil {
			fmt.Fprintf(os.Stderr, "e2e: building bot: %v\n%s", err, out)
			return 1
		}
		if err := moreAtOnce(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
	}
	return b.m.Run()
}

// moreAtOnce lets more scripts run at once than there are processors, unless
// -parallel says how many: most of the time they wait for the cluster.
func moreAtOnce() error {
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if said {
		return nil
	}
	return flag.Set("test.parallel", "4")
}

// kubectl asks or changes the cluster as its administrator.
func kubectl(ctx context.Context, input string, args ...string) (string, error) {
	return sandbox.Kubectl(ctx, input, args...)
}
