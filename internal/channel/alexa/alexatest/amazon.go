// Package alexatest plays Amazon for tests: it signs requests with certificates
// of its own, serves them where Amazon would, and takes progressive responses.
package alexatest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"sync"
	"time"
)

// ChainURL is where the certificates lie.
const ChainURL = "https://s3.amazonaws.com/echo.api/echo-api-cert-12.pem"

// ApplicationID is the skill's.
const ApplicationID = "amzn1.ask.skill.11111111-2222-3333-4444-555555555555"

// Amazon signs requests as Alexa does.
type Amazon struct {
	Roots *x509.CertPool // trusts its certificates

	root, signer Certificate

	mu      sync.Mutex
	spoken  []Directive
	fetched int
	files   map[string][]byte // by URL
}

// Certificate is a certificate with its key.
type Certificate struct {
	Cert *x509.Certificate
	Key  *rsa.PrivateKey
}

// Directive is a progressive response that was posted.
type Directive struct {
	URL, Token, RequestID, Speech string
}

// New makes keys and certificates: a root, and a signer that is valid for the
// day around now.
func New() (*Amazon, error) {
	now := time.Now()
	root, err := Issue(Certificate{}, Template{Name: "Test Root", CA: true, From: now.Add(-48 * time.Hour), To: now.Add(48 * time.Hour)})
	if err != nil {
		return nil, err
	}
	between, err := Issue(root, Template{Name: "Test Server CA", CA: true, From: now.Add(-48 * time.Hour), To: now.Add(48 * time.Hour)})
	if err != nil {
		return nil, err
	}
	signer, err := Issue(between, Template{Name: "echo-api.amazon.com", DNS: []string{"echo-api.amazon.com"}, From: now.Add(-24 * time.Hour), To: now.Add(24 * time.Hour)})
	if err != nil {
		return nil, err
	}
	a := &Amazon{Roots: x509.NewCertPool(), root: root, signer: signer, files: map[string][]byte{ChainURL: PEM(signer, between, root)}}
	a.Roots.AddCert(root.Cert)
	return a, nil
}

// Template is what a certificate says.
type Template struct {
	Name     string
	DNS      []string
	CA       bool
	From, To time.Time
	Bits     int // of the key; 0 is 2048
}

// Issue makes a certificate that another one signs; the zero one signs itself.
func Issue(by Certificate, t Template) (Certificate, error) {
	if t.Bits == 0 {
		t.Bits = 2048
	}
	key, err := rsa.GenerateKey(rand.Reader, t.Bits)
	if err != nil {
		return Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: t.Name}, DNSNames: t.DNS, NotBefore: t.From, NotAfter: t.To,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: t.CA,
	}
	if t.CA {
		template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageCertSign, nil
	}
	parent, signing := by.Cert, by.Key
	if parent == nil {
		parent, signing = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signing)
	if err != nil {
		return Certificate{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return Certificate{cert, key}, err
}

// PEM is a chain of certificates as a file.
func PEM(certs ...Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Cert.Raw}) // into memory
	}
	return b.Bytes()
}

// Root is the certificate that vouches for all others.
func (a *Amazon) Root() Certificate { return a.root }

// Signer is the certificate that signs, and its key.
func (a *Amazon) Signer() Certificate { return a.signer }

// Chain is the file of certificates at ChainURL.
func (a *Amazon) Chain() []byte { return a.files[ChainURL] }

// Put serves a file at an address.
func (a *Amazon) Put(url string, content []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files[url] = content
}

// Sign puts the headers on that Amazon sends with a body.
func (a *Amazon) Sign(h http.Header, body []byte) error { return SignWith(a.signer.Key, h, body) }

// SignWith signs with another key.
func SignWith(key *rsa.PrivateKey, h http.Header, body []byte) error {
	sum := sha256.Sum256(body)
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return err
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("SignatureCertChainUrl", ChainURL)
	h.Set("Signature-256", base64.StdEncoding.EncodeToString(sig))
	return nil
}

// RoundTrip answers in the place of Amazon's servers.
func (a *Amazon) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := http.StatusNotFound, []byte("no such file")
	if r.Method == http.MethodPost {
		status, body = a.directive(r), nil
	} else {
		a.mu.Lock()
		a.fetched++
		if f, ok := a.files[r.URL.String()]; ok {
			status, body = http.StatusOK, f
		}
		a.mu.Unlock()
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Request: r,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

func (a *Amazon) directive(r *http.Request) int {
	var in struct {
		Header struct {
			RequestID string `json:"requestId"`
		} `json:"header"`
		Directive struct{ Type, Speech string } `json:"directive"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.Directive.Type != "VoicePlayer.Speak" || len(in.Directive.Speech) > 600 {
		return http.StatusBadRequest
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spoken = append(a.spoken, Directive{r.URL.String(), r.Header.Get("Authorization"), in.Header.RequestID, in.Directive.Speech})
	return http.StatusNoContent
}

// Spoken are the progressive responses so far.
func (a *Amazon) Spoken() []Directive {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Directive(nil), a.spoken...)
}

// Fetched is how many files were asked for so far.
func (a *Amazon) Fetched() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fetched
}
