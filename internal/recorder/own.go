package recorder

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

var (
	// password is what stands before something that anybody may have thought of;
	// machineKey before what a machine made, which is no word of a language.
	password   = regexp.MustCompile(`^(pass(word|phrase|code|wd)s?|pwd|pins?|otp|cvv|credentials?)$`)
	machineKey = regexp.MustCompile(`^(secrets?|tokens?|(api-?)?keys?|bearer|authorization)$`)
	linking    = regexp.MustCompile(`^(link|pair|redeem|code)$`)
	says       = regexp.MustCompile(`^(is|are|was|were|be|equals|reads|says|=|->|→)$`)
	question   = regexp.MustCompile(`(?i)^(what|which|who|where|when|why|how|is|are|was|were|do|does|did|has|have|can|show|list)\b`)
	wordOf     = regexp.MustCompile(`[^\s,;()"“”]+`)
	spelled    = regexp.MustCompile(`^(zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)$`)
	inFigures  = regexp.MustCompile(`^\d+([-.]\d+)*$`)
	dated      = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	version    = regexp.MustCompile(`^\d{1,4}(\.\d{1,3}){1,3}$`)
	signed     = regexp.MustCompile(`[\pL\d][$!^*%]+[\pL\d]`) // P4$$w0rd
	run        = regexp.MustCompile(`[A-Za-z0-9+/~]{16,}`)
	digits     = regexp.MustCompile(`\d+`)
)

const (
	// longNumber is of how many digits a number is that may be a PIN or a code.
	longNumber = 6
	// near is how many words may stand between "password" and the "is" behind it.
	near = 5
)

// piece is a word of a sentence, and where it stands.
type piece struct {
	from, to int
	low      string
}

// own is a sentence as it is shown to who said it: in their own words, but for what
// is a secret, or looks like one. A PIN that was asked for and a code to link by do
// not come here at all: the engine takes them out of the turn.
func (r *Recorder) own(h dialogue.Heard) string {
	text := strings.TrimSpace(h.Request.Text)
	if button, _ := h.Request.Button(); button != "" {
		return text // what is written on it
	}
	slot := h.Open.Slot
	if strings.Contains(slot, "pin") || strings.Contains(slot, "code") || slot == "" && dialogue.SaysSecret(text) {
		return logs.Masked
	}
	text = logs.Mask(text)
	text = run.ReplaceAllStringFunc(text, func(s string) string {
		if random(s) {
			return logs.Masked
		}
		return s
	})
	words := pieces(text)
	hide := make([]bool, len(words))
	r.told(h, text, words, hide)
	numbers(h, text, words, hide)
	var b strings.Builder
	at, hidden := 0, -2
	for i, w := range words {
		if !hide[i] && !signed.MatchString(w.low) {
			continue
		}
		if hidden != i-1 { // of several in a row one says enough
			b.WriteString(text[at:w.from] + logs.Masked)
		}
		at, hidden = w.to, i
	}
	return b.String() + text[at:]
}

// pieces are the words of a sentence, without the signs that close it.
func pieces(text string) []piece {
	var out []piece
	for _, at := range wordOf.FindAllStringIndex(text, -1) {
		w := text[at[0]:at[1]]
		core := strings.TrimRight(w, ".:!?'")
		core = strings.TrimLeft(core, "'")
		if core == "" {
			core = w
		}
		from := at[0] + strings.Index(w, core)
		out = append(out, piece{from, from + len(core), strings.ToLower(core)})
	}
	return out
}

// random reports whether so many letters and digits in a row are no name: a name
// has not all of capitals, small letters and digits mixed, nor is it so much in
// capitals. Hexadecimal numbers are the names of commits and traces.
func random(s string) bool {
	var upper, lower, figure, other bool
	for _, c := range s {
		switch {
		case unicode.IsUpper(c):
			upper = true
		case unicode.IsLower(c):
			lower = true
		case unicode.IsDigit(c):
			figure = true
		default:
			other = true
		}
	}
	switch n := len(digits.FindAllString(s, -1)); {
	case upper && !lower:
		return !other
	case upper && lower && figure:
		return len(s) >= 32 || n >= 2 && !other
	case lower && figure && strings.ContainsAny(s, "ghijklmnopqrstuvwxyz") && !other:
		return len(s) >= 24 && n >= 4
	}
	return false
}

// told hides what is said behind "password" and the like: all that is behind "the
// password is", else the next word, unless everybody may say it.
func (r *Recorder) told(h dialogue.Heard, text string, words []piece, hide []bool) {
	plain := r.plain()
	asks := question.MatchString(text) || strings.HasSuffix(text, "?")
	known := func(w piece) bool {
		return plain(w.low) || !strings.HasPrefix(r.names(h.Inventory).MaskSecrets(text[w.from:w.to], plain), "{")
	}
	for i, w := range words {
		thought := password.MatchString(w.low)
		if !thought && !machineKey.MatchString(w.low) {
			continue
		}
		for j := i; j < min(len(words), i+near+1); j++ {
			if !says.MatchString(words[j].low) && !strings.HasPrefix(text[words[j].to:], ":") {
				continue
			}
			for k := j + 1; k < len(words); k++ {
				hide[k] = hide[k] || thought && !asks || !known(words[k])
			}
			break
		}
		if next := i + 1; thought && next < len(words) && !plain(words[next].low) && !says.MatchString(words[next].low) {
			hide[next] = true
		}
	}
}

// numbers hides what may be a PIN or a code: long numbers, also in groups, and where
// a yes is waited for or something is linked, as many figures as a PIN has.
func numbers(h dialogue.Heard, text string, words []piece, hide []bool) {
	asked, all := h.Open.Confirm, 0
	of := make([]int, len(words))
	for i, w := range words {
		asked = asked || linking.MatchString(w.low)
		switch {
		case spelled.MatchString(w.low):
			of[i] = 1
		case inFigures.MatchString(w.low) && !dated.MatchString(w.low) && !version.MatchString(w.low) && !tagged(h, w.low):
			of[i] = len(w.low) - strings.Count(w.low, "-") - strings.Count(w.low, ".")
		}
		all += of[i]
	}
	for i := 0; i < len(words); {
		j, sum, said := i, 0, 0
		for ; j < len(words) && of[j] > 0; j++ {
			sum += of[j]
			if spelled.MatchString(words[j].low) {
				said++
			}
		}
		for k := i; k < j; k++ {
			hide[k] = hide[k] || sum >= longNumber || said >= minPIN || asked && all >= minPIN
		}
		i = max(j, i+1)
	}
}

// tagged reports whether a number is a version that the cluster knows.
func tagged(h dialogue.Heard, w string) bool {
	return h.Inventory != nil && slices.Contains(h.Inventory.Data().Tags, w)
}
