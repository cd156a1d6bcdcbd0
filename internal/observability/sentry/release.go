package sentry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Release is a version that Sentry knows of.
type Release struct {
	Version string     `json:"version"`
	Created time.Time  `json:"dateCreated"`
	Shipped *time.Time `json:"dateReleased"`
}

// FindRelease finds what Sentry calls a version of a workload: "checkout@1.4.2"
// by the convention of its SDKs, or the version alone. ok is false where there
// is none.
func (c *Client) FindRelease(ctx context.Context, p Project, name, version string) (r Release, ok bool, err error) {
	bare := strings.TrimPrefix(version, "v")
	if bare == "" {
		return r, false, nil
	}
	var found []Release
	err = c.pages(ctx, "releases/", url.Values{"project": {p.ID}, "query": {bare}, "per_page": {"100"}}, func(b []byte) (bool, error) {
		var page []Release
		if err := json.Unmarshal(b, &page); err != nil {
			return false, err
		}
		for _, r := range page {
			if r.Version == "" {
				return false, errors.New("a release without a version")
			}
		}
		found = append(found, page...)
		return true, nil
	})
	if err != nil {
		return r, false, err
	}
	for _, want := range []string{name + "@" + version, name + "@" + bare, p.Slug + "@" + version, p.Slug + "@" + bare, version, bare, "v" + bare} {
		if i := slices.IndexFunc(found, func(r Release) bool { return r.Version == want }); i >= 0 {
			return found[i], true, nil
		}
	}
	for _, suffix := range []string{"@" + version, "@" + bare} {
		if i := slices.IndexFunc(found, func(r Release) bool { return strings.HasSuffix(r.Version, suffix) }); i >= 0 {
			return found[i], true, nil
		}
	}
	return r, false, nil
}

// deploy is a deploy as the API takes and gives it.
type deploy struct {
	Environment  string     `json:"environment"`
	Name         string     `json:"name,omitempty"`
	DateFinished *time.Time `json:"dateFinished,omitempty"`
}

// MarkDeploy tells Sentry that a release runs in an environment, making the
// release where Sentry has none. name says which roll-out that was: one of this
// name is marked once, however often it is told.
func (c *Client) MarkDeploy(ctx context.Context, p Project, release, environment, name string, at time.Time) error {
	if !validRelease(release) {
		return fault.New(fault.Refused, "Sentry takes no release of that name.")
	}
	body := map[string]any{"version": release, "projects": []string{p.Slug}}
	if err := c.backend.JSON(ctx, http.MethodPost, c.path("releases/"), nil, body, nil); err != nil {
		return err // one that is there already is answered with success
	}
	path := "releases/" + url.PathEscape(release) + "/deploys/"
	told := false
	err := c.pages(ctx, path, url.Values{}, func(b []byte) (bool, error) {
		var page []deploy
		if err := json.Unmarshal(b, &page); err != nil {
			return false, err
		}
		told = slices.ContainsFunc(page, func(d deploy) bool { return d.Environment == environment && d.Name == name })
		return !told, nil
	})
	if err != nil || told {
		return err
	}
	at = at.UTC()
	return c.backend.JSON(ctx, http.MethodPost, c.path(path), nil, deploy{Environment: environment, Name: name, DateFinished: &at}, nil)
}

// validRelease holds what Sentry demands of a release's name.
func validRelease(s string) bool {
	return s != "" && len(s) <= 200 && s != "." && s != ".." && s != "latest" && strings.TrimSpace(s) == s && !strings.ContainsAny(s, "/\\\n\r\t\f\x00")
}

// Check reports whether the organization is there and may be read.
func (c *Client) Check(ctx context.Context) error {
	var page []Project
	_, err := c.get(ctx, "projects/", url.Values{"per_page": {"1"}}, &page)
	return err
}
