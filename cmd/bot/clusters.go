package main

import (
	"cmp"
	"slices"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// ClusterConfig is one of several clusters.
type ClusterConfig struct {
	Name       string   `yaml:"name"`
	Kubeconfig string   `yaml:"kubeconfig"`
	Context    string   `yaml:"context"`
	Namespace  string   `yaml:"namespace"`
	InCluster  bool     `yaml:"in_cluster"`
	Aliases    []string `yaml:"aliases"`
	Production bool     `yaml:"production"`
}

// checkClusters refuses names that do not tell clusters apart.
func (k KubernetesConfig) checkClusters() error {
	seen := map[string]string{}
	for i, c := range k.Clusters {
		switch {
		case c.Name == "":
			return fault.New(fault.Usage, "kubernetes.clusters: cluster %d has no name.", i+1)
		case c.InCluster && (c.Kubeconfig != "" || c.Context != ""):
			return fault.New(fault.Usage, "kubernetes.clusters: %s is in_cluster, so it needs no kubeconfig and no context.", c.Name)
		case !c.InCluster && c.Kubeconfig == "" && c.Context == "":
			return fault.New(fault.Usage, "kubernetes.clusters: %s needs a context, a kubeconfig, or in_cluster: true.", c.Name)
		}
		for _, name := range append([]string{c.Name}, c.Aliases...) {
			if name == "" || name == "*" {
				return fault.New(fault.Usage, "kubernetes.clusters: %q is no name for %s.", name, c.Name)
			}
			if other, taken := seen[name]; taken {
				return fault.New(fault.Usage, "kubernetes.clusters: %s and %s are both called %s.", other, c.Name, name)
			}
			seen[name] = c.Name
		}
	}
	return nil
}

// members are the clusters to look after, home first: those of kubernetes.clusters,
// else all contexts of the kubeconfig for somebody at a terminal, who could reach
// them with kubectl as well, else the one context.
func (k KubernetesConfig) members(contexts bool) ([]kube.Member, error) {
	if len(k.Clusters) > 0 {
		return k.configured(), nil
	}
	var names []string
	current := k.Context
	if contexts {
		all, inUse, err := kube.Contexts(k.Kubeconfig)
		if err != nil {
			return nil, err
		}
		names, current = all, cmp.Or(k.Context, inUse)
	}
	at := slices.Index(names, current)
	if len(names) < 2 || at < 0 {
		c, err := kube.Connect(k.Kubeconfig, k.Context, k.Namespace)
		if err != nil {
			return nil, err
		}
		return []kube.Member{{Name: c.Name, Connect: func() (*kube.Cluster, error) { return c, nil }}}, nil
	}
	names = slices.Insert(slices.Delete(names, at, at+1), 0, current)
	short := shortNames(names)
	out := make([]kube.Member, len(names))
	for i, name := range names {
		namespace := ""
		if i == 0 {
			namespace = k.Namespace
		}
		out[i] = kube.Member{
			Name: name, Lazy: i > 0, Aliases: short[name],
			Connect: func() (*kube.Cluster, error) { return kube.Connect(k.Kubeconfig, name, namespace) },
		}
	}
	return out, nil
}

// configured are the clusters of kubernetes.clusters. Home is the first, or the
// one that kubernetes.context names.
func (k KubernetesConfig) configured() []kube.Member {
	list := slices.Clone(k.Clusters)
	if at := slices.IndexFunc(list, func(c ClusterConfig) bool {
		return k.Context != "" && (c.Name == k.Context || c.Context == k.Context)
	}); at > 0 {
		list = slices.Insert(slices.Delete(list, at, at+1), 0, k.Clusters[at])
	}
	out := make([]kube.Member, len(list))
	for i, c := range list {
		namespace := cmp.Or(c.Namespace, k.Namespace)
		out[i] = kube.Member{
			Name: c.Name, Aliases: c.Aliases, Production: c.Production,
			Connect: func() (*kube.Cluster, error) {
				if c.InCluster {
					return kube.ConnectInside(namespace)
				}
				return kube.Connect(cmp.Or(c.Kubeconfig, k.Kubeconfig), c.Context, namespace)
			},
		}
	}
	return out
}

// shortNames are what people call contexts whose names a tool made, where that
// is no other's name too.
func shortNames(contexts []string) map[string][]string {
	users := map[string]int{}
	for _, c := range contexts {
		users[c]++
		users[kube.ShortName(c)]++
	}
	out := map[string][]string{}
	for _, c := range contexts {
		if s := kube.ShortName(c); s != "" && users[s] == 1 {
			out[c] = []string{s}
		}
	}
	return out
}
