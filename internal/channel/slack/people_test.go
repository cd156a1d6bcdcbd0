package slack

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/firstmate-ops/firstmate/internal/channel/slack/slacktest"
)

// TestMemberOf holds who is answered, and whose e-mail address counts: what Slack does
// not say counts against somebody.
func TestMemberOf(t *testing.T) {
	full := func(change func(*slack.User)) *slack.User {
		u := &slack.User{ID: "U1", TeamID: "T1", RealName: "Ann", IsEmailConfirmed: true, Profile: slack.UserProfile{Email: "Ann@Example.com"}}
		change(u)
		return u
	}
	for name, c := range map[string]struct {
		change func(*slack.User)
		own    bool
		email  string
	}{
		"a member":               {func(*slack.User) {}, true, "ann@example.com"},
		"not confirmed":          {func(u *slack.User) { u.IsEmailConfirmed = false }, true, ""},
		"no address":             {func(u *slack.User) { u.Profile.Email = "" }, true, ""},
		"two addresses":          {func(u *slack.User) { u.Profile.Email = "a@b@c" }, true, ""},
		"a guest":                {func(u *slack.User) { u.IsRestricted = true }, false, ""},
		"of one channel":         {func(u *slack.User) { u.IsUltraRestricted = true }, false, ""},
		"of another workspace":   {func(u *slack.User) { u.TeamID = "T2" }, false, ""},
		"of the same company":    {func(u *slack.User) { u.TeamID, u.Enterprise.Teams = "T2", []string{"T3", "T1"} }, true, "ann@example.com"},
		"a stranger":             {func(u *slack.User) { u.IsStranger = true }, false, ""},
		"of no workspace":        {func(u *slack.User) { u.TeamID = "" }, false, ""},
		"who left":               {func(u *slack.User) { u.Deleted = true }, false, ""},
		"who was invited":        {func(u *slack.User) { u.IsInvitedUser = true }, false, ""},
		"a bot":                  {func(u *slack.User) { u.IsBot = true }, false, ""},
		"an app":                 {func(u *slack.User) { u.IsAppUser = true }, false, ""},
		"a workflow":             {func(u *slack.User) { u.IsWorkflowBot = true }, false, ""},
		"another company's bot":  {func(u *slack.User) { u.IsConnectorBot = true }, false, ""},
		"Slack's own, no bot":    {func(u *slack.User) { u.ID = "USLACKBOT" }, false, ""},
		"with a name of control": {func(u *slack.User) { u.RealName = "A\x1bnn" }, true, "ann@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			m := memberOf(full(c.change), "T1", time.Now())
			if m.own != c.own || m.email != c.email || m.name != "Ann" {
				t.Errorf("%+v", m)
			}
			if m := memberOf(full(c.change), "", time.Now()); m.own || m.email != "" {
				t.Errorf("of a workspace that is not known: %+v", m)
			}
		})
	}
}

// Who is of another workspace gets one sentence and nothing else, and so does everybody
// while Slack does not say who they are.
func TestWhoIsNotAnswered(t *testing.T) {
	w := open(t, echo)
	_, err := w.bot.happened(t.Context(), outer{Type: "event_callback", Event: event{
		Type: "app_mention", User: slacktest.Bob, UserTeam: "T0OTHER", Channel: slacktest.General, TS: "1700000000.000100", Text: slacktest.BotMention + " how is web?",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if m := w.said(slacktest.General, "", "members of this workspace only"); m.For != slacktest.Bob {
		t.Errorf("all are told: %+v", m)
	}
	for _, p := range []slacktest.Person{{Name: "guest", Email: "guest@example.com", Guest: true}, {Name: "other", Email: "other@example.org", Team: "T0OTHER"}} {
		id := w.AddPerson(p)
		w.Say(id, slacktest.General, "", slacktest.BotMention+" how is web?")
		w.wait(slacktest.General, "", p.Name+" is told", func(all []slacktest.Message) bool {
			return slices.ContainsFunc(all, func(m slacktest.Message) bool {
				return m.For == id && strings.Contains(m.Text, "members of this workspace only")
			})
		})
	}
	w.Change(func(c *slacktest.Config) {
		c.Scopes = strings.Fields(strings.ReplaceAll(strings.Join(c.Scopes, " "), "users:read ", ""))
	})
	w.Say(slacktest.Alice, w.DM(slacktest.Alice), "", "how is web?")
	w.said(w.DM(slacktest.Alice), "", "I cannot look up who you are")
	if n := len(w.engine.Requests()); n != 0 {
		t.Errorf("%d turns were taken", n)
	}
}

// It is asked once who somebody is, however much they say.
func TestMembersAreRemembered(t *testing.T) {
	w := open(t, echo)
	for _, text := range []string{"one", "two", "three"} {
		w.Say(slacktest.Alice, w.DM(slacktest.Alice), "", text)
		w.said(w.DM(slacktest.Alice), "", text)
	}
	if n := len(w.Calls("users.info")); n != 1 {
		t.Errorf("%d times", n)
	}
}

// What Slack says of the tokens is said in a sentence that names the key.
func TestExamine(t *testing.T) {
	w := open(t, echo)
	log := slog.New(slog.DiscardHandler)
	good := w.bot.cfg
	f, err := Examine(t.Context(), good, log)
	if err != nil || len(f.Missing) != 0 || f.User == "" || f.Team == "" {
		t.Errorf("%+v, %v", f, err)
	}
	for key, change := range map[string]func(*Config){
		"slack.bot_token": func(c *Config) { c.BotToken = "xoxb-wrong" }, "slack.app_token": func(c *Config) { c.AppToken = "xapp-wrong" },
	} {
		c := good
		change(&c)
		if _, err := Examine(t.Context(), c, log); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	w.Change(func(c *slacktest.Config) {
		c.Scopes = strings.Fields(strings.ReplaceAll(strings.Join(c.Scopes, " "), "files:write ", ""))
	})
	if f, err := Examine(t.Context(), good, log); err != nil || strings.Join(f.Missing, " ") != "files:write" {
		t.Errorf("%+v, %v", f, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Examine(ctx, good, log); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("%v", err)
	}
}

func TestConfigCheck(t *testing.T) {
	good := Config{Mode: Socket, BotToken: "xoxb-1", AppToken: "xapp-1"}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"good":       {func(*Config) {}, ""},
		"local":      {func(c *Config) { c.APIURL = "http://127.0.0.1:1/api/" }, ""},
		"http":       {func(c *Config) { c.Mode, c.AppToken, c.SigningSecret = HTTP, "", "s" }, ""},
		"no mode":    {func(c *Config) { c.Mode = "" }, "slack.mode"},
		"no token":   {func(c *Config) { c.BotToken = "" }, "slack.bot_token is missing"},
		"user token": {func(c *Config) { c.BotToken = "xoxp-1" }, "begins with xoxb-"},
		"no app":     {func(c *Config) { c.AppToken = "" }, "slack.app_token"},
		"no secret":  {func(c *Config) { c.Mode = HTTP }, "slack.signing_secret"},
		"plain":      {func(c *Config) { c.APIURL = "http://slack.example/api" }, "slack.api_url"},
	} {
		cfg := good
		c.change(&cfg)
		err := cfg.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTrusts holds that answers go to Slack, whatever address came.
func TestTrusts(t *testing.T) {
	b := &Bot{}
	for u, want := range map[string]bool{
		"https://hooks.slack.com/commands/T1/1/x": true, "http://hooks.slack.com/commands/T1/1/x": false, "https://hooks.slack.com.evil.example/x": false,
		"https://u@hooks.slack.com/x": false, "https://10.0.0.1/x": false, "": false, "://": false,
	} {
		if b.trusts(u) != want {
			t.Errorf("%q", u)
		}
	}
}
