package access

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is what a policy says to an act. Kinds are ordered, the strictest first;
// the zero value denies.
type Kind int

// The kinds.
const (
	Deny    Kind = iota // it is not done
	Approve             // somebody else has to agree as well
	PIN                 // a yes and the person's PIN
	Confirm             // a yes
	Allow               // it is done at once
)

// String gives the word for a kind, as configuration and journal write it.
func (k Kind) String() string {
	switch k {
	case Deny:
		return "deny"
	case Approve:
		return "approve"
	case PIN:
		return "pin"
	case Confirm:
		return "confirm"
	case Allow:
		return "allow"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// ParseKind reads the word for a kind.
func ParseKind(s string) (Kind, error) {
	for k := Deny; k <= Allow; k++ {
		if s == k.String() {
			return k, nil
		}
	}
	return Deny, fmt.Errorf("a verdict is allow, confirm, pin, approve or deny, not %q", s)
}

// MarshalText gives the word.
func (k Kind) MarshalText() ([]byte, error) {
	if k < Deny || k > Allow {
		return nil, fmt.Errorf("access: %s does not exist", k)
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads the word.
func (k *Kind) UnmarshalText(b []byte) error {
	v, err := ParseKind(string(b))
	if err != nil {
		return err
	}
	*k = v
	return nil
}

// Approvers are who may agree to what a rule wants approved: any one of them.
type Approvers struct {
	Rule      string    `json:"rule"`
	People    []string  `json:"people,omitempty"` // patterns
	Groups    []string  `json:"groups,omitempty"` // patterns
	Assurance Assurance `json:"assurance,omitempty"`
}

// May reports whether a person may agree, speaking so.
func (a Approvers) May(p Person, s Speaker) bool {
	if s.Assurance < a.Assurance {
		return false
	}
	return anyOf(a.People, p.Name) || slices.ContainsFunc(p.Groups, func(g string) bool { return anyOf(a.Groups, g) })
}

// Words names the approvers, as "bob or anyone of release".
func (a Approvers) Words() string {
	var out []string
	out = append(out, a.People...)
	for _, g := range a.Groups {
		out = append(out, "anyone of "+g)
	}
	return strings.Join(out, " or ")
}

// Verdict is what a policy says to an act, or to several at once.
type Verdict struct {
	Kind   Kind   `json:"kind"`             // the strictest that was said
	Rule   string `json:"rule,omitempty"`   // the rule that said it; "" where none matched
	Reason string `json:"reason,omitempty"` // why, in the rule's own words
	PIN    bool   `json:"pin,omitempty"`    // the person's PIN is wanted
	// Approvals are agreed to by somebody each, who is not the one who asks;
	// one person may be enough for several.
	Approvals []Approvers `json:"approvals,omitempty"`
}

// And is the verdict on two acts that are only done together: what either
// wants.
func (v Verdict) And(o Verdict) Verdict {
	out := v
	if o.Kind < v.Kind {
		out.Kind, out.Rule, out.Reason = o.Kind, o.Rule, o.Reason
	}
	out.PIN = v.PIN || o.PIN
	out.Approvals = slices.Clone(v.Approvals)
	for _, a := range o.Approvals {
		if !slices.ContainsFunc(out.Approvals, func(b Approvers) bool { return b.Rule == a.Rule }) {
			out.Approvals = append(out.Approvals, a)
		}
	}
	return out
}

// Open are the approvals that nobody of these has given yet.
func (v Verdict) Open(gave func(Approvers) bool) []Approvers {
	return slices.DeleteFunc(slices.Clone(v.Approvals), gave)
}

// WhoMayApprove names all who may approve.
func (v Verdict) WhoMayApprove() string {
	var out []string
	for _, a := range v.Approvals {
		out = append(out, a.Words())
	}
	return strings.Join(out, ", and ")
}
