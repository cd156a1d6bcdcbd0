// Package modeltest is a cluster in which nothing is wrong, for tests of what
// happens in it.
package modeltest

import (
	"fmt"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

// Noon is a moment at which the shop is moderately busy.
var Noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// replicas of the sample that are not 2.
var replicas = map[string]int{"web": 3, "frontend": 3, "checkout": 3, "web-admin": 1, "redis-cache": 3, "postgres": 1}

// limits in cores and MiB where they are not .5 and 256.
var limits = map[string][2]float64{
	"frontend": {.5, 384}, "checkout": {.5, 320}, "payments-api": {.5, 320}, "search": {1, 512}, "order-worker": {.5, 384},
	"redis-cache": {0, 512}, "postgres": {0, 2048}, "nginx": {.5, 128},
}

// Cluster is a world in which everything is as the sample's manifests want it.
func Cluster() *model.World {
	w := &model.World{Services: map[model.ID]model.Exposed{}, Nodes: map[string]model.Node{}}
	for i := range 3 {
		name := fmt.Sprintf("node-%d", i+1)
		w.Nodes[name] = model.Node{Name: name, Ready: true, CPUs: 32, Memory: 128 << 30}
	}
	for _, s := range model.Sample().Services {
		n := 2
		if r := replicas[s.ID.Name]; r > 0 {
			n = r
		}
		l, ok := limits[s.ID.Name]
		if !ok {
			l = [2]float64{.5, 256}
		}
		if s.ID.Namespace == "staging" {
			n = 1
		}
		service := model.Exposed{ClusterIP: "10.96.0.1", Ports: []int32{s.Port}}
		for i := range n {
			p := model.Pod{
				Namespace: s.ID.Namespace, Name: fmt.Sprintf("%s-7d9f-%d", s.ID.Name, i), UID: fmt.Sprintf("%s-%d", s.ID, i),
				Node: fmt.Sprintf("node-%d", i%3+1), App: s.ID.Name, Labels: map[string]string{"app": s.ID.Name},
				Running: true, Ready: true, Started: Noon.Add(-48 * time.Hour), Ports: []int32{8080},
				Containers: []model.Container{{Name: s.Container, Tag: "v1", CPULimit: l[0], MemoryLimit: l[1] * (1 << 20), Running: true, Ready: true}},
			}
			if s.Kind == model.Database || s.Kind == model.Cache {
				service.ClusterIP, p.Ports = "None", []int32{s.Port}
			}
			w.Pods = append(w.Pods, p)
			service.Endpoints = append(service.Endpoints, model.Endpoint{Pod: p.Name, Port: s.Port, TargetPort: p.Ports[0], Ready: true})
		}
		w.Services[s.ID] = service
	}
	return w
}
