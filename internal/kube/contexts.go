package kube

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// ownNamespace is the file that tells a Pod its namespace.
const ownNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// ConnectInside reaches the cluster that the process itself runs in, with its
// Pod's service account. A namespace takes the place of the Pod's own.
func ConnectInside(namespace string) (*Cluster, error) {
	rc, err := rest.InClusterConfig()
	if err != nil {
		return nil, fault.Wrap(err, fault.Usage, "I run in no Pod with a service account, so there is no cluster around me: %v.", err)
	}
	own, _ := os.ReadFile(ownNamespace) // the account may be mounted without it
	return newCluster("in-cluster", cmp.Or(namespace, strings.TrimSpace(string(own)), "default"), rc), nil
}

// Contexts lists the contexts of a kubeconfig, found as by Connect, and which is
// the current one. There are none in a Pod without a kubeconfig.
func Contexts(path string) (names []string, current string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	raw, err := rules.Load()
	if err != nil {
		return nil, "", fault.Wrap(err, fault.Usage, "I found no cluster to talk to: %v. Set KUBECONFIG, or kubernetes.kubeconfig in the configuration, to a file that works with kubectl.", err)
	}
	return slices.Sorted(maps.Keys(raw.Contexts)), raw.CurrentContext, nil
}

// ShortName is what people call the cluster of a context whose name was made by
// a cloud's tool ("arn:aws:eks:eu-west-1:123:cluster/prod", "gke_acme_europe-west1_prod",
// "admin@prod"); "" where the name is short already.
func ShortName(context string) string {
	if p, ok := strings.CutPrefix(context, "arn:"); ok {
		if _, name, ok := strings.Cut(p, ":cluster/"); ok {
			return name
		}
	}
	if parts := strings.SplitN(context, "_", 4); len(parts) == 4 && parts[0] == "gke" {
		return parts[3]
	}
	if i := strings.LastIndex(context, "@"); i > 0 {
		return context[i+1:]
	}
	return ""
}
