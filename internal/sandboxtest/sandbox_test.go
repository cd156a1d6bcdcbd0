package sandboxtest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

var sandbox *sandboxtest.Sandbox

func TestMain(m *testing.M) {
	os.Exit(sandboxtest.Main(m, func(s *sandboxtest.Sandbox) { sandbox = s }, "--empty"))
}

func TestKubectlSpeaksToTheSandbox(t *testing.T) {
	sandboxtest.Need(t, sandbox)
	out, err := sandbox.Kubectl(t.Context(), "", "get", "nodes", "-o", "name")
	if err != nil || strings.Count(out, "node/") != 3 {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := sandbox.Kubectl(t.Context(), "", "get", "nonsense"); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("a failing kubectl gives %v", err)
	}
}
