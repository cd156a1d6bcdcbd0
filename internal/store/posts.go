package store

import "context"

// What was posted to a chat stands among the deliveries: it is kept as long, and
// claimed alike.
const postPrefix = "post:"

// ClaimPost lets this process post something that has a name, once: claimed is false
// where it was posted, and where another process is about to. One that dies before
// it says KeepPosted keeps others from it for a few seconds.
func (s *Store) ClaimPost(ctx context.Context, id string) (claimed bool, err error) {
	query := claimDelivery + " AND (deliveries.lease < :now OR deliveries.owner = excluded.owner)"
	err = s.tx(ctx, s.quick, func(t *tx) error {
		n, err := t.exec(ctx, query, s.text(postPrefix+id), []byte{}, s.self, deliveryLease.Milliseconds())
		claimed = n == 1
		return err
	})
	return claimed && err == nil, err
}

// KeepPosted notes which message something was posted as; the last one counts. A
// message that is "" notes nothing.
func (s *Store) KeepPosted(ctx context.Context, id, message string) error {
	if message == "" {
		return nil
	}
	return s.tx(ctx, s.quick, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO deliveries (id, answer, at, owner) VALUES (?, ?, :now, ?)
			ON CONFLICT (id) DO UPDATE SET answer = excluded.answer`, s.text(postPrefix+id), []byte(message), s.self)
		return err
	})
}

// Posted is the message that something was posted as, "" where it was not.
func (s *Store) Posted(ctx context.Context, id string) (message string, err error) {
	b, err := s.answer(ctx, postPrefix+id)
	return string(b), err
}

// Conversations calls f with those whose id begins so and in which an outcome was told,
// as long as that is kept, whether somebody heard it or not. f must not call the store.
func (s *Store) Conversations(ctx context.Context, prefix string, f func(conversation string) error) error {
	prefix = s.text(prefix)
	rows, err := s.quick.QueryContext(ctx, s.q("SELECT DISTINCT conversation FROM events WHERE substr(conversation, 1, ?) = ?"), len(prefix), prefix)
	return each(rows, err, func(scan func(...any) error) (bool, error) {
		var c string
		if err := scan(&c); err != nil {
			return false, err
		}
		return true, f(c)
	})
}
