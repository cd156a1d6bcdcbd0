// Package sentry asks Sentry, its own or one that is hosted elsewhere, which
// errors there are, and tells it what was rolled out. No client that is kept
// covers issues and events, so this is a small one, for nine of its requests.
// Titles and messages are what programs wrote: they are masked and clipped before
// they leave this package.
package sentry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// Options are what is asked of which Sentry.
type Options struct {
	Organization string            // its slug
	Projects     map[string]string // the project of a workload, where that is called otherwise
	Environments map[string]string // the environment of a namespace, where that is called otherwise
	Now          func() time.Time
}

// Client talks to one organization of one Sentry.
type Client struct {
	backend *backend.Client
	opt     Options

	mu       sync.Mutex
	projects []Project
	asked    time.Time // when the projects were
}

// New returns a client. It talks to nobody yet.
func New(b *backend.Client, o Options) (*Client, error) {
	if o.Organization == "" || strings.ContainsAny(o.Organization, "/?#% ") {
		return nil, fault.New(fault.Usage, "observability.sentry.organization is the organization's slug, as in its address.")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Client{backend: b, opt: o}, nil
}

const (
	perPage      = 100
	maxPages     = 10
	projectsLife = 10 * time.Minute
)

// Project is one that reports to Sentry.
type Project struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// Projects lists the organization's projects. What was heard counts for ten minutes.
func (c *Client) Projects(ctx context.Context) ([]Project, error) {
	c.mu.Lock()
	known, fresh := c.projects, c.opt.Now().Sub(c.asked) < projectsLife
	c.mu.Unlock()
	if known != nil && fresh {
		return known, nil
	}
	all := []Project{}
	err := c.pages(ctx, "projects/", url.Values{"per_page": {strconv.Itoa(perPage)}}, func(b []byte) (bool, error) {
		var page []Project
		if err := json.Unmarshal(b, &page); err != nil {
			return false, err
		}
		for _, p := range page {
			if p.ID == "" || p.Slug == "" {
				return false, errors.New("a project without id or slug")
			}
		}
		all = append(all, page...)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.projects, c.asked = all, c.opt.Now()
	c.mu.Unlock()
	return all, nil
}

// ProjectOf is the project that a workload reports to: the one that the
// configuration says, else the one that is called so, or so with its namespace.
func (c *Client) ProjectOf(ctx context.Context, name, namespace string) (Project, bool, error) {
	all, err := c.Projects(ctx)
	if err != nil {
		return Project{}, false, err
	}
	for _, want := range []string{c.opt.Projects[name], name, namespace + "-" + name, name + "-" + namespace} {
		i := slices.IndexFunc(all, func(p Project) bool { return want != "" && strings.EqualFold(p.Slug, want) })
		if i >= 0 {
			return all[i], true, nil
		}
	}
	return Project{}, false, nil
}

// EnvironmentOf is what Sentry calls a namespace.
func (c *Client) EnvironmentOf(namespace string) string {
	return cmp.Or(c.opt.Environments[namespace], namespace)
}

// Sort is in which order issues are wanted.
type Sort string

// The orders.
const (
	Recent    Sort = "date" // seen last
	Newest    Sort = "new"  // seen first
	Frequency Sort = "freq"
	Users     Sort = "user"
)

// IssueQuery is which issues are wanted.
type IssueQuery struct {
	Projects     []Project // none for all
	Environment  string
	From, To     time.Time // issues that were seen then; zero for the last two weeks
	Since        time.Time // only those that were seen first after it
	FirstRelease string    // only those that came with it
	// State is unresolved, new, regressed, resolved, ignored or unhandled; "" is
	// unresolved.
	State string
	Text  string // in the title or message
	Sort  Sort
	Limit int // 0 is 25
}

// states are how Sentry's search says what is asked for.
func states(s string) string {
	switch s {
	case "new", "", "unresolved":
		return "is:unresolved"
	case "regressed":
		return "is:regressed"
	case "resolved":
		return "is:resolved"
	case "ignored":
		return "is:archived"
	case "unhandled":
		return "is:unresolved error.unhandled:true"
	}
	return ""
}

// search is the query in Sentry's own language. What people said is a value in
// quotes there, never a term of its own.
func (q IssueQuery) search() (string, error) {
	terms := []string{states(q.State)}
	if terms[0] == "" {
		return "", fmt.Errorf("sentry: no state is called %q", q.State)
	}
	if q.FirstRelease != "" {
		terms = append(terms, "firstRelease:"+quoted(q.FirstRelease))
	}
	if !q.Since.IsZero() {
		terms = append(terms, "firstSeen:>="+q.Since.UTC().Format("2006-01-02T15:04:05"))
	}
	if q.Text != "" {
		terms = append(terms, quoted(q.Text))
	}
	return strings.Join(terms, " "), nil
}

// quoted is a value of Sentry's search. A star is a pattern there, and is taken
// for what it stands for by nobody who says it.
func quoted(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == '*' {
			return ' '
		}
		return r
	}, s)
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(strings.TrimSpace(s)) + `"`
}

// issue is an issue as the API gives it.
type issue struct {
	ID        string    `json:"id"`
	ShortID   string    `json:"shortId"`
	Title     string    `json:"title"`
	Culprit   string    `json:"culprit"`
	Level     string    `json:"level"`
	Count     string    `json:"count"`
	UserCount int       `json:"userCount"`
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
	Permalink string    `json:"permalink"`
	Status    string    `json:"status"`
	Substatus string    `json:"substatus"`
	Project   struct {
		Slug string `json:"slug"`
	} `json:"project"`
	FirstRelease *struct {
		Version string `json:"version"`
	} `json:"firstRelease"`
}

// Issues lists issues, in the order that was asked for.
func (c *Client) Issues(ctx context.Context, q IssueQuery) ([]observability.Issue, error) {
	search, err := q.search()
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(q.Limit, 25)
	v := url.Values{"query": {search}, "sort": {string(cmp.Or(q.Sort, Recent))}, "limit": {strconv.Itoa(min(limit, perPage))}, "collapse": {"stats"}}
	for _, p := range q.Projects {
		v.Add("project", p.ID)
	}
	if q.Environment != "" {
		v.Set("environment", q.Environment)
	}
	switch {
	case !q.From.IsZero():
		to := q.To
		if to.IsZero() {
			to = c.opt.Now()
		}
		v.Set("start", q.From.UTC().Format(time.RFC3339))
		v.Set("end", to.UTC().Format(time.RFC3339))
	default:
		v.Set("statsPeriod", "14d")
	}
	out := []observability.Issue{}
	err = c.pages(ctx, "issues/", v, func(b []byte) (bool, error) {
		var page []issue
		if err := json.Unmarshal(b, &page); err != nil {
			return false, err
		}
		for _, i := range page {
			o, err := i.value()
			if err != nil {
				return false, err
			}
			o.FirstRelease = cmp.Or(o.FirstRelease, q.FirstRelease)
			out = append(out, o)
		}
		return len(out) < limit, nil
	})
	return out[:min(limit, len(out))], err
}

func (i issue) value() (observability.Issue, error) {
	if i.ID == "" || i.Title == "" {
		return observability.Issue{}, errors.New("an issue without id or title")
	}
	n, err := strconv.Atoi(cmp.Or(i.Count, "0"))
	if err != nil {
		return observability.Issue{}, fmt.Errorf("an issue's count: %w", err)
	}
	o := observability.Issue{
		ID: clip(i.ID, 40), Short: clip(i.ShortID, 60), Title: clip(i.Title, maxTitle), Culprit: clip(i.Culprit, maxTitle), Project: clip(i.Project.Slug, 100),
		Level: levels(i.Level), Events: n, Users: i.UserCount, First: i.FirstSeen, Last: i.LastSeen, Regressed: i.Substatus == "regressed", Link: link(i.Permalink),
	}
	if i.FirstRelease != nil {
		o.FirstRelease = clip(i.FirstRelease.Version, 250)
	}
	return o, nil
}

func levels(s string) observability.Level {
	switch s {
	case "debug", "info", "warning", "error", "fatal":
		return observability.Level(s)
	}
	return ""
}

// pages asks page by page until f has enough. The way on is the cursor of the
// Link header alone: the address in it is somebody else's word.
func (c *Client) pages(ctx context.Context, path string, q url.Values, f func(page []byte) (more bool, err error)) error {
	for range maxPages {
		var page json.RawMessage
		next, err := c.get(ctx, path, q, &page)
		if err != nil {
			return err
		}
		more, err := f(page)
		if err != nil {
			return c.backend.Garbage(err)
		}
		if next == "" || !more {
			return nil
		}
		q.Set("cursor", next)
	}
	return nil
}

// get asks and returns the cursor of the next page, "" where there is none.
func (c *Client) get(ctx context.Context, path string, q url.Values, into any) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.backend.URL(c.path(path), q).String(), http.NoBody)
	if err != nil {
		return "", fmt.Errorf("sentry: %w", err)
	}
	r.Header.Set("Accept", "application/json")
	resp, err := c.backend.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return "", c.backend.Fault(err)
	}
	return cursor(resp.Header.Values("Link")), nil
}

func (c *Client) path(rest string) string {
	return "api/0/organizations/" + url.PathEscape(c.opt.Organization) + "/" + rest
}

// cursor finds the next page's in Link headers.
func cursor(links []string) string {
	for _, l := range strings.Split(strings.Join(links, ","), ",") {
		if !strings.Contains(l, `rel="next"`) || !strings.Contains(l, `results="true"`) {
			continue
		}
		_, rest, _ := strings.Cut(l, `cursor="`)
		if at, _, ok := strings.Cut(rest, `"`); ok {
			return at
		}
	}
	return ""
}

// The longest that is kept of what programs wrote.
const (
	maxTitle   = 200
	maxMessage = 1000
)

// clip masks what looks like a secret and keeps the beginning of a text, in one
// line and without control signs.
func clip(s string, most int) string {
	if len(s) > 16*most {
		s = strings.ToValidUTF8(s[:16*most], "")
	}
	s = logs.Mask(strings.ToValidUTF8(s, "�"))
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 }), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most-1]) + "…"
	}
	return s
}

func link(s string) string {
	if u, err := url.Parse(s); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(s) > 2000 {
		return ""
	}
	return s
}

// Since lists what came up first, or came back, for a workload since a time. One
// that reports to no project has none.
func (c *Client) Since(ctx context.Context, t observability.Target, since time.Time) ([]observability.Issue, error) {
	p, ok, err := c.ProjectOf(ctx, t.Name, t.Namespace)
	if err != nil || !ok {
		return nil, err
	}
	fresh, err := c.Issues(ctx, IssueQuery{Projects: []Project{p}, Since: since, From: since, Sort: Frequency})
	if err != nil {
		return nil, err
	}
	back, err := c.Issues(ctx, IssueQuery{Projects: []Project{p}, State: "regressed", From: since, Sort: Frequency})
	for _, i := range back {
		if !slices.ContainsFunc(fresh, func(f observability.Issue) bool { return f.ID == i.ID }) {
			fresh = append(fresh, i)
		}
	}
	return fresh, err
}
