package access

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Rate is how much may be asked for in a minute; 0 is without limit.
type Rate struct{ Reads, Writes int }

// Limits is how much one person, and all that speak on one channel, may ask for.
type Limits struct{ Person, Channel Rate }

// Limiter counts what people ask for. As much as a minute's worth may come at
// once.
type Limiter struct {
	limits Limits

	mu      sync.Mutex
	buckets map[bucket]*rate.Limiter
	swept   time.Time
}

type bucket struct {
	channel bool
	name    string
	write   bool
}

// maxBuckets bounds what is remembered; whoever chooses ids freely does not
// choose how much memory that takes.
const (
	maxBuckets = 10_000
	sweepEvery = 10 * time.Second
)

// NewLimiter returns a limiter.
func NewLimiter(l Limits) *Limiter { return &Limiter{limits: l, buckets: map[bucket]*rate.Limiter{}} }

// Allow counts a request of somebody on a channel, or says how long to wait.
func (l *Limiter) Allow(who, channel string, write bool, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	person, all := l.limits.Person.Reads, l.limits.Channel.Reads
	if write {
		person, all = l.limits.Person.Writes, l.limits.Channel.Writes
	}
	var taken []*rate.Reservation
	for _, b := range []struct {
		bucket
		perMinute int
	}{{bucket{false, who, write}, person}, {bucket{true, channel, write}, all}} {
		if b.perMinute == 0 {
			continue
		}
		r := l.of(b.bucket, b.perMinute, now).ReserveN(now, 1)
		taken = append(taken, r)
		wait := r.DelayFrom(now)
		if wait == 0 {
			continue
		}
		for _, t := range taken {
			t.CancelAt(now) // what is refused does not count
		}
		whose := "That was a lot at once"
		if b.channel {
			whose = "There is a lot going on here just now"
		}
		return fault.New(fault.Refused, "%s. Give me %d seconds, please, then ask again.", whose, max(1, int(math.Ceil(wait.Seconds()))))
	}
	return nil
}

// of returns the bucket of that name.
func (l *Limiter) of(b bucket, perMinute int, now time.Time) *rate.Limiter {
	if r := l.buckets[b]; r != nil {
		return r
	}
	if len(l.buckets) >= maxBuckets && now.Sub(l.swept) >= sweepEvery {
		l.swept = now
		for k, r := range l.buckets {
			if r.TokensAt(now) >= float64(r.Burst()) {
				delete(l.buckets, k) // a full one is as good as a new one
			}
		}
	}
	if len(l.buckets) >= maxBuckets {
		b.name = "" // those that do not fit share one
		if r := l.buckets[b]; r != nil {
			return r
		}
	}
	r := rate.NewLimiter(rate.Limit(float64(perMinute)/60), perMinute)
	l.buckets[b] = r
	return r
}
