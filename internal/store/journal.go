package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// CreateAction journals a new entry. A key seen before creates nothing and
// returns what is stored under it: the same delivery gives the same entry.
func (s *SQLite) CreateAction(ctx context.Context, id, key, conversation, state string, data []byte) (stored []byte, fresh bool, err error) {
	err = s.tx(ctx, s.durable, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "SELECT data FROM actions WHERE key = ?", key).Scan(&stored)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		fresh, stored = true, data
		_, err = tx.ExecContext(ctx, `INSERT INTO actions (id, key, conversation, state, open, owner, lease, data, updated)
			VALUES (?, ?, ?, ?, 0, '', 0, ?, ?)`, id, key, conversation, state, data, time.Now().UnixMilli())
		return err
	})
	return stored, fresh, err
}

// SwapAction moves an entry from one state to another, and reports whether it
// was in the first. open says that a runner has work left on it: then owner
// holds it until lease ends. An entry that another owner holds is not moved.
func (s *SQLite) SwapAction(ctx context.Context, id, from, to string, data []byte, open bool, owner string, lease time.Time) (bool, error) {
	keep, until := owner, lease.UnixMilli()
	if !open {
		keep, until = "", 0
	}
	var n int64
	err := s.tx(ctx, s.durable, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE actions SET state = ?, data = ?, open = ?, owner = ?, lease = ?, updated = ?
			WHERE id = ? AND state = ? AND owner IN ('', ?)`,
			to, data, open, keep, until, time.Now().UnixMilli(), id, from, owner)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n == 1, err
}

// Action returns an entry; nil where there is none.
func (s *SQLite) Action(ctx context.Context, id string) ([]byte, error) {
	return one(s.durable.QueryRowContext(ctx, "SELECT data FROM actions WHERE id = ?", id))
}

// ActionsOf calls f with the entries of a conversation, newest first, until f
// returns false. f must not call the store.
func (s *SQLite) ActionsOf(ctx context.Context, conversation string, f func(data []byte) (bool, error)) error {
	return s.actions(ctx, "SELECT data FROM actions WHERE conversation = ? ORDER BY seq DESC", conversation, f)
}

// ActionsIn calls f with the entries that are in a state, newest first, until
// f returns false. f must not call the store.
func (s *SQLite) ActionsIn(ctx context.Context, state string, f func(data []byte) (bool, error)) error {
	return s.actions(ctx, "SELECT data FROM actions WHERE state = ? ORDER BY seq DESC", state, f)
}

func (s *SQLite) actions(ctx context.Context, query, arg string, f func(data []byte) (bool, error)) (err error) {
	rows, err := s.quick.QueryContext(ctx, query, arg)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		more, err := f(b)
		if err != nil || !more {
			return err
		}
	}
	return rows.Err()
}

// ClaimActions makes owner the holder of every open entry whose holder's
// lease has ended, until the new lease ends, and returns them oldest first.
func (s *SQLite) ClaimActions(ctx context.Context, owner string, now, lease time.Time) (claimed [][]byte, err error) {
	// Most times there is nothing: a read does not wait for writers.
	var n int
	if err := s.quick.QueryRowContext(ctx, "SELECT count(*) FROM actions WHERE open = 1 AND lease < ?", now.UnixMilli()).Scan(&n); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if n == 0 {
		return nil, nil
	}
	err = s.tx(ctx, s.durable, func(tx *sql.Tx) (err error) {
		rows, err := tx.QueryContext(ctx, `UPDATE actions SET owner = ?, lease = ? WHERE open = 1 AND lease < ? AND owner <> ? RETURNING data`,
			owner, lease.UnixMilli(), now.UnixMilli(), owner)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var b []byte
			if err := rows.Scan(&b); err != nil {
				return err
			}
			claimed = append(claimed, b)
		}
		return rows.Err()
	})
	return claimed, err
}

// RenewActions lets owner hold what it holds until the new lease ends.
func (s *SQLite) RenewActions(ctx context.Context, owner string, lease time.Time) error {
	_, err := s.quick.ExecContext(ctx, "UPDATE actions SET lease = ? WHERE open = 1 AND owner = ?", lease.UnixMilli(), owner)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// ReleaseActions ends owner's leases at once: another may go on with its work.
func (s *SQLite) ReleaseActions(ctx context.Context, owner string) error {
	return s.RenewActions(ctx, owner, time.UnixMilli(0))
}
