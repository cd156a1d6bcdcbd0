package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/observability/backend"
)

// looked is a back-end as doctor looks at it.
type looked struct {
	name string        // as it is called aloud
	conf BackendConfig // how it is reached
	path string        // of something small that needs the credentials
	// version finds which it is in that answer; nil where it does not say.
	version func(answer map[string]any) string
	// without says what cannot be asked where it is not configured.
	without string
}

// backends are all that may be configured.
func (c ObservabilityConfig) backends() []looked {
	inData := func(a map[string]any) string {
		data, _ := a["data"].(map[string]any)
		v, _ := data["version"].(string)
		return v
	}
	return []looked{
		{"Prometheus", c.Prometheus.BackendConfig, "/api/v1/status/buildinfo", inData, "numbers and charts are not there"},
		{"Alertmanager", c.Alertmanager.BackendConfig, "/api/v2/status", nil, "what fires is known only where its webhook calls, and nothing can be silenced"},
		{"Sentry", c.Sentry.backend(), "/api/0/organizations/" + c.Sentry.Organization + "/", nil, "errors are not grouped, and roll-outs not marked"},
		{"Jaeger", c.Jaeger.BackendConfig, "/api/services", nil, "where the time of requests goes is known only with traces"},
		{"Tempo", c.Tempo.backend(), "/api/status/buildinfo", func(a map[string]any) string { v, _ := a["version"].(string); return v }, "the same"},
		{"Loki", c.Loki.withTenant(), "/loki/api/v1/status/buildinfo", func(a map[string]any) string { v, _ := a["version"].(string); return v }, "logs are those that the pods still have"},
	}
}

// backends looks which of the back-ends answer, and as of which version.
func (d *doctor) backends(ctx context.Context, c ObservabilityConfig) {
	for _, l := range c.backends() {
		key := "observability." + strings.ToLower(l.name)
		b, err := c.backend(l.name, l.conf, nil, nil)
		if err != nil {
			d.fail(fault.Usage, "Put that right; “bot config” prints every key.", "%s: %s", l.name, fault.Say(err))
			continue
		}
		if b == nil {
			d.well("%s: off, %s.url is not set; %s", l.name, key, l.without)
			continue
		}
		version, err := l.ask(ctx, b)
		switch {
		case fault.KindOf(err) == fault.NotFound: // not each that speaks the API says what it is
			d.warn("Check that "+key+".url is the address of the API, with its path.", "%s: answers at %s, but not as expected", l.name, b.Base())
		case err != nil:
			d.fail(fault.KindOf(err), "curl -i "+b.URL(l.path, nil).String(), "%s at %s: %s", l.name, b.Base(), fault.Say(err))
		case version == "":
			d.well("%s answers at %s", l.name, b.Base())
		default:
			d.well("%s answers at %s: version %s", l.name, b.Base(), version)
		}
	}
}

// ask asks for the version, "" where there is an answer without one.
func (l looked) ask(ctx context.Context, b *backend.Client) (string, error) {
	var a map[string]any
	if err := b.JSON(ctx, http.MethodGet, l.path, nil, nil, &a); err != nil || l.version == nil {
		return "", err
	}
	return l.version(a), nil
}
