package dialogue

import (
	"context"

	"github.com/firstmate-ops/firstmate/intents"
)

// Heard is a turn as it was understood and answered.
type Heard struct {
	Request Request
	Open    intents.Expect // the question that was open before the turn
	// Read is what the recogniser made of the text, before a platform's own
	// reading or an open question was taken into account. Its name is "" for a
	// button.
	Read      intents.Intent
	Inventory *intents.Inventory // the names that existed; nil for a button
	Reply     Reply              // its Intent is what the turn was taken for
}

// Listener is told of every turn once it is answered, in the order of its
// conversation; never of a delivery that was answered before. It must be quick:
// the answer waits for it.
type Listener interface {
	Listen(ctx context.Context, h Heard)
}
