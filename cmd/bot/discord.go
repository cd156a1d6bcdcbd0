package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/discord"
	"github.com/firstmate-ops/firstmate/internal/export"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/chart"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// discord makes the Discord bot, which hears all that is pushed and runs with the app.
func (a *app) discord(c Config, log *slog.Logger) (*discord.Bot, error) {
	commands, err := export.DiscordCommands(a.catalogue)
	if err != nil {
		return nil, err
	}
	set, err := json.Marshal(commands)
	if err != nil {
		return nil, err
	}
	parts := discord.Parts{
		Engine: a.turns(), Books: a.store, Words: a.catalogue, Paint: paint(chart.NewPainter()), Who: a.eyes.who.Who,
		Commands: set, Sentence: export.DiscordSentence, Names: a.completions, Voice: a.voice, Now: time.Now,
		Hints: func(context.Context) speech.Hints {
			return spokenNames(a.fleet.AllNames(), a.fleet.Namespace(""), c.Access.ReadsAsPerson)
		},
	}
	if a.listening.ears != nil {
		parts.Ears = a.listening.ears
	}
	b, err := discord.New(c.Discord.config(), parts, log)
	if err != nil {
		return nil, err
	}
	a.overhear = append(a.overhear, b.Overhear)
	a.bots = append(a.bots, b.Run)
	return b, nil
}

// paint draws charts as a chat shows them, on the dark ground that most have.
func paint(p *chart.Painter) func(observability.Chart) ([]byte, error) {
	return func(c observability.Chart) ([]byte, error) {
		var b bytes.Buffer
		err := p.PNG(&b, c, chart.Options{Dark: true})
		return b.Bytes(), err
	}
}

// completions are the names that an option of a command may have, as far as who types
// may see them.
func (a *app) completions(ctx context.Context, s access.Speaker, option, _ string) []string {
	inv, err := a.names(a.eyes.of(ctx, s), nil)
	if err != nil {
		a.log.InfoContext(ctx, "names to complete are missing", "err", err)
	}
	if inv == nil {
		return nil
	}
	d := inv.Data()
	var out []string
	switch option {
	case "workload":
		home := a.fleet.Namespace("")
		var there []string
		for _, w := range d.Workloads {
			if w.Namespace == home {
				out = append(out, w.Name)
			} else {
				there = append(there, w.Name)
			}
		}
		slices.Sort(out)
		slices.Sort(there)
		out = append(out, there...)
	case "namespace":
		out = slices.Sorted(slices.Values(d.Namespaces))
	case "cluster":
		out = d.Clusters
	case "version":
		out = slices.Sorted(slices.Values(d.Tags))
	}
	return out
}

// discord looks whether Discord knows the bot, lets it see what it needs to, and whose
// servers it is in.
func (d *doctor) discord(ctx context.Context, c Config) {
	if !c.Discord.on() {
		return
	}
	b, err := discord.New(c.Discord.config(), discord.Parts{}, slog.New(slog.DiscardHandler))
	if err != nil {
		d.fail(fault.Usage, "Mend it in the configuration, or with FIRSTMATE_DISCORD_….", "discord: %s", fault.Say(err))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	a, err := b.Application(ctx)
	if err != nil {
		d.fail(fault.Unavailable, "Look at discord.token: Reset Token on the Bot page of the developer portal shows a new one.", "discord: its API does not take the token, or cannot be reached: %v", err)
		return
	}
	d.well("discord: the bot is %s (application %s)", a.Name, a.ID)
	for _, g := range c.Discord.Guilds {
		if err := b.Member(ctx, g); err != nil {
			d.fail(fault.Unavailable, "Open "+discord.Invite(a.ID)+" and add it to that server, or take the server out of discord.guilds.", "discord: the bot is not in the server %s", g)
		}
	}
	if a.Public {
		d.warn("Switch off Public Bot in the developer portal.", "discord: anybody may add the bot to their server; it answers in those of discord.guilds only")
	}
	if key := c.Discord.PublicKey; key != "" {
		if !strings.EqualFold(key, a.Key) {
			d.fail(fault.Usage, "Copy it from the application's General Information page.", "discord: discord.public_key is not that of this application")
		}
		if a.Endpoint == "" {
			d.warn("Set it to https://YOUR-HOST"+discord.Path+" in the developer portal.", "discord: the application has no Interactions Endpoint URL, so commands do not come over HTTP")
		}
		return
	}
	if a.Endpoint != "" {
		d.fail(fault.Usage, "Empty it in the developer portal, or set discord.public_key.", "discord: commands go to %s and not to the gateway, because the application has an Interactions Endpoint URL", a.Endpoint)
	}
	if c.Discord.MessageContent && !a.ReadsMessages() {
		d.warn("Switch on Message Content Intent on the Bot page of the developer portal, or set discord.message_content to false.", "discord: the bot may not read messages that do not name it, so in its threads it has to be named")
	}
}
