package deploy_test

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

const chart = "helm/firstmate"

// renderer builds the program that is Helm's engine, once.
var renderer = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(os.TempDir(), fmt.Sprintf("firstmate-render-%d", os.Getpid()))
	cmd := exec.Command("go", "build", "-o", bin, ".")
	cmd.Dir = "render"
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building deploy/render: %w\n%s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := renderer(); err == nil && !testing.Short() {
		_ = os.Remove(bin) // a file of the temporary folder
	}
	os.Exit(code)
}

// render runs the chart through Helm's engine; args are those of deploy/render.
func render(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds Helm's engine: run without -short")
	}
	bin, err := renderer()
	if err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	cmd := exec.Command(bin, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, said.String())
	}
	return out.String(), nil
}

// object is one rendered object.
type object struct {
	Kind     string
	Metadata struct {
		Name, Namespace string
		Annotations     map[string]string
	}
	Rules   []rule
	RoleRef struct{ Name string }
	Spec    yaml.Node
	Data    map[string]string
}

type rule struct {
	APIGroups     []string `yaml:"apiGroups"`
	Resources     []string
	Verbs         []string
	ResourceNames []string `yaml:"resourceNames"`
}

func objects(t *testing.T, sets ...string) map[string]object {
	t.Helper()
	var args []string
	for _, s := range sets {
		args = append(args, "-set", s)
	}
	text, err := render(t, append(args, chart)...)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]object{}
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var o object
		if err := d.Decode(&o); err != nil {
			if len(out) < 5 {
				t.Fatalf("only %d objects: %v", len(out), err)
			}
			return out
		}
		out[o.Kind+"/"+o.Metadata.Name] = o
	}
}

const (
	postgres = "postgres.enabled=true,credentials.secret=firstmate"
)

func TestTheChartIsSound(t *testing.T) {
	for _, sets := range [][]string{nil, {"-set", postgres, "-set", "replicas=3"}, {"-set", "readOnly=true"}} {
		if _, err := render(t, append(sets, "-lint", chart)...); err != nil {
			t.Errorf("%v: %v", sets, err)
		}
	}
}

func TestTheManifestsAreTheChart(t *testing.T) {
	for file, args := range map[string][]string{
		"firstmate.yaml":          {chart},
		"firstmate-postgres.yaml": {chart, "manifests/postgres.values.yaml"},
	} {
		want, err := render(t, append([]string{"-plain"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(filepath.Join("manifests", file))
		if err != nil || string(kept) != want {
			t.Errorf("manifests/%s is stale (%v): run make manifests", file, err)
		}
		if regexp.MustCompile(`helm\.sh/|managed-by: Helm`).MatchString(want) {
			t.Errorf("manifests/%s has something that only Helm understands", file)
		}
	}
}

// TestBadValuesSayWhatToDo holds what the chart refuses, with the sentence.
func TestBadValuesSayWhatToDo(t *testing.T) {
	for set, want := range map[string]string{
		"replicas=2":                             "Two and more replicas need PostgreSQL",
		"postgres.enabled=true":                  "postgres.enabled needs credentials.secret",
		"replica=2":                              "replica",
		"replicas=many":                          "replicas",
		"image.tagg=1":                           "tagg",
		"image.digest=latest":                    "digest",
		"impersonation.groups[0]=system:masters": "/impersonation/groups/0",
		"impersonation.users[0]=*":               "users",
		"operators.bindings[0].namespace=shop":   "groups",
		"operators.nodes.users[0]=system:node:a": "users",
		"readRules[0].apiGroups[0]=,readRules[0].resources[0]=secrets":      "resources",
		"readRules[0].apiGroups[0]=,readRules[0].resources[0]=*":            "resources",
		"config.access.people[0].name=a,config.access.people[0].pin_hash=x": "pin_hash",
		"config.listen=:80":     "listen",
		"config.state.path=/x":  "path",
		"ingress.enabled=true":  "host",
		"resources.limits=null": "limits",
		"config.access.people[0].name=a,config.access.people[0].write=true,config.access.people[0].user=a,config.access.people[0].groups[0]=system:masters": "/config/access/people/0/groups/0",
	} {
		_, err := render(t, "-set", set, chart)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", set, err, want)
		}
	}
}

// TestNoSecretIsInTheConfigMap asks the program itself which keys are secret.
func TestNoSecretIsInTheConfigMap(t *testing.T) {
	example, err := os.ReadFile("../docs/config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	paths := secretKeys(string(example))
	if len(paths) < 3 {
		t.Fatalf("only %q are secret: the example is read wrongly", paths)
	}
	for _, p := range paths {
		if _, err := render(t, "-set", "config."+p+"=hush", chart); err == nil {
			t.Errorf("%s can be written into a ConfigMap: refuse it in values.schema.json", p)
		}
	}
}

// secretKeys are the paths of keys that may also be KEY_file.
func secretKeys(example string) []string {
	key := regexp.MustCompile(`^( *)#?([a-z_]+):`)
	var dirs, out []string
	secret := false
	for line := range strings.Lines(example) {
		if strings.Contains(line, "# Environment:") {
			secret = strings.Contains(line, " or FIRSTMATE_")
			continue
		}
		m := key.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(strings.TrimSpace(line), "# ") {
			continue
		}
		dirs = append(dirs[:len(m[1])/2], m[2])
		if secret {
			out = append(out, strings.Join(dirs, "."))
		}
		secret = false
	}
	return out
}

// TestRightsAreApart holds that no role reaches Secrets or into pods, that the
// process's own role only looks, and that it may act as those named alone.
func TestRightsAreApart(t *testing.T) {
	person := []string{
		"config.access.people[0].name=Ann", "config.access.people[0].user=ann@example.com", "config.access.people[0].write=true", "config.access.people[0].groups[0]=ops",
		"config.access.people[1].name=Eve",
	}
	all := append(slices.Clone(person), postgres, "replicas=2", "impersonation.groups[0]=oncall",
		"operators.bindings[0].namespace=shop", "operators.bindings[0].groups[0]=ops", "operators.nodes.groups[0]=oncall", "operators.gitops=true",
		"readRules[0].apiGroups[0]=argoproj.io", "readRules[0].resources[0]=applications")
	roles := 0
	for name, o := range objects(t, all...) {
		if strings.HasSuffix(o.Kind, "Role") {
			roles++
		}
		for _, r := range o.Rules {
			what := strings.Join(slices.Concat(r.APIGroups, r.Resources, r.Verbs), " ")
			for _, never := range []string{"*", "secrets", "pods/exec", "pods/attach", "pods/portforward", "proxy", "serviceaccounts", "escalate", "bind ", "token"} {
				if strings.Contains(what, never) {
					t.Errorf("%s: %q has %s", name, what, never)
				}
			}
			impersonates := slices.Contains(r.Verbs, "impersonate")
			switch {
			case impersonates && len(r.ResourceNames) == 0:
				t.Errorf("%s may act as anyone: %q", name, what)
			case impersonates != strings.HasSuffix(name, "-impersonate"):
				t.Errorf("%s: %q", name, what)
			case strings.HasSuffix(name, "-read") && slices.Equal(r.Verbs, []string{"get"}): // less than to look around
			case strings.HasSuffix(name, "-read") && slices.Equal(r.APIGroups, []string{"metrics.k8s.io"}) && slices.Equal(r.Verbs, []string{"get", "list"}): // cannot be watched
			case strings.HasSuffix(name, "-read") && !slices.Equal(r.Verbs, []string{"get", "list", "watch"}):
				t.Errorf("%s does more than to look: %q", name, what)
			}
			if impersonates && r.Resources[0] == "users" && !slices.Equal(r.ResourceNames, []string{"ann@example.com"}) ||
				impersonates && r.Resources[0] == "groups" && !slices.Equal(r.ResourceNames, []string{"oncall", "ops"}) {
				t.Errorf("%s: as %q", what, r.ResourceNames)
			}
		}
	}
	if roles != 5 {
		t.Errorf("%d roles, not read, impersonate, write, write-nodes and leader", roles)
	}
	for _, sets := range [][]string{nil, {"config.access.people[0].name=Eve"}, append(slices.Clone(all), "readOnly=true")} {
		for name, o := range objects(t, sets...) {
			if strings.Contains(name, "impersonate") || strings.Contains(name, "-write") {
				t.Errorf("%v: there is a %s", sets, name)
			}
			if o.Kind == "ConfigMap" && !strings.Contains(o.Data["firstmate.yaml"], "listen") {
				t.Errorf("%v: the configuration is %q", sets, o.Data)
			}
		}
	}
}

// TestReplicas holds what one replica and several differ in.
func TestReplicas(t *testing.T) {
	has := func(o map[string]object, name string) bool { _, ok := o[name]; return ok }
	one, many := objects(t), objects(t, postgres, "replicas=2")
	for name, inMany := range map[string]bool{
		"PersistentVolumeClaim/firstmate": false, "PodDisruptionBudget/firstmate": true, "Role/firstmate-leader": true, "RoleBinding/firstmate-leader": true,
	} {
		if has(one, name) == inMany || has(many, name) != inMany {
			t.Errorf("%s: with one %v, with several %v", name, has(one, name), has(many, name))
		}
	}
	for name, want := range map[string]string{"Deployment/firstmate": "topologySpreadConstraints", "NetworkPolicy/firstmate": "5432"} {
		spec := func(o object) string {
			b, err := yaml.Marshal(&o.Spec)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		if strings.Contains(spec(one[name]), want) || !strings.Contains(spec(many[name]), want) {
			t.Errorf("%s: %s is for several replicas on PostgreSQL", name, want)
		}
	}
	if c := many["ConfigMap/firstmate"].Data["firstmate.yaml"]; !strings.Contains(c, "lease: firstmate/firstmate") || !strings.Contains(c, "postgres_file: /etc/firstmate/credentials/postgres-url") {
		t.Errorf("the configuration of several is\n%s", c)
	}
}

// TestImage builds the program as the Dockerfile does: it needs nothing that an
// empty image does not have.
func TestImage(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program: run without -short")
	}
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0) .*(go build .*) -o /bot \./cmd/bot$`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatal("the Dockerfile builds nothing that this test knows")
	}
	bin := filepath.Join(t.TempDir(), "bot")
	cmd := exec.Command("sh", "-c", m[1]+" VERSION=9.8.7 && export CGO_ENABLED && "+m[2]+" -o "+bin+" ../cmd/bot")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := elf.Open(bin)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // read only
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program is not static: a scratch image has no loader for it")
		}
	}
	cmd = exec.Command(bin, "version")
	cmd.Env = []string{}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "firstmate 9.8.7 ") {
		t.Errorf("it says %q, %v", out, err)
	}
	for _, want := range []string{"\nUSER 65532:65532\n", "\nFROM gcr.io/distroless/static"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the Dockerfile has no %q", want)
		}
	}
}

// most is the exposure that “systemd-analyze security” may find, of 10.
const most = 1.5

// TestUnit has systemd itself look at the unit.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("needs systemd-analyze, of Debian's package systemd")
	}
	unit, err := os.ReadFile("systemd/firstmate.service")
	if err != nil {
		t.Fatal(err)
	}
	// verify looks for the program where the unit says that it is.
	here := strings.ReplaceAll(string(unit), "/usr/local/bin/bot", "/bin/true")
	file := filepath.Join(t.TempDir(), "firstmate.service")
	if err := os.WriteFile(file, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", "--man=no", file).CombinedOutput(); err != nil || bytes.Contains(out, []byte("firstmate.service")) {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=true", fmt.Sprintf("--threshold=%d", int(most*10)), file).CombinedOutput()
	if err != nil {
		t.Errorf("more exposed than %.1f: %v\n%s", most, err, out)
	}
}
