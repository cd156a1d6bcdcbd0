package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/firstmate-ops/firstmate/internal/access"
)

// Logins is where log-ins are kept, so that they outlive the process and count for
// all replicas.
type Logins interface {
	PutLogin(ctx context.Context, id string, data []byte, until time.Time) error
	Login(ctx context.Context, id string) ([]byte, error)
	DropLogin(ctx context.Context, id string) error
}

const (
	cookieName = "firstmate"
	// hostPrefix binds a cookie to this very host and to HTTPS: no other host can
	// put one in its place.
	hostPrefix = "__Host-"
	// maxCookie is how long the value of a cookie of ours may be.
	maxCookie = 128
	// touchEvery is how often is noted that somebody is still there.
	touchEvery = time.Minute
)

// The keys of what a session holds.
const (
	sessionSpeaker = "speaker"
	sessionSeen    = "seen"
)

// sessions knows who is logged in. The token, the deadlines and the cookie are
// scs's; in the store is only the token's hash, so that who reads the store is not
// logged in.
type sessions struct {
	m *scs.SessionManager
}

func newSessions(keep Logins, c LogInConfig) *sessions {
	name := cookieName
	if c.Secure {
		name = hostPrefix + cookieName
	}
	// Not by scs.New, which starts a store in memory that nobody needs.
	return &sessions{&scs.SessionManager{
		IdleTimeout: c.Idle, Lifetime: c.Life, Store: loginStore{keep}, Codec: scs.GobCodec{}, HashTokenInStore: true,
		Cookie: scs.SessionCookie{Name: name, HttpOnly: true, Path: "/", SameSite: http.SameSiteLaxMode, Secure: c.Secure},
	}}
}

// open loads the session of a request into its context; an empty one where there is
// none.
func (s *sessions) open(r *http.Request) (context.Context, error) {
	token := ""
	if c, err := r.Cookie(s.m.Cookie.Name); err == nil && len(c.Value) <= maxCookie {
		token = c.Value
	}
	ctx, err := s.m.Load(r.Context(), token)
	if err != nil {
		return nil, fmt.Errorf("web: the session: %w", err)
	}
	return ctx, nil
}

// who is who is logged in; ok is false where nobody is. What is no sign of somebody
// being there does not touch the session.
func (s *sessions) who(r *http.Request, touch bool) (who access.Speaker, ok bool, err error) {
	ctx, err := s.open(r)
	if err != nil {
		return who, false, err
	}
	b := s.m.GetBytes(ctx, sessionSpeaker)
	if b == nil {
		return who, false, nil
	}
	if err := json.Unmarshal(b, &who); err != nil {
		return who, false, fmt.Errorf("web: the session: %w", err)
	}
	if now := time.Now(); touch && now.Sub(time.Unix(s.m.GetInt64(ctx, sessionSeen), 0)) >= touchEvery {
		s.m.Put(ctx, sessionSeen, now.Unix())
		if _, _, err := s.m.Commit(ctx); err != nil {
			return who, false, fmt.Errorf("web: the session: %w", err)
		}
	}
	return who, true, nil
}

// begin logs somebody in, with a new token whatever the browser had before.
func (s *sessions) begin(w http.ResponseWriter, r *http.Request, who access.Speaker) error {
	b, err := json.Marshal(who)
	if err != nil {
		return fmt.Errorf("web: the session: %w", err)
	}
	if err := s.drop(r); err != nil {
		return err
	}
	ctx, err := s.m.Load(r.Context(), "")
	if err != nil {
		return fmt.Errorf("web: the session: %w", err)
	}
	s.m.Put(ctx, sessionSpeaker, b)
	s.m.Put(ctx, sessionSeen, time.Now().Unix())
	token, until, err := s.m.Commit(ctx)
	if err != nil {
		return fmt.Errorf("web: the session: %w", err)
	}
	s.m.WriteSessionCookie(ctx, w, token, until)
	return nil
}

// end logs out.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) error {
	s.m.WriteSessionCookie(r.Context(), w, "", time.Time{})
	return s.drop(r)
}

// drop forgets the session of a request.
func (s *sessions) drop(r *http.Request) error {
	ctx, err := s.open(r)
	if err == nil && s.m.Token(ctx) != "" {
		err = s.m.Destroy(ctx)
	}
	if err != nil {
		return fmt.Errorf("web: the session: %w", err)
	}
	return nil
}

// loginStore is where scs keeps sessions.
type loginStore struct{ Logins }

// FindCtx returns the data of a token.
func (s loginStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	b, err := s.Login(ctx, token)
	return b, b != nil, err
}

// CommitCtx keeps the data of a token.
func (s loginStore) CommitCtx(ctx context.Context, token string, b []byte, until time.Time) error {
	return s.PutLogin(ctx, token, b, until)
}

// DeleteCtx forgets a token.
func (s loginStore) DeleteCtx(ctx context.Context, token string) error {
	return s.DropLogin(ctx, token)
}

// Find, Commit and Delete are for stores without a context; scs asks for them, and
// calls those with one.

// Find returns the data of a token.
func (s loginStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit keeps the data of a token.
func (s loginStore) Commit(token string, b []byte, until time.Time) error {
	return s.CommitCtx(context.Background(), token, b, until)
}

// Delete forgets a token.
func (s loginStore) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
