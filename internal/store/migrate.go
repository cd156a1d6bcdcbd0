package store

import (
	"context"
	"embed"
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
	for try := 0; ; try++ {
		have, want, err := p.GetVersions(ctx)
		switch {
		case err == nil && have == want:
			return nil
		case err == nil && have > want:
			return tooNew(where, have, want)
		case err == nil:
			_, err = p.Up(ctx)
		}
		// Another process may be doing the same just now: then this one loses.
		if err != nil && try == migrateTries {
			return fmt.Errorf("store: %s cannot be brought to schema %d: %w", where, want, err)
		}
		if err != nil {
			select {
			case <-ctx.Done():
				return fmt.Errorf("store: %s: %w", where, ctx.Err())
			case <-time.After(migratePause):
			}
		}
	}
}

func tooNew(where string, have, want int64) error {
	return fault.New(fault.Usage, "%s was written by a newer firstmate: its schema is %d, and I know %d. Start that version, or give me another place with state.path or state.postgres.", where, have, want)
}
