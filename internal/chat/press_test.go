package chat_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

func TestButtons(t *testing.T) {
	p := &dialogue.Proposal{ID: "a1", Digest: "d1", Risk: "low"}
	risky := &dialogue.Proposal{ID: "a1", Digest: "d1", Risk: "high"}
	for _, tt := range []struct {
		name string
		r    dialogue.Reply
		want []chat.Button
		mean []chat.Press
	}{
		{"nothing is asked", dialogue.Reply{Expect: dialogue.ExpectNone}, nil, nil},
		{
			"a proposal", dialogue.Reply{Expect: dialogue.ExpectConfirm, Proposal: p},
			[]chat.Button{{ID: "yes:a1", Label: "Yes", Style: chat.Primary}, {ID: "no:a1", Label: "No"}},
			[]chat.Press{{Confirm: "a1"}, {Deny: "a1"}},
		},
		{
			"a risky one with a remedy", dialogue.Reply{Expect: dialogue.ExpectConfirm, Proposal: risky, Choices: []string{dialogue.ChoiceAsAsked}},
			[]chat.Button{{ID: "yes:a1", Label: "Yes", Style: chat.Danger}, {ID: "say:without it", Label: "Without it"}, {ID: "no:a1", Label: "No"}},
			[]chat.Press{{Confirm: "a1"}, {Text: "without it"}, {Deny: "a1"}},
		},
		{
			"did you say", dialogue.Reply{Expect: dialogue.ExpectConfirm},
			[]chat.Button{{ID: "say:yes", Label: "Yes", Style: chat.Primary}, {ID: "say:no", Label: "No"}},
			[]chat.Press{{Text: "yes"}, {Text: "no"}},
		},
		{
			"waiting for somebody else", dialogue.Reply{Expect: dialogue.ExpectApproval, Proposal: p, Outcome: dialogue.OutcomePending},
			[]chat.Button{{ID: "approve:a1@d1", Label: "Approve", Style: chat.Primary}, {ID: "no:a1", Label: "Withdraw"}},
			[]chat.Press{{Approve: "a1@d1"}, {Deny: "a1"}},
		},
		{"what was not shown cannot be approved", dialogue.Reply{Expect: dialogue.ExpectApproval, Proposal: &dialogue.Proposal{ID: "a1"}}, nil, nil},
		{
			"a PIN", dialogue.Reply{Expect: dialogue.ExpectPIN, Proposal: p},
			[]chat.Button{{ID: "ask:pin", Label: "Enter PIN", Style: chat.Primary}, {ID: "no:a1", Label: "No"}},
			[]chat.Press{{Ask: chat.AskPIN}, {Deny: "a1"}},
		},
		{
			"a choice", dialogue.Reply{Expect: dialogue.ExpectChoice, Choices: []string{"web in shop", "web in blog"}},
			[]chat.Button{{ID: "say:web in shop", Label: "web in shop"}, {ID: "say:web in blog", Label: "web in blog"}},
			[]chat.Press{{Text: "web in shop"}, {Text: "web in blog"}},
		},
		{
			"a slot", dialogue.Reply{Expect: "replicas"},
			[]chat.Button{{ID: "ask:replicas", Label: "Answer"}}, []chat.Press{{Ask: "replicas"}},
		},
		{
			"done", dialogue.Reply{Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeDone, Proposal: p},
			[]chat.Button{{ID: "say:undo", Label: "Undo"}}, []chat.Press{{Text: "undo"}},
		},
		{"a choice that is too long for any platform", dialogue.Reply{Expect: dialogue.ExpectChoice, Choices: []string{strings.Repeat("x", 200)}}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := chat.Buttons(tt.r)
			if !slices.Equal(got, tt.want) {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
			for i, b := range got {
				if p, ok := chat.ReadPress(b.ID); !ok || p != tt.mean[i] {
					t.Errorf("%s means %+v, %v", b.ID, p, ok)
				}
			}
		})
	}
}

func TestManyChoicesAreAMenu(t *testing.T) {
	if n := len(chat.Buttons(dialogue.Reply{Expect: dialogue.ExpectChoice, Choices: strings.Fields(strings.Repeat("x ", 60))})); n != 25 {
		t.Errorf("%d", n)
	}
}

// What a stranger makes up means one thing at most, and nothing where it is none of ours.
func FuzzReadPress(f *testing.F) {
	for _, s := range []string{"yes:a1", "no:", "approve:a1@d1", "say:undo", "ask:pin", "", ":", "yes", strings.Repeat("say:", 99)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		p, ok := chat.ReadPress(id)
		set := 0
		for _, s := range []string{p.Text, p.Confirm, p.Deny, p.Approve, p.Ask} {
			if s != "" {
				set++
			}
		}
		if ok != (set == 1) || set > 1 {
			t.Errorf("%q means %+v", id, p)
		}
	})
}

func FuzzAddress(f *testing.F) {
	f.Add("slack", "T1", "C1", "1700000000.000100")
	f.Add("discord", "", "5", "")
	f.Fuzz(func(t *testing.T, platform, team, channel, thread string) {
		a := chat.Address{Platform: platform, Team: team, Channel: channel, Thread: thread}
		plain := platform != "" && channel != ""
		for _, s := range []string{platform, team, channel, thread} {
			plain = plain && s != "-" && !strings.Contains(s, ":")
		}
		back, ok := chat.Parse(a.Conversation())
		if plain && (!ok || back != a) {
			t.Errorf("%+v is %q and back %+v", a, a.Conversation(), back)
		}
	})
}
