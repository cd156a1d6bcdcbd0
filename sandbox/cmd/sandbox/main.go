// Command sandbox runs a real Kubernetes control plane with simulated nodes and
// pods in one process, for demonstrations and tests:
//
//	sandbox up [flags]     start a cluster; see "sandbox up --help"
//	sandbox kubectl …      kubectl, for whatever KUBECONFIG names
//	sandbox version        the version of Kubernetes
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

const usage = `sandbox: a Kubernetes cluster on this machine, with simulated nodes and pods

  sandbox up [flags]    start a cluster and a sample shop in it (--help for flags)
  sandbox kubectl …     kubectl, for whatever KUBECONFIG names
  sandbox version       the version of Kubernetes
`

func main() { os.Exit(run(os.Args)) }

func run(args []string) int {
	if len(args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	switch args[1] {
	case "up":
		return exitCode(up(context.Background(), args[2:]))
	case "kubectl":
		return runKubectl(args[2:])
	case "version", "--version":
		fmt.Println(version.Get().GitVersion)
		return 0
	case "help", "-h", "--help":
		fmt.Print(usage)
		return 0
	}
	fmt.Fprintf(os.Stderr, "sandbox: there is no command %q\n\n%s", args[1], usage)
	return 2
}

func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	}
	fmt.Fprintln(os.Stderr, "sandbox:", err)
	return 1
}

// runKubectl runs the embedded kubectl, which looks for its command line, and
// for plug-ins, in os.Args.
func runKubectl(args []string) int {
	// A package of the control plane puts a "version" flag there that is not
	// kubectl's.
	pflag.CommandLine = pflag.NewFlagSet("kubectl", pflag.ContinueOnError)
	os.Args = append([]string{"kubectl"}, args...)
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err) // as kubectl's own main does: prints, and exits
	}
	return 0
}
