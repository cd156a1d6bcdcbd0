package access

import "strings"

// byEmail is the person whose e-mail address the platform confirmed to be the speaker's.
// What a channel that cannot tell who speaks says of an address counts for nothing, and
// an address that two people have is nobody's.
func (g *Guard) byEmail(s Speaker) (Person, bool) {
	if s.Email == "" || s.Assurance < Verified {
		return Person{}, false
	}
	var found []Person
	for _, p := range g.people {
		if p.Email != "" && SameEmail(p.Email, s.Email) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return Person{}, false
	}
	return found[0], true
}

// SameEmail reports whether two addresses are one, as those who hand them out see it.
func SameEmail(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}
