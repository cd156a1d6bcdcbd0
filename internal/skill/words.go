package skill

import "github.com/firstmate-ops/firstmate/internal/action"

// Words says what an entry is to do, and how far it has come, as the journal has
// it: for lists of what runs and what waits.
func (c *Crew) Words(e action.Entry) (what, progress string, err error) {
	say, err := c.phrases(e, "change.")
	if err != nil || e.State == action.Proposed || e.State == action.Waiting {
		return say.Text, "", err
	}
	r, err := c.progress(e)
	return say.Text, r.Text, err
}
