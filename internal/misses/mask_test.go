package misses

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/firstmate-ops/firstmate/intents"
)

var vocabulary = sync.OnceValue(func() map[string]bool {
	c, err := intents.English()
	if err != nil {
		panic(err)
	}
	return c.Vocabulary()
})

func everybodys(w string) bool { return vocabulary()[w] }

func cluster() intents.InventoryData {
	return intents.InventoryData{
		Alerts: []string{"HighErrorRate"}, Containers: []string{"istio-proxy"}, Tags: []string{"2.3", "2.3-giraffe"},
		Clusters: []string{"zebra"}, Namespaces: []string{"shop", "team-rocket"}, NamespaceAliases: map[string]string{"live": "shop"},
		Nodes: []string{"node-1", "ip-10-0-1-23.ec2.internal"},
		Workloads: []intents.Workload{
			{Name: "web", Namespace: "shop"}, {Name: "payments-api", Namespace: "shop", Aliases: []string{"billing"}},
			{Name: "image-resizer", Namespace: "shop"}, {Name: "grommet-2", Namespace: "shop"}, {Name: "checkout", Namespace: "shop"}, {Name: "acme-merger-2027"},
		},
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		// plain words and small numbers stay
		"Please skayl it to five, would you?": "please skayl it to five, would you?",
		"from 3 to 5":                         "from 3 to 5",
		"roll-out 2.3 on 50% at 12:00":        "roll-out 2.3 on 50% at 12:00",
		"kubectl get pods -n x --all":         "kubectl get pods -n x --all",
		"wat is los 👍":                        "wat is los 👍",
		"don't":                               "don't",
		"überprüfe den dienst":                "überprüfe den dienst",
		// names of the inventory
		"skayl web to five":                  "skayl {workload} to five",
		"WEB's pods":                         "{workload} pods",
		"webs":                               "{workload}",
		"payments api and Payments-API, web": "{workload} and {workload}, {workload}",
		"the payments dash api thing":        "the {workload} thing",
		"payment":                            "{workload}",
		"pyaments-api chekout billings":      "{workload}",
		"resizer in live on ip-10-0-1-23.ec2.internal": "{workload} in {namespace} on {node}",
		"node one, node-1 at zebra":                    "node one, {node} at {cluster}",
		"team rocket and teamrocket/web":               "{namespace} and {namespace}/{workload}",
		"deploy/web web=5 web:1.2 web->5":              "deploy/{workload} {workload}=5 {workload}:1.2 {workload} -> 5",
		"acme merger 2027":                             "{workload}",
		"restart grommet two and grommet-7":            "restart {workload} two and {workload}",
		"重启web":                                        "{secret}",
		"ack high error rate, HighErrorRate of istio proxy 2.3 not 2.3-giraffe": "ack {alert}, {alert} of {container} 2.3 not {version}",
		// names of nobody
		"restart pod web-7f9c4d5b8-x2x1z":                     "restart pod {name}",
		"deploy 2.1-bad of 1.2.3-rc1":                         "deploy {version} of {version}",
		"image frobnitz:1.25 ghcr.io/a/b:1.2":                 "image {name}:1.25 {path}",
		"ask bob@example.com or @bob":                         "ask {mail} or {person}",
		"see https://x.y/z?token=1 or www.x.y or example.com": "see {url} or {url} or {url}",
		"curl 10.0.0.12 and /etc/passwd and C:\\x and ~/.ssh": "curl {address} and {path} and {path} and {path}",
		// numbers
		"call 12345 or 1234":             "call {number} or 1234",
		"card 4111 1111 1111 1111 now":   "card {number} now",
		"+49 (151) 234-567":              "{number}",
		"my code is one two three four.": "my code is {number}",
		"1234":                           "{number}",
		"１２３４５":                          "{secret}",
		"3.14159":                        "{number}",
		"12:34:56":                       "{number}:{number}:{number}",
		// quotes
		`say "hello there" and 'good bye' please`: "say {quoted} and {quoted} please",
		`say “never closed because`:               "say {quoted}",
		"don't say 'it":                           "don't say it",
		// secrets
		"my password is correct horse battery":             "my password is {secret}",
		"the password for the admin is swordfish":          "the password for the admin is {secret}",
		"password: swordfish fish":                         "password {secret}",
		"password:swordfish and more":                      "{secret}",
		"pin 4711 please":                                  "pin {secret} please",
		"token=abc":                                        "{secret}",
		"list secrets in staging":                          "list secrets in staging",
		"Authorization: Bearer abcdef":                     "authorization {secret}",
		"use AKIAIOSFODNN7EXAMPLE now":                     "use {secret} now",
		"ghp_16C7e42F292c6912E7710c838347Ae178B4a":         "{secret}",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def_ghi": "{secret}",
		"hun\u200bTer2":                                    "{secret}",
		"p@ssw0rd":                                         "{mail}",
		"P4$$w0rd! hun$ter":                                "{secret}",
		"JBSWYDPEHPKPXPZA xkqjzwvb DeadBeef deadbeef":      "{secret} {name} {secret} {name}",
		"abcd efgh ijkl mnop":                              "{secret}",
		"-----BEGIN PRIVATE KEY-----\nfoo bar":             "{quoted}",
		"550e8400-e29b-41d4-a716-446655440000":             "{secret}",
		"$(rm) ${X} !@#$%^":                                "{secret}",
		"DE89 3704 0044 0532 0130 00":                      "{secret} {number}",
		"":                                                 "",
		"\xff\xfe ...":                                     "",
	} {
		if got := Mask(in, cluster(), everybodys); got != want {
			t.Errorf("%q\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestMaskIsBounded(t *testing.T) {
	if got := strings.Fields(Mask(strings.Repeat("please ", 500), cluster(), everybodys)); len(got) > maxAtoms {
		t.Errorf("%d words are kept", len(got))
	}
}

var (
	placeholder = regexp.MustCompile(`\{(workload|namespace|node|cluster|alert|container|name|number|version|address|mail|person|url|path|quoted|secret)\}`)
	atMost      = regexp.MustCompile(`^[+-]?v?[0-9.]+(x|%|s|m|h|d|ms|k|gb|mb|gi|mi|st|nd|rd|th)?$|^x[0-9]{1,3}$`)
)

// leak says what of a masked sentence should not be there, "" for nothing.
func leak(masked string, inv intents.InventoryData) string {
	figures := 0
	for field := range strings.FieldsSeq(masked) {
		in := 0
		for part := range strings.FieldsFuncSeq(placeholder.ReplaceAllString(field, "\x00"), func(r rune) bool { return strings.ContainsRune("\x00,?;:=/&|", r) }) {
			for _, w := range inv.Workloads {
				if part == w.Name {
					return "a name: " + part
				}
			}
			if vocabulary()[part] || part == "->" {
				continue
			}
			letters, numbers, others := 0, 0, 0
			for _, r := range part {
				switch {
				case unicode.IsLetter(r):
					letters++
				case unicode.IsDigit(r):
					numbers++
				case r > unicode.MaxASCII && !unicode.IsPunct(r), strings.ContainsRune("-'+", r):
				default:
					others++
				}
			}
			switch {
			case letters > maxWord && !vocabulary()[part] && !flag.MatchString(part):
				return "a long word: " + part
			case numbers > 0 && !atMost.MatchString(part):
				return "a number or token: " + part
			case numbers == 0 && others > 0:
				return "signs: " + part
			}
			in += numbers
		}
		if in == 0 {
			figures = 0
		}
		if figures += in; in > maxDigits {
			return "a number: " + field
		}
	}
	return ""
}

// TestLeak holds that the judge of the fuzz test notices something.
func TestLeak(t *testing.T) {
	for _, s := range []string{"abc123", "12345", "1:2345", "a.b", "x web", "swordfishswordfishswordfish", "p$w", "a/b4c"} {
		if leak(s, cluster()) == "" {
			t.Errorf("%q passes", s)
		}
	}
	for _, s := range []string{"scale {workload} to five?", "deploy/{workload}:1.2 -> 5", "to 50% at 12:00"} {
		if why := leak(s, cluster()); why != "" {
			t.Errorf("%q: %s", s, why)
		}
	}
}

// secrets makes what secrets look like of some bytes.
func secrets(b []byte) []string {
	h := hex.EncodeToString(b)
	b64 := base64.StdEncoding.EncodeToString(b)
	url := base64.RawURLEncoding.EncodeToString(b)
	return []string{
		"ghp_" + h, "AKIA" + base32.StdEncoding.EncodeToString(b), "eyJ" + url + "." + url + "." + url, "xoxb-" + h + "-" + h,
		"hunter" + h[:2] + "x9", h + "@example.com", "https://user:" + h + "@host/path?q=" + url, "AIza" + url, "sk-live-" + h, "pw=" + h + "$",
		"-----BEGIN" + b64, strings.ToUpper(h) + "zZ", "\"secret " + h + " phrase\"",
	}
}

func FuzzMask(f *testing.F) {
	for _, s := range []string{"scale web to five", "my password is x", `a "b" 'c' d`, "deploy/web=5:6,7;8|9&0", "pods: ", "4111 1111", "abcd efgh ijkl mnop", "don't", "\x00\xff", "{workload}", "重启web", "ＡＢ１２"} {
		f.Add(s, []byte("0123456789abcdef"), s)
	}
	inv := cluster()
	f.Fuzz(func(t *testing.T, before string, seed []byte, behind string) {
		if len(before)+len(behind) > 2000 || len(seed) > 64 {
			return
		}
		for _, text := range []string{before, behind + " " + before} {
			got := Mask(text, inv, everybodys)
			if why := leak(got, inv); why != "" {
				t.Fatalf("%q → %q: %s", text, got, why)
			}
		}
		if len(seed) < 8 {
			return
		}
		for _, s := range secrets(seed) {
			for _, text := range []string{before + " " + s + " " + behind, s + behind, "x=" + s + "," + behind} {
				got := Mask(text, inv, everybodys)
				if why := leak(got, inv); why != "" {
					t.Fatalf("%q → %q: %s", text, got, why)
				}
				if strings.Contains(strings.ToLower(got), strings.ToLower(strings.Trim(s, `"$-`))) {
					t.Fatalf("%q → %q: the secret survives", text, got)
				}
			}
		}
	})
}

func BenchmarkMask(b *testing.B) {
	inv := cluster()
	for i := range 5000 {
		inv.Workloads = append(inv.Workloads, intents.Workload{Name: "service-" + hex.EncodeToString([]byte{byte(i >> 8), byte(i)})})
	}
	for b.Loop() {
		Mask("could you skayl the chekout thing to seven poddies", inv, everybodys)
	}
}
