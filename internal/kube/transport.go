package kube

import (
	"fmt"
	"net/http"
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
		if r.Body != nil {
			_ = r.Body.Close() // the contract of RoundTripper; what it says is of no use here
		}
		return nil, fault.New(fault.Refused, "I only look here: %s is not allowed.", why)
	}
	return t.next.RoundTrip(r)
}

// refusedToReader names what a request does that a Reader may not, "" where it
// may. Paths: /api/v1/… and /apis/GROUP/VERSION/…, then
// [namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE…]].
func refusedToReader(method, path string) string {
	if method != http.MethodGet && method != http.MethodHead {
		return "the method " + strconv.Quote(method)
	}
	if path != strings.ToLower(path) && strings.Contains(strings.ToLower(path), "/secrets") {
		return "reading Secrets"
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for _, p := range parts { // first: what follows trusts the places of the parts
		if p == "." || p == ".." || p == "" && len(parts) > 1 {
			return "an unclean path"
		}
	}
	switch parts[0] {
	case "version", "readyz", "livez", "healthz":
		return ""
	case "api":
		parts = parts[min(2, len(parts)):]
	case "apis":
		parts = parts[min(3, len(parts)):]
	default:
		return fmt.Sprintf("reading /%s", parts[0])
	}
	if len(parts) > 0 && parts[0] == "watch" { // the old form of watching
		parts = parts[1:]
	}
	if len(parts) >= 3 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	if len(parts) > 0 {
		switch parts[0] {
		case "secrets":
			return "reading Secrets"
		case "proxy", "redirect": // the old form, before the resource
			return "the subresource " + parts[0]
		}
	}
	if len(parts) >= 3 {
		switch parts[2] {
		case "log", "status", "scale":
		default:
			return "the subresource " + parts[2]
		}
	}
	return ""
}
