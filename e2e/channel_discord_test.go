package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/discord/discordtest"
)

// discordChannel is where the driver writes.
const discordChannel = "general"

// discordDriver is somebody in a thread that began with a mention, whose Discord delivers
// twice what it is told to, and now and then drops the connection.
type discordDriver struct {
	*discordtest.Server
	thread string
	heard  string // what was answered last
	said   int
}

// openDiscord has the bot serve of a world, which must not run yet, connect to a Discord.
func openDiscord(t *testing.T, w *world) (driver, error) {
	t.Helper()
	s := discordtest.New(t)
	w.rights.config += fmt.Sprintf("discord: {token: %s, guilds: [%q], api_url: %s}\n", s.Token(), s.Guild(), s.URL())
	if _, err := w.url(t.Context()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), newsLimit)
	defer cancel()
	return &discordDriver{Server: s}, s.Ready(ctx)
}

// answers are those to what was said: outcomes, which are pushed, mention who asked.
func (d *discordDriver) answers(all []discordtest.Message) []discordtest.Message {
	return slices.DeleteFunc(slices.Clone(all), func(m discordtest.Message) bool { return m.Author != "firstmate" || len(m.Mention) > 0 })
}

func (d *discordDriver) say(ctx context.Context, text string) (string, error) {
	if d.thread == "" {
		d.thread = d.Say("ann", discordChannel, "", "@firstmate "+text)
	} else {
		if n := len(d.answers(d.Messages(discordChannel, d.thread))); n != d.said {
			return "", fmt.Errorf("%d answers stand there to %d sentences", n, d.said)
		}
		d.Say("ann", discordChannel, d.thread, text)
	}
	if d.said++; d.said == 3 {
		d.Disconnect() // what is not told now is told once the bot is back
	}
	err := d.Wait(ctx, discordChannel, d.thread, func(all []discordtest.Message) bool {
		got := d.answers(all)
		if len(got) >= d.said {
			d.heard = got[len(got)-1].Text
			return true
		}
		return false
	})
	return d.heard, err
}

// again delivers what was said once more: nothing more is said to that, as the next
// sentence shows.
func (d *discordDriver) again(context.Context) (string, error) {
	d.Repeat()
	return d.heard, nil
}
