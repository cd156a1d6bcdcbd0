package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Config is the whole configuration. Every key is also a variable of the
// environment: FIRSTMATE_ and the path in capitals, with _ for the dots.
type Config struct {
	Listen        string              `yaml:"listen" doc:"Where bot serve listens. Port 0 takes a free one."`
	TLS           TLSConfig           `yaml:"tls"`
	State         StateConfig         `yaml:"state"`
	Replicas      ReplicasConfig      `yaml:"replicas"`
	Kubernetes    KubernetesConfig    `yaml:"kubernetes"`
	Access        AccessConfig        `yaml:"access"`
	Web           WebConfig           `yaml:"web"`
	Dialogflow    DialogflowConfig    `yaml:"dialogflow"`
	Phone         PhoneConfig         `yaml:"phone"`
	Slack         SlackConfig         `yaml:"slack"`
	OnCall        OnCallConfig        `yaml:"oncall"`
	Alexa         AlexaConfig         `yaml:"alexa"`
	Discord       DiscordConfig       `yaml:"discord"`
	GitOps        GitOpsConfig        `yaml:"gitops"`
	Proposals     ProposalsConfig     `yaml:"proposals"`
	Risk          RiskConfig          `yaml:"risk"`
	Rollouts      RolloutsConfig      `yaml:"rollouts"`
	Nodes         NodesConfig         `yaml:"nodes"`
	Misses        MissesConfig        `yaml:"misses"`
	Observability ObservabilityConfig `yaml:"observability"`
	Alerts        AlertsConfig        `yaml:"alerts"`
	Diagnosis     DiagnosisConfig     `yaml:"diagnosis"`
	Speech        SpeechConfig        `yaml:"speech"`
	MCP           MCPConfig           `yaml:"mcp"`
	LLM           LLMConfig           `yaml:"llm"`
	Log           LogConfig           `yaml:"log"`
}

// StateConfig is where conversations and the journal are kept.
type StateConfig struct {
	Path     string `yaml:"path" doc:"The SQLite file with conversations, the journal of changes and the audit trail. Empty: firstmate/firstmate.db in the user's state directory."`
	Postgres Secret `yaml:"postgres" doc:"Instead of a file, a PostgreSQL database that several replicas may share, like postgres://firstmate:password@db.example/firstmate."`
}

// KubernetesConfig is which cluster is talked about.
type KubernetesConfig struct {
	Kubeconfig       string            `yaml:"kubeconfig" doc:"Empty: what kubectl would take ($KUBECONFIG, ~/.kube/config, the Pod's own account)."`
	Context          string            `yaml:"context" doc:"Empty: the kubeconfig's current context."`
	Namespace        string            `yaml:"namespace" doc:"Where names are looked for first. Empty: the context's namespace."`
	NamespaceAliases map[string]string `yaml:"namespace_aliases" doc:"What people call namespaces, as in {production: prod}."`
	Clusters         []ClusterConfig   `yaml:"clusters" doc:"Several clusters, a list of {name, kubeconfig, context, namespace, in_cluster, aliases, production}. The first is home, or the one that context names. Empty: the one cluster of the keys above; bot chat and bot ask then know all contexts of the kubeconfig."`
}

// ProposalsConfig is how long a proposed change waits for an answer.
type ProposalsConfig struct {
	ExpireAfter time.Duration `yaml:"expire_after" doc:"How long a yes to a proposed change counts."`
}

// RiskConfig is what makes a change riskier.
type RiskConfig struct {
	Production []string `yaml:"production" doc:"Names of the namespaces and clusters that are production, as patterns with *. A namespace's label environment or env has the last word."`
}

// NodesConfig is how nodes are emptied.
type NodesConfig struct {
	DrainFor time.Duration `yaml:"drain_for" doc:"How long a drain goes on trying where disruption budgets do not allow it, from the yes on. What is left then is named."`
}

// MissesConfig is what is kept to learn from.
type MissesConfig struct {
	Keep bool `yaml:"keep" doc:"Whether sentences that were not understood are kept, masked, in the state file for bot misses."`
	Max  int  `yaml:"max" doc:"How many are kept; the oldest leave first."`
}

// LogConfig is the operator's log, on standard error.
type LogConfig struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error."`
	Format string `yaml:"format" doc:"text or json."`
}

// Secret is a value that is never shown: the value itself under its key, the
// path of a file that holds it under key_file, or the name of an environment
// variable under key_env.
type Secret string

// String hides the secret from logs and error messages.
func (Secret) String() string { return "(hidden)" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "(hidden)" }

// defaults are the values of keys that nobody set.
func defaults() Config {
	return Config{
		GitOps:        gitOpsDefaults(),
		Observability: observabilityDefaults(),
		Diagnosis:     diagnosisDefaults(),
		Dialogflow:    dialogflowDefaults(),
		Phone:         phoneDefaults(),
		Slack:         slackDefaults(),
		OnCall:        onCallDefaults(),
		Alexa:         alexaDefaults(),
		Discord:       discordDefaults(),
		Listen:        "127.0.0.1:8080",
		Access:        AccessConfig{Limits: LimitsConfig{PersonReads: 300, PersonWrites: 60, ChannelReads: 3000, ChannelWrites: 300}},
		Proposals:     ProposalsConfig{ExpireAfter: action.ProposalLife},
		Risk:          RiskConfig{Production: []string{"prod", "prod-*", "*-prod", "production", "production-*", "*-production", "live"}},
		Rollouts:      rolloutsDefaults(),
		Nodes:         NodesConfig{DrainFor: action.DrainLife},
		Misses:        MissesConfig{Keep: true, Max: 1000},
		Speech:        speechDefaults(),
		MCP:           mcpDefaults(),
		LLM:           llmDefaults(),
		Web:           webDefaults(),
		Log:           LogConfig{Level: "info", Format: "text"},
	}
}

// key is one key of the configuration.
type key struct {
	path  string // "dialogflow.es.password"
	doc   string
	also  string        // another variable of the environment, that other programs know too
	value reflect.Value // of the field
}

func (k key) env() string {
	return "FIRSTMATE_" + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

func (k key) secret() bool { return k.value.Type() == reflect.TypeFor[Secret]() }

// keys lists the keys of a part of the configuration in the order of the struct.
func keys(v reflect.Value, prefix string) []key {
	var out []key
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		if f.Anonymous { // inline
			out = append(out, keys(v.Field(i), prefix)...)
			continue
		}
		path := prefix + f.Tag.Get("yaml")
		if f.Type.Kind() == reflect.Struct {
			part := keys(v.Field(i), path+".")
			for j := range part { // the variable of a part is that of its url
				if also := f.Tag.Get("env"); also != "" && part[j].path == path+".url" {
					part[j].also = also
				}
			}
			out = append(out, part...)
			continue
		}
		out = append(out, key{path: path, doc: f.Tag.Get("doc"), value: v.Field(i)})
	}
	return out
}

// loadConfig reads the file, if one is named, and the environment over it.
func loadConfig(path string, getenv func(string) string) (Config, error) {
	c := defaults()
	ks := keys(reflect.ValueOf(&c).Elem(), "")
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return c, fault.Wrap(err, fault.Usage, "I cannot read the configuration: %v.", err)
		}
		if err := readYAML(b, &c, ks, path, getenv); err != nil {
			return c, err
		}
	}
	for _, k := range ks {
		if v := getenv(k.also); k.also != "" && v != "" && k.value.String() == "" {
			k.value.SetString(v)
		}
		if err := fromEnv(k, getenv); err != nil {
			return c, err
		}
	}
	return c, c.check()
}

// readYAML checks the keys of a file, then takes its values over.
func readYAML(b []byte, c *Config, ks []key, path string, getenv func(string) string) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return fault.Wrap(err, fault.Usage, "%s is not YAML: %v.", path, err)
	}
	if len(doc.Content) == 0 {
		return nil // an empty file
	}
	root := doc.Content[0]
	if err := resolve(root, "", ks, path, getenv); err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(mustMarshal(root)))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return fault.Wrap(err, fault.Usage, "%s: %v.", path, err)
	}
	if n := at(root, "access", "policies"); n != nil && n.Kind == yaml.SequenceNode {
		c.Access.source = path // and the nodes of the file itself, which know their lines
		c.Access.Policies = nil
		for _, rule := range n.Content {
			c.Access.Policies = append(c.Access.Policies, *rule)
		}
	}
	return nil
}

// at finds the value under these keys, nil where there is none.
func at(n *yaml.Node, path ...string) *yaml.Node {
	for _, p := range path {
		var next *yaml.Node
		for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
			if n.Content[i].Value == p {
				next = n.Content[i+1]
			}
		}
		if n = next; n == nil {
			return nil
		}
	}
	return n
}

func mustMarshal(n *yaml.Node) []byte {
	b, err := yaml.Marshal(n)
	if err != nil {
		panic(err) // a tree that was just parsed
	}
	return b
}

// resolve refuses unknown keys and replaces key_file and key_env by the secret.
func resolve(n *yaml.Node, prefix string, ks []key, file string, getenv func(string) string) error {
	if n.Kind != yaml.MappingNode {
		return fault.New(fault.Usage, "%s:%d: %s must be a mapping of keys.", file, n.Line, cmp.Or(strings.TrimSuffix(prefix, "."), "the configuration"))
	}
	for i := 0; i < len(n.Content); i += 2 {
		name, val := n.Content[i], n.Content[i+1]
		path := prefix + name.Value
		if slices.ContainsFunc(ks, func(k key) bool { return k.path == path }) {
			continue
		}
		if slices.ContainsFunc(ks, func(k key) bool { return strings.HasPrefix(k.path, path+".") }) {
			if val.Kind == yaml.ScalarNode && val.Tag == "!!null" {
				continue
			}
			if err := resolve(val, path+".", ks, file, getenv); err != nil {
				return err
			}
			continue
		}
		if k, how, ok := secretKey(ks, path); ok {
			s, err := k.read(how, val.Value, getenv)
			if err != nil {
				return err
			}
			name.Value, val.Kind, val.Tag, val.Value = k.path[strings.LastIndex(k.path, ".")+1:], yaml.ScalarNode, "!!str", s
			continue
		}
		return fault.New(fault.Usage, "%s:%d: I know no key %s. Do you mean %s? “bot config” prints all keys.", file, name.Line, path, nearest(path, ks))
	}
	return nil
}

// secretKey finds the secret that path_file or path_env is about.
func secretKey(ks []key, path string) (key, string, bool) {
	for _, how := range []string{"_file", "_env"} {
		if base, ok := strings.CutSuffix(path, how); ok {
			for _, k := range ks {
				if k.path == base && k.secret() {
					return k, how, true
				}
			}
		}
	}
	return key{}, "", false
}

// read fetches a secret from where it is.
func (k key) read(how, where string, getenv func(string) string) (string, error) {
	if how == "_env" {
		v := getenv(where)
		if v == "" {
			return "", fault.New(fault.Usage, "%s_env names the variable %s, which is not set.", k.path, where)
		}
		return v, nil
	}
	b, err := os.ReadFile(where)
	if err != nil {
		return "", fault.Wrap(err, fault.Usage, "%s_file: %v.", k.path, err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// nearest is the known key that a wrong one is most like.
func nearest(path string, ks []key) string {
	return slices.MinFunc(ks, func(a, b key) int {
		return cmp.Compare(levenshtein.ComputeDistance(a.path, path), levenshtein.ComputeDistance(b.path, path))
	}).path
}

// fromEnv takes over a key's value from the environment.
func fromEnv(k key, getenv func(string) string) error {
	if k.secret() {
		if where := getenv(k.env() + "_FILE"); where != "" {
			s, err := k.read("_file", where, getenv)
			if err != nil {
				return err
			}
			k.value.SetString(s)
		}
		if v := getenv(k.env()); v != "" {
			k.value.SetString(v)
		}
		return nil
	}
	v := getenv(k.env())
	if v == "" {
		return nil
	}
	if k.value.Kind() == reflect.String {
		k.value.SetString(v)
		return nil
	}
	fresh := reflect.New(k.value.Type()) // not merged into what the file says
	if err := yaml.Unmarshal([]byte(v), fresh.Interface()); err != nil {
		return fault.Wrap(err, fault.Usage, "%s: %v.", k.env(), err)
	}
	k.value.Set(fresh.Elem())
	return nil
}

// check refuses what would only fail later.
func (c Config) check() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fault.Wrap(err, fault.Usage, "listen is an address with a port, like 127.0.0.1:8080, not %q.", c.Listen)
	}
	if err := c.Access.check(); err != nil {
		return err
	}
	if err := c.Kubernetes.checkClusters(); err != nil {
		return err
	}
	if err := c.Dialogflow.check(c.TLS); err != nil {
		return err
	}
	if c.State.Path != "" && c.State.Postgres != "" {
		return fault.New(fault.Usage, "state.path and state.postgres are both set; what I remember is in one place only. Remove one of them.")
	}
	if c.Replicas.Lease != "" && c.State.Postgres == "" {
		return fault.New(fault.Usage, "replicas.lease is for replicas that share a PostgreSQL: set state.postgres too, or remove it.")
	}
	if ns, name, ok := strings.Cut(c.Replicas.Lease, "/"); c.Replicas.Lease != "" && (!ok || ns == "" || name == "" || strings.Contains(name, "/")) {
		return fault.New(fault.Usage, "replicas.lease is a namespace and a name, like firstmate/firstmate, not %q.", c.Replicas.Lease)
	}
	if err := c.GitOps.check(); err != nil {
		return err
	}
	if err := c.Diagnosis.check(); err != nil {
		return err
	}
	if err := c.Observability.check(); err != nil {
		return err
	}
	if err := c.Alerts.check(); err != nil {
		return err
	}
	if err := c.MCP.check(); err != nil {
		return err
	}
	if err := c.LLM.check(); err != nil {
		return err
	}
	if err := c.Speech.check(); err != nil {
		return err
	}
	if err := c.checkWeb(); err != nil {
		return err
	}
	if err := c.Alexa.check(); err != nil {
		return err
	}
	if err := c.Discord.check(); err != nil {
		return err
	}
	if err := c.Phone.check(); err != nil {
		return err
	}
	if err := c.Slack.check(); err != nil {
		return err
	}
	if err := c.checkOnCall(); err != nil {
		return err
	}
	if c.Misses.Max < 1 {
		return fault.New(fault.Usage, "misses.max is how many sentences are kept, at least 1; to keep none, set misses.keep to false.")
	}
	if c.Proposals.ExpireAfter <= 0 {
		return fault.New(fault.Usage, "proposals.expire_after is a duration like 2m.")
	}
	if c.Nodes.DrainFor <= 0 {
		return fault.New(fault.Usage, "nodes.drain_for is how long a drain goes on trying, a duration like 15m.")
	}
	if err := c.Rollouts.check(); err != nil {
		return err
	}
	return nil
}

// statePath is the file with the journal.
func (c Config) statePath(getenv func(string) string) (string, error) {
	if c.State.Path != "" {
		return c.State.Path, nil
	}
	dir, err := stateDir(getenv)
	return filepath.Join(dir, "firstmate.db"), err
}

// stateDir follows the XDG Base Directory Specification.
func stateDir(getenv func(string) string) (string, error) {
	if d := getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "firstmate"), nil
	}
	home := getenv("HOME")
	if home == "" {
		u, err := user.Current()
		if err != nil || u.HomeDir == "" {
			return "", fault.New(fault.Usage, "I do not know where to keep my journal: set HOME, XDG_STATE_HOME or state.path.")
		}
		home = u.HomeDir
	}
	return filepath.Join(home, ".local", "state", "firstmate"), nil
}

func configCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print a commented example configuration: every key, its default, its environment variable",
		Args:  args(cobra.NoArgs),
		RunE:  func(*cobra.Command, []string) error { return writeExample(e.out) },
	}
}

// inOneLine is a value as YAML in a line, so that it can be commented out.
func inOneLine(v any) ([]byte, error) {
	var n yaml.Node
	if err := n.Encode(v); err != nil {
		return nil, err
	}
	if n.Kind == yaml.SequenceNode || n.Kind == yaml.MappingNode {
		n.Style = yaml.FlowStyle
	}
	return yaml.Marshal(&n)
}

// writeExample prints every key, commented out, with its default.
func writeExample(w io.Writer) error {
	c := defaults()
	var b strings.Builder
	b.WriteString("# firstmate's configuration. Every key is optional; the values shown are the defaults.\n# A secret may also be KEY_file: the path of a file that holds it, or KEY_env: the name of a variable.\n")
	var open []string
	for _, k := range keys(reflect.ValueOf(&c).Elem(), "") {
		parts := strings.Split(k.path, ".")
		dirs, name := parts[:len(parts)-1], parts[len(parts)-1]
		same := 0
		for same < len(dirs) && same < len(open) && dirs[same] == open[same] {
			same++
		}
		for i := same; i < len(dirs); i++ {
			fmt.Fprintf(&b, "\n%s%s:", strings.Repeat("  ", i), dirs[i])
		}
		open = dirs
		pad := strings.Repeat("  ", len(dirs))
		val, err := inOneLine(k.value.Interface())
		if err != nil {
			return fmt.Errorf("example of %s: %w", k.path, err)
		}
		env := k.env()
		if k.secret() {
			env += " or " + env + "_FILE"
		}
		if k.also != "" {
			env += " or " + k.also
		}
		fmt.Fprintf(&b, "\n%s# %s\n%s# Environment: %s\n%s#%s: %s", pad, k.doc, pad, env, pad, name, val)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
