package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/firstmate-ops/firstmate/internal/observability/promtest"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

// guarded is the configuration with which new versions are watched: where the name
// of a script says so, what follows from that is done without a question.
const guarded = settings + `
observability: {prometheus: {url: "PROMETHEUS"}}
rollouts: {bake_for: 20s, auto_rollback: ["g-auto-*"], auto_promote: ["g-auto-*"]}
`

// TestGuardedRollouts has roll-outs by sentences watched by a real Prometheus, which
// has the requests of the pods that run: what a version does is in its tag.
func TestGuardedRollouts(t *testing.T) {
	sandboxtest.Need(t, sandbox)
	t.Parallel()
	s := sandboxtest.Prometheus(t)
	sendRequests(t, s.URL)
	t.Run("scripts", func(t *testing.T) {
		converse(t, testscript.Params{Dir: "testdata/gate", Setup: func(env *testscript.Env) error {
			if err := setUp(env, "g-", rights{config: strings.ReplaceAll(guarded, "PROMETHEUS", s.URL)}); err != nil {
				return err
			}
			time.Sleep(pastNeeded)
			return nil
		}})
	})
}

const (
	// scrape is how often the pods are looked at.
	scrape = 500 * time.Millisecond
	// pastNeeded is how long a version runs before it is replaced: that it is
	// compared with something.
	pastNeeded = 15 * time.Second
	// load is how many requests a second a Service gets.
	load = 60.0
)

// behaviour is how a version answers: the part of the requests that fail, and
// how long the slowest take.
func behaviour(tag string) (fails, took float64) {
	switch {
	case strings.HasPrefix(tag, "v3.0"):
		return 0.12, 0.15
	case strings.HasPrefix(tag, "v3.1"):
		return 0.002, 0.7
	}
	return 0.002, 0.15
}

// podList is what is needed of the API's.
type podList struct {
	Items []struct {
		Metadata struct {
			Namespace, Name   string
			Labels            map[string]string
			DeletionTimestamp *time.Time
		}
		Spec   struct{ Containers []struct{ Image string } }
		Status struct{ ContainerStatuses []struct{ Ready bool } }
	}
}

// counters is what a pod has counted.
type counters struct{ ok, failed, quick, slow float64 }

// sendRequests has the ready pods of the scripts count requests, of which their
// Service sends each the same part, until the test ends.
func sendRequests(t *testing.T, prometheus string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // of a TCP listener
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = kubectl(ctx, "", "proxy", fmt.Sprintf("--port=%d", port)) // ends with ctx, which is an error
	})
	wg.Go(func() {
		rng, counted := rand.New(rand.NewPCG(1, 1)), map[string]*counters{}
		var last time.Time
		for tick := time.Tick(scrape / 5); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick:
			}
			at := time.Now().Truncate(scrape)
			if !at.After(last) {
				continue
			}
			last = at
			pods, err := readyPods(ctx, fmt.Sprintf("http://127.0.0.1:%d/api/v1/pods", port))
			if err != nil {
				continue // the proxy starts, or all is over
			}
			if err := promtest.Write(ctx, prometheus, count(pods, counted, rng, at)...); err != nil && ctx.Err() == nil {
				t.Errorf("samples not written: %v", err)
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

func readyPods(ctx context.Context, url string) (podList, error) {
	var out podList
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return out, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return out, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end, or of no use
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

// count has each ready pod count the requests of one scrape.
func count(pods podList, counted map[string]*counters, rng *rand.Rand, at time.Time) []promtest.Series {
	app := func(i int) string {
		return pods.Items[i].Metadata.Namespace + "/" + pods.Items[i].Metadata.Labels["app"]
	}
	ready := map[string]int{}
	var serving []int
	for i, p := range pods.Items {
		s := p.Status.ContainerStatuses
		if strings.HasPrefix(p.Metadata.Namespace, "g-") && p.Metadata.DeletionTimestamp == nil && len(s) == 1 && s[0].Ready && p.Metadata.Labels["app"] != "" {
			serving = append(serving, i)
			ready[app(i)]++
		}
	}
	var out []promtest.Series
	for _, i := range serving {
		p := pods.Items[i]
		_, tag, _ := strings.Cut(p.Spec.Containers[0].Image, ":")
		fails, took := behaviour(tag)
		c := counted[p.Metadata.Namespace+"/"+p.Metadata.Name]
		if c == nil {
			c = &counters{}
			counted[p.Metadata.Namespace+"/"+p.Metadata.Name] = c
		}
		n := load * scrape.Seconds() / float64(ready[app(i)]) * (0.9 + 0.2*rng.Float64())
		c.ok, c.failed = c.ok+n*(1-fails), c.failed+n*fails*(0.8+0.4*rng.Float64())
		c.quick, c.slow = c.quick+0.98*n, c.slow+0.02*n
		line := func(name string, v float64, more ...string) {
			labels := map[string]string{
				"__name__": "http_request_duration_seconds_" + name, "namespace": p.Metadata.Namespace, "pod": p.Metadata.Name,
				"service": p.Metadata.Labels["app"], "version": tag,
			}
			for j := 0; j < len(more); j += 2 {
				labels[more[j]] = more[j+1]
			}
			out = append(out, promtest.Series{Labels: labels, Samples: []promtest.Sample{{At: at, Value: v}}})
		}
		line("count", c.ok, "code", "200")
		line("count", c.failed, "code", "500")
		for _, le := range []float64{0.1, 0.2, 0.4, 0.8} {
			v := c.quick
			if took <= le {
				v += c.slow
			}
			line("bucket", v, "code", "200", "le", fmt.Sprint(le))
		}
		line("bucket", c.quick+c.slow, "code", "200", "le", "+Inf")
	}
	return out
}
