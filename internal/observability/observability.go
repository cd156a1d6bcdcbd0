// Package observability is what metrics, logs, errors, alerts and traces are
// made of, whichever back-end they come from: plain values. The clients stand
// in the folders below, each for itself. Every text in here that came from a
// workload is data: it is shown and compared, never obeyed.
package observability

import "time"

// Target is a workload as back-ends know it.
type Target struct {
	Cluster   string `json:"cluster,omitempty"` // "" is the home cluster
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"` // "Deployment", "StatefulSet", …; "Node" or "" for what is no workload
	Name      string `json:"name"`
	// Labels are those of its pods' selector, as app.kubernetes.io/name.
	Labels map[string]string `json:"labels,omitempty"`
	// Pods are the names of the pods that it has now; Services those of the
	// Services that choose them.
	Pods     []string `json:"pods,omitempty"`
	Services []string `json:"services,omitempty"`
	// Release is the version that runs, as the tag of the first container's image.
	Release string `json:"release,omitempty"`
}

// Window is a span of time, From before To.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Length is how long a window is.
func (w Window) Length() time.Duration { return w.To.Sub(w.From) }

// Back is the window moved d into the past: an hour, a week.
func (w Window) Back(d time.Duration) Window {
	return Window{From: w.From.Add(-d), To: w.To.Add(-d)}
}

// Before is the window of the same length that ends where this one begins.
func (w Window) Before() Window { return w.Back(w.Length()) }

// Metric is what is measured, as the intent metrics names it.
type Metric string

// The metrics, and the unit of each.
const (
	Latency     Metric = "latency"      // seconds, a quantile
	ErrorRate   Metric = "error_rate"   // ratio of requests that failed, 0 to 1
	RequestRate Metric = "request_rate" // requests a second
	CPU         Metric = "cpu"          // cores
	Memory      Metric = "memory"       // bytes, working set
	Disk        Metric = "disk"         // ratio of the volume that is used
	Network     Metric = "network"      // bytes a second, in and out
	Lag         Metric = "lag"          // messages behind
	Restarts    Metric = "restarts"     // restarts of containers within the window
	Saturation  Metric = "saturation"   // ratio of the scarcest limit that is used
	Connections Metric = "connections"  // open connections
	Queue       Metric = "queue"        // waiting items
	Throttling  Metric = "throttling"   // ratio of CPU periods in which it was held back
	Uptime      Metric = "uptime"       // seconds since the start
	Replicas    Metric = "replicas"     // pods that serve
)

// Unit is what the numbers of a series are in.
type Unit string

// The units.
const (
	Seconds   Unit = "seconds"
	Bytes     Unit = "bytes"
	Ratio     Unit = "ratio" // 0 to 1
	PerSecond Unit = "per_second"
	BytesRate Unit = "bytes_per_second"
	Cores     Unit = "cores"
	Count     Unit = "count"
)

// Point is a value at a moment. A gap is a point that is not there, never a NaN.
type Point struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}

// Series is one line of a chart.
type Series struct {
	Name   string            `json:"name"` // what a legend says: "checkout", "p99", a pod
	Labels map[string]string `json:"labels,omitempty"`
	Unit   Unit              `json:"unit"`
	Points []Point           `json:"points"` // oldest first
}

// Level is how grave a log line is.
type Level string

// The levels; "" is not known.
const (
	LevelDebug   Level = "debug"
	LevelInfo    Level = "info"
	LevelWarning Level = "warning"
	LevelError   Level = "error"
	LevelFatal   Level = "fatal"
)

// LogLine is one entry of a log, which may be several lines of text where a
// stack trace follows. What looks like a secret has been masked before a
// LogLine leaves the package that made it.
type LogLine struct {
	At        time.Time `json:"at"`
	Namespace string    `json:"namespace,omitempty"`
	Pod       string    `json:"pod,omitempty"`
	Container string    `json:"container,omitempty"`
	Level     Level     `json:"level,omitempty"`
	// Message is what a person reads: the message of a JSON or logfmt line, else the line.
	Message string `json:"message"`
	// Fields are the few others that matter, in the order of the line.
	Fields []Field `json:"fields,omitempty"`
	// Stack is the stack trace that followed, "" if none.
	Stack string `json:"stack,omitempty"`
	// Raw is the line as it was written, masked.
	Raw string `json:"raw"`
}

// Field is one value of a structured log line.
type Field struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Pattern is log lines that differ only in their variable parts.
type Pattern struct {
	Template string    `json:"template"` // with <*> for what varies
	Count    int       `json:"count"`
	Level    Level     `json:"level,omitempty"` // the gravest
	Example  LogLine   `json:"example"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// Issue is an error as an error tracker groups it.
type Issue struct {
	ID           string    `json:"id"`
	Short        string    `json:"short,omitempty"` // "CHECKOUT-12"
	Title        string    `json:"title"`
	Culprit      string    `json:"culprit,omitempty"` // the function or route
	Level        Level     `json:"level,omitempty"`
	Project      string    `json:"project"`
	Events       int       `json:"events"`
	Users        int       `json:"users"`
	First        time.Time `json:"first"`
	Last         time.Time `json:"last"`
	FirstRelease string    `json:"first_release,omitempty"`
	Regressed    bool      `json:"regressed,omitempty"`
	Link         string    `json:"link,omitempty"`
}

// Alert is an alert as Alertmanager knows it.
type Alert struct {
	Fingerprint string            `json:"fingerprint"`
	Name        string            `json:"name"`
	Severity    string            `json:"severity,omitempty"`
	Summary     string            `json:"summary,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Since       time.Time         `json:"since"`
	// SilencedBy are the ids of the silences that hold it back.
	SilencedBy []string `json:"silenced_by,omitempty"`
	// InhibitedBy are the fingerprints of the alerts that hold it back: a graver
	// one says it all.
	InhibitedBy []string `json:"inhibited_by,omitempty"`
	Link        string   `json:"link,omitempty"`
}

// Span is one step of a trace.
type Span struct {
	Trace    string        `json:"trace"`
	ID       string        `json:"id"`
	Parent   string        `json:"parent,omitempty"`
	Service  string        `json:"service"`
	Name     string        `json:"name"`
	Start    time.Time     `json:"start"`
	Duration time.Duration `json:"duration"`
	Failed   bool          `json:"failed,omitempty"`
}

// Share is how much of the time of a service's requests is spent where, along
// the critical path of their traces.
type Share struct {
	Service string        `json:"service"`
	Name    string        `json:"name,omitempty"` // the operation that takes most of it
	Self    time.Duration `json:"self"`           // a mean over the traces, without what it waits for
	Ratio   float64       `json:"ratio"`          // of the whole, 0 to 1
	Failed  float64       `json:"failed"`         // ratio of its spans that failed
}
