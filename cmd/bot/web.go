package main

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/recorder"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/store"
)

const (
	// listedChanges and listedAlerts are how many of a kind a list has at most.
	listedChanges = 50
	listedAlerts  = 200
	// listedConversations is how many conversations somebody is shown.
	listedConversations = 100
	// maxDiff bounds the diff of one list entry, in bytes.
	maxDiff = 256 << 10
)

// providerLimit is how long an identity provider may take to answer.
const providerLimit = 10 * time.Second

// web is the HTTP API and the console, with all that it shows.
func (a *app) web(stopping context.Context, c Config, loopback bool, log *slog.Logger) (*web.Server, error) {
	s := web.NewServer(stopping, web.Config{Token: string(c.Web.Token), AllowedHosts: c.Web.hosts()}, a.turns(), log)
	if a.listening.ears != nil {
		s.Listen(a.listening.ears, func(context.Context) speech.Hints {
			return spokenNames(a.fleet.AllNames(), a.fleet.Namespace(""), c.Access.ReadsAsPerson, a.alerts.fires()...)
		})
	}
	if a.voice != nil {
		s.Speak(a.voice)
	}
	s.Show(a.console())
	if !loopback && !c.Web.OIDC.on() {
		return s, nil
	}
	return s, s.LogIn(c.Web.logIn(c.TLS != TLSConfig{}, loopback), a.store, &http.Client{Timeout: providerLimit})
}

// link is the line with a link by which the one who started the server logs in to
// the console; "" where others can reach it.
func (a *app) link(ctx context.Context, at net.Addr, secure bool) (string, error) {
	if !loopback(at) {
		return "", nil
	}
	link, err := web.NewLink(ctx, a.store, url(at.String(), secure))
	return "CONSOLE_URL=" + link + "\n", err
}

// console is what the web console shows, from the parts of an app.
func (a *app) console() web.Parts {
	heard := &progressHeard{}
	a.overhear = append(a.overhear, heard.overhear)
	return web.Parts{
		People:  webPeople{a.eyes.who, a.ledger},
		History: webHistory{a.history, a.store},
		Changes: webChanges{a, heard},
		Alerts:  webAlerts{a},
		Names:   webNames{a},
	}
}

// webPeople knows who speakers are.
type webPeople struct {
	*access.Guard
	ledger *action.Ledger
}

// MayChange says why a speaker may change nothing.
func (p webPeople) MayChange(ctx context.Context, s access.Speaker) error {
	return p.ledger.MayChange(ctx, s)
}

// webHistory is what was said in the console.
type webHistory struct {
	history *recorder.History
	store   *store.Store
}

// Own makes a new conversation a speaker's.
func (h webHistory) Own(ctx context.Context, conversation, speaker string) (string, error) {
	return h.store.OwnConversation(ctx, conversation, speaker)
}

// Conversations lists those of a speaker.
func (h webHistory) Conversations(ctx context.Context, speaker string) ([]web.Conversation, error) {
	var out []web.Conversation
	err := h.store.ConversationsOf(ctx, speaker, listedConversations, func(id string, title []byte, updated time.Time) error {
		out = append(out, web.Conversation{ID: id, Title: string(title), Updated: updated})
		return nil
	})
	return out, err
}

// Turns returns what was said and told.
func (h webHistory) Turns(ctx context.Context, conversation string) ([]web.Turn, int64, error) {
	all, after, err := h.history.Turns(ctx, conversation)
	out := make([]web.Turn, len(all))
	for i, t := range all {
		out[i] = web.Turn(t)
	}
	return out, after, err
}

// webChanges is what is going on.
type webChanges struct {
	a     *app
	heard *progressHeard
}

// shows reports whether somebody may know of an entry: it is theirs, or they may
// see all that it is about.
func (c webChanges) shows(ctx context.Context, by access.Speaker, e action.Entry) bool {
	if c.a.view == nil || e.Speaker.Key() == by.Key() {
		return true
	}
	return !slices.ContainsFunc(e.Steps, func(s action.Step) bool { return !c.a.view.Sees(ctx, s.Change.About()) })
}

// listed collects entries of a list that somebody may know of. They are looked at
// once all are read, as the journal may not be asked meanwhile.
func (c webChanges) listed(ctx context.Context, by access.Speaker, each func(context.Context, func(action.Entry) bool) error) ([]action.Entry, error) {
	var all []action.Entry
	err := each(ctx, func(e action.Entry) bool {
		all = append(all, e)
		return len(all) < listedChanges
	})
	if err != nil {
		return nil, err
	}
	eyes := c.a.eyes.of(ctx, by)
	return slices.DeleteFunc(all, func(e action.Entry) bool { return !c.shows(eyes, by, e) }), nil
}

// Running lists the changes that run, the newest first.
func (c webChanges) Running(ctx context.Context, by access.Speaker) ([]web.Change, error) {
	all, err := c.listed(ctx, by, c.a.ledger.Running)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b action.Entry) int { return b.Decided.Compare(a.Decided) })
	out := make([]web.Change, len(all))
	for i, e := range all {
		what, progress, err := c.a.crew.Words(e)
		if err != nil {
			return nil, err
		}
		out[i] = web.Change{
			ID: e.ID, Conversation: e.Conversation, Who: who(e), What: what, State: string(e.State), Progress: cmp.Or(c.heard.of(e.ID), progress), Since: e.Decided,
		}
	}
	return out, nil
}

// Waiting lists the changes that wait for somebody's approval, the newest first.
func (c webChanges) Waiting(ctx context.Context, by access.Speaker) ([]web.Approval, error) {
	all, err := c.listed(ctx, by, c.a.ledger.Awaiting)
	if err != nil {
		return nil, err
	}
	out := make([]web.Approval, len(all))
	for i, e := range all {
		what, _, err := c.a.crew.Words(e)
		if err != nil {
			return nil, err
		}
		v := web.Approval{ID: e.ID, Who: who(e), What: what, Reason: e.Verdict.Reason, Code: e.Code, Expires: e.Expires, Mine: e.Speaker.Key() == by.Key()}
		no := c.a.ledger.MayApprove(ctx, e, by)
		if v.May = no == nil; !v.May {
			v.Why = fault.Say(no)
		}
		if v.May || v.Mine {
			v.Digest, v.Diff = e.Digest, diffOf(e)
		}
		out[i] = v
	}
	return out, nil
}

// who is whoever asked for an entry, as people are told.
func who(e action.Entry) string {
	if e.Person != "" {
		return e.Person
	}
	return e.Speaker.Key()
}

// diffOf is the diff of all steps. One that is too long is cut where a line ends,
// and says so: what is approved is known by the digest.
func diffOf(e action.Entry) string {
	var b strings.Builder
	for _, s := range e.Steps {
		if s.Diff != "" {
			b.WriteString(strings.TrimRight(s.Diff, "\n") + "\n")
		}
	}
	if d := b.String(); len(d) > maxDiff {
		return d[:strings.LastIndexByte(d[:maxDiff], '\n')+1] + "… (cut: the rest is too long to be shown)\n"
	}
	return b.String()
}

// webAlerts is what fires.
type webAlerts struct{ a *app }

// Firing lists what fires and nobody holds back, the gravest first.
func (w webAlerts) Firing(ctx context.Context, by access.Speaker) ([]web.Alert, bool, error) {
	from := w.a.outside.lister()
	if from == nil {
		return nil, false, nil
	}
	all, err := from.Alerts(w.a.eyes.of(ctx, by), alertmanager.Filter{})
	if err != nil {
		return nil, true, err
	}
	out := make([]web.Alert, 0, len(all))
	for _, a := range all[:min(len(all), listedAlerts)] {
		out = append(out, web.Alert{Name: a.Name, Severity: a.Severity, Summary: a.Summary, Since: a.Since, About: aboutOf(a)})
	}
	return out, true, nil
}

// aboutOf is what an alert is about: "shop/checkout", "shop", or "" where it does
// not say.
func aboutOf(a observability.Alert) string {
	name, ns, _ := alertmanager.About(a)
	if ns != "" && name != "" {
		return ns + "/" + name
	}
	return ns + name
}

// seen is a View that shows what the person of a context may see.
type seen interface {
	Sees(ctx context.Context, ref kube.Ref) bool
}

// lister is where what fires is listed, for the person of a context; nil where
// nobody can tell.
func (o outside) lister() alertLister {
	var from alertLister
	switch {
	case o.alertmanager != nil:
		from = o.alertmanager
	case o.board != nil:
		from = o.board
	default:
		return nil
	}
	if o.held != nil {
		return heldAlerts{*o.held, from, nil}
	}
	return from
}

// alertLister lists alerts.
type alertLister interface {
	Alerts(ctx context.Context, f alertmanager.Filter) ([]observability.Alert, error)
}

// progressKept is of how many changes it is remembered how far they are.
const progressKept = 200

// progressHeard remembers what was told last of each change that runs: the journal
// is written where it must be, and knows less.
type progressHeard struct {
	mu    sync.Mutex
	texts map[string]string // by the change's id
}

// overhear notes an event. It never waits.
func (p *progressHeard) overhear(_ string, ev dialogue.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case ev.Kind != dialogue.EventProgress:
		delete(p.texts, ev.Action)
		return
	case p.texts == nil || len(p.texts) >= progressKept && p.texts[ev.Action] == "":
		p.texts = map[string]string{}
	}
	p.texts[ev.Action] = ev.Reply.Text
}

func (p *progressHeard) of(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.texts[id]
}
