package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/terminal"
	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// settleLimit is how long a one-turn process looks for what a killed one left
// running, before it answers.
const settleLimit = 500 * time.Millisecond

// talkFlags are what chat and ask have in common.
type talkFlags struct {
	config, kubeconfig, context, namespace string
	server, conversation                   string
	readOnly, verbose                      bool
}

func (f *talkFlags) register(cmd *cobra.Command, e *env) {
	fs := cmd.Flags()
	fs.StringVar(&f.config, "config", e.getenv("FIRSTMATE_CONFIG"), "configuration file (environment: FIRSTMATE_CONFIG)")
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig to use, as kubectl would; talks to the cluster itself")
	fs.StringVar(&f.context, "context", "", "kubeconfig context to use; talks to the cluster itself")
	fs.StringVarP(&f.namespace, "namespace", "n", "", "namespace to look in first; talks to the cluster itself")
	fs.StringVar(&f.server, "server", e.getenv("FIRSTMATE_URL"), "address of a bot serve to talk through (environment: FIRSTMATE_URL)")
	fs.StringVar(&f.conversation, "conversation", "", "id of the conversation to go on with")
	fs.BoolVar(&f.readOnly, "read-only", false, "build no writer: nothing can be changed; talks to the cluster itself")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "show the log")
}

// local reports whether the process talks to the cluster itself, with the
// person's own kubeconfig, instead of through a server.
func (f *talkFlags) local(cmd *cobra.Command) bool {
	if f.server == "" {
		return true
	}
	if cmd.Flags().Changed("server") {
		return false
	}
	return f.readOnly || f.kubeconfig != "" || f.context != "" || f.namespace != "" || cmd.Flags().Changed("config")
}

// talk is a conversation that somebody has at this terminal.
type talk struct {
	terminal.Conversation
	remote bool
	dir    string // of the history
}

// with opens a conversation, in this process or through a server, and closes
// it after f.
func (f *talkFlags) with(cmd *cobra.Command, e *env, conversation string, oneTurn bool, use func(context.Context, talk) error) error {
	ctx := cmd.Context()
	if f.conversation != "" {
		conversation = f.conversation
	}
	if err := web.CheckConversation(conversation); err != nil {
		return err
	}
	dir, err := stateDir(e.getenv)
	if err != nil {
		return err
	}
	if !f.local(cmd) {
		client := web.NewClient(f.server, e.getenv("FIRSTMATE_WEB_TOKEN"), &http.Client{})
		return use(ctx, talk{remote{client, conversation}, true, dir})
	}
	c, log, err := f.load(e)
	if err != nil {
		return err
	}
	me := self()
	people := []access.Person{c.atTerminal(me)}
	a, err := newApp(ctx, c, e.getenv, appOptions{people: people, readOnly: f.readOnly, oneTurn: oneTurn, terminal: true}, log)
	if err != nil {
		return err
	}
	return a.run(ctx, func(ctx context.Context) error {
		settle, cancel := context.WithTimeout(ctx, settleLimit)
		a.ledger.Settle(settle)
		cancel()
		return use(ctx, talk{terminal.Local(a.turns(), conversation, me), false, dir})
	})
}

// load reads the configuration, as the flags have it, and where the log goes.
func (f *talkFlags) load(e *env) (Config, *slog.Logger, error) {
	c, err := loadConfig(f.config, e.getenv)
	if err != nil {
		return c, nil, err
	}
	if f.kubeconfig != "" {
		c.Kubernetes.Kubeconfig = f.kubeconfig
	}
	if f.context != "" {
		c.Kubernetes.Context = f.context
	}
	if f.namespace != "" {
		c.Kubernetes.Namespace = f.namespace
	}
	if !f.verbose {
		return c, slog.New(slog.DiscardHandler), nil
	}
	log, err := e.logger(c.Log)
	return c, log, err
}

// self is who sits at the terminal.
func self() access.Speaker {
	name := "me"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	me := access.NewSpeaker("terminal", name, access.Login)
	me.Name = name
	return me
}

// remote is a conversation through a server.
type remote struct {
	client       *web.Client
	conversation string
}

// Turn says something to the server.
func (r remote) Turn(ctx context.Context, text, confirm string) (dialogue.Reply, error) {
	return r.client.Turn(ctx, r.conversation, text, confirm)
}

// Events yields what the server pushes from now on.
func (r remote) Events(ctx context.Context) iter.Seq2[dialogue.Event, error] {
	return r.client.Events(ctx, r.conversation, web.Now)
}

func askCommand(e *env) *cobra.Command {
	var f talkFlags
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use:   `ask [--yes] [--json] [--conversation ID] "text"`,
		Short: "Say one thing and print the answer",
		Long: `Say one thing and print the answer. --yes confirms what is proposed and waits
for the outcome. Exit status: 0 done or answered, 2 wrong usage or
configuration, 3 refused by policy or by the cluster, 4 not understood or
something must be asked, 5 tried and failed.

Without --conversation, what is said from one shell is one conversation.`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, words []string) error {
			text := strings.TrimSpace(strings.Join(words, " "))
			if text == "" {
				return fault.New(fault.Usage, "Say what you want: bot ask \"how is web?\"")
			}
			return f.with(cmd, e, shellConversation(), true, func(ctx context.Context, t talk) error {
				code := terminal.Ask(ctx, t, text, terminal.AskOptions{
					Yes: yes, JSON: asJSON, Remote: t.remote, IsTTY: isTerminal(e.out) && isTerminal(e.errOut),
					NoColor: e.getenv("NO_COLOR") != "", Out: e.out, Err: e.errOut,
				})
				if code != 0 {
					return exit(code)
				}
				return nil
			})
		},
	}
	f.register(cmd, e)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "confirm what is proposed and wait for the outcome")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// shellConversation is one conversation for each shell that bot ask is called from.
func shellConversation() string { return fmt.Sprintf("ask:%d:%d", os.Getuid(), os.Getppid()) }

func chatCommand(e *env) *cobra.Command {
	var f talkFlags
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Have a conversation in this terminal",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.with(cmd, e, "chat:"+rand.Text()[:10], false, func(ctx context.Context, t talk) error {
				return terminal.Chat(ctx, t, e.in, e.out, terminal.ChatOptions{
					HistoryFile: filepath.Join(t.dir, "history"), Remote: t.remote, NoColor: e.getenv("NO_COLOR") != "",
					Banner: "Say what you want, like “how is web?” or “scale web to five”; “help” for more, Ctrl-D to leave.",
				})
			})
		},
	}
	f.register(cmd, e)
	return cmd
}
