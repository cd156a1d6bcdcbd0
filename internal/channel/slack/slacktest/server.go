// Package slacktest is a Slack for tests: the Web API, Socket Mode, signed
// requests over HTTP, files, and people who write, click and fill in forms. It
// refuses what Slack refuses, in Slack's words, and delivers as Slack does: once
// and again until it is acknowledged. It shares no code with what it tests;
// Slack's own library for apps (internal/peers/slack) gets along with it.
package slacktest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Who and what is there from the beginning.
const (
	Team    = "T0SLACKTEST"
	AppID   = "A0SLACKTEST"
	BotUser = "U0FIRSTMATE"
	BotID   = "B0FIRSTMATE"
	Alice   = "U0ALICE0001" // alice@example.com
	Bob     = "U0BOB000001" // bob@example.com
	General = "C0GENERAL01" // a public channel with both of them and the bot
)

// Config is how the app is set up at Slack. New fills in what is empty.
type Config struct {
	BotToken      string // xoxb-
	AppToken      string // xapp-
	SigningSecret string
	Scopes        []string // of the bot's token; nil is all that the fake knows
	Events        []string // that are subscribed to; nil is all that the fake sends
	Commands      []string // slash commands; nil is any
	Shortcuts     []string // their callback_ids; nil is any

	// What is switched off: the tab Home, people writing to the app, and clicks.
	NoHome, NoMessages, NoInteractivity bool

	// Where events, slash commands and interactions are posted. All empty is Socket Mode.
	EventsURL, CommandsURL, InteractionsURL string

	// AckLimit is how long a delivery may stay without an answer, and how long a
	// trigger is good for. At Slack that is 3 s; New makes it 15 s, because an app on
	// a loaded machine is not late. A test of lateness sets it and uses Advance.
	AckLimit time.Duration
	// Retries is when an event that was not taken comes again: at once, after a
	// minute and after five.
	Retries []time.Duration
	// Fail is told when a test asks for what a person could not do.
	Fail func(format string, args ...any)
}

// Server is the fake.
type Server struct {
	cfg   Config
	http  *httptest.Server
	clock *clock
	ctx   context.Context //nolint:containedctx // of deliveries, which outlive what causes them
	stop  context.CancelFunc
	wg    sync.WaitGroup

	mu       sync.Mutex
	changed  chan struct{} // closed when something happened
	seq      int
	lastTS   time.Time
	people   map[string]*person
	channels map[string]*channel
	messages []*message
	files    map[string]*file
	views    []*view
	triggers map[string]*trigger
	hooks    map[string]*hook
	streams  map[string]bool
	shown    map[string]any // blocks and views as the app sent them, by their JSON
	failures []string
	calls    []Call
	limit    limit
	pace     map[string]*bucket // by channel
	perSec   float64
	burst    float64

	tickets map[string]bool // URLs of web sockets that may be used once
	conns   []*conn
	opened  int
	next    int
	pending map[string]*sent // envelopes that wait for an ack
	queue   []*delivery
	queued  chan struct{}
	last    *delivery
	lanes   map[string]chan struct{}
}

type person struct {
	Person
	id  string
	bot bool
}

// Person is somebody at Slack.
type Person struct {
	Name, Email string // a name in lower case
	Unconfirmed bool   // they did not confirm the address
	Guest       bool   // invited to some channels only
	Deactivated bool   // they left
	Team        string // a workspace that shares channels with this one; "" is this one
}

type channel struct {
	id, name string
	private  bool
	im       string // whose direct message with the bot it is
	members  []string
}

// New starts a fake Slack that ends with the test.
func New(t testing.TB, change ...func(*Config)) *Server {
	t.Helper()
	cfg := Config{Fail: t.Errorf, AckLimit: 15 * time.Second}
	for _, c := range change {
		c(&cfg)
	}
	s := Start(cfg)
	t.Cleanup(s.Close)
	return s
}

// Start starts a fake Slack; Close ends it.
func Start(cfg Config) *Server {
	if cfg.BotToken == "" {
		cfg.BotToken = "xoxb-1-2-slacktest" //nolint:gosec // of the fake
	}
	if cfg.AppToken == "" {
		cfg.AppToken = "xapp-1-" + AppID + "-slacktest"
	}
	if cfg.SigningSecret == "" {
		cfg.SigningSecret = "8f742231b10e8888abcd99yyyzzz85a5" //nolint:gosec // Slack's example
	}
	if cfg.Scopes == nil {
		cfg.Scopes = strings.Fields(allScopes)
	}
	if cfg.AckLimit == 0 {
		cfg.AckLimit = 3 * time.Second
	}
	if cfg.Retries == nil {
		cfg.Retries = []time.Duration{0, time.Minute, 5 * time.Minute}
	}
	if cfg.Fail == nil {
		cfg.Fail = func(string, ...any) {}
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		cfg: cfg, clock: newClock(), ctx: ctx, stop: stop, changed: make(chan struct{}), queued: make(chan struct{}, 1),
		people: map[string]*person{}, channels: map[string]*channel{}, files: map[string]*file{}, triggers: map[string]*trigger{},
		hooks: map[string]*hook{}, streams: map[string]bool{}, shown: map[string]any{}, tickets: map[string]bool{}, pending: map[string]*sent{}, lanes: map[string]chan struct{}{}, pace: map[string]*bucket{},
	}
	s.people[BotUser] = &person{Person{Name: "firstmate"}, BotUser, true}
	s.people[Alice] = &person{Person{Name: "alice", Email: "alice@example.com"}, Alice, false}
	s.people[Bob] = &person{Person{Name: "bob", Email: "bob@example.com"}, Bob, false}
	s.channels[General] = &channel{id: General, name: "general", members: []string{BotUser, Alice, Bob}}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/{method}", s.api)
	mux.HandleFunc("GET /link/{ticket}", s.connect)
	mux.HandleFunc("POST /upload/{id}", s.upload)
	mux.HandleFunc("GET /files-pri/{id}", s.download)
	mux.HandleFunc("POST /respond/{id}", s.respond)
	mux.HandleFunc("GET /signin", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!DOCTYPE html><title>Sign in | Slack</title>")
	})
	s.http = httptest.NewServer(mux)
	s.wg.Go(s.dispatch)
	return s
}

// Close ends the fake and what goes on in it.
func (s *Server) Close() {
	s.stop()
	s.clock.stop()
	for _, c := range s.connections() {
		_ = c.ws.Close() // it is gone either way
	}
	s.http.CloseClientConnections()
	s.http.Close()
	s.wg.Wait()
}

// URL is that of the Web API, with a slash at the end: what stands in the place
// of https://slack.com/api/.
func (s *Server) URL() string { return s.http.URL + "/api/" }

// Config is how the app is set up, with the tokens.
func (s *Server) Config() Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg
}

// Change changes how the app is set up, as somebody does at api.slack.com.
func (s *Server) Change(change func(*Config)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.cfg)
}

// Now is the time at Slack.
func (s *Server) Now() time.Time { return s.clock.now() }

// Advance lets time pass, for retries and for what expires.
func (s *Server) Advance(d time.Duration) { s.clock.advance(d) }

// AddUser adds a member of the workspace to #general; email may be empty.
func (s *Server) AddUser(name, email string) (id string) {
	return s.AddPerson(Person{Name: name, Email: email})
}

// AddPerson adds somebody to #general, who may be a guest or of another workspace.
func (s *Server) AddPerson(p Person) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = s.id("U")
	if p.Name == "" {
		p.Name = strings.ToLower(id)
	}
	s.people[id] = &person{p, id, false}
	s.channels[General].members = append(s.channels[General].members, id)
	return id
}

// AddChannel adds a channel with these members; the bot is no member of itself.
func (s *Server) AddChannel(name string, private bool, members ...string) (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = s.id("C")
	s.channels[id] = &channel{id: id, name: name, private: private, members: members}
	return id
}

// DM is the channel of a person's direct messages with the bot.
func (s *Server) DM(user string) (channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.im(user).id
}

// im is the direct message channel of somebody. The server is locked.
func (s *Server) im(user string) *channel {
	for _, c := range s.channels {
		if c.im == user {
			return c
		}
	}
	c := &channel{id: s.id("D"), im: user, private: true, members: []string{BotUser, user}}
	s.channels[c.id] = c
	return c
}

// id is a new one. The server is locked.
func (s *Server) id(kind string) string {
	s.seq++
	return fmt.Sprintf("%s0%08X%02d", kind, 0x5AC0000+s.seq, s.seq%100)
}

func secret() string { return rand.Text() }

// ts is the next time stamp, which is a message's id. The server is locked.
func (s *Server) ts() string {
	at := s.clock.now().Truncate(time.Microsecond)
	if !at.After(s.lastTS) {
		at = s.lastTS.Add(time.Microsecond)
	}
	s.lastTS = at
	return stamp(at)
}

func stamp(at time.Time) string { return fmt.Sprintf("%d.%06d", at.Unix(), at.Nanosecond()/1000) }

// note tells those who wait that something happened. The server is locked.
func (s *Server) note() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// until waits for something to become true: look looks at the server while it is
// locked, and returns what decides when it is not.
func (s *Server) until(ctx context.Context, what string, look func() (decide func() bool)) error {
	for {
		s.mu.Lock()
		decide, changed := look(), s.changed
		s.mu.Unlock()
		if decide() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		case <-s.ctx.Done():
			return fmt.Errorf("waiting for %s: Slack was closed", what)
		}
	}
}

// Call is one call of the Web API.
type Call struct {
	Method, Error string // "" is ok
	Limited       bool   // it got a 429
	TooSoon       bool   // the Retry-After of a 429 had not passed
	At            time.Time
}

// Calls are those of a method so far; "" is of any.
func (s *Server) Calls(method string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Call
	for _, c := range s.calls {
		if method == "" || c.Method == method {
			out = append(out, c)
		}
	}
	return out
}

// Failures are what people saw of deliveries that were not answered.
func (s *Server) Failures() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.failures)
}
