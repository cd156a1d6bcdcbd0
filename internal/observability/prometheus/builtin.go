package prometheus

import "github.com/firstmate-ops/firstmate/internal/observability"

// The ways to say which workload. Where a ServiceMonitor does not honour the
// labels of what it scrapes, theirs have exported_ before them.
func podScopes() [][]string {
	return [][]string{
		{`namespace="$namespace"`, `pod=~"$pods"`},
		{`exported_namespace="$namespace"`, `exported_pod=~"$pods"`},
		{`k8s_namespace_name="$namespace"`, `k8s_pod_name=~"$pods"`},
	}
}

func serviceScopes() [][]string {
	return [][]string{
		{`exported_namespace="$namespace"`, `exported_service=~"$services"`},
		{`namespace="$namespace"`, `service=~"$services"`},
	}
}

// appScopes are for what a program says about itself.
func appScopes() [][]string {
	return append(append(podScopes(), serviceScopes()...), []string{`namespace="$namespace"`, `app="$name"`})
}

// otelScopes are for what came by OTLP: resource attributes where they were
// promoted to labels, else service.name, which is in job with its namespace.
func otelScopes() [][]string {
	return append(append(podScopes(), serviceScopes()...),
		[]string{`k8s_namespace_name="$namespace"`, `k8s_deployment_name="$name"`},
		[]string{`service_namespace="$namespace"`, `service_name=~"$services"`},
		[]string{`service_name=~"$services"`},
		[]string{`job=~"$namespace/(?:$services)"`},
		[]string{`job=~"$services"`})
}

// objectScopes are kube-state-metrics'; kind__ is the label deployment, statefulset …
func objectScopes() [][]string {
	return [][]string{{`namespace="$namespace"`, `kind__="$name"`}, {`exported_namespace="$namespace"`, `exported_kind__="$name"`}}
}

func nodeScopes() [][]string {
	return [][]string{{`node="$name"`}, {`kubernetes_node="$name"`}, {`nodename="$name"`}, {`k8s_node_name="$name"`}, {`instance=~"$name(:[0-9]+)?"`}}
}

// builtin is the table of families, for each metric in the order of preference.
func builtin() []Family {
	traefik := [][]string{{`exported_service=~"$namespace-(?:$services)-.*"`}, {`service=~"$namespace-(?:$services)-.*"`}}
	istio := [][]string{
		{`reporter="destination"`, `destination_workload_namespace="$namespace"`, `destination_workload="$name"`},
		{`reporter="source"`, `destination_workload_namespace="$namespace"`, `destination_workload="$name"`},
		{`reporter="waypoint"`, `destination_workload_namespace="$namespace"`, `destination_workload="$name"`},
	}
	istioOut := [][]string{{`reporter="source"`, `source_workload_namespace="$namespace"`, `source_workload="$name"`}}
	linkerd := [][]string{{`direction="inbound"`, `namespace="$namespace"`, `kind__="$name"`}}
	spans := append([][]string{{`span_kind="SPAN_KIND_SERVER"`, `service_name=~"$services"`}}, [][]string{{`span_kind="SPAN_KIND_SERVER"`, `service=~"$services"`}}...)
	grpcFailed := "Unknown|DeadlineExceeded|Unimplemented|Internal|Unavailable|DataLoss|ResourceExhausted"
	all := []Family{
		// What the program itself says.
		{Name: "OpenTelemetry HTTP", Histogram: "http_server_request_duration_seconds", Scopes: otelScopes()},
		{Name: "HTTP request duration", Histogram: "http_request_duration_seconds"},
		{Name: "OpenTelemetry HTTP, before 1.23", Histogram: "http_server_duration_milliseconds", Scale: 0.001, Scopes: otelScopes()},
		{Name: "Micrometer", Histogram: "http_server_requests_seconds"},
		{Name: "HTTP request duration in milliseconds", Histogram: "http_request_duration_milliseconds", Scale: 0.001},
		{Name: "request duration", Histogram: "request_duration_seconds"},
		{Name: "gRPC", Histogram: "grpc_server_handling_seconds", Status: []string{"grpc_code"}, Failed: grpcFailed},
		{Name: "OpenTelemetry RPC", Histogram: "rpc_server_duration_milliseconds", Scale: 0.001, Scopes: otelScopes(), Status: []string{"rpc_grpc_status_code"}, Failed: "2|4|8|12|13|14|15"},
	}
	all = append(all, counter(Family{Name: "HTTP requests"}, "http_requests_total")...)
	all = append(all, counter(Family{Name: "gRPC", Status: []string{"grpc_code"}, Failed: grpcFailed}, "grpc_server_handled_total")...)
	all = append(all,
		Family{Name: "span metrics", Histogram: "traces_span_metrics_duration_milliseconds", Scale: 0.001, Scopes: spans, Status: []string{"status_code"}, Failed: "STATUS_CODE_ERROR"},
		// What stands before it.
		Family{Name: "Istio", Histogram: "istio_request_duration_milliseconds", Scale: 0.001, Scopes: istio, Status: []string{"response_code"}, Failed: "5..|0"},
		Family{Name: "Linkerd", Histogram: "response_latency_ms", Scale: 0.001, Scopes: linkerd, Status: []string{"classification"}, Failed: "failure"},
		Family{Name: "ingress-nginx", Histogram: "nginx_ingress_controller_request_duration_seconds", Scopes: serviceScopes(), Status: []string{"status"}},
	)
	all = append(all, counter(Family{Name: "Istio", Scopes: istio, Status: []string{"response_code"}, Failed: "5..|0"}, "istio_requests_total")...)
	all = append(all, counter(Family{Name: "ingress-nginx", Scopes: serviceScopes(), Status: []string{"status"}}, "nginx_ingress_controller_requests")...)
	all = append(all, Family{Name: "Traefik", Histogram: "traefik_service_request_duration_seconds", Scopes: traefik, Status: []string{"code"}})
	all = append(all, counter(Family{Name: "Traefik", Scopes: traefik, Status: []string{"code"}}, "traefik_service_requests_total")...)
	// Calls to others.
	all = append(all,
		Family{Name: "calls by HTTP", Of: "peer", Histogram: "http_client_request_duration_seconds", Scopes: otelScopes()},
		Family{Name: "calls by HTTP, OpenTelemetry before 1.23", Of: "peer", Histogram: "http_client_duration_milliseconds", Scale: 0.001, Scopes: otelScopes()},
		Family{Name: "calls by gRPC", Of: "peer", Histogram: "grpc_client_handling_seconds", Status: []string{"grpc_code"}, Failed: grpcFailed},
		Family{Name: "calls by Istio", Of: "peer", Histogram: "istio_request_duration_milliseconds", Scale: 0.001, Scopes: istioOut, Status: []string{"response_code"}, Failed: "5..|0"},
		Family{Name: "calls to the database", Of: "peer", Histogram: "db_client_operation_duration_seconds", Scopes: otelScopes(), Status: []string{"error_type"}, Failed: ".+"},
	)
	return append(append(append(all, resources()...), waiting()...), ofNodes()...)
}

// resources are what containers use.
func resources() []Family {
	const (
		named = `container!="",container!="POD",$scope`
		cpu   = "rate(container_cpu_usage_seconds_total{" + named + "}[$window])"
		mem   = "container_memory_working_set_bytes{" + named + "}"
	)
	one := func(m observability.Metric, name, query string, scopes [][]string) Family {
		return Family{Metric: m, Name: name, Query: query, Scopes: scopes}
	}
	pods := podScopes()
	return []Family{
		one(observability.CPU, "cAdvisor", "sum by ($by) ("+cpu+")", pods),
		one(observability.CPU, "process", "sum by ($by) (rate(process_cpu_seconds_total{$scope}[$window]))", appScopes()),
		one(observability.Memory, "cAdvisor", "sum by ($by) ("+mem+")", pods),
		one(observability.Memory, "process", "sum by ($by) (process_resident_memory_bytes{$scope})", appScopes()),
		one(observability.Network, "cAdvisor", "sum by ($by) (rate(container_network_receive_bytes_total{$scope}[$window])) + sum by ($by) (rate(container_network_transmit_bytes_total{$scope}[$window]))", pods),
		one(observability.Throttling, "cAdvisor", `sum by ($by) (rate(container_cpu_cfs_throttled_periods_total{container!="",$scope}[$window])) / sum by ($by) (rate(container_cpu_cfs_periods_total{container!="",$scope}[$window]))`, pods),
		{Metric: observability.Disk, Name: "volumes", Scopes: pods, Needs: []string{"kube_pod_spec_volumes_persistentvolumeclaims_info"},
			Query: "max by ($by) (max by (namespace, persistentvolumeclaim) (1 - kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes) * on (namespace, persistentvolumeclaim) group_right () max by (namespace, persistentvolumeclaim, pod) (kube_pod_spec_volumes_persistentvolumeclaims_info{$scope}))"},
		one(observability.Disk, "volumes", "max by ($by) (1 - kubelet_volume_stats_available_bytes{$scope} / kubelet_volume_stats_capacity_bytes{$scope})",
			[][]string{{`namespace="$namespace"`, `persistentvolumeclaim=~"(?:.+-)?$name(?:-.+)?"`}}),
		one(observability.Disk, "cAdvisor", `max by ($by) (container_fs_usage_bytes{container!="",$scope} / (container_fs_limit_bytes{container!="",$scope} > 0))`, pods),
		one(observability.Restarts, "kube-state-metrics", "sum by ($by) (increase(kube_pod_container_status_restarts_total{$scope}[$range]))", pods),
		one(observability.Uptime, "kube-state-metrics", "time() - max by ($by) (kube_pod_container_state_started{$scope})", pods),
		one(observability.Uptime, "cAdvisor", `time() - max by ($by) (container_start_time_seconds{container!="",$scope})`, pods),
		one(observability.Uptime, "process", "time() - max by ($by) (process_start_time_seconds{$scope})", appScopes()),
		one(observability.Replicas, "kube-state-metrics", "sum by ($by) (kube_deployment_status_replicas_available{$scope})", objectScopes()),
		one(observability.Replicas, "kube-state-metrics", "sum by ($by) (kube_statefulset_status_replicas_ready{$scope})", objectScopes()),
		one(observability.Replicas, "kube-state-metrics", "sum by ($by) (kube_daemonset_status_number_ready{$scope})", objectScopes()),
		// The scarcest of CPU and memory, against the limit that was set.
		one(observability.Saturation, "cAdvisor, kube-state-metrics", "max by ($by) ("+
			scarce("sum by (namespace, pod, container) ("+cpu+")", `max by (namespace, pod, container) (kube_pod_container_resource_limits{resource="cpu",$scope})`, "cpu")+" or "+
			scarce("sum by (namespace, pod, container) ("+mem+")", `max by (namespace, pod, container) (kube_pod_container_resource_limits{resource="memory",$scope})`, "memory")+")", pods),
		one(observability.Saturation, "cAdvisor", "max by ($by) ("+
			scarce("sum by (namespace, pod, container) ("+cpu+")", `max by (namespace, pod, container) (container_spec_cpu_quota{$scope} / container_spec_cpu_period{$scope} > 0)`, "cpu")+" or "+
			scarce("sum by (namespace, pod, container) ("+mem+")", `max by (namespace, pod, container) (container_spec_memory_limit_bytes{$scope} > 0)`, "memory")+")", pods),
		{Metric: observability.Saturation, Name: "cAdvisor memory", Scopes: pods,
			Query: "max by ($by) (" + mem + ` / (container_spec_memory_limit_bytes{container!="",$scope} > 0))`},
	}
}

func scarce(used, limit, name string) string {
	return "label_replace(" + used + " / " + limit + `, "resource", "` + name + `", "", "")`
}

// waiting is what stands in line, and what it stands in line for.
func waiting() []Family {
	gauge := func(m observability.Metric, name, series string, scopes [][]string, extra ...string) Family {
		sel := "$scope"
		if len(extra) > 0 {
			sel = extra[0] + ",$scope"
		}
		return Family{Metric: m, Name: name, Query: "sum by ($by) (" + series + "{" + sel + "})", Scopes: scopes}
	}
	group := [][]string{{`consumergroup=~"(?:.+[-_.])?(?:$services)(?:[-_.].+)?"`}, {`group=~"(?:.+[-_.])?(?:$services)(?:[-_.].+)?"`}, {`consumer_group=~"(?:.+[-_.])?(?:$services)(?:[-_.].+)?"`}}
	queue := append(appScopes(), []string{`queue=~"(?:.+[-_.])?(?:$services)(?:[-_.].+)?"`})
	app, otel := appScopes(), otelScopes()
	return []Family{
		gauge(observability.Connections, "database pool", "db_pool_connections_in_use", app),
		gauge(observability.Connections, "database pool", "db_pool_in_use", app),
		gauge(observability.Connections, "Go database pool", "go_sql_in_use_connections", app),
		gauge(observability.Connections, "Go database pool", "go_sql_stats_connections_in_use", app),
		gauge(observability.Connections, "HikariCP", "hikaricp_connections_active", app),
		gauge(observability.Connections, "OpenTelemetry", "db_client_connection_count", otel, `state="used"`),
		gauge(observability.Connections, "OpenTelemetry", "db_client_connections_usage", otel, `state="used"`),
		gauge(observability.Connections, "PostgreSQL", "pg_stat_activity_count", app),
		gauge(observability.Connections, "MySQL", "mysql_global_status_threads_connected", app),
		gauge(observability.Connections, "Redis", "redis_connected_clients", app),
		gauge(observability.Connections, "nginx", "nginx_connections_active", app),
		gauge(observability.Queue, "RabbitMQ", "rabbitmq_queue_messages_ready", queue),
		gauge(observability.Queue, "job queue", "job_queue_depth", queue),
		gauge(observability.Queue, "database pool", "db_pool_connections_waiting", app),
		gauge(observability.Queue, "HikariCP", "hikaricp_connections_pending", app),
		gauge(observability.Queue, "OpenTelemetry", "db_client_connection_pending_requests", otel),
		gauge(observability.Queue, "work queue", "workqueue_depth", app),
		gauge(observability.Queue, "Celery", "celery_queue_length", queue),
		gauge(observability.Queue, "queue", "queue_depth", queue),
		gauge(observability.Queue, "queue", "queue_length", queue),
		gauge(observability.Lag, "Kafka", "kafka_consumergroup_lag", group),
		gauge(observability.Lag, "Kafka", "kafka_consumergroup_group_lag", group),
		gauge(observability.Lag, "Kafka client", "kafka_consumer_fetch_manager_records_lag", app),
		gauge(observability.Lag, "Kafka client", "kafka_consumer_fetch_manager_records_lag_max", app),
		gauge(observability.Lag, "Kafka client", "kafka_consumer_records_lag_max", otel),
		{Metric: observability.Lag, Name: "PostgreSQL replication", Unit: observability.Seconds, Query: "max by ($by) (pg_replication_lag_seconds{$scope})", Scopes: app},
	}
}

// ofNodes are what machines use.
func ofNodes() []Family {
	one := func(m observability.Metric, name, query string) Family {
		return Family{Of: "node", Metric: m, Name: name, Query: query, Scopes: nodeScopes()}
	}
	disks := `fstype!~"tmpfs|overlay|squashfs|ramfs",mountpoint!~"/(run|var/lib/kubelet).*",$scope`
	return []Family{
		one(observability.CPU, "node exporter", `sum by ($by) (rate(node_cpu_seconds_total{mode!~"idle|iowait|steal",$scope}[$window]))`),
		one(observability.CPU, "cAdvisor", `sum by ($by) (rate(container_cpu_usage_seconds_total{id="/",$scope}[$window]))`),
		one(observability.CPU, "cAdvisor containers", `sum by ($by) (rate(container_cpu_usage_seconds_total{container!="",$scope}[$window]))`),
		one(observability.Memory, "node exporter", "sum by ($by) (node_memory_MemTotal_bytes{$scope} - node_memory_MemAvailable_bytes{$scope})"),
		one(observability.Memory, "cAdvisor", `sum by ($by) (container_memory_working_set_bytes{id="/",$scope})`),
		one(observability.Memory, "cAdvisor containers", `sum by ($by) (container_memory_working_set_bytes{container!="",$scope})`),
		one(observability.Disk, "node exporter", "max by ($by) (1 - node_filesystem_avail_bytes{"+disks+"} / (node_filesystem_size_bytes{"+disks+"} > 0))"),
		one(observability.Network, "node exporter", `sum by ($by) (rate(node_network_receive_bytes_total{device!~"lo|veth.*|cali.*|cni.*",$scope}[$window])) + sum by ($by) (rate(node_network_transmit_bytes_total{device!~"lo|veth.*|cali.*|cni.*",$scope}[$window]))`),
		one(observability.Saturation, "node exporter", `1 - avg by ($by) (rate(node_cpu_seconds_total{mode="idle",$scope}[$window]))`),
		one(observability.Uptime, "node exporter", "time() - max by ($by) (node_boot_time_seconds{$scope})"),
	}
}
