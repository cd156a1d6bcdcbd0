package slacktest

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

// NextAlarm is when something is due next at Slack, or 0.
func (s *Server) NextAlarm() time.Duration { return s.clock.next() }

func TestItSignsAsSlackDoes(t *testing.T) {
	var v struct {
		Secret    string `json:"signing_secret"`
		At        string `json:"X-Slack-Request-Timestamp"`
		Body      string `json:"body"`
		Signature string `json:"X-Slack-Signature"`
	}
	b, err := os.ReadFile("testdata/signature-vector.json")
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := sign(v.Secret, v.At, []byte(v.Body)); got != v.Signature {
		t.Errorf("%s, not %s", got, v.Signature)
	}
}
