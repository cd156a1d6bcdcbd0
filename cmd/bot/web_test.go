package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/gate"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/skill"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// webRules are three people, one of whom only looks, and two eyes more for vault.
const webRules = `
access:
  people:
  - {name: Ann, speakers: ["web:ann@example.com"], user: ann, write: true}
  - {name: Bob, speakers: ["web:bob@example.com"], user: bob, write: true}
  - {name: Carol, speakers: ["web:carol@example.com"], user: carol}
  policies:
  - {name: two, match: {}, verdict: approve, by: {person: [Ann, Bob]}, reason: "it is the vault"}
`

// nothing writes nothing: lists must not.
type nothing struct{ action.Writer }

// oneCluster is all that words need to know of clusters.
type oneCluster struct{ skill.Reader }

func (oneCluster) Clusters() []string { return []string{"home"} }

func (oneCluster) Namespace(string) string { return "shop" }

func person(name string) access.Speaker {
	return access.NewSpeaker("web", name+"@example.com", access.OIDC)
}

// shown is an app of which only what the console shows is there.
func shown(t *testing.T) *app {
	t.Helper()
	c, err := loadConfig(write(t, webRules), vars{}.get)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := c.rules()
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	guard := access.NewGuard(c.people(), rules, st)
	catalogue, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	ledger := action.NewLedger(st, nothing{}, nil, guard, action.DefaultPatience, slog.New(slog.DiscardHandler))
	return &app{store: st, ledger: ledger, eyes: eyes{guard}, crew: skill.NewCrew(oneCluster{}, ledger, catalogue)}
}

// journal writes an entry: somebody scales a Deployment, or what is made of that.
func (a *app) journal(t *testing.T, id string, state action.State, by, namespace, name string, change ...func(*action.Entry)) {
	t.Helper()
	who := person(strings.ToLower(by))
	e := action.Entry{
		ID: id, Key: id, Conversation: "of-" + by, State: state, Speaker: who, Person: by, Digest: "digest-" + id, Code: "1234",
		Created: time.Now(), Decided: time.Now(), Expires: time.Now().Add(time.Hour), Intent: "scale",
		Steps: []action.Step{{
			Change: kube.Change{Ref: kube.Ref{Namespace: namespace, Kind: kube.Deployment, Name: name}, Verb: kube.VerbScale, FromReplicas: 1, ToReplicas: 2},
			Diff:   "--- a\n+++ b\n+replicas: 2 of " + name + "\n", Last: kube.Progress{State: kube.Observing},
		}},
	}
	for _, f := range change {
		f(&e)
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.store.CreateAction(t.Context(), id, id, e.Conversation, string(state), b); err != nil {
		t.Fatal(err)
	}
}

// TestWhoSeesWhatRunsAndWaits: without access.reads_as_person everybody who may ask
// sees what runs; the diff of what waits, and what approves it, only who may approve
// it and who asked. With it, each sees what is about objects that they may see.
func TestWhoSeesWhatRunsAndWaits(t *testing.T) {
	a := shown(t)
	a.journal(t, "RUNSHOP", action.Watching, "Ann", "shop", "web")
	a.journal(t, "RUNVAULT", action.Approved, "Bob", "vault", "treasury")
	a.journal(t, "WAITSHOP", action.Waiting, "Ann", "shop", "web")
	a.journal(t, "WAITVAULT", action.Waiting, "Bob", "vault", "treasury")
	a.journal(t, "OVER", action.Done, "Bob", "shop", "web")
	a.journal(t, "ASKED", action.Proposed, "Bob", "shop", "web")
	look := func(who access.Speaker) string {
		t.Helper()
		c := a.console().Changes
		running, err := c.Running(t.Context(), who)
		if err != nil {
			t.Fatal(err)
		}
		waiting, err := c.Waiting(t.Context(), who)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range running {
			out = append(out, r.ID)
			if r.What == "" || r.Progress == "" || r.Since.IsZero() || r.Who == "" {
				t.Errorf("not said: %+v", r)
			}
		}
		for _, w := range waiting {
			s := w.ID
			if w.May {
				s += " may"
			}
			if w.Mine {
				s += " mine"
			}
			if w.Digest == "digest-"+w.ID && strings.Contains(w.Diff, "+replicas: 2") {
				s += " diff"
			} else if w.Digest+w.Diff != "" {
				t.Errorf("half is shown: %+v", w)
			}
			if w.May == (w.Why != "") {
				t.Errorf("may, or why not: %+v", w)
			}
			out = append(out, s)
		}
		return strings.Join(out, ", ")
	}
	anyone := access.NewSpeaker("web", "local", access.Loopback)
	for name, tt := range map[string]struct {
		who  access.Speaker
		want string
	}{
		"ann":      {person("ann"), "RUNVAULT, RUNSHOP, WAITVAULT may diff, WAITSHOP mine diff"},
		"bob":      {person("bob"), "RUNVAULT, RUNSHOP, WAITVAULT mine diff, WAITSHOP may diff"},
		"carol":    {person("carol"), "RUNVAULT, RUNSHOP, WAITVAULT, WAITSHOP"},
		"somebody": {anyone, "RUNVAULT, RUNSHOP, WAITVAULT, WAITSHOP"},
	} {
		if got := look(tt.who); got != tt.want {
			t.Errorf("%s sees %q, want %q", name, got, tt.want)
		}
	}
	a.view = gaze{"shop/Deployment"}
	for name, tt := range map[string]struct {
		who  access.Speaker
		want string
	}{
		"ann":   {person("ann"), "RUNSHOP, WAITSHOP mine diff"},
		"bob":   {person("bob"), "RUNVAULT, RUNSHOP, WAITVAULT mine diff, WAITSHOP may diff"},
		"carol": {person("carol"), "RUNSHOP, WAITSHOP"},
	} {
		if got := look(tt.who); got != tt.want {
			t.Errorf("with eyes of their own %s sees %q, want %q", name, got, tt.want)
		}
	}
}

// TestWhatIsWatchedRuns: a roll-out that is being watched is listed with how it does,
// and waits for nobody. The ledger writes none without what is watched of it; one that
// is found all the same is listed too, and nothing is made up of it.
func TestWhatIsWatchedRuns(t *testing.T) {
	now := time.Now()
	seen := func(errors float64, why ...gate.Reason) gate.Verdict {
		return gate.Verdict{Why: why, Old: gate.Level{Version: "v1", Requests: 900}, New: gate.Level{Version: "v2", Requests: 800, Errors: errors}}
	}
	watched := func(back, longer bool, v gate.Verdict) *action.Baked {
		return &action.Baked{Since: now, Until: now.Add(5 * time.Minute), Back: back, Longer: longer, Tried: []action.Tried{{Step: 0, Verdict: v}}}
	}
	for name, tt := range map[string]struct {
		bake *action.Baked
		want string
	}{
		"just begun":            {watched(false, false, gate.Verdict{}), "✔ web is on v2 (was v1), 2 of 2 pods ready. Watching it for 5 minutes."},
		"gone back":             {watched(true, false, gate.Verdict{}), "✔ web is on v2 (was v1), 2 of 2 pods ready. Watching whether that helps."},
		"perhaps worse":         {watched(false, true, seen(0.02, gate.Errors)), "⚠ v2 of web may be worse than v1: "},
		"measured again":        {watched(false, true, seen(0.02)), "✔ web is on v2 (was v1), 2 of 2 pods ready. It looks worse than before, which may be chance. Watching it for 5 minutes more. So far "},
		"not measured again":    {watched(false, true, gate.Verdict{}), "Watching it for 5 minutes more. There were not enough requests yet"},
		"nothing of it is kept": {nil, "✔ web is on v2 (was v1), 2 of 2 pods ready. Whether it does worse than before is not measured."},
		"nothing is watched":    {&action.Baked{Since: now, Until: now.Add(time.Minute)}, "✔ web is on v2 (was v1), 2 of 2 pods ready. Whether it does worse than before is not measured."},
	} {
		t.Run(name, func(t *testing.T) {
			a := shown(t)
			a.journal(t, "A", action.Baking, "Ann", "shop", "web", func(e *action.Entry) {
				ch := &e.Steps[0].Change
				ch.Verb, ch.FromVersion, ch.ToVersion, ch.Images = kube.VerbImage, "v1", "v2", []kube.ImageChange{{Container: "web", From: "web:v1", To: "web:v2"}}
				e.Steps[0].Last = kube.Progress{State: kube.Complete, Desired: 2, Ready: 2}
				e.Intent, e.Steps[0].Applied, e.Steps[0].Ready, e.Bake = "deploy", true, true, tt.bake
			})
			c := a.console().Changes
			all, err := c.Running(t.Context(), person("carol"))
			if err != nil || len(all) != 1 || all[0].State != "baking" || all[0].What == "" {
				t.Fatalf("%+v, %v", all, err)
			}
			if got := all[0].Progress; !strings.Contains(got, tt.want) || strings.Contains(got, "<no value>") {
				t.Errorf("it says %q, want %q", got, tt.want)
			}
			if waiting, err := c.Waiting(t.Context(), person("bob")); err != nil || len(waiting) > 0 {
				t.Errorf("it waits: %+v, %v", waiting, err)
			}
		})
	}
}

// TestProgressIsWhatWasToldLast: what was told is newer than the journal, until the
// change is at its end.
func TestProgressIsWhatWasToldLast(t *testing.T) {
	a := shown(t)
	a.journal(t, "A", action.Watching, "Ann", "shop", "web")
	c := a.console().Changes
	tell := func(kind, text string) {
		for _, f := range a.overhear {
			f("c", dialogue.Event{Kind: kind, Action: "A", Reply: dialogue.Reply{Text: text}})
		}
	}
	progress := func() string {
		all, err := c.Running(t.Context(), person("ann"))
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0].Progress
	}
	journaled := progress()
	tell(dialogue.EventProgress, "1 of 2 ready")
	if got := progress(); got != "1 of 2 ready" {
		t.Errorf("progress %q", got)
	}
	tell(dialogue.EventOutcome, "done")
	if got := progress(); got != journaled || got == "" {
		t.Errorf("after the end %q, not %q", got, journaled)
	}
	for i := range 2 * progressKept {
		a.overhear[0]("c", dialogue.Event{Kind: dialogue.EventProgress, Action: fmt.Sprint(i), Reply: dialogue.Reply{Text: "x"}})
	}
	if n := len(c.(webChanges).heard.texts); n > progressKept {
		t.Errorf("of %d changes it is remembered", n)
	}
}

// fires is what fires, by script.
type fires []observability.Alert

func (f fires) Alerts(context.Context, alertmanager.Filter) ([]observability.Alert, error) {
	return f, nil
}

func TestAlertsAreHeldBack(t *testing.T) {
	all := fires{labelled("alertname=Slow namespace=shop deployment=web"), labelled("alertname=Empty namespace=vault deployment=treasury")}
	seen := heldAlerts{through(gaze{"shop/Deployment"}), all, nil}
	got, err := seen.Alerts(t.Context(), alertmanager.Filter{})
	if err != nil || len(got) != 1 || aboutOf(got[0]) != "shop/web" {
		t.Errorf("%+v, %v", got, err)
	}
	a := shown(t)
	if _, known, err := (webAlerts{a}).Firing(t.Context(), person("ann")); known || err != nil {
		t.Errorf("nobody can tell, and it is known: %v", err)
	}
	a.outside.board = alertmanager.NewBoard(a.store, time.Now)
	held := through(gaze{})
	a.outside.held = &held
	if _, ok := a.outside.lister().(heldAlerts); !ok {
		t.Error("with eyes of their own nothing is held back")
	}
}

func TestADiffIsBounded(t *testing.T) {
	line := strings.Repeat("x", 1000) + "\n"
	d := diffOf(action.Entry{Steps: []action.Step{{Diff: strings.Repeat(line, 200)}, {}, {Diff: strings.Repeat(line, 200)}}})
	if len(d) > maxDiff+100 || !strings.HasSuffix(d, "too long to be shown)\n") || strings.Count(d, "x")%1000 != 0 {
		t.Errorf("%d bytes, ending %q", len(d), d[len(d)-60:])
	}
	if d := diffOf(action.Entry{Steps: []action.Step{{Diff: "a\n\n"}, {Diff: "b"}}}); d != "a\nb\n" {
		t.Errorf("%q", d)
	}
}

func TestWebConfig(t *testing.T) {
	oidc := "web:\n  oidc: {issuer: 'https://id.example', client_id: f, redirect_url: 'https://bot.example/login/callback'%s}\n"
	for name, tt := range map[string]struct{ yaml, want string }{
		"none":               {"", ""},
		"log-in":             {fmt.Sprintf(oidc, ""), ""},
		"known by sub":       {fmt.Sprintf(oidc, ", claim: sub, scopes: [], allow: ['*']"), ""},
		"no issuer":          {"web: {oidc: {client_id: f}}", "issuer"},
		"no client":          {"web: {oidc: {issuer: 'https://id.example'}}", "redirect_url"},
		"plain":              {"web: {oidc: {issuer: 'http://id.example', client_id: f}}", "https"},
		"idle beyond life":   {"web: {session: {idle: 13h}}", "web.session"},
		"no time":            {"web: {session: {idle: 1s}}", "web.session"},
		"everybody is one":   {fmt.Sprintf(oidc, "") + "access: {people: [{name: Ann, speakers: ['web:*']}]}", "web:ann@example.com"},
		"a secret by a file": {fmt.Sprintf(oidc, ", client_secret_file: /nonexistent"), "client_secret_file"},
	} {
		_, err := loadConfig(write(t, tt.yaml), vars{}.get)
		if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := loadConfig(write(t, fmt.Sprintf(oidc, ", client_secret: hunter2")), vars{}.get)
	if err != nil {
		t.Fatal(err)
	}
	if in := c.Web.logIn(false, true); !in.Secure || !in.Links || in.OIDC.ClientSecret != "hunter2" || in.Idle != 2*time.Hour || in.OIDC.Claim != "email" {
		t.Errorf("%+v", in)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", c.Web, c.Web, c.Web), "hunter2") {
		t.Error("the secret shows")
	}
	if h := c.Web.hosts(); len(h) != 1 || h[0] != "bot.example" {
		t.Errorf("hosts %q", h)
	}
	if in := (WebConfig{}).logIn(false, true); in.Secure {
		t.Error("on loopback without HTTPS a cookie would be lost")
	}
}

// TestBotLogin: the link is one that the server takes, as both have one store.
func TestBotLogin(t *testing.T) {
	v := vars{"XDG_STATE_HOME": t.TempDir()}
	bot := func(args ...string) (int, string) {
		var out, errOut strings.Builder
		status := run(t.Context(), args, v.get, strings.NewReader(""), &out, &errOut)
		return status, out.String() + errOut.String()
	}
	if status, said := bot("login"); status != 2 || !strings.Contains(said, "Start it first") {
		t.Errorf("before there is a server: %d %s", status, said)
	}
	st, err := store.OpenSQLite(t.Context(), filepath.Join(v["XDG_STATE_HOME"], "firstmate", "firstmate.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	status, said := bot("login")
	link, ok := strings.CutPrefix(strings.TrimSpace(said), "CONSOLE_URL=http://127.0.0.1:8080/login#")
	if status != 0 || !ok || len(link) < 26 {
		t.Fatalf("%d %s", status, said)
	}
	v["FIRSTMATE_URL"] = "https://127.0.0.1:9/"
	if _, said := bot("login"); !strings.HasPrefix(said, "CONSOLE_URL=https://127.0.0.1:9/login#") {
		t.Errorf("another server: %s", said)
	}
	another, err := web.NewLink(t.Context(), st, "http://x")
	if err != nil || strings.HasSuffix(another, link) {
		t.Errorf("%s, %v", another, err)
	}
}

func TestDoctorLooksAtTheLogIn(t *testing.T) {
	for name, tt := range map[string]struct{ yaml, want string }{
		"on loopback":    {"", "✔ web: on, without a token, on this machine only"},
		"nobody gets in": {"listen: 0.0.0.0:1", "! web: off"},
		"a token":        {"{listen: '0.0.0.0:1', web: {token: x}}", "✔ web: on, with a token"},
		"nobody answers": {"web: {oidc: {issuer: 'http://127.0.0.1:9', client_id: f, redirect_url: 'https://bot.example/login/callback', allow: ['*@x.example']}}", "✘ web.oidc: http://127.0.0.1:9 does not answer"},
		"nobody let in":  {"web: {oidc: {issuer: 'http://127.0.0.1:9', client_id: f, redirect_url: 'https://bot.example/login/callback'}}", "! web.oidc: nobody is let in"},
	} {
		c, err := loadConfig(write(t, tt.yaml), vars{}.get)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		d := &doctor{out: &out}
		d.web(t.Context(), c)
		if !strings.Contains(out.String(), tt.want) || strings.Contains(out.String(), "%!") {
			t.Errorf("%s: %s", name, out.String())
		}
	}
}
