package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// AddMiss keeps a miss of a conversation, and of all only the newest max. next
// is what was done next, nil where that is not known yet: only then the
// conversation is kept with it.
func (s *Store) AddMiss(ctx context.Context, conversation string, at time.Time, miss, next []byte, max int) error {
	if next != nil {
		conversation = ""
	}
	return s.tx(ctx, s.quick, func(t *tx) error {
		if _, err := t.exec(ctx, "INSERT INTO misses (conversation, data, next, at) VALUES (?, ?, ?, ?)",
			s.text(conversation), miss, next, at.UnixMilli()); err != nil {
			return err
		}
		_, err := t.exec(ctx, "DELETE FROM misses WHERE seq <= (SELECT seq FROM misses ORDER BY seq DESC LIMIT 1 OFFSET ?)", max)
		return err
	})
}

// OpenMiss finds the newest miss of a conversation of which it is not known
// what was done next, if it is not older than since.
func (s *Store) OpenMiss(ctx context.Context, conversation string, since time.Time) (id int64, ok bool, err error) {
	err = s.quick.QueryRowContext(ctx, s.q("SELECT seq FROM misses WHERE conversation = ? AND conversation <> '' AND at >= ? ORDER BY seq DESC LIMIT 1"),
		s.text(conversation), since.UnixMilli()).Scan(&id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("store: %w", err)
	}
	return id, true, nil
}

// FollowMiss notes what was done after a miss, and forgets whose it was.
func (s *Store) FollowMiss(ctx context.Context, id int64, next []byte) error {
	if _, err := s.quick.ExecContext(ctx, s.q("UPDATE misses SET next = ?, conversation = '' WHERE seq = ?"), next, id); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Misses calls f with what was kept since a time, oldest first; next is nil
// where it is not known. f must not call the store.
func (s *Store) Misses(ctx context.Context, since time.Time, f func(miss, next []byte) error) error {
	rows, err := s.quick.QueryContext(ctx, s.q("SELECT data, next FROM misses WHERE at >= ? ORDER BY seq"), since.UnixMilli())
	return each(rows, err, func(scan func(...any) error) (bool, error) {
		var miss, next []byte
		if err := scan(&miss, &next); err != nil {
			return false, err
		}
		return true, f(miss, next)
	})
}

// ForgetMisses drops all that was kept, and says how many.
func (s *Store) ForgetMisses(ctx context.Context) (int64, error) {
	res, err := s.quick.ExecContext(ctx, "DELETE FROM misses")
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	return res.RowsAffected()
}
