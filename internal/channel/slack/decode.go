package slack

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/slack-go/slack"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// outer is an event as Slack delivers it, with as much of it as is used.
type outer struct {
	Type      string `json:"type"`
	Challenge string `json:"challenge"`
	Team      string `json:"team_id"`
	EventID   string `json:"event_id"`
	Event     event  `json:"event"`
}

// event is what happened.
type event struct {
	Type     string      `json:"type"`
	Subtype  string      `json:"subtype"`
	User     string      `json:"user"`
	BotID    string      `json:"bot_id"`
	Team     string      `json:"team"`      // of who wrote it
	UserTeam string      `json:"user_team"` // the same, in shared channels
	Text     string      `json:"text"`
	Channel  string      `json:"channel"`
	Kind     string      `json:"channel_type"`
	TS       string      `json:"ts"`
	Thread   string      `json:"thread_ts"`
	Tab      string      `json:"tab"`
	Hidden   bool        `json:"hidden"`
	Edited   any         `json:"edited"`
	Files    []eventFile `json:"files"`
}

// eventFile is a file that somebody sent.
type eventFile struct {
	ID       string `json:"id"`
	Mime     string `json:"mimetype"`
	Subtype  string `json:"subtype"`
	Size     int64  `json:"size"`
	Download string `json:"url_private_download"`
	Private  string `json:"url_private"`
}

// decodeEvent reads an event; whatever is not known is left out.
func decodeEvent(b []byte) (outer, error) {
	var o outer
	if err := json.Unmarshal(b, &o); err != nil {
		return outer{}, fault.Wrap(err, fault.Usage, "The request's body is not an event of Slack's.")
	}
	if o.Type == "" {
		return outer{}, fault.New(fault.Usage, "The request's body is not an event of Slack's: it has no type.")
	}
	return o, nil
}

// writer is the workspace of who wrote a message, "" where it is not said.
func (e event) writer() string {
	if e.UserTeam != "" {
		return e.UserTeam
	}
	return e.Team
}

// spoken reports whether it is something that somebody says: not what was edited,
// deleted, or said by a program.
func (e event) spoken() bool {
	if e.BotID != "" || e.User == "" || e.Channel == "" || e.TS == "" || e.Hidden || e.Edited != nil {
		return false
	}
	switch e.Subtype {
	case "", "file_share", "thread_broadcast":
		return e.Type == "message" || e.Type == "app_mention"
	}
	return false
}

// decodeCommand reads a slash command that was posted as a form.
func decodeCommand(form url.Values) (slack.SlashCommand, error) {
	c := slack.SlashCommand{
		TeamID: form.Get("team_id"), ChannelID: form.Get("channel_id"), UserID: form.Get("user_id"), Command: form.Get("command"),
		Text: form.Get("text"), ResponseURL: form.Get("response_url"), TriggerID: form.Get("trigger_id"),
	}
	if c.Command == "" || c.UserID == "" || c.ChannelID == "" {
		return c, fault.New(fault.Usage, "The request's body is no command of Slack's.")
	}
	return c, nil
}

// decodeInteraction reads what was pressed, chosen or filled in.
func decodeInteraction(b []byte) (slack.InteractionCallback, error) {
	var i slack.InteractionCallback
	if err := json.Unmarshal(b, &i); err != nil {
		return i, fault.Wrap(err, fault.Usage, "The request's body is no interaction of Slack's.")
	}
	if i.Type == "" || i.User.ID == "" {
		return i, fault.New(fault.Usage, "The request's body is no interaction of Slack's.")
	}
	return i, nil
}

// stamp is what a message's id looks like.
func stamp(ts string) bool {
	sec, frac, ok := strings.Cut(ts, ".")
	return ok && sec != "" && frac != "" && strings.Trim(sec+frac, "0123456789") == ""
}

// channelID is what a channel's id looks like.
func channelID(id string) bool {
	return len(id) > 1 && strings.ContainsRune("CDG", rune(id[0])) && strings.Trim(id[1:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}
