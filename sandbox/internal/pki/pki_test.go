package pki

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func TestEnsureKeepsWhatItMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	f, err := Ensure(dir)
	if err != nil {
		t.Fatal(err)
	}
	first := read(t, f.AdminCert)
	if _, err := Ensure(dir); err != nil {
		t.Fatal(err)
	}
	if string(read(t, f.AdminCert)) != string(first) {
		t.Error("the certificates were made anew")
	}
	if fi, err := os.Stat(f.AdminKey); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, %v", fi.Mode(), err)
	}
}

func TestServerCertificateIsGoodForLoopback(t *testing.T) {
	f, err := Ensure(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read(t, f.CACert))
	block, _ := pem.Decode(read(t, f.ServerCert))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"127.0.0.1", "localhost", "metrics-server.kube-system.svc"} {
		if _, err := cert.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Error(err)
		}
	}
}

func TestKubeconfig(t *testing.T) {
	dir := t.TempDir()
	f, err := Ensure(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "kubeconfig")
	if err := f.WriteKubeconfig(path, "https://127.0.0.1:1234", "shop"); err != nil {
		t.Fatal(err)
	}
	c, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.CurrentContext != "sandbox" || c.Contexts["sandbox"].Namespace != "shop" {
		t.Errorf("context %q: %+v", c.CurrentContext, c.Contexts["sandbox"])
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
