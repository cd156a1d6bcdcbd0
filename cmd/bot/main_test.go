package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// vars is an environment.
type vars map[string]string

func (v vars) get(k string) string { return v[k] }

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheExampleIsTheDefaultsAndUpToDate(t *testing.T) {
	var b strings.Builder
	if err := writeExample(&b); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile("../../docs/config.example.yaml")
	if err != nil || string(kept) != b.String() {
		t.Errorf("docs/config.example.yaml is stale (%v): run make generate", err)
	}
	for name, text := range map[string]string{
		"as it is":          b.String(),
		"with all keys set": strings.ReplaceAll(b.String(), "#", ""), // comments become text
	} {
		if name != "as it is" {
			var lines []string
			for l := range strings.Lines(b.String()) {
				if trimmed := strings.TrimSpace(l); !strings.HasPrefix(trimmed, "# ") {
					lines = append(lines, strings.Replace(l, "#", "", 1))
				}
			}
			text = strings.Join(lines, "")
		}
		c, err := loadConfig(write(t, text), vars{}.get)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := defaults(); c.Listen != d.Listen || !reflect.DeepEqual(c.Rollouts, d.Rollouts) || c.Log != d.Log {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestConfigSources(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(secret, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := write(t, `
listen: 127.0.0.1:9999
rollouts: {stuck_after: 9s}
kubernetes: {namespace_aliases: {production: prod}}
access:
  people:
    - {name: ann, speakers: ["web:*"], user: ann, groups: [ops], write: true}
dialogflow: {es: {username: df, password_file: `+secret+`}}
web: {token_env: MY_TOKEN}
`)
	c, err := loadConfig(file, vars{"MY_TOKEN": "tok", "FIRSTMATE_LISTEN": "127.0.0.1:1", "FIRSTMATE_LOG_LEVEL": "debug",
		"FIRSTMATE_WEB_ALLOWED_HOSTS": "[a, b]", "FIRSTMATE_ROLLOUTS_STILL_AFTER": "1m"}.get)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:1" || c.Log.Level != "debug" || len(c.Web.AllowedHosts) != 2 || c.Rollouts.StillAfter != time.Minute || c.Rollouts.StuckAfter != 9*time.Second {
		t.Errorf("read %+v", c)
	}
	if c.Dialogflow.ES.Password != "from-file" || c.Web.Token != "tok" || c.Kubernetes.NamespaceAliases["production"] != "prod" || len(c.people()) != 1 {
		t.Errorf("read %+v", c)
	}
	c, err = loadConfig("", vars{"FIRSTMATE_DIALOGFLOW_ES_PASSWORD_FILE": secret, "FIRSTMATE_DIALOGFLOW_ES_USERNAME": "u"}.get)
	if err != nil || c.Dialogflow.ES.Password != "from-file" {
		t.Errorf("read %v, %v", c.Dialogflow.ES, err)
	}
}

func TestBadConfigurationsSayWhatToDo(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"lissen: x", ":1: I know no key lissen. Do you mean listen?"},
		{"a: 1\n", "I know no key a"},
		{"dialogflow:\n  es:\n    pasword: x", ":3: I know no key dialogflow.es.pasword. Do you mean dialogflow.es.password?"},
		{"access: {peple: []}", "Do you mean access.people?"},
		{"access: {people: [{name: a, speakers: ['web:*'], rite: true}]}", "rite"},
		{"access: {people: [{name: a, speakers: ['web:*'], write: true}]}", "user must name"},
		{"access: {people: [{name: a, speakers: [web]}]}", "channel:id"},
		{"access: {roles: [{speaker: 'discord:role:*', write: true}]}", "channel:role:id"},
		{"access: {roles: [{speaker: 'discord:88', write: true}]}", "channel:role:id"},
		{"access: {roles: [{speaker: 'discord:role:88', user: everybody}]}", "{id}"},
		{"access: {roles: [{speaker: 'discord:role:88'}]}", "gives nothing"},
		{"access: {roles: [{speaker: 'discord:role:88', write: true}, {speaker: 'discord:role:88', groups: [a]}]}", "twice"},
		{"listen: nowhere", "like 127.0.0.1:8080"},
		{"rollouts: {stuck_after: soon}", "soon"},
		{"rollouts: {stuck_after: -5s}", "durations"},
		{"web: {token_env: NOT_SET}", "NOT_SET"},
		{"web: {token_file: /does/not/exist}", "web.token_file"},
		{"dialogflow: {es: {username: u}}", "username and password"},
		{"dialogflow: {cx: {client_name: \"*.dialogflow.com\"}}", "tls.client_ca_file"},
		{"dialogflow: {es: {reads: sound}}", "dialogflow.es.reads is text or intent"},
		{"dialogflow: {cx: {header_name: a, header_value: b, patience: 1m}}", "dialogflow.cx: Dialogflow waits for 30 seconds"},
		{"dialogflow: {es: {token_audience: \"https://x\"}}", "dialogflow.es: An ID token is checked"},
		{"web: x", "web must be a mapping"},
		{"- 1", "the configuration must be a mapping"},
		{"a: [", "not YAML"},
	} {
		_, err := loadConfig(write(t, tt.yaml), vars{}.get)
		if fault.KindOf(err) != fault.Usage || !strings.Contains(fault.Say(err), tt.want) {
			t.Errorf("%q: %v; want %q", tt.yaml, err, tt.want)
		}
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	c := defaults()
	c.Web.Token, c.Dialogflow.ES.Password, c.Dialogflow.ES.HeaderValue, c.Discord.Token = "hunter2", "hunter2", "hunter2", "hunter2"
	for _, f := range []string{"%v", "%+v", "%s", "%#v"} {
		if s := bprint(f, c); strings.Contains(s, "hunter2") {
			t.Errorf("%s prints %s", f, s)
		}
	}
}

func TestRunExitStatus(t *testing.T) {
	home := t.TempDir()
	for _, tt := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"version"}, 0, "firstmate"},
		{[]string{"config"}, 0, "dialogflow:"},
		{[]string{"nonsense"}, 2, "unknown command"},
		{[]string{"ask"}, 2, "Usage: bot ask"},
		{[]string{"ask", "--nonsense", "x"}, 2, "nonsense"},
		{[]string{"ask", "--conversation", "a b", "x"}, 2, "conversation"},
		{[]string{"ask", "  "}, 2, "Say what you want"},
		{[]string{"serve", "--config", "/does/not/exist"}, 2, "cannot read"},
		{[]string{"serve", "--listen", "nowhere"}, 2, "listen is an address"},
		{[]string{"ask", "--kubeconfig", "/does/not/exist", "how is web"}, 2, "KUBECONFIG"},
		{[]string{"ask", "--server", "http://127.0.0.1:1", "how is web"}, 5, "cannot reach"},
		{[]string{"recognize", "--lang", "xx"}, 2, "English"},
		{[]string{"recognize", "--inventory", "/does/not/exist"}, 2, "inventory"},
	} {
		var out, errOut bytes.Buffer
		status := run(context.Background(), tt.args, vars{"HOME": home}.get, strings.NewReader(""), &out, &errOut)
		if status != tt.status || !strings.Contains(out.String()+errOut.String(), tt.says) {
			t.Errorf("bot %v: exit %d, said %q%q; want %d, %q", tt.args, status, out.String(), errOut.String(), tt.status, tt.says)
		}
	}
}

func TestRecognizeAnswersLineByLine(t *testing.T) {
	inv := write(t, "namespaces: [shop]\nworkloads: [{name: web, namespace: shop, kind: Deployment}]\n")
	in := strings.NewReader(`{"text": "scale web to five"}` + "\n\n" + `{"text": "scale web"}` + "\n" + `{"text": "tell me a joke <b>"}` + "\n")
	var out, errOut bytes.Buffer
	if status := run(context.Background(), []string{"recognize", "--inventory", inv}, vars{}.get, in, &out, &errOut); status != 0 {
		t.Fatalf("exit %d: %s", status, errOut.String())
	}
	var got []struct {
		Text, Intent, Ask string
		Slots             map[string]any
		Score             float64
	}
	for line := range strings.Lines(out.String()) {
		got = append(got, struct {
			Text, Intent, Ask string
			Slots             map[string]any
			Score             float64
		}{})
		if err := json.Unmarshal([]byte(line), &got[len(got)-1]); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	if len(got) != 3 || got[0].Intent != "scale" || got[0].Slots["replicas"] != 5.0 || got[1].Ask != "replicas" || got[2].Intent != "out_of_scope" || got[2].Slots == nil {
		t.Errorf("answered %+v", got)
	}
	if status := run(context.Background(), []string{"recognize", "--inventory", inv}, vars{}.get, strings.NewReader("scale web\n"), &out, &errOut); status != 2 {
		t.Errorf("text that is not JSON: exit %d", status)
	}
}

func bprint(format string, v any) string { return fmt.Sprintf(format, v) }
