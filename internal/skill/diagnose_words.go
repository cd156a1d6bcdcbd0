package skill

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// verdict words what came of a diagnosis, in one sentence for the ear.
func (c *Crew) verdict(k diagnosis.Case, v diagnosis.Verdict) (intents.Say, error) {
	return c.wordVerdict(k, v, false)
}

// brief is what somebody has to hear who was woken up for it: what is wrong, why,
// and what is asked or advised. All else is left for "more".
func (c *Crew) brief(k diagnosis.Case, v diagnosis.Verdict, asked bool) (string, error) {
	say, err := c.wordVerdict(k, v, true)
	if err != nil || len(v.Causes) == 0 {
		return say.Speech, err
	}
	key, data := "advice.", c.stepWords(k, v.Causes[0])
	if asked {
		key, data["Brief"] = "shall.", true
	}
	step, err := c.catalogue.Say(key+string(v.Causes[0].Next.Do), data)
	return strings.TrimSpace(say.Speech + " " + step.Speech), err
}

func (c *Crew) wordVerdict(k diagnosis.Case, v diagnosis.Verdict, brief bool) (intents.Say, error) {
	data := dialogue.Data{"Name": k.Request.Target.Name, "Namespace": k.Request.Target.Namespace}
	switch v.Outcome {
	case diagnosis.Nothing:
		ready := diagnosis.Evidence{}
		for _, e := range k.Evidence {
			if e.Kind == diagnosis.Replicas && e.About.Name == k.Request.Target.Name && e.About.Kind == k.Request.Target.Kind {
				ready = e
			}
		}
		data["Ready"] = int(number(ready.Value))
		var measured []string
		for _, e := range k.Evidence {
			if e.Kind == diagnosis.Latency && e.About.Name == k.Request.Target.Name && e.Name == "p99" && e.Value != nil {
				measured = append(measured, figure(*e.Value, observability.Seconds, true))
			}
		}
		data["P99"] = strings.Join(measured[:min(len(measured), 1)], "")
		return raised(c.catalogue.Say("diagnose.nothing", data))
	case diagnosis.Unclear:
		lead, err := c.lead(k, v, brief)
		if err != nil {
			return intents.Say{}, err
		}
		why, err := c.lacking(k, v)
		if err != nil {
			return intents.Say{}, err
		}
		data["LeadSpeech"], data["Lead"] = lead.Speech, lead.Text
		data["Lacks"], data["Shown"] = why, len(v.Shows) > 0
		return raised(c.catalogue.Say("diagnose.unclear", data))
	}
	lead, err := c.lead(k, v, brief)
	if err != nil {
		return intents.Say{}, err
	}
	why, err := c.clause(k, v.Causes[0], brief)
	if err != nil {
		return intents.Say{}, err
	}
	data["LeadSpeech"], data["Lead"], data["CauseSpeech"], data["Cause"] = lead.Speech, lead.Text, why.Speech, why.Text
	data["Sure"] = string(v.Causes[0].Sure)
	return raised(c.catalogue.Say("diagnose.found", data))
}

// raised begins a sentence as sentences begin.
func raised(s intents.Say, err error) (intents.Say, error) {
	return intents.Say{Speech: upper(s.Speech), Text: upper(s.Text)}, err
}

// lead is "Checkout is slow since 14:05", or that without the time.
func (c *Crew) lead(k diagnosis.Case, v diagnosis.Verdict, brief bool) (intents.Say, error) {
	data := dialogue.Data{"Name": k.Request.Target.Name, "Namespace": k.Request.Target.Namespace, "Since": "", "Show": "", "Percent": "", "Ready": 0, "Desired": 0}
	if !v.Since.IsZero() && !brief {
		data["Since"] = when(v.Since, c.investigation.Now())
	}
	data["Show"] = string(k.Request.Symptom)
	for _, e := range v.Shows {
		switch e.Kind {
		case diagnosis.Latency, diagnosis.CallLatency, diagnosis.TimeShare:
			data["Show"] = "slow"
		case diagnosis.ErrorRatio, diagnosis.CallErrors:
			data["Show"], data["Percent"] = "errors", figure(number(e.Value), observability.Ratio, true)
		case diagnosis.Replicas:
			data["Show"], data["Ready"], data["Desired"] = "short", int(number(e.Value)), int(number(e.Limit))
		case diagnosis.Endpoints:
			data["Show"] = "down"
		default:
			continue
		}
		break
	}
	// What was asked about is what is answered, where it shows.
	asked := k.Request.Symptom
	shows := func(kinds ...diagnosis.Kind) (diagnosis.Evidence, bool) {
		i := slices.IndexFunc(v.Shows, func(e diagnosis.Evidence) bool { return slices.Contains(kinds, e.Kind) })
		if i < 0 {
			return diagnosis.Evidence{}, false
		}
		return v.Shows[i], true
	}
	if e, ok := shows(diagnosis.ErrorRatio, diagnosis.CallErrors); ok && (asked == diagnosis.SymptomErrors || asked == diagnosis.SymptomFailing || asked == diagnosis.SymptomDown) {
		data["Show"], data["Percent"] = "errors", figure(number(e.Value), observability.Ratio, true)
	}
	if e, ok := shows(diagnosis.Replicas); ok && asked != diagnosis.SymptomSlow && asked != diagnosis.SymptomErrors && asked != diagnosis.SymptomTimeout && asked != "" {
		data["Show"], data["Ready"], data["Desired"] = "short", int(number(e.Value)), int(number(e.Limit))
	}
	if k.Request.Target.Name == "" && len(v.Causes) > 0 {
		data["Show"] = "all"
	}
	return c.catalogue.Say("diagnose.lead", data)
}

// clause is what follows "because", by the rule; a brief one without its figures.
func (c *Crew) clause(k diagnosis.Case, cause diagnosis.Cause, brief bool) (intents.Say, error) {
	data := dialogue.Data{
		"Name": k.Request.Target.Name, "About": cause.About.Name, "Kind": kindWord(cause.About.Kind), "Same": cause.About.Name == k.Request.Target.Name,
		"Detail": cause.Detail, "After": "", "AfterText": "", "Moved": "", "MovedText": "", "From": "", "To": "", "Count": 0, "Code": "", "Other": "", "Times": "",
		"Value": "", "Limit": "", "Missing": "", "Peer": "", "Image": "", "Lacks": "", "Brief": brief,
	}
	if cause.Rule == diagnosis.RuleUnschedulable {
		data["Lacks"] = lacks(cause.Detail)
	}
	for i, e := range cause.Evidence {
		switch e.Kind {
		case diagnosis.Rollout:
			data["From"], data["To"] = diagnosis.Clip(e.From, 40), diagnosis.Clip(e.To, 40)
			if !cause.Since.IsZero() && !e.At.IsZero() && cause.Since.After(e.At) {
				data["After"] = span(cause.Since.Sub(e.At))
			}
		case diagnosis.Latency, diagnosis.CallLatency, diagnosis.ErrorRatio, diagnosis.CallErrors, diagnosis.RequestRate:
			if data["Moved"] == "" && e.Value != nil && e.Before != nil && (e.Workload() == cause.About || e.Peer == cause.About || cause.About.Kind == "HorizontalPodAutoscaler") {
				m, err := c.catalogue.Say("diagnose.moved", dialogue.Data{
					"Kind": strings.TrimPrefix(string(e.Kind), "call_"), "FromSpeech": figure(*e.Before, unitOf(e), true), "ToSpeech": figure(*e.Value, unitOf(e), true),
					"From": figure(*e.Before, unitOf(e), false), "To": figure(*e.Value, unitOf(e), false),
				})
				if err != nil {
					return intents.Say{}, err
				}
				data["Moved"], data["MovedText"] = m.Speech, m.Text
			}
		case diagnosis.CrashLoop, diagnosis.InitFailed, diagnosis.Exited:
			data["Code"], data["Count"] = strconv.Itoa(int(number(e.Value))), e.Count
		case diagnosis.OOMKilled:
			if e.Limit != nil {
				data["Limit"] = figure(*e.Limit, observability.Bytes, true)
			}
			data["Count"] = max(1, e.Count)
		case diagnosis.Calls:
			if e.Before != nil && *e.Before > 0 {
				data["Times"] = times(number(e.Value) / *e.Before)
			}
			data["Peer"] = e.Peer.Name
		case diagnosis.ImagePull:
			data["Image"] = diagnosis.Clip(e.To, 120)
		case diagnosis.MissingReference:
			data["Missing"], data["Peer"] = diagnosis.Clip(e.Name, 60), kindWord(e.Peer.Kind)+" "+e.Peer.Name
		case diagnosis.PortMismatch, diagnosis.SelectorMismatch:
			data["From"], data["To"] = diagnosis.Clip(e.From, 60), diagnosis.Clip(e.To, 60)
		case diagnosis.PolicyShutsOut:
			data["Peer"], data["Other"] = e.Peer.Name, e.Owner.Name
		case diagnosis.HPA:
			data["Limit"] = strconv.Itoa(int(number(e.Limit)))
		case diagnosis.CPUThrottled:
			data["Value"] = figure(number(e.Value), observability.Ratio, true)
		case diagnosis.Pool:
			if i == 0 && e.Limit != nil {
				data["Limit"] = strconv.Itoa(int(*e.Limit))
			}
		case diagnosis.Neighbour:
			data["Other"] = e.Peer.Name
		case diagnosis.Scaled:
			data["From"], data["To"] = e.From, e.To
		case diagnosis.QuotaFull:
			data["Value"], data["Limit"] = figure(number(e.Value), e.Unit, true), figure(number(e.Limit), e.Unit, true)
		}
	}
	if brief && cause.Rule != diagnosis.RuleTrafficSpike { // more requests without how many says nothing
		data["Moved"] = ""
	}
	return c.catalogue.Say("cause."+cause.Rule, data)
}

// lacks words why nodes do not take a pod, as Evidence of the kind Unschedulable
// names it: some for this, some for that.
func lacks(detail string) string {
	words := map[string]string{
		"cpu": "too little CPU is left", "memory": "too little memory is left", "pods": "they are full", "storage": "too little disk is left",
		"taint": "they are closed to it", "selector": "they are not of the kind it wants", "affinity": "it keeps its distance from what is there",
		"volume": "its volume is not there", "port": "its port is taken",
	}
	var out []string
	for _, d := range strings.Split(detail, ",") {
		if w := words[d]; w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, ", or ")
}

// stepWords is what the wording of a step may say.
func (c *Crew) stepWords(k diagnosis.Case, cause diagnosis.Cause) dialogue.Data {
	n := cause.Next
	return dialogue.Data{
		"Name": k.Request.Target.Name, "About": cmp.Or(n.About.Name, cause.About.Name), "Kind": kindWord(cmp.Or(n.About.Kind, cause.About.Kind)),
		"Same": n.About.Name == k.Request.Target.Name, "To": diagnosis.Clip(n.To, 80), "What": diagnosis.Clip(n.Name, 60), "Value": n.Value, "Rule": cause.Rule,
		"Detail": diagnosis.Clip(cause.Detail, 80), "Brief": false,
	}
}

// besides are the other causes, what is innocent, and what could not be had.
func (c *Crew) besides(k diagnosis.Case, v diagnosis.Verdict) ([]string, error) {
	var out []string
	for i, cause := range v.Causes {
		if i == 0 || i >= shownCauses {
			continue
		}
		why, err := c.clause(k, cause, false)
		if err != nil {
			return nil, err
		}
		say, err := c.catalogue.Say("diagnose.also", dialogue.Data{"Sure": string(cause.Sure), "Cause": why.Text})
		if err != nil {
			return nil, err
		}
		out = append(out, say.Text)
	}
	for _, in := range v.Innocent {
		say, err := c.catalogue.Say("diagnose.innocent", dialogue.Data{
			"Name": in.Change.About.Name, "To": diagnosis.Clip(in.Change.To, 40), "Why": in.Why, "Then": in.Then.Name,
		})
		if err != nil {
			return nil, err
		}
		out = append(out, say.Text)
	}
	if v.Outcome == diagnosis.Unclear {
		return out, nil // it has been said
	}
	for _, m := range k.Missing {
		say, err := c.catalogue.Say("diagnose.without", dialogue.Data{"Collector": m.Collector, "Why": m.Why})
		if err != nil {
			return nil, err
		}
		out = append(out, say.Text)
	}
	return out, nil
}

// lacking says what would have to be known.
func (c *Crew) lacking(k diagnosis.Case, v diagnosis.Verdict) (string, error) {
	var out []string
	for _, m := range k.Missing {
		if !slices.Contains(out, m.Why) {
			out = append(out, m.Why)
		}
	}
	for _, l := range v.Missing {
		if len(out) > 0 && l == diagnosis.LacksCalls {
			continue // one reason is enough for the ear
		}
		say, err := c.catalogue.Say("diagnose.lacks", dialogue.Data{"What": l})
		if err != nil {
			return "", err
		}
		out = append(out, say.Text)
	}
	return strings.Join(out, " "), nil
}

// evidenceTable shows what a verdict goes by.
func (c *Crew) evidenceTable(v diagnosis.Verdict) (dialogue.Block, error) {
	title, err := c.catalogue.Say("diagnose.evidence", nil)
	if err != nil {
		return dialogue.Block{}, err
	}
	b := dialogue.Block{Type: "table", Title: title.Text, Columns: []string{"When", "What", "Source", "Link"}}
	var seen []diagnosis.Evidence
	add := func(list []diagnosis.Evidence) error {
		for _, e := range list {
			if len(b.Rows) >= shownEvidence || slices.ContainsFunc(seen, func(o diagnosis.Evidence) bool {
				return o.Kind == e.Kind && o.About == e.About && o.Peer == e.Peer && o.Name == e.Name
			}) {
				continue
			}
			seen = append(seen, e)
			say, err := c.fact(e)
			if err != nil {
				return err
			}
			at := ""
			if !e.At.IsZero() {
				at = when(e.At, c.investigation.Now())
			}
			b.Rows = append(b.Rows, []string{at, say, e.Source, e.Link})
		}
		return nil
	}
	for i, cause := range v.Causes {
		if i < shownCauses {
			if err := add(cause.Evidence); err != nil {
				return b, err
			}
		}
	}
	if err := add(v.Shows); err != nil {
		return b, err
	}
	for _, in := range v.Innocent {
		if err := add([]diagnosis.Evidence{in.Change}); err != nil {
			return b, err
		}
	}
	return b, nil
}

// fact words a piece of evidence. What a workload said stands in quotes.
func (c *Crew) fact(e diagnosis.Evidence) (string, error) {
	of := func(v *float64) string {
		if v == nil {
			return ""
		}
		return figure(*v, unitOf(e), false)
	}
	mask := c.investigation.Mask
	say, err := c.catalogue.Say("diagnose.fact", dialogue.Data{
		"What": strings.ReplaceAll(string(e.Kind), "_", " "), "About": e.About.String(), "Peer": e.Peer.String(), "Name": diagnosis.Clip(e.Name, 60),
		"From": diagnosis.Clip(mask(e.From), 80), "To": diagnosis.Clip(mask(e.To), 80), "Value": of(e.Value), "Before": of(e.Before), "Limit": of(e.Limit),
		"Count": e.Count, "Text": diagnosis.Clip(mask(e.Text), 160), "HasPeer": e.Peer.Name != "", "Pattern": e.Kind == diagnosis.LogPattern,
	})
	return say.Text, err
}

func number(p *float64) float64 {
	if p == nil {
		return 0
	}
	return *p
}

// unitOf is the unit of a fact, which its kind says where it does not itself.
func unitOf(e diagnosis.Evidence) observability.Unit {
	if e.Unit != "" {
		return e.Unit
	}
	switch e.Kind {
	case diagnosis.Latency, diagnosis.CallLatency, diagnosis.VersionLatency, diagnosis.PodLatency, diagnosis.RouteLatency:
		return observability.Seconds
	case diagnosis.ErrorRatio, diagnosis.CallErrors, diagnosis.VersionErrors, diagnosis.PodErrors, diagnosis.RouteErrors, diagnosis.CPUThrottled, diagnosis.DiskUse, diagnosis.TimeShare:
		return observability.Ratio
	case diagnosis.RequestRate, diagnosis.Calls:
		return observability.PerSecond
	case diagnosis.MemoryUse, diagnosis.MemoryGrowth, diagnosis.OOMKilled:
		return observability.Bytes
	}
	return observability.Count
}

// figure writes a number with its unit, for the ear or for the eye.
func figure(v float64, u observability.Unit, ear bool) string {
	short := func(v float64) string {
		switch {
		case v == 0:
			return "0"
		case math.Abs(v) >= 100:
			return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
		}
		digits := int(math.Max(0, 1-math.Floor(math.Log10(math.Abs(v)))))
		f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', min(digits, 6), 64), 64)
		if err != nil {
			return "?"
		}
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	word := func(n, long, brief string) string {
		if ear {
			return n + " " + long
		}
		return n + " " + brief
	}
	switch u {
	case observability.Seconds:
		if v < 1 {
			return word(short(v*1000), "milliseconds", "ms")
		}
		return word(short(v), "seconds", "s")
	case observability.Ratio:
		if ear {
			return short(v*100) + " percent"
		}
		return short(v*100) + " %"
	case observability.Bytes:
		for _, s := range []struct {
			size        float64
			long, brief string
		}{{1 << 30, "gigabytes", "GiB"}, {1 << 20, "megabytes", "MiB"}, {1 << 10, "kilobytes", "KiB"}} {
			if v >= s.size {
				return word(short(v/s.size), s.long, s.brief)
			}
		}
		return word(short(v), "bytes", "B")
	case observability.PerSecond:
		return word(short(v), "a second", "/s")
	case observability.Cores:
		return word(short(v), "cores", "cores")
	}
	return short(v)
}

// span says a length of time in words.
func span(d time.Duration) string {
	n, unit := int(d.Round(time.Minute)/time.Minute), "minute"
	switch {
	case d < 90*time.Second:
		n, unit = max(1, int(d/time.Second)), "second"
		if n >= 50 {
			n, unit = 1, "minute"
		}
	case d >= 100*time.Minute:
		n, unit = int(d.Round(time.Hour)/time.Hour), "hour"
	}
	if n == 1 {
		return "one " + unit
	}
	if names := []string{"", "", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}; n < len(names) {
		return names[n] + " " + unit + "s"
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// times says a ratio: "twice", "four times".
func times(r float64) string {
	n := int(math.Round(r))
	switch {
	case n <= 1:
		return "more than"
	case n == 2:
		return "twice"
	case n <= 10:
		return []string{"three", "four", "five", "six", "seven", "eight", "nine", "ten"}[n-3] + " times"
	}
	return fmt.Sprintf("%d times", n)
}

// kindWord is a kind as people say it.
func kindWord(kind string) string {
	switch kind {
	case "PersistentVolumeClaim":
		return "volume claim"
	case "HorizontalPodAutoscaler":
		return "autoscaler"
	case "NetworkPolicy":
		return "network policy"
	case "ResourceQuota":
		return "quota"
	case "Node":
		return "node"
	case "":
		return "service"
	}
	return kind
}
