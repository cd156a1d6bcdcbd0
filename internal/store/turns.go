package store

import (
	"context"
	"database/sql"
	"errors"
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

// SaveTurn keeps the session and, where deliveryID is not "", the answer, in
// one transaction.
func (s *Store) SaveTurn(ctx context.Context, conversation string, session []byte, deliveryID string, answer []byte) error {
	return s.tx(ctx, s.quick, func(t *tx) error {
		if _, err := t.exec(ctx, putSession, s.text(conversation), session); err != nil || deliveryID == "" {
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO deliveries (id, answer, at) VALUES (?, ?, :now)
			ON CONFLICT (id) DO UPDATE SET answer = excluded.answer`, s.text(deliveryID), answer)
		return err
	})
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
