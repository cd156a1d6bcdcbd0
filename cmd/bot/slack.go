package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/slack"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// slack makes the bot in a Slack workspace, which runs as long as the app does.
func (a *app) slack(c Config, log *slog.Logger) (*slack.Bot, error) {
	heard := &progressHeard{}
	changes := webChanges{a, heard}
	parts := slack.Parts{
		Engine: a.turns(), Books: a.store, Words: a.catalogue,
		Hints: func(context.Context) speech.Hints {
			return spokenNames(a.fleet.AllNames(), a.fleet.Namespace(""), c.Access.ReadsAsPerson, a.alerts.fires()...)
		},
		Running: func(ctx context.Context, by access.Speaker) ([]slack.Running, error) {
			all, err := changes.Running(ctx, by)
			out := make([]slack.Running, len(all))
			for i, r := range all {
				out[i] = slack.Running{What: r.What, Who: r.Who, State: r.State, Progress: r.Progress}
			}
			return out, err
		},
	}
	if a.listening.ears != nil {
		parts.Ears = a.listening.ears
	}
	b, err := slack.New(c.Slack.config(), parts, log)
	if err != nil {
		return nil, err
	}
	a.overhear = append(a.overhear, heard.overhear, b.Overhear)
	a.bots = append(a.bots, b.Run)
	return b, nil
}

// slack looks whether Slack knows the bot, and whether anybody there can change what
// they may.
func (d *doctor) slack(ctx context.Context, c Config) {
	if !c.Slack.on() {
		return
	}
	cfg := c.Slack.config()
	found, err := slack.Examine(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		d.fail(fault.Unavailable, "Look at slack.bot_token and slack.app_token; docs/slack.md has where they come from.", "Slack: %s", fault.Say(err))
		return
	}
	way := "it connects by itself (Socket Mode)"
	if cfg.Mode == slack.HTTP {
		way = "Slack is to post to …" + slack.PathEvents + ", " + slack.PathCommands + " and " + slack.PathInteractions
	}
	d.well("Slack: I am %s in the workspace %s; %s", found.User, found.Team, way)
	if len(found.Missing) > 0 {
		d.fail(fault.Refused, "Run bot export slack DIR, put the manifest into the app's page, and install it again.", "Slack: the bot's token lacks the scopes %s", strings.Join(found.Missing, ", "))
	}
	if !slices.ContainsFunc(c.people(), func(p access.Person) bool {
		return p.Email != "" || slices.ContainsFunc(p.Speakers, func(s string) bool { return strings.HasPrefix(s, slack.Channel+":") })
	}) {
		d.warn("Give somebody email: ann@example.com, or the speaker slack:U… (their member ID), under access.people; or bot link them.", "Slack: nobody there is known, so nobody can change anything from there")
	}
}
