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

// FuzzWhatPeopleType holds that only what somebody typed as a mention pings, and
// that what is escaped neither pings nor links.
func FuzzWhatPeopleType(f *testing.F) {
	for _, s := range []string{"a <@U1> b", "<!channel> & <b>", "<<@U1>>", "<https://x.io|<!here>>", "&lt;!here&gt;", "x.io/<!here>", "<!here\n>", "<@U1|a>b>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r reading
		r.markup(typed(text), false)
		if len(r.mentions) > len(kept.FindAllString(text, -1)) {
			t.Errorf("%q is %q and pings %q", text, typed(text), r.mentions)
		}
		r = reading{}
		if shown := r.markup(escape(text), false); shown != text || len(r.mentions)+len(r.links) > 0 {
			t.Errorf("%q escaped reads %q, pings %q, links %q", text, shown, r.mentions, r.links)
		}
	})
}
