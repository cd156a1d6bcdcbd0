package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// ChatOptions is how a chat looks and what it remembers.
type ChatOptions struct {
	HistoryFile string // where typed lines are remembered; "" forgets them
	Banner      string // said first on a terminal
	Remote      bool   // a server does the work: it goes on without this process
	NoColor     bool
}

const prompt = "firstmate> "

// Chat talks until the input ends, the person leaves, or ctx ends, whose error
// it then returns. On a terminal it edits lines; else it reads plain lines and,
// when they end, waits for the outcomes of what was confirmed. A read of the
// input may still be under way when it returns.
func Chat(ctx context.Context, conv Conversation, in io.Reader, out io.Writer, opt ChatOptions) error {
	inFile, ok := in.(*os.File)
	outFile, ok2 := out.(*os.File)
	if !ok || !ok2 || !term.IsTerminal(int(inFile.Fd())) || !term.IsTerminal(int(outFile.Fd())) {
		return chatPlain(ctx, conv, in, out)
	}
	state, err := term.MakeRaw(int(inFile.Fd()))
	if err != nil {
		return fault.Wrap(err, fault.Internal, "I cannot prepare this terminal for typing.")
	}
	defer func() { _ = term.Restore(int(inFile.Fd()), state) }()
	size := func() (int, int) {
		w, h, err := term.GetSize(int(outFile.Fd()))
		if err != nil || w <= 0 {
			return defaultColumns, 24
		}
		return w, h
	}
	return chatTerminal(ctx, conv, in, out, size, opt)
}

const defaultColumns = 80

// columns is how wide the terminal is that w writes to.
func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return defaultColumns
}

// chatPlain is a chat with what is no terminal.
func chatPlain(ctx context.Context, conv Conversation, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan string)
	var readErr error
	go func() {
		defer close(lines)
		sc := bufio.NewScanner(in)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			select {
			case lines <- sc.Text():
			case <-ctx.Done():
				return
			}
		}
		readErr = sc.Err()
	}()
	c := newChat(conv, &plainScreen{w: out})
	err := c.loop(ctx, ctx, lines, true)
	if err == nil && c.ended {
		err = fault.Wrap(readErr, fault.Usage, "I cannot read the input any further.")
	}
	return err
}

// chatTerminal is a chat with a terminal in raw mode.
func chatTerminal(ctx context.Context, conv Conversation, in io.Reader, out io.Writer, size func() (int, int), opt ChatOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	turns, hangUp := context.WithCancel(ctx)
	defer hangUp()
	s := &ttyScreen{size: size, color: !opt.NoColor}
	keys := &keyReader{r: in, enter: s.typed, leave: hangUp}
	s.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, out}, prompt)
	s.term.History = openHistory(opt.HistoryFile)
	s.term.AutoCompleteCallback = s.mask.key
	if opt.Banner != "" {
		s.write(sanitize(opt.Banner) + "\n")
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for {
			s.fit()
			line, err := s.term.ReadLine()
			if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
				return // the end of input, whichever way it came
			}
			select {
			case lines <- s.mask.line(line):
			case <-ctx.Done():
				return
			}
		}
	}()
	c := newChat(conv, s)
	err := c.loop(ctx, turns, lines, false)
	if len(c.running) > 0 {
		s.write("\n" + goesOn(opt.Remote))
	}
	_, _ = io.WriteString(out, "\r\n") // the shell's prompt comes on a line of its own
	return err
}

// screen is where a chat shows things.
type screen interface {
	reply(r dialogue.Reply, action string) // action is that of an outcome, else ""
	progress(r dialogue.Reply, action string)
}

// chat is one conversation on a screen.
type chat struct {
	conv    Conversation
	screen  screen
	running map[string]bool // actions confirmed here whose outcome is not known
	told    map[string]bool // actions whose outcome was shown
	ended   bool            // the input ended by itself
}

func newChat(conv Conversation, s screen) *chat {
	return &chat{conv: conv, screen: s, running: map[string]bool{}, told: map[string]bool{}}
}

// loop answers lines and shows events. turns is the context of turns, which
// the person can give up apart from the chat. wait is whether to see running
// actions through when the input ends.
func (c *chat) loop(ctx, turns context.Context, lines <-chan string, wait bool) error {
	events := pump(ctx, c.conv)
	for {
		if lines == nil && (!wait || len(c.running) == 0 || events == nil) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line, ok := <-lines:
			c.ended = !ok
			if line = strings.TrimSpace(line); !ok || leaves(line) {
				lines = nil
			} else if line != "" {
				c.say(turns, line)
			}
		case p, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			c.show(p)
		}
	}
}

func leaves(line string) bool {
	return strings.EqualFold(line, "exit") || strings.EqualFold(line, "quit")
}

// say takes one turn.
func (c *chat) say(ctx context.Context, line string) {
	r, err := c.conv.Turn(ctx, line, "")
	if ctx.Err() != nil && err != nil {
		return // given up
	}
	if err != nil {
		c.screen.reply(dialogue.Reply{Text: fault.Say(err), Fault: fault.KindOf(err)}, "")
		return
	}
	c.screen.reply(r, "")
	switch {
	case started(r):
		c.running[r.Proposal.ID] = true
	case r.Intent == "confirm" && over(r.Outcome) && r.Proposal != nil && !asks(r):
		c.told[r.Proposal.ID] = true // over before the answer came
	}
}

// show shows what was pushed; an outcome once, even if a turn told it already.
func (c *chat) show(p pushed) {
	id := p.event.Action
	switch {
	case p.err != nil:
		c.screen.reply(dialogue.Reply{Text: fault.Say(p.err), Fault: fault.KindOf(p.err)}, "")
	case c.told[id]:
	case p.event.Kind == dialogue.EventOutcome:
		c.screen.reply(p.event.Reply, id)
		delete(c.running, id)
		c.told[id] = true
	default:
		c.screen.progress(p.event.Reply, id)
	}
}

// plainScreen shows everything as plain lines.
type plainScreen struct {
	w    io.Writer
	last string // the last line of progress
}

func (s *plainScreen) reply(r dialogue.Reply, _ string) {
	s.last = ""
	fmt.Fprint(s.w, render(r, style{}))
}

func (s *plainScreen) progress(r dialogue.Reply, _ string) {
	if line := progressText(r, 0); line != s.last {
		s.last = line
		fmt.Fprintln(s.w, line)
	}
}

// ttyScreen shows things above the line that is being typed.
type ttyScreen struct {
	term  *term.Terminal
	size  func() (columns, rows int)
	color bool
	mask  mask // while a PIN is asked for

	mu     sync.Mutex
	active string // the action whose progress is the last line above the prompt
}

// fit tells the line editor how large the window is now.
func (s *ttyScreen) fit() int {
	w, h := s.size()
	_ = s.term.SetSize(w, h) // a failed write shows at the next one
	return w
}

// typed notes that the person's own line is now the last one.
func (s *ttyScreen) typed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = ""
}

func (s *ttyScreen) write(text string) {
	_, _ = io.WriteString(s.term, text) // a terminal that is gone also ends the input
}

// back takes the progress line of an action away, if it is the last one.
func (s *ttyScreen) back(action string) string {
	if action == "" || s.active != action {
		return ""
	}
	return "\x1b[1A\x1b[2K"
}

func (s *ttyScreen) reply(r dialogue.Reply, action string) {
	width := s.fit()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(s.back(action) + render(r, style{width: width, color: s.color}))
	if action == "" {
		s.mask.set(r.Expect == dialogue.ExpectPIN)
	}
	s.active = ""
}

func (s *ttyScreen) progress(r dialogue.Reply, action string) {
	width := s.fit()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := style{color: s.color}
	s.write(s.back(action) + st.paint(dim, progressText(r, width)) + "\n")
	s.active = action
}

// keyReader is the keyboard with the habits of a shell: Ctrl-C clears the
// line, and twice leaves.
type keyReader struct {
	r           io.Reader
	enter       func() // a line was finished
	leave       func() // the person wants to leave at once
	interrupted bool   // the last key was Ctrl-C
	rest        []byte
}

// What the line editor understands.
const (
	keyInterrupt = 0x03
	keyEndFile   = 0x04 // on an empty line
	keyLineEnd   = 0x05
	keyLineClear = 0x15 // from the cursor to the start
)

// Read gives the keys as the line editor understands them.
func (k *keyReader) Read(p []byte) (int, error) {
	if len(k.rest) == 0 {
		buf := make([]byte, len(p))
		n, err := k.r.Read(buf)
		for _, b := range buf[:n] {
			k.key(b)
		}
		if len(k.rest) == 0 {
			return 0, err
		}
	}
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	return n, nil
}

func (k *keyReader) key(b byte) {
	if b != keyInterrupt {
		if b == '\r' || b == '\n' {
			k.enter()
		}
		k.interrupted = false
		k.rest = append(k.rest, b)
		return
	}
	k.rest = append(k.rest, keyLineEnd, keyLineClear)
	if k.interrupted {
		k.rest = append(k.rest, keyEndFile)
		k.leave()
	}
	k.interrupted = true
}
