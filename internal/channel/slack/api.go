package slack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/slack-go/slack"
	"golang.org/x/time/rate"

	"github.com/firstmate-ops/firstmate/internal/chat"
)

const (
	// pace is how often a channel takes a message, and burst how many at once: Slack
	// lets a few pass, and says so where it does not.
	pace  = time.Second
	burst = 5
	// callLimit is how long one call may take, and holdLimit how long is waited where
	// Slack says that it is too much.
	callLimit = 20 * time.Second
	holdLimit = 2 * time.Minute
	// mostPaces is how many channels are kept in mind.
	mostPaces = 1000
)

// api calls Slack's methods, as often as Slack wants them called and no more.
type api struct {
	*slack.Client
	pace time.Duration

	mu    sync.Mutex
	paces map[string]*rate.Limiter
	holds map[string]time.Time // until when a method is not called
}

func newAPI(c Config, log *slog.Logger) *api {
	client := slack.New(c.BotToken, slack.OptionAppLevelToken(c.AppToken), slack.OptionAPIURL(c.api()),
		slack.OptionHTTPClient(&http.Client{Timeout: callLimit}), slack.OptionLog(quietLog{log}))
	return &api{Client: client, pace: pace, paces: map[string]*rate.Limiter{}, holds: map[string]time.Time{}}
}

// quietLog is where slack-go logs to: what goes wrong comes back as errors too.
type quietLog struct{ log *slog.Logger }

// Output logs a line.
func (l quietLog) Output(_ int, line string) error {
	l.log.Debug("slack-go", "says", line)
	return nil
}

// turn waits until the channel takes another message.
func (a *api) turn(ctx context.Context, channel string) error {
	a.mu.Lock()
	l := a.paces[channel]
	if l == nil {
		if len(a.paces) >= mostPaces {
			clear(a.paces) // at worst Slack says that it is too much
		}
		l = rate.NewLimiter(rate.Every(a.pace), burst)
		a.paces[channel] = l
	}
	a.mu.Unlock()
	return l.Wait(ctx)
}

// call calls a method, again where Slack wants it later.
func (a *api) call(ctx context.Context, method string, f func(ctx context.Context) error) error {
	began := time.Now()
	for {
		if err := a.hold(ctx, method); err != nil {
			return err
		}
		once, cancel := context.WithTimeout(ctx, callLimit)
		err := f(once)
		cancel()
		var limited *slack.RateLimitedError
		if !errors.As(err, &limited) {
			return classified(method, err)
		}
		if time.Since(began)+limited.RetryAfter > holdLimit {
			return fmt.Errorf("slack: %s: %w", method, err)
		}
		a.mu.Lock()
		if until := time.Now().Add(max(limited.RetryAfter, time.Second)); until.After(a.holds[method]) {
			a.holds[method] = until
		}
		a.mu.Unlock()
	}
}

// hold waits as long as Slack wants a method not called.
func (a *api) hold(ctx context.Context, method string) error {
	for {
		a.mu.Lock()
		wait := time.Until(a.holds[method])
		a.mu.Unlock()
		if wait <= 0 {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// classified tells errors that stay from those that pass.
func classified(method string, err error) error {
	if err == nil {
		return nil
	}
	var said slack.SlackErrorResponse
	if errors.As(err, &said) {
		switch said.Err {
		case "channel_not_found", "not_in_channel", "is_archived", "message_not_found", "cant_update_message", "edit_window_closed",
			"user_not_found", "users_not_found", "restricted_action", "thread_not_found", "cannot_dm_bot", "user_disabled", "user_not_in_channel":
			return fmt.Errorf("slack: %s: %w: %w", method, chat.ErrGone, err)
		}
		if len(said.ResponseMetadata.Messages) > 0 {
			return fmt.Errorf("slack: %s: %w: %q", method, err, said.ResponseMetadata.Messages)
		}
	}
	return fmt.Errorf("slack: %s: %w", method, err)
}

// refused reports whether Slack did not take the blocks of a message: then its plain
// text has to do.
func refused(err error) bool {
	var said slack.SlackErrorResponse
	return errors.As(err, &said) && (said.Err == "invalid_blocks" || said.Err == "invalid_blocks_format" || said.Err == "msg_blocks_too_long" || said.Err == "msg_too_long")
}
