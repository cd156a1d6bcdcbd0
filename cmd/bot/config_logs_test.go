package main

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// knows all, and notes what it was asked for.
type knows struct{ asked []string }

func (k *knows) Lines(_ context.Context, q logs.Query) iter.Seq2[observability.LogLine, error] {
	k.asked = append(k.asked, q.Target.Name)
	return func(yield func(observability.LogLine, error) bool) {
		yield(observability.LogLine{Message: q.Target.Name}, nil)
	}
}

func (k *knows) Several(_ context.Context, targets []observability.Target, _ logs.Query) []logs.Share {
	out := make([]logs.Share, len(targets))
	for i, t := range targets {
		k.asked = append(k.asked, t.Name)
		out[i] = logs.Share{Lines: []observability.LogLine{{Message: t.Name}}, Since: time.Unix(1, 0)}
	}
	return out
}

// onlyShop is a cluster whose person may read the logs of one namespace.
type onlyShop struct{ clusters }

func (onlyShop) MayReadLogs(_ context.Context, ref kube.Ref) error {
	if ref.Namespace == "shop" {
		return nil
	}
	return fault.New(fault.Forbidden, "The cluster does not let you.")
}

// TestLogsAreReadByWhoMay holds that of what is kept elsewhere nobody gets what the
// cluster would not show them, asked for alone or among others.
func TestLogsAreReadByWhoMay(t *testing.T) {
	all := &knows{}
	p := permitted{all, onlyShop{}}
	at := func(ns, name string) observability.Target {
		return observability.Target{Namespace: ns, Kind: kube.Deployment, Name: name}
	}
	got := p.Several(t.Context(), []observability.Target{at("vault", "keys"), at("shop", "web"), at("vault", "doors"), at("shop", "cart")}, logs.Query{})
	for i, want := range []string{"", "web", "", "cart"} {
		if want == "" {
			if fault.KindOf(got[i].Err) != fault.Forbidden || len(got[i].Lines) > 0 || !got[i].Since.IsZero() {
				t.Errorf("%d: %+v", i, got[i])
			}
		} else if got[i].Err != nil || len(got[i].Lines) != 1 || got[i].Lines[0].Message != want {
			t.Errorf("%d: %+v", i, got[i])
		}
	}
	for _, err := range p.Lines(t.Context(), logs.Query{Target: at("vault", "keys")}) {
		if fault.KindOf(err) != fault.Forbidden {
			t.Error(err)
		}
	}
	if !slices.Equal(all.asked, []string{"web", "cart"}) {
		t.Errorf("asked %v", all.asked)
	}
}
