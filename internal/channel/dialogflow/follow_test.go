package dialogflow_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/channel/channeltest"
	"github.com/firstmate-ops/firstmate/internal/channel/dialogflow"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// agent is the service agent of a project.
const agent = "service-123456789012@gcp-sa-dialogflow.iam.gserviceaccount.com"

type followAnswer struct {
	FulfillmentText    string
	FollowupEventInput *struct {
		Name, LanguageCode string
		Parameters         map[string]any
	}
}

// TestFollowUps plays Dialogflow ES, which calls again at once for each event.
func TestFollowUps(t *testing.T) {
	for _, tt := range []struct {
		followUps, doneAfter int // the outcome comes with that call; 0 never
		said                 string
		calls                int
	}{
		{followUps: 0, doneAfter: 1, said: "Rolling out v2.", calls: 1},
		{followUps: 3, doneAfter: 1, said: "Checkout is on v2.", calls: 2},
		{followUps: 3, doneAfter: 3, said: "Checkout is on v2.", calls: 4},
		{followUps: 3, said: "1 of 3 pods updated.", calls: 4},
		{followUps: 1, said: "1 of 3 pods updated.", calls: 2},
	} {
		t.Run(fmt.Sprint(tt.followUps, tt.doneAfter), func(t *testing.T) {
			e := channeltest.NewEngine(func(r dialogue.Request) dialogue.Reply {
				if r.Text == "how is it going?" && r.Patience == 0 {
					return dialogue.Reply{Speech: "1 of 3 pods updated.", Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomePending}
				}
				return dialogue.Reply{Speech: "Rolling out v2.", Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomePending, Proposal: &dialogue.Proposal{ID: "p1"}}
			})
			waits, deliveries := 0, map[string]bool{}
			e.Awaited = func(r dialogue.Request) (dialogue.Reply, bool) {
				waits++
				deliveries[r.DeliveryID] = true
				if r.Patience != dialogflow.DefaultPatience || r.Speaker.ID != "s1" {
					t.Errorf("%+v", r)
				}
				return dialogue.Reply{Speech: "Checkout is on v2.", Expect: dialogue.ExpectNone, Outcome: dialogue.OutcomeDone}, waits == tt.doneAfter
			}
			cfg := credentials
			cfg.FollowUps = tt.followUps
			h := handler(t, cfg, e)
			text, calls := "yes", 0
			for {
				calls++
				w := httptest.NewRecorder()
				h.ServeHTTP(w, raw(strings.NewReader(query(fmt.Sprint("r", calls), text))))
				var a followAnswer
				if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != 200 {
					t.Fatalf("%d %s: %v", w.Code, w.Body, err)
				}
				if f := a.FollowupEventInput; f == nil {
					if a.FulfillmentText != tt.said || calls != tt.calls {
						t.Errorf("after %d calls it says %q", calls, a.FulfillmentText)
					}
					break
				} else if a.FulfillmentText != "" || f.LanguageCode != "en" {
					t.Errorf("%s", w.Body)
				} else {
					text = f.Name
				}
				if calls > 4 {
					t.Fatal("Dialogflow would have given up: it lets itself be called again three times")
				}
			}
			if len(deliveries) != waits {
				t.Errorf("%d waits for %d deliveries", waits, len(deliveries))
			}
		})
	}
	cfg := credentials
	cfg.FollowUps = 4
	if _, err := dialogflow.NewES(cfg, channeltest.NewEngine(nil), catalogue{}, quiet()); fault.KindOf(err) != fault.Usage {
		t.Errorf("four times: %v", err)
	}
	// What waits for a yes is no work.
	e := channeltest.NewEngine(func(dialogue.Request) dialogue.Reply {
		return dialogue.Reply{Speech: "Shall I?", Expect: dialogue.ExpectConfirm, Outcome: dialogue.OutcomePending, Proposal: &dialogue.Proposal{ID: "p1"}}
	})
	cfg.FollowUps = 3
	w := httptest.NewRecorder()
	handler(t, cfg, e).ServeHTTP(w, raw(strings.NewReader(query("r", "scale web to 5"))))
	if strings.Contains(w.Body.String(), "followupEventInput") || !strings.Contains(w.Body.String(), "Shall I?") {
		t.Error(w.Body)
	}
}
