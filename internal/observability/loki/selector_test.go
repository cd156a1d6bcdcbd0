package loki

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// TestSelectors holds for the labels that agents write how a workload is found.
func TestSelectors(t *testing.T) {
	web := observability.Target{Namespace: "shop", Kind: "Deployment", Name: "web", Labels: map[string]string{"app.kubernetes.io/name": "storefront"}}
	for name, tt := range map[string]struct {
		target observability.Target
		there  []map[string]string
		want   string
	}{
		"Promtail":               {web, []map[string]string{{"namespace": "shop", "app": "web", "pod": "web-7d4b9c6f5-x2x8k", "container": "web", "job": "shop/web"}}, `{namespace="shop", pod=~"web-[a-z0-9]{6,10}-[a-z0-9]{5}"}`},
		"not that of web-admin":  {web, []map[string]string{{"namespace": "shop", "pod": "web-admin-7d4b9c6f5-x2x8k"}}, ``},
		"not that of elsewhere":  {web, []map[string]string{{"namespace": "staging", "app": "web"}}, ``},
		"by a label":             {web, []map[string]string{{"namespace": "shop", "service_name": "web"}}, `{namespace="shop", service_name="web"}`},
		"by a label of its pods": {web, []map[string]string{{"namespace": "shop", "app": "storefront"}}, `{namespace="shop", app="storefront"}`},
		"by the job":             {web, []map[string]string{{"job": "shop/web"}}, `{job="shop/web"}`},
		"OpenTelemetry":          {web, []map[string]string{{"k8s_namespace_name": "shop", "k8s_deployment_name": "web"}}, `{k8s_namespace_name="shop", k8s_deployment_name="web"}`},
		"by the container":       {web, []map[string]string{{"namespace": "shop", "container": "web"}}, `{namespace="shop", container="web"}`},
		"a StatefulSet":          {observability.Target{Namespace: "shop", Kind: "StatefulSet", Name: "redis"}, []map[string]string{{"namespace": "shop", "pod": "redis-0"}, {"namespace": "shop", "pod": "redis-cache-0"}}, `{namespace="shop", pod=~"redis-[0-9]+"}`},
		"one pod":                {observability.Target{Namespace: "shop", Kind: "Pod", Name: "redis-0"}, []map[string]string{{"namespace": "shop", "pod": "redis-0"}}, `{namespace="shop", pod="redis-0"}`},
	} {
		seen := map[string]bool{}
		for _, s := range tt.there {
			for l := range s {
				seen[l] = true
			}
		}
		var labels []string
		for l := range seen {
			labels = append(labels, l)
		}
		if got := choose(candidates(tt.target, labels), tt.there).text; got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestLevelPatternLetsEnoughThrough holds that no line which is found to be
// grave is left in Loki.
func TestLevelPatternLetsEnoughThrough(t *testing.T) {
	for _, line := range []string{
		`{"level":"error","msg":"x"}`, `{"level":50,"msg":"x"}`, `{"level":60}`, `{"lvl":"E","m":1}`, `level=crit msg=x`, `{"severity":"CRITICAL"}`, `severity=f`, `E1121 17:48:05.123456       1 a.go:1] x`,
		`F1121 17:48:05.123456       1 a.go:1] x`, `10.0.0.1 "GET / HTTP/1.1" 502 0 1ms`, `{"status":500}`, `job=1 state=failed`, `2026/11/21 17:48:05 [emerg] x`, `panic: x`, `[alert] x`, `SEVERE: x`,
		`Traceback (most recent call last):`, `java.lang.IllegalStateException: x`, `KeyboardInterrupt`, `StopIteration`, `2026-11-21 03:00:00 E x`, "EROR x y", `{"level":"dpanic"}`, `{"level":"ftl"}`,
	} {
		l := logs.Parse(time.Time{}, line)
		for _, level := range []observability.Level{observability.LevelError, observability.LevelWarning} {
			re := regexp.MustCompile(levelPattern(level))
			if logs.AtLeast(l.Level, level) && l.Level != "" && !re.MatchString(line) {
				t.Errorf("%s: %q (%s) stays in Loki", level, line, l.Level)
			}
		}
	}
	if re := regexp.MustCompile(levelPattern(observability.LevelError)); re.MatchString(`{"level":"info","msg":"order placed"}`) {
		t.Error("everything is let through")
	}
}

// FuzzLogQL holds that nothing which is asked for ends the text in which it
// stands: whatever it is, the query has the same shape.
func FuzzLogQL(f *testing.F) {
	f.Add("web", "shop", `timeout"} | line_format "`, "`", "c\\")
	f.Fuzz(func(t *testing.T, name, namespace, filter, exclude, container string) {
		target := observability.Target{Namespace: namespace, Kind: "Deployment", Name: name}
		for _, way := range candidates(target, []string{"namespace", "app", "pod", "job", "container"}) {
			s := selector{text: render(way), container: "container"}
			rest := s.logql(logs.Query{Filter: filter, Exclude: exclude, Container: container})
			shape := ""
			for rest != "" {
				i := strings.IndexByte(rest, '"')
				if i < 0 {
					shape += rest
					break
				}
				shape += rest[:i] + "_"
				text, err := strconv.QuotedPrefix(rest[i:])
				if err != nil {
					t.Fatalf("a text without end in %q", rest)
				}
				rest = rest[i+len(text):]
			}
			if strings.ContainsAny(shape, "`\\\n") || strings.Count(shape, "{") != 1 || strings.Count(shape, "}") != 1 || strings.Count(shape, "|") > 1 {
				t.Fatalf("the shape is %q", shape)
			}
		}
	})
}
