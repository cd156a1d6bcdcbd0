package loki

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/logs"
)

// selector is how the streams of a workload are chosen.
type selector struct {
	match     []matcher
	text      string // {namespace="shop", app="web"}; "" where there are none
	container string // the label that names the container, "" where none does
	pod       string // and the pod
}

// matcher is one condition of a selector.
type matcher struct {
	label, value string
	regexp       bool
	compiled     *regexp.Regexp // of a regexp
}

// like is a condition that a label has to match as a whole. An expression that
// is none matches nothing.
func like(expr string) matcher {
	re, err := regexp.Compile("^(?:" + expr + ")$")
	if err != nil {
		re = nil
	}
	return matcher{value: expr, regexp: true, compiled: re}
}

func (m matcher) String() string {
	if m.regexp {
		return m.label + "=~" + strconv.Quote(m.value)
	}
	return m.label + "=" + strconv.Quote(m.value)
}

func (m matcher) fits(labels map[string]string) bool {
	v, ok := labels[m.label]
	if !ok || !m.regexp {
		return ok && v == m.value
	}
	return m.compiled != nil && m.compiled.MatchString(v)
}

// The names that agents give to what Kubernetes knows, the most usual first.
func namespaceLabels() []string {
	return []string{"namespace", "k8s_namespace_name", "kubernetes_namespace_name", "kubernetes_namespace", "exported_namespace"}
}

func podLabels() []string {
	return []string{"pod", "k8s_pod_name", "pod_name", "kubernetes_pod_name"}
}

func containerLabels() []string {
	return []string{"container", "k8s_container_name", "container_name", "kubernetes_container_name"}
}

func nameLabels() []string {
	return []string{"app", "app_kubernetes_io_name", "k8s_deployment_name", "k8s_statefulset_name", "k8s_daemonset_name", "deployment", "workload", "service_name", "service", "component"}
}

// podNames is what the pods of a workload are called, those that are gone
// included.
func podNames(t observability.Target) matcher {
	const id, hash = "[a-z0-9]{5}", "[a-z0-9]{6,10}"
	name := regexp.QuoteMeta(t.Name)
	switch t.Kind {
	case "Pod":
		return matcher{value: t.Name}
	case "StatefulSet":
		return like(name + "-[0-9]+")
	case "DaemonSet", "Job":
		return like(name + "-" + id)
	case "CronJob":
		return like(name + "-[0-9]+-" + id)
	}
	return like(name + "-" + hash + "-" + id)
}

// candidates are the ways in which the streams of a target might be chosen, the
// surest first: by its pods, by a label that names it, by its containers.
func candidates(t observability.Target, labels []string, cluster ...matcher) [][]matcher {
	has := func(l string) bool { return slices.Contains(labels, l) }
	var space []matcher
	for _, l := range namespaceLabels() {
		if has(l) {
			space = []matcher{{label: l, value: t.Namespace}}
			break
		}
	}
	var out [][]matcher
	add := func(m ...matcher) { out = append(out, slices.Concat(cluster, space, m)) }
	for _, l := range podLabels() {
		if m := podNames(t); has(l) && t.Name != "" {
			m.label = l
			add(m)
		}
	}
	names := []string{t.Name}
	for _, key := range []string{"app.kubernetes.io/name", "app", "k8s-app", "app.kubernetes.io/instance"} {
		if v := t.Labels[key]; v != "" && !slices.Contains(names, v) {
			names = append(names, v)
		}
	}
	for _, name := range names {
		for _, l := range nameLabels() {
			if has(l) {
				add(matcher{label: l, value: name})
			}
		}
	}
	if has("job") {
		for _, name := range names {
			if t.Namespace != "" {
				out = append(out, slices.Concat(cluster, []matcher{{label: "job", value: t.Namespace + "/" + name}}))
			}
			if space != nil {
				add(matcher{label: "job", value: name})
			}
		}
	}
	for _, l := range containerLabels() {
		if has(l) && space != nil {
			add(matcher{label: l, value: t.Name})
		}
	}
	return out
}

// choose picks the surest way that finds anything.
func choose(ways [][]matcher, there []map[string]string) selector {
	for _, way := range ways {
		for _, labels := range there {
			if slices.ContainsFunc(way, func(m matcher) bool { return !m.fits(labels) }) {
				continue
			}
			s := selector{match: way, text: render(way)}
			for _, l := range containerLabels() {
				if _, ok := labels[l]; ok {
					s.container = cmp.Or(s.container, l)
				}
			}
			for _, l := range podLabels() {
				if _, ok := labels[l]; ok {
					s.pod = cmp.Or(s.pod, l)
				}
			}
			return s
		}
	}
	return selector{}
}

func render(ms []matcher) string {
	parts := make([]string, len(ms))
	for i, m := range ms {
		parts[i] = m.String()
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// errNothing says that no stream is a workload's.
func errNothing(name string) error {
	return fault.New(fault.NotFound, "Loki knows no stream of %s.", name)
}

// logql is the query for what is asked, as far as Loki can do it: it may give
// more than is wanted, never less.
func (s selector) logql(q logs.Query) string {
	text := s.text
	if q.Container != "" && q.Container != "init" && s.container != "" {
		text = strings.TrimSuffix(text, "}") + ", " + matcher{label: s.container, value: q.Container}.String() + "}"
	}
	if q.Filter != "" {
		text += " |~ " + strconv.Quote("(?i)"+regexp.QuoteMeta(q.Filter))
	} else if p := levelPattern(q.Level); p != "" {
		text += harmless + " |~ " + strconv.Quote(p)
	}
	if q.Exclude != "" {
		text += " !~ " + strconv.Quote("(?i)"+regexp.QuoteMeta(q.Exclude))
	}
	return text
}

// harmless leaves out what Loki itself found to be of no grave level when it took
// the line in. That costs it a tenth of the expression behind, which looks at
// each line; where it finds no levels out, all lines pass.
const harmless = ` | ` + levelLabel + `!~"(?i)trace|debug|info"`

// levelLabel is where Loki says of which level it takes a line to be.
const levelLabel = "detected_level"

// levelPattern lets through what may be of a level or graver, and the lines of
// stack traces. Which level a line has is found out afterwards.
func levelPattern(l observability.Level) string {
	p := `(?i)err|eror|fatal|panic|crit|emerg|alert|exception|severe|fail|traceback|unhandled|uncaught|caused by|throwable|interrupt|iteration|` +
		`l(e)?ve?l[^a-z0-9]{1,4}(e|f|ftl|eror|50|60)\b|sever[a-z]*[^a-z0-9]{1,4}(e|f|50|60)\b|\b5[0-9][0-9]\b|^[EF][0-9]{4} |^\s|^goroutine|^created by|^exit status|\[signal|\)$|\b[EF]\b`
	switch l {
	case observability.LevelError, observability.LevelFatal:
		return p
	case observability.LevelWarning:
		return p + `|warn|wrn|\b40\b|^W[0-9]{4} |#|\bW\b`
	}
	return ""
}
