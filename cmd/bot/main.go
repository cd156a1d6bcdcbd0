// Command bot is firstmate: it understands what people say about a Kubernetes
// cluster, shows what it would change, asks, does it, and tells how it went.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/webhook"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// exit is the status of a command that said all there is to say.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// env is what commands know of the world.
type env struct {
	getenv      func(string) string
	in          io.Reader
	out, errOut io.Writer
}

// run is the whole program: arguments in, status out.
func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out, errOut io.Writer) int {
	e := &env{getenv: getenv, in: in, out: out, errOut: errOut}
	root := &cobra.Command{
		Use:           "bot",
		Short:         "firstmate: talk to your cluster",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return fault.Wrap(err, fault.Usage, "%s. “bot help” lists what there is.", sentence(err))
	})
	root.AddCommand(serveCommand(e), chatCommand(e), askCommand(e), mcpCommand(e), recognizeCommand(e), diagnoseCommand(e), missesCommand(e), auditCommand(e), exportCommand(e), configCommand(e), linkCommand(e), loginCommand(e), pinCommand(e), doctorCommand(e), versionCommand(e))
	err := root.ExecuteContext(ctx)
	var status exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case fault.KindOf(err) == fault.Internal && strings.HasPrefix(err.Error(), "unknown command"):
		fmt.Fprintf(errOut, "bot: %v\n", err)
		return fault.Usage.ExitCode()
	case fault.KindOf(err) == fault.Internal:
		fmt.Fprintf(errOut, "bot: %v\n", err) // the operator's own terminal: the cause may be shown
	default:
		fmt.Fprintf(errOut, "bot: %s\n", fault.Say(err))
	}
	return fault.KindOf(err).ExitCode()
}

func sentence(err error) string {
	s := err.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// args wraps cobra's checks of the arguments as usage errors.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		return fault.Wrap(check(cmd, a), fault.Usage, "Usage: %s", cmd.UseLine())
	}
}

// logger writes for the operator, never for the person who talks.
func (e *env) logger(c LogConfig) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fault.Wrap(err, fault.Usage, "log.level is debug, info, warn or error, not %q.", c.Level)
	}
	opt := &slog.HandlerOptions{Level: level}
	switch c.Format {
	case "text":
		return slog.New(webhook.LogHandler(slog.NewTextHandler(e.errOut, opt))), nil
	case "json":
		return slog.New(webhook.LogHandler(slog.NewJSONHandler(e.errOut, opt))), nil
	}
	return nil, fault.New(fault.Usage, "log.format is text or json, not %q.", c.Format)
}

// isTerminal reports whether something is a terminal.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
