package access

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

const (
	// MaxTries is how many wrong PINs lock a person out, or wrong codes a
	// speaker, for Lockout.
	MaxTries = 5
	// Lockout is how long that lasts.
	Lockout = 15 * time.Minute

	minPIN, maxPIN = 4, 12
)

// strength is what OWASP recommends for argon2id: 19 MiB, two passes.
func strength() *argon2id.Params {
	return &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

// HashPIN returns the argon2id hash of a PIN in the PHC form, or says why it is
// no good as a PIN.
func HashPIN(pin Hidden) (string, error) {
	s := string(pin)
	switch {
	case strings.Trim(s, "0123456789") != "":
		return "", fault.New(fault.Usage, "A PIN has digits only, so that it can be said aloud.")
	case len(s) < minPIN || len(s) > maxPIN:
		return "", fault.New(fault.Usage, "A PIN has %d to %d digits.", minPIN, maxPIN)
	case strings.Count(s, s[:1]) == len(s) || strings.Contains("01234567890123456789", s) || strings.Contains("98765432109876543210", s):
		return "", fault.New(fault.Usage, "That PIN is one of the first that anybody would try. Choose another.")
	}
	return hashed(pin)
}

func hashed(secret Hidden) (string, error) {
	h, err := argon2id.CreateHash(string(secret), strength())
	if err != nil {
		return "", fmt.Errorf("access: %w", err)
	}
	return h, nil
}

// CheckHash says what is wrong with a hash that somebody wrote down.
func CheckHash(hash string) error {
	if _, _, _, err := argon2id.DecodeHash(hash); err != nil {
		return fault.Wrap(err, fault.Usage, "a PIN's hash is what “bot pin --print” prints: $argon2id$v=19$…")
	}
	return nil
}

// SetPIN keeps a person's PIN.
func (g *Guard) SetPIN(ctx context.Context, person string, pin Hidden) error {
	h, err := HashPIN(pin)
	if err != nil {
		return err
	}
	p, ok := g.Person(person)
	switch {
	case !ok:
		return fault.New(fault.NotFound, "access.people has no %s.", person)
	case p.PINHash != "":
		return fault.New(fault.Refused, "The PIN of %s stands in the configuration (pin_hash). Change it there, or take it out first.", person)
	}
	if err := g.keep.PutPIN(ctx, person, h); err != nil {
		return fmt.Errorf("access: %w", err)
	}
	if err := g.keep.Forgive(ctx, "pin:"+person); err != nil {
		return fmt.Errorf("access: %w", err)
	}
	return nil
}

// HasPIN reports whether a person has a PIN.
func (g *Guard) HasPIN(ctx context.Context, p Person) (bool, error) {
	h, err := g.pinOf(ctx, p)
	return h != "", err
}

func (g *Guard) pinOf(ctx context.Context, p Person) (string, error) {
	if p.PINHash != "" || g.keep == nil {
		return p.PINHash, nil
	}
	h, err := g.keep.PINOf(ctx, p.Name)
	return h, noMemory(err)
}

// CheckPIN returns nil where that is the person's PIN. A try is counted before
// it is looked at, so that many at once are no more than as many in a row; the
// count is kept, so that a restart does not forgive.
func (g *Guard) CheckPIN(ctx context.Context, p Person, pin Hidden) error {
	hash, err := g.pinOf(ctx, p)
	if err != nil {
		return err
	}
	if hash == "" || g.keep == nil {
		return fault.New(fault.Refused, "You have no PIN yet. An admin sets one with “bot pin %s”.", p.Name)
	}
	key := "pin:" + p.Name
	left, ok, err := g.keep.Try(ctx, key, time.Now(), MaxTries, Lockout)
	if err != nil {
		return noMemory(err)
	}
	if !ok {
		return locked()
	}
	match, err := argon2id.ComparePasswordAndHash(string(pin), hash)
	if err != nil {
		return fmt.Errorf("access: the PIN's hash of %s: %w", p.Name, err)
	}
	if match {
		return noMemory(g.keep.Forgive(ctx, key))
	}
	switch left {
	case 0:
		return locked()
	case 1:
		return &PINError{fault.New(fault.Refused, "That is not your PIN. One try is left."), false}
	}
	return &PINError{fault.New(fault.Refused, "That is not your PIN. %d tries are left.", left), false}
}

func locked() error {
	return &PINError{fault.New(fault.Refused, "That was the wrong PIN too often, so I take none for %d minutes. Nothing was done.", int(Lockout.Minutes())), true}
}

// PINError says that a PIN was wrong.
type PINError struct {
	err    error
	Locked bool // and that none is taken for a while
}

// Error gives the text for logs.
func (e *PINError) Error() string { return e.err.Error() }

// Unwrap gives the sentence.
func (e *PINError) Unwrap() error { return e.err }
