// Package store keeps what must outlive the process: sessions, answers to
// deliveries, outcomes, alerts, the ledger's journal and the audit trail, in one SQLite
// file or in PostgreSQL. It knows nothing of what it keeps: rows are ids,
// states and bytes.
package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgxpool"
)

// How long things are kept that nobody needs for ever.
const (
	deliveryLife = 24 * time.Hour      // platforms retry for minutes
	eventLife    = 30 * 24 * time.Hour // outcomes nobody fetched
	sessionLife  = 30 * 24 * time.Hour
)

// Store keeps things in SQLite or in PostgreSQL; both promise the same.
type Store struct {
	// quick serves sessions: a power cut may cost the last turns' context.
	// durable serves the journal: what it accepted survives a power cut. Of
	// PostgreSQL both are the same.
	quick, durable *sql.DB

	self     string        // this process, among those that share the store
	pool     *pgxpool.Pool // nil for SQLite
	lockPool *pgxpool.Pool // apart, so that who waits for a lock takes no connection from who holds it
}

// Close closes the file, or the connections.
func (s *Store) Close() error {
	err := s.quick.Close()
	if s.pool == nil {
		return errors.Join(err, s.durable.Close())
	}
	s.pool.Close()
	s.lockPool.Close()
	return err
}

// Shared reports whether processes on other machines may use the same store.
func (s *Store) Shared() bool { return s.pool != nil }

// Ping reports whether the store answers.
func (s *Store) Ping(ctx context.Context) error {
	var n int
	if err := s.quick.QueryRowContext(ctx, "SELECT 1").Scan(&n); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// maxText is how long an id may be as it is: an index takes no more than about
// 2700 bytes.
const maxText = 512

// text is a stranger's id as the engine can keep it: PostgreSQL has no room for
// NUL, for broken UTF-8, nor for very long keys.
func (s *Store) text(id string) string {
	if s.pool == nil || len(id) <= maxText && utf8.ValidString(id) && !strings.ContainsRune(id, 0) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "\ufffd" + hex.EncodeToString(sum[:])
}

// q is a statement as the engine wants it: ? are the parameters, and :now is
// the time in milliseconds: that of the database where several machines share
// one, as their clocks may differ.
func (s *Store) q(query string) string {
	if s.pool == nil {
		return strings.ReplaceAll(query, ":now", strconv.FormatInt(time.Now().UnixMilli(), 10))
	}
	query = strings.ReplaceAll(query, ":now", "(extract(epoch from clock_timestamp())*1000)::bigint")
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// tx runs f in a transaction.
func (s *Store) tx(ctx context.Context, db *sql.DB, f func(*tx) error) error {
	t, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := f(&tx{t, s}); err != nil {
		if errors.Is(err, errRollback) {
			err = nil
		} else {
			err = fmt.Errorf("store: %w", err)
		}
		return errors.Join(err, t.Rollback())
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// errRollback ends a transaction that turned out to have nothing to do.
var errRollback = errors.New("nothing to do")

// tx is a transaction whose statements are written for either engine.
type tx struct {
	*sql.Tx
	s *Store
}

func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := t.ExecContext(ctx, t.s.q(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) row(ctx context.Context, query string, args ...any) *sql.Row {
	return t.QueryRowContext(ctx, t.s.q(query), args...)
}

// lock makes others who lock the same thing wait until the transaction ends.
// In SQLite there is but one writing transaction at a time anyway.
func (t *tx) lock(ctx context.Context, kind int, what string) error {
	if t.s.pool == nil {
		return nil
	}
	_, err := t.exec(ctx, "SELECT pg_advisory_xact_lock(?, hashtext(?))", kind, what)
	return err
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

// each calls f for the rows of a query until it returns false.
func each(rows *sql.Rows, err error, f func(scan func(...any) error) (bool, error)) (out error) {
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer func() { out = errors.Join(out, rows.Close()) }()
	for rows.Next() {
		more, err := f(func(into ...any) error {
			if err := rows.Scan(into...); err != nil {
				return fmt.Errorf("store: %w", err)
			}
			return nil
		})
		if err != nil || !more {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Sweep forgets what nobody needs any more. Opening does it too.
func (s *Store) Sweep(ctx context.Context) error {
	now := time.Now()
	return s.tx(ctx, s.durable, func(t *tx) error {
		for _, old := range []struct {
			query  string
			before time.Time
		}{
			{"DELETE FROM deliveries WHERE at < ?", now.Add(-deliveryLife)},
			{"DELETE FROM events WHERE at < ?", now.Add(-eventLife)},
			{"DELETE FROM sessions WHERE updated < ?", now.Add(-sessionLife)},
			{"DELETE FROM alerts WHERE at < ?", now.Add(-alertLife)},
			{"DELETE FROM turns WHERE at < ?", now.Add(-saidLife)},
			{"DELETE FROM conversations WHERE updated < ?", now.Add(-saidLife)},
			{"DELETE FROM logins WHERE expires < ?", now},
		} {
			if _, err := t.exec(ctx, old.query, old.before.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
}
