package dialogflow_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/dialogflow"
)

// issuer plays Google: it signs tokens and shows its keys.
type issuer struct {
	*httptest.Server
	key     *rsa.PrivateKey
	kid     string
	fetched atomic.Int32
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, kid: "k1"}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.fetched.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": i.kid, "n": b64(i.key.N.Bytes()), "e": b64(big.NewInt(int64(i.key.E)).Bytes()),
		}}})
	}))
	t.Cleanup(i.Close)
	return i
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func part(v any) string {
	b, _ := json.Marshal(v)
	return b64(b)
}

type claims = map[string]any

const audience = "https://bot.example/webhooks/dialogflow/cx"

// claims are those of a token as Google gives one to Dialogflow.
func (i *issuer) claims() claims {
	now := time.Now().Unix()
	return claims{
		"iss": i.URL, "aud": audience, "azp": "1", "sub": "1", "email": agent, "email_verified": true, "iat": now, "exp": now + 3600,
	}
}

func (i *issuer) sign(t testing.TB, header, c claims, key *rsa.PrivateKey) string {
	t.Helper()
	signed := part(header) + "." + part(c)
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64(sig)
}

func (i *issuer) token() dialogflow.Token {
	return dialogflow.Token{Audience: audience, Account: agent, Issuer: i.URL, KeysURL: i.URL}
}

// TestToken tries tokens, of which one is right.
func TestToken(t *testing.T) {
	i := newIssuer(t)
	h := cxHandler(t, config(dialogflow.Auth{Token: i.token()}), channeltest.NewEngine(nil))
	header := claims{"alg": "RS256", "typ": "JWT", "kid": "k1"}
	with := func(key string, v any) claims {
		c := i.claims()
		if c[key] = v; v == nil {
			delete(c, key)
		}
		return c
	}
	good := i.sign(t, header, i.claims(), i.key)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&i.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	confused := func(key []byte) string { // HMAC with what everybody may read
		signed := part(claims{"alg": "HS256", "typ": "JWT", "kid": "k1"}) + "." + part(i.claims())
		m := hmac.New(sha256.New, key)
		m.Write([]byte(signed))
		return signed + "." + b64(m.Sum(nil))
	}
	swapped := strings.Split(good, ".")
	swapped[1] = part(with("email", "service-9@gcp-sa-dialogflow.iam.gserviceaccount.com"))
	now := time.Now().Unix()
	for name, tt := range map[string]struct {
		header string
		status int
	}{
		"right":                          {"Bearer " + good, 200},
		"right, in another case":         {"bearer " + good, 200},
		"none":                           {"", 401},
		"another scheme":                 {"Basic " + good, 401},
		"no token":                       {"Bearer ", 401},
		"rubbish":                        {"Bearer a.b.c", 401},
		"too long":                       {"Bearer " + strings.Repeat("a", 9000), 401},
		"expired":                        {"Bearer " + i.sign(t, header, with("exp", now-1), i.key), 401},
		"without an end":                 {"Bearer " + i.sign(t, header, with("exp", nil), i.key), 401},
		"not yet":                        {"Bearer " + i.sign(t, header, with("nbf", now+3600), i.key), 401},
		"from the future":                {"Bearer " + i.sign(t, header, with("iat", now+3000), i.key), 401},
		"another audience":               {"Bearer " + i.sign(t, header, with("aud", "https://bot.example/webhooks/dialogflow/es"), i.key), 401},
		"without an audience":            {"Bearer " + i.sign(t, header, with("aud", nil), i.key), 401},
		"another issuer":                 {"Bearer " + i.sign(t, header, with("iss", "https://accounts.google.com"), i.key), 401},
		"another project's agent":        {"Bearer " + i.sign(t, header, with("email", "service-9@gcp-sa-dialogflow.iam.gserviceaccount.com"), i.key), 401},
		"an agent by the beginning":      {"Bearer " + i.sign(t, header, with("email", agent+".evil.example"), i.key), 401},
		"nobody":                         {"Bearer " + i.sign(t, header, with("email", nil), i.key), 401},
		"an address nobody verified":     {"Bearer " + i.sign(t, header, with("email_verified", false), i.key), 401},
		"an address, verified in words":  {"Bearer " + i.sign(t, header, with("email_verified", "true"), i.key), 401},
		"another key":                    {"Bearer " + i.sign(t, header, i.claims(), other), 401},
		"a key that nobody knows":        {"Bearer " + i.sign(t, claims{"alg": "RS256", "kid": "k9"}, i.claims(), other), 401},
		"a key that it brings along":     {"Bearer " + i.sign(t, claims{"alg": "RS256", "kid": "k1", "jwk": claims{"kty": "RSA", "n": b64(other.N.Bytes()), "e": "AQAB"}}, i.claims(), other), 401},
		"other claims":                   {"Bearer " + strings.Join(swapped, "."), 401},
		"no signature":                   {"Bearer " + part(claims{"alg": "none"}) + "." + part(i.claims()) + ".", 401},
		"no signature, cut off":          {"Bearer " + strings.Join(strings.Split(good, ".")[:2], ".") + ".", 401},
		"none with a signature":          {"Bearer " + i.sign(t, claims{"alg": "none", "kid": "k1"}, i.claims(), i.key), 401},
		"HMAC with the public key (PEM)": {"Bearer " + confused(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), 401},
		"HMAC with the public key (DER)": {"Bearer " + confused(public), 401},
		"HMAC with the modulus":          {"Bearer " + confused(i.key.N.Bytes()), 401},
	} {
		r := cxRaw(strings.NewReader(cxQuery("r", "hi")))
		r.Header.Set("Authorization", tt.header)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != tt.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "oidc") || strings.Contains(w.Body.String(), "jwt") {
			t.Errorf("%s: the cause is told: %s", name, w.Body)
		}
	}
}

// TestChannelToken holds what holds for every channel: verification first.
func TestChannelToken(t *testing.T) {
	i := newIssuer(t)
	good := "Bearer " + i.sign(t, claims{"alg": "RS256", "kid": "k1"}, i.claims(), i.key)
	signed := func(r *http.Request) *http.Request {
		r.Header.Set("Authorization", good)
		return r
	}
	channeltest.Run(t, channeltest.Channel{
		Handler: func(t *testing.T, e *channeltest.Engine) http.Handler {
			return cxHandler(t, config(dialogflow.Auth{Token: i.token()}), e)
		},
		Request: func(delivery, text string) *http.Request {
			return signed(cxRaw(strings.NewReader(cxQuery(delivery, text))))
		},
		Raw: func(body io.Reader) *http.Request { return signed(cxRaw(body)) },
		Forge: map[string]func(*http.Request){
			"none": func(r *http.Request) { r.Header.Del("Authorization") },
			"cut":  func(r *http.Request) { r.Header.Set("Authorization", good[:len(good)-4]) },
		},
		MaxBody: 64 << 10,
	})
}

// TestKeysAreNotFetchedForEveryToken: whoever makes tokens up cannot make us ask
// for keys as often as they like, and new keys are learned all the same.
func TestKeysAreNotFetchedForEveryToken(t *testing.T) {
	i := newIssuer(t)
	h := cxHandler(t, config(dialogflow.Auth{Token: i.token()}), channeltest.NewEngine(nil))
	ask := func(kid string, key *rsa.PrivateKey) int {
		r := cxRaw(strings.NewReader(cxQuery("r", "hi")))
		r.Header.Set("Authorization", "Bearer "+i.sign(t, claims{"alg": "RS256", "kid": kid}, i.claims(), key))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if n := i.fetched.Load(); n != 0 {
		t.Errorf("keys were fetched %d times before there was a token", n)
	}
	old := i.key
	if got := ask("k1", old); got != 200 {
		t.Fatal(got)
	}
	renewed, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i.key, i.kid = renewed, "k2"
	if got := ask("k2", renewed); got != 200 {
		t.Errorf("the new key: %d", got)
	}
	for range 50 {
		if got := ask("k3", old); got != 401 {
			t.Fatalf("an unknown key: %d", got)
		}
	}
	if got := ask("k2", renewed); got != 200 {
		t.Errorf("the new key, among forgeries: %d", got)
	}
	if n := i.fetched.Load(); n > 4 {
		t.Errorf("keys were fetched %d times", n)
	}
}

// TestClientCertificate tells a certificate that the server verified from one
// that somebody tells about.
func TestClientCertificate(t *testing.T) {
	const name = "*.dialogflow.com"
	spiffe, err := url.Parse("spiffe://google/dialogflow")
	if err != nil {
		t.Fatal(err)
	}
	chain := func(c x509.Certificate) *tls.ConnectionState {
		return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{&c}, VerifiedChains: [][]*x509.Certificate{{&c}}}
	}
	unverified := chain(x509.Certificate{DNSNames: []string{name}})
	unverified.VerifiedChains = nil
	for _, tt := range []struct {
		what, name string
		tls        *tls.ConnectionState
		status     int
	}{
		{"right", name, chain(x509.Certificate{DNSNames: []string{"other", name}}), 200},
		{"a URI", spiffe.String(), chain(x509.Certificate{URIs: []*url.URL{spiffe}}), 200},
		{"no TLS", name, nil, 401},
		{"no certificate", name, &tls.ConnectionState{}, 401},
		{"not verified", name, unverified, 401},
		{"another name", name, chain(x509.Certificate{DNSNames: []string{"a.dialogflow.com"}}), 401},
	} {
		r := cxRaw(strings.NewReader(cxQuery("r", "hi")))
		r.TLS = tt.tls
		for _, h := range []string{"X-Forwarded-Client-Cert", "X-Client-Verify", "Ssl-Client-Verify", "X-SSL-Client-S-DN"} {
			r.Header.Set(h, name)
		}
		w := httptest.NewRecorder()
		if cxHandler(t, config(dialogflow.Auth{ClientName: tt.name}), channeltest.NewEngine(nil)).ServeHTTP(w, r); w.Code != tt.status {
			t.Errorf("%s: %d %s", tt.what, w.Code, w.Body)
		}
	}
}
