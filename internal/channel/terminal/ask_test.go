package terminal

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// ask runs Ask and returns exit code, output and error output.
func ask(t *testing.T, conv Conversation, text string, opt AskOptions) (int, string, string) {
	t.Helper()
	var out, errOut bytes.Buffer
	opt.Out, opt.Err = &out, &errOut
	code := Ask(t.Context(), conv, text, opt)
	return code, out.String(), errOut.String()
}

func TestAskYesConfirmsAndWaits(t *testing.T) {
	s := newScript(
		map[string]dialogue.Reply{"scale web to 5": proposed("p1"), "confirm p1": running("p1")},
		map[string][]dialogue.Event{"confirm p1": {
			progress("p1", "1 of 5"), progress("p0", "not mine"), progress("p1", "1 of 5"), progress("p1", "4 of\n5"),
			outcome("p0", "not mine", dialogue.OutcomeFailed), outcome("p1", "web runs 5.", dialogue.OutcomeDone),
		}})
	code, out, errOut := ask(t, s.local(), "scale web to 5", AskOptions{Yes: true})
	if code != 0 || out != "Scale web from 3 to 5?\nweb runs 5.\n" || errOut != "1 of 5\n4 of 5\n" {
		t.Errorf("%d\n%s\n%s", code, out, errOut)
	}
	if s.said() != "scale web to 5; yes p1" {
		t.Errorf("said %s", s.said())
	}
	r := s.Requests()[0]
	if r.Conversation != "c1" || r.Speaker.Key() != "terminal:me" || !r.Pull || r.Patience != 0 {
		t.Errorf("%+v", r)
	}
}

func TestAskNeverConfirmsTwice(t *testing.T) {
	offer := outcome("p1", "cart cannot pull its image. Shall I roll it back?", dialogue.OutcomeFailed)
	offer.Reply.Expect, offer.Reply.Proposal = dialogue.ExpectConfirm, &dialogue.Proposal{ID: "p2"}
	other := proposed("p3")
	other.Intent = "confirm"
	for _, tt := range []struct {
		name    string
		confirm dialogue.Reply
		events  []dialogue.Event
		code    int
	}{
		{"offer to roll back", running("p1"), []dialogue.Event{offer}, 5},
		{"offer as the answer", offer.Reply, nil, 5},
		{"another proposal", other, nil, 4},
		{"another action", running("p4"), nil, 0},
	} {
		s := newScript(
			map[string]dialogue.Reply{"roll out 2.1-bad of cart": proposed("p1"), "confirm p1": tt.confirm},
			map[string][]dialogue.Event{"confirm p1": tt.events})
		code, _, _ := ask(t, s.local(), "roll out 2.1-bad of cart", AskOptions{Yes: true})
		if code != tt.code || s.said() != "roll out 2.1-bad of cart; yes p1" {
			t.Errorf("%s: %d, said %s", tt.name, code, s.said())
		}
	}
}

func TestAskConfirmsOnlyProposals(t *testing.T) {
	noID := proposed("")
	noID.Proposal = nil
	notPending := proposed("p1")
	notPending.Outcome = dialogue.OutcomeNone
	guessed := proposed("p1")
	guessed.Guessed = true // a yes in advance was to what was said, not to what it may have meant
	offered := guessed
	offered.Choices = []string{dialogue.ChoiceAsAsked}
	for _, r := range []dialogue.Reply{noID, notPending, guessed, offered} {
		s := newScript(map[string]dialogue.Reply{"x": r}, nil)
		if code, _, _ := ask(t, s.local(), "x", AskOptions{Yes: true}); code != 4 || s.said() != "x" {
			t.Errorf("%d, said %s", code, s.said())
		}
	}
	s := newScript(map[string]dialogue.Reply{"x": proposed("p1")}, nil)
	if code, out, _ := ask(t, s.local(), "x", AskOptions{}); code != 4 || s.said() != "x" || out != "Scale web from 3 to 5?\n" {
		t.Errorf("without yes: %d %s, said %s", code, out, s.said())
	}
}

func TestAskWaitsForWhatItSaidYesTo(t *testing.T) {
	s := newScript(map[string]dialogue.Reply{"yes": running("p1")},
		map[string][]dialogue.Event{"yes": {outcome("p1", "Stuck.", dialogue.OutcomeFailed)}})
	if code, out, _ := ask(t, s.local(), "yes", AskOptions{}); code != 5 || out != "Stuck.\n" {
		t.Errorf("%d %s", code, out)
	}
}

func TestAskJSON(t *testing.T) {
	end := outcome("p1", "web is \u009b31mhere\u202e.", dialogue.OutcomeRolledBack)
	end.Reply.Intent, end.Reply.Proposal = "scale", &dialogue.Proposal{ID: "p2"}
	s := newScript(map[string]dialogue.Reply{"scale web to 5": proposed("p1"), "confirm p1": running("p1")},
		map[string][]dialogue.Event{"confirm p1": {progress("p1", "half"), end}})
	code, out, errOut := ask(t, s.local(), "scale web to 5", AskOptions{Yes: true, JSON: true})
	var r dialogue.Reply
	if err := json.Unmarshal([]byte(out), &r); err != nil || strings.Count(out, "\n") != 1 || strings.ContainsAny(out, "\u009b\u202e") {
		t.Fatalf("%q: %v", out, err)
	}
	if code != 5 || r.Intent != "scale" || r.Slots.Targets()[0] != "web" || r.Proposal.ID != "p1" || r.Outcome != dialogue.OutcomeRolledBack ||
		r.Conversation != "c1" || r.Text != end.Reply.Text {
		t.Errorf("%d %+v", code, r)
	}
	if errOut != "Scale web from 3 to 5?\nhalf\n" {
		t.Errorf("%q", errOut)
	}
	code, out, errOut = ask(t, unreachable{}.with(s), "hi", AskOptions{JSON: true})
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 5 || r.Fault != fault.Unavailable || errOut != "" || strings.Contains(out, "null,\"expect") {
		t.Errorf("%d %q %q %v", code, out, errOut, err)
	}
}

func (unreachable) with(s *script) Conversation {
	return unreachable{Local(s, "c1", access.Speaker{})}
}

func TestAskServerNotThere(t *testing.T) {
	code, out, errOut := ask(t, unreachable{}.with(newScript(nil, nil)), "hi", AskOptions{})
	if code != 5 || out != "" || errOut != "I cannot reach firstmate at http://x; is it running?\n" {
		t.Errorf("%d %q %q", code, out, errOut)
	}
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		r    dialogue.Reply
		code int
	}{
		{dialogue.Reply{Expect: "none", Outcome: "none"}, 0},
		{dialogue.Reply{Outcome: dialogue.OutcomeDone}, 0},
		{dialogue.Reply{Fault: fault.Usage}, 2},
		{dialogue.Reply{Fault: fault.Refused}, 3},
		{dialogue.Reply{Fault: fault.Forbidden, Outcome: dialogue.OutcomeFailed}, 3},
		{dialogue.Reply{Fault: fault.NotUnderstood}, 4},
		{dialogue.Reply{Fault: fault.Ambiguous, Expect: dialogue.ExpectChoice}, 4},
		{dialogue.Reply{Fault: fault.NotFound}, 4},
		{dialogue.Reply{Expect: "replicas"}, 4},
		{dialogue.Reply{Outcome: dialogue.OutcomeFailed, Expect: dialogue.ExpectConfirm}, 5},
		{dialogue.Reply{Outcome: dialogue.OutcomeRolledBack}, 5},
		{dialogue.Reply{Fault: fault.Conflict}, 5},
		{dialogue.Reply{Fault: fault.Unavailable}, 5},
		{dialogue.Reply{Fault: fault.Internal}, 5},
	} {
		if got := exitCode(tt.r); got != tt.code {
			t.Errorf("%+v: %d, want %d", tt.r, got, tt.code)
		}
	}
}

func TestAskProgressInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(map[string]dialogue.Reply{"x": proposed("p1"), "confirm p1": running("p1")}, nil)
		d := &display{}
		done := make(chan int)
		go func() {
			done <- Ask(t.Context(), s.local(), "x", AskOptions{Yes: true, IsTTY: true, Out: lf{d}, Err: lf{d}})
		}()
		synctest.Wait()
		s.Push("c1", progress("p1", "1 of 5 "+strings.Repeat("long ", 50)))
		s.Push("c1", progress("p1", "2 of 5"))
		synctest.Wait()
		if got := d.String(); got != "Scale web from 3 to 5?\n2 of 5" {
			t.Errorf("progress:\n%s", got)
		}
		s.Push("c1", outcome("p1", "web runs 5.", dialogue.OutcomeDone))
		if code := <-done; code != 0 || d.String() != "Scale web from 3 to 5?\nweb runs 5." {
			t.Errorf("%d\n%s", code, d)
		}
	})
}

// lf is a terminal that is not raw: it adds the carriage returns itself.
type lf struct{ d *display }

func (w lf) Write(b []byte) (int, error) {
	_, err := w.d.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
	return len(b), err
}

func TestAskInterrupted(t *testing.T) {
	for _, remote := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			s := newScript(map[string]dialogue.Reply{"x": proposed("p1"), "confirm p1": running("p1")}, nil)
			var out, errOut bytes.Buffer
			done := make(chan int)
			go func() {
				done <- Ask(ctx, s.local(), "x", AskOptions{Yes: true, Remote: remote, JSON: true, Out: &out, Err: &errOut})
			}()
			synctest.Wait()
			interrupt()
			if code := <-done; code != 130 || strings.Contains(errOut.String(), "journal") == remote {
				t.Errorf("%d %s", code, errOut.String())
			}
			var r dialogue.Reply
			if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Proposal.ID != "p1" || r.Outcome != dialogue.OutcomePending {
				t.Errorf("%s: %v", out.String(), err)
			}
		})
	}
}

func TestAskIsHarmless(t *testing.T) {
	s := newScript(map[string]dialogue.Reply{"x": {
		Text: channeltest.Hostile, Choices: []string{channeltest.Hostile},
		Blocks: []dialogue.Block{
			{Type: "table", Title: channeltest.Hostile, Columns: []string{channeltest.Hostile}, Rows: [][]string{{"a\nb\x1b]0;x\a"}}},
			{Type: "diff", Text: "+" + channeltest.Hostile + "\r-x"},
			{Type: "other", Text: channeltest.Hostile},
		},
	}}, nil)
	_, out, _ := ask(t, s.local(), "x", AskOptions{})
	if strings.ContainsAny(out, "\x1b\a\r\u202e\u2028") || !strings.Contains(out, "<script>alert(1)</script>") {
		t.Errorf("%q", out)
	}
}
