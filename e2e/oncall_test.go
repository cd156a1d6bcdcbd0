package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/phone/carriertest"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
)

const (
	annsNumber, bobsNumber = "+436641000001", "+436641000002"
	annsPIN                = "2580"
)

// nightSettings is the configuration of bot serve at night: %[1]s is where
// firstmate listens, %[2]s the carrier's API, %[3]s the folder.
const nightSettings = `
state: {path: %[3]s/firstmate.db}
access:
  people:
    - {name: ann, speakers: ["phone:` + annsNumber + `"], user: demo, groups: [shop-operators], write: true, pin_hash: "$argon2id$v=19$m=19456,t=2,p=1$Czcnba6Fa8MZRjHHapgkRw$ukxWj5RqTSj9Bmt9BzBb0rlZ9aGbAmbwhOPYMmGuNQw"}
    - {name: bob, speakers: ["phone:` + bobsNumber + `"], user: demo, groups: [shop-operators], write: true, pin_hash: "$argon2id$v=19$m=19456,t=2,p=1$Czcnba6Fa8MZRjHHapgkRw$ukxWj5RqTSj9Bmt9BzBb0rlZ9aGbAmbwhOPYMmGuNQw"}
phone: {account: AC00000000000000000000000000000001, token: secret, numbers: ["+15005550001"], public_url: "http://%[1]s", api_url: "%[2]s"}
alerts: {username: alertmanager, password: e2e}
oncall: {file: %[3]s/oncall.yaml}
`

const nightPlan = `
people: {ann: {phone: "` + annsNumber + `"}, bob: {phone: "` + bobsNumber + `"}}
schedules:
  - {name: primary, layers: [{people: [ann], from: 2026-01-01}]}
  - {name: secondary, layers: [{people: [bob], from: 2026-01-01}]}
escalation: [{ring: [primary], tries: 1, wait: 1m}, {ring: [secondary], tries: 1}]
rings: [{severity: [critical]}]
`

// night is a sandbox that is watched, a bot serve that calls people when
// something is wrong there, and the carrier it calls through.
type night struct {
	t       *testing.T
	sandbox *sandboxtest.Sandbox
	carrier *carriertest.Carrier
	bot     *server
	dir     string
}

func newNight(t *testing.T) *night {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the sandbox: run without -short")
	}
	n := &night{t: t, dir: t.TempDir()}
	n.sandbox = sandboxtest.WithServers(t, []string{"prometheus", "alertmanager"}, "--alert-webhook-later", "--history", "15m", "--scrape-interval", "5s")
	began := time.Now()
	n.carrier = carriertest.New(carriertest.Config{
		Account: "AC00000000000000000000000000000001", Token: "secret", Pace: 1,
		Show: func(line string) { t.Logf("%6.1f s %s", time.Since(began).Seconds(), line) },
	})
	t.Cleanup(n.carrier.Close)
	api := httptest.NewServer(n.carrier)
	t.Cleanup(api.Close)
	at := freeAddress(t)
	for name, text := range map[string]string{"firstmate.yaml": fmt.Sprintf(nightSettings, at, api.URL, n.dir), "oncall.yaml": nightPlan} {
		if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(n.dir, "firstmate.yaml")
	env := append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.dir, "KUBECONFIG=" + n.sandbox.Kubeconfig}, n.sandbox.Env...)
	var err error
	if n.bot, err = startServer(t.Context(), []string{"serve", "--config", config, "--listen", at}, env, filepath.Join(n.dir, "bot.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.bot.terminate(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(n.dir, "bot.log")) // only to explain
			t.Logf("bot serve:\n%s", log)
		}
	})
	hook, err := url.Parse(n.bot.url)
	if err != nil {
		t.Fatal(err)
	}
	hook.User, hook.Path = url.UserPassword("alertmanager", "e2e"), "/webhooks/alertmanager"
	file := filepath.Join(filepath.Dir(n.sandbox.Kubeconfig), "alert-webhook")
	if err := os.WriteFile(file+".new", []byte(hook.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	return n
}

// fault switches a fault of the sandbox on or off.
func (n *night) fault(method, name string) {
	n.t.Helper()
	at := ""
	for _, line := range n.sandbox.Env {
		if v, ok := strings.CutPrefix(line, "SANDBOX_URL="); ok {
			at = v
		}
	}
	req, err := http.NewRequestWithContext(n.t.Context(), method, at+"/faults/"+name, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode >= 300 {
		n.t.Fatalf("switching %s: %s %v", name, resp.Status, err)
	}
}

// image is what checkout runs.
func (n *night) image() string {
	n.t.Helper()
	out, err := n.sandbox.Kubectl(n.t.Context(), "", "-n", "shop", "get", "deployment", "checkout", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// line is the time-line as the incident channel has it.
func (n *night) line() []string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 5*time.Second)
	defer cancel()
	var out []string
	client := web.NewClient(n.bot.url, "", http.DefaultClient)
	for ev, err := range client.Events(ctx, "incidents", 0) {
		if err != nil {
			break // the time is up: it goes on for as long as one listens
		}
		if ev.Kind == dialogue.EventOutcome {
			out = append(out, ev.Reply.Text)
		}
	}
	return out
}

// TestTheCallAtThree: a release fails, Prometheus notices, Alertmanager tells,
// whoever is on call is rung, hears why, has it rolled back, and hears that
// errors are back to normal.
func TestTheCallAtThree(t *testing.T) {
	n := newNight(t)
	before := n.image()
	person, err := carriertest.Script(
		carriertest.Line{Hears: "shall i roll", Act: carriertest.Act{Say: "roll it back"}},
		carriertest.Line{Hears: "shall i go ahead", Act: carriertest.Act{Say: "yes"}},
		carriertest.Line{Hears: "key it in", Act: carriertest.Act{Keys: annsPIN + "#"}},
		carriertest.Line{Hears: "back to normal", Act: carriertest.Act{Say: "goodbye"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	n.carrier.Has(annsNumber, carriertest.Subscriber{Person: person})
	n.fault(http.MethodPut, "bad-release-errors")
	on := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := n.carrier.WaitFor(ctx, "a call", func() bool { return len(n.carrier.Calls()) > 0 }); err != nil {
		t.Fatal(err, n.line())
	}
	call := n.carrier.Calls()[0]
	if err := call.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if call.To != annsNumber || !strings.Contains(call.Heard(), "ack to normal") {
		t.Fatalf("%s heard\n%s", call.To, call.Heard())
	}
	if got := n.image(); got != before {
		t.Errorf("checkout runs %s, not %s", got, before)
	}
	if calls := n.carrier.Calls(); len(calls) != 1 {
		t.Errorf("%d calls", len(calls))
	}
	line := n.line()
	t.Logf("the time-line:\n%s", strings.Join(line, "\n"))
	all := strings.Join(line, "\n")
	for _, want := range []string{"HighErrorRate (critical) fires on", "because version", "I call ann", "ann picked up", "ann decided", "errors are back to normal"} {
		if !strings.Contains(all, want) {
			t.Errorf("the time-line lacks %q", want)
		}
	}
	report(t, on, call)
}

// speechRate is how many words a minute are spoken by telephone.
const speechRate = 150

// report says how long the parts of a call took.
func report(t *testing.T, on time.Time, call *carriertest.Call) {
	t.Helper()
	said := call.Said()
	words, bot := 0, 0
	for _, s := range said {
		n := len(strings.Fields(s.Text))
		words += n
		if s.By == "bot" {
			bot++
		}
	}
	speech := time.Duration(words) * time.Minute / speechRate
	t.Logf("from the fault to the call %.1f s; the call %.1f s without speech, of which %d words take %.1f s",
		call.Created.Sub(on).Seconds(), said[len(said)-1].At.Sub(call.Created).Seconds(), words, speech.Seconds())
}

// freeAddress is one that nobody listens on: the carrier has to know where before
// firstmate listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // somebody else listens there now
	return l.Addr().String()
}
