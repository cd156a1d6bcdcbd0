package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Usage is what a pod or node uses just now, as metrics-server has it.
type Usage struct {
	Ref    Ref
	CPU    float64 // cores, a mean over the last scrapes
	Memory float64 // bytes, the working set
	At     time.Time
}

// UsageQuery is of what: of the nodes or the pods, of a namespace, with these
// labels.
type UsageQuery struct {
	Cluster   string
	Nodes     bool
	Namespace string            // "" is all
	Labels    map[string]string // of pods
}

// usageAPI is that of metrics-server. It is not served by every cluster.
const usageAPI = "/apis/metrics.k8s.io/v1beta1"

// Usage returns what pods or nodes use.
func (f *Fleet) Usage(ctx context.Context, q UsageQuery) ([]Usage, error) {
	r, err := f.reader(ctx, q.Cluster)
	if err != nil {
		return nil, err
	}
	return r.usage(ctx, q)
}

func (r *Reader) usage(ctx context.Context, q UsageQuery) ([]Usage, error) {
	path := []string{usageAPI, "pods"}
	switch {
	case q.Nodes:
		path[1] = "nodes"
	case q.Namespace != "":
		if len(validation.IsDNS1123Label(q.Namespace)) > 0 {
			return nil, fault.New(fault.NotFound, "%s is no name of a namespace.", clip(q.Namespace))
		}
		path = []string{usageAPI, "namespaces", q.Namespace, "pods"}
	}
	req := r.client.CoreV1().RESTClient().Get().AbsPath(path...).SetHeader("Accept", "application/json") // not protobuf
	if len(q.Labels) > 0 {
		req = req.Param("labelSelector", labels.Set(q.Labels).String())
	}
	raw, err := req.DoRaw(ctx)
	switch {
	case apierrors.IsNotFound(err), apierrors.IsServiceUnavailable(err):
		return nil, fault.Wrap(err, fault.Unavailable, "%s has no metrics-server that answers, so I have no numbers of it. Set observability.prometheus.url to the address of your Prometheus.", r.cluster.Name)
	case err != nil:
		return nil, r.cluster.sentence(err, "ask metrics-server what is used")
	}
	out, err := usageOf(raw, r.cluster.Name, q.Nodes)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "What metrics-server of %s says makes no sense to me.", r.cluster.Name)
	}
	return out, nil
}

// usageOf reads a list of metrics.k8s.io.
func usageOf(raw []byte, cluster string, nodes bool) ([]Usage, error) {
	type used map[string]resource.Quantity
	var list struct {
		Items []struct {
			Metadata struct {
				Name      string `json:"name"`
				Namespace string `json:"namespace"`
			} `json:"metadata"`
			Timestamp  time.Time `json:"timestamp"`
			Usage      used      `json:"usage"` // of a node
			Containers []struct {
				Usage used `json:"usage"`
			} `json:"containers"`
		} `json:"items"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	out := []Usage{}
	for _, i := range list.Items {
		u := Usage{Ref: Ref{Cluster: cluster, Namespace: i.Metadata.Namespace, Kind: Pod, Name: i.Metadata.Name}, At: i.Timestamp}
		if nodes {
			u.Ref.Kind = Node
		}
		add := func(m used) {
			cpu, memory := m["cpu"], m["memory"]
			u.CPU += cpu.AsApproximateFloat64()
			u.Memory += memory.AsApproximateFloat64()
		}
		add(i.Usage)
		for _, c := range i.Containers {
			add(c.Usage)
		}
		out = append(out, u)
	}
	return out, nil
}
