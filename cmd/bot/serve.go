package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/firstmate-ops/firstmate/internal/channel/dialogflow"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

const (
	// stopLimit is how long requests in flight may take once the process is
	// told to stop; with what is being applied it stays within 10 s.
	stopLimit = 8 * time.Second
	// serveGC trades time, of which there is plenty, for memory: what is kept
	// of a cluster is large and changes little.
	serveGC = 30
)

func serveCommand(e *env) *cobra.Command {
	var file, listen string
	var readOnly bool
	cmd := &cobra.Command{
		Use:   "serve [--config FILE] [--listen ADDRESS]",
		Short: "Serve every configured channel until told to stop",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(file, e.getenv)
			if err != nil {
				return err
			}
			if listen != "" {
				c.Listen = listen
				if err := c.check(); err != nil {
					return err
				}
			}
			return serve(cmd.Context(), e, c, readOnly)
		},
	}
	cmd.Flags().StringVar(&file, "config", e.getenv("FIRSTMATE_CONFIG"), "configuration file (environment: FIRSTMATE_CONFIG)")
	cmd.Flags().StringVar(&listen, "listen", "", "address to listen on, over what the configuration says")
	cmd.Flags().BoolVar(&readOnly, "read-only", false, "build no writer: nothing can be changed")
	return cmd
}

// serve listens at once, so that probes get an answer, and opens the channels
// when the cluster has been seen.
func serve(ctx context.Context, e *env, c Config, readOnly bool) (err error) {
	if e.getenv("GOGC") == "" {
		debug.SetGCPercent(serveGC)
	}
	log, err := e.logger(c.Log)
	if err != nil {
		return err
	}
	a, err := newApp(ctx, c, e.getenv, appOptions{people: c.people(), limits: c.Access.Limits.limits(), readOnly: readOnly, replica: !readOnly}, log)
	if err != nil {
		return err
	}
	a.compiled()
	debug.FreeOSMemory() // what it took to compile the catalogue is not needed again
	heard, err := c.Speech.listening(a.catalogue, a.reader, log)
	if err != nil {
		return errors.Join(err, a.store.Close())
	}
	defer func() { err = errors.Join(err, heard.close()) }()
	a.listening = heard
	a.voice = c.Speech.speaking(log)
	secure, err := c.TLS.server()
	if err != nil {
		return errors.Join(err, a.store.Close())
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return errors.Join(fault.Wrap(err, fault.Usage, "I cannot listen on %s: %v.", c.Listen, err), a.store.Close())
	}
	stopping, stopped := context.WithCancel(context.Background()) // ends streams
	defer stopped()
	var ready atomic.Bool
	mux, err := routes(stopping, a, c, l.Addr(), &ready, log)
	if err != nil {
		return errors.Join(err, l.Close(), a.store.Close())
	}
	srv := &http.Server{Handler: mux, TLSConfig: secure, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	failed := make(chan error, 1)
	go func() {
		if secure != nil {
			failed <- srv.ServeTLS(l, "", "")
			return
		}
		failed <- srv.Serve(l)
	}()
	return a.run(ctx, func(ctx context.Context) error {
		debug.FreeOSMemory() // seeing the cluster for the first time takes much that is not needed again
		ready.Store(true)
		log.Info("ready", "url", url(l.Addr().String(), secure != nil), "cluster", a.fleet.Cluster())
		link, err := a.link(ctx, l.Addr(), secure != nil)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(e.out, "%sFIRSTMATE_URL=%s\n", link, url(l.Addr().String(), secure != nil)); err != nil {
			return err
		}
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
		}
		log.Info("stopping")
		ready.Store(false)
		stopped()
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
		defer cancel()
		return srv.Shutdown(limit)
	})
}

func url(at string, secure bool) string {
	if secure {
		return "https://" + at
	}
	return "http://" + at
}

// loopback reports whether only this machine can reach an address.
func loopback(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().IsLoopback()
}

// routes are the endpoints of what is configured; the rest answers 404.
func routes(stopping context.Context, a *app, c Config, at net.Addr, ready *atomic.Bool, log *slog.Logger) (*http.ServeMux, error) {
	channels := http.NewServeMux()
	switch {
	case c.Web.Token != "" || c.Web.OIDC.on() || loopback(at):
		s, err := a.web(stopping, c, loopback(at), log)
		if err != nil {
			return nil, err
		}
		s.Routes(channels)
	default:
		log.Warn("the HTTP API and the web console are off: set web.oidc or web.token to open them beyond loopback")
	}
	if es := c.Dialogflow.ES; es.on() {
		h, err := dialogflow.NewES(es.config(), a.turns(), a.catalogue, log)
		if err != nil {
			return nil, err
		}
		h.Routes(channels)
	}
	if cx := c.Dialogflow.CX; cx.on() {
		h, err := dialogflow.NewCX(cx.config(), a.turns(), a.catalogue, log)
		if err != nil {
			return nil, err
		}
		h.Routes(channels)
	}
	if c.Alexa.on() {
		h, err := a.alexa(c.Alexa, log)
		if err != nil {
			return nil, err
		}
		h.Routes(channels)
	}
	if c.Discord.on() {
		b, err := a.discord(c, log)
		if err != nil {
			return nil, err
		}
		b.Routes(channels)
	}
	if c.Phone.on() {
		h, err := a.telephone(c.Phone, a.phoneCalls(), log)
		if err != nil {
			return nil, err
		}
		h.Routes(channels)
	}
	if c.Slack.on() {
		b, err := a.slack(c, log)
		if err != nil {
			return nil, err
		}
		b.Routes(channels)
	}
	if c.Alerts.on() {
		h, err := c.Alerts.webhook(hearing{a.desk, a.outside.board}, a.outside.board, log)
		if err != nil {
			return nil, err
		}
		h.Routes(channels)
	}
	if err := a.mcpRoutes(c.MCP, channels, log); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { probe(w, true) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { probe(w, ready.Load()) })
	mux.Handle("GET /metrics", a.metrics.handler())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !ready.Load() {
			http.Error(w, "I am just starting or stopping. Please try again in a moment.", http.StatusServiceUnavailable)
			return
		}
		channels.ServeHTTP(w, r)
	})
	return mux, nil
}

func probe(w http.ResponseWriter, ok bool) {
	if !ok {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok") // who asked has gone if this fails
}
