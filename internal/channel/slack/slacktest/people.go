package slacktest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// BotMention is what a person's mention of the bot looks like in a text.
const BotMention = "<@" + BotUser + ">"

// Say has a person write in a channel, or in a thread of it, what they type:
// mentions are written <@U…>, and Slack escapes the rest as it does.
func (s *Server) Say(user, channel, thread, text string) (messageID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.say(user, channel, thread, &message{text: typed(text)})
}

func (s *Server) say(user, channel, thread string, m *message) string {
	c, p := s.channels[channel], s.people[user]
	if c == nil || p == nil || p.Deactivated || !slices.Contains(c.members, user) {
		s.cfg.Fail("%s cannot write in %s", user, channel)
		return ""
	}
	if c.im != "" && s.cfg.NoMessages {
		s.cfg.Fail("sending messages to this app has been turned off")
		return ""
	}
	if thread != "" && s.find(channel, thread) == nil {
		s.cfg.Fail("there is no thread %s in %s", thread, channel)
		return ""
	}
	m.user, m.channel, m.thread = user, channel, thread
	if m.text != "" {
		m.blocks = s.identified([]any{object{"type": "rich_text", "elements": []any{
			object{"type": "rich_text_section", "elements": []any{object{"type": "text", "text": (&reading{}).markup(m.text, false)}}},
		}}})
	}
	s.add(m)
	if strings.Contains(m.text, "<http") { // Slack adds a preview, and tells of it as of an edit
		preview := m.json()
		preview["attachments"] = []any{object{"id": 1, "from_url": "https://example.com", "fallback": "a preview"}}
		s.told(&message{channel: m.channel, thread: m.thread, user: BotUser, ts: s.ts(), subtype: "message_changed"},
			object{"type": "message", "subtype": "message_changed", "message": preview, "previous_message": m.json(), "hidden": true, "ts": s.ts()})
	}
	return m.ts
}

// Edit has a person change what they wrote.
func (s *Server) Edit(user, messageID, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.find("", messageID)
	if m == nil || m.user != user {
		s.cfg.Fail("%s cannot edit %s", user, messageID)
		return
	}
	before := m.json()
	m.text, m.edited, m.blocks = typed(text), s.ts(), nil
	m.edits++
	s.changedMessage(m, before)
}

// trigger is the right to open a view, which a click gives.
type trigger struct {
	user    string
	expires time.Time
	used    bool
}

// trigger makes one. The server is locked.
func (s *Server) trigger(user string) string {
	id := fmt.Sprintf("%d.%d.%s", s.clock.now().UnixNano(), len(s.triggers), strings.ToLower(secret()))
	s.triggers[id] = &trigger{user: user, expires: s.clock.now().Add(s.cfg.AckLimit)}
	return id
}

// hook is a response_url.
type hook struct {
	user, channel, message string // of the message that it may replace, or ""
	left                   int
	expires                time.Time
}

// hook makes one: five uses within half an hour. The server is locked.
func (s *Server) hook(h hook) string {
	h.left, h.expires = 5, s.clock.now().Add(30*time.Minute)
	id := secret()
	s.hooks[id] = &h
	return s.http.URL + "/respond/" + id
}

// respond takes what is posted to a response_url.
func (s *Server) respond(w http.ResponseWriter, r *http.Request) {
	var in object
	err := json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hooks[r.PathValue("id")]
	switch {
	case h == nil || s.clock.now().After(h.expires):
		err = refuse("expired_url")
	case h.left == 0:
		err = refuse("used_url")
	case err != nil:
		err = refuse("invalid_payload")
	default:
		h.left--
		err = s.answer(*h, in)
	}
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		out := object{"ok": false, "error": strings.Fields(err.Error())[0]}
		_ = json.NewEncoder(w).Encode(out) // who asked has gone if this fails
		return
	}
	fmt.Fprint(w, "ok")
}

// answer is a response to an interaction. The server is locked.
func (s *Server) answer(h hook, in object) error {
	a := args{"respond", in}
	for key := range in {
		if !slices.Contains(strings.Fields("text blocks attachments response_type replace_original delete_original thread_ts mrkdwn parse link_names unfurl_links unfurl_media metadata"), key) {
			return refuse("invalid_arguments", key)
		}
	}
	old := s.find(h.channel, h.message)
	if a.flag("delete_original") && old != nil {
		s.messages = slices.DeleteFunc(s.messages, func(m *message) bool { return m == old })
		s.note()
		return nil
	}
	if a.flag("replace_original") && old != nil {
		after := *old
		after.blocks = nil
		if err := s.content(a, &after); err != nil {
			return err
		}
		before := old.json()
		*old = after
		old.edits++
		if old.edited = s.ts(); old.only == "" {
			s.changedMessage(old, before)
		}
		s.note()
		return nil
	}
	m := &message{channel: h.channel, user: BotUser, only: h.user, thread: a.str("thread_ts")}
	if a.str("response_type") == "in_channel" {
		m.only = ""
	}
	if m.thread != "" && s.find(h.channel, m.thread) == nil {
		return refuse("invalid_thread_ts")
	}
	if err := s.content(a, m); err != nil {
		return err
	}
	s.add(m)
	return nil
}

func (s *Server) userJSON(id string) object {
	p := s.people[id]
	return object{"id": id, "username": p.Name, "name": p.Name, "team_id": p.team()}
}

func (s *Server) channelJSON(id string) object {
	name := s.channels[id].name
	if s.channels[id].im != "" {
		name = "directmessage"
	}
	return object{"id": id, "name": name}
}

// interaction is what is the same of all of them. The server is locked.
func (s *Server) interaction(kind, user string) object {
	return object{"type": kind, "token": "slacktest", "api_app_id": AppID, "team": object{"id": Team, "domain": "slacktest"}, "user": s.userJSON(user), "trigger_id": s.trigger(user), "enterprise": nil, "is_enterprise_install": false}
}

// Command has a person use a slash command. options["text"] is what follows it;
// other options are written as name:value, in the order of their names.
func (s *Server) Command(user, channel, name string, options map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name = "/" + strings.TrimPrefix(name, "/")
	words := []string{options["text"]}
	for _, k := range slices.Sorted(maps.Keys(options)) {
		if k != "text" {
			words = append(words, k+":"+options[k])
		}
	}
	c, p := s.channels[channel], s.people[user]
	if c == nil || p == nil || !slices.Contains(c.members, user) || !wants(s.cfg.Commands, name) || !s.granted("commands") {
		s.cfg.Fail("%s is not a valid command for %s in %s", name, user, channel)
		return
	}
	h := hook{user: user, channel: channel}
	s.send(&delivery{
		kind: "slash_commands", lane: channel, by: user, what: name,
		payload: object{
			"token": "slacktest", "team_id": Team, "team_domain": "slacktest", "channel_id": channel, "channel_name": s.channelJSON(channel)["name"], "user_id": user, "user_name": p.Name,
			"command": name, "text": typed(strings.TrimSpace(strings.Join(words, " "))), "api_app_id": AppID, "is_enterprise_install": "false",
			"response_url": s.hook(h), "trigger_id": s.trigger(user),
		},
		answer: func(payload object) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if payload["text"] == nil && payload["blocks"] == nil {
				return
			}
			if err := s.answer(h, payload); err != nil {
				s.failures = append(s.failures, name+": "+err.Error())
			}
		},
	})
}

// Click has a person click a button, which is named by its action_id or value, or
// choose an option of a menu, named by its value; in a message, the home or the
// modal on top, where messageID is the view's.
func (s *Server) Click(user, messageID, buttonID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.interaction("block_actions", user)
	var r reading
	lane := ""
	if v := s.view(messageID); v != nil {
		r.read(v.blocks)
		lane = v.id
		in["container"], in["view"] = object{"type": "view", "view_id": v.id}, v.json()
	} else {
		m := s.find("", messageID)
		if m == nil || m.only != "" && m.only != user || !slices.Contains(s.channels[m.channel].members, user) {
			s.cfg.Fail("%s sees no message %s", user, messageID)
			return
		}
		r.read(m.blocks)
		lane = m.channel + m.ts
		box := object{"type": "message", "message_ts": m.ts, "channel_id": m.channel, "is_ephemeral": m.only != ""}
		if m.thread != "" {
			box["thread_ts"], lane = m.thread, m.channel+m.thread
		}
		in["container"], in["channel"] = box, s.channelJSON(m.channel)
		in["response_url"] = s.hook(hook{user: user, channel: m.channel, message: m.ts})
		if m.only == "" {
			in["message"] = m.json()
		}
	}
	for _, b := range r.buttons {
		action := object{"action_id": b.ID, "block_id": b.Block, "type": b.Kind, "action_ts": s.ts()}
		hit := b.Kind == "button" && (b.ID == buttonID || b.Value == buttonID)
		if hit {
			action["text"] = b.json["text"]
			if b.Value != "" {
				action["value"] = b.Value
			}
			if b.Style != "" {
				action["style"] = b.Style
			}
		}
		for _, o := range b.Options {
			if o.Value == buttonID {
				action["selected_option"], hit = o.json, true
			}
		}
		if hit && s.cfg.NoInteractivity {
			s.cfg.Fail("this app is not configured to handle interactive responses")
			return
		}
		if hit {
			in["actions"], in["state"] = []any{action}, object{"values": object{}}
			s.send(&delivery{kind: "interactive", payload: in, lane: lane, by: user, what: "the button " + buttonID})
			return
		}
	}
	s.cfg.Fail("there is no button %s on %s", buttonID, messageID)
}

// Shortcut has a person use a shortcut of the app, on a message or, where that is
// "", anywhere.
func (s *Server) Shortcut(user, callbackID, messageID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !wants(s.cfg.Shortcuts, callbackID) || s.cfg.NoInteractivity || !s.granted("commands") {
		s.cfg.Fail("the app has no shortcut %s", callbackID)
		return
	}
	kind := "shortcut"
	if messageID != "" {
		kind = "message_action"
	}
	in := s.interaction(kind, user)
	in["callback_id"], in["action_ts"] = callbackID, s.ts()
	lane := user
	if messageID != "" {
		m := s.find("", messageID)
		if m == nil {
			s.cfg.Fail("there is no message %s", messageID)
			return
		}
		in["message"], in["message_ts"], in["channel"], lane = m.json(), m.ts, s.channelJSON(m.channel), m.channel+m.ts
		in["response_url"] = s.hook(hook{user: user, channel: m.channel})
	}
	s.send(&delivery{kind: "interactive", payload: in, lane: lane, by: user, what: "the shortcut " + callbackID})
}

// OpenHome has a person open the app's home.
func (s *Server) OpenHome(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.NoHome {
		s.cfg.Fail("the app has no home")
		return
	}
	ev := object{"type": "app_home_opened", "user": user, "channel": s.im(user).id, "tab": "home", "event_ts": s.ts()}
	if v := s.home(user); v != nil {
		ev["view"] = v.json()
	}
	s.event("app_home_opened", "", user, user, ev)
}

// Trigger is a trigger_id as a click of this person gives it, for one view.
func (s *Server) Trigger(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trigger(user)
}
