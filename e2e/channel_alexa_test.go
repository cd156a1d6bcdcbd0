package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/alexa/alexatest"
	"github.com/firstmate-ops/firstmate/internal/peers"
)

// alexaSkill is the configuration of the skill's endpoint.
const alexaSkill = `alexa: {application_id: ` + alexatest.ApplicationID + `}
`

// alexaLimit is how long Alexa waits for an answer.
const alexaLimit = 8 * time.Second

// alexaDriver is an Echo in a room, and Amazon behind it. What is said arrives
// as free speech, a yes and a no as Alexa's own intents.
type alexaDriver struct {
	amazon *alexatest.Amazon
	url    string
	body   []byte // of the last request
	open   bool   // the session
	known  json.RawMessage
}

// playAmazon lets the bot serve of a world, which must not run yet, see Amazon.
func playAmazon(t *testing.T, w *world) (*alexatest.Amazon, string, error) {
	t.Helper()
	a, err := alexatest.New()
	if err != nil {
		return nil, "", err
	}
	s, err := a.Serve(t.TempDir())
	if err != nil {
		return nil, "", err
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w.env = append(w.env, s.Environ...)
	url, err := w.url(t.Context())
	return a, url + "/webhooks/alexa", err
}

func openAlexa(t *testing.T, w *world) (driver, error) {
	t.Helper()
	a, url, err := playAmazon(t, w)
	if err != nil {
		return nil, err
	}
	d := &alexaDriver{amazon: a, url: url}
	_, err = d.post(t.Context(), alexatest.Said{Type: "LaunchRequest"})
	return d, err
}

func (d *alexaDriver) say(ctx context.Context, text string) (string, error) {
	switch text {
	case "yes":
		return d.post(ctx, alexatest.Said{Intent: "AMAZON.YesIntent"})
	case "no":
		return d.post(ctx, alexatest.Said{Intent: "AMAZON.NoIntent"})
	}
	return d.post(ctx, alexatest.Said{Intent: "anything", Slots: map[string]string{"text": text}})
}

func (d *alexaDriver) post(ctx context.Context, s alexatest.Said) (string, error) {
	s.ID, s.New, s.Known, s.Person = "amzn1.echo-api.request."+rand.Text(), !d.open, d.known, "amzn1.ask.person.TEST"
	d.body = s.Body()
	return d.again(ctx)
}

func (d *alexaDriver) again(ctx context.Context) (string, error) {
	var signing error
	began := time.Now()
	b, err := post(ctx, d.url, string(d.body), func(r *http.Request) { signing = d.amazon.Sign(r.Header, d.body) })
	if err == nil {
		err = signing
	}
	if err != nil {
		return "", err
	}
	if took := time.Since(began); took > alexaLimit {
		return "", fmt.Errorf("it took %v, and Alexa waits for %v", took, alexaLimit)
	}
	var answer struct {
		SessionAttributes json.RawMessage
		Response          struct {
			OutputSpeech     struct{ SSML string }
			ShouldEndSession bool
		}
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return "", fmt.Errorf("%w:\n%s", err, b)
	}
	d.open, d.known = !answer.Response.ShouldEndSession, answer.SessionAttributes
	heard := strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(answer.Response.OutputSpeech.SSML, " "))), " ")
	if d.open && !strings.HasSuffix(heard, "?") {
		return "", fmt.Errorf("it waits and asks nothing: %s", heard)
	}
	return heard, nil
}

// TestAlexaSDK has the test client that others wrote for Alexa skills hold a
// conversation with the real program.
func TestAlexaSDK(t *testing.T) {
	dir := peers.Node(t, "alexa")
	w := worldOf(t, "t-alexa-sdk")
	w.rights.config = channelSettings + alexaSkill
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(w.dir, "bot.log")) // only for whoever reads the failure
			t.Logf("bot serve said:\n%s", log)
		}
	})
	a, url, err := playAmazon(t, w)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(a.Signer().Key)
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "node_modules/mocha/bin/mocha.js", "--timeout", "200000", "--exit", "conversation.js")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "BOT_URL="+url, "KEY="+key, "CHAIN_URL="+alexatest.ChainURL, "APP_ID="+alexatest.ApplicationID, "PIN="+channelPIN, "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE=1")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	t.Logf("%s", said.String())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "2 passing") {
		t.Error("not both conversations were held")
	}
	if got, err := w.state(t.Context()); err != nil || got != channelState {
		t.Errorf("%v, the cluster is\n%s\nwant\n%s", err, got, channelState)
	}
}
