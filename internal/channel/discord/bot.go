package discord

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// Path is where Discord posts interactions to, where it does.
const Path = "/webhooks/discord"

// Config is whose bot it is, and who may speak to it.
type Config struct {
	Token string // the bot's
	// PublicKey is the application's; set, interactions come over HTTP and the gateway is
	// not opened: Discord sends them the one way or the other.
	PublicKey string
	// Guilds are the servers that are answered; whoever invites a bot elsewhere gets no
	// answer there.
	Guilds []string
	// MessageContent asks for the privileged intent: without it, what is said in a thread
	// is for us only where it names us.
	MessageContent bool
	// VoiceAnswers has voice messages answered by one too; otherwise only who asks for it is.
	VoiceAnswers bool
	APIURL       string // in place of https://discord.com, for tests and proxies
}

// Check says what is wrong with a configuration.
func (c Config) Check() error {
	if c.Token == "" {
		return fault.New(fault.Usage, "discord.token is missing: the bot's token, which its page in the developer portal shows once.")
	}
	if len(c.Guilds) == 0 {
		return fault.New(fault.Usage, "discord.guilds is missing: the ids of the servers that may ask. Without it whoever invites the bot could read your cluster.")
	}
	for _, g := range c.Guilds {
		if !snowflake(g) {
			return fault.New(fault.Usage, "discord.guilds: %q is no id of a server. In Discord, with the developer mode on: right click on the server, Copy Server ID.", g)
		}
	}
	if c.PublicKey != "" {
		if _, err := publicKey(c.PublicKey); err != nil {
			return err
		}
	}
	if u, err := url.Parse(c.APIURL); err != nil || c.APIURL != "" && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return fault.New(fault.Usage, "discord.api_url is an address like https://discord.com, or empty.")
	}
	return nil
}

// wording words what only this channel says; *intents.Catalogue is one.
type wording interface {
	Say(key string, data map[string]any) (intents.Say, error)
}

// Parts is what the bot works with.
type Parts struct {
	Engine chat.Engine
	Books  chat.Books
	Words  wording
	Paint  painter // nil draws no charts
	// Who tells who a speaker is: in direct messages, strangers are not answered.
	Who func(ctx context.Context, s access.Speaker) (access.Person, bool, error)
	// Commands is the command set as Discord takes it, and Sentence what one says.
	Commands []byte
	Sentence func(subcommand string, options map[string]string) (string, bool)
	// Names completes what is typed for an option, for a speaker; nil completes nothing.
	Names func(ctx context.Context, s access.Speaker, option, typed string) []string
	Ears  speech.Recognizer // nil hears nothing
	Hints func(ctx context.Context) speech.Hints
	Voice speech.Synthesizer // nil says nothing
	Now   func() time.Time
}

// Bot is the bot.
type Bot struct {
	Parts
	cfg   Config
	log   *slog.Logger
	rest  *rest
	room  *chat.Room
	stack *webhook.Stack
	key   ed25519.PublicKey
	wg    sync.WaitGroup

	mu      sync.Mutex
	work    context.Context // while Run runs
	self    string          // the bot's user
	app     string          // the application
	places  map[string]place
	targets map[string]target // where a thread is posted to
	private map[string]string // direct channels by who they are with
}

// New returns the bot; nothing runs yet.
func New(cfg Config, parts Parts, log *slog.Logger) (*Bot, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	r, err := newRest(cfg)
	if err != nil {
		return nil, err
	}
	b := &Bot{
		Parts: parts, cfg: cfg, log: log, rest: r,
		places: map[string]place{}, targets: map[string]target{}, private: map[string]string{},
	}
	if b.Now == nil {
		b.Now = time.Now
	}
	if cfg.PublicKey != "" {
		if b.key, err = publicKey(cfg.PublicKey); err != nil {
			return nil, err
		}
	}
	b.stack = webhook.New(log, webhook.Deadline(acknowledgeWithin+time.Second))
	b.room = chat.New(Channel, parts.Engine, b, parts.Books, chat.Options{Ears: parts.Ears, Hints: parts.Hints}, log)
	return b, nil
}

// Overhear is told of all that is pushed in this process.
func (b *Bot) Overhear(conversation string, ev dialogue.Event) { b.room.Overhear(conversation, ev) }

// Routes registers the endpoint of interactions, where they come over HTTP.
func (b *Bot) Routes(mux *http.ServeMux) {
	if b.key == nil {
		return
	}
	mux.Handle("POST "+Path, b.stack.Handle(b.serve, func(r *http.Request) error {
		_, err := headers(r.Header, b.Now())
		return err
	}))
}

// Run answers until ctx ends. What is wrong with Discord, or the token, is logged and
// tried again: other channels go on without it.
func (b *Bot) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	b.mu.Lock()
	b.work = work
	b.mu.Unlock()
	b.wg.Go(func() { b.prepare(ctx) })
	if b.key == nil {
		b.wg.Go(func() { b.gateway(ctx) })
	}
	err := b.room.Run(ctx)
	b.mu.Lock()
	b.work = nil // nothing more is begun
	b.mu.Unlock()
	cancel()
	b.wg.Wait()
	return err
}

// going runs f until it ends, or the bot does; false where it does not run.
func (b *Bot) going(f func(ctx context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.work == nil {
		return false
	}
	work := b.work
	b.wg.Go(func() { f(work) })
	return true
}

const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

// prepare learns who we are and registers the commands, as often as it takes.
func (b *Bot) prepare(ctx context.Context) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := b.register(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		b.log.WarnContext(ctx, "slash commands are not registered at Discord", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Application is what Discord knows of ours.
type Application struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Flags    int    `json:"flags"`
	Key      string `json:"verify_key"`
	Endpoint string `json:"interactions_endpoint_url"`
	Public   bool   `json:"bot_public"`
	Bot      *user  `json:"bot"`
}

// ReadsMessages reports whether the privileged intent is switched on.
func (a Application) ReadsMessages() bool { return a.Flags&(1<<18|1<<19) != 0 }

// Application asks Discord whose token it is.
func (b *Bot) Application(ctx context.Context) (Application, error) {
	var a Application
	err := b.rest.call(ctx, http.MethodGet, "/applications/@me", "", nil, nil, &a)
	if err == nil && !snowflake(a.ID) {
		err = errors.New("discord: the application has no id")
	}
	if err == nil {
		b.mu.Lock()
		b.app = a.ID
		if a.Bot != nil && b.self == "" {
			b.self = a.Bot.ID
		}
		b.mu.Unlock()
	}
	return a, err
}

// Member reports whether the bot is in a server.
func (b *Bot) Member(ctx context.Context, guild string) error {
	return b.rest.call(ctx, http.MethodGet, "/guilds/"+guild, "", nil, nil, nil)
}

// answered reports whether a server is one of those that may ask.
func (b *Bot) answered(guild string) bool { return slices.Contains(b.cfg.Guilds, guild) }

func (b *Bot) identity() (self, app string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.self, b.app
}

// permissions are those that the bot needs: see channels, send messages also in
// threads, make public threads, embed links, attach files, read what was said, and send
// voice messages.
const permissions = 1<<10 | 1<<11 | 1<<14 | 1<<15 | 1<<16 | 1<<35 | 1<<38 | 1<<46

// Invite is where an admin adds the bot to a server.
func Invite(application string) string {
	return "https://discord.com/oauth2/authorize?client_id=" + application + "&scope=bot+applications.commands&permissions=" + strconv.FormatInt(permissions, 10)
}
