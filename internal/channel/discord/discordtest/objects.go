package discordtest

import (
	"fmt"
	"strings"
	"time"
)

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000+00:00")
}

func userObject(u *user) map[string]any {
	o := map[string]any{"id": u.id, "username": u.name, "discriminator": "0", "avatar": nil, "global_name": nil, "public_flags": 0, "flags": 0, "banner": nil, "accent_color": nil}
	if u.bot {
		o["bot"], o["discriminator"] = true, "4242"
	} else {
		o["global_name"] = strings.ToUpper(u.name[:1]) + u.name[1:]
	}
	return o
}

func (s *Server) selfObject() map[string]any {
	o := userObject(s.bot)
	o["mfa_enabled"], o["locale"], o["verified"], o["email"] = false, "en-US", true, nil
	return o
}

func (s *Server) memberObject(u *user, withUser bool) map[string]any {
	roles := u.roles
	if roles == nil {
		roles = []string{}
	}
	o := map[string]any{
		"avatar": nil, "banner": nil, "communication_disabled_until": nil, "flags": 0, "joined_at": stamp(u.joined), "nick": nil, "pending": false,
		"premium_since": nil, "roles": roles, "mute": false, "deaf": false,
	}
	if withUser {
		o["user"] = userObject(u)
	}
	return o
}

func (s *Server) roleObject(r *role, position int) map[string]any {
	return map[string]any{
		"id": r.id, "name": r.name, "permissions": fmt.Sprint(uint64(allPermissions)), "position": position, "color": 0, "hoist": false, "managed": false, "mentionable": true,
		"colors": map[string]any{"primary_color": 0, "secondary_color": nil, "tertiary_color": nil}, "icon": nil, "unicode_emoji": nil, "flags": 0,
	}
}

func (s *Server) channelObject(c *channel) map[string]any {
	var last any
	if n := len(c.messages); n > 0 {
		last = c.messages[n-1].id
	}
	o := map[string]any{"id": c.id, "type": c.kind, "flags": 0, "last_message_id": last, "last_pin_timestamp": nil}
	switch {
	case c.recipient != nil:
		o["recipients"] = []any{userObject(c.recipient)}
	case c.thread():
		count := len(c.messages)
		o["guild_id"], o["name"], o["parent_id"], o["owner_id"] = s.guild, c.name, c.parent, c.owner.id
		o["message_count"], o["member_count"], o["total_message_sent"], o["rate_limit_per_user"] = count, 1, count, 0
		o["thread_metadata"] = map[string]any{
			"archived": c.archived, "archive_timestamp": stamp(c.made), "auto_archive_duration": c.archiveAt, "locked": c.locked, "create_timestamp": stamp(c.made),
		}
		o["member"] = map[string]any{"id": c.id, "user_id": s.bot.id, "join_timestamp": stamp(c.made), "flags": 0}
	default:
		o["guild_id"], o["name"], o["position"], o["nsfw"], o["topic"], o["parent_id"], o["rate_limit_per_user"] = s.guild, c.name, 0, false, nil, nil, 0
		o["permission_overwrites"] = []any{}
		if c.denied != 0 {
			o["permission_overwrites"] = []any{map[string]any{"id": s.bot.id, "type": 1, "allow": "0", "deny": fmt.Sprint(c.denied)}}
		}
	}
	return o
}

func (s *Server) guildObject() map[string]any {
	o := map[string]any{
		"id": s.guild, "name": "The shop", "owner_id": s.bot.id, "description": nil, "region": "deprecated", "afk_timeout": 300, "system_channel_flags": 0, "widget_enabled": false,
		"verification_level": 0, "default_message_notifications": 1, "mfa_level": 0, "explicit_content_filter": 0, "max_presences": nil, "max_members": 500000,
		"max_stage_video_channel_users": 50, "max_video_channel_users": 25, "premium_tier": 0, "premium_subscription_count": 0, "preferred_locale": "en-US",
		"premium_progress_bar_enabled": false, "nsfw": false, "nsfw_level": 0, "features": []any{}, "emojis": []any{}, "stickers": []any{}, "incidents_data": nil, "roles": s.roleObjects(),
	}
	for _, k := range strings.Fields(`icon home_header splash discovery_splash banner application_id afk_channel_id system_channel_id widget_channel_id
		vanity_url_code rules_channel_id safety_alerts_channel_id public_updates_channel_id`) {
		o[k] = nil
	}
	return o
}

func (s *Server) roleObjects() []any {
	var out []any
	for i, r := range s.roles {
		out = append(out, s.roleObject(r, i))
	}
	return out
}

// channelObjects are the guild's channels, or its threads.
func (s *Server) channelObjects(threads bool) []any {
	out := []any{}
	for _, c := range s.channels {
		if c.recipient == nil && c.thread() == threads && !c.archived && c.denied&viewChannel == 0 {
			out = append(out, s.channelObject(c))
		}
	}
	return out
}

// guildCreate is the guild as the gateway tells it once.
func (s *Server) guildCreate(intents int) map[string]any {
	o := s.guildObject()
	members := []any{s.memberObject(s.bot, true)}
	if intents&guildMembers != 0 {
		for _, u := range s.users[1:] {
			members = append(members, s.memberObject(u, true))
		}
	}
	o["joined_at"], o["large"], o["unavailable"], o["member_count"] = stamp(s.bot.joined), false, false, len(s.users)
	o["members"], o["channels"], o["threads"] = members, s.channelObjects(false), s.channelObjects(true)
	for _, k := range strings.Fields("voice_states presences stage_instances guild_scheduled_events soundboard_sounds") {
		o[k] = []any{}
	}
	return o
}

func (s *Server) applicationObject() map[string]any {
	o := map[string]any{
		"id": s.bot.id, "name": s.bot.name, "icon": nil, "description": "", "type": nil, "flags": s.applicationFlags(), "flags_new": fmt.Sprint(s.applicationFlags()), "verify_key": s.PublicKey(), "redirect_uris": []any{},
		"interactions_endpoint_url": nil, "role_connections_verification_url": nil, "owner": userObject(s.bot), "approximate_guild_count": 1,
		"approximate_user_install_count": 0, "approximate_user_authorization_count": 0, "explicit_content_filter": 0, "bot": userObject(s.bot), "bot_public": false,
		"bot_require_code_grant": false, "eligible_oauth2_scopes": []any{},
	}
	if s.endpoint != "" {
		o["interactions_endpoint_url"] = s.endpoint
	}
	return o
}

// applicationFlags says which privileged intents the application may use: those
// of members, and of messages' content unless it was taken away.
func (s *Server) applicationFlags() int {
	flags := 1 << 15
	if s.content {
		flags |= 1 << 19
	}
	return flags
}

type message struct {
	id         string
	in         *channel
	author     *user
	kind       int // 0 of a person, 18 and 21 say that there is a thread, 19 a reply, 20 of a command
	content    string
	embeds     []any
	components []any
	files      []*file
	flags      int
	at, edited time.Time
	edits      int
	reference  map[string]any
	nonce      any
	pings      []*user
	pingRoles  []string
	everyone   bool
	only       *user // who alone sees it
	by         *interaction
	thread     *channel
	gone       bool
}

type file struct {
	id, name, kind, description string
	url                         string
	data                        []byte
	seconds                     float64
	waveform                    string
}

func fileObject(f *file) map[string]any {
	o := map[string]any{"id": f.id, "filename": f.name, "size": len(f.data), "url": f.url, "proxy_url": f.url, "content_type": f.kind}
	if f.description != "" {
		o["description"] = f.description
	}
	if f.waveform != "" {
		o["duration_secs"], o["waveform"] = f.seconds, f.waveform
	}
	return o
}

// messageObject is a message as the bot gets to see it.
func (s *Server) messageObject(m *message, mayRead bool) map[string]any {
	mentions, files := []any{}, []any{}
	for _, u := range m.pings {
		mentions = append(mentions, userObject(u))
	}
	for _, f := range m.files {
		files = append(files, fileObject(f))
	}
	roles := m.pingRoles
	if roles == nil {
		roles = []string{}
	}
	o := map[string]any{
		"id": m.id, "channel_id": m.in.id, "author": userObject(m.author), "type": m.kind, "content": m.content, "timestamp": stamp(m.at), "edited_timestamp": stamp(m.edited),
		"tts": false, "mention_everyone": m.everyone, "mentions": mentions, "mention_roles": roles, "attachments": files, "embeds": list(m.embeds), "pinned": false,
		"flags": m.flags, "components": list(m.components),
	}
	if m.nonce != nil {
		o["nonce"] = m.nonce
	}
	if m.reference != nil {
		o["message_reference"] = m.reference
	}
	if m.thread != nil {
		o["thread"] = s.channelObject(m.thread)
	}
	if m.by != nil {
		o["application_id"], o["webhook_id"], o["interaction_metadata"] = s.bot.id, s.bot.id, s.interactionMetadata(m.by)
	}
	if !mayRead && m.author != s.bot && m.in.recipient == nil && !pinged(m, s.bot) {
		o["content"], o["embeds"], o["attachments"], o["components"] = "", []any{}, []any{}, []any{}
	}
	return o
}

func pinged(m *message, who *user) bool {
	_, ok := find(m.pings, func(u *user) bool { return u == who })
	return ok
}

func list(of []any) []any {
	if of == nil {
		return []any{}
	}
	return of
}
