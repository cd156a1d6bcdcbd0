package access_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

func TestLimiter(t *testing.T) {
	l := access.NewLimiter(access.Limits{Person: access.Rate{Reads: 6, Writes: 3}, Channel: access.Rate{Writes: 5}})
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	count := func(who, channel string, write bool, tries int) (n int, last error) {
		for range tries {
			if err := l.Allow(who, channel, write, now); err == nil {
				n++
			} else {
				last = err
			}
		}
		return n, last
	}
	if n, err := count("ann", "web", true, 10); n != 3 || fault.KindOf(err) != fault.Refused || !strings.Contains(fault.Say(err), "Give me 20 seconds") {
		t.Errorf("%d writes, then %v", n, err)
	}
	if n, _ := count("ann", "web", false, 10); n != 6 {
		t.Errorf("reads are counted apart: %d", n)
	}
	if n, err := count("bob", "web", true, 10); n != 2 || !strings.Contains(fault.Say(err), "a lot going on here") {
		t.Errorf("the channel lets %d more, then %v", n, err)
	}
	if n, _ := count("bob", "phone", true, 10); n != 1 {
		t.Errorf("bob has %d left elsewhere; what was refused must not count", n)
	}
	if n, _ := count("bob", "phone", false, 3); n != 3 {
		t.Errorf("reads of bob: %d", n)
	}
	now = now.Add(20 * time.Second)
	if n, _ := count("ann", "phone", true, 10); n != 1 {
		t.Errorf("after 20 seconds: %d", n)
	}
	now = now.Add(time.Hour)
	if n, _ := count("ann", "phone", true, 10); n != 3 {
		t.Errorf("after an hour: %d", n)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l := access.NewLimiter(access.Limits{Person: access.Rate{Reads: 2}})
	now := time.Now()
	refused := 0
	for i := range 30_000 {
		if l.Allow(fmt.Sprint("made up ", i), "web", false, now) != nil {
			refused++
		}
	}
	if refused < 15_000 {
		t.Errorf("of 30000 that were made up only %d were refused: what is remembered has no bound", refused)
	}
	if err := l.Allow("ann", "web", false, now.Add(time.Hour)); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}
