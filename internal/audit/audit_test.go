package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/audit"
)

func at(n int) time.Time { return time.UnixMilli(1_800_000_000_000 + int64(n)*1000) }

// trail makes a chain of n lines.
func trail(t testing.TB, n int) []audit.Row {
	t.Helper()
	var rows []audit.Row
	prev := ""
	for i := 1; i <= n; i++ {
		b, err := audit.Event{
			Kind: audit.Applied, At: at(i), Person: "ann", Said: "scale <web> to 5 & “go”\u2028", Action: fmt.Sprint("a", i),
			Objects: []audit.Object{{Namespace: "shop", Kind: "Deployment", Name: "web", From: "3", To: "5", Diff: "-3\n+5\n"}},
		}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		line, hash, err := audit.Seal(int64(i), prev, b)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, audit.Row{Seq: int64(i), At: at(i).UnixMilli(), Line: line, Hash: hash})
		prev = hash
	}
	return rows
}

func verify(v *audit.Verifier, rows []audit.Row) error {
	var last audit.Head
	for _, r := range rows {
		if err := v.Next(r); err != nil {
			return err
		}
		last = audit.Head{Seq: r.Seq, Hash: r.Hash}
	}
	_, err := v.End(last)
	return err
}

func TestAChainIsProved(t *testing.T) {
	rows := trail(t, 5)
	head := audit.Head{Seq: 3, Hash: rows[2].Hash}
	if err := verify(audit.NewVerifier(head), rows); err != nil {
		t.Error(err)
	}
	if got, err := audit.ParseHead(head.String()); got != head || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "3", "0:" + rows[0].Hash, "3:xyz", "x:" + rows[0].Hash, "3:" + strings.ToUpper(rows[0].Hash)} {
		if _, err := audit.ParseHead(bad); err == nil {
			t.Errorf("%q is taken for a head", bad)
		}
	}
	if err := verify(audit.NewVerifier(audit.Head{}), nil); err != nil {
		t.Errorf("an empty trail: %v", err)
	}
	if err := verify(audit.NewVerifier(head), nil); err == nil {
		t.Error("an empty trail has a line that was noted down")
	}
	for name, want := range map[string]audit.Head{"another hash": {Seq: 3, Hash: rows[3].Hash}, "a later line": {Seq: 6, Hash: rows[3].Hash}} {
		if err := verify(audit.NewVerifier(want), rows); err == nil {
			t.Errorf("%s of a head goes unnoticed", name)
		}
	}
}

// TestALineIsProvedWithoutFirstmate holds the description in docs/audit.md.
func TestALineIsProvedWithoutFirstmate(t *testing.T) {
	for _, r := range trail(t, 2) {
		line, err := audit.Export(r)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		hash := m["hash"]
		delete(m, "hash")
		var b bytes.Buffer // keys in order, no blanks, no escapes for HTML
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(m); err != nil {
			t.Fatal(err)
		}
		canonical := strings.ReplaceAll(strings.TrimSpace(b.String()), `\u2028`, "\u2028")
		if sum := sha256.Sum256([]byte(canonical)); hex.EncodeToString(sum[:]) != hash {
			t.Errorf("%s", line)
		}
	}
}

func TestAPartOfATrailIsProved(t *testing.T) {
	rows := trail(t, 6)
	if err := verify(audit.NewPartVerifier(audit.Head{}), rows[3:]); err != nil {
		t.Error(err)
	}
	if err := verify(audit.NewVerifier(audit.Head{}), rows[3:]); err == nil {
		t.Error("a part is taken for the whole")
	}
	if err := verify(audit.NewPartVerifier(audit.Head{}), append(rows[1:2:2], rows[3:]...)); err == nil {
		t.Error("a gap goes unnoticed")
	}
}

func TestWhatTheChainOwnsIsNotForContent(t *testing.T) {
	for _, content := range []string{`{"seq":1}`, `{"prev":""}`, `{"hash":""}`, `[]`, `null`, `"x"`, ``, `{"a":1}x`} {
		if _, _, err := audit.Seal(1, "", []byte(content)); err == nil {
			t.Errorf("sealed %s", content)
		}
	}
}

func TestADiffIsClipped(t *testing.T) {
	b, err := audit.Event{Kind: audit.Proposed, At: at(1), Objects: []audit.Object{{Kind: "Deployment", Name: "web", Diff: strings.Repeat("ä", 1<<20)}}}.Encode()
	if err != nil || len(b) > 20<<10 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// FuzzVerify changes one exported line of three in any way: unless it still is
// the same line, the proof fails, and with a line's number.
func FuzzVerify(f *testing.F) {
	rows := trail(f, 3)
	lines := make([][]byte, len(rows))
	for i, r := range rows {
		b, err := audit.Export(r)
		if err != nil {
			f.Fatal(err)
		}
		lines[i] = b
		f.Add(i, b)
	}
	f.Add(1, bytes.Replace(lines[1], []byte("web"), []byte("wab"), 1))
	f.Add(1, bytes.Replace(lines[1], []byte(`"seq":2`), []byte(`"seq":2.0`), 1))
	f.Add(1, bytes.Replace(lines[1], []byte(`{`), []byte(`{"seq":2,`), 1))
	f.Add(0, []byte("null"))
	f.Add(2, []byte(`{"kind":"said","at":"2026-01-01T00:00:00Z","hash":"","prev":"","seq":-9223372036854775808}`))
	f.Fuzz(func(t *testing.T, at int, changed []byte) {
		at = max(0, at%len(rows))
		all := append([]audit.Row{}, rows...)
		r, err := audit.Import(changed)
		if err != nil {
			return
		}
		all[at] = r
		err = verify(audit.NewVerifier(audit.Head{}), all)
		same := r.Hash == rows[at].Hash && bytes.Equal(r.Line, rows[at].Line)
		// The last line has none behind it: written anew as a whole it is a
		// trail of its own, which only a head that was noted down shows.
		anew := at == len(rows)-1
		var broken *audit.BrokenError
		switch {
		case same && err != nil:
			t.Errorf("the same line is called broken: %v", err)
		case !same && !anew && !errors.As(err, &broken):
			t.Errorf("%s goes unnoticed: %v", changed, err)
		case !same && anew:
			if err := verify(audit.NewVerifier(audit.Head{Seq: 3, Hash: rows[2].Hash}), all); !errors.As(err, &broken) {
				t.Errorf("%s goes unnoticed beside its head: %v", changed, err)
			}
		}
	})
}
