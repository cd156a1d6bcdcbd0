package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/slack/slacktest"
	"github.com/firstmate-ops/firstmate/internal/export"
)

// slackApp is the configuration of an app that a fake Slack knows.
func slackApp(s *slacktest.Server) string {
	c := s.Config()
	return fmt.Sprintf("slack: {bot_token: %s, app_token: %s, api_url: %s}\n", c.BotToken, c.AppToken, s.URL())
}

// slackFor is a workspace that grants the app what its manifest asks for; the bot serve
// of a world is to connect to it.
func slackFor(t *testing.T, w *world) *slacktest.Server {
	t.Helper()
	s := slacktest.New(t, func(c *slacktest.Config) {
		c.Scopes, c.Events = nil, export.SlackAppEvents()
		for _, scope := range export.SlackScopes() {
			c.Scopes = append(c.Scopes, scope[0])
		}
	})
	s.Pace(1, 5) // as strict as Slack
	w.rights.config += slackApp(s)
	return s
}

// newSlack is a workspace that the bot serve of a world has connected to.
func newSlack(t *testing.T, w *world) (*slacktest.Server, error) {
	t.Helper()
	s := slackFor(t, w)
	if _, err := w.url(t.Context()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), newsLimit)
	defer cancel()
	return s, s.Connected(ctx, 1)
}

// slackDriver is somebody in a thread that began with a mention, whose Slack delivers
// twice what it is told to.
type slackDriver struct {
	*slacktest.Server
	thread string
	heard  string // what was answered last
	said   int
}

func openSlack(t *testing.T, w *world) (driver, error) {
	t.Helper()
	s, err := newSlack(t, w)
	return &slackDriver{Server: s}, err
}

// answers are those to what was said: outcomes, which are pushed, call whoever asked.
func (d *slackDriver) answers(all []slacktest.Message) []slacktest.Message {
	return slices.DeleteFunc(slices.Clone(all), func(m slacktest.Message) bool { return m.Author != slacktest.BotUser || len(m.Mentions) > 0 })
}

func (d *slackDriver) say(ctx context.Context, text string) (string, error) {
	before := 0
	if d.thread != "" {
		before = len(d.answers(d.Messages(slacktest.General, d.thread)))
	}
	if before != d.said {
		return "", fmt.Errorf("%d answers stand there to %d sentences", before, d.said)
	}
	if d.thread == "" {
		d.thread = d.Say(slacktest.Alice, slacktest.General, "", slacktest.BotMention+" "+text)
	} else {
		d.Say(slacktest.Alice, slacktest.General, d.thread, text)
	}
	d.said++
	err := d.Wait(ctx, slacktest.General, d.thread, func(all []slacktest.Message) bool {
		if got := d.answers(all); len(got) >= d.said {
			d.heard = got[len(got)-1].Text
			return true
		}
		return false
	})
	return d.heard, err
}

// again delivers what was said once more: nothing more is said to that, as the next
// sentence shows.
func (d *slackDriver) again(context.Context) (string, error) {
	d.Repeat()
	return d.heard, nil
}

// approvalSettings lets one person ask and another approve; both are known by their
// e-mail addresses.
const approvalSettings = `
access:
  people:
    - {name: alice, email: alice@example.com, user: demo, groups: [shop-operators]}
    - {name: bob, email: bob@example.com, user: demo, groups: [shop-operators, leads]}
  policies:
    - {name: two pairs of eyes, match: {group: shop-operators}, verdict: approve, by: {group: leads, assurance: verified}}
`

// TestSlackApproval has a change asked for by one person, approved by the click of
// another in the same thread, and told there.
func TestSlackApproval(t *testing.T) {
	w := worldOf(t, "t-slack-approval")
	w.rights.config = approvalSettings
	s, err := newSlack(t, w)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), newsLimit)
	defer cancel()
	root := s.Say(slacktest.Alice, slacktest.General, "", slacktest.BotMention+" scale web to 4")
	wait := func(what string, is func(slacktest.Message) bool) slacktest.Message {
		t.Helper()
		if err := s.Wait(ctx, slacktest.General, root, func(all []slacktest.Message) bool { return slices.ContainsFunc(all, is) }); err != nil {
			t.Fatalf("%s: %v\n%+v", what, err, s.Messages(slacktest.General, root))
		}
		all := s.Messages(slacktest.General, root)
		return all[slices.IndexFunc(all, is)]
	}
	button := func(m slacktest.Message, prefix string) string {
		i := slices.IndexFunc(m.Buttons, func(b slacktest.Button) bool { return strings.HasPrefix(b.ID, prefix) })
		if i < 0 {
			return ""
		}
		return m.Buttons[i].ID
	}
	asked := wait("the question", func(m slacktest.Message) bool { return button(m, "yes:") != "" })
	s.Click(slacktest.Alice, asked.ID, button(asked, "yes:"))
	waiting := wait("the approval", func(m slacktest.Message) bool { return button(m, "approve:") != "" })
	if !strings.Contains(waiting.Text, "replicas: 4") {
		t.Errorf("the approval shows no diff:\n%s", waiting.Text)
	}
	approve := button(waiting, "approve:")
	s.Click(slacktest.Alice, waiting.ID, approve)
	wait("the refusal", func(m slacktest.Message) bool { return strings.Contains(m.Text, "asked for it yourself") })
	if n, err := wanted(ctx, w.namespace, "web"); err != nil || n != "3" {
		t.Errorf("web has %s replicas before anybody approved, %v", n, err)
	}
	s.Click(slacktest.Bob, waiting.ID, approve)
	done := wait("the outcome", func(m slacktest.Message) bool {
		return m.Author == slacktest.BotUser && len(m.Mentions) > 0 && strings.Contains(m.Text, "4 of 4")
	})
	if done.Thread != root {
		t.Errorf("the outcome stands in %q", done.Thread)
	}
	if n, err := wanted(ctx, w.namespace, "web"); err != nil || n != "4" {
		t.Errorf("web has %s replicas, %v", n, err)
	}
	if f := s.Failures(); len(f) > 0 {
		t.Errorf("people saw %q", f)
	}
}

// wanted is how many replicas a Deployment is to have.
func wanted(ctx context.Context, namespace, name string) (string, error) {
	return kubectl(ctx, "", "-n", namespace, "get", "deployment", name, "-o", "jsonpath={.spec.replicas}")
}
