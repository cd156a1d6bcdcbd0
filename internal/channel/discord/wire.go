package discord

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// What is decoded here is what is used, and no more: Discord adds fields and kinds of
// components without notice, and none of them may make a message unreadable.

type user struct {
	ID         string `json:"id"`
	Username   string `json:"username"`
	GlobalName string `json:"global_name"`
	Bot        bool   `json:"bot"`
}

type member struct {
	User  *user    `json:"user"`
	Nick  string   `json:"nick"`
	Roles []string `json:"roles"`
}

// Kinds of channels.
const (
	kindDirect        = 1
	kindNewsThread    = 10
	kindPublicThread  = 11
	kindPrivateThread = 12
)

type channel struct {
	ID       string `json:"id"`
	Type     int    `json:"type"`
	GuildID  string `json:"guild_id"`
	ParentID string `json:"parent_id"`
	OwnerID  string `json:"owner_id"`
}

func (c channel) thread() bool {
	return c.Type == kindNewsThread || c.Type == kindPublicThread || c.Type == kindPrivateThread
}

type attachment struct {
	ID          string `json:"id"`
	Filename    string `json:"filename"`
	ContentType string `json:"content_type"`
	URL         string `json:"url"`
	Size        int    `json:"size"`
}

// Kinds of messages that a person writes.
const (
	messageDefault = 0
	messageReply   = 19
)

type message struct {
	ID          string       `json:"id"`
	ChannelID   string       `json:"channel_id"`
	GuildID     string       `json:"guild_id"`
	Type        int          `json:"type"`
	Author      user         `json:"author"`
	Member      *member      `json:"member"`
	Content     string       `json:"content"`
	Mentions    []user       `json:"mentions"`
	Attachments []attachment `json:"attachments"`
	WebhookID   string       `json:"webhook_id"`
	Components  []component  `json:"components"`
	Reference   *struct {
		MessageID string `json:"message_id"`
	} `json:"message_reference"`
	Interaction *struct {
		ID string `json:"id"`
	} `json:"interaction_metadata"`
}

// Types of interactions.
const (
	typePing         = 1
	typeCommand      = 2
	typeComponent    = 3
	typeAutocomplete = 4
	typeModal        = 5
)

type interaction struct {
	ID            string          `json:"id"`
	ApplicationID string          `json:"application_id"`
	Type          int             `json:"type"`
	Token         string          `json:"token"`
	GuildID       string          `json:"guild_id"`
	ChannelID     string          `json:"channel_id"`
	Channel       *channel        `json:"channel"`
	Member        *member         `json:"member"`
	User          *user           `json:"user"`
	Data          interactionData `json:"data"`
	Message       *message        `json:"message"`
}

type interactionData struct {
	Name       string      `json:"name"`
	Options    []option    `json:"options"`
	CustomID   string      `json:"custom_id"`
	Values     []string    `json:"values"`
	Components []component `json:"components"`
}

type option struct {
	Name    string          `json:"name"`
	Type    int             `json:"type"`
	Value   json.RawMessage `json:"value"`
	Focused bool            `json:"focused"`
	Options []option        `json:"options"`
}

// text is an option's value as text: a string, a number or a truth.
func (o option) text() string {
	var s string
	if json.Unmarshal(o.Value, &s) == nil {
		return s
	}
	return strings.TrimSpace(string(o.Value))
}

// Types of components.
const (
	componentRow    = 1
	componentButton = 2
	componentSelect = 3
	componentInput  = 4
)

// component is one of a message or of a form, as far as it is looked at.
type component struct {
	Type       int         `json:"type"`
	CustomID   string      `json:"custom_id"`
	Label      string      `json:"label"`
	Value      string      `json:"value"`
	Components []component `json:"components"`
	Component  *component  `json:"component"`
	Options    []struct {
		Label string `json:"label"`
		Value string `json:"value"`
	} `json:"options"`
}

// find returns the first component, or part of one, that is so.
func find(all []component, is func(component) bool) (component, bool) {
	for _, c := range all {
		if is(c) {
			return c, true
		}
		inside := c.Components
		if c.Component != nil {
			inside = append([]component{*c.Component}, inside...)
		}
		if in, ok := find(inside, is); ok {
			return in, true
		}
	}
	return component{}, false
}

// snowflake reports whether a text can be an id of Discord's.
func snowflake(id string) bool {
	_, err := strconv.ParseUint(id, 10, 64)
	return err == nil
}

// decode reads an interaction and refuses what cannot be one.
func decode(body []byte) (interaction, error) {
	var in interaction
	if err := json.Unmarshal(body, &in); err != nil {
		return in, fault.Wrap(err, fault.Usage, "The request's body is not an interaction as Discord sends them.")
	}
	return in, in.check()
}

func (in interaction) check() error {
	if in.Type == typePing {
		return nil
	}
	who := in.who()
	switch {
	case in.Type < typePing || in.Type > typeModal:
		return fault.New(fault.Usage, "I know no interaction of that type.")
	case !snowflake(in.ID) || in.Token == "" || strings.ContainsAny(in.Token, "/?#% ") || !snowflake(in.ApplicationID) || !snowflake(in.ChannelID) || in.GuildID != "" && !snowflake(in.GuildID):
		return fault.New(fault.Usage, "The interaction lacks an id, a token or the channel.")
	case who.User == nil || !snowflake(who.User.ID):
		return fault.New(fault.Usage, "The interaction does not say whose it is.")
	}
	return nil
}

// who is whose interaction it is, with their roles where it is in a server.
func (in interaction) who() member {
	if in.GuildID != "" && in.Member != nil {
		return *in.Member
	}
	return member{User: in.User}
}

// subcommand is the subcommand of an interaction with its options.
func (in interaction) subcommand() (name string, options map[string]string, focused string) {
	options = map[string]string{}
	if len(in.Data.Options) == 0 {
		return "", options, ""
	}
	sub := in.Data.Options[0]
	for _, o := range sub.Options {
		options[o.Name] = o.text()
		if o.Focused {
			focused = o.Name
		}
	}
	return sub.Name, options, focused
}
