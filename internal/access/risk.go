package access

import (
	"fmt"
	"strings"
)

// Risk is how much can go wrong with a change. Risks are ordered: a policy may
// ask for more care from a risk on, and the risk of several changes is the
// greatest of theirs.
type Risk int

// The risks.
const (
	Low    Risk = iota // easily undone, and little is missed meanwhile
	Medium             // can be undone, and somebody may notice meanwhile
	High               // people notice, or it cannot be undone
)

// String gives the word for a risk, as configuration and journal write it.
func (r Risk) String() string {
	switch r {
	case Low:
		return "low"
	case Medium:
		return "medium"
	case High:
		return "high"
	}
	return fmt.Sprintf("risk %d", int(r))
}

// ParseRisk reads the word for a risk; case does not matter.
func ParseRisk(s string) (Risk, error) {
	for r := Low; r <= High; r++ {
		if strings.EqualFold(s, r.String()) {
			return r, nil
		}
	}
	return High, fmt.Errorf("a risk is low, medium or high, not %q", s)
}

// MarshalText gives the word. What is no risk is an error, not a number that
// nobody could read back.
func (r Risk) MarshalText() ([]byte, error) {
	if r < Low || r > High {
		return nil, fmt.Errorf("access: %s does not exist", r)
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads the word.
func (r *Risk) UnmarshalText(b []byte) error {
	v, err := ParseRisk(string(b))
	if err != nil {
		return err
	}
	*r = v
	return nil
}
