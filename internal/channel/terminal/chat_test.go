package terminal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

func hello(text string) dialogue.Reply {
	return dialogue.Reply{Intent: "greet", Text: text, Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone}
}

func TestChatPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(map[string]dialogue.Reply{"hi": hello("Hello."), "scale web to 5": proposed("p1"), "yes": running("p1")},
			map[string][]dialogue.Event{"yes": {progress("p1", "1 of 5"), progress("p1", "1 of 5")}})
		var out bytes.Buffer
		done := make(chan error)
		go func() {
			done <- Chat(t.Context(), s.local(), strings.NewReader("hi\n\n  scale web to 5\nyes"), &out, ChatOptions{Banner: "not here"})
		}()
		synctest.Wait() // the input has ended, the action has not
		s.Push("c1", outcome("p0", "Somebody else's.", dialogue.OutcomeDone))
		s.Push("c1", progress("p1", "4 of 5"))
		s.Push("c1", outcome("p1", "web runs 5.", dialogue.OutcomeDone))
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := "Hello.\nScale web from 3 to 5?\nOn it.\n1 of 5\nSomebody else's.\n4 of 5\nweb runs 5.\n"
		if out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	})
}

func TestChatPlainEnds(t *testing.T) {
	for _, tt := range []struct{ in, out, said string }{
		{"", "", ""},
		{"hi\nEXIT\nhi\n", "Hello.\n", "hi"},
		{"quit\n", "", ""},
		{"scale web to 5\n", "Scale web from 3 to 5?\n", "scale web to 5"}, // proposed, not confirmed
	} {
		s := newScript(map[string]dialogue.Reply{"hi": hello("Hello."), "scale web to 5": proposed("p1")}, nil)
		var out bytes.Buffer
		err := Chat(t.Context(), s.local(), strings.NewReader(tt.in), &out, ChatOptions{})
		if err != nil || out.String() != tt.out || s.said() != tt.said {
			t.Errorf("%q: %v %q, said %q", tt.in, err, out.String(), s.said())
		}
	}
}

func TestChatPlainInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		s := newScript(map[string]dialogue.Reply{"yes": running("p1")}, nil)
		done := make(chan error)
		go func() { done <- Chat(ctx, s.local(), strings.NewReader("yes\n"), io.Discard, ChatOptions{}) }()
		synctest.Wait()
		interrupt()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestChatPlainReadError(t *testing.T) {
	s := newScript(nil, nil)
	err := Chat(t.Context(), s.local(), io.MultiReader(strings.NewReader(strings.Repeat("x", 2<<20))), io.Discard, ChatOptions{})
	if fault.KindOf(err) != fault.Usage {
		t.Error(err)
	}
}

func TestChatServerNotThere(t *testing.T) {
	var out bytes.Buffer
	err := Chat(t.Context(), unreachable{}.with(newScript(nil, nil)), strings.NewReader("hi\n"), &out, ChatOptions{})
	if err != nil || out.String() != "I cannot reach firstmate at http://x; is it running?\n" {
		t.Errorf("%v %q", err, out.String())
	}
}

// session is a chat on a display, inside a bubble.
type session struct {
	*script
	t    *testing.T
	keys *io.PipeWriter
	d    *display
	done chan error
}

func onDisplay(t *testing.T, s *script, opt ChatOptions) *session {
	r, w := io.Pipe()
	c := &session{script: s, t: t, keys: w, d: &display{}, done: make(chan error, 1)}
	go func() {
		c.done <- chatTerminal(t.Context(), s.local(), r, c.d, func() (int, int) { return 60, 20 }, opt)
	}()
	synctest.Wait()
	return c
}

func (c *session) press(keys string) {
	_, _ = io.WriteString(c.keys, keys)
	synctest.Wait()
}

func (c *session) shows(lines ...string) {
	c.t.Helper()
	synctest.Wait()
	if want := strings.Join(lines, "\n"); c.d.String() != want {
		c.t.Errorf("the display shows\n%s\nwant\n%s", c.d, want)
	}
}

func (c *session) left(err error) {
	c.t.Helper()
	synctest.Wait()
	select {
	case got := <-c.done:
		if !errors.Is(got, err) {
			c.t.Error(got)
		}
	default:
		c.t.Error("the chat did not end")
	}
	_ = c.keys.Close()
}

func TestChatOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(map[string]dialogue.Reply{"scale web to 5": proposed("p1"), "yes": running("p1"), "hi": hello("Hello.")}, nil)
		c := onDisplay(t, s, ChatOptions{Banner: "Say help."})
		c.shows("Say help.", "firstmate>")
		c.press("scale web to 5\r")
		c.shows("Say help.", "firstmate> scale web to 5", "Scale web from 3 to 5?", "firstmate>")
		c.press("yes\r")
		before := []string{"Say help.", "firstmate> scale web to 5", "Scale web from 3 to 5?", "firstmate> yes", "On it."}
		show := func(more ...string) { t.Helper(); c.shows(append(append([]string{}, before...), more...)...) }
		show("firstmate>")

		// Progress is redrawn in place, above what is being typed.
		c.press("h")
		s.Push("c1", progress("p1", "1 of 5 "+strings.Repeat("and so on ", 20)))
		s.Push("c1", progress("p1", "2 of 5"))
		show("2 of 5", "firstmate> h")
		s.Push("c1", progress("p1", "3 of 5"))
		c.press("i")
		show("3 of 5", "firstmate> hi")

		// A line of one's own ends that: what stands above it stays.
		c.press("\r")
		show("3 of 5", "firstmate> hi", "Hello.", "firstmate>")
		s.Push("c1", progress("p1", "4 of 5"))
		show("3 of 5", "firstmate> hi", "Hello.", "4 of 5", "firstmate>")
		s.Push("c1", outcome("p1", "web runs 5.", dialogue.OutcomeDone))
		show("3 of 5", "firstmate> hi", "Hello.", "web runs 5.", "firstmate>")
		c.press("\x04")
		c.left(nil)
	})
}

func TestChatKeys(t *testing.T) {
	for _, tt := range []struct {
		name, keys string
		said       string
		left       bool
	}{
		{"line editing", "hx\x7fi\r", "hi", false},
		{"arrow and insert", "i\x1b[Dh\r", "hi", false},
		{"history", "hi\r\x1b[A\r", "hi; hi", false},
		{"interrupt clears the line", "junk\x1b[D\x1b[D\x03hi\r", "hi", false},
		{"interrupt twice leaves", "junk\x03\x03", "", true},
		{"not twice in a row", "\x03a\x03hi\r", "hi", false},
		{"end of file", "\x04", "", true},
		{"end of file within a line", "hi\x04\r", "hi", false},
		{"exit", "exit\r", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScript(map[string]dialogue.Reply{"hi": hello("Hello.")}, nil)
				c := onDisplay(t, s, ChatOptions{})
				c.press(tt.keys)
				if s.said() != tt.said || c.d.odd != "" {
					t.Errorf("said %q, odd %q", s.said(), c.d.odd)
				}
				if !tt.left {
					c.press("\x03\x03")
				}
				c.left(nil)
			})
		})
	}
}

// slow is a conversation whose turns take until their context ends.
type slow struct{ *LocalConversation }

func (slow) Turn(ctx context.Context, _, _ string) (dialogue.Reply, error) {
	<-ctx.Done()
	return dialogue.Reply{}, ctx.Err()
}

func TestChatLeavesWithinATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		done := make(chan error, 1)
		conv := slow{newScript(nil, nil).local().(*LocalConversation)}
		go func() {
			done <- chatTerminal(t.Context(), conv, r, &display{}, func() (int, int) { return 60, 20 }, ChatOptions{})
		}()
		_, _ = io.WriteString(w, "hi\r")
		synctest.Wait()
		_, _ = io.WriteString(w, "\x03\x03")
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = w.Close()
	})
}

func TestChatSaysWhatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := onDisplay(t, newScript(map[string]dialogue.Reply{"yes": running("p1")}, nil), ChatOptions{Remote: true})
		c.press("yes\r\x04")
		c.left(nil)
		if !strings.Contains(c.d.String(), "The change goes on") {
			t.Errorf("%s", c.d)
		}
	})
}

func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "history")
	h := openHistory(path)
	for i := range maxHistory + 10 {
		h.Add(fmt.Sprint("line ", i))
	}
	h.Add("last\x1b[31m")
	h.Add("last[31m") // the same again
	h.Add("  ")
	if h.Len() != maxHistory || h.At(0) != "last[31m" || h.At(1) != "line 509" {
		t.Errorf("%d lines, %q, %q", h.Len(), h.At(0), h.At(1))
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	h = openHistory(path)
	if h.Len() != maxHistory || h.At(0) != "last[31m" || h.At(maxHistory-1) != "line 11" {
		t.Errorf("%d lines, newest %q, oldest %q", h.Len(), h.At(0), h.At(h.Len()-1))
	}
	b, err := os.ReadFile(path)
	info, _ = os.Stat(path)
	if err != nil || bytes.Count(b, []byte("\n")) != maxHistory || info.Mode().Perm() != 0o600 {
		t.Errorf("the file was not shortened: %d lines, %v", bytes.Count(b, []byte("\n")), err)
	}
	if h := openHistory(""); h.Len() != 0 {
		t.Error("history out of nothing")
	}
}

func TestChatHidesAPIN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wanted := dialogue.Reply{Intent: "confirm", Text: "Your PIN, please.", Expect: dialogue.ExpectPIN}
		s := newScript(map[string]dialogue.Reply{"yes": wanted, "2580": hello("Right."), "no": hello("All right.")}, nil)
		history := filepath.Join(t.TempDir(), "history")
		c := onDisplay(t, s, ChatOptions{HistoryFile: history})
		c.press("yes\r")
		c.press("259\x7f80")
		if shown := c.d.String(); strings.ContainsAny(shown, "2580") || !strings.Contains(shown, "••••") {
			t.Errorf("the PIN is shown, or nothing of it:\n%s", shown)
		}
		c.press("\r")
		c.press("yes\r")
		c.press("no\r") // hidden as well, and understood
		c.press("visible\r\x04\x04")
		c.left(nil)
		if got := s.said(); got != "yes; 2580; yes; no; visible" {
			t.Errorf("said %q", got)
		}
		b, err := os.ReadFile(history)
		if err != nil || strings.Contains(string(b), "2580") || strings.Contains(string(b), bullet) || !strings.Contains(string(b), "visible") {
			t.Errorf("the history is %q, %v", b, err)
		}
	})
}
