package dialogue

import "github.com/firstmate-ops/firstmate/internal/fault"

// agrees says what is wrong with words that agree to what is open where words agree to
// nothing. A PIN said in place of a yes is one too.
func (t *Turn) agrees() error {
	button, _ := t.Request.Button()
	if !t.Request.NoYes || button != "" || t.Session.Pending == "" {
		return nil
	}
	if n := t.Intent.Name; n != "confirm" && n != "approve" {
		return nil
	}
	return fault.New(fault.Usage, "I take no yes in words here. Agree to a proposal with the tool confirm and the proposal's id.")
}
