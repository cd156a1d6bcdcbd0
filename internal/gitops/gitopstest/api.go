package gitopstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

type object = map[string]any

// api is the part of GitHub's API, where GitHub Enterprise has it.
func (f *Forge) api(mux *http.ServeMux) {
	const repos = "/api/v3/repos/{owner}/{repo}"
	for pattern, do := range map[string]func(r *http.Request, repo string) (int, any){
		"GET " + repos + "/pulls":                        f.listPulls,
		"POST " + repos + "/pulls":                       f.createPull,
		"PATCH " + repos + "/pulls/{number}":             f.editPull,
		"GET " + repos + "/commits/{commit}/check-runs":  f.listChecks,
		"GET " + repos + "/commits/{commit}/status":      f.status,
		"GET " + repos + "/commits/{commit}/status/{$}":  f.status,
		"GET " + repos + "/pulls/{number}":               f.getPull,
		"GET " + repos + "/commits/{commit}/check-runs/": f.listChecks,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		short := method + " " + strings.TrimPrefix(path, repos)
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { f.answer(w, r, short, do) })
	}
}

func (f *Forge) answer(w http.ResponseWriter, r *http.Request, what string, do func(*http.Request, string) (int, any)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[what]++
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-RateLimit-Limit", "5000")
	w.Header().Set("X-RateLimit-Remaining", "4999")
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
	if f.refuse > 0 {
		f.refuse--
		reply(w, http.StatusBadGateway, object{"message": "Server Error"})
		return
	}
	if a := r.Header.Get("Authorization"); a != "Bearer "+f.Token && a != "token "+f.Token {
		reply(w, http.StatusUnauthorized, object{"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401"})
		return
	}
	if r.Method == http.MethodGet {
		tag := fmt.Sprintf(`W/"%d"`, f.version)
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			f.same++
			w.WriteHeader(http.StatusNotModified)
			return
		}
	} else {
		f.version++
	}
	code, body := do(r, r.PathValue("owner")+"/"+r.PathValue("repo"))
	reply(w, code, body)
}

func reply(w http.ResponseWriter, code int, body any) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // who asked has gone if this fails
}

func notFound() (int, any) {
	return http.StatusNotFound, object{"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}
}

func invalid(message string) (int, any) {
	return http.StatusUnprocessableEntity, object{
		"message": "Validation Failed", "documentation_url": "https://docs.github.com/rest/pulls/pulls#create-a-pull-request", "status": "422",
		"errors": []object{{"resource": "PullRequest", "code": "custom", "message": message}},
	}
}

func (f *Forge) listPulls(r *http.Request, repo string) (int, any) {
	q := r.URL.Query()
	out := []object{}
	for _, p := range slices.Backward(f.pulls) {
		state := q.Get("state")
		if state == "" {
			state = "open"
		}
		owner, _, _ := strings.Cut(repo, "/")
		if p.repo == repo && (state == "all" || state == p.state) && (q.Get("head") == "" || q.Get("head") == owner+":"+p.head) {
			out = append(out, f.simple(p))
		}
	}
	return http.StatusOK, out
}

func (f *Forge) createPull(r *http.Request, repo string) (int, any) {
	var in struct{ Title, Head, Base, Body string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return http.StatusBadRequest, object{"message": "Problems parsing JSON"}
	}
	sha, err := f.git(f.bare(repo), "rev-parse", "--verify", "-q", "refs/heads/"+in.Head)
	if err != nil || in.Title == "" {
		return invalid("head is invalid")
	}
	if _, err := f.git(f.bare(repo), "rev-parse", "--verify", "-q", "refs/heads/"+in.Base); err != nil {
		return invalid("base is invalid")
	}
	for _, p := range f.pulls {
		if p.repo == repo && p.head == in.Head && p.state == "open" {
			owner, _, _ := strings.Cut(repo, "/")
			return invalid("A pull request already exists for " + owner + ":" + in.Head + ".")
		}
	}
	p := &pull{
		repo: repo, number: len(f.pulls) + 1, title: in.Title, body: in.Body, head: in.Head, base: in.Base, sha: strings.TrimSpace(sha),
		state: "open", created: time.Now(),
	}
	f.pulls = append(f.pulls, p)
	return http.StatusCreated, f.full(p)
}

func (f *Forge) byNumber(r *http.Request, repo string) *pull {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 1 || n > len(f.pulls) || f.pulls[n-1].repo != repo {
		return nil
	}
	return f.pulls[n-1]
}

func (f *Forge) getPull(r *http.Request, repo string) (int, any) {
	p := f.byNumber(r, repo)
	if p == nil {
		return notFound()
	}
	return http.StatusOK, f.full(p)
}

func (f *Forge) editPull(r *http.Request, repo string) (int, any) {
	p := f.byNumber(r, repo)
	if p == nil {
		return notFound()
	}
	var in struct{ State string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return http.StatusBadRequest, object{"message": "Problems parsing JSON"}
	}
	if in.State == "closed" && p.state == "open" {
		p.state, p.closed = "closed", time.Now()
	}
	return http.StatusOK, f.full(p)
}

func (f *Forge) listChecks(r *http.Request, repo string) (int, any) {
	runs := []object{}
	for i, c := range f.checks[r.PathValue("commit")] {
		base := f.URL + "/api/v3/repos/" + repo
		run := object{
			"id": i + 1, "node_id": "CR_1", "name": c.name, "head_sha": r.PathValue("commit"), "external_id": "", "url": base + "/check-runs/1",
			"html_url": nil, "details_url": nil, "status": c.status, "conclusion": nil, "started_at": at(time.Now()), "completed_at": nil,
			"output":      object{"title": nil, "summary": nil, "text": nil, "annotations_count": 0, "annotations_url": base + "/annotations"},
			"check_suite": object{"id": 1}, "app": nil, "pull_requests": []object{},
		}
		if c.status == "completed" {
			run["conclusion"], run["completed_at"] = c.conclusion, at(time.Now())
		}
		runs = append(runs, run)
	}
	return http.StatusOK, object{"total_count": len(runs), "check_runs": runs}
}

func (f *Forge) status(r *http.Request, repo string) (int, any) {
	base := f.URL + "/api/v3/repos/" + repo
	return http.StatusOK, object{
		"state": "pending", "statuses": []object{}, "sha": r.PathValue("commit"), "total_count": 0, "repository": f.repository(repo),
		"commit_url": base + "/commits/" + r.PathValue("commit"), "url": base + "/commits/" + r.PathValue("commit") + "/status",
	}
}

// at is a time as GitHub writes it; nil for none.
func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}
