package offline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/speech"
)

// HearAmong hears sound in which something like these texts is said: how words
// follow each other in them is all that it expects. It is for whoever wants to know
// what of a reply comes over.
func (t Tools) HearAmong(ctx context.Context, a speech.Audio, texts []string) (heard string, err error) {
	p, err := t.Decode(ctx, a)
	if err != nil || p.Seconds() < 0.1 {
		return "", err
	}
	lm, seen := newTrigram(), map[string]bool{}
	var words []string
	for _, text := range texts {
		for _, s := range speech.Sentences(text) {
			said := plainWords(s)
			if len(said) == 0 {
				continue
			}
			lm.add(said)
			for _, w := range said {
				if !seen[w] {
					seen[w] = true
					words = append(words, w)
				}
			}
		}
	}
	slices.Sort(words)
	l, err := readLexicon(t, words)
	if err == nil {
		err = l.complete(ctx, words)
	}
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "firstmate-among-*")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	write := func(name string, f func(*os.File) error) {
		file, e := os.Create(filepath.Join(dir, name))
		if e == nil {
			e = errors.Join(f(file), file.Close())
		}
		err = errors.Join(err, e)
	}
	write("dict", func(f *os.File) error { _, e := l.writeDictionary(f, words); return e })
	write("lm", func(f *os.File) error { return lm.write(f) })
	write("a.wav", func(f *os.File) error {
		_, e := f.Write(p.Resampled(speech.EngineRate).WAV())
		return e
	})
	write("ctl", func(f *os.File) error { _, e := f.WriteString("a\n"); return e })
	if err != nil {
		return "", err
	}
	r := &Recognizer{tools: t}
	return r.listen(ctx, &model{dir: dir}, dir, "heard", "-lm", filepath.Join(dir, "lm"), "-lw", "9")
}

// plainWords are the words of a text as they are said, figures too.
func plainWords(text string) []string {
	var out []string
	for w := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '\''
	}) {
		if n, err := strconv.Atoi(w); err == nil && n <= 12 {
			out = append(out, digits()[n])
			continue
		}
		if strings.ContainsAny(w, "0123456789") {
			out = append(out, letters(w)...)
			continue
		}
		if w = strings.Trim(w, "'"); w != "" {
			out = append(out, w)
		}
	}
	return out
}
