package slack

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Found is what Slack says of the app.
type Found struct {
	Team, User string
	Missing    []string // scopes that the bot's token lacks
}

// examineLimit is how long Slack is asked.
const examineLimit = 10 * time.Second

// Scopes are the rights that the bot's token needs; the app's manifest asks for them.
func Scopes() []string {
	return []string{
		"app_mentions:read", "channels:history", "chat:write", "commands", "files:read", "files:write", "groups:history", "im:history", "im:write",
		"users:read", "users:read.email",
	}
}

// Examine asks Slack whether it takes the tokens, and what they are good for.
func Examine(ctx context.Context, c Config, log *slog.Logger) (Found, error) {
	if err := c.Check(); err != nil {
		return Found{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, examineLimit)
	defer cancel()
	var f Found
	var has []string
	client := slack.New(c.BotToken, slack.OptionAppLevelToken(c.AppToken), slack.OptionAPIURL(c.api()), slack.OptionLog(quietLog{log}),
		slack.OptionOnResponseHeaders(func(_ string, h http.Header) {
			for s := range strings.SplitSeq(h.Get("X-Oauth-Scopes"), ",") {
				has = append(has, strings.TrimSpace(s))
			}
		}))
	me, err := client.AuthTestContext(ctx)
	if err != nil {
		return Found{}, refusal(err, "bot_token")
	}
	f.Team, f.User = me.Team, me.User
	if f.Team == "" {
		f.Team = me.TeamID
	}
	for _, s := range Scopes() {
		if len(has) > 0 && !slices.Contains(has, s) {
			f.Missing = append(f.Missing, s)
		}
	}
	if c.Mode == Socket {
		if _, _, err := client.StartSocketModeContext(ctx); err != nil {
			return Found{}, refusal(err, "app_token")
		}
	}
	return f, nil
}

// refusal words why Slack does not take a token.
func refusal(err error, key string) error {
	var said slack.SlackErrorResponse
	if errors.As(err, &said) {
		return fault.Wrap(err, fault.Refused, "Slack does not take slack.%s: it says %s.", key, said.Err)
	}
	return fault.Wrap(err, fault.Unavailable, "Slack cannot be reached: %v.", err)
}
