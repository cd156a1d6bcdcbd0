package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Book returns what is kept under a name, and its version; 0 and nil where
// nothing was yet.
func (s *Store) Book(ctx context.Context, name string) (version int64, data []byte, err error) {
	err = s.durable.QueryRowContext(ctx, s.q("SELECT version, data FROM books WHERE name = ?"), s.text(name)).Scan(&version, &data)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, nil, nil
	case err != nil:
		return 0, nil, fmt.Errorf("store: %w", err)
	}
	return version, data, nil
}

// SwapBook keeps data under a name in place of a version, 0 for nothing, and
// reports whether that was still what was there.
func (s *Store) SwapBook(ctx context.Context, name string, version int64, data []byte) (swapped bool, err error) {
	if version == 0 {
		return s.changed(ctx, "INSERT INTO books (name, version, data, updated) VALUES (?, 1, ?, :now) ON CONFLICT (name) DO NOTHING", s.text(name), data)
	}
	return s.changed(ctx, "UPDATE books SET version = version + 1, data = ?, updated = :now WHERE name = ? AND version = ?", data, s.text(name), version)
}
