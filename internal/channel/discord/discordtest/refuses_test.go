package discordtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// asked is what came back, and the first code within errors.
type asked struct {
	status, code int
	first        string
	body         map[string]any
	header       http.Header
}

// ask sends a request as a bot does.
func ask(t *testing.T, s *Server, method, path string, body any, change ...func(*http.Request)) asked {
	t.Helper()
	var raw []byte
	if b, ok := body.(string); ok {
		raw = []byte(b)
	} else if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		raw = b
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+"/api/v10"+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "DiscordBot (https://example.com, 1)")
	r.Header.Set("Authorization", "Bot "+s.Token())
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, f := range change {
		f(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := asked{status: resp.StatusCode, header: resp.Header}
	if json.Unmarshal(got, &out.body) == nil && resp.StatusCode >= 400 {
		if c, ok := out.body["code"].(float64); ok {
			out.code = int(c)
		}
		out.first = firstCode(out.body["errors"])
	}
	return out
}

func firstCode(errors any) string {
	o, _ := errors.(map[string]any)
	if list, ok := o["_errors"].([]any); ok {
		code, _ := list[0].(map[string]any)["code"].(string)
		return code
	}
	for k, v := range o {
		return k + "." + firstCode(v)
	}
	return ""
}

type (
	m = map[string]any
	l = []any
)

func button(id, label string) m { return m{"type": 2, "style": 1, "custom_id": id, "label": label} }
func row(of ...any) m           { return m{"type": 1, "components": of} }

func times[T any](n int, make func(int) T) []T {
	var out []T
	for i := range n {
		out = append(out, make(i))
	}
	return out
}

func option(i int) m { return m{"label": fmt.Sprint("o", i), "value": fmt.Sprint("v", i)} }

// TestWhatAMessageMustNotBe goes through what Discord refuses in a body, and what
// is just allowed beside it.
func TestWhatAMessageMustNotBe(t *testing.T) {
	s := New(t, Rate(1000, time.Second, 1000))
	menu := func(options ...m) m { return m{"type": 3, "custom_id": "m", "options": options} }
	for name, c := range map[string]struct {
		body  any
		code  int // 0 is no refusal
		first string
	}{
		"plain":                   {m{"content": "hi"}, 0, ""},
		"empty":                   {m{}, 50006, ""},
		"blank":                   {m{"content": ""}, 50006, ""},
		"2000":                    {m{"content": strings.Repeat("x", 2000)}, 0, ""},
		"2001":                    {m{"content": strings.Repeat("x", 2001)}, 50035, "content.BASE_TYPE_MAX_LENGTH"},
		"unknown field":           {m{"content": "hi", "colour": "red"}, 50035, "colour.UNKNOWN_FIELD"},
		"zero of unknown":         {m{"content": "hi", "colour": nil, "bold": false, "list": l{}}, 0, ""},
		"wrong type":              {m{"content": 5}, 50035, "content.BASE_TYPE_INVALID"},
		"not JSON":                {"{", 50109, ""},
		"label 80":                {m{"components": l{row(button("a", strings.Repeat("x", 80)))}}, 0, ""},
		"label 81":                {m{"components": l{row(button("a", strings.Repeat("x", 81)))}}, 50035, "components.0.components.0.label.BASE_TYPE_MAX_LENGTH"},
		"id 100":                  {m{"components": l{row(button(strings.Repeat("x", 100), "a"))}}, 0, ""},
		"id 101":                  {m{"components": l{row(button(strings.Repeat("x", 101), "a"))}}, 50035, "components.0.components.0.custom_id.BASE_TYPE_MAX_LENGTH"},
		"no id":                   {m{"components": l{row(m{"type": 2, "style": 1, "label": "a"})}}, 50035, "components.BUTTON_COMPONENT_CUSTOM_ID_REQUIRED"},
		"no label":                {m{"components": l{row(m{"type": 2, "style": 1, "custom_id": "a"})}}, 50035, "components.BUTTON_COMPONENT_INVALID_LABEL"},
		"a link with id":          {m{"components": l{row(m{"type": 2, "style": 5, "label": "a", "custom_id": "a", "url": "https://a.b"})}}, 50035, "components.BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE"},
		"a link":                  {m{"components": l{row(m{"type": 2, "style": 5, "label": "a", "url": "https://a.b"})}}, 0, ""},
		"style 7":                 {m{"components": l{row(m{"type": 2, "style": 7, "label": "a", "custom_id": "a"})}}, 50035, "components.0.components.0.style.BASE_TYPE_CHOICES"},
		"twice the same id":       {m{"components": l{row(button("a", "a"), button("a", "b"))}}, 50035, "components.COMPONENT_CUSTOM_ID_DUPLICATED"},
		"5 rows":                  {m{"components": times(5, func(i int) m { return row(button(fmt.Sprint(i), "a")) })}, 0, ""},
		"6 rows":                  {m{"components": times(6, func(i int) m { return row(button(fmt.Sprint(i), "a")) })}, 50035, "components.BASE_TYPE_BAD_LENGTH"},
		"6 buttons":               {m{"components": l{row(times(6, func(i int) any { return button(fmt.Sprint(i), "a") })...)}}, 50035, "components.0.components.BASE_TYPE_MAX_LENGTH"},
		"a button beside a menu":  {m{"components": l{row(button("a", "a"), menu(option(1)))}}, 50035, "components.0.COMPONENT_LAYOUT_WIDTH_EXCEEDED"},
		"a button without row":    {m{"components": l{button("a", "a")}}, 50035, "components.0.UNION_TYPE_CHOICES"},
		"25 options":              {m{"components": l{row(menu(times(25, option)...))}}, 0, ""},
		"26 options":              {m{"components": l{row(menu(times(26, option)...))}}, 50035, "components.0.components.0.options.BASE_TYPE_MAX_LENGTH"},
		"no options":              {m{"components": l{row(m{"type": 3, "custom_id": "m", "options": l{}})}}, 50035, "components.0.components.0.options.BASE_TYPE_REQUIRED"},
		"twice the same value":    {m{"components": l{row(menu(option(1), option(1)))}}, 50035, "components.SELECT_COMPONENT_OPTION_VALUE_DUPLICATED"},
		"embeds of 6000":          {m{"embeds": l{m{"description": strings.Repeat("x", 4000)}, m{"description": strings.Repeat("x", 2000)}}}, 0, ""},
		"embeds of 6001":          {m{"embeds": l{m{"description": strings.Repeat("x", 4000)}, m{"description": strings.Repeat("x", 2001)}}}, 50035, "embeds.MAX_EMBED_SIZE_EXCEEDED"},
		"an embed of 4097":        {m{"embeds": l{m{"description": strings.Repeat("x", 4097)}}}, 50035, "embeds.0.description.BASE_TYPE_MAX_LENGTH"},
		"26 fields":               {m{"embeds": l{m{"fields": times(26, func(i int) m { return m{"name": "a", "value": "b"} })}}}, 50035, "embeds.0.fields.BASE_TYPE_MAX_LENGTH"},
		"a field without value":   {m{"embeds": l{m{"fields": l{m{"name": "a", "value": ""}}}}}, 50035, "embeds.0.fields.0.value.BASE_TYPE_REQUIRED"},
		"an embed of nothing":     {m{"embeds": l{m{}}}, 50035, "embeds.0.description.BASE_TYPE_REQUIRED"},
		"11 embeds":               {m{"embeds": times(11, func(int) m { return m{"title": "a"} })}, 50035, "embeds.BASE_TYPE_MAX_LENGTH"},
		"components of version 2": {m{"flags": 32768, "components": l{m{"type": 10, "content": "hi"}}}, 0, ""},
		"text without the flag":   {m{"components": l{m{"type": 10, "content": "hi"}}}, 50035, "components.0.type.BASE_TYPE_CHOICES"},
		"both":                    {m{"flags": 32768, "content": "a", "components": l{m{"type": 10, "content": "hi"}}}, 50035, "flags.MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"},
		"4001 of text":            {m{"flags": 32768, "components": l{m{"type": 10, "content": strings.Repeat("x", 4000)}, m{"type": 10, "content": "x"}}}, 50035, "components.COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED"},
		"ephemeral in a channel":  {m{"content": "a", "flags": 64}, 50035, "flags.BITFIELD_INVALID"},
		"a voice message's text":  {m{"flags": 8192, "content": "a"}, 50159, ""},
		"no voice":                {m{"flags": 8192}, 50160, ""},
		"a reply to nothing":      {m{"content": "a", "message_reference": m{"message_id": "1"}}, 50035, "message_reference.REPLIES_UNKNOWN_MESSAGE"},
		"or else none":            {m{"content": "a", "message_reference": m{"message_id": "1", "fail_if_not_exists": false}}, 0, ""},
		"a nonce of 26":           {m{"content": "a", "nonce": strings.Repeat("x", 26)}, 50035, "nonce.BASE_TYPE_MAX_LENGTH"},
		"all and one":             {m{"content": "a", "allowed_mentions": m{"parse": l{"users"}, "users": l{"1"}}}, 50035, "allowed_mentions.MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE"},
		"a file that is not here": {m{"content": "a", "attachments": l{m{"id": "0", "filename": "a"}}}, 50035, "attachments.0.id.INVALID_ATTACHMENT"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(t, s, "POST", "/channels/"+s.Channel(name)+"/messages", c.body)
			if got.code != c.code || got.first != c.first || (got.status == 200) != (c.code == 0) {
				t.Errorf("got %d, %d %q of %v; want %d %q", got.status, got.code, got.first, got.body, c.code, c.first)
			}
			if n := len(s.Messages(name, "")); (n == 1) != (c.code == 0) {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// TestWhoMayDoWhat goes through ids, tokens and permissions.
func TestWhoMayDoWhat(t *testing.T) {
	s := New(t)
	s.Deny("secrets", viewChannel)
	s.Deny("silent", sendMessages)
	ops, dm := "/channels/"+s.Channel("ops"), "/channels/"+s.DM("bob")
	s.Refuse("bob")
	hers := s.Say("alice", "ops", "", "hello")
	hello := m{"content": "hi"}
	no := func(h string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(h) } }
	app := "/applications/" + s.Bot()
	command := func(change m) l {
		c := m{"name": "scale", "description": "scales"}
		for k, v := range change {
			c[k] = v
		}
		return l{c}
	}
	str := func(name string, more m) m {
		o := m{"type": 3, "name": name, "description": "d"}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	for _, c := range []struct {
		name, method, path string
		body               any
		status, code       int
		first              string
		change             []func(*http.Request)
	}{
		{"no User-Agent", "GET", "/users/@me", nil, 403, 40333, "", []func(*http.Request){func(r *http.Request) { r.Header.Set("User-Agent", "Go-http-client/1.1") }}},
		{"no token", "GET", "/users/@me", nil, 401, 0, "", []func(*http.Request){no("Authorization")}},
		{"no type", "POST", ops + "/messages", hello, 400, 50035, "CONTENT_TYPE_INVALID", []func(*http.Request){no("Content-Type")}},
		{"no such path", "GET", "/nothing", nil, 404, 0, "", nil},
		{"me", "GET", "/users/@me", nil, 200, 0, "", nil},
		{"my application", "GET", "/applications/@me", nil, 200, 0, "", nil},
		{"somebody", "GET", "/users/" + s.User("alice"), nil, 200, 0, "", nil},
		{"nobody", "GET", "/users/1", nil, 404, 10013, "", nil},
		{"the gateway", "GET", "/gateway/bot", nil, 200, 0, "", nil},
		{"the guild", "GET", "/guilds/" + s.Guild(), nil, 200, 0, "", nil},
		{"another guild", "GET", "/guilds/1", nil, 404, 10004, "", nil},
		{"roles", "GET", "/guilds/" + s.Guild() + "/roles", nil, 200, 0, "", nil},
		{"channels", "GET", "/guilds/" + s.Guild() + "/channels", nil, 200, 0, "", nil},
		{"members", "GET", "/guilds/" + s.Guild() + "/members?limit=1000", nil, 200, 0, "", nil},
		{"a member", "GET", "/guilds/" + s.Guild() + "/members/" + s.User("alice"), nil, 200, 0, "", nil},
		{"no member", "GET", "/guilds/" + s.Guild() + "/members/1", nil, 404, 10007, "", nil},
		{"a channel", "GET", ops, nil, 200, 0, "", nil},
		{"no channel", "POST", "/channels/1/messages", hello, 404, 10003, "", nil},
		{"a hidden one", "POST", "/channels/" + s.Channel("secrets") + "/messages", hello, 403, 50001, "", nil},
		{"a silent one", "POST", "/channels/" + s.Channel("silent") + "/messages", hello, 403, 50013, "", nil},
		{"who wants none", "POST", dm + "/messages", hello, 403, 50007, "", nil},
		{"a direct channel", "POST", "/users/@me/channels", m{"recipient_id": s.User("bob")}, 200, 0, "", nil},
		{"to nobody", "POST", "/users/@me/channels", m{"recipient_id": "1"}, 400, 50035, "recipient_id.INVALID_RECIPIENT", nil},
		{"a message", "GET", ops + "/messages/" + hers, nil, 200, 0, "", nil},
		{"messages", "GET", ops + "/messages?limit=100", nil, 200, 0, "", nil},
		{"too many", "GET", ops + "/messages?limit=101", nil, 400, 50035, "limit.NUMBER_TYPE_MAX", nil},
		{"no message", "PATCH", ops + "/messages/1", hello, 404, 10008, "", nil},
		{"another's", "PATCH", ops + "/messages/" + hers, hello, 403, 50005, "", nil},
		{"another's away", "DELETE", ops + "/messages/" + hers, nil, 403, 50013, "", nil},
		{"a thread without name", "POST", ops + "/messages/" + hers + "/threads", m{}, 400, 50035, "name.BASE_TYPE_REQUIRED", nil},
		{"a long name", "POST", ops + "/messages/" + hers + "/threads", m{"name": strings.Repeat("x", 101)}, 400, 50035, "name.BASE_TYPE_MAX_LENGTH", nil},
		{"an odd time", "POST", ops + "/messages/" + hers + "/threads", m{"name": "a", "auto_archive_duration": 61}, 400, 50035, "auto_archive_duration.BASE_TYPE_CHOICES", nil},
		{"a thread", "POST", ops + "/messages/" + hers + "/threads", m{"name": "a", "auto_archive_duration": 60}, 201, 0, "", nil},
		{"a second", "POST", ops + "/messages/" + hers + "/threads", m{"name": "b"}, 400, 160004, "", nil},
		{"one in a thread", "POST", "/channels/" + hers + "/threads", m{"name": "b", "type": 11}, 400, 50024, "", nil},
		{"one of itself", "POST", ops + "/threads", m{"name": "b", "type": 11}, 201, 0, "", nil},
		{"archived", "PATCH", "/channels/" + hers, m{"archived": true}, 200, 0, "", nil},
		{"named then", "PATCH", "/channels/" + hers, m{"name": "c"}, 400, 50083, "", nil},
		{"typing", "POST", ops + "/typing", nil, 204, 0, "", nil},
		{"commands", "PUT", app + "/commands", command(nil), 200, 0, "", nil},
		{"one more", "POST", app + "/commands", command(m{"name": "more"})[0], 201, 0, "", nil},
		{"what there is", "GET", app + "/guilds/" + s.Guild() + "/commands", nil, 200, 0, "", nil},
		{"another's commands", "PUT", "/applications/1/commands", command(nil), 404, 10002, "", nil},
		{"elsewhere", "PUT", app + "/guilds/1/commands", command(nil), 403, 50001, "", nil},
		{"a name with capitals", "PUT", app + "/commands", command(m{"name": "Scale"}), 400, 50035, "0.name.APPLICATION_COMMAND_INVALID_NAME", nil},
		{"a name with a space", "PUT", app + "/commands", command(m{"name": "scale up"}), 400, 50035, "0.name.APPLICATION_COMMAND_INVALID_NAME", nil},
		{"a name of 33", "PUT", app + "/commands", command(m{"name": strings.Repeat("x", 33)}), 400, 50035, "0.name.BASE_TYPE_MAX_LENGTH", nil},
		{"no description", "PUT", app + "/commands", l{m{"name": "scale"}}, 400, 50035, "0.description.BASE_TYPE_REQUIRED", nil},
		{"a long one", "PUT", app + "/commands", command(m{"description": strings.Repeat("x", 101)}), 400, 50035, "0.description.BASE_TYPE_MAX_LENGTH", nil},
		{"the same twice", "PUT", app + "/commands", append(command(nil), command(nil)...), 400, 50035, "1.name.APPLICATION_COMMANDS_DUPLICATE_NAME", nil},
		{"what must follow", "PUT", app + "/commands", command(m{"options": l{str("a", nil), str("b", m{"required": true})}}), 400, 50035, "0.options.1.required.APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", nil},
		{"an option twice", "PUT", app + "/commands", command(m{"options": l{str("a", nil), str("a", nil)}}), 400, 50035, "0.options.1.name.APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS", nil},
		{"choices and completion", "PUT", app + "/commands", command(m{"options": l{str("a", m{"autocomplete": true, "choices": l{m{"name": "a", "value": "a"}}})}}), 400, 50035, "0.options.0.autocomplete.APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_CHOICES", nil},
		{"26 options", "PUT", app + "/commands", command(m{"options": times(26, func(i int) m { return str(fmt.Sprint("o", i), nil) })}), 400, 50035, "0.options.BASE_TYPE_MAX_LENGTH", nil},
		{"26 choices", "PUT", app + "/commands", command(m{"options": l{str("a", m{"choices": times(26, func(i int) m { return m{"name": fmt.Sprint(i), "value": fmt.Sprint(i)} })})}}), 400, 50035, "0.options.0.choices.BASE_TYPE_MAX_LENGTH", nil},
		{"8000 characters", "PUT", app + "/commands", command(m{"options": times(20, func(i int) m {
			return str(fmt.Sprint("o", i), m{"choices": times(25, func(i int) m { return m{"name": fmt.Sprintf("%010d", i), "value": fmt.Sprintf("%010d", i)} })})
		})}), 400, 50035, "0.name.APPLICATION_COMMAND_TOO_LARGE", nil},
		{"101 commands", "PUT", app + "/commands", times(101, func(i int) m { return m{"name": fmt.Sprint("c", i), "description": "d"} }), 400, 30032, "", nil},
		{"no webhook", "POST", "/webhooks/1/x", hello, 404, 10015, "", nil},
		{"no token of it", "POST", "/webhooks/" + s.Bot() + "/x", hello, 401, 50027, "", nil},
		{"no interaction", "POST", "/interactions/1/x/callback", m{"type": 5}, 404, 10062, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.Advance(time.Minute) // which is no matter of rate limits
			got := ask(t, s, c.method, c.path, c.body, c.change...)
			if got.status != c.status || got.code != c.code || got.first != c.first {
				t.Errorf("%d %d %q: %v", got.status, got.code, got.first, got.body)
			}
		})
	}
}

// TestFiles goes through uploads.
func TestFiles(t *testing.T) {
	part := func(name, file, kind string, data []byte) func(*multipart.Writer) {
		return func(w *multipart.Writer) {
			h := textproto.MIMEHeader{}
			h.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q`, name))
			if file != "" {
				h.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q; filename=%q`, name, file))
				h.Set("Content-Type", kind)
			}
			p, err := w.CreatePart(h)
			if err == nil {
				_, err = p.Write(data)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	ogg := part("files[0]", "voice-message.ogg", "audio/ogg", []byte("OggS"))
	s := New(t, Rate(1000, time.Second, 1000))
	payload := func(body string) func(*multipart.Writer) { return part("payload_json", "", "", []byte(body)) }
	for name, c := range map[string]struct {
		parts []func(*multipart.Writer)
		code  int
		first string
	}{
		"a file":              {[]func(*multipart.Writer){payload(`{"content":"look"}`), part("files[0]", "a.png", "image/png", []byte("x"))}, 0, ""},
		"only a file":         {[]func(*multipart.Writer){part("files[0]", "a.png", "image/png", []byte("x"))}, 0, ""},
		"a wrong name":        {[]func(*multipart.Writer){payload(`{}`), part("upload", "a.png", "image/png", []byte("x"))}, 50035, "upload.UNKNOWN_FIELD"},
		"10 MiB":              {[]func(*multipart.Writer){part("files[0]", "a", "text/plain", make([]byte, maxFile))}, 0, ""},
		"more":                {[]func(*multipart.Writer){part("files[0]", "a", "text/plain", make([]byte, maxFile+1))}, 40005, ""},
		"not in the list":     {[]func(*multipart.Writer){payload(`{"attachments":[{"id":"0"}]}`), part("files[0]", "a", "b/c", nil), part("files[1]", "b", "b/c", nil)}, 50035, "attachments.INVALID_ATTACHMENT"},
		"a voice message":     {[]func(*multipart.Writer){payload(`{"flags":8192,"attachments":[{"id":"0","filename":"voice-message.ogg","duration_secs":1.5,"waveform":"AAAA"}]}`), ogg}, 0, ""},
		"one without length":  {[]func(*multipart.Writer){payload(`{"flags":8192,"attachments":[{"id":"0","filename":"voice-message.ogg"}]}`), ogg}, 50161, ""},
		"one that is a chart": {[]func(*multipart.Writer){payload(`{"flags":8192,"attachments":[{"id":"0","duration_secs":1.5,"waveform":"AAAA"}]}`), part("files[0]", "a.png", "image/png", []byte("x"))}, 50160, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := multipart.NewWriter(&b)
			for _, p := range c.parts {
				p(w)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got := ask(t, s, "POST", "/channels/"+s.Channel(name)+"/messages", b.String(), func(r *http.Request) { r.Header.Set("Content-Type", w.FormDataContentType()) })
			if got.code != c.code || got.first != c.first {
				t.Fatalf("%d %d %q: %v", got.status, got.code, got.first, got.body)
			}
			if c.code != 0 {
				return
			}
			f := s.Messages(name, "")[0].Files[0]
			for address, want := range map[string]int{f.URL: 200, strings.SplitN(f.URL, "?", 2)[0]: 404} {
				resp, err := http.Get(address)
				if err != nil {
					t.Fatal(err)
				}
				data, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != want || want == 200 && !bytes.Equal(data, f.Data) {
					t.Errorf("%s: %d, %v", address, resp.StatusCode, err)
				}
			}
		})
	}
}

// TestLimits holds the headers and bodies of 429s, and the nonce.
func TestLimits(t *testing.T) {
	s := New(t, Rate(2, time.Hour, 1000))
	post := "/channels/" + s.Channel("ops") + "/messages"
	one := ask(t, s, "POST", post, m{"content": "a", "nonce": "n", "enforce_nonce": true})
	if one.header.Get("X-RateLimit-Limit") != "2" || one.header.Get("X-RateLimit-Remaining") != "1" || one.header.Get("X-RateLimit-Bucket") == "" || one.header.Get("X-RateLimit-Reset") == "" {
		t.Errorf("%v", one.header)
	}
	if two := ask(t, s, "POST", post, m{"content": "a", "nonce": "n", "enforce_nonce": true}); two.body["id"] != one.body["id"] || len(s.Messages("ops", "")) != 1 {
		t.Errorf("%v", two.body)
	}
	three := ask(t, s, "POST", post, m{"content": "b"})
	if wait, ok := three.body["retry_after"].(float64); three.status != 429 || !ok || wait < 3000 || wait > 3600 || three.body["global"] != false ||
		!strings.HasPrefix(three.header.Get("Retry-After"), "3") || three.header.Get("X-RateLimit-Scope") != "user" || three.header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("%d %v %v", three.status, three.body, three.header)
	}
	if other := ask(t, s, "GET", "/users/@me", nil); other.status != 200 { // another bucket
		t.Errorf("%d", other.status)
	}
	narrow, refusedAll := New(t, Rate(1000, time.Hour, 1)), false
	for range 100 { // two of these come within a second
		got := ask(t, narrow, "GET", "/users/@me", nil)
		if refusedAll = got.status == 429 && got.body["global"] == true && got.header.Get("X-RateLimit-Global") == "true"; refusedAll {
			break
		}
	}
	if !refusedAll {
		t.Error("there is no limit for all together")
	}
	s.Advance(time.Hour)
	s.Limit(1, time.Hour)
	for i, want := range []int{429, 429} {
		if got := ask(t, s, "POST", post, m{"content": "b"}); got.status != want {
			t.Errorf("%d: %d", i, got.status)
		}
	}
	if s.Hasty() != 1 {
		t.Errorf("hasty: %d", s.Hasty())
	}
	s.Advance(time.Hour)
	s.Break(1)
	for i, want := range []int{502, 200} {
		if got := ask(t, s, "POST", post, m{"content": "b"}); got.status != want {
			t.Errorf("%d: %d %v", i, got.status, got.body)
		}
	}
}

// TestInteractionsInTime goes through the life of an interaction.
func TestInteractionsInTime(t *testing.T) {
	s := New(t, Patience(2*time.Minute)) // of which Advance leaves one for a slow machine
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	app := "/applications/" + s.Bot() + "/commands"
	if got := ask(t, s, "PUT", app, l{m{"name": "list", "description": "lists"}}); got.status != 200 {
		t.Fatal(got)
	}
	begin := func() (id, callback, hook string) {
		id = s.Command("alice", "ops", "list", nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		token := s.interactions[len(s.interactions)-1].token
		return id, "/interactions/" + id + "/" + token + "/callback", "/webhooks/" + s.Bot() + "/" + token
	}
	want := func(got asked, status, code int) {
		t.Helper()
		if got.status != status || got.code != code {
			t.Errorf("got %d %d: %v", got.status, got.code, got.body)
		}
	}
	hi := m{"content": "hi"}

	_, callback, hook := begin()
	want(ask(t, s, "POST", hook, hi), 404, 10015)
	want(ask(t, s, "POST", callback, m{"type": 6}), 400, 50035)
	want(ask(t, s, "POST", callback, m{"type": 8, "data": m{"choices": l{}}}), 400, 50035)
	want(ask(t, s, "POST", callback, m{"type": 4, "data": m{}}), 400, 50006)
	want(ask(t, s, "POST", callback, m{"type": 4, "data": m{"content": strings.Repeat("x", 2001)}}), 400, 50035)
	s.Advance(time.Minute)
	want(ask(t, s, "POST", callback, m{"type": 5, "data": m{"flags": 64}}), 204, 0)
	want(ask(t, s, "POST", callback, m{"type": 5}), 400, 40060)
	first := s.Messages("ops", "")[0]
	if !first.Waiting || first.Only != "alice" {
		t.Errorf("%+v", first)
	}
	want(ask(t, s, "GET", "/channels/"+s.Channel("ops")+"/messages/"+first.ID, nil), 404, 10008) // nobody else sees it
	s.Advance(13 * time.Minute)
	want(ask(t, s, "PATCH", hook+"/messages/@original", hi), 200, 0)
	if err := s.Wait(ctx, "ops", "", func(all []Message) bool { return !all[0].Waiting && all[0].Text == "hi" && all[0].Edits == 0 }); err != nil {
		t.Error(err)
	}
	want(ask(t, s, "GET", hook+"/messages/@original", nil), 200, 0)
	want(ask(t, s, "POST", hook, m{"content": "more"}), 200, 0)
	want(ask(t, s, "PATCH", hook+"/messages/1", hi), 404, 10008)
	s.Advance(2 * time.Minute)
	want(ask(t, s, "PATCH", hook+"/messages/@original", hi), 401, 50027)

	id, callback, _ := begin()
	s.Advance(2*time.Minute + time.Millisecond)
	want(ask(t, s, "POST", callback, m{"type": 4, "data": hi}), 404, 10062)
	if got := s.Interaction(id); got.Answer != 0 {
		t.Errorf("%+v", got)
	}
	_, callback, hook = begin()
	got := ask(t, s, "POST", callback+"?with_response=true", m{"type": 4, "data": hi})
	want(got, 200, 0)
	want(ask(t, s, "DELETE", hook+"/messages/@original", nil), 204, 0)
	want(ask(t, s, "GET", hook+"/messages/@original", nil), 404, 10008)

	_, callback, _ = begin()
	form := m{"custom_id": "f", "title": strings.Repeat("x", 46), "components": l{row(m{"type": 4, "custom_id": "a", "style": 1, "label": "Why?"})}}
	want(ask(t, s, "POST", callback, m{"type": 9, "data": form}), 400, 50035)
	form["title"] = "A form"
	want(ask(t, s, "POST", callback, m{"type": 9, "data": form}), 204, 0)
}
