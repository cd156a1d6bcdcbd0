package skill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// Alerts is where the skills learn what fires.
type Alerts struct {
	// Manager is Alertmanager; *alertmanager.Client is one. nil: none is configured,
	// and nothing can be silenced.
	Manager interface {
		alertLister
		Silences(ctx context.Context) ([]observability.Silence, error)
	}
	// Heard is what Alertmanager's webhook told, for where there is no Manager; nil
	// where there is no webhook either.
	Heard alertLister
	// SilenceFor and AcknowledgeFor are how long that holds where nothing is said.
	SilenceFor, AcknowledgeFor time.Duration
	Now                        func() time.Time // in the time zone that people mean
}

type alertLister interface {
	Alerts(ctx context.Context, f alertmanager.Filter) ([]observability.Alert, error)
}

// UseAlerts tells the crew where alerts are. Without it there are none.
func (c *Crew) UseAlerts(a Alerts) *Crew {
	c.alerts = a
	return c
}

// spokenAlerts is how many are said aloud; more are counted.
const spokenAlerts = 2

// alertsWanted is which alerts a turn is about.
type alertsWanted struct {
	name     string // as it was said
	severity string
	targets  []observability.Target
	// namespace and cluster are those that were said.
	namespace, cluster string
	since              window
}

// wantedAlerts reads the slots that the intents of alerts share.
func (c *Crew) wantedAlerts(t *dialogue.Turn) (alertsWanted, error) {
	in := t.Intent.Slots
	w := alertsWanted{name: in.String("alert"), severity: in.String("severity"), namespace: in.String("namespace"), cluster: in.String("cluster")}
	for _, n := range in.Targets() {
		switch n {
		case intents.TargetAll, intents.TargetCluster:
		case intents.TargetIt, intents.TargetThem:
			for _, o := range t.Session.Targets {
				if o.Kind == kindAlert {
					w.name = o.Name
					continue
				}
				w.targets = append(w.targets, observability.Target{Namespace: o.Namespace, Kind: o.Kind, Name: o.Name})
			}
			if len(t.Session.Targets) == 0 {
				return w, fault.New(fault.NotUnderstood, "The alerts of what? Say its name.")
			}
		default:
			w.targets = append(w.targets, observability.Target{Namespace: w.namespace, Name: n})
		}
	}
	var err error
	if since, until := in.String("since"), in.String("until"); t.Intent.Name == "alerts_list" && (since != "" && since != "last_deploy" || until != "") {
		w.since, err = asked(since, until, t.Request.Text, c.alerts.Now())
	}
	return w, err
}

// kindAlert is what a Target that is an alert is.
const kindAlert = "Alert"

// fits reports whether an alert is one of those, and what of its labels says so.
func (c *Crew) fits(w alertsWanted, a observability.Alert) ([]observability.Matcher, bool) {
	var by []observability.Matcher
	_, ns, _ := alertmanager.About(a)
	switch {
	case w.name != "" && !sameAlert(w.name, a.Name),
		w.namespace != "" && ns != w.namespace,
		w.cluster != "" && c.clusterOf(a) != w.cluster,
		w.severity != "" && alertmanager.Grave(a.Severity) != alertmanager.Grave(w.severity),
		w.since.words != "" && !w.since.holds(a.Since):
		return nil, false
	case w.severity != "":
		for _, l := range []string{"severity", "priority"} {
			if v := a.Labels[l]; v != "" && len(by) == 0 {
				by = append(by, observability.Matcher{Name: l, Value: v})
			}
		}
	}
	if len(w.targets) == 0 {
		return by, true
	}
	for _, t := range w.targets {
		if m, ok := alertmanager.Concerns(a, t); ok {
			return append(by, m), true
		}
	}
	return nil, false
}

// clusterOf is the cluster that an alert is about: of one that does not say, home.
func (c *Crew) clusterOf(a observability.Alert) string {
	if l := a.Labels["cluster"]; slices.Contains(c.cluster.Clusters(), l) {
		return l
	}
	return c.cluster.Cluster()
}

// sameAlert compares the name of an alert with how it was said: "high error rate".
func sameAlert(said, name string) bool {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return unicode.ToLower(r)
			}
			return -1
		}, s)
	}
	return plain(said) == plain(name)
}

// firing lists all alerts that a turn is about, held back or not.
func (c *Crew) firing(ctx context.Context, w alertsWanted) ([]observability.Alert, error) {
	var from alertLister = c.alerts.Manager
	switch {
	case c.alerts.Manager != nil:
	case c.alerts.Heard != nil:
		from = c.alerts.Heard
	default:
		return nil, fault.New(fault.Usage, "I do not know what fires. Set observability.alertmanager.url, or alerts.token and have Alertmanager call my webhook.")
	}
	all, err := from.Alerts(ctx, alertmanager.Filter{Silenced: true, Inhibited: true})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(a observability.Alert) bool {
		_, ok := c.fits(w, a)
		return !ok
	}), nil
}

// listAlerts says what fires.
func (c *Crew) listAlerts(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	w, err := c.wantedAlerts(t)
	if err != nil {
		return dialogue.Reply{}, err
	}
	all, err := c.firing(ctx, w)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if what := t.Intent.Slots.String("what"); what == "silenced" || what == "acknowledged" {
		return c.listSilenced(ctx, t, w, all, what == "acknowledged")
	}
	if t.Intent.Slots.String("what") == "affected" {
		return c.affected(ctx, t, w, all)
	}
	loud := slices.DeleteFunc(slices.Clone(all), alertmanager.Held)
	now := c.alerts.Now()
	groups := alertmanager.Groups(loud)
	data := w.data(now)
	data["Count"], data["Held"], data["More"], data["OnlyCount"] = len(loud), len(all)-len(loud), max(0, len(groups)-spokenAlerts), t.Intent.Slots.String("what") == "count"
	data["Groups"] = groupData(groups[:min(spokenAlerts, len(groups))], now)
	data["Heard"] = c.alerts.Manager == nil
	r, err := t.Reply("alerts.firing", data)
	if len(all) > 0 {
		r.Blocks = append(r.Blocks, alertTable(all, now))
	}
	c.focusAlert(t, groups)
	return r, err
}

// spokenAffected is how many of those that an alert is about are named; more are
// counted.
const spokenAffected = 4

// affected says what alerts are about: workloads, nodes, or pods as far as nobody
// knows whose they are. What is held back is so all the same.
func (c *Crew) affected(ctx context.Context, t *dialogue.Turn, w alertsWanted, all []observability.Alert) (dialogue.Reply, error) {
	now := c.alerts.Now()
	type place struct{ name, namespace string }
	var about []place
	var names []string
	for _, a := range all {
		at, ns, _ := alertmanager.About(a)
		if o := c.ownerOf(ctx, a); o != "" {
			at = o
		}
		if p := (place{at, ns}); at != "" && !slices.Contains(about, p) {
			about = append(about, p)
		}
		if !slices.Contains(names, a.Name) {
			names = append(names, a.Name)
		}
	}
	some := []dialogue.Data{}
	for _, p := range about[:min(spokenAffected, len(about))] {
		some = append(some, dialogue.Data{"Name": p.name, "Namespace": p.namespace})
	}
	data := w.data(now)
	data["Count"], data["Alerts"], data["About"], data["More"] = len(all), names, some, max(0, len(about)-spokenAffected)
	r, err := t.Reply("alerts.affected", data)
	if len(all) > 0 {
		r.Blocks = append(r.Blocks, alertTable(all, now))
	}
	c.focusAlert(t, alertmanager.Groups(all))
	return r, err
}

// ownerOf is the workload that the pod of an alert belongs to, by their names; ""
// where the alert is about no pod, or that cannot be told.
func (c *Crew) ownerOf(ctx context.Context, a observability.Alert) string {
	_, ns, label := alertmanager.About(a)
	if label != "pod" || ns == "" {
		return ""
	}
	all, err := c.cluster.Find(ctx, kube.Query{Cluster: c.clusterOf(a), Namespace: ns})
	if err != nil {
		return "" // the pod's name is what there is
	}
	owner := ""
	for _, w := range all {
		if _, ok := alertmanager.Concerns(a, observability.Target{Namespace: w.Ref.Namespace, Name: w.Ref.Name}); ok && len(w.Ref.Name) > len(owner) {
			owner = w.Ref.Name
		}
	}
	return owner
}

// focusAlert makes what fires "it", where that is one.
func (c *Crew) focusAlert(t *dialogue.Turn, groups []alertmanager.Group) {
	if len(groups) == 1 {
		t.Session.Focus(dialogue.Target{Cluster: c.clusterOf(groups[0].Alerts[0]), Namespace: groups[0].Namespace, Kind: kindAlert, Name: groups[0].Name})
	}
}

// data is what was asked for, for wordings.
func (w alertsWanted) data(now time.Time) dialogue.Data {
	about := []string{}
	for _, t := range w.targets {
		about = append(about, t.Name)
	}
	return dialogue.Data{"Name": w.name, "Severity": w.severity, "Names": about, "Namespace": w.namespace, "Window": w.since.words, "Now": now}
}

// groupData is groups of alerts for wordings.
func groupData(groups []alertmanager.Group, now time.Time) []dialogue.Data {
	out := []dialogue.Data{}
	for _, g := range groups {
		first := g.Alerts[0].Since
		for _, a := range g.Alerts {
			if a.Since.Before(first) {
				first = a.Since
			}
		}
		out = append(out, dialogue.Data{
			"Name": g.Name, "Severity": g.Severity, "Namespace": g.Namespace, "Count": len(g.Alerts), "About": g.About[:min(2, len(g.About))],
			"Others": max(0, len(g.About)-2), "For": ago(now.Sub(first)), "Since": when(first, now), "Summary": g.Alerts[0].Summary,
		})
	}
	return out
}

// shownAlerts is how many rows a table has; more nobody reads.
const shownAlerts = 50

func alertTable(alerts []observability.Alert, now time.Time) dialogue.Block {
	b := dialogue.Block{Type: "table", Columns: []string{"SEVERITY", "ALERT", "ABOUT", "NAMESPACE", "SINCE", "STATE", "SUMMARY"}}
	for _, a := range alerts[:min(shownAlerts, len(alerts))] {
		about, ns, _ := alertmanager.About(a)
		state := "firing"
		switch {
		case len(a.SilencedBy) > 0:
			state = "silenced"
		case len(a.InhibitedBy) > 0:
			state = "inhibited"
		}
		b.Rows = append(b.Rows, []string{a.Severity, a.Name, about, ns, when(a.Since, now), state, a.Summary})
	}
	if n := len(alerts) - shownAlerts; n > 0 {
		b.Rows = append(b.Rows, []string{"…", fmt.Sprintf("and %d more", n), "", "", "", "", ""})
	}
	return b
}

// listSilenced says what is held back, by whom and until when.
func (c *Crew) listSilenced(ctx context.Context, t *dialogue.Turn, w alertsWanted, all []observability.Alert, acked bool) (dialogue.Reply, error) {
	if c.alerts.Manager == nil {
		return dialogue.Reply{}, noManager("say what is silenced")
	}
	silences, err := c.alerts.Manager.Silences(ctx)
	if err != nil {
		return dialogue.Reply{}, err
	}
	now := c.alerts.Now()
	table := dialogue.Block{Type: "table", Columns: []string{"ALERTS", "UNTIL", "BY", "HOLDS BACK", "COMMENT"}}
	var some []dialogue.Data
	held := 0
	for _, s := range silences {
		var by []observability.Alert
		for _, a := range all {
			if slices.Contains(a.SilencedBy, s.ID) {
				by = append(by, a)
			}
		}
		asks := len(w.targets) > 0 || w.severity != "" || w.namespace != "" || w.cluster != ""
		if acked && !isAck(s) || len(by) == 0 && (asks || w.name != "" && !sameAlert(w.name, silenceName(s))) {
			continue
		}
		held += len(by)
		some = append(some, dialogue.Data{"Name": silenceName(s), "Until": until(s.To, now), "By": s.By, "Ack": isAck(s), "Count": len(by)})
		table.Rows = append(table.Rows, []string{matchersText(s.Matchers), until(s.To, now), s.By, fmt.Sprint(len(by)), logs.Mask(s.Comment)})
	}
	data := w.data(now)
	data["Count"], data["Alerts"], data["Acked"], data["More"] = len(some), held, acked, max(0, len(some)-spokenAlerts)
	data["Some"] = append([]dialogue.Data{}, some[:min(spokenAlerts, len(some))]...)
	r, err := t.Reply("alerts.silenced", data)
	if len(some) > 0 {
		r.Blocks = append(r.Blocks, table)
	}
	return r, err
}

func noManager(what string) error {
	return fault.New(fault.Usage, "I cannot %s: set observability.alertmanager.url.", what)
}

// silenceName is what a silence is called by: the alert that it names, else its
// conditions.
func silenceName(s observability.Silence) string {
	for _, m := range s.Matchers {
		if m.Name == "alertname" && !m.Regex && !m.Not {
			return m.Value
		}
	}
	return matchersText(s.Matchers)
}

func matchersText(ms []observability.Matcher) string {
	var out []string
	for _, m := range ms {
		out = append(out, m.String())
	}
	return strings.Join(out, " ")
}

// until says when something ends, as seen from now.
func until(to, now time.Time) string {
	to = to.In(now.Location())
	clock := to.Format("15:04")
	switch days := int(midnight(to, 0).Sub(midnight(now, 0)).Hours()+12) / 24; {
	case days == 0:
		return clock
	case days == 1:
		return clock + " tomorrow"
	case days < 7:
		return clock + " on " + to.Weekday().String()
	}
	return clock + " on " + to.Format("2 January")
}

// stretch is a length of time as one says it, to the minute.
func stretch(d time.Duration) string {
	d = d.Round(time.Minute)
	whole := d
	for _, u := range []time.Duration{24 * time.Hour, time.Hour} {
		if d > u {
			whole = d.Truncate(u)
			break
		}
	}
	if rest := d - whole; rest > 0 {
		return ago(whole) + " and " + ago(rest)
	}
	return ago(d)
}
