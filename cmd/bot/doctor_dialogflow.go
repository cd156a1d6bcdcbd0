package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/channel/dialogflow"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// dialogflow looks at the webhooks: whether they are on, whether who calls can
// be checked, and whether whoever speaks there has to say who they are.
func (d *doctor) dialogflow(ctx context.Context, c Config) {
	es, cx := c.Dialogflow.ES, c.Dialogflow.CX
	for _, w := range []struct {
		name string
		cfg  DialogflowAuthConfig
	}{{"dialogflow.es", es.DialogflowAuthConfig}, {"dialogflow.cx", cx.DialogflowAuthConfig}} {
		switch {
		case !w.cfg.on():
			d.well("%s: off, not configured", w.name)
		case w.cfg.Audience == "":
			d.well("%s: on; whoever calls there is known by a session only (assurance claimed)", w.name)
		default:
			url := w.cfg.KeysURL
			if url == "" {
				url = dialogflow.GoogleKeys
			}
			if err := fetches(ctx, url); err != nil {
				d.fail(fault.Unavailable, "Let bot serve reach that URL, or authenticate by a header or a password instead.", "%s: the keys that ID tokens are signed with cannot be fetched from %s: %v", w.name, url, err)
			} else {
				d.well("%s: on, with ID tokens of %s; whoever speaks there is known by a session only (assurance claimed)", w.name, w.cfg.Account)
			}
		}
	}
	if (es.on() || cx.on()) && !c.Dialogflow.PIN && !slices.ContainsFunc(mustRules(c), func(r access.Rule) bool { return r.Verdict == access.PIN }) {
		d.warn("Leave dialogflow.pin on.", "dialogflow: who can reach the agent can change what the rules let dialogflow:* change, without a PIN")
	}
}

// mustRules are the rules of a configuration that was checked.
func mustRules(c Config) access.Policy {
	rules, err := c.rules()
	if err != nil {
		return nil // examine said so
	}
	return rules
}

// fetches reports why a URL cannot be read.
func fetches(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return errors.Unwrap(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}
