package fakenode

import (
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPodLogsAreServedByRun(t *testing.T) {
	l := &PodLogs{dir: t.TempDir()}
	start := time.Now().Add(-time.Minute)
	write := func(run int32, texts ...string) {
		t.Helper()
		var lines []Line
		for i, text := range texts {
			lines = append(lines, Line{At: start.Add(time.Duration(i) * time.Second), Text: text, Stderr: i == 0})
		}
		if err := l.Append("shop", "web-1", "web", run, lines); err != nil {
			t.Fatal(err)
		}
	}
	write(0, "first run")
	write(1, "one", "two")
	write(1, "three")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1"}}
	for query, want := range map[string]string{
		"":                "one\ntwo\nthree\n",
		"tailLines=1":     "three\n",
		"previous=true":   "first run\n",
		"sinceSeconds=30": "",
	} {
		q, _ := url.ParseQuery(query)
		rec := httptest.NewRecorder()
		if !l.serve(t.Context(), rec, pod, &corev1.ContainerStatus{Name: "web", RestartCount: 1}, q) || rec.Body.String() != want {
			t.Errorf("%q gives %q, want %q", query, rec.Body, want)
		}
	}
	if l.serve(t.Context(), httptest.NewRecorder(), pod, &corev1.ContainerStatus{Name: "envoy"}, nil) {
		t.Error("a container without a file has a log")
	}
	// Followed, what is added later comes too.
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	time.AfterFunc(300*time.Millisecond, func() { write(1, "four") })
	rec := httptest.NewRecorder()
	l.serve(ctx, rec, pod, &corev1.ContainerStatus{Name: "web", RestartCount: 1}, url.Values{"follow": {"true"}})
	if !strings.HasSuffix(rec.Body.String(), "three\nfour\n") {
		t.Errorf("followed: %q", rec.Body)
	}
}

func TestUsageTakesTheAnnotationsPlace(t *testing.T) {
	text := `# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="web",namespace="shop",pod="web-1"} 7
container_cpu_usage_seconds_total{container="envoy",namespace="shop",pod="web-1"} 2
container_memory_working_set_bytes{container="web",namespace="shop",pod="web-1"} 1e+06 1700000000000
container_cpu_usage_seconds_total{container="web",namespace="shop",pod="other"} 9
pod_cpu_usage_seconds_total{namespace="shop",pod="web-1"} 9
pod_cpu_usage_seconds_total{namespace="shop",pod="other"} 9
node_cpu_usage_seconds_total 18
`
	got := Usage(func(_, pod, container string) (float64, float64, bool) {
		return 100, 5e7, pod == "web-1" && container == "web"
	}).tell(text)
	for _, want := range []string{
		`{container="web",namespace="shop",pod="web-1"} 100` + "\n", `{container="envoy",namespace="shop",pod="web-1"} 2` + "\n",
		`pod="web-1"} 5e+07 1700000000000` + "\n", `pod="other"} 9` + "\n", `pod_cpu_usage_seconds_total{namespace="shop",pod="web-1"} 102` + "\n",
		"node_cpu_usage_seconds_total 18\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}
