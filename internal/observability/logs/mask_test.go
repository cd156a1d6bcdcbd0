package logs

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestMaskCorpus holds lines as programs write them: what stands between ⟦ and
// ⟧ must not be seen, and all else must be.
func TestMaskCorpus(t *testing.T) {
	lines := read(t, "testdata/secrets.txt")
	leaks, secrets := 0, 0
	for _, line := range lines {
		plain := strings.NewReplacer("⟦", "", "⟧", "", `\n`, "\n").Replace(line)
		got := Mask(plain)
		for rest := line; ; {
			_, after, ok := strings.Cut(rest, "⟦")
			if !ok {
				break
			}
			secret, more, _ := strings.Cut(after, "⟧")
			rest = more
			secrets++
			if strings.Contains(got, strings.ReplaceAll(secret, `\n`, "\n")) {
				leaks++
				t.Errorf("leak of %q:\n  %s", secret, got)
			}
		}
		if again := Mask(got); again != got {
			t.Errorf("masked again it differs:\n  %s\n  %s", got, again)
		}
		if json.Valid([]byte(plain)) && !json.Valid([]byte(got)) {
			t.Errorf("no JSON any more:\n  %s", got)
		}
	}
	t.Logf("%d secrets in %d lines, %d leaks", secrets, len(lines), leaks)
	if secrets < 90 {
		t.Errorf("only %d secrets: the corpus is not read", secrets)
	}
}

// TestMaskLeavesTheRest holds lines without a secret, of which few may be
// touched.
func TestMaskLeavesTheRest(t *testing.T) {
	lines := read(t, "testdata/harmless.txt")
	wrong := 0
	for _, line := range lines {
		if got := Mask(line); got != line {
			wrong++
			t.Logf("%s\n  became %s", line, got)
		}
	}
	t.Logf("%d of %d lines were touched", wrong, len(lines))
	if len(lines) < 80 || wrong*50 > len(lines) { // two in a hundred
		t.Errorf("%d of %d harmless lines were masked", wrong, len(lines))
	}
}

func TestMaskEmails(t *testing.T) {
	const line = `mail to ann.lee+shop@example.com, from=<bob@mail.example.org>: 421 @ 17:00`
	if got := Mask(line); got != line {
		t.Errorf("addresses are masked without being asked: %s", got)
	}
	got := Masker{Emails: true}.Mask(line)
	if want := `mail to [masked], from=<[masked]>: 421 @ 17:00`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// FuzzMask plants a secret in every form that a line may give it, with
// anything around it.
func FuzzMask(f *testing.F) {
	f.Add("level=info ", "hunter2hunter2", " done", 0)
	f.Add(`{"a":"b",`, `p@ss,w0rd;x`, `,"c":1}`, 3)
	f.Add("[", "Zx9;Pq=1&r", "]", 5)
	forms := []struct{ before, after string }{
		{"password=", ""}, {"password: ", ""}, {`password="`, `"`}, {`"password":"`, `"`}, {`\"db_password\": \"`, `\"`}, {"DB_PASSWORD=", ""}, {"--password ", ""},
		{"Authorization: Bearer ", ""}, {`"api_key": "`, `"`}, {"postgres://shop:", "@db:5432/shop"}, {"client_secret='", "'"}, {"?access_token=", "&x=1"}, {"<password>", "</password>"},
		{"Authorization: Basic ", ""}, {"\x1b[31mpasswd\x1b[0m=", ""}, {`{"p\u0061ssword":"`, `"}`},
	}
	f.Fuzz(func(t *testing.T, before, secret, after string, n int) {
		got := Mask(before)
		if again := Mask(got); len(again) > 2*len(got)+20 {
			t.Fatalf("%q grows to %q", got, again)
		}
		// A secret as one is generated: no blanks, quotes or brackets, and long
		// enough to be found.
		secret = strings.Map(func(r rune) rune {
			if r <= ' ' || r > '~' || strings.ContainsRune("\"'`\\<>[]{}()/?#@:", r) {
				return -1
			}
			return r
		}, secret)
		form := forms[uint(n)%uint(len(forms))] //nolint:gosec // any number will do
		if len(secret) < 8 || strings.HasPrefix(secret, "--") || strings.Trim(secret, "*x,;.-=&|") == "" || harmless(keyPassword, secret, true) || strings.HasPrefix(Masked, secret) {
			t.Skip()
		}
		// What ends a value where a key follows: the form is then another.
		if i := strings.IndexAny(secret, "&;,|=%"); i >= 0 && (form.after == "" || strings.HasPrefix(form.after, "&")) {
			t.Skip()
		}
		// What stands before decides what the words are: here it is a line of its own.
		line := strings.NewReplacer("\"", "", "'", "", "`", "", "\\", "", "-----BEGIN", "", "[", "", "{", "").Replace(before) + "\n" + form.before + secret + form.after + "\n" + after
		if strings.Contains(clean(line[:strings.LastIndex(line, form.before+secret)]), secret) || strings.Contains(clean(after), secret) || strings.Contains(form.before+form.after, secret) {
			t.Skip()
		}
		text := Parse(testTime, line)
		for _, s := range []string{text.Raw, text.Message, text.Stack} {
			if core := strings.Trim(secret, ",;)]}.=*"); len(core) >= 8 && strings.Contains(s, core) {
				t.Fatalf("%q is seen in %q (of %q)", core, s, line)
			}
		}
	})
}

func BenchmarkMask(b *testing.B) {
	const line = `{"level":"info","msg":"order placed","order":"493021","items":3,"total":"12.40 EUR","took_ms":31,"request_id":"3fa1c2"}`
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		Mask(line)
	}
}
