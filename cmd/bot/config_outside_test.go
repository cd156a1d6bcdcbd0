package main

import (
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

func TestWhatIsOutsideIsConfigured(t *testing.T) {
	c, err := loadConfig(write(t, "observability: {sentry: {url: 'http://s:9000', organization: acme, token: x, projects: {checkout: shop-checkout}}}"), vars{"ALERTMANAGER_URL": "http://demo:9093", "JAEGER_URL": "http://demo:16686"}.get)
	if err != nil || c.Observability.Alertmanager.URL != "http://demo:9093" || c.Observability.Alertmanager.SilenceFor != time.Hour || c.Observability.Sentry.Projects["checkout"] != "shop-checkout" {
		t.Errorf("%+v, %v", c.Observability, err)
	}
	out, err := c.Observability.outside(nil, nil)
	if err != nil || out.alertmanager == nil || out.sentry == nil || out.traces == nil {
		t.Errorf("%+v, %v", out, err)
	}
	if c, err = loadConfig("", vars{}.get); err != nil {
		t.Fatal(err)
	}
	if out, err := c.Observability.outside(nil, nil); err != nil || out.alertmanager != nil || out.sentry != nil || out.traces != nil {
		t.Errorf("what nobody configured is there: %+v, %v", out, err)
	}
	if b := (TempoConfig{Tenant: "shop"}).backend(); b.Headers["X-Scope-OrgID"] != "shop" {
		t.Errorf("the tenant is not sent: %v", b.Headers)
	}
	for text, want := range map[string]string{
		"{alertmanager: {url: nonsense}}":                                      "observability.alertmanager.url",
		"{alertmanager: {silence_for: 1s}}":                                    "silence_for",
		"{jaeger: {url: 'http://j'}, tempo: {url: 'http://t'}}":                "both set",
		"{sentry: {url: 'http://s:9000'}}":                                     "organization and token",
		"{sentry: {url: 'http://s:9000', organization: '../a', token: x}}":     "observability.sentry.organization",
		"{sentry: {url: 'http://s:9000', organization: a, tokn: x}}":           "observability.sentry.",
		"{alertmanager: {url: 'http://a', bearer: a, username: b}}":            "only one",
		"{sentry: {url: s9000, organization: a, token: x}}":                    "observability.sentry.url",
		"{sentry: {url: 'http://s', organization: a, token: x, ca_file: /no}}": "ca_file",
	} {
		if _, err := loadConfig(write(t, "observability: "+text), vars{}.get); fault.KindOf(err) != fault.Usage || !strings.Contains(fault.Say(err), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}
