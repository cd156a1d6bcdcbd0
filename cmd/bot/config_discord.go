package main

import (
	"github.com/firstmate-ops/firstmate/internal/channel/discord"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// DiscordConfig is the Discord bot; it is there once it has a token.
type DiscordConfig struct {
	Token          Secret   `yaml:"token" doc:"The bot's token. Empty: there is no Discord. See docs/discord.md."`
	Guilds         []string `yaml:"guilds" doc:"The ids of the servers that may ask. The bot answers in no others, and in private only people whom access knows."`
	MessageContent bool     `yaml:"message_content" doc:"Whether the bot asks Discord to see what is written without naming it, so that in its own threads nobody has to. Needs the Message Content Intent in the developer portal."`
	PublicKey      string   `yaml:"public_key" doc:"The application's public key. Set, commands and buttons come to POST /webhooks/discord over HTTP, and the gateway is not opened: Discord does the one or the other. Mentions and direct messages come over the gateway only."`
	VoiceAnswers   bool     `yaml:"voice_answers" doc:"Whether a voice message is answered by one too, beside the text. Otherwise only who says “answer by voice” gets one."`
	APIURL         string   `yaml:"api_url" doc:"In place of https://discord.com, for a proxy or a test."`
}

func discordDefaults() DiscordConfig { return DiscordConfig{MessageContent: true} }

func (c DiscordConfig) on() bool { return c.Token != "" || c.PublicKey != "" || len(c.Guilds) > 0 }

func (c DiscordConfig) config() discord.Config {
	return discord.Config{
		Token: string(c.Token), PublicKey: c.PublicKey, Guilds: c.Guilds, MessageContent: c.MessageContent, VoiceAnswers: c.VoiceAnswers, APIURL: c.APIURL,
	}
}

func (c DiscordConfig) check() error {
	if !c.on() {
		return nil
	}
	if err := c.config().Check(); err != nil {
		return fault.Wrap(err, fault.Usage, "discord: %s", fault.Say(err))
	}
	return nil
}
