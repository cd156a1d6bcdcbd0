package access_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

func TestRoles(t *testing.T) {
	people := []access.Person{
		{Name: "ann", Speakers: []string{"discord:1"}, User: "ann@example.com", Groups: []string{"devs"}},
		{Name: "bob", Speakers: []string{"discord:2"}}, // no user of their own
		{Name: "all", Speakers: []string{"slack:*"}, User: "anybody"},
	}
	roles := []access.Role{
		{Speaker: "discord:role:88", Groups: []string{"operators", "devs"}, Write: true},
		{Speaker: "discord:role:99", User: "discord:{id}", Groups: []string{"viewers"}},
		{Speaker: "discord:role:77", User: "late:{id}", Write: true},
		{Speaker: "slack:role:88", User: "slack:{id}"},
	}
	g := access.NewGuard(people, access.Policy{{
		Name: "operators of shop", Match: access.Match{Groups: []string{"operators"}, Namespaces: []string{"shop"}}, Verdict: access.Confirm,
	}}, nil).WithRoles(roles)
	says := func(channel, id string, how access.Method, roles ...string) access.Speaker {
		s := access.NewSpeaker(channel, id, how)
		s.Roles = access.NewRoles(roles...)
		return s
	}
	for _, tt := range []struct {
		name   string
		who    access.Speaker
		person string // "" for nobody
		user   string
		groups []string
		write  bool // may change something at all
	}{
		{"no role", says("discord", "1", access.Signature), "ann", "ann@example.com", []string{"devs"}, false},
		{"a role nobody speaks of", says("discord", "1", access.Signature, "5"), "ann", "ann@example.com", []string{"devs"}, false},
		{"groups are added, the user stays", says("discord", "1", access.Signature, "5", "88"), "ann", "ann@example.com", []string{"devs", "operators"}, true},
		{"a role's user is not theirs who are linked", says("discord", "1", access.Signature, "99"), "ann", "ann@example.com", []string{"devs", "viewers"}, false},
		{"all roles count", says("discord", "1", access.Signature, "99", "88"), "ann", "ann@example.com", []string{"devs", "operators", "viewers"}, true},
		{"write without a Kubernetes user is none", says("discord", "2", access.Signature, "88"), "bob", "", []string{"operators", "devs"}, false},
		{"a stranger", says("discord", "3", access.Signature), "", "", nil, false},
		{"a stranger with a role that names no user", says("discord", "3", access.Signature, "88"), "", "", nil, false},
		{"a stranger with a role that does", says("discord", "3", access.Signature, "99"), "discord:3", "discord:3", []string{"viewers"}, false},
		{"and another", says("discord", "3", access.Signature, "88", "99"), "discord:3", "discord:3", []string{"operators", "devs", "viewers"}, true},
		{"the first user counts", says("discord", "3", access.Signature, "77", "99"), "discord:3", "discord:3", []string{"viewers"}, true},
		{"a session proves no role", says("discord", "3", access.Session, "99", "77"), "", "", nil, false},
		{"nor does it for ann", says("discord", "1", access.Session, "88"), "ann", "ann@example.com", []string{"devs"}, false},
		{"another channel's role", says("web", "3", access.OIDC, "88", "99"), "", "", nil, false},
		{"a role goes before everybody", says("slack", "9", access.Signature, "88"), "slack:9", "slack:9", nil, false},
		{"everybody", says("slack", "9", access.Signature, "99"), "all", "anybody", nil, false},
		{"no id is nobody", says("discord", "", access.Signature, "99"), "", "", nil, false},
		{"an id with a blank is no two roles", says("discord", "3", access.Signature, "5 99"), "", "", nil, false},
		{"a pattern is no role", says("discord", "3", access.Signature, "*"), "", "", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, ok, err := g.Who(t.Context(), tt.who)
			if err != nil || ok != (tt.person != "") || p.Name != tt.person || p.User != tt.user || !reflect.DeepEqual(p.Groups, tt.groups) {
				t.Errorf("%+v, %t, %v", p, ok, err)
			}
			if p.ByRole != (ok && p.Name == tt.who.Key()) {
				t.Errorf("by role: %+v", p)
			}
			if _, err := g.Writer(t.Context(), tt.who); (err == nil) != tt.write {
				t.Errorf("write: %v", err)
			}
		})
	}
	if !reflect.DeepEqual(people[0].Groups, []string{"devs"}) {
		t.Errorf("what a role gives stuck: %v", people[0].Groups)
	}
}

// TestARoleGivesNoMoreThanItSays holds that the rules of a policy stand above what a
// role gives, and that the role counts in the moment alone.
func TestARoleGivesNoMoreThanItSays(t *testing.T) {
	g := access.NewGuard(nil, access.Policy{
		{Name: "shop is closed", Match: access.Match{Namespaces: []string{"shop"}}, Verdict: access.Deny},
		{Name: "PIN here", Match: access.Match{Channels: []string{"discord"}, Namespaces: []string{"edge"}}, Verdict: access.PIN, Further: true},
	}, nil).WithRoles([]access.Role{{Speaker: "discord:role:88", User: "discord:{id}", Write: true}})
	ann := access.NewSpeaker("discord", "1", access.Signature)
	ann.Roles = access.NewRoles("88")
	judge := func(s access.Speaker, ns string) access.Kind {
		p, _, err := g.Who(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		return g.Judge(s, p, []access.Act{{Intents: []string{"scale"}, Namespace: ns}}, time.Now()).Kind
	}
	if a, b, c := judge(ann, "dev"), judge(ann, "shop"), judge(ann, "edge"); a != access.Confirm || b != access.Deny || c != access.PIN {
		t.Errorf("dev %v, shop %v, edge %v", a, b, c)
	}
	ann.Roles = ""
	if _, err := g.Writer(t.Context(), ann); fault.KindOf(err) != fault.Refused || judge(ann, "dev") != access.Deny {
		t.Errorf("the role is gone: %v", err)
	}
	s := access.NewSpeaker("discord", "1", access.Signature)
	if s.Roles = access.NewRoles("8", "8 8", "", "88"); s.Roles != "8 88" {
		t.Errorf("%q", s.Roles)
	}
}
