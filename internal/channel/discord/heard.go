package discord

import (
	"regexp"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/chat"
)

// Channel is the name of this channel in speakers and rules.
const Channel = "discord"

// place is a channel, and what about it decides whether a message there is for us.
type place struct {
	channel
	ours bool // a thread that we opened
}

// address is where a conversation in a place is held.
func (p place) address(guild string) chat.Address {
	if p.thread() {
		return chat.Address{Platform: Channel, Team: guild, Channel: p.ParentID, Thread: p.ID}
	}
	return chat.Address{Platform: Channel, Team: guild, Channel: p.ID}
}

// concerns reports whether a message may be for us: a person wrote it, and it names us,
// is direct, or stands in a thread that we opened and speaks to nobody else. Where in
// doubt it is not: people talk among each other. before knowing the place, p is nil.
func concerns(m message, self string, p *place) bool {
	switch {
	case m.Author.Bot || m.WebhookID != "" || m.Type != messageDefault && m.Type != messageReply || m.Author.ID == "":
		return false
	case m.GuildID == "" || mentions(m, self):
		return true
	case len(m.Mentions) > 0:
		return false
	}
	return p == nil || p.ours
}

func mentions(m message, self string) bool {
	return slices.ContainsFunc(m.Mentions, func(u user) bool { return u.ID == self })
}

// said is what a message says, without our name in it.
func said(content, self string) string {
	content = strings.NewReplacer("<@"+self+">", " ", "<@!"+self+">", " ").Replace(content)
	return strings.Join(strings.Fields(content), " ")
}

// recording is the recording that a message is; nil where it has none. Words beside one
// count before it.
func recording(m message) *attachment {
	for i, a := range m.Attachments {
		if strings.HasPrefix(a.ContentType, "audio/") {
			return &m.Attachments[i]
		}
	}
	return nil
}

// speaker is who a member is to the rules.
func speaker(who member) access.Speaker {
	s := access.NewSpeaker(Channel, who.User.ID, access.Signature)
	s.Roles = access.NewRoles(who.Roles...)
	for _, name := range []string{who.Nick, who.User.GlobalName, who.User.Username} {
		if name != "" && s.Name == "" {
			s.Name = name
		}
	}
	return s
}

// aloud matches a wish for an answer by voice, at either end of a sentence.
var aloud = regexp.MustCompile(`(?i)^\s*(?:please\s+)?(?:answer|reply|respond|speak|say it)(?:\s+me)?\s+(?:by|with|in)\s+(?:a\s+)?voice(?:\s+message)?(?:[\s,]+please)?\s*[:,.;-]?\s+|[\s,.;:-]+(?:(?:and\s+)?(?:please\s+)?(?:answer|reply|respond|speak|say it)(?:\s+me)?\s+)(?:by|with|in)\s+(?:a\s+)?voice(?:\s+message)?(?:[\s,]+please)?\s*[.!?]?\s*$`)

// byVoice takes the wish for an answer by voice off a sentence.
func byVoice(text string) (rest string, wished bool) {
	at := aloud.FindStringIndex(text)
	if at == nil {
		return text, false
	}
	rest = strings.TrimSpace(text[:at[0]] + " " + text[at[1]:])
	return rest, rest != ""
}
