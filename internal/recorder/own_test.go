package recorder_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/recorder"
)

// keeps returns what the history keeps of what is said, and the trail of the same.
func keeps(t *testing.T) func(text string, open intents.Expect) (shown, written string) {
	t.Helper()
	b, s := &book{}, &shelf{}
	r, _ := newRecorder(t, b)
	return func(text string, open intents.Expect) (string, string) {
		t.Helper()
		h := onTheWeb(text)
		h.Open = open
		r.History(s, "web").Listen(t.Context(), h)
		r.Listen(t.Context(), h)
		var turn recorder.Turn
		if err := json.Unmarshal(s.turns[len(s.turns)-1], &turn); err != nil {
			t.Fatal(err)
		}
		return turn.Text, b.events[len(b.events)-1].Said
	}
}

// TestOwnWordsAreShownAsTheyWereSaid: names, versions and numbers of everyday, with
// their capitals and signs, whether the cluster knows them or not.
func TestOwnWordsAreShownAsTheyWereSaid(t *testing.T) {
	kept := keeps(t)
	for _, text := range []string{
		"roll out v7-bad of checkout",
		"Roll out V1.28.14-rc.1 of Grommet-7 in Team-Rocket, please!",
		"roll out 1.28.14 of web", "roll out sha-3f2a9c1 of web", "roll out 2026-11-22 of web",
		"restart pod web-7f9c4d5b8-x2x1z on ip-10-0-1-23.ec2.internal",
		"show trace 4bf92f3577b34da6a3ce929d0e0e4736",
		"why does HorizontalPodAutoscaler2 of “Checkout” fail?",
		"scale web to five, and cart to 10000", "from 12:34:56 to 12:40:00 on 10.0.0.12", "scale web to 100, cart to 200, gateway to 300",
		"how is <img src=x onerror=alert(1)>?", "see https://github.com/ann/shop/issues/12",
		"ask bob@example.com", "重启 web", "is the token service of checkout slow?", "which secrets are there in shop", "list secrets in shop", "does the key of checkout work",
		"get secret checkout-tls", "reset the password for checkout", "scale it to 50%", "link checkout and web",
		strings.TrimSpace(strings.Repeat("how is checkout ", 60)),
	} {
		if shown, _ := kept(text, intents.Expect{}); shown != text {
			t.Errorf("%q is shown as %q", text, shown)
		}
	}
	for text, open := range map[string]intents.Expect{
		"1000":                             {Intent: "scale", Slot: "replicas"},
		"no, make it 12":                   {Confirm: true},
		"no, roll out 1.28.14 of checkout": {Confirm: true},
	} {
		if shown, _ := kept(text, open); shown != text {
			t.Errorf("%q with %+v is shown as %q", text, open, shown)
		}
	}
	if _, written := kept("roll out v7-bad of checkout", intents.Expect{}); written != "roll out {name} of checkout" {
		t.Errorf("the audit trail has %q", written)
	}
}

// TestSecretsAreNotShownAgain: what stands between ⟦ and ⟧ is not kept, and all else is.
func TestSecretsAreNotShownAgain(t *testing.T) {
	kept := keeps(t)
	for _, tt := range []struct {
		said string
		open intents.Expect
	}{
		// PINs and codes
		{"⟦1234⟧", intents.Expect{}},
		{"⟦it is 12⟧", intents.Expect{Slot: "pin"}},
		{"⟦four seven one one⟧", intents.Expect{Confirm: true}},
		{"yes do, ⟦4711⟧", intents.Expect{Confirm: true}},
		{"Yes do ⟦4 7 1 1⟧ please", intents.Expect{Confirm: true}},
		{"yes do it ⟦25-80-74-63⟧", intents.Expect{Confirm: true}},
		{"restart cart with pin ⟦4711⟧", intents.Expect{}},
		{"restart cart, pin:⟦4711⟧ please", intents.Expect{}},
		{"restart cart ⟦25807463⟧", intents.Expect{}},
		{"restart cart ⟦four seven one one⟧", intents.Expect{}},
		{"link the phone of ann with ⟦4829 1374⟧", intents.Expect{}},
		{"now link checkout to ⟦48291⟧ there", intents.Expect{}},
		{"card ⟦4111 1111 1111 1111⟧ now", intents.Expect{}},
		// passwords
		{"Set password=⟦Swordfish⟧ on checkout", intents.Expect{}},
		{"password: ⟦swordfish fish⟧", intents.Expect{}},
		{"My password is ⟦correct horse battery⟧", intents.Expect{}},
		{"the password of checkout is ⟦hunter2⟧", intents.Expect{}},
		{"why does password ⟦hunter2⟧ not work", intents.Expect{}},
		{"is the password of checkout = ⟦hunter2⟧?", intents.Expect{}},
		{"log in with ⟦P4$$w0rd⟧!", intents.Expect{}},
		{"psql postgres://shop:⟦pw5⟧@db/shop", intents.Expect{}},
		// tokens and keys
		{"curl -H Authorization: ⟦Bearer abcdef12⟧", intents.Expect{}},
		{"use bearer ⟦abcdefghijklmnop⟧ for it", intents.Expect{}},
		{"the token is ⟦abc123xyz⟧", intents.Expect{}},
		{"Use ⟦AKIAIOSFODNN7EXAMPLE⟧ now", intents.Expect{}},
		{"aws_secret_access_key=⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧", intents.Expect{}},
		{"Use ⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧ now", intents.Expect{}},
		{"Use ⟦ghp_16C7e42F292c6912E7710c838347Ae178B4a⟧ now", intents.Expect{}},
		{"Use ⟦eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def_ghi⟧ now", intents.Expect{}},
		{"post to https://x.example.com/hook?token=⟦a1b2c3d4e5⟧", intents.Expect{}},
		{"my one-time seed ⟦JBSWYDPEHPKPXPZA⟧", intents.Expect{}},
		{"⟦-----BEGIN PRIVATE KEY-----\nMIIEfoo\nbar⟧", intents.Expect{}},
	} {
		before, rest, _ := strings.Cut(tt.said, "⟦")
		secret, after, _ := strings.Cut(rest, "⟧")
		text := before + secret + after
		if shown, _ := kept(text, tt.open); shown != before+"[masked]"+after {
			t.Errorf("%q with %+v is shown as %q", text, tt.open, shown)
		}
	}
}

// FuzzOwnWords: whatever somebody says around it, a token and a password are not
// kept, and nothing breaks.
func FuzzOwnWords(f *testing.F) {
	for _, s := range []string{"scale web to five", "my password is x", "pin: 1234 five six", "a “b” 'c' d =", "\x00\xff", "重启web", "key = ", "[masked] [masked] 12345678"} {
		f.Add(s, s)
	}
	b, shelf := &book{}, &shelf{}
	r, _ := newRecorder(f, b)
	f.Fuzz(func(t *testing.T, before, after string) {
		const token, password = "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "hun7er2Zx"
		h := onTheWeb(before + "\n" + token + " password=" + password + " \n" + after)
		r.History(shelf, "web").Listen(t.Context(), h)
		got := string(shelf.turns[len(shelf.turns)-1])
		if strings.Contains(before+after, token) || strings.Contains(before+after, password) {
			t.Skip()
		}
		if strings.Contains(got, token) || strings.Contains(got, password) {
			t.Errorf("kept: %s", got)
		}
	})
}
