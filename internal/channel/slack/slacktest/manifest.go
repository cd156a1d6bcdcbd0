package slacktest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// manifestSpec is Slack's schema of an app's manifest, as far as bots use it.
func manifestSpec() spec {
	obj := func(s spec) rule { return s.object }
	words := list(0, 255, str(1, 50))
	return spec{
		"_metadata": obj(spec{"major_version": number, "minor_version": number}),
		"$schema":   str(1, 500),
		"display_information!": obj(spec{
			"name!": str(1, 35), "description": str(1, 140), "background_color": str(4, 7), "long_description": str(175, 4000),
		}),
		"features": obj(spec{
			"app_home": obj(spec{"home_tab_enabled": flag, "messages_tab_enabled": flag, "messages_tab_read_only_enabled": flag}),
			"bot_user": obj(spec{"display_name!": str(1, 80), "always_online": flag}),
			"shortcuts": list(1, 10, obj(spec{
				"name!": str(1, 24), "type!": among("message", "global"), "callback_id!": str(1, 255), "description!": str(1, 150),
			})),
			"slash_commands": list(1, 50, obj(spec{
				"command!": str(2, 32), "url": address, "description!": str(1, 2000), "usage_hint": str(1, 1000), "should_escape": flag,
			})),
			"unfurl_domains": list(1, 5, str(1, 255)),
		}),
		"oauth_config": obj(spec{"redirect_urls": list(0, 1000, str(1, 2500)), "scopes": obj(spec{"bot": words, "user": words, "bot_optional": words, "user_optional": words})}),
		"settings": obj(spec{
			"event_subscriptions": obj(spec{"request_url": address, "bot_events": list(0, 100, str(1, 50)), "user_events": list(0, 100, str(1, 50))}),
			"interactivity":       obj(spec{"is_enabled!": flag, "request_url": address, "message_menu_options_url": address}),
			"org_deploy_enabled":  flag, "socket_mode_enabled": flag, "token_rotation_enabled": flag, "allowed_ip_address_ranges": list(1, 50, str(1, 50)),
		}),
	}
}

type manifest struct {
	Features struct {
		Home *struct {
			Home     bool  `json:"home_tab_enabled"`
			Messages *bool `json:"messages_tab_enabled"`
			ReadOnly *bool `json:"messages_tab_read_only_enabled"`
		} `json:"app_home"`
		Bot       *struct{} `json:"bot_user"`
		Shortcuts []struct {
			ID string `json:"callback_id"`
		} `json:"shortcuts"`
		Commands []struct{ Command, URL string } `json:"slash_commands"`
	} `json:"features"`
	OAuth struct {
		Scopes struct{ Bot []string } `json:"scopes"`
	} `json:"oauth_config"`
	Settings struct {
		Events struct {
			URL string   `json:"request_url"`
			Bot []string `json:"bot_events"`
		} `json:"event_subscriptions"`
		Interactivity struct {
			Enabled bool   `json:"is_enabled"`
			URL     string `json:"request_url"`
		} `json:"interactivity"`
		Socket bool `json:"socket_mode_enabled"`
	} `json:"settings"`
}

// scopeOf is the scope that an event needs, of those that the fake sends.
func scopeOf() map[string]string {
	return map[string]string{
		"app_mention": "app_mentions:read", "message.channels": "channels:history", "message.groups": "groups:history", "message.im": "im:history", "message.mpim": "mpim:history",
		"app_home_opened": "", "file_shared": "files:read", "reaction_added": "reactions:read", "member_joined_channel": "channels:read", "member_left_channel": "channels:read", "app_uninstalled": "", "tokens_revoked": "",
		"assistant_thread_started": "assistant:write", "assistant_thread_context_changed": "assistant:write", "link_shared": "links:read", "team_join": "users:read", "user_change": "users:read",
	}
}

// otherScopes are those of Slack's that nothing here asks for.
const otherScopes = " assistant:write bookmarks:read bookmarks:write calls:read calls:write channels:join channels:manage chat:write.customize chat:write.public dnd:read emoji:read groups:write incoming-webhook links:read links:write links.embed:write metadata.message:read mpim:write pins:read pins:write reactions:read reminders:read reminders:write team:read usergroups:read usergroups:write users:write users.profile:read"

// CheckManifest says what Slack would say is wrong with an app's manifest in JSON.
func CheckManifest(b []byte) []string {
	_, wrong := readManifest(b)
	return wrong
}

func readManifest(b []byte) (m manifest, wrong []string) {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return m, []string{err.Error()}
	}
	c := &checker{}
	manifestSpec().object(c, "", v)
	if len(c.wrong) > 0 {
		return m, c.wrong
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, []string{err.Error()}
	}
	bot := m.OAuth.Scopes.Bot
	need := func(at, scope string) {
		if scope != "" && !slices.Contains(bot, scope) {
			c.no(at, "requires the scope %s", scope)
		}
	}
	for i, s := range bot {
		if !slices.Contains(strings.Fields(allScopes+otherScopes), s) {
			c.no(fmt.Sprintf("/oauth_config/scopes/bot/%d", i), "invalid scope: %s", s)
		}
	}
	if len(bot) > 0 && m.Features.Bot == nil {
		c.no("/features/bot_user", "bot scopes require a bot user")
	}
	if len(m.Features.Commands)+len(m.Features.Shortcuts) > 0 {
		need("/features", "commands")
	}
	for i, cmd := range m.Features.Commands {
		at := fmt.Sprintf("/features/slash_commands/%d", i)
		if !strings.HasPrefix(cmd.Command, "/") || strings.ToLower(cmd.Command) != cmd.Command || strings.ContainsAny(cmd.Command, " \t") {
			c.no(at+"/command", "must begin with a slash, and be lower case without spaces")
		}
		if cmd.URL == "" && !m.Settings.Socket {
			c.no(at, "missing required field: url")
		}
	}
	for i, e := range m.Settings.Events.Bot {
		scope, known := scopeOf()[e]
		if at := fmt.Sprintf("/settings/event_subscriptions/bot_events/%d", i); known {
			need(at, scope)
		} else {
			c.no(at, "unknown event: %s", e)
		}
	}
	if len(m.Settings.Events.Bot) > 0 && m.Settings.Events.URL == "" && !m.Settings.Socket {
		c.no("/settings/event_subscriptions", "missing required field: request_url")
	}
	if m.Settings.Interactivity.Enabled && m.Settings.Interactivity.URL == "" && !m.Settings.Socket {
		c.no("/settings/interactivity", "missing required field: request_url")
	}
	return m, c.wrong
}

// FromManifest sets the app up as its manifest in JSON says: with the scopes,
// events, commands, shortcuts and tabs that it asks for, and nothing else.
func FromManifest(b []byte) func(*Config) {
	return func(cfg *Config) {
		m, wrong := readManifest(b)
		if len(wrong) > 0 && cfg.Fail != nil {
			cfg.Fail("the manifest: %s", strings.Join(wrong, "; "))
		}
		cfg.Scopes, cfg.Events, cfg.Commands, cfg.Shortcuts = append([]string{}, m.OAuth.Scopes.Bot...), append([]string{}, m.Settings.Events.Bot...), []string{}, []string{}
		for _, c := range m.Features.Commands {
			cfg.Commands = append(cfg.Commands, c.Command)
			cfg.CommandsURL = c.URL
		}
		for _, s := range m.Features.Shortcuts {
			cfg.Shortcuts = append(cfg.Shortcuts, s.ID)
		}
		h := m.Features.Home
		cfg.NoHome = h == nil || !h.Home
		cfg.NoMessages = h == nil || h.Messages == nil || !*h.Messages || h.ReadOnly == nil || *h.ReadOnly
		cfg.NoInteractivity = !m.Settings.Interactivity.Enabled
		cfg.EventsURL, cfg.InteractionsURL = m.Settings.Events.URL, m.Settings.Interactivity.URL
		if m.Settings.Socket {
			cfg.EventsURL, cfg.CommandsURL, cfg.InteractionsURL = "", "", ""
		}
	}
}
