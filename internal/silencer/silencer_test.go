package silencer_test

import (
	"context"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
	"github.com/firstmate-ops/firstmate/internal/silencer"
)

// behind is what stands behind a Silencer; it counts what reaches it.
type behind struct{ reached int }

func (b *behind) Plan(_ context.Context, c kube.Change) (kube.Change, kube.Diff, error) {
	b.reached++
	return c, kube.Diff{}, nil
}

func (b *behind) Apply(context.Context, kube.Change, string) (kube.Applied, error) {
	b.reached++
	return kube.Applied{}, nil
}

func (b *behind) Step(context.Context, kube.Change, string) (kube.Progress, error) {
	b.reached++
	return kube.Progress{}, nil
}

// TestASilenceIsMadeOnce applies one twice, as after a crash, and takes it back twice.
func TestASilenceIsMadeOnce(t *testing.T) {
	server := sandboxtest.Alertmanager(t)
	b, err := backend.New(backend.Options{Name: "Alertmanager", URL: server.URL, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	am, back, ctx := alertmanager.New(b), &behind{}, t.Context()
	s := silencer.New(back, am, time.Now)
	want := kube.Change{Ref: kube.Ref{Kind: kube.Alert, Name: "Down", Namespace: "shop"}, Verb: kube.VerbSilence, Silence: &kube.Silence{
		Matchers: []kube.LabelMatcher{{Name: "namespace", Value: "shop"}, {Name: "alertname", Value: "Down"}}, To: time.Now().Add(time.Hour), By: "ann", Comment: "Silenced",
	}}
	planned, diff, err := s.Plan(ctx, want)
	if err != nil || diff.Unified == "" || planned.Labels["namespace"] != "shop" || planned.Labels["alertname"] != "Down" {
		t.Fatalf("%+v, %v, %v", planned, diff, err)
	}
	count := func() int {
		all, err := am.Silences(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if count() != 0 {
		t.Error("planning made a silence")
	}
	var made [2]kube.Applied
	for i := range made {
		if made[i], err = s.Apply(ctx, planned, "ABC"); err != nil {
			t.Fatal(err)
		}
	}
	if made[0].UID == "" || made[0].UID != made[1].UID || made[0].Already || !made[1].Already || count() != 1 {
		t.Errorf("applied %+v, %d silences", made, count())
	}
	if _, err := s.Apply(ctx, planned, "ABC.1"); err != nil || count() != 2 {
		t.Errorf("another action is another silence: %v, %d", err, count())
	}
	planned.UID = made[0].UID
	undo, ok := planned.Inverse()
	if !ok || undo.Verb != kube.VerbUnsilence || undo.UID != made[0].UID {
		t.Fatalf("inverse %+v", undo)
	}
	if undo, _, err = s.Plan(ctx, undo); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Apply(ctx, undo, "DEF"); err != nil || count() != 1 {
			t.Errorf("ended: %v, %d left", err, count())
		}
	}
	if _, _, err := s.Plan(ctx, undo); fault.KindOf(err) != fault.Conflict {
		t.Errorf("one that is over is ended again: %v", err)
	}
	late := want
	late.Silence = &kube.Silence{Matchers: want.Silence.Matchers, To: time.Now().Add(-time.Second), By: "ann", Comment: "x"}
	if _, err := s.Apply(ctx, late, "GHI"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a silence whose time is over: %v", err)
	}
	if back.reached != 0 {
		t.Errorf("a silence reached the cluster %d times", back.reached)
	}
	scale := kube.Change{Verb: kube.VerbScale}
	_, _, _ = s.Plan(ctx, scale)
	_, _ = s.Apply(ctx, scale, "X")
	_, _ = s.Step(ctx, scale, "X")
	if back.reached != 3 {
		t.Errorf("other changes were kept back: %d", back.reached)
	}
}
