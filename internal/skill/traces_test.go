package skill

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
)

// album is a trace store.
type album struct {
	spans []observability.Span
	err   error
	asked string
}

func (*album) Services(context.Context) ([]string, error) {
	return []string{"web", "cart-service", "db"}, nil
}

func (a *album) Traces(_ context.Context, service string, w observability.Window, limit int) ([]observability.Span, error) {
	a.asked = fmt.Sprint(service, " ", w.Length(), " ", limit)
	return a.spans, a.err
}

func TestWhereTheTimeIsSpent(t *testing.T) {
	at := time.Now().Add(-time.Minute)
	span := func(id, parent, service string, from, to int) observability.Span {
		return observability.Span{Trace: "t", ID: id, Parent: parent, Service: service, Name: "GET /" + id, Start: at.Add(time.Duration(from) * time.Millisecond), Duration: time.Duration(to-from) * time.Millisecond}
	}
	a := &album{spans: []observability.Span{span("a", "", "proxy", 0, 1000), span("b", "a", "web", 100, 900), span("c", "b", "cart-service", 200, 800), span("d", "c", "db", 300, 700)}}
	of := newTown()
	k := talkIn(t, of, of, func(c *Crew) { c.UseTraces(a, time.Now) })
	r := k.says("where is the time spent in web?", `^A request to web takes 800 ms on average: 50% in db \(GET /d\), 25% in cart-service \(GET /c\), 25% in itself \(GET /b\)\. That is the critical path of 1 request in the last 15 minutes\.$`)
	if r.Speech != "A request to web takes 800 milliseconds: 50 percent in db, 25 percent in cart service, 25 percent in itself." || len(r.Blocks) != 2 {
		t.Errorf("%s %+v", r.Speech, r.Blocks)
	}
	if a.asked != "web 15m0s 100" {
		t.Error(a.asked)
	}
	k.says("where does cart spend its time in the last hour", `^A request to cart takes 600 ms on average: 67% in db.*33% in itself`)
	if a.asked != "cart-service 1h0m0s 100" {
		t.Error(a.asked)
	}
	k.says("where does log-agent spend its time", `^No trace is of log-agent`)
	a.err = &backend.Partial{Name: "Tempo", Missing: []string{"3 of 4 traces"}}
	k.says("where is the time spent in web?", `50% in db.*Tempo gave only a part of the answer; missing: 3 of 4 traces\.$`)
	a.spans, a.err = nil, nil
	k.says("where is the time spent in web?", `^I see no trace through web in the last 15 minutes\.$`)
	a.err = fault.New(fault.Unavailable, "Tempo does not answer.")
	k.says("where is the time spent in web?", `^Tempo does not answer\.$`)
	k = talkIn(t, of, of)
	k.says("where is the time spent in web?", `observability\.jaeger\.url or observability\.tempo\.url`)
	for d, want := range map[time.Duration]string{840 * time.Millisecond: "840 milliseconds", time.Second: "1 second", 1240 * time.Millisecond: "1.2 seconds", 90 * time.Microsecond: "0.1 milliseconds", 75 * time.Second: "75 seconds"} {
		if got := speakable(d, false); got != want || strings.Contains(speakable(d, true), "second") {
			t.Errorf("%v: %s", d, got)
		}
	}
}
