package collect

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// needs are what a workload needs to start and grow: configuration, volumes,
// room in a quota, an autoscaler that may go on.
func needs(s kube.Survey, _ observability.Window) []diagnosis.Evidence {
	w := object(s.Workload.Ref)
	at := s.Workload.Ref.Namespace
	var out []diagnosis.Evidence
	for _, r := range s.References {
		if !r.Missing || !unwell(s) {
			continue
		}
		name := ""
		if r.Lacks == "key" {
			name = r.Key
		}
		e := diagnosis.Evidence{
			Kind: diagnosis.MissingReference, About: w, Peer: diagnosis.Object{Cluster: w.Cluster, Namespace: at, Kind: r.Kind, Name: r.Name}, Name: name, Text: clip(r.How),
		}
		e.About, e.Owner, e.At = hit(s, w)
		if r.Lacks == "key" && !r.Changed.IsZero() {
			e.At = r.Changed // it was taken out, or never put in, then
		}
		out = append(out, e)
	}
	for _, c := range s.Claims {
		claim := diagnosis.Object{Cluster: w.Cluster, Namespace: at, Kind: "PersistentVolumeClaim", Name: c.Name}
		switch {
		case c.Missing:
			e := diagnosis.Evidence{Kind: diagnosis.MissingReference, Peer: claim, Text: "a volume"}
			e.About, e.Owner, e.At = hit(s, w)
			out = append(out, e)
		case c.Phase != "Bound":
			e := diagnosis.Evidence{Kind: diagnosis.VolumeUnbound, About: claim, Owner: w, Name: c.Class, Text: clip(c.Why), To: c.Phase}
			if c.NoClass {
				e.Peer = diagnosis.Object{Cluster: w.Cluster, Kind: "StorageClass", Name: c.Class}
			}
			_, _, e.At = hit(s, w)
			out = append(out, e)
		}
	}
	for _, q := range s.Quotas {
		if q.Full() >= 0.999 {
			out = append(out, diagnosis.Evidence{
				Kind: diagnosis.QuotaFull, About: diagnosis.Object{Cluster: w.Cluster, Namespace: at, Kind: "ResourceQuota", Name: q.Name}, Owner: w,
				Name: q.Resource, Value: diagnosis.Num(q.Used), Limit: diagnosis.Num(q.Hard), Text: q.Text,
			})
		}
	}
	if h := s.Scaler; h != nil {
		e := diagnosis.Evidence{
			Kind: diagnosis.HPA, About: diagnosis.Object{Cluster: w.Cluster, Namespace: at, Kind: "HorizontalPodAutoscaler", Name: h.Name}, Owner: w,
			Value: diagnosis.Num(float64(h.Current)), Limit: diagnosis.Num(float64(h.Max)), Count: int(h.Desired), Text: clip(h.Blind),
		}
		if h.Limited {
			e.Text = "TooManyReplicas"
		}
		if h.Current >= h.Max {
			e.At = h.LastMove
		}
		if len(h.Targets) > 0 {
			e.Name, e.To = target(h.Targets[0])
		}
		out = append(out, e)
	}
	return out
}

// target takes "cpu 180 % of 70 %" apart, into the metric and "70%/180%".
func target(text string) (name, to string) {
	var is, want int
	if n, _ := fmt.Sscanf(text, "%s %d %% of %d %%", &name, &is, &want); n != 3 {
		return "", ""
	}
	return name, strconv.Itoa(want) + "%/" + strconv.Itoa(is) + "%"
}

// unwell reports whether a workload lacks pods: one that has them all has read
// what it needs, and will miss it when it starts the next time.
func unwell(s kube.Survey) bool {
	return !s.Workload.Progress.Done() || s.Workload.Progress.Ready < s.Workload.Progress.Desired ||
		slices.ContainsFunc(s.Pods, func(p kube.PodDetail) bool { return !p.Ready && !p.Leaving && !p.Ended() })
}

// hit is a pod that a trouble keeps from running, with its workload and since
// when; the workload itself where there is none.
func hit(s kube.Survey, w diagnosis.Object) (about, owner diagnosis.Object, at time.Time) {
	for _, p := range s.Pods {
		if !p.Ready && !p.Leaving {
			return object(p.Ref), w, p.Created
		}
	}
	if len(s.Changes) > 0 {
		at = s.Changes[0].At
	}
	return w, diagnosis.Object{}, at
}

// network is what stands between a workload and who calls it.
func network(s kube.Survey, _ observability.Window, talk map[kube.Ref]map[kube.Ref]bool) []diagnosis.Evidence {
	w := object(s.Workload.Ref)
	var out []diagnosis.Evidence
	for _, v := range s.Services {
		svc := object(v.Ref)
		if v.Known {
			out = append(out, diagnosis.Evidence{Kind: diagnosis.Endpoints, About: svc, Owner: w, Value: diagnosis.Num(float64(v.Ready)), Limit: diagnosis.Num(float64(v.Chooses))})
		}
		if v.Wrong != "" && v.Ready == 0 {
			out = append(out, diagnosis.Evidence{Kind: diagnosis.SelectorMismatch, At: v.Changed, About: svc, Owner: w, From: pairs(v.Selector), To: pairs(s.Workload.Selector), Text: clip(v.Wrong)})
		}
		for _, p := range v.Ports {
			if p.Astray {
				name := p.Name
				if name == "" {
					name = strconv.Itoa(int(p.Port))
				}
				out = append(out, diagnosis.Evidence{Kind: diagnosis.PortMismatch, At: v.Changed, About: svc, Owner: w, Name: name, From: p.Target, To: strings.Join(p.Listens, ",")})
			}
		}
	}
	for _, b := range s.Blocked {
		if b.To.Kind != "Service" && !talk[b.From][b.To] && !(len(talk) == 0 && b.To == s.Workload.Ref) {
			continue // they have nothing to do with each other, as far as is known
		}
		e := diagnosis.Evidence{Kind: diagnosis.PolicyShutsOut, At: b.Changed, About: object(b.Policy), Owner: object(b.To), Peer: object(b.From), Name: "ingress"}
		if b.Way == "out" {
			e.Owner, e.Peer, e.Name = object(b.From), object(b.To), "egress"
		}
		if b.Port > 0 {
			e.To = strconv.Itoa(int(b.Port))
		}
		out = append(out, e)
	}
	return out
}

// nodes is how the nodes are, in so far as it matters to a workload.
func nodes(s kube.Survey, win observability.Window) []diagnosis.Evidence {
	var out []diagnosis.Evidence
	for _, n := range s.Nodes {
		about := diagnosis.Object{Cluster: s.Workload.Ref.Cluster, Kind: nodeKind, Name: n.Name}
		if n.Cordoned {
			out = append(out, diagnosis.Evidence{Kind: diagnosis.NodeCordoned, About: about})
		}
		for _, c := range n.Bad {
			e := diagnosis.Evidence{At: c.Since, About: about, Text: clip(c.Message), Count: n.Pods}
			switch c.Type {
			case "Ready":
				e.Kind, e.Name = diagnosis.NodeDown, "not_ready"
				if c.Status == "Unknown" {
					e.Name = "unreachable"
				}
			case "MemoryPressure":
				e.Kind, e.Name = diagnosis.NodePressure, "memory"
			case "DiskPressure":
				e.Kind, e.Name = diagnosis.NodePressure, "disk"
			case "PIDPressure":
				e.Kind, e.Name = diagnosis.NodePressure, "pid"
			case "NetworkUnavailable":
				e.Kind, e.Name = diagnosis.NodePressure, "network"
			default:
				e.Kind, e.Name = diagnosis.WarningEvent, c.Type // a condition of somebody's own
			}
			out = append(out, e)
		}
		if len(n.Bad) == 0 && recent(n.Changed, win) && n.Ready {
			out = append(out, diagnosis.Evidence{Kind: diagnosis.NodeChange, At: n.Changed, About: about, Name: "ready"})
		}
	}
	return out
}

func pairs(m map[string]string) string {
	var out []string
	for _, k := range sorted(m) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, ",")
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
