package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// LoadTurn returns the session of a conversation and the answer that was given
// to a delivery; nil for what there is not.
func (s *Store) LoadTurn(ctx context.Context, conversation, deliveryID string) (session, answer []byte, err error) {
	session, err = one(s.quick.QueryRowContext(ctx, s.q("SELECT data FROM sessions WHERE conversation = ?"), s.text(conversation)))
	if err != nil || deliveryID == "" {
		return session, nil, err
	}
	answer, err = s.answer(ctx, deliveryID)
	return session, answer, err
}

func (s *Store) answer(ctx context.Context, deliveryID string) ([]byte, error) {
	return one(s.quick.QueryRowContext(ctx, s.q("SELECT answer FROM deliveries WHERE id = ? AND length(answer) > 0"), s.text(deliveryID)))
}

const putSession = `INSERT INTO sessions (conversation, data, updated) VALUES (?, ?, :now)
	ON CONFLICT (conversation) DO UPDATE SET data = excluded.data, updated = excluded.updated`

// deliveryLease is for how long a process that died keeps others from handling
// a delivery that it took.
const deliveryLease = 5 * time.Second

// ClaimDelivery lets this process handle a delivery, and reports whether it may:
// not where it was answered, nor while another process is handling it. The
// caller holds the lock of the delivery's conversation. Where that holds against
// other processes, who had claimed before and left no answer is gone.
func (s *Store) ClaimDelivery(ctx context.Context, id string) (claimed bool, err error) {
	query := claimDelivery + " AND (deliveries.lease < :now OR deliveries.owner = excluded.owner)"
	if s.Shared() {
		query = claimDelivery
	}
	err = s.tx(ctx, s.quick, func(t *tx) error {
		n, err := t.exec(ctx, query, s.text(id), []byte{}, s.self, deliveryLease.Milliseconds())
		claimed = n == 1
		return err
	})
	return claimed && err == nil, err
}

const claimDelivery = `INSERT INTO deliveries (id, answer, at, owner, lease) VALUES (?, ?, :now, ?, :now + ?)
	ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, lease = excluded.lease WHERE length(deliveries.answer) = 0`

// SaveTurn keeps the session and, where deliveryID is not "", the answer, in
// one transaction. Where another process has taken the delivery over since this
// one claimed it, nothing is kept, and kept is false.
func (s *Store) SaveTurn(ctx context.Context, conversation string, session []byte, deliveryID string, answer []byte) (kept bool, err error) {
	err = s.tx(ctx, s.quick, func(t *tx) error {
		if deliveryID != "" {
			n, err := t.exec(ctx, `INSERT INTO deliveries (id, answer, at, owner) VALUES (?, ?, :now, ?)
				ON CONFLICT (id) DO UPDATE SET answer = excluded.answer WHERE deliveries.owner = excluded.owner`, s.text(deliveryID), answer, s.self)
			if err != nil {
				return err
			}
			if n == 0 {
				return errRollback
			}
		}
		kept = true
		_, err := t.exec(ctx, putSession, s.text(conversation), session)
		return err
	})
	return kept && err == nil, err
}

// LockConversation waits until no other process with the same store answers in
// a conversation, and keeps the others waiting until unlock. Processes on one
// SQLite file do not wait for each other: there is one that serves, and people
// at terminals, each with their own conversations.
func (s *Store) LockConversation(ctx context.Context, conversation string) (unlock func(), err error) {
	if s.pool == nil {
		return func() {}, nil
	}
	tx, err := s.lockPool.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	unlock = func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockLimit)
		defer cancel()
		_ = tx.Rollback(limit) // a connection that is gone has unlocked
	}
	// The lock lives as long as the transaction: whoever dies unlocks.
	for _, q := range []string{"SET LOCAL idle_in_transaction_session_timeout = 0", "SET LOCAL lock_timeout = 0"} {
		if _, err := tx.Exec(ctx, q); err != nil {
			unlock()
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1::int, hashtext($2))", lockConversation, s.text(conversation)); err != nil {
		unlock()
		return nil, fmt.Errorf("store: %w", err)
	}
	return unlock, nil
}

// AppendEvent keeps an event and the session with it. A key seen before in
// the conversation changes nothing and returns the first one's seq.
func (s *Store) AppendEvent(ctx context.Context, conversation, key string, event, session []byte) (seq int64, fresh bool, err error) {
	conversation, key = s.text(conversation), s.text(key)
	err = s.tx(ctx, s.durable, func(t *tx) error {
		// A later event of a conversation has the greater number, also where two
		// processes add to it: who has seen one has seen all before it.
		if err := t.lock(ctx, lockEvents, conversation); err != nil {
			return err
		}
		err := t.row(ctx, "SELECT seq FROM events WHERE conversation = ? AND key = ?", conversation, key).Scan(&seq)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		err = t.row(ctx, "INSERT INTO events (conversation, key, data, at) VALUES (?, ?, ?, :now) RETURNING seq", conversation, key, event).Scan(&seq)
		if err != nil {
			return err
		}
		fresh = true
		_, err = t.exec(ctx, putSession, conversation, session)
		return err
	})
	return seq, fresh, err
}

// EventsAfter calls f with the kept events of a conversation whose seq is
// greater than after, oldest first. f must not call the store.
func (s *Store) EventsAfter(ctx context.Context, conversation string, after int64, f func(seq int64, event []byte) error) error {
	rows, err := s.quick.QueryContext(ctx, s.q("SELECT seq, data FROM events WHERE conversation = ? AND seq > ? ORDER BY seq"), s.text(conversation), after)
	return each(rows, err, func(scan func(...any) error) (bool, error) {
		var seq int64
		var b []byte
		if err := scan(&seq, &b); err != nil {
			return false, err
		}
		return true, f(seq, b)
	})
}
