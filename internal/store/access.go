package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/audit"
)

// LinkOf returns the person a speaker is linked to, "" for none.
func (s *Store) LinkOf(ctx context.Context, speaker string) (string, error) {
	b, err := one(s.quick.QueryRowContext(ctx, s.q("SELECT person FROM links WHERE speaker = ?"), s.text(speaker)))
	return string(b), err
}

// PutLink links a speaker to a person, in place of any other.
func (s *Store) PutLink(ctx context.Context, speaker, person string) error {
	return s.tx(ctx, s.durable, func(t *tx) error {
		if _, err := t.exec(ctx, `INSERT INTO links (speaker, person, at) VALUES (?, ?, :now)
			ON CONFLICT (speaker) DO UPDATE SET person = excluded.person, at = excluded.at`, s.text(speaker), person); err != nil {
			return err
		}
		return t.auditLink(ctx, audit.Linked, speaker, person)
	})
}

// DropLink ends a speaker's link and reports whether there was one.
func (s *Store) DropLink(ctx context.Context, speaker string) (was bool, err error) {
	err = s.tx(ctx, s.durable, func(t *tx) error {
		var person string
		err := t.row(ctx, "DELETE FROM links WHERE speaker = ? RETURNING person", s.text(speaker)).Scan(&person)
		if errors.Is(err, sql.ErrNoRows) {
			return errRollback
		}
		if err != nil {
			return err
		}
		was = true
		return t.auditLink(ctx, audit.Unlinked, speaker, person)
	})
	return was && err == nil, err
}

// auditLink notes in the trail that a speaker, channel:id, was linked or is no more.
func (t *tx) auditLink(ctx context.Context, k audit.Kind, speaker, person string) error {
	ev := audit.Event{Kind: k, At: time.Now(), Person: person}
	ev.Channel, ev.Speaker, _ = strings.Cut(speaker, ":")
	line, err := ev.Encode()
	if err != nil {
		return err
	}
	return t.audit(ctx, "", [][]byte{line})
}

// Links calls f with every link, in the order of the speakers. f must not call
// the store.
func (s *Store) Links(ctx context.Context, f func(speaker, person string, at time.Time) error) error {
	rows, err := s.quick.QueryContext(ctx, s.q("SELECT speaker, person, at FROM links ORDER BY speaker"))
	return each(rows, err, func(scan func(...any) error) (bool, error) {
		var speaker, person string
		var at int64
		if err := scan(&speaker, &person, &at); err != nil {
			return false, err
		}
		return true, f(speaker, person, time.UnixMilli(at))
	})
}

// PutCode keeps the hash of a person's code, in place of an earlier one.
func (s *Store) PutCode(ctx context.Context, person, hash string, expires time.Time) error {
	return s.exec(ctx, `INSERT INTO link_codes (person, hash, expires) VALUES (?, ?, ?)
		ON CONFLICT (person) DO UPDATE SET hash = excluded.hash, expires = excluded.expires`, person, hash, expires.UnixMilli())
}

// Codes returns the hashes that have not expired, by person.
func (s *Store) Codes(ctx context.Context, now time.Time) (map[string]string, error) {
	codes := map[string]string{}
	rows, err := s.durable.QueryContext(ctx, s.q("SELECT person, hash FROM link_codes WHERE expires > ?"), now.UnixMilli())
	err = each(rows, err, func(scan func(...any) error) (bool, error) {
		var person, hash string
		err := scan(&person, &hash)
		codes[person] = hash
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// TakeCode forgets a person's code and reports whether it was there.
func (s *Store) TakeCode(ctx context.Context, person, hash string) (bool, error) {
	return s.changed(ctx, "DELETE FROM link_codes WHERE person = ? AND hash = ?", person, hash)
}

// PINOf returns the hash of a person's PIN, "" for none.
func (s *Store) PINOf(ctx context.Context, person string) (string, error) {
	b, err := one(s.durable.QueryRowContext(ctx, s.q("SELECT hash FROM pins WHERE person = ?"), person))
	return string(b), err
}

// PutPIN keeps the hash of a person's PIN, in place of an earlier one.
func (s *Store) PutPIN(ctx context.Context, person, hash string) error {
	return s.exec(ctx, `INSERT INTO pins (person, hash, at) VALUES (?, ?, :now)
		ON CONFLICT (person) DO UPDATE SET hash = excluded.hash, at = excluded.at`, person, hash)
}

// Try counts a try of a key and reports how many are left after it. Once max
// were made, none is counted nor allowed before rest has passed since the last;
// after such a rest counting begins anew.
func (s *Store) Try(ctx context.Context, key string, now time.Time, max int, rest time.Duration) (left int, ok bool, err error) {
	key = s.text(key)
	err = s.tx(ctx, s.durable, func(t *tx) error {
		if err := t.lock(ctx, lockTries, key); err != nil {
			return err
		}
		var made int
		var last int64
		err := t.row(ctx, "SELECT made, last FROM tries WHERE key = ?", key).Scan(&made, &last)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if now.Sub(time.UnixMilli(last)) >= rest {
			made = 0
		}
		if made >= max {
			return nil
		}
		made++
		left, ok = max-made, true
		_, err = t.exec(ctx, `INSERT INTO tries (key, made, last) VALUES (?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET made = excluded.made, last = excluded.last`, key, made, now.UnixMilli())
		return err
	})
	return left, ok && err == nil, err
}

// Forgive forgets the tries of a key.
func (s *Store) Forgive(ctx context.Context, key string) error {
	return s.exec(ctx, "DELETE FROM tries WHERE key = ?", s.text(key))
}

// exec changes something durably.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	_, err := s.changed(ctx, query, args...)
	return err
}

// changed changes something durably and reports whether there was anything to.
func (s *Store) changed(ctx context.Context, query string, args ...any) (bool, error) {
	var n int64
	err := s.tx(ctx, s.durable, func(t *tx) (err error) {
		n, err = t.exec(ctx, query, args...)
		return err
	})
	return n > 0, err
}
