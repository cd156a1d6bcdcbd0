// Package web is the HTTP API, the web console's page and a Go client of the
// API. On loopback it needs no token, so it defends the person's browser:
// other sites, and names that were rebound to loopback, are turned away.
package web

import (
	"context"
	"crypto/rand"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability/chart"
	"github.com/firstmate-ops/firstmate/internal/speech"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

// channel is what speakers of this channel begin with.
const channel = "web"

const (
	turnsPath     = "/api/v1/turns"
	eventsPrefix  = "/api/v1/conversations/"
	eventsSuffix  = "/events"
	maxText       = 1000 // characters
	maxProposalID = 128
)

// Config is who may use the API.
type Config struct {
	// Token is the bearer token that every call of the API carries; "" needs
	// none, which is for loopback only.
	Token string
	// AllowedHosts are the host names besides loopback that browsers may call
	// the server by.
	AllowedHosts []string
}

// engine is what the API needs of the dialogue engine.
type engine interface {
	Respond(ctx context.Context, r dialogue.Request) dialogue.Reply
	Subscribe(conversation string) *dialogue.Subscription
	Events(ctx context.Context, conversation string, after int64, f func(dialogue.Event) error) error
	Asked(ctx context.Context, conversation string) (bool, error)
}

// Server answers the API and serves the console's page.
type Server struct {
	engine  engine
	bearer  webhook.Verifier   // nil: no token is wanted
	api     []webhook.Verifier // of the API
	page    []webhook.Verifier // of the page, which holds no secret
	turns   *webhook.Stack
	streams *webhook.Stack
	stop    context.Context
	painter *chart.Painter
	drawing chan struct{} // those in flight
	charts  *webhook.Stack
	ears    speech.Recognizer // nil where nothing can listen
	hints   func(ctx context.Context) speech.Hints
	voice   speech.Synthesizer // nil where nothing can speak
	said    *said
	parts   Parts
	logIn   *logIn // nil: nobody logs in
	log     *slog.Logger
}

// NewServer returns the API. Streams of events end when stop does, so that
// they do not hold up a graceful stop.
func NewServer(stop context.Context, cfg Config, e engine, log *slog.Logger) *Server {
	host, origin := hostVerifier(cfg.AllowedHosts), originVerifier()
	s := &Server{
		engine:  e,
		api:     []webhook.Verifier{host, origin},
		page:    []webhook.Verifier{host},
		turns:   webhook.New(log, webhook.MaxBody(maxRecording+webhook.DefaultMaxBody)),
		streams: webhook.New(log, webhook.Deadline(0)),
		stop:    stop,
		painter: chart.NewPainter(),
		drawing: make(chan struct{}, drawings),
		charts:  webhook.New(log, webhook.MaxBody(maxChartBody)),
		said:    newSaid(),
		log:     log,
	}
	if cfg.Token != "" {
		s.bearer = webhook.Bearer(cfg.Token)
	}
	return s
}

// Routes registers the API and the page.
func (s *Server) Routes(mux *http.ServeMux) {
	mux.Handle("POST "+turnsPath, s.turns.Handle(s.as(s.turn), s.api...))
	mux.Handle("GET "+eventsPrefix+"{id}"+eventsSuffix, s.streams.Handle(s.as(s.events), s.api...))
	mux.Handle("POST "+chartsPath, s.charts.Handle(s.as(s.chart), s.api...))
	mux.Handle("POST "+speechPath, s.turns.Handle(s.as(s.speak), s.api...))
	s.consoleRoutes(mux)
	s.loginRoutes(mux)
	for path, file := range pages {
		mux.Handle("GET "+path, s.turns.Handle(file.serve, s.page...))
	}
}

// hostVerifier accepts the host names that the server is known by. A page of
// another site can reach loopback under a name of its own; that name betrays it.
func hostVerifier(allowed []string) webhook.Verifier {
	names := map[string]bool{"localhost": true}
	for _, a := range allowed {
		names[hostName(a)] = true
	}
	return func(r *http.Request) error {
		if h := hostName(r.Host); names[h] || loopbackName(h) {
			return nil
		}
		return fault.New(fault.Refused, "I do not answer to this host name. An admin can add it under web.allowed_hosts.")
	}
}

// loopbackName reports whether a host name without a port is this machine, whoever
// asks.
func loopbackName(h string) bool {
	ip, err := netip.ParseAddr(h)
	return h == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// hostName is a Host header without port, brackets and the root's dot.
func hostName(h string) string {
	if name, _, err := net.SplitHostPort(h); err == nil {
		h = name
	}
	h = strings.TrimSuffix(strings.TrimPrefix(h, "["), "]")
	return strings.ToLower(strings.TrimSuffix(h, "."))
}

// originVerifier turns away what a browser sends for another site.
func originVerifier() webhook.Verifier {
	p := http.NewCrossOriginProtection()
	return func(r *http.Request) error {
		return fault.Wrap(p.Check(r), fault.Refused, "I do not answer to pages of other sites.")
	}
}

// turnRequest is the body of a turn.
type turnRequest struct {
	Conversation string `json:"conversation"`
	Text         string `json:"text"`
	// Of a button: the proposal that it says yes or no to, or somebody else's that it
	// approves, ID@DIGEST.
	Confirm string `json:"confirm,omitempty"`
	Deny    string `json:"deny,omitempty"`
	Approve string `json:"approve,omitempty"`
}

// Ids come from strangers and go into keys and logs. A key has no colon, so
// that the delivery ids of two conversations never meet.
var (
	conversationID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)
	idempotencyKey = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
)

// CheckConversation says what is wrong with a conversation id that a person
// chose; nil where nothing is.
func CheckConversation(id string) error {
	if conversationID.MatchString(id) {
		return nil
	}
	return fault.New(fault.Usage, "A conversation's id has at most 128 letters, digits, dots, underscores, colons and dashes.")
}

func (s *Server) turn(w http.ResponseWriter, r *http.Request, c caller) error {
	in, recording, err := s.read(w, r)
	if err != nil {
		return err
	}
	if in.Conversation == "" {
		in.Conversation = "web-" + strings.ToLower(rand.Text())
	}
	if err := s.mayEnter(r.Context(), c, in.Conversation); err != nil {
		return err
	}
	var heard speech.Heard
	if recording != nil {
		if heard, err = s.listened(r.Context(), in.Conversation, *recording); err != nil {
			return err
		}
		in.Text = heard.Text
	}
	if err := in.check(); err != nil && (recording == nil || in.Text != "") {
		return err
	}
	req := dialogue.Request{Conversation: in.Conversation, Speaker: c.speaker, Text: in.Text, Confirm: in.Confirm, Deny: in.Deny, Approve: in.Approve}
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		if !idempotencyKey.MatchString(key) {
			return fault.New(fault.Usage, "An Idempotency-Key has at most 128 letters, digits, dots, underscores and dashes.")
		}
		req.DeliveryID = "web:" + in.Conversation + ":" + key
	}
	if recording != nil {
		req.Unsure = !heard.Sure()
	}
	reply := s.engine.Respond(r.Context(), req)
	s.said.add(c.speaker.Key(), reply.Speech)
	if recording != nil {
		return answer(w, heardReply{reply, heard.Text})
	}
	return answer(w, reply)
}

// read reads a turn, which is JSON, or a recording with the fields of one.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (turnRequest, *speech.Audio, error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && t == "multipart/form-data" {
		if s.ears == nil {
			return turnRequest{}, nil, deaf()
		}
		in, a, err := s.recorded(r)
		return in, &a, err
	}
	var in turnRequest
	if err := checkContentType(r.Header.Get("Content-Type")); err != nil {
		return in, nil, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, webhook.DefaultMaxBody)
	err := webhook.ReadJSON(r, &in)
	return in, nil, err
}

// check says what is wrong with a turn.
func (in turnRequest) check() error {
	switch {
	case strings.TrimSpace(in.Text) == "" && in.Confirm+in.Deny+in.Approve == "":
		return fault.New(fault.Usage, "There is no text in the request.")
	case utf8.RuneCountInString(in.Text) > maxText:
		return fault.New(fault.Usage, "The text is too long: at most %d characters are taken.", maxText)
	case max(len(in.Confirm), len(in.Deny), len(in.Approve)) > maxProposalID:
		return fault.New(fault.Usage, "That is no proposal's id.")
	}
	return nil
}

func checkContentType(header string) error {
	t, _, err := mime.ParseMediaType(header)
	switch {
	case err == nil && t == "application/json":
		return nil
	case strings.HasPrefix(t, "multipart/") || strings.HasPrefix(t, "audio/"):
		return webhook.WithStatus(http.StatusUnsupportedMediaType, fault.New(fault.Usage, "Send audio as the field audio of multipart/form-data, or the sentence as application/json."))
	}
	return webhook.WithStatus(http.StatusUnsupportedMediaType, fault.New(fault.Usage, "Send the turn as application/json."))
}

// heartbeat is how often a silent stream shows that it is alive.
const heartbeat = 15 * time.Second
