package faults

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// switched counts what is done to it.
type switched struct {
	ons, offs int
	fail      error
}

func (s *switched) On(context.Context) error  { s.ons++; return s.fail }
func (s *switched) Off(context.Context) error { s.offs++; return nil }

func TestSet(t *testing.T) {
	ctx := t.Context()
	a, b, broken := &switched{}, &switched{}, &switched{fail: errors.New("broken")}
	s := NewSet()
	if err := s.Add(map[string]Fault{"a": a, "b": b, "broken": broken}); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(map[string]Fault{"a": a}); err == nil {
		t.Error("a name was given twice")
	}
	if got, want := s.Names(), []string{"a", "b", "broken", "none"}; !slices.Equal(got, want) {
		t.Errorf("names %v, want %v", got, want)
	}
	for _, name := range []string{"a", None, "b", "a"} {
		if err := s.On(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := s.Active(), []string{"a", None, "b"}; !slices.Equal(got, want) || a.ons != 1 {
		t.Errorf("on are %v, want %v; the first was switched on %d times", got, want, a.ons)
	}
	if err := s.On(ctx, "c"); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown fault: %v", err)
	}
	if err := s.On(ctx, "broken"); !errors.Is(err, broken.fail) || broken.offs != 1 || slices.Contains(s.Active(), "broken") {
		t.Errorf("a fault that fails: %v, undone %d times", err, broken.offs)
	}
	if err := s.Off(ctx, "a"); err != nil || a.offs != 1 {
		t.Errorf("Off: %v, %d times", err, a.offs)
	}
	if err := s.Off(ctx, "a"); err != nil || a.offs != 1 {
		t.Errorf("Off again: %v, %d times", err, a.offs)
	}
	if err := s.AllOff(ctx); err != nil || b.offs != 1 || len(s.Active()) != 0 {
		t.Errorf("AllOff: %v, %d times, on are %v", err, b.offs, s.Active())
	}
}
