// Package sentrytest is a Sentry for tests: a small one that keeps issues,
// releases and deploys in memory. What it is asked and what it answers is checked
// against an OpenAPI description by somebody else's program, kin-openapi, so that
// client and server cannot agree on something that Sentry does not do.
package sentrytest

import (
	"cmp"
	_ "embed" // the description
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

//go:embed openapi.yaml
var description string

// Organization and Token are what the server answers to.
const (
	Organization = "acme"
	Token        = "sntrys_test"
)

// Issue is an issue with its latest event.
type Issue struct {
	ID, Title, Culprit, Project, Level string
	Events, Users                      int
	First, Last                        time.Time
	Release                            string // in which it came up first
	Status, Substatus                  string // "" is unresolved, ongoing
	Unhandled                          bool
	Message                            string
	// Exceptions are those of the latest event, the cause first.
	Exceptions []Exception
}

// Exception is an error with its frames, the innermost last.
type Exception struct {
	Type, Value string
	Unhandled   bool
	Frames      []Frame
}

// Frame is a line of a stack trace.
type Frame struct {
	Function, File string
	Line           int
	InApp          bool
}

// Deploy is a deploy that the server was told of.
type Deploy struct {
	Release, Environment, Name string
	At                         time.Time
}

// Server is a running one.
type Server struct {
	URL string

	mu       sync.Mutex
	projects []string // slugs; the id of each is its place, from 4001
	issues   []Issue
	releases []release
	deploys  []Deploy
	calls    []string
	page     int // the most that is given at once
	left     int // requests until the limit; below 0 is none
	reset    time.Time
}

type release struct {
	version string
	project string
	made    time.Time
}

// New starts a server with projects and issues, which ends with the test. What
// does not fit a description fails the test; more are those to check against
// besides its own, OpenAPI as JSON or YAML.
func New(t testing.TB, projects []string, issues []Issue, more ...[]byte) *Server {
	t.Helper()
	s := &Server{projects: projects, issues: issues, page: 100, left: -1}
	mux := http.NewServeMux()
	for pattern, f := range map[string]func(*http.Request) (int, any){
		"GET /{$}/projects/":                  s.listProjects,
		"GET /{$}/issues/":                    s.listIssues,
		"GET /{$}/issues/{issue}/events/{e}/": s.latest,
		"GET /{$}/releases/":                  s.listReleases,
		"POST /{$}/releases/":                 s.makeRelease,
		"GET /{$}/releases/{v}/deploys/":      s.listDeploys,
		"POST /{$}/releases/{v}/deploys/":     s.makeDeploy,
	} {
		mux.HandleFunc(strings.Replace(pattern, "{$}", "api/0/organizations/"+Organization, 1), func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, f) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, refused("The requested resource does not exist"))
	})
	var h http.Handler = mux
	for _, d := range append(more, []byte(description)) {
		h = Checked(t, d, h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	s.URL = srv.URL
	return s
}

// Pages makes lists come in pages of n.
func (s *Server) Pages(n int) { s.locked(func() { s.page = n }) }

// Limit lets n more requests through until a time.
func (s *Server) Limit(n int, until time.Time) { s.locked(func() { s.left, s.reset = n, until }) }

// Add adds an issue.
func (s *Server) Add(i Issue) { s.locked(func() { s.issues = append(s.issues, i) }) }

// Release makes a release as a build would.
func (s *Server) Release(project, version string, at time.Time) {
	s.locked(func() { s.releases = append(s.releases, release{version, project, at}) })
}

// Deploys are those that the server was told of.
func (s *Server) Deploys() (out []Deploy) {
	s.locked(func() { out = slices.Clone(s.deploys) })
	return out
}

// Calls are the requests so far, as "GET path?query".
func (s *Server) Calls() (out []string) {
	s.locked(func() { out = slices.Clone(s.calls) })
	return out
}

func (s *Server) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// serve answers a request: f gives a status and the answer, of which a list is
// given page by page.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, f func(*http.Request) (int, any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, r.Method+" "+r.URL.String())
	if r.Header.Get("Authorization") != "Bearer "+Token {
		answer(w, http.StatusUnauthorized, refused("Invalid token"))
		return
	}
	if s.left >= 0 {
		w.Header().Set("X-Sentry-Rate-Limit-Limit", "40")
		w.Header().Set("X-Sentry-Rate-Limit-Remaining", strconv.Itoa(max(0, s.left-1)))
		w.Header().Set("X-Sentry-Rate-Limit-Reset", strconv.FormatInt(s.reset.Unix(), 10))
		if s.left == 0 && time.Now().Before(s.reset) {
			answer(w, http.StatusTooManyRequests, refused("You are attempting to use this endpoint too frequently."))
			return
		}
		s.left = max(0, s.left-1)
	}
	status, v := f(r)
	if r.Method == http.MethodGet && status == http.StatusOK {
		if list, ok := v.([]map[string]any); ok {
			size := min(s.page, cmp.Or(atoi(r.URL.Query().Get("limit")), atoi(r.URL.Query().Get("per_page")), 100))
			from := min(atoi(strings.Split(r.URL.Query().Get("cursor")+"::", ":")[1]), len(list))
			to := min(from+size, len(list))
			// The address is another's: a client that follows it is led astray.
			w.Header().Set("Link", fmt.Sprintf(`<https://elsewhere.example%s?cursor=0:%d:1>; rel="previous"; results="%t"; cursor="0:%d:1", <https://elsewhere.example%s?cursor=0:%d:0>; rel="next"; results="%t"; cursor="0:%d:0"`,
				r.URL.Path, max(0, from-size), from > 0, max(0, from-size), r.URL.Path, to, to < len(list), to))
			v = list[from:to]
		}
	}
	answer(w, status, v)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who asked may be gone
}

func refused(why string) map[string]any { return map[string]any{"detail": why} }

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

func (s *Server) id(project string) string {
	return strconv.Itoa(4001 + slices.Index(s.projects, project))
}

func (s *Server) listProjects(*http.Request) (int, any) {
	out := []map[string]any{}
	for _, p := range s.projects {
		out = append(out, projectObject(s.id(p), p))
	}
	return http.StatusOK, out
}

func (s *Server) listIssues(r *http.Request) (int, any) {
	q := r.URL.Query()
	fits, err := search(q.Get("query"))
	if err != nil {
		return http.StatusBadRequest, refused(err.Error())
	}
	var found []Issue
	for _, i := range s.issues {
		if fits(i) && (len(q["project"]) == 0 || slices.Contains(q["project"], s.id(i.Project))) && within(i, q) {
			found = append(found, i)
		}
	}
	slices.SortStableFunc(found, func(a, b Issue) int {
		switch q.Get("sort") {
		case "freq":
			return b.Events - a.Events
		case "user":
			return b.Users - a.Users
		case "new":
			return b.First.Compare(a.First)
		}
		return b.Last.Compare(a.Last)
	})
	out := []map[string]any{}
	for _, i := range found {
		out = append(out, issueObject(i, s.id(i.Project)))
	}
	return http.StatusOK, out
}

// within reports whether an issue was seen in the time that is asked about.
func within(i Issue, q url.Values) bool {
	from, ferr := time.Parse(time.RFC3339, q.Get("start"))
	to, terr := time.Parse(time.RFC3339, q.Get("end"))
	return (ferr != nil || !i.Last.Before(from)) && (terr != nil || !i.First.After(to))
}

// search reads as much of Sentry's search language as there is here; what it
// does not know is an error, as there.
func search(query string) (func(Issue) bool, error) {
	var all []func(Issue) bool
	for rest := strings.TrimSpace(query); rest != ""; rest = strings.TrimSpace(rest) {
		key, value := "", ""
		if i := strings.IndexAny(rest, ": \""); i > 0 && rest[i] == ':' {
			key, rest = rest[:i], rest[i+1:]
		}
		op := ""
		if strings.HasPrefix(rest, ">=") {
			op, rest = ">=", rest[2:]
		}
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fmt.Errorf("Error parsing search query: %q", rest)
			}
			if value, err = strconv.Unquote(quoted); err != nil {
				return nil, fmt.Errorf("Error parsing search query: %q", rest)
			}
			rest = rest[len(quoted):]
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		f, err := term(key, op, value)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return func(i Issue) bool {
		return !slices.ContainsFunc(all, func(f func(Issue) bool) bool { return !f(i) })
	}, nil
}

func term(key, op, value string) (func(Issue) bool, error) {
	switch {
	case key == "is" && slices.Contains([]string{"unresolved", "resolved"}, value):
		return func(i Issue) bool { return cmp.Or(i.Status, "unresolved") == value }, nil
	case key == "is" && value == "archived":
		return func(i Issue) bool { return i.Status == "ignored" }, nil
	case key == "is" && slices.Contains([]string{"new", "ongoing", "escalating", "regressed"}, value):
		return func(i Issue) bool { return cmp.Or(i.Substatus, "ongoing") == value }, nil
	case key == "error.unhandled":
		return func(i Issue) bool { return strconv.FormatBool(i.Unhandled) == value || i.Unhandled && value == "1" }, nil
	case key == "firstRelease":
		return func(i Issue) bool { return i.Release == value }, nil
	case key == "firstSeen" && op == ">=":
		at, err := time.Parse("2006-01-02T15:04:05", value)
		if err != nil {
			return nil, fmt.Errorf("Invalid date: %q", value)
		}
		return func(i Issue) bool { return !i.First.Before(at) }, nil
	case key == "":
		return func(i Issue) bool {
			return strings.Contains(strings.ToLower(i.Title+" "+i.Message+" "+i.Culprit), strings.ToLower(value))
		}, nil
	}
	return nil, fmt.Errorf("Invalid key for this search: %q", key)
}

func (s *Server) latest(r *http.Request) (int, any) {
	for _, i := range s.issues {
		if i.ID == r.PathValue("issue") && len(i.Exceptions) > 0 {
			return http.StatusOK, eventObject(i, s.id(i.Project))
		}
	}
	return http.StatusNotFound, refused("The requested resource does not exist")
}

func (s *Server) listReleases(r *http.Request) (int, any) {
	q := r.URL.Query()
	out := []map[string]any{}
	for _, v := range slices.Backward(s.releases) {
		if strings.Contains(v.version, q.Get("query")) && (len(q["project"]) == 0 || slices.Contains(q["project"], s.id(v.project))) {
			out = append(out, s.releaseObject(v))
		}
	}
	return http.StatusOK, out
}

func (s *Server) makeRelease(r *http.Request) (int, any) {
	var in struct {
		Version  string   `json:"version"`
		Projects []string `json:"projects"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return http.StatusBadRequest, refused("JSON parse error")
	}
	for _, p := range in.Projects {
		if !slices.Contains(s.projects, p) {
			return http.StatusBadRequest, refused("Invalid project ids or slugs")
		}
	}
	i := slices.IndexFunc(s.releases, func(v release) bool { return v.version == in.Version })
	if i >= 0 {
		return http.StatusAlreadyReported, s.releaseObject(s.releases[i])
	}
	s.releases = append(s.releases, release{in.Version, in.Projects[0], time.Now()})
	return http.StatusCreated, s.releaseObject(s.releases[len(s.releases)-1])
}

func (s *Server) known(r *http.Request) bool {
	return slices.ContainsFunc(s.releases, func(v release) bool { return v.version == r.PathValue("v") })
}

func (s *Server) listDeploys(r *http.Request) (int, any) {
	out := []map[string]any{}
	for n, d := range s.deploys {
		if d.Release == r.PathValue("v") {
			out = append(out, deployObject(n, d))
		}
	}
	if !s.known(r) {
		return http.StatusNotFound, refused("The requested resource does not exist")
	}
	return http.StatusOK, out
}

func (s *Server) makeDeploy(r *http.Request) (int, any) {
	var in struct {
		Environment, Name string
		DateFinished      time.Time
	}
	switch err := json.NewDecoder(r.Body).Decode(&in); {
	case err != nil:
		return http.StatusBadRequest, refused("JSON parse error")
	case !s.known(r):
		return http.StatusNotFound, refused("The requested resource does not exist")
	}
	s.deploys = append(s.deploys, Deploy{r.PathValue("v"), in.Environment, in.Name, in.DateFinished})
	return http.StatusCreated, deployObject(len(s.deploys)-1, s.deploys[len(s.deploys)-1])
}
