package terminal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// AskOptions is how one question is asked.
type AskOptions struct {
	Yes     bool // confirm what is proposed, and wait for its outcome
	JSON    bool // print the final reply as one JSON object
	Remote  bool // a server does the work: it goes on without this process
	IsTTY   bool // Out and Err are a terminal
	NoColor bool
	Out     io.Writer // the answer
	Err     io.Writer // progress, and what went wrong
}

// exitInterrupted is the exit code of a command that was stopped by a signal.
const exitInterrupted = 130

// errInterrupted is the end of waiting by the person.
var errInterrupted = errors.New("terminal: interrupted")

// Ask takes one turn and returns the exit code of the command: 0 done or
// answered, 2 wrong usage, 3 refused, 4 not understood or something must be
// asked, 5 tried and failed, 130 interrupted. With Yes it confirms exactly the
// proposal that the question led to, never one that is offered afterwards.
func Ask(ctx context.Context, conv Conversation, text string, opt AskOptions) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Before the turn, so that an outcome that comes at once is not missed.
	a := &asker{conv: conv, opt: opt, events: pump(ctx, conv)}
	if opt.IsTTY {
		a.style = style{width: columns(opt.Out), color: !opt.NoColor}
	}
	r, err := a.run(ctx, text)
	a.clear()
	switch {
	case errors.Is(err, errInterrupted):
		if r.Proposal != nil && opt.JSON {
			a.print(r)
		}
		return exitInterrupted
	case err != nil:
		say := fault.Say(err)
		r = dialogue.Reply{
			Slots: intents.Slots{}, Speech: say, Text: say, Blocks: []dialogue.Block{},
			Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeNone, Fault: fault.KindOf(err),
		}
		if !opt.JSON {
			fmt.Fprint(opt.Err, render(r, a.style))
			return exitCode(r)
		}
	}
	a.print(r)
	return exitCode(r)
}

// Show writes an answer as bot ask does; color is for a terminal.
func Show(w io.Writer, r dialogue.Reply, color bool) {
	s := style{color: color}
	if color {
		s.width = columns(w)
	}
	fmt.Fprint(w, render(r, s))
}

// exitCode is the exit code that a final reply stands for.
func exitCode(r dialogue.Reply) int {
	switch {
	case r.Fault == fault.Refused, r.Fault == fault.Forbidden:
		return r.Fault.ExitCode()
	case r.Outcome == dialogue.OutcomeFailed, r.Outcome == dialogue.OutcomeRolledBack:
		return fault.Failed.ExitCode()
	case r.Fault != "":
		return r.Fault.ExitCode()
	case asks(r):
		return fault.NotUnderstood.ExitCode()
	}
	return 0
}

// asker is one run of Ask.
type asker struct {
	conv   Conversation
	opt    AskOptions
	style  style
	events <-chan pushed
	shown  string // the progress that was shown last
}

// run asks, confirms where that was agreed in advance, and waits for what was
// started. With errInterrupted it returns what was known.
func (a *asker) run(ctx context.Context, text string) (dialogue.Reply, error) {
	asked, err := a.turn(ctx, text, "")
	if err != nil {
		return asked, err
	}
	yes := a.opt.Yes && !asked.Guessed // a yes in advance was one to what was said, not to what it may have meant
	if yes && asked.Expect == dialogue.ExpectConfirm && slices.Contains(asked.Choices, dialogue.ChoiceAsAsked) {
		// A yes in advance is one to what was asked for, and to nothing beside it.
		if asked, err = a.turn(ctx, dialogue.ChoiceAsAsked, ""); err != nil {
			return asked, err
		}
	}
	r := asked
	if yes && asked.Expect == dialogue.ExpectConfirm && asked.Outcome == dialogue.OutcomePending && asked.Proposal != nil {
		a.readBack(asked)
		if r, err = a.turn(ctx, "yes", asked.Proposal.ID); err != nil {
			return asked, err
		}
	}
	if !started(r) || r.Proposal.ID != proposalID(asked) {
		return asFinal(asked, r), nil
	}
	out, err := a.wait(ctx, r.Proposal.ID)
	if err != nil {
		return asFinal(asked, r), err
	}
	return asFinal(asked, out), nil
}

func (a *asker) turn(ctx context.Context, text, confirm string) (dialogue.Reply, error) {
	r, err := a.conv.Turn(ctx, text, confirm)
	if err != nil && ctx.Err() != nil {
		return r, errInterrupted
	}
	return r, err
}

func proposalID(r dialogue.Reply) string {
	if r.Proposal == nil {
		return ""
	}
	return r.Proposal.ID
}

// asFinal is the last word as the answer to what was asked.
func asFinal(asked, last dialogue.Reply) dialogue.Reply {
	last.Conversation, last.Intent, last.Slots, last.Proposal = asked.Conversation, asked.Intent, asked.Slots, asked.Proposal
	return last
}

// wait shows progress until the outcome comes, however long that takes.
func (a *asker) wait(ctx context.Context, action string) (dialogue.Reply, error) {
	for {
		select {
		case <-ctx.Done():
			a.clear()
			fmt.Fprintln(a.opt.Err, goesOn(a.opt.Remote))
			return dialogue.Reply{}, errInterrupted
		case p, ok := <-a.events:
			switch {
			case !ok && ctx.Err() != nil:
				continue
			case !ok:
				return dialogue.Reply{}, fault.New(fault.Unavailable, "I lost sight of the change before it ended. Ask “how is it going?”.")
			case p.err != nil:
				return dialogue.Reply{}, p.err
			case p.event.Action != action:
			case p.event.Kind == dialogue.EventOutcome, p.event.Reply.Outcome == dialogue.OutcomeDone:
				return p.event.Reply, nil // what is done and only being watched is not waited for
			default:
				a.progress(p.event.Reply)
			}
		}
	}
}

// goesOn says what becomes of the work when nobody waits for it.
func goesOn(remote bool) string {
	if remote {
		return "I stopped waiting. The change goes on; ask “how is it going?” to hear how it ends."
	}
	return "I stopped waiting. The change is in the journal; firstmate takes it up when it starts again."
}

// progress shows how far the change is: in one line of a terminal, else in a
// line for each change.
func (a *asker) progress(r dialogue.Reply) {
	line := progressText(r, a.style.width)
	if line == a.shown {
		return
	}
	a.shown = line
	if !a.opt.IsTTY {
		fmt.Fprintln(a.opt.Err, line)
		return
	}
	fmt.Fprint(a.opt.Err, "\r\x1b[K"+a.style.paint(dim, line))
}

// progressText is a progress in one row: a full row would already wrap.
func progressText(r dialogue.Reply, width int) string {
	text := r.Text
	if text == "" {
		text = r.Speech
	}
	return oneLine(text, max(0, width-1))
}

// clear takes the progress line away.
func (a *asker) clear() {
	if a.opt.IsTTY && a.shown != "" {
		fmt.Fprint(a.opt.Err, "\r\x1b[K")
		a.shown = ""
	}
}

// readBack shows what is about to be confirmed; beside the JSON, not in it.
func (a *asker) readBack(r dialogue.Reply) {
	w := a.opt.Out
	if a.opt.JSON {
		w = a.opt.Err
	}
	fmt.Fprint(w, render(r, a.style))
}

func (a *asker) print(r dialogue.Reply) {
	if !a.opt.JSON {
		fmt.Fprint(a.opt.Out, render(r, a.style))
		return
	}
	b, err := json.Marshal(r)
	if err != nil {
		fmt.Fprintln(a.opt.Err, "I cannot write this answer as JSON.")
		return
	}
	fmt.Fprintln(a.opt.Out, escapeJSON(b))
}
