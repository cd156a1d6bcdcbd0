package gitops

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v87/github"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// gitHub is the API of a GitHub, the public one or a company's own.
type gitHub struct {
	client *github.Client
	host   string
}

// hubLimit bounds one call.
const hubLimit = 10 * time.Second

func newGitHub(url, host, token string) (*gitHub, error) {
	opts := []github.ClientOptionsFunc{
		github.WithHTTPClient(&http.Client{Timeout: hubLimit, Transport: &conditional{next: http.DefaultTransport, seen: map[string]answer{}}}),
		github.WithUserAgent("firstmate"),
	}
	if strings.HasSuffix(host, ".ghe.com") { // a company's own part of the public one
		url = "https://api." + host
	}
	if host != "github.com" {
		opts = append(opts, github.WithEnterpriseURLs(url, url))
	}
	if token != "" {
		opts = append(opts, github.WithAuthToken(token))
	}
	c, err := github.NewClient(opts...)
	if err != nil {
		return nil, fault.Wrap(err, fault.Usage, "gitops.github.url or gitops.github.token cannot be used: %v.", err)
	}
	return &gitHub{c, host}, nil
}

// pull is a pull request as GitHub has it.
type pull struct {
	number int
	url    string
	state  kube.PullState
	head   string // the commit
	merged time.Time
	// changed is when somebody last did something about it.
	changed time.Time
}

// of finds the newest pull request of a branch, whatever became of it; nil where
// there is none.
func (h *gitHub) of(ctx context.Context, r repository, branch string) (*pull, error) {
	all, _, err := h.client.PullRequests.List(ctx, r.owner, r.name, &github.PullRequestListOptions{
		State: "all", Head: r.owner + ":" + branch, ListOptions: github.ListOptions{PerPage: 100},
	})
	if err != nil {
		return nil, hubFault(err, r)
	}
	// An older GitHub that does not know the filter would answer with all.
	i := slices.IndexFunc(all, func(p *github.PullRequest) bool { return p.GetHead().GetRef() == branch })
	if i < 0 {
		return nil, nil
	}
	p := all[i]
	out := &pull{number: p.GetNumber(), url: p.GetHTMLURL(), state: kube.PullOpen, head: p.GetHead().GetSHA(), changed: p.GetUpdatedAt().Time}
	switch {
	case p.MergedAt != nil: // "merged" itself is not in lists
		out.state, out.merged = kube.PullMerged, p.GetMergedAt().Time
	case p.GetState() == "closed":
		out.state = kube.PullClosed
	}
	return out, nil
}

// open opens the pull request of a branch. That there is one is as good.
func (h *gitHub) open(ctx context.Context, r repository, p kube.PullRequest, title, body string) error {
	_, _, err := h.client.PullRequests.Create(ctx, r.owner, r.name, &github.NewPullRequest{Title: &title, Head: &p.Head, Base: &p.Base, Body: &body})
	if err == nil {
		return nil
	}
	if there, e := h.of(ctx, r, p.Head); e == nil && there != nil {
		return nil
	}
	return hubFault(err, r)
}

// close closes a pull request.
func (h *gitHub) close(ctx context.Context, r repository, number int) error {
	closed := "closed"
	_, _, err := h.client.PullRequests.Edit(ctx, r.owner, r.name, number, &github.PullRequest{State: &closed})
	return hubFault(err, r)
}

// checks sums up what checks a commit, check runs and statuses alike. failing
// names one that failed.
func (h *gitHub) checks(ctx context.Context, r repository, commit string) (sum, failing string, err error) {
	runs, _, err := h.client.Checks.ListCheckRunsForRef(ctx, r.owner, r.name, commit, &github.ListCheckRunsOptions{ListOptions: github.ListOptions{PerPage: 100}})
	if err != nil && !forbidden(err) { // a token that may not see checks may still do the rest
		return "", "", hubFault(err, r)
	}
	count := map[string]int{}
	if runs != nil {
		for _, run := range runs.CheckRuns {
			switch {
			case run.GetStatus() != "completed":
				count["pending"]++
			case slices.Contains([]string{"success", "neutral", "skipped"}, run.GetConclusion()):
				count["passed"]++
			default:
				count["failed"]++
				failing = clip(run.GetName())
			}
		}
	}
	all, _, err := h.client.Repositories.GetCombinedStatus(ctx, r.owner, r.name, commit, &github.ListOptions{PerPage: 100})
	if err != nil && !forbidden(err) {
		return "", "", hubFault(err, r)
	}
	if all != nil {
		for _, s := range all.Statuses {
			switch s.GetState() {
			case "success":
				count["passed"]++
			case "pending":
				count["pending"]++
			default:
				count["failed"]++
				failing = clip(s.GetContext())
			}
		}
	}
	for _, s := range []string{"failed", "pending", "passed"} {
		if count[s] > 0 {
			return s, failing, nil
		}
	}
	return "", "", nil
}

func forbidden(err error) bool {
	var e *github.ErrorResponse
	return errors.As(err, &e) && e.Response != nil && (e.Response.StatusCode == http.StatusForbidden || e.Response.StatusCode == http.StatusNotFound)
}

// hubFault turns an error of the API into one that can be said aloud.
func hubFault(err error, r repository) error {
	var limit *github.RateLimitError
	var abuse *github.AbuseRateLimitError
	var e *github.ErrorResponse
	var netErr net.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fault.Wrap(err, fault.Unavailable, "I was interrupted while I talked to GitHub.")
	case errors.As(err, &limit), errors.As(err, &abuse):
		return fault.Wrap(err, fault.Unavailable, "GitHub lets me ask no more for a while. Please try again later.")
	case errors.As(err, &e) && e.Response != nil:
		switch code := e.Response.StatusCode; {
		case code == http.StatusUnauthorized:
			return fault.Wrap(err, fault.Forbidden, "GitHub does not know my token any more. gitops.github.token needs a new one.")
		case code == http.StatusForbidden || code == http.StatusNotFound:
			return fault.Wrap(err, fault.Forbidden, "GitHub does not let me use the pull requests of %s. gitops.github.token needs contents and pull requests of it, read and write.", r)
		case code == http.StatusUnprocessableEntity:
			why := clip(e.Message)
			for _, d := range e.Errors {
				if d.Message != "" {
					why = clip(d.Message)
				}
			}
			return fault.Wrap(err, fault.Refused, "GitHub would not take the pull request for %s: %s.", r, why)
		}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr):
	}
	return fault.Wrap(err, fault.Unavailable, "GitHub does not answer as it should. Please try again.")
}

// conditional asks GitHub again only for what is different: an answer that says
// it is the same counts for no limit of how often may be asked.
type conditional struct {
	next http.RoundTripper
	mu   sync.Mutex
	seen map[string]answer
}

// answer is one that was given before.
type answer struct {
	etag   string
	header http.Header
	body   []byte
}

// seenLimit is how many answers are kept.
const seenLimit = 128
