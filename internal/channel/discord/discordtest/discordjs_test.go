package discordtest

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/peers"
)

// told is what the bot on discord.js tells of itself.
type told struct {
	Event    string
	Text     string
	Commands []string
	Channels []string
	App      string
	Guild    string
	ID       any
	From     string
	Roles    []string
	DM       bool
	Files    int
	Replayed int
	Code     any
	Wait     float64
}

// bot is the bot on discord.js, running.
type bot struct {
	t    *testing.T
	mu   sync.Mutex
	all  []told
	more chan struct{}
}

func startBot(t *testing.T, s *Server, env ...string) *bot {
	t.Helper()
	dir := peers.Node(t, "discord")
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "bot.js"))
	cmd.Env = append(os.Environ(), append([]string{"DISCORD_API=" + s.URL(), "DISCORD_TOKEN=" + s.Token(), "DISCORD_GUILD=" + s.Guild()}, env...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := &bot{t: t, more: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var one told
			if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
				t.Errorf("%s: %v", lines.Text(), err)
			}
			b.mu.Lock()
			b.all = append(b.all, one)
			b.mu.Unlock()
			select {
			case b.more <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		_ = in.Close() // the bot takes that as its end
		_, _ = io.Copy(io.Discard, out)
		<-done
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("the bot ended: %v", err)
		}
		for _, one := range b.all {
			if one.Event == "error" {
				t.Errorf("discord.js: %s", one.Text)
			}
		}
	})
	return b
}

// until waits until what the bot has told is as wanted.
func (b *bot) until(otherwise string, so func([]told) bool) {
	b.t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		b.mu.Lock()
		all := slices.Clone(b.all)
		b.mu.Unlock()
		if so(all) {
			return
		}
		select {
		case <-b.more:
		case <-limit:
			b.t.Fatalf("the bot tells of %s: %+v", otherwise, all)
		}
	}
}

// wait waits until the bot has told of something.
func (b *bot) wait(event string, is func(told) bool) told {
	b.t.Helper()
	var found told
	b.until("no "+event, func(all []told) bool {
		i := slices.IndexFunc(all, func(one told) bool { return one.Event == event && (is == nil || is(one)) })
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

// count waits until the bot has told of something so often.
func (b *bot) count(event string, want int) {
	b.t.Helper()
	b.until("no "+event+" so often", func(all []told) bool {
		n := 0
		for _, one := range all {
			if one.Event == event {
				n++
			}
		}
		return n >= want
	})
}

// TestDiscordJS has a bot on discord.js live here for a while: it does what a
// bot does, and finds all as it is at Discord.
func TestDiscordJS(t *testing.T) {
	s := New(t, Patience(time.Minute)) // Node may be slow
	b := startBot(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	seen := func(channel, thread string, so func([]Message) bool) []Message {
		t.Helper()
		if err := s.Wait(ctx, channel, thread, so); err != nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			t.Fatalf("%v\nthe bot: %+v\n%+v", err, b.all[max(0, len(b.all)-4):], s.Requests()[max(0, len(s.Requests())-4):])
		}
		return s.Messages(channel, thread)
	}
	has := func(text string) func([]Message) bool {
		return func(all []Message) bool {
			return slices.ContainsFunc(all, func(m Message) bool { return m.Author == "firstmate" && strings.Contains(m.Text, text) })
		}
	}
	find := func(all []Message, text string) Message {
		t.Helper()
		i := slices.IndexFunc(all, func(m Message) bool { return m.Author == "firstmate" && strings.Contains(m.Text, text) })
		if i < 0 {
			t.Fatalf("nothing says %q: %+v", text, all)
		}
		return all[i]
	}

	s.Roles("alice", "ops-writer")
	ready := b.wait("ready", nil)
	if !slices.Equal(ready.Commands, []string{"scale", "secret"}) || ready.App != s.Bot() || ready.Guild != "The shop" || !slices.Equal(ready.Channels, []string{"general", "ops"}) {
		t.Errorf("%+v", ready)
	}

	// A mention is answered in a thread, where no mention is needed.
	id := s.Say("alice", "ops", "", "@firstmate scale web to 5")
	heard := b.wait("message", func(one told) bool { return one.ID == id })
	if heard.From != "alice" || !slices.Contains(heard.Roles, "ops-writer") || heard.DM {
		t.Errorf("%+v", heard)
	}
	asked := find(seen("ops", id, has("Shall I?")), "Shall I?")
	if len(asked.Buttons) != 2 || asked.Buttons[0].Label != "Yes" || len(asked.Menus) != 1 || len(asked.Embeds) != 1 || asked.Embeds[0].Fields[0].Value != "shop" || len(asked.Mention) != 0 {
		t.Errorf("%+v", asked)
	}
	if name, _ := s.ThreadName(id); name != "About alice" {
		t.Errorf("the thread is called %q", name)
	}
	s.Say("bob", "ops", id, "go on")
	done := find(seen("ops", id, has("done")), "done")
	if done.Edits != 1 || len(done.Files) != 1 || string(done.Files[0].Data) != "a chart" || done.Files[0].Description != "of nothing" {
		t.Errorf("%+v", done)
	}

	// A menu and a button of it.
	s.Select("alice", asked.ID, "which", "api")
	seen("ops", id, has("chosen api"))
	s.Click("bob", asked.ID, "yes")
	if m := find(seen("ops", id, has("bob said yes")), "bob said yes"); m.ID != asked.ID || len(m.Buttons) != 0 {
		t.Errorf("%+v", m)
	}

	// Commands.
	if got := s.Autocomplete("alice", "ops", "scale", "name", "w"); !slices.Equal(got, []Choice{{"web", "web"}, {"worker", "worker"}}) {
		t.Errorf("offered: %v", got)
	}
	s.Command("alice", "ops", "scale", map[string]string{"name": "web", "replicas": "5"})
	all := seen("ops", "", has("and more"))
	if m := find(all, "web to 5?"); len(m.Buttons) != 2 || m.Waiting || m.Edits != 0 {
		t.Errorf("%+v", m)
	}
	if m := find(all, "and more"); m.To != find(all, "web to 5?").ID {
		t.Errorf("%+v", m)
	}
	alone := s.Command("alice", "ops", "secret", nil)
	if m := find(seen("ops", "", has("only you")), "only you"); m.Only != "alice" || s.Interaction(alone).Message != m.ID || b.wait("replied", nil).ID != m.ID {
		t.Errorf("%+v", m)
	}
	note := s.Command("bob", s.DM("bob"), "note", nil)
	if form, err := s.Answered(ctx, note); err != nil || form.Answer != 9 {
		t.Fatalf("%+v, %v", form, err)
	}
	s.Submit("bob", note, map[string]string{"why": "because"})
	seen(s.DM("bob"), "", has("Noted: because"))

	// Direct messages, files and voice messages.
	s.Say("carol", s.DM("carol"), "", "anybody there?")
	seen(s.DM("carol"), "", has("hello in private"))
	s.Attach("carol", "general", "", "look", "log.txt", "text/plain", []byte("12345"))
	seen("general", "", has("got 5 bytes"))
	s.SayAudio("carol", "general", "", make([]byte, 99))
	seen("general", "", has("heard 99 bytes, 2.5 s"))

	// 429s are waited out.
	s.Limit(2, 300*time.Millisecond)
	s.Say("alice", "general", "", "burst")
	all = seen("general", "", has("part 4"))
	var parts []string
	for _, m := range all {
		if strings.HasPrefix(m.Text, "part") {
			parts = append(parts, m.Text)
		}
	}
	if strings.Join(parts, ",") != "part 0,part 1,part 2,part 3,part 4" || s.Hasty() != 0 {
		t.Errorf("%v; hasty: %d", parts, s.Hasty())
	}

	// What is said while the bot is away is told when it resumes.
	for i, cut := range []func(){s.Disconnect, s.Reconnect} {
		_, before := s.Connections()
		cut()
		away := s.Say("alice", "general", "", "burst")
		b.wait("message", func(one told) bool { return one.ID == away })
		b.count("resumed", i+1)
		if _, now := s.Connections(); now != before+1 {
			t.Errorf("resumed %d times", now-before)
		}
	}
	if began, _ := s.Connections(); began != 1 {
		t.Errorf("identified %d times", began)
	}
	s.Invalidate()
	if err := s.wait(ctx, "not identified again", func() bool { began, _ := s.Connections(); return began == 2 }); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Requests() {
		if r.Status >= 400 && r.Status != 429 {
			t.Errorf("%+v", r)
		}
	}
}
