package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/firstmate-ops/firstmate/internal/channel/web"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

func loginCommand(e *env) *cobra.Command {
	var config, server string
	cmd := &cobra.Command{
		Use:   "login [--server URL]",
		Short: "Print a link by which a browser on this machine logs in to the web console",
		Long: `Print a link by which a browser on this machine logs in to the web console of a
bot serve on loopback, as the one who started it. It counts once, for ten
minutes. The server and this command must use the same store.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config, e.getenv)
			if err != nil {
				return err
			}
			base := cmp.Or(server, url(c.Listen, c.TLS != TLSConfig{}))
			link, err := e.newLink(cmd.Context(), c, base)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(e.out, "CONSOLE_URL=%s\n", link)
			return err
		},
	}
	configFlag(cmd, e, &config)
	cmd.Flags().StringVar(&server, "server", e.getenv("FIRSTMATE_URL"), "address of the bot serve (environment: FIRSTMATE_URL)")
	return cmd
}

// newLink makes a link in the store that a server uses too.
func (e *env) newLink(ctx context.Context, c Config, base string) (link string, err error) {
	s, ok, err := existingStore(ctx, c, e.getenv)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", fault.New(fault.Usage, "No bot serve has run with this configuration yet, so there is nothing to log in to. Start it first.")
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return web.NewLink(ctx, s, base)
}
