package alexa

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
)

// Meaning is what an intent of the skill's interaction model stands for. Alexa
// sends no words, only the intent and its slots.
type Meaning struct {
	Intent  string        // in the catalogue
	Slots   intents.Slots // that the intent says by itself
	Types   map[string]string
	Samples []string // sentences with {slots}, each of which the recogniser reads as the intent
}

// anything is the intent that takes a sentence as it was said.
const (
	anything     = "anything"
	anythingSlot = "text"
)

// sentence makes of what Alexa recognised a sentence for the recogniser, which
// knows the names that exist now, the question that is open, and what "it" is.
// It is "" where none has just these slots; the intent says it then.
func (m Meaning) sentence(slots map[string]string) string {
	said := slices.Sorted(maps.Keys(slots))
	for _, s := range m.Samples {
		if slices.Equal(slotsOf(s), said) {
			return fill(s, slots)
		}
	}
	return ""
}

// slotsOf lists the slots of a sample, sorted.
func slotsOf(sample string) []string {
	out := []string{}
	for {
		_, rest, ok := strings.Cut(sample, "{")
		if !ok {
			slices.Sort(out)
			return out
		}
		name, after, _ := strings.Cut(rest, "}")
		out = append(out, name)
		sample = after
	}
}

func fill(sample string, slots map[string]string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(sample, "{")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		b.WriteString(slots[name])
		sample = after
	}
}

// intent is what Alexa recognised as an intent of the catalogue.
func (m Meaning) intent(slots map[string]string) *intents.Intent {
	out := intents.Slots{}
	for name, v := range slots {
		if name == "targets" {
			out[name] = strings.Split(v, " and ")
			continue
		}
		n, err := strconv.ParseFloat(v, 64)
		if err != nil {
			out[name] = v
			continue
		}
		switch m.Types[name] {
		case "less":
			n = -n
		case "percent_up":
			n = 1 + n/100
		case "percent_down":
			n = 1 - n/100
		case "percent_of":
			n /= 100
		}
		out[name] = n
	}
	maps.Copy(out, m.Slots)
	return &intents.Intent{Name: m.Intent, Slots: out}
}

// native are the sentences of Alexa's own intents, for a model that gives them
// no samples with slots.
func native(name string) string {
	switch name {
	case "AMAZON.YesIntent":
		return "yes"
	case "AMAZON.NoIntent":
		return "no"
	case "AMAZON.CancelIntent", "AMAZON.StopIntent":
		return "never mind"
	case "AMAZON.RepeatIntent":
		return "repeat that"
	case "AMAZON.HelpIntent":
		return "help"
	}
	return ""
}

// understand makes the text of a turn, and what Alexa itself made of it.
func understand(all map[string]Meaning, name string, slots map[string]string) (string, *intents.Intent) {
	if s := native(name); s != "" {
		return s, nil
	}
	if name == anything {
		return slots[anythingSlot], nil
	}
	m, ok := all[name]
	if !ok || m.Intent == "" {
		return "", nil // Alexa did not understand it either
	}
	return m.sentence(slots), m.intent(slots)
}
