package e2e_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/phone/carriertest"
)

// The numbers of the telephone tests.
const (
	phoneAccount = "AC00000000000000000000000000000001"
	botNumber    = "+15005550001"
	callerNumber = "+14158675309"
	vouchedFor   = "TN-Validation-Passed-A"
)

// phoneSettings is the configuration of the telephone; what stands in capitals
// is known once a carrier is there.
const phoneSettings = `
phone:
  account: ` + phoneAccount + `
  token: ` + password + `
  numbers: ["` + botNumber + `"]
  public_url: PUBLIC
  api_url: API
  sms_writes: true
`

// telephone is a carrier that reaches the bot serve of a world, and is reached.
type telephone struct {
	*carriertest.Carrier
	public string
}

// newTelephone makes a carrier and adds it to a world's configuration, before
// bot serve starts. The carrier reaches that by a proxy, as it would.
func newTelephone(t *testing.T, w *world, cfg carriertest.Config) *telephone {
	t.Helper()
	cfg.Account, cfg.Token = phoneAccount, password
	p := &telephone{Carrier: carriertest.New(cfg)}
	api := httptest.NewServer(p.Carrier)
	t.Cleanup(api.Close)
	t.Cleanup(p.Close)
	var behind atomic.Pointer[url.URL]
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind.Load()) }})
	t.Cleanup(proxy.Close)
	p.public = proxy.URL
	w.rights.config += strings.NewReplacer("PUBLIC", proxy.URL, "API", api.URL).Replace(phoneSettings)
	at, err := w.url(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	behind.Store(u)
	return p
}

// dial calls the bot.
func (p *telephone) dial(who carriertest.Person) *carriertest.Call {
	return p.Dial(carriertest.Incoming{
		From: callerNumber, To: botNumber, Voice: p.public + "/webhooks/twilio/voice", Status: p.public + "/webhooks/twilio/status", Verstat: vouchedFor,
	}, who)
}

// phoneDriver is somebody on the telephone, whose carrier delivers everything
// twice.
type phoneDriver struct {
	call  *carriertest.Call
	heard chan string
	acts  chan carriertest.Act
}

func openPhone(t *testing.T, w *world) (driver, error) {
	d := &phoneDriver{heard: make(chan string), acts: make(chan carriertest.Act)}
	p := newTelephone(t, w, carriertest.Config{Twice: true})
	gone := t.Context().Done()
	d.call = p.dial(func(heard string) carriertest.Act {
		select {
		case d.heard <- heard:
		case <-gone:
			return carriertest.Act{HangUp: true}
		}
		select {
		case a := <-d.acts:
			return a
		case <-gone:
			return carriertest.Act{HangUp: true}
		}
	})
	_, err := d.listen(t.Context())
	return d, err
}

func (d *phoneDriver) listen(ctx context.Context) (string, error) {
	ended, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan error, 1)
	go func() { over <- d.call.Over(ended) }()
	select {
	case h := <-d.heard:
		return h, nil
	case err := <-over:
		return "", fmt.Errorf("the call is over (%w) after\n%s", err, d.call.Heard())
	}
}

func (d *phoneDriver) do(ctx context.Context, a carriertest.Act) (string, error) {
	select {
	case d.acts <- a:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return d.listen(ctx)
}

func (d *phoneDriver) say(ctx context.Context, text string) (string, error) {
	return d.do(ctx, carriertest.Act{Say: text})
}

func (d *phoneDriver) key(ctx context.Context, digits string) (string, error) {
	return d.do(ctx, carriertest.Act{Keys: digits + "#"})
}

// smsDriver is somebody who writes text messages, each of which is delivered
// twice.
type smsDriver struct{ *telephone }

func openSMS(t *testing.T, w *world) (driver, error) {
	return smsDriver{newTelephone(t, w, carriertest.Config{Twice: true})}, nil
}

func (d smsDriver) say(ctx context.Context, text string) (string, error) {
	return d.Message(ctx, callerNumber, botNumber, d.public+"/webhooks/twilio/sms", text)
}
