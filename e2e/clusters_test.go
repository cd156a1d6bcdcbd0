package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// twoClusters is the configuration of bot serve over the sandbox and another.
const twoClusters = settings + `
kubernetes:
  namespace: NAMESPACE
  clusters:
    - {name: prod-eu, kubeconfig: "FIRST", aliases: [europe]}
    - {name: prod-us, kubeconfig: "SECOND", aliases: [america]}
`

// clusters starts a second control plane, of one node, with a namespace of the
// same name in it where nobody has rights yet, and has bot look after both.
func clusters(s *script, ts *testscript.TestScript, _ bool, _ []string) error {
	second, err := sandboxtest.Another("--empty", "--nodes", "1")
	if err != nil {
		return err
	}
	s.second = second
	ts.Defer(func() {
		if err := second.Stop(); err != nil {
			ts.Logf("the second cluster: %v", err)
		}
	})
	ctx := context.Background()
	for _, args := range [][]string{
		{"create", "namespace", s.namespace},
		{"-n", s.namespace, "wait", "--for=create", "serviceaccount/default"},
		{"-n", s.namespace, "create", "deployment", "web", "--replicas=2", "--image=registry.example.com/shop/web:2.0"},
		{"-n", s.namespace, "create", "deployment", "orders", "--image=registry.example.com/shop/orders:1.0"},
		{"-n", s.namespace, "rollout", "status", "deployment", "--timeout=60s"},
	} {
		if _, err := second.Kubectl(ctx, "", args...); err != nil {
			return err
		}
	}
	text := strings.NewReplacer("FIRST", sandbox.Kubeconfig, "SECOND", second.Kubeconfig, "NAMESPACE", s.namespace).Replace(twoClusters)
	return os.WriteFile(filepath.Join(s.dir, "firstmate.yaml"), []byte(text), 0o600)
}

// runSecond is kubectl on the second cluster.
func runSecond(s *script, ts *testscript.TestScript, _ bool, args []string) error {
	if s.second == nil {
		return errors.New("there is no second cluster: say clusters first")
	}
	input, operators := "", args[0] == "operators"
	if operators { // lets people change what is in the namespace
		place, err := os.ReadFile(filepath.Join("testdata", "namespace.yaml"))
		if err != nil {
			return err
		}
		input, args = strings.NewReplacer("NAMESPACE", s.namespace, "ROLE", "edit").Replace(string(place)), []string{"apply", "-f", "-"}
	}
	out, err := s.second.Kubectl(context.Background(), input, append([]string{"-n", s.namespace}, args...)...)
	fmt.Fprintln(ts.Stdout(), out)
	if err != nil || !operators {
		return err
	}
	// The API server counts new rights a moment later.
	for range 100 {
		out, err = s.second.Kubectl(context.Background(), "", "-n", s.namespace, "auth", "can-i", "patch", "deployments.apps", "--as=demo", "--as-group=shop-operators")
		if strings.HasPrefix(out, "yes") {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("operators have no rights in the second cluster: %s %w", out, err)
}

// powerCut ends the second cluster without a word. What it said just before
// counts for a moment.
func powerCut(s *script, _ *testscript.TestScript, _ bool, _ []string) error {
	defer time.Sleep(500 * time.Millisecond)
	return s.second.Kill()
}

// sayWithin says something that must be answered in a time.
func sayWithin(s *script, ts *testscript.TestScript, neg bool, args []string) error {
	limit, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	began := time.Now()
	if err := say(s, ts, neg, args[1:]); err != nil {
		return err
	}
	if took := time.Since(began); took > limit {
		return fmt.Errorf("that took %v", took)
	}
	return nil
}

// metric looks for a line of /metrics.
func metric(s *script, _ *testscript.TestScript, _ bool, args []string) error {
	url, err := s.url(context.Background())
	if err != nil {
		return err
	}
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return matches(string(b), args[0], false)
}
