package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/discord/discordtest"
)

// TestDoctorLooksAtDiscord holds that what is wrong with a bot is said with what to do.
func TestDoctorLooksAtDiscord(t *testing.T) {
	sea := discordtest.New(t)
	blind := discordtest.New(t, discordtest.WithoutMessageContent())
	for _, tt := range []struct {
		name string
		cfg  DiscordConfig
		want []string
		not  string
	}{
		{"off", DiscordConfig{}, nil, "discord"},
		{"well", DiscordConfig{Token: Secret(sea.Token()), Guilds: []string{sea.Guild()}, MessageContent: true, APIURL: sea.URL()}, []string{"the bot is firstmate"}, "not in the server"},
		{"another token", DiscordConfig{Token: "hunter2", Guilds: []string{sea.Guild()}, APIURL: sea.URL()}, []string{"does not take the token", "Reset Token"}, "hunter2"},
		{"another server", DiscordConfig{Token: Secret(sea.Token()), Guilds: []string{"1"}, APIURL: sea.URL()}, []string{"not in the server 1", "oauth2/authorize?client_id=" + sea.Bot()}, ""},
		{"no server", DiscordConfig{Token: "t"}, []string{"discord.guilds is missing"}, ""},
		{"blind", DiscordConfig{Token: Secret(blind.Token()), Guilds: []string{blind.Guild()}, MessageContent: true, APIURL: blind.URL()}, []string{"Message Content Intent"}, ""},
		{"another key", DiscordConfig{Token: Secret(sea.Token()), Guilds: []string{sea.Guild()}, PublicKey: strings.Repeat("0", 64), APIURL: sea.URL()}, []string{"not that of this application", "Interactions Endpoint URL"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			d := &doctor{out: &out}
			c := defaults()
			c.Discord = tt.cfg
			d.discord(t.Context(), c)
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, out.String())
				}
			}
			if tt.not != "" && strings.Contains(out.String(), tt.not) {
				t.Errorf("it says %q:\n%s", tt.not, out.String())
			}
		})
	}
}
