package phone

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/phone/carriertest"
	"github.com/firstmate-ops/firstmate/internal/peers"
)

// telnyxAccount is an account and what Telnyx signs for it with.
func telnyxAccount() (Config, ed25519.PrivateKey) {
	private := ed25519.NewKeyFromSeed([]byte("a seed of exactly thirty-two by.")[:ed25519.SeedSize])
	return Config{
		Provider: Telnyx, Account: "cb6cfbbc-eb00-41af-a3f3-0d7b32009e4b", Token: "KEY01", Application: "1494404757140276705",
		SigningKey: base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey)), //nolint:forcetypeassert // what it is
		Numbers:    []string{"+15005550001"}, PublicURL: "https://bot.example", Voice: "Polly.Joanna", Language: "en-US", MinConfidence: 0.4, Hints: 10,
		Mailboxes: true, Unknown: true,
	}, private
}

func telnyxHeaders(key ed25519.PrivateKey, at time.Time, body string) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	h := http.Header{}
	h.Set(telnyxTimestamp, stamp)
	h.Set(telnyxSignature, base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(stamp+"|"+body))))
	return h
}

// TestSignaturesAreTelnyx: what Telnyx's own library takes we take, and what it
// refuses we refuse: bodies, times, keys and signatures that were changed.
func TestSignaturesAreTelnyx(t *testing.T) {
	library := peers.Ask(t, "telnyx", "verify.js")
	c, private := telnyxAccount()
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 12))
	taken, refused := 0, 0
	for range 2000 {
		f := url.Values{"CallSid": {"v3:9X2vx"}, "SpeechResult": {[]string{"yes", "ü & +", "", "日本 %"}[r.IntN(4)]}, "n": {strconv.Itoa(r.IntN(1000))}}
		body, at, key := f.Encode(), time.Now(), private
		change := r.IntN(9)
		switch change {
		case 1:
			at = at.Add(-6 * time.Minute)
		case 2:
			at = at.Add(6 * time.Minute)
		case 3:
			key = other
		}
		h := telnyxHeaders(key, at, body)
		sig := h.Get(telnyxSignature)
		switch change {
		case 4:
			body += "&x=1"
		case 5:
			h.Set(telnyxTimestamp, strconv.FormatInt(at.Unix()+1, 10))
		case 6:
			h.Set(telnyxSignature, sig[:20]+string("AB"[r.IntN(2)])+sig[21:])
		case 7:
			h.Del([]string{telnyxSignature, telnyxTimestamp}[r.IntN(2)])
		case 8:
			h.Set([]string{telnyxSignature, telnyxTimestamp}[r.IntN(2)], []string{"", "0", "x", "-1", "==", sig + "="}[r.IntN(6)])
		}
		headers := map[string]string{}
		for k := range h {
			headers[k] = h.Get(k)
		}
		var theirs bool
		if err := library.Ask(map[string]any{"key": c.SigningKey, "body": body, "headers": headers}, &theirs); err != nil {
			t.Fatal(err)
		}
		if ours := c.telnyxSigned(h, []byte(body), time.Now()); ours != theirs {
			t.Fatalf("we take it: %t, Telnyx's library: %t; change %d of %q with %v", ours, theirs, change, body, h)
		}
		if theirs {
			taken++
		} else {
			refused++
		}
	}
	if taken < 100 || refused < 1000 {
		t.Errorf("%d taken, %d refused", taken, refused)
	}
	t.Logf("%d taken, %d refused, by both", taken, refused)
}

// sayings and nobody are words that are never said, and people whom nobody knows.
type (
	sayings struct{}
	nobody  struct{}
)

func (sayings) Say(key string, _ map[string]any) (intents.Say, error) {
	return intents.Say{Text: key}, nil
}

func (nobody) Who(context.Context, access.Speaker) (access.Person, bool, error) {
	return access.Person{}, false, nil
}

// TestTelnyxWebhooks: what is not signed is refused before it is read, and so is a URL
// that we did not make; the caller's number is vouched for in Telnyx' way.
func TestTelnyxWebhooks(t *testing.T) {
	c, private := telnyxAccount()
	e := channeltest.NewEngine(nil)
	h, err := New(c, Parts{Engine: e, Words: sayings{}, People: nobody{}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Routes(mux)
	body := url.Values{
		"AccountSid": {"f5586561-8ff0-4291-a51b-c7dfe4139ff9"}, "CallSid": {"v3:MdI91X4lWFEs7IgbBEOT9M4AigoY08M0WWZFISt1Yw2axZ_IiE4pqg"}, "From": {"+14158675309"}, "To": {"+15005550001"},
		"SpeechResult": {"how is web"}, "Confidence": {"0.9"}, "ShakenStirAttestation": {"A"}, "ShakenStirValidated": {"true"},
	}.Encode()
	next := strings.TrimPrefix(c.public(PathVoice, leg{turn: 1}.query()), c.PublicURL)
	for _, tt := range []struct {
		name, at string
		header   http.Header
		status   int
	}{
		{"as Telnyx signs", next, telnyxHeaders(private, time.Now(), body), http.StatusOK},
		{"unsigned", next, http.Header{}, http.StatusForbidden},
		{"old", next, telnyxHeaders(private, time.Now().Add(-time.Hour), body), http.StatusForbidden},
		{"another body", next, telnyxHeaders(private, time.Now(), body+"&Digits=1"), http.StatusForbidden},
		{"a leg that is not ours", PathVoice + "?n=1", telnyxHeaders(private, time.Now(), body), http.StatusForbidden},
		{"a leg that was changed", strings.Replace(next, "n=1", "n=2", 1), telnyxHeaders(private, time.Now(), body), http.StatusForbidden},
		{"a leg of another path", strings.Replace(next, PathVoice, PathStatus, 1), telnyxHeaders(private, time.Now(), body), http.StatusForbidden},
		{"messages", PathSMS, telnyxHeaders(private, time.Now(), body), http.StatusNotFound},
	} {
		r := httptest.NewRequest(http.MethodPost, "https://bot.example"+tt.at, strings.NewReader(body))
		r.Header = tt.header.Clone()
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, r); w.Code != tt.status {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
	if asked := e.Requests(); len(asked) != 1 || asked[0].Text != "how is web" || asked[0].Speaker.Method != access.StirShaken {
		t.Errorf("%+v", asked)
	}
}

// TestTelnyxAPI holds what is asked of Telnyx to its OpenAPI description: JSON and a
// bearer's token for calls and messages, a form for a change of a call.
func TestTelnyxAPI(t *testing.T) {
	c, _ := telnyxAccount()
	var asked []string
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer KEY01" {
			t.Errorf("authorized by %q", r.Header.Get("Authorization"))
		}
		var in map[string]any
		switch r.Header.Get("Content-Type") {
		case "application/json":
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
				t.Error(err)
			}
		case "application/x-www-form-urlencoded":
			if err := r.ParseForm(); err != nil {
				t.Error(err)
			}
			in = map[string]any{"form": r.PostForm.Encode()}
		}
		b, err := json.Marshal(in)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(b))
		switch {
		case r.Method == http.MethodGet:
			_, _ = w.Write([]byte(`{"calls":[{"sid":"v3:abc","to":"+14158675309","from":"+15005550001","date_created":"` + time.Now().UTC().Format(time.RFC3339) + `"}]}`))
		case strings.HasSuffix(r.URL.Path, "/messages"):
			_, _ = w.Write([]byte(`{"data":{"record_type":"message","id":"40385f64"}}`))
		default:
			_, _ = w.Write([]byte(`{"from":"+15005550001","to":"+14158675309","status":"queued"}`))
		}
	})
	line, err := NewCarrier(c, carriertest.Wires{"api.telnyx.com": api}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	sid, err := line.Call(t.Context(), "+14158675309", "1-1")
	if err != nil || sid != "v3:abc" {
		t.Fatal(sid, err)
	}
	if err := line.Text(t.Context(), "+14158675309", "hello"); err != nil {
		t.Error(err)
	}
	if err := line.Hangup(t.Context(), sid); err != nil {
		t.Error(err)
	}
	of := "/v2/texml/Accounts/" + c.Account + "/Calls"
	voice, status := c.public(PathVoice, url.Values{"ref": {"1-1"}}), c.public(PathStatus, url.Values{"ref": {"1-1"}})
	quoted := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	want := []string{
		"POST " + of + ` {"ApplicationSid":"1494404757140276705","From":"+15005550001","StatusCallback":` + quoted(status) + `,"StatusCallbackMethod":"POST","Timeout":25,"To":"+14158675309","Url":` + quoted(voice) + `,"UrlMethod":"POST"}`,
		"GET " + of + ` null`,
		`POST /v2/messages {"from":"+15005550001","text":"hello","to":"+14158675309"}`,
		"POST " + of + `/v3:abc {"form":"Status=completed"}`,
	}
	if got := strings.Join(asked, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("asked\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
