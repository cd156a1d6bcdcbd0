package alexatest

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// hosts are Amazon's servers that are played.
var hosts = [...]string{"s3.amazonaws.com", "api.amazonalexa.com", "api.eu.amazonalexa.com", "api.fe.amazonalexa.com"}

// Server lets another process reach this Amazon in the place of the real one,
// without that process knowing: by a proxy and a file of roots, as its
// environment names them.
type Server struct {
	Environ []string // of the other process

	amazon, proxy *http.Server
	at            string // of the TLS server
}

// Serve begins to serve. The folder takes a file with the root.
func (a *Amazon) Serve(dir string) (*Server, error) {
	now := time.Now()
	cert, err := Issue(a.root, Template{Name: "Amazon's servers", DNS: hosts[:], From: now.Add(-time.Hour), To: now.Add(24 * time.Hour)})
	if err != nil {
		return nil, err
	}
	roots := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, PEM(a.root), 0o600); err != nil {
		return nil, err
	}
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, behind.Close())
	}
	s := &Server{
		at:      behind.Addr().String(),
		Environ: []string{"HTTPS_PROXY=http://" + front.Addr().String(), "NO_PROXY=127.0.0.1,localhost", "SSL_CERT_FILE=" + roots, "SSL_CERT_DIR=" + dir},
	}
	s.amazon = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(a.forward)}
	s.proxy = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(s.connect)}
	chain := tls.Certificate{Certificate: [][]byte{cert.Cert.Raw}, PrivateKey: cert.Key}
	// Both end with Close, and there is nobody to tell how.
	go func() {
		_ = s.amazon.Serve(tls.NewListener(behind, &tls.Config{Certificates: []tls.Certificate{chain}, MinVersion: tls.VersionTLS12}))
	}()
	go func() { _ = s.proxy.Serve(front) }()
	return s, nil
}

// Close ends serving.
func (s *Server) Close() error { return errors.Join(s.proxy.Close(), s.amazon.Close()) }

// forward answers as RoundTrip does.
func (a *Amazon) forward(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host = "https", r.Host
	resp, err := a.RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = resp.Body.Close() }() // it is in memory
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // who asked may be gone
}

// connect leads a tunnel to one of Amazon's servers here, and to no other.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(r.Host)
	known := false
	for _, h := range hosts {
		known = known || h == host
	}
	if r.Method != http.MethodConnect || err != nil || port != "443" || !known {
		http.Error(w, "only Amazon is played here", http.StatusForbidden)
		return
	}
	to, err := net.Dial("tcp", s.at)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = to.Close() }()
	from, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = from.Close() }()
	if _, err := io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	// Until either side has had enough; then both are closed.
	go func() { _, _ = io.Copy(to, from); done <- struct{}{} }()
	go func() { _, _ = io.Copy(from, to); done <- struct{}{} }()
	<-done
}
