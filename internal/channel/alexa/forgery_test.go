package alexa

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/alexa/alexatest"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/peers"
)

// forgery is a request that nobody at Amazon made, or made so, or made now.
type forgery struct {
	name   string
	header http.Header
	body   []byte
}

func (f forgery) request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(f.body))
	r.Header = f.header
	return r
}

// authentic is the request that all variants are made of: "yes" to a change.
func authentic(t testing.TB, s alexatest.Said) forgery {
	t.Helper()
	if s.Intent == "" {
		s.Intent = "AMAZON.YesIntent"
	}
	f := forgery{header: http.Header{}, body: s.Body()}
	if err := amazon().Sign(f.header, f.body); err != nil {
		t.Fatal(err)
	}
	return f
}

// forgeries are all variants; seed makes those of chance the same every time.
func forgeries(t testing.TB, server *alexatest.Amazon, now time.Time) (out []forgery) {
	t.Helper()
	chance := mathrand.New(mathrand.NewPCG(4, 5))
	genuine := authentic(t, alexatest.Said{At: now})
	add := func(name string, header http.Header, body []byte) { out = append(out, forgery{name, header, body}) }
	with := func(key string, values ...string) http.Header {
		h := genuine.header.Clone()
		h[http.CanonicalHeaderKey(key)] = values
		return h
	}

	// Tampered: the body is not what was signed.
	for i := range genuine.body {
		b := bytes.Clone(genuine.body)
		b[i] ^= 1 << chance.IntN(8)
		add(fmt.Sprintf("byte %d flipped", i), genuine.header, b)
	}
	for range 200 {
		i := chance.IntN(len(genuine.body))
		j := i + 1 + chance.IntN(len(genuine.body)-i)
		add(fmt.Sprintf("bytes %d to %d left out", i, j), genuine.header, append(bytes.Clone(genuine.body[:i]), genuine.body[j:]...))
	}
	for i, more := range []string{" ", "\n", "{}", "\x00", string(genuine.body)} {
		add(fmt.Sprintf("something behind it %d", i), genuine.header, append(bytes.Clone(genuine.body), more...))
		add(fmt.Sprintf("something before it %d", i), genuine.header, append([]byte(more), genuine.body...))
	}
	// The signature of another body, and no signature.
	other := authentic(t, alexatest.Said{At: now, ID: "amzn1.echo-api.request.2"})
	add("the signature of another", other.header, genuine.body)
	sig, err := base64.StdEncoding.DecodeString(genuine.header.Get(headerSignature))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sig {
		for range 2 {
			s := bytes.Clone(sig)
			s[i] ^= 1 << chance.IntN(8)
			add(fmt.Sprintf("byte %d of the signature flipped", i), with(headerSignature, base64.StdEncoding.EncodeToString(s)), genuine.body)
		}
	}
	for i := range len(sig) {
		add(fmt.Sprintf("%d bytes of the signature", i), with(headerSignature, base64.StdEncoding.EncodeToString(sig[:i])), genuine.body)
	}
	good := genuine.header.Get(headerSignature)
	for i, s := range []string{
		"", " ", "=", "AAAA", base64.RawStdEncoding.EncodeToString(sig), base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 256)), "\t" + good + "\tx", good + good, good[1:], "sha256=" + good,
		good[:10] + "\n" + good[10:], base64.StdEncoding.EncodeToString(make([]byte, 256)), base64.StdEncoding.EncodeToString(append(make([]byte, 1), sig...)), base64.StdEncoding.EncodeToString(append(bytes.Clone(sig), 0)),
	} {
		add(fmt.Sprintf("signature %d", i), with(headerSignature, s), genuine.body)
	}
	add("two signatures", with(headerSignature, good, good), genuine.body)
	add("no signature", with(headerSignature), genuine.body)
	old := with("Signature", good)
	old.Del(headerSignature)
	add("the old signature alone", old, genuine.body)
	add("two addresses", with(headerChain, alexatest.ChainURL, alexatest.ChainURL), genuine.body)
	add("no address", with(headerChain), genuine.body)

	// Addresses that are not in Amazon's folder. A genuine chain lies at every one.
	for _, u := range wrongAddresses() {
		server.Put(u, server.Chain())
		add("at "+u, with(headerChain, u), genuine.body)
	}

	// Certificates that prove nothing.
	for name, c := range chains(t, server, now) {
		u := "https://s3.amazonaws.com/echo.api/" + name + ".pem"
		server.Put(u, c.file)
		h := http.Header{}
		if c.key == nil {
			h = genuine.header.Clone()
		} else if err := alexatest.SignWith(c.key, h, genuine.body); err != nil {
			t.Fatal(err)
		}
		h.Set(headerChain, u)
		add("certificate "+name, h, genuine.body)
	}

	// Signed, and not of now.
	for _, off := range []time.Duration{151 * time.Second, 3 * time.Minute, time.Hour, 24 * time.Hour, 365 * 24 * time.Hour, 30 * 365 * 24 * time.Hour} {
		for _, at := range []time.Time{now.Add(off), now.Add(-off)} {
			f := authentic(t, alexatest.Said{At: at})
			add("made at "+at.String(), f.header, f.body)
		}
	}
	for i := range 100 {
		off := 151*time.Second + time.Duration(chance.Int64N(int64(1000*time.Hour)))
		if i%2 == 0 {
			off = -off
		}
		f := authentic(t, alexatest.Said{At: now.Add(off)})
		add(fmt.Sprintf("made %v from now", off), f.header, f.body)
	}
	for _, at := range []string{"", "0", "now", "1763758800", "2026-13-01T00:00:00Z", "2026-11-21", "21 Nov 2026", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z"} {
		out = append(out, changed(t, "time "+at, func(m map[string]any) { m["request"].(map[string]any)["timestamp"] = at }))
	}
	out = append(out,
		changed(t, "a number for the time", func(m map[string]any) { m["request"].(map[string]any)["timestamp"] = now.Unix() }),
		changed(t, "no request", func(m map[string]any) { delete(m, "request") }),
		changed(t, "no type", func(m map[string]any) { delete(m["request"].(map[string]any), "type") }),
		changed(t, "an unknown type", func(m map[string]any) { m["request"].(map[string]any)["type"] = "AlexaSkillEvent.SkillEnabled" }),
		changed(t, "no id", func(m map[string]any) { delete(m["request"].(map[string]any), "requestId") }),
		changed(t, "nobody", func(m map[string]any) {
			delete(m, "session")
			delete(m["context"].(map[string]any)["System"].(map[string]any), "user")
		}),
		changed(t, "no skill", func(m map[string]any) {
			delete(m["session"].(map[string]any), "application")
			delete(m["context"].(map[string]any)["System"].(map[string]any), "application")
		}),
		changed(t, "the session of another skill", func(m map[string]any) {
			m["session"].(map[string]any)["application"] = map[string]any{"applicationId": "amzn1.ask.skill.other"}
		}),
		changed(t, "the context of another skill", func(m map[string]any) {
			m["context"].(map[string]any)["System"].(map[string]any)["application"] = map[string]any{"applicationId": "amzn1.ask.skill.other"}
		}),
	)
	// Signed, and for another skill.
	id := alexatest.ApplicationID
	for i := range id {
		f := authentic(t, alexatest.Said{At: now, Application: id[:i] + "x" + id[i:]})
		add(fmt.Sprintf("for the skill …x… at %d", i), f.header, f.body)
		if i > 0 {
			f = authentic(t, alexatest.Said{At: now, Application: id[:i]})
			add("for the skill "+id[:i], f.header, f.body)
		}
	}
	return out
}

// changed is a signed request whose JSON is another one.
func changed(t testing.TB, name string, change func(map[string]any)) forgery {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(alexatest.Said{Intent: "AMAZON.YesIntent"}.Body(), &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	b, err := json.Marshal(m)
	f := forgery{name: name, header: http.Header{}, body: b}
	if err == nil {
		err = amazon().Sign(f.header, b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// wrongAddresses are ways of writing where Amazon's certificates do not lie.
func wrongAddresses() (out []string) {
	hosts := []string{
		"s3.amazonaws.com.evil.example", "evil.example", "s3-amazonaws.com", "s3.amazonaws.com:8443", "s3.amazonaws.com:80", "s3.amazonaws.com:0443", "s3.amazonaws.com:", "s3.amazonaws.com.", "S3.EVIL.COM",
		"user@s3.amazonaws.com", "s3.amazonaws.com@evil.example", "user:pass@s3.amazonaws.com:443", "evil.example#s3.amazonaws.com", "echo.s3.amazonaws.com", "s3.us-east-1.amazonaws.com", "127.0.0.1", "[::1]", "localhost", "169.254.169.254",
		"s3.amazonaws.com%00.evil.example", "s3.amazonaws.com%2eevil.example", "ѕ3.amazonaws.com", "xn--3-h1a.amazonaws.com", "",
	}
	paths := []string{"/echo.api/echo-api-cert-12.pem", "/echo.api/c.pem", "/echo.api/a/b.pem"}
	for _, h := range hosts {
		for _, p := range paths {
			for _, scheme := range []string{"https://", "HTTPS://"} {
				out = append(out, scheme+h+p)
			}
		}
	}
	for _, p := range []string{
		"/echo-api-cert.pem", "/Echo.Api/c.pem", "/ECHO.API/c.pem", "/echo.apis/c.pem", "/echo.api", "/echo.api/", "/echo.api/.", "/echo.api/..", "//evil/echo.api/c.pem", "/evil/echo.api/c.pem", "/echo%2eapi", "/invalid.path/c.pem",
		"/echo.api/../evil/c.pem", "/echo.api/./../evil/c.pem", "/echo.api/a/../../evil/c.pem", "/echo.api/%2e%2e/evil/c.pem", "/echo.api/%2E%2E/evil/c.pem", "/echo.api/%2e./evil/c.pem", "/echo.api/..%2fevil/c.pem", "/echo.api/..%2Fevil%2fc.pem",
		"/echo.api%2f../evil/c.pem", "/echo.api/a/%2e%2e/%2e%2e/evil/c.pem", "/echo.api/..\\evil\\c.pem", "/echo.api/..%5cevil%5cc.pem", "/echo.api/\x00/../../evil", "/echo.api/%00/../../evil/c.pem", "/../evil/c.pem", "", "/", "/echo.api//../..//evil/c.pem", "/.%2fecho.api.evil/c.pem",
	} {
		for _, host := range []string{"s3.amazonaws.com", "s3.amazonaws.com:443", "S3.amazonaws.COM"} {
			out = append(out, "https://"+host+p)
		}
	}
	good := strings.TrimPrefix(alexatest.ChainURL, "https:")
	return append(out,
		"http:"+good, "ftp:"+good, "file:"+good, good, "javascript:"+good, "https"+good, "https:"+strings.TrimPrefix(good, "//"), "https:/"+strings.TrimPrefix(good, "//"), " "+alexatest.ChainURL, alexatest.ChainURL+"?x", alexatest.ChainURL+"?", alexatest.ChainURL+"#x", alexatest.ChainURL+"?versionId=1", "not an address", "::", "https://s3.amazonaws.com/echo.api/"+strings.Repeat("a", 600), "https://s3.amazonaws.com/echo.api/%zz")
}

// odd is a file of certificates, and the key that is said to belong to it; nil
// is the genuine one.
type odd struct {
	file []byte
	key  *rsa.PrivateKey
}

func chains(t testing.TB, server *alexatest.Amazon, now time.Time) map[string]odd {
	t.Helper()
	name := []string{chainName}
	issue := func(by alexatest.Certificate, tpl alexatest.Template) alexatest.Certificate {
		c, err := alexatest.Issue(by, tpl)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	day := 24 * time.Hour
	leaf := alexatest.Template{Name: chainName, DNS: name, From: now.Add(-day), To: now.Add(day)}
	but := func(change func(*alexatest.Template)) alexatest.Template {
		out := leaf
		change(&out)
		return out
	}
	root := server.Root()
	anothers := issue(alexatest.Certificate{}, alexatest.Template{Name: "Test Root", CA: true, From: now.Add(-day), To: now.Add(day)})
	expiredCA := issue(root, alexatest.Template{Name: "Old CA", CA: true, From: now.Add(-3 * day), To: now.Add(-2 * day)})
	noCA := issue(root, leaf)
	of := func(c alexatest.Certificate, rest ...alexatest.Certificate) odd {
		return odd{alexatest.PEM(append([]alexatest.Certificate{c}, rest...)...), c.Key}
	}
	genuine := string(server.Chain())
	_, withoutFirst, _ := strings.Cut(genuine, "-----END CERTIFICATE-----\n")
	out := map[string]odd{
		"self-signed":       of(issue(alexatest.Certificate{}, leaf)),
		"another-root":      of(issue(anothers, leaf), anothers),
		"another-root-ours": of(issue(anothers, leaf), anothers, root),
		"expired":           of(issue(root, but(func(t *alexatest.Template) { t.From, t.To = now.Add(-2*day), now.Add(-time.Minute) })), root),
		"not-yet":           of(issue(root, but(func(t *alexatest.Template) { t.From, t.To = now.Add(10*time.Minute), now.Add(2*day) })), root),
		"another-name":      of(issue(root, but(func(t *alexatest.Template) { t.DNS = []string{"evil.example"} })), root),
		"no-name":           of(issue(root, but(func(t *alexatest.Template) { t.DNS = nil })), root),
		"a-wild-name":       of(issue(root, but(func(t *alexatest.Template) { t.DNS = []string{"*.com"} })), root),
		"a-longer-name": of(issue(root, but(func(t *alexatest.Template) {
			t.DNS = []string{"x.echo-api.amazon.com", "echo-api.amazon.com.evil.example"}
		})), root),
		"expired-between":   of(issue(expiredCA, leaf), expiredCA, root),
		"signed-by-a-leaf":  of(issue(noCA, leaf), noCA, root),
		"nothing-between":   {server.Chain()[:strings.Index(genuine, "-----END CERTIFICATE-----")+26], nil},
		"without-the-first": {[]byte(withoutFirst), nil},
		"of-another-key":    of(issue(root, leaf)), // and the signature is the genuine one
		"empty":             {nil, nil},
		"no-pem":            {[]byte("hello"), nil},
		"no-certificate":    {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), nil},
		"cut-off":           {server.Chain()[:700], nil},
		"too-long":          {[]byte(strings.Repeat(genuine, 40)), nil},
		"many":              {[]byte(strings.Repeat(genuine, 5)), nil},
		"elliptic":          {elliptical(t, root, now), nil},
		"a-private-key":     {[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), nil},
	}
	out["of-another-key"] = odd{out["of-another-key"].file, nil}
	return out
}

// elliptical is a chain that is genuine but for the kind of its key.
func elliptical(t testing.TB, root alexatest.Certificate, now time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: chainName}, DNSNames: []string{chainName}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}, root.Cert, &key.PublicKey, root.Key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return alexatest.PEM(alexatest.Certificate{Cert: c}, root)
}

// TestNoForgeryIsAccepted tries more than two thousand requests that are not
// Amazon's, not for this skill or not of this moment. None is acted on, and what
// is genuine is taken before, between and afterwards.
func TestNoForgeryIsAccepted(t *testing.T) {
	server, err := alexatest.New()
	if err != nil {
		t.Fatal(err)
	}
	server.Put(alexatest.ChainURL, amazon().Chain()) // the signer's
	start := time.Now()
	clock := start // moves on, so that no certificate is left unfetched
	e := channeltest.NewEngine(nil)
	s := &skill{engine: e, amazon: server, now: func() time.Time { return clock }}
	server.Roots.AddCert(amazon().Root().Cert)
	h := s.handler(t)
	do := func(f forgery) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, f.request())
		return w
	}
	all := forgeries(t, server, start)
	if len(all) < 2000 {
		t.Errorf("only %d variants", len(all))
	}
	accepted := 0
	control := func(i int) {
		f := authentic(t, alexatest.Said{At: clock, ID: fmt.Sprintf("amzn1.echo-api.request.c%d", i)})
		if w := do(f); w.Code != http.StatusOK {
			t.Fatalf("what is genuine is refused after %d: %d %s", i, w.Code, w.Body)
		}
		accepted++
	}
	for i, f := range all {
		at := clock
		clock = start
		if i%250 == 0 {
			control(i)
		}
		if strings.Contains(f.name, "certificate ") || strings.HasPrefix(f.name, "at ") {
			clock = at.Add(2 * time.Second) // in which one more may be fetched
			if clock.Sub(start) > tolerance {
				clock = start.Add(time.Second)
			}
		}
		if w := do(f); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"error"`) {
			t.Errorf("%s: %d %s", f.name, w.Code, w.Body)
		}
	}
	clock = start
	control(len(all))
	if got := len(e.Requests()); got != accepted {
		t.Errorf("%d turns were taken, %d were genuine", got, accepted)
	}
	t.Logf("%d forgeries", len(all))
}

// TestAReplayIsKnownAndThenTooOld holds that who sends a genuine request again
// gets it recognised as the same, and soon refused.
func TestAReplayIsKnownAndThenTooOld(t *testing.T) {
	clock := time.Now()
	e := channeltest.NewEngine(nil)
	h := (&skill{engine: e, now: func() time.Time { return clock }}).handler(t)
	f := authentic(t, alexatest.Said{At: clock})
	for _, tt := range []struct {
		after time.Duration
		code  int
	}{{0, 200}, {time.Second, 200}, {147 * time.Second, 200}, {4 * time.Second, 400}, {time.Hour, 400}} {
		clock = clock.Add(tt.after)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, f.request())
		if w.Code != tt.code {
			t.Errorf("%v later: %d %s", tt.after, w.Code, w.Body)
		}
	}
	ids := map[string]bool{}
	for _, r := range e.Requests() {
		ids[r.DeliveryID] = true
	}
	if len(ids) != 1 {
		t.Errorf("the engine cannot tell the replay: %v", ids)
	}
}

// TestAddressesInTheirNormalForm are Amazon's own examples, and more that mean
// the same file.
func TestAddressesInTheirNormalForm(t *testing.T) {
	for _, raw := range []string{
		"https://s3.amazonaws.com/echo.api/echo-api-cert.pem", "https://s3.amazonaws.com:443/echo.api/echo-api-cert.pem", "https://s3.amazonaws.com/echo.api/../echo.api/echo-api-cert.pem",
		"HTTPS://S3.AmazonAWS.com/echo.api/echo-api-cert.pem", "https://s3.amazonaws.com/echo.api/./echo-api-cert.pem", "https://s3.amazonaws.com//echo.api//echo-api-cert.pem", "https://s3.amazonaws.com/%65cho.api/echo-api-cert.pem",
	} {
		if u, err := chainURL(raw); err != nil || u.String() != "https://s3.amazonaws.com/echo.api/echo-api-cert.pem" {
			t.Errorf("%s: %v, %v", raw, u, err)
		}
	}
}

// TestACertificateIsFetchedOnceAndNotLongerThanItHolds holds that certificates
// are kept until they expire, and that strangers cannot have many fetched.
func TestACertificateIsFetchedOnceAndNotLongerThanItHolds(t *testing.T) {
	server, err := alexatest.New()
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Now()
	h := (&skill{engine: channeltest.NewEngine(nil), amazon: server, now: func() time.Time { return clock }}).handler(t)
	post := func(at string) int {
		body := alexatest.Said{Intent: "AMAZON.YesIntent", At: clock}.Body()
		r := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body))
		if err := server.Sign(r.Header, body); err != nil {
			t.Fatal(err)
		}
		r.Header.Set(headerChain, at)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for range 3 {
		if c := post(alexatest.ChainURL); c != 200 || server.Fetched() != 1 {
			t.Errorf("%d, fetched %d times", c, server.Fetched())
		}
	}
	for i := range 100 {
		post(fmt.Sprintf("https://s3.amazonaws.com/echo.api/%d.pem", i))
	}
	if n := server.Fetched(); n > fetchBurst {
		t.Errorf("strangers had %d files fetched at once", n)
	}
	if c := post(alexatest.ChainURL); c != 200 {
		t.Errorf("what is known is refused: %d", c)
	}
	clock = clock.Add(25 * time.Hour) // the signer's certificate has expired
	if c := post(alexatest.ChainURL); c != 400 {
		t.Errorf("an expired certificate counts: %d", c)
	}
}

// TestAmazonsOwnCertificates reads a chain that Amazon used in 2019 and 2020.
func TestAmazonsOwnCertificates(t *testing.T) {
	b, err := os.ReadFile("testdata/echo-api-cert-7.pem")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if last := strings.LastIndex(string(b), "-----BEGIN CERTIFICATE-----"); !roots.AppendCertsFromPEM(b[last:]) {
		t.Fatal("no root")
	}
	at := func(s string) error {
		when, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		_, err = NewKeys(nil, roots, time.Now).trust(b, when)
		return err
	}
	if err := at("2020-01-01"); err != nil {
		t.Error("when it was valid:", err)
	}
	for _, when := range []string{"2019-05-01", "2020-06-01", "2026-01-01"} {
		if err := at(when); err == nil {
			t.Error("valid in " + when)
		}
	}
}

// TestAmazonsOwnVerifierAgrees has the package that Amazon publishes look at what
// the tests sign, and at what they forge: theirs refuses nothing that is genuine
// here, and ours accepts nothing that it refuses.
func TestAmazonsOwnVerifierAgrees(t *testing.T) {
	dir := peers.Node(t, "alexa")
	server := amazon()
	root, chain := filepath.Join(dir, "root.pem"), filepath.Join(dir, "chain.pem")
	for name, b := range map[string][]byte{root: alexatest.PEM(server.Root()), chain: server.Chain()} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	asked := []forgery{authentic(t, alexatest.Said{At: now})}
	for i, f := range forgeries(t, server, now) {
		if i%40 == 0 && !strings.HasPrefix(f.name, "certificate") {
			asked = append(asked, f)
		}
	}
	var in bytes.Buffer
	for _, f := range asked {
		flat := map[string]string{}
		for k, v := range f.header {
			flat[k] = strings.Join(v, ", ")
		}
		if err := json.NewEncoder(&in).Encode(map[string]any{"headers": flat, "body": string(f.body)}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "verify.js"), root, chain)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(asked) {
		t.Fatalf("%d answers to %d questions: %s", len(lines), len(asked), out)
	}
	h := (&skill{engine: channeltest.NewEngine(nil)}).handler(t)
	looser := 0
	for i, f := range asked {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, f.request())
		ours, theirs := w.Code == http.StatusOK, lines[i] == "ok"
		if ours && !theirs || i == 0 && !ours {
			t.Errorf("%s: ours %d, theirs %q", f.name, w.Code, lines[i])
		}
		if theirs && !ours {
			looser++
			t.Logf("theirs takes, ours refuses: %s", f.name)
		}
	}
	t.Logf("%d requests, of which theirs alone takes %d", len(asked), looser)
}

// FuzzRequest sends whatever there is, signed: it may be refused, it must not be
// misread.
func FuzzRequest(f *testing.F) {
	b, err := os.ReadFile("testdata/captured-requestEnvelope.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(alexatest.Said{Intent: "scale", Slots: map[string]string{"targets": "web", "replicas": "5"}, Person: "p1"}.Body())
	f.Add(alexatest.Said{Type: "LaunchRequest", New: true}.Body())
	now := time.Now()
	few := map[string]Meaning{"scale": {Intent: "scale", Types: map[string]string{"replicas": "less"}, Samples: []string{"scale {targets} to {replicas}", "scale {targets}"}}}
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := decode(body, alexatest.ApplicationID, now)
		if err != nil {
			return
		}
		if !usable(in.id) || !usable(in.user.ID) || in.person.ID != "" && !usable(in.person.ID) {
			t.Errorf("%+v", in)
		}
		for _, v := range in.slots {
			if v == "" || len([]rune(v)) > maxText || strings.ContainsAny(v, "\n\x00\x1b") {
				t.Errorf("slot %q", v)
			}
		}
		understand(few, in.name, in.slots)
	})
}

// FuzzAddress holds that whatever address is taken is in Amazon's folder.
func FuzzAddress(f *testing.F) {
	for _, u := range wrongAddresses() {
		f.Add(u)
	}
	f.Add(alexatest.ChainURL)
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := chainURL(raw)
		if err != nil {
			return
		}
		if s := u.String(); !strings.HasPrefix(s, "https://s3.amazonaws.com/echo.api/") || strings.Contains(u.EscapedPath()+"/", "/../") || u.Port() != "" {
			t.Errorf("%q became %q", raw, s)
		}
	})
}
