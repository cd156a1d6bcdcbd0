package carriertest

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP is the REST API: calls, messages and the account.
func (c *Carrier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != c.cfg.Account || password != c.cfg.Token {
		refuse(w, http.StatusUnauthorized, 20003, "Authenticate")
		return
	}
	c.mu.Lock()
	lose, many := c.lose > 0 && r.Method == http.MethodPost, c.refuse > 0
	switch {
	case many:
		c.refuse--
	case lose:
		c.lose--
	}
	c.mu.Unlock()
	if many {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, 20429, "Too many requests")
		return
	}
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, 20001, "Not a form")
		return
	}
	what, ok := strings.CutPrefix(r.URL.Path, "/2010-04-01/Accounts/"+c.cfg.Account)
	what, ok2 := strings.CutSuffix(what, ".json")
	if !ok || !ok2 {
		refuse(w, http.StatusNotFound, 20404, "Not found")
		return
	}
	status, answer := c.serve(r.Method, strings.TrimPrefix(what, "/"), r.Form)
	if lose {
		panic(http.ErrAbortHandler) // it was done, and nobody is told
	}
	if e, ok := answer.(problem); ok {
		refuse(w, status, e.code, e.message)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // who asked has gone if this fails
}

type problem struct {
	code    int
	message string
}

func refuse(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "message": message, "status": status}) // as above
}

func (c *Carrier) serve(method, what string, form url.Values) (int, any) {
	kind, sid, one := strings.Cut(what, "/")
	switch {
	case what == "":
		return http.StatusOK, map[string]any{"sid": c.cfg.Account, "status": "active"}
	case kind == "Calls" && one:
		return c.oneCall(method, sid, form)
	case kind == "Calls" && method == http.MethodPost:
		return c.place(form)
	case kind == "Calls":
		c.mu.Lock()
		defer c.mu.Unlock()
		out := []any{}
		for i := len(c.calls) - 1; i >= 0; i-- { // the newest first
			if k := c.calls[i]; form.Get("To") == "" || form.Get("To") == k.To {
				out = append(out, k.json())
			}
		}
		return http.StatusOK, map[string]any{"calls": out}
	case kind == "Messages" && method == http.MethodPost && !one:
		return c.take(form)
	case kind == "Messages" && !one:
		c.mu.Lock()
		defer c.mu.Unlock()
		out := []any{}
		for i := len(c.texts) - 1; i >= 0; i-- {
			if t := c.texts[i]; form.Get("To") == "" || form.Get("To") == t.To {
				out = append(out, t.json())
			}
		}
		return http.StatusOK, map[string]any{"messages": out}
	}
	return http.StatusNotFound, problem{20404, "Not found"}
}

// json is a call as the API tells of it. The carrier is locked.
func (k *Call) json() map[string]any {
	direction := "inbound"
	if k.Outbound {
		direction = "outbound-api"
	}
	return map[string]any{
		"sid": k.SID, "from": k.From, "to": k.To, "status": k.status, "direction": direction, "date_created": k.Created.UTC().Format(time.RFC1123Z),
	}
}

func (t Text) json() map[string]any {
	return map[string]any{
		"sid": t.SID, "from": t.From, "to": t.To, "body": t.Body, "status": "sent", "direction": "outbound-api", "date_created": t.At.UTC().Format(time.RFC1123Z),
	}
}

func (c *Carrier) oneCall(method, sid string, form url.Values) (int, any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.calls {
		if k.SID != sid {
			continue
		}
		if method == http.MethodPost && (form.Get("Status") == "completed" || form.Get("Status") == "canceled") && k.cancel != nil {
			k.cancel()
		}
		return http.StatusOK, k.json()
	}
	return http.StatusNotFound, problem{20404, "No such call"}
}

// take sends a message.
func (c *Carrier) take(form url.Values) (int, any) {
	if len([]rune(form.Get("Body"))) > 1600 || form.Get("Body") == "" {
		return http.StatusBadRequest, problem{21617, "The message body exceeds the 1600 character limit"}
	}
	c.mu.Lock()
	t := Text{SID: c.sid("SM"), From: form.Get("From"), To: form.Get("To"), Body: form.Get("Body"), At: time.Now()}
	c.texts = append(c.texts, t)
	c.note()
	c.mu.Unlock()
	c.show("✉ %s ← %s", t.To, t.Body)
	return http.StatusCreated, t.json()
}

// detect tells a person from a machine, as it was asked for: it takes a hello, or all
// of a greeting where its end was asked for. What it finds is AnsweredBy.
func (c *Carrier) detect(how string, who Subscriber) func(ctx context.Context) string {
	const hello, greeting = 2, 8 // seconds
	return func(ctx context.Context) string {
		switch {
		case how == "":
			return ""
		case !who.Machine:
			c.rest(ctx, hello)
			return "human"
		case how == "Enable":
			c.rest(ctx, hello)
			return "machine_start"
		}
		c.rest(ctx, greeting)
		return "machine_end_beep"
	}
}

// place has the API's calls happen.
func (c *Carrier) place(form url.Values) (int, any) {
	to, voice := form.Get("To"), form.Get("Url")
	if u, err := url.Parse(voice); to == "" || err != nil || u.Host == "" {
		return http.StatusBadRequest, problem{21205, "Url is not a valid URL"}
	}
	detect := form.Get("MachineDetection")
	if silence, err := strconv.Atoi(cmp.Or(form.Get("MachineDetectionSilenceTimeout"), "5000")); err != nil || silence < 2000 || silence > 10000 || detect != "" && detect != "Enable" && detect != "DetectMessageEnd" {
		return http.StatusBadRequest, problem{21264, "MachineDetection or one of its parameters is invalid"}
	}
	c.mu.Lock()
	who, ok := c.people[to]
	c.mu.Unlock()
	k := c.begin(form.Get("From"), to, true)
	c.wg.Go(func() {
		k.set("ringing")
		c.show("☎ %s rings", to)
		how := who.Status
		if !ok {
			how = "failed"
		}
		if how == "" {
			c.run(k, voice, form.Get("StatusCallback"), "", who.Person, c.detect(detect, who))
			return
		}
		defer close(k.done)
		if how == "no-answer" {
			ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
			defer cancel()
			c.rest(ctx, 25)
		}
		c.finish(k, form.Get("StatusCallback"), url.Values{
			"AccountSid": {c.cfg.Account}, "CallSid": {k.SID}, "From": {k.From}, "To": {to}, "Direction": {"outbound-api"},
		}, how, nil)
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	return http.StatusCreated, k.json()
}
