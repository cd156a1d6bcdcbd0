package store_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/postgrestest"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// old unpacks a file that a firstmate of schema 1 wrote, which knew nothing of
// migrations.
func old(t *testing.T) string {
	t.Helper()
	f := must[*os.File](t)(os.Open("testdata/schema1.db.gz"))
	defer func() { check(t, f.Close()) }()
	z := must[*gzip.Reader](t)(gzip.NewReader(f))
	path := filepath.Join(t.TempDir(), "x.db")
	check(t, os.WriteFile(path, must[[]byte](t)(io.ReadAll(z)), 0o600))
	return path
}

func TestAnOldFileIsTakenOverWithoutLoss(t *testing.T) {
	s, ctx := closing(t)(store.OpenSQLite(t.Context(), old(t))), t.Context()
	// What is older than it may be is swept on opening, as it always was; the
	// journal and what was missed stay.
	var actions []string
	check(t, s.ActionsOf(ctx, "web:1", func(b []byte) (bool, error) { actions = append(actions, string(b)); return true, nil }))
	want := []string{`{"id":"a3","state":"proposed"}`, `{"id":"a2","state":"watching"}`, `{"id":"a1","state":"done"}`}
	if !slices.Equal(actions, want) {
		t.Errorf("the journal holds %q", actions)
	}
	if got := must[[][]byte](t)(s.ClaimActions(ctx, "new", time.Minute)); len(got) != 1 || string(got[0]) != want[1] {
		t.Errorf("claimed %q of what ran", got)
	}
	stored, fresh, err := s.CreateAction(ctx, "x", "df:d-a1", "web:1", "proposed", []byte("x"), line(t, "x"))
	if fresh || string(stored) != want[2] || err != nil {
		t.Errorf("an old key: %q %v %v", stored, fresh, err)
	}
	if got := kept(t, s, time.Time{}); !slices.Equal(got, []string{`{"text":"frobnicate {workload}"}>`, `{"text":"wibble"}>{"text":"status"}`}) {
		t.Errorf("misses %q", got)
	}
	check(t, s.AppendAudit(ctx, "", line(t, "one")))
	if got := trail(t, s); len(got) != 1 {
		t.Errorf("the trail says %q", got)
	}
}

func TestAnOldFilesConversationsGoOn(t *testing.T) {
	path := old(t)
	raw := closing(t)(store.OpenSQLite(t.Context(), path)) // has swept what is too old
	now := time.Now().UnixMilli()
	_ = raw.Close()
	path = old(t)
	db := rawSQLite(t, path)
	for _, q := range []string{"UPDATE sessions SET updated = %d", "UPDATE deliveries SET at = %d", "UPDATE events SET at = %d"} {
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf(q, now)); err != nil {
			t.Fatal(err)
		}
	}
	check(t, db.Close())
	s, ctx := closing(t)(store.OpenSQLite(t.Context(), path)), t.Context()
	for conv, want := range map[string][2]string{"web:1": {`{"namespace":"shop","heard":2}`, `{"speech":"All is well."}`}, "web:2": {`{"namespace":"prod"}`, `{"speech":"Done."}`}} {
		sess, ans, err := s.LoadTurn(ctx, conv, "df:d-"+conv[4:])
		if string(sess) != want[0] || string(ans) != want[1] || err != nil {
			t.Errorf("%s: %q %q %v", conv, sess, ans, err)
		}
	}
	var seqs []int64
	check(t, s.EventsAfter(ctx, "web:1", 0, func(seq int64, _ []byte) error { seqs = append(seqs, seq); return nil }))
	if !slices.Equal(seqs, []int64{1, 2}) {
		t.Errorf("events %v", seqs)
	}
	seq, _, err := s.AppendEvent(ctx, "web:1", "a3/outcome", []byte("{}"), []byte("{}"))
	if seq != 3 || err != nil {
		t.Errorf("the next event is %d, %v", seq, err)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	newer := "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, %s)"
	refused := func(t *testing.T, err error) {
		t.Helper()
		if fault.KindOf(err) != fault.Usage || !strings.Contains(fault.Say(err), "newer firstmate") || !strings.Contains(fault.Say(err), "99") {
			t.Errorf("%v", err)
		}
	}
	for _, q := range []string{"PRAGMA user_version = 99", fmt.Sprintf(newer, "1")} {
		path := filepath.Join(t.TempDir(), "x.db")
		s := must[*store.Store](t)(store.OpenSQLite(t.Context(), path))
		check(t, s.Exec(t.Context(), q))
		check(t, s.Close())
		_, err := store.OpenSQLite(t.Context(), path)
		refused(t, err)
	}
	t.Run("postgres", func(t *testing.T) {
		dsn := postgres.DSN(t)
		closing(t)(store.OpenPostgres(t.Context(), dsn))
		check(t, postgrestest.Exec(t.Context(), dsn, fmt.Sprintf(newer, "true")))
		_, err := store.OpenPostgres(t.Context(), dsn)
		refused(t, err)
	})
}

func TestManyOpenAtOnce(t *testing.T) {
	bothEngines(t, func(t *testing.T, open opener) {
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { open(t) })
		}
		wg.Wait()
		trail(t, open(t))
	})
}

func TestPostgresThatCannotBeReached(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://u:hunter2@127.0.0.1:1/x": "I cannot reach the database x on 127.0.0.1:1",
		"postgres://u:hunter2@h:port/x":      "state.postgres is a PostgreSQL connection string",
	} {
		_, err := store.OpenPostgres(t.Context(), dsn)
		if err == nil || !strings.Contains(fault.Say(err), want) || strings.Contains(err.Error()+fault.Say(err), "hunter2") {
			t.Errorf("%s: %v: %s", dsn, err, fault.Say(err))
		}
	}
}

func TestTheFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	closing(t)(store.OpenSQLite(t.Context(), path))
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("the file: %v %v", fi, err)
	}
}
