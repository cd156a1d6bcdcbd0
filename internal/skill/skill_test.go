package skill

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// TestRepliesAndCodeAgree holds the catalogue's wordings against the code: a
// key in the code that no file words, or a wording that no code says, fails.
func TestRepliesAndCodeAgree(t *testing.T) {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	var literals []string
	// Channels say some themselves: all rooms are looked through.
	if err := filepath.WalkDir("..", func(f string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(f, ".go") || strings.HasSuffix(f, "_test.go") {
			return err
		}
		src, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f, src, 0)
		if err != nil {
			return err
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil {
					literals = append(literals, s)
				}
			}
			return true
		})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	keys := c.ReplyKeys()
	for _, k := range keys {
		put := slices.ContainsFunc(literals, func(l string) bool { return strings.HasSuffix(l, ".") && strings.HasPrefix(k, l) }) // together
		common := k                                                                                                               // a verb may have a wording of its own for what is said of all
		if i := strings.LastIndex(k, "."); slices.Contains(kube.Verbs(), kube.Verb(k[i+1:])) {
			common = k[:i]
		}
		if !slices.Contains(literals, k) && !slices.Contains(literals, common) && !put {
			t.Errorf("no code says %q", k)
		}
	}
	// The families that are put together from a prefix must be whole.
	for prefix, rest := range map[string][]string{
		"change.": {"many"}, "started.": {"many"}, "done.": {"many"}, "offer.": {"many"},
		"why.":     {"image_pull", "crash_loop", "oom", "config", "quota", "rejected", "unschedulable", "readiness", "budget", "bare", "lingering", "job_retry", "job_failed"},
		"status.":  {"observing", "updating", "terminating", "waiting", "paused", "deadline_exceeded", "complete"},
		"outcome.": {"rolled_back", "superseded"}, "progress.": {"updating", "terminating", "waiting"},
		"ask.": {"replicas", "version", "targets"},
	} {
		for _, r := range rest {
			if !slices.Contains(keys, prefix+r) {
				t.Errorf("the catalogue lacks %q", prefix+r)
			}
		}
	}
	for _, h := range action.Hazards() {
		if !slices.Contains(keys, "hazard."+string(h)) {
			t.Errorf("the catalogue lacks %q", "hazard."+string(h))
		}
	}
	for _, v := range kube.Verbs() {
		prefixes := []string{"change.", "started.", "done.", "many.", "offer."}
		if _, back := (kube.Change{Verb: v}).Inverse(); !back {
			prefixes = prefixes[:4] // nothing to offer
		}
		for _, p := range prefixes {
			if !slices.Contains(keys, p+string(v)) {
				t.Errorf("the catalogue lacks %q", p+string(v))
			}
		}
	}
	for _, l := range literals {
		prefix, _, ok := strings.Cut(l, ".")
		if ok && !strings.ContainsAny(l, " %/:") && slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, prefix+".") }) &&
			!strings.HasSuffix(l, ".") && !slices.Contains(keys, l) {
			t.Errorf("the code says %q, which the catalogue lacks", l)
		}
	}
}

func TestEveryRequiredSlotCanBeAskedFor(t *testing.T) {
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	for name := range (&Crew{}).Handlers() {
		spec, ok := c.Spec(name)
		if !ok {
			t.Errorf("the catalogue lacks the intent %s", name)
		}
		for _, s := range spec.Slots {
			if s.Required && !slices.Contains(c.ReplyKeys(), "ask."+s.Name) {
				t.Errorf("%s: nothing asks for %s", name, s.Name)
			}
		}
	}
}

func TestWanted(t *testing.T) {
	for _, tt := range []struct {
		slots intents.Slots
		now   int32
		want  int32
		kind  fault.Kind
	}{
		{intents.Slots{"replicas": 5}, 3, 5, ""},
		{intents.Slots{"replicas": 0}, 3, 0, ""},
		{intents.Slots{"replicas": "5"}, 3, 5, ""}, // as Dialogflow may send it
		{intents.Slots{"replicas": 5.0}, 3, 5, ""},
		{intents.Slots{"delta": 2}, 3, 5, ""},
		{intents.Slots{"delta": -1}, 3, 2, ""},
		{intents.Slots{"factor": 2.0}, 3, 6, ""},
		{intents.Slots{"factor": 0.5}, 3, 2, ""}, // rather one too many
		{intents.Slots{"factor": 0.5}, 0, 0, ""},
		{intents.Slots{"replicas": 2.5}, 3, 0, fault.NotUnderstood},
		{intents.Slots{"replicas": "NaN"}, 3, 0, fault.NotUnderstood},
		{intents.Slots{"replicas": "1e400"}, 3, 0, fault.NotUnderstood},
		{intents.Slots{"replicas": "many"}, 3, 0, fault.NotUnderstood},
		{intents.Slots{"replicas": -1}, 3, 0, fault.NotUnderstood},
		{intents.Slots{"delta": -4}, 3, 0, fault.NotUnderstood},
		{intents.Slots{"factor": -2.0}, 3, 0, fault.NotUnderstood},
		{intents.Slots{"replicas": 1000}, 3, 1000, ""},
		{intents.Slots{"replicas": 1001}, 3, 0, fault.Refused},
		{intents.Slots{"replicas": 1e300}, 3, 0, fault.Refused},
		{intents.Slots{"factor": 1e9}, 3, 0, fault.Refused},
	} {
		got, err := wanted(tt.slots, tt.now)
		if got != tt.want || fault.KindOf(err) != tt.kind {
			t.Errorf("%v of %d: %d, %v; want %d, %q", tt.slots, tt.now, got, err, tt.want, tt.kind)
		}
	}
}

func TestEarlier(t *testing.T) {
	rev := func(n int64, tag string) kube.Revision {
		return kube.Revision{Number: n, Containers: []kube.Container{{Name: "web", Image: "r/web:" + tag}}}
	}
	history := []kube.Revision{rev(5, "v3"), rev(4, "v3"), rev(3, "v2"), rev(1, "v1")} // 4 → 5 was a restart
	history[0].Current = true
	w := kube.Workload{Ref: kube.Ref{Name: "web"}, Containers: history[0].Containers}
	for _, tt := range []struct {
		slots   intents.Slots
		history []kube.Revision
		want    int64
		kind    fault.Kind
	}{
		{intents.Slots{}, history, 3, ""}, // not 4, which differs by a restart
		{intents.Slots{}, history[:2], 4, ""},
		{intents.Slots{}, history[:1], 0, fault.NotFound},
		{intents.Slots{}, nil, 0, fault.NotFound},
		{intents.Slots{"steps": 1}, history, 3, ""},
		{intents.Slots{"steps": 2}, history, 3, ""},
		{intents.Slots{"steps": 3}, history, 1, ""},
		{intents.Slots{"steps": 4}, history, 0, fault.NotFound},
		{intents.Slots{"revision": 1}, history, 1, ""},
		{intents.Slots{"revision": 2}, history, 0, fault.NotFound},
		{intents.Slots{"revision": 5}, history, 0, fault.NotUnderstood},
		{intents.Slots{"version": "1"}, history, 1, ""},
		{intents.Slots{"version": "v1"}, history, 1, ""},
		{intents.Slots{"version": "3"}, history, 0, fault.NotUnderstood},
		{intents.Slots{"version": "9"}, history, 0, fault.NotFound},
	} {
		turn := &dialogue.Turn{Intent: intents.Intent{Name: "rollback", Slots: tt.slots}}
		got, err := earlier(tt.history, w, turn)
		if got.Number != tt.want || fault.KindOf(err) != tt.kind {
			t.Errorf("%v: revision %d, %v; want %d, %q", tt.slots, got.Number, err, tt.want, tt.kind)
		}
	}
}

func TestFits(t *testing.T) {
	items := map[string]kube.Item{
		"running": {Status: "Running", Healthy: true}, "crash": {Status: "CrashLoopBackOff"}, "oom": {Status: "OOMKilled"},
		"pull": {Status: "ImagePullBackOff"}, "pending": {Status: "Pending"},
	}
	for filter, want := range map[string][]string{
		"": {"crash", "oom", "pending", "pull", "running"}, "unhealthy": {"crash", "oom", "pending", "pull"}, "healthy": {"running"},
		"crashloop": {"crash", "oom"}, "pending": {"pending", "pull"}, "running": {"running"}, "image_pull": {"pull"},
	} {
		var got []string
		for name, it := range items {
			if fits(it, filter) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", filter, got, want)
		}
	}
}

func TestCauseIsOneShortLine(t *testing.T) {
	got := cause(access.Speaker{Channel: "web", ID: "ann"}, "roll out\nv2 "+strings.Repeat("é", 200))
	if strings.Contains(got, "\n") || len(got) > 200 || !strings.HasPrefix(got, "firstmate, asked by web:ann: roll out v2") {
		t.Errorf("%q", got)
	}
}
