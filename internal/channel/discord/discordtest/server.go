// Package discordtest is a Discord for tests: the gateway and version 10 of the
// REST API on loopback, and people who write, click and use commands.
//
// It refuses what Discord refuses, with Discord's codes, and what Discord would
// quietly ignore besides: fields that its OpenAPI description does not have.
// openapi.json is that description, cut down to what is here; every body that a
// bot sends is held to it, and every answer that it gets. discord.js, which
// knows nothing of this package, runs against it in the tests.
//
// A bot finds the API under URL()+"/api/v10" and is told there where the gateway
// is. Version 9 is served as well, since there is no difference in what is here.
package discordtest

import (
	"context"
	"crypto/ed25519"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// description has Discord's own, openapi.json; see SOURCE.
//
//go:embed openapi.json
var description embed.FS

// Server is a Discord with one guild and one bot. People and channels come to be
// when they are first named.
type Server struct {
	t   testing.TB
	doc *openapi3.T
	web *httptest.Server

	// What can be set before it runs.
	content   bool          // the application may read messages that are not for it
	heartbeat time.Duration // how often a client has to give a sign
	patience  time.Duration // for the first answer to an interaction
	life      time.Duration // of an interaction's token
	limit     int           // requests to a bucket in every window
	window    time.Duration
	global    int // requests a second in all

	key      ed25519.PrivateKey
	token    string
	bot      *user
	guild    string
	everyone string // the role that all have
	done     chan struct{}
	busy     sync.WaitGroup

	mu           sync.Mutex
	changed      chan struct{} // closed when anything has
	skew         time.Duration
	last         int64 // the last snowflake
	users        []*user
	channels     []*channel
	roles        []*role
	commands     map[string][]map[string]any // by guild; "" are the global ones
	interactions []*interaction
	sessions     map[string]*session
	identified   int
	resumed      int
	again        func() // delivers the last thing once more
	endpoint     string // for interactions over HTTP
	requests     []Request
	buckets      map[string]*bucket
	forced       int // so many requests get 429
	forcedFor    time.Duration
	hasty        int
	broken       int // so many requests get 502
}

// Setting changes how a Server behaves.
type Setting func(*Server)

// WithoutMessageContent takes the privileged intent away from the application.
func WithoutMessageContent() Setting { return func(s *Server) { s.content = false } }

// Heartbeat sets how often the gateway wants to hear from a client.
func Heartbeat(every time.Duration) Setting { return func(s *Server) { s.heartbeat = every } }

// Patience sets how long an interaction waits for its first answer: 3 s, as at
// Discord, unless it is set.
func Patience(d time.Duration) Setting { return func(s *Server) { s.patience = d } }

// Rate sets how many requests one bucket takes in a window, and how many are
// taken in a second altogether (Discord: 50).
func Rate(limit int, window time.Duration, global int) Setting {
	return func(s *Server) { s.limit, s.window, s.global = limit, window, global }
}

// New starts a Discord that ends with the test.
func New(t testing.TB, settings ...Setting) *Server {
	t.Helper()
	raw, err := description.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		t: t, doc: doc, content: true, heartbeat: 41250 * time.Millisecond, patience: 3 * time.Second, life: 15 * time.Minute,
		limit: 20, window: 400 * time.Millisecond, global: 50,
		// Not secret: whoever reads a test may sign as this Discord.
		key:  ed25519.NewKeyFromSeed([]byte("a Discord that is only for tests")),
		done: make(chan struct{}), changed: make(chan struct{}), commands: map[string][]map[string]any{}, sessions: map[string]*session{}, buckets: map[string]*bucket{},
	}
	for _, set := range settings {
		set(s)
	}
	s.guild = s.snowflake()
	s.everyone = s.guild
	s.roles = []*role{{id: s.everyone, name: "@everyone"}}
	s.bot = &user{id: s.snowflake(), name: "firstmate", bot: true, joined: s.now()}
	s.users = []*user{s.bot}
	s.token = "Zmlyc3RtYXRl.test." + s.bot.id
	for _, name := range []string{"general", "ops"} {
		s.channel(name)
	}
	s.web = httptest.NewServer(s.routes())
	t.Cleanup(s.stop)
	return s
}

func (s *Server) stop() {
	close(s.done)
	s.mu.Lock()
	for _, ses := range s.sessions {
		ses.leave(0, "")
	}
	s.mu.Unlock()
	s.web.CloseClientConnections()
	s.web.Close()
	s.busy.Wait()
}

// URL is where this Discord is: the API is below it at /api/v10.
func (s *Server) URL() string { return s.web.URL }

// Token is the bot's token, without "Bot ".
func (s *Server) Token() string { return s.token }

// Bot is the bot's user id, which is the application's id too.
func (s *Server) Bot() string { return s.bot.id }

// Guild is the id of the only guild.
func (s *Server) Guild() string { return s.guild }

// PublicKey is what interactions over HTTP are verified with, in hexadecimal.
func (s *Server) PublicKey() string {
	return hex.EncodeToString(s.key.Public().(ed25519.PublicKey)) // of an Ed25519 key it is one
}

// Advance makes it later: deadlines, tokens and rate limits see that.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew += d
	s.happened()
}

// Request is a REST request that came in.
type Request struct {
	Method, Path string // the path below the version
	Status       int
	Why          string // the message of a refusal, and the details of an invalid form
}

// Requests are the REST requests so far, in the order of their answers.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Ready waits until a bot is connected to the gateway.
func (s *Server) Ready(ctx context.Context) error {
	return s.wait(ctx, "no bot connected to the gateway", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, ses := range s.sessions {
			if ses.conn != nil {
				return true
			}
		}
		return false
	})
}

// Connections says how often a session was begun and how often one was resumed.
func (s *Server) Connections() (identified, resumed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identified, s.resumed
}

// wait waits until something is so. What asks takes the lock itself, since it
// may be a test's own function.
func (s *Server) wait(ctx context.Context, otherwise string, so func() bool) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if so() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", otherwise, context.Cause(ctx))
		}
	}
}

// happened wakes whoever waits; the lock is held.
func (s *Server) happened() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) now() time.Time { return time.Now().Add(s.skew) }

// snowflake makes an id: the time since 2015 in its upper bits, each above the last.
func (s *Server) snowflake() string {
	const epoch = 1420070400000
	s.last = max(s.last+1, (s.now().UnixMilli()-epoch)<<22)
	return strconv.FormatInt(s.last, 10)
}

type user struct {
	id, name string
	bot      bool
	roles    []string
	joined   time.Time
	closed   bool // takes no direct messages
}

type role struct{ id, name string }

type channel struct {
	id, name   string
	kind       int // 0 text, 1 direct, 11 a public thread, 12 a private one
	parent     string
	owner      *user
	recipient  *user // of a direct one
	messages   []*message
	made       time.Time
	archived   bool
	locked     bool
	begun      bool // the thread has had a message
	archiveAt  int
	denied     uint64 // permissions that the bot has not here
	lastTyping time.Time
}

func (c *channel) thread() bool { return c.kind >= 10 && c.kind <= 12 }

func find[T any](of []T, is func(T) bool) (T, bool) {
	for _, v := range of {
		if is(v) {
			return v, true
		}
	}
	var none T
	return none, false
}

// user finds somebody by name or id, and lets who is not there yet join.
func (s *Server) user(name string) *user {
	if u, ok := find(s.users, func(u *user) bool { return u.name == name || u.id == name }); ok {
		return u
	}
	u := &user{id: s.snowflake(), name: name, joined: s.now()}
	s.users = append(s.users, u)
	s.dispatch(event{name: "GUILD_MEMBER_ADD", intent: guildMembers, data: s.inGuild(s.memberObject(u, true))})
	return u
}

// channel finds a channel by name or id; a text channel that is not there yet is made.
func (s *Server) channel(name string) *channel {
	if c := s.channelByID(name); c != nil {
		return c
	}
	if c, ok := find(s.channels, func(c *channel) bool { return c.name == name && c.kind == 0 }); ok {
		return c
	}
	c := &channel{id: s.snowflake(), name: name, made: s.now()}
	s.channels = append(s.channels, c)
	s.dispatch(event{name: "CHANNEL_CREATE", intent: guilds, data: s.channelObject(c)})
	return c
}

func (s *Server) channelByID(id string) *channel {
	c, _ := find(s.channels, func(c *channel) bool { return c.id == id })
	return c
}

func (s *Server) userByID(id string) *user {
	u, _ := find(s.users, func(u *user) bool { return u.id == id })
	return u
}

// direct is the channel between the bot and somebody.
func (s *Server) direct(u *user) *channel {
	if c, ok := find(s.channels, func(c *channel) bool { return c.recipient == u }); ok {
		return c
	}
	c := &channel{id: s.snowflake(), kind: 1, recipient: u, made: s.now()}
	s.channels = append(s.channels, c)
	return c
}

// message finds a message anywhere.
func (s *Server) message(id string) *message {
	for _, c := range s.channels {
		if m, ok := find(c.messages, func(m *message) bool { return m.id == id }); ok {
			return m
		}
	}
	return nil
}

func (s *Server) role(name string) *role {
	if r, ok := find(s.roles, func(r *role) bool { return r.name == name || r.id == name }); ok {
		return r
	}
	r := &role{id: s.snowflake(), name: name}
	s.roles = append(s.roles, r)
	s.dispatch(event{name: "GUILD_ROLE_CREATE", intent: guilds, data: s.inGuild(map[string]any{"role": s.roleObject(r, len(s.roles)-1)})})
	return r
}

func (s *Server) inGuild(o map[string]any) map[string]any {
	o["guild_id"] = s.guild
	return o
}

func (s *Server) gatewayURL() string {
	return "ws" + strings.TrimPrefix(s.web.URL, "http")
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.serveGateway) // at the root, as wss://gateway.discord.gg is
	mux.HandleFunc("GET /attachments/{channel}/{id}/{name}", s.serveFile)
	for _, v := range []string{"/api/v9", "/api/v10"} {
		for _, r := range s.api() {
			mux.HandleFunc(r.method+" "+v+r.path, func(w http.ResponseWriter, q *http.Request) { s.serve(w, q, v, r) })
		}
		mux.HandleFunc(v+"/", func(w http.ResponseWriter, q *http.Request) { s.serve(w, q, v, route{method: q.Method}) })
	}
	return mux
}
