package slacktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// allScopes are those that something here asks for.
const allScopes = "app_mentions:read channels:history channels:read chat:write commands files:read files:write groups:history groups:read im:history im:read im:write mpim:history mpim:read reactions:write users:read users:read.email"

// object is one of JSON.
type object = map[string]any

// method is one of the Web API.
type method struct {
	scopes string // any of these
	app    bool   // it wants the app's token in place of the bot's
	json   bool   // it reads its arguments from JSON too
	args   string // that it knows
	do     func(*Server, args) (object, error)
}

const message0 = "channel thread_ts text blocks attachments metadata mrkdwn parse link_names unfurl_links unfurl_media username icon_emoji icon_url as_user markdown_text"

// methods are what the fake can do.
func methods() map[string]method {
	return map[string]method{
		"auth.test":                    {json: true, do: (*Server).authTest},
		"apps.connections.open":        {app: true, json: true, do: (*Server).connectionsOpen},
		"chat.postMessage":             {scopes: "chat:write", json: true, args: message0 + " reply_broadcast client_msg_id", do: (*Server).postMessage},
		"chat.postEphemeral":           {scopes: "chat:write", json: true, args: message0 + " user", do: (*Server).postMessage},
		"chat.update":                  {scopes: "chat:write", json: true, args: message0 + " ts reply_broadcast file_ids", do: (*Server).update},
		"chat.delete":                  {scopes: "chat:write", json: true, args: "channel ts as_user", do: (*Server).remove},
		"chat.getPermalink":            {args: "channel message_ts", do: (*Server).permalink},
		"chat.startStream":             {scopes: "chat:write", json: true, args: "channel thread_ts markdown_text recipient_user_id recipient_team_id chunks task_display_mode", do: (*Server).startStream},
		"chat.appendStream":            {scopes: "chat:write", json: true, args: "channel ts markdown_text chunks", do: (*Server).appendStream},
		"chat.stopStream":              {scopes: "chat:write", json: true, args: "channel ts markdown_text blocks metadata chunks", do: (*Server).appendStream},
		"conversations.open":           {scopes: "im:write", json: true, args: "channel users return_im prevent_creation", do: (*Server).conversationsOpen},
		"conversations.info":           {scopes: "channels:read groups:read im:read mpim:read", args: "channel include_locale include_num_members", do: (*Server).conversationsInfo},
		"conversations.history":        {scopes: "channels:history groups:history im:history mpim:history", args: "channel cursor latest oldest inclusive limit include_all_metadata", do: (*Server).history},
		"conversations.replies":        {scopes: "channels:history groups:history im:history mpim:history", args: "channel ts cursor latest oldest inclusive limit include_all_metadata", do: (*Server).history},
		"users.info":                   {scopes: "users:read", args: "user include_locale", do: (*Server).usersInfo},
		"users.list":                   {scopes: "users:read", args: "cursor limit include_locale team_id", do: (*Server).usersList},
		"users.lookupByEmail":          {scopes: "users:read.email", args: "email", do: (*Server).usersInfo},
		"views.open":                   {json: true, args: "trigger_id interactivity_pointer view", do: (*Server).viewsOpen},
		"views.push":                   {json: true, args: "trigger_id interactivity_pointer view", do: (*Server).viewsOpen},
		"views.update":                 {json: true, args: "view_id external_id hash view", do: (*Server).viewsUpdate},
		"views.publish":                {json: true, args: "user_id hash view", do: (*Server).viewsPublish},
		"files.getUploadURLExternal":   {scopes: "files:write", args: "filename length alt_txt snippet_type", do: (*Server).uploadURL},
		"files.completeUploadExternal": {scopes: "files:write", json: true, args: "files channel_id channels thread_ts initial_comment blocks", do: (*Server).completeUpload},
		"files.info":                   {scopes: "files:read", args: "file cursor limit page count", do: (*Server).filesInfo},
		"reactions.add":                {scopes: "reactions:write", json: true, args: "channel timestamp name", do: (*Server).react},
		"reactions.remove":             {scopes: "reactions:write", json: true, args: "channel timestamp name", do: (*Server).react},
	}
}

// refusal is an error in Slack's words.
type refusal struct {
	code     string
	messages []string // of response_metadata
	with     object
}

func (r *refusal) Error() string { return r.code + " " + strings.Join(r.messages, "; ") }

func refuse(code string, messages ...string) error { return &refusal{code: code, messages: messages} }

// args are the arguments of a call: strings, or anything of JSON.
type args struct {
	method string
	v      object
}

func (a args) str(name string) string {
	switch v := a.v[name].(type) {
	case string:
		return v
	case nil:
		return ""
	default:
		return fmt.Sprint(v)
	}
}

func (a args) has(name string) bool { _, ok := a.v[name]; return ok }

func (a args) flag(name string) bool {
	v := a.str(name)
	return v == "true" || v == "1"
}

// decoded is an argument that is JSON, or a string that holds it.
func (a args) decoded(name string) (any, bool) {
	s, ok := a.v[name].(string)
	if !ok {
		return a.v[name], true
	}
	var v any
	return v, s == "" || json.Unmarshal([]byte(s), &v) == nil
}

func (s *Server) api(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("method")
	m, known := methods()[name]
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	s.mu.Lock()
	if wait := s.limited(name); wait >= 0 {
		s.mu.Unlock()
		w.Header().Set("Retry-After", strconv.Itoa(wait))
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"ok":false,"error":"ratelimited"}`)
		return
	}
	scopes := strings.Join(s.cfg.Scopes, ",")
	s.mu.Unlock()
	var out object
	err := refuse("unknown_method")
	if known {
		out, err = s.call(r, name, m)
	}
	s.mu.Lock()
	code := ""
	if err != nil {
		var f *refusal
		f, out = err.(*refusal), object{} //nolint:errorlint,forcetypeassert // all errors here are refusals
		code = f.code
		for k, v := range f.with {
			out[k] = v
		}
		out["error"] = code
		if len(f.messages) > 0 {
			out["response_metadata"] = object{"messages": prefixed(f.messages)}
		}
		if code == "invalid_blocks" {
			out["errors"] = f.messages
		}
	}
	out["ok"] = err == nil
	s.calls = append(s.calls, Call{Method: name, Error: code, At: s.clock.now()})
	s.note()
	s.mu.Unlock()
	if code == "ratelimited" {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	w.Header().Set("X-Oauth-Scopes", scopes)
	w.Header().Set("X-Accepted-Oauth-Scopes", strings.ReplaceAll(m.scopes, " ", ","))
	_ = json.NewEncoder(w).Encode(out) // who asked has gone if this fails
}

func prefixed(messages []string) []string {
	out := make([]string, len(messages))
	for i, m := range messages {
		out[i] = "[ERROR] " + m
	}
	return out
}

// call checks who asks and what may be asked, then does it.
func (s *Server) call(r *http.Request, name string, m method) (object, error) {
	in, token, err := arguments(r, m.json)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch isApp := token == s.cfg.AppToken; {
	case token == "":
		return nil, refuse("not_authed")
	case token != s.cfg.BotToken && !isApp:
		return nil, refuse("invalid_auth")
	case isApp != m.app && name != "auth.test":
		return nil, refuse("not_allowed_token_type")
	}
	if m.scopes != "" && !slices.ContainsFunc(strings.Fields(m.scopes), s.granted) {
		return nil, s.missing(m.scopes)
	}
	for arg := range in {
		if arg != "team_id" && !slices.Contains(strings.Fields(m.args), arg) {
			return nil, refuse("invalid_arguments", "unknown argument: "+arg) // Slack lets it pass, and does not do it
		}
	}
	return m.do(s, args{name, in})
}

// granted says whether the bot has a scope. The server is locked.
func (s *Server) granted(scope string) bool { return slices.Contains(s.cfg.Scopes, scope) }

func (s *Server) missing(scopes string) error {
	return &refusal{code: "missing_scope", with: object{"needed": strings.ReplaceAll(scopes, " ", ","), "provided": strings.Join(s.cfg.Scopes, ",")}}
}

// arguments reads those of a call, and the token.
func arguments(r *http.Request, asJSON bool) (object, string, error) {
	in := object{}
	for k, v := range r.URL.Query() {
		in[k] = v[0]
	}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case kind == "application/json" && asJSON:
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil && !errors.Is(err, io.EOF) { // an empty body is no arguments: slack-go's
			return nil, "", refuse("invalid_json")
		}
		delete(in, "token") // which counts in the header alone
	case kind == "application/json": // these methods see none of it
	case kind == "application/x-www-form-urlencoded" || kind == "multipart/form-data":
		if err := r.ParseMultipartForm(1 << 20); err != nil && err != http.ErrNotMultipart { //nolint:errorlint // it is returned as it is
			return nil, "", refuse("invalid_form_data")
		}
		for k, v := range r.Form {
			in[k] = v[0]
		}
	case r.ContentLength > 0:
		return nil, "", refuse("invalid_post_type")
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if t, here := in["token"].(string); here && !ok {
		token = t
	}
	delete(in, "token")
	return in, token, nil
}

// limit is what Limit asked for.
type limit struct {
	n     int
	after time.Duration
	until map[string]time.Time // by method
}

// Limit has the next n calls of the Web API refused with 429, to be tried again
// after so long; Slack says that in whole seconds.
func (s *Server) Limit(n int, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit{n: n, after: after, until: map[string]time.Time{}}
}

// Pace has the fake refuse what comes faster than this in one channel, as Slack
// does with one message a second; without it nothing is refused.
func (s *Server) Pace(perSecond, burst float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.perSec, s.burst = perSecond, burst
}

// limited returns the seconds to wait, or -1. The server is locked.
func (s *Server) limited(method string) int {
	now := s.clock.now()
	call := Call{Method: method, Error: "ratelimited", Limited: true, TooSoon: now.Before(s.limit.until[method]), At: now}
	if s.limit.n == 0 {
		if call.TooSoon {
			s.calls = append(s.calls, call)
			return int(s.limit.until[method].Sub(now)/time.Second) + 1
		}
		return -1
	}
	s.limit.n--
	wait := int((s.limit.after + time.Second - 1) / time.Second)
	s.limit.until[method] = now.Add(s.limit.after)
	s.calls = append(s.calls, call)
	s.note()
	return wait
}

// bucket is how much may be posted in a channel.
type bucket struct {
	tokens float64
	at     time.Time
}

// paced says whether a channel may have another message now. The server is locked.
func (s *Server) paced(channel string) bool {
	if s.perSec == 0 {
		return true
	}
	now := s.clock.now()
	b := s.pace[channel]
	if b == nil {
		b = &bucket{s.burst, now}
		s.pace[channel] = b
	}
	b.tokens = min(s.burst, b.tokens+now.Sub(b.at).Seconds()*s.perSec)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func (s *Server) authTest(args) (object, error) {
	return object{"url": "https://slacktest.slack.com/", "team": "slacktest", "user": "firstmate", "team_id": Team, "user_id": BotUser, "bot_id": BotID, "is_enterprise_install": false}, nil
}

func (s *Server) connectionsOpen(args) (object, error) {
	ticket := secret()
	s.tickets[ticket] = true
	return object{"url": "ws" + strings.TrimPrefix(s.http.URL, "http") + "/link/" + ticket + "?app_id=" + AppID}, nil
}
