package discordtest

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A channel is named by its name or its id, a person by name or id; in place of a
// thread's id "" says that it is the channel itself. DM gives the channel
// between a person and the bot.

// DM is the id of the channel of direct messages between a person and the bot.
func (s *Server) DM(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.direct(s.user(user)).id
}

// Refuse lets a person take no direct messages.
func (s *Server) Refuse(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user(user).closed = true
}

// User is the id of a person.
func (s *Server) User(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user(name).id
}

// Channel is the id of a text channel.
func (s *Server) Channel(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channel(name).id
}

// Role is the id of a role.
func (s *Server) Role(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.role(name).id
}

// Roles gives a person these roles and no others.
func (s *Server) Roles(user string, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(user)
	u.roles = nil
	for _, name := range names {
		u.roles = append(u.roles, s.role(name).id)
	}
	s.dispatch(event{name: "GUILD_MEMBER_UPDATE", intent: guildMembers, data: s.inGuild(s.memberObject(u, true))})
}

// Deny takes permissions from the bot in a channel: bits as Discord numbers them.
func (s *Server) Deny(channel string, permissions uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channel(channel)
	c.denied = permissions
	s.dispatch(event{name: "CHANNEL_UPDATE", intent: guilds, data: s.channelObject(c)})
}

// in finds where something is said; the lock is held.
func (s *Server) in(channel, thread string) *channel {
	s.t.Helper()
	if thread == "" {
		return s.channel(channel)
	}
	c := s.channelByID(thread)
	if c == nil || !c.thread() || c.parent != s.channel(channel).id {
		s.t.Errorf("no thread %s in %s", thread, channel)
		return s.channel(channel)
	}
	return c
}

// Say lets a person write; @name in the text becomes a mention, also of the bot,
// whose name is firstmate. It returns the message's id.
func (s *Server) Say(user, channel, thread, text string) string {
	s.t.Helper()
	return s.write(user, channel, thread, text, "", nil, 0)
}

// Reply lets a person answer a message, which calls its author.
func (s *Server) Reply(user, to, text string) string {
	s.t.Helper()
	s.mu.Lock()
	m := s.message(to)
	s.mu.Unlock()
	if m == nil {
		s.t.Errorf("no message %s", to)
		return ""
	}
	return s.write(user, m.in.id, "", text, to, nil, 0)
}

// Attach lets a person write with a file.
func (s *Server) Attach(user, channel, thread, text, name, contentType string, data []byte) string {
	s.t.Helper()
	return s.write(user, channel, thread, text, "", &file{name: name, kind: contentType, data: data}, 0)
}

// SayAudio lets a person send a voice message.
func (s *Server) SayAudio(user, channel, thread string, ogg []byte) string {
	s.t.Helper()
	f := &file{name: "voice-message.ogg", kind: "audio/ogg", data: ogg, seconds: 2.5, waveform: base64.StdEncoding.EncodeToString(make([]byte, 32))}
	return s.write(user, channel, thread, "", "", f, voiceMessage)
}

func (s *Server) write(user, channel, thread, text, to string, f *file, flags int) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &message{in: s.in(channel, thread), author: s.user(user), content: s.mentions(text), flags: flags}
	switch {
	case !s.among(m.author, m.in):
		return ""
	case m.in.locked:
		s.t.Errorf("the thread %s is locked", m.in.id)
		return ""
	case utf16Len(m.content) > 2000:
		s.t.Errorf("nobody can write %d characters", utf16Len(m.content))
		return ""
	case m.in.archived:
		m.in.archived = false
		s.dispatch(event{name: "THREAD_UPDATE", intent: guilds, data: s.channelObject(m.in)})
	}
	at := s.called(m.content)
	m.pings, m.pingRoles, m.everyone = at.users, at.roles, at.everyone
	if original := s.message(to); original != nil {
		s.replyTo(m, original)
		if !slices.Contains(m.pings, original.author) {
			m.pings = append(m.pings, original.author)
		}
	}
	if f != nil {
		s.store(m, f)
		m.files = []*file{f}
	}
	s.again = func() { s.heard("MESSAGE_CREATE", m) }
	s.add(m)
	return m.id
}

// among says whether somebody is where they want to do something.
func (s *Server) among(u *user, c *channel) bool {
	s.t.Helper()
	if c.recipient != nil && c.recipient != u {
		s.t.Errorf("%s is not in the direct messages of %s", u.name, c.recipient.name)
		return false
	}
	return true
}

// mentions turns @name into what a client sends for it.
func (s *Server) mentions(text string) string {
	return regexp.MustCompile(`@[\w-]+`).ReplaceAllStringFunc(text, func(at string) string {
		for _, u := range s.users {
			if u.name == at[1:] {
				return "<@" + u.id + ">"
			}
		}
		return at
	})
}

// Edit lets a person change what they wrote.
func (s *Server) Edit(messageID, text string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.message(messageID)
	if m == nil {
		s.t.Errorf("no message %s", messageID)
		return
	}
	m.content, m.edited = s.mentions(text), s.now()
	m.edits++
	m.pings = s.called(m.content).users
	s.updated(m)
}

// Delete takes a message away, whoever wrote it.
func (s *Server) Delete(messageID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.message(messageID); m != nil {
		s.remove(m)
	}
}

// Repeat delivers the last message or interaction once more.
func (s *Server) Repeat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.again != nil {
		s.again()
	}
}

// Click lets a person press a button, or choose that entry of a menu. It returns
// the interaction's id.
func (s *Server) Click(user, messageID, buttonID string) string {
	s.t.Helper()
	return s.use(user, messageID, buttonID, nil)
}

// Select lets a person choose entries of a menu.
func (s *Server) Select(user, messageID, menuID string, values ...string) string {
	s.t.Helper()
	return s.use(user, messageID, menuID, values)
}

func (s *Server) use(user, messageID, id string, values []string) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	u, m := s.user(user), s.message(messageID)
	if m == nil || m.only != nil && m.only != u {
		s.t.Errorf("%s sees no message %s", user, messageID)
		return ""
	}
	var data map[string]any
	walk(m.components, func(o map[string]any) {
		disabled, _ := o["disabled"].(bool)
		kind, _ := o["type"].(float64)
		switch {
		case disabled || data != nil:
		case kind == 2 && o["custom_id"] == id && o["custom_id"] != nil && values == nil:
			data = map[string]any{"component_type": 2, "custom_id": id, "id": o["id"]}
		case kind == 3 && (o["custom_id"] == id && values != nil && offers(o, values...) || values == nil && offers(o, id)):
			chosen := values
			if chosen == nil {
				chosen = []string{id}
			}
			data = map[string]any{"component_type": 3, "custom_id": o["custom_id"], "id": o["id"], "values": chosen}
		}
	})
	if data == nil {
		s.t.Errorf("the message %q has no %s %v that can be used", m.content, id, values)
		return ""
	}
	return s.begin(&interaction{kind: ofComponent, by: u, in: m.in, source: m, data: data}).id
}

func offers(menu map[string]any, values ...string) bool {
	options, _ := menu["options"].([]any)
	for _, v := range values {
		if _, ok := find(options, func(o any) bool { each, _ := o.(map[string]any); return each["value"] == v }); !ok {
			return false
		}
	}
	return true
}

// Command lets a person use a slash command; the name of one within another is
// "outer inner". It returns the interaction's id.
func (s *Server) Command(user, channel, name string, options map[string]string) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	u, in := s.user(user), s.channel(channel)
	data, err := s.commandData(in, name, options, "")
	if err != nil {
		s.t.Error(err)
		return ""
	}
	if !s.among(u, in) {
		return ""
	}
	return s.begin(&interaction{kind: ofCommand, by: u, in: in, data: data}).id
}

// commandData is what is sent of a command; the option that is being typed, if
// any, is focused, and nothing is required then.
func (s *Server) commandData(in *channel, name string, given map[string]string, focused string) (map[string]any, error) {
	words := strings.Fields(name)
	command, ok := find(slices.Concat(s.commands[s.guild], s.commands[""]), func(o map[string]any) bool {
		return o["name"] == words[0] && o["type"] == 1.0 && offered(o, in.recipient != nil)
	})
	if !ok {
		return nil, fmt.Errorf("the bot has no command /%s here", words[0])
	}
	data := map[string]any{"id": command["id"], "name": words[0], "type": 1}
	if g := command["guild_id"]; g != nil {
		data["guild_id"] = g
	}
	at, declared := data, command
	for _, word := range words[1:] {
		inner, _ := declared["options"].([]any)
		o, ok := find(inner, func(o any) bool { v, _ := o.(map[string]any); return v["name"] == word })
		if !ok {
			return nil, fmt.Errorf("/%s has no %s", name, word)
		}
		declared, _ = o.(map[string]any)
		sub := map[string]any{"name": word, "type": declared["type"]}
		at["options"] = []any{sub}
		at = sub
	}
	var filled []any
	inner, _ := declared["options"].([]any)
	known := map[string]bool{}
	for _, each := range inner {
		o, _ := each.(map[string]any)
		option, _ := o["name"].(string)
		known[option] = true
		v, ok := given[option]
		required, _ := o["required"].(bool)
		if !ok {
			if required && focused == "" {
				return nil, fmt.Errorf("/%s needs %s", name, option)
			}
			continue
		}
		value, err := optionValue(o, v, option == focused)
		if err != nil {
			return nil, fmt.Errorf("/%s: %w", name, err)
		}
		one := map[string]any{"name": option, "type": o["type"], "value": value}
		if option == focused {
			one["focused"] = true
		}
		filled = append(filled, one)
	}
	for option := range given {
		if !known[option] {
			return nil, fmt.Errorf("/%s has no option %s", name, option)
		}
	}
	if filled != nil {
		at["options"] = filled
	}
	return data, nil
}

// offered says whether a command is there: a guild's is not in direct messages.
func offered(o map[string]any, direct bool) bool {
	contexts, limited := o["contexts"].([]any)
	if !direct {
		return !limited || slices.Contains(contexts, any(0.0))
	}
	return o["guild_id"] == nil && o["dm_permission"] != false && (!limited || slices.Contains(contexts, any(1.0)))
}

// optionValue is what a client lets through of what somebody types.
func optionValue(o map[string]any, v string, typing bool) (any, error) {
	name, _ := o["name"].(string)
	if typing {
		if auto, _ := o["autocomplete"].(bool); !auto {
			return nil, fmt.Errorf("%s is not completed", name)
		}
		return v, nil
	}
	choices, _ := o["choices"].([]any)
	if len(choices) > 0 {
		c, ok := find(choices, func(c any) bool {
			each, _ := c.(map[string]any)
			return each["name"] == v || fmt.Sprint(each["value"]) == v
		})
		if !ok {
			return nil, fmt.Errorf("%s cannot be %q", name, v)
		}
		return c.(map[string]any)["value"], nil
	}
	switch o["type"] {
	case 4.0:
		n, err := strconv.ParseInt(v, 10, 53)
		if err != nil || belowOrAbove(o, float64(n)) {
			return nil, fmt.Errorf("%s cannot be %q", name, v)
		}
		return n, nil
	case 10.0:
		n, err := strconv.ParseFloat(v, 64)
		if err != nil || belowOrAbove(o, n) {
			return nil, fmt.Errorf("%s cannot be %q", name, v)
		}
		return n, nil
	case 5.0:
		return strconv.ParseBool(v)
	}
	least, _ := o["min_length"].(float64)
	most, limited := o["max_length"].(float64)
	if n := float64(utf16Len(v)); n < least || limited && n > most || v == "" {
		return nil, fmt.Errorf("%s cannot be %q", name, v)
	}
	return v, nil
}

func belowOrAbove(o map[string]any, n float64) bool {
	least, bounded := o["min_value"].(float64)
	most, limited := o["max_value"].(float64)
	return bounded && n < least || limited && n > most
}

// Choice is one that the bot offers while somebody types.
type Choice struct{ Name, Value string }

// Autocomplete is what the bot offers when a person has typed something into an
// option, or nothing where it does not answer in time. Others are what is in the
// other options already.
func (s *Server) Autocomplete(user, channel, name, option, typed string, others ...map[string]string) []Choice {
	s.t.Helper()
	given := map[string]string{option: typed}
	for _, o := range others {
		maps.Copy(given, o)
	}
	s.mu.Lock()
	in := s.channel(channel)
	data, err := s.commandData(in, name, given, option)
	if err != nil {
		s.mu.Unlock()
		s.t.Error(err)
		return nil
	}
	it := s.begin(&interaction{kind: ofAutocomplete, by: s.user(user), in: in, data: data})
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), s.patience+time.Second)
	defer cancel()
	done, err := s.Answered(ctx, it.id)
	if err != nil {
		s.t.Errorf("/%s %s: %v", name, option, err)
	}
	return done.Choices
}

// Submit lets a person fill in the form that an interaction was answered with.
// It returns the new interaction's id.
func (s *Server) Submit(user, interactionID string, values map[string]string) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	first, ok := find(s.interactions, func(it *interaction) bool { return it.id == interactionID })
	if !ok || first.modal == nil {
		s.t.Errorf("the interaction %s was not answered with a form", interactionID)
		return ""
	}
	form, _ := first.modal["components"].([]any)
	var filled []any
	for _, each := range form {
		o, _ := each.(map[string]any)
		field, _ := o["component"].(map[string]any)
		if within, _ := o["components"].([]any); len(within) == 1 {
			field, _ = within[0].(map[string]any)
		}
		if field == nil {
			continue // a text between
		}
		id, _ := field["custom_id"].(string)
		value := map[string]any{"type": field["type"], "custom_id": id, "value": values[id]}
		if field["type"] == 3.0 {
			delete(value, "value")
			value["values"] = []string{values[id]}
		}
		if o["type"] == 1.0 {
			filled = append(filled, map[string]any{"type": 1, "components": []any{value}})
		} else {
			filled = append(filled, map[string]any{"type": 18, "id": len(filled) + 1, "component": value})
		}
	}
	data := map[string]any{"custom_id": first.modal["custom_id"], "components": filled}
	return s.begin(&interaction{kind: ofModal, by: s.user(user), in: first.in, source: first.source, first: first, data: data}).id
}
