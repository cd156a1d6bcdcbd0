// Command demo starts everything there is to see: the sandbox with its sample
// shop, and the assistant connected to it. Run it in the module's folder:
//
//	go run ./demo                 talk to the assistant in this terminal
//	go run ./demo --headless      run until SIGTERM or Ctrl-C
//
// With --headless it prints, each line once it is true:
//
//	KUBECONFIG=<path>
//	PROMETHEUS_URL=http://127.0.0.1:<port>
//	LOKI_URL, JAEGER_URL, JAEGER_OTLP_URL, ALERTMANAGER_URL, SANDBOX_URL
//	FIRSTMATE_URL=http://127.0.0.1:<port>
//	READY
//
// With --fault NAME something is wrong in the shop from the start; several may be.
// With --fault-ago 10m that began ten minutes before.
// With --story=3am it tells the story of the call at three in the morning, and ends.
// With --bare there are only the cluster and the assistant.
//
// FIRSTMATE_BOT=<path> starts that program as the assistant instead of building
// the one of this repository.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/buildcache"
)

func init() {
	// The kernel ends the children with the thread that started them: that must
	// be one that lives as long as the process. main runs on it alone.
	runtime.LockOSThread()
}

type options struct {
	headless bool
	pods     int
	dir      string
	bare     bool
	faults   []string
	story    string // one of stories; "" is none
	spoken   string // the folder for what is spoken in it
	// sandbox are flags that are the sandbox's alone.
	sandbox []string
	// patience is what the sandbox's start may take more because of them.
	patience time.Duration
}

// perMiB is how long a MiB of log lines may take to write.
const perMiB = 500 * time.Millisecond

func main() {
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(o)
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("wrong usage")

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	fs.BoolVar(&o.headless, "headless", false, "no chat in this terminal: print where things are, and run until SIGTERM or Ctrl-C")
	fs.IntVar(&o.pods, "pods", 0, "how many pods to add to the sandbox")
	fs.StringVar(&o.dir, "dir", "", "keep the sandbox's and the assistant's state in this `folder` (default: a temporary one)")
	fs.BoolVar(&o.bare, "bare", false, "without Prometheus, Loki, Jaeger and Alertmanager")
	fs.Func("fault", "switch a fault of this `name` on; may be repeated", func(name string) error {
		o.faults = append(o.faults, name)
		return nil
	})
	fs.StringVar(&o.story, "story", "", "tell a `story` and end: 3am, the call at three in the morning")
	fs.StringVar(&o.spoken, "spoken", "", "the `folder` for what is spoken in a story (default: firstmate-3am in the folder for temporary files)")
	for name, about := range map[string]string{
		"fault-ago":  "have the faults begin that `long` ago",
		"history":    "how `long` ago the shop's metrics and lines begin (24h)",
		"log-volume": "`MiB` of log lines from before that",
		// Whoever tells a story waits less where metrics come often.
		"scrape-interval": "the `time` between two samples of the shop's metrics (15s)",
	} {
		fs.Func(name, about, func(value string) error {
			o.sandbox = append(o.sandbox, "--"+name, value)
			if name == "log-volume" {
				mib, err := strconv.Atoi(value)
				o.patience = time.Duration(mib) * perMiB
				return err
			}
			return nil
		})
	}
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, err
	} else if err != nil {
		return o, errUsage
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: unexpected argument %q\n", fs.Arg(0))
		return o, errUsage
	}
	if o.story != "" {
		switch fault := stories()[o.story]; {
		case fault == "":
			fmt.Fprintf(os.Stderr, "demo: there is no story %q; there is 3am\n", o.story)
			return o, errUsage
		case o.bare || o.headless:
			fmt.Fprintln(os.Stderr, "demo: a story needs Prometheus and Alertmanager, and a terminal: not with --bare or --headless")
			return o, errUsage
		}
		o.sandbox = append([]string{"--history", "20m"}, o.sandbox...) // a newcomer does not wait for a whole day to be written
	}
	return o, nil
}

func run(o options) error {
	// A second signal while things stop (make and the terminal may both send
	// one) changes nothing: this context swallows them until the end.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := watchLauncher(ctx)
	defer cancel()

	programs, err := build(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	d := &demo{options: o, programs: programs}
	defer d.stop()
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before all was up
		}
		return err
	}
	if o.headless {
		return d.wait(ctx)
	}
	if o.story != "" {
		if err := d.story(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		return nil
	}
	return d.chat(ctx)
}

// programs are the paths of what the demo starts.
type programs struct {
	sandbox, bot string
	carrier      string // of a story
	// kubectl is how to run the sandbox's kubectl in a shell.
	kubectl string
	// servers are those beside the control plane, by their names.
	servers map[string]string
}

func build(ctx context.Context, o options) (programs, error) {
	progress := buildcache.NewProgress(os.Stderr)
	module, err := buildcache.FindModule()
	if err != nil {
		return programs{}, err
	}
	cache, err := buildcache.New(ctx, module, progress)
	if err != nil {
		return programs{}, err
	}
	p := programs{bot: os.Getenv("FIRSTMATE_BOT")}
	if p.bot == "" {
		p.bot = filepath.Join(cache.Dir, "bot")
		done := progress.During("building the assistant")
		cmd := exec.CommandContext(ctx, "go", "build", "-o", p.bot, "./cmd/bot")
		cmd.Dir = filepath.Dir(module)
		out, err := cmd.CombinedOutput()
		done()
		if err != nil {
			return p, fmt.Errorf("building the assistant: %w\n%s", err, out)
		}
	} else if p.bot, err = filepath.Abs(p.bot); err != nil {
		return p, err
	}
	if o.story != "" {
		p.carrier = filepath.Join(cache.Dir, "carrier")
		cmd := exec.CommandContext(ctx, "go", "build", "-o", p.carrier, "./e2e/carrier")
		cmd.Dir = filepath.Dir(module)
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("building the carrier: %w\n%s", err, out)
		}
	}
	target, err := buildcache.Sandbox(module)
	if err != nil {
		return p, err
	}
	if p.sandbox, err = cache.Build(ctx, target); err != nil {
		return p, err
	}
	p.kubectl = p.sandbox + " kubectl"
	if !o.bare {
		p.servers, err = buildServers(ctx, cache, module)
	}
	return p, err
}

// buildServers builds what the cluster is watched with. It may be had without
// each of them, if one cannot be built here.
func buildServers(ctx context.Context, cache *buildcache.Cache, module string) (map[string]string, error) {
	missing := 0
	paths := map[string]string{}
	for _, name := range buildcache.Servers() {
		target, err := buildcache.Server(module, name)
		if err != nil {
			return nil, err
		}
		_, ok, err := cache.Lookup(target)
		if err != nil {
			return nil, err
		}
		if !ok && missing == 0 {
			cache.Progress.Say("what the shop is watched with is built now, once: 15 to 20 minutes on two cores (make demo ARGS=--bare does without)")
		}
		if !ok {
			missing++
		}
		path, err := cache.Build(ctx, target)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			cache.Progress.Say(fmt.Sprintf("the demo goes on without %s: %v", target.About, err))
			continue
		}
		paths[name] = path
	}
	return paths, nil
}
