package fakenode

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLogFilesAreInCRIFormat(t *testing.T) {
	now := time.Now()
	b, err := newLogBook(t.TempDir(), now)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) F \S.*$`)
	for _, a := range logApps {
		text, err := os.ReadFile(b.path(a.name))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		if len(lines) < 100 {
			t.Errorf("%s has %d lines only", a.name, len(lines))
		}
		last := ""
		for _, l := range lines {
			if !line.MatchString(l) || regexp.MustCompile(`\{[a-z]+\}`).MatchString(l) {
				t.Fatalf("%s: %q", a.name, l)
			}
			if at := l[:30]; at < last {
				t.Fatalf("%s: %s after %s", a.name, at, last)
			} else {
				last = at
			}
		}
		if !strings.Contains(b.clusterLogs(), b.path(a.name)) {
			t.Errorf("KWOK is not told of %s", a.name)
		}
	}
}

func TestCrashLogTellsTheStoryOfTheStatus(t *testing.T) {
	start := time.Now().Add(-20 * time.Second).Truncate(time.Second)
	over := &corev1.ContainerStateTerminated{StartedAt: metav1.NewTime(start), FinishedAt: metav1.NewTime(start.Add(time.Second))}
	status := func(image string) *corev1.ContainerStatus {
		return &corev1.ContainerStatus{
			Name: "checkout", Image: image,
			State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: corev1.ContainerState{Terminated: over},
		}
	}
	b := &logBook{}
	text := func(s *corev1.ContainerStatus, previous bool) string {
		return selectLines(b.special(s, previous, time.Now()), url.Values{"timestamps": {"true"}}, time.Now())
	}
	crash := text(status("r/checkout:v2-crash"), true)
	for _, want := range []string{"starting checkout", "version=v2-crash", "panic: checkout", start.UTC().Format("15:04:05")} {
		if !strings.Contains(crash, want) {
			t.Errorf("the crash log lacks %q:\n%s", want, crash)
		}
	}
	if text(status("r/checkout:v2-crash"), false) != crash {
		t.Error("in back-off, the log is not that of the last run")
	}
	if oom := text(status("r/checkout:v2-oom"), true); strings.Contains(oom, "panic") || !strings.Contains(oom, "heap=") {
		t.Errorf("the log of an OOM kill:\n%s", oom)
	}
	if lines := b.special(status("r:5000/checkout:v2"), false, time.Now()); lines != nil {
		t.Errorf("an ordinary container has a special log: %v", lines)
	}
}

func TestSelectLines(t *testing.T) {
	now := time.Now()
	lines := []logLine{{now.Add(-3 * time.Minute), "one"}, {now.Add(-2 * time.Minute), "two"}, {now.Add(-time.Second), "three"}, {now.Add(time.Second), "not yet"}}
	for query, want := range map[string]string{
		"":                "one\ntwo\nthree\n",
		"tailLines=1":     "three\n",
		"tailLines=0":     "",
		"sinceSeconds=60": "three\n",
		"limitBytes=5":    "one\nt",
		"sinceTime=" + url.QueryEscape(now.Add(-150*time.Second).Format(time.RFC3339)): "two\nthree\n",
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := selectLines(lines, q, now); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}
