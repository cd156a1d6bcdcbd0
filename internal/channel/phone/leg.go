package phone

import (
	"net/url"
	"strconv"
)

// What is waited for, as a leg remembers it.
const (
	expectNone    = ""
	expectConfirm = "confirm"
	expectChoice  = "choice"
	expectPIN     = "pin"
	expectCode    = "code" // the code that makes an unknown number somebody's
	expectOther   = "other"
)

// leg is what a call remembers from one turn to the next. It stands in the URL
// that the carrier posts to, which its signature covers: any process of ours can
// take the next turn.
type leg struct {
	turn    int    // counted from 1; 0 is the beginning of the call
	missed  int    // how often in a row nothing was heard, or nothing one could act on
	polled  int    // how often in a row was said how it goes
	expect  string // what is waited for
	menu    bool   // by keypad
	running bool   // something was started whose outcome nobody was told
	working bool   // the answer of this turn is still being worked on
	mailbox bool   // a machine picked up, and nobody has pressed a key yet
	ref     string // of a call that was placed
}

const (
	maxTurn = 10_000
	maxRef  = 200 // bytes
)

// query is the leg as it stands in a URL.
func (l leg) query() url.Values {
	q := url.Values{}
	put := func(k string, n int) {
		if n > 0 {
			q.Set(k, number(n))
		}
	}
	flag := func(k string, on bool) {
		if on {
			q.Set(k, "1")
		}
	}
	put("n", l.turn)
	put("missed", l.missed)
	put("polled", l.polled)
	flag("menu", l.menu)
	flag("running", l.running)
	flag("working", l.working)
	flag("mailbox", l.mailbox)
	if l.expect != "" {
		q.Set("expect", l.expect)
	}
	if l.ref != "" {
		q.Set("ref", l.ref)
	}
	return q
}

// legOf reads a leg. The URL is one of ours, as the signature shows, unless
// somebody wrote another one into the carrier's console.
func legOf(q url.Values) (leg, bool) {
	ok := true
	get := func(k string) int {
		s := q.Get(k)
		if s == "" {
			return 0
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > maxTurn {
			ok = false
		}
		return n
	}
	l := leg{
		turn: get("n"), missed: get("missed"), polled: get("polled"), expect: q.Get("expect"), ref: q.Get("ref"),
		menu: q.Get("menu") == "1", running: q.Get("running") == "1", working: q.Get("working") == "1", mailbox: q.Get("mailbox") == "1",
	}
	switch l.expect {
	case expectNone, expectConfirm, expectChoice, expectPIN, expectCode, expectOther:
	default:
		ok = false
	}
	return l, ok && len(l.ref) <= maxRef
}

// next is the leg after this one, with nothing missed.
func (l leg) next() leg {
	return leg{turn: l.turn + 1, running: l.running, ref: l.ref, expect: l.expect}
}
