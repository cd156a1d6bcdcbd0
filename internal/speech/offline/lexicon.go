package offline

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// lexicon says how words are pronounced, in the phones of the acoustic model.
type lexicon struct {
	tools Tools
	known map[string][]string // word → pronunciations
}

// readLexicon reads the pronunciations of words from a dictionary of Sphinx. What
// is not there is not in it yet.
func readLexicon(t Tools, words []string) (*lexicon, error) {
	l := &lexicon{tools: t, known: map[string][]string{}}
	return l, l.learn(words)
}

// learn reads those words that are not known yet.
func (l *lexicon) learn(words []string) error {
	want := map[string]bool{}
	for _, w := range words {
		if l.known[w] == nil {
			want[w] = true
		}
	}
	if len(want) == 0 {
		return nil
	}
	f, err := os.Open(filepath.Join(l.tools.Model, "cmudict-en-us.dict"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	s := bufio.NewScanner(f)
	for s.Scan() {
		word, phones, ok := strings.Cut(s.Text(), " ")
		if i := strings.IndexByte(word, '('); i > 0 {
			word = word[:i]
		}
		if ok && want[word] {
			l.known[word] = append(l.known[word], strings.TrimSpace(phones))
		}
	}
	for w := range want {
		if own := saidAs(w); len(own) > 0 {
			l.known[w] = own
		}
	}
	return s.Err()
}

// complete finds pronunciations for words that the dictionary lacks: by the
// phonemes that espeak-ng would say.
func (l *lexicon) complete(ctx context.Context, words []string) error {
	var missing []string
	for _, w := range words {
		if l.known[w] == nil {
			missing = append(missing, w)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// One call for all: a word a line.
	out, err := l.tools.run(ctx, l.tools.Espeak, []string{"-q", "--ipa", "--sep=_", "-v", "en-us", "--stdin"}, []byte(strings.Join(missing, "\n\n")+"\n"))
	if err != nil {
		return fmt.Errorf("pronunciations: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	kept := lines[:0]
	for _, s := range lines {
		if strings.TrimSpace(s) != "" {
			kept = append(kept, s)
		}
	}
	if len(kept) != len(missing) {
		return fmt.Errorf("pronunciations: espeak-ng said %d words for %d", len(kept), len(missing))
	}
	for i, w := range missing {
		if p := arpabet(kept[i]); p != "" {
			l.known[w] = []string{p}
		}
	}
	return nil
}

// writeDictionary writes the words as Sphinx reads them. Words without a
// pronunciation are left out, and returned.
func (l *lexicon) writeDictionary(to io.Writer, words []string) (mute []string, err error) {
	w := bufio.NewWriter(to)
	for _, word := range words {
		all := l.known[word]
		if len(all) == 0 {
			mute = append(mute, word)
		}
		for i, p := range all {
			if i == 0 {
				fmt.Fprintf(w, "%s %s\n", word, p)
			} else {
				fmt.Fprintf(w, "%s(%d) %s\n", word, i+1, p)
			}
		}
	}
	return mute, w.Flush()
}

// arpabet maps espeak-ng's phonemes, parted by _ and blanks, to those of the
// acoustic model; "" where there are none.
func arpabet(ipa string) string {
	table := ipaTable()
	var out []string
	for p := range strings.FieldsFuncSeq(ipa, func(r rune) bool { return r == '_' || r == ' ' || r == '\n' }) {
		p = strings.Map(func(r rune) rune {
			if strings.ContainsRune("ˈˌ.ʲ\u0303\u0329\u200d", r) {
				return -1
			}
			return r
		}, p)
		for p != "" { // the longest that fits, for what is joined
			n := len(p)
			for n > 0 && table[p[:n]] == "" {
				n--
			}
			if n == 0 { // a sign without a sound
				_, rest, _ := strings.Cut(p, string([]rune(p)[0]))
				p = rest
				continue
			}
			out = append(out, table[p[:n]])
			p = p[n:]
		}
	}
	return strings.Join(out, " ")
}

// ipaTable is what espeak-ng's American English consists of.
func ipaTable() map[string]string {
	return map[string]string{
		"p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "f": "F", "v": "V", "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH",
		"tʃ": "CH", "dʒ": "JH", "m": "M", "n": "N", "ŋ": "NG", "l": "L", "ɫ": "L", "ɹ": "R", "r": "R", "w": "W", "j": "Y", "ɾ": "T", "ʔ": "T", "x": "K", "ɬ": "L",
		"iː": "IY", "i": "IY", "ɪ": "IH", "ᵻ": "IH", "ɨ": "IH", "eɪ": "EY", "ɛ": "EH", "e": "EH", "æ": "AE", "a": "AE", "ɑː": "AA", "ɑ": "AA", "ɒ": "AA", "ɔː": "AO", "ɔ": "AO", "oʊ": "OW", "o": "OW",
		"ʊ": "UH", "uː": "UW", "u": "UW", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY", "ɜː": "ER", "ɜ": "ER", "ɚ": "ER", "əl": "AH L", "ən": "AH N",
		"ɪɹ": "IH R", "ɛɹ": "EH R", "ɑːɹ": "AA R", "ɔːɹ": "AO R", "oːɹ": "AO R", "oː": "AO", "ʊɹ": "UH R", "aɪɚ": "AY ER", "aɪə": "AY AH", "iə": "IY AH", "aː": "AA", "eː": "EY", "yː": "UW", "y": "UW", "ç": "HH", "ɲ": "N Y",
	}
}

// saidAs are words of this trade that neither dictionary nor rules get right, and
// letters.
func saidAs(w string) []string {
	switch w {
	case "api":
		return []string{"EY P IY AY"}
	case "apis":
		return []string{"EY P IY AY Z"}
	case "db":
		return []string{"D IY B IY"}
	case "ui":
		return []string{"Y UW AY"}
	case "redis":
		return []string{"R EH D IH S"}
	case "kubectl":
		return []string{"K Y UW B K AH N T R OW L", "K Y UW B K AH D AH L"}
	case "etcd":
		return []string{"EH T S IY D IY", "EH T S IY T IY D IY"}
	case "argocd":
		return []string{"AA R G OW S IY D IY"}
	case "coredns":
		return []string{"K AO R D IY EH N EH S"}
	case "nginx":
		return []string{"EH N JH IH N EH K S"}
	case "kubernetes":
		return []string{"K UW B ER N EH T IY Z", "K UW B ER N EH T IH S"}
	case "postgres":
		return []string{"P OW S T G R EH S", "P OW S G R EH S"}
	case "mysql":
		return []string{"M AY EH S K Y UW EH L", "M AY S IY K W AH L"}
	case "sql":
		return []string{"EH S K Y UW EH L", "S IY K W AH L"}
	case "cpu":
		return []string{"S IY P IY Y UW"}
	case "grpc":
		return []string{"JH IY AA R P IY S IY"}
	case "http":
		return []string{"EY CH T IY T IY P IY"}
	case "https":
		return []string{"EY CH T IY T IY P IY EH S"}
	case "dns":
		return []string{"D IY EH N EH S"}
	case "svc":
		return []string{"S ER V IH S"}
	case "rollback":
		return []string{"R OW L B AE K"}
	case "rollout":
		return []string{"R OW L AW T"}
	case "rollouts":
		return []string{"R OW L AW T S"}
	case "frontend":
		return []string{"F R AH N T EH N D"}
	case "backend":
		return []string{"B AE K EH N D"}
	case "namespace":
		return []string{"N EY M S P EY S"}
	case "v":
		return []string{"V IY"}
	}
	return nil
}
