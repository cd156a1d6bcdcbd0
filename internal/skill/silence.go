package skill

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
)

// What stands at the beginning of the comment of a silence.
const (
	ackComment     = "Acknowledged through firstmate"
	silenceComment = "Silenced through firstmate"
)

// longestSilence is beyond what anybody remembers.
const longestSilence = 30 * 24 * time.Hour

// isAck reports whether a silence says that somebody looks at the alert.
func isAck(s observability.Silence) bool { return strings.HasPrefix(s.Comment, ackComment) }

func (c *Crew) alertPlanners() map[string]planner {
	return map[string]planner{"alert_ack": c.silence(true), "alert_silence": c.silence(false), "alert_unsilence": c.unsilence}
}

// silence plans to hold back alerts that fire: each by a silence of its own, as
// narrow as what it was found by. Nothing is silenced that nobody sees, so that
// nobody is kept from being woken by what they did not mean.
func (c *Crew) silence(ack bool) planner {
	return func(ctx context.Context, t *dialogue.Turn, _ [][]kube.Change) (plan, error) {
		if c.alerts.Manager == nil {
			return plan{}, noManager("silence alerts")
		}
		w, err := c.wantedAlerts(t)
		if err != nil {
			return plan{}, err
		}
		to, err := c.silentUntil(t, ack)
		if err != nil {
			return plan{}, err
		}
		by, err := c.called(ctx, t.Request.Speaker)
		if err != nil {
			return plan{}, err
		}
		all, err := c.firing(ctx, w)
		if err != nil {
			return plan{}, err
		}
		loud := slices.DeleteFunc(slices.Clone(all), func(a observability.Alert) bool { return len(a.SilencedBy) > 0 })
		v := kube.Silence{To: to, By: by, Comment: silenceComment, Acknowledged: ack}
		if ack {
			v.Comment = ackComment
		}
		if s := t.Request.Speaker; s.Channel != "" {
			v.Comment += " (" + s.Channel + ")"
		}
		var p plan
		for _, a := range loud {
			found, _ := c.fits(w, a)
			ch := c.silenceOf(a, found, v)
			if !slices.ContainsFunc(p.changes, func(o kube.Change) bool { return slices.Equal(o.Silence.Matchers, ch.Silence.Matchers) }) {
				p.changes = append(p.changes, ch)
			}
		}
		if len(p.changes) > 0 {
			return p, nil
		}
		if w.name != "" && w.namespace != "" && len(w.targets) == 0 && len(all) == 0 && !ack {
			// Before it fires, in a place that was said.
			return plan{changes: []kube.Change{c.silenceOf(observability.Alert{
				Name: w.name, Labels: map[string]string{"alertname": w.name, "namespace": w.namespace},
			}, nil, v)}}, nil
		}
		return p, c.nothingFires(t, w, all)
	}
}

// silenceOf is the silence of an alert, by its name, its place and what else it
// was found by.
func (c *Crew) silenceOf(a observability.Alert, found []observability.Matcher, v kube.Silence) kube.Change {
	_, ns, _ := alertmanager.About(a)
	ms := []observability.Matcher{{Name: "alertname", Value: a.Labels["alertname"]}}
	for _, l := range []string{"cluster", "namespace", "exported_namespace", "kubernetes_namespace", "destination_workload_namespace"} {
		if val := a.Labels[l]; val != "" && (l == "cluster" || val == ns) {
			ms = append(ms, observability.Matcher{Name: l, Value: val})
		}
	}
	ms = append(ms, found...)
	v.Severity = a.Severity
	for _, m := range ms {
		v.Matchers = append(v.Matchers, kube.LabelMatcher(m))
	}
	return kube.Change{Ref: kube.Ref{Cluster: c.clusterOf(a), Namespace: ns, Kind: kube.Alert, Name: a.Name}, Verb: kube.VerbSilence, Silence: &v}
}

// silentUntil is when a silence ends.
func (c *Crew) silentUntil(t *dialogue.Turn, ack bool) (time.Time, error) {
	in, now := t.Intent.Slots, c.alerts.Now()
	to := now.Add(cmp.Or(c.alerts.SilenceFor, time.Hour))
	if ack {
		to = now.Add(cmp.Or(c.alerts.AcknowledgeFor, time.Hour))
	}
	if d := in.String("duration"); d != "" {
		l, ok := length(d)
		if !ok || l < time.Minute {
			return to, fault.New(fault.NotUnderstood, "For how long? Say it as “for two hours”.")
		}
		to = now.Add(l)
	} else if u := in.String("until"); u != "" {
		var ok bool
		if to, ok = Coming(u, now); !ok {
			return to, fault.New(fault.NotUnderstood, "Until when? Say it as “until six pm”, “until tomorrow” or “for two hours”.")
		}
	}
	if to.Sub(now) > longestSilence {
		return to, fault.New(fault.Refused, "A silence of more than 30 days is forgotten, and then nobody is woken. Say a shorter time.")
	}
	return to, nil
}

// morning is when a day begins for who silences until then.
const morning = 9

// Coming reads a point in time that is still to come, as slots hold it. A day is
// its morning.
func Coming(s string, now time.Time) (time.Time, bool) {
	if d, ok := length(s); ok {
		return now.Add(d), true
	}
	day, clock, both := strings.Cut(s, " ")
	if !both && strings.Contains(s, ":") {
		day, clock = "", s
	}
	hour, minute := morning, 0
	if clock != "" {
		at, err := time.Parse("15:04", clock)
		if err != nil {
			return now, false
		}
		hour, minute = at.Hour(), at.Minute()
	}
	ahead := 0
	switch {
	case day == "", day == "today", day == "tonight":
	case day == "tomorrow":
		ahead = 1
	default:
		ago, ok := weekday(now, day)
		if !ok {
			return now, false
		}
		ahead = (7 - ago) % 7
	}
	y, m, d := now.Date()
	to := time.Date(y, m, d+ahead, hour, minute, 0, 0, now.Location())
	switch {
	case to.After(now):
	case day == "":
		to = time.Date(y, m, d+1, hour, minute, 0, 0, now.Location())
	case day != "today" && day != "tonight" && day != "tomorrow":
		to = time.Date(y, m, d+7, hour, minute, 0, 0, now.Location())
	default:
		return now, false
	}
	return to, true
}

// called is the name of who speaks, for others to see.
func (c *Crew) called(ctx context.Context, s access.Speaker) (string, error) {
	if c.past.Who != nil {
		p, ok, err := c.past.Who.Who(ctx, s)
		if err != nil || ok && p.Name != "" {
			return p.Name, err
		}
	}
	return cmp.Or(s.Name, s.ID, "firstmate"), nil
}

// nothingFires says why nothing is silenced.
func (c *Crew) nothingFires(t *dialogue.Turn, w alertsWanted, held []observability.Alert) error {
	data := w.data(c.alerts.Now())
	data["Held"] = len(held)
	return nothingToDo(t, "alerts.none", data)
}

// unsilence plans to end silences: those that hold back what was named.
func (c *Crew) unsilence(ctx context.Context, t *dialogue.Turn, _ [][]kube.Change) (plan, error) {
	if c.alerts.Manager == nil {
		return plan{}, noManager("unsilence alerts")
	}
	w, err := c.wantedAlerts(t)
	if err != nil {
		return plan{}, err
	}
	all, err := c.firing(ctx, w)
	if err != nil {
		return plan{}, err
	}
	silences, err := c.alerts.Manager.Silences(ctx)
	if err != nil {
		return plan{}, err
	}
	var p plan
	for _, s := range silences {
		holds := slices.ContainsFunc(all, func(a observability.Alert) bool { return slices.Contains(a.SilencedBy, s.ID) })
		if !holds && !c.silences(w, s) {
			continue
		}
		v := kube.Silence{From: s.From, To: s.To, By: s.By, Comment: s.Comment, Acknowledged: isAck(s)}
		ref := kube.Ref{Cluster: c.cluster.Cluster(), Kind: kube.Alert, Name: silenceName(s)}
		for _, m := range s.Matchers {
			v.Matchers = append(v.Matchers, kube.LabelMatcher(m))
			if m.Name == "namespace" && !m.Regex && !m.Not {
				ref.Namespace = m.Value
			}
			if m.Name == "cluster" && slices.Contains(c.cluster.Clusters(), m.Value) {
				ref.Cluster = m.Value
			}
		}
		p.changes = append(p.changes, kube.Change{Ref: ref, UID: s.ID, Verb: kube.VerbUnsilence, Silence: &v})
	}
	if len(p.changes) == 0 {
		return p, nothingToDo(t, "alerts.unheld", w.data(c.alerts.Now()))
	}
	return p, nil
}

// silences reports whether a silence itself says that it is about what was named,
// where nothing fires that it holds back.
func (c *Crew) silences(w alertsWanted, s observability.Silence) bool {
	labels := map[string]string{}
	for _, m := range s.Matchers {
		if !m.Regex && !m.Not {
			labels[m.Name] = m.Value
		}
	}
	if labels["alertname"] == "" || w.name == "" && len(w.targets) == 0 && w.severity == "" {
		return false
	}
	_, ok := c.fits(w, alertmanager.Value("", labels, nil, time.Time{}, ""))
	return ok
}

// silenceData fills the blanks of wordings about silences.
func (c *Crew) silenceData(s action.Step, data dialogue.Data) {
	data["Until"], data["For"], data["By"], data["Ack"], data["Holds"], data["Matchers"], data["Severity"] = "", "", "", false, 0, "", ""
	v := s.Change.Silence
	if v == nil || c.alerts.Now == nil {
		return
	}
	now := c.alerts.Now()
	var ms []observability.Matcher
	for _, m := range v.Matchers {
		ms = append(ms, observability.Matcher(m))
	}
	data["Until"], data["For"], data["By"], data["Ack"], data["Holds"] = until(v.To, now), stretch(v.To.Sub(now)), v.By, v.Acknowledged, v.Holds
	data["Matchers"], data["Severity"] = matchersText(ms), v.Severity
}
