package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/chat"
)

// Buttons of the home.
const (
	homeAsk   = "home_ask"
	homeAgain = "home_again"
)

// interacted handles a press, a shortcut or a form that was sent.
func (b *Bot) interacted(ctx context.Context, i slack.InteractionCallback) (<-chan struct{}, error) {
	me, err := b.self(ctx)
	if err != nil {
		return nil, err
	}
	switch i.Type {
	case slack.InteractionTypeBlockActions:
		for _, a := range i.ActionCallback.BlockActions {
			if a != nil {
				return b.pressed(i, *a, me), nil // there is one at a time
			}
		}
	case slack.InteractionTypeViewSubmission:
		return b.submitted(i, me), nil
	case slack.InteractionTypeShortcut:
		if i.CallbackID == ShortcutAsk {
			go b.openForm(i, question{Label: b.say("form.ask", nil), User: true}, me)
		}
	case slack.InteractionTypeMessageAction:
		if i.CallbackID == ShortcutWhy {
			go b.askWhy(i, me)
		}
	}
	return nil, nil
}

// placeOf is where something was pressed: the conversation that the row of buttons
// names, or where the message stands.
func placeOf(i slack.InteractionCallback, a slack.BlockAction, me identity) (chat.Address, bool) {
	if at, ok := conversationOf(a.BlockID); ok && at.Platform == Channel && at.Team == me.team {
		return at, true
	}
	channel, thread := i.Channel.ID, i.Container.ThreadTs
	if channel == "" {
		channel = i.Container.ChannelID
	}
	if thread == "" && !direct(channel) {
		thread = i.Container.MessageTs
	}
	return chat.Address{Platform: Channel, Team: me.team, Channel: channel, Thread: thread}, channelID(channel)
}

// pressed handles the press of a button.
func (b *Bot) pressed(i slack.InteractionCallback, a slack.BlockAction, me identity) <-chan struct{} {
	switch a.ActionID {
	case homeAsk:
		go b.openForm(i, question{Label: b.say("form.ask", nil), User: true}, me)
		return nil
	case homeAgain:
		go b.showHome(i.User.ID)
		return nil
	}
	press, ok := chat.ReadPress(a.ActionID)
	if !ok {
		return nil
	}
	at, ok := placeOf(i, a, me)
	if !ok {
		return nil
	}
	if press.Ask != "" {
		go b.openForm(i, b.formOf(i, a, at, press.Ask), me)
		return nil
	}
	in := chat.Incoming{Delivery: fmt.Sprintf("%s:%s:press:%s:%s:%s", Channel, me.team, i.Container.MessageTs, i.User.ID, a.ActionTs), At: at, Press: press}
	here := at
	if channelID(i.Channel.ID) {
		here.Channel = i.Channel.ID
	}
	refuse := func(ctx context.Context, words string) { b.tell(ctx, here, i.User.ID, words) }
	return b.take(in, now(), i.User.ID, i.User.TeamID, refuse, func(_ context.Context, in *chat.Incoming) (bool, error) {
		who := in.Speaker
		in.Answer = func(ctx context.Context, m chat.Message) (id string, err error) {
			if i.Container.IsEphemeral && !slices.Contains([]string{at.Channel}, i.Channel.ID) {
				err = b.answerBy(ctx, i.ResponseURL, m) // where it was pressed, for that person
			} else {
				id, err = b.Post(ctx, at, m)
			}
			if err == nil && m.Reply.Fault == "" {
				b.settle(ctx, i, a, who)
			}
			return id, err
		}
		return true, nil
	})
}

// settle takes the buttons from a message of which one was pressed, and says who did.
func (b *Bot) settle(ctx context.Context, i slack.InteractionCallback, a slack.BlockAction, who access.Speaker) {
	if i.Container.IsEphemeral || i.Message.Timestamp == "" || !channelID(i.Channel.ID) {
		return
	}
	var left []slack.Block
	for _, blk := range i.Message.Blocks.BlockSet {
		if _, row := blk.(*slack.ActionBlock); !row {
			left = append(left, blk)
		}
	}
	if len(left) == len(i.Message.Blocks.BlockSet) || len(left) == 0 {
		return
	}
	note := b.say("pressed", map[string]any{"Who": named(who.Name, i.User.Name), "Label": unescape(a.Text.Text)})
	left = append(left, slack.NewContextBlock("", quiet(clip(note, maxSection))))
	r := rendered{notice: i.Message.Text, blocks: left}
	if err := b.api.call(ctx, "chat.update", func(ctx context.Context) error {
		_, _, _, err := b.api.UpdateMessageContext(ctx, i.Channel.ID, i.Message.Timestamp, r.options(false)...)
		return err
	}); err != nil {
		b.log.InfoContext(ctx, "the buttons stay", "err", err) // a second press does nothing
	}
}

// question is a form: what it asks, and where the answer goes.
type question struct {
	Label   string   `json:"-"`
	Hint    string   `json:"-"` // what stands in it already
	Choices []string `json:"-"`
	// To is the conversation that the answer is said in; User is that with the person.
	To   string `json:"to,omitempty"`
	User bool   `json:"user,omitempty"`
	// Answer is where the answer is given to that person alone, if they cannot be
	// answered in the conversation.
	Answer string `json:"answer,omitempty"`
}

// The parts of a form.
const (
	formID     = "say"
	formChoice = "choice"
	formText   = "text"
	maxTitle   = 24
	maxInput   = 3000
	maxInitial = 1000
)

// formOf is the form that a button of a message opens.
func (b *Bot) formOf(i slack.InteractionCallback, a slack.BlockAction, at chat.Address, slot string) question {
	q := question{To: at.Conversation()}
	if i.Container.IsEphemeral {
		q.Answer = i.ResponseURL
	}
	if slot == chat.AskPIN {
		q.Label = b.say("form.pin", nil)
		return q
	}
	var f form
	if json.Unmarshal([]byte(a.Value), &f) == nil {
		q.Choices = f.Choices
	}
	q.Label = plain(unescape(i.Message.Text)) // what was asked
	if q.Label == "" || len([]rune(q.Label)) > 300 {
		q.Label = b.say("form.answer", nil)
	}
	return q
}

// modal is the form as Slack shows it.
func modal(q question, say phrases) slack.ModalViewRequest {
	meta, err := json.Marshal(q)
	if err != nil {
		meta = nil // strings and a bool
	}
	v := slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: formID, PrivateMetadata: string(meta),
		Title:  quiet(clip(say("form.title", nil), maxTitle)),
		Submit: quiet(clip(say("form.send", nil), maxTitle)), Close: quiet(clip(say("form.close", nil), maxTitle)),
	}
	label := q.Label
	if len(q.Choices) > 0 {
		var options []*slack.OptionBlockObject
		for n, c := range q.Choices[:min(len(q.Choices), maxOptions)] {
			if c = clip(clean(c), maxLabel); strings.TrimSpace(c) != "" {
				options = append(options, slack.NewOptionBlockObject(fmt.Sprintf("%d|%s", n, c), quiet(c), nil))
			}
		}
		menu := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, quiet(say("form.choose", nil)), formChoice, options...)
		in := slack.NewInputBlock(formChoice, quiet(clip(label, 2000)), nil, menu)
		in.Optional = true
		v.Blocks.BlockSet = append(v.Blocks.BlockSet, in)
		label = say("form.instead", nil)
	}
	text := slack.NewPlainTextInputBlockElement(nil, formText)
	text.InitialValue, text.MaxLength = clip(q.Hint, maxInitial), maxInput
	in := slack.NewInputBlock(formText, quiet(clip(label, 2000)), nil, text)
	in.Optional = len(q.Choices) > 0
	v.Blocks.BlockSet = append(v.Blocks.BlockSet, in)
	return v
}

// openForm opens a form for who pressed something. Slack gives three seconds for it.
func (b *Bot) openForm(i slack.InteractionCallback, q question, _ identity) {
	ctx, cancel := context.WithTimeout(context.Background(), handleLimit)
	defer cancel()
	if err := b.api.call(ctx, "views.open", func(ctx context.Context) error {
		_, err := b.api.OpenViewContext(ctx, i.TriggerID, modal(q, b.say))
		return err
	}); err != nil {
		b.log.WarnContext(ctx, "a form does not open", "err", err)
	}
}

// askWhy opens a form about a message. What the message says is others' text: of it,
// only the names that exist are taken over, and the person sends what is asked.
func (b *Bot) askWhy(i slack.InteractionCallback, me identity) {
	ctx, cancel := context.WithTimeout(context.Background(), handleLimit)
	defer cancel()
	name := ""
	if _, ok, err := b.speaker(ctx, i.User.ID, i.User.TeamID); err == nil && ok && b.parts.Hints != nil {
		name = nameIn(i.Message.Text, b.parts.Hints(ctx).Names)
	}
	thread := i.Message.ThreadTimestamp
	if thread == "" {
		thread = i.MessageTs
	}
	q := question{Label: b.say("form.why", nil), Hint: b.say("form.why.guess", map[string]any{"Name": name}), User: true, Answer: i.ResponseURL}
	if channelID(i.Channel.ID) && stamp(thread) {
		at := chat.Address{Platform: Channel, Team: me.team, Channel: i.Channel.ID, Thread: thread}
		if direct(i.Channel.ID) {
			at.Thread = i.Message.ThreadTimestamp
		}
		q.To, q.User = at.Conversation(), false
	}
	b.openForm(i, q, me)
}

// nameIn is the first of the names that a text has as a word of its own, "" for none.
func nameIn(text string, names []string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
	for _, w := range words {
		w = strings.Trim(w, ".-")
		if slices.Contains(names, w) {
			return w
		}
	}
	return ""
}

// submitted says what was written into a form.
func (b *Bot) submitted(i slack.InteractionCallback, me identity) <-chan struct{} {
	var q question
	if i.View.CallbackID != formID || json.Unmarshal([]byte(i.View.PrivateMetadata), &q) != nil || i.View.ID == "" {
		return nil
	}
	in := chat.Incoming{Delivery: Channel + ":" + me.team + ":form:" + i.View.ID, Text: written(i.View.State)}
	if in.Text == "" {
		return nil
	}
	at, ok := chat.Parse(q.To)
	if !ok || at.Platform != Channel || at.Team != me.team {
		if !q.User {
			return nil
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), handleLimit)
			defer cancel()
			dm, err := b.directly(ctx, i.User.ID)
			if err != nil {
				b.log.ErrorContext(ctx, "nowhere to answer a form", "user", i.User.ID, "err", err)
				return
			}
			in.At = chat.Address{Platform: Channel, Team: me.team, Channel: dm}
			b.take(in, now(), i.User.ID, i.User.TeamID, func(ctx context.Context, words string) { b.tell(ctx, in.At, i.User.ID, words) }, nil)
		}()
		return nil
	}
	in.At = at
	if q.Answer != "" {
		in.Answer = func(ctx context.Context, m chat.Message) (string, error) {
			id, err := b.Post(ctx, at, m)
			if err != nil && b.trusts(q.Answer) {
				b.log.InfoContext(ctx, "a form is answered privately", "err", err)
				return "", b.answerBy(ctx, q.Answer, m)
			}
			return id, err
		}
	}
	return b.take(in, now(), i.User.ID, i.User.TeamID, func(ctx context.Context, words string) { b.tell(ctx, at, i.User.ID, words) }, nil)
}

// written is what a form says: what was written, or else chosen.
func written(s *slack.ViewState) string {
	if s == nil {
		return ""
	}
	text, choice := "", ""
	for _, block := range s.Values {
		for id, v := range block {
			switch id {
			case formText:
				text = strings.Join(strings.Fields(v.Value), " ")
			case formChoice:
				_, choice, _ = strings.Cut(v.SelectedOption.Value, "|")
			}
		}
	}
	if text != "" {
		return unescape(text)
	}
	return unescape(choice)
}
