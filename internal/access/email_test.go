package access_test

import (
	"path/filepath"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/access"
)

func TestWhoByEmail(t *testing.T) {
	people := []access.Person{
		{Name: "ann", Email: "Ann@example.com", User: "ann", Write: true},
		{Name: "bob", Email: "bob@example.com", Speakers: []string{"slack:U0BOB", "slack:*"}, User: "bob"},
		{Name: "twin", Email: "two@example.com", User: "one"}, {Name: "other twin", Email: "TWO@example.com", User: "two"},
	}
	g := access.NewGuard(people, nil, nil)
	nobody := access.NewGuard([]access.Person{{Name: "noone"}, people[0]}, nil, nil)
	for name, c := range map[string]struct {
		guard   *access.Guard
		speaker access.Speaker
		want    string // "" is nobody
	}{
		"confirmed":                 {nobody, slacker("U1", "ann@example.com"), "ann"},
		"in other letters":          {nobody, slacker("U1", " ANN@Example.COM "), "ann"},
		"before a wildcard":         {g, slacker("U1", "ann@example.com"), "ann"},
		"the very speaker first":    {g, slacker("U0BOB", "ann@example.com"), "bob"},
		"nobody's":                  {nobody, slacker("U1", "eve@example.com"), ""},
		"none":                      {nobody, slacker("U1", ""), ""},
		"blank":                     {nobody, slacker("U1", " "), ""},
		"a part of one":             {nobody, slacker("U1", "ann@example.co"), ""},
		"two people's":              {access.NewGuard(people[2:], nil, nil), slacker("U1", "two@example.com"), ""},
		"claimed only":              {nobody, with(access.NewSpeaker("dialogflow", "s1", access.Session), "ann@example.com"), ""},
		"of who cannot be told":     {nobody, with(access.NewSpeaker("slack", "U1", access.Unverified), "ann@example.com"), ""},
		"a wildcard where nobody's": {g, slacker("U1", "eve@example.com"), "bob"},
	} {
		t.Run(name, func(t *testing.T) {
			p, ok, err := c.guard.Who(t.Context(), c.speaker)
			if err != nil || p.Name != c.want || ok != (c.want != "") {
				t.Errorf("%q, %v, %v", p.Name, ok, err)
			}
		})
	}
}

// TestALinkWinsOverAnEmail holds the order: who linked their account by a code is that
// person there.
func TestALinkWinsOverAnEmail(t *testing.T) {
	g := opened(t, filepath.Join(t.TempDir(), "s.db"))
	s := slacker("U1", "")
	code, err := g.NewCode(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Redeem(t.Context(), s, code); err != nil {
		t.Fatal(err)
	}
	s.Email = "bob@example.com"
	if p, ok, err := g.Who(t.Context(), s); err != nil || !ok || p.Name != "ann" {
		t.Errorf("%q, %v, %v", p.Name, ok, err)
	}
}

func slacker(id, email string) access.Speaker {
	return with(access.NewSpeaker("slack", id, access.Signature), email)
}

func with(s access.Speaker, email string) access.Speaker {
	s.Email = email
	return s
}
