package discord

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/bwmarrin/discordgo"
	"github.com/gorilla/websocket"

	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/speech"
)

// What the gateway says when it closes, where trying the same again is of no use.
const (
	closeBadToken   = 4004
	closeBadIntents = 4014
)

// backlog is how many messages may wait for being looked at.
const backlog = 1024

// gateway hears what is said until ctx ends. discordgo keeps a connection and resumes the
// session on the next; when that is opened is decided here.
func (b *Bot) gateway(ctx context.Context) {
	messages := make(chan message, backlog)
	defer b.rest.session.AddHandler(func(_ *discordgo.Session, e *discordgo.Event) { b.event(ctx, e, messages) })()
	b.wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case m := <-messages:
				b.hear(ctx, m)
			}
		}
	})
	intents := discordgo.IntentsGuilds | discordgo.IntentsGuildMessages | discordgo.IntentsDirectMessages
	b.rest.session.Identify.Intents = intents
	if b.cfg.MessageContent {
		b.rest.session.Identify.Intents = intents | discordgo.IntentMessageContent
	}
	down := make(chan struct{}, 1)
	defer b.rest.session.AddHandler(func(*discordgo.Session, *discordgo.Disconnect) {
		select {
		case down <- struct{}{}:
		default:
		}
	})()
	for wait := firstRetry; ctx.Err() == nil; {
		err := b.rest.session.Open()
		if err == nil || errors.Is(err, discordgo.ErrWSAlreadyOpen) {
			wait = firstRetry
			b.stay(ctx, down)
			continue
		}
		var closed *websocket.CloseError
		switch {
		case errors.As(err, &closed) && closed.Code == closeBadIntents && b.rest.session.Identify.Intents != intents:
			b.log.WarnContext(ctx, "Discord does not let the bot read messages: switch on “Message Content Intent” on the Bot page of the developer portal, or set discord.message_content to false. Until then only what names the bot is heard, also in threads")
			b.rest.session.Identify.Intents = intents
		case errors.As(err, &closed) && closed.Code == closeBadToken:
			b.log.ErrorContext(ctx, "Discord does not take the bot's token: look at discord.token")
			wait = lastRetry
		default:
			b.log.WarnContext(ctx, "Discord's gateway cannot be reached", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, lastRetry)
	}
	if err := b.rest.session.Close(); err != nil {
		b.log.InfoContext(ctx, "leaving Discord's gateway", "err", err)
	}
}

// quiet is how long nothing more of a connection may end before the next is opened.
const quiet = 250 * time.Millisecond

// stay waits until the connection is lost, and what discordgo had running for it is gone:
// its heart, beating late, would close the next one, and that one's heart the one after,
// with a farewell that ends the session.
func (b *Bot) stay(ctx context.Context, down <-chan struct{}) {
	select {
	case <-ctx.Done():
		return
	case <-down:
		b.log.InfoContext(ctx, "the connection to Discord is lost")
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-down:
		case <-time.After(quiet):
			return
		}
	}
}

// event takes what the gateway tells; it must not wait.
func (b *Bot) event(ctx context.Context, e *discordgo.Event, messages chan<- message) {
	if e == nil || ctx.Err() != nil {
		return
	}
	read := func(into any) bool {
		err := json.Unmarshal(e.RawData, into)
		if err != nil {
			b.log.WarnContext(ctx, "Discord told something that I cannot read", "event", e.Type, "err", err)
		}
		return err == nil
	}
	switch e.Type {
	case "READY":
		var ready struct {
			User        user `json:"user"`
			Application struct {
				ID string `json:"id"`
			} `json:"application"`
		}
		if read(&ready) {
			b.mu.Lock()
			b.self, b.app = ready.User.ID, ready.Application.ID
			b.mu.Unlock()
			b.log.InfoContext(ctx, "connected to Discord", "as", ready.User.Username)
		}
	case "RESUMED":
		b.log.InfoContext(ctx, "connected to Discord again; nothing was missed")
	case "GUILD_CREATE":
		var g struct {
			Channels []channel `json:"channels"`
			Threads  []channel `json:"threads"`
		}
		if read(&g) {
			b.note(append(g.Channels, g.Threads...)...)
		}
	case "THREAD_LIST_SYNC":
		var l struct {
			Threads []channel `json:"threads"`
		}
		if read(&l) {
			b.note(l.Threads...)
		}
	case "CHANNEL_CREATE", "CHANNEL_UPDATE", "THREAD_CREATE", "THREAD_UPDATE":
		var c channel
		if read(&c) {
			b.note(c)
		}
	case "CHANNEL_DELETE", "THREAD_DELETE":
		var c channel
		if read(&c) {
			b.mu.Lock()
			delete(b.places, c.ID)
			delete(b.targets, c.ID)
			b.mu.Unlock()
		}
	case "MESSAGE_CREATE":
		var m message
		if read(&m) {
			select {
			case messages <- m:
			case <-ctx.Done():
			}
		}
	case "INTERACTION_CREATE":
		var in interaction
		if !read(&in) {
			return
		}
		if err := in.check(); err != nil {
			b.log.WarnContext(ctx, "Discord told of an interaction that is none", "err", err)
			return
		}
		b.interact(ctx, in)
	}
}

// note remembers channels.
func (b *Bot) note(all ...channel) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.places)+len(all) > remembered {
		clear(b.places)
	}
	for _, c := range all {
		if c.ID != "" {
			b.places[c.ID] = place{c, c.thread() && c.OwnerID != "" && c.OwnerID == b.self}
		}
	}
}

// lookLimit is how long it may take to look at a channel that nobody told of.
const lookLimit = 3 * time.Second

// place is a channel, as it is remembered or as Discord says.
func (b *Bot) place(ctx context.Context, id string) (place, error) {
	b.mu.Lock()
	p, ok := b.places[id]
	b.mu.Unlock()
	if ok {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	var c channel
	if err := b.rest.call(ctx, http.MethodGet, "/channels/"+id, "/channels/"+id, nil, nil, &c); err != nil {
		return place{}, err
	}
	b.note(c)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.places[c.ID], nil
}

// hear takes a message that may be for us.
func (b *Bot) hear(ctx context.Context, m message) {
	self, _ := b.identity()
	if self == "" || m.Author.ID == self || !concerns(m, self, nil) || m.GuildID != "" && !b.answered(m.GuildID) {
		return
	}
	p := place{channel: channel{ID: m.ChannelID, Type: kindDirect}}
	if m.GuildID != "" {
		var err error
		if p, err = b.place(ctx, m.ChannelID); err != nil {
			b.log.InfoContext(ctx, "a channel at Discord is not known", "channel", m.ChannelID, "err", err)
			p = place{channel: channel{ID: m.ChannelID}}
		}
		if !concerns(m, self, &p) {
			return
		}
	}
	who := m.Member
	if who == nil {
		who = &member{}
	}
	by := *who
	by.User = &m.Author
	in := chat.Incoming{Delivery: Channel + ":" + m.ID, At: p.address(m.GuildID), Speaker: speaker(by)}
	voice := false
	in.Text, voice = byVoice(said(m.Content, self))
	if rec := recording(m); rec != nil && in.Text == "" {
		voice = voice || b.cfg.VoiceAnswers
		in.Audio = func(ctx context.Context) (speech.Audio, error) {
			data, err := b.rest.fetch(ctx, *rec)
			return speech.Audio{Format: format(*rec), Data: data}, err
		}
	}
	if in.Text == "" && in.Audio == nil {
		if !mentions(m, self) {
			return
		}
		in.Text = "hello"
	}
	root := m.GuildID != "" && !p.thread()
	if root {
		in.At.Thread = m.ID
	}
	in.Answer = func(ctx context.Context, answer chat.Message) (string, error) {
		if root {
			name := in.Text
			if name == "" {
				name = answer.Heard
			}
			if _, err := b.open(ctx, in.At, name); err != nil {
				return "", err
			}
		}
		id, err := b.Post(ctx, in.At, answer)
		if err == nil && voice && !answer.Reply.Private {
			b.speak(in.At, answer)
		}
		return id, err
	}
	if m.GuildID == "" && !linking.MatchString(in.Text) && !b.known(ctx, in) {
		return
	}
	b.room.Take(in)
}

// linking matches a code that links who is not known yet.
var linking = regexp.MustCompile(`(?i)^\s*link[\s:]+[0-9][0-9 -]{6,12}\s*$`)

// known reports whether a direct message is from somebody who is known; who is not is
// told so.
func (b *Bot) known(ctx context.Context, in chat.Incoming) bool {
	_, ok, err := b.Who(ctx, in.Speaker)
	if ok && err == nil {
		return true
	}
	b.going(func(ctx context.Context) {
		r, err := b.words("discord.stranger")
		if err == nil {
			_, err = b.Post(ctx, in.At, chat.Message{Reply: r, Name: in.Delivery})
		}
		if err != nil {
			b.log.InfoContext(ctx, "a stranger is not told so", "err", err)
		}
	})
	return false
}
