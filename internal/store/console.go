package store

import (
	"context"
	"time"
)

const (
	// saidLife is how long what was said is kept to be shown again, saidKept how
	// much of one conversation.
	saidLife = 30 * 24 * time.Hour
	saidKept = 500
)

// OwnConversation makes a conversation that nobody ever spoke in a speaker's, and
// returns whose it is; "" where it was spoken in and nobody is known to own it. The
// speaker "" only asks.
func (s *Store) OwnConversation(ctx context.Context, conversation, speaker string) (owner string, err error) {
	owner, err = s.owner(ctx, conversation)
	if owner != "" || speaker == "" || err != nil {
		return owner, err
	}
	_, err = s.changed(ctx, `INSERT INTO conversations (id, owner, title, updated)
		SELECT CAST(? AS TEXT), CAST(? AS TEXT), `+s.bytes()+`, :now WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE conversation = ?)
		ON CONFLICT (id) DO NOTHING`, s.text(conversation), s.text(speaker), []byte{}, s.text(conversation))
	if err != nil {
		return "", err
	}
	return s.owner(ctx, conversation) // that of whoever came first
}

func (s *Store) owner(ctx context.Context, conversation string) (string, error) {
	b, err := one(s.quick.QueryRowContext(ctx, s.q("SELECT owner FROM conversations WHERE id = ?"), s.text(conversation)))
	return string(b), err
}

// AddSaid keeps a turn of a conversation, and of these only the newest. A key that
// was seen before adds nothing; "" is none. The conversation is the speaker's, if
// it is nobody's yet, and has the first title that is not empty.
func (s *Store) AddSaid(ctx context.Context, conversation, speaker, key string, title, turn []byte) error {
	conversation, speaker = s.text(conversation), s.text(speaker)
	var once any
	if key != "" {
		once = s.text(key)
	}
	if title == nil {
		title = []byte{}
	}
	return s.tx(ctx, s.quick, func(t *tx) error {
		n, err := t.exec(ctx, "INSERT INTO turns (conversation, key, data, at) VALUES (?, ?, ?, :now) ON CONFLICT (key) DO NOTHING", conversation, once, turn)
		if err != nil {
			return err
		}
		if n == 0 {
			return errRollback
		}
		if _, err := t.exec(ctx, `INSERT INTO conversations (id, owner, title, updated) VALUES (?, ?, ?, :now)
			ON CONFLICT (id) DO UPDATE SET updated = excluded.updated,
				title = CASE WHEN length(conversations.title) = 0 THEN excluded.title ELSE conversations.title END`, conversation, speaker, title); err != nil {
			return err
		}
		_, err = t.exec(ctx, "DELETE FROM turns WHERE conversation = ? AND seq <= (SELECT seq FROM turns WHERE conversation = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)",
			conversation, conversation, saidKept)
		return err
	})
}

// Said calls f with the turns of a conversation that are kept, oldest first. f
// must not call the store.
func (s *Store) Said(ctx context.Context, conversation string, f func(at time.Time, turn []byte) error) error {
	rows, err := s.quick.QueryContext(ctx, s.q("SELECT at, data FROM turns WHERE conversation = ? ORDER BY seq"), s.text(conversation))
	return each(rows, err, func(scan func(...any) error) (bool, error) {
		var at int64
		var b []byte
		if err := scan(&at, &b); err != nil {
			return false, err
		}
		return true, f(time.UnixMilli(at), b)
	})
}

// Told calls f with the kept events of a conversation and when they were kept,
// oldest first. f must not call the store.
func (s *Store) Told(ctx context.Context, conversation string, f func(seq int64, at time.Time, event []byte) error) error {
	rows, err := s.quick.QueryContext(ctx, s.q("SELECT seq, at, data FROM events WHERE conversation = ? ORDER BY seq"), s.text(conversation))
	return each(rows, err, func(scan func(...any) error) (bool, error) {
		var seq, at int64
		var b []byte
		if err := scan(&seq, &at, &b); err != nil {
			return false, err
		}
		return true, f(seq, time.UnixMilli(at), b)
	})
}

// ConversationsOf calls f with the conversations of a speaker in which something
// was said, the one that was spoken in last first, at most max. f must not call
// the store.
func (s *Store) ConversationsOf(ctx context.Context, speaker string, max int, f func(id string, title []byte, updated time.Time) error) error {
	rows, err := s.quick.QueryContext(ctx, s.q("SELECT id, title, updated FROM conversations WHERE owner = ? AND length(title) > 0 ORDER BY updated DESC, id LIMIT ?"),
		s.text(speaker), max)
	return each(rows, err, func(scan func(...any) error) (bool, error) {
		var id string
		var title []byte
		var at int64
		if err := scan(&id, &title, &at); err != nil {
			return false, err
		}
		return true, f(id, title, time.UnixMilli(at))
	})
}

// PutLogin keeps under an id what is known of somebody who is logged in, or may
// log in, until a time.
func (s *Store) PutLogin(ctx context.Context, id string, data []byte, until time.Time) error {
	_, err := s.changed(ctx, `INSERT INTO logins (id, data, expires) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET data = excluded.data, expires = excluded.expires`, s.text(id), data, until.UnixMilli())
	return err
}

// Login returns what is kept under an id; nil where there is nothing, or not any
// more.
func (s *Store) Login(ctx context.Context, id string) ([]byte, error) {
	return one(s.quick.QueryRowContext(ctx, s.q("SELECT data FROM logins WHERE id = ? AND expires > :now"), s.text(id)))
}

// TakeLogin forgets what is kept under an id and returns it: of several that take
// it at once, one gets it. nil where there is nothing, or not any more.
func (s *Store) TakeLogin(ctx context.Context, id string) (data []byte, err error) {
	err = s.tx(ctx, s.quick, func(t *tx) error {
		data, err = one(t.row(ctx, "DELETE FROM logins WHERE id = ? AND expires > :now RETURNING data", s.text(id)))
		return err
	})
	return data, err
}

// DropLogin forgets what is kept under an id.
func (s *Store) DropLogin(ctx context.Context, id string) error {
	_, err := s.changed(ctx, "DELETE FROM logins WHERE id = ?", s.text(id))
	return err
}
