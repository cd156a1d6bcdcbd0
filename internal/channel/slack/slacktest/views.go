package slacktest

import (
	"context"
	"fmt"
	"strings"
)

// View is a modal or the home of the app, as somebody sees it.
type View struct {
	ID, Kind, Title string
	CallbackID      string
	Metadata        string // private_metadata
	Text            string // what is read
	Buttons         []Button
	Blocks          []any
	Mentions        []string
	Errors          map[string]string // what the app said of the inputs, by block
}

type view struct {
	id, user, hash string
	def            object // what the app sent
	blocks         []any
	errors         map[string]string
}

func (v *view) str(key string) string { s, _ := v.def[key].(string); return s }

func (v *view) json() object {
	out := object{
		"id": v.id, "team_id": Team, "app_id": AppID, "app_installed_team_id": Team, "bot_id": BotID, "type": v.def["type"], "blocks": v.blocks, "hash": v.hash, "state": object{"values": object{}},
		"private_metadata": v.str("private_metadata"), "callback_id": v.str("callback_id"), "external_id": v.str("external_id"), "root_view_id": v.id, "previous_view_id": nil,
		"clear_on_close": false, "notify_on_close": false, "close": nil, "submit": nil,
	}
	for _, key := range []string{"title", "submit", "close", "clear_on_close", "notify_on_close"} {
		if v.def[key] != nil {
			out[key] = v.def[key]
		}
	}
	return out
}

func (v *view) seen() View {
	var r reading
	r.read(v.blocks)
	return View{
		ID: v.id, Kind: v.str("type"), Title: (&reading{}).inline(v.def["title"]), CallbackID: v.str("callback_id"), Metadata: v.str("private_metadata"),
		Text: strings.Join(r.lines, "\n"), Buttons: r.buttons, Blocks: v.blocks, Mentions: r.mentions, Errors: v.errors,
	}
}

// view finds one. The server is locked.
func (s *Server) view(id string) *view {
	for _, v := range s.views {
		if v.id == id {
			return v
		}
	}
	return nil
}

func (s *Server) home(user string) *view { return s.top(user, "home") }

// top is the view of a kind that somebody sees. The server is locked.
func (s *Server) top(user, kind string) *view {
	for i := len(s.views) - 1; i >= 0; i-- {
		if v := s.views[i]; v.user == user && v.str("type") == kind {
			return v
		}
	}
	return nil
}

func (s *Server) drop(gone func(*view) bool) {
	var left []*view
	for _, v := range s.views {
		if !gone(v) {
			left = append(left, v)
		}
	}
	s.views = left
}

// WaitHome waits until the home of the app is as f wants it; nil wants any.
func (s *Server) WaitHome(ctx context.Context, user string, f func(View) bool) (View, error) {
	return s.waitView(ctx, user, "home", f)
}

// WaitModal waits until somebody sees a modal that is as f wants it; nil wants any.
func (s *Server) WaitModal(ctx context.Context, user string, f func(View) bool) (View, error) {
	return s.waitView(ctx, user, "modal", f)
}

func (s *Server) waitView(ctx context.Context, user, kind string, f func(View) bool) (out View, err error) {
	err = s.until(ctx, "a "+kind+" of "+user, func() func() bool {
		v := s.top(user, kind)
		if v == nil {
			return func() bool { return false }
		}
		out = v.seen()
		return func() bool { return f == nil || f(out) }
	})
	return out, err
}

// fill puts what the app sent into a view. The server is locked.
func (s *Server) fill(v *view, a args, kinds string) error {
	def, ok := a.decoded("view")
	o, isObject := def.(object)
	if !ok || !isObject {
		return refuse("invalid_arguments", "missing required field: view [json-pointer:/view]")
	}
	kind, _ := o["type"].(string)
	if !strings.Contains(kinds, kind) || kind == "" {
		return refuse("invalid_arguments", "unsupported type: "+kind+" [json-pointer:/view/type]")
	}
	if wrong := checkView(o); len(wrong) > 0 {
		return refuse("invalid_arguments", wrong...)
	}
	if h := a.str("hash"); h != "" && v.hash != "" && h != v.hash {
		return refuse("hash_conflict")
	}
	list, _ := o["blocks"].([]any)
	v.def, v.blocks, v.errors, v.hash = o, s.identified(s.keep(list, o)), nil, fmt.Sprintf("%d.%s", s.clock.now().Unix(), secret()[:8])
	return nil
}

// use uses a trigger up. The server is locked.
func (s *Server) use(id string) (*trigger, error) {
	t := s.triggers[id]
	switch {
	case t == nil:
		return nil, refuse("invalid_trigger_id")
	case t.used:
		return nil, refuse("exchanged_trigger_id")
	case s.clock.now().After(t.expires):
		return nil, refuse("expired_trigger_id")
	}
	t.used = true
	return t, nil
}

func (s *Server) viewsOpen(a args) (object, error) {
	t, err := s.use(a.str("trigger_id"))
	if err != nil {
		return nil, err
	}
	v := &view{id: s.id("V"), user: t.user}
	if err := s.fill(v, a, "modal"); err != nil {
		return nil, err
	}
	switch top := s.top(t.user, "modal"); {
	case a.method == "views.push" && top == nil:
		return nil, refuse("not_found")
	case a.method == "views.open": // in the place of what was open
		s.drop(func(o *view) bool { return o.user == t.user && o.str("type") == "modal" })
	}
	s.views = append(s.views, v)
	return object{"view": v.json()}, nil
}

func (s *Server) viewsUpdate(a args) (object, error) {
	for _, v := range s.views {
		if v.id == a.str("view_id") || a.str("external_id") != "" && v.str("external_id") == a.str("external_id") {
			if err := s.fill(v, a, v.str("type")); err != nil {
				return nil, err
			}
			return object{"view": v.json()}, nil
		}
	}
	return nil, refuse("not_found")
}

func (s *Server) viewsPublish(a args) (object, error) {
	user := a.str("user_id")
	if s.cfg.NoHome {
		return nil, refuse("not_enabled")
	}
	if p := s.people[user]; p == nil || p.bot {
		return nil, refuse("user_not_found")
	}
	v := s.home(user)
	if v == nil {
		v = &view{id: s.id("V"), user: user}
	}
	if err := s.fill(v, a, "home"); err != nil {
		return nil, err
	}
	if s.view(v.id) == nil {
		s.views = append(s.views, v)
	}
	return object{"view": v.json()}, nil
}

// Submit has somebody fill in the modal that they see and submit it. Values are
// named by block_id or action_id; what is chosen from a menu by its value.
// It waits for the app and returns what that said is wrong, by block.
func (s *Server) Submit(user string, values map[string]string) map[string]string {
	s.mu.Lock()
	v := s.top(user, "modal")
	if v == nil {
		s.mu.Unlock()
		s.cfg.Fail("%s sees no modal", user)
		return nil
	}
	var r reading
	r.read(v.blocks)
	state := object{}
	for _, b := range r.buttons {
		text, ok := values[b.Block]
		if !ok {
			text, ok = values[b.ID]
		}
		got := object{"type": b.Kind}
		switch {
		case len(b.Options) > 0:
			got["selected_option"] = b.json["initial_option"]
			for _, o := range b.Options {
				if o.Value == text {
					got["selected_option"] = o.json
				}
			}
		case ok:
			got["value"] = text
		default:
			got["value"] = b.json["initial_value"]
		}
		if b.Kind == "button" {
			continue
		}
		block, has := state[b.Block].(object)
		if !has {
			block = object{}
			state[b.Block] = block
		}
		block[b.ID] = got
		if got["value"] == nil && got["selected_option"] == nil && !s.optional(v, b.Block) {
			s.mu.Unlock()
			return map[string]string{b.Block: "Please complete this required field."}
		}
	}
	in := s.interaction("view_submission", user)
	shown := v.json()
	shown["state"] = object{"values": state}
	in["view"], in["response_urls"] = shown, []any{}
	done := make(chan map[string]string, 1)
	s.send(&delivery{
		kind: "interactive", payload: in, lane: v.id, by: user, what: "the modal " + v.str("callback_id"),
		answer: func(payload object) { done <- s.submitted(v, payload) },
		failed: func() { done <- map[string]string{"": "We had some trouble connecting. Try again?"} },
	})
	s.mu.Unlock()
	select {
	case wrong := <-done:
		return wrong
	case <-s.ctx.Done():
		return nil
	}
}

func (s *Server) optional(v *view, id string) bool {
	for _, x := range v.blocks {
		b, _ := x.(object)
		if b["block_id"] == id {
			o, _ := b["optional"].(bool)
			return o || b["type"] != "input"
		}
	}
	return false
}

// submitted does what the app answered to a submission.
func (s *Server) submitted(v *view, payload object) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.note()
	a := args{"views.update", payload}
	switch a.str("response_action") {
	case "errors":
		v.errors = map[string]string{}
		wrong, _ := payload["errors"].(object)
		for k, x := range wrong {
			v.errors[k] = fmt.Sprint(x)
		}
		return v.errors
	case "update":
		if err := s.fill(v, a, "modal"); err != nil {
			s.failures = append(s.failures, err.Error())
		}
	case "push":
		n := &view{id: s.id("V"), user: v.user}
		if err := s.fill(n, a, "modal"); err != nil {
			s.failures = append(s.failures, err.Error())
		} else {
			s.views = append(s.views, n)
		}
	case "clear":
		s.drop(func(o *view) bool { return o.user == v.user && o.str("type") == "modal" })
	case "":
		s.drop(func(o *view) bool { return o == v })
	default:
		s.failures = append(s.failures, "response_action "+a.str("response_action"))
	}
	return nil
}
