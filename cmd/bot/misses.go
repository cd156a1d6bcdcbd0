package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/misses"
)

// missListener keeps what was missed, unless the configuration says otherwise.
func missListener(c MissesConfig, s misses.Store, vocabulary func() map[string]bool, log *slog.Logger) dialogue.Listener {
	if !c.Keep {
		return nil
	}
	return misses.NewKeeper(s, c.Max, vocabulary, log)
}

func missesCommand(e *env) *cobra.Command {
	var config, since string
	var asJSON, clear bool
	cmd := &cobra.Command{
		Use:   "misses [--json] [--since 7d] [--clear]",
		Short: "List the sentences that were not understood, ready to become tests",
		Long: `List the sentences that were not understood, or put right at once, with what
was said next, grouped. Names, secrets and addresses were masked before they
were kept. What is printed can be pasted into a file of intents/en/tests once
the lines with TODO are judged. --clear forgets all of them instead.

misses.keep: false in the configuration keeps none.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			age, err := parseAge(since)
			if err != nil {
				return err
			}
			c, err := loadConfig(config, e.getenv)
			if err != nil {
				return err
			}
			s, ok, err := existingStore(cmd.Context(), c, e.getenv)
			if err != nil {
				return err
			}
			if !ok {
				return listMisses(e.out, nil, asJSON)
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			if clear {
				n, err := s.ForgetMisses(cmd.Context())
				if err == nil {
					_, err = fmt.Fprintf(e.out, "Forgot %d.\n", n)
				}
				return err
			}
			var from time.Time
			if age > 0 {
				from = time.Now().Add(-age)
			}
			kept, err := misses.Load(cmd.Context(), s, from)
			if err != nil {
				return err
			}
			return listMisses(e.out, misses.Grouped(kept), asJSON)
		},
	}
	cmd.Flags().StringVar(&config, "config", e.getenv("FIRSTMATE_CONFIG"), "configuration file (environment: FIRSTMATE_CONFIG)")
	cmd.Flags().StringVar(&since, "since", "", "only those of this last time, like 12h or 7d")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	cmd.Flags().BoolVar(&clear, "clear", false, "forget all of them")
	return cmd
}

// parseAge reads a duration that may be in days or weeks; "" is 0.
func parseAge(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	for unit, hours := range map[string]int{"d": 24, "w": 7 * 24} {
		if n, err := strconv.Atoi(strings.TrimSuffix(s, unit)); strings.HasSuffix(s, unit) && err == nil && n > 0 && n < 10000 {
			return time.Duration(n*hours) * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fault.New(fault.Usage, "--since is a time like 12h or 7d, not %q.", s)
	}
	return d, nil
}

func listMisses(w io.Writer, groups []misses.Group, asJSON bool) error {
	if asJSON {
		if groups == nil {
			groups = []misses.Group{}
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(groups)
	}
	_, err := io.WriteString(w, missesAsTests(groups))
	return err
}

// missesAsTests writes the groups as a file of intents/en/tests. Placeholders
// become names of the inventory there, so that the sentences can be tried.
func missesAsTests(groups []misses.Group) string {
	if len(groups) == 0 {
		return "# Nothing was missed.\n"
	}
	var b strings.Builder
	b.WriteString("# Sentences that were not understood. Placeholders are filled with names of\n# intents/en/tests/inventory.yaml; judge what is marked TODO, then paste.\ntests:\n")
	for _, g := range groups {
		fmt.Fprintf(&b, "  # %s, last on %s, %s: %s\n", times(g.Count), g.Last.Local().Format("2006-01-02 15:04"), g.Why, g.Text)
		if g.Why != misses.NotUnderstood {
			fmt.Fprintf(&b, "  # it was taken for %s\n", g.As)
		}
		for _, n := range g.Nexts {
			switch {
			case n.Intent == "":
				fmt.Fprintf(&b, "  # next, %s: nothing\n", times(n.Count))
			case n.Text == "":
				fmt.Fprintf(&b, "  # next, %s: a button (%s)\n", times(n.Count), n.Intent)
			default:
				fmt.Fprintf(&b, "  # next, %s: %s (%s)\n", times(n.Count), n.Text, n.Intent)
			}
		}
		suggested := g.Suggest()
		todo := "is it, and with which slots?"
		if suggested == intents.OutOfScope {
			todo = "what should it have been?"
		}
		fmt.Fprintf(&b, "  - intent: %s # TODO: %s\n", suggested, todo)
		switch o := g.Open; {
		case o.Slot != "":
			fmt.Fprintf(&b, "    open: {intent: %s, slot: %s}\n", o.Intent, o.Slot)
		case o.Confirm:
			b.WriteString("    open: {confirm: true}\n")
		}
		fmt.Fprintf(&b, "    slots: {}\n    say: [%s]\n", quoteYAML(fill(g.Text)))
	}
	return b.String()
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// fill puts names of the test inventory in the place of placeholders.
func fill(text string) string {
	for mask, names := range map[string][]string{
		"{workload}": {"web", "cart", "checkout", "search"}, "{namespace}": {"staging", "shop"}, "{node}": {"node-1", "node-2"},
		"{cluster}": {"home", "edge"}, "{version}": {"2.1-bad"}, "{alert}": {"HighErrorRate"}, "{container}": {"istio-proxy"}, "{number}": {"12345"},
	} {
		for i := 0; strings.Contains(text, mask); i++ {
			text = strings.Replace(text, mask, names[i%len(names)], 1)
		}
	}
	return text
}

// quoteYAML writes text between double quotes, in which JSON is YAML.
func quoteYAML(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return strconv.Quote(s) // a string always encodes
	}
	return strings.TrimSpace(b.String())
}
