package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/export"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

func exportCommand(e *env) *cobra.Command {
	var endpoint string
	cmd := &cobra.Command{
		Use:   "export alexa|dialogflow|discord|slack DIR",
		Short: "Write what another platform needs to know of the catalogue",
		Long: `Write into DIR what another platform needs to know of what can be said: for
alexa a skill's package (manifest and interaction models), for dialogflow an ES and a CX
agent, also as the ZIP files to restore from, for discord the slash commands, which bot serve
registers by itself, for slack the manifest of an app. DIR is empty, new, or from an export
before, whose files are replaced.`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, a []string) error {
			platform, dir := a[0], a[1]
			c, err := intents.English()
			if err != nil {
				return err
			}
			var files export.Files
			switch platform {
			case "alexa":
				files, _, err = export.Alexa(c, endpoint)
			case "dialogflow":
				files, err = export.DialogflowAgents(c)
			case "discord":
				files, err = export.Discord(c)
			case "slack":
				at := ""
				if cmd.Flags().Changed("endpoint") {
					at = endpoint
				}
				files, err = export.Slack(c, at)
			default:
				return fault.New(fault.Usage, "I can export to alexa, dialogflow, discord and slack, not to %s.", platform)
			}
			if err != nil {
				return err
			}
			if err := files.Write(dir); err != nil {
				return err
			}
			count := "1 file"
			if len(files) != 1 {
				count = fmt.Sprintf("%d files", len(files))
			}
			_, err = fmt.Fprintf(e.out, "Wrote %s to %s.\n", count, dir)
			return err
		},
	}
	cmd.Flags().StringVar(&endpoint, "endpoint", export.AlexaEndpoint, "the https address that the platform is to post to: for alexa the skill's; for slack the server's, and without one it is Socket Mode")
	return cmd
}
