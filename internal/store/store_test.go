package store_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/store"
)

func open(t *testing.T, path string) *store.SQLite {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestTurnsAreKeptAcrossOpens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "f?m#%.db") // signs a URL would eat
	s := open(t, path)
	ctx := t.Context()
	if sess, ans, err := s.LoadTurn(ctx, "c", "d"); sess != nil || ans != nil || err != nil {
		t.Fatalf("an empty store holds %q %q %v", sess, ans, err)
	}
	if err := s.SaveTurn(ctx, "c", []byte("s1"), "d", []byte("a1")); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveTurn(ctx, "c", []byte("s2"), "", nil); err != nil {
		t.Fatal(err)
	}
	sess, ans, err := open(t, path).LoadTurn(ctx, "c", "d")
	if string(sess) != "s2" || string(ans) != "a1" || err != nil {
		t.Fatalf("kept %q %q %v", sess, ans, err)
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("the file: %v %v", fi, err)
	}
}

func TestAnEventIsKeptOnce(t *testing.T) {
	s, ctx := open(t, filepath.Join(t.TempDir(), "x.db")), t.Context()
	seq, fresh, err := s.AppendEvent(ctx, "c", "k", []byte("first"), []byte("s1"))
	if !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	again, fresh, err := s.AppendEvent(ctx, "c", "k", []byte("second"), []byte("s2"))
	if again != seq || fresh || err != nil {
		t.Fatal(again, seq, fresh, err)
	}
	if _, fresh, _ := s.AppendEvent(ctx, "other", "k", []byte("third"), []byte("s")); !fresh {
		t.Error("a key of another conversation counts")
	}
	var got []string
	if err := s.EventsAfter(ctx, "c", 0, func(_ int64, b []byte) error { got = append(got, string(b)); return nil }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"first"}) {
		t.Errorf("kept %q", got)
	}
	if sess, _, _ := s.LoadTurn(ctx, "c", ""); string(sess) != "s1" {
		t.Errorf("the repeated event changed the session to %q", sess)
	}
	if err := s.EventsAfter(ctx, "c", seq, func(int64, []byte) error { t.Error("told twice"); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	a, b, ctx := open(t, path), open(t, path), t.Context() // two processes on one file
	now := time.Now()
	if _, fresh, err := a.CreateAction(ctx, "1", "key", "c", "proposed", []byte("v1")); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	stored, fresh, err := b.CreateAction(ctx, "2", "key", "c", "proposed", []byte("v2"))
	if fresh || string(stored) != "v1" || err != nil {
		t.Fatalf("a repeated key made %q %v %v", stored, fresh, err)
	}
	swap := func(s *store.SQLite, from, to, owner string, open bool) bool {
		return must[bool](t)(s.SwapAction(ctx, "1", from, to, []byte(to), open, owner, now.Add(time.Minute)))
	}
	if swap(a, "applying", "done", "A", false) {
		t.Error("moved from a state it was not in")
	}
	if !swap(a, "proposed", "approved", "A", true) || swap(b, "proposed", "approved", "B", true) {
		t.Error("not exactly one of two could approve")
	}
	if swap(b, "approved", "applying", "B", true) {
		t.Error("moved what another holds")
	}
	if got := must[[][]byte](t)(b.ClaimActions(ctx, "B", now, now.Add(time.Minute))); len(got) != 0 {
		t.Errorf("claimed %q under a running lease", got)
	}
	if got := must[[][]byte](t)(b.ClaimActions(ctx, "B", now.Add(2*time.Minute), now.Add(3*time.Minute))); len(got) != 1 || string(got[0]) != "approved" {
		t.Errorf("claimed %q after the lease", got)
	}
	if swap(a, "approved", "applying", "A", true) {
		t.Error("the old holder still moves it")
	}
	if !swap(b, "approved", "done", "B", false) {
		t.Error("the new holder cannot move it")
	}
	if got := must[[][]byte](t)(a.ClaimActions(ctx, "A", now.Add(time.Hour), now.Add(2*time.Hour))); len(got) != 0 {
		t.Errorf("claimed %q, which is closed", got)
	}
	if d := must[[]byte](t)(a.Action(ctx, "1")); string(d) != "done" {
		t.Errorf("holds %q", d)
	}
	if d := must[[]byte](t)(a.Action(ctx, "nope")); d != nil {
		t.Errorf("an unknown id holds %q", d)
	}
}

func TestReleaseLetsAnotherGoOn(t *testing.T) {
	s, ctx, now := open(t, filepath.Join(t.TempDir(), "x.db")), t.Context(), time.Now()
	must[[]byte](t)(first(s.CreateAction(ctx, "1", "k", "c", "p", []byte("d"))))
	must[bool](t)(s.SwapAction(ctx, "1", "p", "q", []byte("d"), true, "A", now.Add(time.Hour)))
	if err := s.ReleaseActions(ctx, "A"); err != nil {
		t.Fatal(err)
	}
	if got := must[[][]byte](t)(s.ClaimActions(ctx, "B", now, now.Add(time.Hour))); len(got) != 1 {
		t.Errorf("claimed %q", got)
	}
}

func first(b []byte, _ bool, err error) ([]byte, error) { return b, err }

func TestConcurrentProposalsOfOneKeyMakeOneEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	var wg sync.WaitGroup
	made := make(chan bool, 40)
	for i := range 4 {
		s := open(t, path)
		for range 10 {
			wg.Go(func() {
				_, fresh, err := s.CreateAction(context.Background(), string(rune('a'+i))+time.Now().String(), "key", "c", "p", []byte("d"))
				if err != nil {
					t.Error(err)
				}
				made <- fresh
			})
		}
	}
	wg.Wait()
	close(made)
	n := 0
	for f := range made {
		if f {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d entries of one key", n)
	}
}

func TestANewerFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := store.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Exec(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenSQLite(t.Context(), path); err == nil {
		t.Error("opened a file of a newer schema")
	}
}
