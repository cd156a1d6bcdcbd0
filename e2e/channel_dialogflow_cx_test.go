package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// cxDriver is Dialogflow CX, which calls the webhook for somebody, over TLS with
// a certificate of its own. What it sends is Google's own sample with another
// sentence in it.
type cxDriver struct {
	url, session string
	client       *http.Client
	body         string // of the last call
}

// openDialogflowCX serves the webhook by HTTPS, to whom the test's authority
// gave a certificate for *.dialogflow.com.
func openDialogflowCX(t *testing.T, w *world) (driver, error) {
	p, err := newPKI(w.dir)
	if err != nil {
		return nil, err
	}
	server, err := p.issue("server", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return nil, err
	}
	w.rights.config += fmt.Sprintf("dialogflow: {cx: {client_name: \"*.dialogflow.com\"}}\ntls: {cert_file: %q, key_file: %q, client_ca_file: %q}\n", server+".crt", server+".key", p.ca)
	url, err := w.url(t.Context())
	if err != nil {
		return nil, err
	}
	d := &cxDriver{url: url + "/webhooks/dialogflow/cx", session: "projects/p/locations/global/agents/a/sessions/script"}
	stranger, err := p.client("stranger", "*.example.com")
	if err != nil {
		return nil, err
	}
	for name, c := range map[string]*http.Client{"nobody": p.http(nil), "a stranger": stranger} {
		d.client = c
		if heard, err := d.say(t.Context(), "how is web?"); !errors.Is(err, errStatus) {
			return nil, fmt.Errorf("%s is let in and hears %q: %w", name, heard, err)
		}
	}
	d.client, err = p.client("dialogflow", "*.dialogflow.com")
	return d, err
}

func (d *cxDriver) say(ctx context.Context, text string) (string, error) {
	return d.send(ctx, "text", text)
}

// key sends what was keyed on a telephone.
func (d *cxDriver) key(ctx context.Context, digits string) (string, error) {
	return d.send(ctx, "dtmfDigits", digits)
}

func (d *cxDriver) send(ctx context.Context, how, what string) (string, error) {
	sample, err := os.ReadFile(filepath.Join("..", "internal", "channel", "dialogflow", "testdata", "cx", "WebhookRequest-welcome.json"))
	if err != nil {
		return "", err
	}
	var body map[string]any
	if err := json.Unmarshal(sample, &body); err != nil {
		return "", err
	}
	delete(body, "text")
	body[how], body["detectIntentResponseId"] = what, rand.Text()
	body["sessionInfo"] = map[string]any{"session": d.session}
	b, err := json.Marshal(body)
	d.body = string(b)
	if err != nil {
		return "", err
	}
	return d.again(ctx)
}

func (d *cxDriver) again(ctx context.Context) (string, error) {
	began := time.Now()
	b, err := postBy(ctx, d.client, d.url, d.body, func(*http.Request) {})
	if err != nil {
		return "", err
	}
	if took := time.Since(began); took > dialogflowLimit {
		return "", fmt.Errorf("it took %v, and Dialogflow waits for %v", took, dialogflowLimit)
	}
	var answer struct {
		FulfillmentResponse struct {
			Messages []struct {
				Text            struct{ Text []string }
				OutputAudioText struct{ SSML string }
			}
		}
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return "", fmt.Errorf("%w:\n%s", err, b)
	}
	m := answer.FulfillmentResponse.Messages
	if len(m) != 2 || len(m[0].Text.Text) != 1 {
		return "", fmt.Errorf("not one text and one speech:\n%s", b)
	}
	var spoken struct {
		XMLName   xml.Name `xml:"speak"`
		Sentences []string `xml:"s"`
	}
	err = xml.Unmarshal([]byte(m[1].OutputAudioText.SSML), &spoken)
	if err == nil && len(spoken.Sentences) == 0 {
		err = fmt.Errorf("nothing is said aloud:\n%s", b)
	}
	return m[0].Text.Text[0], err
}

// pki is an authority that gives certificates to a test.
type pki struct {
	dir, ca string // folder, and the authority's certificate in it
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
}

func newPKI(dir string) (*pki, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	p := &pki{dir: dir, ca: filepath.Join(dir, "ca.crt"), key: key}
	p.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "e2e"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, p.cert, p.cert, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	if p.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return p, writePEM(p.ca, "CERTIFICATE", der)
}

// issue makes name.crt and name.key and returns their path without the ending.
func (p *pki) issue(name string, ips []net.IP, names []string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: ips, DNSNames: names,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, p.cert, &key.PublicKey, p.key)
	if err != nil {
		return "", err
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return "", err
	}
	path := filepath.Join(p.dir, name)
	return path, errors.Join(writePEM(path+".crt", "CERTIFICATE", der), writePEM(path+".key", "EC PRIVATE KEY", secret))
}

// client is a client that shows a certificate of that name.
func (p *pki) client(file, name string) (*http.Client, error) {
	path, err := p.issue(file, nil, []string{name})
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	return p.http([]tls.Certificate{pair}), err
}

// http is a client that trusts the authority.
func (p *pki) http(show []tls.Certificate) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(p.cert)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: show, MinVersion: tls.VersionTLS12}}}
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
