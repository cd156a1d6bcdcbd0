package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
)

// DiscordCommand is an application command, as Discord's API takes it. Everything
// is a subcommand of one command, so that a server's admins allow or forbid
// firstmate in one place and it takes nobody else's names.
type DiscordCommand struct {
	Type        int             `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Options     []DiscordOption `json:"options,omitempty"`
	// Contexts and Installs are where it can be used: in servers, and in direct
	// messages with the bot.
	Contexts []int `json:"contexts"`
	Installs []int `json:"integration_types"`
}

// DiscordOption is a subcommand, or an option of one.
type DiscordOption struct {
	Type         int             `json:"type"`
	Name         string          `json:"name"`
	Description  string          `json:"description"`
	Required     bool            `json:"required,omitempty"`
	Autocomplete bool            `json:"autocomplete,omitempty"`
	Choices      []DiscordChoice `json:"choices,omitempty"`
	MinValue     *int            `json:"min_value,omitempty"`
	MaxValue     *int            `json:"max_value,omitempty"`
	MaxLength    int             `json:"max_length,omitempty"`
	Options      []DiscordOption `json:"options,omitempty"`
}

// DiscordChoice is a value that an option may have.
type DiscordChoice struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// What Discord calls the types of commands and options, and its limits.
const (
	discordChatInput  = 1
	discordSubcommand = 1
	discordString     = 3
	discordInteger    = 4
	discordBoolean    = 5

	discordMaxDescription = 100
	discordMaxChoices     = 25
	discordMaxText        = 1000
	discordMaxName        = 100
)

// DiscordRoot is the name of the command, DiscordAsk that of the subcommand that
// takes a sentence, and DiscordText and DiscordVoice its options.
const (
	DiscordRoot  = "firstmate"
	DiscordAsk   = "ask"
	DiscordText  = "text"
	DiscordVoice = "voice"
)

// discordSentences are the intents that have a subcommand, each with the sentence
// that it says. What stands in brackets is left out where its slot is not given.
// The names of commands, what they are for, their options and which of them are
// needed come from the catalogue.
func discordSentences() [][2]string {
	const where = "[ in {namespace}][ on cluster {cluster}]"
	return [][2]string{
		{"status", "how is {targets}" + where},
		{"diagnose", "what is wrong with {targets}" + where},
		{"logs", "logs of {targets}" + where},
		{"list", "list {kind}" + where},
		{"alerts_list", "which alerts are firing" + where},
		{"errors", "errors of {targets}" + where},
		{"events", "events of {targets}" + where},
		{"history", "what happened to {targets}" + where},
		{"scale", "scale {targets} to {replicas}" + where},
		{"restart", "restart {targets}" + where},
		{"deploy", "roll out version {version} of {targets}" + where},
		{"rollback", "roll back {targets}[ to revision {revision}]" + where},
		{"undo", "undo"},
		{"rights", "what may I do"},
		{"help", "help"},
	}
}

// discordName is what an intent or a slot is called on Discord.
func discordName(name string) string {
	switch name {
	case "targets":
		return "workload"
	case "alerts_list":
		return "alerts"
	}
	return name
}

// discordOptions describes the slots that may be options: of what type, and for
// what.
func discordOptions() map[string]DiscordOption {
	one, most := 0, 1000
	name := func(what string) DiscordOption {
		return DiscordOption{Type: discordString, Description: what, Autocomplete: true, MaxLength: discordMaxName}
	}
	number := func(what string) DiscordOption {
		return DiscordOption{Type: discordInteger, Description: what, MinValue: &one, MaxValue: &most}
	}
	return map[string]DiscordOption{
		"targets": name("Which workload"), "namespace": name("In which namespace"), "cluster": name("On which cluster"),
		"version": name("Which version"), "replicas": number("How many pods"), "revision": number("Which revision; without it, the one before"),
		"kind": {Type: discordString, Description: "What to list", Required: true, Choices: []DiscordChoice{
			{"workloads", "workloads"}, {"pods", "pods"}, {"deployments", "deployments"}, {"services", "services"},
			{"nodes", "nodes"}, {"namespaces", "namespaces"}, {"jobs", "jobs"}, {"cron jobs", "cron jobs"},
		}},
	}
}

// DiscordCommands are the commands for the catalogue.
func DiscordCommands(c *intents.Catalogue) ([]DiscordCommand, error) {
	root := DiscordCommand{
		Type: discordChatInput, Name: DiscordRoot, Description: "Ask about the cluster, or have something changed in it",
		Contexts: []int{0, 1}, Installs: []int{0},
		Options: []DiscordOption{{
			Type: discordSubcommand, Name: DiscordAsk, Description: "Say it in your own words",
			Options: []DiscordOption{
				{Type: discordString, Name: DiscordText, Description: "What you want, as you would say it", Required: true, MaxLength: discordMaxText},
				{Type: discordBoolean, Name: DiscordVoice, Description: "Answer by a voice message too"},
			},
		}},
	}
	known := discordOptions()
	for _, s := range discordSentences() {
		spec, ok := c.Spec(s[0])
		if !ok {
			return nil, fmt.Errorf("export: there is no intent %s", s[0])
		}
		sub := DiscordOption{Type: discordSubcommand, Name: discordName(spec.Name), Description: capital(spec.Help)}
		for _, part := range parts(s[1]) {
			if part.slot == "" {
				continue
			}
			i := slices.IndexFunc(spec.Slots, func(sl intents.SlotSpec) bool { return sl.Name == part.slot })
			o, described := known[part.slot]
			if i < 0 || !described {
				return nil, fmt.Errorf("export: %s takes no %s", s[0], part.slot)
			}
			o.Name, o.Required = discordName(part.slot), !part.optional
			sub.Options = append(sub.Options, o)
		}
		// Discord wants what is required first.
		slices.SortStableFunc(sub.Options, func(a, b DiscordOption) int {
			switch {
			case a.Required == b.Required:
				return 0
			case a.Required:
				return -1
			}
			return 1
		})
		root.Options = append(root.Options, sub)
	}
	return []DiscordCommand{root}, nil
}

// DiscordSentence is what a subcommand with its options says; ok is false for one
// that does not exist, or lacks what it needs.
func DiscordSentence(subcommand string, options map[string]string) (said string, ok bool) {
	if subcommand == DiscordAsk {
		return options[DiscordText], options[DiscordText] != ""
	}
	for _, s := range discordSentences() {
		if discordName(s[0]) != subcommand {
			continue
		}
		var b strings.Builder
		for _, p := range parts(s[1]) {
			v := strings.Join(strings.Fields(options[discordName(p.slot)]), " ")
			switch {
			case p.slot == "" || v != "":
				b.WriteString(p.before + v + p.after)
			case !p.optional:
				return "", false
			}
		}
		return b.String(), true
	}
	return "", false
}

// part is a piece of a sentence: words, or a slot with the words around it.
type part struct {
	before, slot, after string
	optional            bool
}

// parts takes a sentence of discordSentences apart.
func parts(sentence string) (out []part) {
	for sentence != "" {
		if rest, ok := strings.CutPrefix(sentence, "["); ok {
			inside, after, _ := strings.Cut(rest, "]")
			p := slot(inside)
			p.optional = true
			out, sentence = append(out, p), after
			continue
		}
		i := strings.IndexByte(sentence, '[')
		if i < 0 {
			i = len(sentence)
		}
		for plain := sentence[:i]; plain != ""; {
			p := slot(plain)
			plain, p.after = p.after, ""
			out = append(out, p)
		}
		sentence = sentence[i:]
	}
	return out
}

// slot is the first slot of some words, what is before it and what is after it.
func slot(words string) part {
	before, rest, ok := strings.Cut(words, "{")
	if !ok {
		return part{before: words}
	}
	name, after, _ := strings.Cut(rest, "}")
	return part{before: before, slot: name, after: after}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Discord is the command set as files: commands.json is what
// PUT /applications/{id}/commands takes. bot serve registers the same by itself.
func Discord(c *intents.Catalogue) (Files, error) {
	commands, err := DiscordCommands(c)
	if err != nil {
		return nil, err
	}
	b, err := encode(commands)
	if err != nil {
		return nil, err
	}
	return Files{"commands.json": b}, nil
}
