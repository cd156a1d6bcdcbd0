package discordtest

import (
	"net/http"
	"time"
)

// Kinds of interactions.
const (
	ofCommand      = 2
	ofComponent    = 3
	ofAutocomplete = 4
	ofModal        = 5
)

// interaction is what somebody did, and what the bot made of it.
type interaction struct {
	id, token string
	kind      int
	by        *user
	in        *channel
	at        time.Time
	data      map[string]any
	source    *message // with the component
	first     *interaction

	answered int // the type of the first answer
	after    time.Duration
	failed   string
	original *message // what @original names
	choices  []any
	modal    map[string]any
}

// begin makes an interaction and delivers it.
func (s *Server) begin(it *interaction) *interaction {
	it.id, it.at = s.snowflake(), s.now()
	it.token = "aW50ZXJhY3Rpb246" + it.id + "." + s.seal("interaction", it.id)
	s.interactions = append(s.interactions, it)
	o := s.interactionObject(it)
	if s.endpoint != "" {
		s.deliver(it, o)
		return it
	}
	s.again = func() { s.dispatch(event{name: "INTERACTION_CREATE", data: o}) }
	s.again()
	return it
}

func (s *Server) interactionObject(it *interaction) map[string]any {
	o := map[string]any{
		"id": it.id, "application_id": s.bot.id, "type": it.kind, "token": it.token, "version": 1, "channel_id": it.in.id, "channel": s.channelObject(it.in),
		"locale": "en-US", "entitlements": []any{}, "attachment_size_limit": maxFile, "data": it.data,
		"app_permissions": permissions(allPermissions &^ s.deniedIn(it.in)), "authorizing_integration_owners": s.owners(),
	}
	if it.in.recipient != nil {
		o["user"], o["context"] = userObject(it.by), 1
	} else {
		m := s.memberObject(it.by, true)
		m["permissions"] = permissions(allPermissions)
		o["member"], o["context"], o["guild_id"], o["guild_locale"] = m, 0, s.guild, "en-US"
		o["guild"] = map[string]any{"id": s.guild, "locale": "en-US", "features": []any{}}
	}
	if it.source != nil {
		o["message"] = s.messageObject(it.source, true)
	}
	return o
}

func (s *Server) owners() map[string]any { return map[string]any{"0": s.guild} }

// interactionMetadata tells of what a message is the answer to.
func (s *Server) interactionMetadata(it *interaction) map[string]any {
	o := map[string]any{"id": it.id, "type": it.kind, "user": userObject(it.by), "authorizing_integration_owners": s.owners()}
	if it.kind == ofComponent {
		o["interacted_message_id"] = it.source.id
	}
	if it.kind == ofModal {
		o["triggering_interaction_metadata"] = s.interactionMetadata(it.first)
	}
	return o
}

func (c *call) callback() (int, any, error) {
	it, ok := find(c.interactions, func(it *interaction) bool {
		return it.id == c.arg("interaction_id") && it.token == c.arg("interaction_token")
	})
	switch {
	case !ok || it.failed != "" || it.answered == 0 && !c.within(it.at, c.patience):
		return 0, nil, unknown("Interaction")
	case it.answered != 0:
		return 0, nil, refused(http.StatusBadRequest, 40060, "Interaction has already been acknowledged.")
	}
	if err := c.reply(it); err != nil {
		return 0, nil, err
	}
	if c.r.URL.Query().Get("with_response") != "true" {
		return http.StatusNoContent, nil, nil
	}
	o := map[string]any{"interaction": map[string]any{"id": it.id, "type": it.kind, "channel_id": it.in.id, "guild_id": c.guild}}
	if it.in.recipient != nil {
		o["interaction"] = map[string]any{"id": it.id, "type": it.kind, "channel_id": it.in.id}
	}
	if m := it.original; m != nil {
		kind := it.answered
		if kind == 5 || kind == 6 {
			kind--
			if kind == 5 {
				kind = 7
			}
		}
		o["resource"] = map[string]any{"type": kind, "message": c.messageObject(m, true)}
	}
	return http.StatusOK, o, nil
}

// reply does what a first answer says, if such an interaction may have it.
func (c *call) reply(it *interaction) error {
	kind, _ := c.body["type"].(float64)
	data, _ := c.body["data"].(map[string]any)
	allowed := map[int][]int{
		ofCommand: {4, 5, 9}, ofComponent: {4, 5, 6, 7, 9}, ofAutocomplete: {8}, ofModal: {4, 5},
	}[it.kind]
	if it.kind == ofModal && it.source != nil {
		allowed = append(allowed, 6, 7)
	}
	if _, ok := find(allowed, func(k int) bool { return k == int(kind) }); !ok {
		return invalid("type", "INTERACTION_CALLBACK_TYPE_INVALID", "This interaction cannot be answered so.")
	}
	switch int(kind) {
	case 4, 5:
		m := c.newAnswer(it)
		if kind == 5 {
			m.flags = loading
		}
		if err := c.compose(m, data, ephemeral|suppressEmbeds|suppressNotifications|voiceMessage|componentsV2); err != nil {
			return err
		}
		if kind == 5 {
			m.flags |= loading
		}
		it.original = m
		c.publish(m, it)
	case 6:
		it.original = it.source
	case 7:
		if err := c.edit(it.source, data); err != nil {
			return err
		}
		it.original = it.source
	case 8:
		it.choices, _ = data["choices"].([]any)
	case 9:
		it.modal = data
	}
	it.answered, it.after = int(kind), c.now().Sub(it.at)
	return nil
}

func (c *call) newAnswer(it *interaction) *message {
	m := &message{in: it.in, author: c.bot, by: it}
	switch {
	case it.original != nil:
		c.replyTo(m, it.original)
	case it.source != nil:
		c.replyTo(m, it.source)
	case it.kind == ofCommand:
		m.kind = 20
	}
	return m
}

func (c *call) publish(m *message, it *interaction) {
	if m.flags&ephemeral != 0 {
		m.only = it.by
	}
	c.add(m)
}

// hooked finds the interaction whose token is in a webhook's path.
func (c *call) hooked() (*interaction, error) {
	it, ok := find(c.interactions, func(it *interaction) bool { return it.token == c.arg("webhook_token") })
	switch {
	case c.arg("webhook_id") != c.bot.id:
		return nil, unknown("Webhook")
	case !ok || !c.within(it.at, c.life):
		return nil, refused(http.StatusUnauthorized, 50027, "Invalid Webhook Token")
	case it.answered == 0:
		return nil, unknown("Webhook")
	}
	return it, nil
}

func (c *call) followUp() (int, any, error) {
	it, err := c.hooked()
	if err != nil {
		return 0, nil, err
	}
	if m := it.original; m != nil && m.flags&loading != 0 { // the first one takes the place of "thinking"
		if f, ok := c.body["flags"].(float64); ok {
			c.body["flags"] = float64(int(f) &^ ephemeral) // which was settled when it was deferred
		}
		if err := c.fill(m); err != nil {
			return 0, nil, err
		}
		return http.StatusOK, c.messageObject(m, true), nil
	}
	m := c.newAnswer(it)
	if err := c.compose(m, c.body, ephemeral|suppressEmbeds|suppressNotifications|voiceMessage|componentsV2); err != nil {
		return 0, nil, err
	}
	c.publish(m, it)
	return http.StatusOK, c.messageObject(m, true), nil
}

// answerOf finds the message of an interaction that a path names.
func (c *call) answerOf() (*message, error) {
	it, err := c.hooked()
	if err != nil {
		return nil, err
	}
	id := c.arg("message_id")
	if id == "" && it.original != nil && !it.original.gone {
		return it.original, nil
	}
	m, ok := find(it.in.messages, func(m *message) bool { return m.id == id && m.by == it })
	if !ok {
		return nil, unknown("Message")
	}
	return m, nil
}

func (c *call) getOriginal() (int, any, error) {
	m, err := c.answerOf()
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.messageObject(m, true), nil
}

func (c *call) editOriginal() (int, any, error) {
	m, err := c.answerOf()
	if err != nil {
		return 0, nil, err
	}
	if m.flags&loading != 0 {
		err = c.fill(m)
	} else {
		err = c.edit(m, c.body)
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.messageObject(m, true), nil
}

// fill puts the answer in the place of "thinking"; that is no edit to anybody.
func (c *call) fill(m *message) error {
	filled := *m
	filled.flags &^= loading
	if err := c.compose(&filled, c.body, suppressEmbeds|componentsV2); err != nil {
		return err
	}
	*m = filled
	c.updated(m)
	return nil
}

func (c *call) deleteOriginal() (int, any, error) {
	m, err := c.answerOf()
	if err != nil {
		return 0, nil, err
	}
	c.remove(m)
	return http.StatusNoContent, nil, nil
}
