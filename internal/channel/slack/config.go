// Package slack is firstmate's bot in a Slack workspace: mentions, direct messages, a
// command, shortcuts, buttons, forms, audio clips and the app's home. It connects by
// itself (Socket Mode), or is posted to by Slack (HTTP), and does the same either way.
//
// Slack vouches for who speaks. Only members of the workspace that it is installed in
// are answered, never guests, nor people of others who share a channel.
package slack

import (
	"net/url"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Channel is what speakers of this package are of, and what conversations begin with.
const Channel = "slack"

// How Slack reaches the bot.
const (
	Socket = "socket" // the bot connects to Slack, which needs no public address
	HTTP   = "http"   // Slack posts to the bot
)

// Where Slack posts to.
const (
	PathEvents       = "/webhooks/slack/events"
	PathCommands     = "/webhooks/slack/commands"
	PathInteractions = "/webhooks/slack/interactions"
)

// Command is how the bot is spoken to from anywhere.
const Command = "/firstmate"

// The shortcuts, as the app's manifest names them: one anywhere, and one of a message.
const (
	ShortcutAsk = "ask"
	ShortcutWhy = "ask_why"
)

// Config is the app, as its pages at api.slack.com show it.
type Config struct {
	Mode          string // Socket or HTTP
	BotToken      string // xoxb-…
	AppToken      string // xapp-…, with connections:write; for Socket
	SigningSecret string // what Slack signs with; for HTTP
	APIURL        string // "" is Slack's own
}

// Check says what is wrong with a configuration.
func (c Config) Check() error {
	switch {
	case c.Mode != Socket && c.Mode != HTTP:
		return fault.New(fault.Usage, "slack.mode is socket or http, not %q.", c.Mode)
	case c.BotToken == "":
		return fault.New(fault.Usage, "slack.bot_token is missing: it begins with xoxb- and stands under OAuth & Permissions once the app is installed.")
	case !strings.HasPrefix(c.BotToken, "xoxb-"):
		return fault.New(fault.Usage, "slack.bot_token is a bot's token, which begins with xoxb-.")
	case c.Mode == Socket && !strings.HasPrefix(c.AppToken, "xapp-"):
		return fault.New(fault.Usage, "slack.app_token is missing or no app-level token: it begins with xapp-, has the scope connections:write, and is made under Basic Information. Or set slack.mode to http.")
	case c.Mode == HTTP && c.SigningSecret == "":
		return fault.New(fault.Usage, "slack.signing_secret is missing: Slack signs what it posts with it, and I take nothing that I cannot verify. It stands under Basic Information.")
	}
	if u, err := url.Parse(c.APIURL); c.APIURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && !local(u)) {
		return fault.New(fault.Usage, "slack.api_url is an https URL; leave it empty for Slack's own.")
	}
	return nil
}

// local is an address on this machine, where a test's Slack is.
func local(u *url.URL) bool {
	return u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost" || u.Hostname() == "::1")
}

// api is where methods are called, with the slash that slack-go wants.
func (c Config) api() string {
	if c.APIURL == "" {
		return "https://slack.com/api/"
	}
	return strings.TrimSuffix(c.APIURL, "/") + "/"
}
