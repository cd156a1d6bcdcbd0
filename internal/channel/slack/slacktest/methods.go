package slacktest

import (
	"slices"
	"strconv"
	"strings"
)

func (s *Server) conversationsOpen(a args) (object, error) {
	if a.str("channel") != "" {
		c, err := s.where(a.str("channel"))
		if err != nil {
			return nil, err
		}
		return object{"channel": object{"id": c.id}}, nil
	}
	users := strings.Split(a.str("users"), ",")
	if len(users) != 1 {
		return nil, refuse("users_list_not_supplied", "the fake opens direct messages with one person only")
	}
	if p := s.people[users[0]]; p == nil || p.bot {
		return nil, refuse("user_not_found")
	}
	return object{"channel": object{"id": s.im(users[0]).id}, "no_op": true, "already_open": true}, nil
}

// readable finds a channel that the bot may read with a scope of its kind.
func (s *Server) readable(a args, what string) (*channel, error) {
	c, err := s.where(a.str("channel"))
	if err != nil || c.id != a.str("channel") {
		return nil, refuse("channel_not_found") // here names will not do
	}
	if !s.granted(c.scope() + ":" + what) {
		return nil, s.missing(c.scope() + ":" + what)
	}
	return c, nil
}

func (s *Server) conversationsInfo(a args) (object, error) {
	c, err := s.readable(a, "read")
	if err != nil {
		return nil, err
	}
	out := object{
		"id": c.id, "created": 1700000000, "is_archived": false, "is_im": c.im != "", "is_private": c.private, "is_channel": c.im == "" && !c.private, "is_group": c.im == "" && c.private,
		"is_mpim": false, "is_general": c.id == General, "is_shared": false, "is_ext_shared": false, "context_team_id": Team, "is_member": slices.Contains(c.members, BotUser),
	}
	if c.im != "" {
		out["user"] = c.im
	} else {
		out["name"], out["name_normalized"] = c.name, c.name
	}
	if a.flag("include_num_members") {
		out["num_members"] = len(c.members)
	}
	return object{"channel": out}, nil
}

func (s *Server) history(a args) (object, error) {
	c, err := s.readable(a, "history")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(c.members, BotUser) {
		return nil, refuse("not_in_channel")
	}
	replies := a.method == "conversations.replies"
	if replies && s.find(c.id, a.str("ts")) == nil {
		return nil, refuse("thread_not_found")
	}
	var all []object
	for _, m := range s.messages {
		if m.channel != c.id || m.only != "" || replies && m.ts != a.str("ts") && m.thread != a.str("ts") || !replies && m.thread != "" && m.thread != m.ts {
			continue
		}
		if oldest := a.str("oldest"); oldest != "" && (m.ts < oldest || m.ts == oldest && !a.flag("inclusive")) {
			continue
		}
		if latest := a.str("latest"); latest != "" && (m.ts > latest || m.ts == latest && !a.flag("inclusive")) {
			continue
		}
		all = append(all, m.json())
	}
	if !replies {
		slices.Reverse(all)
	}
	return s.page(a, "messages", all)
}

// page is one page of a list.
func (s *Server) page(a args, key string, all []object) (object, error) {
	from, most := 0, 100
	if c := a.str("cursor"); c != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(c, "next:"))
		if err != nil || n > len(all) {
			return nil, refuse("invalid_cursor")
		}
		from = n
	}
	if l := a.str("limit"); l != "" && l != "0" {
		n, err := strconv.Atoi(l)
		if err != nil || n < 1 || n > 1000 {
			return nil, refuse("invalid_limit")
		}
		most = n
	}
	to, next := min(from+most, len(all)), ""
	if to < len(all) {
		next = "next:" + strconv.Itoa(to)
	}
	list := all[from:to]
	if list == nil {
		list = []object{}
	}
	return object{key: list, "has_more": next != "", "response_metadata": object{"next_cursor": next}}, nil
}

func (s *Server) user(p *person) object {
	full := strings.ToUpper(p.Name[:1]) + p.Name[1:]
	if p.bot {
		full = p.Name
	}
	profile := object{"real_name": full, "display_name": p.Name, "team": p.team()}
	if p.Email != "" && s.granted("users:read.email") {
		profile["email"] = p.Email
	}
	return object{
		"id": p.id, "team_id": p.team(), "name": p.Name, "real_name": full, "deleted": p.Deactivated, "is_bot": p.bot, "is_app_user": false, "is_stranger": p.Team != "",
		"is_restricted": p.Guest, "is_ultra_restricted": false, "is_email_confirmed": p.Email != "" && !p.Unconfirmed, "tz": "Europe/Berlin", "tz_offset": 3600, "profile": profile,
	}
}

// team is the workspace that somebody belongs to.
func (p *person) team() string {
	if p.Team != "" {
		return p.Team
	}
	return Team
}

func (s *Server) usersInfo(a args) (object, error) {
	for _, p := range s.people {
		if a.method == "users.info" && p.id == a.str("user") || a.method != "users.info" && p.Email != "" && p.Email == a.str("email") {
			return object{"user": s.user(p)}, nil
		}
	}
	if a.method != "users.info" {
		return nil, refuse("users_not_found")
	}
	return nil, refuse("user_not_found")
}

func (s *Server) usersList(a args) (object, error) {
	var all []object
	for _, p := range s.people {
		all = append(all, s.user(p))
	}
	slices.SortFunc(all, func(a, b object) int {
		x, _ := a["id"].(string)
		y, _ := b["id"].(string)
		return strings.Compare(x, y)
	})
	return s.page(a, "members", all)
}
