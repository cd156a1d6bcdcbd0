package discordtest

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Permissions that matter here; the bot has all that were not taken from it.
const (
	viewChannel    = 1 << 10
	sendMessages   = 1 << 11
	attachFiles    = 1 << 15
	readHistory    = 1 << 16
	manageThreads  = 1 << 34
	createThreads  = 1 << 35
	sendInThreads  = 1 << 38
	allPermissions = 1<<47 - 1
)

// needs finds the channel of a request in which the bot may do something.
func (c *call) needs(permission uint64) (*channel, error) {
	ch := c.channelByID(c.arg("channel_id"))
	if ch == nil {
		return nil, unknown("Channel")
	}
	denied := c.deniedIn(ch)
	switch {
	case denied&viewChannel != 0:
		return nil, refused(http.StatusForbidden, 50001, "Missing Access")
	case denied&permission != 0:
		return nil, refused(http.StatusForbidden, 50013, "Missing Permissions")
	}
	return ch, nil
}

func (s *Server) deniedIn(ch *channel) uint64 {
	if ch.thread() {
		return ch.denied | s.deniedIn(s.channelByID(ch.parent))
	}
	return ch.denied
}

func (c *call) gateway() (int, any, error) {
	return http.StatusOK, map[string]any{"url": c.gatewayURL()}, nil
}

func (c *call) gatewayBot() (int, any, error) {
	return http.StatusOK, map[string]any{
		"url": c.gatewayURL(), "shards": 1,
		"session_start_limit": map[string]any{"total": 1000, "remaining": max(0, 1000-c.identified), "reset_after": 86400000, "max_concurrency": 1},
	}, nil
}

func (c *call) getUser() (int, any, error) {
	u := c.userByID(c.arg("user_id"))
	if u == nil {
		return 0, nil, unknown("User")
	}
	return http.StatusOK, userObject(u), nil
}

func (c *call) openDirect() (int, any, error) {
	id, _ := c.body["recipient_id"].(string)
	u := c.userByID(id)
	switch {
	case u == nil:
		return 0, nil, invalid("recipient_id", "INVALID_RECIPIENT", "No such user.")
	case u.bot:
		return 0, nil, refused(http.StatusBadRequest, 50007, "Cannot send messages to this user")
	}
	return http.StatusOK, c.channelObject(c.direct(u)), nil
}

func (c *call) getChannel() (int, any, error) {
	ch, err := c.needs(viewChannel)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.channelObject(ch), nil
}

// editChannel renames, archives or locks a thread.
func (c *call) editChannel() (int, any, error) {
	ch, err := c.needs(manageThreads)
	if err != nil {
		return 0, nil, err
	}
	if !ch.thread() {
		return 0, nil, refused(http.StatusForbidden, 50013, "Missing Permissions")
	}
	archived, archiving := c.body["archived"].(bool)
	if ch.archived && (!archiving || archived) && len(c.body) > 0 {
		return 0, nil, refused(http.StatusBadRequest, 50083, "Thread is archived")
	}
	if name, ok := c.body["name"].(string); ok {
		if name == "" {
			return 0, nil, invalid("name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
		}
		ch.name = name
	}
	if archiving {
		ch.archived = archived
	}
	if locked, ok := c.body["locked"].(bool); ok {
		ch.locked = locked
	}
	c.dispatch(event{name: "THREAD_UPDATE", intent: guilds, data: c.channelObject(ch)})
	return http.StatusOK, c.channelObject(ch), nil
}

func (c *call) threadFrom() (int, any, error) {
	ch, err := c.needs(createThreads)
	if err != nil {
		return 0, nil, err
	}
	m, err := c.inChannel(ch)
	switch {
	case err != nil:
		return 0, nil, err
	case ch.kind != 0 || m.kind != 0 && m.kind != 19 && m.kind != 20:
		return 0, nil, refused(http.StatusBadRequest, 50024, "Cannot execute action on this channel type")
	case m.thread != nil:
		return 0, nil, refused(http.StatusBadRequest, 160004, "A thread has already been created for this message")
	}
	t := c.newThread(m.id, ch)
	m.thread, m.flags = t, m.flags|1<<5
	c.announce(t)
	c.updated(m)
	return http.StatusCreated, c.channelObject(t), nil
}

func (c *call) threadWithout() (int, any, error) {
	ch, err := c.needs(createThreads)
	if err != nil {
		return 0, nil, err
	}
	if ch.kind != 0 {
		return 0, nil, refused(http.StatusBadRequest, 50024, "Cannot execute action on this channel type")
	}
	t := c.newThread(c.snowflake(), ch)
	t.begun = true // there is no message that it begins with
	if kind, ok := c.body["type"].(float64); !ok || kind != 11 {
		t.kind = 12
	}
	c.announce(t)
	if t.kind == 11 {
		c.add(&message{in: ch, author: c.bot, kind: 18, content: t.name, reference: map[string]any{"type": 0, "channel_id": t.id, "guild_id": c.guild}})
	}
	return http.StatusCreated, c.channelObject(t), nil
}

func (c *call) newThread(id string, parent *channel) *channel {
	name, _ := c.body["name"].(string)
	t := &channel{id: id, name: name, kind: 11, parent: parent.id, owner: c.bot, made: c.now(), archiveAt: 4320}
	if minutes, ok := c.body["auto_archive_duration"].(float64); ok {
		t.archiveAt = int(minutes)
	}
	c.channels = append(c.channels, t)
	return t
}

func (c *call) announce(t *channel) {
	o := c.channelObject(t)
	o["newly_created"] = true
	c.dispatch(event{name: "THREAD_CREATE", intent: guilds, data: o})
}

func (c *call) typing() (int, any, error) {
	ch, err := c.needs(sendMessages)
	if err != nil {
		return 0, nil, err
	}
	ch.lastTyping = c.now()
	return http.StatusNoContent, nil, nil
}

func (c *call) known() error {
	if c.arg("guild_id") != c.guild {
		return unknown("Guild")
	}
	return nil
}

func (c *call) getGuild() (int, any, error) {
	return http.StatusOK, c.guildObject(), c.known()
}

func (c *call) getChannels() (int, any, error) {
	return http.StatusOK, c.channelObjects(false), c.known()
}

func (c *call) getRoles() (int, any, error) {
	return http.StatusOK, c.roleObjects(), c.known()
}

// getMembers pages by id, and needs the privileged intent, which this
// application has.
func (c *call) getMembers() (int, any, error) {
	limit, after, out := 1, c.r.URL.Query().Get("after"), []any{}
	if n, err := strconv.Atoi(c.r.URL.Query().Get("limit")); err == nil {
		limit = n
	}
	if limit < 1 || limit > 1000 {
		return 0, nil, invalid("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 1000.")
	}
	for _, u := range c.users {
		if older(after, u.id) && len(out) < limit {
			out = append(out, c.memberObject(u, true))
		}
	}
	return http.StatusOK, out, c.known()
}

func (c *call) getMember() (int, any, error) {
	u := c.userByID(c.arg("user_id"))
	if err := c.known(); err != nil {
		return 0, nil, err
	}
	if u == nil {
		return 0, nil, unknown("Member")
	}
	return http.StatusOK, c.memberObject(u, true), nil
}

// older compares snowflakes, which are numbers of different length.
func older(a, b string) bool {
	return len(a) < len(b) || len(a) == len(b) && a < b
}

func (c *call) getMessages() (int, any, error) {
	ch, err := c.needs(viewChannel)
	if err != nil {
		return 0, nil, err
	}
	q := c.r.URL.Query()
	limit := 50
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > 100 {
			return 0, nil, invalid("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100.")
		}
	}
	out := []any{}
	if c.deniedIn(ch)&readHistory != 0 {
		return http.StatusOK, out, nil
	}
	var found []*message
	for _, m := range ch.messages {
		if m.only == nil && (q.Get("before") == "" || older(m.id, q.Get("before"))) && (q.Get("after") == "" || older(q.Get("after"), m.id)) {
			found = append(found, m)
		}
	}
	if q.Get("after") != "" {
		found = found[:min(limit, len(found))]
	}
	slices.Reverse(found)
	for _, m := range found[:min(limit, len(found))] {
		out = append(out, c.messageObject(m, c.content))
	}
	return http.StatusOK, out, nil
}

// inChannel finds the message that a path names; nobody's own are not there.
func (c *call) inChannel(ch *channel) (*message, error) {
	m, ok := find(ch.messages, func(m *message) bool { return m.id == c.arg("message_id") && m.only == nil })
	if !ok {
		return nil, unknown("Message")
	}
	return m, nil
}

func (c *call) getMessage() (int, any, error) {
	ch, err := c.needs(readHistory)
	if err != nil {
		return 0, nil, err
	}
	m, err := c.inChannel(ch)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.messageObject(m, c.content), nil
}

func (c *call) deleteMessage() (int, any, error) {
	ch, err := c.needs(viewChannel)
	if err != nil {
		return 0, nil, err
	}
	m, err := c.inChannel(ch)
	if err != nil {
		return 0, nil, err
	}
	if m.author != c.bot {
		return 0, nil, refused(http.StatusForbidden, 50013, "Missing Permissions")
	}
	c.remove(m)
	return http.StatusNoContent, nil, nil
}

// within says whether something happened less than a while ago.
func (s *Server) within(at time.Time, d time.Duration) bool { return s.now().Sub(at) <= d }
