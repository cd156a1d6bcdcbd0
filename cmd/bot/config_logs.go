package main

import (
	"log/slog"
	"time"

	"github.com/firstmate-ops/firstmate/internal/observability/logs"
	"github.com/firstmate-ops/firstmate/internal/observability/podlogs"
	"github.com/firstmate-ops/firstmate/internal/skill"
)

// LogsConfig is what is done with the lines of logs, wherever they are read.
type LogsConfig struct {
	MaskEmails bool `yaml:"mask_emails" doc:"Mask e-mail addresses too. Passwords, tokens and keys are masked always."`
}

// logs is where the skills read logs.
func (c ObservabilityConfig) logs(shown clusters, log *slog.Logger) (skill.Logs, error) {
	masker := logs.Masker{Emails: c.Logs.MaskEmails}
	return skill.Logs{Pods: podlogs.New(shown, podlogs.Options{Masker: masker}), May: shown.MayReadLogs, Now: time.Now, Log: log}, nil
}
