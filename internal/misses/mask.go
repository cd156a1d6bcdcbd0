package misses

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"

	"github.com/firstmate-ops/firstmate/intents"
)

// What a sentence may hold once it is masked: plain words, small numbers, and
// these in place of everything else. Nothing stays because it is not known to be
// dangerous; only what is known to be harmless does.
const (
	maskWorkload  = "{workload}"
	maskNamespace = "{namespace}"
	maskNode      = "{node}"
	maskCluster   = "{cluster}"
	maskAlert     = "{alert}"
	maskContainer = "{container}"
	maskName      = "{name}"    // looks like the name of something
	maskNumber    = "{number}"  // of more than four digits
	maskVersion   = "{version}" // with more to it than numbers
	maskAddress   = "{address}"
	maskMail      = "{mail}"
	maskPerson    = "{person}"
	maskURL       = "{url}"
	maskPath      = "{path}"
	maskQuoted    = "{quoted}"
	maskSecret    = "{secret}" // anything else
)

const (
	maxAtoms     = 40 // of a sentence; what follows is left out
	maxNameAtoms = 7  // "ip dash ten …" is longer than anybody says
	maxWord      = 20 // letters
	maxShout     = 11 // letters, in capitals
	maxPiece     = 60 // bytes; longer is no word
	maxDigits    = 4
)

var (
	smallNumber = regexp.MustCompile(`^[+-]?v?\d{1,4}(\.\d{1,3}){0,2}(x|%|s|m|h|d|ms|k|gb|mb|gi|mi|st|nd|rd|th)?$|^x\d{1,3}$`)
	digitsOnly  = regexp.MustCompile(`^[+-]?\(?\d[\d.()-]*$`)
	fourParts   = regexp.MustCompile(`^\d{1,3}(\.\d{1,3}){3}$`)
	suffixed    = regexp.MustCompile(`^v?\d{1,3}(\.\d{1,3}){1,3}-(bad|good|rc|alpha|beta|dev|pre|snapshot|final|canary|test|debug)(\.?\d{1,2})?$`)
	flag        = regexp.MustCompile(`^--?[a-z]{1,15}(-[a-z]{1,15}){0,3}$`)
	domain      = regexp.MustCompile(`^([a-z0-9_-]+\.)+[a-z]{2,}$`)
	objectName  = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
	armour      = regexp.MustCompile(`(?i)-----BEGIN `) // of keys and certificates
	keyword     = regexp.MustCompile(`^(pass(word|phrase|code|wd)?s?|pwd|secrets?|tokens?|api-?keys?|keys?|pins?|credentials?|bearer|authorization|otp|cvv|iban)$`)
	says        = regexp.MustCompile(`^(is|are|was|were|be|equals|reads|says)$`)
)

// atom is the smallest part of a sentence that is masked by itself.
type atom struct {
	text string
	glue string // what parts it from the atom before: " ", or the sign that joins them
	tail string // "," or "?" behind it
	says bool   // a colon follows: what is behind it is what it names
	mask string // what takes its place, "" while nothing does
}

// Mask replaces in a sentence what must not be kept: the names of the inventory
// and what looks misspelt from them, secrets, addresses, large numbers, quoted
// text. plain reports the words that everybody may say; it is asked in lower case.
func Mask(text string, inv intents.InventoryData, plain func(word string) bool) string {
	return mask(text, namesOf(inv), plain)
}

// Known are the names of an inventory, made ready once for many sentences.
type Known struct{ names names }

// Know makes the names of an inventory ready.
func Know(inv intents.InventoryData) Known { return Known{namesOf(inv).themselves(inv)} }

// MaskSecrets replaces in a sentence what must not be kept where it is to be
// known what it was about: as Mask, but the names that are known stay.
func (k Known) MaskSecrets(text string, plain func(word string) bool) string {
	return mask(text, k.names, plain)
}

func mask(text string, n names, plain func(string) bool) string {
	m := &masker{names: n, plain: plain}
	m.split(unquote(clean(text)))
	m.inventory()
	m.secretsTold()
	for i := range m.atoms {
		if m.atoms[i].mask == "" {
			m.atoms[i].mask = m.judge(i)
		}
	}
	m.numbers()
	m.groupsOfFour()
	return m.join()
}

// clean drops signs that are not seen, and makes blanks and quotes equal.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "")
	if i := armour.FindStringIndex(text); i != nil {
		text = text[:i[0]] + ` "`
	}
	text = strings.NewReplacer("’", "'", "‘", "'", "‚", "'", "“", `"`, "”", `"`, "„", `"`, "«", `"`, "»", `"`, "`", `"`, "→", " -> ", "->", " -> ", "=>", " -> ", "…", " ", "—", " , ", "–", "-").Replace(text)
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
}

// unquote replaces quoted text. A quotation that is not closed goes to the end.
func unquote(text string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, `"`)
		b.WriteString(quotedWords(before))
		if !ok {
			return b.String()
		}
		b.WriteString(" " + maskQuoted + " ")
		if _, text, ok = strings.Cut(rest, `"`); !ok {
			return b.String()
		}
	}
}

// quotedWords replaces what stands between single quotes, which are apostrophes
// within words.
func quotedWords(text string) string {
	words := strings.Fields(text)
	var out []string
	for i := 0; i < len(words); i++ {
		end := -1
		if strings.HasPrefix(words[i], "'") {
			end = slices.IndexFunc(words[i:], func(w string) bool {
				return len(strings.TrimRight(w, ".,;:!?")) > 1 && strings.HasSuffix(strings.TrimRight(w, ".,;:!?"), "'")
			})
		}
		if end < 0 {
			out = append(out, words[i])
			continue
		}
		out = append(out, maskQuoted)
		i += end
	}
	return strings.Join(out, " ")
}

type masker struct {
	names names
	plain func(string) bool
	atoms []atom
}

// split makes atoms of a sentence.
func (m *masker) split(text string) {
	for piece := range strings.FieldsSeq(text) {
		if len(m.atoms) >= maxAtoms {
			return
		}
		if piece == maskQuoted {
			m.atoms = append(m.atoms, atom{text: piece, glue: " ", mask: piece})
			continue
		}
		first := len(m.atoms)
		m.piece(piece)
		if n := len(m.atoms); n > first {
			m.atoms[first].glue = " "
			m.atoms[n-1].says = strings.HasSuffix(piece, ":") || strings.HasSuffix(piece, "=")
		}
	}
}

// piece splits what stands between two blanks.
func (m *masker) piece(piece string) {
	add := func(a atom) { m.atoms = append(m.atoms, a) }
	switch piece {
	case "->", "=", "+", "-", "&":
		add(atom{text: piece, mask: piece})
		return
	case ",", "?", ";":
		if n := len(m.atoms); n > 0 {
			m.atoms[n-1].tail = piece
		}
		return
	}
	core := strings.Trim(piece, `.,;:!?'()[]{}<>*_~`)
	behind := piece[strings.LastIndex(piece, core)+len(core):]
	var tail string
	for _, sign := range []string{"?", ",", ";"} {
		if strings.Contains(behind, sign) {
			tail = sign
			break
		}
	}
	low := strings.ToLower(core)
	whole := func(mask string) { add(atom{text: low, tail: tail, mask: mask}) }
	switch {
	case core == "":
		if len(piece) > 3 {
			whole(maskSecret)
		}
	case !strings.ContainsFunc(core, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		if isEmoji(core) {
			whole(core)
		} else if len(core) > 3 {
			whole(maskSecret)
		}
	case m.names.exact[squash(core)] != "":
		whole(m.names.exact[squash(core)])
	case strings.Contains(low, "://") || strings.HasPrefix(low, "www."):
		whole(maskURL)
	case strings.HasPrefix(piece, "@") || strings.HasPrefix(piece, "<@"):
		whole(maskPerson)
	case strings.Contains(low, "@"):
		whole(maskMail)
	case len(core) > maxPiece:
		whole(maskSecret)
	case strings.Count(low, "/") > 1 || strings.HasPrefix(low, "/") || strings.ContainsAny(low, `\`) || strings.HasPrefix(piece, "~/") || strings.HasPrefix(piece, "./"):
		whole(maskPath)
	case domain.MatchString(low) && !m.plain(low):
		whole(maskURL)
	case flag.MatchString(low):
		whole("")
	default:
		m.parts(core, tail)
	}
}

// parts splits a piece at the signs that join words.
func (m *masker) parts(core, tail string) {
	first, glue := len(m.atoms), ""
	for {
		i := strings.IndexAny(core, ",;=/:&|")
		if i < 0 {
			break
		}
		if i > 0 {
			m.atoms = append(m.atoms, atom{text: core[:i], glue: glue})
			glue = ""
		}
		glue, core = glue+core[i:i+1], core[i+1:]
	}
	if core != "" {
		m.atoms = append(m.atoms, atom{text: core, glue: glue})
	}
	if len(m.atoms) > first {
		m.atoms[len(m.atoms)-1].tail = tail
	}
}

// inventory replaces names, also where they were said as several words.
func (m *masker) inventory() {
	for i := 0; i < len(m.atoms); i++ {
		if m.atoms[i].mask != "" {
			continue
		}
		key, best, what := "", 0, ""
		for j := i; j < len(m.atoms) && j < i+maxNameAtoms && m.atoms[j].mask == ""; j++ {
			if j > i && m.atoms[j-1].tail != "" {
				break
			}
			w := strings.ToLower(m.atoms[j].text)
			if j > i && (w == "dash" || w == "hyphen" || w == "dot" || w == "slash") {
				continue
			}
			w = strings.TrimSuffix(w, "'s")
			if key += squash(w); len(key) > m.names.longest+1 {
				break
			}
			for _, k := range []string{key, strings.TrimSuffix(key, "s"), key + "s"} {
				if mask := m.names.exact[k]; mask != "" {
					best, what = j+1, mask
				}
			}
		}
		if best == 0 {
			continue
		}
		m.atoms[i].mask, m.atoms[i].tail = what, m.atoms[best-1].tail
		m.atoms = slices.Delete(m.atoms, i+1, best)
	}
}

// secretsTold replaces what is said behind "password" and the like: everything
// behind "the password of x is", else the next word that is not everybody's.
func (m *masker) secretsTold() {
	for i := range m.atoms {
		if m.atoms[i].mask != "" || !keyword.MatchString(strings.Trim(strings.ToLower(m.atoms[i].text), "-")) {
			continue
		}
		for j := i + 1; j < min(len(m.atoms), i+6); j++ {
			a := &m.atoms[j]
			from := j + 1
			if strings.ContainsAny(a.glue, ":=") || m.atoms[j-1].says {
				from = j
			} else if !says.MatchString(strings.ToLower(a.text)) && a.text != "=" && a.text != "->" {
				continue
			}
			for k := from; k < len(m.atoms); k++ {
				m.atoms[k].mask = maskSecret
			}
			return
		}
		if i+1 < len(m.atoms) && m.atoms[i+1].mask == "" && !m.plain(strings.ToLower(m.atoms[i+1].text)) {
			m.atoms[i+1].mask = maskSecret
		}
	}
}

// judge masks one atom, or keeps it in lower case.
func (m *masker) judge(i int) string {
	a := m.atoms[i]
	low := strings.ToLower(a.text)
	joined := strings.ContainsAny(a.glue, "=/:&|") || i+1 < len(m.atoms) && strings.ContainsAny(m.atoms[i+1].glue, "=/:&|")
	switch {
	case flag.MatchString(low):
		return m.flag(low)
	case fourParts.MatchString(low):
		return maskAddress
	case smallNumber.MatchString(low) && digits(low) <= maxDigits:
		return low
	case digitsOnly.MatchString(low):
		return maskNumber
	case suffixed.MatchString(low):
		return maskVersion
	case m.plain(low):
		return low
	case isWord(a.text) && !joined:
		return cmp.Or(m.names.near(strings.TrimSuffix(low, "'s")), low)
	case isWord(a.text):
		return cmp.Or(m.names.near(low), maskName)
	case m.hyphenated(low):
		return low
	case objectName.MatchString(low) && a.text == low && len(low) <= 30:
		return cmp.Or(m.names.near(low), maskName)
	}
	return maskSecret
}

// flag keeps an option of kubectl that consists of words everybody may say.
func (m *masker) flag(low string) string {
	name := strings.TrimLeft(low, "-")
	if len(name) == 1 || m.plain(low) || m.plain(name) || m.hyphenated(name) {
		return low
	}
	return maskName
}

// hyphenated reports words like "roll-out" whose parts are everybody's.
func (m *masker) hyphenated(low string) bool {
	parts := strings.Split(low, "-")
	return len(parts) <= 4 && !slices.ContainsFunc(parts, func(p string) bool { return !isWord(p) || !m.plain(p) })
}

// numbers replaces what is a large number only as a whole: a card's or a
// telephone's number in groups, a PIN spelled out, a lone PIN.
func (m *masker) numbers() {
	for i := 0; i < len(m.atoms); { // "12:34:56"
		j, sum := i, 0
		for ; j < len(m.atoms) && (j == i || m.atoms[j].glue != " "); j++ {
			sum += digits(m.atoms[j].mask)
		}
		for k := i; k < j && sum > maxDigits; k++ {
			if digits(m.atoms[k].mask) > 0 {
				m.atoms[k].mask = maskNumber
			}
		}
		i = j
	}
	for i := 0; i < len(m.atoms); {
		j, sum, spelled := i, 0, 0
		for j < len(m.atoms) {
			d, word := m.figure(j)
			if d == 0 || j > i && m.atoms[j-1].tail == "," && !word {
				break
			}
			if word {
				spelled++
			}
			sum += d
			j++
		}
		if sum > maxDigits || spelled >= maxDigits || sum == maxDigits && len(m.atoms) == 1 {
			for k := i; k < j; k++ {
				m.atoms[k].mask = maskNumber
			}
		}
		i = max(j, i+1)
	}
}

// figure is how many digits an atom stands for, and whether it is a word.
func (m *masker) figure(i int) (int, bool) {
	switch mask := m.atoms[i].mask; mask {
	case maskNumber:
		return maxDigits + 1, false
	case "zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "double", "triple":
		return 1, true
	default:
		if digitsOnly.MatchString(mask) {
			return digits(mask), false
		}
	}
	return 0, false
}

// groupsOfFour replaces passwords that are shown as groups of four letters.
func (m *masker) groupsOfFour() {
	run := 0
	for i := 0; i <= len(m.atoms); i++ {
		if i < len(m.atoms) {
			if t := m.atoms[i].mask; len(t) == 4 && isWord(t) && !m.plain(t) {
				run++
				continue
			}
		}
		if run >= 3 {
			for k := i - run; k < i; k++ {
				m.atoms[k].mask = maskSecret
			}
		}
		run = 0
	}
}

// join writes the masked sentence. A piece of which any part is secret is all
// secret, and a placeholder is not said twice in a row.
func (m *masker) join() string {
	var b strings.Builder
	last := ""
	for i := 0; i < len(m.atoms); {
		j := i + 1
		for j < len(m.atoms) && m.atoms[j].glue != " " {
			j++
		}
		var piece strings.Builder
		secret := false
		for k, a := range m.atoms[i:j] {
			if k > 0 {
				piece.WriteString(a.glue)
			}
			piece.WriteString(a.mask)
			secret = secret || a.mask == maskSecret && j > i+1
		}
		text, tail := piece.String(), m.atoms[j-1].tail
		if secret {
			text = maskSecret
		}
		i = j
		if strings.HasPrefix(text, "{") && text == last {
			continue
		}
		last = text
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(text)
		if tail != "" {
			b.WriteString(tail)
			last = ""
		}
	}
	return b.String()
}

// names finds the names of an inventory by how they are said.
type names struct {
	exact   map[string]string // squashed → placeholder
	parts   map[string]string // parts of names → placeholder
	longest int
	kept    bool // names stand in their own place, so nothing is near to one
}

func namesOf(inv intents.InventoryData) names {
	n := names{exact: map[string]string{}, parts: map[string]string{}}
	add := func(name, mask string) {
		key := squash(name)
		if key == "" {
			return
		}
		if n.exact[key] == "" {
			n.exact[key] = mask
			n.longest = max(n.longest, len(key))
		}
		for part := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) }) {
			if len(part) >= 4 && n.parts[part] == "" {
				n.parts[part] = mask
			}
		}
	}
	for _, w := range inv.Workloads {
		add(w.Name, maskWorkload)
		for _, a := range w.Aliases {
			add(a, maskWorkload)
		}
	}
	for _, ns := range inv.Namespaces {
		add(ns, maskNamespace)
	}
	for alias := range inv.NamespaceAliases {
		add(alias, maskNamespace)
	}
	for _, node := range inv.Nodes {
		add(node, maskNode)
	}
	for _, c := range inv.Clusters {
		add(c, maskCluster)
	}
	for _, a := range inv.Alerts {
		add(a, maskAlert)
	}
	for _, c := range inv.Containers {
		add(c, maskContainer)
	}
	for _, t := range inv.Tags {
		if strings.ContainsFunc(t, unicode.IsLetter) { // "2.3" names nothing
			add(t, maskVersion)
		}
	}
	return n
}

// themselves gives each name in its own place; what only looks like one has none.
func (n names) themselves(inv intents.InventoryData) names {
	out := names{exact: map[string]string{}, longest: n.longest}
	add := func(name string) {
		if key := squash(name); n.exact[key] != "" && out.exact[key] == "" {
			out.exact[key] = name
		}
	}
	for _, w := range inv.Workloads {
		add(w.Name)
		for _, a := range w.Aliases {
			add(a)
		}
	}
	for alias := range inv.NamespaceAliases {
		add(alias)
	}
	for _, all := range [][]string{inv.Namespaces, inv.Nodes, inv.Clusters, inv.Alerts, inv.Containers, inv.Tags} {
		for _, name := range all {
			add(name)
		}
	}
	out.kept = true
	return out
}

// near gives the placeholder of a word that is part of a name, or almost a name.
func (n names) near(word string) string {
	if mask := n.parts[word]; mask != "" {
		return mask
	}
	key := squash(word)
	if n.kept || len(key) < 5 { // too many words are one letter from a short name
		return ""
	}
	limit, best := 1, ""
	if len(key) >= 7 {
		limit = 2
	}
	// Of equally near names the greater placeholder counts: maps have no order.
	for _, of := range []map[string]string{n.exact, n.parts} {
		for name, mask := range of {
			if d := len(name) - len(key); d > limit || d < -limit || len(name) < 5 || mask <= best {
				continue
			}
			if levenshtein.ComputeDistance(name, key) <= limit {
				best = mask
			}
		}
	}
	return best
}

// squash makes equal what sounds equal: "web admin" and "web-admin".
func squash(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

func digits(s string) int {
	n := 0
	for _, r := range s {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}

// isEmoji reports one or a few pictures.
func isEmoji(s string) bool {
	for _, r := range s {
		if r <= unicode.MaxASCII || !unicode.Is(unicode.So, r) && !unicode.Is(unicode.Sk, r) && !unicode.Is(unicode.Mn, r) {
			return false
		}
	}
	return utf8.RuneCountInString(s) <= 4
}

// isWord reports what could be a word of a language, and no random letters.
func isWord(s string) bool {
	body := s
	if i := strings.IndexByte(s, '\''); i > 0 && len(s)-i <= 3 {
		body = s[:i] + s[i+1:] // don't, web's, we're
	}
	n, upper, ascii, latin := 0, 0, true, 0
	vowels, run, worst, hex := 0, 0, 0, 0
	for i, r := range body {
		if !unicode.IsLetter(r) {
			return false
		}
		n++
		if unicode.IsUpper(r) {
			upper++
			if i > 0 && upper != n {
				return false // aBcDe
			}
		}
		if r > unicode.MaxASCII {
			ascii = false
		}
		if unicode.Is(unicode.Latin, r) {
			latin++
		}
		low := unicode.ToLower(r)
		if strings.ContainsRune("aeiouyäöüéèàáíóúâêîôû", low) {
			vowels, run = vowels+1, 0
		} else {
			run++
			worst = max(worst, run)
		}
		if low <= 'f' {
			hex++
		}
	}
	switch {
	case n == 0 || n > maxWord || upper == n && n > maxShout:
		return false
	case upper > 1 && upper != n:
		return false // ABc
	case latin != 0 && latin != n:
		return false // a name within foreign letters
	case !ascii && latin == 0:
		return true
	case n >= 7 && hex == n:
		return false // deadbeef
	case n >= 7 && (vowels*5 < n || worst > 5):
		return false
	}
	return true
}
