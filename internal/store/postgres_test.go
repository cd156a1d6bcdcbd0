package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/postgrestest"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// TestARoleThatOwnsNothingIsEnough holds what docs/audit.md says: with these
// rights everything works, and the trail cannot be touched.
func TestARoleThatOwnsNothingIsEnough(t *testing.T) {
	dsn, ctx := postgres.DSN(t), t.Context()
	check(t, must[*store.Store](t)(store.OpenPostgres(ctx, dsn)).Close())
	for _, q := range []string{
		"CREATE ROLE app LOGIN",
		"GRANT USAGE ON SCHEMA public TO app",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app",
		"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app",
		"REVOKE UPDATE, DELETE ON audit FROM app",
	} {
		check(t, postgrestest.Exec(ctx, dsn, q))
	}
	s := closing(t)(store.OpenPostgres(ctx, strings.Replace(dsn, "firstmate@", "app@", 1)))
	_, _, err := s.CreateAction(ctx, "1", "k", "c", "proposed", []byte("d"), line(t, "proposed"))
	check(t, err)
	save(t, s, "c", []byte("s"), "d", []byte("a"))
	_, _, err = s.AppendEvent(ctx, "c", "k", []byte("e"), []byte("s"))
	check(t, err)
	check(t, s.AddMiss(ctx, "c", time.Now(), []byte("m"), nil, 1))
	check(t, s.Sweep(ctx))
	if got := trail(t, s); len(got) != 1 {
		t.Errorf("the trail says %q", got)
	}
	for _, q := range []string{"ALTER TABLE audit DISABLE TRIGGER ALL", "DROP TRIGGER audit_only_added_to ON audit", "DELETE FROM audit", "TRUNCATE audit", "UPDATE audit SET at = 1"} {
		if err := s.Exec(ctx, q); err == nil {
			t.Errorf("%s: done", q)
		}
	}
	owner := closing(t)(store.OpenPostgres(ctx, dsn))
	if err := owner.Exec(ctx, "TRUNCATE audit"); err == nil || !strings.Contains(err.Error(), "only added to") {
		t.Errorf("the owner truncates: %v", err)
	}
}
