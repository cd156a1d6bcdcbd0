package skill

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

const (
	followFor   = 2 * time.Minute // nobody watches longer, and nobody forgets it running
	followEvery = 2 * time.Second // what came meanwhile is said together
	followLines = 20              // of which so many are shown
	followFirst = 10              // lines from before that show where it stands
)

// following is logs that a conversation is being told.
type following struct{ stop context.CancelFunc }

// followLogs tells what workloads write from now on, for a while; where nobody
// can be told, the last lines, and how to follow.
func (c *Crew) followLogs(ctx context.Context, t *dialogue.Turn, refs []kube.Ref, q logs.Query) (dialogue.Reply, error) {
	d := c.logs
	if q.Tail == 0 {
		q.Tail = followFirst
	}
	if !t.Intent.Slots.Has("since") {
		q.Window = observability.Window{}
	}
	q.Window.To = time.Time{}
	read, cancel := context.WithTimeout(ctx, logsBudget)
	defer cancel()
	began := d.Now()
	f := d.gather(read, refs, q)
	if f.first != nil && f.count == 0 {
		return dialogue.Reply{}, f.first
	}
	var names []string
	for _, ref := range refs {
		names = append(names, ref.Name)
	}
	pushes := d.push != nil && !t.Request.Pull
	data := dialogue.Data{"Names": names, "Count": len(f.last), "For": lengthWords(followFor), "Pushed": pushes, "Note": f.note}
	r, err := t.Reply("logs.follow", data)
	if err != nil {
		return r, err
	}
	if len(f.last) > 0 {
		r.Blocks = []dialogue.Block{logBlock(f.last, len(refs) > 1 || several(f.last), d.Now().Location())}
	}
	if pushes {
		q.Tail, q.Follow = 0, true
		q.Window.From = began
		if n := len(f.last); n > 0 && f.last[n-1].At.Before(began) {
			q.Window.From = f.last[n-1].At.Add(1) // nothing between is lost
		}
		d.follow(ctx, t.Request.Conversation, c, names, refs, q)
	}
	return r, nil
}

// follow begins to tell a conversation what comes; what it was told before ends.
func (d *logDesk) follow(ctx context.Context, conversation string, c *Crew, names []string, refs []kube.Ref, q logs.Query) {
	// The turn ends, following goes on: with the same person's eyes.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), followFor)
	d.mu.Lock()
	if old := d.follows[conversation]; old != nil {
		old.stop()
	}
	own := &following{stop: cancel}
	d.follows[conversation] = own
	d.mu.Unlock()
	lines := make(chan observability.LogLine, 256)
	for _, ref := range refs {
		go func() {
			q := q
			q.Target = targetOf(ref)
			for l, err := range d.Pods.Lines(ctx, q) {
				if err != nil {
					d.Log.WarnContext(ctx, "logs are followed no longer", "workload", ref, "err", err)
					return
				}
				select {
				case lines <- l:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	go func() {
		d.tell(ctx, conversation, c, names, lines)
		cancel()
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.follows[conversation] == own {
			delete(d.follows, conversation)
		}
	}()
}

// tell pushes what comes, some lines at a time, until the time is over.
func (d *logDesk) tell(ctx context.Context, conversation string, c *Crew, names []string, lines <-chan observability.LogLine) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var got []observability.LogLine
	missed, n := 0, 0
	say := func(key string, data dialogue.Data) {
		r, err := dialogue.Word(c.catalogue, key, data)
		if err == nil {
			if len(got) > 0 {
				r.Blocks = []dialogue.Block{logBlock(got, several(got), d.Now().Location())}
				r.Text += "\n" + r.Blocks[0].Text // where progress is a line of text
			}
			n++
			err = d.push.Push(context.WithoutCancel(ctx), conversation, dialogue.Event{Kind: dialogue.EventProgress, Action: "logs-" + strconv.Itoa(n), Reply: r}, nil)
		}
		if err != nil {
			d.Log.ErrorContext(ctx, "logs not told", "conversation", conversation, "err", err)
		}
	}
	for {
		select {
		case l := <-lines:
			if len(got) == followLines {
				got, missed = got[1:], missed+1
			}
			got = append(got, l)
		case <-tick.C:
			if len(got) > 0 {
				say("logs.came", dialogue.Data{"Names": names, "Count": len(got) + missed, "Missed": missed})
				got, missed = nil, 0
			}
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded { //nolint:errorlint // a context gives it as it is
				got = nil
				say("logs.followed", dialogue.Data{"Names": names})
			}
			return
		}
	}
}

// stopFollowing ends what a conversation is being told, and reports whether
// there was anything.
func (d *logDesk) stopFollowing(conversation string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.follows[conversation]
	delete(d.follows, conversation)
	if f != nil {
		f.stop()
	}
	return f != nil
}

// orStop makes "stop" end the following of logs, where nothing else waits for
// a no.
func (c *Crew) orStop(h dialogue.HandlerFunc) dialogue.HandlerFunc {
	return func(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
		if c.logs == nil || t.Session.Waiting() || !c.logs.stopFollowing(t.Request.Conversation) {
			return h(ctx, t)
		}
		t.Session.Question = nil
		return t.Reply("logs.stopped", dialogue.Data{"Name": cmp.Or(strings.Join(spokenNames(t), " and "), "it")})
	}
}

func spokenNames(t *dialogue.Turn) (out []string) {
	for _, s := range t.Session.Targets {
		out = append(out, s.Name)
	}
	return out
}
