package fakenode

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Usage tells what containers use, for metrics-server and so for autoscalers. ok
// is false for a container that is not known; it uses what its pod's annotations
// say.
type Usage func(namespace, pod, container string) (cpuSeconds, memoryBytes float64, ok bool)

// labelled is a sample of the kubelet's resource metrics.
var labelled = regexp.MustCompile(`^(container|pod)_(cpu_usage_seconds_total|memory_working_set_bytes)\{([^}]*)\} (\S+)(.*)$`)

var labelPair = regexp.MustCompile(`(\w+)="([^"]*)"`)

// tell puts what usage knows into an answer of KWOK's kubelet. A pod's sum is
// that of its containers, which stand before it.
func (usage Usage) tell(text string) string {
	type key struct{ metric, namespace, pod string }
	sums, known := map[key]float64{}, map[key]bool{}
	var pods []int
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		m := labelled.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		if m[1] == "pod" {
			pods = append(pods, i)
			continue
		}
		labels := labelsOf(m[3])
		k := key{m[2], labels["namespace"], labels["pod"]}
		cpu, memory, ok := usage(k.namespace, k.pod, labels["container"])
		if !ok {
			v, _ := strconv.ParseFloat(m[4], 64)
			sums[k] += v
			continue
		}
		v := memory
		if m[2] == "cpu_usage_seconds_total" {
			v = cpu
		}
		sums[k] += v
		known[k] = true
		lines[i] = m[1] + "_" + m[2] + "{" + m[3] + "} " + strconv.FormatFloat(v, 'g', -1, 64) + m[5] + "\n"
	}
	for _, i := range pods {
		m := labelled.FindStringSubmatch(strings.TrimSuffix(lines[i], "\n"))
		labels := labelsOf(m[3])
		if k := (key{m[2], labels["namespace"], labels["pod"]}); known[k] {
			lines[i] = m[1] + "_" + m[2] + "{" + m[3] + "} " + strconv.FormatFloat(sums[k], 'g', -1, 64) + m[5] + "\n"
		}
	}
	return strings.Join(lines, "")
}

func labelsOf(s string) map[string]string {
	labels := map[string]string{}
	for _, m := range labelPair.FindAllStringSubmatch(s, -1) {
		labels[m[1]] = m[2]
	}
	return labels
}

// rewrite changes an answer on its way from KWOK to metrics-server.
func (k *kubelet) rewrite(res *http.Response) error {
	usage := k.usage.Load()
	if usage == nil || !strings.HasSuffix(res.Request.URL.Path, "/metrics/resource") || res.StatusCode != http.StatusOK {
		return nil
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return err
	}
	b = []byte(usage.tell(string(b)))
	res.Body = io.NopCloser(bytes.NewReader(b))
	res.ContentLength = int64(len(b))
	res.Header.Set("Content-Length", strconv.Itoa(len(b)))
	return nil
}
