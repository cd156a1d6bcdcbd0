package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// ServerVersion asks the API server for its version: the lightest question
// that shows that it answers.
func (r *Reader) ServerVersion(ctx context.Context) (string, error) {
	b, err := r.client.Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return "", err
	}
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return "", fmt.Errorf("kube: /version: %w", err)
	}
	return clip(v.GitVersion), nil
}

// Standing is how a cluster stands with its fleet.
type Standing struct {
	Name    string
	Answers bool
	Version string    // of the API server, "" where it never answered
	Nodes   int       // as last seen; -1 where they have not been looked at
	Since   time.Time // since when it does not answer
	Err     error     // why not
}

// Standings asks all clusters at the same time whether they answer, home first.
// One that nobody has spoken of yet is asked, and not watched for that.
func (f *Fleet) Standings(ctx context.Context) []Standing {
	out := make([]Standing, len(f.members))
	each(len(f.members), func(i int) { out[i] = f.members[i].standing(ctx) })
	return out
}

func (m *member) standing(ctx context.Context) Standing {
	s := Standing{Name: m.Name, Nodes: -1}
	if m.reader() != nil {
		s.Err = m.alive(ctx, 0)
	} else {
		s.Version, s.Err = m.probe(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Answers = s.Err == nil
	if m.read != nil {
		s.Version, s.Nodes = m.version, len(m.read.Nodes())
	}
	if !s.Answers {
		s.Since = m.down
	}
	return s
}

// probe asks a cluster that is not watched.
func (m *member) probe(ctx context.Context) (string, error) {
	limit, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	c, err := m.cluster()
	if err != nil {
		return "", err
	}
	r, err := NewReader(c, m.opt.ReaderOptions, m.log)
	if err != nil {
		return "", err
	}
	version, err := r.ServerVersion(limit)
	if err == nil {
		return version, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed(err)
	return "", m.silent()
}

// Up reports whether a cluster answered when it was last asked.
func (f *Fleet) Up(cluster string) bool {
	m, err := f.member(cluster)
	if err != nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read != nil && m.err == nil
}

func (f *Fleet) listClusters(ctx context.Context) Table {
	t := Table{Kind: "clusters", Columns: []string{"NAME", "STATE", "VERSION", "NODES", "NAMESPACE"}}
	for _, s := range f.Standings(ctx) {
		it := Item{Name: s.Name, Healthy: s.Answers, Status: "answers"}
		if !s.Answers {
			it.Status = "does not answer"
			if !s.Since.IsZero() {
				it.Status += " since " + s.Since.Format("15:04:05")
			}
		}
		nodes := "-"
		if s.Nodes >= 0 {
			nodes = strconv.Itoa(s.Nodes)
		}
		it.Cells = []string{it.Status, s.Version, nodes, f.Namespace(s.Name)}
		t.Items = append(t.Items, it)
	}
	return t
}
