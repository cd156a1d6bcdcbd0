package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

const (
	// postgresConns and lockConns are how many connections one process takes at
	// most, for queries and for conversations that are being answered.
	postgresConns = 8
	lockConns     = 12
	// postgresLimit is how long the first connection may take.
	postgresLimit = 15 * time.Second
	// unlockLimit is how long giving a lock back may take.
	unlockLimit = 5 * time.Second
)

// The advisory locks. PostgreSQL knows them by number only; pairs are apart
// from single numbers.
const (
	lockMigrate      = 0x66697273 // one process at a time brings the tables up to date
	lockConversation = 1          // with a hash: a conversation is being answered
	lockEvents       = 2          // with a hash: an event of it is being added
	lockTries        = 3          // with a hash: a try is being counted
)

// OpenPostgres opens a database that several replicas may share. dsn is a URL
// or a list of key=value, as libpq takes it; what it leaves open is taken from
// the environment's PG… variables.
func OpenPostgres(ctx context.Context, dsn string) (*Store, error) {
	conf, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fault.Wrap(errors.New("cannot parse the connection string"), fault.Usage, "state.postgres is a PostgreSQL connection string like postgres://firstmate@db.example:5432/firstmate; what is there cannot be read as one.")
	}
	where := fmt.Sprintf("the database %s on %s:%d", conf.ConnConfig.Database, conf.ConnConfig.Host, conf.ConnConfig.Port)
	s := &Store{self: rand.Text()}
	limit, cancel := context.WithTimeout(ctx, postgresLimit)
	defer cancel()
	if s.pool, err = openPool(limit, conf, postgresConns); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "I cannot reach %s. Check state.postgres, and that the database is up and lets me in.", where)
	}
	if s.lockPool, err = openPool(limit, conf, lockConns); err != nil {
		s.pool.Close()
		return nil, fault.Wrap(err, fault.Unavailable, "I cannot reach %s.", where)
	}
	s.quick = stdlib.OpenDBFromPool(s.pool)
	s.durable = s.quick
	if err := s.migratePostgres(ctx, where); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func openPool(ctx context.Context, conf *pgxpool.Config, conns int32) (*pgxpool.Pool, error) {
	c := conf.Copy()
	c.MaxConns, c.MaxConnLifetime, c.MaxConnIdleTime = conns, time.Hour, 5*time.Minute
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

func (s *Store) migratePostgres(ctx context.Context, where string) error {
	return pgx.BeginFunc(ctx, s.lockPool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", lockMigrate); err != nil {
			return fmt.Errorf("store: %s: %w", where, err)
		}
		if err := s.migrate(ctx, goose.DialectPostgres, "migrations/postgres", where); err != nil {
			return err
		}
		return s.Sweep(ctx)
	})
}
