package kube

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// readOnly lets through what only reads, and no Secret. GET is not enough of a
// rule: exec, attach, port-forward and proxy are reached by it too.
type readOnly struct{ next http.RoundTripper }

// RoundTrip refuses or passes on.
func (t readOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if why := refusedToReader(r.Method, r.URL.Path); why != "" {
		return refused(r, "I only look here: %s is not allowed.", why)
	}
	return t.next.RoundTrip(r)
}

// forChanges lets through what the verbs need, whoever they are done as and
// whatever that person may do: of reads what a Reader may, of writes those that
// writable names.
type forChanges struct{ next http.RoundTripper }

// RoundTrip refuses or passes on.
func (t forChanges) RoundTrip(r *http.Request) (*http.Response, error) {
	if why := refusedToWriter(r.Method, r.URL.Path); why != "" {
		return refused(r, "That is nothing I do: %s is not allowed.", why)
	}
	return t.next.RoundTrip(r)
}

func refused(r *http.Request, sentence, why string) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close() // the contract of RoundTripper; what it says is of no use here
	}
	return nil, fault.New(fault.Refused, sentence, why)
}

// refusedToReader names what a request does that a Reader may not, "" where it
// may.
func refusedToReader(method, path string) string {
	if method != http.MethodGet && method != http.MethodHead {
		return "the method " + strconv.Quote(method)
	}
	p, why := locate(path)
	switch {
	case why != "":
		return why
	case p.resource == "secrets":
		return "reading Secrets"
	case p.resource == "proxy" || p.resource == "redirect": // the old form, before the resource
		return "the subresource " + p.resource
	}
	switch {
	case p.sub == "", p.sub == "status", p.sub == "scale", p.sub == "log" && p.group == "" && p.resource == "pods":
		return ""
	}
	return "the subresource " + p.sub
}

// writable are the writes that some verb needs: the method, and what it is for.
// What a new verb needs is added here, where it is seen. Many objects at once,
// Secrets, rights and ways into a pod are nothing that a verb could need.
func writable(method string, p place) bool {
	const create, change, replace, remove = http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete
	what := p.resource
	if p.group != "" {
		what = p.group + "/" + what
	}
	if p.sub != "" {
		what += "/" + p.sub
	}
	return slices.Contains(map[string][]string{
		"apps/deployments":  {create, change, remove},
		"apps/statefulsets": {change},
		"apps/daemonsets":   {change},
		"pods":              {remove},
		"pods/eviction":     {create},
		"nodes":             {change},
		"services":          {create, change, remove},
		"batch/jobs":        {create, change, remove},
		"batch/cronjobs":    {change},

		"autoscaling/horizontalpodautoscalers": {create, replace, remove},

		// What owns a workload, where it is told to leave the workload alone.
		"argoproj.io/applications":                   {change},
		"kustomize.toolkit.fluxcd.io/kustomizations": {change},
		"helm.toolkit.fluxcd.io/helmreleases":        {change},
	}[what], method)
}

// refusedToWriter names what a request does that a Writer may not, "" where it
// may.
func refusedToWriter(method, path string) string {
	if method == http.MethodGet || method == http.MethodHead {
		return refusedToReader(method, path)
	}
	p, why := locate(path)
	switch {
	case why != "":
		return why
	case !writable(method, p):
		return fmt.Sprintf("%s %s", method, strings.Trim(path, "/"))
	case p.name == "" && method != http.MethodPost:
		return fmt.Sprintf("%s of all %s", method, p.resource)
	}
	return ""
}

// place is what a path is about.
type place struct{ group, resource, name, sub string }

// locate reads a path, /api/v1/… or /apis/GROUP/VERSION/…, then
// [namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE…]]. why is not "" for one that
// nobody may go.
func locate(path string) (p place, why string) {
	if path != strings.ToLower(path) && strings.Contains(strings.ToLower(path), "/secrets") {
		return p, "reading Secrets"
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for _, s := range parts { // first: what follows trusts the places of the parts
		if s == "." || s == ".." || s == "" && len(parts) > 1 {
			return p, "an unclean path"
		}
	}
	switch parts[0] {
	case "version", "readyz", "livez", "healthz":
		return p, ""
	case "api":
		parts = parts[min(2, len(parts)):]
	case "apis":
		if len(parts) > 1 {
			p.group = parts[1]
		}
		parts = parts[min(3, len(parts)):]
	default:
		return p, fmt.Sprintf("reading /%s", parts[0])
	}
	if len(parts) > 0 && parts[0] == "watch" { // the old form of watching
		parts = parts[1:]
	}
	if len(parts) >= 3 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	for i, to := range []*string{&p.resource, &p.name, &p.sub} {
		if i < len(parts) {
			*to = parts[i]
		}
	}
	return p, ""
}
