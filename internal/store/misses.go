package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const missSchema = `
CREATE TABLE IF NOT EXISTS misses (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL,
	data BLOB NOT NULL, next BLOB, at INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS misses_open ON misses (conversation, seq) WHERE conversation <> '';
`

// AddMiss keeps a miss of a conversation, and of all only the newest max. next
// is what was done next, nil where that is not known yet: only then the
// conversation is kept with it.
func (s *SQLite) AddMiss(ctx context.Context, conversation string, at time.Time, miss, next []byte, max int) error {
	if next != nil {
		conversation = ""
	}
	return s.tx(ctx, s.quick, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO misses (conversation, data, next, at) VALUES (?, ?, ?, ?)",
			conversation, miss, next, at.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM misses WHERE seq <= (SELECT seq FROM misses ORDER BY seq DESC LIMIT 1 OFFSET ?)", max)
		return err
	})
}

// OpenMiss finds the newest miss of a conversation of which it is not known
// what was done next, if it is not older than since.
func (s *SQLite) OpenMiss(ctx context.Context, conversation string, since time.Time) (id int64, ok bool, err error) {
	err = s.quick.QueryRowContext(ctx, "SELECT seq FROM misses WHERE conversation = ? AND conversation <> '' AND at >= ? ORDER BY seq DESC LIMIT 1",
		conversation, since.UnixMilli()).Scan(&id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("store: %w", err)
	}
	return id, true, nil
}

// FollowMiss notes what was done after a miss, and forgets whose it was.
func (s *SQLite) FollowMiss(ctx context.Context, id int64, next []byte) error {
	if _, err := s.quick.ExecContext(ctx, "UPDATE misses SET next = ?, conversation = '' WHERE seq = ?", next, id); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Misses calls f with what was kept since a time, oldest first; next is nil
// where it is not known. f must not call the store.
func (s *SQLite) Misses(ctx context.Context, since time.Time, f func(miss, next []byte) error) (err error) {
	rows, err := s.quick.QueryContext(ctx, "SELECT data, next FROM misses WHERE at >= ? ORDER BY seq", since.UnixMilli())
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var miss, next []byte
		if err := rows.Scan(&miss, &next); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		if err := f(miss, next); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ForgetMisses drops all that was kept, and says how many.
func (s *SQLite) ForgetMisses(ctx context.Context) (int64, error) {
	res, err := s.quick.ExecContext(ctx, "DELETE FROM misses")
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	return res.RowsAffected()
}
