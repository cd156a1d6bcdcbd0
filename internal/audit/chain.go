package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gowebpki/jcs"
)

// The members of a line that the chain puts beside its content.
const (
	memberSeq  = "seq"
	memberPrev = "prev"
	memberHash = "hash"
)

// Seal makes content, a JSON object, the line behind the one whose hash is prev
// ("" before the first). It returns the line in canonical form (RFC 8785) and
// its hash, the SHA-256 of that.
func Seal(seq int64, prev string, content []byte) (line []byte, hash string, err error) {
	m, err := object(content)
	if err != nil {
		return nil, "", err
	}
	for _, k := range []string{memberSeq, memberPrev, memberHash} {
		if _, ok := m[k]; ok {
			return nil, "", fmt.Errorf("audit: the content of a line has a member %q, which is the chain's", k)
		}
	}
	if m[memberSeq], err = json.Marshal(seq); err != nil {
		return nil, "", fmt.Errorf("audit: %w", err)
	}
	if m[memberPrev], err = json.Marshal(prev); err != nil {
		return nil, "", fmt.Errorf("audit: %w", err)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, "", fmt.Errorf("audit: %w", err)
	}
	if line, err = canonical(raw); err != nil {
		return nil, "", err
	}
	return line, sum(line), nil
}

// canonical is the one way to write a JSON object (RFC 8785), so that whoever
// verifies a line hashes the same bytes.
func canonical(raw []byte) ([]byte, error) {
	line, err := jcs.Transform(raw)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return line, nil
}

func sum(line []byte) string {
	s := sha256.Sum256(line)
	return hex.EncodeToString(s[:])
}

// object reads a JSON object and nothing behind it.
func object(b []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if m == nil {
		return nil, errors.New("audit: a line is a JSON object")
	}
	return m, nil
}

// Row is a line as it is kept.
type Row struct {
	Seq  int64
	At   int64  // the line's time, in milliseconds: what rows are looked for by
	Line []byte // canonical
	Hash string
}

// Head is where a trail ends: the number and the hash of its last line; the
// zero value is that of an empty one.
type Head struct {
	Seq  int64
	Hash string
}

// String is the head as it is noted down and compared.
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Seq, h.Hash) }

// BrokenError says where a trail is not what was written, and why.
type BrokenError struct {
	Seq int64 // the first line that is wrong, or missing
	Why string
}

// Error gives the sentence for the operator.
func (e *BrokenError) Error() string { return fmt.Sprintf("line %d %s", e.Seq, e.Why) }

// Verifier proves a trail line by line.
type Verifier struct {
	last Head
	want Head // must be passed on the way; zero for none
	met  bool
	part bool // the trail may begin at any line
}

// NewVerifier returns a verifier for a trail from its first line on. want is a
// head that was noted down earlier and must still be a line of it; the zero
// value asks for none.
func NewVerifier(want Head) *Verifier { return &Verifier{want: want, met: want == Head{}} }

// NewPartVerifier returns a verifier for what may be only a part of a trail: the
// first line is taken for what it is.
func NewPartVerifier(want Head) *Verifier {
	v := NewVerifier(want)
	v.part = true
	return v
}

// Next takes in the next line. The error is a *BrokenError.
func (v *Verifier) Next(r Row) error {
	if v.part {
		v.part = false
		m, err := object(r.Line)
		var prev string
		if err == nil {
			err = json.Unmarshal(m[memberPrev], &prev)
		}
		if err != nil || r.Seq < 1 {
			return &BrokenError{r.Seq, "is no line of a trail"}
		}
		v.last = Head{r.Seq - 1, prev}
	}
	n := v.last.Seq + 1
	switch {
	case r.Seq > n:
		return &BrokenError{n, "is missing"}
	case r.Seq < n:
		return &BrokenError{r.Seq, "is there twice"}
	}
	m, err := object(r.Line)
	if err != nil {
		return &BrokenError{n, "is no JSON object"}
	}
	var seq int64
	var prev string
	if json.Unmarshal(m[memberSeq], &seq) != nil || json.Unmarshal(m[memberPrev], &prev) != nil {
		return &BrokenError{n, "has no number or no hash of the one before"}
	}
	if canon, err := canonical(r.Line); err != nil || !bytes.Equal(canon, r.Line) {
		return &BrokenError{n, "is not as it was written"}
	}
	ev, err := decode(m)
	switch {
	case sum(r.Line) != r.Hash:
		return &BrokenError{n, "was changed: it does not give its hash"}
	case seq != n:
		return &BrokenError{n, fmt.Sprintf("was line %d when it was written", seq)}
	case prev != v.last.Hash:
		return &BrokenError{n, "does not follow the one before it: one of them was changed, or a line was put in or taken out between them"}
	case err != nil:
		return &BrokenError{n, "is no line of a trail"}
	case ev.At.UnixMilli() != r.At:
		return &BrokenError{n, "is filed under another time than it tells"}
	}
	if n == v.want.Seq && r.Hash != v.want.Hash {
		return &BrokenError{n, "has another hash than the head that was noted down: what was written up to it was written anew"}
	}
	v.met = v.met || n == v.want.Seq
	v.last = Head{n, r.Hash}
	return nil
}

// End says whether the trail is whole: kept is the head that was kept beside
// its lines. It returns the head of what was read.
func (v *Verifier) End(kept Head) (Head, error) {
	switch {
	case kept.Seq > v.last.Seq:
		return v.last, &BrokenError{v.last.Seq + 1, fmt.Sprintf("is missing, and so is all up to line %d: the end was cut off", kept.Seq)}
	case kept != v.last:
		return v.last, &BrokenError{v.last.Seq, "is not the one that was written last"}
	case !v.met:
		return v.last, &BrokenError{v.last.Seq + 1, fmt.Sprintf("is missing, and so is all up to line %d, which the head that was noted down is: the end was cut off", v.want.Seq)}
	}
	return v.last, nil
}
