package main

import (
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// DiagnosisConfig is how causes are found.
type DiagnosisConfig struct {
	Deadline time.Duration `yaml:"deadline" doc:"How long all back-ends together may take to give evidence. What is late is named in the answer."`
}

// longestDeadline is longer than anybody waits for an answer.
const longestDeadline = time.Minute

func diagnosisDefaults() DiagnosisConfig { return DiagnosisConfig{Deadline: 2 * time.Second} }

func (c DiagnosisConfig) check() error {
	if c.Deadline <= 0 || c.Deadline > longestDeadline {
		return fault.New(fault.Usage, "diagnosis.deadline is a duration like 2s, at most %s.", longestDeadline)
	}
	return nil
}
