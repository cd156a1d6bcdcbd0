package logs

import (
	"strconv"
	"strings"
)

// kind is how much the name of a value says about it.
type kind int

const (
	keyOther    kind = iota
	keyToken         // made by a machine: a word of a language is none
	keyPassword      // whatever it is
	keyAuth          // a header: all of it
)

// keyName is a key without what differs between styles: "X-Api-Key",
// "x_api_key" and "xApiKey" are one. Of a path it is the last part.
func keyName(w string) string {
	if i := strings.LastIndexByte(w, '/'); i >= 0 {
		w = w[i+1:]
	}
	if len(w) > 64 {
		w = w[len(w)-64:]
	}
	var buf [64]byte
	n := 0
	for i := range len(w) {
		if class(w[i])&(isLower|isUpper|isDigit) != 0 {
			buf[n] = lowerByte(w[i])
			n++
		}
	}
	return string(buf[:n])
}

// keyKind judges the name of a value.
func keyKind(w string) kind {
	name := keyName(w)
	switch name {
	case "authorization", "proxyauthorization", "xauthorization", "cookie", "setcookie", "cookies", "httpauthorization", "httpcookie":
		return keyAuth
	case "bypass", "compass", "trespass", "surpass", "":
		return keyOther
	case "pin", "otp", "totp", "cvv", "cvc", "ssn", "jwt", "sig", "assertion", "clientassertion", "samlresponse", "jsessionid", "phpsessid", "connectsid",
		"secretid", "xamzsignature", "xamzcredential", "mfacode", "pincode", "bearer", "auth", "dsn", "connectionstring", "sas", "sharedaccesssignature":
		return keyToken
	}
	if !telltale(name) {
		return keyOther
	}
	for _, end := range [...]string{
		"name", "names", "id", "ids", "count", "length", "len", "policy", "age", "expiry", "expires", "expiresat", "expiresin", "expired", "ttl", "attempts", "required", "enabled",
		"valid", "type", "types", "file", "path", "dir", "version", "changed", "ref", "refs", "status", "error", "present", "exists", "field", "class", "endpoint", "url", "uri",
		"manager", "provider", "store", "service", "request", "requests", "limit", "usage", "used", "ms", "seconds", "duration", "total", "num", "bytes", "size", "reset", "mode",
		"created", "updated", "rotated", "missing", "invalid", "failed", "failures", "ok", "at", "kind", "namespace", "algorithm", "issuer", "audience", "generation", "reason", "message",
	} {
		if strings.HasSuffix(name, end) {
			return keyOther
		}
	}
	for _, part := range [...]string{"password", "passwd", "passphrase", "passcode", "credential", "privatekey"} {
		if strings.Contains(name, part) {
			return keyPassword
		}
	}
	if strings.HasSuffix(name, "maxtokens") || strings.HasSuffix(name, "prompttokens") || strings.HasSuffix(name, "completiontokens") || strings.HasSuffix(name, "totaltokens") || strings.HasSuffix(name, "inputtokens") || strings.HasSuffix(name, "outputtokens") {
		return keyOther // of a language model
	}
	switch {
	case strings.HasSuffix(name, "pwd"), strings.HasSuffix(name, "pass"), strings.HasSuffix(name, "passwort"), strings.HasSuffix(name, "pw") && len(name) < 12:
		return keyPassword
	case strings.HasSuffix(name, "token"), strings.Contains(name, "secret"), strings.HasSuffix(name, "signature"), strings.HasSuffix(name, "auth") && name != "oauth",
		strings.HasSuffix(name, "tokens"), strings.HasSuffix(name, "sessionid"), strings.HasSuffix(name, "jwt"), isKeyWord(name):
		return keyToken
	}
	return keyOther
}

// telltale reports whether a name has what all names of secrets have; nearly
// none has, and the lists need not be gone through.
func telltale(name string) bool {
	for i := 0; i+2 < len(name); i++ {
		switch name[i] {
		case 'p':
			if name[i+1] == 'a' && name[i+2] == 's' || name[i+1] == 'w' && name[i+2] == 'd' || name[i+1] == 'r' && strings.HasPrefix(name[i:], "privatekey") {
				return true
			}
		case 's':
			if strings.HasPrefix(name[i:], "secret") || strings.HasPrefix(name[i:], "signature") || strings.HasPrefix(name[i:], "sessionid") {
				return true
			}
		case 't':
			if strings.HasPrefix(name[i:], "token") {
				return true
			}
		case 'k':
			if name[i+1] == 'e' && name[i+2] == 'y' {
				return true
			}
		case 'c':
			if strings.HasPrefix(name[i:], "credential") {
				return true
			}
		}
	}
	return strings.HasSuffix(name, "pw") || strings.HasSuffix(name, "auth") || strings.HasSuffix(name, "jwt")
}

// isKeyWord reports the names of keys that open something.
func isKeyWord(name string) bool {
	if !strings.HasSuffix(name, "key") {
		return false
	}
	for _, end := range [...]string{
		"apikey", "accesskey", "secretkey", "privatekey", "encryptionkey", "signingkey", "authkey", "masterkey", "sessionkey", "accountkey", "sharedkey", "clientkey",
		"storagekey", "licensekey", "appkey", "applicationkey", "servicekey", "hmackey", "sshkey", "deploykey", "writekey", "rsakey", "ecdsakey", "tlskey", "serverkey",
	} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// harmless reports a value that tells nothing. tight is whether nothing stood
// between it and the key but a sign, as in "token=abc": it is then no sentence.
func harmless(k kind, v string, tight bool) bool {
	v = strings.TrimSpace(v)
	switch strings.ToLower(strings.TrimRight(v, ",;.)]}")) {
	case "", "true", "false", "null", "nil", "none", "no", "yes", "-", "empty", "<nil>", "undefined", strings.ToLower(strings.TrimRight(Masked, "]")), "[redacted", "redacted", "<redacted>", "[filtered", "xxx", "xxxx", "xxxxx", "=":
		return true
	}
	if strings.Trim(v, "*") == "" || strings.HasPrefix(v, "***") && strings.HasSuffix(v, "***") {
		return true
	}
	if k == keyPassword {
		// Counts of tests that passed; no password has fewer digits.
		_, err := strconv.Atoi(v)
		return err == nil && len(v) < 4
	}
	if k != keyToken {
		return false
	}
	if _, err := strconv.ParseFloat(v, 64); err == nil && len(v) < 3 {
		return true // a count; a PIN has more digits
	}
	if tight {
		return false
	}
	// "invalid token: signature is wrong": a sentence goes on.
	for i := range len(v) {
		if class(v[i])&isLower == 0 && (i > 0 || class(v[i])&isUpper == 0) && v[i] != '\'' {
			return false
		}
	}
	return true
}

// scheme reports whether an Authorization begins with a scheme, behind which
// the secret stands.
func scheme(v string) bool {
	word, _, ok := strings.Cut(v, " ")
	if !ok || len(word) > 20 {
		return false
	}
	switch strings.ToLower(word) {
	case "bearer", "basic", "token", "digest", "negotiate", "apikey", "aws4-hmac-sha256", "splunk", "ntlm", "hawk", "sharedkey", "genie-key", "bot":
		return true
	}
	return false
}

// token finds a secret that shows itself: a prefix by which services mark their
// keys, a JWT, or letters that no language has in that order. from is where in
// the word it begins.
func token(w string, seen byte) (from int, ok bool) {
	if len(w) < 12 {
		return 0, false
	}
	for i := 0; i < len(w); {
		if marked(w[i:]) {
			return i, true
		}
		n := strings.IndexByte(w[i:], '/')
		if n < 0 {
			break
		}
		i += n + 1
	}
	if seen&(isLower|isUpper|isDigit) != isLower|isUpper|isDigit || len(w) < 20 {
		return 0, false
	}
	if random(w, 32) {
		return 0, true
	}
	for i := 0; i < len(w); {
		n := strings.IndexAny(w[i:], "/.")
		if n < 0 {
			n = len(w) - i
		}
		if random(w[i:i+n], 20) {
			return i, true
		}
		i += n + 1
	}
	return 0, false
}

// marked reports a key by the prefix that its service gives to all of them.
func marked(w string) bool {
	if len(w) < 12 {
		return false
	}
	var prefixes []string
	switch w[0] {
	case 'A':
		if len(w) >= 20 && (w[:4] == "AKIA" || w[:4] == "ASIA") {
			for i := range 20 {
				if class(w[i])&(isUpper|isDigit) == 0 {
					return false
				}
			}
			return true
		}
		return len(w) >= 35 && strings.HasPrefix(w, "AIza") || strings.HasPrefix(w, "AGE-SECRET-KEY-1")
	case 'e':
		return strings.HasPrefix(w, "eyJ") && len(w) >= 16
	case 'g':
		prefixes = []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "glrt-", "glsa_", "glc_"}
	case 'x':
		prefixes = []string{"xoxa-", "xoxb-", "xoxc-", "xoxd-", "xoxe-", "xoxp-", "xoxr-", "xoxs-", "xapp-"}
	case 's':
		if strings.HasPrefix(w, "sk-") {
			return len(w) >= 20 && strings.ContainsAny(w, "0123456789")
		}
		prefixes = []string{"sk_live_", "sk_test_", "shpat_", "shpss_", "sntrys_", "sntryu_"}
	case 'r':
		prefixes = []string{"rk_live_", "rk_test_"}
	case 'w':
		prefixes = []string{"whsec_"}
	case 'n':
		prefixes = []string{"npm_", "nfp_"}
	case 'p':
		prefixes = []string{"pypi-Ag", "pat-"}
	case 'd':
		prefixes = []string{"dckr_pat_", "dop_v1_", "dp.pt.", "dp.st."}
	case 'h':
		prefixes = []string{"hvs.", "hvb.", "hvr."}
	case 'l':
		prefixes = []string{"lin_api_"}
	case 'y':
		prefixes = []string{"ya29."}
	case 'S':
		return strings.HasPrefix(w, "SG.") && len(w) >= 30
	case 'f':
		prefixes = []string{"figd_"}
	case 'k':
		return strings.HasPrefix(w, "key-") && len(w) == 36
	}
	for _, p := range prefixes {
		if strings.HasPrefix(w, p) {
			return true
		}
	}
	return false
}

// random reports letters of both cases and digits that change places more often
// than in any name: base64 of something.
func random(w string, least int) bool {
	if len(w) < least {
		return false
	}
	var seen, last byte
	changes, letters := 0, 0
	for i := range len(w) {
		k := class(w[i])
		if k == isMark {
			last = 0
			continue
		}
		letters++
		seen |= k
		if k != last && last != 0 {
			changes++
		}
		last = k
	}
	if seen != isLower|isUpper|isDigit || letters < least*4/5 {
		return false
	}
	share := 36
	if letters >= 32 {
		share = 32
	}
	return changes*100 >= letters*share
}

// url masks the credentials of a URL whose host begins at i.
func (m *masking) url(i int) int {
	s := m.s
	end := i
	for end < len(s) && strings.IndexByte(" \t\n\r\"'`<>", s[end]) < 0 {
		end++
	}
	part := s[i:end]
	if q := strings.IndexByte(part, '?'); q >= 0 && strings.IndexByte(part[:q], '@') >= 0 {
		part = part[:q] // an address in the query is no user
	}
	slash := strings.IndexByte(part, '/')
	host := part
	if slash >= 0 {
		host = part[:slash]
	}
	at := strings.LastIndexByte(host, '@')
	colon := strings.IndexByte(host, ':')
	// Passwords hold slashes and more, although they should be escaped.
	if last := strings.LastIndexByte(part, '@'); last > at && (at >= 0 || colon >= 0 && !port(host[colon+1:]) || database(s[:i])) {
		at = last
	}
	if at < 0 {
		return i
	}
	colon = strings.IndexByte(part[:at], ':')
	switch {
	case colon >= 0 && colon < at-1 && part[colon+1:at] != Masked:
		m.replace(i+colon+1, i+at, Masked)
	case colon < 0 && at >= 12 && part[:at] != Masked: // no user has such a name
		m.replace(i, i+at, Masked)
	}
	return i + at + 1
}

func port(s string) bool {
	for i := range len(s) {
		if class(s[i]) != isDigit {
			return false
		}
	}
	return s != "" && len(s) <= 5
}

// database reports whether a URL begins as those of databases and queues do,
// which have no path with an @ in it.
func database(before string) bool {
	for _, p := range [...]string{"postgres://", "postgresql://", "mysql://", "redis://", "rediss://", "amqp://", "amqps://", "mongodb://", "mongodb+srv://", "nats://", "kafka://"} {
		if strings.HasSuffix(before, p) {
			return true
		}
	}
	return false
}

// at looks at an @ that is in no URL: user:password@host, and addresses.
func (m *masking) at(i int) int {
	s := m.s
	from := i
	for from > m.copied && strings.IndexByte(" \t\n\r\"'`<>,;=([{", s[from-1]) < 0 {
		from--
	}
	if strings.Contains(s[from:i], "://") {
		return i + 1 // url has looked at it
	}
	host := i + 1
	for host < len(s) && (class(s[host])&(isLower|isUpper|isDigit) != 0 || s[host] == '.' || s[host] == '-' || s[host] == '_') {
		host++
	}
	if colon := strings.IndexByte(s[from:i], ':'); colon > 0 && colon < i-from-1 && (host > i+1 || strings.HasPrefix(s[i+1:], "(")) {
		switch strings.ToLower(s[from : from+colon]) {
		case "mailto", "sip", "from", "to", "cc":
			from += colon + 1
		default:
			if s[from+colon+1:i] != Masked {
				m.replace(from+colon+1, i, Masked)
			}
			return i + 1
		}
	}
	if m.emails && from < i && strings.Contains(s[i+1:host], ".") {
		m.replace(from, trimEnd(s, i, host), Masked)
		return max(host, i+1)
	}
	return i + 1
}
