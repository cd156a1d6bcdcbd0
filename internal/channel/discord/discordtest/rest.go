package discordtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// refusal is an error as Discord tells it.
type refusal struct {
	status, code int
	message      string
	errors       any // of an invalid form: what is wrong, by field
	why          string
}

func (e *refusal) Error() string { return strings.TrimSpace(e.message + " " + e.why) }

func refused(status, code int, message string) error {
	return &refusal{status: status, code: code, message: message}
}

// unknown is what Discord says of ids that name nothing.
func unknown(what string) error {
	code := map[string]int{
		"Application": 10002, "Channel": 10003, "Guild": 10004, "Member": 10007, "Message": 10008, "User": 10013, "Webhook": 10015, "Interaction": 10062,
	}[what]
	return refused(http.StatusNotFound, code, "Unknown "+what)
}

// invalid is what Discord says of a form: where, a code and a sentence.
func invalid(path, code, sentence string) error {
	var tree any = map[string]any{"_errors": []any{map[string]any{"code": code, "message": sentence}}}
	steps := strings.Split(path, ".")
	for i := len(steps) - 1; i >= 0 && path != ""; i-- {
		tree = map[string]any{steps[i]: tree}
	}
	return &refusal{status: http.StatusBadRequest, code: 50035, message: "Invalid Form Body", errors: tree, why: strings.TrimSpace(path + " " + code + " " + sentence)}
}

// route is one operation; what it does is called under the lock.
type route struct {
	method, path string
	open         bool   // needs no bot token, since a token is in the path
	bucket       string // requests of several paths may share a bucket
	do           func(*call) (int, any, error)
}

// call is a request that was found to be in order.
type call struct {
	*Server
	r     *http.Request
	body  map[string]any
	list  []any // a body that is a list
	files map[string]*file
}

func (c *call) arg(name string) string { return c.r.PathValue(name) }

const (
	maxFile = 10 << 20 // bytes of one file
	maxBody = 25 << 20
)

// serve answers a request: it is told apart, held to the rate limits and to the
// description, done, and its answer held to the description.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, version string, rt route) {
	path := strings.TrimPrefix(r.URL.Path, version)
	h := w.Header()
	status, answer, err := s.answer(h, r, rt)
	if err == nil {
		err = s.fits(rt, status, answer)
	}
	var why string
	if err != nil {
		var e *refusal
		if !errors.As(err, &e) {
			s.t.Errorf("the fake Discord is wrong: %s %s: %v", r.Method, path, err)
			e = &refusal{status: http.StatusInternalServerError, message: "500: Internal Server Error"}
		}
		o := map[string]any{"message": e.message, "code": e.code}
		if e.errors != nil {
			o["errors"] = e.errors
		}
		var l *limited
		if errors.As(err, &l) {
			o["retry_after"], o["global"] = l.after.Seconds(), l.scope == "global"
		}
		status, answer, why = e.status, o, e.Error()
	}
	s.mu.Lock()
	s.requests = append(s.requests, Request{Method: r.Method, Path: path, Status: status, Why: why})
	s.happened()
	s.mu.Unlock()
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // who asked may be gone
}

func (s *Server) answer(h http.Header, r *http.Request, rt route) (int, any, error) {
	// Cloudflare, in front of Discord, sends away what does not say who it is.
	if !strings.HasPrefix(r.UserAgent(), "DiscordBot (") {
		return 0, nil, &refusal{status: http.StatusForbidden, code: 40333, message: "internal network error", why: "the User-Agent has to be DiscordBot (url, version)"}
	}
	if rt.do == nil {
		return 0, nil, refused(http.StatusNotFound, 0, "404: Not Found")
	}
	if !rt.open && r.Header.Get("Authorization") != "Bot "+s.token {
		return 0, nil, refused(http.StatusUnauthorized, 0, "401: Unauthorized")
	}
	if err := s.admit(h, r, rt); err != nil {
		return 0, nil, err
	}
	c := &call{Server: s, r: r}
	if err := c.read(rt); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	status, answer, err := rt.do(c)
	s.happened()
	return status, answer, err
}

// operation finds what the description says of a route.
func (s *Server) operation(rt route) *openapi3.Operation {
	item := s.doc.Paths.Value(rt.path)
	if item == nil {
		return nil
	}
	return item.GetOperation(rt.method)
}

// read reads a body, also one with files, and holds it to the description.
func (c *call) read(rt route) error {
	operation := c.operation(rt)
	if operation == nil {
		return fmt.Errorf("%s %s is not in the description", rt.method, rt.path)
	}
	raw, err := io.ReadAll(io.LimitReader(c.r.Body, maxBody+1))
	if err != nil {
		return refused(http.StatusBadRequest, 0, "400: Bad Request")
	}
	if len(raw) > maxBody {
		return refused(http.StatusRequestEntityTooLarge, 40005, "Request entity too large")
	}
	if operation.RequestBody == nil {
		return nil // whatever comes is not looked at
	}
	raw, c.files, err = form(c.r.Header.Get("Content-Type"), raw)
	if err != nil {
		return err
	}
	var body any
	if err := json.Unmarshal(raw, &body); err != nil {
		return refused(http.StatusBadRequest, 50109, "The request body contains invalid JSON.")
	}
	if o, ok := body.(map[string]any); ok {
		for _, field := range ignored(rt) {
			delete(o, field)
		}
	}
	body, err = checked(operation.RequestBody.Value.Content["application/json"].Schema, body)
	if err != nil {
		return err
	}
	switch body := body.(type) {
	case map[string]any:
		c.body = body
	case []any:
		c.list = body
	}
	return nil
}

// ignored are fields that well-known libraries send though Discord knows no such
// fields, and takes no notice.
func ignored(rt route) []string {
	switch {
	case strings.HasSuffix(rt.path, "/{message_id}/threads"):
		return []string{"type", "invitable"} // discord.js, discordgo
	case strings.HasPrefix(rt.path, "/channels/") && strings.HasSuffix(rt.path, "/{message_id}"):
		return []string{"ID", "Channel"} // discordgo
	}
	return nil
}

// form takes a body apart: the JSON, and files by the number in their name.
func form(kind string, raw []byte) ([]byte, map[string]*file, error) {
	mediaType, params, err := mime.ParseMediaType(kind)
	switch {
	case err != nil || mediaType != "application/json" && mediaType != "multipart/form-data":
		return nil, nil, invalid("", "CONTENT_TYPE_INVALID", "Expected \"Content-Type\" header to be one of {'application/json', 'multipart/form-data'}.")
	case mediaType == "application/json":
		return raw, nil, nil
	}
	files := map[string]*file{}
	var payload []byte
	parts := multipart.NewReader(strings.NewReader(string(raw)), params["boundary"])
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, refused(http.StatusBadRequest, 50035, "Invalid Form Body")
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, refused(http.StatusBadRequest, 50035, "Invalid Form Body")
		}
		name := part.FormName()
		n, isFile := strings.CutPrefix(strings.TrimSuffix(name, "]"), "files[")
		switch {
		case name == "payload_json":
			payload = data
		case isFile && number(n) && part.FileName() != "":
			if len(data) > maxFile {
				return nil, nil, refused(http.StatusRequestEntityTooLarge, 40005, "Request entity too large")
			}
			f := &file{name: part.FileName(), kind: part.Header.Get("Content-Type"), data: data}
			if f.kind == "" || f.kind == "application/octet-stream" {
				f.kind = http.DetectContentType(data)
			}
			files[n] = f
		default:
			return nil, nil, invalid(name, "UNKNOWN_FIELD", "Parts are payload_json and files[n].")
		}
	}
	if len(files) > 10 {
		return nil, nil, invalid("files", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
	}
	if payload == nil {
		payload = []byte("{}")
	}
	return payload, files, nil
}

func number(s string) bool {
	_, err := strconv.ParseUint(s, 10, 63)
	return err == nil
}

// api are the operations there are.
func (s *Server) api() []route {
	const get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	const app, hook = "/applications/{application_id}", "/webhooks/{webhook_id}/{webhook_token}"
	const channel = "/channels/{channel_id}"
	return []route{
		{get, "/gateway", true, "", (*call).gateway},
		{get, "/gateway/bot", false, "", (*call).gatewayBot},
		{get, "/users/@me", false, "", func(c *call) (int, any, error) { return 200, c.selfObject(), nil }},
		{get, "/users/{user_id}", false, "", (*call).getUser},
		{post, "/users/@me/channels", false, "", (*call).openDirect},
		{get, "/applications/@me", false, "", func(c *call) (int, any, error) { return 200, c.applicationObject(), nil }},
		{get, app + "/commands", false, "", (*call).getCommands},
		{put, app + "/commands", false, "", (*call).putCommands},
		{post, app + "/commands", false, "", (*call).postCommand},
		{get, app + "/guilds/{guild_id}/commands", false, "", (*call).getCommands},
		{put, app + "/guilds/{guild_id}/commands", false, "", (*call).putCommands},
		{get, channel, false, "", (*call).getChannel},
		{patch, channel, false, "", (*call).editChannel},
		{get, channel + "/messages", false, "", (*call).getMessages},
		{post, channel + "/messages", false, "", (*call).postMessage},
		{get, channel + "/messages/{message_id}", false, "", (*call).getMessage},
		{patch, channel + "/messages/{message_id}", false, "", (*call).editMessage},
		{del, channel + "/messages/{message_id}", false, "", (*call).deleteMessage},
		{post, channel + "/messages/{message_id}/threads", false, "threads", (*call).threadFrom},
		{post, channel + "/threads", false, "threads", (*call).threadWithout},
		{post, channel + "/typing", false, "", (*call).typing},
		{get, "/guilds/{guild_id}", false, "", (*call).getGuild},
		{get, "/guilds/{guild_id}/channels", false, "", (*call).getChannels},
		{get, "/guilds/{guild_id}/roles", false, "", (*call).getRoles},
		{get, "/guilds/{guild_id}/members", false, "", (*call).getMembers},
		{get, "/guilds/{guild_id}/members/{user_id}", false, "", (*call).getMember},
		{post, "/interactions/{interaction_id}/{interaction_token}/callback", true, "", (*call).callback},
		{post, hook, true, "webhook", (*call).followUp},
		{get, hook + "/messages/@original", true, "webhook", (*call).getOriginal},
		{patch, hook + "/messages/@original", true, "webhook", (*call).editOriginal},
		{del, hook + "/messages/@original", true, "webhook", (*call).deleteOriginal},
		{get, hook + "/messages/{message_id}", true, "webhook", (*call).getOriginal},
		{patch, hook + "/messages/{message_id}", true, "webhook", (*call).editOriginal},
		{del, hook + "/messages/{message_id}", true, "webhook", (*call).deleteOriginal},
	}
}
