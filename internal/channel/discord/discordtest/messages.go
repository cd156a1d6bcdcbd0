package discordtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Flags of messages.
const (
	suppressEmbeds        = 1 << 2
	ephemeral             = 1 << 6
	loading               = 1 << 7
	suppressNotifications = 1 << 12
	voiceMessage          = 1 << 13
	componentsV2          = 1 << 15
)

func (c *call) postMessage() (int, any, error) {
	ch, err := c.sendable()
	if err != nil {
		return 0, nil, err
	}
	nonce := c.body["nonce"]
	if enforce, _ := c.body["enforce_nonce"].(bool); enforce && nonce != nil {
		same := func(m *message) bool {
			return m.author == c.bot && fmt.Sprint(m.nonce) == fmt.Sprint(nonce) && c.within(m.at, 5*time.Minute)
		}
		if m, ok := find(ch.messages, same); ok {
			return http.StatusOK, c.messageObject(m, true), nil
		}
	}
	m := &message{in: ch, author: c.bot, nonce: nonce}
	if err := c.refer(m); err != nil {
		return 0, nil, err
	}
	if err := c.compose(m, c.body, suppressEmbeds|suppressNotifications|voiceMessage|componentsV2); err != nil {
		return 0, nil, err
	}
	if ch.archived {
		ch.archived = false
		c.dispatch(event{name: "THREAD_UPDATE", intent: guilds, data: c.channelObject(ch)})
	}
	c.add(m)
	return http.StatusOK, c.messageObject(m, true), nil
}

// sendable finds the channel that a message goes to, if it may.
func (c *call) sendable() (*channel, error) {
	ch, err := c.needs(viewChannel)
	if err != nil {
		return nil, err
	}
	need := uint64(sendMessages)
	if ch.thread() {
		need = sendInThreads
	}
	if len(c.files) > 0 {
		need |= attachFiles
	}
	switch {
	case c.deniedIn(ch)&need != 0:
		return nil, refused(http.StatusForbidden, 50013, "Missing Permissions")
	case ch.recipient != nil && ch.recipient.closed:
		return nil, refused(http.StatusForbidden, 50007, "Cannot send messages to this user")
	case ch.locked && c.deniedIn(ch)&manageThreads != 0:
		return nil, refused(http.StatusBadRequest, 50083, "Thread is archived")
	}
	return ch, nil
}

// refer makes a message a reply to the one that it names.
func (c *call) refer(m *message) error {
	ref, _ := c.body["message_reference"].(map[string]any)
	if ref == nil {
		return nil
	}
	to, ok := find(m.in.messages, func(o *message) bool { return o.id == ref["message_id"] && o.only == nil })
	if !ok {
		if fail, set := ref["fail_if_not_exists"].(bool); set && !fail {
			return nil
		}
		return invalid("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
	}
	c.replyTo(m, to)
	allowed, _ := c.body["allowed_mentions"].(map[string]any)
	if ping, set := allowed["replied_user"].(bool); (ping || !set && allowed == nil) && to.author != m.author {
		m.pings = append(m.pings, to.author)
	}
	return nil
}

func (s *Server) replyTo(m, to *message) {
	m.kind, m.reference = 19, map[string]any{"type": 0, "message_id": to.id, "channel_id": to.in.id}
	if to.in.recipient == nil {
		m.reference["guild_id"] = s.guild
	}
}

func (c *call) editMessage() (int, any, error) {
	ch, err := c.needs(viewChannel)
	if err != nil {
		return 0, nil, err
	}
	m, err := c.inChannel(ch)
	switch {
	case err != nil:
		return 0, nil, err
	case m.author != c.bot:
		return 0, nil, refused(http.StatusForbidden, 50005, "Cannot edit a message authored by another user")
	case ch.archived:
		return 0, nil, refused(http.StatusBadRequest, 50083, "Thread is archived")
	}
	if err := c.edit(m, c.body); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.messageObject(m, true), nil
}

// edit changes a message, or leaves it as it is and says why.
func (c *call) edit(m *message, body map[string]any) error {
	changed := *m
	if err := c.compose(&changed, body, suppressEmbeds|componentsV2); err != nil {
		return err
	}
	changed.edits++
	changed.edited = c.now()
	*m = changed
	c.updated(m)
	return nil
}

// compose puts what a request says into a message, and refuses what the result
// must not be. A field that is not there stays.
func (c *call) compose(m *message, body map[string]any, flags int) error {
	given := func(field string) bool { _, ok := body[field]; return ok }
	if given("content") {
		m.content, _ = body["content"].(string)
	}
	if given("embeds") {
		m.embeds, _ = saying(body["embeds"]).([]any)
		for _, e := range m.embeds {
			if o, ok := e.(map[string]any); ok {
				complete(o)
			}
		}
	}
	if given("components") {
		m.components, _ = saying(body["components"]).([]any)
	}
	if f, ok := body["flags"].(float64); ok {
		if int(f)&^flags&^m.flags != 0 {
			return invalid("flags", "BITFIELD_INVALID", "No such flag can be set here.")
		}
		m.flags = m.flags&^flags | int(f)&flags | m.flags&(voiceMessage|componentsV2)
	}
	if err := c.attach(m, body); err != nil {
		return err
	}
	if err := checkMessage(m); err != nil {
		return err
	}
	completed(m.components)
	if given("content") || given("components") || m.id == "" {
		allowed, _ := body["allowed_mentions"].(map[string]any)
		return c.mention(m, allowed)
	}
	return nil
}

// complete gives an embed what Discord adds.
func complete(embed map[string]any) {
	embed["type"] = "rich"
	fields, _ := embed["fields"].([]any)
	for _, f := range fields {
		if o, ok := f.(map[string]any); ok && o["inline"] == nil {
			o["inline"] = false
		}
	}
}

// attach keeps the files that a request lists and adds those that came with it.
func (c *call) attach(m *message, body map[string]any) error {
	rest := maps.Clone(c.files)
	listed, ok := body["attachments"].([]any)
	if _, set := body["attachments"]; set {
		var kept []*file
		for i, a := range listed {
			o, _ := a.(map[string]any)
			id, _ := o["id"].(string)
			f, old := find(m.files, func(f *file) bool { return f.id == id })
			if !old {
				if f = rest[id]; f == nil {
					return invalid(fmt.Sprintf("attachments.%d.id", i), "INVALID_ATTACHMENT", "No file has this id.")
				}
				delete(rest, id)
				c.store(m, f)
			}
			f.described(o)
			kept = append(kept, f)
		}
		m.files = kept
	}
	for _, n := range slices.Sorted(maps.Keys(rest)) {
		if ok && len(listed) > 0 {
			return invalid("attachments", "INVALID_ATTACHMENT", "files["+n+"] is not listed.")
		}
		c.store(m, rest[n])
		m.files = append(slices.Clone(m.files), rest[n])
	}
	return nil
}

func (f *file) described(o map[string]any) {
	if name, ok := o["filename"].(string); ok {
		f.name = name
	}
	if d, ok := o["description"].(string); ok {
		f.description = d
	}
	if w, ok := o["waveform"].(string); ok {
		f.waveform = w
	}
	if s, ok := o["duration_secs"].(float64); ok {
		f.seconds = s
	}
}

// store gives a file an id and an address, which is signed.
func (s *Server) store(m *message, f *file) {
	f.id = s.snowflake()
	path := "/attachments/" + m.in.id + "/" + f.id + "/" + url.PathEscape(f.name)
	expires := strconv.FormatInt(s.now().Add(24*time.Hour).Unix(), 16)
	f.url = s.web.URL + path + "?ex=" + expires + "&is=" + strconv.FormatInt(s.now().Unix(), 16) + "&hm=" + s.seal(f.id, expires)
}

func (s *Server) seal(id, expires string) string {
	h := hmac.New(sha256.New, []byte(s.key))
	fmt.Fprint(h, id, expires)
	return hex.EncodeToString(h.Sum(nil))
}

// serveFile is Discord's CDN: it needs no token, but the whole address.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	var found *file
	for _, c := range s.channels {
		for _, m := range c.messages {
			if f, ok := find(m.files, func(f *file) bool { return f.id == r.PathValue("id") }); ok && c.id == r.PathValue("channel") {
				found = f
			}
		}
	}
	s.mu.Unlock()
	if found == nil || q.Get("hm") != s.seal(found.id, q.Get("ex")) {
		http.Error(w, "This content is no longer available.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", found.kind)
	_, _ = w.Write(found.data) // who asked may be gone
}

// mention finds who is called in a message of the bot's, and may be.
func (c *call) mention(m *message, allowed map[string]any) error {
	parse := []any{"users", "roles", "everyone"}
	users, _ := allowed["users"].([]any)
	roles, _ := allowed["roles"].([]any)
	if allowed != nil {
		parse, _ = allowed["parse"].([]any)
	}
	if slices.Contains(parse, "users") && len(users) > 0 || slices.Contains(parse, "roles") && len(roles) > 0 {
		return invalid("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", "parse and a list of ids are mutually exclusive.")
	}
	text := m.content
	walk(m.components, func(o map[string]any) {
		if o["type"] == float64(10) {
			text += "\n" + fmt.Sprint(o["content"])
		}
	})
	called := c.called(text)
	replied := m.pings
	m.pings, m.pingRoles = nil, nil
	for _, u := range called.users {
		if slices.Contains(parse, "users") || slices.Contains(users, any(u.id)) {
			m.pings = append(m.pings, u)
		}
	}
	if m.id == "" {
		m.pings = append(m.pings, replied...)
	}
	for _, r := range called.roles {
		if slices.Contains(parse, "roles") || slices.Contains(roles, any(r)) {
			m.pingRoles = append(m.pingRoles, r)
		}
	}
	m.everyone = called.everyone && slices.Contains(parse, "everyone")
	return nil
}

type called struct {
	users    []*user
	roles    []string
	everyone bool
}

func (s *Server) called(text string) called {
	var out called
	for _, at := range regexp.MustCompile(`<@([!&]?)(\d+)>`).FindAllStringSubmatch(text, -1) {
		if at[1] == "&" {
			if r, ok := find(s.roles, func(r *role) bool { return r.id == at[2] }); ok && !slices.Contains(out.roles, r.id) {
				out.roles = append(out.roles, r.id)
			}
		} else if u := s.userByID(at[2]); u != nil && !slices.Contains(out.users, u) {
			out.users = append(out.users, u)
		}
	}
	out.everyone = strings.Contains(text, "@everyone") || strings.Contains(text, "@here")
	return out
}

// add puts a message into its channel, and tells the bot.
func (s *Server) add(m *message) {
	if m.in.thread() && !m.in.begun {
		m.in.begun = true
		if first := s.message(m.in.id); first != nil {
			s.add(&message{in: m.in, author: first.author, kind: 21, reference: map[string]any{"type": 0, "message_id": first.id, "channel_id": first.in.id, "guild_id": s.guild}})
		}
	}
	m.id, m.at = s.snowflake(), s.now()
	m.in.messages = append(m.in.messages, m)
	s.heard("MESSAGE_CREATE", m)
}

func (s *Server) updated(m *message) { s.heard("MESSAGE_UPDATE", m) }

// heard tells the sessions that hear such a channel what became of a message.
// What only one person sees, and what is still to come, is not told.
func (s *Server) heard(name string, m *message) {
	if m.only != nil || s.deniedIn(m.in)&viewChannel != 0 {
		s.happened()
		return
	}
	e := event{name: name, intent: guildMessages}
	if m.in.recipient != nil {
		e.intent = directMessages
	}
	e.read = func(intents int) any {
		o := s.messageObject(m, intents&messageContent != 0)
		o["channel_type"] = m.in.kind
		if m.in.recipient == nil {
			o["guild_id"] = s.guild
			o["member"] = s.memberObject(m.author, false)
		}
		return o
	}
	s.dispatch(e)
}

func (s *Server) remove(m *message) {
	m.gone = true
	m.in.messages = slices.DeleteFunc(m.in.messages, func(o *message) bool { return o == m })
	if m.only != nil {
		return
	}
	e := event{name: "MESSAGE_DELETE", intent: guildMessages, data: map[string]any{"id": m.id, "channel_id": m.in.id, "guild_id": s.guild}}
	if m.in.recipient != nil {
		e.intent, e.data = directMessages, map[string]any{"id": m.id, "channel_id": m.in.id}
	}
	s.dispatch(e)
}
