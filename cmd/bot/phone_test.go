package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
)

func telephoneConfig(api string) PhoneConfig {
	c := phoneDefaults()
	c.Account, c.Token, c.Numbers, c.PublicURL, c.APIURL = "AC1", "t", []string{"+15005550001"}, "https://bot.example", api
	return c
}

// TestWhatHoldsByTelephone: rules that let everything through do not let it
// through by telephone without what the telephone wants further.
func TestWhatHoldsByTelephone(t *testing.T) {
	all := access.Policy{{Name: "all", Verdict: access.Allow}}
	ann := access.Person{Name: "ann", User: "ann"}
	for _, tt := range []struct {
		name   string
		spoil  func(*PhoneConfig)
		s      access.Speaker
		want   access.Kind
		reason string
	}{
		{"vouched for", nil, access.NewSpeaker("phone", "+1", access.StirShaken), access.PIN, ""},
		{"not vouched for", nil, access.NewSpeaker("phone", "+1", access.CallerID), access.Deny, "does not vouch"},
		{"where nobody is", func(c *PhoneConfig) { c.Attested = false }, access.NewSpeaker("phone", "+1", access.CallerID), access.PIN, ""},
		{"without a PIN", func(c *PhoneConfig) { c.PIN = false }, access.NewSpeaker("phone", "+1", access.StirShaken), access.Allow, ""},
		{"a message", nil, access.NewSpeaker("sms", "+1", access.CallerID), access.Deny, "By text message you may look"},
		{"messages that may", func(c *PhoneConfig) { c.SMSWrites = true }, access.NewSpeaker("sms", "+1", access.CallerID), access.PIN, ""},
		{"elsewhere", nil, access.NewSpeaker("web", "ann", access.Token), access.Allow, ""},
	} {
		c := Config{Phone: telephoneConfig("")}
		if tt.spoil != nil {
			tt.spoil(&c.Phone)
		}
		further, err := c.rules()
		if err != nil {
			t.Fatal(err)
		}
		v := access.Decide(append(all, further...), access.Act{Intents: []string{"scale"}}, tt.s, ann, time.Now())
		if v.Kind != tt.want || !strings.Contains(v.Reason, tt.reason) {
			t.Errorf("%s: %s (%s), want %s", tt.name, v.Kind, v.Reason, tt.want)
		}
		if v := access.Decide(further, access.Act{}, tt.s, ann, time.Now()); v.Kind != access.Deny {
			t.Errorf("%s: by themselves they let through: %s", tt.name, v.Kind)
		}
	}
}

func TestDoctorAsksTheCarrier(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, token, _ := r.BasicAuth(); token != "t" || r.URL.Path != "/2010-04-01/Accounts/AC1.json" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"status":"active"}`))
	}))
	defer api.Close()
	for _, tt := range []struct{ token, speaker, says string }{
		{"t", "phone:+1", "twilio knows the account; calls are to come to https://bot.example/webhooks/twilio/voice"},
		{"t", "phone:+1", "bot pin ann"},
		{"t", "web:ann", "every caller is turned away"},
		{"guess", "phone:+1", "Look at phone.account, phone.token"},
	} {
		c := Config{Phone: telephoneConfig(api.URL), Access: AccessConfig{People: []PersonConfig{{Name: "ann", Speakers: []string{tt.speaker}, User: "ann"}}}}
		c.Phone.Token = Secret(tt.token)
		var out bytes.Buffer
		d := &doctor{out: &out}
		d.phone(t.Context(), c, access.NewGuard(c.people(), nil, nil))
		if !strings.Contains(out.String(), tt.says) {
			t.Errorf("without %q:\n%s", tt.says, out.String())
		}
	}
}
