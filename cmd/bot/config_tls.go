package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// TLSConfig is with what bot serve speaks HTTPS itself.
type TLSConfig struct {
	CertFile     string `yaml:"cert_file" doc:"PEM of the server's certificate and those above it. Empty: bot serve speaks plain HTTP, and what stands before it speaks HTTPS. A file that is replaced is taken up by itself."`
	KeyFile      string `yaml:"key_file" doc:"PEM of its key."`
	ClientCAFile string `yaml:"client_ca_file" doc:"PEM of the authorities whose client certificates are believed, where a channel wants one. Clients without one may connect all the same."`
}

// server is the configuration of the listener; nil for plain HTTP.
func (c TLSConfig) server() (*tls.Config, error) {
	if c == (TLSConfig{}) {
		return nil, nil
	}
	if c.CertFile == "" || c.KeyFile == "" {
		return nil, fault.New(fault.Usage, "tls needs both cert_file and key_file.")
	}
	pair := &keyPair{certFile: c.CertFile, keyFile: c.KeyFile}
	if _, err := pair.get(nil); err != nil {
		return nil, fault.Wrap(err, fault.Usage, "tls: %v.", err)
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
	if c.ClientCAFile == "" {
		return out, nil
	}
	b, err := os.ReadFile(c.ClientCAFile)
	if err != nil {
		return nil, fault.Wrap(err, fault.Usage, "tls.client_ca_file: %v.", err)
	}
	out.ClientCAs, out.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
	if !out.ClientCAs.AppendCertsFromPEM(b) {
		return nil, fault.New(fault.Usage, "tls.client_ca_file: there is no certificate in %s.", c.ClientCAFile)
	}
	return out, nil
}

// keyPair is a certificate that is read again when its file was replaced, as
// those are that are renewed every few weeks.
type keyPair struct {
	certFile, keyFile string

	mu      sync.Mutex
	pair    *tls.Certificate
	changed time.Time
}

// get returns the certificate; a new one that cannot be read leaves the old one.
func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	info, err := os.Stat(k.certFile)
	if err == nil && (k.pair == nil || !info.ModTime().Equal(k.changed)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(k.certFile, k.keyFile); err == nil {
			k.pair, k.changed = &pair, info.ModTime()
		}
	}
	if k.pair == nil {
		return nil, errors.Join(errors.New("there is no certificate"), err)
	}
	return k.pair, nil
}
