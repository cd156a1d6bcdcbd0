package alexa

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// What Amazon says of its signatures:
// developer.amazon.com/docs/custom-skills/host-a-custom-skill-as-a-web-service.html
const (
	headerChain     = "SignatureCertChainUrl"
	headerSignature = "Signature-256"

	chainHost   = "s3.amazonaws.com"
	chainFolder = "/echo.api/"
	chainName   = "echo-api.amazon.com" // whom the certificate must be for

	maxChain     = 64 << 10 // bytes
	maxChainCert = 10
	minKey       = 2048 // bits
	fetchLimit   = 3 * time.Second
	keptChains   = 32 // Amazon has one or two at a time
	// A stranger may name any file of Amazon's folder; each that is not known yet
	// is looked for, but no more than so many.
	fetchEvery, fetchBurst = time.Second, 10
)

// Keys knows who signed a request: the certificates of Amazon, fetched from
// where the request says and only from Amazon's folder, and kept until they
// expire.
type Keys struct {
	client *http.Client
	roots  *x509.CertPool
	now    func() time.Time
	fetch  *rate.Limiter

	mu   sync.Mutex
	kept map[string]chain
}

type chain struct {
	key   *rsa.PublicKey
	until time.Time
}

// NewKeys returns who fetches certificates by the transport and trusts those
// that lead to a root; nil are the system's roots. now is the clock.
func NewKeys(transport http.RoundTripper, roots *x509.CertPool, now func() time.Time) *Keys {
	return &Keys{
		client: &http.Client{
			Transport: transport, Timeout: fetchLimit,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		roots: roots, now: now, fetch: rate.NewLimiter(rate.Every(fetchEvery), fetchBurst), kept: map[string]chain{},
	}
}

// signed is what the headers of a request say of its signature.
type signed struct {
	url       *url.URL
	signature []byte
}

// unsigned is any reason not to believe a request. What is wrong stands in
// the log only: whoever forges requests need not learn it.
func unsigned(format string, a ...any) error {
	return webhook.WithStatus(http.StatusBadRequest, fault.Wrap(
		fmt.Errorf("alexa: "+format, a...), fault.Refused, "The request is not signed by Amazon as it should be."))
}

// headers reads what can be refused without the body.
func headers(h http.Header) (signed, error) {
	urls, signatures := h.Values(headerChain), h.Values(headerSignature)
	if len(urls) != 1 || len(signatures) != 1 {
		return signed{}, unsigned("%d of %s and %d of %s, not one each", len(urls), headerChain, len(signatures), headerSignature)
	}
	u, err := chainURL(urls[0])
	if err != nil {
		return signed{}, err
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(signatures[0])
	if err != nil || len(sig) < minKey/8 || strings.ContainsAny(signatures[0], "\r\n") {
		return signed{}, unsigned("the signature is no base64 of one: %w", errors.Join(err))
	}
	return signed{u, sig}, nil
}

// chainURL is the address of a chain of certificates in its normal form: every
// way of writing one that is not in Amazon's folder is refused. What is fetched
// is made anew of what was checked.
func chainURL(raw string) (*url.URL, error) {
	if len(raw) > 512 || strings.ContainsAny(raw, "\\\x00") {
		return nil, unsigned("the address of the certificates is odd")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, unsigned("the address of the certificates: %w", err)
	}
	clean := path.Clean("/" + u.Path) // decoded once
	switch {
	case !strings.EqualFold(u.Scheme, "https"), u.Opaque != "", u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		err = unsigned("the address of the certificates is %q", raw)
	case !strings.EqualFold(u.Host, chainHost) && !strings.EqualFold(u.Host, chainHost+":443"):
		err = unsigned("the certificates are at %q", u.Host)
	case !strings.HasPrefix(clean, chainFolder), strings.ContainsAny(clean, "\\\x00"):
		err = unsigned("the certificates are in %q", clean)
	}
	if err != nil {
		return nil, err
	}
	return &url.URL{Scheme: "https", Host: chainHost, Path: clean}, nil
}

// verify holds that the body is what was signed.
func (k *Keys) verify(ctx context.Context, s signed, body []byte) error {
	key, err := k.key(ctx, s.url)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], s.signature); err != nil {
		return unsigned("the signature: %w", err)
	}
	return nil
}

// key is the one that the certificate at an address vouches for.
func (k *Keys) key(ctx context.Context, u *url.URL) (*rsa.PublicKey, error) {
	name, now := u.String(), k.now()
	k.mu.Lock()
	c, ok := k.kept[name]
	k.mu.Unlock()
	if ok && now.Before(c.until) {
		return c.key, nil
	}
	if !k.fetch.AllowN(now, 1) {
		return nil, webhook.WithStatus(http.StatusServiceUnavailable, fault.New(fault.Unavailable,
			"Too many requests name certificates that I do not know. Please try again."))
	}
	b, err := k.get(ctx, u)
	if err != nil {
		return nil, err
	}
	if c, err = k.trust(b, now); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, c := range k.kept {
		if !now.Before(c.until) || len(k.kept) >= keptChains {
			delete(k.kept, name)
		}
	}
	k.kept[name] = c
	return c.key, nil
}

func (k *Keys) get(ctx context.Context, u *url.URL) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, webhook.WithStatus(http.StatusServiceUnavailable, fault.Wrap(err, fault.Unavailable,
			"I cannot fetch the certificates that the request is signed with. Please try again."))
	}
	defer func() { _ = resp.Body.Close() }() // read as far as it is wanted
	if resp.StatusCode != http.StatusOK {
		return nil, unsigned("the certificates: %s", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxChain+1))
	if err != nil || len(b) > maxChain {
		return nil, unsigned("the certificates: %d bytes or more: %w", len(b), errors.Join(err))
	}
	return b, nil
}

// trust reads a chain of certificates, the signer's first, and holds that it
// leads to a root, is valid now and is Amazon's.
func (k *Keys) trust(b []byte, now time.Time) (chain, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || len(certs) == maxChainCert {
			return chain{}, unsigned("certificate %d: %w", len(certs)+1, errors.Join(err))
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return chain{}, unsigned("there are no certificates")
	}
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	ways, err := certs[0].Verify(x509.VerifyOptions{DNSName: chainName, Intermediates: between, Roots: k.roots, CurrentTime: now})
	if err != nil {
		return chain{}, unsigned("the certificate: %w", err)
	}
	key, ok := certs[0].PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < minKey {
		return chain{}, unsigned("the certificate's key is a %T", certs[0].PublicKey)
	}
	return chain{key, expiry(ways)}, nil
}

// expiry is when the last of the ways to a root ends.
func expiry(ways [][]*x509.Certificate) time.Time {
	var last time.Time
	for _, way := range ways {
		until := way[0].NotAfter
		for _, c := range way {
			if c.NotAfter.Before(until) {
				until = c.NotAfter
			}
		}
		if until.After(last) {
			last = until
		}
	}
	return last
}
