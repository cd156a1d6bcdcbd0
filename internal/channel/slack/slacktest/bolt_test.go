//go:build unix

package slacktest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/slack/slacktest"
	"github.com/firstmate-ops/firstmate/internal/peers"
)

// app is an app that runs on Slack's own library.
type app struct {
	t    *testing.T
	mu   sync.Mutex
	told []told
	more chan struct{}
}

// told is a line of the app.
type told struct {
	What, Text, User, Value, Type, Message string
	Port, Bytes                            int
}

// bolt starts the app against the fake.
func bolt(t *testing.T, s *slacktest.Server, mode string) *app {
	t.Helper()
	dir := peers.Node(t, "slack")
	cfg := s.Config()
	cmd := exec.CommandContext(t.Context(), "node", "app.js")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MODE="+mode, "SLACK_API_URL="+s.URL(), "SLACK_BOT_TOKEN="+cfg.BotToken, "SLACK_APP_TOKEN="+cfg.AppToken, "SLACK_SIGNING_SECRET="+cfg.SigningSecret)
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a := &app{t: t, more: make(chan struct{}, 1000)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var line told
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				line.What, line.Message = "no JSON", lines.Text()
			}
			a.mu.Lock()
			a.told = append(a.told, line)
			a.mu.Unlock()
			a.more <- struct{}{}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-read
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("the app told %+v; its log:\n%s", a.told, log.String())
		}
	})
	return a
}

// wait waits for the nth line of this kind, counted from 1.
func (a *app) wait(ctx context.Context, what string, n int) told {
	a.t.Helper()
	for {
		a.mu.Lock()
		seen := 0
		for _, l := range a.told {
			if l.What == "error" || l.What == "no JSON" {
				a.mu.Unlock()
				a.t.Fatalf("the app: %+v", l)
			}
			if l.What == what {
				if seen++; seen == n {
					a.mu.Unlock()
					return l
				}
			}
		}
		a.mu.Unlock()
		select {
		case <-a.more:
		case <-ctx.Done():
			a.t.Fatalf("the app did not tell of %s", what)
		}
	}
}

func limit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// await waits for a message that fits, and returns it.
func await(t *testing.T, s *slacktest.Server, channel, thread string, f func(slacktest.Message) bool) (out slacktest.Message) {
	t.Helper()
	err := s.Wait(limit(t), channel, thread, func(all []slacktest.Message) bool {
		for _, m := range all {
			if f(m) {
				out = m
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatalf("%v: %+v; calls %+v; failures %q", err, s.Messages(channel, ""), s.Calls(""), s.Failures())
	}
	return out
}

func says(text string) func(slacktest.Message) bool {
	return func(m slacktest.Message) bool { return strings.Contains(m.Text, text) && m.Author == slacktest.BotUser }
}

// conversation is what both ways of delivery have to carry.
func conversation(t *testing.T, s *slacktest.Server, a *app) {
	t.Helper()
	ctx := limit(t)
	id := s.Say(slacktest.Alice, slacktest.General, "", slacktest.BotMention+" ship v2 & <!channel> checkout<2>")
	if got := a.wait(ctx, "mention", 1); got.Text != "<@U0FIRSTMATE> ship v2 &amp; <!channel> checkout&lt;2&gt;" || got.User != slacktest.Alice {
		t.Errorf("%+v", got)
	}
	asked := await(t, s, slacktest.General, id, says("Shall I?"))
	if len(asked.Buttons) != 1 || asked.Buttons[0].Label != "Go" || asked.Thread != id || strings.Join(asked.Mentions, " ") != "U0FIRSTMATE @channel" {
		t.Errorf("%+v", asked)
	}
	s.Click(slacktest.Bob, asked.ID, "go")
	if got := a.wait(ctx, "clicked", 1); got.User != slacktest.Bob || got.Value != "yes" {
		t.Errorf("%+v", got)
	}
	done := await(t, s, slacktest.General, id, says("Done."))
	if done.ID != asked.ID || done.Edits != 1 || len(done.Buttons) != 0 {
		t.Errorf("%+v", done)
	}

	s.Say(slacktest.Alice, s.DM(slacktest.Alice), "", "hello")
	await(t, s, s.DM(slacktest.Alice), "", says("You said hello"))
	s.SayAudio(slacktest.Alice, s.DM(slacktest.Alice), "", []byte("OggS and sound"))
	if got := a.wait(ctx, "heard", 1); got.Type != "audio/ogg" || got.Bytes != 14 {
		t.Errorf("%+v", got)
	}

	s.Command(slacktest.Bob, slacktest.General, "ship", map[string]string{"text": "checkout"})
	if m := await(t, s, slacktest.General, "", says("On it: checkout")); m.For != slacktest.Bob {
		t.Errorf("%+v", m)
	}
	if m := await(t, s, slacktest.General, "", says("Done: checkout")); m.For != "" {
		t.Errorf("%+v", m)
	}

	s.Command(slacktest.Bob, slacktest.General, "ship", map[string]string{"text": "where"})
	v, err := s.WaitModal(ctx, slacktest.Bob, nil)
	if err != nil || v.Title != "Where?" {
		t.Fatalf("%+v, %v", v, err)
	}
	if wrong := s.Submit(slacktest.Bob, map[string]string{"ns": "mars"}); wrong["ns"] != "There is no such namespace." {
		t.Errorf("%v", wrong)
	}
	if wrong := s.Submit(slacktest.Bob, map[string]string{"ns": "shop"}); len(wrong) > 0 {
		t.Errorf("%v", wrong)
	}
	if m := await(t, s, slacktest.General, "", says("chose shop")); strings.Join(m.Mentions, " ") != slacktest.Bob {
		t.Errorf("%+v", m)
	}

	s.OpenHome(slacktest.Alice)
	home, err := s.WaitHome(ctx, slacktest.Alice, nil)
	if err != nil || !strings.Contains(home.Text, "alice@example.com") || len(home.Buttons) != 1 {
		t.Errorf("%+v, %v", home, err)
	}

	s.Shortcut(slacktest.Alice, "look", asked.ID)
	if err := s.Wait(ctx, slacktest.General, "", func(all []slacktest.Message) bool {
		for _, m := range all {
			if m.ID == asked.ID {
				return fmt.Sprint(m.Reacted) == "[eyes]"
			}
		}
		return false
	}); err != nil {
		t.Error(err)
	}

	id = s.Say(slacktest.Alice, slacktest.General, "", slacktest.BotMention+" upload")
	chart := await(t, s, slacktest.General, id, func(m slacktest.Message) bool { return len(m.Files) == 1 })
	if f := chart.Files[0]; chart.Text != "a chart" || f.Name != "chart.png" || f.Title != "Chart" || f.Type != "image/png" || !strings.HasSuffix(string(f.Body), "chart") {
		t.Errorf("%+v", chart)
	}
	if f := s.Failures(); len(f) > 0 {
		t.Errorf("what people saw: %q", f)
	}
	s.CheckTypes(t)
}

func TestBoltTakesItForSlackBySocket(t *testing.T) {
	s := slacktest.New(t)
	a := bolt(t, s, "socket")
	ctx := limit(t)
	a.wait(ctx, "started", 1)
	conversation(t, s, a)

	// It is told to come again; what is said meanwhile reaches it.
	s.Disconnect()
	s.Say(slacktest.Bob, s.DM(slacktest.Bob), "", "still there?")
	await(t, s, s.DM(slacktest.Bob), "", says("You said still there?"))
	a.wait(ctx, "connected", 2)

	// It waits as long as it is told to.
	s.Limit(1, time.Second)
	s.Say(slacktest.Bob, s.DM(slacktest.Bob), "", "and now?")
	await(t, s, s.DM(slacktest.Bob), "", says("You said and now?"))
	limited := 0
	for _, c := range s.Calls("chat.postMessage") {
		if c.Limited {
			limited++
		}
		if c.TooSoon {
			t.Errorf("it did not wait: %+v", c)
		}
	}
	if limited != 1 {
		t.Errorf("%d calls were refused", limited)
	}

	// Two hundred at once are answered once each.
	const burst = 200
	for i := range burst {
		s.Say(slacktest.Bob, s.DM(slacktest.Bob), "", fmt.Sprintf("number %d.", i))
	}
	answers := map[string]int{}
	if err := s.Wait(ctx, s.DM(slacktest.Bob), "", func(all []slacktest.Message) bool {
		clear(answers)
		for _, m := range all {
			if says("You said number")(m) {
				answers[m.Text]++
			}
		}
		return len(answers) == burst
	}); err != nil {
		t.Error(err)
	}
	for text, n := range answers {
		if n != 1 {
			t.Errorf("%d times %s", n, text)
		}
	}

	// An event that comes again has its number.
	s.Say(slacktest.Alice, slacktest.General, "", slacktest.BotMention+" twice")
	first := a.wait(ctx, "mention", 3)
	s.Repeat()
	if again := a.wait(ctx, "mention", 4); again != first {
		t.Errorf("%+v, then %+v", first, again)
	}
}

func TestBoltTakesItForSlackByHTTP(t *testing.T) {
	s := slacktest.New(t)
	a := bolt(t, s, "http")
	ctx := limit(t)
	base := fmt.Sprintf("http://127.0.0.1:%d", a.wait(ctx, "started", 1).Port)
	s.Change(func(c *slacktest.Config) {
		c.EventsURL, c.CommandsURL, c.InteractionsURL = base+"/events", base+"/commands", base+"/interactions"
	})
	if err := s.VerifyURL(ctx); err != nil {
		t.Error(err)
	}
	conversation(t, s, a)

	// Slack's library refuses what another secret signed, so it has checked the rest.
	secret := s.Config().SigningSecret
	s.Change(func(c *slacktest.Config) { c.SigningSecret = "another" })
	if err := s.VerifyURL(ctx); err == nil || !strings.Contains(err.Error(), http.StatusText(http.StatusUnauthorized)) && !strings.Contains(err.Error(), "401") {
		t.Errorf("a forged request: %v", err)
	}
	s.Change(func(c *slacktest.Config) { c.SigningSecret = secret })
}
