//go:build unix

package slacktest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/slack/slacktest"
)

type object = map[string]any

// call calls a method with JSON, or with a form where args are url.Values.
func call(t *testing.T, s *slacktest.Server, token, method string, args any) object {
	t.Helper()
	kind, body := "application/json; charset=utf-8", []byte(nil)
	if form, ok := args.(url.Values); ok {
		kind, body = "application/x-www-form-urlencoded", []byte(form.Encode())
	} else {
		body, _ = json.Marshal(args) // of what the tests write down
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+method, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var out object
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	if want := map[bool]int{true: 200, false: 429}[out["error"] != "ratelimited"]; res.StatusCode != want {
		t.Errorf("%s: status %d of %v", method, res.StatusCode, out)
	}
	if res.StatusCode == 429 {
		out["retry"] = res.Header.Get("Retry-After")
	}
	return out
}

func TestItRefusesWhatSlackRefuses(t *testing.T) {
	s := slacktest.New(t)
	bot, app := s.Config().BotToken, s.Config().AppToken
	elsewhere := s.AddChannel("elsewhere", false, slacktest.Alice)
	private := s.AddChannel("private", true, slacktest.Alice)
	said := s.Say(slacktest.Alice, slacktest.General, "", "hello")
	reply := s.Say(slacktest.Bob, slacktest.General, said, "hello yourself")
	own, _ := call(t, s, bot, "chat.postMessage", object{"channel": slacktest.General, "text": "mine"})["ts"].(string)
	const g = slacktest.General
	for _, c := range []struct {
		token, method string
		args          any
		want          string
	}{
		{"", "auth.test", object{}, "not_authed"},
		{"xoxb-none", "auth.test", object{}, "invalid_auth"},
		{bot, "auth.test", object{}, ""},
		{bot, "no.such", object{}, "unknown_method"},
		{bot, "apps.connections.open", object{}, "not_allowed_token_type"},
		{app, "chat.postMessage", object{"channel": g, "text": "x"}, "not_allowed_token_type"},
		{bot, "chat.postMessage", object{"channel": "C404", "text": "x"}, "channel_not_found"},
		{bot, "chat.postMessage", object{"channel": private, "text": "x"}, "channel_not_found"},
		{bot, "chat.postMessage", object{"channel": elsewhere, "text": "x"}, "not_in_channel"},
		{bot, "chat.postMessage", object{"channel": g}, "no_text"},
		{bot, "chat.postMessage", object{"channel": g, "text": "x", "thread": said}, "invalid_arguments"},
		{bot, "chat.postMessage", object{"channel": g, "text": "x", "thread_ts": "1.0"}, "invalid_thread_ts"},
		{bot, "chat.postMessage", object{"channel": g, "text": "x", "thread_ts": reply}, "invalid_thread_ts"},
		{bot, "chat.postMessage", object{"channel": g, "text": "x", "thread_ts": said}, ""},
		{bot, "chat.postMessage", object{"channel": g, "text": strings.Repeat("x", 40001)}, "msg_too_long"},
		{bot, "chat.postMessage", object{"channel": g, "blocks": "[{"}, "invalid_blocks_format"},
		{bot, "chat.postMessage", object{"channel": g, "blocks": object{}}, "invalid_blocks_format"},
		{bot, "chat.postMessage", object{"channel": g, "text": "x", "username": "root"}, "missing_scope"},
		{bot, "chat.postMessage", object{"channel": g, "blocks": slices.Repeat([]any{sections(2900)}, 5)}, "msg_blocks_too_long"},
		{bot, "chat.postMessage", url.Values{"channel": {g}, "text": {"by a form"}, "blocks": {`[{"type":"divider"}]`}}, ""},
		{bot, "chat.postEphemeral", object{"channel": g, "user": "U404", "text": "x"}, "user_not_in_channel"},
		{bot, "chat.update", object{"channel": g, "ts": own, "text": strings.Repeat("x", 4001)}, "msg_too_long"},
		{bot, "chat.update", object{"channel": g, "ts": said, "text": "x"}, "cant_update_message"},
		{bot, "chat.update", object{"channel": g, "ts": "1.0", "text": "x"}, "message_not_found"},
		{bot, "chat.update", object{"channel": g, "ts": own, "text": "x"}, ""},
		{bot, "chat.delete", object{"channel": g, "ts": said}, "cant_delete_message"},
		{bot, "chat.startStream", object{"channel": g, "thread_ts": said}, "missing_recipient_user_id"},
		{bot, "chat.appendStream", object{"channel": g, "ts": own, "markdown_text": "x"}, "message_not_in_streaming_state"},
		{bot, "conversations.replies", url.Values{"channel": {g}, "ts": {"1.0"}}, "thread_not_found"},
		{bot, "conversations.replies", url.Values{"channel": {elsewhere}, "ts": {"1.0"}}, "not_in_channel"},
		{bot, "conversations.history", url.Values{"channel": {g}, "limit": {"0x"}}, "invalid_limit"},
		{bot, "conversations.open", object{"users": "U404"}, "user_not_found"},
		{bot, "users.info", url.Values{"user": {slacktest.Bob}}, ""},
		{bot, "users.info", object{"user": slacktest.Bob}, "user_not_found"}, // it takes no JSON
		{bot, "views.open", object{"trigger_id": "1.2.3", "view": modal(nil)}, "invalid_trigger_id"},
		{bot, "views.publish", object{"user_id": slacktest.Bob, "view": modal(nil)}, "invalid_arguments"},
		{bot, "views.update", object{"view_id": "V1", "view": modal(nil)}, "not_found"},
		{bot, "files.getUploadURLExternal", url.Values{"filename": {"x.png"}, "length": {"0"}}, "invalid_arguments"},
		{bot, "files.completeUploadExternal", object{"files": []any{object{"id": "F1"}}}, "file_not_found"},
		{bot, "files.info", url.Values{"file": {"F1"}}, "file_not_found"},
		{bot, "reactions.add", object{"channel": g, "timestamp": said, "name": "Not An Emoji"}, "invalid_name"},
		{bot, "reactions.add", object{"channel": g, "timestamp": said, "name": "eyes"}, ""},
		{bot, "reactions.add", object{"channel": g, "timestamp": said, "name": "eyes"}, "already_reacted"},
	} {
		out := call(t, s, c.token, c.method, c.args)
		if got, _ := out["error"].(string); got != c.want || out["ok"] != (c.want == "") {
			t.Errorf("%s %.200v: %.300v, want %q", c.method, c.args, out, c.want)
		}
	}

	s.Change(func(c *slacktest.Config) { c.Scopes = []string{"users:read", "chat:write"} })
	out := call(t, s, bot, "reactions.add", object{"channel": g, "timestamp": said, "name": "wave"})
	if fmt.Sprintf("%v %v %v", out["error"], out["needed"], out["provided"]) != "missing_scope reactions:write users:read,chat:write" {
		t.Errorf("%v", out)
	}
	user, _ := call(t, s, bot, "users.info", url.Values{"user": {slacktest.Bob}})["user"].(object)
	if profile, _ := user["profile"].(object); profile["email"] != nil {
		t.Errorf("without users:read.email: %v", profile)
	}

	s.Limit(2, 3*time.Second)
	for range 3 {
		if out := call(t, s, bot, "auth.test", object{}); out["error"] != "ratelimited" || out["retry"] != "3" {
			t.Errorf("%v", out)
		}
	}
	s.Advance(3 * time.Second)
	if out := call(t, s, bot, "auth.test", object{}); out["ok"] != true {
		t.Errorf("%v", out)
	}
	soon := 0
	for _, c := range s.Calls("auth.test") {
		if c.TooSoon {
			soon++
		}
	}
	if soon != 2 {
		t.Errorf("%d calls came too soon, not 2", soon)
	}

	s.Pace(1, 2)
	var got []any
	for range 3 {
		got = append(got, call(t, s, bot, "chat.postMessage", object{"channel": g, "text": "x"})["error"])
	}
	if fmt.Sprint(got) != "[<nil> <nil> ratelimited]" {
		t.Errorf("three at once: %v", got)
	}
}

func sections(n int) object {
	return object{"type": "section", "text": object{"type": "mrkdwn", "text": strings.Repeat("x", n)}}
}

func plain(s string) object { return object{"type": "plain_text", "text": s} }

func button(id string, more object) object {
	b := object{"type": "button", "action_id": id, "text": plain("Go")}
	for k, v := range more {
		b[k] = v
	}
	return b
}

func actions(elements ...any) object {
	return object{"type": "actions", "elements": append([]any{}, elements...)}
}

func modal(more object) object {
	m := object{"type": "modal", "title": plain("Where?"), "submit": plain("Go"), "blocks": []any{input(object{"type": "plain_text_input", "action_id": "v"})}}
	for k, v := range more {
		if m[k] = v; v == nil {
			delete(m, k)
		}
	}
	return m
}

func input(element any) object {
	return object{"type": "input", "block_id": "i", "label": plain("Where"), "element": element}
}

func options(n int) []any {
	var out []any
	for i := range n {
		out = append(out, object{"text": plain("one"), "value": fmt.Sprint(i)})
	}
	return out
}

func rich(elements ...any) object {
	return object{"type": "rich_text", "elements": []any{object{"type": "rich_text_section", "elements": elements}}}
}

// payload is a message's blocks or a view, and what Slack says of it.
type payload struct {
	name    string
	value   any    // a list of blocks, or a view
	want    string // "" is nothing
	byTypes bool   // Slack's types refuse it too
}

func payloads() []payload {
	x := func(n int) string { return strings.Repeat("x", n) }
	one := func(b ...any) []any { return b }
	cell := object{"type": "raw_text", "text": "1"}
	return []payload{
		{"all that a bot uses", one(
			object{"type": "header", "text": plain(x(150))}, sections(3000), object{"type": "divider", "block_id": "d"},
			object{"type": "section", "fields": slices.Repeat([]any{plain("f")}, 10), "accessory": button("a", object{"confirm": object{"title": plain("Sure?"), "text": plain("It goes."), "confirm": plain("Yes"), "deny": plain("No")}})},
			actions(button("go", object{"value": x(2000), "style": "primary"}), button("no", object{"style": "danger"}), object{"type": "static_select", "action_id": "s", "options": options(100), "placeholder": plain("Which?")}),
			object{"type": "context", "elements": []any{plain("a"), object{"type": "mrkdwn", "text": "*b*", "verbatim": true}}},
			object{"type": "image", "slack_file": object{"id": "F1"}, "alt_text": "a chart"},
			rich(object{"type": "text", "text": "a", "style": object{"bold": true}}, object{"type": "link", "url": "https://example.com"}, object{"type": "user", "user_id": "U1"}),
			object{"type": "rich_text", "elements": []any{object{"type": "rich_text_preformatted", "elements": []any{object{"type": "text", "text": "a log"}}}}},
			object{"type": "table", "rows": []any{[]any{cell, cell}}, "column_settings": []any{object{"align": "right", "is_wrapped": true}}},
		), "", false},
		{"fifty blocks", slices.Repeat([]any{object{"type": "divider"}}, 50), "", false},
		{"markdown", one(object{"type": "markdown", "text": "**a**"}), "", false},
		{"a modal", modal(object{"callback_id": x(255), "private_metadata": x(3000)}), "", false},
		{"a home", object{"type": "home", "blocks": []any{sections(10)}}, "", false},

		{"51 blocks", slices.Repeat([]any{object{"type": "divider"}}, 51), "no more than 50 items allowed [json-pointer:/blocks]", false},
		{"an unknown block", one(object{"type": "carrousel"}), "unsupported type: carrousel [json-pointer:/blocks/0/type]", true},
		{"no type", one(object{}), "unsupported type:  [json-pointer:/blocks/0/type]", true},
		{"an unknown field", one(object{"type": "divider", "colour": "red"}), "invalid additional property: colour [json-pointer:/blocks/0]", true},
		{"an emoji in mrkdwn", one(object{"type": "section", "text": object{"type": "mrkdwn", "text": "x", "emoji": true}}), "invalid additional property: emoji [json-pointer:/blocks/0/text]", true},
		{"a long section", one(sections(3001)), "must be less than 3001 characters [json-pointer:/blocks/0/text/text]", false},
		{"an empty section", one(sections(0)), "must be more than 0 characters [json-pointer:/blocks/0/text/text]", false},
		{"a section of nothing", one(object{"type": "section"}), "must define either `text` or `fields` [json-pointer:/blocks/0/type]", false},
		{"eleven fields", one(object{"type": "section", "fields": slices.Repeat([]any{plain("f")}, 11)}), "no more than 10 items allowed [json-pointer:/blocks/0/fields]", false},
		{"a long field", one(object{"type": "section", "fields": []any{plain(x(2001))}}), "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]", false},
		{"a long header", one(object{"type": "header", "text": plain(x(151))}), "must be less than 151 characters [json-pointer:/blocks/0/text/text]", false},
		{"markup in a header", one(object{"type": "header", "text": object{"type": "mrkdwn", "text": "x"}}), "unsupported type: mrkdwn [json-pointer:/blocks/0/text]", true},
		{"a string as text", one(object{"type": "section", "text": "x"}), "unsupported type:  [json-pointer:/blocks/0/text]", true},
		{"a long label", one(actions(button("a", object{"text": plain(x(76))}))), "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]", false},
		{"a long value", one(actions(button("a", object{"value": x(2001)}))), "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]", false},
		{"a long action_id", one(actions(button(x(256), nil))), "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]", false},
		{"a number as value", one(actions(button("a", object{"value": 1}))), "must provide a string [json-pointer:/blocks/0/elements/0/value]", true},
		{"an unknown style", one(actions(button("a", object{"style": "success"}))), "value must be one of: primary, danger [json-pointer:/blocks/0/elements/0/style]", true},
		{"a button without text", one(actions(object{"type": "button", "action_id": "a"})), "missing required field: text [json-pointer:/blocks/0/elements/0]", true},
		{"no elements", one(actions()), "no fewer than 1 items allowed [json-pointer:/blocks/0/elements]", false},
		{"26 elements", one(actions(slices.Repeat([]any{object{"type": "button", "text": plain("x")}}, 26)...)), "no more than 25 items allowed [json-pointer:/blocks/0/elements]", false},
		{"an action_id twice", one(actions(button("a", nil), button("a", nil))), "`action_id` \"a\" already exists for another element of the block [json-pointer:/blocks/0/elements/1/action_id]", false},
		{"a block_id twice", one(object{"type": "divider", "block_id": "b"}, object{"type": "divider", "block_id": "b"}), "`block_id` \"b\" already exists [json-pointer:/blocks/1/block_id]", false},
		{"an input among actions", one(actions(object{"type": "plain_text_input", "action_id": "a"})), "unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]", true},
		{"101 options", one(actions(object{"type": "static_select", "action_id": "a", "options": options(101)})), "no more than 100 items allowed [json-pointer:/blocks/0/elements/0/options]", false},
		{"no options", one(actions(object{"type": "static_select", "action_id": "a"})), "must define either `options` or `option_groups` [json-pointer:/blocks/0/elements/0]", false},
		{"a long option", one(actions(object{"type": "static_select", "action_id": "a", "options": []any{object{"text": plain(x(76)), "value": "v"}}})), "must be less than 76 characters [json-pointer:/blocks/0/elements/0/options/0/text/text]", false},
		{"eleven in a context", one(object{"type": "context", "elements": slices.Repeat([]any{plain("c")}, 11)}), "no more than 10 items allowed [json-pointer:/blocks/0/elements]", false},
		{"a button in a context", one(object{"type": "context", "elements": []any{button("a", nil)}}), "unsupported type: button [json-pointer:/blocks/0/elements/0]", true},
		{"an image from nowhere", one(object{"type": "image", "alt_text": "x"}), "must define either `image_url` or `slack_file` [json-pointer:/blocks/0]", true},
		{"an image without words", one(object{"type": "image", "image_url": "https://example.com/x.png"}), "missing required field: alt_text [json-pointer:/blocks/0]", true},
		{"two tables", slices.Repeat([]any{object{"type": "table", "rows": []any{[]any{cell}}}}, 2), "only_one_table_allowed [json-pointer:/blocks/1]", false},
		{"a wide table", one(object{"type": "table", "rows": []any{slices.Repeat([]any{cell}, 21)}}), "no more than 20 items allowed [json-pointer:/blocks/0/rows/0]", false},
		{"a long table", one(object{"type": "table", "rows": slices.Repeat([]any{[]any{cell}}, 101)}), "no more than 100 items allowed [json-pointer:/blocks/0/rows]", false},
		{"a string as cell", one(object{"type": "table", "rows": []any{[]any{"x"}}}), "must provide an object [json-pointer:/blocks/0/rows/0/0]", true},
		{"an empty text in rich text", one(rich(object{"type": "text", "text": ""})), "must be more than 0 characters [json-pointer:/blocks/0/elements/0/elements/0/text]", false},
		{"markup in rich text", one(rich(object{"type": "mrkdwn", "text": "x"})), "unsupported type: mrkdwn [json-pointer:/blocks/0/elements/0/elements/0/type]", true},
		{"long markdown", one(object{"type": "markdown", "text": x(12001)}), "must be less than 12001 characters [json-pointer:/blocks/0/text]", false},

		{"a modal with a long title", modal(object{"title": plain(x(25))}), "must be less than 25 characters [json-pointer:/view/title/text]", false},
		{"a modal without a title", modal(object{"title": nil}), "missing required field: title [json-pointer:/view]", true},
		{"an input without submit", modal(object{"submit": nil}), "must define `submit` to use an `input` block in modals [json-pointer:/view/blocks/0/input]", false},
		{"long metadata", modal(object{"private_metadata": x(3001)}), "must be less than 3001 characters [json-pointer:/view/private_metadata]", false},
		{"101 blocks in a modal", modal(object{"blocks": slices.Repeat([]any{object{"type": "divider"}}, 101)}), "no more than 100 items allowed [json-pointer:/view/blocks]", false},
		{"a button as input", modal(object{"blocks": []any{input(button("a", nil))}}), "unsupported type: button [json-pointer:/view/blocks/0/element/type]", true},
		{"a title in the home", object{"type": "home", "title": plain("x"), "blocks": []any{}}, "invalid additional property: title [json-pointer:/view]", true},
	}
}

func TestBlocksAreCheckedAsSlackDoes(t *testing.T) {
	s := slacktest.New(t)
	bot := s.Config().BotToken
	for _, p := range payloads() {
		var out object
		if view, ok := p.value.(object); ok {
			method, args := "views.publish", object{"user_id": slacktest.Alice, "view": view}
			if view["type"] == "modal" {
				method, args = "views.open", object{"trigger_id": s.Trigger(slacktest.Alice), "view": view}
			}
			out = call(t, s, bot, method, args)
		} else {
			out = call(t, s, bot, "chat.postMessage", object{"channel": slacktest.General, "text": "x", "blocks": p.value})
		}
		meta, _ := out["response_metadata"].(object)
		if p.want == "" && out["ok"] != true || p.want != "" && (out["ok"] == true || !strings.Contains(fmt.Sprint(meta["messages"]), "[ERROR] "+p.want)) {
			t.Errorf("%s: %.400v, want %q", p.name, out, p.want)
		}
	}
}

// TestTheTypesOfSlackAgree has TypeScript look at the same payloads by the types
// of Slack's own libraries: what the fake takes fits, what it refuses for its
// shape does not.
func TestTheTypesOfSlackAgree(t *testing.T) {
	in := map[string]any{}
	for _, p := range payloads() {
		in[p.name] = p.value
	}
	wrong := slacktest.WrongTypes(t, in)
	for _, p := range payloads() {
		if got := wrong[p.name]; (got != "") != p.byTypes {
			t.Errorf("%s: Slack's types say %.300q", p.name, got)
		}
	}
}

func TestAManifestSetsTheAppUp(t *testing.T) {
	const good = `{"display_information":{"name":"firstmate"},"features":{"bot_user":{"display_name":"firstmate"},"app_home":{"home_tab_enabled":true,"messages_tab_enabled":true,"messages_tab_read_only_enabled":false},
		"slash_commands":[{"command":"/mate","description":"d","usage_hint":"h","should_escape":false}],"shortcuts":[{"name":"Why","type":"message","callback_id":"why","description":"d"}]},
		"oauth_config":{"scopes":{"bot":["app_mentions:read","chat:write","commands","im:history"]}},
		"settings":{"event_subscriptions":{"bot_events":["app_mention","message.im","app_home_opened"]},"interactivity":{"is_enabled":true},"socket_mode_enabled":true}}`
	if wrong := slacktest.CheckManifest([]byte(good)); len(wrong) > 0 {
		t.Error(wrong)
	}
	for _, c := range []struct{ old, with, want string }{
		{`"name":"firstmate"`, `"name":"` + strings.Repeat("x", 36) + `"`, "must be less than 36 characters [json-pointer:/display_information/name]"},
		{`"/mate"`, `"mate"`, "must begin with a slash"},
		{`"/mate"`, `"/Mate"`, "lower case"},
		{`"usage_hint"`, `"usage"`, "invalid additional property: usage"},
		{`"im:history"`, `"im:read"`, "requires the scope im:history [json-pointer:/settings/event_subscriptions/bot_events/1]"},
		{`"commands"`, `"users:read"`, "requires the scope commands"},
		{`"chat:write"`, `"chat:shout"`, "invalid scope: chat:shout"},
		{`"app_home_opened"]`, `"app_home_open"]`, "unknown event: app_home_open"},
		{`"socket_mode_enabled":true`, `"socket_mode_enabled":false`, "missing required field: request_url [json-pointer:/settings/event_subscriptions]"},
		{`"bot_user":{"display_name":"firstmate"},`, ``, "bot scopes require a bot user"},
		{`"type":"message"`, `"type":"channel"`, "value must be one of: message, global"},
	} {
		if got := strings.Join(slacktest.CheckManifest([]byte(strings.Replace(good, c.old, c.with, 1))), "; "); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.with, got, c.want)
		}
	}

	failed := ""
	s := slacktest.New(t, func(c *slacktest.Config) { c.Fail = func(f string, a ...any) { failed = fmt.Sprintf(f, a...) } }, slacktest.FromManifest([]byte(good)))
	s.Command(slacktest.Alice, slacktest.General, "mate", nil)
	s.Say(slacktest.Alice, s.DM(slacktest.Alice), "", "hello")
	if failed != "" {
		t.Error(failed)
	}
	s.Command(slacktest.Alice, slacktest.General, "other", nil)
	if !strings.Contains(failed, "/other is not a valid command") {
		t.Errorf("%q", failed)
	}
	if out := call(t, s, s.Config().BotToken, "users.info", url.Values{"user": {slacktest.Bob}}); out["error"] != "missing_scope" {
		t.Errorf("%v", out)
	}
}

func TestFilesAreForThoseWithTheToken(t *testing.T) {
	s := slacktest.New(t)
	bot := s.Config().BotToken
	put := func(name, body string, length int) (object, *http.Response) {
		out := call(t, s, bot, "files.getUploadURLExternal", url.Values{"filename": {name}, "length": {fmt.Sprint(length)}})
		to, _ := out["upload_url"].(string)
		res, err := http.Post(to, "application/octet-stream", strings.NewReader(body)) //nolint:noctx // of this test's server
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return out, res
	}
	if _, res := put("x.png", "123", 4); res.StatusCode != http.StatusBadRequest {
		t.Errorf("another length than announced: %d", res.StatusCode)
	}
	out, res := put("chart.png", "1234", 4)
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.StatusCode)
	}
	done := call(t, s, bot, "files.completeUploadExternal", object{"files": []any{object{"id": out["file_id"], "title": "A"}}, "channel_id": slacktest.General})
	if done["ok"] != true {
		t.Fatal(done)
	}
	all := s.Messages(slacktest.General, "")
	if len(all) != 1 || len(all[0].Files) != 1 || all[0].Files[0].Title != "A" {
		t.Errorf("%+v", all)
	}
	info, _ := call(t, s, bot, "files.info", url.Values{"file": {all[0].Files[0].ID}})["file"].(object)
	private, _ := info["url_private"].(string)
	for token, want := range map[string]string{bot: "1234", "": "<!DOCTYPE html><title>Sign in | Slack</title>"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, private, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if string(got) != want || err != nil {
			t.Errorf("with %q: %q, %v", token, got, err)
		}
	}
}
