package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Basic accepts one user name and password.
func Basic(username, password string) Verifier {
	wantUser, wantPass := sha256.Sum256([]byte(username)), sha256.Sum256([]byte(password))
	return func(r *http.Request) error {
		user, pass, _ := r.BasicAuth()
		// & and not &&: the time must not tell which of the two was right.
		if same(user, wantUser)&same(pass, wantPass) == 1 {
			return nil
		}
		return Unauthorized(`Basic realm="firstmate", charset="UTF-8"`, "The user name or the password is missing or wrong.", nil)
	}
}

// Header accepts one value of a named header.
func Header(name, value string) Verifier {
	want := sha256.Sum256([]byte(value))
	return func(r *http.Request) error {
		if same(r.Header.Get(name), want) == 1 {
			return nil
		}
		return Unauthorized("", "The header that authenticates the request is missing or wrong.", nil)
	}
}

// Bearer accepts one bearer token.
func Bearer(token string) Verifier {
	want := sha256.Sum256([]byte(token))
	return func(r *http.Request) error {
		if same(BearerToken(r), want) == 1 {
			return nil
		}
		return Unauthorized(`Bearer realm="firstmate"`, "The access token is missing or wrong.", nil)
	}
}

// BearerToken is the token of the Authorization header, "" where it has none.
func BearerToken(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// ClientName accepts who showed a TLS certificate of that name, which the
// server checked against the authorities that it trusts for clients. What a
// proxy says of certificates in a header counts for nothing.
func ClientName(name string) Verifier {
	return func(r *http.Request) error {
		if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
			leaf := r.TLS.VerifiedChains[0][0]
			uri := func(u *url.URL) bool { return u.String() == name }
			if slices.Contains(leaf.DNSNames, name) || slices.Contains(leaf.EmailAddresses, name) || slices.ContainsFunc(leaf.URIs, uri) {
				return nil
			}
		}
		return Unauthorized("", "The client's certificate is missing, or is not the one that I expect.", nil)
	}
}

// same compares in constant time; hashing first makes both sides equally long.
func same(got string, want [sha256.Size]byte) int {
	sum := sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(sum[:], want[:])
}

// Unauthorized is a refusal to somebody who did not show who they are, as a
// 401. challenge says how they could and may be ""; cause is for the log, and may
// be nil.
func Unauthorized(challenge, sentence string, cause error) error {
	return &statusError{
		error: &fault.Error{Kind: fault.Refused, Public: sentence, Err: cause}, status: http.StatusUnauthorized, challenge: challenge,
	}
}
