package fakenode

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// logHistory is how far back the logs reach when the sandbox starts.
	logHistory = 30 * time.Minute
	// logEvery is the time between two lines of one application.
	logEvery = 4 * time.Second
)

// logBook writes the logs that "kubectl logs" shows: a file in CRI format for
// each application, which KWOK serves for every container of that name, and the
// last words of containers that crash.
type logBook struct {
	dir string
	rng *rand.Rand
}

// newLogBook writes the files with the history up to now.
func newLogBook(dir string, now time.Time) (*logBook, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	b := &logBook{dir: dir, rng: rand.New(rand.NewSource(now.UnixNano()))}
	for _, a := range logApps {
		var text strings.Builder
		for t := now.Add(-logHistory); t.Before(now); t = t.Add(b.jitter()) {
			text.WriteString(criLine(t, b.line(a)))
		}
		if err := os.WriteFile(b.path(a.name), []byte(text.String()), 0o600); err != nil {
			return nil, err
		}
	}
	previous := criLine(now.Add(-logHistory), "level=info msg=\"received SIGTERM, draining connections\"") +
		criLine(now.Add(-logHistory+time.Second), "level=info msg=\"bye\"")
	return b, os.WriteFile(b.path("previous"), []byte(previous), 0o600)
}

func (b *logBook) path(name string) string { return filepath.Join(b.dir, name+".log") }

func (b *logBook) jitter() time.Duration {
	return logEvery/2 + time.Duration(b.rng.Int63n(int64(logEvery)))
}

// clusterLogs is KWOK's object that says which file is whose log.
func (b *logBook) clusterLogs() string {
	var s strings.Builder
	s.WriteString("apiVersion: kwok.x-k8s.io/v1alpha1\nkind: ClusterLogs\nmetadata: {name: all}\nspec:\n  logs:\n")
	for _, a := range logApps {
		fmt.Fprintf(&s, "  - logsFile: %q\n    previousLogsFile: %q\n", b.path(a.name), b.path("previous"))
		if len(a.containers) > 0 { // none: for every other container
			fmt.Fprintf(&s, "    containers: [%s]\n", strings.Join(a.containers, ", "))
		}
	}
	return s.String()
}

// keepWriting adds lines until ctx ends, so that "kubectl logs -f" moves and
// "--since=1m" finds something.
func (b *logBook) keepWriting(ctx context.Context) {
	tick := time.NewTicker(logEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, a := range logApps {
				// An error here (a full disk) costs log lines only.
				if f, err := os.OpenFile(b.path(a.name), os.O_APPEND|os.O_WRONLY, 0); err == nil {
					f.WriteString(criLine(now, b.line(a)))
					f.Close()
				}
			}
		}
	}
}

// criLine is a line as container runtimes write it: time, stream, F for a full
// line, text.
func criLine(t time.Time, text string) string {
	stream := "stdout"
	if isTrouble(text) {
		stream = "stderr"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") + " " + stream + " F " + text + "\n"
}

func isTrouble(text string) bool {
	l := strings.ToLower(text)
	return strings.Contains(l, "error") || strings.Contains(l, "panic") || strings.Contains(l, "fatal")
}

// line makes up the next line of an application; about one in twenty is trouble.
func (b *logBook) line(a logApp) string {
	list := a.usual
	if len(a.trouble) > 0 && b.rng.Intn(20) == 0 {
		list = a.trouble
	}
	return strings.NewReplacer(
		"{ms}", fmt.Sprint(3+b.rng.Intn(180)),
		"{n}", fmt.Sprint(1+b.rng.Intn(9)),
		"{id}", fmt.Sprintf("%06x", b.rng.Intn(1<<24)),
		"{order}", fmt.Sprint(100000+b.rng.Intn(899999)),
		"{ip}", fmt.Sprintf("10.250.%d.%d", b.rng.Intn(3), 2+b.rng.Intn(250)),
		"{eur}", fmt.Sprintf("%d.%02d", 5+b.rng.Intn(180), b.rng.Intn(100)),
	).Replace(list[b.rng.Intn(len(list))])
}

// logApp is how one application's log reads.
type logApp struct {
	name           string
	containers     []string // nil: every container that no other app claims
	usual, trouble []string
}

var logApps = []logApp{{
	name: "checkout", containers: []string{"checkout"},
	usual: []string{
		`{"level":"info","msg":"order placed","order":"{order}","items":{n},"total":"{eur} EUR","took_ms":{ms}}`,
		`{"level":"info","msg":"POST /api/checkout 201","request_id":"{id}","took_ms":{ms}}`,
		`{"level":"info","msg":"payment authorised","order":"{order}","provider":"cardbox","took_ms":{ms}}`,
		`{"level":"debug","msg":"cart loaded","cart":"{id}","items":{n}}`,
	},
	trouble: []string{
		`{"level":"error","msg":"payment declined","order":"{order}","provider":"cardbox","code":"insufficient_funds"}`,
		`{"level":"error","msg":"payments-api: context deadline exceeded","order":"{order}","attempt":{n}}`,
		`{"level":"warn","msg":"slow call to payments-api","order":"{order}","took_ms":1{ms}}`,
	},
}, {
	name: "web", containers: []string{"web", "frontend", "web-admin", "nginx", "gateway"},
	usual: []string{
		`{ip} "GET / HTTP/1.1" 200 5123 {ms}ms`,
		`{ip} "GET /products/{order} HTTP/1.1" 200 1832 {ms}ms`,
		`{ip} "GET /static/app.js HTTP/1.1" 304 0 {n}ms`,
		`{ip} "POST /api/cart HTTP/1.1" 200 412 {ms}ms`,
		`{ip} "GET /healthz HTTP/1.1" 200 2 1ms`,
	},
	trouble: []string{
		`{ip} "GET /api/search?q=boots HTTP/1.1" 502 0 {ms}ms upstream error: connection reset by peer`,
		`{ip} "POST /api/checkout HTTP/1.1" 504 0 30000ms upstream error: timeout`,
		`{ip} "GET /favicon.png HTTP/1.1" 404 19 {n}ms`,
	},
}, {
	name: "cart", containers: []string{"cart"},
	usual: []string{
		`INFO  cart.service - cart {id}: added sku {order}, {n} items`,
		`INFO  cart.service - cart {id}: removed sku {order}`,
		`INFO  cart.http - GET /cart/{id} 200 in {ms} ms`,
		`DEBUG cart.redis - HGETALL cart:{id} in {n} ms`,
	},
	trouble: []string{
		`ERROR cart.redis - redis-cache-{n}: READONLY You can't write against a read only replica`,
		`WARN  cart.service - cart {id}: price of sku {order} changed since it was added`,
		`ERROR cart.http - GET /cart/{id} 500 in {ms} ms: redis: i/o timeout`,
	},
}, {
	name: "payments-api", containers: []string{"payments-api"},
	usual: []string{
		`level=info msg="charge authorised" charge=ch_{id} amount={eur} currency=EUR took={ms}ms`,
		`level=info msg="charge captured" charge=ch_{id} took={ms}ms`,
		`level=info msg="webhook received" event=charge.settled charge=ch_{id}`,
	},
	trouble: []string{
		`level=error msg="provider answered 503" provider=cardbox charge=ch_{id} retry={n}`,
		`level=warn msg="signature clock skew" skew={ms}ms`,
	},
}, {
	name: "search", containers: []string{"search", "catalog"},
	usual: []string{
		`query="winter boots" hits={ms} took={n}ms shard={n}`,
		`query="rain jacket" hits={ms} took={n}ms shard={n}`,
		`indexed 1{ms} products in {ms}ms`,
	},
	trouble: []string{`warn: slow query="*" took=2{ms}ms`, `error: shard {n}: circuit breaker open`},
}, {
	name: "worker", containers: []string{"order-worker", "email-sender", "image-resizer", "nightly-report", "db-migrate"},
	usual: []string{
		`job={id} queue=orders state=started`,
		`job={id} queue=orders state=done took={ms}ms`,
		`queue=orders depth={n} oldest={n}s`,
	},
	trouble: []string{`job={id} queue=orders state=failed attempt={n} error="smtp: 421 try again later"`},
}, {
	name: "redis", containers: []string{"redis", "redis-cache"},
	usual: []string{
		`1:M * {n} changes in 300 seconds. Saving...`,
		`1:M * Background saving started by pid {ms}`,
		`1:M * DB saved on disk`,
	},
	trouble: []string{`1:M # Client id={order} closed: output buffer limit reached`},
}, {
	name: "postgres", containers: []string{"postgres"},
	usual: []string{
		`LOG:  checkpoint complete: wrote {ms} buffers ({n}.0%)`,
		`LOG:  connection authorized: user=shop database=shop`,
		`LOG:  automatic vacuum of table "shop.public.orders": index scans: {n}`,
	},
	trouble: []string{`ERROR:  deadlock detected (process {order})`, `LOG:  duration: 1{ms}.2 ms  statement: SELECT * FROM orders WHERE customer = $1`},
}, {
	name: "envoy", containers: []string{"envoy"},
	usual:   []string{`[info] "GET /api HTTP/2" 200 - {ms}ms "{id}" "frontend"`, `[info] cds: add/update {n} cluster(s)`},
	trouble: []string{`[warning] upstream reset: connection failure, "search.shop:80"`},
}, {
	name: "default",
	usual: []string{
		`level=info msg="request served" path=/ status=200 took={ms}ms`,
		`level=info msg="tick" goroutines={ms}`,
	},
	trouble: []string{`level=error msg="request failed" path=/ status=500 took={ms}ms`},
}}

// logLine is a line of a log that no file holds.
type logLine struct {
	at   time.Time
	text string
}

// special returns the log of a container whose image tag makes it misbehave,
// nil for any other. The times fit the container's own, so that a log tells the
// same story as the pod's status.
func (b *logBook) special(s *corev1.ContainerStatus, previous bool, now time.Time) []logLine {
	_, tag, _ := strings.Cut(s.Image[strings.LastIndex(s.Image, "/")+1:], ":")
	var started time.Time
	ended := false
	switch {
	case previous && s.LastTerminationState.Terminated != nil:
		started, ended = s.LastTerminationState.Terminated.StartedAt.Time, true
	case s.State.Terminated != nil:
		started, ended = s.State.Terminated.StartedAt.Time, true
	case s.State.Running != nil:
		started = s.State.Running.StartedAt.Time
	case s.LastTerminationState.Terminated != nil: // in back-off: what the last run said
		started, ended = s.LastTerminationState.Terminated.StartedAt.Time, true
	}
	at := func(ms int, format string, a ...any) logLine {
		return logLine{started.Add(time.Duration(ms) * time.Millisecond), fmt.Sprintf(format, a...)}
	}
	lines := []logLine{
		at(12, "level=info msg=%q version=%s", "starting "+s.Name, tag),
		at(85, "level=info msg=\"configuration loaded\" files=2"),
	}
	switch {
	case strings.HasSuffix(tag, "-oom"):
		lines = append(lines, at(240, "level=info msg=\"warming the cache\" entries=1843200"))
		if ended { // the kernel kills without a word: the log just stops
			lines = append(lines,
				at(610, "level=info msg=\"warming the cache\" progress=41%% heap=201MiB"),
				at(1040, "level=warn msg=\"warming the cache\" progress=83%% heap=398MiB"))
		}
	case strings.HasSuffix(tag, "-crash"):
		lines = append(lines, at(310, "level=info msg=\"connecting to the database\" host=postgres.shop.svc port=5432"))
		if ended {
			h := fnv.New32a()
			h.Write([]byte(s.Name))
			lines = append(lines,
				at(1100, "level=error msg=\"migration 0042 failed\" error=\"column \\\"currency\\\" does not exist\""),
				at(1110, "panic: %s: cannot start without a valid schema", s.Name),
				at(1110, ""),
				at(1110, "goroutine 1 [running]:"),
				at(1110, "main.mustMigrate(0xc000%06x)", h.Sum32()&0xffffff),
				at(1110, "\t/src/%s/cmd/server/main.go:87 +0x1d4", s.Name),
				at(1110, "main.main()"),
				at(1110, "\t/src/%s/cmd/server/main.go:41 +0x2f8", s.Name),
				at(1110, "exit status 1"))
		}
	case !s.Ready && (strings.HasSuffix(tag, "-slow") || strings.HasSuffix(tag, "-unready")):
		for t := started.Add(time.Second); t.Before(now) && len(lines) < 200; t = t.Add(5 * time.Second) {
			lines = append(lines, logLine{t, "level=warn msg=\"not ready yet: waiting for redis-cache.shop:6379\""})
		}
	default:
		return nil
	}
	return lines
}

// selectLines picks and formats lines as the options of "kubectl logs" ask.
func selectLines(lines []logLine, q url.Values, now time.Time) string {
	since, _ := time.Parse(time.RFC3339, q.Get("sinceTime"))
	if s, err := strconv.Atoi(q.Get("sinceSeconds")); err == nil {
		since = now.Add(-time.Duration(s) * time.Second)
	}
	var out []string
	for _, l := range lines {
		if l.at.Before(since) || l.at.After(now) {
			continue
		}
		text := l.text + "\n"
		if q.Get("timestamps") == "true" {
			text = l.at.UTC().Format(time.RFC3339Nano) + " " + text
		}
		out = append(out, text)
	}
	if n, err := strconv.Atoi(q.Get("tailLines")); err == nil && n >= 0 && n < len(out) {
		out = out[len(out)-n:]
	}
	all := strings.Join(out, "")
	if n, err := strconv.Atoi(q.Get("limitBytes")); err == nil && n > 0 && n < len(all) {
		all = all[:n]
	}
	return all
}
