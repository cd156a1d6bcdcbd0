package phone

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

const (
	// twilioAPI is where Twilio's own API is.
	twilioAPI = "https://api.twilio.com"
	// ringFor is for how long it rings before nobody answers; mailboxes pick up
	// after some 25 seconds.
	ringFor = 25 * time.Second
	// saysNothing is after how much silence somebody who picked up is taken for a
	// person.
	saysNothing = 2500 * time.Millisecond
	// apiTimeout is how long the API may take to answer.
	apiTimeout = 10 * time.Second
	// apiTries is how often is tried what was certainly not done.
	apiTries = 3
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 1 << 20
	// maxSMS is how many characters a text message may have.
	maxSMS = 1600
)

// Carrier places calls and sends text messages, through the REST API that Twilio
// has and others took over.
type Carrier struct {
	cfg    Config
	client *http.Client
	calls  *rate.Limiter // the API takes about one a second of either
	texts  *rate.Limiter
	log    *slog.Logger
}

// NewCarrier returns a client of the carrier's API, which is reached by way; nil is
// the network.
func NewCarrier(cfg Config, way http.RoundTripper, log *slog.Logger) (*Carrier, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	return &Carrier{
		cfg: cfg, log: log, client: &http.Client{Timeout: apiTimeout, Transport: way},
		calls: rate.NewLimiter(1, 1), texts: rate.NewLimiter(1, 3),
	}, nil
}

// call is a call as the API tells of it; a message has some of it too.
type call struct {
	SID     string `json:"sid"`
	Status  string `json:"status"`
	From    string `json:"from"`
	To      string `json:"to"`
	Body    string `json:"body"`
	Created string `json:"date_created"`
}

// Call rings a number and returns the call's id. What is said there, and how the
// call ended, is asked and told by ref. Where the API gave no answer it is looked
// whether the call was placed all the same: nobody is rung up twice by one Call.
func (c *Carrier) Call(ctx context.Context, to, ref string) (sid string, err error) {
	if !e164.MatchString(to) {
		return "", fault.New(fault.Usage, "%q is no telephone number like +15005550001.", to)
	}
	about := url.Values{"ref": {ref}}
	form := url.Values{
		"To": {to}, "From": {c.cfg.Numbers[0]}, "Method": {http.MethodPost}, "Timeout": {strconv.Itoa(int(ringFor.Seconds()))},
		"Url": {c.cfg.public(PathVoice, about)}, "StatusCallback": {c.cfg.public(PathStatus, about)}, "StatusCallbackMethod": {http.MethodPost},
	}
	if c.cfg.Mailboxes && c.cfg.Provider != Telnyx { // which tells it afterwards
		// Nothing is said before it is known who listens: who says hello is told from a
		// mailbox within a second after that, who says nothing is spoken to soon.
		form.Set("MachineDetection", "DetectMessageEnd")
		form.Set("MachineDetectionSilenceTimeout", strconv.Itoa(int(saysNothing.Milliseconds())))
	}
	found, err := c.post(ctx, c.calls, "Calls", form, func(o call) bool { return o.To == to && o.From == c.cfg.Numbers[0] }, false)
	if err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "I could not call %s: %s", to, why(err))
	}
	return found.SID, nil
}

// Text sends a text message; what is longer than one may be is cut.
func (c *Carrier) Text(ctx context.Context, to, text string) error {
	if !e164.MatchString(to) {
		return fault.New(fault.Usage, "%q is no telephone number like +15005550001.", to)
	}
	text, _ = cutAt(plain(text), maxSMS)
	form := url.Values{"To": {to}, "From": {c.cfg.Numbers[0]}, "Body": {text}}
	// That a message comes twice is no harm; that it does not come is.
	_, err := c.post(ctx, c.texts, "Messages", form, func(o call) bool { return o.To == to && o.Body == text }, true)
	return fault.Wrap(err, fault.Unavailable, "I could not send %s a text message: %s", to, why(err))
}

// Hangup ends a call.
func (c *Carrier) Hangup(ctx context.Context, sid string) error {
	_, err := c.do(ctx, http.MethodPost, "Calls/"+url.PathEscape(sid), url.Values{"Status": {Completed}}, nil)
	return fault.Wrap(err, fault.Unavailable, "I could not hang up: %s", why(err))
}

// Status is how far a call is, in the carrier's words: queued, ringing,
// in-progress, or what it ended with.
func (c *Carrier) Status(ctx context.Context, sid string) (status, from string, err error) {
	b, err := c.do(ctx, http.MethodGet, "Calls/"+url.PathEscape(sid), nil, nil)
	var o call
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	return o.Status, o.From, fault.Wrap(err, fault.Unavailable, "I could not look how the call is: %s", why(err))
}

// Check asks the carrier whether it knows the account.
func (c *Carrier) Check(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodGet, "", nil, nil)
	return fault.Wrap(err, fault.Unavailable, "The carrier does not take account and token: %s", why(err))
}

// post makes a call or a message. What the API refused for its rate, or what
// never reached it, is tried again. After no answer, or half of one, nobody knows:
// then it is looked for what mine recognises, made since.
func (c *Carrier) post(ctx context.Context, limit *rate.Limiter, what string, form url.Values, mine func(call) bool, again bool) (call, error) {
	var err error
	for try := range apiTries {
		if err := limit.Wait(ctx); err != nil {
			return call{}, err
		}
		since := time.Now()
		var b []byte
		if b, err = c.do(ctx, http.MethodPost, what, form, nil); err == nil {
			var made call
			if err = json.Unmarshal(b, &made); err == nil && made.SID != "" {
				return made, nil
			}
			if err == nil && c.cfg.Provider == Telnyx { // it was placed, and its name comes a moment later
				found, _, err := c.look(ctx, what, form.Get("To"), since, mine)
				return found, err
			}
			err = cmp.Or(err, errors.New("phone: the API's answer names nothing that was made"))
		}
		var refused *refusal
		switch {
		case ctx.Err() != nil:
			return call{}, err
		case errors.As(err, &refused) && refused.status == http.StatusTooManyRequests:
			if !sleep(ctx, max(refused.after, time.Second)) {
				return call{}, err
			}
			continue
		case errors.As(err, &refused) && refused.status < 500:
			return call{}, err
		case neverSent(err):
			if !sleep(ctx, time.Duration(try+1)*time.Second) {
				return call{}, err
			}
			continue
		}
		c.log.WarnContext(ctx, "the carrier gave no answer; I look whether it was done", "what", what, "err", err)
		found, ok, lookErr := c.look(ctx, what, form.Get("To"), since, mine)
		switch {
		case ok:
			return found, nil
		case lookErr != nil || !again:
			return call{}, errors.Join(err, lookErr)
		}
	}
	return call{}, err
}

// look finds what was made since, which the API may show a moment later.
func (c *Carrier) look(ctx context.Context, what, to string, since time.Time, mine func(call) bool) (call, bool, error) {
	for try := range apiTries {
		if !sleep(ctx, time.Duration(try+1)*time.Second) {
			return call{}, false, ctx.Err()
		}
		b, err := c.do(ctx, http.MethodGet, what, nil, url.Values{"To": {to}, "PageSize": {"50"}})
		if err != nil {
			if try == apiTries-1 {
				return call{}, false, err
			}
			continue
		}
		var page struct {
			Calls    []call `json:"calls"`
			Messages []call `json:"messages"`
		}
		if err := json.Unmarshal(b, &page); err != nil {
			return call{}, false, err
		}
		for _, o := range append(page.Calls, page.Messages...) {
			// The API tells whole seconds, by a clock of its own.
			made, err := time.Parse(time.RFC1123Z, o.Created)
			if err != nil {
				made, err = time.Parse(time.RFC3339, o.Created) // Telnyx
			}
			if err == nil && mine(o) && made.After(since.Add(-3*time.Second)) {
				return o, true, nil
			}
		}
	}
	return call{}, false, nil
}

// refusal is an answer of the API that says no.
type refusal struct {
	status  int
	code    int
	message string
	after   time.Duration
}

// Error gives the text for logs.
func (e *refusal) Error() string {
	return fmt.Sprintf("phone: the API answered %d, code %d: %s", e.status, e.code, e.message)
}

// do asks the API.
func (c *Carrier) do(ctx context.Context, method, what string, form, query url.Values) ([]byte, error) {
	at := strings.TrimSuffix(cmp.Or(c.cfg.APIURL, twilioAPI), "/") + "/2010-04-01/Accounts/" + url.PathEscape(c.cfg.Account)
	if what != "" {
		at += "/" + what
	}
	at += ".json"
	if len(query) > 0 {
		at += "?" + query.Encode()
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	kind := "application/x-www-form-urlencoded"
	if c.cfg.Provider == Telnyx {
		where, other, content, err := c.cfg.telnyxRequest(method, what, form)
		if err != nil {
			return nil, err
		}
		if len(query) > 0 {
			where += "?" + query.Encode()
		}
		at, kind = where, other
		if form != nil {
			body = strings.NewReader(content)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		return nil, err
	}
	if form != nil {
		r.Header.Set("Content-Type", kind)
	}
	if c.cfg.Provider == Telnyx {
		r.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	} else {
		r.SetBasicAuth(c.cfg.Account, c.cfg.Token)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read as far as it is of use
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		if c.cfg.Provider == Telnyx {
			b = telnyxAnswer(b)
		}
		return b, err
	}
	e := &refusal{status: resp.StatusCode}
	var said struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(b, &said) == nil {
		e.code, e.message = said.Code, said.Message
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 && s <= 60 {
		e.after = time.Duration(s) * time.Second
	}
	return nil, e
}

// neverSent reports whether a request did not even reach the API.
func neverSent(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial"
}

// why says what went wrong in a way that may be said aloud: what a stranger's
// server wrote stays in the log.
func why(err error) string {
	var no *refusal
	switch {
	case errors.As(err, &no) && (no.status == http.StatusUnauthorized || no.status == http.StatusForbidden):
		return "the carrier refused it. Look at phone.account and phone.token, and at what the account may do."
	case errors.As(err, &no) && no.code != 0:
		return fmt.Sprintf("the carrier refused it with code %d, which its documentation explains.", no.code)
	case errors.As(err, &no):
		return fmt.Sprintf("the carrier answered with status %d.", no.status)
	}
	return "the carrier does not answer. Look at phone.api_url and the way there."
}

// sleep waits, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
