package intents

import (
	"math/rand/v2"
	"testing"
)

// TestSoundRows holds that a sound is as far from another after a thousand
// others as it is alone, whatever was given up in between.
func TestSoundRows(t *testing.T) {
	x := &NewInventory(manyNames(t)).workloads
	rnd := rand.New(rand.NewPCG(9, 10))
	near := 0
	for range 200 {
		key := []byte(x.names[rnd.IntN(len(x.names))].squashed)
		key[rnd.IntN(len(key))] = byte('a' + rnd.IntN(26))
		said := soundOf(string(key))
		for _, list := range x.bySound {
			if len(list[0].sound) > maxSoundLen || len(said) > maxSoundLen {
				continue
			}
			var rows soundRows
			rows.start(x.costs, said)
			limit := int32(50 + rnd.IntN(500))
			for i := range list {
				limit -= int32(rnd.IntN(2)) // a nearer name was found
				over := rows.next(int(list[i].alike))
				if !over && rnd.IntN(3) == 0 {
					continue // told apart by other means
				}
				got := limit + 1
				if !over {
					got = rows.distance(list[i].sound, limit)
				}
				var alone soundRows
				alone.start(x.costs, said)
				want := alone.distance(list[i].sound, maxSoundLen*2000)
				if want <= limit {
					near++
				}
				if got > limit != (want > limit) || want <= limit && got != want {
					t.Fatalf("%q and %q: %d of at most %d, alone %d", said, list[i].sound, got, limit, want)
				}
			}
		}
	}
	if near < 100 {
		t.Errorf("%d near ones are too few to tell", near)
	}
}
