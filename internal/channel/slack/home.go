package slack

import (
	"context"
	"time"

	"github.com/slack-go/slack"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

const (
	// maxHomeBlocks is how many blocks a home may have.
	maxHomeBlocks = 100
	maxHeader     = 150
	maxRunning    = 20
)

// What the home asks in the person's name.
const (
	askRights = "what may I do?"
	askFiring = "what is firing?"
)

// showHome shows somebody their home: what they may do, what is running and what fires,
// as they may see it.
func (b *Bot) showHome(user string) {
	ctx, cancel := context.WithTimeout(context.Background(), handleLimit)
	defer cancel()
	who, ok, err := b.speaker(ctx, user, "")
	var view slack.HomeTabViewRequest
	switch {
	case err != nil:
		b.log.WarnContext(ctx, "who opens the home is not known", "user", user, "err", err)
		view = home(nil, nil, "", b.say("unknown", nil), b.say)
	case !ok:
		view = home(nil, nil, "", b.say("stranger", nil), b.say)
	default:
		view = b.homeOf(ctx, who)
	}
	if err := b.api.call(ctx, "views.publish", func(ctx context.Context) error {
		_, err := b.api.PublishViewContext(ctx, slack.PublishViewContextRequest{UserID: user, View: view})
		return err
	}); err != nil {
		b.log.WarnContext(ctx, "the home is not shown", "user", user, "err", err)
	}
}

// part is one part of the home.
type part struct {
	title string
	reply dialogue.Reply
}

// homeOf asks for what stands in somebody's home. It is asked in a conversation of its
// own, so that what they talk about elsewhere stays what it is.
func (b *Bot) homeOf(ctx context.Context, who access.Speaker) slack.HomeTabViewRequest {
	conversation := chat.Address{Platform: Channel, Channel: who.ID, Thread: "home"}.Conversation()
	ask := func(text string) dialogue.Reply {
		return b.parts.Engine.Respond(ctx, dialogue.Request{Conversation: conversation, Speaker: who, Text: text})
	}
	running, err := []Running(nil), error(nil)
	if b.parts.Running != nil {
		running, err = b.parts.Running(ctx, who)
	}
	if err != nil {
		b.log.WarnContext(ctx, "what is running cannot be shown", "err", err)
	}
	parts := []part{{b.say("home.firing", nil), ask(askFiring)}, {b.say("home.rights", nil), ask(askRights)}}
	return home(parts, running, time.Now().UTC().Format("2006-01-02 15:04 UTC"), b.say("home.hello", nil), b.say)
}

// home is a home as Slack takes it. at is "" for somebody who is shown nothing.
func home(parts []part, running []Running, at, hello string, say phrases) slack.HomeTabViewRequest {
	blocks := []slack.Block{section(clip(hello, maxSection))}
	if at != "" {
		blocks = append(blocks, slack.NewActionBlock("home",
			slack.NewButtonBlockElement(homeAsk, homeAsk, quiet(clip(say("home.ask", nil), maxLabel))).WithStyle(slack.StylePrimary),
			slack.NewButtonBlockElement(homeAgain, homeAgain, quiet(clip(say("home.again", nil), maxLabel)))))
		header := func(title string) slack.Block { return slack.NewHeaderBlock(quiet(clip(title, maxHeader))) }
		blocks = append(blocks, header(say("home.running", nil)))
		if len(running) == 0 {
			blocks = append(blocks, section(say("home.nothing", nil)))
		}
		for _, r := range running[:min(len(running), maxRunning)] {
			line := say("home.change", map[string]any{"What": clean(r.What), "Who": clean(r.Who), "State": clean(r.State), "Progress": clean(r.Progress)})
			blocks = append(blocks, section(clip(line, maxSection)))
		}
		for _, p := range parts {
			// Rendered as an answer is, without buttons and files.
			r := render(chat.Message{Reply: dialogue.Reply{Text: p.reply.Text, Speech: p.reply.Speech, Blocks: p.reply.Blocks}}, say)
			blocks = append(blocks, header(p.title))
			blocks = append(blocks, r.blocks...)
		}
		blocks = append(blocks, slack.NewContextBlock("", quiet(say("home.at", map[string]any{"At": at}))))
	}
	if len(blocks) > maxHomeBlocks {
		blocks = blocks[:maxHomeBlocks]
	}
	return slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: blocks}}
}
