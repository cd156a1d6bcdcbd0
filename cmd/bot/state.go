package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/firstmate-ops/firstmate/internal/store"
)

// openStore opens what the configuration names, creating it where it is not
// there yet.
func openStore(ctx context.Context, c Config, getenv func(string) string) (*store.Store, error) {
	if c.State.Postgres != "" {
		return store.OpenPostgres(ctx, string(c.State.Postgres))
	}
	path, err := c.statePath(getenv)
	if err != nil {
		return nil, err
	}
	return store.OpenSQLite(ctx, path)
}

// existingStore opens what the configuration names for a look; ok is false where
// nothing was ever kept there.
func existingStore(ctx context.Context, c Config, getenv func(string) string) (s *store.Store, ok bool, err error) {
	if c.State.Postgres == "" {
		path, err := c.statePath(getenv)
		if err != nil {
			return nil, false, err
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, false, nil
		}
	}
	s, err = openStore(ctx, c, getenv)
	return s, err == nil, err
}

// sweepEvery is how often a process that stays up forgets what nobody needs.
const sweepEvery = time.Hour

// sweep forgets what nobody needs any more, now and then, until ctx ends.
func (a *app) sweep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery):
		}
		if err := a.store.Sweep(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "what is old is not forgotten yet", "err", err)
		}
	}
}
