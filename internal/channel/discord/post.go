package discord

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// target is where what is said in a conversation is posted to: a channel or thread, and
// the message that it answers where there can be no thread.
type target struct{ channel, reference string }

const (
	// remembered bounds what is known of channels, each kind of it.
	remembered = 10_000
	// maxNonce is how long the name of a message may be to Discord.
	maxNonce   = 25
	maxThread  = 90
	archiveDay = 1440 // minutes without a word after which a thread is folded
	webhooks   = 64   // buckets that interactions share: discordgo keeps each for good
)

// nonce is the name of a message as Discord takes it: of two of a name within a few
// minutes, it makes one.
func nonce(name string) string {
	if name == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(name))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])[:maxNonce]
}

// posted is what is read of a message that was made.
type posted struct {
	ID string `json:"id"`
}

// where is where a conversation is held, as far as is known.
func (b *Bot) where(to chat.Address) target {
	if to.Thread == "" {
		return target{channel: to.Channel}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t, ok := b.targets[to.Thread]; ok {
		return t
	}
	return target{channel: to.Thread}
}

func (b *Bot) found(thread string, t target) target {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.targets) >= remembered {
		clear(b.targets)
	}
	b.targets[thread] = t
	return t
}

// open makes the thread of a conversation below the message that began it. Where there
// can be none, it is held in the channel, as replies to that message.
func (b *Bot) open(ctx context.Context, to chat.Address, name string) (target, error) {
	path := "/channels/" + to.Channel + "/messages/" + to.Thread + "/threads"
	err := b.rest.call(ctx, http.MethodPost, path, "/channels/"+to.Channel+"/threads", struct {
		Name    string `json:"name"`
		Archive int    `json:"auto_archive_duration"`
	}{threadName(name), archiveDay}, nil, nil)
	switch {
	case err == nil || code(err) == codeHasThread:
		return b.found(to.Thread, target{channel: to.Thread}), nil
	case refused(err):
		b.log.InfoContext(ctx, "no thread at Discord; I answer in the channel", "channel", to.Channel, "err", err)
		return b.found(to.Thread, target{channel: to.Channel, reference: to.Thread}), nil
	}
	return target{}, err
}

func threadName(about string) string {
	if about = plain(strings.ReplaceAll(about, "@", "@\u200b"), maxThread); about == "" {
		return "firstmate"
	}
	return about
}

// Post posts a message.
func (b *Bot) Post(ctx context.Context, to chat.Address, m chat.Message) (string, error) {
	return b.post(ctx, to, m, "")
}

// post posts a message after what leads to it, which is markdown already.
func (b *Bot) post(ctx context.Context, to chat.Address, m chat.Message, lead string) (string, error) {
	if m.Reply.Private && to.Team != "" {
		return b.whisper(ctx, to, m)
	}
	out, files := b.render(ctx, m, lead)
	out.Nonce, out.Enforce = nonce(m.Name), m.Name != ""
	return b.send(ctx, to, about(m.Reply), out, files)
}

// about is what a thread is named after that an answer opens.
func about(r dialogue.Reply) string {
	line, _, _ := strings.Cut(r.Text, "\n")
	return line
}

func (b *Bot) render(ctx context.Context, m chat.Message, lead string) (body, []file) {
	out, files, err := render(m, lead, b.Paint)
	if err != nil {
		b.log.WarnContext(ctx, "a chart is not drawn", "err", err)
	}
	return out, files
}

// send makes a message where a conversation is held, whose thread may have to be made.
func (b *Bot) send(ctx context.Context, to chat.Address, about string, out body, files []file) (string, error) {
	t := b.where(to)
	for try := 0; ; try++ {
		out.Reference = nil
		if t.reference != "" {
			out.Reference = &reference{MessageID: t.reference}
		}
		path := "/channels/" + t.channel + "/messages"
		var made posted
		err := b.rest.call(ctx, http.MethodPost, path, path, out, files, &made)
		switch c := code(err); {
		case err == nil:
			return made.ID, nil
		case try > 1 || to.Thread == "" || t.reference != "":
			return "", lasting(err)
		case c == codeUnknownChannel:
			if t, err = b.open(ctx, to, about); err != nil {
				return "", err
			}
		case c == codeNoPermission || c == codeNoAccess:
			t = b.found(to.Thread, target{channel: to.Channel, reference: to.Thread})
		default:
			return "", lasting(err)
		}
	}
}

// Below is where the thread of a message is: it has the message's id.
func (*Bot) Below(at chat.Address, id string) chat.Address {
	at.Thread = id
	return at
}

// Edit makes a message say something else.
func (b *Bot) Edit(ctx context.Context, to chat.Address, id string, m chat.Message) error {
	out, files := b.render(ctx, m, "")
	in := b.where(to).channel
	if id == to.Thread {
		in = to.Channel // the message that the thread hangs on
	}
	return lasting(b.rest.call(ctx, http.MethodPatch, "/channels/"+in+"/messages/"+id, "/channels/"+in+"/messages/", out, files, nil))
}

// Busy shows that an answer is being thought about.
func (b *Bot) Busy(ctx context.Context, at chat.Address) {
	in := b.where(at).channel
	b.mu.Lock()
	_, known := b.places[in]
	b.mu.Unlock()
	if at.Thread != "" && !known {
		in = at.Channel
	}
	path := "/channels/" + in + "/typing"
	if err := b.rest.call(ctx, http.MethodPost, path, path, nil, nil, nil); err != nil && ctx.Err() == nil {
		b.log.DebugContext(ctx, "not shown as typing", "err", err)
	}
}

// whisper says what is for one person's eyes to them alone, and that it did so where
// they asked.
func (b *Bot) whisper(ctx context.Context, to chat.Address, m chat.Message) (string, error) {
	key := "discord.private"
	direct, err := b.direct(ctx, m.For)
	if err == nil {
		alone := m
		alone.Name, alone.Buttons = m.Name+"/private", nil
		_, err = b.post(ctx, direct, alone, "")
	}
	switch {
	case err != nil && !refused(err):
		return "", err
	case err != nil:
		key = "discord.private_closed"
	}
	said, err := b.words(key)
	if err != nil {
		return "", err
	}
	m.Reply = said
	return b.post(ctx, to, m, "")
}

// direct is the channel between somebody and the bot.
func (b *Bot) direct(ctx context.Context, who access.Speaker) (chat.Address, error) {
	b.mu.Lock()
	id := b.private[who.ID]
	b.mu.Unlock()
	if id == "" {
		var made posted
		if err := b.rest.call(ctx, http.MethodPost, "/users/@me/channels", "", map[string]string{"recipient_id": who.ID}, nil, &made); err != nil {
			return chat.Address{}, err
		}
		id = made.ID
		b.mu.Lock()
		if len(b.private) >= remembered {
			clear(b.private)
		}
		b.private[who.ID] = id
		b.mu.Unlock()
	}
	return chat.Address{Platform: Channel, Channel: id}, nil
}

// words are a reply of this channel's own.
func (b *Bot) words(key string) (dialogue.Reply, error) {
	w, err := b.Words.Say(key, nil)
	return dialogue.Reply{Speech: w.Speech, Text: w.Text, Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone}, err
}

// hookBucket is which requests about interactions are limited together here.
func hookBucket(token string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(token)) // it never fails
	return "webhook-" + strconv.Itoa(int(h.Sum32()%webhooks))
}
