package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/postgrestest"
)

// postgres is started by the first test that needs it.
var postgres postgrestest.Server

// takeover is how long it may take until another replica leads where one died,
// on a busy machine: the life of a Lease is five seconds.
const takeover = 20 * time.Second

// depot takes a while to roll out.
const depot = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: depot}
spec:
  replicas: 3
  strategy: {rollingUpdate: {maxSurge: 100%}}
  selector: {matchLabels: {app: depot}}
  template:
    metadata: {labels: {app: depot}, annotations: {sandbox/ready-delay: 9s}}
    spec: {containers: [{name: depot, image: "registry.example.com/shop/depot:v1"}]}
`

// TestReplicas runs two of the program on one PostgreSQL, elected by a Lease.
func TestReplicas(t *testing.T) {
	dsn := postgres.DSN(t)
	first := worldOf(t, "t-replicas")
	both := []*world{first, {namespace: first.namespace, dir: t.TempDir(), conversations: map[string]*conversation{}}}
	for _, w := range both {
		w.env = []string{"FIRSTMATE_STATE_POSTGRES=" + dsn, "FIRSTMATE_REPLICAS_LEASE=" + first.namespace + "/firstmate"}
		if err := w.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := w.crash(); err != nil {
				t.Error(err)
			}
			if log, err := os.ReadFile(filepath.Join(w.dir, "bot.log")); t.Failed() && err == nil {
				t.Logf("bot serve said:\n%s", log)
			}
		})
	}
	ctx := t.Context()
	for _, args := range [][]string{{"apply", "-f", "-"}, {"rollout", "status", "deployment/depot"}} {
		if _, err := kubectl(ctx, depot, append([]string{"-n", first.namespace}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	leader, follower := leading(t, both)

	// Who is asked does not matter, nor that it changes between two sentences.
	asked := follower.conversation("main")
	for _, text := range []string{"scale web to five", "yes"} {
		if err := asked.say(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := asked.outcome(ctx, "done", regexp.MustCompile("5 of 5")); err != nil {
		t.Error(err)
	}
	if err := follower.conversation("two").say(ctx, "roll out 2.1 of cart"); err != nil {
		t.Fatal(err)
	}
	there := leader.conversation("two")
	if err := there.say(ctx, "yes"); err != nil {
		t.Fatal(err)
	}
	if err := follower.conversation("two").outcome(ctx, "done", regexp.MustCompile("cart")); err != nil {
		t.Error(err)
	}
	if err := there.outcome(ctx, "done", regexp.MustCompile("cart")); err != nil {
		t.Error(err)
	}

	// Progress reaches who listens elsewhere, and when the leader dies while a
	// roll-out runs, the other goes on with it.
	for _, text := range []string{"roll out v2 of depot", "yes"} {
		if err := asked.say(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := asked.progress(regexp.MustCompile("depot")); err != nil {
		t.Error(err)
	}
	if err := leader.crash(); err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	for !leads(t, follower) {
		if time.Sleep(50 * time.Millisecond); time.Since(died) > takeover {
			t.Fatalf("nobody leads %v after the leader died", time.Since(died))
		}
	}
	t.Logf("another leads %v after the leader died", time.Since(died).Round(100*time.Millisecond))
	if err := asked.outcome(ctx, "done", regexp.MustCompile("depot is on v2")); err != nil {
		t.Error(err)
	}
	if err := asked.quiet(ctx); err != nil {
		t.Error(err)
	}
	told, err := asked.outcomes(ctx)
	if err != nil || len(told) != 2 {
		t.Errorf("%d outcomes are kept, %v:\n%s", len(told), err, wording(told))
	}
	if generation, err := first.kubectl(ctx, "get", "deployment/depot", "-o", "jsonpath={.metadata.generation}"); err != nil || generation != "2" {
		t.Errorf("depot was changed to generation %s, not 2 (%v)", generation, err)
	}

	// A leader that is told to stop gives the Lease back.
	if err := leader.start(ctx); err != nil {
		t.Fatal(err)
	}
	leader, follower = leading(t, both)
	begun := time.Now()
	if err := leader.shutdown(); err != nil {
		t.Fatal(err)
	}
	for !leads(t, follower) {
		if time.Sleep(20 * time.Millisecond); time.Since(begun) > takeover {
			t.Fatal("nobody leads after the leader stopped")
		}
	}
	t.Logf("another leads %v after the leader was told to stop", time.Since(begun).Round(100*time.Millisecond))
	c := follower.conversation("three")
	for _, text := range []string{"restart web", "yes"} {
		if err := c.say(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.outcome(ctx, "done", regexp.MustCompile("web")); err != nil {
		t.Error(err)
	}
}

// leading waits until one of two leads, and both agree which.
func leading(t *testing.T, both []*world) (leader, follower *world) {
	t.Helper()
	var said []string
	for end := time.Now().Add(takeover); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		a, b := metricsOf(t, both[0]), metricsOf(t, both[1])
		said = []string{a, b}
		if holder(a) == "" || holder(a) != holder(b) {
			continue
		}
		switch la, lb := strings.Contains(a, "\nfirstmate_leader 1\n"), strings.Contains(b, "\nfirstmate_leader 1\n"); {
		case la && lb:
			t.Fatal("both lead")
		case la:
			return both[0], both[1]
		case lb:
			return both[1], both[0]
		}
	}
	t.Fatalf("nobody leads: %q and %q", holder(said[0]), holder(said[1]))
	return nil, nil
}

func leads(t *testing.T, w *world) bool {
	return strings.Contains(metricsOf(t, w), "\nfirstmate_leader 1\n")
}

func holder(metrics string) string {
	m := regexp.MustCompile(`firstmate_leader_info\{holder="([^"]+)"\} 1`).FindStringSubmatch(metrics)
	if m == nil {
		return ""
	}
	return m[1]
}

func metricsOf(t *testing.T, w *world) string {
	t.Helper()
	url, err := w.url(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := fetch(t.Context(), url+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func fetch(ctx context.Context, url string) (text string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(b), err
}
