package gitopstest

import (
	"strconv"
	"strings"
)

// What follows has every field that GitHub's description calls required, so
// that a client that reads another of them finds it.

func (f *Forge) user(name string) object {
	base := f.URL + "/api/v3/users/" + name
	return object{
		"login": name, "id": 1, "node_id": "U_1", "avatar_url": f.URL + "/avatar", "gravatar_id": "", "url": base, "html_url": f.URL + "/" + name,
		"followers_url": base + "/followers", "following_url": base + "/following{/other_user}", "gists_url": base + "/gists{/gist_id}",
		"starred_url": base + "/starred{/owner}{/repo}", "subscriptions_url": base + "/subscriptions", "organizations_url": base + "/orgs",
		"repos_url": base + "/repos", "events_url": base + "/events{/privacy}", "received_events_url": base + "/received_events",
		"type": "User", "site_admin": false, "user_view_type": "public",
	}
}

// repository is a repository in brief, with what a pull request says of it
// besides.
func (f *Forge) repository(repo string) object {
	owner, name, _ := strings.Cut(repo, "/")
	base := f.URL + "/api/v3/repos/" + repo
	out := object{
		"id": 1, "node_id": "R_1", "name": name, "full_name": repo, "owner": f.user(owner), "private": true, "html_url": f.URL + "/" + repo,
		"description": nil, "fork": false, "url": base, "git_url": "git://" + strings.TrimPrefix(f.URL, "http://") + "/" + repo + ".git",
		"ssh_url": "git@" + repo + ".git", "clone_url": f.URL + "/" + repo + ".git", "svn_url": f.URL + "/" + repo, "mirror_url": nil, "homepage": nil,
		"language": nil, "forks_count": 0, "stargazers_count": 0, "watchers_count": 0, "size": 1, "default_branch": "main", "open_issues_count": 0,
		"is_template": false, "topics": []string{}, "has_issues": true, "has_projects": true, "has_wiki": true, "has_pages": false,
		"has_discussions": false, "has_downloads": true, "archived": false, "disabled": false, "visibility": "private",
		"pushed_at": nil, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "license": nil, "forks": 0, "open_issues": 0, "watchers": 0,
	}
	for _, list := range []string{
		"archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits", "compare", "contents", "contributors", "deployments", "downloads",
		"events", "forks", "git_commits", "git_refs", "git_tags", "hooks", "issue_comment", "issue_events", "issues", "keys", "labels", "languages", "merges",
		"milestones", "notifications", "pulls", "releases", "stargazers", "statuses", "subscribers", "subscription", "tags", "teams", "trees",
	} {
		out[list+"_url"] = base + "/" + list
	}
	return out
}

// simple is a pull request as lists have it.
func (f *Forge) simple(p *pull) object {
	owner, _, _ := strings.Cut(p.repo, "/")
	number := strconv.Itoa(p.number)
	base := f.URL + "/api/v3/repos/" + p.repo
	api, page := base+"/pulls/"+number, f.URL+"/"+p.repo+"/pull/"+number
	branch := func(ref, sha string) object {
		return object{"label": owner + ":" + ref, "ref": ref, "sha": sha, "user": f.user(owner), "repo": f.repository(p.repo)}
	}
	links := object{}
	for name, href := range map[string]string{
		"self": api, "html": page, "issue": base + "/issues/" + number, "comments": base + "/issues/" + number + "/comments", "review_comments": api + "/comments",
		"review_comment": base + "/pulls/comments{/number}", "commits": api + "/commits", "statuses": base + "/statuses/" + p.sha,
	} {
		links[name] = object{"href": href}
	}
	return object{
		"url": api, "id": p.number, "node_id": "PR_" + number, "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch",
		"issue_url": base + "/issues/" + number, "number": p.number, "state": p.state, "locked": false, "title": p.title, "user": f.user("firstmate"),
		"body": p.body, "created_at": at(p.created), "updated_at": at(p.created), "closed_at": at(p.closed), "merged_at": at(p.merged),
		"merge_commit_sha": nil, "assignee": nil, "assignees": []object{}, "requested_reviewers": []object{}, "requested_teams": []object{},
		"labels": []object{}, "milestone": nil, "draft": false, "commits_url": api + "/commits", "review_comments_url": api + "/comments",
		"review_comment_url": base + "/pulls/comments{/number}", "comments_url": base + "/issues/" + number + "/comments",
		"statuses_url": base + "/statuses/" + p.sha, "head": branch(p.head, p.sha), "base": branch(p.base, strings.Repeat("0", 40)),
		"_links": links, "author_association": "CONTRIBUTOR", "auto_merge": nil, "active_lock_reason": nil,
	}
}

// full is a pull request by itself.
func (f *Forge) full(p *pull) object {
	out := f.simple(p)
	more := object{
		"merged": !p.merged.IsZero(), "mergeable": true, "rebaseable": true, "mergeable_state": "clean", "merged_by": nil, "comments": 0,
		"review_comments": 0, "maintainer_can_modify": false, "commits": 1, "additions": 1, "deletions": 1, "changed_files": 1,
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}
