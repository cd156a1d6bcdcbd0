// Command serve starts servers of the sandbox without its cluster, each empty and
// with its data in a temporary folder. Run it in the module's folder:
//
//	go run ./serve prometheus loki jaeger alertmanager
//
// With -webhook URL before the names, Alertmanager tells of alerts there.
//
// A server that was never built is built first, which takes minutes. On standard
// output is, once it is ready, where each is, and then READY:
//
//	PROMETHEUS_URL=http://127.0.0.1:<port>
//	PROMETHEUS_PID=<process>
//	JAEGER_OTLP_URL=…      where Jaeger takes spans by OTLP over HTTP
//
// It runs until Ctrl-C or SIGTERM, or until its standard input is closed where
// that is a pipe, or until the process that started it is gone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/firstmate-ops/firstmate/sandbox/internal/buildcache"
	"github.com/firstmate-ops/firstmate/sandbox/internal/parent"
	"github.com/firstmate-ops/firstmate/sandbox/internal/server"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	webhook := flags.String("webhook", "", "where Alertmanager tells of alerts")
	rules := flags.Bool("rules", false, "give Prometheus the sandbox's alert rules")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names := flags.Args()
	if len(names) == 0 {
		return errors.New("name servers: prometheus, loki, jaeger, alertmanager")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := parent.Watch(ctx)
	defer cancel()

	paths, err := build(ctx, names)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "firstmate-serve-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var files []string
	if *rules {
		files = []string{filepath.Join(dir, "rules", "rules.yaml")}
		if err := server.WriteRules(files[0]); err != nil {
			return err
		}
	}
	for i, name := range names {
		s, err := server.Start(ctx, name, server.Options{Binary: paths[i], Dir: filepath.Join(dir, name), Webhook: *webhook, Rules: files})
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		defer s.Stop(0)
		s.Announce(os.Stdout)
	}
	fmt.Println("READY")
	<-ctx.Done()
	return nil
}

func build(ctx context.Context, names []string) ([]string, error) {
	module, err := buildcache.FindModule()
	if err != nil {
		return nil, err
	}
	cache, err := buildcache.New(ctx, module, buildcache.NewProgress(os.Stderr))
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, name := range names {
		target, err := buildcache.Server(module, name)
		if err != nil {
			return nil, err
		}
		path, err := cache.Build(ctx, target)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
