package skill

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/sentry"
)

// ErrorTracker groups the errors of programs; *sentry.Client is one.
type ErrorTracker interface {
	ProjectOf(ctx context.Context, name, namespace string) (sentry.Project, bool, error)
	FindRelease(ctx context.Context, p sentry.Project, name, version string) (sentry.Release, bool, error)
	Issues(ctx context.Context, q sentry.IssueQuery) ([]observability.Issue, error)
	Latest(ctx context.Context, issueID string) (sentry.Event, error)
}

// UseErrors tells the crew where errors are, and the time in the zone that people
// mean. Without it there are none.
func (c *Crew) UseErrors(t ErrorTracker, now func() time.Time) *Crew {
	c.outside.tracker, c.outside.now = t, now
	return c
}

const (
	spokenIssues = 1
	shownIssues  = 10
	// newIssues is how far back an issue is new where nothing is said.
	newIssues = 24 * time.Hour
	// spokenTitle is how much of a title is bearable to hear.
	spokenTitle = 80
	shownFrames = 12
)

// listErrors says which errors there are, as the error tracker groups them.
func (c *Crew) listErrors(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	if c.outside.tracker == nil {
		return dialogue.Reply{}, fault.New(fault.Usage, "I do not know which errors there are. Set observability.sentry.url, its organization and its token.")
	}
	q, about, err := c.issueQuery(ctx, t)
	if err != nil {
		return dialogue.Reply{}, err
	}
	in := t.Intent.Slots
	if in.String("what") == "count" {
		q.Limit = 100
	}
	found, err := c.outside.tracker.Issues(ctx, q)
	if err != nil {
		return dialogue.Reply{}, err
	}
	about["Count"], about["Most"], about["OnlyCount"] = len(found), len(found) == q.Limit, in.String("what") == "count"
	some := []dialogue.Data{}
	for _, i := range found[:min(spokenIssues, len(found))] {
		some = append(some, dialogue.Data{"Title": i.Title, "Short": shorten(i.Title, spokenTitle), "Events": i.Events, "Users": i.Users, "Regressed": i.Regressed, "Project": i.Project, "First": when(i.First, c.outside.now())})
	}
	about["Some"] = some
	r, err := t.Reply("errors.list", about)
	if err != nil || len(found) == 0 {
		return r, err
	}
	r.Blocks = append(r.Blocks, c.issueTable(found))
	if in.Has("detail") {
		return c.withTrace(ctx, t, r, found[0])
	}
	return r, nil
}

// issueQuery is what a turn asks the error tracker, and words for it.
func (c *Crew) issueQuery(ctx context.Context, t *dialogue.Turn) (sentry.IssueQuery, dialogue.Data, error) {
	in, now := t.Intent.Slots, c.outside.now()
	q := sentry.IssueQuery{State: in.String("filter"), Text: in.String("query"), Limit: shownIssues}
	if n, ok := in.Number("limit"); ok && n >= 1 && n <= 100 {
		q.Limit = int(n)
	}
	switch in.String("sort") {
	case "frequency":
		q.Sort = sentry.Frequency
	case "users":
		q.Sort = sentry.Users
	case "recent":
		q.Sort = sentry.Recent
	default:
		if q.Sort = sentry.Recent; in.Has("detail") {
			q.Sort = sentry.Frequency // of the worst
		}
	}
	about := dialogue.Data{"Names": []string{}, "Filter": q.State, "Query": q.Text, "Release": "", "Window": ""}
	ws, names, err := c.erring(ctx, t)
	if err != nil {
		return q, about, err
	}
	for n, name := range names {
		ns := ""
		if n < len(ws) {
			ns = ws[n].Ref.Namespace
		}
		p, ok, err := c.outside.tracker.ProjectOf(ctx, name, ns)
		switch {
		case err != nil:
			return q, about, err
		case !ok:
			return q, about, fault.New(fault.NotFound, "Sentry has no project for %s. If it is called otherwise there, name it under observability.sentry.projects.", name)
		case !slices.Contains(q.Projects, p):
			q.Projects = append(q.Projects, p)
		}
	}
	about["Names"] = names
	since, until := in.String("since"), in.String("until")
	switch {
	case since == "last_deploy":
		err = c.sinceRelease(ctx, &q, about, ws, now)
	case since != "" || until != "":
		var w window
		if w, err = asked(since, until, t.Request.Text, now); err == nil {
			q.From, q.To, about["Window"] = w.from, w.to, w.words
		}
		if q.State == "new" {
			q.Since = w.from
		}
	case q.State == "new":
		q.Since, about["Window"] = now.Add(-newIssues), "in the last 24 hours"
	}
	return q, about, err
}

// erring finds what a turn asks about: names, and the workloads of them as far
// as they are there.
func (c *Crew) erring(ctx context.Context, t *dialogue.Turn) ([]kube.Workload, []string, error) {
	var names []string
	for _, n := range t.Intent.Slots.Targets() {
		if n != intents.TargetAll && n != intents.TargetCluster {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return nil, []string{}, nil
	}
	ws, err := c.workloads(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	focus(t, ws)
	names = names[:0]
	for _, w := range ws {
		names = append(names, w.Ref.Name)
	}
	return ws, names, nil
}

// sinceRelease asks for what came with the release that runs now: by the name
// that the tracker has for it, else since it was rolled out.
func (c *Crew) sinceRelease(ctx context.Context, q *sentry.IssueQuery, about dialogue.Data, ws []kube.Workload, now time.Time) error {
	if len(ws) != 1 || len(q.Projects) != 1 {
		return fault.New(fault.NotUnderstood, "Since the release of what? Say one name.")
	}
	w := ws[0]
	r, ok, err := c.outside.tracker.FindRelease(ctx, q.Projects[0], w.Ref.Name, w.Version())
	if err != nil {
		return err
	}
	if ok {
		q.FirstRelease, about["Release"] = r.Version, r.Version
		return nil
	}
	if c.past.Cluster == nil {
		return fault.New(fault.NotFound, "Sentry knows no release %s of %s.", w.Version(), w.Ref.Name)
	}
	edits, err := c.past.Cluster.Edits(ctx, w)
	if err != nil {
		return err
	}
	var at time.Time
	for _, e := range edits {
		if e.Revision > 0 && e.At.After(at) {
			at = e.At
		}
	}
	if at.IsZero() {
		return fault.New(fault.NotFound, "Sentry knows no release %s of %s, and I do not see when it was rolled out. Say since when.", w.Version(), w.Ref.Name)
	}
	q.Since, about["Window"] = at, "since "+w.Version()+" was rolled out at "+when(at, now)
	return nil
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return strings.TrimSpace(string(r[:most])) + " and so on"
	}
	return s
}

func (c *Crew) issueTable(issues []observability.Issue) dialogue.Block {
	b := dialogue.Block{Type: "table", Columns: []string{"ISSUE", "TITLE", "EVENTS", "USERS", "FIRST", "LAST", "STATE", "LINK"}}
	for _, i := range issues {
		state := ""
		if i.Regressed {
			state = "regressed"
		}
		b.Rows = append(b.Rows, []string{i.Short, i.Title, strconv.Itoa(i.Events), strconv.Itoa(i.Users), when(i.First, c.outside.now()), when(i.Last, c.outside.now()), state, i.Link})
	}
	return b
}

// withTrace adds the stack trace of an issue's latest event to an answer.
func (c *Crew) withTrace(ctx context.Context, t *dialogue.Turn, r dialogue.Reply, i observability.Issue) (dialogue.Reply, error) {
	e, err := c.outside.tracker.Latest(ctx, i.ID)
	if fault.KindOf(err) == fault.NotFound {
		e, err = sentry.Event{}, nil
	}
	if err != nil {
		return r, err
	}
	data := dialogue.Data{"Title": i.Title, "Where": "", "Type": "", "At": when(e.At, c.outside.now()), "Release": e.Release, "Found": len(e.Exceptions) > 0}
	var text strings.Builder
	for n, x := range e.Exceptions {
		if n > 0 {
			text.WriteString("caused by ")
		}
		fmt.Fprintf(&text, "%s: %s\n", x.Type, x.Value)
		for k, f := range x.Frames[:min(shownFrames, len(x.Frames))] {
			if k == 0 && n == 0 {
				data["Where"], data["Type"] = f.String(), x.Type
			}
			mark := "  " // of a library
			if f.InApp {
				mark = "▸ "
			}
			text.WriteString(mark + f.String() + "\n")
		}
		if more := len(x.Frames) - shownFrames; more > 0 {
			fmt.Fprintf(&text, "  … %d more\n", more)
		}
	}
	say, err := t.Reply("errors.trace", data)
	if err != nil {
		return r, err
	}
	r.Speech, r.Text = r.Speech+" "+say.Speech, r.Text+"\n"+say.Text
	if text.Len() > 0 {
		r.Blocks = append(r.Blocks, dialogue.Block{Type: "code", Title: i.Short, Text: text.String()})
	}
	return r, nil
}
