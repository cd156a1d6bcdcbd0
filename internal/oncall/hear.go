package oncall

import (
	"slices"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
)

// hear takes over what Alertmanager told.
func (b *Book) hear(changes []observability.AlertChange, now time.Time, p Policy) []task {
	var out []task
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(x, y observability.AlertChange) int { // what is gravest says what an incident is about
		return grave(y.Alert.Severity) - grave(x.Alert.Severity)
	})
	for _, c := range changes {
		if c.Resolved {
			out = append(out, b.resolved(c.Alert.Fingerprint, c.Alert.Since, now)...)
			continue
		}
		out = append(out, b.fires(alertOf(c), now)...)
	}
	return out
}

// alertOf is an alert as the book keeps it. What strangers wrote is clipped.
func alertOf(c observability.AlertChange) Alert {
	about, ns, label := alertmanager.About(c.Alert)
	kind := ""
	if label == "node" || label == "instance" {
		kind = label
	}
	return Alert{
		Fingerprint: diagnosis.Clip(c.Alert.Fingerprint, 100), Group: diagnosis.Clip(c.Group, 300), Name: diagnosis.Clip(c.Alert.Name, 80),
		Severity: diagnosis.Clip(c.Alert.Severity, 40), Summary: diagnosis.Clip(c.Alert.Summary, 160), Since: c.Alert.Since,
		Target: Target{Cluster: diagnosis.Clip(c.Alert.Labels["cluster"], 80), Namespace: diagnosis.Clip(ns, 80), Kind: kind, Name: diagnosis.Clip(about, 120)},
	}
}

// fires takes an alert in.
func (b *Book) fires(a Alert, now time.Time) []task {
	for i := range b.Incidents {
		in := &b.Incidents[i]
		if in.State == Over && (in.Into != "" || now.Sub(in.Closed) > justOver) {
			continue
		}
		for j := range in.Alerts {
			if known := &in.Alerts[j]; known.Fingerprint == a.Fingerprint {
				if in.State == Over && !known.Since.Equal(a.Since) {
					continue // it began anew
				}
				if known.Since.Before(a.Since) {
					known.Since, known.Resolved = a.Since, false
				}
				return nil // it is told again
			}
		}
	}
	if in := b.home(a); in != nil {
		if len(in.Alerts) >= keptAlerts {
			return nil
		}
		graver := grave(a.Severity) > grave(in.severity())
		in.Alerts = append(in.Alerts, a)
		data := map[string]string{"Alert": a.Name, "Target": a.Target.Name, "Severity": a.Severity, "Summary": a.Summary}
		in.note(now, lineJoined, data)
		if in.State == Quiet && graver {
			in.State, in.Due = Ready, now
		}
		return nil
	}
	in := b.begin(a, now)
	in.note(now, lineFired, map[string]string{"Alert": a.Name, "Target": a.Target.Name, "Namespace": a.Target.Namespace, "Severity": a.Severity, "Summary": a.Summary})
	return nil
}

// home is the open incident that an alert belongs to: of the same target, or of
// the same group while nobody has been told what it is about.
func (b *Book) home(a Alert) *Incident {
	for i := range b.Incidents {
		in := &b.Incidents[i]
		if in.State == Over {
			continue
		}
		for _, o := range in.Alerts {
			if a.Target.Name != "" && o.Target == a.Target {
				return in
			}
			if a.Group != "" && o.Group == a.Group && (in.State == Ready || in.State == Quiet) && len(in.Calls) == 0 {
				return in
			}
		}
	}
	return nil
}

// resolved takes an alert out.
func (b *Book) resolved(fingerprint string, since, now time.Time) []task {
	var out []task
	for i := range b.Incidents {
		in := &b.Incidents[i]
		was := in.Resolved()
		for j := range in.Alerts {
			if a := &in.Alerts[j]; a.Fingerprint == fingerprint && !a.Since.After(since) {
				a.Resolved = true
			}
		}
		if in.State == Over || was || !in.Resolved() {
			continue
		}
		in.note(now, lineResolved, nil)
		switch in.State {
		case Quiet, Ready, Asking, Waiting, Unreached:
			in.over(now)
		case Ringing: // nobody need be woken any more
			c := in.last()
			c.Ended, c.Status = now, "canceled"
			in.over(now)
			out = append(out, task{do: doHangUp, incident: in.ID, call: *c})
		case Talking:
			out = append(out, task{do: doPush, incident: in.ID + "/resolved", call: *in.last(), words: "oncall.resolved"})
		case Taken:
			switch {
			case in.Action == "":
				out = append(out, in.normal(now, "")...)
			case in.Acted:
				out = append(out, in.normal(now, "")...)
			}
		case Over:
		}
	}
	return out
}
