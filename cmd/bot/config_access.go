package main

import (
	"cmp"
	"fmt"
	"net/mail"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// AccessConfig is who may do what. Who is not named here may only look.
type AccessConfig struct {
	People        []PersonConfig `yaml:"people" doc:"Who is known, a list of {name, speakers: [channel:id], email, user, groups, write, pin_hash}. user and groups are the Kubernetes user whose rights are used (impersonation). channel:* is everyone on a channel; email is whom Slack confirms to have that address. write: true lets them change things after a yes. See docs/access.md."`
	Roles         []RoleConfig   `yaml:"roles" doc:"What a role that a platform gives people gives them here, a list of {speaker: discord:role:ID, user, groups, write}: groups and write are added to the holder's own; user is the Kubernetes user of holders whom nobody linked, with {id} for their id. See docs/access.md."`
	Policies      []yaml.Node    `yaml:"policies" doc:"Who may change what, when and how, a list of {name, match, unless, verdict, by, reason}: docs/access.md. The strictest rule that matches counts; what none matches is denied."`
	PolicyFile    string         `yaml:"policy_file" doc:"A YAML file with more rules."`
	ReadsAsPerson bool           `yaml:"reads_as_person" doc:"Whether each person sees only what their own Kubernetes user may: objects, names and what was done to them. Otherwise everybody who may ask sees what bot serve sees."`

	Limits LimitsConfig `yaml:"limits"`

	source string
}

// LimitsConfig is how much may be asked for in a minute.
type LimitsConfig struct {
	PersonReads   int `yaml:"person_reads" doc:"How many questions one person may ask in a minute; 0 is without limit."`
	PersonWrites  int `yaml:"person_writes" doc:"How many changes one person may ask for in a minute; 0 is without limit."`
	ChannelReads  int `yaml:"channel_reads" doc:"How many questions may be asked on one channel in a minute; 0 is without limit."`
	ChannelWrites int `yaml:"channel_writes" doc:"How many changes may be asked for on one channel in a minute; 0 is without limit."`
}

func (c LimitsConfig) limits() access.Limits {
	return access.Limits{
		Person:  access.Rate{Reads: c.PersonReads, Writes: c.PersonWrites},
		Channel: access.Rate{Reads: c.ChannelReads, Writes: c.ChannelWrites},
	}
}

// PersonConfig is one person.
type PersonConfig struct {
	Name     string   `yaml:"name"`
	Speakers []string `yaml:"speakers"`
	Email    string   `yaml:"email"`
	User     string   `yaml:"user"`
	Groups   []string `yaml:"groups"`
	Write    bool     `yaml:"write"`
	PINHash  string   `yaml:"pin_hash"`
}

// checkEmail refuses an address that is none, or that somebody before has.
func (c PersonConfig) checkEmail(before []PersonConfig) error {
	if c.Email == "" {
		return nil
	}
	if a, err := mail.ParseAddress(c.Email); err != nil || a.Address != c.Email {
		return fault.New(fault.Usage, "access.people: %s: %q is no e-mail address like ann@example.com.", c.Name, c.Email)
	}
	for _, o := range before {
		if access.SameEmail(o.Email, c.Email) {
			return fault.New(fault.Usage, "access.people: %s and %s both have the e-mail address %s; it is to be one person's.", o.Name, c.Name, c.Email)
		}
	}
	return nil
}

// RoleConfig is a role on a platform.
type RoleConfig struct {
	Speaker string   `yaml:"speaker"`
	User    string   `yaml:"user"`
	Groups  []string `yaml:"groups"`
	Write   bool     `yaml:"write"`
}

func (c RoleConfig) check() error {
	channel, rest, _ := strings.Cut(c.Speaker, ":")
	kind, id, _ := strings.Cut(rest, ":")
	switch {
	case channel == "" || kind != "role" || id == "" || strings.ContainsAny(id, "*?: "):
		return fault.New(fault.Usage, "access.roles: a role is channel:role:id, as discord:role:88, not %q.", c.Speaker)
	case c.User != "" && !strings.Contains(c.User, access.RoleID):
		return fault.New(fault.Usage, "access.roles: %s: user needs {id} in it, as in discord:{id}; else all holders would be one Kubernetes user.", c.Speaker)
	case c.User == "" && len(c.Groups) == 0 && !c.Write:
		return fault.New(fault.Usage, "access.roles: %s gives nothing; say user, groups or write.", c.Speaker)
	}
	return nil
}

// roles is what the configuration gives to roles.
func (c AccessConfig) roles() []access.Role {
	out := make([]access.Role, len(c.Roles))
	for i, r := range c.Roles {
		out[i] = access.Role{Speaker: r.Speaker, User: r.User, Groups: r.Groups, Write: r.Write}
	}
	return out
}

// check refuses what would only fail later.
func (c AccessConfig) check() error {
	seen, linked := map[string]bool{}, map[string]string{}
	for i, p := range c.People {
		name := cmp.Or(p.Name, fmt.Sprintf("person %d", i+1))
		if err := p.checkEmail(c.People[:i]); err != nil {
			return err
		}
		switch {
		case p.Name == "":
			return fault.New(fault.Usage, "access.people: person %d has no name.", i+1)
		case seen[p.Name]:
			return fault.New(fault.Usage, "access.people: there are two called %s. Give one person all their speakers.", p.Name)
		case p.Write && p.User == "":
			return fault.New(fault.Usage, "access.people: %s may write, so user must name the Kubernetes user to act as.", name)
		}
		seen[p.Name] = true
		for _, s := range p.Speakers {
			if ch, id, ok := strings.Cut(s, ":"); !ok || ch == "" || id == "" {
				return fault.New(fault.Usage, "access.people: %s: a speaker is channel:id, not %q.", name, s)
			}
			if other := linked[s]; other != "" {
				return fault.New(fault.Usage, "access.people: %s and %s both are %s; a speaker is one person.", other, name, s)
			}
			linked[s] = name
		}
		if p.PINHash != "" {
			if err := access.CheckHash(p.PINHash); err != nil {
				return fault.Wrap(err, fault.Usage, "access.people: %s: %s.", name, fault.Say(err))
			}
		}
	}
	for i, r := range c.Roles {
		if err := r.check(); err != nil {
			return err
		}
		if slices.ContainsFunc(c.Roles[:i], func(o RoleConfig) bool { return o.Speaker == r.Speaker }) {
			return fault.New(fault.Usage, "access.roles: %s is there twice.", r.Speaker)
		}
	}
	if l := c.Limits; min(l.PersonReads, l.PersonWrites, l.ChannelReads, l.ChannelWrites) < 0 {
		return fault.New(fault.Usage, "access.limits are numbers a minute; 0 is without limit.")
	}
	_, err := c.rules()
	return err
}

// rules are those of the configuration and those of the file that it names.
func (c AccessConfig) rules() (access.Policy, error) {
	nodes := make([]*yaml.Node, len(c.Policies))
	for i := range c.Policies {
		nodes[i] = &c.Policies[i]
	}
	policy, err := access.ParseRules(cmp.Or(c.source, "FIRSTMATE_ACCESS_POLICIES"), nodes)
	if err != nil || c.PolicyFile == "" {
		return policy, err
	}
	b, err := os.ReadFile(c.PolicyFile)
	if err != nil {
		return nil, fault.Wrap(err, fault.Usage, "access.policy_file: %v.", err)
	}
	more, err := access.ReadPolicy(c.PolicyFile, b)
	if err != nil {
		return nil, err
	}
	for _, r := range more {
		for _, o := range policy {
			if r.Name == o.Name {
				return nil, fault.New(fault.Usage, "%s: %s has a rule %s already; two of one name could not be told apart.", r.Where, o.Where, r.Name)
			}
		}
	}
	return append(policy, more...), nil
}

// rules are those of access, and what channels want further of every change.
func (c Config) rules() (access.Policy, error) {
	rules, err := c.Access.rules()
	if c.Dialogflow.PIN && (c.Dialogflow.ES.on() || c.Dialogflow.CX.on()) {
		rules = append(rules, pinBy("dialogflow", "dialogflow.pin"))
	}
	if c.Phone.on() {
		rules = append(rules, c.Phone.rules()...)
	}
	rules = append(rules, c.Alexa.rules()...)
	return rules, err
}

// pinBy wants the PIN of whoever changes something by a channel that a voice
// comes through, and lets nobody change anything.
func pinBy(channel, key string) access.Rule {
	return access.Rule{
		Name: "PIN by " + channel, Where: key, Match: access.Match{Channels: []string{channel}}, Verdict: access.PIN, Further: true,
		Reason: "a voice alone does not say who is speaking",
	}
}

// people is who the configuration lets in.
func (c Config) people() []access.Person {
	out := make([]access.Person, len(c.Access.People))
	for i, p := range c.Access.People {
		out[i] = access.Person{Name: p.Name, Speakers: p.Speakers, Email: p.Email, User: p.User, Groups: p.Groups, Write: p.Write, PINHash: p.PINHash}
	}
	return out
}

// atTerminal is the person at this terminal, who acts with their own
// kubeconfig: its cluster has the last word. Rules may know them by the name and
// the groups that the configuration gives them.
func (c Config) atTerminal(me access.Speaker) access.Person {
	p := access.Person{Name: me.Name}
	for _, o := range c.people() {
		if slices.Contains(o.Speakers, me.Key()) {
			p = o
		}
	}
	p.Speakers, p.User, p.Write, p.Own = []string{me.Key()}, "", true, true
	return p
}

// everybody is who the configuration knows, and the person at this terminal.
func (c Config) everybody() []access.Person {
	me := c.atTerminal(self())
	all := c.people()
	if !slices.ContainsFunc(all, func(p access.Person) bool { return p.Name == me.Name }) {
		all = append(all, me)
	}
	return all
}
