//go:build unix

package peers

import (
	"net/url"
	"testing"
)

// TwilioSigner signs requests with Twilio's own library, as the account that has
// this token.
func TwilioSigner(t testing.TB, token string) func(at string, form url.Values) (string, error) {
	t.Helper()
	library := Ask(t, "twilio", "signatures.js")
	return func(at string, form url.Values) (signature string, err error) {
		params := map[string]string{}
		for k := range form {
			params[k] = form.Get(k)
		}
		err = library.Ask(map[string]any{"op": "sign", "token": token, "url": at, "params": params}, &signature)
		return signature, err
	}
}
