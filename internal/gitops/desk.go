package gitops

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// Writer changes clusters; *kube.Writer is one.
type Writer interface {
	Plan(ctx context.Context, c kube.Change) (kube.Change, kube.Diff, error)
	Apply(ctx context.Context, c kube.Change, id string) (kube.Applied, error)
	Step(ctx context.Context, c kube.Change, id string) (kube.Progress, error)
}

// Looker sees workloads; *kube.Reader is one.
type Looker interface {
	Get(ctx context.Context, ref kube.Ref) (kube.Workload, error)
	Diagnose(ctx context.Context, w kube.Workload) (kube.Progress, error)
}

// Options are how a Desk works.
type Options struct {
	URL    string // of the GitHub, without a slash at the end
	Token  string
	Values Values
	// Arrival is how long what is merged may take to come to the cluster.
	Arrival time.Duration
}

// Desk stands before the Writer of the clusters: it takes the changes that go
// by a pull request, and passes on the others.
type Desk struct {
	writer  Writer
	look    Looker
	url     string
	host    string
	token   string
	values  Values
	arrival time.Duration
	hub     *gitHub
	log     *slog.Logger

	mu    sync.Mutex
	known map[string]kept // checkouts, by repository and branch
}

// kept is a checkout that will soon be needed again: between the proposal and
// the yes.
type kept struct {
	*checkout
	at time.Time
}

// keepFor is how long a checkout is kept.
const keepFor = 5 * time.Minute

// A pull request is looked at this often; one that was left alone for long less
// often.
const (
	pollEvery = 10 * time.Second
	pollLast  = time.Minute
)

// pace is when to look again at what has been as it is since then.
func pace(since time.Time) time.Duration {
	return min(max(pollEvery, time.Since(since)/60), pollLast) // after ten minutes less and less, from an hour on each minute
}

// NewDesk returns a Desk before a Writer. It talks to nobody yet.
func NewDesk(w Writer, look Looker, o Options, log *slog.Logger) (*Desk, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" {
		return nil, fault.New(fault.Usage, "gitops.github.url is the address of a GitHub, like https://github.com, not %q.", o.URL)
	}
	d := &Desk{
		writer: w, look: look, url: strings.TrimSuffix(o.URL, "/"), host: u.Host, token: o.Token, values: o.Values, arrival: o.Arrival,
		log: log, known: map[string]kept{},
	}
	if d.hub, err = newGitHub(d.url, u.Host, o.Token); err != nil {
		return nil, err
	}
	return d, nil
}

// Plan completes a change. Of one that goes by a pull request it finds the value
// in Git and tries the commit, without telling anybody.
func (d *Desk) Plan(ctx context.Context, c kube.Change) (kube.Change, kube.Diff, error) {
	if c.Verb != kube.VerbPull {
		return d.writer.Plan(ctx, c)
	}
	if c.Pull == nil {
		return c, kube.Diff{}, errors.New("gitops: a pull request of nothing")
	}
	p := *c.Pull
	c.Pull = &p
	w, err := d.look.Get(ctx, c.Ref)
	if err != nil {
		return c, kube.Diff{}, err
	}
	c.UID, c.Generation, c.Labels = w.UID, w.Generation, w.Labels
	p.Change.FromReplicas = w.Progress.Desired
	if now := p.Change; p.Of == "" && !p.Follows && now.Verb == kube.VerbImage {
		// What the roll-out will do to requests is the same by way of Git. Who may
		// not change it directly is not warned.
		now.As, now.AddPause = c.As, 0
		if now, _, err := d.writer.Plan(ctx, now); err == nil {
			p.Change.Blips = now.Blips
		}
	}
	if p.Of != "" {
		done, err := d.takenBack(ctx, &p)
		if err != nil || done {
			return c, kube.Diff{}, err
		}
	}
	p.Head = "firstmate/" + strings.ToLower(rand.Text()[:12]) + "-" + c.Ref.Name
	co, place, edits, err := d.find(ctx, p)
	if err != nil {
		return c, kube.Diff{}, err
	}
	files, err := Apply(co, edits)
	if err != nil {
		return c, kube.Diff{}, err
	}
	repo, err := parseRepository(place.Repository, d.host)
	if err != nil {
		return c, kube.Diff{}, err
	}
	p.Repository, p.Base = repo.String(), co.branch
	p.Source.Places = []kube.Place{place} // no other counts when it is applied
	if p.Follows {
		p.Change = from(p.Change, edits)
	}
	p.Files, p.Also, p.Said = nil, nil, ""
	for _, e := range edits {
		p.Files, p.Also = append(p.Files, e.File), append(p.Also, e.Also...)
		if from := p.Change.From(); e.From != from && kube.Tag(e.From) != from {
			p.Said = clip(e.From)
		}
	}
	var diff strings.Builder
	for _, name := range slices.Compact(slices.Sorted(slices.Values(p.Files))) {
		before, err := co.Read(name)
		if err != nil {
			return c, kube.Diff{}, err
		}
		if string(before) == string(files[name]) {
			return c, kube.Diff{}, fault.New(fault.Conflict, "%s of %s says %s already, so there is nothing to commit: the cluster has yet to get it.", name, repo, p.Change.To())
		}
		diff.WriteString(udiff.Unified("a/"+name, "b/"+name, string(before), string(files[name])))
	}
	return c, kube.Diff{UID: c.UID, Generation: c.Generation, Unified: diff.String()}, nil
}

// from is a change that starts from what Git says.
func from(c kube.Change, edits []Edit) kube.Change {
	c.Images = slices.Clone(c.Images)
	for i, e := range edits {
		switch {
		case c.Verb == kube.VerbScale:
			if n, err := strconv.ParseInt(e.From, 10, 32); err == nil {
				c.FromReplicas = int32(n)
			}
		case i >= len(c.Images):
		case strings.Contains(e.From, "/") || strings.Contains(e.From, ":"):
			c.Images[i].From, c.FromVersion = e.From, kube.Tag(e.From)
		default: // the tag alone
			c.Images[i].From, c.FromVersion = kube.Repository(c.Images[i].To)+":"+e.From, e.From
		}
	}
	return c
}

// takenBack sees what became of the pull request that is to be taken back. One
// that is open is closed, and that is all: done is true then.
func (d *Desk) takenBack(ctx context.Context, p *kube.PullRequest) (done bool, err error) {
	place := p.Source.Places[len(p.Source.Places)-1]
	repo, err := parseRepository(place.Repository, d.host)
	if err != nil {
		return false, err
	}
	pr, err := d.hub.of(ctx, repo, p.Of)
	switch {
	case err != nil:
		return false, err
	case pr == nil:
		return false, fault.New(fault.NotFound, "The pull request is not there any more, so there is nothing to take back.")
	case pr.state == kube.PullClosed:
		return false, fault.New(fault.NotFound, "The pull request %d was closed without being merged, so there is nothing to take back.", pr.number)
	case pr.state == kube.PullMerged:
		return false, nil
	}
	p.Close, p.Repository, p.Head = pr.number, repo.String(), p.Of
	return true, nil
}

// find gets the repository and finds the values in it: in the place that counts
// most, else in the others.
func (d *Desk) find(ctx context.Context, p kube.PullRequest) (*checkout, kube.Place, []Edit, error) {
	err := error(fault.New(fault.Refused, "%s %s is not made from a Git repository, so I can open no pull request for it.", p.Source.Owner.Kind, p.Source.Owner.Name))
	for _, place := range slices.Backward(p.Source.Places) {
		repo, e := parseRepository(place.Repository, d.host)
		if e != nil {
			err = e
			continue
		}
		co, e := d.get(ctx, repo, place.Revision, place.Fixed)
		if e != nil {
			return nil, place, nil, e
		}
		edits, e := Find(co, p, place, d.values)
		if e == nil {
			return co, place, edits, nil
		}
		if err = e; fault.KindOf(e) != fault.NotFound {
			break
		}
	}
	return nil, kube.Place{}, nil, err
}

// get is the tip of a branch: from memory where that is still it.
func (d *Desk) get(ctx context.Context, r repository, revision string, fixed bool) (*checkout, error) {
	key := r.String() + "\n" + revision
	d.mu.Lock()
	for k, v := range d.known {
		if time.Since(v.at) > keepFor {
			delete(d.known, k)
		}
	}
	have, ok := d.known[key]
	d.mu.Unlock()
	if ok && !fixed {
		all, _, err := d.branches(ctx, r)
		if err != nil {
			return nil, err
		}
		if all[have.branch] == have.commit.Hash {
			return have.checkout, nil
		}
	}
	co, err := d.checkout(ctx, r, revision, fixed)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.known[key] = kept{co, time.Now()}
	d.mu.Unlock()
	return co, nil
}

// Apply makes a change, once: the branch of a pull request is its own, so what
// is there under its name was made by an attempt that did not live to say so.
func (d *Desk) Apply(ctx context.Context, c kube.Change, id string) (kube.Applied, error) {
	if c.Verb != kube.VerbPull {
		return d.writer.Apply(ctx, c, id)
	}
	p := *c.Pull
	owner, name, _ := strings.Cut(p.Repository, "/")
	repo := repository{owner, name}
	pr, err := d.hub.of(ctx, repo, p.Head)
	if err != nil {
		return kube.Applied{}, err
	}
	if p.Close != 0 {
		return kube.Applied{}, d.close(ctx, repo, p, pr)
	}
	if pr != nil {
		return kube.Applied{Already: true}, nil
	}
	if err := d.publish(ctx, repo, p, c, id); err != nil {
		return kube.Applied{}, err
	}
	return kube.Applied{}, d.hub.open(ctx, repo, p, title(c), body(c, id))
}

func (d *Desk) close(ctx context.Context, repo repository, p kube.PullRequest, pr *pull) error {
	switch {
	case pr == nil || pr.state == kube.PullClosed:
		return nil
	case pr.state == kube.PullMerged:
		return fault.New(fault.Conflict, "The pull request %d was merged meanwhile. Say “undo” again for one that takes it back.", p.Close)
	}
	return d.hub.close(ctx, repo, p.Close)
}

// publish pushes the branch with the commit, unless it is there.
func (d *Desk) publish(ctx context.Context, repo repository, p kube.PullRequest, c kube.Change, id string) error {
	all, _, err := d.branches(ctx, repo)
	if err != nil {
		return err
	}
	if _, there := all[p.Head]; there {
		return nil
	}
	place := p.Source.Places[len(p.Source.Places)-1]
	co, err := d.get(ctx, repo, place.Revision, place.Fixed)
	if err != nil {
		return err
	}
	edits, err := Find(co, p, place, d.values)
	if err != nil {
		return err
	}
	for i, e := range edits {
		if i >= len(p.Files) || e.File != p.Files[i] {
			return fault.New(fault.Conflict, "%s was changed meanwhile: the value now stands elsewhere. I left it alone; ask me again.", repo)
		}
		if from := p.Change.From(); p.Said == "" && e.From != from && kube.Tag(e.From) != from || p.Said != "" && e.From != p.Said {
			return fault.New(fault.Conflict, "%s was changed meanwhile: it now says %s. I left it alone; ask me again.", e.File, clip(e.From))
		}
	}
	files, err := Apply(co, edits)
	if err != nil {
		return err
	}
	author := d.author(c)
	if err := co.commitFiles(files, title(c)+"\n\n"+body(c, id), p.Head, author, signature{"firstmate", "firstmate@users.noreply." + d.host}, time.Now()); err != nil {
		return fmt.Errorf("gitops: commit: %w", err)
	}
	if err := co.push(ctx, d, p.Head); err != nil {
		if all, _, e := d.branches(ctx, repo); e == nil {
			if _, there := all[p.Head]; there {
				return nil // it was pushed all the same
			}
		}
		return gitFault(err, repo)
	}
	d.log.InfoContext(ctx, "pushed", "repository", repo.String(), "branch", p.Head, "files", p.Files)
	return nil
}

// author is the person who asked.
func (d *Desk) author(c kube.Change) signature {
	user := cmp.Or(c.As.User, c.Pull.Author, "firstmate")
	s := signature{cmp.Or(c.Pull.Author, user), user}
	if !strings.Contains(user, "@") {
		s.email = strings.Map(func(r rune) rune {
			if strings.ContainsRune("<>\n\r ", r) {
				return '-'
			}
			return r
		}, user) + "@users.noreply." + d.host
	}
	s.name = strings.NewReplacer("<", "", ">", "", "\n", " ", "\r", " ").Replace(s.name)
	return s
}

// title says in a line what a commit is for.
func title(c kube.Change) string {
	if c.Pull.Change.Verb == kube.VerbScale {
		return fmt.Sprintf("Scale %s in %s from %s to %s", c.Ref.Name, c.Ref.Namespace, c.From(), c.To())
	}
	return fmt.Sprintf("Move %s in %s from %s to %s", c.Ref.Name, c.Ref.Namespace, c.From(), c.To())
}

// body says who wanted it. What they said is theirs: it is quoted.
func body(c kube.Change, id string) string {
	asked := cmp.Or(c.Pull.Author, c.As.User, "somebody")
	b := fmt.Sprintf("Asked of firstmate by %s (action %s).\n", strings.Join(strings.Fields(asked), " "), id)
	if c.Cause != "" {
		b += "\n> " + clip(strings.NewReplacer("@", "@\u200b", "`", "'", "<", "‹", ">", "›").Replace(c.Cause)) + "\n"
	}
	return b
}

// Step says how far a change is: whether the pull request is merged, and then
// how what it changes rolls out.
func (d *Desk) Step(ctx context.Context, c kube.Change, id string) (kube.Progress, error) {
	if c.Verb != kube.VerbPull {
		return d.writer.Step(ctx, c, id)
	}
	p := *c.Pull
	owner, name, _ := strings.Cut(p.Repository, "/")
	pr, err := d.hub.of(ctx, repository{owner, name}, p.Head)
	later := kube.Progress{Again: pollEvery}
	if err != nil {
		return later, err
	}
	if pr == nil {
		return later, fault.New(fault.NotFound, "The pull request is not there any more.")
	}
	out := kube.Progress{State: kube.Waiting, Again: pace(pr.changed), Pull: kube.Pull{Number: pr.number, URL: pr.url, State: pr.state}}
	switch {
	case p.Close != 0 && pr.state != kube.PullOpen:
		out.State = kube.Complete
		return out, nil
	case pr.state == kube.PullClosed:
		out.Stuck = &kube.Stuck{Reason: kube.NotMerged}
		out.Again = 0
		return out, nil
	case pr.state == kube.PullOpen:
		out.Pull.Checks, out.Pull.Failing, err = d.hub.checks(ctx, repository{owner, name}, pr.head)
		return out, err
	}
	w, err := d.look.Get(ctx, c.Ref)
	if err != nil {
		return out, err
	}
	if !p.Change.Holds(w) {
		if d.arrival > 0 && time.Since(pr.merged) > d.arrival {
			out.Stuck, out.Again = &kube.Stuck{Reason: kube.NotArrived}, 0
		}
		return out, nil
	}
	is, err := d.look.Diagnose(ctx, w)
	if err != nil {
		return out, err
	}
	is.Pull = out.Pull
	is.Pull.Arrived = true
	return is, nil
}
