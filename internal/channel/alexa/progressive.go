package alexa

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/speech"
)

const (
	endpointDomain  = "amazonalexa.com"
	directivesPath  = "/v1/directives"
	directiveLimit  = 2 * time.Second
	maxProgressive  = 600 // characters
	maxPlatformSaid = 1 << 10
)

// Directives says something while an answer is still being found.
type Directives struct{ client *http.Client }

// NewDirectives returns who speaks to Alexa by the transport.
func NewDirectives(transport http.RoundTripper) *Directives {
	return &Directives{&http.Client{
		Transport: transport, Timeout: directiveLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// endpoint holds that the address that a request names is Alexa's: the token
// goes nowhere else.
func endpoint(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", fmt.Errorf("alexa: the endpoint: %w", err)
	}
	host := strings.ToLower(u.Hostname())
	ours := host == endpointDomain || strings.HasSuffix(host, "."+endpointDomain)
	if u.Scheme != "https" || !ours || u.Port() != "" && u.Port() != "443" || u.User != nil || u.Opaque != "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("alexa: the endpoint %q is not Alexa's", raw)
	}
	return "https://" + host + directivesPath, nil
}

// speak has Alexa say a sentence before the answer to a request.
func (d *Directives) speak(ctx context.Context, in request, text string) error {
	to, err := endpoint(in.endpoint)
	if err != nil {
		return err
	}
	var body struct {
		Header struct {
			RequestID string `json:"requestId"`
		} `json:"header"`
		Directive struct {
			Type   string `json:"type"`
			Speech string `json:"speech"`
		} `json:"directive"`
	}
	body.Header.RequestID = in.id
	body.Directive.Type, body.Directive.Speech = "VoicePlayer.Speak", speech.Say(text, speech.Limits{Characters: maxProgressive}).SSML
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, directiveLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+in.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // its answer says nothing more
	if resp.StatusCode/100 != 2 {
		said, err := io.ReadAll(io.LimitReader(resp.Body, maxPlatformSaid))
		return fmt.Errorf("alexa: a progressive response: %s: %q, %w", resp.Status, said, err)
	}
	return nil
}
