package slack

import (
	"context"
	"fmt"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

const (
	// refusedWait is how long is waited before Slack is asked again whether it takes
	// a token that it did not take.
	refusedWait = time.Minute
	// handling is how much of what Slack sends is being handled at the same time.
	handling = 64
)

// connect keeps a connection to Slack until ctx ends.
func (b *Bot) connect(ctx context.Context) error {
	for {
		err := b.listen(ctx)
		if ctx.Err() != nil {
			return nil
		}
		b.log.ErrorContext(ctx, "Slack refuses the connection; look at slack.app_token and slack.bot_token", "err", err, "again in", refusedWait)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(refusedWait):
		}
	}
}

// listen holds connections, one after the other, until Slack refuses them. What is not
// acknowledged when one ends comes again by the next.
func (b *Bot) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := socketmode.New(b.api.Client, socketmode.OptionLog(quietLog{b.log}), socketmode.OptionReadLimit(maxBody))
	ended := make(chan error, 1)
	go func() { ended <- c.RunContext(ctx) }()
	slots := make(chan struct{}, handling)
	for {
		select {
		case err := <-ended:
			return err
		case ev := <-c.Events:
			b.received(ctx, c, ev, slots)
		}
	}
}

// received handles what came. In order of arrival things are queued in their
// conversations; what waits for an answer then waits beside.
func (b *Bot) received(ctx context.Context, c *socketmode.Client, ev socketmode.Event, slots chan struct{}) {
	var done <-chan struct{}
	var err error
	wait := true
	switch ev.Type {
	case socketmode.EventTypeConnected:
		if b.connected.Swap(true) {
			b.reconnected()
		}
		b.log.InfoContext(ctx, "connected to Slack")
		return
	case socketmode.EventTypeConnectionError:
		if e, ok := ev.Data.(*slack.ConnectionErrorEvent); ok {
			b.log.WarnContext(ctx, "no connection to Slack", "err", e.ErrorObj, "again in", e.Backoff)
		}
		return
	case socketmode.EventTypeErrorBadMessage, socketmode.EventTypeErrorWriteFailed, socketmode.EventTypeIncomingError:
		b.log.WarnContext(ctx, "trouble on the connection to Slack", "what", ev.Type, "err", trouble(ev.Data))
		return
	case socketmode.EventTypeEventsAPI:
		var o outer
		if o, err = decodeEvent(ev.Request.Payload); err == nil {
			done, err = b.happened(ctx, o)
		}
	case socketmode.EventTypeSlashCommand:
		if cmd, ok := ev.Data.(slack.SlashCommand); ok {
			done, err = b.commanded(ctx, cmd)
		}
	case socketmode.EventTypeInteractive:
		if i, ok := ev.Data.(slack.InteractionCallback); ok {
			wait = i.Type != slack.InteractionTypeViewSubmission
			done, err = b.interacted(ctx, i)
		}
	default:
		return
	}
	if err != nil {
		// Not acknowledged: what can be delivered again is.
		b.log.ErrorContext(ctx, "what came from Slack is not handled", "type", ev.Type, "err", err)
		return
	}
	ack := func() {
		if err := c.AckCtx(ctx, ev.Request.EnvelopeID, nil); err != nil && ctx.Err() == nil {
			b.log.WarnContext(ctx, "not acknowledged", "err", err)
		}
	}
	if done == nil || !wait {
		ack()
		return
	}
	select {
	case slots <- struct{}{}:
		go func() {
			await(ctx, done)
			ack()
			<-slots
		}()
	default: // a burst: it is queued, and taken
		ack()
	}
}

// trouble is what a client's event says went wrong.
func trouble(data any) error {
	switch e := data.(type) {
	case *socketmode.ErrorBadMessage:
		return e.Cause
	case *socketmode.ErrorWriteFailed:
		return e.Cause
	case *slack.IncomingEventError:
		return e.ErrorObj
	case error:
		return e
	}
	return fmt.Errorf("slack: %T", data)
}
