package access

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

const (
	// CodeLife is how long a code that links a speaker counts.
	CodeLife = 10 * time.Minute

	codeDigits = 8 // 26 bits
	// channelTries bounds the wrong codes of all speakers of a channel: where
	// ids are free to choose, a bound for each is none.
	channelTries = 20
)

// NewCode makes the code by which another speaker becomes linked to a person.
// It is shown once and kept as a hash; a new one takes its place.
func (g *Guard) NewCode(ctx context.Context, person string) (Hidden, error) {
	if _, ok := g.Person(person); !ok {
		return "", fault.New(fault.NotFound, "access.people has no %s.", person)
	}
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return "", fmt.Errorf("access: %w", err)
	}
	code := Hidden(fmt.Sprintf("%0*d", codeDigits, n))
	h, err := hashed(code)
	if err != nil {
		return "", err
	}
	return code, noMemory(g.keep.PutCode(ctx, person, h, time.Now().Add(CodeLife)))
}

// Shown is a code as it is shown: in two groups.
func (h Hidden) Shown() string { return string(h[:len(h)/2]) + " " + string(h[len(h)/2:]) }

// MayLink says whether a speaker can be linked by a code, with the reason if not.
func (g *Guard) MayLink(s Speaker) error {
	if g.keep == nil || !s.Method.personal() || s.Channel == "" || s.ID == "" {
		return fault.New(fault.Refused, "Whoever speaks here goes by the same name, %s, so I cannot tell you from others. An admin can link it under access.people.", s.Key())
	}
	for _, p := range g.people {
		for _, k := range p.Speakers {
			if k == s.Key() {
				return fault.New(fault.Refused, "The configuration says already that you are %s here.", p.Name)
			}
		}
	}
	return nil
}

// Redeem links the speaker to the person that a code was made for.
func (g *Guard) Redeem(ctx context.Context, s Speaker, code Hidden) (Person, error) {
	if err := g.MayLink(s); err != nil {
		return Person{}, err
	}
	for _, bound := range []struct {
		key string
		max int
	}{{"code:" + s.Key(), MaxTries}, {"codes:" + s.Channel, channelTries}} {
		_, ok, err := g.keep.Try(ctx, bound.key, time.Now(), bound.max, Lockout)
		if err != nil {
			return Person{}, noMemory(err)
		}
		if !ok {
			return Person{}, fault.New(fault.Refused, "There were too many wrong codes, so I take none for %d minutes.", int(Lockout.Minutes()))
		}
	}
	name, hash, err := g.find(ctx, code)
	if err != nil {
		return Person{}, err
	}
	p, ok := g.Person(name)
	if ok {
		// Of two who say it at once, one takes it.
		if ok, err = g.keep.TakeCode(ctx, name, hash); err != nil {
			return Person{}, noMemory(err)
		}
	}
	if !ok {
		return Person{}, fault.New(fault.Refused, "That code does not count, or not any more. Ask for a new one where you are linked already, or an admin for “bot link”.")
	}
	if err := g.keep.PutLink(ctx, s.Key(), p.Name); err != nil {
		return Person{}, noMemory(err)
	}
	return p, noMemory(g.keep.Forgive(ctx, "code:"+s.Key()))
}

// find returns whose code it is, "" for nobody's. All that count are compared,
// whichever fits.
func (g *Guard) find(ctx context.Context, code Hidden) (person, hash string, err error) {
	if len(code) != codeDigits || strings.Trim(string(code), "0123456789") != "" {
		return "", "", nil
	}
	all, err := g.keep.Codes(ctx, time.Now())
	if err != nil {
		return "", "", noMemory(err)
	}
	for p, h := range all {
		match, err := argon2id.ComparePasswordAndHash(string(code), h)
		if err != nil {
			return "", "", fmt.Errorf("access: a code's hash: %w", err)
		}
		if match {
			person, hash = p, h
		}
	}
	return person, hash, nil
}

// Unlink ends the link of a speaker that a code made, and reports whether there
// was one.
func (g *Guard) Unlink(ctx context.Context, s Speaker) (bool, error) {
	if g.keep == nil {
		return false, nil
	}
	ok, err := g.keep.DropLink(ctx, s.Key())
	return ok, noMemory(err)
}
