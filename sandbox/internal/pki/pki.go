// Package pki makes the sandbox's certificates and keys, and its kubeconfig.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Files are the paths of everything that Ensure makes.
type Files struct {
	CACert string
	// FrontCACert signs the client with which the API server speaks to
	// aggregated APIs (metrics-server).
	FrontCACert, FrontCert, FrontKey string
	// ServerCert is for every port the sandbox listens on.
	ServerCert, ServerKey string
	// AdminCert is a member of system:masters.
	AdminCert, AdminKey string
	// ServiceAccountKey signs the tokens of service accounts.
	ServiceAccountKey, ServiceAccountPub string
}

// lifetime is long: a sandbox in a named folder may be started again next year.
const lifetime = 10 * 365 * 24 * time.Hour

// Ensure makes the certificates in dir, or keeps those that are there, so that
// a sandbox started again trusts the same ones.
func Ensure(dir string) (Files, error) {
	p := func(name string) string { return filepath.Join(dir, name) }
	f := Files{
		CACert:      p("ca.crt"),
		FrontCACert: p("front-ca.crt"), FrontCert: p("front-client.crt"), FrontKey: p("front-client.key"),
		ServerCert: p("server.crt"), ServerKey: p("server.key"),
		AdminCert: p("admin.crt"), AdminKey: p("admin.key"),
		ServiceAccountKey: p("sa.key"), ServiceAccountPub: p("sa.pub"),
	}
	done := p("complete") // written last: a half-made folder is made anew
	if _, err := os.Stat(done); err == nil {
		return f, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f, err
	}
	if err := makeAll(dir, f); err != nil {
		return f, fmt.Errorf("making certificates: %w", err)
	}
	return f, os.WriteFile(done, nil, 0o600)
}

func makeAll(dir string, f Files) error {
	ca, err := issue(dir, "ca", nil, authority("sandbox-ca"))
	if err != nil {
		return err
	}
	front, err := issue(dir, "front-ca", nil, authority("sandbox-front-ca"))
	if err != nil {
		return err
	}
	server := leaf("sandbox", nil, x509.ExtKeyUsageServerAuth)
	server.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "metrics-server.kube-system.svc"}
	// The last is a real node's, which shows the API server the same certificate.
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1), net.IPv4(10, 99, 0, 1)}
	for _, c := range []struct {
		name     string
		ca       *pair
		template *x509.Certificate
	}{
		{"front-client", front, leaf("front-proxy-client", nil, x509.ExtKeyUsageClientAuth)},
		{"server", ca, server},
		{"admin", ca, leaf("sandbox-admin", []string{"system:masters"}, x509.ExtKeyUsageClientAuth)},
	} {
		if _, err := issue(dir, c.name, c.ca, c.template); err != nil {
			return err
		}
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return err
	}
	if err := writeKey(f.ServiceAccountKey, key); err != nil {
		return err
	}
	return writePEM(f.ServiceAccountPub, "PUBLIC KEY", pub)
}

// pair is a certificate authority.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
}

func leaf(name string, groups []string, usage x509.ExtKeyUsage) *x509.Certificate {
	return &x509.Certificate{
		Subject:  pkix.Name{CommonName: name, Organization: groups},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
}

// issue writes name.crt and name.key, signed by ca, or by itself without one.
func issue(dir, name string, ca *pair, t *x509.Certificate) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	// An hour back: clocks in virtual machines jump.
	t.NotBefore, t.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(lifetime)
	parent, signer := t, key
	if ca != nil {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return &pair{cert, key}, writeKey(filepath.Join(dir, name+".key"), key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// WriteKubeconfig writes the administrator's kubeconfig for the API server at
// the address, with one context named "sandbox".
func (f Files) WriteKubeconfig(path, server, namespace string) error {
	var data [3][]byte
	for i, file := range []string{f.CACert, f.AdminCert, f.AdminKey} {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		data[i] = b
	}
	c := clientcmdapi.NewConfig()
	c.Clusters["sandbox"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: data[0]}
	c.AuthInfos["sandbox-admin"] = &clientcmdapi.AuthInfo{ClientCertificateData: data[1], ClientKeyData: data[2]}
	c.Contexts["sandbox"] = &clientcmdapi.Context{Cluster: "sandbox", AuthInfo: "sandbox-admin", Namespace: namespace}
	c.CurrentContext = "sandbox"
	// Renamed into place: nobody reads half a kubeconfig.
	tmp := path + ".new"
	if err := clientcmd.WriteToFile(*c, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
