package phone

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/peers"
)

// TestTwiliosVector is the example of Twilio's own pages.
func TestTwiliosVector(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "signature-vector.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Token     string            `json:"auth_token"`
		URL       string            `json:"url"`
		Params    map[string]string `json:"params"`
		Signature string            `json:"X-Twilio-Signature"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	form := url.Values{}
	for k, p := range v.Params {
		form.Set(k, p)
	}
	if got := base64.StdEncoding.EncodeToString(signature(v.Token, v.URL, form)); got != v.Signature {
		t.Errorf("%s, want %s", got, v.Signature)
	}
}

// peer is Twilio's npm package, which answers one question at a time.
type peer struct {
	t       *testing.T
	library *peers.Asked
}

func newPeer(t *testing.T) *peer { return &peer{t, peers.Ask(t, "twilio", "signatures.js")} }

func (p *peer) ask(question map[string]any, answer any) {
	p.t.Helper()
	if err := p.library.Ask(question, answer); err != nil {
		p.t.Fatal(err)
	}
}

// generated is a request as a carrier may send it.
type generated struct {
	token, url string
	form       url.Values
	body       string // in place of a form
}

func generate(r *rand.Rand) generated {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	word := func() string {
		return pick("", "a", "Body", "yes & no", "ü", "日本", "1+1=2", "x%20y", "+15005550001", "\n", "'", "~*()", "<Say>", strings.Repeat("z", r.IntN(50)), fmt.Sprint(r.Uint64()))
	}
	g := generated{token: pick("12345", "0123456789abcdef0123456789abcdef"), form: url.Values{}}
	g.url = pick("https", "http") + "://" + pick("bot.example", "mycompany.com", "127.0.0.1", "[::1]") + pick("", ":443", ":80", ":8443") + pick("/", "/webhooks/twilio/voice", "/a.php")
	if r.IntN(2) == 0 {
		g.url += "?n=" + fmt.Sprint(r.IntN(100)) + pick("", "&expect=pin", "&x=%20", "&y='")
	}
	if r.IntN(8) == 0 {
		g.form, g.body = nil, pick("{}", `{"a":1}`, "ü", word())
		return g
	}
	for range r.IntN(12) {
		k := pick("CallSid", "From", "To", "Digits", "SpeechResult", "Body", "a", "A", "b", "_", "10", "9")
		for range 1 + r.IntN(3)/2 {
			g.form[k] = append(g.form[k], word())
		}
	}
	return g
}

// params is the form as Node's parsers give it: one value is no list.
func (g generated) params() map[string]any {
	out := map[string]any{}
	for k, v := range g.form {
		out[k] = v
		if len(v) == 1 {
			out[k] = v[0]
		}
	}
	return out
}

// withPort is a URL without a port with that of its scheme, "" for another.
func withPort(at string) string {
	u, err := url.Parse(at)
	if err != nil || u.Port() != "" {
		return ""
	}
	port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	return strings.Replace(at, "://"+u.Host, "://"+u.Host+port, 1)
}

// tamper changes something of a request that is signed over.
func tamper(r *rand.Rand, g generated, signature string) (generated, string) {
	form := url.Values{}
	for k, v := range g.form {
		form[k] = slices.Clone(v)
	}
	out := g
	if g.form != nil {
		out.form = form
	}
	switch r.IntN(8) {
	case 0:
		out.url += "&more=1"
	case 1:
		out.url = strings.Replace(out.url, "://", "://evil@", 1)
	case 2:
		out.token += "x"
	case 3:
		b, _ := base64.StdEncoding.DecodeString(signature)
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		return out, base64.StdEncoding.EncodeToString(b)
	case 4:
		return out, signature[:len(signature)-4]
	case 5:
		return out, ""
	case 6:
		if out.form == nil {
			out.body += " "
			break
		}
		out.form.Add("Zz", "tampered")
	case 7:
		if len(out.form) == 0 {
			out.body += "x"
			out.url += "#"
			break
		}
		for k := range out.form {
			out.form[k] = append(out.form[k], "tampered") // a value more
			break
		}
	}
	return out, signature
}

// TestSignaturesAreTwilios: what Twilio's own library signs we accept, and what
// was changed since we refuse, as it does itself.
func TestSignaturesAreTwilios(t *testing.T) {
	p := newPeer(t)
	r := rand.New(rand.NewPCG(5, 11))
	refused := 0
	for range 3000 {
		g := generate(r)
		question := map[string]any{"op": "sign", "token": g.token, "params": g.params()}
		if g.form == nil {
			var sum string
			p.ask(map[string]any{"op": "hash", "body": g.body}, &sum)
			g.url += map[bool]string{true: "&", false: "?"}[strings.Contains(g.url, "?")] + "bodySHA256=" + sum
		}
		question["url"] = g.url
		var sig string
		p.ask(question, &sig)
		if !signed(g.token, g.url, g.form, []byte(g.body), []string{sig}) {
			t.Fatalf("Twilio signed this, and we do not accept it: %+v", g)
		}
		// As a proxy may hand it on.
		if at := withPort(g.url); at != "" && !signed(g.token, at, g.form, []byte(g.body), []string{sig}) {
			t.Fatalf("signed for %s, not accepted at %s", g.url, at)
		}
		bad, badSig := tamper(r, g, sig)
		question = map[string]any{"op": "valid", "token": bad.token, "url": bad.url, "params": bad.params(), "signature": badSig}
		if bad.form == nil {
			question["op"], question["body"] = "validBody", bad.body
		}
		var theirs bool
		p.ask(question, &theirs)
		ours := signed(bad.token, bad.url, bad.form, []byte(bad.body), []string{badSig})
		if ours {
			t.Fatalf("tampered with, and accepted (Twilio's library says %v): %+v", theirs, bad)
		}
		if theirs {
			t.Logf("Twilio's library accepts what we refuse: %+v", bad)
		}
		refused++
		// What our signer makes, their verifier accepts.
		question = map[string]any{
			"op": "valid", "token": g.token, "url": g.url, "params": g.params(),
			"signature": base64.StdEncoding.EncodeToString(signature(g.token, g.url, g.form)),
		}
		if p.ask(question, &theirs); !theirs {
			t.Fatalf("Twilio's library does not accept our signature: %+v", g)
		}
	}
	t.Logf("%d requests signed by Twilio's library accepted, %d tampered with refused", refused, refused)
}
