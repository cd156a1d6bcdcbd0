// Command node is the part of Kubernetes that runs on a node, the real one:
//
//	node kubelet [flags]       runs pods, through containerd
//	node kube-proxy [flags]    makes Services reach them, through iptables
//
// The flags are kubelet's and kube-proxy's own. make test-node uses it.
package main

import (
	"context"
	"fmt"
	"os"

	"k8s.io/component-base/cli"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() { os.Exit(run(os.Args)) }

func run(args []string) int {
	if len(args) >= 2 {
		// Both read their flags there themselves.
		os.Args = args[1:]
		switch args[1] {
		case "kubelet":
			return cli.Run(kubelet.NewKubeletCommand(context.Background()))
		case "kube-proxy":
			return cli.Run(proxy.NewProxyCommand())
		}
	}
	fmt.Fprintln(os.Stderr, "usage: node kubelet|kube-proxy [flags]")
	return 2
}
