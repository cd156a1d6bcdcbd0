package traffic

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/emit"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

// meter turns the model's state into the samples that a scrape of every program,
// of the kubelets and of the nodes would give.
type meter struct {
	m   *model.Model
	out *emit.Metrics
}

// scrape adds a sample of everything. full is without what nobody compares after
// a day.
func (s *meter) scrape(at time.Time, full bool) {
	s.out.Begin(at)
	for _, p := range s.m.Pods() {
		if node, ok := s.m.Nodes()[p.Pod.Node]; ok && !node.Node.Ready {
			continue // nobody answers there
		}
		s.containers(p, full)
		if p.Service >= 0 {
			s.program(p, at, full)
		}
	}
	s.nodes(full)
	s.m.Outside(func(id model.ID, code int, h *model.Histogram) {
		base := []string{"namespace", "ingress-nginx", "exported_namespace", id.Namespace, "ingress", id.Name, "exported_service", id.Name, "status", strconv.Itoa(code)}
		s.out.Gauge("nginx_ingress_controller_requests", h.Count(), base...)
		s.out.Histogram("nginx_ingress_controller_request_duration_seconds", model.Bounds(), h.Buckets[:], h.Sum, base...)
	})
	s.out.End()
}

func (s *meter) containers(p *model.PodState, full bool) {
	pod := &p.Pod
	main := p.Main(s.m)
	if main == nil || !pod.Running {
		return
	}
	for i := range pod.Containers {
		c := &pod.Containers[i]
		base := []string{"namespace", pod.Namespace, "pod", pod.Name, "container", c.Name, "image", c.Image, "node", pod.Node, "instance", pod.Node}
		if c.Name != main.Name { // a sidecar passes on what the main container does
			s.out.Gauge("container_cpu_usage_seconds_total", p.CPUSeconds*.12, base...)
			s.out.Gauge("container_memory_working_set_bytes", 38<<20, base...)
			continue
		}
		s.out.Gauge("container_cpu_usage_seconds_total", p.CPUSeconds, base...)
		s.out.Gauge("container_memory_working_set_bytes", p.Memory, base...)
		if c.MemoryLimit > 0 {
			s.out.Gauge("container_spec_memory_limit_bytes", c.MemoryLimit, base...)
		}
		if c.CPULimit > 0 && p.Service >= 0 {
			s.out.Gauge("container_cpu_cfs_periods_total", p.Periods, base...)
			s.out.Gauge("container_cpu_cfs_throttled_periods_total", p.Throttled, base...)
			s.out.Gauge("container_cpu_cfs_throttled_seconds_total", p.ThrottledSeconds, base...)
		}
		if !full || pod.Namespace == "load" {
			continue
		}
		s.out.Gauge("container_memory_usage_bytes", p.Memory*1.06, base...)
		s.out.Gauge("container_memory_rss", p.Memory*.92, base...)
		if c.CPULimit > 0 {
			s.out.Gauge("container_spec_cpu_quota", c.CPULimit*100000, base...)
			s.out.Gauge("container_spec_cpu_period", 100000, base...)
		}
		s.out.Gauge("container_oom_events_total", p.Kills, base...)
		s.out.Gauge("container_pressure_cpu_waiting_seconds_total", p.CPUWaited+p.ThrottledSeconds, base...)
		s.out.Gauge("container_start_time_seconds", float64(pod.Started.Unix()), base...)
		net := []string{"namespace", pod.Namespace, "pod", pod.Name, "interface", "eth0", "node", pod.Node, "instance", pod.Node}
		s.out.Gauge("container_network_receive_bytes_total", p.Received, net...)
		s.out.Gauge("container_network_transmit_bytes_total", p.Sent, net...)
	}
}

// program is what a service's own /metrics says.
func (s *meter) program(p *model.PodState, at time.Time, full bool) {
	svc := &s.m.Shop().Services[p.Service]
	pod := &p.Pod
	target := []string{"namespace", pod.Namespace, "pod", pod.Name, "service", svc.ID.Name, "job", svc.ID.Name, "instance", fmt.Sprintf("%s:%d", pod.IP, metricsPort(svc))}
	with := func(labels ...string) []string { return slices.Concat(target, labels) }
	if !pod.Running || p.Down() {
		s.out.Gauge("up", 0, target...)
		return
	}
	s.out.Gauge("up", 1, target...)
	switch svc.Kind {
	case model.Database:
		s.postgres(p, with, full)
		return
	case model.Cache:
		s.redis(p, with)
		return
	case model.Worker:
		p.EachAnswer(func(k model.Answer, h *model.Histogram) {
			status := "ok"
			if k.Code >= 500 {
				status = "failed"
			}
			s.out.Histogram("job_duration_seconds", model.Bounds(), h.Buckets[:], h.Sum, with("version", p.Version, "queue", "orders", "status", status)...)
		})
		s.out.Gauge("job_queue_depth", float64(int(p.Queue)), with("queue", "orders")...)
	default:
		p.EachAnswer(func(k model.Answer, h *model.Histogram) {
			r := &svc.Routes[k.Route]
			s.out.Histogram("http_request_duration_seconds", model.Bounds(), h.Buckets[:], h.Sum,
				with("version", p.Version, "method", r.Method, "route", r.Path, "code", strconv.Itoa(k.Code))...)
		})
		s.out.Gauge("http_requests_in_flight", float64(int(p.InFlight+.5)), target...)
	}
	p.EachCall(func(k model.Asked, h *model.Histogram) {
		to := &s.m.Shop().Services[s.m.Shop().Find(k.To)]
		r := &to.Routes[k.Route]
		if to.Kind == model.HTTP {
			s.out.Histogram("http_client_request_duration_seconds", model.Bounds(), h.Buckets[:], h.Sum,
				with("version", p.Version, "peer", k.To.Name, "method", r.Method, "code", strconv.Itoa(k.Code))...)
			return
		}
		system, status := "postgresql", "ok"
		if to.Kind == model.Cache {
			system = "redis"
		}
		if k.Code >= 500 {
			status = "error"
		}
		s.out.Histogram("db_client_operation_duration_seconds", model.Bounds(), h.Buckets[:], h.Sum,
			with("version", p.Version, "peer", k.To.Name, "db_system_name", system, "db_operation_name", r.Method, "status", status)...)
	})
	if svc.Pool > 0 {
		pool := with("pool", "postgres")
		s.out.Gauge("db_pool_connections_max", p.PoolSize, pool...)
		s.out.Gauge("db_pool_connections_in_use", round(p.PoolInUse), pool...)
		s.out.Gauge("db_pool_connections_waiting", round(p.PoolWaiting), pool...)
		s.out.Gauge("db_pool_wait_count_total", p.PoolWaits, pool...)
		s.out.Gauge("db_pool_wait_seconds_total", p.PoolWaited, pool...)
		s.out.Gauge("db_pool_timeouts_total", p.PoolTimeouts, pool...)
	}
	if !full {
		return
	}
	s.out.Gauge("process_cpu_seconds_total", p.CPUSeconds, target...)
	s.out.Gauge("process_resident_memory_bytes", p.Memory*.94, target...)
	s.out.Gauge("process_start_time_seconds", float64(pod.Started.Unix()), target...)
	s.out.Gauge("process_open_fds", 18+round(2.3*p.InFlight+p.PoolInUse), target...)
	if svc.ID.Name == "cart" {
		s.out.Gauge("jvm_memory_used_bytes", p.Memory*.7, with("area", "heap")...)
		s.out.Gauge("jvm_threads_live_threads", 28+round(p.InFlight), target...)
		return
	}
	s.out.Gauge("go_goroutines", 21+round(3*p.InFlight+p.PoolInUse), target...)
	s.out.Gauge("go_memstats_heap_inuse_bytes", p.Memory*.74, target...)
}

func (s *meter) postgres(p *model.PodState, with func(...string) []string, full bool) {
	idle, lost := 0.0, 0.0
	for _, other := range s.m.Pods() {
		if other.PoolSize > 0 {
			idle += other.PoolSize
			lost += other.Lost
		}
	}
	active := min(p.InFlight, idle)
	s.out.Gauge("pg_up", 1, with()...)
	for state, n := range map[string]float64{"active": active, "idle in transaction": lost, "idle": idle - active - lost} {
		s.out.Gauge("pg_stat_activity_count", max(0, round(n)), with("datname", "shop", "state", state)...)
	}
	s.out.Gauge("pg_settings_max_connections", 100, with()...)
	s.out.Gauge("pg_stat_database_xact_commit", p.Served, with("datname", "shop")...)
	if full {
		longest, seconds := 0.0, 0.0
		p.EachAnswer(func(_ model.Answer, h *model.Histogram) {
			if n := h.Count(); n > longest {
				longest, seconds = n, h.Sum/n
			}
		})
		s.out.Gauge("pg_stat_activity_max_tx_duration", seconds*4, with("datname", "shop", "state", "active")...)
	}
}

func (s *meter) redis(p *model.PodState, with func(...string) []string) {
	s.out.Gauge("redis_up", 1, with()...)
	s.out.Gauge("redis_memory_used_bytes", p.Memory*.88, with()...)
	if c := p.Main(s.m); c != nil && c.MemoryLimit > 0 {
		s.out.Gauge("redis_memory_max_bytes", c.MemoryLimit*.85, with()...)
	}
	s.out.Gauge("redis_connected_clients", 12, with()...)
	s.out.Gauge("redis_commands_processed_total", p.Served, with()...)
}

// mostNodes is how many nodes tell of every CPU.
const mostNodes = 10

func (s *meter) nodes(full bool) {
	for i, name := range slices.Sorted(maps.Keys(s.m.Nodes())) {
		n := s.m.Nodes()[name]
		if !n.Node.Ready || i >= mostNodes {
			continue
		}
		base := []string{"instance", name, "node", name, "job", "node-exporter"}
		with := func(labels ...string) []string { return slices.Concat(base, labels) }
		cpus := int(n.Node.CPUs)
		shown := cpus
		if !full {
			shown = min(cpus, 1) // all are alike
		}
		up := n.Up
		for cpu := range shown {
			used := n.CPUSeconds / float64(max(cpus, 1))
			c := strconv.Itoa(cpu)
			s.out.Gauge("node_cpu_seconds_total", max(0, up-used), with("cpu", c, "mode", "idle")...)
			s.out.Gauge("node_cpu_seconds_total", used*.88, with("cpu", c, "mode", "user")...)
			if full {
				s.out.Gauge("node_cpu_seconds_total", used*.12, with("cpu", c, "mode", "system")...)
			}
		}
		s.out.Gauge("node_memory_MemTotal_bytes", n.Node.Memory, base...)
		s.out.Gauge("node_memory_MemAvailable_bytes", max(0, n.Node.Memory-n.MemoryUsed), base...)
		s.out.Gauge("node_load1", n.Busy*1.02+.4, base...)
		s.out.Gauge("node_pressure_cpu_waiting_seconds_total", n.Waited, base...)
		if full {
			s.out.Gauge("node_filesystem_size_bytes", 200<<30, with("mountpoint", "/", "fstype", "ext4", "device", "/dev/vda1")...)
			s.out.Gauge("node_filesystem_avail_bytes", 124<<30, with("mountpoint", "/", "fstype", "ext4", "device", "/dev/vda1")...)
		}
	}
}

func round(f float64) float64 { return float64(int(f + .5)) }

// metricsPort is where a program tells of itself.
func metricsPort(svc *model.Service) int {
	switch svc.Kind {
	case model.Database:
		return 9187
	case model.Cache:
		return 9121
	}
	return 8080
}
