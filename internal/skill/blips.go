package skill

import (
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// drainPause is for how many seconds pods are to go on before they stop: until
// nobody sends them requests any more.
const drainPause = 3

// The slot by which somebody wants that pause, or does not.
const (
	slotPause    = "prestop"
	withoutPause = "without"
)

// addedPause is what a new version gets where its pods would stop abruptly. It is
// offered with the version, because each change of pods replaces them all: on its
// own it would fail as many requests as it saves.
func addedPause(t *dialogue.Turn) int64 {
	if t.Intent.Slots.String(slotPause) == withoutPause {
		return 0
	}
	return drainPause
}

// asAsked is a plan without what was not asked for.
func asAsked(p plan) plan {
	p.changes = slices.Clone(p.changes)
	p.then = slices.Clone(p.then)
	for i := range p.then {
		p.then[i] = slices.Clone(p.then[i])
	}
	for _, stage := range append([][]kube.Change{p.changes}, p.then...) {
		for i := range stage {
			stage[i].AddPause = 0
		}
	}
	return p
}

// pauseOf is the pause that a change adds, in seconds.
func pauseOf(c kube.Change) int64 {
	for _, p := range c.PreStop {
		if !p.Remove {
			return p.Seconds
		}
	}
	return 0
}

// addsPause reports whether an entry does that beside what was asked for.
func addsPause(e action.Entry) bool {
	return e.Undoes == "" && slices.ContainsFunc(e.Steps, func(s action.Step) bool { return pauseOf(s.Change) > 0 })
}

// pauseData is the pause of a change for wordings.
func pauseData(c kube.Change) dialogue.Data {
	pause := pauseOf(c)
	return dialogue.Data{"Pause": pause, "NoPause": pause == 0 && len(c.PreStop) > 0}
}

// blips warns, before anybody says yes, of the requests that fail while pods are
// replaced, and says what helps; ok is false where none need fail. It is no reason
// to ask where the policy wants no yes: those that run now cannot be helped.
func (c *Crew) blips(e action.Entry) (say intents.Say, ok bool, err error) {
	var text []string
	emptied := false
	for _, s := range e.Steps {
		if e.Undoes != "" || e.Intent == "rollback" {
			continue
		}
		ch, git := s.Change, false
		if ch.Pull != nil {
			ch, git = ch.Pull.Change, true
		}
		for _, b := range ch.Blips {
			say, err := c.catalogue.Say("blip."+string(b), dialogue.Data{"Name": ch.About().Name, "Added": pauseOf(ch), "Git": git})
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
	say, err = c.catalogue.Say("blips", dialogue.Data{"Count": len(text), "Emptied": emptied, "Added": addsPause(e), "Text": strings.Join(text, " ")})
	return say, true, err
}
