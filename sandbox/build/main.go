// Command build builds the sandbox, unless it is in the cache already, and
// prints the path of the program. Run it in the module's folder:
//
//	go run ./build
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
	path, err := cache.Build(ctx)
	if err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}
