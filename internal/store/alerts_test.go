package store_test

import (
	"strings"
	"testing"
	"time"
)

func alertsAreKept(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	at := time.Now().Add(-4 * time.Hour)
	put := func(id string, since time.Time, over bool, data string, heard time.Time) {
		t.Helper()
		check(t, s.PutAlert(ctx, id, since, over, []byte(data), heard))
	}
	fires := func(since time.Time) string {
		t.Helper()
		var all []string
		check(t, open(t).Alerts(ctx, since, func(b []byte) error { all = append(all, string(b)); return nil }))
		return strings.Join(all, " ")
	}
	put("a", at, false, "a1", at)
	put(`b $1 '`, at, false, "b1", at)
	put("c", at.Add(time.Minute), false, "c1", at.Add(time.Hour))
	put("a", at, false, "a2", at.Add(time.Hour)) // it still fires
	put("c", at, true, "c0", at.Add(2*time.Hour))
	if got := fires(at); got != "a2 b1 c1" {
		t.Errorf("fires: %s", got)
	}
	if got := fires(at.Add(time.Minute)); got != "a2 c1" {
		t.Errorf("heard of lately: %s", got)
	}
	put(`b $1 '`, at, true, "b2", at)
	put(`b $1 '`, at, false, "b1", at) // late
	if got := fires(at); got != "a2 c1" {
		t.Errorf("fires: %s", got)
	}
	if since, over, ok, err := s.LastAlert(ctx, `b $1 '`); !since.Equal(at) || !over || !ok || err != nil {
		t.Error(since, over, ok, err)
	}
	if _, _, ok, err := s.LastAlert(ctx, "x"); ok || err != nil {
		t.Error(ok, err)
	}
	put(`b $1 '`, at.Add(time.Nanosecond), false, "b3", at) // it began again
	if got := fires(at); got != "a2 b3 c1" {
		t.Errorf("fires: %s", got)
	}
	check(t, s.Exec(ctx, "UPDATE alerts SET at = 1 WHERE id <> 'a'"))
	check(t, s.Sweep(ctx))
	if n, err := s.Int(ctx, "SELECT count(*) FROM alerts"); n != 1 || err != nil {
		t.Errorf("%d are kept for ever, %v", n, err)
	}
	// No more than so many, of which those that are known still count.
	check(t, s.Exec(ctx, `INSERT INTO alerts (id, since, over, data, at)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) SELECT 'n' || i, 1, 0, data, 1 FROM n, alerts WHERE id = 'a'`))
	put("n7", at, false, "n7", at)
	put("one more", at, false, "one more", at)
	if got := fires(at); got != "a2 n7" {
		t.Errorf("of very many: %s", got)
	}
}
