package skill

import (
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// blips warns, before anybody says yes, of the requests that fail while pods are
// replaced, and says what would help; ok is false where none need fail. It is no
// reason to ask where the policy wants no yes: nothing can be done about it now.
func (c *Crew) blips(e action.Entry) (say intents.Say, ok bool, err error) {
	var text []string
	emptied := false
	for _, s := range e.Steps {
		if e.Undoes != "" || e.Intent == "rollback" {
			continue
		}
		for _, b := range s.Change.Blips {
			say, err := c.catalogue.Say("blip."+string(b), dialogue.Data{"Name": s.Change.About().Name})
			if err != nil {
				return say, false, err
			}
			text = append(text, say.Text)
			emptied = emptied || b == kube.Emptied
		}
	}
	if len(text) == 0 {
		return say, false, nil
	}
	text = slices.Compact(text)
	say, err = c.catalogue.Say("blips", dialogue.Data{"Count": len(text), "Emptied": emptied, "Text": strings.Join(text, " ")})
	return say, true, err
}
