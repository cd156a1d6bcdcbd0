package discordtest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// noted takes down what a test is told in place of failing it.
type noted struct {
	testing.TB
	said string
}

func (n *noted) Errorf(format string, args ...any) { n.said = fmt.Sprintf(format, args...) }
func (n *noted) Error(args ...any)                 { n.said = fmt.Sprint(args...) }
func (n *noted) Helper()                           {}

// TestPeopleDoWhatPeopleCan: a test that has somebody do what Discord's clients do
// not let them is told so.
func TestPeopleDoWhatPeopleCan(t *testing.T) {
	out := &noted{TB: t}
	s := New(out, Rate(100, time.Second, 100))
	commands := l{
		m{"name": "scale", "description": "d", "options": l{
			m{"type": 3, "name": "name", "description": "d", "required": true, "autocomplete": true, "max_length": 5},
			m{"type": 4, "name": "replicas", "description": "d", "min_value": 0, "max_value": 50},
			m{"type": 3, "name": "how", "description": "d", "choices": l{m{"name": "Slowly", "value": "slow"}}},
		}},
		m{"name": "show", "description": "d", "options": l{m{"type": 1, "name": "pods", "description": "d", "options": l{m{"type": 5, "name": "all", "description": "d"}}}}},
		m{"name": "here", "description": "d", "contexts": l{0}},
	}
	if got := ask(t, s, "PUT", "/applications/"+s.Bot()+"/commands", commands); got.status != 200 {
		t.Fatal(got.body)
	}
	if got := ask(t, s, "PUT", "/applications/"+s.Bot()+"/guilds/"+s.Guild()+"/commands", l{m{"name": "ours", "description": "d"}}); got.status != 200 {
		t.Fatal(got.body)
	}
	post := func(channel string, body m) string {
		got := ask(t, s, "POST", "/channels/"+s.Channel(channel)+"/messages", body)
		id, _ := got.body["id"].(string)
		return id
	}
	asked := post("ops", m{"content": "?", "components": l{
		row(button("yes", "Yes"), m{"type": 2, "style": 1, "custom_id": "no", "label": "No", "disabled": true}),
		row(m{"type": 3, "custom_id": "which", "options": l{option(1), option(2)}}),
	}})
	thread := s.Say("alice", "ops", "", "about this")
	if got := ask(t, s, "POST", "/channels/"+s.Channel("ops")+"/messages/"+thread+"/threads", m{"name": "t"}); got.status != 201 {
		t.Fatal(got.body)
	}
	command := func(name string, options map[string]string) func() string {
		return func() string { return s.Command("alice", "ops", name, options) }
	}
	for name, c := range map[string]struct {
		do  func() string
		not string // why not, or "" where it is done
	}{
		"a button":                {func() string { return s.Click("alice", asked, "yes") }, ""},
		"one that is not there":   {func() string { return s.Click("alice", asked, "maybe") }, "has no maybe"},
		"one that is disabled":    {func() string { return s.Click("alice", asked, "no") }, "has no no"},
		"no message":              {func() string { return s.Click("alice", "1", "yes") }, "sees no message"},
		"an entry":                {func() string { return s.Click("alice", asked, "v1") }, ""},
		"entries":                 {func() string { return s.Select("alice", asked, "which", "v2") }, ""},
		"none of them":            {func() string { return s.Select("alice", asked, "which", "v3") }, "has no which"},
		"a command":               {command("scale", map[string]string{"name": "web", "replicas": "5", "how": "Slowly"}), ""},
		"no such command":         {command("sale", nil), "no command /sale"},
		"without what it needs":   {command("scale", nil), "needs name"},
		"too long":                {command("scale", map[string]string{"name": "web-frontend"}), "name cannot be"},
		"no number":               {command("scale", map[string]string{"name": "web", "replicas": "five"}), "replicas cannot be"},
		"too many":                {command("scale", map[string]string{"name": "web", "replicas": "51"}), "replicas cannot be"},
		"no choice":               {command("scale", map[string]string{"name": "web", "how": "fast"}), "how cannot be"},
		"no option":               {command("scale", map[string]string{"name": "web", "when": "now"}), "no option when"},
		"one within another":      {command("show pods", map[string]string{"all": "true"}), ""},
		"no such one":             {command("show nodes", nil), "has no nodes"},
		"the guild's":             {command("ours", nil), ""},
		"not in private":          {func() string { return s.Command("alice", s.DM("alice"), "ours", nil) }, "no command /ours here"},
		"nor this":                {func() string { return s.Command("alice", s.DM("alice"), "here", nil) }, "no command /here here"},
		"in private":              {func() string { return s.Command("alice", s.DM("alice"), "scale", map[string]string{"name": "web"}) }, ""},
		"in another's":            {func() string { return s.Command("bob", s.DM("alice"), "scale", map[string]string{"name": "web"}) }, "not in the direct messages"},
		"writes there":            {func() string { return s.Say("bob", s.DM("alice"), "", "hi") }, "not in the direct messages"},
		"in a thread":             {func() string { return s.Say("bob", "ops", thread, "hi") }, ""},
		"in a thread of another":  {func() string { return s.Say("bob", "general", thread, "hi") }, "no thread"},
		"2001 characters":         {func() string { return s.Say("bob", "ops", "", strings.Repeat("x", 2001)) }, "nobody can write 2001"},
		"a form that is not open": {func() string { return s.Submit("bob", "1", nil) }, "not answered with a form"},
	} {
		t.Run(name, func(t *testing.T) {
			out.said = ""
			if c.do(); (out.said == "") != (c.not == "") || !strings.Contains(out.said, c.not) {
				t.Errorf("it is said: %q", out.said)
			}
		})
	}
}
