package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
	calledAgain  int    // for the last sentence
}

func openDialogflowES(t *testing.T, w *world) (driver, error) {
	url, err := w.url(t.Context())
	return newESDriver(url, "script"), err
}

func newESDriver(url, session string) *esDriver {
	return &esDriver{url: url + "/webhooks/dialogflow/es", session: "projects/your-agents-project-id/agent/sessions/" + session}
}

func (d *esDriver) say(ctx context.Context, text string) (string, error) {
	d.calledAgain = 0
	return d.send(ctx, text)
}

func (d *esDriver) send(ctx context.Context, text string) (string, error) {
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

		FollowupEventInput *struct{ Name string }
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return "", fmt.Errorf("%w:\n%s", err, b)
	}
	if e := answer.FollowupEventInput; e != nil { // as if it was said, at once
		if d.calledAgain++; d.calledAgain > 3 {
			return "", errors.New("Dialogflow lets itself be called again three times at most")
		}
		return d.send(ctx, e.Name)
	}
	d.expect = ""
	if len(answer.OutputContexts) > 0 {
		d.expect = answer.OutputContexts[0].Parameters.Expect
	}
	return answer.FulfillmentText, nil
}

// TestDialogflowCallsAgain has Dialogflow ES call again for what takes longer
// than it waits: the answer to the yes is how it ended, or how far it is.
func TestDialogflowCallsAgain(t *testing.T) {
	w := worldOf(t, "t-calls-again")
	w.rights.config = strings.Replace(settings, "es: {", "es: {follow_ups: 3, ", 1)
	url, err := w.url(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := newESDriver(url, "script")
	if _, err := d.say(t.Context(), "roll out 2.1-bad of cart"); err != nil || d.calledAgain != 0 {
		t.Fatalf("called again %d times: %v", d.calledAgain, err)
	}
	heard, err := d.say(t.Context(), "yes")
	if err != nil || d.calledAgain == 0 || matches(heard, "(?i)cart is (stuck|rolling out|being changed)", false) != nil {
		t.Errorf("after %d more calls: %q, %v", d.calledAgain, heard, err)
	}
	t.Logf("after %d more calls: %s", d.calledAgain, heard)
	if !strings.Contains(heard, "stuck") {
		ctx, cancel := context.WithTimeout(t.Context(), newsLimit)
		defer cancel()
		if err := listenFor(ctx, t, d, "cart is stuck"); err != nil {
			t.Error(err)
		}
	}
	// It was told, and is not told again; its offer is open.
	if heard, err := d.say(t.Context(), "how is web?"); err != nil || strings.Contains(heard, "stuck") {
		t.Errorf("%q, %v", heard, err)
	}
	if heard, err := d.say(t.Context(), "undo"); err != nil || matches(heard, "from 2.1.bad to 2.0", false) != nil {
		t.Errorf("%q, %v", heard, err)
	}
}
