package main

import (
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

func TestBackEndsAreConfigured(t *testing.T) {
	file := write(t, "observability: {timeout: 5s, prometheus: {url: 'http://file:9090', password_env: PW, username: me, headers: {X-Scope-OrgID: shop}}}")
	c, err := loadConfig(file, vars{"PW": "hunter2", "PROMETHEUS_URL": "http://demo:9090"}.get)
	if o := c.Observability; err != nil || o.Timeout != 5*time.Second || o.Prometheus.URL != "http://file:9090" || o.Prometheus.Password != "hunter2" || o.Prometheus.Headers["X-Scope-OrgID"] != "shop" {
		t.Errorf("read %+v, %v; the file counts more than what other programs know too", o, err)
	}
	b, err := c.Observability.backend("Prometheus", c.Observability.Prometheus.BackendConfig, nil, nil)
	if err != nil || !strings.HasPrefix(b.Header().Get("Authorization"), "Basic ") || b.Header().Get("X-Scope-OrgID") != "shop" {
		t.Errorf("the back-end would see %v, %v", b.Header(), err)
	}
	c, err = loadConfig("", vars{"PROMETHEUS_URL": "http://demo:9090"}.get)
	if err != nil || c.Observability.Prometheus.URL != "http://demo:9090" || c.Observability.Timeout != 2*time.Second {
		t.Errorf("read %+v, %v", c.Observability, err)
	}
	c, err = loadConfig("", vars{"PROMETHEUS_URL": "http://demo:9090", "FIRSTMATE_OBSERVABILITY_PROMETHEUS_URL": "http://mine:9090"}.get)
	if err != nil || c.Observability.Prometheus.URL != "http://mine:9090" {
		t.Errorf("read %+v, %v", c.Observability, err)
	}
	if p, err := c.Observability.prometheus("home", nil, nil); p == nil || err != nil {
		t.Errorf("%v, %v", p, err)
	}
	if b, err := c.Observability.backend("Loki", BackendConfig{}, nil, nil); b != nil || err != nil {
		t.Errorf("a back-end without a url is %v, %v", b, err)
	}
	for text, want := range map[string]string{
		"{prometheus: {families: [{metric: speed, query: x}]}}": "observability.prometheus.families: speed",
		"{timeout: 0s}":                                             "observability.timeout",
		"{prometheus: {url: 'host:9090'}}":                          "observability.prometheus.url",
		"{prometheus: {adress: x}}":                                 "observability.prometheus.",
		"{prometheus: {url: 'http://x', bearer: a, username: b}}":   "only one",
		"{prometheus: {url: 'http://x', ca_file: /does/not/exist}}": "ca_file",
	} {
		if _, err := loadConfig(write(t, "observability: "+text), vars{}.get); fault.KindOf(err) != fault.Usage || !strings.Contains(fault.Say(err), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
	if s := bprint("%+v", c.Observability) + bprint("%#v", BackendConfig{Bearer: "hunter2", Headers: map[string]Secret{"a": "hunter2"}}); strings.Contains(s, "hunter2") {
		t.Error("a secret is printed: " + s)
	}
}
