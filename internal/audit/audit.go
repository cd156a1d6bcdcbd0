// Package audit is the lines of the audit trail and the chain that holds them
// together: each line carries the hash of the one before it, so that what was
// changed, taken out or put in later shows.
package audit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind is what a line tells of.
type Kind string

// The kinds of line.
const (
	Said     Kind = "said"     // somebody said something
	Refused  Kind = "refused"  // what they asked for was refused, by policy or by the cluster
	Proposed Kind = "proposed" // a change was shown
	Approved Kind = "approved" // the one who asked said yes
	Seconded Kind = "seconded" // a second person said yes
	Denied   Kind = "denied"   // somebody said no
	Expired  Kind = "expired"  // nobody answered in time
	Stopped  Kind = "stopped"  // somebody called off what was still to come
	Applied  Kind = "applied"  // the cluster has the change of one object
	Outcome  Kind = "outcome"  // how it ended
	Linked   Kind = "linked"   // a speaker was linked to a person
	Unlinked Kind = "unlinked" // and is no more
	PIN      Kind = "pin"      // a PIN was wrong, or tried too often; never the PIN itself
)

// Event is what a line tells.
type Event struct {
	Kind Kind      `json:"kind"`
	At   time.Time `json:"at"`
	// Who, and through what: the speaker as the channel knows them, what that is
	// worth, and the person they are linked to.
	Channel      string   `json:"channel,omitempty"`
	Speaker      string   `json:"speaker,omitempty"`
	Name         string   `json:"name,omitempty"`
	Assurance    string   `json:"assurance,omitempty"`
	Person       string   `json:"person,omitempty"`
	User         string   `json:"user,omitempty"` // the Kubernetes user in whose name it was done
	Conversation string   `json:"conversation,omitempty"`
	Action       string   `json:"action,omitempty"` // the id of the proposal it is about
	Undoes       string   `json:"undoes,omitempty"` // the id of the one that it puts back
	Intent       string   `json:"intent,omitempty"`
	Said         string   `json:"said,omitempty"` // masked
	How          string   `json:"how,omitempty"`  // of a decision: by words, a button, a PIN; of a verdict: its rule; "guess" of what only a fall-back understood
	Objects      []Object `json:"objects,omitempty"`
	State        string   `json:"state,omitempty"` // of an outcome
	Why          string   `json:"why,omitempty"`   // of a refusal or a failure, as it was said
}

// Object is one object's part of a change.
type Object struct {
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Verb      string `json:"verb,omitempty"`
	From      string `json:"from,omitempty"`
	To        string `json:"to,omitempty"`
	Diff      string `json:"diff,omitempty"`
	Done      bool   `json:"done,omitempty"` // of an outcome: it has rolled out
}

// maxDiff bounds what is kept of a diff: as much as anybody reads.
const maxDiff = 16 << 10

// Encode gives the content of a line.
func (e Event) Encode() ([]byte, error) {
	e.At = e.At.UTC().Truncate(time.Millisecond)
	for i := range e.Objects {
		if d := e.Objects[i].Diff; len(d) > maxDiff {
			e.Objects[i].Diff = strings.ToValidUTF8(d[:maxDiff], "") + "\n…"
		}
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return b, nil
}

// Decode reads what a line tells.
func Decode(line []byte) (Event, error) {
	m, err := object(line)
	if err != nil {
		return Event{}, err
	}
	return decode(m)
}

func decode(m map[string]json.RawMessage) (e Event, err error) {
	b, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err == nil && (e.Kind == "" || e.At.IsZero()) {
		err = fmt.Errorf("a line without kind or time")
	}
	if err != nil {
		return e, fmt.Errorf("audit: %w", err)
	}
	return e, nil
}

// Export gives a row as one line of JSON that can be proved by itself: the
// canonical line without its last member, hash, gives that hash.
func Export(r Row) ([]byte, error) {
	m, err := object(r.Line)
	if err != nil {
		return nil, err
	}
	hash, err := json.Marshal(r.Hash)
	if err != nil || len(m) == 0 {
		return nil, fmt.Errorf("audit: line %d is empty: %w", r.Seq, err)
	}
	out := append([]byte{}, r.Line[:len(r.Line)-1]...)
	out = append(out, `,"`+memberHash+`":`...)
	return append(append(out, hash...), '}'), nil
}

// Import reads a line that Export gave.
func Import(line []byte) (Row, error) {
	m, err := object(line)
	if err != nil {
		return Row{}, err
	}
	var r Row
	ev, err := decode(m)
	if err != nil {
		return r, err
	}
	r.At = ev.At.UnixMilli()
	if err := json.Unmarshal(m[memberHash], &r.Hash); err != nil {
		return r, fmt.Errorf("audit: a line without hash: %w", err)
	}
	if err := json.Unmarshal(m[memberSeq], &r.Seq); err != nil {
		return r, fmt.Errorf("audit: a line without number: %w", err)
	}
	delete(m, memberHash)
	raw, err := json.Marshal(m)
	if err != nil {
		return r, fmt.Errorf("audit: %w", err)
	}
	r.Line, err = canonical(raw)
	return r, err
}

// ParseHead reads a head as String gives it.
func ParseHead(s string) (Head, error) {
	n, hash, ok := strings.Cut(s, ":")
	seq, err := strconv.ParseInt(n, 10, 64)
	if !ok || err != nil || seq < 1 || len(hash) != 64 || strings.Trim(hash, "0123456789abcdef") != "" {
		return Head{}, fmt.Errorf("a head is a number, a colon and 64 hexadecimal digits, not %q", s)
	}
	return Head{seq, hash}, nil
}
