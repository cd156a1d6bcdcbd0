package slack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/observability/chart"
)

// filesLimit is how long the files of a message may take.
const filesLimit = 30 * time.Second

// options are a rendered message as slack-go takes it. Links show no previews, and
// names in the text are no mentions.
func (r rendered) options(plain bool) []slack.MsgOption {
	out := []slack.MsgOption{
		slack.MsgOptionText(r.notice, false), slack.MsgOptionDisableMarkdown(), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
	if !plain && len(r.blocks) > 0 {
		out = append(out, slack.MsgOptionBlocks(r.blocks...))
	}
	return out
}

// Post posts a message in a channel, a thread or a direct conversation. What is private
// is shown to whom it answers and to nobody else.
func (b *Bot) Post(ctx context.Context, to chat.Address, m chat.Message) (string, error) {
	r := render(m, b.say)
	if m.Reply.Private && !direct(to.Channel) {
		if strings.HasSuffix(m.Name, ":"+to.Thread) { // to what begins the thread
			to.Thread = "" // Slack shows it only in a thread that is there already
		}
		return "", b.whisper(ctx, to, m.For.ID, r)
	}
	if err := b.api.turn(ctx, to.Channel); err != nil {
		return "", err
	}
	channel, ts := to.Channel, ""
	post := func(plain bool) error {
		return b.api.call(ctx, "chat.postMessage", func(ctx context.Context) (err error) {
			channel, ts, err = b.api.PostMessageContext(ctx, to.Channel, append(r.options(plain), inThread(to.Thread)...)...)
			return err
		})
	}
	err := post(false)
	if refused(err) {
		b.log.ErrorContext(ctx, "Slack does not take a message as it is; its text has to do", "err", err)
		err = post(true)
	}
	if err != nil {
		return "", err
	}
	thread := to.Thread
	if thread == "" && !direct(channel) {
		thread = ts // beside what it belongs to
	}
	b.attach(ctx, channel, thread, r.files)
	return channel + "/" + ts, nil
}

// Below is where the thread of a message is.
func (*Bot) Below(at chat.Address, id string) chat.Address {
	_, at.Thread, _ = strings.Cut(id, "/")
	return at
}

// inThread puts a message into a thread, if there is one.
func inThread(thread string) []slack.MsgOption {
	if thread == "" {
		return nil
	}
	return []slack.MsgOption{slack.MsgOptionTS(thread)}
}

// direct reports whether a channel is a conversation with one person.
func direct(channel string) bool { return strings.HasPrefix(channel, "D") }

// whisper shows a message to one person in a channel, or writes to them directly where
// that cannot be.
func (b *Bot) whisper(ctx context.Context, to chat.Address, user string, r rendered) error {
	if !userID.MatchString(user) {
		return fmt.Errorf("slack: nobody to whisper to: %w", chat.ErrGone)
	}
	err := b.api.call(ctx, "chat.postEphemeral", func(ctx context.Context) error {
		_, err := b.api.PostEphemeralContext(ctx, to.Channel, user, append(r.options(false), inThread(to.Thread)...)...)
		return err
	})
	if !errors.Is(err, chat.ErrGone) {
		return err
	}
	dm, err := b.directly(ctx, user)
	if err != nil {
		return err
	}
	if err := b.api.turn(ctx, dm); err != nil {
		return err
	}
	return b.api.call(ctx, "chat.postMessage", func(ctx context.Context) error {
		_, _, err := b.api.PostMessageContext(ctx, dm, r.options(false)...)
		return err
	})
}

// directly is the channel in which somebody is written to.
func (b *Bot) directly(ctx context.Context, user string) (string, error) {
	b.mu.Lock()
	dm := b.dms[user]
	b.mu.Unlock()
	if dm != "" {
		return dm, nil
	}
	err := b.api.call(ctx, "conversations.open", func(ctx context.Context) error {
		c, _, _, err := b.api.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{user}})
		if err == nil {
			dm = c.ID
		}
		return err
	})
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.dms) >= mostMembers {
		clear(b.dms)
	}
	b.dms[user] = dm
	return dm, nil
}

// Edit makes a message say something else.
func (b *Bot) Edit(ctx context.Context, _ chat.Address, id string, m chat.Message) error {
	channel, ts, ok := strings.Cut(id, "/")
	if !ok {
		return fmt.Errorf("slack: %q is no message: %w", id, chat.ErrGone)
	}
	r := render(m, b.say)
	edit := func(plain bool) error {
		return b.api.call(ctx, "chat.update", func(ctx context.Context) error {
			_, _, _, err := b.api.UpdateMessageContext(ctx, channel, ts, r.options(plain)...)
			return err
		})
	}
	err := edit(false)
	if refused(err) {
		b.log.ErrorContext(ctx, "Slack does not take a message as it is; its text has to do", "err", err)
		err = edit(true)
	}
	return err
}

// answerBy gives an answer through the address that came with a command or a click: it
// is shown to that person only.
func (b *Bot) answerBy(ctx context.Context, responseURL string, m chat.Message) error {
	if !b.trusts(responseURL) {
		return fmt.Errorf("slack: no address to answer to: %w", chat.ErrGone)
	}
	r := render(m, b.say)
	for _, f := range r.files { // there is no way to show a file to one person
		r.blocks = append(r.blocks, section(clip(b.say("nochart", map[string]any{"Name": f.name}), maxSection)))
	}
	return b.api.call(ctx, "response_url", func(ctx context.Context) error {
		_, _, _, err := b.api.SendMessageContext(ctx, "", append(r.options(false), slack.MsgOptionResponseURL(responseURL, slack.ResponseTypeEphemeral))...)
		return err
	})
}

// trusts reports whether an address to answer to is Slack's.
func (b *Bot) trusts(responseURL string) bool {
	u, err := url.Parse(responseURL)
	if err != nil || u.User != nil {
		return false
	}
	if b.cfg.APIURL != "" {
		own, err := url.Parse(b.cfg.APIURL)
		return err == nil && u.Scheme == own.Scheme && u.Host == own.Host
	}
	return u.Scheme == "https" && u.Host == "hooks.slack.com"
}

// attach shows files beneath a message. The answer stands there already: what fails is
// said in a line.
func (b *Bot) attach(ctx context.Context, channel, thread string, files []attachment) {
	ctx, cancel := context.WithTimeout(ctx, filesLimit)
	defer cancel()
	for _, f := range files {
		if err := b.upload(ctx, channel, thread, f); err != nil {
			b.log.ErrorContext(ctx, "a file does not stand in the chat", "file", f.name, "err", err)
			if err := b.api.turn(ctx, channel); err != nil {
				return
			}
			sorry := rendered{notice: notice(b.say("nochart", map[string]any{"Name": f.name}))}
			if err := b.api.call(ctx, "chat.postMessage", func(ctx context.Context) error {
				_, _, err := b.api.PostMessageContext(ctx, channel, append(sorry.options(true), inThread(thread)...)...)
				return err
			}); err != nil {
				b.log.WarnContext(ctx, "nor does a word about it", "err", err)
			}
		}
	}
}

// upload draws a file, where it is a chart, and shares it.
func (b *Bot) upload(ctx context.Context, channel, thread string, f attachment) error {
	data := []byte(f.data)
	if f.chart != nil {
		var png bytes.Buffer
		if err := b.painter.PNG(&png, *f.chart, chart.Options{}); err != nil {
			return err
		}
		data = png.Bytes()
	}
	var to *slack.GetUploadURLExternalResponse
	if err := b.api.call(ctx, "files.getUploadURLExternal", func(ctx context.Context) (err error) {
		to, err = b.api.GetUploadURLExternalContext(ctx, slack.GetUploadURLExternalParameters{
			FileName: f.name, FileSize: len(data), AltTxt: f.title, SnippetType: f.kind,
		})
		return err
	}); err != nil {
		return err
	}
	if err := b.api.call(ctx, "upload", func(ctx context.Context) error {
		return b.api.UploadToURL(ctx, slack.UploadToURLParameters{UploadURL: to.UploadURL, Reader: bytes.NewReader(data), Filename: f.name})
	}); err != nil {
		return err
	}
	title := f.title
	if title == "" {
		title = f.name
	}
	return b.api.call(ctx, "files.completeUploadExternal", func(ctx context.Context) error {
		_, err := b.api.CompleteUploadExternalContext(ctx, slack.CompleteUploadExternalParameters{
			Files: []slack.FileSummary{{ID: to.FileID, Title: title}}, Channel: channel, ThreadTimestamp: thread,
		})
		return err
	})
}
