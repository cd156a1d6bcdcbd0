package diagnosis_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

type collector struct {
	name string
	do   func(context.Context) ([]diagnosis.Evidence, error)
}

func (c collector) Name() string { return c.name }
func (c collector) Collect(ctx context.Context, _ diagnosis.Request) ([]diagnosis.Evidence, error) {
	return c.do(ctx)
}

func fact(name string) []diagnosis.Evidence {
	return []diagnosis.Evidence{{Kind: diagnosis.WarningEvent, Name: name, Source: "kubernetes"}}
}

// All are asked at once; who is late, fails, panics or does not listen is named
// and holds nobody up.
func TestGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		defer close(let)
		after := func(d time.Duration, name string) collector {
			return collector{name, func(context.Context) ([]diagnosis.Evidence, error) { time.Sleep(d); return fact(name), nil }}
		}
		list := []diagnosis.Collector{
			after(1500*time.Millisecond, "quick"), after(1900*time.Millisecond, "also"),
			collector{"partial", func(ctx context.Context) ([]diagnosis.Evidence, error) {
				<-ctx.Done()
				return fact("partial"), ctx.Err()
			}},
			collector{"broken", func(context.Context) ([]diagnosis.Evidence, error) {
				return nil, fault.New(fault.Unavailable, "Prometheus does not answer.")
			}},
			collector{"secret", func(context.Context) ([]diagnosis.Evidence, error) { return nil, errors.New("password=hunter2") }},
			collector{"panics", func(context.Context) ([]diagnosis.Evidence, error) { panic("oops") }},
			collector{"deaf", func(context.Context) ([]diagnosis.Evidence, error) { <-let; return fact("deaf"), nil }},
		}
		begin := time.Now()
		c := diagnosis.Gather(t.Context(), 2*time.Second, list, diagnosis.Request{})
		if took := time.Since(begin); took > 2200*time.Millisecond {
			t.Errorf("took %v", took)
		}
		var names []string
		for _, e := range c.Evidence {
			names = append(names, e.Name)
		}
		if got := strings.Join(names, " "); got != "also partial quick" {
			t.Errorf("evidence of %s", got)
		}
		got := map[string]diagnosis.Missing{}
		for _, m := range c.Missing {
			got[m.Collector] = m
		}
		if len(got) != 5 || !got["deaf"].Late || !got["partial"].Partly || !got["partial"].Late || got["broken"].Why != "Prometheus does not answer." || got["broken"].Late {
			t.Errorf("missing: %+v", c.Missing)
		}
		if s := got["secret"].Why + got["panics"].Why; strings.Contains(s, "hunter2") || strings.Contains(s, "oops") {
			t.Errorf("a cause is said: %s", s)
		}
		if len(c.Asked) != len(list) || c.Format != diagnosis.Format {
			t.Errorf("asked %v, format %d", c.Asked, c.Format)
		}
	})
}

// A case survives its file, and what is masked is masked in every text.
func TestCaseFile(t *testing.T) {
	at := time.Date(2026, 3, 1, 14, 5, 0, 0, time.UTC)
	c := diagnosis.Case{
		Format: diagnosis.Format, Taken: at, Took: time.Second, Asked: []string{"objects"},
		Request: diagnosis.Request{Target: observability.Target{Namespace: "shop", Kind: "Deployment", Name: "checkout"}, Symptom: diagnosis.SymptomSlow},
		Evidence: []diagnosis.Evidence{{
			Kind: diagnosis.EnvChange, At: at, About: diagnosis.Object{Namespace: "shop", Kind: "Deployment", Name: "checkout"},
			Name: "URL", From: "token one", To: "token two", Text: "a <token>", Value: diagnosis.Num(0), Source: "kubernetes",
		}},
	}
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	back, err := diagnosis.ReadCase(&b)
	if err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("%v\n%+v\n%+v", err, back, c)
	}
	m := c.Masked(func(s string) string { return strings.ReplaceAll(s, "token", "***") })
	if e := m.Evidence[0]; strings.Contains(e.From+e.To+e.Text, "token") || !strings.Contains(c.Evidence[0].Text, "token") {
		t.Errorf("masked: %+v", e)
	}
	for _, bad := range []string{"", "{}", `{"format":99}`, "nope"} {
		if _, err := diagnosis.ReadCase(strings.NewReader(bad)); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestClip(t *testing.T) {
	if got := diagnosis.Clip("a\x1b[31mb\nc\u2028dé", 7); got != "a [31m…" {
		t.Errorf("%q", got)
	}
}
