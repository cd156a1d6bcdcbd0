package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// booksAreSwapped: of many who write at once each adds to what the others wrote.
func booksAreSwapped(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	if v, b, err := s.Book(ctx, "b"); v != 0 || b != nil || err != nil {
		t.Fatalf("an empty store holds %d %q %v", v, b, err)
	}
	const writers, times = 4, 10
	var lost atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		other := s
		if w%2 == 1 {
			other = open(t)
		}
		wg.Go(func() {
			for n := 0; n < times; {
				v, b, err := other.Book(ctx, "b")
				if err != nil {
					t.Error(err)
					return
				}
				ok, err := other.SwapBook(ctx, "b", v, append(b, byte('a'+w)))
				if err != nil {
					t.Error(err)
					return
				}
				if !ok {
					lost.Add(1)
					continue
				}
				n++
			}
		})
	}
	wg.Wait()
	v, b, err := open(t).Book(ctx, "b")
	check(t, err)
	count := map[byte]int{}
	for _, c := range b {
		count[c]++
	}
	if v != writers*times || fmt.Sprint(count) != "map[97:10 98:10 99:10 100:10]" {
		t.Errorf("version %d, %v, after %d lost swaps", v, count, lost.Load())
	}
	if ok, err := s.SwapBook(ctx, "b", v-1, []byte{}); ok || err != nil {
		t.Errorf("an old version was swapped: %v", err)
	}
	if ok, err := s.SwapBook(ctx, "b", 0, []byte{}); ok || err != nil {
		t.Errorf("what was there was made anew: %v", err)
	}
}
