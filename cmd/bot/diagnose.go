package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/terminal"
	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// diagnoseFlags are those of bot diagnose.
type diagnoseFlags struct {
	talk           talkFlags
	record, replay string
	symptom        string
	since          time.Duration
	asJSON         bool
}

func diagnoseCommand(e *env) *cobra.Command {
	var f diagnoseFlags
	cmd := &cobra.Command{
		Use:   "diagnose [--record FILE] TARGET | --replay FILE",
		Short: "Say why a workload is slow, failing or not starting",
		Long: `Gather evidence about a workload, rank the causes, and say them with what they
go by. --record keeps all of the evidence in one JSON file, with what looks like
a secret masked; --replay ranks such a file again, without a cluster: the same
evidence gives the same verdict. Nothing is changed. Exit status: 0 a cause was
found or nothing is wrong, 4 there is not enough evidence, 2 wrong usage.`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, words []string) error {
			switch {
			case f.replay != "" && (len(words) > 0 || f.record != ""):
				return fault.New(fault.Usage, "--replay takes a file and nothing else: bot diagnose --replay case.json")
			case f.replay != "":
				return f.again(e)
			case len(words) == 0:
				return fault.New(fault.Usage, "Name what to look at: bot diagnose checkout. Or replay a file: bot diagnose --replay case.json")
			}
			return f.gather(cmd.Context(), e, words[0])
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.talk.config, "config", e.getenv("FIRSTMATE_CONFIG"), "configuration file (environment: FIRSTMATE_CONFIG)")
	fs.StringVar(&f.talk.kubeconfig, "kubeconfig", "", "kubeconfig to use, as kubectl would")
	fs.StringVar(&f.talk.context, "context", "", "kubeconfig context to use")
	fs.StringVarP(&f.talk.namespace, "namespace", "n", "", "namespace of the workload")
	fs.BoolVarP(&f.talk.verbose, "verbose", "v", false, "show the log")
	fs.StringVar(&f.record, "record", "", "file to write the evidence to")
	fs.StringVar(&f.replay, "replay", "", "file with evidence to rank again")
	fs.StringVar(&f.symptom, "symptom", "", "what is wrong: slow, errors, down, crash, …")
	fs.DurationVar(&f.since, "since", time.Hour, "how far back to look")
	fs.BoolVar(&f.asJSON, "json", false, "print the verdict as JSON")
	return cmd
}

// gather looks at a workload now.
func (f *diagnoseFlags) gather(ctx context.Context, e *env, name string) error {
	if s := diagnosis.Symptom(f.symptom); !slices.Contains(diagnosis.Symptoms(), s) {
		return fault.New(fault.Usage, "--symptom is one of %v.", diagnosis.Symptoms()[1:])
	}
	if f.since < time.Minute {
		return fault.New(fault.Usage, "--since is a duration of a minute or more, like 2h.")
	}
	c, log, err := f.talk.load(e)
	if err != nil {
		return err
	}
	a, err := newApp(ctx, c, e.getenv, appOptions{people: []access.Person{c.atTerminal(self())}, readOnly: true, oneTurn: true, terminal: true}, log)
	if err != nil {
		return err
	}
	return a.run(ctx, func(ctx context.Context) error {
		r, err := a.request(ctx, name, f.talk.namespace, diagnosis.Symptom(f.symptom), f.since)
		if err != nil {
			return err
		}
		k := a.investigation.Gather(ctx, r)
		if f.record != "" {
			if err := record(f.record, k); err != nil {
				return err
			}
		}
		return f.print(e, a.crew, k)
	})
}

// request is what is asked of a workload by its name.
func (a *app) request(ctx context.Context, name, namespace string, s diagnosis.Symptom, since time.Duration) (diagnosis.Request, error) {
	ws, err := a.fleet.Find(ctx, kube.Query{Namespace: namespace, Name: name})
	if err != nil {
		return diagnosis.Request{}, err
	}
	if home := a.fleet.Namespace(""); len(ws) > 1 && namespace == "" {
		if at := slices.IndexFunc(ws, func(w kube.Workload) bool { return w.Ref.Namespace == home }); at >= 0 {
			ws = ws[at : at+1]
		}
	}
	switch {
	case len(ws) == 0:
		return diagnosis.Request{}, fault.New(fault.NotFound, "There is no workload called %s.", name)
	case len(ws) > 1:
		return diagnosis.Request{}, fault.New(fault.Ambiguous, "There are %d workloads called %s. Say which with --namespace.", len(ws), name)
	}
	now := a.investigation.Now()
	return diagnosis.Request{
		Target: skill.TargetOf(ws[0], a.fleet.Cluster()), Symptom: s, Window: observability.Window{From: now.Add(-since), To: now},
	}, nil
}

// record keeps a case for nobody but its owner: it tells much of a cluster.
func record(name string, k diagnosis.Case) (err error) {
	w, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fault.Wrap(err, fault.Usage, "I cannot write %s: %v.", name, err)
	}
	defer func() {
		if e := w.Close(); err == nil {
			err = e
		}
	}()
	return k.Write(w)
}

// again ranks what was recorded.
func (f *diagnoseFlags) again(e *env) error {
	file, err := os.Open(f.replay)
	if err != nil {
		return fault.Wrap(err, fault.Usage, "I cannot read %s: %v.", f.replay, err)
	}
	defer func() { _ = file.Close() }()
	k, err := diagnosis.ReadCase(file)
	if err != nil {
		return err
	}
	catalogue, err := intents.English()
	if err != nil {
		return err
	}
	// Times are said as they were then.
	now := func() time.Time { return k.Request.Window.To.Local() }
	return f.print(e, skill.NewCrew(nil, nil, catalogue).Investigate(skill.Investigation{Now: now, Mask: logs.Mask}), k)
}

// print says what a case means.
func (f *diagnoseFlags) print(e *env, crew *skill.Crew, k diagnosis.Case) error {
	v := diagnosis.Rank(k)
	if f.asJSON {
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("bot: %w", err)
		}
	} else {
		r, err := crew.Explain(k)
		if err != nil {
			return err
		}
		terminal.Show(e.out, r, isTerminal(e.out) && e.getenv("NO_COLOR") == "")
	}
	if v.Outcome == diagnosis.Unclear {
		return exit(fault.NotUnderstood.ExitCode())
	}
	return nil
}
