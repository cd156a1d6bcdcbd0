package slacktest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
)

// Message is a message as it is seen now.
type Message struct {
	ID       string // its time stamp
	Channel  string
	Thread   string // of the first message of its thread; "" is none
	Author   string // a user's id
	Text     string // what is read: of the blocks where there are some, without markup
	Fallback string // its text as it was sent, with markup
	Blocks   []any  // as they were sent
	Buttons  []Button
	Files    []File
	Edits    int
	For      string   // the only person who sees it; "" is everybody
	Mentions []string // whom it notifies: users, user groups, "@channel", "@here", "@everyone"
	Links    []string
	Reacted  []string // the reactions of the bot
}

// Button is what can be clicked or chosen from: a button, a menu, an input.
type Button struct {
	ID      string // its action_id
	Block   string // the block_id
	Kind    string // "button", "static_select", …
	Label   string
	Value   string
	Style   string
	URL     string
	Options []Option
	json    object
}

// Option is one choice of a menu.
type Option struct {
	Label, Value string
	json         object
}

// message is a message.
type message struct {
	ts, channel, thread, user string
	text                      string
	blocks                    []any
	attachments               any
	metadata                  any
	parse                     bool // names in its text count as mentions
	files                     []*file
	edits                     int
	edited                    string
	reactions                 []string
	only                      string // who sees it
	subtype                   string
	cache                     *cache
}

// read reads the message, once a version of it.
func (m *message) read() (r reading, fallback string) {
	if c := m.cache; c != nil && c.edits == m.edits && c.text == m.text {
		return c.reading, c.fallback
	}
	fallback = r.markup(m.text, m.parse)
	r.read(m.blocks)
	m.cache = &cache{r, fallback, m.text, m.edits}
	return r, fallback
}

// cache is what was read of a version of a message.
type cache struct {
	reading
	fallback, text string
	edits          int
}

func (m *message) seen() Message {
	r, fallback := m.read()
	out := Message{ID: m.ts, Channel: m.channel, Thread: m.thread, Author: m.user, Text: fallback, Fallback: m.text, Blocks: m.blocks, Edits: m.edits, For: m.only, Reacted: slices.Clone(m.reactions)}
	if len(m.blocks) > 0 && m.user == BotUser {
		out.Text = strings.Join(r.lines, "\n")
	}
	out.Buttons, out.Mentions, out.Links = r.buttons, r.mentions, r.links
	for _, f := range m.files {
		out.Files = append(out.Files, f.seen())
	}
	return out
}

// json is the message as the API tells of it.
func (m *message) json() object {
	out := object{"type": "message", "user": m.user, "text": m.text, "ts": m.ts, "team": Team}
	set := func(key string, v any, is bool) {
		if is {
			out[key] = v
		}
	}
	bot := m.user == BotUser
	set("bot_id", BotID, bot)
	set("app_id", AppID, bot)
	set("bot_profile", object{"id": BotID, "app_id": AppID, "name": "firstmate", "deleted": false, "team_id": Team}, bot)
	set("client_msg_id", "c0ffee00-0000-4000-8000-"+strings.ReplaceAll(m.ts, ".", ""), !bot)
	set("subtype", m.subtype, m.subtype != "")
	set("thread_ts", m.thread, m.thread != "")
	set("blocks", m.blocks, len(m.blocks) > 0)
	set("attachments", m.attachments, m.attachments != nil)
	set("metadata", m.metadata, m.metadata != nil)
	set("edited", object{"user": m.user, "ts": m.edited}, m.edited != "")
	var files []object
	for _, f := range m.files {
		files = append(files, f.json())
	}
	set("files", files, len(files) > 0)
	set("upload", false, len(files) > 0)
	return out
}

// Messages are those of a channel, or of a thread with the message that began it,
// in order, as they are seen now.
func (s *Server) Messages(channel, thread string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen(channel, thread)
}

func (s *Server) seen(channel, thread string) []Message {
	var out []Message
	for _, m := range s.messages {
		if m.channel == channel && (thread == "" || m.thread == thread || m.ts == thread) {
			out = append(out, m.seen())
		}
	}
	return out
}

// Wait waits until the messages of a channel, or of a thread, are as f wants them.
func (s *Server) Wait(ctx context.Context, channel, thread string, f func([]Message) bool) error {
	return s.until(ctx, "messages in "+channel+" "+thread, func() func() bool {
		all := s.seen(channel, thread)
		return func() bool { return f(all) }
	})
}

// find finds a message that is there. The server is locked.
func (s *Server) find(channel, ts string) *message {
	for _, m := range s.messages {
		if m.ts == ts && (channel == "" || m.channel == channel) {
			return m
		}
	}
	return nil
}

// where finds the channel that an argument names. The server is locked.
func (s *Server) where(name string) (*channel, error) {
	if p := s.people[name]; p != nil && !p.bot {
		return s.im(name), nil
	}
	for _, c := range s.channels {
		if c.id == name || c.name != "" && c.name == strings.TrimPrefix(name, "#") {
			if c.private && !slices.Contains(c.members, BotUser) {
				break
			}
			return c, nil
		}
	}
	return nil, refuse("channel_not_found")
}

func (c *channel) kind() string {
	switch {
	case c.im != "":
		return "im"
	case c.private:
		return "group"
	}
	return "channel"
}

// scope is the family of scopes for such a channel.
func (c *channel) scope() string {
	return map[string]string{"im": "im", "group": "groups", "channel": "channels"}[c.kind()]
}

// content reads what a message is to contain. The server is locked.
func (s *Server) content(a args, m *message) error {
	if a.has("text") {
		m.text = a.str("text")
	}
	if a.has("metadata") {
		m.metadata, _ = a.decoded("metadata")
	}
	if a.has("attachments") {
		m.attachments, _ = a.decoded("attachments")
	}
	if a.has("markdown_text") {
		if a.has("text") || a.has("blocks") {
			return refuse("markdown_text_conflict")
		}
		if len([]rune(a.str("markdown_text"))) > 12000 {
			return refuse("msg_too_long")
		}
		m.text = a.str("markdown_text")
	}
	m.parse = a.flag("link_names") || a.str("parse") == "full"
	most := 40000
	if a.method == "chat.update" {
		most = 4000 // bytes, with what is escaped
	}
	if len(m.text) > most {
		return refuse("msg_too_long")
	}
	if v, ok := a.decoded("blocks"); !ok || v != nil {
		list, isList := v.([]any)
		if !isList {
			return refuse("invalid_blocks_format")
		}
		if wrong := checkBlocks(list, onMessage); len(wrong) > 0 {
			return refuse("invalid_blocks", wrong...)
		}
		if textOf(list) > 13200 {
			return refuse("msg_blocks_too_long")
		}
		m.blocks = s.identified(s.keep(list, list))
	}
	list, _ := m.attachments.([]any)
	if m.text == "" && len(m.blocks) == 0 && len(list) == 0 && len(m.files) == 0 {
		return refuse("no_text")
	}
	return nil
}

// keep keeps what the app sent, for CheckTypes. The server is locked.
func (s *Server) keep(list []any, of any) []any {
	b := mustJSON(of)
	var was any
	if json.Unmarshal(b, &was) == nil { // it was JSON just now
		s.shown[string(b)] = was
	}
	return list
}

// identified gives blocks and what is in them the ids that the app left out.
func (s *Server) identified(blocks []any) []any {
	for _, v := range blocks {
		b, _ := v.(object)
		if id, _ := b["block_id"].(string); id == "" {
			b["block_id"] = strings.ToLower(secret()[:5])
		}
		list, _ := b["elements"].([]any)
		for _, e := range append(list, b["element"], b["accessory"]) {
			el, ok := e.(object)
			kind, _ := el["type"].(string)
			if _, has := el["action_id"]; ok && !has && elements()[kind].interactive {
				el["action_id"] = strings.ToLower(secret()[:5])
			}
		}
	}
	return blocks
}

func (s *Server) postMessage(a args) (object, error) {
	only := ""
	c, err := s.where(a.str("channel"))
	if err != nil {
		return nil, err
	}
	if a.method == "chat.postEphemeral" {
		if only = a.str("user"); !slices.Contains(c.members, only) {
			return nil, refuse("user_not_in_channel")
		}
	}
	if !slices.Contains(c.members, BotUser) && !s.granted("chat:write.public") {
		return nil, refuse("not_in_channel")
	}
	if a.has("username") || a.has("icon_emoji") || a.has("icon_url") {
		if !s.granted("chat:write.customize") {
			return nil, s.missing("chat:write.customize")
		}
	}
	m := &message{channel: c.id, user: BotUser, thread: a.str("thread_ts"), only: only}
	if m.thread != "" {
		if first := s.find(c.id, m.thread); first == nil || first.thread != "" && first.thread != first.ts {
			return nil, refuse("invalid_thread_ts")
		}
	}
	if err := s.content(a, m); err != nil {
		return nil, err
	}
	if !s.paced(c.id) {
		return nil, refuse("ratelimited")
	}
	s.add(m)
	if only != "" {
		return object{"message_ts": m.ts}, nil
	}
	out := object{"channel": c.id, "ts": m.ts, "message": m.json()}
	if m.text == "" {
		out["warning"], out["response_metadata"] = "missing_text_in_message", object{"warnings": []string{"missing_text_in_message"}}
	}
	return out, nil
}

// add puts a message into its channel, and tells the app of it, which hears its
// own too. The server is locked.
func (s *Server) add(m *message) {
	m.ts = s.ts()
	if first := s.find(m.channel, m.thread); m.thread != "" && first != nil {
		first.thread = first.ts
	}
	s.messages = append(s.messages, m)
	if m.only == "" {
		s.told(m, m.json())
	}
	s.note()
}

// told tells the app that something was said. The server is locked.
func (s *Server) told(m *message, ev object) {
	c := s.channels[m.channel]
	if !slices.Contains(c.members, BotUser) {
		return
	}
	by := m.user
	if by == BotUser {
		by = ""
	}
	ev["channel"], ev["event_ts"], ev["channel_type"] = c.id, m.ts, c.kind()
	s.abroad(m, ev)
	lane := c.id + m.ts
	if m.thread != "" {
		lane = c.id + m.thread
	}
	kind := map[string]string{"im": "message.im", "group": "message.groups", "channel": "message.channels"}[c.kind()]
	s.event(kind, c.scope()+":history", lane, by, ev)
	if by != "" && m.subtype != "message_changed" && c.im == "" && strings.Contains(m.text, "<@"+BotUser+">") {
		mention := m.json()
		mention["type"], mention["channel"], mention["event_ts"] = "app_mention", c.id, m.ts
		s.abroad(m, mention)
		s.event("app_mention", "app_mentions:read", lane, by, mention)
	}
}

// abroad marks what somebody of another workspace wrote. The server is locked.
func (s *Server) abroad(m *message, ev object) {
	if p := s.people[m.user]; p.Team != "" {
		ev["team"], ev["user_team"], ev["source_team"] = p.Team, p.Team, p.Team
	}
}

// own finds a message of the bot's. The server is locked.
func (s *Server) own(a args, refusal string) (*message, error) {
	c, err := s.where(a.str("channel"))
	if err != nil {
		return nil, err
	}
	m := s.find(c.id, a.str("ts"))
	switch {
	case m == nil || m.only != "":
		return nil, refuse("message_not_found")
	case m.user != BotUser:
		return nil, refuse(refusal)
	}
	return m, nil
}

func (s *Server) update(a args) (object, error) {
	m, err := s.own(a, "cant_update_message")
	if err != nil {
		return nil, err
	}
	if s.streams[m.ts] {
		return nil, refuse("streaming_state_conflict")
	}
	before, after := m.json(), *m
	if err := s.content(a, &after); err != nil {
		return nil, err
	}
	if !s.paced(m.channel) {
		return nil, refuse("ratelimited")
	}
	*m = after
	m.edits++
	m.edited = s.ts()
	s.changedMessage(m, before)
	return object{"channel": m.channel, "ts": m.ts, "text": m.text, "message": m.json()}, nil
}

// changedMessage tells of an edit. The server is locked.
func (s *Server) changedMessage(m *message, before object) {
	s.told(&message{channel: m.channel, thread: m.thread, user: BotUser, ts: s.ts(), subtype: "message_changed"},
		object{"type": "message", "subtype": "message_changed", "message": m.json(), "previous_message": before, "hidden": true, "ts": s.ts()})
	s.note()
}

func (s *Server) remove(a args) (object, error) {
	m, err := s.own(a, "cant_delete_message")
	if err != nil {
		return nil, err
	}
	s.messages = slices.DeleteFunc(s.messages, func(o *message) bool { return o == m })
	s.told(&message{channel: m.channel, thread: m.thread, user: BotUser, ts: s.ts()},
		object{"type": "message", "subtype": "message_deleted", "deleted_ts": m.ts, "previous_message": m.json(), "hidden": true, "ts": s.ts()})
	return object{"channel": m.channel, "ts": m.ts}, nil
}

func (s *Server) permalink(a args) (object, error) {
	m := s.find(a.str("channel"), a.str("message_ts"))
	if m == nil {
		return nil, refuse("message_not_found")
	}
	return object{"channel": m.channel, "permalink": "https://slacktest.slack.com/archives/" + m.channel + "/p" + strings.ReplaceAll(m.ts, ".", "")}, nil
}

func (s *Server) startStream(a args) (object, error) {
	if a.str("thread_ts") == "" {
		return nil, refuse("invalid_thread_ts")
	}
	if c := s.channels[a.str("channel")]; c != nil && c.im == "" && (a.str("recipient_user_id") == "" || a.str("recipient_team_id") == "") {
		return nil, refuse("missing_recipient_user_id")
	}
	if !a.has("markdown_text") {
		a.v["markdown_text"] = " "
	}
	out, err := s.postMessage(a)
	if err == nil {
		ts, _ := out["ts"].(string)
		s.streams[ts] = true
	}
	return out, err
}

func (s *Server) appendStream(a args) (object, error) {
	m, err := s.own(a, "message_not_owned_by_app")
	if err != nil {
		return nil, err
	}
	if !s.streams[m.ts] {
		return nil, refuse("message_not_in_streaming_state")
	}
	more := message{text: "-"}
	if err := s.content(a, &more); err != nil {
		return nil, err
	}
	before := m.json()
	m.text = strings.TrimPrefix(m.text, " ") + a.str("markdown_text")
	if a.method == "chat.stopStream" {
		m.blocks = more.blocks
		delete(s.streams, m.ts)
		s.changedMessage(m, before)
	}
	return object{"channel": m.channel, "ts": m.ts}, nil
}

func (s *Server) react(a args) (object, error) {
	c, err := s.where(a.str("channel"))
	if err != nil {
		return nil, err
	}
	m := s.find(c.id, a.str("timestamp"))
	if m == nil {
		return nil, refuse("message_not_found")
	}
	name := a.str("name")
	had := slices.Contains(m.reactions, name)
	switch add := a.method == "reactions.add"; {
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-+") != "" || name == "":
		return nil, refuse("invalid_name")
	case add && had:
		return nil, refuse("already_reacted")
	case add:
		m.reactions = append(m.reactions, name)
	case !had:
		return nil, refuse("no_reaction")
	default:
		m.reactions = slices.DeleteFunc(m.reactions, func(r string) bool { return r == name })
	}
	return object{}, nil
}
