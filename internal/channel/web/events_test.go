package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

func outcome(action, text string) dialogue.Event {
	return dialogue.Event{Kind: dialogue.EventOutcome, Action: action, Reply: dialogue.Reply{Text: text, Outcome: dialogue.OutcomeDone}}
}

func progress(action, text string) dialogue.Event {
	return dialogue.Event{Kind: dialogue.EventProgress, Action: action, Reply: dialogue.Reply{Text: text, Outcome: dialogue.OutcomePending}}
}

func listen(ctx context.Context, query string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/conversations/c1/events"+query, nil)
	r.Host = "localhost"
	return r
}

// ids lists the ids of the outcomes in a stream.
func ids(stream string) string {
	var out []string
	for b := range strings.SplitSeq(stream, "\n\n") {
		if strings.Contains(b, "event: outcome") {
			_, rest, _ := strings.Cut(b, "id: ")
			id, _, _ := strings.Cut(rest, "\n")
			out = append(out, id)
		}
	}
	return strings.Join(out, ",")
}

func TestEventStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, hangUp := context.WithCancel(t.Context())
		e, w := channeltest.NewEngine(nil), newRecorder()
		e.Push("c1", outcome("p1", "one\ntwo"))
		e.Push("other", outcome("p2", "not yours"))
		done := make(chan struct{})
		go func() {
			defer close(done)
			handler(t, web.Config{}, e).ServeHTTP(w, listen(ctx, ""))
		}()
		synctest.Wait()
		got := w.take()
		if w.status != 200 || w.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%d %v", w.status, w.header)
		}
		if !strings.HasPrefix(got, "retry: 1000\nid: 0\n\n") || ids(got) != "1" || !strings.Contains(got, `"text":"one\ntwo"`) || !strings.Contains(got, `"action":"p1"`) {
			t.Errorf("replay: %q", got)
		}

		e.Push("c1", progress("p3", "1 of 3"))
		e.Push("c1", outcome("p3", "done"))
		synctest.Wait()
		got = w.take()
		p, o := strings.Index(got, "event: progress\ndata: "), strings.Index(got, "event: outcome\nid: 3\ndata: ")
		if p < 0 || o < p || strings.Contains(got, "not yours") {
			t.Errorf("live: %q", got)
		}

		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := w.take(); got != ": still here\n\n" {
			t.Errorf("heartbeat: %q", got)
		}
		hangUp()
		<-done
	})
}

func TestEventPositions(t *testing.T) {
	for _, tt := range []struct{ query, header, start, want string }{
		{"", "", "0", "1,2,3"},
		{"?after=2", "", "2", "3"},
		{"", "1", "1", "2,3"},
		{"?after=0", "2", "2", "3"}, // the header is the newer word
		{"?after=latest", "", "3", ""},
		{"", "3", "3", ""},
		{"", "99", "0", "1,2,3"}, // never given out: the store was emptied
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, hangUp := context.WithCancel(t.Context())
			e, w := channeltest.NewEngine(nil), newRecorder()
			for i := range 3 {
				e.Push("c1", outcome(fmt.Sprint(i), "done"))
			}
			r := listen(ctx, tt.query)
			if tt.header != "" {
				r.Header.Set("Last-Event-ID", tt.header)
			}
			go handler(t, web.Config{}, e).ServeHTTP(w, r)
			synctest.Wait()
			got := w.take()
			if ids(got) != tt.want || !strings.HasPrefix(got, "retry: 1000\nid: "+tt.start+"\n\n") {
				t.Errorf("%+v: %q", tt, got)
			}
			hangUp()
		})
	}
	for _, q := range []string{"?after=-1", "?after=x", "?after=1e3"} {
		w := httptest.NewRecorder()
		if handler(t, web.Config{}, channeltest.NewEngine(nil)).ServeHTTP(w, listen(t.Context(), q)); w.Code != 400 {
			t.Errorf("%s: %d %s", q, w.Code, w.Body)
		}
	}
}

// racing pushes an outcome at the moment when the kept ones are read: it is
// then both kept and live.
type racing struct {
	*channeltest.Engine
	once bool
}

func (e *racing) Events(ctx context.Context, conversation string, after int64, f func(dialogue.Event) error) error {
	if !e.once {
		e.once = true
		e.Push(conversation, outcome("p2", "in between"))
	}
	return e.Engine.Events(ctx, conversation, after, f)
}

func TestEventsBetweenKeptAndLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, hangUp := context.WithCancel(t.Context())
		e, w := &racing{Engine: channeltest.NewEngine(nil)}, newRecorder()
		mux := http.NewServeMux()
		web.NewServer(t.Context(), web.Config{}, e, quiet()).Routes(mux)
		e.Push("c1", outcome("p1", "before"))
		go mux.ServeHTTP(w, listen(ctx, ""))
		synctest.Wait()
		for i := range 200 { // more than a subscription holds
			e.Push("c1", outcome(fmt.Sprint("q", i), "flood"))
		}
		synctest.Wait()
		var want []string
		for i := range 202 {
			want = append(want, fmt.Sprint(i+1))
		}
		if got := ids(w.take()); got != strings.Join(want, ",") {
			t.Errorf("outcomes %s", got)
		}
		hangUp()
	})
}

func TestStreamEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop, cancel := context.WithCancel(t.Context())
		e, w := channeltest.NewEngine(nil), newRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			handlerUntil(stop, web.Config{}, e).ServeHTTP(w, listen(t.Context(), ""))
		}()
		synctest.Wait()
		cancel()
		<-done
	})
}

func TestEventsAreGuarded(t *testing.T) {
	h := handler(t, web.Config{Token: "tok"}, channeltest.NewEngine(nil))
	for _, tt := range []struct {
		name   string
		set    func(*http.Request)
		status int
	}{
		{"no token", func(*http.Request) {}, 401},
		{"other host", func(r *http.Request) { withToken(r).Host = "evil.example" }, 403},
		{"odd id", func(r *http.Request) { withToken(r).URL.Path = "/api/v1/conversations/a b/events" }, 400},
	} {
		r := listen(t.Context(), "")
		tt.set(r)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != tt.status {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
}
