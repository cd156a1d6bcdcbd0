package dialogue

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// minSecret is how many digits a PIN or code has at least.
const minSecret = 4

// AskPIN makes the reply ask for the PIN of whoever the open proposal waits
// for: the digits they say next are that, and are taken for nothing else.
func (t *Turn) AskPIN(r Reply) Reply {
	t.Session.WantsPIN = t.Session.Pending != ""
	r.Expect = ExpectPIN
	return r
}

// secret answers a turn that is a PIN which was asked for, or a code to link by.
// It comes before all that could keep, log or repeat what was said: from here
// on the turn has no text. ok is false where the turn is neither.
func (e *Engine) secret(ctx context.Context, t *Turn) (r Reply, ok bool, err error) {
	s := t.Session
	if button, _ := t.Request.Button(); button != "" {
		return Reply{}, false, nil
	}
	if code, ok := linkCode(t.Request.Text); ok && e.handlers["link"] != nil {
		t.hush()
		t.Secret, t.Intent = code, intents.Intent{Name: "link", Slots: intents.Slots{}}
		r, err = e.handle(ctx, t)
		return r, true, err
	}
	pin, sure := saidDigits(t.Request.Text, "pin", "my", "the", "is", "number", "code", "it", "its")
	whole := sure && len(pin) >= minSecret
	asked := s.WantsPIN && s.PendingBy == t.Request.Speaker.Key() // also where it waits no more: it is a PIN all the same
	switch {
	case pin == "":
		return Reply{}, false, nil
	case asked && !whole:
		t.hush()
		t.Intent = intents.Intent{Name: "confirm", Slots: intents.Slots{}}
		r, err = t.Reply("pin.unclear", nil)
		return t.AskPIN(r), true, err
	case asked, whole && s.TakesPIN && s.WaitingFor(t.Request.Speaker):
		t.hush()
		t.Secret, t.Intent = pin, intents.Intent{Name: "confirm", Slots: intents.Slots{}}
		r, err = e.handle(ctx, t)
		return r, true, err
	case whole && s.Question == nil:
		// So many figures are no number of replicas: somebody says a PIN or a code
		// that nobody asked for.
		t.hush()
		t.Intent = intents.Intent{Name: intents.OutOfScope, Slots: intents.Slots{}}
		return Reply{}, true, fault.New(fault.NotUnderstood, "I asked for no number. Say the whole thing, like “scale web to five”; a code goes with “link”.")
	}
	return Reply{}, false, nil
}

// SaysSecret reports whether what was said is a PIN or a code and nothing else,
// for a channel that takes those by another way than saying them.
func SaysSecret(text string) bool {
	said, sure := saidDigits(text, "pin", "my", "the", "is", "number", "code", "it", "its")
	return sure && len(said) >= minSecret
}

// hush takes away what was said: it is a secret.
func (t *Turn) hush() {
	t.Request.Text, t.Request.Intent = "", nil
	t.heard = Heard{Open: t.Session.expect()}
}

// linkCode is the code of “link 4829 1374”.
func linkCode(text string) (access.Hidden, bool) {
	words := spokenWords(text)
	if !slices.ContainsFunc(words, func(w string) bool { return w == "link" || w == "pair" || w == "redeem" }) {
		return "", false
	}
	code, sure := saidDigits(text, "link", "pair", "redeem", "me", "my", "this", "phone", "telephone", "channel", "account", "chat", "with", "using", "by", "code", "the", "is", "number", "it", "its", "use")
	return code, sure && len(code) >= minSecret
}

// saidDigits is the number that a sentence consists of, said digit by digit or
// in groups: "1 2 3 4", "twelve thirty-four", "double five oh two". sure is
// false where there is more in it than that, fillers apart; "" is no number, or
// one beside so much else that it is a sentence with a number in it.
func saidDigits(text string, fillers ...string) (digits access.Hidden, sure bool) {
	fillers = append(fillers, "please", "and", "um", "uh", "a", "ok", "okay", "so", "yes")
	var out strings.Builder
	times, other, real := 1, 0, 0
	words := spokenWords(text)
	for i := 0; i < len(words); i++ {
		w := words[i]
		d, soft := wordDigits(w)
		switch {
		case w == "double" || w == "triple":
			times = map[string]int{"double": 2, "triple": 3}[w]
			continue
		case slices.Contains(fillers, w):
			continue
		case d == "":
			other++
			continue
		case !soft:
			real++
		}
		if len(d) == 2 && d[1] == '0' && d[0] > '1' && i+1 < len(words) { // thirty four
			if one, soft := wordDigits(words[i+1]); len(one) == 1 && one != "0" && !soft && !isDigits(words[i+1]) && !isDigits(w) {
				d = d[:1] + one
				i++
			}
		}
		out.WriteString(strings.Repeat(d, times))
		times = 1
	}
	if real < 2 && other > 0 || real == 0 && out.Len() < minSecret || other > real {
		return "", false
	}
	return access.Hidden(out.String()), other == 0
}

// wordDigits is a word as digits. soft are words that are digits only among
// others: what recognisers of speech make of them.
func wordDigits(w string) (digits string, soft bool) {
	if isDigits(w) {
		return w, false
	}
	for i, n := range [...]string{
		"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
		"eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
	} {
		if w == n {
			return decimal(i), false
		}
	}
	for i, n := range [...]string{"twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"} {
		if w == n {
			return decimal((i + 2) * 10), false
		}
	}
	switch w {
	case "oh", "o", "null", "nil":
		return "0", true
	case "won":
		return "1", true
	case "to", "too":
		return "2", true
	case "tree":
		return "3", true
	case "for", "fore":
		return "4", true
	case "ate":
		return "8", true
	case "niner":
		return "9", true
	}
	return "", false
}

func decimal(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return string(rune('0'+n/10)) + string(rune('0'+n%10))
}

func isDigits(w string) bool { return w != "" && strings.Trim(w, "0123456789") == "" }

// spokenWords are the words of a sentence, small, without what is between them.
func spokenWords(text string) []string {
	return strings.FieldsFunc(strings.ToLower(strings.ReplaceAll(text, "'", "")), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r)
	})
}
