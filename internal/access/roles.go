package access

import (
	"slices"
	"strings"
)

// Role is what a role that a platform gives people gives them here. Whoever may hand
// the role out there decides who has it.
type Role struct {
	// Speaker is the role's name: "discord:role:88".
	Speaker string
	// User is the Kubernetes user of holders whom nobody linked to a person; {id} in it
	// is their own id on the platform. "" leaves them strangers.
	User   string
	Groups []string // of the holder's Kubernetes user, beside their own; policies match on them
	Write  bool     // may change things after a yes
}

// RoleID stands for the speaker's id in Role.User.
const RoleID = "{id}"

// Roles are the roles of a speaker on the platform, by their ids there: one text, so
// that speakers can be compared.
type Roles string

// NewRoles is these roles. An id that could be taken for two is none.
func NewRoles(ids ...string) Roles {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return strings.ContainsAny(id, " \t\n") || id == "" })
	return Roles(strings.Join(ids, " "))
}

// holds reports whether the speaker has a role of this name. What a channel that cannot
// tell who speaks says of roles counts for nothing.
func (s Speaker) holds(role string) bool {
	id, ok := strings.CutPrefix(role, s.Channel+":role:")
	return ok && id != "" && s.Assurance >= Verified && slices.Contains(strings.Fields(string(s.Roles)), id)
}

// WithRoles returns the guard with roles that count too. A role adds groups and the
// right to write to the person whom its holder is linked to; only where nobody is,
// and the role says so, the holder is a person of their own.
func (g *Guard) WithRoles(roles []Role) *Guard {
	out := *g
	out.roles = roles
	out.policy = slices.Clone(g.policy)
	for _, r := range roles {
		if r.Write {
			out.policy = append(out.policy, Rule{
				Name: "write of " + r.Speaker, Where: "access.roles", Verdict: Confirm, Match: Match{roles: []string{r.Speaker}},
			})
		}
	}
	return &out
}

// byRole is the person that a speaker is by nothing but a role.
func (g *Guard) byRole(s Speaker) (Person, bool) {
	for _, r := range g.roles {
		if r.User != "" && s.ID != "" && s.holds(r.Speaker) {
			return Person{Name: s.Key(), User: strings.ReplaceAll(r.User, RoleID, s.ID), ByRole: true}, true
		}
	}
	return Person{}, false
}

// enrol adds the groups that a speaker's roles give.
func (g *Guard) enrol(p Person, s Speaker) Person {
	for _, r := range g.roles {
		if !s.holds(r.Speaker) {
			continue
		}
		for _, name := range r.Groups {
			if !slices.Contains(p.Groups, name) {
				p.Groups = append(slices.Clone(p.Groups), name)
			}
		}
	}
	return p
}
