package traffic

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/emit"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

// said is a line that a program writes.
type said struct {
	at     time.Time
	stderr bool
	text   string
}

// style is how a program writes its log.
type style int

const (
	jsonLines style = iota
	logfmt
	access // as web servers do; failures go to their error log
	java   // with stack traces
	python // with tracebacks
	plain
)

var styles = map[string]style{
	"checkout": jsonLines, "catalog": jsonLines, "frontend": jsonLines,
	"gateway": logfmt, "payments-api": logfmt, "order-worker": logfmt,
	"web": access, "nginx": access, "cart": java, "web-admin": python, "search": plain, "postgres": plain, "redis-cache": plain,
}

// writer writes what programs say about what happens to them.
type writer struct {
	shop *model.Shop
	// expired is since when a service's certificate is not valid.
	expired func(model.ID) time.Time
}

// say is what the program writes about an event: one line or, with a stack trace,
// several.
func (w *writer) say(e *model.Event) []said {
	if e.Pod.Service < 0 {
		return nil
	}
	svc := &w.shop.Services[e.Pod.Service]
	if svc.Kind == model.Database {
		return w.database(e, svc)
	}
	s := styles[svc.ID.Name]
	level, msg := w.message(e, svc)
	if s == access {
		return w.access(e, svc, level, msg)
	}
	fields := w.fields(e, svc)
	bad := level == "error"
	one := func(text string) []said { return []said{{e.At, bad, text}} }
	switch s {
	case jsonLines:
		return append(one(jsonLine(e.At, level, msg, fields)), w.trace(e, svc)...)
	case logfmt:
		return append(one("time="+e.At.UTC().Format("2006-01-02T15:04:05.000Z")+" level="+level+" msg="+quoted(msg)+pairs(fields)), w.trace(e, svc)...)
	case java:
		thread := e.Request % 20
		text := fmt.Sprintf("%s %-5s [http-nio-8080-exec-%d] c.s.cart.%s - %s%s", e.At.UTC().Format("2006-01-02 15:04:05,000"), strings.ToUpper(short(level)), thread, logger(e), msg, pairs(fields))
		return append(one(text), w.trace(e, svc)...)
	case python:
		text := fmt.Sprintf("%s %s admin.views %s%s", e.At.UTC().Format("2006-01-02 15:04:05,000"), strings.ToUpper(level), msg, pairs(fields))
		return append(one(text), w.trace(e, svc)...)
	default:
		return one(fmt.Sprintf("%s [%s] %s%s", e.At.UTC().Format("2006-01-02T15:04:05.000Z"), level, msg, pairs(fields)))
	}
}

func short(level string) string {
	if level == "warning" {
		return "warn"
	}
	return level
}

func logger(e *model.Event) string {
	if e.Mark == model.Retry || e.Mark == model.SlowCall || e.Mark == model.Degraded {
		return "client.CatalogClient"
	}
	return "web.CartController"
}

// doing is what a route is about, in the words of its program.
var doing = map[string]string{
	"POST /api/checkout": "order placed", "GET /api/orders/:id": "order loaded", "POST /v1/charges": "charge authorised",
	"GET /products": "products listed", "GET /prices": "prices read", "GET /search": "query answered", "JOB fulfil-order": "job done",
	"GET /cart/:id": "cart loaded", "POST /cart/items": "item added to cart", "GET /admin/orders": "orders shown",
}

var failing = map[string]string{
	"POST /api/checkout": "order could not be placed", "GET /api/orders/:id": "order could not be loaded", "POST /v1/charges": "charge failed",
	"GET /products": "listing products failed", "GET /prices": "reading prices failed", "GET /search": "query failed", "JOB fulfil-order": "job failed",
	"GET /cart/:id": "loading cart failed", "POST /cart/items": "adding item failed", "GET /admin/orders": "Internal Server Error: /admin/orders",
}

func (w *writer) message(e *model.Event, svc *model.Service) (level, msg string) {
	r := &svc.Routes[min(e.Route, len(svc.Routes)-1)]
	name := r.Method + " " + r.Path
	switch e.Mark {
	case model.Failed:
		if e.Outcome.Cause == model.Overloaded {
			return "error", "request rejected: too many requests in flight"
		}
		if msg := failing[name]; msg != "" && svc.ID.Name != "gateway" {
			return "error", msg
		}
		return "error", "upstream request failed"
	case model.Retry:
		return "warning", fmt.Sprintf("call to %s failed, retrying (attempt %d)", e.Outcome.Peer.Name, e.Attempt+1)
	case model.Degraded:
		return "warning", fmt.Sprintf("%s unavailable, going on without it", e.Outcome.Peer.Name)
	case model.SlowCall:
		return "warning", "slow call to " + e.Outcome.Peer.Name
	}
	if msg := doing[name]; msg != "" && svc.ID.Name != "gateway" && e.Outcome.Code < 400 {
		return "info", msg
	}
	return "info", "request served"
}

type field struct{ key, value string }

func (w *writer) fields(e *model.Event, svc *model.Service) []field {
	r := &svc.Routes[min(e.Route, len(svc.Routes)-1)]
	var f []field
	add := func(k, v string) { f = append(f, field{k, v}) }
	if e.Mark == model.Served || e.Mark == model.Failed {
		if svc.Kind == model.Worker {
			add("job", fmt.Sprintf("%06x", e.Request&0xffffff))
			add("queue", "orders")
		} else {
			add("method", r.Method)
			add("path", path(r.Path, e.Request))
			add("status", strconv.Itoa(e.Outcome.Code))
		}
	} else {
		add("peer", e.Outcome.Peer.Name)
	}
	if e.Outcome.Cause != model.Fine {
		add("error", w.reason(e, svc))
	}
	add("took_ms", strconv.FormatFloat(e.Outcome.Took*1000, 'f', 1, 64))
	add("request_id", fmt.Sprintf("%016x", e.Request))
	if e.Traced {
		add("trace_id", emit.TraceID(e.Request))
	}
	return f
}

func path(pattern string, n uint64) string {
	return strings.Replace(pattern, ":id", strconv.FormatUint(100000+n%899999, 10), 1)
}

// address is how a service calls another.
func (w *writer) address(peer model.ID) (host string, port int32) {
	host = peer.Name + "." + peer.Namespace + ".svc.cluster.local"
	if i := w.shop.Find(peer); i >= 0 {
		port = w.shop.Services[i].Port
	}
	return host, port
}

// reason is the error in the words of the libraries that give it.
func (w *writer) reason(e *model.Event, svc *model.Service) string {
	o := e.Outcome
	host, port := w.address(o.Peer)
	store := port == 5432 || port == 6379
	url := func(rest string) string {
		if store {
			return fmt.Sprintf("dial tcp: %s", rest)
		}
		return fmt.Sprintf("Post \"http://%s%s\": dial tcp: %s", host, w.route(svc, o.Peer), rest)
	}
	ip := fmt.Sprintf("10.96.%d.%d:%d", 8+len(o.Peer.Name)%24, 17+13*len(o.Peer.Name)%200, port)
	switch o.Cause {
	case model.Bug:
		return bug(svc.ID.Name, e.Request)
	case model.Defect:
		return defect(svc.ID.Name)
	case model.TimedOut:
		if port == 5432 {
			return "canceling statement due to user request: context deadline exceeded"
		}
		if store {
			return "redis: i/o timeout"
		}
		return fmt.Sprintf("Post \"http://%s%s\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)", host, w.route(svc, o.Peer))
	case model.Refused:
		return url("connect " + ip + ": connection refused")
	case model.NoHost:
		return url("lookup " + host + " on 10.96.0.10:53: no such host")
	case model.Lookup:
		if e.Request%3 == 0 {
			return url("lookup " + host + " on 10.96.0.10:53: server misbehaving")
		}
		return url("lookup " + host + " on 10.96.0.10:53: read udp 10.250.1." + strconv.FormatUint(2+e.Request%200, 10) + ":" + strconv.FormatUint(30000+e.Request%20000, 10) + "->10.96.0.10:53: i/o timeout")
	case model.Unreachable:
		return url(ip + ": i/o timeout")
	case model.Certificate:
		return fmt.Sprintf("Post \"https://%s%s\": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time %s is after %s",
			host, w.route(svc, o.Peer), e.At.UTC().Format(time.RFC3339), w.expired(o.Peer).UTC().Format(time.RFC3339))
	case model.NoConnection:
		return fmt.Sprintf("timed out after %s waiting for a free connection to the database (pool size %d, in use %d, waiting %d)", svc.Patience, svc.Pool, int(e.Pod.PoolInUse), int(e.Pod.PoolWaiting)+1)
	case model.Overloaded:
		return fmt.Sprintf("%d requests in flight, limit %d", svc.Workers+svc.Queue, svc.Workers+svc.Queue)
	case model.Upstream:
		return fmt.Sprintf("%s answered %d %s", o.Peer.Name, o.PeerCode, statusText(o.PeerCode))
	}
	return ""
}

func (w *writer) route(svc *model.Service, peer model.ID) string {
	for _, r := range svc.Routes {
		for _, c := range r.Calls {
			if c.To == peer {
				if i := w.shop.Find(peer); i >= 0 {
					return path(w.shop.Services[i].Routes[c.Route].Path, uint64(len(svc.ID.Name))*7919)
				}
			}
		}
	}
	return "/"
}

func statusText(code int) string {
	return map[int]string{500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}[code]
}

// bug is what a mistake of the program looks like.
func bug(name string, n uint64) string {
	switch name {
	case "cart":
		return "java.util.ConcurrentModificationException"
	case "checkout":
		return "pq: could not serialize access due to concurrent update"
	case "payments-api":
		return "provider cardbox answered 503"
	case "web-admin":
		return "KeyError: 'currency'"
	case "order-worker":
		return "smtp: 421 try again later"
	case "search":
		return "shard " + strconv.FormatUint(1+n%4, 10) + ": circuit breaker open"
	}
	return "unexpected end of JSON input"
}

// defect is what a mistake looks like that came with a release.
func defect(name string) string {
	switch name {
	case "cart":
		return "java.lang.NullPointerException: Cannot invoke \"Price.amount()\" because \"price\" is null"
	case "web-admin":
		return "AttributeError: 'NoneType' object has no attribute 'total'"
	case "web", "frontend":
		return "TypeError: Cannot read properties of undefined (reading 'items')"
	}
	return "runtime error: invalid memory address or nil pointer dereference"
}

// trace is the stack trace that follows an error, in programs that write one.
func (w *writer) trace(e *model.Event, svc *model.Service) []said {
	if e.Mark != model.Failed {
		return nil
	}
	var lines []string
	switch {
	case svc.ID.Name == "checkout" && e.Outcome.Cause == model.Defect:
		lines = []string{
			"panic: runtime error: invalid memory address or nil pointer dereference [recovered]",
			"[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x7f31a2]",
			fmt.Sprintf("goroutine %d [running]:", 200+e.Request%5000),
			"example.com/shop/checkout/internal/order.(*Discounts).Apply(0x0, 0xc000" + fmt.Sprintf("%06x", e.Request&0xffffff) + ")",
			"\t/src/internal/order/discounts.go:73 +0x1c",
			"example.com/shop/checkout/internal/order.(*Service).Place(0xc0001a2000, {0xd52a40, 0xc0004e6000})",
			"\t/src/internal/order/service.go:141 +0x2a8",
			"net/http.HandlerFunc.ServeHTTP(0xc00011c0c0, {0xd54b98, 0xc0004e2000}, 0xc0003d8000)",
			"\t/usr/local/go/src/net/http/server.go:2220 +0x29",
		}
	case svc.ID.Name == "cart":
		cause := w.reason(e, svc)
		if e.Outcome.Cause == model.Bug || e.Outcome.Cause == model.Defect {
			lines = []string{cause, "\tat com.shop.cart.pricing.PriceService.total(PriceService.java:88)", "\tat com.shop.cart.web.CartController.get(CartController.java:41)"}
			break
		}
		lines = []string{
			"com.shop.cart.client.CatalogException: prices could not be read",
			"\tat com.shop.cart.client.CatalogClient.prices(CatalogClient.java:57)",
			"\tat com.shop.cart.web.CartController.get(CartController.java:39)",
			"\tat org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:885)",
			"Caused by: " + javaCause(e, cause),
			"\tat java.net.http/jdk.internal.net.http.HttpClientImpl.send(HttpClientImpl.java:573)",
			"\t... 31 more",
		}
	case svc.ID.Name == "web-admin":
		lines = []string{
			"Traceback (most recent call last):",
			"  File \"/app/admin/views.py\", line 112, in orders",
			"    rows = session.execute(query).all()",
			"  File \"/usr/lib/python3.12/site-packages/sqlalchemy/pool/base.py\", line 711, in checkout",
			"sqlalchemy.exc.OperationalError: " + w.reason(e, svc),
		}
	}
	var out []said
	for i, text := range lines {
		out = append(out, said{e.At.Add(time.Duration(i+1) * time.Microsecond), true, text})
	}
	return out
}

func javaCause(e *model.Event, cause string) string {
	switch e.Outcome.Cause {
	case model.TimedOut:
		return "java.net.http.HttpTimeoutException: request timed out"
	case model.Refused:
		return "java.net.ConnectException: Connection refused"
	case model.NoHost, model.Lookup:
		return "java.net.UnknownHostException: " + e.Outcome.Peer.Name + "." + e.Outcome.Peer.Namespace + ".svc.cluster.local: Temporary failure in name resolution"
	case model.Unreachable:
		return "java.net.http.HttpConnectTimeoutException: HTTP connect timed out"
	}
	return "java.io.IOException: " + cause
}

// access writes as nginx does.
func (w *writer) access(e *model.Event, svc *model.Service, level, msg string) []said {
	ip := fmt.Sprintf("198.51.100.%d", 1+e.Request%250)
	r := &svc.Routes[min(e.Route, len(svc.Routes)-1)]
	target := path(r.Path, e.Request)
	if e.Mark != model.Served && e.Mark != model.Failed {
		return []said{{e.At, true, fmt.Sprintf("%s [warn] 7#7: *%d %s, client: %s%s", e.At.UTC().Format("2006/01/02 15:04:05"), e.Request%100000, msg, ip, pairs(w.fields(e, svc)))}}
	}
	line := said{e.At, false, fmt.Sprintf("%s - - [%s] \"%s %s HTTP/1.1\" %d %d \"-\" \"Mozilla/5.0\" rt=%.3f rid=%016x", ip, e.At.UTC().Format("02/Jan/2006:15:04:05 +0000"), r.Method, target, e.Outcome.Code, 400+e.Request%6000, e.Outcome.Took, e.Request)}
	if e.Mark == model.Served {
		return []said{line}
	}
	why := "upstream answered with an error"
	if e.Outcome.Cause != model.Upstream {
		why = w.reason(e, svc)
	} else if e.Outcome.PeerCode > 0 {
		why = fmt.Sprintf("upstream answered %d", e.Outcome.PeerCode)
	}
	return []said{line, {e.At.Add(time.Microsecond), true, fmt.Sprintf("%s [%s] 7#7: *%d %s while reading response header from upstream, client: %s, request: \"%s %s HTTP/1.1\", upstream: \"http://%s\"",
		e.At.UTC().Format("2006/01/02 15:04:05"), level, e.Request%100000, why, ip, r.Method, target, e.Outcome.Peer.Name)}}
}

// database writes about statements that took long.
func (w *writer) database(e *model.Event, svc *model.Service) []said {
	if e.Mark != model.Statement {
		return nil
	}
	statement := "INSERT INTO orders (customer, total, currency, placed_at) VALUES ($1, $2, $3, now())"
	if svc.Routes[e.Route].Method == "SELECT" {
		statement = "SELECT id, customer, total FROM orders WHERE customer = $1 ORDER BY placed_at DESC"
	}
	return []said{{e.At, true, fmt.Sprintf("%s [%d] LOG:  duration: %.3f ms  execute <unnamed>: %s", e.At.UTC().Format("2006-01-02 15:04:05.000 UTC"), 80+e.Request%60, e.Outcome.Took*1000, statement)}}
}

func jsonLine(at time.Time, level, msg string, fields []field) string {
	var b strings.Builder
	str := func(s string) {
		q, _ := json.Marshal(s) // strings always can be
		b.Write(q)
	}
	b.WriteString(`{"time":`)
	str(at.UTC().Format(time.RFC3339Nano))
	b.WriteString(`,"level":`)
	str(short(level))
	b.WriteString(`,"msg":`)
	str(msg)
	for _, f := range fields {
		b.WriteByte(',')
		str(f.key)
		b.WriteByte(':')
		if _, err := strconv.ParseFloat(f.value, 64); err == nil && (f.key == "status" || f.key == "took_ms") {
			b.WriteString(f.value)
		} else {
			str(f.value)
		}
	}
	b.WriteByte('}')
	return b.String()
}

func pairs(fields []field) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(" " + f.key + "=" + quoted(f.value))
	}
	return b.String()
}

func quoted(s string) string {
	if strings.ContainsAny(s, " =\"") {
		return strconv.Quote(s)
	}
	return s
}
