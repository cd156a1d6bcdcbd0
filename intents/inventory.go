package intents

// Workload is a thing of the cluster that can be named in a sentence.
type Workload struct {
	Name      string   `json:"name" yaml:"name"`
	Namespace string   `json:"namespace" yaml:"namespace"`
	Kind      string   `json:"kind" yaml:"kind"` // "Deployment", "StatefulSet", …
	Aliases   []string `json:"aliases,omitempty" yaml:"aliases,omitempty"`
}

// InventoryData lists the names that exist now; the shape of the file that
// `bot recognize --inventory` reads.
type InventoryData struct {
	Clusters         []string          `json:"clusters" yaml:"clusters"`
	ClusterAliases   map[string]string `json:"cluster_aliases,omitempty" yaml:"cluster_aliases,omitempty"` // what people call them: "prod" → "gke_acme_prod"
	Namespaces       []string          `json:"namespaces" yaml:"namespaces"`
	NamespaceAliases map[string]string `json:"namespace_aliases" yaml:"namespace_aliases"`
	Nodes            []string          `json:"nodes" yaml:"nodes"`
	Workloads        []Workload        `json:"workloads" yaml:"workloads"`
	Alerts           []string          `json:"alerts,omitempty" yaml:"alerts,omitempty"`         // names of alerting rules: "HighErrorRate"
	Containers       []string          `json:"containers,omitempty" yaml:"containers,omitempty"` // names of containers: "istio-proxy"
	Tags             []string          `json:"tags,omitempty" yaml:"tags,omitempty"`             // tags of images in use: "2.1-bad"
}
