package main

import (
	"cmp"

	"github.com/firstmate-ops/firstmate/internal/channel/slack"
)

// SlackConfig is the Slack app; it is there once it has a token.
type SlackConfig struct {
	Mode          string `yaml:"mode" doc:"socket: the bot connects to Slack, which needs no public address. http: Slack posts to /webhooks/slack/…. See docs/slack.md."`
	BotToken      Secret `yaml:"bot_token" doc:"The bot's token, xoxb-…, from OAuth & Permissions. Empty: there is no Slack."`
	AppToken      Secret `yaml:"app_token" doc:"The app-level token, xapp-…, with connections:write, from Basic Information; for socket."`
	SigningSecret Secret `yaml:"signing_secret" doc:"What Slack signs with, from Basic Information; for http."`
	APIURL        string `yaml:"api_url" doc:"Where Slack's Web API is, for tests and proxies. Empty: Slack's own."`
}

func slackDefaults() SlackConfig { return SlackConfig{Mode: slack.Socket} }

func (c SlackConfig) on() bool { return c.BotToken != "" || c.AppToken != "" || c.SigningSecret != "" }

// config is what the channel needs to know.
func (c SlackConfig) config() slack.Config {
	return slack.Config{
		Mode: cmp.Or(c.Mode, slack.Socket), BotToken: string(c.BotToken), AppToken: string(c.AppToken), SigningSecret: string(c.SigningSecret), APIURL: c.APIURL,
	}
}

func (c SlackConfig) check() error {
	if !c.on() {
		return nil
	}
	return c.config().Check()
}
