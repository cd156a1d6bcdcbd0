package skill

import (
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// "Two more" is two more than there are when it is tried, and not than there were
// when it was thought of.
func TestAPlanIsMadeAgainWhereItsGroundMoves(t *testing.T) {
	for _, said := range []string{"scale web up by two", "scale web up by two and then restart cart"} {
		k := newTalk(t)
		k.town.moving = 2
		r := k.says(said, "")
		if !strings.Contains(r.Text, "cale Deployment web in shop from 5 to 7") {
			t.Errorf("%s: %s", said, r.Text)
		}
	}
	k := newTalk(t)
	k.town.moving = 1000
	if r := k.says("scale web up by two", ""); r.Fault != fault.Conflict || r.Proposal != nil {
		t.Errorf("%+v", r)
	}
}
