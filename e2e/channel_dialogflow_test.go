package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// dialogflowES is the configuration of the webhook.
const dialogflowES = `dialogflow: {es: {username: ` + password + `, password: ` + password + `}}
`

// dialogflowLimit is how long Dialogflow waits for an answer.
const dialogflowLimit = 5 * time.Second

// esDriver is Dialogflow ES, which calls the webhook for somebody. What it sends is
// Google's own sample with another sentence in it.
type esDriver struct {
	url, session string
	body         string // of the last call
	expect       string // what the answer waits for
}

func openDialogflowES(t *testing.T, w *world) (driver, error) {
	url, err := w.url(t.Context())
	return newESDriver(url, "script"), err
}

func newESDriver(url, session string) *esDriver {
	return &esDriver{url: url + "/webhooks/dialogflow/es", session: "projects/your-agents-project-id/agent/sessions/" + session}
}

func (d *esDriver) say(ctx context.Context, text string) (string, error) {
	sample, err := os.ReadFile(filepath.Join("..", "internal", "channel", "dialogflow", "testdata", "request.json"))
	if err != nil {
		return "", err
	}
	var body map[string]any
	if err := json.Unmarshal(sample, &body); err != nil {
		return "", err
	}
	body["responseId"], body["session"] = rand.Text(), d.session
	body["queryResult"].(map[string]any)["queryText"] = text
	b, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	d.body = string(b)
	return d.again(ctx)
}

func (d *esDriver) again(ctx context.Context) (string, error) {
	began := time.Now()
	b, err := post(ctx, d.url, d.body, func(r *http.Request) { r.SetBasicAuth(password, password) })
	if err != nil {
		return "", err
	}
	if took := time.Since(began); took > dialogflowLimit {
		return "", fmt.Errorf("it took %v, and Dialogflow waits for %v", took, dialogflowLimit)
	}
	var answer struct {
		FulfillmentText string
		OutputContexts  []struct{ Parameters struct{ Expect string } }
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return "", fmt.Errorf("%w:\n%s", err, b)
	}
	d.expect = ""
	if len(answer.OutputContexts) > 0 {
		d.expect = answer.OutputContexts[0].Parameters.Expect
	}
	return answer.FulfillmentText, nil
}
