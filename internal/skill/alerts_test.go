package skill

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
	"github.com/firstmate-ops/firstmate/internal/silencer"
)

// watchedTown is a town whose alerts are in a real Alertmanager.
type watchedTown struct {
	*town
	*silencer.Silencer
}

func (w watchedTown) Plan(ctx context.Context, c kube.Change) (kube.Change, kube.Diff, error) {
	return w.Silencer.Plan(ctx, c)
}

func (w watchedTown) Apply(ctx context.Context, c kube.Change, id string) (kube.Applied, error) {
	return w.Silencer.Apply(ctx, c, id)
}

func (w watchedTown) Step(ctx context.Context, c kube.Change, id string) (kube.Progress, error) {
	return w.Silencer.Step(ctx, c, id)
}

func managerAt(t *testing.T, url string) *alertmanager.Client {
	t.Helper()
	b, err := backend.New(backend.Options{Name: "Alertmanager", URL: url, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return alertmanager.New(b)
}

// fire posts alerts as Prometheus does; each is labels, "summary=" is none.
func fire(t *testing.T, url string, ago time.Duration, alerts ...string) {
	t.Helper()
	var body []map[string]any
	for _, a := range alerts {
		labels, notes := map[string]string{}, map[string]string{}
		for _, l := range strings.Fields(a) {
			k, v, _ := strings.Cut(l, "=")
			if k == "summary" {
				notes[k] = strings.ReplaceAll(v, "_", " ")
				continue
			}
			labels[k] = v
		}
		body = append(body, map[string]any{"labels": labels, "annotations": notes, "startsAt": time.Now().Add(-ago)})
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(url+"/api/v2/alerts", "application/json", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

func watched(t *testing.T, url string) (*talk, *alertmanager.Client) {
	am := managerAt(t, url)
	of := newTown()
	k := talkIn(t, watchedTown{of, silencer.New(of, am, time.Now)}, of, func(c *Crew) {
		c.UseAlerts(Alerts{Manager: am, Now: time.Now})
	})
	return k, am
}

// TestAlertsAreTalkedAbout is a night with a real Alertmanager.
func TestAlertsAreTalkedAbout(t *testing.T) {
	s := sandboxtest.Alertmanager(t)
	k, am := watched(t, s.URL)
	k.says("any alerts?", `^No alert fires\.$`)
	fire(t, s.URL, time.Hour+time.Minute, "alertname=HighLatency severity=warning namespace=shop deployment=web summary=p99_is_2s",
		"alertname=HighLatency severity=warning namespace=shop deployment=cart", "alertname=HighLatency severity=warning namespace=staging deployment=web")
	fire(t, s.URL, 20*time.Minute+time.Second, "alertname=CartDown severity=critical namespace=shop pod=cart-7d4b9c8f6d-x2x4z summary=nobody_can_pay")

	r := k.says("any alerts?", `^4 alerts fire: CartDown \(critical\) on cart-7d4b9c8f6d-x2x4z in shop since .* \(20 minutes\): nobody can pay; HighLatency \(warning\) on (web and cart|cart and web) in shop since .* \(1 hour\).*; and 1 other kind\.$`)
	if want := `^4 alerts fire: CartDown, critical, on cart for 20 minutes; HighLatency, warning, on (web and cart|cart and web) for 1 hour; and 1 other kind\.$`; !regexp.MustCompile(want).MatchString(r.Speech) {
		t.Errorf("said aloud: %s", r.Speech)
	}
	if len(r.Blocks) != 1 || len(r.Blocks[0].Rows) != 4 {
		t.Errorf("table: %+v", r.Blocks)
	}
	k.says("critical alerts", `^1 alert fires: CartDown`)
	k.says("alerts on cart", `^2 alerts fire on cart: CartDown.*; HighLatency`)
	k.says("any alerts on log-agent?", `^No alert fires on log-agent\.$`)
	k.says("alerts in staging", `^1 alert fires in staging: HighLatency`)
	k.says("what is firing since half an hour", `^1 alert fires, of those that began .*: CartDown`)
	k.says("how many alerts?", `^4 alerts fire\.$`)

	// What is silenced is as narrow as what was asked about.
	r = k.says("silence the alerts of web for 2 hours", `(?s)^1\. |^Silence HighLatency in (shop|staging) for 2 hours.*and silence HighLatency in (shop|staging)`)
	if len(r.Proposal.Changes) != 2 || !strings.Contains(r.Proposal.Changes[0].Diff, `deployment="web"`) {
		t.Errorf("proposed: %+v", r.Proposal)
	}
	k.says("no", "as they are|as it is")
	k.says("alerts in staging", "HighLatency")
	k.says("silence it for two hours", `^Silence HighLatency in shop for 2 hours`) // it is the alert; both places have it
	k.says("no", "")
	r = k.says("ack CartDown", `^Acknowledge CartDown in shop: it is quiet for 1 hour, until \d\d:\d\d.* \(1 alert now; alertname="CartDown" namespace="shop"\)\. Shall I`)
	if !strings.HasPrefix(r.Speech, "Acknowledge CartDown and keep it quiet for 1 hour. Shall I") {
		t.Errorf("said aloud: %s", r.Speech)
	}
	before := alerts(t, am)
	if len(before) != 4 {
		t.Fatalf("before the yes: %v", before)
	}
	k.says("yes", "^Acknowledging CartDown")
	k.says("…", `^✔ CartDown in shop is acknowledged by ann until .*“undo” ends that\.$`)
	if got := alerts(t, am); len(got) != 3 {
		t.Errorf("heard after the yes: %v", got)
	}
	k.says("which alerts are acknowledged?", `^CartDown is acknowledged by ann until \d\d:\d\d.*\. 1 alert is held back by that\.$`)
	k.says("any alerts?", `^3 alerts fire: HighLatency.* 1 is held back by a silence or a graver alert\.$`)
	k.says("ack CartDown", `^That is silenced already\.$`)
	k.says("undo", `^End the silence of CartDown in shop by ann, which would last until .*1 alert it holds back now`)
	k.says("yes", "^Ending the silence of CartDown")
	k.says("…", `^✔ CartDown in shop is heard again\.$`)
	if got := alerts(t, am); len(got) != 4 {
		t.Errorf("heard after undo: %v", got)
	}

	// By severity, and back by name; a critical one is a risk to silence.
	k.says("silence CartDown until tomorrow", `^Silence CartDown in shop for .*, until 09:00 tomorrow`)
	k.says("no, for 3 hours", `^Silence CartDown in shop for 3 hours`)
	k.says("yes", "")
	k.says("…", "is silenced until")
	k.says("which alerts are silenced?", `^CartDown is silenced by ann until`)
	k.says("unsilence CartDown", `^End the silence of CartDown`)
	k.says("yes", "")
	k.says("…", "heard again")
	k.says("unsilence CartDown", `^No silence holds CartDown back\.$`)
	k.says("silence NoSuchThing for an hour", `^NoSuchThing does not fire now, so there is nothing to silence\.`)
	k.says("silence NoSuchThing in staging for an hour", `^Silence NoSuchThing in staging for 1 hour, until .*none fires now`)
	k.says("no", "")
	k.says("silence CartDown for 60 days", "more than 30 days")

	var lines []audit.Event
	err := k.store.Audit(t.Context(), time.Time{}, func(r audit.Row) (bool, error) {
		ev, err := audit.Decode(r.Line)
		lines = append(lines, ev)
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	var done []string
	for _, l := range lines {
		if l.Kind == audit.Applied {
			done = append(done, l.Person+" "+l.Intent+" "+l.Objects[0].Verb+" "+l.Objects[0].Name)
		}
	}
	if got, want := strings.Join(done, "; "), "ann alert_ack silence CartDown; ann undo unsilence CartDown; ann alert_silence silence CartDown; ann alert_unsilence unsilence CartDown"; got != want {
		t.Errorf("the trail: %s", got)
	}

	// What alerts are about, by the workloads of their pods too.
	r = k.says("who is affected by HighLatency?", `^HighLatency is about (web in shop, cart in shop|cart in shop, web in shop|.*web in staging.*)`)
	if !strings.Contains(r.Text, "web in shop") || !strings.Contains(r.Text, "cart in shop") || !strings.Contains(r.Text, "web in staging") {
		t.Errorf("affected: %s", r.Text)
	}
	k.says("what is affected by CartDown?", `^CartDown is about cart in shop\.$`)
	k.says("who is affected by NoSuchThing?", `^NoSuchThing does not fire now, so it is about nobody\.$`)

	// All at once, by a silence for each kind and place.
	r = k.says("mute all alerts for 2 hours", `(?i)silence .*CartDown.*HighLatency|silence .*HighLatency.*CartDown`)
	if len(r.Proposal.Changes) != 3 {
		t.Errorf("proposed: %+v", r.Proposal.Changes)
	}
	k.says("yes", "")
	k.says("…", "silenced until|are silent")
	k.says("any alerts?", `^Nothing fires\. 4 are held back`)
	k.says("unmute all alerts", `(?i)end the silence of`)
	k.says("yes", "")
	k.says("…", "heard again")
	if got := alerts(t, am); len(got) != 4 {
		t.Errorf("heard in the end: %v", got)
	}
	r = k.says("mute all alerts in staging", `^Silence HighLatency in staging`)
	if len(r.Proposal.Changes) != 1 {
		t.Errorf("proposed: %+v", r.Proposal.Changes)
	}
	k.says("no", "")

	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if r := k.says("any alerts?", "^Alertmanager "); r.Fault != fault.Unavailable {
		t.Errorf("killed: %+v", r)
	}
}

func alerts(t *testing.T, am *alertmanager.Client) []observability.Alert {
	t.Helper()
	got, err := am.Alerts(t.Context(), alertmanager.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestAlertsWithoutAnAlertmanager(t *testing.T) {
	of := newTown()
	k := talkIn(t, of, of, func(c *Crew) { c.UseAlerts(Alerts{Now: time.Now}) })
	k.says("any alerts?", `observability\.alertmanager\.url`)
	k.says("silence HighLatency for an hour", `observability\.alertmanager\.url`)
	k.says("unsilence HighLatency", `observability\.alertmanager\.url`)
}

func TestComing(t *testing.T) {
	now := time.Date(2026, 3, 4, 3, 0, 0, 0, time.UTC) // a Wednesday
	for s, want := range map[string]string{
		"06:00": "04 06:00", "02:00": "05 02:00", "tomorrow": "05 09:00", "tomorrow 06:00": "05 06:00", "monday": "09 09:00", "friday 12:00": "06 12:00",
		"wednesday": "04 09:00", "wednesday 02:00": "11 02:00", "today 18:00": "04 18:00", "2h": "04 05:00", "today 01:00": "", "never": "", "25:00": "",
	} {
		got := ""
		if at, ok := Coming(s, now); ok {
			got = at.Format("02 15:04")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", s, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		2*time.Hour - time.Second: "2 hours", 90 * time.Minute: "1 hour and 30 minutes", time.Hour: "1 hour", 26 * time.Hour: "1 day and 2 hours", 5 * time.Minute: "5 minutes",
	} {
		if got := stretch(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

// Survey: there is nothing around what runs here, and nothing next to it.
func (*town) Survey(context.Context, kube.Workload) (kube.Survey, error) { return kube.Survey{}, nil }

func (*town) Glance(context.Context, kube.Workload) (kube.Survey, error) { return kube.Survey{}, nil }
