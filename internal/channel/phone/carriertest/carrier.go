// Package carriertest is a carrier for tests. It speaks Twilio's protocol from
// the other side: it takes calls and messages by Twilio's REST API, fetches TwiML
// and obeys it, signs what it posts, and has people on its lines who listen to
// what is said and answer by a script, with a voice or with keys. It shares no
// code with the package that it tests.
package carriertest

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Twilio signs with
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync"
	"time"
)

// Ear is the carrier's recogniser: it hears what a caller says.
type Ear interface {
	// Hear returns what was understood of it. hints are those of the Gather.
	Hear(ctx context.Context, text string, hints []string) (heard string, confidence float64, err error)
}

// Mouth is the carrier's voice: what a caller hears of a text.
type Mouth interface {
	Speak(ctx context.Context, text string) (heard string, err error)
}

// Config is how a carrier is set up.
type Config struct {
	Account, Token string
	// Sign signs a request; nil is Twilio's documented way.
	Sign func(url string, form url.Values) (string, error)
	// Ear and Mouth are nil where everybody hears exactly what is said.
	Ear   Ear
	Mouth Mouth
	// Pace is how long pauses, and waiting for somebody who is silent, last: 1 as
	// long as on a telephone, 0 no time.
	Pace float64
	// Twice has every request posted twice, as a carrier does that got no answer; the
	// second answer has to be the first.
	Twice bool
	// Transport is the way to who is posted to; nil is the network.
	Transport http.RoundTripper
	// Show is told what happens, line by line; it may be nil.
	Show func(line string)
}

// Carrier has lines and what was done on them.
type Carrier struct {
	cfg    Config
	client *http.Client
	ctx    context.Context //nolint:containedctx // of the calls, which outlive the requests that place them
	stop   context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	people  map[string]Subscriber
	calls   []*Call
	texts   []Text
	changed chan struct{} // closed when something is noted
	lose    int
	refuse  int
	seq     int
}

// Subscriber is who has a number.
type Subscriber struct {
	// Status is how calls to the number end without being answered: busy, no-answer
	// or failed. "" picks up.
	Status string
	Person Person
	// Machine says that a mailbox or a fax picks up.
	Machine bool
}

// Mailbox is a number where a machine picks up: it says its greeting, records for a
// while, and hangs up when nothing more is said.
func Mailbox(greeting string) Subscriber {
	asked := 0
	return Subscriber{Machine: true, Person: func(string) Act {
		switch asked++; {
		case asked == 1:
			return Act{Say: greeting}
		case asked > 3:
			return Act{HangUp: true}
		}
		return Act{}
	}}
}

// Text is a message that was sent.
type Text struct {
	SID, From, To, Body string
	At                  time.Time
}

// webhookLimit is how long Twilio waits for TwiML.
const webhookLimit = 15 * time.Second

// New returns a carrier; Close ends its calls.
func New(cfg Config) *Carrier {
	ctx, stop := context.WithCancel(context.Background())
	return &Carrier{
		cfg: cfg, ctx: ctx, stop: stop, client: &http.Client{Timeout: webhookLimit, Transport: cfg.Transport},
		people: map[string]Subscriber{}, changed: make(chan struct{}),
	}
}

// Close hangs up all calls and waits for their end.
func (c *Carrier) Close() {
	c.stop()
	c.wg.Wait()
}

// Has gives a number to somebody.
func (c *Carrier) Has(number string, s Subscriber) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.people[number] = s
}

// LoseAnswers has the API do the next n requests and not answer them.
func (c *Carrier) LoseAnswers(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lose = n
}

// TooMany has the API refuse the next n requests for their rate.
func (c *Carrier) TooMany(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = n
}

// Calls returns the calls so far.
func (c *Carrier) Calls() []*Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Call(nil), c.calls...)
}

// Texts returns the messages that were sent to somebody.
func (c *Carrier) Texts(to string) []Text {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Text
	for _, t := range c.texts {
		if t.To == to {
			out = append(out, t)
		}
	}
	return out
}

// WaitFor waits until something is so; it is looked whenever something happens.
func (c *Carrier) WaitFor(ctx context.Context, what string, so func() bool) error {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if so() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("carriertest: waiting for %s: %w", what, ctx.Err())
		}
	}
}

// note tells those who wait that something happened. The carrier is locked.
func (c *Carrier) note() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Carrier) show(format string, a ...any) {
	if c.cfg.Show != nil {
		c.cfg.Show(fmt.Sprintf(format, a...))
	}
}

// sid makes an id as Twilio does. The carrier is locked.
func (c *Carrier) sid(kind string) string {
	c.seq++
	return fmt.Sprintf("%s%032x", kind, c.seq)
}

// Signature is what Twilio documents: HMAC-SHA1 over the URL and the fields of
// the form in order, in base64.
func Signature(token, at string, form url.Values) string {
	names := make([]string, 0, len(form))
	for k := range form {
		names = append(names, k)
	}
	sort.Strings(names)
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(mac, at) // a hash takes everything
	for _, k := range names {
		_, _ = io.WriteString(mac, k+form.Get(k))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// post posts a signed form and returns the answer.
func (c *Carrier) post(ctx context.Context, at string, form url.Values) ([]byte, error) {
	first, err := c.postOnce(ctx, at, form)
	if err != nil || !c.cfg.Twice {
		return first, err
	}
	second, err := c.postOnce(ctx, at, form)
	if err == nil && string(second) != string(first) {
		err = fmt.Errorf("carriertest: what was posted twice was answered\n%s\nand then\n%s", first, second)
	}
	return first, err
}

func (c *Carrier) postOnce(ctx context.Context, at string, form url.Values) ([]byte, error) {
	signature := Signature(c.cfg.Token, at, form)
	if c.cfg.Sign != nil {
		var err error
		if signature, err = c.cfg.Sign(at, form); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	r.Header.Set("X-Twilio-Signature", signature)
	resp, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("carriertest: %s answered %s: %s", at, resp.Status, b)
	}
	return b, err
}

// rest waits as long as a pause does at this carrier's pace.
func (c *Carrier) rest(ctx context.Context, seconds int) {
	t := time.NewTimer(time.Duration(float64(seconds) * c.cfg.Pace * float64(time.Second)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Message has somebody send a message to a number whose webhook is at, and
// returns what is answered at once.
func (c *Carrier) Message(ctx context.Context, from, to, at, body string) (string, error) {
	c.mu.Lock()
	form := url.Values{
		"AccountSid": {c.cfg.Account}, "ApiVersion": {"2010-04-01"}, "From": {from}, "To": {to}, "Body": {body}, "NumMedia": {"0"}, "NumSegments": {"1"},
		"MessageSid": {c.sid("SM")}, "SmsStatus": {"received"},
	}
	c.mu.Unlock()
	form["SmsSid"], form["SmsMessageSid"] = form["MessageSid"], form["MessageSid"]
	c.show("✉ %s → %s", from, body)
	doc, err := c.document(ctx, at, form)
	if err != nil {
		return "", err
	}
	var out []string
	for _, v := range doc.Verbs {
		if v.XMLName.Local == "Message" {
			out = append(out, v.words())
		}
	}
	answer := strings.Join(out, "\n")
	if answer != "" {
		c.show("✉ %s ← %s", from, answer)
	}
	return answer, nil
}
