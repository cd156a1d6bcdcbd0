package store

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// CreateAction journals a new entry, with lines for the audit trail. A key seen
// before creates nothing and returns what is stored under it: the same delivery
// gives the same entry.
func (s *Store) CreateAction(ctx context.Context, id, key, conversation, state string, data []byte, audit ...[]byte) (stored []byte, fresh bool, err error) {
	err = s.tx(ctx, s.durable, func(t *tx) error {
		n, err := t.exec(ctx, `INSERT INTO actions (id, key, conversation, state, open, owner, lease, data, updated)
			VALUES (?, ?, ?, ?, 0, '', 0, ?, :now) ON CONFLICT (key) DO NOTHING`, id, s.text(key), s.text(conversation), state, data)
		if err != nil {
			return err
		}
		if n == 0 {
			return t.row(ctx, "SELECT data FROM actions WHERE key = ?", s.text(key)).Scan(&stored)
		}
		fresh, stored = true, data
		return t.audit(ctx, "", audit)
	})
	return stored, fresh, err
}

const (
	holdAction = `UPDATE actions SET state = ?, data = ?, open = 1, owner = ?, lease = :now + ?, updated = :now
		WHERE id = ? AND state = ? AND owner IN ('', ?)`
	closeAction = `UPDATE actions SET state = ?, data = ?, open = 0, owner = '', lease = 0, updated = :now
		WHERE id = ? AND state = ? AND owner IN ('', ?)`
)

// SwapAction moves an entry from one state to another, with lines for the audit
// trail, and reports whether it was in the first. open says that a runner has
// work left on it: then owner holds it for as long as lease. An entry that
// another owner holds is not moved.
func (s *Store) SwapAction(ctx context.Context, id, from, to string, data []byte, open bool, owner string, lease time.Duration, audit ...[]byte) (moved bool, err error) {
	query, args := closeAction, []any{to, data, id, from, owner}
	if open {
		query, args = holdAction, []any{to, data, owner, lease.Milliseconds(), id, from, owner}
	}
	err = s.tx(ctx, s.durable, func(t *tx) error {
		n, err := t.exec(ctx, query, args...)
		if err != nil {
			return err
		}
		if n == 0 {
			return errRollback
		}
		moved = true
		return t.audit(ctx, "", audit)
	})
	return moved && err == nil, err
}

// Action returns an entry; nil where there is none.
func (s *Store) Action(ctx context.Context, id string) ([]byte, error) {
	return one(s.durable.QueryRowContext(ctx, s.q("SELECT data FROM actions WHERE id = ?"), s.text(id)))
}

// ActionsOf calls f with the entries of a conversation, newest first, until f
// returns false. f must not call the store.
func (s *Store) ActionsOf(ctx context.Context, conversation string, f func(data []byte) (bool, error)) error {
	return s.actions(ctx, "SELECT data FROM actions WHERE conversation = ? ORDER BY seq DESC", conversation, f)
}

// ActionsIn calls f with the entries that are in a state, newest first, until
// f returns false. f must not call the store.
func (s *Store) ActionsIn(ctx context.Context, state string, f func(data []byte) (bool, error)) error {
	return s.actions(ctx, "SELECT data FROM actions WHERE state = ? ORDER BY seq DESC", state, f)
}

func (s *Store) actions(ctx context.Context, query, arg string, f func(data []byte) (bool, error)) error {
	rows, err := s.quick.QueryContext(ctx, s.q(query), s.text(arg))
	return each(rows, err, func(scan func(...any) error) (bool, error) {
		var b []byte
		if err := scan(&b); err != nil {
			return false, err
		}
		return f(b)
	})
}

// ClaimActions makes owner the holder of every open entry whose holder's
// lease has ended, for as long as lease, and returns them oldest first.
func (s *Store) ClaimActions(ctx context.Context, owner string, lease time.Duration) ([][]byte, error) {
	// Most times there is nothing: a read does not wait for writers.
	var n int
	if err := s.quick.QueryRowContext(ctx, s.q("SELECT count(*) FROM actions WHERE open = 1 AND lease < :now")).Scan(&n); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if n == 0 {
		return nil, nil
	}
	type claimed struct {
		seq  int64
		data []byte
	}
	var all []claimed
	err := s.tx(ctx, s.durable, func(t *tx) error {
		rows, err := t.QueryContext(ctx, s.q("UPDATE actions SET owner = ?, lease = :now + ? WHERE open = 1 AND lease < :now AND owner <> ? RETURNING seq, data"),
			owner, lease.Milliseconds(), owner)
		return each(rows, err, func(scan func(...any) error) (bool, error) {
			var c claimed
			err := scan(&c.seq, &c.data)
			all = append(all, c)
			return true, err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b claimed) int { return int(a.seq - b.seq) })
	out := make([][]byte, len(all))
	for i, c := range all {
		out[i] = c.data
	}
	return out, nil
}

// RenewActions lets owner hold what it holds for as long as lease, from now.
func (s *Store) RenewActions(ctx context.Context, owner string, lease time.Duration) error {
	_, err := s.quick.ExecContext(ctx, s.q("UPDATE actions SET lease = :now + ? WHERE open = 1 AND owner = ?"), lease.Milliseconds(), owner)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// ReleaseActions ends owner's leases at once: another may go on with its work.
func (s *Store) ReleaseActions(ctx context.Context, owner string) error {
	_, err := s.quick.ExecContext(ctx, s.q("UPDATE actions SET lease = 0 WHERE open = 1 AND owner = ?"), owner)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
