package action

import "context"

// Running calls f with what was agreed to and is not at its end, of each state the
// newest first, until f returns false. f must not call the ledger.
func (l *Ledger) Running(ctx context.Context, f func(Entry) bool) error {
	more := true
	for _, state := range []State{Approved, Applying, Watching, Baking} {
		if !more {
			return nil
		}
		err := l.journal.ActionsIn(ctx, string(state), func(data []byte) (bool, error) {
			e, err := decode(data)
			if err == nil {
				more = f(e)
			}
			return more, err
		})
		if err != nil {
			return noJournal(err)
		}
	}
	return nil
}
