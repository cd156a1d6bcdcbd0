package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/store"
)

func kept(t *testing.T, s *store.SQLite, since time.Time) []string {
	t.Helper()
	var out []string
	if err := s.Misses(t.Context(), since, func(m, n []byte) error {
		out = append(out, string(m)+">"+string(n))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMissesAreCappedOldestFirst(t *testing.T) {
	s, now := open(t, filepath.Join(t.TempDir(), "x.db")), time.Now()
	for i := range 8 {
		if err := s.AddMiss(t.Context(), "c", now.Add(time.Duration(i)*time.Second), fmt.Append(nil, i), nil, 5); err != nil {
			t.Fatal(err)
		}
	}
	if got := kept(t, s, time.Time{}); !slices.Equal(got, []string{"3>", "4>", "5>", "6>", "7>"}) {
		t.Errorf("kept %q", got)
	}
	if got := kept(t, s, now.Add(6*time.Second)); len(got) != 2 {
		t.Errorf("since: %q", got)
	}
	if n, err := s.ForgetMisses(t.Context()); n != 5 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	if got := kept(t, s, time.Time{}); len(got) != 0 {
		t.Errorf("still keeps %q", got)
	}
}

func TestAMissIsFollowedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, other, now := open(t, path), open(t, path), time.Now() // two processes on one file
	if err := s.AddMiss(t.Context(), "c", now, []byte("m"), nil, 5); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		conv  string
		since time.Time
		want  bool
	}{{"other", now.Add(-time.Minute), false}, {"", now.Add(-time.Minute), false}, {"c", now.Add(time.Minute), false}, {"c", now.Add(-time.Minute), true}} {
		id, ok, err := other.OpenMiss(t.Context(), tt.conv, tt.since)
		if ok != tt.want || err != nil {
			t.Errorf("%q since %v: %v, %v", tt.conv, tt.since, ok, err)
		}
		if ok {
			if err := other.FollowMiss(t.Context(), id, []byte("n")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, ok, _ := s.OpenMiss(t.Context(), "c", now.Add(-time.Minute)); ok {
		t.Error("a miss that was followed is open")
	}
	if err := s.AddMiss(t.Context(), "c", now, []byte("m2"), []byte("n2"), 5); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := s.OpenMiss(t.Context(), "c", now.Add(-time.Minute)); ok {
		t.Error("a miss that came with what followed is open")
	}
	if got := kept(t, s, time.Time{}); !slices.Equal(got, []string{"m>n", "m2>n2"}) {
		t.Errorf("kept %q", got)
	}
}
