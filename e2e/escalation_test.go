package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/channel/phone/carriertest"
	"github.com/firstmate-ops/firstmate/internal/channel/slack/slacktest"
)

// carlsNumber is who is rung last.
const carlsNumber = "+436641000003"

const escalationSettings = `
access:
  people:
    - {name: demo, speakers: ["web:*"], user: demo, groups: [shop-operators], write: true}
    - {name: ann, speakers: ["phone:` + annsNumber + `"], user: demo, groups: [shop-operators], write: true}
    - {name: bob, speakers: ["phone:` + bobsNumber + `"], user: demo, groups: [shop-operators], write: true, pin_hash: "$argon2id$v=19$m=19456,t=2,p=1$Czcnba6Fa8MZRjHHapgkRw$ukxWj5RqTSj9Bmt9BzBb0rlZ9aGbAmbwhOPYMmGuNQw"}
    - {name: carl, speakers: ["phone:` + carlsNumber + `"], user: demo, groups: [shop-operators], write: true}
alerts: {username: alertmanager, password: ` + password + `}
oncall: {file: %s, channel: "slack:%s:%s:-"}
`

const escalationPlan = `
people: {ann: {phone: "` + annsNumber + `"}, bob: {phone: "` + bobsNumber + `"}, carl: {phone: "` + carlsNumber + `"}}
schedules:
  - {name: primary, layers: [{people: [ann], from: 2026-01-01}]}
  - {name: secondary, layers: [{people: [bob], from: 2026-01-01}]}
  - {name: last, layers: [{people: [carl], from: 2026-01-01}]}
escalation: [{ring: [primary], tries: 1}, {ring: [secondary], tries: 1, wait: 2s}, {ring: [last], tries: 1}]
rings: [{severity: [critical]}]
`

// TestEscalation: who is on call has a mailbox on the line, the next one hangs up while
// the roll-back is read back, which does nothing, and the last one acknowledges.
func TestEscalation(t *testing.T) {
	w := worldOf(t, "t-escalation")
	plan := filepath.Join(w.dir, "oncall.yaml")
	if err := os.WriteFile(plan, []byte(escalationPlan), 0o600); err != nil {
		t.Fatal(err)
	}
	w.rights.config = fmt.Sprintf(escalationSettings, plan, slacktest.Team, slacktest.General)
	ctx, cancel := context.WithTimeout(t.Context(), newsLimit)
	defer cancel()
	if _, err := kubectl(ctx, "", "-n", w.namespace, "set", "image", "deployment/cart", "cart=registry.example.com/shop/cart:2.1-bad"); err != nil {
		t.Fatal(err)
	}
	team := slackFor(t, w)
	p := newTelephone(t, w, carriertest.Config{Pace: 0.1, Show: func(line string) { t.Log(line) }})
	p.Has(annsNumber, carriertest.Mailbox("yes please leave a message"))
	p.Has(bobsNumber, carriertest.Subscriber{Person: caller(t, onHearing("shall i roll", "roll it back", ""), carriertest.Line{Hears: "shall i go ahead", Act: carriertest.Act{HangUp: true}})})
	p.Has(carlsNumber, carriertest.Subscriber{Person: caller(t, onHearing("shall i roll", "acknowledge", ""), onHearing("you have it", "goodbye", ""))})
	at, err := w.url(ctx)
	if err != nil {
		t.Fatal(err)
	}
	alert := fmt.Sprintf(`{"version":"4","groupKey":"g","status":"firing","receiver":"firstmate","groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"","alerts":[
		{"status":"firing","labels":{"alertname":"CartFails","severity":"critical","namespace":%q,"deployment":"cart"},"annotations":{"summary":"cart fails"},"startsAt":%q,"endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"c0ffee"}]}`,
		w.namespace, time.Now().UTC().Format(time.RFC3339))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"/webhooks/alertmanager", strings.NewReader(alert))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("alertmanager", password)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %v", resp.Status, err)
	}
	if err := p.WaitFor(ctx, "three calls", func() bool { return len(p.Calls()) == 3 }); err != nil {
		t.Fatal(err)
	}
	for i, k := range p.Calls() {
		if err := k.Over(ctx); err != nil {
			t.Fatal(err, k.Heard())
		}
		if strings.Contains(k.Heard(), "1.9") {
			t.Errorf("the way back from 2.1-bad is to 2.0, %s heard\n%s", k.To, k.Heard())
		}
		for _, words := range [][]string{{"CartFails fires on cart", "Cart Fails fires on cart"}, {"shall i roll"}, {"You have it"}}[i] {
			if strings.Contains(strings.ToLower(k.Heard()), strings.ToLower(words)) {
				break
			} else if i > 0 || words == "Cart Fails fires on cart" {
				t.Errorf("%s heard\n%s", k.To, k.Heard())
			}
		}
	}
	image, err := kubectl(ctx, "", "-n", w.namespace, "get", "deployment", "cart", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	if err != nil || !strings.HasSuffix(image, ":2.1-bad") {
		t.Errorf("cart runs %s %v: nobody agreed to anything", image, err)
	}
	// The team reads it in Slack: what fired stands in the channel, all the rest in the
	// thread below it, where nobody needs to say what it is about.
	var first string
	fired := func(all []slacktest.Message) bool {
		for _, m := range all {
			if strings.Contains(m.Text, "CartFails") {
				first = m.ID
			}
		}
		return first != ""
	}
	if err := team.Wait(ctx, slacktest.General, "", fired); err != nil {
		t.Fatal(err)
	}
	told := func(what string) {
		t.Helper()
		err := team.Wait(ctx, slacktest.General, first, func(all []slacktest.Message) bool {
			return slices.ContainsFunc(all, func(m slacktest.Message) bool { return m.Author == slacktest.BotUser && strings.Contains(m.Text, what) })
		})
		if err != nil {
			t.Errorf("%q: %v", what, err)
		}
	}
	told("carl has it")
	var line []string
	for _, m := range team.Messages(slacktest.General, first) {
		line = append(line, m.Text)
	}
	all := strings.Join(line, "\n")
	for _, want := range []string{"a mailbox picked up for ann", "I call bob", "bob picked up", "bob hung up without a decision", "I call carl", "carl has it"} {
		if !strings.Contains(all, want) {
			t.Errorf("the time-line lacks %q:\n%s", want, all)
		}
	}
	team.Say(slacktest.Alice, slacktest.General, first, "how is it?")
	told("cart")
	told("2.1-bad")
}
