package observability

import "time"

// Matcher is one condition on a label of an alert.
type Matcher struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Regex bool   `json:"regex,omitempty"` // Value is an expression that the whole value must match
	Not   bool   `json:"not,omitempty"`   // it must not match
}

// String is the matcher as Alertmanager writes it.
func (m Matcher) String() string {
	op := "="
	switch {
	case m.Regex && m.Not:
		op = "!~"
	case m.Regex:
		op = "=~"
	case m.Not:
		op = "!="
	}
	return m.Name + op + quoteLabel(m.Value)
}

// quoteLabel writes a label's value in quotes; no value gets out of them.
func quoteLabel(s string) string {
	out := make([]byte, 0, len(s)+2)
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		default:
			out = append(out, c)
		}
	}
	return string(append(out, '"'))
}

// Silence is what holds alerts back for a while.
type Silence struct {
	ID       string    `json:"id,omitempty"` // "" before it is made
	Matchers []Matcher `json:"matchers"`     // all must match
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	By       string    `json:"by"`
	Comment  string    `json:"comment"`
	// State is active, pending or expired; "" before it is made.
	State string `json:"state,omitempty"`
}

// AlertChange is word that an alert fires, or that it is over.
type AlertChange struct {
	Alert    Alert     `json:"alert"`
	Resolved bool      `json:"resolved,omitempty"`
	Ended    time.Time `json:"ended,omitzero"`
	Group    string    `json:"group"` // the alerts that are told of together
	// Repeated says that this was told before: it still fires, or it was sent twice.
	Repeated bool `json:"repeated,omitempty"`
}
