package backend

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// errTooLong ends an answer that is longer than Options allow.
var errTooLong = errors.New("the answer is too long")

// Partial says what is missing from an answer that is otherwise given.
type Partial struct {
	Name    string   // of the back-end
	Missing []string // what is not in the answer, each as a noun
}

// Error gives the text for logs.
func (p *Partial) Error() string { return fault.Say(p.Unwrap()) }

// Unwrap makes it a fault that can be said.
func (p *Partial) Unwrap() error {
	missing := "some of it"
	if len(p.Missing) > 0 {
		missing = strings.Join(p.Missing, ", ")
	}
	return fault.New(fault.Unavailable, "%s gave only a part of the answer; missing: %s.", p.Name, missing)
}

// Fault turns what went wrong on the way, or while an answer was decoded, into a
// sentence that names the back-end and what to set. nil stays nil, and what is a
// fault already is left as it is.
func (c *Client) Fault(err error) error {
	var f *fault.Error
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var op *net.OpError
	o := c.opt
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return err
	case isOpen(err):
		return fault.Wrap(err, fault.Unavailable, "%s does not answer, so I leave it alone for a moment. Check that it runs and that %s.url is right.", o.Name, o.Key)
	case errors.Is(err, context.Canceled):
		return fault.Wrap(err, fault.Unavailable, "I stopped waiting for %s.", o.Name)
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return fault.Wrap(err, fault.Unavailable, "%s did not answer in time. Ask about less, or give it longer with observability.timeout.", o.Name)
	case errors.Is(err, errTooLong):
		return fault.Wrap(err, fault.Unavailable, "%s answered with more than I read at once. Ask about less, or about a shorter time.", o.Name)
	case errors.As(err, &dns):
		return fault.Wrap(err, fault.Unavailable, "I cannot find %s: its host name is not known here. Check %s.url.", o.Name, o.Key)
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid):
		return fault.Wrap(err, fault.Unavailable, "I do not trust the certificate of %s. Check %s.url and %s.ca_file.", o.Name, o.Key, o.Key)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.Wrap(err, fault.Unavailable, "%s broke off in the middle of its answer. Check that it runs, and look at its log.", o.Name)
	case errors.As(err, &op):
		return fault.Wrap(err, fault.Unavailable, "%s does not answer. Check that it runs and that %s.url is right.", o.Name, o.Key)
	}
	return c.Garbage(err)
}

// Garbage is the fault for an answer that is not of this API.
func (c *Client) Garbage(err error) error {
	return fault.Wrap(err, fault.Unavailable, "I do not understand what %s answers. Check that %s.url is %s itself, with any path before its API.", c.opt.Name, c.opt.Key, c.opt.Name)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// Status is the fault for an answer that is not of success; text is its body, for
// the log only.
func (c *Client) Status(status int, text string) error {
	cause := fmt.Errorf("%s answered %d: %s", c.opt.Name, status, clip(text, 300))
	o := c.opt
	switch {
	case status == http.StatusUnauthorized:
		return fault.Wrap(cause, fault.Usage, "%s does not let me in. Check username and password, bearer or headers under %s.", o.Name, o.Key)
	case status == http.StatusForbidden:
		return fault.Wrap(cause, fault.Usage, "%s does not allow me that. Check what the credentials under %s may do.", o.Name, o.Key)
	case status == http.StatusNotFound:
		return fault.Wrap(cause, fault.NotFound, "%s does not have that. If it should, check the path of %s.url.", o.Name, o.Key)
	case status == http.StatusTooManyRequests:
		return fault.Wrap(cause, fault.Unavailable, "%s is being asked too often. Try again in a moment.", o.Name)
	case status >= 500:
		return fault.Wrap(cause, fault.Unavailable, "%s does not answer well now: it says %d. Look at its own log.", o.Name, status)
	case status >= 300 && status < 400:
		return fault.Wrap(cause, fault.Usage, "%s sends me elsewhere. Check %s.url.", o.Name, o.Key)
	}
	return fault.Wrap(cause, fault.Failed, "%s refuses what I ask: it says %d.", o.Name, status)
}

// busy is the fault while the back-end wants to be left alone.
func (c *Client) busy(wait time.Duration) error {
	return fault.New(fault.Unavailable, "%s asks me to come back in %d seconds.", c.opt.Name, int(math.Ceil(wait.Seconds())))
}

// clip keeps text of strangers short and in one line.
func clip(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
