package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/spf13/cobra"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/mcp"
)

func mcpCommand(e *env) *cobra.Command {
	var f talkFlags
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Offer the tools of the Model Context Protocol over standard input and output",
		Long: "Offer the tools of the Model Context Protocol over standard input and output, with the authority of your own kubeconfig.\n" +
			"Nothing is changed without a confirmation. Over HTTP, bot serve offers the same at /mcp: see mcp.clients of the configuration.",
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, log, err := f.load(e)
			if err != nil {
				return err
			}
			me := self()
			person := c.atTerminal(me)
			me.Channel = mcp.Channel // so that rules know a program from a person
			person.Speakers = []string{me.Key()}
			a, err := newApp(cmd.Context(), c, e.getenv, appOptions{people: []access.Person{person}, readOnly: f.readOnly, terminal: true}, log)
			if err != nil {
				return err
			}
			s, err := a.tools(c.MCP, log)
			if err != nil {
				return err
			}
			return a.run(cmd.Context(), func(ctx context.Context) error {
				err := s.Run(ctx, me, &sdk.IOTransport{Reader: io.NopCloser(e.in), Writer: unclosed{e.out}})
				if ctx.Err() != nil {
					return nil
				}
				return err
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.config, "config", e.getenv("FIRSTMATE_CONFIG"), "configuration file (environment: FIRSTMATE_CONFIG)")
	fs.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig to use, as kubectl would")
	fs.StringVar(&f.context, "context", "", "kubeconfig context to use")
	fs.StringVarP(&f.namespace, "namespace", "n", "", "namespace to look in first")
	fs.BoolVar(&f.readOnly, "read-only", false, "build no writer: nothing can be changed")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "show the log, on standard error")
	return cmd
}

// unclosed is a writer that belongs to somebody else.
type unclosed struct{ io.Writer }

// Close leaves it open.
func (unclosed) Close() error { return nil }

// tools are the catalogue as tools.
func (a *app) tools(c MCPConfig, log *slog.Logger) (*mcp.Server, error) {
	return mcp.New(mcp.Parts{
		Engine: a.turns(), Catalogue: a.catalogue, Version: version, Patience: c.Patience,
	}, log)
}

// mcpRoutes serves the tools to those who may call them.
func (a *app) mcpRoutes(c MCPConfig, mux *http.ServeMux, log *slog.Logger) error {
	clients, err := c.clients()
	if err != nil || len(clients) == 0 {
		return err
	}
	s, err := a.tools(c, log)
	if err != nil {
		return err
	}
	mux.Handle(mcp.Path, s.Handler(clients))
	return nil
}

// tools looks whether the programs that may call are somebody.
func (d *doctor) tools(ctx context.Context, c Config, g *access.Guard) {
	for _, cl := range c.MCP.Clients {
		s := access.NewSpeaker(mcp.Channel, cl.Name, access.Token)
		p, known, err := g.Who(ctx, s)
		if err != nil || !known {
			d.warn("Give a person the speaker "+s.Key()+" under access.people, if it is to change anything.", "mcp: %s may only look: nobody is linked to it", cl.Name)
			continue
		}
		d.well("mcp: %s calls for %s", cl.Name, p.Name)
	}
}
