package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
)

// webDriver is a program that uses the HTTP API.
type webDriver struct {
	url       string
	body, key string // of the last turn
}

func openWeb(t *testing.T, w *world) (driver, error) {
	url, err := w.url(t.Context())
	return &webDriver{url: url}, err
}

func (d *webDriver) say(ctx context.Context, text string) (string, error) {
	b, err := json.Marshal(map[string]string{"conversation": "script", "text": text})
	if err != nil {
		return "", err
	}
	d.body, d.key = string(b), rand.Text()
	return d.again(ctx)
}

func (d *webDriver) again(ctx context.Context) (string, error) {
	b, err := post(ctx, d.url+"/api/v1/turns", d.body, func(r *http.Request) { r.Header.Set("Idempotency-Key", d.key) })
	if err != nil {
		return "", err
	}
	var r dialogue.Reply
	if err := json.Unmarshal(b, &r); err != nil {
		return "", err
	}
	return r.Text, sound(r)
}

// errStatus is an answer that is not 200.
var errStatus = errors.New("it answers")

// post sends a JSON body, as sign has it, and returns the body of the answer,
// which must be 200.
func post(ctx context.Context, url, body string, sign func(*http.Request)) ([]byte, error) {
	return postBy(ctx, http.DefaultClient, url, body, sign)
}

func postBy(ctx context.Context, client *http.Client, url, body string, sign func(*http.Request)) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	sign(req)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %w %s:\n%s", url, errStatus, resp.Status, b)
	}
	return b, err
}
