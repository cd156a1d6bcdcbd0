package discord

import (
	"crypto/ed25519"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

const (
	headerSignature = "X-Signature-Ed25519"
	headerTimestamp = "X-Signature-Timestamp"

	// window is how old, or how early, a request may be. Discord signs the time and
	// says nothing of how long it counts; an interaction waits for 3 seconds.
	window = 30 * time.Second
)

// signature is what the headers of a request say of who sent it.
type signature struct {
	sum  []byte
	time string
}

// headers reads the signature, and refuses what needs no look at the body.
func headers(h http.Header, now time.Time) (signature, error) {
	sum, err := hex.DecodeString(h.Get(headerSignature))
	at, terr := strconv.ParseInt(h.Get(headerTimestamp), 10, 64)
	if err != nil || len(sum) != ed25519.SignatureSize || terr != nil || len(h[headerSignature]) != 1 || len(h[headerTimestamp]) != 1 {
		return signature{}, webhook.Unauthorized("", "The request is not signed as Discord signs.", err)
	}
	if off := now.Sub(time.Unix(at, 0)); off > window || off < -window {
		return signature{}, webhook.Unauthorized("", "The request is too old, or one of our clocks is wrong.", nil)
	}
	return signature{sum, h.Get(headerTimestamp)}, nil
}

// verify holds a body against its signature.
func (s signature) verify(key ed25519.PublicKey, body []byte) error {
	if !ed25519.Verify(key, append([]byte(s.time), body...), s.sum) {
		return webhook.Unauthorized("", "The signature does not fit: discord.public_key is that of another application, or this is not from Discord.", nil)
	}
	return nil
}

// publicKey reads the key of an application as its page shows it.
func publicKey(s string) (ed25519.PublicKey, error) {
	key, err := hex.DecodeString(s)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fault.New(fault.Usage, "discord.public_key is the application's, 64 hexadecimal digits; its page in the developer portal shows it.")
	}
	return key, nil
}
