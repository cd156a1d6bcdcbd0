package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func aConversationIsOwned(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	own := func(id, speaker string) string {
		t.Helper()
		return must[string](t)(open(t).OwnConversation(ctx, id, speaker))
	}
	if got := own("c", ""); got != "" {
		t.Errorf("who only asks is the owner %q", got)
	}
	if got := []string{own("c", "web:ann"), own("c", "web:bob"), own("c", "web:ann")}; fmt.Sprint(got) != "[web:ann web:ann web:ann]" {
		t.Errorf("owners %q", got)
	}
	save(t, s, "phone:1", []byte("s"), "", nil)
	if got := own("phone:1", "web:ann"); got != "" {
		t.Errorf("what somebody spoke in before is %q's", got)
	}
	check(t, s.AddSaid(ctx, "bobs", "web:bob", "", []byte("t"), []byte("{}")))
	check(t, s.AddSaid(ctx, "bobs", "web:ann", "", []byte("t"), []byte("{}")))
	if got := own("bobs", "web:ann"); got != "web:bob" {
		t.Errorf("what bob spoke in first is %q's", got)
	}
	// Of many that come first at once one is the owner, and all hear who.
	var wg sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		wg.Go(func() { got[i] = own("race", fmt.Sprint("web:", i)) })
	}
	wg.Wait()
	slices.Sort(got)
	if got = slices.Compact(got); len(got) != 1 || got[0] == "" {
		t.Errorf("owners %q", got)
	}
	for _, id := range []string{"nul\x00", "\xff", strings.Repeat("long", 5000)} {
		if got := []string{own(id, "web:\x00"), own(id, "web:\x01")}; got[0] == "" || got[0] != got[1] {
			t.Errorf("%.10q: owners %q", id, got)
		}
	}
}

func whatWasSaidIsKept(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	said := func(id string) (out []string) {
		t.Helper()
		check(t, open(t).Said(ctx, id, func(at time.Time, b []byte) error {
			if age := time.Since(at); age > time.Minute || age < -time.Minute {
				t.Errorf("said %v ago", age)
			}
			out = append(out, string(b))
			return nil
		}))
		return out
	}
	for i, key := range []string{"", "", "k", "k"} {
		check(t, s.AddSaid(ctx, "c", "web:ann", key, nil, fmt.Append(nil, i)))
	}
	check(t, s.AddSaid(ctx, "c", "web:ann", "", []byte("title"), []byte("4")))
	check(t, s.AddSaid(ctx, "c", "web:ann", "", []byte("another"), []byte("5")))
	if got := said("c"); fmt.Sprint(got) != "[0 1 2 4 5]" {
		t.Errorf("said %q", got)
	}
	check(t, s.AddSaid(ctx, "untitled", "web:ann", "", nil, []byte("0")))
	check(t, s.AddSaid(ctx, "other", "web:bob", "", []byte("t"), []byte("0")))
	var list []string
	check(t, s.ConversationsOf(ctx, "web:ann", 10, func(id string, title []byte, _ time.Time) error {
		list = append(list, id+"="+string(title))
		return nil
	}))
	if fmt.Sprint(list) != "[c=title]" {
		t.Errorf("conversations %q", list)
	}
	for i := range 520 {
		check(t, s.AddSaid(ctx, "long", "web:ann", "", []byte("t"), fmt.Append(nil, i)))
	}
	if got := said("long"); len(got) != 500 || got[0] != "20" || got[499] != "519" {
		t.Errorf("%d turns are kept, from %.20q", len(got), got)
	}
	if got := said("c"); len(got) != 5 {
		t.Errorf("another conversation took %q", got)
	}

	seq, _, err := s.AppendEvent(ctx, "c", "k", []byte("e"), []byte("s"))
	check(t, err)
	check(t, s.Told(ctx, "c", func(n int64, at time.Time, b []byte) error {
		if n != seq || string(b) != "e" || time.Since(at) > time.Minute {
			t.Errorf("told %d %v %q", n, at, b)
		}
		return nil
	}))
}

func aLoginEnds(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	put := func(id, data string, life time.Duration) {
		t.Helper()
		check(t, s.PutLogin(ctx, id, []byte(data), time.Now().Add(life)))
	}
	get := func(id string) string { return string(must[[]byte](t)(open(t).Login(ctx, id))) }
	put("a", "1", time.Hour)
	put("a", "2", time.Hour)
	put("over", "x", -time.Minute)
	if got := get("a") + get("over") + get("none"); got != "2" {
		t.Errorf("logged in: %q", got)
	}
	if got := must[[]byte](t)(s.TakeLogin(ctx, "over")); got != nil {
		t.Errorf("took %q", got)
	}
	put("once", "x", time.Hour)
	var wg sync.WaitGroup
	taken := make([][]byte, 6)
	for i := range taken {
		other := s
		if i%2 == 1 {
			other = open(t)
		}
		wg.Go(func() { taken[i] = must[[]byte](t)(other.TakeLogin(ctx, "once")) })
	}
	wg.Wait()
	n := 0
	for _, b := range taken {
		if b != nil {
			n++
		}
	}
	if n != 1 {
		t.Errorf("taken %d times", n)
	}
	check(t, s.DropLogin(ctx, "a"))
	check(t, s.DropLogin(ctx, "a"))
	if got := get("a"); got != "" {
		t.Errorf("logged out, and still %q", got)
	}
	check(t, s.Sweep(ctx))
	if n, err := s.Int(ctx, "SELECT count(*) FROM logins"); n != 0 || err != nil {
		t.Errorf("%d log-ins are left, %v", n, err)
	}
	check(t, s.AddSaid(ctx, "c", "web:ann", "", []byte("t"), []byte("0")))
	check(t, s.Exec(ctx, "UPDATE turns SET at = 1"))
	check(t, s.Exec(ctx, "UPDATE conversations SET updated = 1"))
	check(t, s.Sweep(ctx))
	if n, err := s.Int(ctx, "SELECT (SELECT count(*) FROM turns) + (SELECT count(*) FROM conversations)"); n != 0 || err != nil {
		t.Errorf("%d rows of what was said are left, %v", n, err)
	}
}
