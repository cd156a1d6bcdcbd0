package slack

import (
	"context"
	"strings"

	"github.com/slack-go/slack"

	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// happened handles an event. The channel that it returns is closed when it is answered;
// nil is nothing to wait for.
func (b *Bot) happened(ctx context.Context, o outer) (<-chan struct{}, error) {
	if o.Type != "event_callback" {
		return nil, nil
	}
	me, err := b.self(ctx)
	if err != nil {
		return nil, err
	}
	if o.Team != "" && strings.HasPrefix(o.Team, "T") && o.Team != me.team {
		return nil, nil // an app that is installed in several workspaces serves one
	}
	e := o.Event
	switch {
	case e.Type == "app_home_opened" && e.Tab == "home":
		if o.EventID == "" || b.once("home:"+o.EventID) {
			go b.showHome(e.User)
		}
		return nil, nil
	case e.spoken() && channelID(e.Channel) && stamp(e.TS) && (e.Thread == "" || stamp(e.Thread)):
		return b.heardMessage(e, me), nil
	}
	return nil, nil
}

// heardMessage handles what somebody wrote, or recorded. Slack tells of a mention twice,
// as the message that it is and as a mention: the message's own id makes them one.
func (b *Bot) heardMessage(e event, me identity) <-chan struct{} {
	words, mentioned, others := said(e.Text, me.user)
	mentioned = mentioned || e.Type == "app_mention"
	dm := e.Kind == "im" || direct(e.Channel)
	at := chat.Address{Platform: Channel, Team: me.team, Channel: e.Channel, Thread: e.Thread}
	switch {
	case dm:
	case mentioned && at.Thread == "":
		at.Thread = e.TS // the thread that begins there is the conversation
	case mentioned:
	case at.Thread == "" || others:
		return nil // people among themselves
	}
	in := chat.Incoming{Delivery: Channel + ":" + me.team + ":" + e.Channel + ":" + e.TS, At: at, Text: words}
	if clip := audio(e.Files); words == "" && clip != nil {
		in.Audio = b.recording(*clip)
	}
	if words == "" && in.Audio == nil {
		if len(e.Files) > 0 || !dm && !mentioned {
			return nil // a picture, say
		}
		in.Text = "help"
	}
	refuse := func(ctx context.Context, words string) {
		if !dm && !mentioned {
			return
		}
		here := at
		if here.Thread == e.TS {
			here.Thread = "" // there is no thread yet
		}
		b.tell(ctx, here, e.User, words)
	}
	return b.take(in, e.TS, e.User, e.writer(), refuse, func(ctx context.Context, in *chat.Incoming) (bool, error) {
		if dm {
			return true, nil
		}
		several := b.several(in.At.Conversation(), e.User)
		if mentioned {
			return true, nil
		}
		if several {
			in.Answer = func(ctx context.Context, m chat.Message) (string, error) {
				if m.Reply.Fault == fault.NotUnderstood {
					return "", nil // they talk to each other
				}
				return b.Post(ctx, at, m)
			}
		}
		return b.parts.Engine.Knows(ctx, in.At.Conversation()) // a thread that it is in
	})
}

// several notes who talks in a thread, and reports whether others do too.
func (b *Bot) several(conversation, user string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.talkers) >= mostMembers {
		clear(b.talkers)
	}
	first, known := b.talkers[conversation]
	switch {
	case !known:
		b.talkers[conversation] = user
	case first != user:
		b.talkers[conversation] = "" // several
	}
	return known && first != user
}

// tell says something to one person, where they are.
func (b *Bot) tell(ctx context.Context, at chat.Address, user, words string) {
	r := rendered{notice: notice(words)}
	if err := b.whisper(ctx, at, user, r); err != nil {
		b.log.WarnContext(ctx, "somebody is not told", "user", user, "err", err)
	}
}

// commanded handles a slash command. In a channel that the bot is in, it opens a thread
// that all see; anywhere else, and where it could be a secret, the answer is for that
// person alone and the conversation is the one that they have with the bot.
func (b *Bot) commanded(ctx context.Context, c slack.SlashCommand) (<-chan struct{}, error) {
	me, err := b.self(ctx)
	if err != nil {
		return nil, err
	}
	if !channelID(c.ChannelID) || c.TeamID != "" && strings.HasPrefix(c.TeamID, "T") && c.TeamID != me.team {
		return nil, nil
	}
	text := plain(c.Text)
	if words, _, _ := said(c.Text, me.user); words != "" {
		text = words
	}
	if text == "" {
		text = "help"
	}
	if c.TriggerID == "" || !b.once("command:"+c.TriggerID) {
		return nil, nil
	}
	go b.answerCommand(c, me, text)
	return nil, nil
}

func (b *Bot) answerCommand(c slack.SlashCommand, me identity, text string) {
	ctx, cancel := context.WithTimeout(context.Background(), holdLimit)
	defer cancel()
	whisper := func(ctx context.Context, words string) {
		m := chat.Message{Reply: dialogue.Reply{Text: words}}
		if err := b.answerBy(ctx, c.ResponseURL, m); err != nil {
			b.log.WarnContext(ctx, "somebody is not told", "user", c.UserID, "err", err)
		}
	}
	in := chat.Incoming{Delivery: Channel + ":" + me.team + ":command:" + c.TriggerID, Text: text}
	in.At = chat.Address{Platform: Channel, Team: me.team, Channel: c.ChannelID}
	if !direct(c.ChannelID) {
		who, ok, err := b.speaker(ctx, c.UserID, "")
		if err != nil || !ok {
			words := b.say("stranger", nil)
			if err != nil {
				words = b.say("unknown", nil)
			}
			whisper(ctx, words)
			return
		}
		thread := ""
		if !secretive(text) {
			thread = b.openThread(ctx, c.ChannelID, b.say("asked", map[string]any{"Who": named(who.Name, c.UserName), "Text": text}))
		}
		if in.At.Thread = thread; thread == "" {
			dm, err := b.directly(ctx, c.UserID)
			if err != nil {
				b.log.ErrorContext(ctx, "nowhere to answer a command", "user", c.UserID, "err", err)
				whisper(ctx, b.say("unknown", nil))
				return
			}
			in.At.Channel = dm
			in.Answer = func(ctx context.Context, m chat.Message) (string, error) {
				return "", b.answerBy(ctx, c.ResponseURL, m)
			}
		}
	}
	<-b.take(in, now(), c.UserID, "", whisper, nil)
}

// named is what somebody is called.
func named(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return "?"
}

// secretive reports whether what was said may be a PIN or a code, which is nobody
// else's to see.
func secretive(text string) bool {
	words := strings.Fields(strings.ToLower(text))
	for _, w := range words {
		switch strings.Trim(w, ".,:;!") {
		case "link", "unlink", "pair", "redeem", "pin", "code":
			return true
		}
	}
	return dialogue.SaysSecret(text)
}

// openThread posts what a thread begins with; "" where the bot cannot post there.
func (b *Bot) openThread(ctx context.Context, channel, words string) string {
	if err := b.api.turn(ctx, channel); err != nil {
		return ""
	}
	r := rendered{notice: notice(words), blocks: []slack.Block{section(clip(words, maxSection))}}
	ts := ""
	err := b.api.call(ctx, "chat.postMessage", func(ctx context.Context) (err error) {
		_, ts, err = b.api.PostMessageContext(ctx, channel, r.options(false)...)
		return err
	})
	if err != nil {
		b.log.InfoContext(ctx, "a command is answered privately", "channel", channel, "err", err)
		return ""
	}
	return ts
}
