package skill

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// Trail is the audit trail; *store.Store has it.
type Trail interface {
	Audit(ctx context.Context, since time.Time, f func(audit.Row) (bool, error)) error
}

// Past is where the skills learn what was done.
type Past struct {
	Trail   Trail
	Cluster interface { // what the cluster remembers; *kube.Fleet has it
		Edits(ctx context.Context, w kube.Workload) ([]kube.Edit, error)
		Sees(ctx context.Context, ref kube.Ref) bool // whether who asks may know of it
	}
	Who interface { // who speakers are; *access.Guard knows
		Who(ctx context.Context, s access.Speaker) (access.Person, bool, error)
	}
	Now func() time.Time // in the time zone that people mean
}

// Recall gives the crew its past. Without one it knows nothing of it.
func (c *Crew) Recall(p Past) *Crew {
	c.past = p
	return c
}

const (
	spokenDeeds = 2  // more than that nobody remembers
	shownDeeds  = 50 // more than that nobody reads
	lookedAt    = 3  // workloads whose cluster is asked
)

// deed is something that was done: one action, as the trail tells it.
type deed struct {
	at       time.Time
	by       audit.Event // who asked
	objects  []audit.Object
	approved []string // by whom besides
	state    string   // how it ended; "" where it has not
	undoes   bool
}

// history says who did what.
func (c *Crew) history(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if c.past.Trail == nil {
		return t.NotYet()
	}
	in, now := t.Intent.Slots, c.past.Now()
	since := in.String("since")
	if since == "last_deploy" {
		since = ""
	}
	w, err := asked(since, in.String("until"), t.Request.Text, now)
	if err != nil {
		return dialogue.Reply{}, err
	}
	about, err := c.about(ctx, t)
	if err != nil {
		return dialogue.Reply{}, err
	}
	mine, err := c.mine(ctx, t)
	if err != nil {
		return dialogue.Reply{}, err
	}
	deeds, err := c.deeds(ctx, w, about, mine)
	if err != nil {
		return dialogue.Reply{}, err
	}
	if in.String("since") == "last_deploy" {
		deeds = sinceDeploy(deeds)
		w.words = "since the last deploy"
	}
	var edits []edited
	if in.String("by") == "" {
		if edits, err = c.edits(ctx, w, about); err != nil {
			return dialogue.Reply{}, err
		}
	}
	return c.tellHistory(t, w, about, deeds, edits, now)
}

// subject is what a question about the past is about.
type subject struct {
	names              []string // of objects; none for all
	namespace, cluster string
	workloads          []kube.Workload // of these names, as far as they are there
}

// is reports whether it is about an object.
func (s subject) is(o audit.Object) bool {
	return (len(s.names) == 0 || slices.Contains(s.names, o.Name)) &&
		(s.namespace == "" || s.namespace == o.Namespace) && (s.cluster == "" || s.cluster == o.Cluster)
}

// about finds what a turn asks about. What is gone from the cluster may be asked
// about too.
func (c *Crew) about(ctx context.Context, t *dialogue.Turn) (subject, error) {
	in := t.Intent.Slots
	s := subject{namespace: in.String("namespace"), cluster: in.String("cluster")}
	for _, n := range in.Targets() {
		switch n {
		case intents.TargetAll, intents.TargetCluster:
		case intents.TargetIt, intents.TargetThem:
			if len(t.Session.Targets) == 0 {
				return s, fault.New(fault.NotUnderstood, "Of what do you want to know who changed it? Say its name.")
			}
			for _, o := range t.Session.Targets {
				s.names = append(s.names, o.Name)
				if s.namespace == "" && len(t.Session.Targets) == 1 {
					s.namespace = o.Namespace
				}
			}
		default:
			s.names = append(s.names, n)
		}
	}
	for _, n := range s.names {
		ws, err := c.cluster.Find(ctx, kube.Query{Cluster: c.where(t), Namespace: s.namespace, Name: n})
		if err != nil {
			return s, err
		}
		s.workloads = append(s.workloads, ws...)
	}
	home := slices.DeleteFunc(slices.Clone(s.workloads), func(w kube.Workload) bool { return w.Ref.Namespace != c.home(ctx, t) })
	switch n := len(s.names); {
	case n == 0:
	case n == len(s.workloads):
		focus(t, s.workloads)
	case n == len(home):
		focus(t, home)
	}
	return s, nil
}

// mine reports whether a line is about who was asked about.
func (c *Crew) mine(ctx context.Context, t *dialogue.Turn) (func(audit.Event) bool, error) {
	who := t.Intent.Slots.String("by")
	if who == "" {
		return func(audit.Event) bool { return true }, nil
	}
	if who != "@me" {
		return func(ev audit.Event) bool {
			for _, n := range []string{ev.Person, ev.Name, ev.Speaker, ev.User} {
				if first, _, _ := strings.Cut(n, "@"); strings.EqualFold(n, who) || strings.EqualFold(first, who) ||
					slices.ContainsFunc(strings.Fields(n), func(w string) bool { return strings.EqualFold(w, who) }) {
					return true
				}
			}
			return false
		}, nil
	}
	p, known, err := c.past.Who.Who(ctx, t.Request.Speaker)
	return func(ev audit.Event) bool {
		return known && ev.Person == p.Name || ev.Channel == t.Request.Speaker.Channel && ev.Speaker == t.Request.Speaker.ID
	}, err
}

// deeds are what the trail tells was done, newest first.
func (c *Crew) deeds(ctx context.Context, w window, s subject, mine func(audit.Event) bool) ([]deed, error) {
	byAction := map[string]*deed{}
	var order []string
	approved := map[string][]string{}
	err := c.past.Trail.Audit(ctx, w.from, func(r audit.Row) (bool, error) {
		ev, err := audit.Decode(r.Line)
		if err != nil {
			return false, err
		}
		d := byAction[ev.Action]
		switch ev.Kind {
		case audit.Seconded:
			approved[ev.Action] = append(approved[ev.Action], cmp.Or(ev.Person, ev.Name, ev.Speaker))
		case audit.Applied:
			if !w.holds(ev.At) || !mine(ev) || len(ev.Objects) == 0 || !s.is(ev.Objects[0]) || !c.seen(ctx, ev.Objects) {
				break
			}
			if d == nil {
				d = &deed{at: ev.At, by: ev, undoes: ev.Undoes != ""}
				byAction[ev.Action] = d
				order = append(order, ev.Action)
			}
			d.objects = append(d.objects, ev.Objects...)
		case audit.Outcome:
			if d != nil {
				d.state = ev.State
			}
		}
		return true, nil
	})
	var out []deed
	for _, id := range slices.Backward(order) {
		d := *byAction[id]
		d.approved = approved[id]
		out = append(out, d)
	}
	return out, err
}

// seen reports whether who asks may know of all objects of a line.
func (c *Crew) seen(ctx context.Context, objects []audit.Object) bool {
	return !slices.ContainsFunc(objects, func(o audit.Object) bool {
		return !c.past.Cluster.Sees(ctx, kube.Ref{Cluster: o.Cluster, Namespace: o.Namespace, Kind: o.Kind, Name: o.Name})
	})
}

// sinceDeploy are the deeds from the last one on that put another version there.
func sinceDeploy(deeds []deed) []deed {
	for i, d := range deeds {
		if slices.ContainsFunc(d.objects, func(o audit.Object) bool {
			return o.Verb == string(kube.VerbImage) || o.Verb == string(kube.VerbTemplate)
		}) {
			return deeds[:i+1]
		}
	}
	return deeds
}

// edited is an edit that the cluster remembers, with what was edited.
type edited struct {
	kube.Edit
	ref kube.Ref
}

// edits are what the cluster remembers itself, newest first.
func (c *Crew) edits(ctx context.Context, w window, s subject) ([]edited, error) {
	var out []edited
	for i, wl := range s.workloads {
		if i == lookedAt {
			break
		}
		es, err := c.past.Cluster.Edits(ctx, wl)
		if err != nil {
			return nil, err
		}
		for _, e := range es {
			if w.holds(e.At) {
				out = append(out, edited{e, wl.Ref})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b edited) int { return b.At.Compare(a.At) })
	return out, nil
}

// tellHistory words what was done: in short for the ear, all of it for the eye.
func (c *Crew) tellHistory(t *dialogue.Turn, w window, s subject, deeds []deed, edits []edited, now time.Time) (dialogue.Reply, error) {
	who := t.Intent.Slots.String("by")
	if who == "@me" {
		who = "you"
	}
	data := dialogue.Data{
		"Names": s.names, "Namespace": s.namespace, "Cluster": s.cluster, "Window": w.words, "By": who,
		"Count": len(deeds), "More": max(0, len(deeds)-spokenDeeds), "Speech": "", "Text": "", "Besides": "",
	}
	table := dialogue.Block{Type: "table", Columns: []string{"WHEN", "WHO", "WHAT", "ENDED", "APPROVED BY", "SAYS"}}
	row := func(at time.Time, cells ...string) {
		if len(table.Rows) < shownDeeds {
			table.Rows = append(table.Rows, append([]string{at.In(now.Location()).Format("2006-01-02 15:04:05 MST")}, cells...))
		}
	}
	var speech, text []string
	for i, d := range deeds {
		say, err := c.deed(d, s, now)
		if err != nil {
			return dialogue.Reply{}, err
		}
		if i < spokenDeeds {
			speech, text = append(speech, upper(say.Speech)), append(text, upper(say.Text))
		}
		what, err := c.did(d, s)
		if err != nil {
			return dialogue.Reply{}, err
		}
		row(d.at, whoIs(d.by), what.Text, cmp.Or(strings.ReplaceAll(d.state, "_", " "), "running"), strings.Join(d.approved, ", "), "firstmate")
	}
	for i, e := range edits {
		by := cmp.Or(e.By, e.Cause, "somebody")
		if i == 0 {
			data["Besides"], data["EditPlace"] = e.ref.Name, c.place(e.ref)
			data["EditBy"], data["EditCause"], data["EditAt"], data["Revision"] = e.By, e.Cause, when(e.At, now), e.Revision
		}
		what := "changed " + e.ref.Name
		if e.Revision > 0 {
			what = fmt.Sprintf("began revision %d of %s", e.Revision, e.ref.Name)
		}
		if at := c.place(e.ref); at != "" {
			what += " in " + at
		}
		row(e.At, by, what, "", "", "the cluster")
	}
	data["Speech"], data["Text"] = strings.Join(speech, ". "), strings.Join(text, ".\n")
	key := "history.some"
	if len(deeds) == 0 {
		key = "history.none"
	}
	r, err := t.Reply(key, data)
	if err == nil && len(table.Rows) > 0 {
		slices.SortStableFunc(table.Rows, func(a, b []string) int { return strings.Compare(b[0], a[0]) })
		r.Blocks = []dialogue.Block{table}
	}
	return r, err
}

// whoIs names who did something.
func whoIs(ev audit.Event) string {
	return cmp.Or(ev.Person, ev.Name, ev.Channel+":"+ev.Speaker)
}

// deed words one deed as a sentence: who did what, when, and how it ended.
func (c *Crew) deed(d deed, s subject, now time.Time) (intents.Say, error) {
	what, err := c.did(d, s)
	if err != nil {
		return what, err
	}
	return c.catalogue.Say("history.deed", dialogue.Data{
		"Who": whoIs(d.by), "Speech": what.Speech, "Text": what.Text, "At": when(d.at, now), "State": d.state, "Undoes": d.undoes, "Approved": d.approved,
	})
}

// did words what was done in one deed.
func (c *Crew) did(d deed, s subject) (intents.Say, error) {
	if len(d.objects) > manySteps {
		return c.catalogue.Say("history.many", dialogue.Data{"Count": len(d.objects)})
	}
	var speech, text []string
	for _, o := range d.objects {
		say, err := c.catalogue.Say("history.did", dialogue.Data{
			"Verb": o.Verb, "Name": o.Name, "Kind": o.Kind, "Place": c.place(kube.Ref{Cluster: o.Cluster, Namespace: o.Namespace}), "From": o.From, "To": o.To,
		})
		if err != nil {
			return say, err
		}
		speech, text = append(speech, say.Speech), append(text, say.Text)
	}
	return intents.Say{Speech: and(speech), Text: and(text)}, nil
}
