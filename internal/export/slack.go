package export

import (
	"net/url"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// What a Slack app's manifest and the bot call the same thing.
const (
	SlackCommand      = "/firstmate"
	SlackShortcutAsk  = "ask"     // the global shortcut
	SlackShortcutWhy  = "ask_why" // the one of a message
	SlackEvents       = "/webhooks/slack/events"
	SlackCommands     = "/webhooks/slack/commands"
	SlackInteractions = "/webhooks/slack/interactions"
)

// Slack's limits of a manifest.
const (
	slackDescription = 140
	slackLongest     = 4000
	slackLong        = 174 // a long description has at least as many
	slackUsageHint   = 1000
)

// slackManifest is an app's manifest as Slack's reference has it. What is false is
// written out: Slack's own defaults are not always that.
type slackManifest struct {
	Metadata struct {
		Major int `json:"major_version"`
		Minor int `json:"minor_version"`
	} `json:"_metadata"`
	Display struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		Long        string `json:"long_description"`
		Color       string `json:"background_color"`
	} `json:"display_information"`
	Features struct {
		Home struct {
			Home     bool `json:"home_tab_enabled"`
			Messages bool `json:"messages_tab_enabled"`
			ReadOnly bool `json:"messages_tab_read_only_enabled"`
		} `json:"app_home"`
		Bot struct {
			Name   string `json:"display_name"`
			Online bool   `json:"always_online"`
		} `json:"bot_user"`
		Shortcuts []slackShortcut `json:"shortcuts"`
		Commands  []slackCommand  `json:"slash_commands"`
	} `json:"features"`
	OAuth struct {
		Scopes struct {
			Bot []string `json:"bot"`
		} `json:"scopes"`
	} `json:"oauth_config"`
	Settings struct {
		Events struct {
			URL string   `json:"request_url,omitempty"`
			Bot []string `json:"bot_events"`
		} `json:"event_subscriptions"`
		Interactivity struct {
			Enabled bool   `json:"is_enabled"`
			URL     string `json:"request_url,omitempty"`
		} `json:"interactivity"`
		Org      bool `json:"org_deploy_enabled"`
		Socket   bool `json:"socket_mode_enabled"`
		Rotation bool `json:"token_rotation_enabled"`
	} `json:"settings"`
}

type slackShortcut struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	CallbackID  string `json:"callback_id"`
	Description string `json:"description"`
}

type slackCommand struct {
	Command     string `json:"command"`
	URL         string `json:"url,omitempty"`
	Description string `json:"description"`
	UsageHint   string `json:"usage_hint"`
	Escape      bool   `json:"should_escape"`
}

// SlackScopes are the rights of the bot's token, each with what it is needed for. There
// is none that nothing here needs.
func SlackScopes() [][2]string {
	return [][2]string{
		{"app_mentions:read", "to be spoken to in a channel"},
		{"channels:history", "to hear the answers in its threads without being mentioned each time"},
		{"chat:write", "to answer"},
		{"commands", "the command " + SlackCommand + " and the shortcuts"},
		{"files:read", "to listen to audio clips"},
		{"files:write", "to show charts and long diffs"},
		{"groups:history", "the same as channels:history in private channels it was invited to"},
		{"im:history", "to be written to directly"},
		{"im:write", "to write directly to who used the command where it is not"},
		{"users:read", "to tell members from guests"},
		{"users:read.email", "to know people by their e-mail address"},
	}
}

// SlackAppEvents are the events that the bot is told of.
func SlackAppEvents() []string {
	return []string{"app_home_opened", "app_mention", "message.channels", "message.groups", "message.im"}
}

// Slack is the manifest of a Slack app. With an address it is told of everything by
// HTTPS; without one, it connects by itself (Socket Mode).
func Slack(c *intents.Catalogue, endpoint string) (Files, error) {
	at := func(string) string { return "" }
	if endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return nil, fault.New(fault.Usage, "The endpoint is what Slack reaches the server by, like https://bot.example; leave it out for Socket Mode.")
		}
		at = func(path string) string { return strings.TrimSuffix(endpoint, "/") + path }
	}
	var m slackManifest
	m.Metadata.Major, m.Metadata.Minor = 2, 1
	m.Display.Name, m.Display.Color = "firstmate", "#1d3557"
	m.Display.Description = "Looks after Kubernetes: ask how things are and why, change them after a yes, and hear how it went."
	m.Display.Long = slackAbout(c)
	m.Features.Home.Home, m.Features.Home.Messages = true, true
	m.Features.Bot.Name, m.Features.Bot.Online = "firstmate", true
	m.Features.Shortcuts = []slackShortcut{
		{"Ask firstmate", "global", SlackShortcutAsk, "Ask about the cluster, or have something changed"},
		{"Ask why", "message", SlackShortcutWhy, "Find out what is behind a message"},
	}
	m.Features.Commands = []slackCommand{{SlackCommand, at(SlackCommands), "Ask about the cluster, or have something changed", slackHint(c), false}}
	for _, s := range SlackScopes() {
		m.OAuth.Scopes.Bot = append(m.OAuth.Scopes.Bot, s[0])
	}
	m.Settings.Events.URL, m.Settings.Events.Bot = at(SlackEvents), SlackAppEvents()
	m.Settings.Interactivity.Enabled, m.Settings.Interactivity.URL = true, at(SlackInteractions)
	m.Settings.Socket = endpoint == ""
	b, err := encode(m)
	if err != nil {
		return nil, err
	}
	return Files{"manifest.json": b}, nil
}

// slackAbout lists what can be asked for, as far as there is room.
func slackAbout(c *intents.Catalogue) string {
	about := "Write to firstmate directly, mention it in a channel, or use " + SlackCommand + ". What it would change it shows first, and does after a yes, with your own rights in the cluster. It can"
	sep := ": "
	for _, s := range c.Specs() {
		if s.Help == "" || s.Risk == intents.RiskNone || len(about)+len(sep)+len(s.Help)+len(".") > slackLongest {
			continue
		}
		about, sep = about+sep+s.Help, "; "
	}
	return about + "."
}

// slackHint is how the command is used: an example of some intents.
func slackHint(c *intents.Catalogue) string {
	var hints []string
	for _, name := range []string{"status", "diagnose", "scale", "rollback"} {
		if s, ok := c.Spec(name); ok && len(s.Examples) > 0 {
			hints = append(hints, s.Examples[0])
		}
	}
	hint := strings.Join(append(hints, "help"), " · ")
	if len(hint) > slackUsageHint {
		return "help"
	}
	return hint
}
