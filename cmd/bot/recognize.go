package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// maxLine bounds one line of input, in bytes.
const maxLine = 1 << 20

func recognizeCommand(e *env) *cobra.Command {
	var file, lang, config string
	var explain bool
	cmd := &cobra.Command{
		Use:   "recognize [--inventory FILE] [--lang en] [--explain]",
		Short: "Read sentences as JSON lines, write what they mean",
		Long: `Read JSON lines {"text": "…"} and write one JSON line each: what the sentence
means. Names come from --inventory, or from the cluster of the current
kubeconfig context.

--explain writes how each sentence was read instead, for people: the template,
the words behind each slot, what was repaired, and why not the next reading.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if lang != "en" {
				return fault.New(fault.Usage, "I only know English yet: --lang en.")
			}
			catalogue, err := intents.English()
			if err != nil {
				return err
			}
			inv, err := recognizeInventory(cmd.Context(), e, file, config)
			if err != nil {
				return err
			}
			return recognize(e.in, e.out, intents.NewRecognizer(catalogue), inv, explain)
		},
	}
	cmd.Flags().StringVar(&file, "inventory", "", "YAML file with the names that exist")
	cmd.Flags().BoolVar(&explain, "explain", false, "tell how each sentence was read")
	cmd.Flags().StringVar(&lang, "lang", "en", "language")
	cmd.Flags().StringVar(&config, "config", e.getenv("FIRSTMATE_CONFIG"), "configuration file (environment: FIRSTMATE_CONFIG)")
	return cmd
}

// recognizeInventory reads the names from a file, or from the cluster.
func recognizeInventory(ctx context.Context, e *env, file, config string) (*intents.Inventory, error) {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fault.Wrap(err, fault.Usage, "I cannot read the inventory: %v.", err)
		}
		var d intents.InventoryData
		dec := yaml.NewDecoder(bytes.NewReader(b))
		dec.KnownFields(true)
		if err := dec.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
			return nil, fault.Wrap(err, fault.Usage, "%s: %v.", file, err)
		}
		return intents.NewInventory(d), nil
	}
	c, err := loadConfig(config, e.getenv)
	if err != nil {
		return nil, err
	}
	members, err := c.Kubernetes.members(true)
	if err != nil {
		return nil, err
	}
	fleet, err := kube.NewFleet(members, kube.FleetOptions{ReaderOptions: kube.ReaderOptions{NoPods: true}}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if err := fleet.Start(ctx); err != nil {
		return nil, err
	}
	i := &inventory{fleet: fleet, aliases: c.Kubernetes.NamespaceAliases}
	return i.current(ctx, []string{""})
}

// recognize answers each line with a line.
func recognize(in io.Reader, out io.Writer, r *intents.Recognizer, inv *intents.Inventory, explain bool) error {
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, maxLine)
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for n := 1; sc.Scan(); n++ {
		if len(bytes.TrimSpace(sc.Bytes())) == 0 {
			continue
		}
		var line struct {
			Text string `json:"text"`
		}
		if err := json.Unmarshal(sc.Bytes(), &line); err != nil {
			return fault.Wrap(err, fault.Usage, "Line %d is not a JSON object like {\"text\": \"scale web to five\"}: %v.", n, err)
		}
		if explain {
			if _, err := fmt.Fprintln(out, r.Explain(line.Text, inv, intents.Expect{})); err != nil {
				return err
			}
			continue
		}
		res := r.Recognize(line.Text, inv, intents.Expect{})
		res.Text = line.Text
		if res.Slots == nil {
			res.Slots = intents.Slots{}
		}
		if err := enc.Encode(res); err != nil {
			return err
		}
		if err := w.Flush(); err != nil { // whoever talks line by line waits for this
			return err
		}
	}
	return sc.Err()
}
