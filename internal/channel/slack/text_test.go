package slack

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSaid(t *testing.T) {
	for _, c := range []struct {
		text, want        string
		mentioned, others bool
	}{
		{"<@U0BOT> how is web?", "how is web?", true, false},
		{"hey <@U0BOT|firstmate>, scale `web` to 5", "hey , scale web to 5", true, false},
		{"*restart* checkout", "restart checkout", false, false},
		{"<@U2> can you look?", "@U2 can you look?", false, true},
		{"<@U2|bob> and <@U0BOT>", "@bob and", true, true},
		{"how is <http://web.shop|web.shop>?", "how is web.shop?", false, false},
		{"see <https://x.example/a?b=1&amp;c>", "see https://x.example/a?b=1&c", false, false},
		{"<!here> look at <#C1|general>", "!here look at #general", false, false},
		{"a &lt;b&gt; &amp;amp;", "a <b> &amp;", false, false},
		{"  two\nlines ", "two lines", false, false},
		{"* *", "* *", false, false},
		{"", "", false, false},
	} {
		words, mentioned, others := said(c.text, "U0BOT")
		if words != c.want || mentioned != c.mentioned || others != c.others {
			t.Errorf("%q: %q, %v, %v", c.text, words, mentioned, others)
		}
	}
}

func FuzzSaid(f *testing.F) {
	for _, s := range []string{"<@U0BOT> hi", "<<@U0BOT>>", "<|>", "<", "&lt;@U1&gt;", "\xff<@\xff|x>"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) { said(s, "U0BOT") })
}

func TestPieces(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc|d"}, {"a\nbcd", 3, "a|bcd"}, {"äöü", 2, "äö|ü"}, {"ab\n\n", 2, "ab"},
	} {
		if got := strings.Join(pieces(c.text, c.n), "|"); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.text, c.n, got, c.want)
		}
	}
}

func FuzzPieces(f *testing.F) {
	f.Add("one\ntwo\nthree", 4)
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n < 1 || n > 5000 || !utf8.ValidString(s) {
			t.Skip()
		}
		left := len(strings.Join(strings.Fields(s), ""))
		for _, p := range pieces(s, n) {
			if utf8.RuneCountInString(p) > n || p == "" {
				t.Errorf("%q is a piece of at most %d", p, n)
			}
			left -= len(strings.Join(strings.Fields(p), ""))
		}
		if left != 0 {
			t.Errorf("%d bytes are lost", left)
		}
	})
}
