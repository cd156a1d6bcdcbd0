package fakenode

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	criapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	crilogs "k8s.io/cri-client/pkg/logs"
)

// PodLogs are log files of containers, one for each run of each, laid out as on
// a node. A container that has none gets the log of its application.
type PodLogs struct{ dir string }

// Line is a line of a container's log.
type Line struct {
	At     time.Time
	Stderr bool
	Text   string
}

func (l *PodLogs) path(namespace, pod, container string, run int32) string {
	// Names of objects hold no underscore.
	return filepath.Join(l.dir, namespace+"_"+pod+"_"+container, fmt.Sprintf("%d.log", run))
}

// Append adds lines to the log of a container's run-th restart.
func (l *PodLogs) Append(namespace, pod, container string, run int32, lines []Line) error {
	path := l.path(namespace, pod, container, run)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if os.IsNotExist(err) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			f, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		}
	}
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, line := range lines {
		stream := "stdout"
		if line.Stderr {
			stream = "stderr"
		}
		w.WriteString(line.At.UTC().Format("2006-01-02T15:04:05.000000000Z07:00") + " " + stream + " F " + line.Text + "\n")
	}
	err = w.Flush()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// Forget removes the logs of a pod that is gone.
func (l *PodLogs) Forget(namespace, pod, container string) error {
	return os.RemoveAll(filepath.Dir(l.path(namespace, pod, container, 0)))
}

// serve answers for a container that has a file, and says whether it has.
func (l *PodLogs) serve(ctx context.Context, w http.ResponseWriter, pod *corev1.Pod, s *corev1.ContainerStatus, q url.Values) bool {
	run := s.RestartCount
	if q.Get("previous") == "true" && s.State.Waiting == nil {
		run-- // one that waits to be started again is not counted yet
	}
	path := l.path(pod.Namespace, pod.Name, s.Name, run)
	if _, err := os.Stat(path); err != nil {
		return false
	}
	opts := &crilogs.LogOptions{Follow: q.Get("follow") == "true" && q.Get("previous") != "true", Timestamp: q.Get("timestamps") == "true"}
	opts.Since, _ = time.Parse(time.RFC3339, q.Get("sinceTime"))
	if n, err := strconv.Atoi(q.Get("sinceSeconds")); err == nil {
		opts.Since = time.Now().Add(-time.Duration(n) * time.Second)
	}
	if n, err := strconv.ParseInt(q.Get("tailLines"), 10, 64); err == nil && n >= 0 {
		opts.TailLines = &n
	}
	if n, err := strconv.ParseInt(q.Get("limitBytes"), 10, 64); err == nil && n > 0 {
		opts.LimitBytes = &n
	}
	w.Header().Set("Content-Type", "text/plain")
	var out io.Writer = flusher{w}
	if !opts.Follow {
		// Not line by line as a kubelet does it: a cluster's kubelets have each its
		// own machine, these have one together, with who reads.
		b := bufio.NewWriterSize(w, 32<<10)
		defer b.Flush()
		out = b
	}
	// The kubelet's own reader: what it does at the edges is what we want.
	if err := crilogs.ReadLogs(ctx, path, "", opts, noRuntime{}, out, out); err != nil && ctx.Err() == nil {
		fmt.Fprintf(out, "reading the log: %v\n", err)
	}
	return true
}

// flusher sends every line at once, to who follows.
type flusher struct{ http.ResponseWriter }

func (f flusher) Write(b []byte) (int, error) {
	n, err := f.ResponseWriter.Write(b)
	if fl, ok := f.ResponseWriter.(http.Flusher); ok {
		fl.Flush()
	}
	return n, err
}

// noRuntime is asked whether a container still runs, and does not know.
type noRuntime struct{ criapi.RuntimeService }

func (noRuntime) ContainerStatus(context.Context, string, bool) (*runtimeapi.ContainerStatusResponse, error) {
	return nil, status.Error(codes.Unavailable, "there is no runtime")
}
