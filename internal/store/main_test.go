package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/postgrestest"
	"github.com/firstmate-ops/firstmate/internal/store"
)

var postgres postgrestest.Server

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m, &postgres)) }

// opener opens one store, each time as another process would.
type opener func(t testing.TB) *store.Store

// bothEngines runs a test over either engine.
func bothEngines(t *testing.T, f func(t *testing.T, open opener)) {
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "deep", "f?m#%.db") // signs a URL would eat
		f(t, func(t testing.TB) *store.Store { return closing(t)(store.OpenSQLite(t.Context(), path)) })
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := postgres.DSN(t)
		f(t, func(t testing.TB) *store.Store { return closing(t)(store.OpenPostgres(t.Context(), dsn)) })
	})
}

func closing(t testing.TB) func(*store.Store, error) *store.Store {
	return func(s *store.Store, err error) *store.Store {
		t.Helper()
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
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rawSQLite opens a file without taking it over.
func rawSQLite(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}
