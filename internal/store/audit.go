package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/firstmate-ops/firstmate/internal/audit"
)

// AppendAudit adds lines to the audit trail. With a key that was added before
// it adds nothing; "" is never the same.
func (s *Store) AppendAudit(ctx context.Context, key string, lines ...[]byte) error {
	return s.tx(ctx, s.quick, func(t *tx) error { return t.audit(ctx, key, lines) })
}

// audit adds lines to the trail, each behind the one that is the last when its
// turn comes: who adds holds the head until the transaction ends.
func (t *tx) audit(ctx context.Context, key string, lines [][]byte) error {
	if len(lines) == 0 {
		return nil
	}
	// The update, not a read, so that two transactions do not see one head.
	if _, err := t.exec(ctx, "UPDATE audit_head SET seq = seq WHERE one = 1"); err != nil {
		return err
	}
	if key != "" {
		var n int
		if err := t.row(ctx, "SELECT count(*) FROM audit WHERE key = ?", t.s.text(key)).Scan(&n); err != nil || n > 0 {
			return err
		}
	}
	var head audit.Head
	if err := t.row(ctx, "SELECT seq, hash FROM audit_head WHERE one = 1").Scan(&head.Seq, &head.Hash); err != nil {
		return err
	}
	for i, content := range lines {
		ev, err := audit.Decode(content)
		if err != nil {
			return err
		}
		line, hash, err := audit.Seal(head.Seq+1, head.Hash, content)
		if err != nil {
			return err
		}
		var k any // one line holds the key for all that are added with it
		if key != "" && i == 0 {
			k = t.s.text(key)
		}
		head = audit.Head{Seq: head.Seq + 1, Hash: hash}
		if _, err := t.exec(ctx, "INSERT INTO audit (seq, key, at, data, hash) VALUES (?, ?, ?, ?, ?)", head.Seq, k, ev.At.UnixMilli(), line, hash); err != nil {
			return err
		}
	}
	_, err := t.exec(ctx, "UPDATE audit_head SET seq = ?, hash = ? WHERE one = 1", head.Seq, head.Hash)
	return err
}

// Audit calls f with the lines of the audit trail from the first whose time is
// not before since, in the order in which they were added and without a gap,
// until it returns false. f must not call the store.
func (s *Store) Audit(ctx context.Context, since time.Time, f func(audit.Row) (bool, error)) error {
	rows, err := s.quick.QueryContext(ctx, s.q("SELECT seq, at, data, hash FROM audit WHERE seq >= (SELECT min(seq) FROM audit WHERE at >= ?) ORDER BY seq"), since.UnixMilli())
	return each(rows, err, func(scan func(...any) error) (bool, error) {
		var r audit.Row
		if err := scan(&r.Seq, &r.At, &r.Line, &r.Hash); err != nil {
			return false, err
		}
		return f(r)
	})
}

// AuditTrail calls f with every line of the audit trail, in order, and returns
// where it ends as that is kept beside the lines: all as of one moment.
func (s *Store) AuditTrail(ctx context.Context, f func(audit.Row) error) (audit.Head, error) {
	var head audit.Head
	rows, err := s.quick.QueryContext(ctx, s.q(`SELECT h.seq, h.hash, a.seq, a.at, a.data, a.hash
		FROM audit_head h LEFT JOIN audit a ON 1 = 1 ORDER BY a.seq`))
	err = each(rows, err, func(scan func(...any) error) (bool, error) {
		var seq, at sql.NullInt64
		var hash sql.NullString
		var line []byte
		if err := scan(&head.Seq, &head.Hash, &seq, &at, &line, &hash); err != nil || !seq.Valid {
			return false, err // an empty trail has but its head
		}
		return true, f(audit.Row{Seq: seq.Int64, At: at.Int64, Line: line, Hash: hash.String})
	})
	return head, err
}
