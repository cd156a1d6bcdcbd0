package diagnosis

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Collector finds facts about a target in one place: the cluster's objects,
// Prometheus, logs, … It says only what it saw; what it means is Rank's.
// Evidence returned beside an error counts: it is what could be had.
type Collector interface {
	Name() string
	Collect(ctx context.Context, r Request) ([]Evidence, error)
}

// Format is the version of the Case's JSON.
const Format = 1

// Case is all that a diagnosis goes by.
type Case struct {
	Format   int           `json:"format"`
	Request  Request       `json:"request"`
	Taken    time.Time     `json:"taken"` // when the collectors began
	Took     time.Duration `json:"took"`
	Asked    []string      `json:"asked"`             // the collectors, by name
	Missing  []Missing     `json:"missing,omitempty"` // what could not be had
	Evidence []Evidence    `json:"evidence"`
}

// Missing is a place where evidence could not be had, or not all of it.
type Missing struct {
	Collector string `json:"collector"`
	Why       string `json:"why"` // a sentence that may be said aloud
	Late      bool   `json:"late,omitempty"`
	// Partly: some evidence of it is there.
	Partly bool `json:"partly,omitempty"`
}

// Gather asks all collectors at the same time and waits no longer than the
// deadline. One that is late or fails is named; it never holds the others up,
// and neither does one that does not heed its context.
func Gather(ctx context.Context, deadline time.Duration, collectors []Collector, r Request) Case {
	c := Case{Format: Format, Request: r, Taken: time.Now()}
	over := time.NewTimer(deadline)
	defer over.Stop()
	// Those that heed the deadline need a moment to give what they have by then.
	ctx, cancel := context.WithTimeout(ctx, deadline-deadline/10)
	defer cancel()
	type answer struct {
		name  string
		found []Evidence
		err   error
	}
	answers := make(chan answer, len(collectors)) // so that a late one does not hang for ever
	waiting := map[string]bool{}
	for _, col := range collectors {
		c.Asked = append(c.Asked, col.Name())
		waiting[col.Name()] = true
		go func() {
			a := answer{name: col.Name()}
			defer func() {
				if p := recover(); p != nil {
					a.err = fmt.Errorf("diagnosis: collector %s: %v", a.name, p)
				}
				answers <- a
			}()
			a.found, a.err = col.Collect(ctx, r)
		}()
	}
	take := func(a answer) {
		delete(waiting, a.name)
		c.Evidence = append(c.Evidence, a.found...)
		if a.err != nil {
			c.Missing = append(c.Missing, Missing{Collector: a.name, Why: fault.Say(a.err), Late: ctx.Err() != nil, Partly: len(a.found) > 0})
		}
	}
	for late := false; len(waiting) > 0 && !late; {
		select {
		case a := <-answers:
			take(a)
		case <-over.C:
			late = true
		}
	}
	for name := range waiting {
		c.Missing = append(c.Missing, Missing{Collector: name, Why: fmt.Sprintf("The evidence of %s came too late.", name), Late: true})
	}
	c.Took = time.Since(c.Taken)
	if c.Evidence == nil {
		c.Evidence = []Evidence{}
	}
	c.sort()
	return c
}

// sort brings a case into the order in which it is written, which does not
// depend on who answered first.
func (c *Case) sort() {
	slices.Sort(c.Asked)
	slices.SortFunc(c.Missing, func(a, b Missing) int { return cmp.Compare(a.Collector, b.Collector) })
	sortEvidence(c.Evidence)
}

// sortEvidence orders facts by kind, then by all that is said in them, so that
// the same facts always stand in the same order.
func sortEvidence(list []Evidence) {
	slices.SortStableFunc(list, func(a, b Evidence) int {
		return cmp.Or(
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.About.String(), b.About.String()), cmp.Compare(a.Owner.String(), b.Owner.String()),
			cmp.Compare(a.Peer.String(), b.Peer.String()), cmp.Compare(a.Name, b.Name), a.At.Compare(b.At), cmp.Compare(key(a), key(b)),
		)
	})
}

// key is all of a fact as text.
func key(e Evidence) string {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Sprintf("%+v", e) // a NaN, which no collector gives
	}
	return string(b)
}

// Write writes a case as the file that ReadCase reads.
func (c Case) Write(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		return fmt.Errorf("diagnosis: write the case: %w", err)
	}
	return nil
}

// ReadCase reads a case that Write wrote.
func ReadCase(r io.Reader) (Case, error) {
	var c Case
	d := json.NewDecoder(r)
	if err := d.Decode(&c); err != nil {
		return Case{}, fault.Wrap(err, fault.Usage, "This is no recorded diagnosis: it is not the JSON that bot diagnose --record writes.")
	}
	if c.Format != Format {
		return Case{}, fault.New(fault.Usage, "This diagnosis was recorded in format %d, and I read format %d. Record it again with this version.", c.Format, Format)
	}
	return c, nil
}

// Masked is the case with every text that came from a workload passed through
// mask, for what leaves this process.
func (c Case) Masked(mask func(string) string) Case {
	c.Evidence = slices.Clone(c.Evidence)
	for i := range c.Evidence {
		e := &c.Evidence[i]
		e.Text, e.From, e.To = mask(e.Text), mask(e.From), mask(e.To)
	}
	return c
}

// Clip shortens a text that came from a workload to what may be shown on a
// line: no control signs, at most n characters.
func Clip(s string, n int) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' }), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
