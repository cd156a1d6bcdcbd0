package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/klog/v2"

	"github.com/firstmate-ops/firstmate/sandbox/internal/parent"
	"github.com/firstmate-ops/firstmate/sandbox/internal/statedir"
	"github.com/firstmate-ops/firstmate/sandbox/internal/stdio"
)

// stopTimeout bounds a clean stop. The API server and metrics-server would wait
// a minute for open watches; they end with the process instead.
const stopTimeout = 900 * time.Millisecond

var errUsage = errors.New("wrong usage")

// alertWebhookFile holds, in the folder of the state, whom Alertmanager tells.
const alertWebhookFile = "alert-webhook"

type upOptions struct {
	dir         string
	nodes, pods int
	empty, keep bool
	withParent  bool
	// servers are started beside the control plane.
	servers binaries
	// faults are switched on once the shop is up.
	faults []string
	// faultAgo is since when they have been on.
	faultAgo time.Duration
	// alertWebhook is whom Alertmanager tells of alerts, if anybody.
	alertWebhook string
	// alertWebhookLater has Alertmanager look in a file for that, each time.
	alertWebhookLater bool
	// history is how far back the shop's past reaches, logVolume how many MiB of
	// log lines there are from before.
	history   time.Duration
	logVolume int64
	// scrapeInterval is the time between two samples of the shop.
	scrapeInterval time.Duration
}

func parseUp(args []string) (upOptions, error) {
	o := upOptions{servers: binaries{}}
	fs := flag.NewFlagSet("sandbox up", flag.ContinueOnError)
	fs.StringVar(&o.dir, "dir", "", "keep the state in this `folder`, and start again from it if it holds some (default: a temporary one)")
	fs.IntVar(&o.nodes, "nodes", 3, "how many nodes to simulate; 0 where a real one joins")
	fs.IntVar(&o.pods, "pods", 0, "how many pods to add in namespace \"load\", as Deployments of 5")
	fs.BoolVar(&o.empty, "empty", false, "without the sample shop")
	fs.BoolVar(&o.keep, "keep", false, "do not remove the temporary folder at the end")
	fs.BoolVar(&o.withParent, "with-parent", false, "stop when the process that started this one is gone")
	fs.Var(o.servers, "server", "start `name=path` too: prometheus, loki, jaeger or alertmanager, and the program; may be repeated")
	fs.StringVar(&o.alertWebhook, "alert-webhook", "", "`URL` that Alertmanager tells of alerts")
	fs.BoolVar(&o.alertWebhookLater, "alert-webhook-later", false, "Alertmanager reads that URL from the file \""+alertWebhookFile+"\" beside the kubeconfig, whenever it has something to tell")
	fs.Func("fault", "switch a fault of this `name` on, once the shop is up; may be repeated", func(name string) error {
		o.faults = append(o.faults, name)
		return nil
	})
	fs.DurationVar(&o.faultAgo, "fault-ago", 0, "have the faults of --fault begin that long ago, in what the servers are told and in the age of objects")
	fs.DurationVar(&o.history, "history", 24*time.Hour, "how far back the shop's metrics and lines reach, with --server")
	fs.DurationVar(&o.scrapeInterval, "scrape-interval", 15*time.Second, "the time between two samples of the shop's metrics")
	fs.Int64Var(&o.logVolume, "log-volume", 0, "`MiB` of log lines from before that, for measurements")
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), `Usage: sandbox up [flags]

Starts etcd, kube-apiserver, kube-controller-manager, kube-scheduler, simulated
nodes and metrics-server on loopback. Prints KUBECONFIG=<path> and then READY on
standard output; stop it with Ctrl-C or SIGTERM. With --server, lines such as
LOKI_URL=http://127.0.0.1:<port> come before READY.

The last word of an image's tag says what its container does: …-bad cannot be
pulled, …-crash and …-oom crash again and again, …-slow is ready after 30 s,
…-unready never. All others run at once.

`)
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage // flag has printed it
	}
	complain := func(format string, a ...any) (upOptions, error) {
		fmt.Fprintf(os.Stderr, "sandbox up: "+format+"\n", a...)
		return o, errUsage
	}
	switch {
	case fs.NArg() > 0:
		return complain("unexpected argument %q", fs.Arg(0))
	case o.alertWebhook != "" && o.alertWebhookLater:
		return complain("--alert-webhook and --alert-webhook-later say two things")
	case o.empty && len(o.faults) > 0:
		return complain("--fault needs the shop, --empty is without it")
	case o.nodes < 0 || o.nodes > 1000:
		return complain("--nodes must be between 0 and 1000")
	case o.nodes == 0 && !(o.empty && o.pods == 0):
		return complain("without nodes there can be neither the shop nor --pods: add --empty")
	case o.history < 0 || o.history > 6*24*time.Hour || o.logVolume < 0 || o.logVolume > 1<<20:
		return complain("--history must be between 0 and 144h, --log-volume not negative")
	case o.faultAgo < 0 || o.faultAgo > o.history:
		return complain("--fault-ago must be within --history")
	case o.scrapeInterval < time.Second || o.scrapeInterval > time.Minute:
		return complain("--scrape-interval must be between 1s and 1m")
	case o.pods < 0 || o.pods > 100_000:
		return complain("--pods must be between 0 and 100000")
	}
	return o, nil
}

// up runs a cluster until it is told to stop.
func up(ctx context.Context, args []string) (err error) {
	o, err := parseUp(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if o.withParent {
		var cancel context.CancelFunc
		ctx, cancel = parent.Watch(ctx)
		defer cancel()
		// The terminal or pipe may be gone as well; that is no reason to die
		// before the state is removed.
		signal.Ignore(syscall.SIGPIPE)
	}

	state, err := statedir.Open(o.dir)
	if err != nil {
		return err
	}
	keep := o.keep
	defer func() { err = errors.Join(err, state.Close(keep)) }()
	if o.keep && state.Temporary {
		if err := os.WriteFile(state.File(statedir.KeepFile), nil, 0o600); err != nil {
			return err
		}
	}

	logFile := state.File("components.log")
	stderr, err := stdio.Divert(logFile)
	if err != nil {
		return err
	}
	say := newTeller(stderr)
	// Some components end the process where others return an error.
	klog.OsExit = func(code int) {
		fmt.Fprintf(stderr, "sandbox: a component gave up; the last lines of %s say which and why\n", logFile)
		os.Exit(max(code, 1))
	}

	c := &cluster{options: o, state: state, say: say}
	err = c.run(ctx, os.Stdout)
	if err != nil {
		// The caller prints errors to standard error, which is the log file now.
		os.Stderr = stderr
		keep = true
		return fmt.Errorf("%w (the components' log is %s)", err, logFile)
	}
	if keep && state.Temporary {
		say("the state is kept in %s", state.Path)
	}
	return nil
}

// newTeller returns a function that tells a person what happens, with the time
// since the start.
func newTeller(w io.Writer) func(format string, a ...any) {
	start := time.Now()
	return func(format string, a ...any) {
		fmt.Fprintf(w, "%6.1fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, a...))
	}
}
