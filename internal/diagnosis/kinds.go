package diagnosis

// Kind is what sort of fact a piece of evidence is. "workload" below means a
// Deployment, StatefulSet, DaemonSet or Job. Kinds that measure are given also
// when nothing is out of the ordinary: that something is normal is evidence too.
type Kind string

// What changed. At is when.
const (
	// Rollout: a workload got a new revision. About the workload; From and To the
	// versions (image tags; equal where the image stayed); Before and Value the
	// revision numbers; Name what differs in the pod template, comma-separated:
	// "image", "env", "config", "resources", "probe", "command", "volumes", "other",
	// "restart" (only the restartedAt annotation). Of the target, of its callees and
	// of its callers; only those within the window or shortly before.
	Rollout Kind = "rollout"
	// EnvChange: one variable differs between the last two revisions. About the
	// workload, Name the variable, From and To the values, masked ("" is not there).
	EnvChange Kind = "env_change"
	// ResourcesChange: a request or limit differs. Name "container limits.cpu", From, To.
	ResourcesChange Kind = "resources_change"
	// ProbeChange: a probe differs. Name "container readiness"; From, To in a few words.
	ProbeChange Kind = "probe_change"
	// ConfigChange: a ConfigMap that Owner uses was written. About the ConfigMap,
	// Name its keys where known, Text by which manager.
	ConfigChange Kind = "config_change"
	// Scaled: About the workload, From and To the replicas, Name who ("hpa" or a manager).
	Scaled Kind = "scaled"
	// HPAChange: the spec of an HPA was written. About the HPA, Owner the workload, Name the field.
	HPAChange Kind = "hpa_change"
	// NodeChange: About the node; Name "added", "removed", "cordoned", "uncordoned", "tainted".
	NodeChange Kind = "node_change"
	// ObjectChange: another object that the target depends on was made or written:
	// About the Service, NetworkPolicy, Ingress, PVC, ResourceQuota …; Owner the
	// workload; Name "created" or "updated".
	ObjectChange Kind = "object_change"
)

// Workloads and their pods. About the pod and Owner the workload, except where said.
const (
	// Replicas: About the workload. Value how many are ready, Limit how many there
	// should be, Count how many carry the new version. Always given. At: since when
	// some are missing.
	Replicas Kind = "replicas"
	// OnNode: Peer the node that the pod is on. Value 1 where the pod is ready, else 0.
	OnNode Kind = "on_node"
	// Unschedulable: Name what lacks, comma-separated: "cpu", "memory", "pods",
	// "taint", "selector", "affinity", "volume", "storage", "port"; Text the scheduler's message.
	Unschedulable Kind = "unschedulable"
	// NotMade: pods are not even made. About the workload (or its ReplicaSet, with
	// Owner); Text the message; Name "quota", "admission", "service_account" or "".
	NotMade Kind = "not_made"
	// ImagePull: Name the container, To the image, Text the kubelet's message,
	// From the image that the revision before had.
	ImagePull Kind = "image_pull"
	// MissingReference: a ConfigMap, Secret, key or PVC that the pod needs is not
	// there. Peer the object that lacks, Name the key ("" for the whole), Text the message.
	MissingReference Kind = "missing_reference"
	// CrashLoop: Name the container, Value the exit code, Count the restarts, Text
	// the last lines of the log of the container that died (masked).
	CrashLoop Kind = "crash_loop"
	// Exited: a container ended without being in a loop (yet). As CrashLoop; To its reason.
	Exited Kind = "exited"
	// OOMKilled: Name the container, Limit its memory limit in bytes, Count how often
	// within the window, At the last.
	OOMKilled Kind = "oom_killed"
	// ProbeFailed: Name "readiness", "liveness" or "startup"; Text the message, Count
	// how often; From the probe in a few words, e.g. "http /healthz:8080 timeout 1s period 10s".
	ProbeFailed Kind = "probe_failed"
	// Evicted: Text the reason. Preempted pods too.
	Evicted Kind = "evicted"
	// InitFailed: an init container does not complete. As CrashLoop.
	InitFailed Kind = "init_failed"
	// VolumeFailed: a volume cannot be attached or mounted. Name the volume, Text the message.
	VolumeFailed Kind = "volume_failed"
	// VolumeUnbound: About the PVC, Owner the workload; Name the storage class, Text
	// what its events say; Peer the StorageClass where that is not there.
	VolumeUnbound Kind = "volume_unbound"
	// RestartCount: About the workload; Count the restarts within the window.
	RestartCount Kind = "restart_count"
	// WarningEvent: an event of type Warning that no other Kind tells. About its
	// object, Owner its workload; Name the reason, Text the message, Count.
	WarningEvent Kind = "warning_event"
)

// Services, networks, quotas. Owner the workload that is hit.
const (
	// SelectorMismatch: About the Service. From the selector, To the labels of the
	// workload's pods that come nearest, both as "a=b,c=d".
	SelectorMismatch Kind = "selector_mismatch"
	// PortMismatch: About the Service. Name the Service's port, From its target
	// port, To what the containers listen on, comma-separated.
	PortMismatch Kind = "port_mismatch"
	// Endpoints: About the Service, Value how many addresses are ready, Limit how
	// many pods it chooses. Always given for Services of target and callees.
	Endpoints Kind = "endpoints"
	// PolicyShutsOut: About the NetworkPolicy, Owner the workload whose pods it
	// chooses, Peer the workload that calls it (or is called by it) and is not let
	// through; Name "ingress" or "egress"; At when it was made.
	PolicyShutsOut Kind = "policy_shuts_out"
	// QuotaFull: About the ResourceQuota; Name the resource, Value used, Limit hard.
	QuotaFull Kind = "quota_full"
	// Certificate: At when it ends (ended); About the Ingress, Secret or host; Owner.
	Certificate Kind = "certificate"
)

// Nodes.
const (
	// NodeDown: About the node; Name "not_ready", "unreachable" or "gone"; Text, At.
	NodeDown Kind = "node_down"
	// NodePressure: About the node; Name "memory", "disk", "pid", "network".
	NodePressure Kind = "node_pressure"
	// NodeCordoned: About the node: nothing new is put there.
	NodeCordoned Kind = "node_cordoned"
	// NodeLoad: About the node; Name "cpu" or "memory"; Value used and Limit what it
	// has; Before; At the onset. Always given for nodes of the target's pods, where measured.
	NodeLoad Kind = "node_load"
	// Neighbour: About another workload's pod (Owner that workload) on the same node
	// (Peer); Name "cpu" or "memory"; Value and Before what it uses, Limit what it
	// requests (nil where it requests nothing); At the onset. The greatest few of each node that is busy.
	Neighbour Kind = "neighbour"
)

// Saturation. About the workload (or pod with Owner); Value, Before, Limit, At the onset.
const (
	// CPUUse: cores; Limit the limit (nil: none).
	CPUUse Kind = "cpu_use"
	// CPUThrottled: ratio of periods in which it was held back; Name the container.
	CPUThrottled Kind = "cpu_throttled"
	// MemoryUse: bytes, of the pod nearest to its limit; Limit.
	MemoryUse Kind = "memory_use"
	// MemoryGrowth: bytes a minute by which the memory of a pod grows steadily
	// since its start or its last kill; given only where it does.
	MemoryGrowth Kind = "memory_growth"
	// Pool: connections in use; Limit the pool's size; Name the pool; Peer whereto;
	// Count how many wait.
	Pool Kind = "pool"
	// DiskUse: ratio of a volume; Name the volume or About the PVC.
	DiskUse Kind = "disk_use"
	// HPA: About the HPA, Owner the workload. Value the current replicas, Limit the
	// maximum; Count what it wants; Name the metric and To "target/current", e.g. "70%/140%";
	// Text the condition that limits it. Always given where there is an HPA. At: since when at the maximum.
	HPA Kind = "hpa"
)

// Traffic. About the workload as a server, except where said. Value now, Before in
// the window before (before the onset, where there is one), Week a week ago, At the
// onset of the shift (zero: none). Always given where measured, for the target, its
// callees (all the way down) and its callers.
const (
	// Latency: seconds; Name "p99" or "p50" (both are given).
	Latency Kind = "latency"
	// ErrorRatio: 0 to 1; Name the codes where known, e.g. "500", "503".
	ErrorRatio Kind = "error_ratio"
	// RequestRate: requests a second.
	RequestRate Kind = "request_rate"
	// VersionLatency, VersionErrors: the same by version: Name the version; Value of
	// that version now. Given where two versions run, or ran within the window.
	VersionLatency Kind = "version_latency"
	VersionErrors  Kind = "version_errors"
	// PodLatency, PodErrors: by pod: About the pod, Owner the workload, Peer its node.
	PodLatency Kind = "pod_latency"
	PodErrors  Kind = "pod_errors"
	// RouteErrors, RouteLatency: Name the route; given where one stands out.
	RouteLatency Kind = "route_latency"
	RouteErrors  Kind = "route_errors"
	// Calls: About the caller calls Peer (as service metrics, traces or
	// configuration tell). Value calls a second where known, Before, At.
	Calls Kind = "calls"
	// CallLatency: seconds (p99) that calls of About to Peer take, as the caller sees it.
	CallLatency Kind = "call_latency"
	// CallErrors: ratio of About's calls to Peer that fail, as the caller sees it.
	CallErrors Kind = "call_errors"
	// TimeShare: ratio of the time of About's requests that is spent in Peer itself,
	// along the critical path of their traces (Peer may be About). Name the operation.
	TimeShare Kind = "time_share"
)

// What is said. Text is data.
const (
	// LogPattern: lines of a workload that differ only in variable parts. Name the
	// level, From the template, Text one example, Count now, Before the count before the
	// window, At the first within the window. Only warnings and worse, and such
	// as are new or many times more often; the greatest few.
	LogPattern Kind = "log_pattern"
	// Issue: of the error tracker, new or come back. Text the title, Name its short
	// id, To the first release, Count the events, At the first, From "regressed" or "".
	Issue Kind = "issue"
	// Alert: fires. About what its labels name, Name its name, Text its summary, At since, To its severity.
	Alert Kind = "alert"
)
