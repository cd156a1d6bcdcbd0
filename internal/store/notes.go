package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// noteChannel is what PostgreSQL calls the road that notes take.
	noteChannel = "firstmate"
	// maxNote is how long a note may be: PostgreSQL takes 8000 bytes, of which
	// who says it needs some.
	maxNote = 7900
	// relisten is how long after a broken connection it is tried again.
	relisten = time.Second
)

// Tell says something to the other processes that Listen to the same store.
// Nothing that must not be lost is told so: who does not listen right now never
// hears it, nor does anybody what is too long.
func (s *Store) Tell(ctx context.Context, note []byte) error {
	if s.pool == nil || len(note) > maxNote {
		return nil
	}
	if _, err := s.pool.Exec(ctx, "SELECT pg_notify($1, $2)", noteChannel, s.self+" "+string(note)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// Listen calls heard with what others tell, until ctx ends; heard must not
// wait. After a broken connection, it calls missed: something may have been said
// meanwhile. A store that is this process's own has nobody to listen to.
func (s *Store) Listen(ctx context.Context, heard func(note []byte), missed func(), log *slog.Logger) {
	for s.pool != nil && ctx.Err() == nil {
		err := s.listen(ctx, heard, missed)
		if ctx.Err() != nil {
			return
		}
		log.WarnContext(ctx, "not hearing what other replicas say; trying again", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(relisten):
		}
	}
	<-ctx.Done()
}

func (s *Store) listen(ctx context.Context, heard func(note []byte), missed func()) error {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it was only listened to
	if _, err := conn.Exec(ctx, "LISTEN "+noteChannel); err != nil {
		return err
	}
	missed()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if from, note, _ := strings.Cut(n.Payload, " "); from != s.self {
			heard([]byte(note))
		}
	}
}
