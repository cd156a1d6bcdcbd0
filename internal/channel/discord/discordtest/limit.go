package discordtest

import (
	"fmt"
	"hash/crc32"
	"math"
	"net/http"
	"strconv"
	"time"
)

// bucket is what requests of one kind to one channel, guild or webhook share.
type bucket struct {
	left    int
	reset   time.Time
	blocked time.Time // by a 429, for everybody
}

// limited is a request too many.
type limited struct {
	*refusal
	after time.Duration
	scope string
}

func (l *limited) Unwrap() error { return l.refusal }

// Limit lets the next n REST requests end in 429, each asking to wait for a while.
// Whoever does not wait gets another, and is counted.
func (s *Server) Limit(n int, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forced, s.forcedFor = n, after
}

// Break lets the next n REST requests end in 502, as when Discord is in trouble.
func (s *Server) Break(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = n
}

// Hasty says how many requests came before the time that a 429 had named.
func (s *Server) Hasty() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hasty
}

// admit counts a request, and refuses what is too much with the headers that
// Discord sends. The global limit is not for interactions.
func (s *Server) admit(h http.Header, r *http.Request, rt route) error {
	major := r.PathValue("channel_id") + r.PathValue("guild_id") + r.PathValue("webhook_id") + r.PathValue("webhook_token") + r.PathValue("interaction_id")
	kind := rt.bucket
	if kind == "" {
		kind = rt.method + " " + rt.path
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if !rt.open {
		all := s.bucketOf("global", now, s.global, time.Second)
		if all.left == 0 {
			return tooMuch(h, "global", now, all.reset)
		}
		all.left--
	}
	b := s.bucketOf(kind+" "+major, now, s.limit, s.window)
	h.Set("X-RateLimit-Bucket", fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(kind))))
	h.Set("X-RateLimit-Limit", strconv.Itoa(s.limit))
	switch {
	case now.Before(b.blocked):
		s.hasty++
		return tooMuch(h, "user", now, b.blocked)
	case s.forced > 0:
		s.forced--
		b.blocked = now.Add(s.forcedFor)
		return tooMuch(h, "user", now, b.blocked)
	case s.broken > 0:
		s.broken--
		return refused(http.StatusBadGateway, 0, "502: Bad Gateway")
	case b.left == 0:
		return tooMuch(h, "user", now, b.reset)
	}
	b.left--
	until(h, b.left, now, b.reset)
	return nil
}

// until says how much is left, up to when.
func until(h http.Header, left int, now, reset time.Time) {
	h.Set("X-RateLimit-Remaining", strconv.Itoa(left))
	h.Set("X-RateLimit-Reset", seconds(time.Duration(reset.UnixNano())))
	h.Set("X-RateLimit-Reset-After", seconds(reset.Sub(now)))
}

func (s *Server) bucketOf(key string, now time.Time, limit int, window time.Duration) *bucket {
	b := s.buckets[key]
	if b == nil {
		b = &bucket{}
		s.buckets[key] = b
	}
	if !now.Before(b.reset) {
		b.left, b.reset = limit, now.Add(window)
	}
	return b
}

func tooMuch(h http.Header, scope string, now, reset time.Time) error {
	after := reset.Sub(now)
	until(h, 0, now, reset)
	h.Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	h.Set("X-RateLimit-Scope", scope)
	if scope == "global" {
		h.Set("X-RateLimit-Global", "true")
	}
	return &limited{refusal: &refusal{status: http.StatusTooManyRequests, message: "You are being rate limited.", why: scope}, after: after, scope: scope}
}

// seconds rounds up, so that nobody who obeys comes too early.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(math.Ceil(d.Seconds()*1000)/1000, 'f', 3, 64)
}
