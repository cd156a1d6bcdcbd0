package slack

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/slack/slacktest"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// A diff that is too long for a message is a file beneath it, to the letter, and the
// message says so; the question and its buttons stay.
func TestALongDiffIsAFile(t *testing.T) {
	var diff strings.Builder
	for n := range 300 {
		fmt.Fprintf(&diff, "-   key%d: <old> & `x`\n+   key%d: new\n", n, n)
	}
	w := open(t, func(dialogue.Request) dialogue.Reply {
		return dialogue.Reply{
			Text: "Shall I?", Expect: dialogue.ExpectConfirm, Proposal: &dialogue.Proposal{ID: "p1"},
			Blocks: []dialogue.Block{{Type: "diff", Title: "web", Text: diff.String()}},
		}
	})
	root := w.Say(slacktest.Alice, slacktest.General, "", slacktest.BotMention+" deploy web")
	asked := w.said(slacktest.General, root, "Shall I?")
	if !strings.Contains(asked.Text, "All of it is attached: web.diff") || len(asked.Buttons) != 2 {
		t.Errorf("it is asked so: %s", asked.Text)
	}
	all := w.wait(slacktest.General, root, "the file", func(all []slacktest.Message) bool {
		return slices.ContainsFunc(all, func(m slacktest.Message) bool { return len(m.Files) > 0 })
	})
	f := all[len(all)-1].Files[0]
	if f.Name != "web.diff" || string(f.Body) != strings.TrimRight(diff.String(), "\n") {
		t.Errorf("%s has %d bytes", f.Name, len(f.Body))
	}
}

// A file that cannot be shared is said to be missing; the answer stands.
func TestAFileThatCannotBeShown(t *testing.T) {
	w := open(t, func(dialogue.Request) dialogue.Reply {
		return dialogue.Reply{Text: "Here.", Blocks: []dialogue.Block{{Type: "log", Title: "web", Text: strings.Repeat("line\n", 2000)}}}
	})
	w.Change(func(c *slacktest.Config) {
		c.Scopes = slices.DeleteFunc(slices.Clone(c.Scopes), func(s string) bool { return s == "files:write" })
	})
	w.Say(slacktest.Alice, w.DM(slacktest.Alice), "", "logs of web")
	w.said(w.DM(slacktest.Alice), "", "Here.")
	w.said(w.DM(slacktest.Alice), "", "I could not show the file web.txt here.")
}

// Where Slack says that it is too much, it is tried again when Slack wants it, and
// stands there once.
func TestTooMuch(t *testing.T) {
	w := open(t, echo)
	dm := w.DM(slacktest.Alice)
	w.Say(slacktest.Alice, dm, "", "one")
	w.said(dm, "", ": one") // everything else was called by now
	w.Limit(2, time.Second)
	w.Say(slacktest.Alice, dm, "", "two")
	w.said(dm, "", ": two")
	limited := 0
	for _, c := range w.Calls("chat.postMessage") {
		if c.TooSoon {
			t.Error("it did not wait for as long as it was told to")
		}
		if c.Limited {
			limited++
		}
	}
	if n := len(w.Messages(dm, "")); limited != 2 || n != 4 {
		t.Errorf("%d times too much, %d messages", limited, n)
	}
}
