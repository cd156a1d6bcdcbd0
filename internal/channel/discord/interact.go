package discord

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

const (
	// acknowledgeWithin is how long Discord waits for the first answer.
	acknowledgeWithin = 3 * time.Second
	// completeWithin is how long names are looked for while somebody types.
	completeWithin = 2 * time.Second
	// originalWithin is how long it may take until Discord knows of an answer that was
	// given over HTTP.
	originalWithin = 5 * time.Second
	originalPause  = 200 * time.Millisecond
	mostCompleted  = 25
	mostAnswer     = 1000 // characters in a form
)

// Types of first answers.
const (
	answerPong     = 1
	answerMessage  = 4
	answerLater    = 5
	answerUpdate   = 6
	answerComplete = 8
	answerForm     = 9
)

// callback is the first answer to an interaction.
type callback struct {
	Type int `json:"type"`
	Data any `json:"data,omitempty"`
}

// turn is what becomes of an interaction.
type turn struct {
	first callback
	// take is what was said or pressed by it; nil for nothing.
	take *chat.Incoming
	// rooted marks one whose conversation hangs on the answer's message, which is there
	// once the first answer was given.
	rooted bool
	voice  bool
	lead   string // what is quoted before an answer that stands by itself
	about  string // what its thread is named after
}

// quietly is a first answer that only who asked can see.
func (b *Bot) quietly(key string) callback {
	r, err := b.words(key)
	if err != nil {
		b.log.Error("wording", "key", key, "err", err)
	}
	out, _, _ := render(chat.Message{Reply: r}, "", nil) // nothing of it can fail
	return callback{answerMessage, struct {
		Content string          `json:"content"`
		Flags   int             `json:"flags"`
		Allowed mentionsAllowed `json:"allowed_mentions"`
	}{out.Content, flagEphemeral, out.Allowed}}
}

// decide says what becomes of an interaction; nothing is done yet.
func (b *Bot) decide(ctx context.Context, in interaction) turn {
	if in.Type == typePing {
		return turn{first: callback{Type: answerPong}}
	}
	who := speaker(in.who())
	refusal := ""
	if in.GuildID != "" && !b.answered(in.GuildID) {
		refusal = "discord.elsewhere"
	} else if in.GuildID == "" {
		if _, ok, err := b.Who(ctx, who); !ok || err != nil {
			refusal = "discord.stranger"
		}
	}
	if in.Type == typeAutocomplete {
		choices := []struct{}{}
		if refusal != "" {
			return turn{first: callback{answerComplete, map[string]any{"choices": choices}}}
		}
		return turn{first: b.complete(ctx, in, who)}
	}
	if refusal != "" {
		return turn{first: b.quietly(refusal)}
	}
	at, rooted := b.seat(in)
	take := &chat.Incoming{Delivery: Channel + ":" + in.ID, At: at, Speaker: who}
	by := "-# **" + escaped(plain(who.Name, 60)) + "**"
	switch in.Type {
	case typeCommand:
		name, options, _ := in.subcommand()
		said, ok := b.Sentence(name, options)
		if !ok {
			return turn{first: b.quietly("discord.unknown_command")}
		}
		t := turn{first: callback{Type: answerLater}, take: take, rooted: rooted}
		take.Text, t.voice = byVoice(said)
		t.voice = t.voice || options[optionVoice] == "true"
		t.about = take.Text
		t.lead = "> " + escaped(plain(take.Text, 300)) + "\n"
		return t
	case typeComponent:
		id := in.Data.CustomID
		if id == menuID && len(in.Data.Values) == 1 {
			id = in.Data.Values[0]
		}
		p, ok := chat.ReadPress(id)
		if !ok {
			return turn{first: b.quietly("discord.unknown_button")}
		}
		if p.Ask != "" {
			return turn{first: b.form(p.Ask)}
		}
		take.Press = p
		t := turn{first: callback{Type: answerUpdate}, take: take}
		if l := in.pressed(id); l != "" {
			t.lead = by + ": " + escaped(plain(l, maxLabel)) + "\n"
		}
		return t
	default: // a form
		input, ok := find(in.Data.Components, func(c component) bool { return c.CustomID == formInput })
		if !ok || strings.TrimSpace(input.Value) == "" {
			return turn{first: b.quietly("discord.unknown_button")}
		}
		take.Text = strings.TrimSpace(input.Value)
		t := turn{first: callback{Type: answerUpdate}, take: take}
		if in.Message == nil {
			t.first.Type = answerLater
		}
		if in.Data.CustomID != formID+chat.AskPIN {
			t.lead = by + ": " + escaped(plain(take.Text, 300)) + "\n"
		}
		return t
	}
}

// optionVoice is the option of a command that wants an answer by voice too.
const optionVoice = "voice"

// seat is where the conversation of an interaction is held. rooted is true for a command
// in a channel: it hangs on the message that answers it.
func (b *Bot) seat(in interaction) (at chat.Address, rooted bool) {
	var p place
	if in.Channel != nil {
		p.channel = *in.Channel
	} else {
		b.mu.Lock()
		p = b.places[in.ChannelID]
		b.mu.Unlock()
	}
	p.ID = in.ChannelID
	at = p.address(in.GuildID)
	switch {
	case in.GuildID == "" || p.thread():
		return at, false
	case in.Message == nil:
		return at, in.Type == typeCommand
	case in.Message.Interaction != nil:
		at.Thread = in.Message.ID
	case in.Message.Reference != nil:
		at.Thread = in.Message.Reference.MessageID
	}
	return at, false
}

// pressed is what stands on the button or choice with this id.
func (in interaction) pressed(id string) string {
	if in.Message == nil {
		return ""
	}
	label := ""
	_, _ = find(in.Message.Components, func(c component) bool {
		if c.CustomID == id {
			label = c.Label
		}
		for _, o := range c.Options {
			if o.Value == id {
				label = o.Label
			}
		}
		return label != ""
	})
	return label
}

const (
	formID    = "ask:"
	formInput = "answer"
)

// form is a form that asks for a slot, or for a PIN, which nobody else sees.
func (b *Bot) form(ask string) callback {
	key := "discord.form"
	if ask == chat.AskPIN {
		key = "discord.form_pin"
	}
	r, err := b.words(key)
	if err != nil {
		return b.quietly("discord.unknown_button")
	}
	return callback{answerForm, map[string]any{
		"custom_id": clip(formID+ask, maxCustomID), "title": plain(r.Text, 45),
		"components": []any{row{componentRow, []any{map[string]any{
			"type": componentInput, "custom_id": formInput, "style": 1, "label": plain(r.Text, 45), "required": true, "max_length": mostAnswer,
		}}}},
	}}
}

// complete offers names for what is typed.
func (b *Bot) complete(ctx context.Context, in interaction, who access.Speaker) callback {
	type choice struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	choices := []choice{}
	_, options, focused := in.subcommand()
	if b.Names != nil && focused != "" {
		ctx, cancel := context.WithTimeout(ctx, completeWithin)
		defer cancel()
		typed := options[focused]
		for _, name := range fitting(b.Names(ctx, who, focused, typed), typed) {
			if units(name) <= maxOption && name != "" {
				choices = append(choices, choice{name, name})
			}
		}
	}
	return callback{answerComplete, map[string]any{"choices": choices[:min(len(choices), mostCompleted)]}}
}

// fitting are the names that what is typed may become: those that begin so first, in the
// order that they come in.
func fitting(names []string, typed string) []string {
	typed = strings.ToLower(strings.TrimSpace(typed))
	var begin, have []string
	for _, n := range names {
		switch l := strings.ToLower(n); {
		case slices.Contains(begin, n) || slices.Contains(have, n):
		case strings.HasPrefix(l, typed):
			begin = append(begin, n)
		case strings.Contains(l, typed):
			have = append(have, n)
		}
	}
	return append(begin, have...)
}

// interact answers an interaction that came over the gateway. Every replica gets it: who
// is the first to acknowledge it does, and whoever takes the turn edits that.
func (b *Bot) interact(ctx context.Context, in interaction) {
	acknowledged := make(chan struct{})
	if in.Type == typeAutocomplete { // names may have to be looked at
		b.going(func(ctx context.Context) { b.acknowledge(ctx, in, b.decide(ctx, in).first) })
		return
	}
	t := b.decide(ctx, in)
	if t.take != nil {
		t.take.Answer = b.answering(in, t, acknowledged)
		if !t.rooted {
			b.room.Take(*t.take)
		}
	}
	b.going(func(ctx context.Context) {
		b.acknowledge(ctx, in, t.first)
		close(acknowledged)
		if t.rooted {
			b.takeRooted(ctx, in, t)
		}
	})
}

// acknowledge gives the first answer.
func (b *Bot) acknowledge(ctx context.Context, in interaction, first callback) {
	err := b.rest.call(ctx, http.MethodPost, "/interactions/"+in.ID+"/"+in.Token+"/callback", hookBucket(in.Token), first, nil, nil)
	switch {
	case err == nil || ctx.Err() != nil:
	case code(err) == codeAcknowledged:
		b.log.DebugContext(ctx, "another replica acknowledged it")
	default:
		b.log.WarnContext(ctx, "an interaction is not acknowledged at Discord", "type", in.Type, "err", err)
	}
}

// takeRooted takes a command whose conversation hangs on its answer's message.
func (b *Bot) takeRooted(ctx context.Context, in interaction, t turn) {
	var made posted
	err := b.original(ctx, in, http.MethodGet, nil, nil, &made)
	if err != nil {
		b.log.WarnContext(ctx, "a command's answer is not there; it is answered in the channel", "err", err)
	}
	t.take.At.Thread = made.ID
	b.room.Take(*t.take)
}

func original(in interaction) string {
	return "/webhooks/" + in.ApplicationID + "/" + in.Token + "/messages/@original"
}

// original asks for, or changes, the message that answers an interaction, which may be
// there a moment later only.
func (b *Bot) original(ctx context.Context, in interaction, method string, out any, files []file, made *posted) error {
	for until := b.Now().Add(originalWithin); ; {
		var read any // a nil *posted would be something to read into
		if made != nil {
			read = made
		}
		err := b.rest.call(ctx, method, original(in), hookBucket(in.Token), out, files, read)
		c := code(err)
		if err == nil || c != codeUnknownWebhook && c != codeUnknownMessage || b.Now().After(until) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(originalPause):
		}
	}
}

// answering gives the answer to an interaction once it is acknowledged.
func (b *Bot) answering(in interaction, t turn, acknowledged <-chan struct{}) func(context.Context, chat.Message) (string, error) {
	return func(ctx context.Context, m chat.Message) (string, error) {
		select {
		case <-acknowledged:
		case <-time.After(acknowledgeWithin):
		case <-ctx.Done():
			return "", ctx.Err()
		}
		at := t.take.At
		var id string
		var err error
		if t.first.Type == answerLater {
			id, err = b.answerCommand(ctx, in, t, m)
		} else {
			id, err = b.answerPress(ctx, in, t, m)
		}
		if err == nil && t.voice && !m.Reply.Private {
			b.speak(at, m)
		}
		return id, err
	}
}

// answerCommand puts the answer into the message that waits for it.
func (b *Bot) answerCommand(ctx context.Context, in interaction, t turn, m chat.Message) (string, error) {
	shown := m
	if m.Reply.Private {
		said, err := b.words("discord.private")
		if err != nil {
			return "", err
		}
		shown.Reply, shown.Buttons = said, nil
	}
	out, files := b.render(ctx, shown, t.lead)
	var made posted
	err := b.original(ctx, in, http.MethodPatch, out, files, &made)
	if err == nil && m.Reply.Private {
		return made.ID, b.alone(ctx, in, m)
	}
	if refused(err) || code(err) == codeInvalidToken { // the token is too old, or was never acknowledged
		b.log.InfoContext(ctx, "a command is answered in the channel", "err", err)
		return b.Post(ctx, t.take.At, m)
	}
	if err != nil {
		return "", err
	}
	if t.rooted && t.take.At.Thread == made.ID && asks(m.Reply) { // so that it can be answered in words
		if _, err := b.open(ctx, t.take.At, t.about); err != nil {
			b.log.InfoContext(ctx, "a question has no thread", "err", err)
		}
	}
	return made.ID, nil
}

func asks(r dialogue.Reply) bool { return r.Expect != "" && r.Expect != dialogue.ExpectNone }

// answerPress posts the answer to a press. What was pressed cannot be pressed again,
// unless it was refused: then somebody else may.
func (b *Bot) answerPress(ctx context.Context, in interaction, t turn, m chat.Message) (string, error) {
	if m.Reply.Private {
		return "", b.alone(ctx, in, m)
	}
	id, err := b.post(ctx, t.take.At, m, t.lead)
	if err != nil || m.Reply.Fault != "" || in.Message == nil {
		return id, err
	}
	none := struct {
		Components []any           `json:"components"`
		Allowed    mentionsAllowed `json:"allowed_mentions"`
	}{[]any{}, mentionsAllowed{Parse: []string{}}}
	if err := b.original(ctx, in, http.MethodPatch, none, nil, nil); err != nil {
		b.log.InfoContext(ctx, "buttons stay", "err", err)
	}
	return id, nil
}

// alone answers an interaction so that only who it is from can see it.
func (b *Bot) alone(ctx context.Context, in interaction, m chat.Message) error {
	m.Buttons = nil
	out, files := b.render(ctx, m, "")
	out.Flags |= flagEphemeral
	return lasting(b.rest.call(ctx, http.MethodPost, "/webhooks/"+in.ApplicationID+"/"+in.Token, hookBucket(in.Token), out, files, nil))
}

// serve answers an interaction that came over HTTP.
func (b *Bot) serve(w http.ResponseWriter, r *http.Request) error {
	s, err := headers(r.Header, b.Now())
	if err != nil {
		return err
	}
	raw, err := webhook.ReadBody(r)
	if err != nil {
		return err
	}
	if err := s.verify(b.key, raw); err != nil {
		return err
	}
	in, err := decode(raw)
	if err != nil {
		return err
	}
	t := b.decide(r.Context(), in)
	answer, err := json.Marshal(t.first)
	if err != nil {
		return fmt.Errorf("discord: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if _, err := w.Write(append(answer, '\n')); err != nil || t.take == nil {
		return err
	}
	given := make(chan struct{})
	close(given) // Discord knows of it when it has read what is written here
	t.take.Answer = b.answering(in, t, given)
	if t.rooted {
		b.going(func(ctx context.Context) { b.takeRooted(ctx, in, t) })
		return nil
	}
	b.room.Take(*t.take)
	return nil
}
