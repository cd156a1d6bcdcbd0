package skill

import (
	"context"
	"slices"
	"strconv"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

const (
	earFacts   = 2  // that are said aloud
	basisFacts = 12 // that are written for a cause
)

// basis says what the last diagnosis of the conversation goes by.
func (c *Crew) basis(_ context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	b := t.Session.Basis
	if b == nil {
		return t.Reply("basis.nothing", nil)
	}
	return dialogue.Reply{Speech: b.Speech, Text: b.Text}, nil
}

// basisOf words what a verdict goes by: a sentence for the ear, and each fact with
// its time, source and link for the eye.
func (c *Crew) basisOf(k diagnosis.Case, v diagnosis.Verdict) (intents.Say, error) {
	switch v.Outcome {
	case diagnosis.Nothing:
		facts := wellBy(k)
		say, err := c.catalogue.Say("basis.well", dialogue.Data{"Facts": c.aloud(facts)})
		if err != nil || len(facts) == 0 {
			return intents.Say{}, err
		}
		return c.withFacts(say, facts)
	case diagnosis.Unclear:
		why, err := c.lacking(k, v)
		if err != nil {
			return intents.Say{}, err
		}
		say, err := c.catalogue.Say("basis.unclear", dialogue.Data{"Lacks": why})
		if err != nil {
			return intents.Say{}, err
		}
		if len(v.Causes) == 0 {
			return say, nil
		}
		return c.others(say, k, v.Causes)
	}
	first := v.Causes[0]
	why, err := c.clause(k, first, false)
	if err != nil {
		return intents.Say{}, err
	}
	against := ""
	for _, f := range c.aloud(first.Against)[:min(len(first.Against), 1)] {
		against = f.Speech
	}
	say, err := c.catalogue.Say("basis.cause", dialogue.Data{
		"Sure": string(first.Sure), "Score": score(first.Score), "Cause": why.Text, "Facts": c.aloud(first.Evidence), "AgainstSpeech": against,
	})
	if err != nil {
		return intents.Say{}, err
	}
	if say, err = c.withFacts(say, first.Evidence); err != nil {
		return intents.Say{}, err
	}
	if len(first.Against) > 0 {
		head, err := c.catalogue.Say("basis.against", nil)
		if err != nil {
			return intents.Say{}, err
		}
		say.Text += "\n" + head.Text
		if say, err = c.withFacts(say, first.Against); err != nil {
			return intents.Say{}, err
		}
	}
	return c.others(say, k, v.Causes[1:])
}

// wellBy are the measures and pods of the target by which nothing is wrong.
func wellBy(k diagnosis.Case) []diagnosis.Evidence {
	var out []diagnosis.Evidence
	for _, kind := range []diagnosis.Kind{diagnosis.Replicas, diagnosis.Latency, diagnosis.ErrorRatio, diagnosis.RequestRate} {
		for _, e := range k.Evidence {
			if e.Kind == kind && e.About.Name == k.Request.Target.Name && e.About.Kind == k.Request.Target.Kind && e.Name != "p50" {
				out = append(out, e)
			}
		}
	}
	return out
}

// others adds what else it might be.
func (c *Crew) others(say intents.Say, k diagnosis.Case, causes []diagnosis.Cause) (intents.Say, error) {
	if len(causes) == 0 {
		return say, nil
	}
	head, err := c.catalogue.Say("basis.else", nil)
	if err != nil {
		return intents.Say{}, err
	}
	say.Text += "\n" + head.Text
	for _, o := range causes[:min(len(causes), shownCauses)] {
		why, err := c.clause(k, o, false)
		if err != nil {
			return intents.Say{}, err
		}
		line, err := c.catalogue.Say("basis.other", dialogue.Data{"Cause": why.Text, "Score": score(o.Score)})
		if err != nil {
			return intents.Say{}, err
		}
		say.Text += "\n" + line.Text
	}
	return say, nil
}

// withFacts adds facts to the text, a line each.
func (c *Crew) withFacts(say intents.Say, facts []diagnosis.Evidence) (intents.Say, error) {
	for _, e := range facts[:min(len(facts), basisFacts)] {
		fact, err := c.fact(e)
		if err != nil {
			return intents.Say{}, err
		}
		at := ""
		if !e.At.IsZero() {
			at = when(e.At, c.investigation.Now())
		}
		line, err := c.catalogue.Say("basis.line", dialogue.Data{"At": at, "Fact": fact, "Source": e.Source, "Link": e.Link})
		if err != nil {
			return intents.Say{}, err
		}
		say.Text += "\n" + line.Text
	}
	return say, nil
}

// aloud words the first facts for the ear, one of a kind. What has no words in
// the catalogue is for the eye alone.
func (c *Crew) aloud(facts []diagnosis.Evidence) []intents.Say {
	var out []intents.Say
	var kinds []diagnosis.Kind
	for _, e := range facts {
		if len(out) == earFacts || slices.Contains(kinds, e.Kind) {
			continue
		}
		say, err := c.catalogue.Say("basis.fact", c.factWords(e))
		if err != nil || say.Speech == "" {
			continue
		}
		kinds = append(kinds, e.Kind)
		if !e.At.IsZero() {
			say.Speech = "at " + when(e.At, c.investigation.Now()) + " " + say.Speech
		}
		out = append(out, say)
	}
	return out
}

// factWords are what the wording of a fact needs. Text of workloads is not said
// aloud.
func (c *Crew) factWords(e diagnosis.Evidence) dialogue.Data {
	of := func(v *float64) string {
		if v == nil {
			return ""
		}
		return figure(*v, unitOf(e), true)
	}
	who := e.About.Name
	if e.About.Kind == "Pod" && e.Owner.Name != "" {
		who = e.Owner.Name
	}
	d := dialogue.Data{
		"Kind": string(e.Kind), "Who": who, "Peer": e.Peer.Name, "Name": e.Name,
		"Value": of(e.Value), "Before": of(e.Before), "Limit": of(e.Limit), "Count": e.Count, "Level": "line", "Measured": measuredAs(e),
		"From": "", "To": "", "Changed": false, "New": e.Before != nil && *e.Before == 0, "Moved": !e.At.IsZero(), "Fact": "",
	}
	switch e.Kind {
	case diagnosis.Scaled:
		d["From"], d["To"] = e.From, e.To
	case diagnosis.ConfigChange, diagnosis.EnvChange, diagnosis.ResourcesChange, diagnosis.ProbeChange, diagnosis.ObjectChange, diagnosis.HPAChange, diagnosis.NodeChange:
		d["Changed"] = true
	case diagnosis.LogPattern:
		if e.Name == string(observability.LevelWarning) || e.Name == string(observability.LevelError) {
			d["Level"] = e.Name
		}
	}
	return d
}

// measuredAs is what a measure is called aloud, "" for what is none.
func measuredAs(e diagnosis.Evidence) string {
	switch e.Kind {
	case diagnosis.Latency:
		if e.Name != "" {
			return "the " + e.Name
		}
		return "the latency"
	case diagnosis.VersionLatency, diagnosis.PodLatency, diagnosis.RouteLatency:
		return "the latency"
	case diagnosis.CallLatency:
		return "the latency of calls"
	case diagnosis.ErrorRatio, diagnosis.VersionErrors, diagnosis.PodErrors, diagnosis.RouteErrors:
		return "the error rate"
	case diagnosis.CallErrors:
		return "the error rate of calls"
	case diagnosis.RequestRate:
		return "the traffic"
	case diagnosis.Calls:
		return "the number of calls"
	case diagnosis.CPUUse:
		return "the CPU use"
	case diagnosis.CPUThrottled:
		return "the share of time held back"
	case diagnosis.MemoryUse:
		return "the memory"
	case diagnosis.NodeLoad:
		return "the load"
	case diagnosis.Pool:
		return "the pool"
	case diagnosis.DiskUse:
		return "the disk"
	}
	return ""
}

func score(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
