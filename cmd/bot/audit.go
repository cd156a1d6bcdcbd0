package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/recorder"
	"github.com/firstmate-ops/firstmate/internal/store"
)

// listeners are told of every turn, in order.
type listeners []dialogue.Listener

// Listen tells all of them.
func (l listeners) Listen(ctx context.Context, h dialogue.Heard) {
	for _, o := range l {
		o.Listen(ctx, h)
	}
}

// newListeners is who hears of every turn: the audit trail, and what keeps the
// misses unless the configuration says otherwise.
func newListeners(r *recorder.Recorder, c MissesConfig, s *store.Store, vocabulary func() map[string]bool, log *slog.Logger) listeners {
	all := listeners{r}
	if m := missListener(c, s, vocabulary, log); m != nil {
		all = append(all, m)
	}
	return all
}

// maxAuditLine bounds a line of an exported trail.
const maxAuditLine = 4 << 20

func auditCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Prove the audit trail unbroken, or export it",
		Args:  args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(auditVerifyCommand(e), auditExportCommand(e))
	return cmd
}

func auditVerifyCommand(e *env) *cobra.Command {
	var config, file, head string
	cmd := &cobra.Command{
		Use:   "verify [--head HEAD] [--file FILE]",
		Short: "Prove that nothing in the audit trail was changed, removed or put in",
		Long: `Prove that nothing in the audit trail was changed, removed or put in: each line
holds the hash of the one before it. What is printed last is the head of the
trail. Keep it somewhere else, and give it back with --head: then it also shows
when the end was cut off or everything was written anew. Exit status: 0
unbroken, 5 broken, and the first line that is wrong is named.

With --file, a file that “bot audit export” made is looked at; “-” is the input.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var want audit.Head
			if head != "" {
				var err error
				if want, err = audit.ParseHead(head); err != nil {
					return fault.Wrap(err, fault.Usage, "--head: %v.", err)
				}
			}
			if file != "" {
				return verifyFile(e, file, want)
			}
			return withTrail(cmd.Context(), e, config, func(s *store.Store) error {
				v := audit.NewVerifier(want)
				kept, err := audit.Head{}, error(nil)
				if s != nil {
					kept, err = s.AuditTrail(cmd.Context(), v.Next)
				}
				return proved(e.out, v, kept, err)
			})
		},
	}
	cmd.Flags().StringVar(&config, "config", e.getenv("FIRSTMATE_CONFIG"), "configuration file (environment: FIRSTMATE_CONFIG)")
	cmd.Flags().StringVar(&file, "file", "", "look at an exported trail instead; - for the input")
	cmd.Flags().StringVar(&head, "head", "", "a head that was printed earlier and must still be there")
	return cmd
}

// proved says how the proof went.
func proved(out io.Writer, v *audit.Verifier, kept audit.Head, err error) error {
	head := kept
	if err == nil {
		head, err = v.End(kept)
	}
	var broken *audit.BrokenError
	switch {
	case errors.As(err, &broken):
		return fault.Wrap(err, fault.Failed, "The audit trail is broken: %v.", broken)
	case err != nil:
		return err
	case head.Seq == 0:
		_, err = fmt.Fprintln(out, "The audit trail is empty.")
	default:
		_, err = fmt.Fprintf(out, "The audit trail is unbroken: lines to %d.\nhead %s\n", head.Seq, head)
	}
	return err
}

func verifyFile(e *env, path string, want audit.Head) error {
	in := e.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return fault.Wrap(err, fault.Usage, "I cannot read the trail: %v.", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	v := audit.NewPartVerifier(want)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxAuditLine)
	var last audit.Head
	for n := 1; lines.Scan(); n++ {
		r, err := audit.Import(lines.Bytes())
		if err != nil {
			return fault.Wrap(err, fault.Failed, "The audit trail is broken: line %d of the file is none of a trail.", n)
		}
		if err := v.Next(r); err != nil {
			return proved(e.out, v, last, err)
		}
		last = audit.Head{Seq: r.Seq, Hash: r.Hash}
	}
	return proved(e.out, v, last, lines.Err())
}

func auditExportCommand(e *env) *cobra.Command {
	var config, since string
	cmd := &cobra.Command{
		Use:   "export [--since 7d]",
		Short: "Print the audit trail as lines of JSON",
		Args:  args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			return withTrail(cmd.Context(), e, config, func(s *store.Store) error {
				if s == nil {
					return nil
				}
				w := bufio.NewWriter(e.out)
				err := s.Audit(cmd.Context(), from, func(r audit.Row) (bool, error) {
					b, err := audit.Export(r)
					if err == nil {
						_, err = w.Write(append(b, '\n'))
					}
					return true, err
				})
				return errors.Join(err, w.Flush())
			})
		},
	}
	cmd.Flags().StringVar(&config, "config", e.getenv("FIRSTMATE_CONFIG"), "configuration file (environment: FIRSTMATE_CONFIG)")
	cmd.Flags().StringVar(&since, "since", "", "only what is not older: an age like 12h or 7d, or a time like 2026-01-31 or 2026-01-31T15:04:05Z")
	return cmd
}

// parseSince reads an age, or a time; "" is the beginning of time.
func parseSince(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly, "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	age, err := parseAge(s)
	if err != nil || age == 0 {
		return time.Time{}, err
	}
	return now.Add(-age), nil
}

// withTrail opens the store for a look; nil where nothing was ever kept.
func withTrail(ctx context.Context, e *env, config string, f func(*store.Store) error) (err error) {
	c, err := loadConfig(config, e.getenv)
	if err != nil {
		return err
	}
	s, ok, err := existingStore(ctx, c, e.getenv)
	if err != nil {
		return err
	}
	if ok {
		defer func() { err = errors.Join(err, s.Close()) }()
	}
	return f(s)
}
