package main

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/action"
	"github.com/firstmate-ops/firstmate/internal/channel/alerts"
	"github.com/firstmate-ops/firstmate/internal/diagnosis/collect"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/gate/compare"
	"github.com/firstmate-ops/firstmate/internal/observability"
	"github.com/firstmate-ops/firstmate/internal/observability/alertmanager"
	"github.com/firstmate-ops/firstmate/internal/observability/sentry"
	"github.com/firstmate-ops/firstmate/internal/observability/traces"
	"github.com/firstmate-ops/firstmate/internal/silencer"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// AlertmanagerConfig is where alerts are.
type AlertmanagerConfig struct {
	BackendConfig  `yaml:",inline"`
	SilenceFor     time.Duration `yaml:"silence_for" doc:"How long a silence holds where nobody says for how long."`
	AcknowledgeFor time.Duration `yaml:"acknowledge_for" doc:"How long an acknowledged alert is quiet."`
}

// SentryConfig is where errors are grouped.
type SentryConfig struct {
	URL          string            `yaml:"url" doc:"Your own Sentry, or https://sentry.io. Empty: it is not used."`
	Organization string            `yaml:"organization" doc:"The organization's slug."`
	Token        Secret            `yaml:"token" doc:"Of an internal integration, with event:read and project:releases."`
	Environments map[string]string `yaml:"environments" doc:"What Sentry calls a namespace in deploys, where that is called otherwise, as in {shop: production}."`
	Projects     map[string]string `yaml:"projects" doc:"The project that a workload reports to, where that is called otherwise, as in {checkout: shop-checkout}."`
	CAFile       string            `yaml:"ca_file" doc:"PEM of the authorities to trust beside the system's."`
}

// JaegerConfig is where traces are.
type JaegerConfig struct {
	BackendConfig `yaml:",inline"`
}

// TempoConfig is where traces are, instead.
type TempoConfig struct {
	BackendConfig `yaml:",inline"`
	Tenant        string `yaml:"tenant" doc:"The tenant of a Tempo that has several, which is sent as X-Scope-OrgID."`
}

// backend is how Tempo is reached.
func (c TempoConfig) backend() BackendConfig {
	b := c.BackendConfig
	if c.Tenant != "" {
		b.Headers = maps.Clone(b.Headers)
		if b.Headers == nil {
			b.Headers = map[string]Secret{}
		}
		b.Headers["X-Scope-OrgID"] = Secret(c.Tenant)
	}
	return b
}

// backend is how Sentry is reached.
func (c SentryConfig) backend() BackendConfig {
	return BackendConfig{URL: c.URL, Bearer: c.Token, CAFile: c.CAFile}
}

func alertmanagerDefaults() AlertmanagerConfig {
	return AlertmanagerConfig{SilenceFor: time.Hour, AcknowledgeFor: time.Hour}
}

// outside is what firstmate asks that is neither a cluster nor its metrics and
// logs; what is not configured is nil.
type outside struct {
	alertmanager *alertmanager.Client
	sentry       *sentry.Client
	traces       *traces.Client
	board        *alertmanager.Board // what the webhook told

	held *held // what it holds back from whom; nil: everybody may know all
}

// checkOutside refuses what would only fail later.
func (c ObservabilityConfig) checkOutside() error {
	if c.Alertmanager.SilenceFor < time.Minute || c.Alertmanager.AcknowledgeFor < time.Minute {
		return fault.New(fault.Usage, "observability.alertmanager.silence_for and acknowledge_for are durations like 1h.")
	}
	if s := c.Sentry; s.URL != "" && (s.Organization == "" || s.Token == "") {
		return fault.New(fault.Usage, "observability.sentry needs url, organization and token.")
	}
	if c.Jaeger.URL != "" && c.Tempo.URL != "" {
		return fault.New(fault.Usage, "observability.jaeger.url and observability.tempo.url are both set; I look for traces in one place only. Remove one of them.")
	}
	_, err := c.outside(nil, nil)
	return err
}

// outside makes the clients; none of them talks to anybody yet.
func (c ObservabilityConfig) outside(log *slog.Logger, observe func(name, result string, took time.Duration)) (outside, error) {
	var out outside
	b, err := c.backend("Alertmanager", c.Alertmanager.BackendConfig, log, observe)
	if err != nil {
		return out, err
	}
	if b != nil {
		out.alertmanager = alertmanager.New(b)
	}
	if b, err = c.backend("Jaeger", c.Jaeger.BackendConfig, log, observe); err != nil {
		return out, err
	}
	if b != nil {
		out.traces = traces.NewJaeger(b)
	}
	if b, err = c.backend("Tempo", c.Tempo.backend(), log, observe); err != nil {
		return out, err
	}
	if b != nil {
		out.traces = traces.NewTempo(b)
	}
	s := c.Sentry
	if b, err = c.backend("Sentry", s.backend(), log, observe); err != nil || b == nil {
		return out, err
	}
	out.sentry, err = sentry.New(b, sentry.Options{Organization: s.Organization, Projects: s.Projects, Environments: s.Environments})
	return out, err
}

// equip gives the crew what it asks.
func (o outside) equip(crew *skill.Crew, c ObservabilityConfig) {
	from := skill.Alerts{SilenceFor: c.Alertmanager.SilenceFor, AcknowledgeFor: c.Alertmanager.AcknowledgeFor, Now: time.Now}
	switch {
	case o.alertmanager == nil:
	case o.held != nil:
		from.Manager = heldAlerts{*o.held, o.alertmanager, o.alertmanager.Silences}
	default:
		from.Manager = o.alertmanager
	}
	switch {
	case o.board == nil:
	case o.held != nil:
		from.Heard = heldAlerts{*o.held, o.board, nil}
	default:
		from.Heard = o.board
	}
	crew.UseAlerts(from)
	switch {
	case o.sentry == nil:
	case o.held != nil:
		crew.UseErrors(heldErrors{*o.held, o.sentry}, time.Now).MarkDeploys(o.sentry)
	default:
		crew.UseErrors(o.sentry, time.Now).MarkDeploys(o.sentry)
	}
	switch {
	case o.traces == nil:
	case o.held != nil:
		crew.UseTraces(heldTraces{*o.held, o.traces}, time.Now)
	default:
		crew.UseTraces(o.traces, time.Now)
	}
}

// before puts who makes silences before the Writer of the clusters.
func (o outside) before(w action.Writer) action.Writer {
	if o.alertmanager == nil {
		return w
	}
	return silencer.New(w, o.alertmanager, time.Now)
}

// AlertsConfig is Alertmanager's webhook; it is there once it has credentials.
type AlertsConfig struct {
	Token    Secret `yaml:"token" doc:"Bearer token that Alertmanager sends, by authorization.credentials of its http_config."`
	Username string `yaml:"username" doc:"Or basic authentication, by basic_auth of its http_config."`
	Password Secret `yaml:"password" doc:"Basic authentication."`
}

func (c AlertsConfig) on() bool { return c != AlertsConfig{} }

// webhook makes the webhook, which tells consumer; the board knows what was told before.
func (c AlertsConfig) webhook(consumer alerts.Consumer, board *alertmanager.Board, log *slog.Logger) (*alerts.Handler, error) {
	return alerts.New(alerts.Config{Token: string(c.Token), Username: c.Username, Password: string(c.Password)}, consumer, board, log)
}

func (c AlertsConfig) check() error {
	if !c.on() {
		return nil
	}
	_, err := c.webhook(nil, nil, slog.New(slog.DiscardHandler))
	return err
}

// firing lists what fires in a cluster, "" in all; nil where nobody knows.
func (o outside) firing() func(ctx context.Context, cluster string) ([]observability.Alert, error) {
	switch {
	case o.alertmanager != nil:
		return o.alertmanager.Firing
	case o.board != nil:
		return o.board.Firing
	}
	return nil
}

// sources gives a diagnosis what is asked outside.
func (o outside) sources(s *collect.Sources) {
	switch {
	case o.alertmanager != nil:
		s.Alerts = o.alertmanager
	case o.board != nil:
		s.Alerts = o.board
	}
	if o.sentry != nil {
		s.Issues = o.sentry
	}
	if o.traces != nil {
		s.Traces = o.traces
	}
	if o.held == nil {
		return
	}
	s.Sees = o.held.seesObject
	if s.Alerts != nil {
		s.Alerts = heldAlerts{*o.held, s.Alerts, nil}
	}
	if o.sentry != nil {
		s.Issues = heldErrors{*o.held, o.sentry}
	}
	if o.traces != nil {
		s.Traces = heldTraces{*o.held, o.traces}
	}
}

// fresh asks for the errors that came up first in a release of a workload, or
// came back with it; nil where Sentry is not configured.
func (o outside) fresh() compare.Issues {
	if o.sentry == nil {
		return nil
	}
	return func(ctx context.Context, t observability.Target, release string, since time.Time) ([]observability.Issue, error) {
		all, err := o.sentry.Since(ctx, t, since)
		// The old version may go on to make new errors of its own.
		return slices.DeleteFunc(all, func(i observability.Issue) bool {
			return i.FirstRelease != "" && !i.Regressed && !strings.HasSuffix(i.FirstRelease, strings.TrimPrefix(release, "v"))
		}), err
	}
}
