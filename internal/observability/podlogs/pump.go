package podlogs

import (
	"bufio"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

const (
	maxLine   = 32 << 10 // bytes of a line; what follows is left out
	maxQueued = 512      // lines that wait for their turn
	maxBytes  = 512 << 10
	batch     = 128 // lines that are handed over together, unless the log pauses
)

// mark is how far a log has been read: the moment of its last line, and how
// many lines of that moment there were. The API knows only seconds.
type mark struct {
	at    time.Time
	lines int
}

// pump reads one log until its end.
type pump struct {
	m      *merger
	stream kube.LogStream
	mark   mark // after ended: where to go on
	resume bool // read once, to be followed
	ended  chan struct{}
	space  chan struct{}
	count  int // lines, of which some are not kept

	mu     sync.Mutex
	queue  []observability.LogLine
	bytes  int
	joiner logs.Joiner
	last   time.Time // when the last line came
	err    error
	over   bool

	head  []observability.LogLine // of the merger: what it has taken
	since time.Time               // and when
}

func newPump(m *merger, s kube.LogStream) *pump {
	return &pump{m: m, stream: s, ended: make(chan struct{}), space: make(chan struct{}, 1), joiner: logs.Joiner{Parser: logs.Parser{Masker: m.r.opt.Masker}}}
}

func (p *pump) run() {
	err := p.read()
	p.mu.Lock()
	if l, ok := p.joiner.Flush(); ok {
		p.keep(l)
	}
	p.over, p.err = true, err
	p.mu.Unlock()
	close(p.ended)
	p.wake()
}

func (p *pump) wake() {
	select {
	case p.m.wake <- struct{}{}:
	default:
	}
}

// read reads lines into the queue.
func (p *pump) read() error {
	q, ctx := p.m.q, p.m.ctx
	o := kube.LogOptions{Since: q.Window.From, Previous: q.Previous, Follow: q.Follow, Tail: int64(p.m.r.opt.Lines)}
	if q.Tail > 0 && q.Level == "" && q.Filter == "" && q.Exclude == "" {
		o.Tail = int64(q.Tail) // else the last that fit may be anywhere
	}
	seen := p.mark
	if !seen.at.IsZero() {
		o.Since, o.Tail = seen.at, 0
	}
	if q.Follow {
		o.Tail = 0
	}
	rc, err := p.m.r.cluster.OpenLog(ctx, p.stream, o)
	if err != nil {
		return err
	}
	defer rc.Close()
	br := bufio.NewReaderSize(rc, 64<<10)
	var got []line
	repeated := 0 // lines of the moment of the mark that were skipped
	for {
		text, err := readLine(br)
		if len(text) > 0 {
			at, rest := stamp(text)
			if at.IsZero() {
				at = p.mark.at // the API server's own word, as when a log was rotated away
			}
			switch {
			case at.Before(seen.at), at.Equal(seen.at) && repeated < seen.lines:
				if at.Equal(seen.at) {
					repeated++
				}
			default:
				if at.Equal(p.mark.at) {
					p.mark.lines++
				} else {
					p.mark = mark{at, 1}
				}
				p.count++
				got = append(got, line{at, string(rest)})
			}
		}
		if err != nil || len(got) >= batch || br.Buffered() == 0 {
			if !p.hand(got) {
				return ctx.Err()
			}
			got = got[:0]
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		}
	}
}

type line struct {
	at   time.Time
	text string
}

// hand puts lines into the queue, and waits while that is full.
func (p *pump) hand(got []line) bool {
	if len(got) == 0 {
		return p.m.ctx.Err() == nil
	}
	p.mu.Lock()
	for _, g := range got {
		if l, ok := p.joiner.Add(g.at, g.text); ok {
			p.keep(l)
		}
	}
	p.last = time.Now()
	full := len(p.queue) >= maxQueued || p.bytes >= maxBytes
	some := len(p.queue) > 0
	p.mu.Unlock()
	if some {
		p.wake()
	}
	for full {
		select {
		case <-p.m.ctx.Done():
			return false
		case <-p.space:
		}
		p.mu.Lock()
		full = len(p.queue) >= maxQueued || p.bytes >= maxBytes
		p.mu.Unlock()
	}
	return p.m.ctx.Err() == nil
}

// keep queues a line that the query asks for.
func (p *pump) keep(l observability.LogLine) {
	if !p.m.q.Keeps(l) {
		return
	}
	l.Namespace, l.Pod, l.Container = p.stream.Pod.Namespace, p.stream.Pod.Name, p.stream.Container
	p.queue = append(p.queue, l)
	p.bytes += len(l.Raw) + len(l.Stack)
}

// take moves what is there to the merger. An entry that may still go on is
// taken once nothing came for a while.
func (p *pump) take(follow bool, wait time.Duration) (some, over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if follow && len(p.queue) == 0 && p.joiner.Waiting() && time.Since(p.last) >= wait/2 {
		if l, ok := p.joiner.Flush(); ok {
			p.keep(l)
		}
	}
	if len(p.queue) == 0 {
		return false, p.over
	}
	p.head, p.queue, p.bytes = p.queue, nil, 0
	p.since = time.Now()
	select {
	case p.space <- struct{}{}:
	default:
	}
	return true, false
}

func (p *pump) done() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// drained reports whether nothing of it is left to give.
func (p *pump) drained() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over && len(p.queue) == 0 && len(p.head) == 0
}

// broken reports whether it ended before its log did.
func (p *pump) broken() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over && p.err != nil || p.over && p.stream.Running
}

// problem is why a log could not be read to its end.
func (p *pump) problem() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// readLine reads up to the end of a line; of one that is too long, its beginning.
// What it returns is good until the next call.
func readLine(br *bufio.Reader) ([]byte, error) {
	text, err := br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		text = append([]byte(nil), text[:maxLine]...)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = br.ReadSlice('\n')
		}
	}
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
	}
	return text, err
}

// stamp splits the moment off a line, as in 2026-11-21T03:00:00.123456789Z text.
func stamp(b []byte) (time.Time, []byte) {
	n := 0
	for n < len(b) && n < 40 && b[n] != ' ' {
		n++
	}
	if n < 20 || b[10] != 'T' {
		return time.Time{}, b
	}
	num := func(from, to int) int {
		v := 0
		for _, c := range b[from:to] {
			if c < '0' || c > '9' {
				return -1 << 20
			}
			v = v*10 + int(c-'0')
		}
		return v
	}
	if b[n-1] != 'Z' || b[19] != '.' && n != 20 { // another zone than UTC
		at, err := time.Parse(time.RFC3339Nano, string(b[:n]))
		if err != nil {
			return time.Time{}, b
		}
		return at.UTC(), b[min(n+1, len(b)):]
	}
	y, mo, d, h, mi, s := num(0, 4), num(5, 7), num(8, 10), num(11, 13), num(14, 16), num(17, 19)
	ns := 0
	if n > 20 {
		ns = num(20, n-1)
		for i := n - 1 - 20; i < 9; i++ {
			ns *= 10
		}
	}
	if y < 0 || mo < 1 || d < 1 || h < 0 || mi < 0 || s < 0 || ns < 0 {
		return time.Time{}, b
	}
	return time.Date(y, time.Month(mo), d, h, mi, s, ns, time.UTC), b[min(n+1, len(b)):]
}
