package web_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestClientTurn(t *testing.T) {
	e := channeltest.NewEngine(func(r dialogue.Request) dialogue.Reply {
		return dialogue.Reply{Text: "you said " + r.Text, Expect: "none", Outcome: "none", Proposal: &dialogue.Proposal{ID: r.Confirm}}
	})
	srv := httptest.NewServer(handler(t, web.Config{Token: "tok"}, e))
	defer srv.Close()
	r, err := web.NewClient(srv.URL+"/", "tok", srv.Client()).Turn(t.Context(), "c1", "hi", "p1")
	if err != nil || r.Text != "you said hi" || r.Conversation != "c1" || r.Proposal.ID != "p1" {
		t.Errorf("%+v, %v", r, err)
	}
	for _, tt := range []struct {
		name, url, token, conversation string
		kind                           fault.Kind
		says                           string
	}{
		{"wrong token", srv.URL, "guess", "c1", fault.Usage, "token"},
		{"odd conversation", srv.URL, "tok", "a/b", fault.Usage, "conversation's id"},
		{"nobody there", "http://127.0.0.1:1", "tok", "c1", fault.Unavailable, "I cannot reach firstmate at http://127.0.0.1:1; is it running?"},
		{"no address", "http://a b", "tok", "c1", fault.Usage, "address"},
		{"something else", srv.URL + "/elsewhere", "tok", "c1", fault.Usage, "is it firstmate?"},
	} {
		_, err := web.NewClient(tt.url, tt.token, srv.Client()).Turn(t.Context(), tt.conversation, "hi", "")
		if fault.KindOf(err) != tt.kind || !strings.Contains(fault.Say(err), tt.says) {
			t.Errorf("%s: %s %q", tt.name, fault.KindOf(err), fault.Say(err))
		}
	}
}

// collect drains a client's events into a channel.
func collect(ctx context.Context, c *web.Client, after int64) <-chan string {
	out := make(chan string, 100)
	seq := c.Events(ctx, "c1", after)
	go func() {
		defer close(out)
		for ev, err := range seq {
			if err != nil {
				out <- "error: " + fault.Say(err)
				continue
			}
			out <- ev.Kind + " " + ev.Action + " " + ev.Reply.Text
		}
	}()
	return out
}

// drain returns what has come so far.
func drain(c <-chan string) string {
	var all []string
	for {
		select {
		case s, ok := <-c:
			if !ok {
				return strings.Join(append(all, "end"), "; ")
			}
			all = append(all, s)
		default:
			return strings.Join(all, "; ")
		}
	}
}

func TestClientEventsSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		e, net := channeltest.NewEngine(nil), &wire{}
		e.Push("c1", outcome("p0", "old"))
		h := handler(t, web.Config{}, e)
		net.serve(h)
		got := collect(ctx, web.NewClient("http://localhost", "", &http.Client{Transport: net}), 0)
		synctest.Wait()
		if s := drain(got); s != "outcome p0 old" {
			t.Fatalf("replay: %s", s)
		}
		e.Push("c1", progress("p1", "half"))
		synctest.Wait()
		if s := drain(got); s != "progress p1 half" {
			t.Fatalf("live: %s", s)
		}

		net.serve(nil)
		e.Push("c1", outcome("p1", "while it was down"))
		time.Sleep(time.Minute)
		if s := drain(got); s != "" {
			t.Errorf("down: %s", s)
		}
		if n := net.attempts(); n < 55 || n > 75 {
			t.Errorf("%d attempts in a minute", n)
		}
		net.serve(h)
		time.Sleep(time.Second)
		synctest.Wait()
		if s := drain(got); s != "outcome p1 while it was down" {
			t.Errorf("back: %s", s)
		}

		cancel()
		synctest.Wait()
		if s := drain(got); s != "end" {
			t.Errorf("end: %s", s)
		}
	})
}

func TestClientEventsFromNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		e, net := channeltest.NewEngine(nil), &wire{}
		e.Push("c1", outcome("p0", "old"))
		h := handler(t, web.Config{}, e)
		net.serve(h)
		seq := web.NewClient("http://localhost", "", &http.Client{Transport: net}).Events(ctx, "c1", web.Now)
		e.Push("c1", outcome("p1", "new")) // before anybody ranges
		net.serve(nil)
		net.serve(h)
		for ev, err := range seq {
			if err != nil || ev.Action != "p1" || ev.Seq != 2 {
				t.Errorf("%+v, %v", ev, err)
			}
			break
		}
	})
}

func TestClientEventsNoticeSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		net := &wire{}
		net.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("retry: 1000\n\n"))
			<-r.Context().Done() // the host is gone without a word
		}))
		got := collect(ctx, web.NewClient("http://localhost", "", &http.Client{Transport: net}), 0)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := net.attempts(); n != 3 {
			t.Errorf("%d connections in two minutes", n)
		}
		cancel()
		synctest.Wait()
		if s := drain(got); s != "end" {
			t.Error(s)
		}
	})
}

func TestClientEventsEndWhereComingBackIsNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &wire{}
		net.serve(handler(t, web.Config{Token: "tok"}, channeltest.NewEngine(nil)))
		got := collect(t.Context(), web.NewClient("http://localhost", "guess", &http.Client{Transport: net}), web.Now)
		synctest.Wait()
		if s := drain(got); !strings.HasPrefix(s, "error: The access token") || !strings.HasSuffix(s, "; end") {
			t.Error(s)
		}
	})
}

func TestClientKeepsTheCause(t *testing.T) {
	_, err := web.NewClient("http://127.0.0.1:1", "", http.DefaultClient).Turn(t.Context(), "c1", "hi", "")
	var f *fault.Error
	if !errors.As(err, &f) || f.Err == nil {
		t.Errorf("%v", err)
	}
}
