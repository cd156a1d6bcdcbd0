package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

//go:embed migrations
var migrations embed.FS

const (
	migrateTries = 50
	migratePause = 100 * time.Millisecond
)

// migrate brings the tables to what this program knows. What a newer one made
// is refused: it may mean things that this one would break.
func (s *Store) migrate(ctx context.Context, dialect goose.Dialect, folder, where string) error {
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	p, err := goose.NewProvider(dialect, s.durable, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("store: %s: %w", where, err)
	}
	var have, want int64
	err = patiently(ctx, func() error {
		// Another process may be doing the same just now: then this one fails.
		if have, want, err = p.GetVersions(ctx); err != nil || have >= want {
			return err
		}
		_, err := p.Up(ctx)
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("store: %s cannot be brought to schema %d: %w", where, want, err)
	case have > want:
		return tooNew(where, have, want)
	}
	return nil
}

// patiently tries something again that another process may be in the way of.
func patiently(ctx context.Context, f func() error) error {
	for try := 0; ; try++ {
		err := f()
		if err == nil || try == migrateTries {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(migratePause):
		}
	}
}

func tooNew(where string, have, want int64) error {
	return fault.New(fault.Usage, "%s was written by a newer firstmate: its schema is %d, and I know %d. Start that version, or give me another place with state.path or state.postgres.", where, have, want)
}
