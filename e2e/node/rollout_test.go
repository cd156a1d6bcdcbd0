package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// workers is how many request at once, and pause what each rests in between.
const (
	workers = 8
	pause   = 20 * time.Millisecond
)

// need skips where there is no node, and says how to have one.
func need(t *testing.T) *node {
	t.Helper()
	if here == nil {
		t.Skip("needs a real node: run make test-node as root")
	}
	return here
}

// TestARolloutUnderLoadFailsNoRequest is the keynote's claim: somebody says it by
// the voice webhook, and nobody who uses the service notices.
func TestARolloutUnderLoadFailsNoRequest(t *testing.T) {
	n := need(t)
	b := n.serve(t)
	for i := range 5 {
		version := []string{"v2", "v1"}[i%2]
		l := startLoad("http://10.96.0.80/", i >= 3) // the last two keep their connections
		took := b.rollOut(t, n, "hello", version)
		got := l.end()
		t.Logf("hello, which drains, run %d: roll-out of %s in %v: %s", i+1, version, took.Round(100*time.Millisecond), got)
		if got.failed != 0 || got.answers[version] == 0 {
			t.Errorf("run %d: %s", i+1, got)
		}
	}
}

// TestLogsAreOneStreamMeanwhile reads the lines of all pods of a workload, merged
// in the order of time, while its pods are replaced.
func TestLogsAreOneStreamMeanwhile(t *testing.T) {
	n := need(t)
	b := n.serve(t)
	l := startLoad("http://10.96.0.80/", false)
	defer l.end()
	b.say(t, "roll out v3 of hello")
	b.say(t, "yes")
	pods := map[string]bool{}
	err := within(t.Context(), time.Minute, func() error {
		lines := b.lines(t, "tail the last 200 lines of hello")
		for i, line := range lines {
			pods[line.Pod] = true
			if i > 0 && line.At.Before(lines[i-1].At) {
				t.Fatalf("line %d of %s comes after one of %s", i, line.At, lines[i-1].At)
			}
		}
		if len(pods) <= 3 { // old ones and new ones
			return fmt.Errorf("%d lines of %d pods", len(lines), len(pods))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("hello, logs while it is rolled out: lines of %d pods, in the order of time", len(pods))
	if _, err := n.kubectl(t.Context(), "", "rollout", "status", "deployment/hello", "--timeout=120s"); err != nil {
		t.Error(err)
	}
}

// lines asks through the API and returns the lines of a log that are shown.
func (b *bot) lines(t *testing.T, text string) []observability.LogLine {
	t.Helper()
	r, err := web.NewClient(b.url, "", &http.Client{}).Turn(t.Context(), "lines", text, "")
	if err != nil {
		t.Fatal(err)
	}
	var out []observability.LogLine
	for _, block := range r.Blocks {
		out = append(out, block.Lines...)
	}
	return out
}

// TestWhoCannotDrainIsWarnedAbout holds that it is said before anybody says yes.
func TestWhoCannotDrainIsWarnedAbout(t *testing.T) {
	n := need(t)
	b := n.serve(t)
	for name, warned := range map[string]bool{"hello": false, "blunt": true} {
		said := b.say(t, "roll out v3 of "+name)
		if strings.Contains(said, "already") {
			said = b.say(t, "roll out v1 of "+name)
		}
		if strings.Contains(said, "A few requests may fail this time") != warned || strings.Contains(said, "without it") != warned || !strings.Contains(said, "Shall I") {
			t.Errorf("of %s is said: %s", name, said)
		}
		b.say(t, "no")
	}
}

// TestWhoCannotDrainFailsRequests is the other one: the same program without a
// wait before it stops.
func TestWhoCannotDrainFailsRequests(t *testing.T) {
	n := need(t)
	b := n.serve(t)
	failed := 0
	for i := range 5 {
		version := []string{"v2", "v1"}[i%2]
		l := startLoad("http://10.96.0.81/", i >= 3)
		took := b.rollOut(t, n, "blunt", version, "without it")
		got := l.end()
		t.Logf("blunt, which does not, run %d: roll-out of %s in %v: %s", i+1, version, took.Round(100*time.Millisecond), got)
		failed += got.failed
	}
	if failed == 0 {
		t.Error("no request failed: then nobody need be warned")
	}
}

// TestTheRemedyHelps says yes to the wait that is offered with a version. The pods
// that stop then have none yet, and that is said; those after them refuse nobody.
// One request in a thousand may be late where the machine is: the wait is for a
// proxy that keeps up.
func TestTheRemedyHelps(t *testing.T) {
	n := need(t)
	b := n.serve(t)
	runs, err := n.kubectl(t.Context(), "", "get", "deployment/blunt", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	if err != nil {
		t.Fatal(err)
	}
	versions := []string{"v2", "v1", "v2", "v1"}
	if strings.HasSuffix(strings.TrimSpace(runs), ":v2") {
		slices.Reverse(versions)
	}
	for i, version := range versions {
		l := startLoad("http://10.96.0.81/", i == 3)
		took := b.rollOut(t, n, "blunt", version)
		got := l.end()
		t.Logf("blunt, with the remedy, run %d: roll-out of %s in %v: %s", i, version, took.Round(100*time.Millisecond), got)
		if i > 0 && 1000*got.failed > got.requests || got.answers[version] == 0 {
			t.Errorf("run %d: %s", i, got)
		}
		hook, err := n.kubectl(t.Context(), "", "get", "deployment/blunt", "-o", "jsonpath={.spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds}")
		if err != nil || strings.TrimSpace(hook) != "3" {
			t.Errorf("run %d: waits %q, %v", i, hook, err)
		}
	}
}

// rollOut says that a version is to be rolled out, says yes, and returns how
// long it took until all pods are new and the old ones gone.
func (b *bot) rollOut(t *testing.T, n *node, name, version string, answers ...string) time.Duration {
	t.Helper()
	began := time.Now()
	if said := b.say(t, "roll out "+version+" of "+name); !strings.Contains(said, "Shall I") {
		t.Fatalf("asked for %s: %s", version, said)
	}
	for _, answer := range answers {
		if said := b.say(t, answer); !strings.Contains(said, "Shall I") {
			t.Fatalf("to %q is said: %s", answer, said)
		}
	}
	b.say(t, "yes")
	if _, err := n.kubectl(t.Context(), "", "rollout", "status", "deployment/"+name, "--timeout=120s"); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	if err := within(t.Context(), time.Minute, func() error {
		out, err := n.kubectl(t.Context(), "", "get", "pods", "-l", "app="+name, "-o", "jsonpath={.items[*].spec.containers[0].image}")
		if images := strings.Fields(out); err == nil && (len(images) != 3 || slices.ContainsFunc(images, func(s string) bool { return !strings.HasSuffix(s, ":"+version) })) {
			err = fmt.Errorf("pods run %v", images)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := within(t.Context(), time.Minute, func() error {
		if said := b.say(t, "how is "+name+"?"); !strings.Contains(said, "fine") || !strings.Contains(said, version) {
			return fmt.Errorf("the end of it is told so: %s", said)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return took
}

// say says something through the Dialogflow webhook, with Google's own sample
// of a request, and returns what is spoken.
func (b *bot) say(t *testing.T, text string) string {
	t.Helper()
	sample, err := os.ReadFile(filepath.Join("..", "..", "internal", "channel", "dialogflow", "testdata", "request.json"))
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(sample, &body); err != nil {
		t.Fatal(err)
	}
	body["responseId"] = rand.Text()
	body["queryResult"].(map[string]any)["queryText"] = text
	out, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/webhooks/dialogflow/es", bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("node", "node")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %v: %s", resp.StatusCode, err, got)
	}
	var answer struct{ FulfillmentText string }
	if err := json.Unmarshal(got, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.FulfillmentText
}

// load is workers that request until they are told to stop.
type load struct {
	stop context.CancelFunc
	wg   sync.WaitGroup
	mu   sync.Mutex
	seen tally
}

// tally is what came of the requests.
type tally struct {
	requests, failed int
	slowest          time.Duration
	answers          map[string]int // by the version that answered
	errors           map[string]int
}

func (t tally) String() string {
	return fmt.Sprintf("%d of %d requests failed, slowest %v, answered %v %v", t.failed, t.requests, t.slowest.Round(time.Millisecond), t.answers, t.errors)
}

// startLoad begins to request; keep is whether connections are kept.
func startLoad(url string, keep bool) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop, seen: tally{answers: map[string]int{}, errors: map[string]int{}}}
	for range workers {
		l.wg.Go(func() {
			c := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: !keep}}
			defer c.CloseIdleConnections()
			for ctx.Err() == nil {
				l.request(c, url)
				time.Sleep(pause)
			}
		})
	}
	time.Sleep(time.Second) // some from before the roll-out
	return l
}

func (l *load) request(c *http.Client, url string) {
	began := time.Now()
	version, err := get(c, url)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen.requests++
	l.seen.slowest = max(l.seen.slowest, time.Since(began))
	if err != nil {
		l.seen.failed++
		s := err.Error()
		l.seen.errors[s[strings.LastIndex(s, ": ")+1:]]++
		return
	}
	l.seen.answers[version]++
}

// get returns the version that answered.
func get(c *http.Client, url string) (string, error) {
	r, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	version, _, _ := strings.Cut(string(b), " ")
	if r.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", r.StatusCode)
	}
	return version, nil
}

// end stops and tells.
func (l *load) end() tally {
	time.Sleep(time.Second) // some from after it
	l.stop()
	l.wg.Wait()
	return l.seen
}
