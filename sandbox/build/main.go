// Command build builds the sandbox's programs, unless they are in the cache
// already, and prints their paths. Run it in the module's folder:
//
//	go run ./build                   the sandbox
//	go run ./build servers           Prometheus, Loki, Jaeger, Alertmanager
//	go run ./build loki prometheus   some of them
//	go run ./build all               everything, one after the other
//
// The cache is ${FIRSTMATE_CACHE:-the user's cache folder}/firstmate.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/firstmate-ops/firstmate/sandbox/internal/buildcache"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	module, err := buildcache.FindModule()
	if err != nil {
		return err
	}
	cache, err := buildcache.New(ctx, module, buildcache.NewProgress(os.Stderr))
	if err != nil {
		return err
	}
	names := os.Args[1:]
	if len(names) == 0 {
		names = []string{"sandbox"}
	}
	targets, err := buildcache.Find(module, names...)
	if err != nil {
		return err
	}
	for _, t := range targets {
		path, err := cache.Build(ctx, t)
		if err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}
