// Package access says who speaks and what they may do. Deny is the default:
// a speaker nobody linked to a person writes nothing.
package access

import (
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Speaker is who a channel says is speaking.
type Speaker struct {
	Channel string `json:"channel"`        // "terminal", "web", "dialogflow", …
	ID      string `json:"id"`             // the platform's id of the person; opaque
	Name    string `json:"name,omitempty"` // for display only, never for a decision
}

// Key is the form that configuration uses: channel:id.
func (s Speaker) Key() string { return s.Channel + ":" + s.ID }

// Person is someone with rights; speakers of several channels may be one person.
type Person struct {
	Name     string
	Speakers []string // "channel:id"; "channel:*" is everyone on that channel
	User     string   // the Kubernetes user whose rights are used; "" the credentials of the process itself
	Groups   []string
	Write    bool // may propose and confirm changes
}

// Directory links speakers to persons.
type Directory struct{ people []Person }

// NewDirectory returns the directory of these people. An exact speaker wins
// over a wildcard, otherwise the first in order.
func NewDirectory(people []Person) *Directory { return &Directory{people: people} }

// Who returns the person a speaker is linked to.
func (d *Directory) Who(s Speaker) (Person, bool) {
	for _, wild := range []bool{false, true} {
		for _, p := range d.people {
			for _, k := range p.Speakers {
				if k == s.Key() && !wild {
					return p, true
				}
				if ch, ok := strings.CutSuffix(k, ":*"); wild && ok && ch == s.Channel {
					return p, true
				}
			}
		}
	}
	return Person{}, false
}

// Writer returns the person in whose name the speaker may change a cluster,
// or a refusal that names what to configure.
func (d *Directory) Writer(s Speaker) (Person, error) {
	p, ok := d.Who(s)
	switch {
	case !ok:
		return Person{}, fault.New(fault.Refused, "You may look but not change anything: nobody has linked %s to a person. An admin can add it under access.people.", s.Key())
	case !p.Write:
		return Person{}, fault.New(fault.Refused, "You may look but not change anything: access.people gives %s no write.", p.Name)
	}
	return p, nil
}
