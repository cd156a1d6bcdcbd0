package access

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Act is one thing somebody wants to do to one object.
type Act struct {
	// Intents are the names that it goes by: what was asked for, and what the
	// step itself is, as "undo" and "scale". A rule about either matches.
	Intents   []string
	Cluster   string
	Namespace string
	Kind      string
	Name      string
	Labels    map[string]string // of the object
	Risk      Risk
}

// Match is a condition; what is empty in it matches everything. Names are
// patterns: * is any run of characters.
type Match struct {
	People     []string
	Groups     []string
	Channels   []string
	Assurance  Assurance // at least
	Below      Assurance // less than this; None for no such condition
	Clusters   []string
	Namespaces []string
	Intents    []string
	Labels     map[string]string // each must be there; the values are patterns
	Risk       Risk              // at least
	Windows    []Window          // any of them

	roles []string // any of them; access.roles writes such rules, nobody else
}

// Rule is one sentence of a policy.
type Rule struct {
	Name    string
	Where   string // the place it was written at: "firstmate.yaml:12"
	Match   Match
	Unless  *Match // where this matches, the rule does not; nil for nothing
	Verdict Kind
	By      Approvers // of Approve
	Reason  string    // said to the person; "" for none
	// Further marks a rule that wants something more of what other rules let
	// through, and lets nothing through itself: "by telephone with a PIN".
	Further bool
}

// Policy is rules. Their order does not matter: of all that match, the
// strictest counts, and every PIN and approval that one of them wants is
// wanted. What no rule matches is denied. So a rule holds whatever else is
// written, and one more rule that denies never lets more through.
type Policy []Rule

// Decide says what a policy says to an act.
func Decide(p Policy, a Act, s Speaker, who Person, now time.Time) Verdict {
	v, let := Verdict{Kind: Allow}, false
	for _, r := range p {
		if r.mismatch(&a, s, who, now) != "" {
			continue
		}
		let = let || !r.Further
		if v = v.And(r.verdict()); v.Rule == "" { // nobody is stricter yet: the first that allows
			v.Rule, v.Reason = r.Name, r.Reason
		}
	}
	if !let {
		v = Verdict{Kind: Deny}
	}
	if v.Kind == Deny {
		v.PIN, v.Approvals = false, nil // nothing of it would help
	}
	return v
}

// verdict is what a rule says by itself.
func (r Rule) verdict() Verdict {
	v := Verdict{Kind: r.Verdict, Rule: r.Name, Reason: r.Reason, PIN: r.Verdict == PIN}
	if r.Verdict == Approve {
		by := r.By
		by.Rule = r.Name
		v.Approvals = []Approvers{by}
	}
	return v
}

// Finding is whether a rule matches an act, and why not.
type Finding struct {
	Rule Rule
	Not  string // why it does not match; "" where it does
}

// Explain goes through the rules one by one.
func Explain(p Policy, a Act, s Speaker, who Person, now time.Time) []Finding {
	out := make([]Finding, len(p))
	for i, r := range p {
		out[i] = Finding{Rule: r, Not: r.mismatch(&a, s, who, now)}
	}
	return out
}

// For returns the rules that may match something that this person does,
// speaking so, at this time.
func (p Policy) For(s Speaker, who Person, now time.Time) []Rule {
	var out []Rule
	for _, r := range p {
		if r.mismatch(nil, s, who, now) == "" {
			out = append(out, r)
		}
	}
	return out
}

// mayAtAll is the verdict on doing anything at all: a rule that lets somebody
// do something must fit them, and none may forbid them everything.
func (p Policy) mayAtAll(s Speaker, who Person, now time.Time) Verdict {
	v := Verdict{Kind: Deny}
	for _, r := range p.For(s, who, now) {
		said := r.verdict()
		if r.Further && r.Verdict != Deny {
			continue // it lets nobody do anything
		}
		if r.Verdict == Deny {
			if r.Match.anyAct() && (r.Unless == nil || r.Unless.anyAct()) {
				return said
			}
			continue
		}
		v.Kind, v.Rule = max(v.Kind, said.Kind), said.Rule
	}
	return v
}

// mismatch names what of the rule does not fit, "" where all does. A nil act is
// any act: then only what is known of the speaker is compared.
func (r Rule) mismatch(a *Act, s Speaker, who Person, now time.Time) string {
	if why := r.Match.mismatch(a, s, who, now); why != "" {
		return why
	}
	if r.Unless == nil || a == nil && !r.Unless.anyAct() {
		return ""
	}
	if r.Unless.mismatch(a, s, who, now) == "" {
		return "unless matches"
	}
	return ""
}

// anyAct reports whether the condition does not depend on what is done.
func (m Match) anyAct() bool {
	return len(m.Clusters) == 0 && len(m.Namespaces) == 0 && len(m.Intents) == 0 && len(m.Labels) == 0 && m.Risk == Low
}

func (m Match) mismatch(a *Act, s Speaker, who Person, now time.Time) string {
	switch {
	case len(m.People) > 0 && !anyOf(m.People, who.Name):
		return "the person is " + said(who.Name) + ", not " + list(m.People)
	case len(m.Groups) > 0 && !slices.ContainsFunc(who.Groups, func(g string) bool { return anyOf(m.Groups, g) }):
		return said(who.Name) + " is not in the group " + list(m.Groups)
	case len(m.roles) > 0 && !slices.ContainsFunc(m.roles, s.holds):
		return "the role " + list(m.roles) + " is not held here"
	case len(m.Channels) > 0 && !anyOf(m.Channels, s.Channel):
		return "the channel is " + said(s.Channel) + ", not " + list(m.Channels)
	case s.Assurance < m.Assurance:
		return "the assurance is " + s.Assurance.String() + ", less than " + m.Assurance.String()
	case m.Below > None && s.Assurance >= m.Below:
		return "the assurance is " + s.Assurance.String() + ", not below " + m.Below.String()
	case len(m.Windows) > 0 && !slices.ContainsFunc(m.Windows, func(w Window) bool { return w.Holds(now) }):
		return "it is not the time for it: " + words(m.Windows)
	}
	if a == nil {
		return ""
	}
	switch {
	case len(m.Clusters) > 0 && !anyOf(m.Clusters, a.Cluster):
		return "the cluster is " + said(a.Cluster) + ", not " + list(m.Clusters)
	case len(m.Namespaces) > 0 && !anyOf(m.Namespaces, a.Namespace):
		return "the namespace is " + said(a.Namespace) + ", not " + list(m.Namespaces)
	case len(m.Intents) > 0 && !slices.ContainsFunc(a.Intents, func(n string) bool { return anyOf(m.Intents, n) }):
		return "the intent is " + list(a.Intents) + ", not " + list(m.Intents)
	case a.Risk < m.Risk:
		return "the risk is " + a.Risk.String() + ", less than " + m.Risk.String()
	}
	for _, k := range slices.Sorted(maps.Keys(m.Labels)) {
		if v, ok := a.Labels[k]; !ok || !anyOf([]string{m.Labels[k]}, v) {
			return "the object has no label " + k + "=" + m.Labels[k]
		}
	}
	return ""
}

func said(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func list(s []string) string {
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, " or ")
}

// anyOf reports whether a name is one of these, or fits one of these patterns.
func anyOf(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return p == name || p == "*" || fits(p, name) })
}

// fits compares a name with a pattern; a slash is a character like others.
func fits(pattern, name string) bool {
	plain := strings.NewReplacer("/", "\x00")
	ok, err := path.Match(plain.Replace(pattern), plain.Replace(name))
	return err == nil && ok
}

// Words says what a rule is about, for people.
func (r Rule) Words() string {
	var parts []string
	m := r.Match
	if len(m.Intents) > 0 {
		parts = append(parts, list(m.Intents))
	} else {
		parts = append(parts, "any change")
	}
	if len(m.Namespaces) > 0 {
		parts = append(parts, "in "+list(m.Namespaces))
	}
	if len(m.Clusters) > 0 {
		parts = append(parts, "on "+list(m.Clusters))
	}
	for _, k := range slices.Sorted(maps.Keys(m.Labels)) {
		parts = append(parts, "of what is labelled "+k+"="+m.Labels[k])
	}
	if m.Risk > Low {
		parts = append(parts, "from "+m.Risk.String()+" risk on")
	}
	if len(m.Windows) > 0 {
		parts = append(parts, "during "+words(m.Windows))
	}
	return strings.Join(parts, " ")
}

func words(ws []Window) string {
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = w.String()
	}
	return strings.Join(out, " or ")
}
