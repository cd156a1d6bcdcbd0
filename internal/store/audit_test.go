package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/store"
)

func line(t testing.TB, said string) []byte {
	t.Helper()
	return must[[]byte](t)(audit.Event{Kind: audit.Said, At: time.Now(), Said: said}.Encode())
}

// trail reads the audit trail and proves it.
func trail(t testing.TB, s *store.Store) (said []string) {
	t.Helper()
	if err := verify(t.Context(), s, audit.Head{}, &said); err != nil {
		t.Fatal(err)
	}
	return said
}

func verify(ctx context.Context, s *store.Store, want audit.Head, said *[]string) error {
	v := audit.NewVerifier(want)
	head, err := s.AuditTrail(ctx, func(r audit.Row) error {
		ev, err := audit.Decode(r.Line)
		if err == nil && said != nil {
			*said = append(*said, ev.Said)
		}
		return v.Next(r)
	})
	if err != nil {
		return err
	}
	_, err = v.End(head)
	return err
}

func auditLinesMakeAChain(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	if got := trail(t, s); len(got) != 0 {
		t.Fatalf("an empty trail has %q", got)
	}
	check(t, s.AppendAudit(ctx, "", line(t, "one"), line(t, "two")))
	check(t, s.AppendAudit(ctx, "d/1", line(t, "three"), line(t, "four")))
	check(t, open(t).AppendAudit(ctx, "d/1", line(t, "three"), line(t, "four"))) // the same delivery
	check(t, s.AppendAudit(ctx, ""))
	if err := s.AppendAudit(ctx, "", []byte("no JSON")); err == nil {
		t.Error("added what is no line")
	}
	if got := strings.Join(trail(t, open(t)), " "); got != "one two three four" {
		t.Errorf("the trail says %q", got)
	}
	n := 0
	check(t, s.Audit(ctx, time.Now().Add(-time.Minute), func(audit.Row) (bool, error) { n++; return n < 3, nil }))
	if n != 3 {
		t.Errorf("%d lines", n)
	}
	check(t, s.Audit(ctx, time.Now().Add(time.Minute), func(audit.Row) (bool, error) { t.Error("a line from the future"); return false, nil }))
}

func auditLinesComeWithTheJournal(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	_, _, err := s.CreateAction(ctx, "1", "k", "c", "proposed", []byte("d"), line(t, "proposed"))
	check(t, err)
	_, _, err = s.CreateAction(ctx, "2", "k", "c", "proposed", []byte("d"), line(t, "again"))
	check(t, err)
	must[bool](t)(s.SwapAction(ctx, "1", "proposed", "approved", []byte("d"), true, "A", time.Minute, line(t, "approved")))
	must[bool](t)(s.SwapAction(ctx, "1", "proposed", "approved", []byte("d"), true, "A", time.Minute, line(t, "approved twice")))
	if moved, err := s.SwapAction(ctx, "1", "approved", "done", []byte("d"), false, "A", 0, []byte("no line")); moved || err == nil {
		t.Error("moved without its line")
	}
	if !must[bool](t)(s.SwapAction(ctx, "1", "approved", "done", []byte("d"), false, "A", 0, line(t, "done"), line(t, "told"))) {
		t.Error("not where it was before the line that is none")
	}
	if got := strings.Join(trail(t, s), " "); got != "proposed approved done told" {
		t.Errorf("the trail says %q", got)
	}
}

func auditLinesOfManyMakeOneChain(t *testing.T, open opener) {
	ctx := t.Context()
	var wg sync.WaitGroup
	const stores, each = 3, 30
	for i := range stores {
		s := open(t)
		for j := range each {
			wg.Go(func() {
				id := fmt.Sprint(i, "-", j)
				var err error
				if j%2 == 0 {
					err = s.AppendAudit(ctx, fmt.Sprint("key", j), line(t, id)) // one of the stores is first
				} else {
					_, _, err = s.CreateAction(ctx, id, id, "c", "p", []byte("d"), line(t, id))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if got := len(trail(t, open(t))); got != each/2+stores*each/2 {
		t.Errorf("%d lines", got)
	}
}

func auditIsOnlyAddedTo(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	check(t, s.AppendAudit(ctx, "", line(t, "one"), line(t, "two")))
	for _, q := range []string{"UPDATE audit SET at = 1", "DELETE FROM audit", "DELETE FROM audit WHERE seq = 2"} {
		if err := s.Exec(ctx, q); err == nil || !strings.Contains(err.Error(), "only added to") {
			t.Errorf("%s: %v", q, err)
		}
	}
	trail(t, s)
}

// TestTamperingShows does to the table what somebody with all rights could do.
func TestTamperingShows(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   []string
		line int64
		why  string
	}{
		{"changed", []string{"UPDATE audit SET data = CAST(replace(CAST(data AS TEXT), 'line 3', 'line X') AS BLOB) WHERE seq = 3"}, 3, "changed"},
		{"removed", []string{"DELETE FROM audit WHERE seq = 2"}, 2, "is missing"},
		{"removed and renumbered", []string{"DELETE FROM audit WHERE seq = 2", "UPDATE audit SET seq = 2 WHERE seq = 3", "UPDATE audit SET seq = 3 WHERE seq = 4", "UPDATE audit SET seq = 4 WHERE seq = 5", "UPDATE audit_head SET seq = 4"}, 2, "was line 3"},
		{"put in", []string{"INSERT INTO audit SELECT 6, NULL, at, data, hash FROM audit WHERE seq = 1"}, 6, "was line 1"},
		{"cut off", []string{"DELETE FROM audit WHERE seq > 3"}, 4, "cut off"},
		{"cut off with the head", []string{"DELETE FROM audit WHERE seq > 3", "UPDATE audit_head SET seq = 3, hash = (SELECT hash FROM audit WHERE seq = 3)"}, 4, "noted down"},
		{"all gone", []string{"DELETE FROM audit", "UPDATE audit_head SET seq = 0, hash = ''"}, 1, "noted down"},
		{"refiled", []string{"UPDATE audit SET at = at + 1000 WHERE seq = 4"}, 4, "another time"},
		{"swapped", []string{"UPDATE audit SET seq = 9 WHERE seq = 2", "UPDATE audit SET seq = 2 WHERE seq = 3", "UPDATE audit SET seq = 3 WHERE seq = 9"}, 2, "was line 3"},
		{"another head", []string{"UPDATE audit_head SET hash = 'x'"}, 5, "written last"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := t.TempDir() + "/x.db"
			s, ctx := closing(t)(store.OpenSQLite(t.Context(), path)), t.Context()
			for i := range 5 {
				check(t, s.AppendAudit(ctx, "", line(t, fmt.Sprint("line ", i+1))))
			}
			noted := must[audit.Head](t)(s.AuditTrail(ctx, func(audit.Row) error { return nil }))
			for _, q := range append([]string{"DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"}, tt.do...) {
				check(t, s.Exec(ctx, q))
			}
			err := verify(ctx, s, noted, nil)
			var broken *audit.BrokenError
			if !errors.As(err, &broken) || broken.Seq != tt.line || !strings.Contains(broken.Why, tt.why) {
				t.Errorf("%v; want line %d: %s", err, tt.line, tt.why)
			}
		})
	}
}
