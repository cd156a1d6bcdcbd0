package export

import (
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/intents"
)

func discordOf(t *testing.T) DiscordCommand {
	t.Helper()
	all, err := DiscordCommands(english())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("%d commands", len(all))
	}
	return all[0]
}

// TestDiscordRules holds the command set to the limits that Discord documents.
func TestDiscordRules(t *testing.T) {
	name := regexp.MustCompile(`^[-_a-z0-9]{1,32}$`)
	total := 0
	described := func(n, d string) {
		t.Helper()
		if !name.MatchString(n) || d == "" || utf8.RuneCountInString(d) > discordMaxDescription {
			t.Errorf("%q: %q", n, d)
		}
		total += utf8.RuneCountInString(n) + utf8.RuneCountInString(d)
	}
	root := discordOf(t)
	described(root.Name, root.Description)
	if len(root.Options) > 25 {
		t.Errorf("%d subcommands", len(root.Options))
	}
	seen := map[string]bool{}
	for _, sub := range root.Options {
		described(sub.Name, sub.Description)
		if sub.Type != discordSubcommand || seen[sub.Name] || len(sub.Options) > 25 {
			t.Errorf("%+v", sub)
		}
		seen[sub.Name] = true
		optional := false
		for _, o := range sub.Options {
			described(o.Name, o.Description)
			for _, c := range o.Choices {
				total += utf8.RuneCountInString(c.Name) + utf8.RuneCountInString(c.Value)
			}
			switch {
			case o.Required && optional:
				t.Errorf("%s: %s is required and stands after what is not", sub.Name, o.Name)
			case len(o.Choices) > discordMaxChoices, o.Autocomplete && len(o.Choices) > 0, o.Autocomplete && o.Type != discordString:
				t.Errorf("%s: %+v", sub.Name, o)
			}
			optional = optional || !o.Required
		}
	}
	if total > 8000 {
		t.Errorf("%d characters in all", total)
	}
}

// TestEveryDiscordCommandIsReadAsItsIntent gives every subcommand every selection of
// its options, and has our own recogniser read the sentence that comes of it.
func TestEveryDiscordCommandIsReadAsItsIntent(t *testing.T) {
	r, inv := intents.NewRecognizer(english()), intents.NewInventory(example())
	values := map[string]string{
		"workload": "payments-api", "namespace": "staging", "cluster": "west", "version": "2.3", "replicas": "5", "revision": "3",
	}
	wants := map[string]string{"workload": "targets"}
	n := 0
	for _, sub := range discordOf(t).Options[1:] {
		intent := sub.Name
		if intent == "alerts" {
			intent = "alerts_list"
		}
		for mask := range 1 << len(sub.Options) {
			given, whole := map[string]string{}, true
			for i, o := range sub.Options {
				switch {
				case mask&(1<<i) == 0:
					whole = whole && !o.Required
				case len(o.Choices) > 0:
					given[o.Name] = o.Choices[mask%len(o.Choices)].Value
				default:
					given[o.Name] = values[o.Name]
				}
			}
			said, ok := DiscordSentence(sub.Name, given)
			if ok != whole {
				t.Errorf("/%s %v: %t, %q", sub.Name, given, ok, said)
			}
			if !ok {
				continue
			}
			n++
			got := r.Recognize(said, inv, intents.Expect{})
			if got.Intent != intent || len(got.Candidates) > 0 || got.Ask != "" {
				t.Errorf("/%s %v: %q is read as %s %v, asks %q, candidates %v", sub.Name, given, said, got.Intent, got.Slots, got.Ask, got.Candidates)
			}
			for o, v := range given {
				slot := o
				if w := wants[o]; w != "" {
					slot = w
				}
				if o != "kind" && got.Slots.String(slot) != v && !slices.Equal(got.Slots.Strings(slot), []string{v}) {
					t.Errorf("/%s: %q has %s %v, not %s", sub.Name, said, slot, got.Slots[slot], v)
				}
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d sentences", n)
	}
	for _, o := range discordOptions()["kind"].Choices {
		got := r.Recognize("list "+o.Value, inv, intents.Expect{})
		if got.Intent != "list" || got.Slots.String("kind") == "" {
			t.Errorf("list %s is %s %v", o.Value, got.Intent, got.Slots)
		}
	}
	if said, ok := DiscordSentence(DiscordAsk, map[string]string{DiscordText: "why is web slow?"}); !ok || said != "why is web slow?" {
		t.Errorf("%q", said)
	}
	for _, sub := range []string{"", "reboot", "deny"} {
		if _, ok := DiscordSentence(sub, nil); ok {
			t.Errorf("/%s says something", sub)
		}
	}
}
