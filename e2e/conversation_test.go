package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// newsLimit is how long anything that must come may take to come: a version that
// is watched for longer, on a machine that has other things to do.
const newsLimit = 90 * time.Second

// conversation is one side of a conversation: what a person says, hears, and
// is told without asking.
type conversation struct {
	w  *world
	id string

	last      *dialogue.Reply // the last answer
	confirmed string          // the proposal that was last said yes to
	running   map[string]bool // what was said yes to and is not told yet

	mu     sync.Mutex
	stop   context.CancelFunc // ends listening; nil while nobody listens
	events []dialogue.Event   // everything that was pushed, and heard
	told   map[string]bool    // actions whose outcome a script has waited for
	news   chan struct{}      // closed when events grows
}

// conversation returns the conversation of that id.
func (w *world) conversation(id string) *conversation {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conversations[id]
	if c == nil {
		c = &conversation{w: w, id: id, running: map[string]bool{}, told: map[string]bool{}, news: make(chan struct{})}
		w.conversations[id] = c
	}
	return c
}

// client returns a client of the server, and listens to what it pushes from
// the first outcome on.
func (c *conversation) client(ctx context.Context) (*web.Client, error) {
	url, err := c.w.url(ctx)
	if err != nil {
		return nil, err
	}
	client := web.NewClient(url, "", &http.Client{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		return client, nil
	}
	ctx, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	c.events = nil // the kept ones come again, and only they count
	go func() {
		for ev, err := range client.Events(ctx, c.id, 0) {
			if err != nil {
				return // the next turn fails as well, and says why
			}
			c.hear(ctx, ev)
		}
	}()
	return client, nil
}

func (c *conversation) hear(ctx context.Context, ev dialogue.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return // from a server that is gone
	}
	c.events = append(c.events, ev)
	close(c.news)
	c.news = make(chan struct{})
}

// deaf stops listening: the server is going.
func (c *conversation) deaf() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

// say takes one turn.
func (c *conversation) say(ctx context.Context, text string) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	r, err := client.Turn(ctx, c.id, text, "")
	if err != nil {
		return err
	}
	c.last = &r
	if r.Intent == "confirm" && r.Proposal != nil {
		c.confirmed = r.Proposal.ID
		c.running[c.confirmed] = !c.told[c.confirmed]
	}
	return sound(r)
}

// unspeakable is what no answer may have in its spoken form, and none in its
// text: markup, control characters, blanks that were not filled.
var (
	unspeakable = regexp.MustCompile("[<>*`\\p{Cc}]|%!|no value|  ")
	unfilled    = regexp.MustCompile(`<no value>|%![a-zA-Z(]|map\[`)
)

// sound checks what holds for every answer.
func sound(r dialogue.Reply) error {
	var errs []error
	complain := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if strings.TrimSpace(r.Speech) == "" || strings.TrimSpace(r.Text) == "" {
		complain("an answer without words: speech %q, text %q", r.Speech, r.Text)
	}
	if m := unspeakable.FindString(r.Speech); m != "" {
		complain("%q is not for the ear: %q", m, r.Speech)
	}
	if m := unfilled.FindString(r.Text); m != "" {
		complain("%q should not be shown: %q", m, r.Text)
	}
	if r.Expect == dialogue.ExpectConfirm && (r.Proposal == nil || len(r.Proposal.Changes) == 0) {
		complain("it asks for a yes to nothing: %q", r.Text)
	}
	if r.Expect == dialogue.ExpectChoice && len(r.Choices) == 0 {
		complain("it asks to choose between nothing: %q", r.Text)
	}
	return errors.Join(errs...)
}

// await waits for the first pushed event that f accepts. f may say that it
// will never come.
func (c *conversation) await(what string, f func(dialogue.Event) (bool, error)) (dialogue.Event, error) {
	timeout := time.After(newsLimit)
	for seen := 0; ; {
		c.mu.Lock()
		events, news := c.events, c.news
		c.mu.Unlock()
		seen = min(seen, len(events))
		for ; seen < len(events); seen++ {
			ok, err := f(events[seen])
			if ok || err != nil {
				return events[seen], err
			}
		}
		select {
		case <-news:
		case <-timeout:
			return dialogue.Event{}, fmt.Errorf("%s was not told within %v; this was:\n%s", what, newsLimit, wording(events))
		}
	}
}

func wording(events []dialogue.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "\t%s %s %s: %s\n", e.Kind, e.Action, e.Reply.Outcome, e.Reply.Text)
	}
	return b.String()
}

// outcome waits for the end of a change that nobody waited for yet.
func (c *conversation) outcome(ctx context.Context, word string, re *regexp.Regexp) error {
	if _, err := c.client(ctx); err != nil {
		return err
	}
	ev, err := c.await("outcome "+word, func(e dialogue.Event) (bool, error) {
		if e.Kind != dialogue.EventOutcome || c.told[e.Action] {
			return false, nil
		}
		if string(e.Reply.Outcome) == word {
			return true, nil
		}
		if len(c.running) == 1 && c.running[e.Action] { // nothing else will come
			return false, fmt.Errorf("it ended as %s, not %s: %s", e.Reply.Outcome, word, e.Reply.Text)
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	c.told[ev.Action] = true
	delete(c.running, ev.Action)
	c.last = &ev.Reply
	if !re.MatchString(ev.Reply.Text) {
		return fmt.Errorf("it was told as:\n%s\nwhich does not match %s", ev.Reply.Text, re)
	}
	return sound(ev.Reply)
}

// silence is longer than a dead process holds what it was doing: whoever wants
// to do it again has done so by then.
const silence = 7 * time.Second

// quiet checks that for a while no other outcome is told than those that are
// kept already.
func (c *conversation) quiet(ctx context.Context) error {
	if _, err := c.client(ctx); err != nil {
		return err
	}
	kept, err := c.outcomes(ctx)
	if err != nil {
		return err
	}
	known := map[int64]bool{}
	for _, e := range kept {
		known[e.Seq] = true
	}
	deadline := time.After(silence)
	for {
		c.mu.Lock()
		events, news := c.events, c.news
		c.mu.Unlock()
		for _, e := range events {
			if e.Kind == dialogue.EventOutcome && !known[e.Seq] {
				return fmt.Errorf("this was told: %s", e.Reply.Text)
			}
		}
		select {
		case <-news:
		case <-deadline:
			return nil
		}
	}
}

// progress waits for news of the change that was last said yes to.
func (c *conversation) progress(re *regexp.Regexp) error {
	_, err := c.await("progress "+re.String(), func(e dialogue.Event) (bool, error) {
		return e.Kind == dialogue.EventProgress && e.Action == c.confirmed && re.MatchString(e.Reply.Text), nil
	})
	return err
}

// outcomes reads every outcome that the server keeps for the conversation, each
// as often as it is kept.
func (c *conversation) outcomes(ctx context.Context) ([]dialogue.Event, error) {
	url, err := c.w.url(ctx)
	if err != nil {
		return nil, err
	}
	return keptOutcomes(ctx, url, c.id)
}

// keptOutcomes reads every outcome that a server keeps for a conversation.
func keptOutcomes(ctx context.Context, url, conversation string) ([]dialogue.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, newsLimit)
	defer cancel()
	latest, err := position(ctx, url, conversation)
	if err != nil || latest == 0 {
		return nil, err
	}
	var out []dialogue.Event
	for ev, err := range web.NewClient(url, "", &http.Client{}).Events(ctx, conversation, 0) {
		if err != nil {
			return nil, err
		}
		if ev.Kind == dialogue.EventOutcome {
			out = append(out, ev)
		}
		if ev.Seq >= latest {
			return out, nil
		}
	}
	return nil, ctx.Err()
}

// position is that of the newest outcome; a stream begins by telling it.
func position(ctx context.Context, url, id string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/conversations/"+id+"/events", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Last-Event-ID", "latest")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	sc := bufio.NewScanner(resp.Body)
	for sc.Scan() {
		if v, ok := strings.CutPrefix(sc.Text(), "id: "); ok {
			return strconv.ParseInt(v, 10, 64)
		}
	}
	return 0, fmt.Errorf("the stream of events tells no position (status %d): %w", resp.StatusCode, sc.Err())
}

// dialogflow takes one turn through the Dialogflow ES webhook.
func (c *conversation) dialogflow(ctx context.Context, text string) error {
	url, err := c.w.url(ctx)
	if err != nil {
		return err
	}
	d := newESDriver(url, c.id)
	heard, err := d.say(ctx, text)
	if err == nil {
		c.last = &dialogue.Reply{Speech: heard, Text: heard, Expect: d.expect}
	}
	return err
}
