package buildcache

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Progress shows that something long is going on: on a terminal as one line that
// changes, elsewhere (in the log of a CI system) as a line now and then.
type Progress struct {
	w        io.Writer
	terminal bool
	every    time.Duration
}

// NewProgress writes to the file, usually standard error.
func NewProgress(f *os.File) *Progress {
	fi, err := f.Stat()
	p := &Progress{w: f, every: 15 * time.Second}
	p.terminal = err == nil && fi.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	if p.terminal {
		p.every = 200 * time.Millisecond
	}
	return p
}

// Say prints a line.
func (p *Progress) Say(text string) { fmt.Fprintln(p.w, text) }

// During shows the text with the time it takes, until the returned function is
// called.
func (p *Progress) During(text string) (done func()) {
	return p.show(func() string { return text })
}

// show prints the text and the elapsed time again and again.
func (p *Progress) show(text func() string) (done func()) {
	start := time.Now()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(p.every)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				if p.terminal {
					fmt.Fprint(p.w, "\r\x1b[K")
				}
				return
			case <-tick.C:
				line := fmt.Sprintf("  %s  %s", time.Since(start).Round(time.Second), text())
				if p.terminal {
					fmt.Fprintf(p.w, "\r\x1b[K%s", line)
				} else {
					fmt.Fprintln(p.w, line)
				}
			}
		}
	})
	return func() { close(stop); wg.Wait() }
}

// follow reads what "go build -v" prints, a line for each package, until its
// end, and returns the lines that are not packages: errors.
func (p *Progress) follow(r io.Reader, total int) (rest string) {
	var mu sync.Mutex
	built, latest := 0, ""
	done := p.show(func() string {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case total > 0 && built >= total:
			return "linking"
		case total > 0:
			return fmt.Sprintf("%d of %d packages  %s", built, total, latest)
		}
		return fmt.Sprintf("%d packages  %s", built, latest)
	})
	defer done()
	var other []string
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "go: downloading "):
			mu.Lock()
			latest = line[len("go: "):]
			mu.Unlock()
		case line == "" || strings.ContainsAny(line, " \t:"):
			other = append(other, line)
		default:
			mu.Lock()
			built++
			latest = line
			mu.Unlock()
		}
	}
	if n := len(other); n > 60 {
		other = other[n-60:]
	}
	return strings.Join(other, "\n")
}
