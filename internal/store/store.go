// Package store keeps what must outlive the process: sessions, answers to
// deliveries, outcomes, and the ledger's journal, in one SQLite file. It knows
// nothing of what it keeps: rows are ids, states and bytes.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the "sqlite" driver; pure Go
)

// How long things are kept that nobody needs for ever.
const (
	deliveryLife = 24 * time.Hour      // platforms retry for minutes
	eventLife    = 30 * 24 * time.Hour // outcomes nobody fetched
	sessionLife  = 30 * 24 * time.Hour
)

const schema = `
CREATE TABLE IF NOT EXISTS sessions (
	conversation TEXT PRIMARY KEY, data BLOB NOT NULL, updated INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS deliveries (
	id TEXT PRIMARY KEY, answer BLOB NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS events (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL, key TEXT NOT NULL,
	data BLOB NOT NULL, at INTEGER NOT NULL, UNIQUE (conversation, key)) STRICT;
CREATE TABLE IF NOT EXISTS actions (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, key TEXT NOT NULL UNIQUE,
	conversation TEXT NOT NULL, state TEXT NOT NULL, open INTEGER NOT NULL,
	owner TEXT NOT NULL, lease INTEGER NOT NULL, data BLOB NOT NULL, updated INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS actions_conversation ON actions (conversation, seq);
CREATE INDEX IF NOT EXISTS actions_state ON actions (state, seq);
CREATE INDEX IF NOT EXISTS actions_open ON actions (lease) WHERE open = 1;
`

// schemaVersion is written to the file; a newer one is refused.
const schemaVersion = 1

// SQLite is a store in one file. Several processes on one machine may share it.
type SQLite struct {
	// quick serves sessions: a power cut may cost the last turns' context.
	// durable serves the journal: what it accepted survives a power cut.
	quick, durable *sql.DB
}

// OpenSQLite opens the file, creating it and its folder, readable by the user only.
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
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
	s := &SQLite{}
	if s.quick, err = open(path, "NORMAL", 4); err != nil {
		return nil, err
	}
	if s.durable, err = open(path, "FULL", 2); err != nil {
		return nil, errors.Join(err, s.quick.Close())
	}
	if err := s.migrate(ctx, path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func open(path, synchronous string, conns int) (*sql.DB, error) {
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

func (s *SQLite) migrate(ctx context.Context, path string) error {
	var have int
	if err := s.durable.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
		return fmt.Errorf("store: %s: %w", path, err)
	}
	if have > schemaVersion {
		return fmt.Errorf("store: %s was written by a newer firstmate (schema %d, this one knows %d)", path, have, schemaVersion)
	}
	now := time.Now()
	return s.tx(ctx, s.durable, func(tx *sql.Tx) error {
		for _, q := range []string{schema, missSchema, accessSchema, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion)} {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		for q, before := range map[string]time.Time{
			"DELETE FROM deliveries WHERE at < ?":    now.Add(-deliveryLife),
			"DELETE FROM events WHERE at < ?":        now.Add(-eventLife),
			"DELETE FROM sessions WHERE updated < ?": now.Add(-sessionLife),
		} {
			if _, err := tx.ExecContext(ctx, q, before.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close closes the file.
func (s *SQLite) Close() error { return errors.Join(s.quick.Close(), s.durable.Close()) }

func (s *SQLite) tx(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := f(tx); err != nil {
		return errors.Join(fmt.Errorf("store: %w", err), tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// LoadTurn returns the session of a conversation and the answer that was given
// to a delivery; nil for what there is not.
func (s *SQLite) LoadTurn(ctx context.Context, conversation, deliveryID string) (session, answer []byte, err error) {
	session, err = one(s.quick.QueryRowContext(ctx, "SELECT data FROM sessions WHERE conversation = ?", conversation))
	if err != nil || deliveryID == "" {
		return session, nil, err
	}
	answer, err = one(s.quick.QueryRowContext(ctx, "SELECT answer FROM deliveries WHERE id = ?", deliveryID))
	return session, answer, err
}

// one reads a row of one column; nil where there is no row.
func one(row *sql.Row) ([]byte, error) {
	var b []byte
	switch err := row.Scan(&b); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("store: %w", err)
	}
	return b, nil
}

const putSession = `INSERT INTO sessions (conversation, data, updated) VALUES (?, ?, ?)
	ON CONFLICT (conversation) DO UPDATE SET data = excluded.data, updated = excluded.updated`

// SaveTurn keeps the session and, where deliveryID is not "", the answer, in
// one transaction.
func (s *SQLite) SaveTurn(ctx context.Context, conversation string, session []byte, deliveryID string, answer []byte) error {
	now := time.Now().UnixMilli()
	return s.tx(ctx, s.quick, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, putSession, conversation, session, now); err != nil || deliveryID == "" {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO deliveries (id, answer, at) VALUES (?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET answer = excluded.answer`, deliveryID, answer, now)
		return err
	})
}

// AppendEvent keeps an event and the session with it. A key seen before in
// the conversation changes nothing and returns the first one's seq.
func (s *SQLite) AppendEvent(ctx context.Context, conversation, key string, event, session []byte) (seq int64, fresh bool, err error) {
	now := time.Now().UnixMilli()
	err = s.tx(ctx, s.durable, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT seq FROM events WHERE conversation = ? AND key = ?", conversation, key).Scan(&seq)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		res, err := tx.ExecContext(ctx, "INSERT INTO events (conversation, key, data, at) VALUES (?, ?, ?, ?)", conversation, key, event, now)
		if err != nil {
			return err
		}
		if seq, err = res.LastInsertId(); err != nil {
			return err
		}
		fresh = true
		_, err = tx.ExecContext(ctx, putSession, conversation, session, now)
		return err
	})
	return seq, fresh, err
}

// EventsAfter calls f with the kept events of a conversation whose seq is
// greater than after, oldest first. f must not call the store.
func (s *SQLite) EventsAfter(ctx context.Context, conversation string, after int64, f func(seq int64, event []byte) error) (err error) {
	rows, err := s.quick.QueryContext(ctx, "SELECT seq, data FROM events WHERE conversation = ? AND seq > ? ORDER BY seq", conversation, after)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var seq int64
		var b []byte
		if err := rows.Scan(&seq, &b); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		if err := f(seq, b); err != nil {
			return err
		}
	}
	return rows.Err()
}
