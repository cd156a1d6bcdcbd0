package alexa

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Accounts tells whose a linked account's access token is. An error of the kind
// fault.Refused asks for the account to be linked again.
type Accounts interface {
	Owner(ctx context.Context, token string) (id string, err error)
}

// OIDC is account linking with an identity provider that speaks OpenID Connect.
type OIDC struct {
	Issuer string // the provider's address
	// Audience is whom the access tokens must be for, where they are JWTs, which
	// are then checked here. Empty: the provider is asked for the user's info.
	Audience string
	// Claim is what people are known by: "sub" or another one, as "email".
	Claim string
}

// provider is the Accounts of an OIDC.
type provider struct {
	cfg    OIDC
	client *http.Client

	mu    sync.Mutex
	found *oidc.Provider // once it answered
}

// NewAccounts returns the accounts of an identity provider. It is first asked when
// somebody speaks, so that it need not be up when the program starts.
func NewAccounts(cfg OIDC, client *http.Client) (Accounts, error) {
	switch {
	case !strings.HasPrefix(cfg.Issuer, "https://"):
		return nil, fault.New(fault.Usage, "The issuer of linked accounts must be an https address, not %q.", cfg.Issuer)
	case cfg.Claim == "":
		return nil, fault.New(fault.Usage, "Say which claim people are known by, as sub or email.")
	}
	return &provider{cfg: cfg, client: client}, nil
}

// Owner gives the claim of a token.
func (p *provider) Owner(ctx context.Context, token string) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", away(err)
	}
	ctx = oidc.ClientContext(ctx, p.client)
	claims := map[string]any{}
	if p.cfg.Audience != "" {
		t, err := found.Verifier(&oidc.Config{ClientID: p.cfg.Audience}).Verify(ctx, token)
		if err != nil {
			return "", notThem(err)
		}
		if err := t.Claims(&claims); err != nil {
			return "", notThem(err)
		}
		claims["sub"] = t.Subject
	} else {
		info, err := found.UserInfo(ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}))
		if err != nil {
			return "", notThem(err)
		}
		if err := info.Claims(&claims); err != nil {
			return "", notThem(err)
		}
		claims["sub"] = info.Subject
	}
	id, _ := claims[p.cfg.Claim].(string)
	if verified, said := claims["email_verified"]; p.cfg.Claim == "email" && said && verified != true && verified != "true" {
		return "", fault.New(fault.Refused, "Your account's e-mail address is not verified, so I do not know who you are.")
	}
	if !usable(id) {
		return "", notThem(errors.New("no " + p.cfg.Claim))
	}
	return id, nil
}

func (p *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.cfg.Issuer)
	if err == nil {
		p.found = found
	}
	return found, err
}

// notThem is a token that says nobody; a provider that could not be reached says
// nothing about the token.
func notThem(err error) error {
	if unreachable(err) {
		return away(err)
	}
	return fault.Wrap(err, fault.Refused, "Your account is not linked any more. Please link it again in the Alexa app.")
}

func away(err error) error {
	return fault.Wrap(err, fault.Unavailable, "I cannot find out who you are: your identity provider does not answer. Please try again.")
}

// unreachable reports an error of the way to the provider. The library wraps
// none of what went wrong there but the text of it.
func unreachable(err error) bool {
	var u interface{ Timeout() bool }
	s := err.Error()
	return errors.As(err, &u) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		strings.Contains(s, "dial tcp") || strings.HasPrefix(s, "5") || strings.Contains(s, "fetching keys")
}

// errUnlinked says that an account must be linked first.
var errUnlinked = errors.New("no account is linked")

// speaker is who speaks, as far as that can be known. The signature says which
// account it is, and the account which room: who talks there is anybody. A
// voice that Alexa recognised is somebody, though a recording would do.
func (h *Handler) speaker(ctx context.Context, in request) (access.Speaker, error) {
	how := access.Session
	if in.person.ID != "" {
		how = access.Signature
	}
	token := in.user.Token
	if in.person.ID != "" {
		token = in.person.Token // another voice is not the owner of the account
	}
	switch {
	case h.Accounts != nil && token != "":
		id, err := h.Accounts.Owner(ctx, token)
		if err != nil {
			return access.Speaker{}, err
		}
		return access.NewSpeaker(channel, id, how), nil
	case h.cfg.LinkRequired && in.user.Token == "":
		return access.Speaker{}, errUnlinked
	case in.person.ID != "":
		return access.NewSpeaker(channel, in.person.ID, how), nil
	}
	return access.NewSpeaker(channel, in.user.ID, how), nil
}
