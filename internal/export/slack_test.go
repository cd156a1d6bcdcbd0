package export

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestSlack holds the manifest to the limits of Slack's reference, and both ways
// to what they need.
func TestSlack(t *testing.T) {
	for name, endpoint := range map[string]string{"socket": "", "http": "https://bot.example/"} {
		t.Run(name, func(t *testing.T) {
			files, err := Slack(english(), endpoint)
			if err != nil {
				t.Fatal(err)
			}
			var m slackManifest
			if err := json.Unmarshal(files["manifest.json"], &m); err != nil {
				t.Fatal(err)
			}
			if n := utf8.RuneCountInString(m.Display.Long); n < slackLong || n > slackLongest {
				t.Errorf("the long description has %d characters", n)
			}
			if n := utf8.RuneCountInString(m.Display.Description); n > slackDescription {
				t.Errorf("the description has %d characters", n)
			}
			for _, s := range m.Features.Shortcuts {
				if utf8.RuneCountInString(s.Name) > 24 || utf8.RuneCountInString(s.Description) > 150 || s.CallbackID == "" {
					t.Errorf("shortcut %+v", s)
				}
			}
			if !m.Features.Home.Home || !m.Features.Home.Messages || m.Features.Home.ReadOnly {
				t.Errorf("home %+v", m.Features.Home)
			}
			urls := []string{m.Settings.Events.URL, m.Settings.Interactivity.URL, m.Features.Commands[0].URL}
			if endpoint == "" {
				if !m.Settings.Socket || strings.Join(urls, "") != "" {
					t.Errorf("socket mode %v, addresses %q", m.Settings.Socket, urls)
				}
				return
			}
			want := "https://bot.example" + SlackEvents + " https://bot.example" + SlackInteractions + " https://bot.example" + SlackCommands
			if m.Settings.Socket || strings.Join(urls, " ") != want {
				t.Errorf("socket mode %v, addresses %q", m.Settings.Socket, urls)
			}
		})
	}
	for _, wrong := range []string{"http://bot.example", "bot.example", "https://bot.example?x=1", "https://u:p@bot.example"} {
		if _, err := Slack(english(), wrong); err == nil {
			t.Errorf("%s is taken for an endpoint", wrong)
		}
	}
}

// TestSlackScopes holds the scopes to the events: an event needs the scope that Slack's
// reference names, and no history is read that no event is for.
func TestSlackScopes(t *testing.T) {
	needs := map[string]string{
		"app_mention": "app_mentions:read", "message.channels": "channels:history", "message.groups": "groups:history",
		"message.im": "im:history", "app_home_opened": "",
	}
	have := map[string]bool{}
	for _, s := range SlackScopes() {
		if s[1] == "" || have[s[0]] {
			t.Errorf("scope %s is there twice, or for nothing", s[0])
		}
		have[s[0]] = true
	}
	used := map[string]bool{}
	for _, e := range SlackAppEvents() {
		scope, known := needs[e]
		if !known || scope != "" && !have[scope] {
			t.Errorf("event %s lacks %q", e, scope)
		}
		used[scope] = true
	}
	for s := range have {
		if strings.HasSuffix(s, ":history") && !used[s] {
			t.Errorf("scope %s is for no event", s)
		}
	}
	for _, wide := range []string{"admin", "chat:write.public", "channels:read", "channels:join", "search:read", "users:write"} {
		if have[wide] {
			t.Errorf("scope %s is more than is needed", wide)
		}
	}
}
