// Package backend is the HTTP layer under every client of an observability
// back-end: it authenticates, bounds time and size, retries within a budget, and
// stops asking a back-end that is dead, so that a turn never waits for one.
//
// The circuit is sony/gobreaker's, which asks for nothing else, and the budget a
// token bucket of x/time/rate. failsafe-go has both, with an http.RoundTripper
// over them, but that one repeats requests that are not idempotent, sleeps past
// a deadline where Retry-After says so, and does not close the answers it drops.
package backend

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// What counts where Options say nothing.
const (
	DefaultTimeout = 2 * time.Second
	DefaultMaxBody = 32 << 20
)

// Options say which back-end, how to get in, and how long to wait.
type Options struct {
	Name string // as it is called aloud, "Prometheus"
	Key  string // its part of the configuration, "observability.prometheus"; "" is made from Name
	URL  string // where it is, with a path in front of its API if it has one

	// What it wants to see. None of it is ever logged, said, or sent to another host.
	Username, Password string
	Bearer             string
	Header             map[string]string

	CA      []byte        // PEM of the authorities to trust beside the system's
	Timeout time.Duration // of a whole call, retries and body included
	MaxBody int64         // bytes of an answer, after decompression

	Transport http.RoundTripper // instead of the network
	Log       *slog.Logger      // hears when the circuit opens and closes
	// Observe hears of each call how it ended ("ok", "error", "open") and how long it took.
	Observe func(name, result string, took time.Duration)
}

// Client is the way to one back-end. It is safe for concurrent use, and what it
// learns about the back-end's health counts for all of its users.
type Client struct {
	opt  Options
	base *url.URL
	http *http.Client
}

// New returns the client; it does not call.
func New(o Options) (*Client, error) {
	if o.Key == "" {
		o.Key = "observability." + strings.ToLower(o.Name)
	}
	if r := []rune(o.Name); len(r) > 0 {
		o.Name = string(unicode.ToUpper(r[0])) + string(r[1:])
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(string, string, time.Duration) {}
	}
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fault.New(fault.Usage, "%s.url is an address like http://%s.monitoring:9090, and not what is set there.", o.Key, strings.ToLower(o.Name))
	}
	if u := base.User; u != nil { // http://user:password@host, kept out of every URL that is shown
		if o.Username == "" && o.Password == "" {
			o.Username = u.Username()
			o.Password, _ = u.Password()
		}
		base.User = nil
	}
	base.RawQuery, base.Fragment = "", ""
	base.Path = strings.TrimSuffix(base.Path, "/")
	if o.Bearer != "" && o.Username+o.Password != "" {
		return nil, fault.New(fault.Usage, "%s has both bearer and username or password; %s can be shown only one of them.", o.Key, o.Name)
	}
	next := o.Transport
	if next == nil {
		if next, err = network(o); err != nil {
			return nil, err
		}
	}
	c := &Client{opt: o, base: base}
	t := &transport{c: c, next: next, budget: rate.NewLimiter(retryRefill, retryBurst)}
	t.circuit = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: o.Name, MaxRequests: 1, Timeout: circuitOpen,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= circuitTrips },
		IsSuccessful: func(err error) bool { return err == nil },
		IsExcluded:   func(err error) bool { return errors.Is(err, errNotTheirs) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			o.Log.Warn("circuit of a back-end", "backend", name, "from", from.String(), "to", to.String())
		},
	})
	c.http = &http.Client{Transport: t, CheckRedirect: c.redirect}
	return c, nil
}

// network is the transport of the standard library with the authorities to trust.
func network(o Options) (http.RoundTripper, error) {
	def, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		def = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	t := def.Clone()
	t.MaxIdleConnsPerHost = 16 // a diagnosis asks a dozen things at once
	trust, err := trusted(o)
	if err != nil {
		return nil, err
	}
	t.TLSClientConfig = trust
	return t, nil
}

// trusted is the authorities to trust beside the system's; nil for these alone.
func trusted(o Options) (*tls.Config, error) {
	if len(o.CA) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(o.CA) {
		return nil, fault.New(fault.Usage, "%s.ca_file holds no certificate in PEM.", o.Key)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Name is what the back-end is called aloud.
func (c *Client) Name() string { return c.opt.Name }

// Key is its part of the configuration.
func (c *Client) Key() string { return c.opt.Key }

// Timeout is how long a call may take.
func (c *Client) Timeout() time.Duration { return c.opt.Timeout }

// Base is where it is, without credentials.
func (c *Client) Base() *url.URL {
	u := *c.base
	return &u
}

// HTTP is for libraries that bring their own API: every request through it has
// what this package promises.
func (c *Client) HTTP() *http.Client {
	h := *c.http
	return &h
}

// Header is what authenticates, for a handshake that is not made by HTTP. It
// belongs into a request to Base's host and nowhere else.
func (c *Client) Header() http.Header {
	r := &http.Request{URL: c.Base(), Header: http.Header{}}
	c.authenticate(r)
	return r.Header
}

// TLS is whom to trust, for a connection that is not made by HTTP; nil is the
// system's authorities alone.
func (c *Client) TLS() (*tls.Config, error) { return trusted(c.opt) }

// URL is an address below the back-end's.
func (c *Client) URL(path string, query url.Values) *url.URL {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	return u
}

// Do sends a request and returns an answer of success; anything else is a fault,
// and the answer closed.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.Fault(err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 2048))
	return nil, c.Status(resp.StatusCode, string(text))
}

// JSON sends in, nil for nothing, and decodes the answer into out, nil to drop it.
func (c *Client) JSON(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.URL(path, query).String(), body)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return c.Fault(err)
	}
	return c.Fault(json.NewDecoder(resp.Body).Decode(out))
}

// Check reports whether the back-end answers a GET of path with success.
func (c *Client) Check(ctx context.Context, path string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL(path, nil).String(), nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return c.Fault(err)
}

// authenticate puts credentials on a request to the back-end itself; one that
// was redirected elsewhere gets none.
func (c *Client) authenticate(r *http.Request) {
	if r.URL.Host != c.base.Host || r.URL.Scheme != c.base.Scheme {
		return
	}
	for k, v := range maps.All(c.opt.Header) {
		r.Header.Set(k, v)
	}
	switch {
	case c.opt.Bearer != "":
		r.Header.Set("Authorization", "Bearer "+c.opt.Bearer)
	case c.opt.Username+c.opt.Password != "":
		r.SetBasicAuth(c.opt.Username, c.opt.Password)
	}
}

// redirect follows a back-end within itself only: what lies elsewhere is for the
// configuration to say, not for whoever answers.
func (c *Client) redirect(r *http.Request, via []*http.Request) error {
	if r.URL.Host != c.base.Host || r.URL.Scheme != c.base.Scheme {
		return fault.New(fault.Usage, "%s sends me on to %s://%s. If that is right, set %s.url to it.", c.opt.Name, r.URL.Scheme, r.URL.Host, c.opt.Key)
	}
	if len(via) >= 5 {
		return fault.New(fault.Usage, "%s sends me around in a circle; check %s.url.", c.opt.Name, c.opt.Key)
	}
	return nil
}
