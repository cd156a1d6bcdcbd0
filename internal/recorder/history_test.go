package recorder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// shelf keeps turns in memory.
type shelf struct {
	turns  [][]byte
	told   []dialogue.Event
	keys   []string
	titles []string
	err    error
}

func (s *shelf) AddSaid(_ context.Context, conversation, speaker, key string, title, turn []byte) error {
	s.keys = append(s.keys, conversation+" "+speaker+" "+key)
	s.titles = append(s.titles, string(title))
	s.turns = append(s.turns, turn)
	return s.err
}

func (s *shelf) Said(_ context.Context, _ string, f func(time.Time, []byte) error) error {
	for i, t := range s.turns {
		if err := f(time.Unix(int64(10*i), 0), t); err != nil {
			return err
		}
	}
	return s.err
}

func (s *shelf) Told(_ context.Context, _ string, f func(int64, time.Time, []byte) error) error {
	for i, ev := range s.told {
		b, err := json.Marshal(ev)
		if err != nil {
			return err
		}
		if err := f(int64(i+1), time.Unix(int64(10*i+5), 0), b); err != nil {
			return err
		}
	}
	return nil
}

func onTheWeb(text string) dialogue.Heard {
	h := heard(text)
	h.Request.Speaker = access.NewSpeaker("web", "ann@example.com", access.OIDC)
	h.Request.DeliveryID = "web:c:1"
	return h
}

func TestWhatWasSaidIsShownAgain(t *testing.T) {
	s := &shelf{told: []dialogue.Event{{Kind: dialogue.EventOutcome, Reply: dialogue.Reply{Text: "✔ checkout runs 5."}}}}
	r, log := newRecorder(t, &book{})
	h := r.History(s, "web")
	h.Listen(t.Context(), onTheWeb("Scale checkout   to 5"))
	h.Listen(t.Context(), heard("restart checkout")) // by another channel
	pin := onTheWeb("it is 4 8 1 5")
	pin.Open = intents.Expect{Confirm: true}
	h.Listen(t.Context(), pin)
	button := onTheWeb("yes")
	button.Request.Confirm, button.Request.Speaker.Name = "a1", "Ann Lee"
	h.Listen(t.Context(), button)

	turns, after, err := h.Turns(t.Context(), "c")
	if err != nil || after != 1 {
		t.Fatal(after, err)
	}
	var got []string
	for _, turn := range turns {
		got = append(got, fmt.Sprintf("%s: %s > %s", turn.Who, turn.Text, turn.Reply.Text+turn.Reply.Speech))
	}
	want := []string{
		"web:ann@example.com: Scale checkout   to 5 > Scale checkout from 3 to 5?", ":  > ✔ checkout runs 5.",
		"web:ann@example.com: [masked] > Scale checkout from 3 to 5?", "Ann Lee: yes > Scale checkout from 3 to 5?",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s.titles[0] != "Scale checkout to 5" || s.keys[0] != "c web:ann@example.com web:c:1" {
		t.Errorf("%q %q", s.titles, s.keys)
	}
	if log.Len() > 0 {
		t.Error(log)
	}
}

func TestAHistoryIsBounded(t *testing.T) {
	s := &shelf{}
	r, _ := newRecorder(t, &book{})
	long := onTheWeb(strings.Repeat("how is checkout ", 60))
	long.Reply.Text = "Well."
	long.Reply.Blocks = []dialogue.Block{{Type: "log", Text: strings.Repeat("x", 100_000)}}
	r.History(s, "web").Listen(t.Context(), long)
	if len(s.turns) != 1 || len(s.turns[0]) > 64<<10 || !strings.Contains(string(s.turns[0]), "Well.") {
		t.Errorf("%d turns, %.200q", len(s.turns), s.turns)
	}
	if n := len([]rune(s.titles[0])); n > 80 || !strings.HasSuffix(s.titles[0], "…") {
		t.Errorf("title %q", s.titles[0])
	}
}

func TestAHistoryThatCannotBeKeptIsLogged(t *testing.T) {
	r, log := newRecorder(t, &book{})
	r.History(&shelf{err: errors.New("disk full")}, "web").Listen(t.Context(), onTheWeb("how is checkout"))
	if !strings.Contains(log.String(), "disk full") {
		t.Errorf("the log says %q", log)
	}
}
