package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/oncall/schedule"
)

// OnCallConfig is who is called when an alert fires; it is there once it has a file.
type OnCallConfig struct {
	File    string        `yaml:"file" doc:"The YAML file with people, schedules and escalation: docs/oncall.md. Needs phone.* and alerts.*. Empty: nobody is called."`
	Channel string        `yaml:"channel" doc:"The conversation in which the time-line of each incident is told: slack:TEAM:CHANNEL:- or discord:SERVER:CHANNEL:- for a thread of its own in a chat, or any name, for the API. Empty: nowhere."`
	Window  time.Duration `yaml:"window" doc:"The span of one sample of errors or latency when I look whether all is well again after a change; the first begins when the change is made. Where Prometheus looks less often than twice in it, it is widened, up to eight times."`
}

func onCallDefaults() OnCallConfig {
	return OnCallConfig{Channel: "incidents", Window: 15 * time.Second}
}

func (c OnCallConfig) on() bool { return c.File != "" }

// plan reads the file; calendars that it names lie beside it.
func (c OnCallConfig) plan() (schedule.Plan, error) {
	b, err := os.ReadFile(c.File)
	if err != nil {
		return schedule.Plan{}, fault.Wrap(err, fault.Usage, "oncall.file: %v.", err)
	}
	return schedule.Parse(c.File, b, func(name string) ([]byte, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(c.File), name)
		}
		return os.ReadFile(name)
	})
}

// check refuses what would only fail at three in the morning.
func (c Config) checkOnCall() error {
	if !c.OnCall.on() {
		return nil
	}
	switch {
	case !c.Phone.on():
		return fault.New(fault.Usage, "oncall.file is set, but no phone.account to call anybody with: docs/phone.md.")
	case !c.Alerts.on():
		return fault.New(fault.Usage, "oncall.file is set, but Alertmanager has no way to tell me anything: set alerts.token.")
	case c.OnCall.Window < 10*time.Second || c.OnCall.Window > time.Hour:
		return fault.New(fault.Usage, "oncall.window is a duration like 1m.")
	}
	_, err := c.OnCall.plan()
	return err
}
