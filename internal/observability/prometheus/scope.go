package prometheus

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// matcher is a matcher of labels whose value may have placeholders.
type matcher struct{ label, op, value string }

var matcherForm = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)(=~|!~|!=|=)(".*")$`)

func parseScope(all []string) ([]matcher, error) {
	var out []matcher
	for _, s := range all {
		m := matcherForm.FindStringSubmatch(strings.TrimSpace(s))
		var v string
		var err error
		if m != nil {
			v, err = strconv.Unquote(m[3])
		}
		if m == nil || err != nil {
			return nil, fault.New(fault.Usage, `a matcher is like namespace="$namespace", not %s`, s)
		}
		if regular := strings.HasSuffix(m[2], "~"); !regular && (strings.Contains(v, "$pods") || strings.Contains(v, "$services")) {
			return nil, fault.New(fault.Usage, `$pods and $services are regular expressions: write %s=~%s`, m[1], m[3])
		} else if regular {
			if _, err := regexp.Compile(strings.NewReplacer("$pods", "a", "$services", "a", "$namespace", "a", "$name", "a", "$kind", "a").Replace(v)); err != nil {
				return nil, fault.New(fault.Usage, "%s is no regular expression", m[3])
			}
		}
		out = append(out, matcher{m[1], m[2], v})
	}
	return out, nil
}

// The names that Kubernetes makes: of a ReplicaSet's hash and of what is added
// to a name to make it one of its kind. Neither has vowels, so that cart-api-…
// is never taken for a pod of cart.
const (
	hash   = "[bcdfghjklmnpqrstvwxz2456789]{1,10}"
	suffix = "[bcdfghjklmnpqrstvwxz2456789]{5}"
)

// podsOf is the regular expression of a workload's pods, those of the past too.
func podsOf(t observability.Target) string {
	name := regexp.QuoteMeta(strings.ToValidUTF8(t.Name, "?"))
	var all []string
	switch t.Kind {
	case "Deployment", "Rollout":
		all = append(all, name+"-"+hash+"-"+suffix)
	case "StatefulSet":
		all = append(all, name+"-[0-9]+")
	case "DaemonSet", "ReplicaSet", "Job":
		all = append(all, name+"-"+suffix)
	case "CronJob":
		all = append(all, name+"-[0-9]+-"+suffix)
	case "Pod":
		all = append(all, name)
	default:
		all = append(all, name+"(-"+hash+")?-("+suffix+"|[0-9]+)")
	}
	known, err := regexp.Compile("^(?:" + all[0] + ")$")
	for _, p := range t.Pods { // whoever named them otherwise
		if len(all) < 100 && err == nil && !known.MatchString(p) {
			all = append(all, regexp.QuoteMeta(strings.ToValidUTF8(p, "?")))
		}
	}
	return strings.Join(all, "|")
}

func servicesOf(t observability.Target) string {
	var all []string
	for _, s := range append(slices.Clone(t.Services), t.Name) {
		if q := regexp.QuoteMeta(s); s != "" && !slices.Contains(all, q) {
			all = append(all, q)
		}
	}
	return strings.Join(all, "|")
}

// workload takes the name of a pod apart. What no controller named is a
// workload of its own.
func workload(pod string) string {
	for _, r := range []*regexp.Regexp{ofReplicaSet, ofCronJob, ofSet, numbered} {
		if m := r.FindStringSubmatch(pod); m != nil {
			return m[1]
		}
	}
	return pod
}

var (
	ofReplicaSet = regexp.MustCompile("^(.+)-[bcdfghjklmnpqrstvwxz2456789]{8,10}-" + suffix + "$")
	ofCronJob    = regexp.MustCompile("^(.+)-[0-9]{8}-" + suffix + "$")
	ofSet        = regexp.MustCompile("^(.+)-" + suffix + "$")
	numbered     = regexp.MustCompile("^(.+)-[0-9]+$")
)

// render writes the matchers of a target, and reports whether they say all that
// they must: what is about all of a namespace, of a cluster or of the nodes loses
// the matchers that tell workloads apart, and has to keep one that names the
// namespace. Every value is quoted: names come from elsewhere.
func render(scope []matcher, t observability.Target, extra ...matcher) (string, bool) {
	whole := t.Name == ""
	var out []string
	said := !whole || t.Namespace == ""
	kind := cmp.Or(strings.ToLower(t.Kind), "deployment")
	for _, m := range append(slices.Clone(scope), extra...) {
		v := m.value
		if strings.Contains(v, "$namespace") {
			if t.Namespace == "" {
				continue
			}
			said = true
		}
		if whole {
			rest := strings.ReplaceAll(v, "$namespace", "")
			switch {
			case rest == v && strings.ContainsAny(rest, "$"):
				continue
			case strings.Contains(rest, "(?:$services)"): // namespace-service-port of Traefik
				v = strings.ReplaceAll(v, "(?:$services)", ".*")
			case strings.Contains(rest, "$"):
				continue
			}
		}
		quote := func(s string) string { return s }
		if strings.HasSuffix(m.op, "~") {
			quote = regexp.QuoteMeta
		}
		v = strings.NewReplacer("$namespace", quote(t.Namespace), "$name", quote(t.Name), "$kind", quote(kind),
			"$pods", podsOf(t), "$services", servicesOf(t)).Replace(v)
		out = append(out, strings.ReplaceAll(m.label, "kind__", kind)+m.op+strconv.Quote(v))
	}
	return strings.Join(out, ","), said
}
