package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
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
		return unauthorized(`Basic realm="firstmate", charset="UTF-8"`, "The user name or the password is missing or wrong.")
	}
}

// Header accepts one value of a named header.
func Header(name, value string) Verifier {
	want := sha256.Sum256([]byte(value))
	return func(r *http.Request) error {
		if same(r.Header.Get(name), want) == 1 {
			return nil
		}
		return unauthorized("", "The header that authenticates the request is missing or wrong.")
	}
}

// Bearer accepts one bearer token.
func Bearer(token string) Verifier {
	want := sha256.Sum256([]byte(token))
	return func(r *http.Request) error {
		scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if strings.EqualFold(scheme, "Bearer") && same(got, want) == 1 {
			return nil
		}
		return unauthorized(`Bearer realm="firstmate"`, "The access token is missing or wrong.")
	}
}

// same compares in constant time; hashing first makes both sides equally long.
func same(got string, want [sha256.Size]byte) int {
	sum := sha256.Sum256([]byte(got))
	return subtle.ConstantTimeCompare(sum[:], want[:])
}

func unauthorized(challenge, sentence string) error {
	return &statusError{
		error: fault.New(fault.Refused, "%s", sentence), status: http.StatusUnauthorized, challenge: challenge,
	}
}
