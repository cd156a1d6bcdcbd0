package store

import "context"

// Exec lets tests do to the tables what no caller may.
func (s *Store) Exec(ctx context.Context, q string, args ...any) error {
	_, err := s.durable.ExecContext(ctx, s.q(q), args...)
	return err
}

// Int reads a number.
func (s *Store) Int(ctx context.Context, q string) (n int64, err error) {
	err = s.durable.QueryRowContext(ctx, s.q(q)).Scan(&n)
	return n, err
}
