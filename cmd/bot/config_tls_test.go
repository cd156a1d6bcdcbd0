package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// certificate writes a certificate of its own, with that serial number.
func certificate(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACertificateThatIsRenewedIsTakenUp(t *testing.T) {
	dir := t.TempDir()
	c := TLSConfig{CertFile: filepath.Join(dir, "crt"), KeyFile: filepath.Join(dir, "key")}
	if _, err := c.server(); fault.KindOf(err) != fault.Usage {
		t.Errorf("no files: %v", err)
	}
	certificate(t, c.CertFile, c.KeyFile, 1)
	conf, err := c.server()
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		pair, err := conf.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	renew := func(n int64) {
		certificate(t, c.CertFile, c.KeyFile, n)
		at := time.Now().Add(time.Duration(n) * time.Hour) // whatever the clock of the disk is good for
		if err := os.Chtimes(c.CertFile, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if n := serial(); n != 1 {
		t.Errorf("it shows %d", n)
	}
	if renew(2); serial() != 2 {
		t.Errorf("it shows %d", serial())
	}
	// A renewal that is half there leaves what was.
	renew(3)
	if err := os.WriteFile(c.KeyFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := serial(); n != 2 {
		t.Errorf("it shows %d", n)
	}
}

func TestTLSConfigurations(t *testing.T) {
	dir := t.TempDir()
	crt, key, none := filepath.Join(dir, "crt"), filepath.Join(dir, "key"), filepath.Join(dir, "none")
	certificate(t, crt, key, 1)
	for _, c := range []TLSConfig{{CertFile: crt}, {ClientCAFile: crt}, {CertFile: crt, KeyFile: key, ClientCAFile: none}, {CertFile: crt, KeyFile: key, ClientCAFile: key}} {
		if _, err := c.server(); fault.KindOf(err) != fault.Usage {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if conf, err := (TLSConfig{}).server(); conf != nil || err != nil {
		t.Errorf("nothing set: %v, %v", conf, err)
	}
}
