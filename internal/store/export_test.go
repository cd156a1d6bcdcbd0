package store

import "context"

// Exec lets tests do to the file what no caller may.
func (s *SQLite) Exec(ctx context.Context, q string) error {
	_, err := s.durable.ExecContext(ctx, q)
	return err
}
