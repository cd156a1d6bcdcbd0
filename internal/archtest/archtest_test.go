package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/sandboxtest"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

const module = "github.com/firstmate-ops/firstmate"

// room is what a package of the main module may import outside its tests.
type room struct {
	ours   []string // folders of this module
	theirs []string // modules of others, by the beginning of the import path; the standard library is free
	tests  []string // what its tests may import of ours, beside ours and itself
}

// house is the import table. An arrow that is not here is a decision to take,
// not a line to add: ARCHITECTURE.md says what each room is for.
func house() map[string]room {
	k8s := []string{"k8s.io/api/", "k8s.io/apimachinery/", "k8s.io/client-go/", "sigs.k8s.io/yaml"}
	channel := []string{"internal/access", "internal/dialogue", "internal/fault", "internal/webhook", "intents"}
	channelTests := []string{"internal/channel/channeltest"}
	return map[string]room{
		"cmd/bot": {
			ours: []string{
				"internal/speech", "internal/speech/offline", "internal/speech/openai",
				"internal/llm",
				"internal/observability/alertmanager", "internal/observability/sentry", "internal/observability/traces", "internal/silencer", "internal/channel/alerts",
				"internal/observability/alertmanager", "internal/silencer",
				"internal/channel/phone", "internal/channel/mcp",
				"internal/channel/slack",
				"internal/channel/discord", "internal/observability/chart",
				"intents", "internal/access", "internal/action", "internal/audit", "internal/channel/alexa", "internal/channel/dialogflow", "internal/channel/terminal", "internal/channel/web",
				"internal/dialogue", "internal/export", "internal/fault", "internal/gate/compare", "internal/gitops", "internal/kube", "internal/misses", "internal/recorder", "internal/skill", "internal/store", "internal/webhook",
				"internal/observability/backend", "internal/observability/prometheus", "internal/oncall", "internal/oncall/schedule",
				"internal/diagnosis", "internal/diagnosis/collect", "internal/observability", "internal/observability/logs", "internal/observability/podlogs", "internal/observability/loki",
			},
			theirs: []string{"github.com/agnivade/levenshtein", "github.com/knadh/koanf/", "github.com/modelcontextprotocol/go-sdk/mcp", "github.com/prometheus/client_golang/", "github.com/spf13/cobra", "go.yaml.in/yaml/v3", "golang.org/x/"},
			tests:  []string{"internal/gate", "internal/llm/llmtest", "internal/channel/discord/discordtest", "internal/channel/channeltest", "internal/channel/phone/carriertest", "internal/observability/promtest", "internal/sandboxtest"},
		},
		"intents":                {ours: []string{"internal/speech"}, theirs: []string{"go.yaml.in/yaml/v3", "github.com/agnivade/levenshtein"}},
		"internal/fault":         {},
		"internal/observability": {},
		"internal/diagnosis":     {ours: []string{"internal/fault", "internal/observability"}},
		"internal/diagnosis/collect": {
			ours:  []string{"internal/diagnosis", "internal/fault", "internal/kube", "internal/observability", "internal/observability/alertmanager", "internal/observability/logs", "internal/observability/traces"},
			tests: []string{"internal/observability/backend", "internal/observability/prometheus", "internal/observability/promtest", "internal/sandboxtest"},
		},
		"internal/gate": {theirs: []string{"github.com/aclements/go-moremath/"}},
		"internal/gate/compare": {
			ours:  []string{"internal/action", "internal/fault", "internal/gate", "internal/kube", "internal/observability", "internal/observability/logs", "internal/observability/prometheus"},
			tests: []string{"internal/observability/backend", "internal/observability/promtest", "internal/sandboxtest"},
		},

		"internal/observability/backend": {ours: []string{"internal/fault"}, theirs: []string{"github.com/sony/gobreaker/v2", "golang.org/x/time/rate"}},
		"internal/observability/prometheus": {
			ours:   []string{"internal/fault", "internal/observability", "internal/observability/backend"},
			theirs: []string{"github.com/prometheus/client_golang/api", "github.com/prometheus/common/model"},
			tests:  []string{"internal/channel/channeltest", "internal/channel/phone/carriertest", "internal/observability/promtest", "internal/sandboxtest"},
		},
		"internal/observability/chart":    {ours: []string{"internal/observability"}, theirs: []string{"gonum.org/v1/plot/"}},
		"internal/observability/promtest": {theirs: []string{"github.com/klauspost/compress/snappy", "google.golang.org/protobuf/encoding/protowire"}},

		"internal/observability/logs": {ours: []string{"internal/observability"}, theirs: []string{"github.com/go-logfmt/logfmt", "github.com/tidwall/gjson"}},

		"internal/observability/podlogs": {ours: []string{"internal/fault", "internal/kube", "internal/observability", "internal/observability/logs"}, tests: []string{"internal/sandboxtest"}},

		"internal/observability/alertmanager": {ours: []string{"internal/fault", "internal/observability", "internal/observability/backend", "internal/observability/logs"}, tests: []string{"internal/sandboxtest"}},

		"internal/channel/phone/carriertest": {ours: []string{"internal/speech"}},

		"internal/channel/slack/slacktest": {ours: []string{"internal/peers"}, theirs: []string{"github.com/gorilla/websocket"}},
		"internal/channel/slack": {
			ours:   append([]string{"internal/chat", "internal/observability", "internal/observability/chart", "internal/speech"}, channel...),
			theirs: []string{"github.com/slack-go/slack", "golang.org/x/sync/singleflight", "golang.org/x/time/rate"},
			tests:  append([]string{"internal/channel/slack/slacktest", "internal/export", "internal/store"}, channelTests...),
		},

		"internal/channel/phone": {ours: append([]string{"internal/speech"}, channel...), theirs: []string{"golang.org/x/time/rate"}, tests: append([]string{"internal/peers", "internal/channel/phone/carriertest"}, channelTests...)},

		"internal/channel/discord": {
			ours:   append([]string{"internal/chat", "internal/observability", "internal/speech"}, channel...),
			theirs: []string{"github.com/bwmarrin/discordgo", "github.com/gorilla/websocket", "golang.org/x/time/rate"},
			tests:  append([]string{"internal/channel/discord/discordtest", "internal/export", "internal/store"}, channelTests...),
		},

		"internal/silencer": {ours: []string{"internal/fault", "internal/kube", "internal/observability", "internal/observability/alertmanager"}, tests: []string{"internal/observability/backend", "internal/sandboxtest"}},

		"internal/channel/alerts": {ours: []string{"internal/fault", "internal/observability", "internal/observability/alertmanager", "internal/webhook"}, tests: []string{"internal/channel/channeltest", "internal/sandboxtest", "internal/store"}},

		"internal/observability/traces": {ours: []string{"internal/fault", "internal/observability", "internal/observability/backend"}, tests: []string{"internal/sandboxtest"}},

		"internal/observability/sentry": {ours: []string{"internal/fault", "internal/observability", "internal/observability/backend", "internal/observability/logs"}, tests: []string{"internal/observability/sentry/sentrytest"}},

		"internal/observability/sentry/sentrytest": {theirs: []string{"github.com/getkin/kin-openapi/"}},

		"internal/observability/loki": {ours: []string{"internal/fault", "internal/observability", "internal/observability/backend", "internal/observability/logs"}, theirs: []string{"github.com/gorilla/websocket", "golang.org/x/sync/singleflight"}, tests: []string{"internal/sandboxtest"}},

		"internal/store": {
			ours:   []string{"internal/audit", "internal/fault"},
			theirs: []string{"github.com/jackc/pgx/v5", "github.com/pressly/goose/v3", "modernc.org/sqlite"},
			tests:  []string{"internal/postgrestest"},
		},
		"internal/audit":             {theirs: []string{"github.com/gowebpki/jcs"}},
		"internal/peers":             {},
		"internal/postgrestest":      {theirs: []string{"github.com/jackc/pgx/v5"}},
		"internal/webhook":           {ours: []string{"internal/fault"}},
		"internal/access":            {ours: []string{"internal/fault"}, theirs: []string{"github.com/agnivade/levenshtein", "github.com/alexedwards/argon2id", "go.yaml.in/yaml/v3", "golang.org/x/time/rate"}, tests: []string{"internal/store"}},
		"internal/oncall":            {ours: []string{"intents", "internal/access", "internal/diagnosis", "internal/dialogue", "internal/fault", "internal/observability", "internal/observability/alertmanager", "internal/oncall/schedule"}},
		"internal/oncall/schedule":   {ours: []string{"internal/access", "internal/fault"}, theirs: []string{"github.com/arran4/golang-ical", "github.com/teambition/rrule-go", "go.yaml.in/yaml/v3"}},
		"internal/kube":              {ours: []string{"internal/fault"}, theirs: append(k8s, "github.com/aymanbagabas/go-udiff", "github.com/distribution/reference", "github.com/robfig/cron/v3"), tests: []string{"internal/sandboxtest"}},
		"internal/gitops/gitopstest": {},
		"internal/gitops": {
			ours:   []string{"internal/fault", "internal/kube"},
			theirs: []string{"github.com/go-git/go-git/v5", "github.com/google/go-github/v87", "github.com/aymanbagabas/go-udiff", "go.yaml.in/yaml/v3"},
			tests:  []string{"internal/gitops/gitopstest"},
		},
		"internal/action":   {ours: []string{"internal/access", "internal/audit", "internal/fault", "internal/gate", "internal/kube"}, tests: []string{"internal/postgrestest", "internal/store"}},
		"internal/dialogue": {ours: []string{"intents", "internal/access", "internal/fault", "internal/observability"}, tests: []string{"internal/postgrestest", "internal/store"}},
		"internal/skill": {
			ours:   []string{"intents", "internal/access", "internal/action", "internal/audit", "internal/diagnosis", "internal/dialogue", "internal/fault", "internal/gate", "internal/kube", "internal/observability", "internal/observability/alertmanager", "internal/observability/logs", "internal/observability/prometheus", "internal/observability/sentry", "internal/observability/traces", "internal/observability/backend"},
			theirs: []string{"github.com/distribution/reference"},
			tests:  []string{"internal/llm", "internal/llm/llmtest", "internal/store", "internal/observability/promtest", "internal/observability/backend", "internal/sandboxtest", "internal/silencer", "internal/observability/sentry/sentrytest"},
		},
		"internal/misses":         {ours: []string{"intents", "internal/dialogue", "internal/fault"}, theirs: []string{"github.com/agnivade/levenshtein"}, tests: []string{"internal/access", "internal/store"}},
		"internal/recorder":       {ours: []string{"intents", "internal/access", "internal/audit", "internal/dialogue", "internal/fault", "internal/misses", "internal/observability/logs"}},
		"internal/speech":         {ours: []string{"internal/fault"}},
		"internal/speech/openai":  {ours: []string{"internal/fault", "internal/speech"}, theirs: []string{"github.com/sashabaranov/go-openai"}},
		"internal/speech/offline": {ours: []string{"intents", "internal/fault", "internal/speech"}},
		"internal/export":         {ours: []string{"intents", "internal/fault"}, tests: []string{"internal/peers"}},
		"internal/channel/mcp":    {ours: channel, theirs: []string{"github.com/google/jsonschema-go/jsonschema", "github.com/modelcontextprotocol/go-sdk/mcp"}, tests: append([]string{"internal/peers"}, channelTests...)},
		"internal/chat":           {ours: []string{"internal/access", "internal/dialogue", "internal/fault", "internal/speech"}, tests: []string{"internal/channel/channeltest"}},

		"internal/llm":                 {ours: []string{"intents", "internal/diagnosis", "internal/dialogue", "internal/fault", "internal/misses"}, theirs: []string{"github.com/sashabaranov/go-openai", "github.com/sony/gobreaker/v2"}, tests: []string{"internal/access", "internal/llm/llmtest", "internal/peers"}},
		"internal/llm/llmtest":         {theirs: []string{"go.yaml.in/yaml/v3"}},
		"internal/channel/channeltest": {ours: []string{"internal/access", "internal/dialogue", "internal/fault"}},
		"internal/channel/dialogflow":  {ours: append([]string{"internal/speech"}, channel...), theirs: []string{"github.com/coreos/go-oidc/v3/oidc", "golang.org/x/time/rate"}, tests: channelTests},
		"internal/channel/discord/discordtest": {
			theirs: []string{"github.com/getkin/kin-openapi/openapi3", "github.com/gorilla/websocket"},
			tests:  []string{"internal/peers"},
		},
		"internal/channel/alexa": {
			ours:   append([]string{"internal/speech"}, channel...),
			theirs: []string{"github.com/coreos/go-oidc/v3/oidc", "golang.org/x/oauth2", "golang.org/x/time/rate"},
			tests:  append([]string{"internal/channel/alexa/alexatest", "internal/export", "internal/peers", "internal/store"}, channelTests...),
		},
		"internal/channel/alexa/alexatest": {},
		"internal/channel/terminal":        {ours: channel, theirs: []string{"golang.org/x/term"}, tests: append([]string{"internal/observability"}, channelTests...)},
		"internal/channel/web":             {ours: append([]string{"internal/speech", "internal/observability", "internal/observability/chart"}, channel...), theirs: []string{"github.com/alexedwards/scs/v2", "github.com/coreos/go-oidc/v3/oidc", "golang.org/x/oauth2", "golang.org/x/time/rate"}, tests: append([]string{"internal/peers", "internal/store"}, channelTests...)},
		"internal/sandboxtest":             {},
		"internal/archtest":                {tests: []string{"internal/sandboxtest", "internal/skill"}},
		"deploy":                           {},
		"e2e/node":                         {tests: []string{"internal/channel/web", "internal/observability", "internal/sandboxtest"}},
		"e2e/node/hello":                   {},
		"docs/generate":                    {ours: []string{"intents"}},
		"bench":                            {ours: []string{"internal/speech", "internal/speech/offline", "intents", "internal/channel/web", "internal/diagnosis", "internal/dialogue", "internal/kube", "internal/observability", "internal/observability/logs", "internal/observability/podlogs", "internal/sandboxtest"}, theirs: []string{"golang.org/x/"}},
		"e2e":                              {tests: []string{"internal/llm/llmtest", "internal/channel/discord/discordtest", "internal/channel/slack/slacktest", "internal/export", "e2e/browser", "internal/channel/phone/carriertest", "internal/speech", "internal/speech/offline", "intents", "internal/channel/alexa/alexatest", "internal/peers", "internal/channel/web", "internal/dialogue", "internal/fault", "internal/gitops/gitopstest", "internal/observability/promtest", "internal/postgrestest", "internal/sandboxtest"}},
		"e2e/browser":                      {theirs: []string{"github.com/chromedp/"}},
		"docs/screenshots":                 {ours: []string{"e2e/browser"}},
		"e2e/carrier":                      {ours: []string{"intents", "internal/channel/phone/carriertest", "internal/speech", "internal/speech/offline"}},
	}
}

// mutable are the package-level variables that may hold a map, slice or
// pointer, each with the reason.
func mutable() map[string]string {
	return map[string]string{
		"internal/channel/dialogflow.intentName": "a strings.Replacer, which is safe to share and has no setter",
		"internal/channel/web.pages":             "the table of served files, read only",
		"internal/skill.clusterWide":             "a list of names, read only",
		"intents.builtinTypes":                   "the table of slot types, read only",
	}
}

// handled is the golden list of what firstmate does: the intents that skill has
// a handler for.
const handled = "alert_ack alert_silence alert_unsilence alerts_list approve autoscale basis cancel chain confirm cordon create delete_pod deny deploy diagnose drain errors events greet heal help history link list logs metrics pause promote repeat restart resume rights rollback run_job scale status switch_cluster switch_namespace thanks uncordon undo unlink"

// file is a Go file of the tree.
type file struct {
	name   string // from the root, with slashes
	folder string
	test   bool
	pkg    string // as the file names it
	syntax *ast.File
}

func (f file) imports() []string {
	var out []string
	for _, i := range f.syntax.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			p = i.Path.Value // the parser lets no such thing through
		}
		out = append(out, p)
	}
	return out
}

// tree parses every Go file of the repository, whatever system it is for.
func tree(t *testing.T) (root string, files []file) {
	t.Helper()
	root, err := sandboxtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(d.Name(), ".go"):
			return nil
		}
		syntax, err := parser.ParseFile(fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		name := filepath.ToSlash(rel)
		files = append(files, file{name, path.Dir(name), strings.HasSuffix(name, "_test.go"), syntax.Name.Name, syntax})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d files: the walk is broken", len(files))
	}
	return root, files
}

// ofMainModule drops the files of other modules.
func ofMainModule(files []file) []file {
	return slices.DeleteFunc(slices.Clone(files), func(f file) bool {
		return under(f.folder, "sandbox") || under(f.folder, "deploy/render") || under(f.folder, "e2e/node/images")
	})
}

func under(folder, top string) bool { return folder == top || strings.HasPrefix(folder, top+"/") }

func TestImports(t *testing.T) {
	rooms := house()
	_, files := tree(t)
	seen := map[string]bool{}
	for _, f := range ofMainModule(files) {
		r, ok := rooms[f.folder]
		if !ok && !seen[f.folder] {
			t.Errorf("%s: package %s is not in the import table: add its room, with what it may import", f.name, f.folder)
		}
		seen[f.folder] = true
		for _, imp := range f.imports() {
			if why := forbidden(f, r, imp); ok && why != "" {
				t.Errorf("%s imports %s: %s", f.name, strings.TrimPrefix(imp, module+"/"), why)
			}
		}
	}
	for name := range rooms {
		if !seen[name] {
			t.Errorf("the import table has a room %s that is not in the tree", name)
		}
	}
}

// forbidden says which rule an import breaks, "" where it breaks none.
func forbidden(f file, r room, imp string) string {
	if strings.HasPrefix(imp, "k8s.io/") && f.folder != "internal/kube" {
		return "only internal/kube speaks to Kubernetes, tests included; take its types"
	}
	if p, ok := strings.CutPrefix(imp, module+"/"); ok {
		switch {
		case p == "cmd/bot":
			return "nothing imports cmd/bot: what is needed of it belongs into a room of its own"
		case under(p, "sandbox"):
			return "sandbox is another module, so that this one stays free of k8s.io/kubernetes; internal/sandboxtest starts its binary"
		case p == "internal/channel/channeltest" && !f.test:
			return "channeltest is for tests"
		case under(p, "internal/channel") && under(f.folder, "internal/channel") && !under(p, f.folder) && p != "internal/channel/channeltest":
			return "channels never import each other"
		case slices.Contains(r.ours, p), f.test && (p == f.folder || slices.Contains(r.tests, p)):
			return ""
		}
		return fmt.Sprintf("%s may import of ours only %q, its tests also %q", f.folder, r.ours, r.tests)
	}
	if !strings.Contains(strings.Split(imp, "/")[0], ".") || f.test {
		return "" // the standard library; what tests use of others is their own affair
	}
	if !slices.ContainsFunc(r.theirs, func(p string) bool {
		return imp == strings.TrimSuffix(p, "/") || strings.HasPrefix(imp, strings.TrimSuffix(p, "/")+"/")
	}) {
		return fmt.Sprintf("%s may import of others only %q", f.folder, r.theirs)
	}
	return ""
}

// TestWriterIsHandedOutOnce holds that no skill and no channel can name what
// changes a cluster.
func TestWriterIsHandedOutOnce(t *testing.T) {
	_, files := tree(t)
	named := false
	for _, f := range ofMainModule(files) {
		if f.folder == "internal/kube" {
			continue
		}
		as := ""
		for _, i := range f.syntax.Imports {
			if i.Path.Value == strconv.Quote(module+"/internal/kube") {
				as = "kube"
				if i.Name != nil {
					as = i.Name.Name
				}
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok || as == "" {
				return true
			}
			x, ok := s.X.(*ast.Ident)
			if !ok || x.Name != as || !strings.Contains(s.Sel.Name, "Writer") {
				return true
			}
			named = true
			if f.folder != "cmd/bot" {
				t.Errorf("%s names kube.%s: only cmd/bot does, and hands it to the ledger; propose to the ledger instead", f.name, s.Sel.Name)
			}
			return true
		})
		if as == "." {
			t.Errorf("%s dot-imports kube, which hides what it names", f.name)
		}
	}
	if !named {
		t.Error("not even cmd/bot names kube.NewWriters: this test looks for the wrong thing")
	}
}

// TestReadOnlyBuildsNoWriter holds that with --read-only there is nothing that
// could write: each place that makes a Writer is reached only without it.
func TestReadOnlyBuildsNoWriter(t *testing.T) {
	_, files := tree(t)
	made := 0
	for _, f := range files {
		if f.folder != "cmd/bot" || f.test {
			continue
		}
		var inside []ast.Node
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if n == nil {
				inside = inside[:len(inside)-1]
				return true
			}
			inside = append(inside, n)
			if c, ok := n.(*ast.CallExpr); !ok || !strings.HasPrefix(selector(c.Fun), "kube.NewWriter") {
				return true
			}
			made++
			if !slices.ContainsFunc(inside, func(n ast.Node) bool {
				i, ok := n.(*ast.IfStmt)
				if !ok {
					return false
				}
				not, ok := i.Cond.(*ast.UnaryExpr)
				return ok && not.Op == token.NOT && selector(not.X) == "opt.readOnly"
			}) {
				t.Errorf("%s makes a Writer outside of “if !opt.readOnly”", f.name)
			}
			return true
		})
	}
	if made == 0 {
		t.Error("cmd/bot makes no Writer: this test looks for the wrong thing")
	}
}

func TestNothingIsGlobal(t *testing.T) {
	allowed := mutable()
	used := map[string]bool{}
	_, files := tree(t)
	for _, f := range ofMainModule(files) {
		if f.test {
			continue
		}
		for _, d := range f.syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					t.Errorf("%s has func init: do it in a constructor, where a test can see it", f.name)
				}
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, s := range d.Specs {
					v, ok := s.(*ast.ValueSpec)
					if !ok || !shared(v) {
						continue
					}
					for _, n := range v.Names {
						key := f.folder + "." + n.Name
						used[key] = true
						if _, ok := allowed[key]; !ok && n.Name != "_" {
							t.Errorf("%s: var %s can be changed by anyone in the package: make it a constant, a function, or a field", f.name, n.Name)
						}
					}
				}
			}
		}
	}
	for key := range allowed {
		if !used[key] {
			t.Errorf("the list of allowed variables has %s, which is gone", key)
		}
	}
}

// shared reports whether a variable holds something that can be changed
// through it: a map, slice, pointer, channel or function, or what a call gave
// that is not known to be harmless.
func shared(v *ast.ValueSpec) bool {
	switch typ := v.Type.(type) {
	case *ast.MapType, *ast.StarExpr, *ast.ChanType, *ast.FuncType, *ast.InterfaceType:
		return true
	case *ast.ArrayType:
		return typ.Len == nil
	case *ast.SelectorExpr:
		return selector(typ) != "embed.FS"
	}
	return slices.ContainsFunc(v.Values, func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.UnaryExpr:
			return e.Op == token.AND
		case *ast.FuncLit:
			return true
		case *ast.CallExpr:
			return !slices.Contains([]string{"errors.New", "fmt.Errorf", "regexp.MustCompile"}, selector(e.Fun))
		case *ast.CompositeLit:
			switch typ := e.Type.(type) {
			case *ast.MapType:
				return true
			case *ast.ArrayType:
				return typ.Len == nil
			}
		}
		return false
	})
}

// selector is an expression of the form x.Sel, as it is written.
func selector(e ast.Expr) string {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := s.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + s.Sel.Name
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	_, files := tree(t)
	docs := map[string]string{}
	for _, f := range files {
		text := f.syntax.Doc.Text()
		if f.test && strings.HasSuffix(f.pkg, "_test") && docs[f.folder] != "" {
			continue
		}
		switch {
		case docs[f.folder] == "":
			docs[f.folder] = text
		case text != "" && !f.test:
			t.Errorf("%s: package %s has its comment in another file too", f.name, f.folder)
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(docs)) {
		switch doc := docs[folder]; {
		case doc == "":
			t.Errorf("package %s has no package comment", folder)
		case !strings.HasPrefix(doc, "Package ") && !strings.HasPrefix(doc, "Command "):
			t.Errorf("the comment of package %s begins with %.20q, not with Package or Command", folder, doc)
		}
	}
}

// listed is a room in ARCHITECTURE.md; mentioned is anything there that looks
// like a place in the tree.
var (
	listed    = regexp.MustCompile("(?m)^- `([^`]+)`")
	mentioned = regexp.MustCompile("`((?:cmd|internal|intents|sandbox|e2e|bench|docs|deploy)(?:/[A-Za-z0-9_.-]+)*)/?`")
)

func TestArchitectureIsTheTree(t *testing.T) {
	root, files := tree(t)
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	if n := strings.Count(doc, "\n"); n > 200 {
		t.Errorf("ARCHITECTURE.md has %d lines; more than 200 are not read", n)
	}
	rooms := map[string]bool{}
	for _, m := range listed.FindAllStringSubmatch(doc, -1) {
		rooms[m[1]] = true
	}
	folders := map[string]bool{}
	for _, f := range files {
		folders[f.folder] = true
	}
	for _, f := range slices.Sorted(maps.Keys(folders)) {
		if !rooms[f] {
			t.Errorf("ARCHITECTURE.md has no line for %s: add “- `%s`: what it is”", f, f)
		}
	}
	for _, r := range slices.Sorted(maps.Keys(rooms)) {
		if !folders[r] {
			t.Errorf("ARCHITECTURE.md has a line for %s, where there is no package", r)
		}
	}
	for _, m := range mentioned.FindAllStringSubmatch(doc, -1) {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(m[1]))); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ARCHITECTURE.md names %s, which does not exist", m[1])
		}
	}
	// Each invariant names the test that holds it: those must exist too.
	tests := map[string]bool{}
	for _, f := range files {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test {
				tests[fn.Name.Name] = true
			}
		}
	}
	for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)`").FindAllStringSubmatch(doc, -1) {
		if !tests[m[1]] {
			t.Errorf("ARCHITECTURE.md says that %s holds an invariant; there is no such test", m[1])
		}
	}
}

func TestHandledIntents(t *testing.T) {
	handlers := skill.NewCrew(nil, nil, nil).Handlers()
	maps.Copy(handlers, skill.NewIdentity(nil).Handlers())
	got := strings.Join(slices.Sorted(maps.Keys(handlers)), " ")
	if got != handled {
		t.Errorf("skill handles\n%s\nand the golden list is\n%s\nWhat firstmate can do is part of the house: change the list with it, and the documents that name it", got, handled)
	}
}
