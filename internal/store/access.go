package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// accessSchema is who is linked to whom, and what is known of PINs and codes:
// only their hashes.
const accessSchema = `
CREATE TABLE IF NOT EXISTS links (
	speaker TEXT PRIMARY KEY, person TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS link_codes (
	person TEXT PRIMARY KEY, hash TEXT NOT NULL, expires INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS pins (
	person TEXT PRIMARY KEY, hash TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tries (
	key TEXT PRIMARY KEY, made INTEGER NOT NULL, last INTEGER NOT NULL) STRICT;
`

// LinkOf returns the person a speaker is linked to, "" for none.
func (s *SQLite) LinkOf(ctx context.Context, speaker string) (string, error) {
	b, err := one(s.quick.QueryRowContext(ctx, "SELECT person FROM links WHERE speaker = ?", speaker))
	return string(b), err
}

// PutLink links a speaker to a person, in place of any other.
func (s *SQLite) PutLink(ctx context.Context, speaker, person string) error {
	return s.exec(ctx, `INSERT INTO links (speaker, person, at) VALUES (?, ?, ?)
		ON CONFLICT (speaker) DO UPDATE SET person = excluded.person, at = excluded.at`, speaker, person, time.Now().UnixMilli())
}

// DropLink ends a speaker's link and reports whether there was one.
func (s *SQLite) DropLink(ctx context.Context, speaker string) (bool, error) {
	return s.changed(ctx, "DELETE FROM links WHERE speaker = ?", speaker)
}

// Links calls f with every link, in the order of the speakers. f must not call
// the store.
func (s *SQLite) Links(ctx context.Context, f func(speaker, person string, at time.Time) error) (err error) {
	rows, err := s.quick.QueryContext(ctx, "SELECT speaker, person, at FROM links ORDER BY speaker")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var speaker, person string
		var at int64
		if err := rows.Scan(&speaker, &person, &at); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		if err := f(speaker, person, time.UnixMilli(at)); err != nil {
			return err
		}
	}
	return rows.Err()
}

// PutCode keeps the hash of a person's code, in place of an earlier one.
func (s *SQLite) PutCode(ctx context.Context, person, hash string, expires time.Time) error {
	return s.exec(ctx, `INSERT INTO link_codes (person, hash, expires) VALUES (?, ?, ?)
		ON CONFLICT (person) DO UPDATE SET hash = excluded.hash, expires = excluded.expires`, person, hash, expires.UnixMilli())
}

// Codes returns the hashes that have not expired, by person.
func (s *SQLite) Codes(ctx context.Context, now time.Time) (codes map[string]string, err error) {
	rows, err := s.durable.QueryContext(ctx, "SELECT person, hash FROM link_codes WHERE expires > ?", now.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	codes = map[string]string{}
	for rows.Next() {
		var person, hash string
		if err := rows.Scan(&person, &hash); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		codes[person] = hash
	}
	return codes, rows.Err()
}

// TakeCode forgets a person's code and reports whether it was there.
func (s *SQLite) TakeCode(ctx context.Context, person, hash string) (bool, error) {
	return s.changed(ctx, "DELETE FROM link_codes WHERE person = ? AND hash = ?", person, hash)
}

// PINOf returns the hash of a person's PIN, "" for none.
func (s *SQLite) PINOf(ctx context.Context, person string) (string, error) {
	b, err := one(s.durable.QueryRowContext(ctx, "SELECT hash FROM pins WHERE person = ?", person))
	return string(b), err
}

// PutPIN keeps the hash of a person's PIN, in place of an earlier one.
func (s *SQLite) PutPIN(ctx context.Context, person, hash string) error {
	return s.exec(ctx, `INSERT INTO pins (person, hash, at) VALUES (?, ?, ?)
		ON CONFLICT (person) DO UPDATE SET hash = excluded.hash, at = excluded.at`, person, hash, time.Now().UnixMilli())
}

// Try counts a try of a key and reports how many are left after it. Once max
// were made, none is counted nor allowed before rest has passed since the last;
// after such a rest counting begins anew.
func (s *SQLite) Try(ctx context.Context, key string, now time.Time, max int, rest time.Duration) (left int, ok bool, err error) {
	err = s.tx(ctx, s.durable, func(tx *sql.Tx) error {
		var made int
		var last int64
		err := tx.QueryRowContext(ctx, "SELECT made, last FROM tries WHERE key = ?", key).Scan(&made, &last)
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
		_, err = tx.ExecContext(ctx, `INSERT INTO tries (key, made, last) VALUES (?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET made = excluded.made, last = excluded.last`, key, made, now.UnixMilli())
		return err
	})
	return left, ok && err == nil, err
}

// Forgive forgets the tries of a key.
func (s *SQLite) Forgive(ctx context.Context, key string) error {
	return s.exec(ctx, "DELETE FROM tries WHERE key = ?", key)
}

// exec changes something durably.
func (s *SQLite) exec(ctx context.Context, query string, args ...any) error {
	_, err := s.changed(ctx, query, args...)
	return err
}

// changed changes something durably and reports whether there was anything to.
func (s *SQLite) changed(ctx context.Context, query string, args ...any) (bool, error) {
	var n int64
	err := s.tx(ctx, s.durable, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n > 0, err
}
