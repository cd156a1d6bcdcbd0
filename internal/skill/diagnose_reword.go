package skill

import (
	"context"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// Wordsmith puts what was found into better words, and says nothing that was not.
type Wordsmith interface {
	// Word words a finding; ok is false where its own words stand.
	Word(ctx context.Context, who string, f diagnosis.Finding) (text string, ok bool, err error)
}

// UseWording has the explanation of a diagnosis worded for the eye. What is said
// aloud, the evidence, and what is offered stay ours.
func (c *Crew) UseWording(w Wordsmith) *Crew {
	c.wording = w
	return c
}

// HasWording reports whether explanations are worded by one.
func (c *Crew) HasWording() bool { return c.wording != nil }

// reworded words the explanation of a verdict that somebody asks for now; ok is false
// where our own words stand: always when the wordsmith fails.
func (c *Crew) reworded(ctx context.Context, t *dialogue.Turn, k diagnosis.Case, v diagnosis.Verdict) (text string, ok bool, err error) {
	if c.wording == nil || t == nil || v.Outcome != diagnosis.Found || len(v.Causes) == 0 {
		return "", false, nil
	}
	f, err := c.finding(k, v)
	if err != nil {
		return "", false, err
	}
	text, ok, failed := c.wording.Word(ctx, t.Request.Speaker.Key(), f)
	if failed != nil || !ok {
		return "", false, nil // who counts questions counts it
	}
	return upper(text), true, nil
}

// finding is a verdict with its first cause, in words.
func (c *Crew) finding(k diagnosis.Case, v diagnosis.Verdict) (diagnosis.Finding, error) {
	first := v.Causes[0]
	lead, err := c.lead(k, v, false)
	if err != nil {
		return diagnosis.Finding{}, err
	}
	why, err := c.clause(k, first, false)
	if err != nil {
		return diagnosis.Finding{}, err
	}
	f := diagnosis.Finding{Lead: lead.Text, Why: why.Text, Target: k.Request.Target.Name, Cause: first.About.Name, Sure: first.Sure}
	for _, list := range [][]diagnosis.Evidence{first.Evidence, v.Shows} {
		for _, e := range list {
			fact, err := c.factApart(e)
			if err != nil {
				return diagnosis.Finding{}, err
			}
			f.Facts = append(f.Facts, fact)
		}
	}
	return f, nil
}

// factApart words a piece of evidence with what strangers wrote apart: the text, and
// whatever is of several words where names, keys and versions are of one.
func (c *Crew) factApart(e diagnosis.Evidence) (diagnosis.Fact, error) {
	var quotes []string
	apart := func(s *string) {
		if strings.ContainsAny(strings.TrimSpace(*s), " \t\n\r\u00a0\u2028") {
			quotes = append(quotes, diagnosis.Clip(c.investigation.Mask(*s), 80))
			*s = ""
		}
	}
	for _, s := range []*string{&e.Name, &e.From, &e.To} {
		apart(s)
	}
	if e.Text != "" {
		quotes = append(quotes, diagnosis.Clip(c.investigation.Mask(e.Text), 160))
		e.Text = ""
	}
	line, err := c.fact(e)
	return diagnosis.Fact{Line: line, Quote: strings.Join(quotes, " … ")}, err
}
