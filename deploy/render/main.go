// Command render prints what the Helm chart makes of its values, with Helm's own
// engine: for deploy/manifests and for the tests.
//
//	go run . [-name firstmate] [-namespace firstmate] [-set replicas=2] [-plain | -lint] CHART [VALUES.yaml…]
//
// It is a module of its own, so that the bot does not depend on Helm.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1/util"
	"helm.sh/helm/v4/pkg/strvals"
	"sigs.k8s.io/yaml"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("render", flag.ContinueOnError)
	name := fs.String("name", "firstmate", "the release's name")
	namespace := fs.String("namespace", "firstmate", "the release's namespace")
	plain := fs.Bool("plain", false, "for kubectl: with the namespace, and without what is Helm's own")
	check := fs.Bool("lint", false, "check the chart instead of rendering it")
	var sets []string
	fs.Func("set", "a value as path=value, over the files", func(s string) error { sets = append(sets, s); return nil })
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return errors.New("which chart? render CHART [VALUES.yaml…]")
	}
	vals, err := values(fs.Args()[1:], sets)
	if err != nil {
		return err
	}
	if *check {
		return linted(fs.Arg(0), *namespace, vals)
	}
	var text strings.Builder
	if err := render(&text, fs.Arg(0), *name, *namespace, vals); err != nil {
		return err
	}
	if *plain {
		_, err = fmt.Fprintf(out, head, *namespace, withoutHelm(text.String()))
	} else {
		_, err = io.WriteString(out, text.String())
	}
	return err
}

// head begins plain manifests.
const head = `# Made from deploy/helm/firstmate by “make manifests”; change it there.
---
apiVersion: v1
kind: Namespace
metadata:
  name: %s
  labels:
    pod-security.kubernetes.io/enforce: restricted
%s`

// helms are the lines that only mean something to Helm.
var helms = regexp.MustCompile(`(?m)^ *(?:app\.kubernetes\.io/managed-by: Helm|helm\.sh/chart: .*|annotations:\n *helm\.sh/resource-policy: keep)\n`)

func withoutHelm(manifests string) string { return helms.ReplaceAllString(manifests, "") }

// values reads files of values, the later over the earlier.
func values(files, sets []string) (map[string]any, error) {
	vals := map[string]any{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var v map[string]any
		if err := yaml.Unmarshal(b, &v); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		vals = loader.MergeMaps(vals, v)
	}
	for _, s := range sets {
		if err := strvals.ParseInto(s, vals); err != nil {
			return nil, err
		}
	}
	return vals, nil
}

// linted is what “helm lint --strict” would say.
func linted(path, namespace string, vals map[string]any) error {
	var errs []error
	for _, m := range lint.RunAll(path, vals, namespace).Messages {
		if m.Severity >= support.WarningSev {
			errs = append(errs, m)
		}
	}
	return errors.Join(errs...)
}

// render prints the objects of a release as “helm template” does, in the order
// in which Helm installs them.
func render(out io.Writer, path, name, namespace string, vals map[string]any) error {
	c, err := loader.Load(path)
	if err != nil {
		return err
	}
	opt := common.ReleaseOptions{Name: name, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(c, vals, opt, common.DefaultCapabilities) // checks the schema
	if err != nil {
		return err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return err
	}
	maps.DeleteFunc(files, func(name, _ string) bool { return !strings.HasSuffix(name, ".yaml") })
	_, sorted, err := release.SortManifests(files, nil, release.InstallOrder) // what is needed first, first
	if err != nil {
		return err
	}
	for _, m := range sorted {
		if _, err := fmt.Fprintf(out, "---\n%s\n", strings.TrimSpace(m.Content)); err != nil {
			return err
		}
	}
	return nil
}
