package dialogflow

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// Where Google's ID tokens come from.
const (
	GoogleIssuer = "https://accounts.google.com"
	GoogleKeys   = "https://www.googleapis.com/oauth2/v3/certs"
)

const (
	maxToken   = 8 << 10         // bytes; Google's are below one and a half thousand
	clockSkew  = 5 * time.Minute // that a token may be from the future
	keysEvery  = 10 * time.Second
	keysLimit  = 3 * time.Second
	agentsMail = "@gcp-sa-dialogflow.iam.gserviceaccount.com"
)

// Token is the ID token that Dialogflow sends where nothing else is set: it is
// signed by Google, and names who calls and for whom. Anybody's agent can be
// told to call us, with a token for our URL: Account is what tells ours.
type Token struct {
	Audience string // the URL of the webhook, as the agent has it
	Account  string // the service agent of the project: service-NUMBER@gcp-sa-dialogflow.iam.gserviceaccount.com
	Issuer   string // "" is Google
	KeysURL  string // "" is Google's
}

// verifier checks tokens. Keys are fetched when the first one comes, and again
// when one is signed with a key that is not known, but not too often: whoever
// makes tokens up can name any key.
func (t Token) verifier() (webhook.Verifier, error) {
	if t.Audience == "" || t.Account == "" {
		return nil, fault.New(fault.Usage, "An ID token is checked for its audience, which is the webhook's URL, and for the service agent that calls; one of them is empty.")
	}
	if t.Issuer == "" && (!strings.HasPrefix(t.Account, "service-") || !strings.HasSuffix(t.Account, agentsMail)) {
		return nil, fault.New(fault.Usage, "The service agent of Dialogflow is called service-PROJECT_NUMBER%s, not %q.", agentsMail, t.Account)
	}
	if at, err := url.Parse(cmp.Or(t.KeysURL, GoogleKeys)); err != nil || at.Scheme != "https" && (at.Scheme != "http" || at.Hostname() != "127.0.0.1") {
		return nil, fault.New(fault.Usage, "The keys that ID tokens are signed with come by https, so that nobody puts in their own: %q.", t.KeysURL)
	}
	client := &http.Client{Timeout: keysLimit, Transport: &throttled{next: http.DefaultTransport, limit: rate.NewLimiter(rate.Every(keysEvery), 3)}}
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), client), cmp.Or(t.KeysURL, GoogleKeys))
	check := oidc.NewVerifier(cmp.Or(t.Issuer, GoogleIssuer), keys, &oidc.Config{ClientID: t.Audience, SupportedSigningAlgs: []string{oidc.RS256}})
	return func(r *http.Request) error {
		raw := webhook.BearerToken(r)
		if raw == "" || len(raw) > maxToken {
			return webhook.Unauthorized(`Bearer realm="firstmate"`, "The ID token is missing or too long.", nil)
		}
		if err := t.accept(r.Context(), check, raw); err != nil {
			return webhook.Unauthorized(`Bearer realm="firstmate", error="invalid_token"`, "The ID token is not one that I accept.", err)
		}
		return nil
	}, nil
}

// accept says why a token is not that of our agent; nil where it is.
func (t Token) accept(ctx context.Context, check *oidc.IDTokenVerifier, raw string) error {
	token, err := check.Verify(ctx, raw)
	if err != nil {
		return err
	}
	if token.IssuedAt.After(time.Now().Add(clockSkew)) {
		return errors.New("dialogflow: the token is from the future")
	}
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	if err := token.Claims(&claims); err != nil {
		return err
	}
	if !claims.Verified || claims.Email != t.Account {
		return errors.New("dialogflow: the token is somebody else's")
	}
	return nil
}

// throttled keeps calls from being made too often.
type throttled struct {
	next  http.RoundTripper
	limit *rate.Limiter
}

// RoundTrip calls, or says that it is too soon.
func (t *throttled) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.limit.Allow() {
		return nil, errors.New("dialogflow: Google's keys were fetched a moment ago")
	}
	return t.next.RoundTrip(r)
}
