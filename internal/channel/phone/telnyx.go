package phone

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Telnyx speaks the same XML, which it calls TeXML. Its callbacks are the same
// forms, but signed in another way (developers.telnyx.com, Callbacks, TeXML): by
// Ed25519 over the time and the body. The URL is not in it, so what we remember in
// one is signed by ourselves.
const Telnyx = "telnyx"

const (
	telnyxAPI       = "https://api.telnyx.com/v2"
	telnyxSignature = "Telnyx-Signature-Ed25519"
	telnyxTimestamp = "Telnyx-Timestamp"
	// telnyxTolerance is how old what is posted may be, or how far in the future.
	telnyxTolerance = 5 * time.Minute
	urlSignature    = "sig"
)

// publicKey is the key of the account, as its portal shows it.
func (c Config) publicKey() (ed25519.PublicKey, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(c.SigningKey)
	return b, err == nil && len(b) == ed25519.PublicKeySize
}

// telnyxSigned reports whether Telnyx signed a body, not long ago.
func (c Config) telnyxSigned(header http.Header, body []byte, now time.Time) bool {
	key, ok := c.publicKey()
	stamps, signatures := header.Values(telnyxTimestamp), header.Values(telnyxSignature)
	if !ok || len(stamps) != 1 || len(signatures) != 1 || strings.Trim(stamps[0], "0123456789") != "" {
		return false
	}
	seconds, err := strconv.ParseInt(stamps[0], 10, 64)
	if err != nil || time.Unix(seconds, 0).Sub(now).Abs() > telnyxTolerance {
		return false
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(signatures[0])
	return err == nil && len(sig) == ed25519.SignatureSize && ed25519.Verify(key, append([]byte(stamps[0]+"|"), body...), sig)
}

// urlMAC is our own signature of a path and what stands in its query.
func (c Config) urlMAC(path string, query url.Values) string {
	mac := hmac.New(sha256.New, []byte("url "+c.Token))
	mac.Write([]byte(path + "?" + query.Encode()))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// ourURL reports whether a URL was made by us, or remembers nothing.
func (c Config) ourURL(u *url.URL) bool {
	q := u.Query()
	if u.RawQuery == "" {
		return true
	}
	sig := q.Get(urlSignature)
	q.Del(urlSignature)
	return hmac.Equal([]byte(sig), []byte(c.urlMAC(u.Path, q)))
}

// telnyxAnswer makes of what Telnyx's API answers what Twilio's would: a message is
// wrapped, and has other names.
func telnyxAnswer(b []byte) []byte {
	var wrapped struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(b, &wrapped); err != nil || wrapped.Data.ID == "" {
		return b
	}
	out, err := json.Marshal(call{SID: wrapped.Data.ID})
	if err != nil {
		return b
	}
	return out
}

// telnyxRequest is where something is asked of Telnyx's API, and with what: calls are
// made of JSON and changed by forms, and messages have an API of their own.
func (c Config) telnyxRequest(method, what string, form url.Values) (at, kind, body string, err error) {
	base := strings.TrimSuffix(c.APIURL, "/")
	if base == "" {
		base = telnyxAPI
	}
	fields := map[string]any{}
	for k := range form {
		fields[k] = form.Get(k)
	}
	switch {
	case what == "": // is the account known?
		return base + "/texml/Accounts/" + url.PathEscape(c.Account) + "/Calls?PageSize=1", "", "", nil
	case what == "Messages" && method == http.MethodPost:
		at = base + "/messages"
		fields = map[string]any{"from": form.Get("From"), "to": form.Get("To"), "text": form.Get("Body")}
	case what == "Calls" && method == http.MethodPost:
		at = base + "/texml/Accounts/" + url.PathEscape(c.Account) + "/Calls"
		fields["ApplicationSid"], fields["UrlMethod"] = c.Application, fields["Method"]
		delete(fields, "Method")
		if n, err := strconv.Atoi(form.Get("Timeout")); err == nil {
			fields["Timeout"] = n
		}
	default:
		return base + "/texml/Accounts/" + url.PathEscape(c.Account) + "/" + what, "application/x-www-form-urlencoded", form.Encode(), nil
	}
	b, err := json.Marshal(fields)
	return at, "application/json", string(b), err
}
