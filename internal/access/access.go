// Package access says who speaks and what they may do. Deny is the default:
// a speaker nobody linked to a person writes nothing, and a person no rule
// lets write writes nothing either.
package access

import (
	"context"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Person is someone with rights; speakers of several channels may be one person.
type Person struct {
	Name     string
	Speakers []string // "channel:id"; "channel:*" is everyone on that channel
	Email    string   // whom a platform confirms to have it is this person there
	User     string   // the Kubernetes user whose rights are used
	Groups   []string // of that user; policies match on them too
	Write    bool     // may change things after a yes: the same as a rule that says so
	// Own marks who acts with the credentials of the process itself: the person
	// at the terminal, with their own kubeconfig. Anybody else has a User.
	Own bool
	// ByRole marks who is known by a role alone, and could be somebody who is known by
	// another name too.
	ByRole  bool
	PINHash string // argon2id, in the PHC form; "" where it is kept in the store or there is none
}

// Guard knows who the speakers are and what the policy says to what they want.
type Guard struct {
	people []Person
	policy Policy
	roles  []Role
	keep   Keeper
}

// NewGuard returns a guard over people and rules. Rules may be nil: then those
// may write whose Write says so. keep holds links and PINs and may be nil:
// then there are none but those of the people.
func NewGuard(people []Person, rules Policy, keep Keeper) *Guard {
	var all Policy
	for _, p := range people {
		if p.Write {
			all = append(all, Rule{
				Name: "write of " + p.Name, Where: "access.people", Verdict: Confirm, Match: Match{People: []string{p.Name}},
			})
		}
	}
	return &Guard{people: people, policy: append(all, rules...), keep: keep}
}

// Policy is all rules: those that the people's Write stands for, and the rest.
func (g *Guard) Policy() Policy { return g.policy }

// Person returns the person of a name.
func (g *Guard) Person(name string) (Person, bool) {
	for _, p := range g.people {
		if p.Name == name {
			return p, true
		}
	}
	return Person{}, false
}

// Who returns the person a speaker is linked to, with what their roles add. What the
// configuration says of this very speaker wins over a link made by a code, that over an
// e-mail address, that over a role, and that over a wildcard.
func (g *Guard) Who(ctx context.Context, s Speaker) (Person, bool, error) {
	p, ok, err := g.linked(ctx, s)
	if err != nil || !ok {
		return Person{}, false, err
	}
	return g.enrol(p, s), true, nil
}

func (g *Guard) linked(ctx context.Context, s Speaker) (Person, bool, error) {
	for _, p := range g.people {
		for _, k := range p.Speakers {
			if k == s.Key() && !strings.HasSuffix(k, ":*") {
				return p, true, nil
			}
		}
	}
	if g.keep != nil && s.Channel != "" && s.ID != "" {
		name, err := g.keep.LinkOf(ctx, s.Key())
		if err != nil {
			return Person{}, false, noMemory(err)
		}
		if p, ok := g.Person(name); ok && name != "" { // a person who is gone takes the links along
			return p, true, nil
		}
	}
	if p, ok := g.byEmail(s); ok {
		return p, true, nil
	}
	if p, ok := g.byRole(s); ok {
		return p, true, nil
	}
	for _, p := range g.people {
		for _, k := range p.Speakers {
			if ch, ok := strings.CutSuffix(k, ":*"); ok && ch == s.Channel {
				return p, true, nil
			}
		}
	}
	return Person{}, false, nil
}

func noMemory(err error) error {
	return fault.Wrap(err, fault.Unavailable, "I cannot look up who you are right now, so I change nothing. Please try again.")
}

// Writer returns the person in whose name the speaker may change a cluster,
// or a refusal that names what to configure. What exactly they may change is
// for Judge to say.
func (g *Guard) Writer(ctx context.Context, s Speaker) (Person, error) {
	p, ok, err := g.Who(ctx, s)
	if err != nil {
		return Person{}, err
	}
	if !ok {
		return Person{}, fault.New(fault.Refused, "You may look but not change anything: nobody has linked %s to a person. An admin can add it under access.people.", s.Key())
	}
	v := g.policy.mayAtAll(s, p, time.Now())
	switch {
	case v.Kind == Deny && v.Rule == "":
		return Person{}, fault.New(fault.Refused, "You may look but not change anything: access.people gives %s no write, and no rule of access.policies does.", p.Name)
	case v.Kind == Deny:
		return Person{}, v.Refusal()
	case p.User == "" && !p.Own:
		return Person{}, fault.New(fault.Refused, "You may look but not change anything: access.people names no Kubernetes user for %s.", p.Name)
	}
	return p, nil
}

// Judge says what the policy says to acts that are only done together.
func (g *Guard) Judge(s Speaker, p Person, acts []Act, now time.Time) Verdict {
	if len(acts) == 0 {
		return Verdict{Kind: Deny}
	}
	v := Decide(g.policy, acts[0], s, p, now)
	for _, a := range acts[1:] {
		v = v.And(Decide(g.policy, a, s, p, now))
	}
	return v
}

// Refusal is the verdict as an error, with the rule that gave it; nil where it
// does not deny.
func (v Verdict) Refusal() error {
	switch {
	case v.Kind != Deny:
		return nil
	case v.Rule == "":
		return fault.New(fault.Refused, "No rule allows you that, so I do not do it. Ask “what may I do?”, or an admin for a rule under access.policies.")
	case v.Reason != "":
		return fault.New(fault.Refused, "%s (rule “%s”)", sentence(v.Reason), v.Rule)
	}
	return fault.New(fault.Refused, "The rule “%s” does not allow that. An admin can change it.", v.Rule)
}

// sentence ends a reason with a stop.
func sentence(s string) string {
	if s = strings.TrimSpace(s); s != "" && !strings.ContainsRune(".!?", rune(s[len(s)-1])) {
		s += "."
	}
	return s
}
