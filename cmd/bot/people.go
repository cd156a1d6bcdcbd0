package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// withGuard opens the store and who is in the configuration, for the admin's
// commands. The one at this terminal is somebody there too.
func (e *env) withGuard(ctx context.Context, file string, use func(*access.Guard, *store.Store) error) (err error) {
	c, err := loadConfig(file, e.getenv)
	if err != nil {
		return err
	}
	rules, err := c.rules()
	if err != nil {
		return err
	}
	s, err := openStore(ctx, c, e.getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return use(access.NewGuard(c.everybody(), rules, s), s)
}

func linkCommand(e *env) *cobra.Command {
	var config, remove string
	var list bool
	cmd := &cobra.Command{
		Use:   "link PERSON | --list | --remove CHANNEL:ID",
		Short: "Make a code by which a phone or chat becomes known as a person's",
		Long: `Make a code by which a phone or chat becomes known as a person's: the person
says “link” and the code there within ten minutes. The code counts once.
--list shows the links that were made so, --remove ends one.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, who []string) error {
			if one := len(who) == 1; one == (list || remove != "") || list && remove != "" {
				return fault.New(fault.Usage, "Usage: %s", cmd.UseLine())
			}
			return e.withGuard(cmd.Context(), config, func(g *access.Guard, s *store.Store) error {
				switch {
				case list:
					return s.Links(cmd.Context(), func(speaker, person string, at time.Time) error {
						_, err := fmt.Fprintf(e.out, "%s\t%s\t%s\n", speaker, person, at.Local().Format("2006-01-02 15:04"))
						return err
					})
				case remove != "":
					ok, err := s.DropLink(cmd.Context(), remove)
					if err == nil && !ok {
						err = fault.New(fault.NotFound, "%s is not linked by a code. “bot link --list” shows what is.", remove)
					}
					return err
				}
				code, err := g.NewCode(cmd.Context(), who[0])
				if err == nil {
					_, err = fmt.Fprintf(e.out, "Say this in the new place within %d minutes: link %s\n", int(access.CodeLife.Minutes()), code.Shown())
				}
				return err
			})
		},
	}
	configFlag(cmd, e, &config)
	cmd.Flags().BoolVar(&list, "list", false, "show what is linked by a code")
	cmd.Flags().StringVar(&remove, "remove", "", "end the link of this speaker")
	return cmd
}

func configFlag(cmd *cobra.Command, e *env, into *string) {
	cmd.Flags().StringVar(into, "config", e.getenv("FIRSTMATE_CONFIG"), "configuration file (environment: FIRSTMATE_CONFIG)")
}

func pinCommand(e *env) *cobra.Command {
	var config string
	var show bool
	cmd := &cobra.Command{
		Use:   "pin PERSON | --print",
		Short: "Set a person's PIN, for changes that a rule wants one for",
		Long: `Set a person's PIN, for changes that a rule wants one for. It is asked for
without showing it; where standard input is no terminal, its first line is the
PIN. Only an argon2id hash is kept. --print prints that hash instead, for
pin_hash in the configuration. A new PIN ends a lock-out.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, who []string) error {
			if (len(who) == 1) == show {
				return fault.New(fault.Usage, "Usage: %s", cmd.UseLine())
			}
			if show {
				pin, err := e.readPIN()
				if err != nil {
					return err
				}
				h, err := access.HashPIN(pin)
				if err == nil {
					_, err = fmt.Fprintln(e.out, h)
				}
				return err
			}
			return e.withGuard(cmd.Context(), config, func(g *access.Guard, _ *store.Store) error {
				if _, ok := g.Person(who[0]); !ok {
					return fault.New(fault.NotFound, "access.people has no %s.", who[0])
				}
				pin, err := e.readPIN()
				if err != nil {
					return err
				}
				if err := g.SetPIN(cmd.Context(), who[0], pin); err != nil {
					return err
				}
				_, err = fmt.Fprintf(e.out, "The PIN of %s is set.\n", who[0])
				return err
			})
		},
	}
	configFlag(cmd, e, &config)
	cmd.Flags().BoolVar(&show, "print", false, "print the hash and keep nothing")
	return cmd
}

// readPIN asks for a PIN twice on a terminal, without showing it, and else takes
// the first line of the input.
func (e *env) readPIN() (access.Hidden, error) {
	f, ok := e.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(e.in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fault.Wrap(err, fault.Usage, "I cannot read the PIN.")
		}
		return access.Hidden(strings.TrimRight(line, "\r\n")), nil
	}
	var said [2]string
	for i, prompt := range []string{"New PIN: ", "Once more: "} {
		fmt.Fprint(e.errOut, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(e.errOut)
		if err != nil {
			return "", fault.Wrap(err, fault.Usage, "I cannot read the PIN.")
		}
		said[i] = string(b)
	}
	if said[0] != said[1] {
		return "", fault.New(fault.Usage, "Those were two PINs. Nothing was changed.")
	}
	return access.Hidden(said[0]), nil
}
