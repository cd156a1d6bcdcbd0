package alexa

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// identityProvider is the library's own test server, with user info besides.
func identityProvider(t *testing.T) (*httptest.Server, func(claims string) string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: crypto.PublicKey(key.Public()), KeyID: "k", Algorithm: oidc.RS256}}}
	mux := http.NewServeMux()
	srv := httptest.NewTLSServer(mux)
	t.Cleanup(srv.Close)
	s.SetIssuer(srv.URL)
	mux.Handle("/", s)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		inner := httptest.NewRecorder()
		s.ServeHTTP(inner, r)
		var m map[string]any
		if err := json.Unmarshal(inner.Body.Bytes(), &m); err != nil {
			t.Error(err)
		}
		m["userinfo_endpoint"] = srv.URL + "/userinfo"
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(m); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("/userinfo", func(w http.ResponseWriter, r *http.Request) {
		claims := map[string]string{
			"Bearer anns":       `{"sub":"7","email":"ann@example.com","email_verified":true}`,
			"Bearer unverified": `{"sub":"8","email":"ann@example.com","email_verified":false}`,
			"Bearer nobodys":    `{"sub":"9"}`,
			"Bearer odd":        `{"sub":"9","email":"ann@example.com\nx"}`,
		}[r.Header.Get("Authorization")]
		switch {
		case r.Header.Get("Authorization") == "Bearer broken":
			http.Error(w, "down", http.StatusBadGateway)
		case claims == "":
			http.Error(w, "who?", http.StatusUnauthorized)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(claims)) // the test tells
		}
	})
	return srv, func(claims string) string { return oidctest.SignIDToken(key, "k", oidc.RS256, claims) }
}

func TestLinkedAccounts(t *testing.T) {
	srv, sign := identityProvider(t)
	_, forge := identityProvider(t)
	claims := func(aud string, exp time.Duration, more string) string {
		return fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"7","exp":%d%s}`, srv.URL, aud, time.Now().Add(exp).Unix(), more)
	}
	const email = `,"email":"ann@example.com"`
	for _, tt := range []struct {
		name, audience, claim, token string
		want                         string
		kind                         fault.Kind
	}{
		{"user info", "", "email", "anns", "ann@example.com", ""},
		{"its subject", "", "sub", "anns", "7", ""},
		{"an address that nobody verified", "", "email", "unverified", "", fault.Refused},
		{"no such claim", "", "email", "nobodys", "", fault.Refused},
		{"an odd claim", "", "email", "odd", "", fault.Refused},
		{"a token of nobody", "", "email", "else", "", fault.Refused},
		{"a provider that is down", "", "email", "broken", "", fault.Unavailable},
		{"a JWT", "firstmate", "email", sign(claims("firstmate", time.Hour, email)), "ann@example.com", ""},
		{"a JWT's subject", "firstmate", "sub", sign(claims("firstmate", time.Hour, email)), "7", ""},
		{"a JWT for somebody else", "firstmate", "email", sign(claims("another", time.Hour, email)), "", fault.Refused},
		{"an expired JWT", "firstmate", "email", sign(claims("firstmate", -time.Hour, email)), "", fault.Refused},
		{"a forged JWT", "firstmate", "email", forge(claims("firstmate", time.Hour, email)), "", fault.Refused},
		{"no JWT", "firstmate", "email", "anns", "", fault.Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := NewAccounts(OIDC{Issuer: srv.URL, Audience: tt.audience, Claim: tt.claim}, srv.Client())
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // found out anew, and known
				got, err := a.Owner(t.Context(), tt.token)
				if got != tt.want || fault.KindOf(err) != tt.kind {
					t.Errorf("%q, %v", got, err)
				}
				if err != nil && strings.Contains(fault.Say(err), tt.token) {
					t.Errorf("it says the token: %s", fault.Say(err))
				}
			}
		})
	}
}

func TestAnIdentityProviderThatComesBack(t *testing.T) {
	srv, _ := identityProvider(t)
	broken := true
	client := srv.Client()
	way := client.Transport
	client.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		if broken {
			return nil, fmt.Errorf("dial tcp: no way")
		}
		return way.RoundTrip(r)
	})
	a, err := NewAccounts(OIDC{Issuer: srv.URL, Claim: "sub"}, client)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Owner(t.Context(), "anns"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("while it is away: %v", err)
	}
	broken = false
	if id, err := a.Owner(t.Context(), "anns"); id != "7" || err != nil {
		t.Errorf("once it is back: %q, %v", id, err)
	}
	broken = true
	if _, err := a.Owner(t.Context(), "anns"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("when it is away again: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestIssuers(t *testing.T) {
	for _, o := range []OIDC{{}, {Issuer: "http://id.example", Claim: "sub"}, {Issuer: "https://id.example"}} {
		if _, err := NewAccounts(o, nil); fault.KindOf(err) != fault.Usage {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
