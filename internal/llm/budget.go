package llm

import (
	"sync"
	"time"
)

// Budget is how many tokens may be used.
type Budget struct {
	Day    int // by everybody in a day (UTC)
	Person int // by one speaker in a day
	Turn   int // by one question, with its answer
}

// maxCounted bounds the speakers that are counted by themselves; beyond it, the
// budget of all is what is left.
const maxCounted = 10_000

// ledger counts the tokens of a day.
type ledger struct {
	budget Budget
	now    func() time.Time

	mu     sync.Mutex
	day    string
	all    int
	person map[string]int
}

// reserve takes tokens before they are used; false where the budget has not so many.
// give must be called with how many there were.
func (l *ledger) reserve(who string, tokens int) (give func(used int), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if day := l.now().UTC().Format(time.DateOnly); day != l.day || l.person == nil {
		l.day, l.all, l.person = day, 0, map[string]int{}
	}
	_, counted := l.person[who]
	if tokens > l.budget.Turn || l.all+tokens > l.budget.Day || l.person[who]+tokens > l.budget.Person || !counted && len(l.person) >= maxCounted {
		return nil, false
	}
	l.all += tokens
	l.person[who] += tokens
	day := l.day
	return func(used int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.day != day { // it was yesterday's
			return
		}
		l.all += used - tokens
		l.person[who] += used - tokens
	}, true
}
