package gitops

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// repository is one on the GitHub that is configured.
type repository struct{ owner, name string }

// String gives the form owner/name.
func (r repository) String() string { return r.owner + "/" + r.name }

// parseRepository reads the URL of a repository, in the forms that Git takes.
// Only one on the given host is taken: a token goes nowhere else.
func parseRepository(raw, host string) (repository, error) {
	where, rest := "", ""
	switch u, err := url.Parse(raw); {
	case err == nil && u.Host != "" && slices.Contains([]string{"https", "http", "ssh"}, u.Scheme):
		where, rest = u.Host, u.Path
		if u.Scheme == "ssh" {
			where = u.Hostname()
		}
	default: // user@host:path
		at, p, ok := strings.Cut(raw, ":")
		if !ok || strings.Contains(at, "/") || strings.Contains(raw, "://") {
			return repository{}, fault.New(fault.Refused, "I cannot read %q as the address of a repository.", clip(raw))
		}
		where, rest = at[strings.LastIndex(at, "@")+1:], p
	}
	if !strings.EqualFold(where, host) {
		return repository{}, fault.New(fault.Refused, "The repository is at %s, and I open pull requests only at %s (gitops.github.url).", clip(where), host)
	}
	parts := strings.Split(strings.Trim(strings.TrimSuffix(rest, ".git"), "/"), "/")
	if len(parts) != 2 || !slug(parts[0]) || !slug(parts[1]) {
		return repository{}, fault.New(fault.Refused, "%q is not a repository of %s.", clip(rest), host)
	}
	return repository{parts[0], parts[1]}, nil
}

// slug reports whether a name is one that GitHub gives.
func slug(s string) bool {
	return s != "" && s != "." && s != ".." && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// clip bounds text of strangers.
func clip(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > 120 {
		s = strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}

// checkout is one commit of a repository, in memory.
type checkout struct {
	git    *git.Repository
	branch string // that the commit is the tip of
	commit *object.Commit
	tree   *object.Tree
	names  []string
}

// auth is how Git says who it is to GitHub.
func (d *Desk) auth() transport.AuthMethod {
	if d.token == "" {
		return nil
	}
	return &githttp.BasicAuth{Username: "x-access-token", Password: d.token}
}

func (d *Desk) cloneURL(r repository) string { return d.url + "/" + r.String() + ".git" }

// branches lists the branches of a repository, and which is the default one.
func (d *Desk) branches(ctx context.Context, r repository) (all map[string]plumbing.Hash, standard string, err error) {
	remote := git.NewRemote(memory.NewStorage(), &config.RemoteConfig{Name: "origin", URLs: []string{d.cloneURL(r)}})
	refs, err := remote.ListContext(ctx, &git.ListOptions{Auth: d.auth()})
	if err != nil {
		return nil, "", gitFault(err, r)
	}
	all = map[string]plumbing.Hash{}
	for _, ref := range refs {
		switch {
		case ref.Name() == plumbing.HEAD && ref.Type() == plumbing.SymbolicReference:
			standard = ref.Target().Short()
		case ref.Name().IsBranch():
			all[ref.Name().Short()] = ref.Hash()
		}
	}
	return all, standard, nil
}

// checkout gets the tip of the branch that a revision is. What is deployed from
// a tag or a commit is not changed by a commit on a branch.
func (d *Desk) checkout(ctx context.Context, r repository, revision string, fixed bool) (*checkout, error) {
	all, standard, err := d.branches(ctx, r)
	if err != nil {
		return nil, err
	}
	branch := strings.TrimPrefix(revision, "refs/heads/")
	if branch == "" || branch == "HEAD" {
		branch = standard
	}
	if _, ok := all[branch]; !ok || fixed {
		return nil, fault.New(fault.Refused, "%s is deployed from %s, which is no branch of it, so a commit would not change what runs.", r, clip(revision))
	}
	g, err := git.CloneContext(ctx, memory.NewStorage(), nil, &git.CloneOptions{
		URL: d.cloneURL(r), Auth: d.auth(), ReferenceName: plumbing.NewBranchReferenceName(branch),
		SingleBranch: true, NoCheckout: true, Depth: 1, Tags: git.NoTags,
	})
	if err != nil {
		return nil, gitFault(err, r)
	}
	out := &checkout{git: g, branch: branch}
	head, err := g.Head()
	if err != nil {
		return nil, gitFault(err, r)
	}
	if out.commit, err = g.CommitObject(head.Hash()); err != nil {
		return nil, gitFault(err, r)
	}
	if out.tree, err = out.commit.Tree(); err != nil {
		return nil, gitFault(err, r)
	}
	err = out.tree.Files().ForEach(func(f *object.File) error {
		if f.Mode.IsFile() && f.Mode.IsRegular() {
			out.names = append(out.names, f.Name)
		}
		return nil
	})
	return out, gitFault(err, r)
}

// Files lists the paths of all files.
func (c *checkout) Files() []string { return c.names }

// Read gives a file.
func (c *checkout) Read(name string) ([]byte, error) {
	f, err := c.tree.File(name)
	if err != nil {
		return nil, fmt.Errorf("gitops: %s: %w", name, err)
	}
	s, err := f.Contents()
	return []byte(s), err
}

// signature is who made a commit.
type signature struct{ name, email string }

// commitFiles makes a commit of changed files on top, under the name of a branch.
func (c *checkout) commitFiles(files map[string][]byte, message, branch string, author, committer signature, now time.Time) error {
	tree, err := writeTree(c.git.Storer, c.tree, files)
	if err != nil {
		return err
	}
	commit := &object.Commit{
		Author:    object.Signature{Name: author.name, Email: author.email, When: now},
		Committer: object.Signature{Name: committer.name, Email: committer.email, When: now},
		Message:   message, TreeHash: tree, ParentHashes: []plumbing.Hash{c.commit.Hash},
	}
	hash, err := store(c.git.Storer, commit)
	if err != nil {
		return err
	}
	return c.git.Storer.SetReference(plumbing.NewHashReference(plumbing.NewBranchReferenceName(branch), hash))
}

// writeTree is a folder with other contents in some of its files; their modes
// stay.
func writeTree(s storer.EncodedObjectStorer, t *object.Tree, files map[string][]byte) (plumbing.Hash, error) {
	below := map[string]map[string][]byte{}
	for name, b := range files {
		first, rest, _ := strings.Cut(path.Clean(name), "/")
		if below[first] == nil {
			below[first] = map[string][]byte{}
		}
		below[first][rest] = b
	}
	out := &object.Tree{Entries: slices.Clone(t.Entries)}
	for name, in := range below {
		i := slices.IndexFunc(out.Entries, func(e object.TreeEntry) bool { return e.Name == name })
		if i < 0 {
			return plumbing.ZeroHash, fmt.Errorf("gitops: no %s in the tree", name)
		}
		var err error
		if b, ok := in[""]; ok {
			out.Entries[i].Hash, err = storeBlob(s, b)
		} else {
			var sub *object.Tree
			if sub, err = t.Tree(name); err == nil {
				out.Entries[i].Hash, err = writeTree(s, sub, in)
			}
		}
		if err != nil {
			return plumbing.ZeroHash, err
		}
	}
	return store(s, out)
}

func storeBlob(s storer.EncodedObjectStorer, b []byte) (plumbing.Hash, error) {
	o := s.NewEncodedObject()
	o.SetType(plumbing.BlobObject)
	w, err := o.Writer()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if _, err := w.Write(b); err != nil {
		return plumbing.ZeroHash, err
	}
	if err := w.Close(); err != nil {
		return plumbing.ZeroHash, err
	}
	return s.SetEncodedObject(o)
}

func store(s storer.EncodedObjectStorer, what interface {
	Encode(plumbing.EncodedObject) error
},
) (plumbing.Hash, error) {
	o := s.NewEncodedObject()
	if err := what.Encode(o); err != nil {
		return plumbing.ZeroHash, err
	}
	return s.SetEncodedObject(o)
}

// push makes the branch in the repository. It must not be there yet.
func (c *checkout) push(ctx context.Context, d *Desk, branch string) error {
	ref := plumbing.NewBranchReferenceName(branch)
	return c.git.PushContext(ctx, &git.PushOptions{
		RemoteName: "origin", Auth: d.auth(), RefSpecs: []config.RefSpec{config.RefSpec(ref + ":" + ref)},
	})
}

// gitFault turns an error of Git into one that can be said aloud.
func gitFault(err error, r repository) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fault.Wrap(err, fault.Unavailable, "I was interrupted while I talked to the repository %s.", r)
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed), errors.Is(err, transport.ErrRepositoryNotFound):
		return fault.Wrap(err, fault.Forbidden, "I may not use the repository %s, or it is not there. gitops.github.token needs contents and pull requests of it, read and write.", r)
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return fault.Wrap(err, fault.NotFound, "The repository %s is empty.", r)
	}
	return fault.Wrap(err, fault.Unavailable, "The repository %s does not answer as it should. Please try again.", r)
}
