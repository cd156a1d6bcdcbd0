package discord

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"
	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"github.com/firstmate-ops/firstmate/internal/chat"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

const (
	restTimeout = 20 * time.Second
	// perSecond stays below Discord's 50 requests a second.
	perSecond = 40
	// mostLimited is how often a request waits for a rate limit, longestLimited for how
	// long at once: what is asked to wait for longer fails, and is tried again by who sends.
	mostLimited    = 6
	longestLimited = 2 * time.Minute
	// silence is how long the gateway may say nothing: it acknowledges a heartbeat every
	// 41 seconds. discordgo alone would wait for minutes on a connection that is dead.
	silence   = 100 * time.Second
	userAgent = "DiscordBot (https://github.com/firstmate-ops/firstmate, 1)"
)

// Codes of Discord's errors.
const (
	codeUnknownChannel = 10003
	codeUnknownMessage = 10008
	codeUnknownWebhook = 10015
	codeAcknowledged   = 40060
	codeNoAccess       = 50001
	codeNoDirect       = 50007
	codeNoPermission   = 50013
	codeWrongChannel   = 50024
	codeInvalidToken   = 50027
	codeHasThread      = 160004
)

// rest is Discord's REST API, by discordgo, which keeps its buckets.
type rest struct {
	session *discordgo.Session
	pace    *rate.Limiter
	files   *http.Client
	hosts   []string // that recordings are fetched from
}

func newRest(cfg Config) (*rest, error) {
	session, err := discordgo.New("Bot " + cfg.Token)
	if err != nil {
		return nil, err
	}
	session.LogLevel = -1 // it would write past our log
	session.UserAgent = userAgent
	session.StateEnabled = false
	session.ShouldReconnectOnError = false // gateway does that
	session.ShouldReconnectVoiceOnSessionError = false
	session.SyncEvents = true // what is said is taken in order
	session.Dialer = &websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: restTimeout, NetDialContext: dialAwake}
	out := &rest{
		session: session, pace: rate.NewLimiter(perSecond, perSecond), files: &http.Client{Timeout: restTimeout},
		hosts: []string{"cdn.discordapp.com", "media.discordapp.net"},
	}
	session.Client = &http.Client{Timeout: restTimeout}
	if cfg.APIURL != "" {
		u, err := url.Parse(cfg.APIURL)
		if err != nil {
			return nil, err
		}
		session.Client.Transport = elsewhere{u, http.DefaultTransport}
		out.hosts = append(out.hosts, u.Host)
	}
	// One who is sent elsewhere with our token is sent nowhere.
	session.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	out.files.CheckRedirect = session.Client.CheckRedirect
	return out, nil
}

// elsewhere sends what is for discord.com to another address: discordgo knows but one.
type elsewhere struct {
	to   *url.URL
	next http.RoundTripper
}

// RoundTrip sends a request to the other address.
func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = e.to.Scheme, e.to.Host, ""
	r.URL.Path = strings.TrimSuffix(e.to.Path, "/") + r.URL.Path
	return e.next.RoundTrip(r)
}

// awake is a connection that ends where nothing is heard for too long.
type awake struct{ net.Conn }

func dialAwake(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{Timeout: restTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return awake{c}, nil
}

// Read reads what comes in time.
func (a awake) Read(b []byte) (int, error) {
	if err := a.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	n, err := a.Conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = a.Close() // without a word: a farewell would end the session, which is to be resumed
	}
	return n, err
}

// call does a request and reads its answer into out, which may be nil. bucket names what
// is limited together. It waits where Discord says so.
func (r *rest) call(ctx context.Context, method, path, bucket string, in any, files []file, out any) error {
	var sent []byte
	kind := "application/json"
	if in != nil {
		var err error
		if len(files) > 0 {
			parts := make([]*discordgo.File, len(files))
			for i, f := range files {
				parts[i] = &discordgo.File{Name: f.name, ContentType: f.kind, Reader: bytes.NewReader(f.data)}
			}
			kind, sent, err = discordgo.MultipartBodyWithJSON(in, parts)
		} else {
			sent, err = json.Marshal(in)
		}
		if err != nil {
			return err
		}
	}
	for try := 0; ; try++ {
		if err := r.pace.Wait(ctx); err != nil {
			return err
		}
		answer, err := r.session.RequestRaw(method, discordgo.EndpointAPI+strings.TrimPrefix(path, "/"), kind, sent, bucket, 0,
			discordgo.WithContext(ctx), discordgo.WithRetryOnRatelimit(false))
		var limited *discordgo.RateLimitError
		if errors.As(err, &limited) && limited.TooManyRequests != nil && try < mostLimited && limited.RetryAfter <= longestLimited {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(limited.RetryAfter):
			}
			continue
		}
		if err != nil || out == nil {
			return err
		}
		return json.Unmarshal(answer, out)
	}
}

// code is the code of an error that Discord gave, 0 for another.
func code(err error) int {
	var e *discordgo.RESTError
	if errors.As(err, &e) && e.Message != nil {
		return e.Message.Code
	}
	return 0
}

// refused reports whether Discord refuses a request, so that it would again.
func refused(err error) bool {
	var e *discordgo.RESTError
	if !errors.As(err, &e) || e.Response == nil {
		return false
	}
	switch s := e.Response.StatusCode; s {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false // of a token that is being changed, of a moment
	default:
		return s >= 400 && s < 500
	}
}

// lasting marks what would be refused again as gone, for whoever tries again.
func lasting(err error) error {
	if err != nil && refused(err) {
		return fmt.Errorf("%w: %w", chat.ErrGone, err)
	}
	return err
}

// maxRecording is how large a recording may be: 20 minutes of a voice message.
const maxRecording = 8 << 20

// fetch reads a recording from where Discord keeps files, and from nowhere else.
func (r *rest) fetch(ctx context.Context, a attachment) ([]byte, error) {
	u, err := url.Parse(a.URL)
	allowed := false
	for _, h := range r.hosts {
		allowed = allowed || err == nil && u.Host == h
	}
	if !allowed || a.Size > maxRecording {
		return nil, fault.New(fault.Usage, "That recording is too large, or is not where Discord keeps recordings. Please type it.")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := r.files.Do(req)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "I could not fetch your recording from Discord. Please say it again, or type it.")
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxRecording+1))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("discord: recording: %s", resp.Status)
	}
	if err != nil || len(b) > maxRecording {
		return nil, fault.Wrap(cmpErr(err, "too large"), fault.Unavailable, "I could not fetch your recording from Discord. Please say it again, or type it.")
	}
	return b, nil
}

func cmpErr(err error, otherwise string) error {
	if err != nil {
		return err
	}
	return errors.New(otherwise)
}
