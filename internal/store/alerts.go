package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	alertLife = 7 * 24 * time.Hour
	// alertsKept bounds how many alerts are kept; another is not, until one is swept.
	alertsKept = 10_000
)

// PutAlert keeps word of an alert that began at since: that it fires or, with
// over, that it is over. Word of an earlier time than what is kept changes
// nothing, nor does word that what is over fires.
func (s *Store) PutAlert(ctx context.Context, id string, since time.Time, over bool, data []byte, at time.Time) error {
	n := 0
	if over {
		n = 1
	}
	_, err := s.quick.ExecContext(ctx, s.q(`INSERT INTO alerts (id, since, over, data, at)
		SELECT CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS INTEGER), `+s.bytes()+`, CAST(? AS BIGINT)
		WHERE (SELECT count(*) FROM alerts) < ? OR EXISTS (SELECT 1 FROM alerts WHERE id = ?)
		ON CONFLICT (id) DO UPDATE SET since = excluded.since, over = excluded.over, data = excluded.data, at = excluded.at
			WHERE excluded.since > alerts.since OR excluded.since = alerts.since AND excluded.over >= alerts.over`),
		s.text(id), since.UnixNano(), n, data, at.UnixMilli(), alertsKept, s.text(id))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// bytes is a parameter whose type an engine cannot know from its place.
func (s *Store) bytes() string {
	if s.pool == nil {
		return "CAST(? AS BLOB)"
	}
	return "CAST(? AS BYTEA)"
}

// LastAlert is the last word on an alert; ok says that there is one.
func (s *Store) LastAlert(ctx context.Context, id string) (since time.Time, over, ok bool, err error) {
	var began, n int64
	err = s.quick.QueryRowContext(ctx, s.q("SELECT since, over FROM alerts WHERE id = ?"), s.text(id)).Scan(&began, &n)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return since, false, false, nil
	case err != nil:
		return since, false, false, fmt.Errorf("store: %w", err)
	}
	return time.Unix(0, began).UTC(), n == 1, true, nil
}

// Alerts calls f with the alerts that fire and were heard of since a time. f must
// not call the store.
func (s *Store) Alerts(ctx context.Context, heard time.Time, f func(data []byte) error) error {
	rows, err := s.quick.QueryContext(ctx, s.q("SELECT data FROM alerts WHERE over = 0 AND at >= ? ORDER BY id"), heard.UnixMilli())
	return each(rows, err, func(scan func(...any) error) (bool, error) {
		var b []byte
		if err := scan(&b); err != nil {
			return false, err
		}
		return true, f(b)
	})
}
