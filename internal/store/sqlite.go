package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the "sqlite" driver; pure Go
)

// sqliteSchema is the user_version that the last migration writes: firstmates
// from before there were migrations look at it.
const sqliteSchema = 2

// OpenSQLite opens the file, creating it and its folder, readable by the user
// only. Several processes on one machine may share it.
func OpenSQLite(ctx context.Context, path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{self: rand.Text()}
	if s.quick, err = openFile(path, "NORMAL", 4); err != nil {
		return nil, err
	}
	if s.durable, err = openFile(path, "FULL", 2); err != nil {
		return nil, errors.Join(err, s.quick.Close())
	}
	if err := s.takeOver(ctx, path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func openFile(path, synchronous string, conns int) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(" + synchronous + ")", "cache_size(-1024)",
	}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// takeOver brings a file of any age to today's schema.
func (s *Store) takeOver(ctx context.Context, path string) error {
	var have int64
	err := patiently(ctx, func() error {
		// Two that open a new file at once do not wait for each other: one fails.
		return s.durable.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have)
	})
	if err != nil {
		return fmt.Errorf("store: %s: %w", path, err)
	}
	if have > sqliteSchema {
		return tooNew(path, have, sqliteSchema)
	}
	if err := s.migrate(ctx, goose.DialectSQLite3, "migrations/sqlite", path); err != nil {
		return err
	}
	return s.Sweep(ctx)
}
