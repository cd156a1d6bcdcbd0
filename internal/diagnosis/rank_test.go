package diagnosis_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
)

// filed is a case of the library with what is to come of it.
type filed struct {
	Says string `json:"says"`
	Want struct {
		Outcome  diagnosis.Outcome `json:"outcome"`
		Rule     string            `json:"rule"`
		About    string            `json:"about"`
		Detail   string            `json:"detail"`
		Do       diagnosis.Do      `json:"do"`
		Sure     diagnosis.Sure    `json:"sure"`
		Innocent []string          `json:"innocent"`
	} `json:"want"`
	Case diagnosis.Case `json:"case"`
}

func library(t *testing.T) map[string]filed {
	t.Helper()
	files, err := filepath.Glob("testdata/cases/*.json")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	out := map[string]filed{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var f filed
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.DisallowUnknownFields()
		if err := d.Decode(&f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[strings.TrimSuffix(filepath.Base(name), ".json")] = f
	}
	return out
}

func TestLibrary(t *testing.T) {
	for name, f := range library(t) {
		t.Run(name, func(t *testing.T) {
			v := diagnosis.Rank(f.Case)
			defer func() {
				if t.Failed() {
					for _, c := range v.Causes {
						t.Logf("%.3f %s %s %s (%s) %+v for %s against %s", c.Score, c.Rule, c.About, c.Detail, c.Sure, c.Next, kinds(c.Evidence), kinds(c.Against))
					}
					t.Logf("innocent %+v; shows %s", v.Innocent, kinds(v.Shows))
				}
			}()
			if v.Outcome != f.Want.Outcome {
				t.Fatalf("outcome %s, want %s", v.Outcome, f.Want.Outcome)
			}
			var innocent []string
			for _, i := range v.Innocent {
				innocent = append(innocent, i.Change.About.String()+" "+i.Why)
			}
			for _, i := range f.Want.Innocent {
				if !slices.Contains(innocent, i) {
					t.Errorf("innocent %q, want %s", innocent, i)
				}
			}
			if f.Want.Rule == "" {
				return
			}
			c := v.Causes[0]
			if c.Rule != f.Want.Rule || f.Want.About != "" && c.About.String() != f.Want.About {
				t.Errorf("%s %s, want %s %s", c.Rule, c.About, f.Want.Rule, f.Want.About)
			}
			if f.Want.Do != "" && c.Next.Do != f.Want.Do || f.Want.Detail != "" && c.Detail != f.Want.Detail || f.Want.Sure != "" && c.Sure != f.Want.Sure {
				t.Errorf("%s %q %s, want %s %q %s", c.Next.Do, c.Detail, c.Sure, f.Want.Do, f.Want.Detail, f.Want.Sure)
			}
		})
	}
}

func kinds(list []diagnosis.Evidence) string {
	var out []string
	for _, e := range list {
		out = append(out, string(e.Kind)+":"+e.About.Name)
	}
	return strings.Join(out, ",")
}

// The order of the evidence, facts said twice and a way through JSON change nothing.
func TestSameEvidenceSameVerdict(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, f := range library(t) {
		want := diagnosis.Rank(f.Case)
		for range 10 {
			c := f.Case
			c.Evidence = slices.Clone(c.Evidence)
			r.Shuffle(len(c.Evidence), func(i, j int) { c.Evidence[i], c.Evidence[j] = c.Evidence[j], c.Evidence[i] })
			c.Evidence = append(c.Evidence, c.Evidence[0])
			if got := diagnosis.Rank(c); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v\nis not\n%+v", name, got, want)
				break
			}
		}
	}
}

// The way back leads to what ran before the newest roll-out, also where the one before
// it was within the same second, which is as fine as the cluster tells time.
func TestTheWayBackIsFromTheNewestRollout(t *testing.T) {
	tried := 0
	for name, f := range library(t) {
		want := diagnosis.Rank(f.Case)
		if len(want.Causes) == 0 || want.Causes[0].Next.Do != diagnosis.RollBack || want.Causes[0].Next.Value < 1 {
			continue
		}
		next := want.Causes[0].Next
		for _, first := range []bool{true, false} {
			c := f.Case
			c.Evidence = slices.Clone(c.Evidence)
			i := slices.IndexFunc(c.Evidence, func(e diagnosis.Evidence) bool {
				return e.Kind == diagnosis.Rollout && e.About == next.About && e.Before != nil && int(*e.Before) == next.Value
			})
			if i < 0 {
				continue
			}
			older := c.Evidence[i]
			older.From, older.To, older.Before, older.Value = "0.0.1", next.To, diagnosis.Num(float64(next.Value-1)), diagnosis.Num(float64(next.Value))
			if first {
				c.Evidence = append([]diagnosis.Evidence{older}, c.Evidence...)
			} else {
				c.Evidence = append(c.Evidence, older)
			}
			tried++
			if got := diagnosis.Rank(c); len(got.Causes) == 0 || got.Causes[0].Next != next {
				t.Errorf("%s: %+v, want %+v", name, got.Causes, next)
			}
		}
	}
	if tried < 4 {
		t.Errorf("only %d were tried", tried)
	}
}

// Without what contradicts it a cause is not less likely.
func TestRemovingAContradictionNeverLowers(t *testing.T) {
	tried := 0
	for name, f := range library(t) {
		for _, cause := range diagnosis.Rank(f.Case).Causes {
			for _, against := range cause.Against {
				c := f.Case
				c.Evidence = slices.DeleteFunc(slices.Clone(c.Evidence), func(e diagnosis.Evidence) bool { return same(e, against) })
				if len(c.Evidence) == len(f.Case.Evidence) {
					continue // it was given its full name
				}
				tried++
				found := false
				for _, now := range diagnosis.Rank(c).Causes {
					if now.Rule == cause.Rule && now.About == cause.About {
						found = true
						if now.Score < cause.Score-1e-9 {
							t.Errorf("%s: %s %s falls from %v to %v without %s of %s", name, cause.Rule, cause.About, cause.Score, now.Score, against.Kind, against.About)
						}
					}
				}
				if !found {
					t.Errorf("%s: %s %s is gone without %s of %s", name, cause.Rule, cause.About, against.Kind, against.About)
				}
			}
		}
	}
	if tried < 20 {
		t.Errorf("only %d contradictions in the library", tried)
	}
}

func same(a, b diagnosis.Evidence) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// What happens to others changes nothing.
func TestUnrelatedEvidence(t *testing.T) {
	stranger := diagnosis.Object{Namespace: "dev", Kind: "Deployment", Name: "scratch"}
	pod := diagnosis.Object{Namespace: "dev", Kind: "Pod", Name: "scratch-1"}
	node := diagnosis.Object{Kind: "Node", Name: "node-99"}
	n := diagnosis.Num
	for name, f := range library(t) {
		if f.Case.Request.Target.Name == "" {
			continue
		}
		at := f.Case.Request.Window.From.Add(f.Case.Request.Window.Length() / 2)
		want := diagnosis.Rank(f.Case)
		for _, e := range []diagnosis.Evidence{
			{Kind: diagnosis.Rollout, At: at, About: stranger, Name: "image", From: "1", To: "2", Before: n(1), Value: n(2), Source: "kubernetes"},
			{Kind: diagnosis.CrashLoop, At: at, About: pod, Owner: stranger, Value: n(1), Text: "environment variable X is not set", Source: "kubernetes"},
			{Kind: diagnosis.ImagePull, At: at, About: pod, Owner: stranger, Text: "not found", Source: "kubernetes"},
			{Kind: diagnosis.OOMKilled, At: at, About: pod, Owner: stranger, Count: 3, Source: "kubernetes"},
			{Kind: diagnosis.Latency, At: at, About: stranger, Name: "p99", Value: n(9), Before: n(1), Source: "prometheus"},
			{Kind: diagnosis.ErrorRatio, At: at, About: stranger, Value: n(0.9), Before: n(0), Source: "prometheus"},
			{Kind: diagnosis.LogPattern, At: at, About: stranger, Text: "no such host", Count: 99, Source: "loki"},
			{Kind: diagnosis.NodeDown, At: at, About: node, Name: "not_ready", Source: "kubernetes"},
			{Kind: diagnosis.NodePressure, At: at, About: node, Name: "memory", Source: "kubernetes"},
			{Kind: diagnosis.NodeLoad, At: at, About: node, Name: "cpu", Value: n(4), Limit: n(4), Source: "prometheus"},
			{Kind: diagnosis.ConfigChange, At: at, About: diagnosis.Object{Namespace: "dev", Kind: "ConfigMap", Name: "c"}, Owner: stranger, Source: "kubernetes"},
			{Kind: diagnosis.Scaled, At: at, About: stranger, From: "3", To: "0", Source: "kubernetes"},
			{Kind: diagnosis.SelectorMismatch, At: at, About: diagnosis.Object{Namespace: "dev", Kind: "Service", Name: "scratch"}, Owner: stranger, Source: "kubernetes"},
			{Kind: diagnosis.Pool, At: at, About: stranger, Value: n(9), Limit: n(9), Source: "prometheus"},
		} {
			c := f.Case
			c.Evidence = append(slices.Clone(c.Evidence), e)
			if e.Kind == diagnosis.NodeDown && hasMissingPods(f.Case) {
				continue // a node that fell may be why pods are missing, whoever was on it
			}
			if got := diagnosis.Rank(c); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s of a stranger changes %s to %s", name, e.Kind, brief(want), brief(got))
			}
		}
	}
}

func hasMissingPods(c diagnosis.Case) bool {
	return slices.ContainsFunc(c.Evidence, func(e diagnosis.Evidence) bool {
		return e.Kind == diagnosis.Replicas && *e.Value < *e.Limit || e.Kind == diagnosis.Unschedulable
	})
}

func brief(v diagnosis.Verdict) string {
	b, _ := json.Marshal(v)
	return string(b[:min(len(b), 400)])
}

// Each rule is shown by a case, and what is said to do is known.
func TestEveryRuleHasACase(t *testing.T) {
	shown := map[string]bool{}
	for _, f := range library(t) {
		for _, c := range diagnosis.Rank(f.Case).Causes {
			shown[c.Rule] = true
			if c.Next.Do == "" {
				t.Errorf("%s says nothing to do", c.Rule)
			}
		}
	}
	for _, r := range diagnosis.Rules() {
		if !shown[r] {
			t.Errorf("no case of the library shows %s", r)
		}
	}
}
