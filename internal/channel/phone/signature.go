package phone

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what the carriers sign with; HMAC does not need collision resistance
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// signature is what a carrier signs a request with: HMAC-SHA1 over the exact URL
// and the sorted fields of the form. Of a field that is there more than once,
// each value counts once, sorted.
func signature(key, rawURL string, form url.Values) []byte {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte(rawURL))
	for _, k := range slices.Sorted(maps.Keys(form)) {
		values := slices.Clone(form[k])
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			mac.Write([]byte(k + v))
		}
	}
	return mac.Sum(nil)
}

// signed reports whether one of the signatures is that of the request. form is
// nil for a body that is no form: then its hash stands in the URL.
func signed(key, rawURL string, form url.Values, body []byte, sent []string) bool {
	if form == nil {
		u, err := url.Parse(rawURL)
		if err != nil {
			return false
		}
		sum := sha256.Sum256(body)
		if !hmac.Equal([]byte(hex.EncodeToString(sum[:])), []byte(u.Query().Get("bodySHA256"))) {
			return false
		}
	}
	ok := false
	for _, u := range withAndWithoutPort(rawURL) {
		want := signature(key, u, form)
		for _, s := range sent {
			got, err := base64.StdEncoding.DecodeString(s)
			ok = hmac.Equal(got, want) && err == nil || ok
		}
	}
	return ok
}

// withAndWithoutPort is the URL as the carrier may have written it: the port of
// its scheme stands there, or not.
func withAndWithoutPort(rawURL string) []string {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return []string{rawURL}
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, tail := rest[:end], rest[end:]
	port := ":443"
	if scheme == "http" {
		port = ":80"
	}
	bare := strings.TrimSuffix(host, port)
	if bare == host && strings.LastIndex(host, ":") > strings.LastIndex(host, "]") {
		return []string{rawURL, scheme + "://" + host[:strings.LastIndex(host, ":")] + tail} // a port of its own
	}
	return []string{scheme + "://" + bare + tail, scheme + "://" + bare + port + tail}
}

// headers are where the carrier's signature may stand.
func (c Config) headers() []string {
	if c.Provider == SignalWire {
		return []string{"X-SignalWire-Signature", "X-Twilio-Signature"}
	}
	return []string{"X-Twilio-Signature"}
}

// bearsSignature refuses what is not signed at all before its body is read.
func (c Config) bearsSignature(r *http.Request) error {
	if c.Provider == Telnyx {
		if b, err := base64.StdEncoding.DecodeString(r.Header.Get(telnyxSignature)); err == nil && len(b) == ed25519.SignatureSize {
			return nil
		}
		return unsigned()
	}
	for _, s := range c.signatures(r) {
		if b, err := base64.StdEncoding.DecodeString(s); err == nil && len(b) == sha1.Size {
			return nil
		}
	}
	return unsigned()
}

func (c Config) signatures(r *http.Request) []string {
	var out []string
	for _, h := range c.headers() {
		out = append(out, r.Header.Values(h)...)
	}
	return out[:min(len(out), 4)]
}

// verified reads the body of a request and returns its form, once the carrier's
// signature was found to be over it.
func (c Config) verified(r *http.Request) (url.Values, error) {
	body, err := webhook.ReadBody(r)
	if err != nil {
		return nil, err
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	isForm := strings.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded")
	var form url.Values
	var bad error
	if isForm {
		if form, bad = url.ParseQuery(string(body)); form == nil {
			form = url.Values{}
		}
	}
	ok := false
	if c.Provider == Telnyx {
		ok = c.telnyxSigned(r.Header, body, time.Now()) && c.ourURL(r.URL)
	} else {
		ok = signed(c.signingKey(), strings.TrimSuffix(c.PublicURL, "/")+r.URL.RequestURI(), form, body, c.signatures(r))
	}
	if !ok {
		return nil, unsigned()
	}
	if bad != nil || !isForm {
		return nil, fault.Wrap(bad, fault.Usage, "The request is not the form that the carrier sends.")
	}
	return form, nil
}

func unsigned() error {
	return webhook.WithStatus(http.StatusForbidden, fault.New(fault.Refused, "The request does not bear the carrier's signature."))
}
