package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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

// post sends a JSON body, as sign has it, and returns the body of the answer,
// which must be 200.
func post(ctx context.Context, url, body string, sign func(*http.Request)) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	sign(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s:\n%s", url, resp.Status, b)
	}
	return b, err
}
