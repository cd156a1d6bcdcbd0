package dialogue

import (
	"github.com/firstmate-ops/firstmate/intents"
)

// unsure answers a turn of which it is not sure what was said: it asks, and does
// nothing. A yes to that question lets what was asked about be said; the yes is to
// the words alone, so that a change is still read back. done is false where the turn
// goes on.
func (e *Engine) unsure(t *Turn) (r Reply, done bool, err error) {
	s := t.Session
	held, by := s.Misheard, s.MisheardBy
	s.Misheard, s.MisheardBy = "", ""
	if button, _ := t.Request.Button(); button != "" {
		return Reply{}, false, nil
	}
	nothing := intents.Intent{Name: intents.OutOfScope, Slots: intents.Slots{}}
	if t.Request.Unsure {
		text := t.Request.Text
		_, code := linkCode(text)
		secret := code || s.WantsPIN && s.PendingBy == t.Request.Speaker.Key()
		t.Intent = nothing
		if text == "" || secret { // a secret is not said back
			t.hush()
			if r, err = t.Reply("unsure.again", nil); err == nil && secret && s.WantsPIN {
				r.Expect = ExpectPIN
			}
			return r, true, err
		}
		if held != "" && by == t.Request.Speaker.Key() && e.yesOrNo(text) == "confirm" {
			text = held // a yes that is not sure itself: what it answers is asked again
		}
		s.Misheard, s.MisheardBy = text, t.Request.Speaker.Key()
		r, err = t.Reply("unsure.ask", Data{"Said": text})
		r.Expect = ExpectConfirm
		return r, true, err
	}
	if held == "" || by != t.Request.Speaker.Key() {
		return Reply{}, false, nil
	}
	switch e.yesOrNo(t.Request.Text) {
	case "confirm":
		t.Request.Text = held
		return Reply{}, false, nil
	case "deny", "cancel":
		t.Intent = nothing
		r, err = t.Reply("unsure.again", nil)
		return r, true, err
	}
	return Reply{}, false, nil // said anew
}

// yesOrNo is the intent of an answer to a question for yes or no.
func (e *Engine) yesOrNo(text string) string {
	return e.recognizer.Recognize(text, intents.NewInventory(intents.InventoryData{}), intents.Expect{Confirm: true}).Intent
}
