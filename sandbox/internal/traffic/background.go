package traffic

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

// routine is what programs write now and then whatever happens.
var routine = map[string][]string{
	"postgres": {
		"{t} UTC [27] LOG:  checkpoint complete: wrote {n3} buffers (0.{n2}%); 0 WAL file(s) added, 0 removed, 1 recycled",
		"{t} UTC [{n2}] LOG:  connection authorized: user=shop database=shop",
		"{t} UTC [{n3}] LOG:  automatic vacuum of table \"shop.public.orders\": index scans: 1",
	},
	"redis":         {"1:M {t} * {n3} changes in 300 seconds. Saving...", "1:M {t} * Background saving started by pid {n3}", "1:M {t} * DB saved on disk"},
	"cart":          {"{t} INFO  [scheduling-1] c.s.cart.session.SessionSweeper - removed {n2} carts that nobody came back for"},
	"search":        {"{t} [info] indexed {n3} products in {n2}ms"},
	"envoy":         {"[{t}][1][info][upstream] cds: add 0 cluster(s), remove 0 cluster(s)", "[{t}][1][info][main] drain manager: {n2} connections open"},
	"email-sender":  {"level=info msg=\"mail sent\" template=order-confirmation took={n2}ms", "level=info msg=\"queue checked\" waiting={n1}"},
	"image-resizer": {"resized product-{n3}.jpg to 640x640 in {n2} ms", "cache: {n3} images, {n2} MB"},
	"grafana":       {"logger=cleanup t={t} level=info msg=\"Completed cleanup jobs\" duration={n2}ms", "logger=ngalert.scheduler t={t} level=info msg=\"rules evaluated\" count={n2}"},
	"log-agent":     {"[{t}] [ info] [output:loki:loki.0] flushed {n3} records", "[{t}] [ info] [input:tail:tail.0] inotify_fs_add(): inode={n3}"},
}

// perMinute is how many lines of routine a container writes a minute.
const perMinute = 1.5

// murmur is what a container writes in a while about nothing in particular.
func murmur(r *rand.Rand, container string, from time.Time, length time.Duration, factor float64) []said {
	lines := routine[container]
	if len(lines) == 0 {
		return nil
	}
	var out []said
	for n := length.Minutes() * perMinute * factor; n > 0; n-- {
		if n < 1 && r.Float64() > n {
			break
		}
		at := from.Add(time.Duration(r.Float64() * float64(length)))
		text := strings.NewReplacer(
			"{t}", at.UTC().Format("2006-01-02 15:04:05.000"),
			"{n1}", fmt.Sprint(r.IntN(4)), "{n2}", fmt.Sprint(10+r.IntN(80)), "{n3}", fmt.Sprint(200+r.IntN(9000)),
		).Replace(lines[r.IntN(len(lines))])
		out = append(out, said{at, false, text})
	}
	return out
}

// greeting is what a container writes when it has started.
func greeting(svc *model.Service, c *model.Container, at time.Time) []said {
	if svc.Kind != model.HTTP && svc.Kind != model.Worker {
		return nil
	}
	lines := []string{
		fmt.Sprintf("level=info msg=\"starting %s\" version=%s", c.Name, c.Tag),
		"level=info msg=\"configuration loaded\"",
		"level=info msg=\"listening\" addr=:8080",
	}
	switch styles[svc.ID.Name] {
	case jsonLines:
		lines = []string{
			jsonLine(at, "info", "starting "+c.Name, []field{{"version", c.Tag}}),
			jsonLine(at.Add(80*time.Millisecond), "info", "listening", []field{{"addr", ":8080"}}),
		}
	case java:
		lines = []string{
			at.UTC().Format("2006-01-02 15:04:05,000") + " INFO  [main] c.s.cart.CartApplication - Starting CartApplication " + c.Tag + " using Java 21.0.5",
			at.Add(900*time.Millisecond).UTC().Format("2006-01-02 15:04:05,000") + " INFO  [main] c.s.cart.CartApplication - Started CartApplication in 0.9 seconds",
		}
	}
	var out []said
	for i, text := range lines {
		out = append(out, said{at.Add(time.Duration(i) * 80 * time.Millisecond), false, text})
	}
	return out
}
