package gitops

import (
	"bytes"
	"io"
	"net/http"
)

// maxAnswer is the longest answer that is kept, in bytes.
const maxAnswer = 1 << 20

// RoundTrip asks whether there is anything new.
func (t *conditional) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		return t.next.RoundTrip(r)
	}
	key := r.URL.String()
	t.mu.Lock()
	before, ok := t.seen[key]
	t.mu.Unlock()
	if ok {
		r = r.Clone(r.Context())
		r.Header.Set("If-None-Match", before.etag)
	}
	res, err := t.next.RoundTrip(r)
	switch {
	case err != nil:
		return nil, err
	case ok && res.StatusCode == http.StatusNotModified:
		_ = res.Body.Close() // it is empty
		out := *res
		out.StatusCode, out.Status, out.Body = http.StatusOK, "200 OK", io.NopCloser(bytes.NewReader(before.body))
		out.Header, out.ContentLength = before.header.Clone(), int64(len(before.body))
		for _, h := range []string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
			if v := res.Header.Get(h); v != "" {
				out.Header.Set(h, v)
			}
		}
		return &out, nil
	case res.StatusCode != http.StatusOK || res.Header.Get("ETag") == "":
		return res, nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), res.Body), res.Body}
		return res, nil
	}
	_ = res.Body.Close() // it was read to its end
	res.Body = io.NopCloser(bytes.NewReader(body))
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.seen) >= seenLimit {
		clear(t.seen)
	}
	t.seen[key] = answer{res.Header.Get("ETag"), res.Header.Clone(), body}
	return res, nil
}
