package slack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/slack/slacktest"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/export"
)

const signingSecret = "8f742231b10e8888abcd99yyyzzz85a5" // of Slack's documentation

// signedRequest is a request as Slack signs it.
func signedRequest(path, kind string, body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(signingSecret))
	fmt.Fprintf(mac, "v0:%s:%s", at, body)
	r.Header.Set("Content-Type", kind)
	r.Header.Set("X-Slack-Request-Timestamp", at)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	return r
}

// message is an event: Alice writes to the bot. Equal ids are the same message.
func message(dm, id, text string) []byte {
	sum := sha256.Sum256([]byte(id))
	b, err := json.Marshal(map[string]any{
		"type": "event_callback", "team_id": slacktest.Team, "event_id": "Ev" + strings.ToUpper(id),
		"event": map[string]any{"type": "message", "channel_type": "im", "user": slacktest.Alice, "channel": dm, "text": text, "ts": fmt.Sprintf("1700000000.%06d", int(sum[0])<<8|int(sum[1]))},
	})
	if err != nil {
		panic(err)
	}
	return b
}

// TestChannel is what every HTTP channel promises.
func TestChannel(t *testing.T) {
	for name, path := range map[string]string{"events": PathEvents, "commands": PathCommands, "interactions": PathInteractions} {
		t.Run(name, func(t *testing.T) {
			dm := "D0ALICE" // the very one is known once there is a Slack
			c := channeltest.Channel{
				Handler: func(t *testing.T, e *channeltest.Engine) http.Handler {
					w := &workspace{t: t, engine: e}
					w.Server = slacktest.New(t)
					w.begin(func(c *Config, _ *Parts) { c.Mode, c.SigningSecret = HTTP, signingSecret })
					mux := http.NewServeMux()
					w.bot.Routes(mux)
					dm = w.DM(slacktest.Alice)
					return mux
				},
				MaxBody: maxBody, SignsBody: true, Remembers: true, OneWay: path != PathEvents,
				Forge: map[string]func(*http.Request){
					"none": func(r *http.Request) { r.Header.Del("X-Slack-Signature") },
					"other": func(r *http.Request) {
						r.Header.Set("X-Slack-Signature", "v0="+strings.Repeat("ab", 32))
					},
					"version": func(r *http.Request) {
						r.Header.Set("X-Slack-Signature", strings.Replace(r.Header.Get("X-Slack-Signature"), "v0=", "v1=", 1))
					},
					"time":    func(r *http.Request) { r.Header.Set("X-Slack-Request-Timestamp", "1531420618") },
					"no time": func(r *http.Request) { r.Header.Del("X-Slack-Request-Timestamp") },
					"other at": func(r *http.Request) {
						r.Header.Set("X-Slack-Request-Timestamp", strconv.FormatInt(time.Now().Unix()-9, 10))
					},
					"other body": func(r *http.Request) {
						r.Body = io.NopCloser(strings.NewReader(`{"type":"event_callback"}`))
					},
				},
				Request: func(delivery, text string) *http.Request {
					switch path {
					case PathEvents:
						return signedRequest(path, "application/json", message(dm, delivery, text))
					case PathCommands:
						form := url.Values{"command": {Command}, "text": {text}, "user_id": {slacktest.Alice}, "channel_id": {dm}, "team_id": {slacktest.Team}, "trigger_id": {delivery}}
						return signedRequest(path, "application/x-www-form-urlencoded", []byte(form.Encode()))
					}
					form := url.Values{"payload": {`{"type":"shortcut","callback_id":"other","user":{"id":"` + slacktest.Alice + `"},"trigger_id":"` + delivery + `"}`}}
					return signedRequest(path, "application/x-www-form-urlencoded", []byte(form.Encode()))
				},
				Raw: func(body io.Reader) *http.Request {
					b, err := io.ReadAll(body)
					if err != nil {
						panic(err)
					}
					return signedRequest(path, "application/json", b)
				},
			}
			channeltest.Run(t, c)
		})
	}
}

// TestSignatureVector is the worked example of Slack's documentation.
func TestSignatureVector(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "samples", "signature-vector.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]string
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	sec, err := strconv.ParseInt(v["X-Slack-Request-Timestamp"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	bot := &Bot{cfg: Config{SigningSecret: v["signing_secret"]}}
	for _, c := range []struct {
		late time.Duration
		body string
		ok   bool
	}{
		{0, v["body"], true},
		{window, v["body"], true}, {-window, v["body"], true},
		{window + time.Second, v["body"], false}, {-window - time.Second, v["body"], false},
		{0, v["body"] + "&", false}, {0, "", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.Unix(sec, 0).Add(c.late))) // the bubble's clock begins in 2000
			r := httptest.NewRequest(http.MethodPost, PathCommands, strings.NewReader(c.body))
			r.Header.Set("X-Slack-Request-Timestamp", v["X-Slack-Request-Timestamp"])
			r.Header.Set("X-Slack-Signature", v["X-Slack-Signature"])
			err := bearsSignature(r)
			if err == nil {
				err = bot.signed(func(http.ResponseWriter, *http.Request, []byte) error { return nil })(httptest.NewRecorder(), r)
			}
			if (err == nil) != c.ok {
				t.Errorf("%v late, %d bytes: %v", c.late, len(c.body), err)
			}
		})
	}
}

// The samples that Slack's own libraries are tested with are understood.
func TestSamples(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", "samples", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, spoken := range map[string]bool{"event_app_mention.json": true, "event_message.json": false, "event_app_home_opened.json": false, "MessageFileSharePayload.json": false} {
		o, err := decodeEvent(read(name))
		if name == "MessageFileSharePayload.json" {
			if err == nil || len(o.Event.Files) != 0 { // its strings are blank, its type too
				t.Errorf("%s: %+v, %v", name, o, err)
			}
			continue
		}
		if err != nil || o.Event.spoken() != spoken {
			t.Errorf("%s: %+v, %v", name, o.Event, err)
		}
	}
	form, err := url.ParseQuery(strings.TrimSpace(string(read("slash-command.form"))))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := decodeCommand(form); err != nil || c.UserID != "U2147483697" || c.Text != "94070" || c.TriggerID == "" {
		t.Errorf("%+v, %v", c, err)
	}
	i, err := decodeInteraction(read("block_actions.json"))
	if err != nil || len(i.ActionCallback.BlockActions) != 1 || !i.Container.IsEphemeral {
		t.Errorf("%+v, %v", i, err)
	}
	if i, err := decodeInteraction(read("view_submission.json")); err != nil || i.View.State == nil {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestHTTP holds the same by HTTP as by Socket Mode: the address is verified, and
// messages, commands, presses and forms are answered.
func TestHTTP(t *testing.T) {
	w := &workspace{t: t, engine: channeltest.NewEngine(func(r dialogue.Request) dialogue.Reply {
		out := echo(r)
		if r.Text == "scale web" {
			out.Expect, out.Proposal = dialogue.ExpectConfirm, &dialogue.Proposal{ID: "p1"}
		}
		if r.Text == "restart" {
			out.Expect = "targets"
		}
		if r.Confirm != "" {
			out.Text = "confirmed"
		}
		return out
	})}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	w.Server = slacktest.New(t, func(c *slacktest.Config) {
		c.EventsURL, c.CommandsURL, c.InteractionsURL = srv.URL+PathEvents, srv.URL+PathCommands, srv.URL+PathInteractions
	})
	w.begin(func(c *Config, _ *Parts) { c.Mode, c.AppToken = HTTP, "" })
	w.bot.Routes(mux)
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	if err := w.VerifyURL(ctx); err != nil {
		t.Error(err)
	}
	root := w.Say(slacktest.Alice, slacktest.General, "", slacktest.BotMention+" scale web")
	asked := w.said(slacktest.General, root, "scale web")
	w.Click(slacktest.Alice, asked.ID, "yes:p1")
	w.said(slacktest.General, root, "confirmed")
	w.Command(slacktest.Alice, w.DM(slacktest.Alice), Command, map[string]string{"text": "restart"})
	asked = w.said(w.DM(slacktest.Alice), "", "restart")
	w.Click(slacktest.Alice, asked.ID, "ask:targets")
	if _, err := w.WaitModal(ctx, slacktest.Alice, nil); err != nil {
		t.Fatal(err)
	}
	if wrong := w.Submit(slacktest.Alice, map[string]string{formText: "cart"}); len(wrong) > 0 {
		t.Error(wrong)
	}
	w.said(w.DM(slacktest.Alice), "", ": cart")
	w.Repeat()
	w.OpenHome(slacktest.Alice)
	if _, err := w.WaitHome(ctx, slacktest.Alice, nil); err != nil {
		t.Fatal(err)
	}
	w.settled()
	n := 0
	for _, r := range w.engine.Requests() {
		if r.Text == "cart" {
			n++
		}
	}
	if n != 1 || len(w.Failures()) > 0 {
		t.Errorf("%d times, people saw %q", n, w.Failures())
	}
}

// TestOneName holds the manifest and the bot to the same names.
func TestOneName(t *testing.T) {
	for ours, theirs := range map[string]string{
		Command: export.SlackCommand, ShortcutAsk: export.SlackShortcutAsk, ShortcutWhy: export.SlackShortcutWhy,
		PathEvents: export.SlackEvents, PathCommands: export.SlackCommands, PathInteractions: export.SlackInteractions,
	} {
		if ours != theirs {
			t.Errorf("%s is %s in the manifest", ours, theirs)
		}
	}
	var scopes []string
	for _, s := range export.SlackScopes() {
		scopes = append(scopes, s[0])
	}
	if strings.Join(scopes, " ") != strings.Join(Scopes(), " ") {
		t.Errorf("the manifest asks for %q, and %q is looked for", scopes, Scopes())
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"event_app_mention.json", "block_actions.json", "view_submission.json", "MessageFileSharePayload.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", "samples", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		if o, err := decodeEvent(b); err == nil {
			said(o.Event.Text, "U0BOT")
			_ = o.Event.spoken()
			audio(o.Event.Files)
		}
		if i, err := decodeInteraction(b); err == nil {
			for _, a := range i.ActionCallback.BlockActions {
				if a != nil {
					placeOf(i, *a, identity{"T1", "U1"})
				}
			}
			written(i.View.State)
		}
	})
}
