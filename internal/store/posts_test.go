package store_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/store"
)

func aPostIsClaimedByOne(t *testing.T, open opener) {
	ctx := t.Context()
	stores := []*store.Store{open(t), open(t), open(t)}
	got := make(chan bool, 3)
	var wg sync.WaitGroup
	for _, s := range stores {
		wg.Go(func() { got <- must[bool](t)(s.ClaimPost(ctx, "p")) })
	}
	wg.Wait()
	if n := trues(got); n != 1 {
		t.Errorf("%d claimed it", n)
	}
	if m := must[string](t)(stores[0].Posted(ctx, "p")); m != "" {
		t.Errorf("a claim is taken for a message: %q", m)
	}
	if d := must[bool](t)(stores[0].ClaimDelivery(ctx, "p")); !d {
		t.Error("a post is taken for a delivery")
	}
	check(t, stores[0].Exec(ctx, "UPDATE deliveries SET lease = 1 WHERE id = 'post:p'")) // who claimed it is gone
	for range 2 {
		if !must[bool](t)(stores[1].ClaimPost(ctx, "p")) {
			t.Error("not taken over")
		}
	}
	check(t, stores[1].KeepPosted(ctx, "p", ""))
	check(t, stores[1].KeepPosted(ctx, "p", "m1"))
	check(t, stores[1].KeepPosted(ctx, "p", "m2")) // it was deleted, and posted anew
	for _, s := range stores {
		if must[bool](t)(s.ClaimPost(ctx, "p")) {
			t.Error("claimed what is posted")
		}
		if m := must[string](t)(s.Posted(ctx, "p")); m != "m2" {
			t.Errorf("posted as %q", m)
		}
	}
	if m := must[string](t)(stores[0].Posted(ctx, "other")); m != "" {
		t.Errorf("%q", m)
	}
}

func conversationsByPrefix(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	for _, c := range []string{"slack:T:C:1", "slack:T:C:1", "slack:T:C:2", "slacks:T:C:2", "web-1", "discord:T:C:2"} {
		if _, _, err := s.AppendEvent(ctx, c, "k", []byte("e"), []byte("s")); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	check(t, s.Conversations(ctx, "slack:", func(c string) error {
		got = append(got, c)
		return nil
	}))
	slices.Sort(got)
	if !slices.Equal(got, []string{"slack:T:C:1", "slack:T:C:2"}) {
		t.Errorf("%q", got)
	}
}
