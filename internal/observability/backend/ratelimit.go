package backend

import (
	"net/http"
	"strconv"
	"time"
)

// retryAfter is how long the back-end asks to be left alone, as seconds or as a
// date, or as Sentry does: by when its count begins anew.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil {
		return time.Duration(min(max(n, 0), 86400)) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return time.Until(at)
	}
	return begins(h)
}

// used says how long to wait where an answer, though a good one, says that it
// was the last for now.
func used(h http.Header) time.Duration {
	if h.Get("X-Sentry-Rate-Limit-Remaining") != "0" {
		return 0
	}
	return begins(h)
}

// begins is how long it is until Sentry's count begins anew, up to a day.
func begins(h http.Header) time.Duration {
	n, err := strconv.ParseInt(h.Get("X-Sentry-Rate-Limit-Reset"), 10, 64)
	if err != nil || n <= 0 {
		return 0
	}
	return min(time.Until(time.Unix(n, 0)), 24*time.Hour)
}
