package schedule_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/oncall/schedule"
)

func parse(t testing.TB, text string) schedule.Plan {
	t.Helper()
	p, err := schedule.Parse("oncall.yaml", []byte(text), func(name string) ([]byte, error) { return os.ReadFile("testdata/" + name) })
	if err != nil {
		t.Fatal(err, fault.Say(err))
	}
	return p
}

const people = `
zone: Europe/Vienna
people:
  ann: {phone: "+43 664 1000001"}
  bob: {phone: "+43 664 1000002"}
  carl: {phone: "+43 664 1000003"}
`

const weeks = people + `
schedules:
  - name: primary
    layers:
      - {from: 2026-01-05 09:00, every: 1w, people: [ann, bob, carl]}
    overrides:
      - {person: carl, from: 2026-01-08 18:00, to: 2026-01-09 09:00}
  - name: secondary
    layers:
      - {from: 2026-01-05 09:00, every: 1w, people: [bob, carl, ann]}
escalation:
  - {ring: [primary], tries: 2, wait: 5m}
  - {ring: [secondary, carl], tries: 1, wait: 10m}
rounds: 1
rings:
  - {severity: [critical]}
  - {severity: [warning], when: [{from: "08:00", to: "20:00"}]}
`

func vienna(t testing.TB, s string) time.Time {
	t.Helper()
	z, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", s, z)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestOnCall(t *testing.T) {
	p := parse(t, weeks)
	said := []schedule.Shift{{Person: "bob", From: vienna(t, "2026-01-20 20:00"), To: vienna(t, "2026-01-20 23:00")}}
	for _, c := range []struct{ at, who, until string }{
		{"2026-01-05 08:59", "", "2026-01-05 09:00"}, // before the first shift
		{"2026-01-05 09:00", "ann", "2026-01-08 18:00"},
		{"2026-01-08 18:00", "carl", "2026-01-09 09:00"}, // the override
		{"2026-01-09 09:00", "ann", "2026-01-12 09:00"},
		{"2026-01-12 09:00", "bob", "2026-01-19 09:00"},
		{"2026-01-20 19:59", "carl", "2026-01-20 20:00"},
		{"2026-01-20 20:00", "bob", "2026-01-20 23:00"}, // who took over
		{"2026-01-20 23:00", "carl", "2026-01-26 09:00"},
		{"2026-03-29 03:00", "carl", "2026-03-30 09:00"}, // the clock was set forward that night
	} {
		got := p.OnCall(vienna(t, c.at), said)
		if got.Person != c.who || !got.To.Equal(vienna(t, c.until)) {
			t.Errorf("%s: %s until %s, want %s until %s", c.at, got.Person, got.To, c.who, c.until)
		}
	}
	if d := p.Duties(vienna(t, "2026-01-20 21:00"), said); len(d) != 2 || d[0].Person != "bob" || d[1].Person != "ann" || d[1].Schedule != "secondary" {
		t.Errorf("duties %+v", d)
	}
	alone := parse(t, people+"schedules: [{name: all, layers: [{people: [ann], from: 2026-01-01}]}]")
	if got := alone.OnCall(vienna(t, "2026-05-01 12:00"), nil); got.Person != "ann" || !got.To.IsZero() {
		t.Errorf("one person for ever: %+v", got)
	}
}

// TestHandOverStaysAtItsHour: a week in which the clock is changed has an hour more
// or less; a night shift of half a day does too.
func TestHandOverStaysAtItsHour(t *testing.T) {
	p := parse(t, people+`
schedules:
  - name: nights
    layers:
      - {from: 2026-03-01 08:00, every: 12h, people: [ann, bob]}
`)
	for _, c := range []struct {
		from, until string
		hours       float64
	}{
		{"2026-03-27 20:00", "2026-03-28 08:00", 12},
		{"2026-03-28 20:00", "2026-03-29 08:00", 11},
		{"2026-10-24 20:00", "2026-10-25 08:00", 13},
		{"2026-10-25 08:00", "2026-10-25 20:00", 12},
	} {
		got := p.OnCall(vienna(t, c.from), nil)
		before := p.OnCall(vienna(t, c.from).Add(-time.Second), nil)
		if !got.To.Equal(vienna(t, c.until)) || got.To.Sub(got.From).Hours() != c.hours || before.Person == got.Person || !before.To.Equal(got.From) {
			t.Errorf("from %s: %+v (before: %+v)", c.from, got, before)
		}
	}
}

func TestTurns(t *testing.T) {
	p := parse(t, weeks)
	var got []string
	for _, turn := range p.Turns(vienna(t, "2026-01-13 03:00"), nil) {
		got = append(got, fmt.Sprintf("%s/%d/%d", turn.Contact.Person, turn.Step, turn.Try))
	}
	if want := "bob/0/0 bob/0/1 carl/1/0"; strings.Join(got, " ") != want { // carl is the secondary too: once
		t.Errorf("turns %v, want %s", got, want)
	}
	if c := p.Turns(vienna(t, "2026-01-13 03:00"), nil)[2]; c.Wait != 10*time.Minute || c.Contact.Phone != "+436641000003" {
		t.Errorf("turn %+v", c)
	}
}

func TestWhatMayRing(t *testing.T) {
	p := parse(t, weeks)
	for _, c := range []struct {
		severity, at string
		ok           bool
		from         string
	}{
		{"critical", "2026-01-13 03:00", true, ""},
		{"CRITICAL", "2026-01-13 03:00", true, ""},
		{"warning", "2026-01-13 03:00", false, "2026-01-13 08:00"},
		{"warning", "2026-01-13 20:00", false, "2026-01-14 08:00"},
		{"warning", "2026-01-13 19:59", true, ""},
		{"info", "2026-01-13 12:00", false, "never"},
		{"", "2026-01-13 12:00", false, "never"},
	} {
		ok, from := p.MayRing(c.severity, vienna(t, c.at))
		if ok != c.ok || c.from == "never" && !from.IsZero() || !ok && c.from != "never" && !from.Equal(vienna(t, c.from)) {
			t.Errorf("%s at %s: %t from %s", c.severity, c.at, ok, from)
		}
	}
}

// TestExactlyOne: where people take turns without a gap, somebody is on call at any
// time, until the very moment at which somebody else is; whatever the zone does.
func TestExactlyOne(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	zones := []string{"Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns", "UTC", "Pacific/Apia", "Africa/Casablanca"}
	lengths := []string{"1h", "6h", "12h", "36h", "1d", "3d", "1w", "2w"}
	for i := range 60 {
		zone := zones[rnd.IntN(len(zones))]
		text := fmt.Sprintf(`
zone: %s
people: {ann: {phone: "+431000001"}, bob: {phone: "+431000002"}, carl: {phone: "+431000003"}, dora: {phone: "+431000004"}}
schedules:
  - name: primary
    layers:
      - {from: 2025-12-%02d 00:00, every: %s, people: [dora], only: [{days: [mon, sat], from: "%02d:30", to: "%02d:15"}]}
      - {from: 2025-12-%02d %02d:%02d, every: %s, people: [ann, bob, carl]}
    overrides:
      - {person: dora, from: "2026-03-%02d 02:15", to: "2026-03-30 01:45"}
`, zone, 1+rnd.IntN(20), lengths[rnd.IntN(8)], rnd.IntN(24), rnd.IntN(24), 1+rnd.IntN(20), rnd.IntN(24), 15*rnd.IntN(4), lengths[rnd.IntN(8)], 1+rnd.IntN(28))
		p := parse(t, text)
		at := time.Date(2026, time.Month(1+rnd.IntN(12)), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), 0, 0, time.UTC)
		if i%2 == 0 { // around the change of the clock
			at = time.Date(2026, time.March, 28+rnd.IntN(2), rnd.IntN(24), rnd.IntN(60), 0, 0, time.UTC)
		}
		end := at.Add(4 * 24 * time.Hour)
		for at.Before(end) {
			s := p.OnCall(at, nil)
			if s.Person == "" || !s.To.After(at) {
				t.Fatalf("%s\nat %s: %+v", text, at, s)
			}
			for probe := at; probe.Before(s.To) && probe.Before(end); probe = probe.Add(47 * time.Minute) {
				if got := p.OnCall(probe, nil); got.Person != s.Person || !got.To.Equal(s.To) {
					t.Fatalf("%s\nat %s %+v, yet at %s %+v", text, at, s, probe, got)
				}
			}
			if before := p.OnCall(s.To.Add(-time.Nanosecond), nil); before.Person != s.Person {
				t.Fatalf("%s\nat %s %+v, yet right before the end %+v", text, at, s, before)
			}
			if after := p.OnCall(s.To, nil); after.Person == s.Person {
				t.Fatalf("%s\nat %s %+v, yet nobody takes over", text, at, s)
			}
			at = s.To
		}
	}
}

func TestWrongPlansAreNamed(t *testing.T) {
	sched := people + "schedules: [{name: primary, layers: [{from: 2026-01-05 09:00, every: 1w, people: [ann]}]}]\n"
	for _, c := range []struct{ text, want string }{
		{"", "schedules: there is none"},
		{"zone: Vienna", "no time zone"},
		{"people: {ann: {phone: 12}}", "write it with the country"},
		{`people: {ann: {phone: "+431234567"}, bob: {phone: "+43 1234567"}}`, "has that number already"},
		{people + "schedules: [{name: primary, layers: [{from: 2026-01-05 09:00, every: 1w, people: [zoe]}]}]", "zoe"},
		{people + "schedules: [{name: primary, layers: [{from: 2026-01-05 09:00, every: 0w, people: [ann, bob]}]}]", "length of a shift"},
		{people + "schedules: [{name: primary, layers: [{every: 1w, people: [ann, bob]}]}]", "no time"},
		{people + "schedules: [{name: primary, layers: [{calendar: none.ics}]}]", "none.ics"},
		{people + "schedules: [{name: primary, layers: [{calendar: a.ics, people: [ann]}]}]", "take people"},
		{people + "schedules: [{name: ann}]", "called so too"},
		{sched + "escalation: [{ring: [tertiary]}]", "tertiary"},
		{sched + "escalation: [{ring: []}]", "nobody"},
		{sched + "escalation: [{ring: [primary], wait: soon}]", "soon"},
		{sched + "escalation: [{ring: [primary], tries: 9}, {ring: [ann], tries: 10}]\nrounds: 10", "in all"},
		{sched + "rings: [{when: [{days: [funday]}]}]", "funday"},
		{sched + "colour: red", "colour"},
	} {
		_, err := schedule.Parse("oncall.yaml", []byte(c.text), os.ReadFile)
		if err == nil || fault.KindOf(err) != fault.Usage || !strings.Contains(fault.Say(err), c.want) || !strings.HasPrefix(fault.Say(err), "oncall.yaml") {
			t.Errorf("%q: %v (%s)", c.text, err, fault.Say(err))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(weeks)
	f.Add(people + "schedules: [{name: primary, layers: [{calendar: a.ics}]}]")
	at := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := schedule.Parse("f", []byte(text), func(string) ([]byte, error) { return nil, fs.ErrNotExist })
		if err != nil {
			if fault.KindOf(err) != fault.Usage {
				t.Fatal(err)
			}
			return
		}
		p.OnCall(at, nil)
		p.Turns(at, nil)
		p.MayRing("critical", at)
	})
}

func TestCalendar(t *testing.T) {
	b, err := os.ReadFile("testdata/rota.ics")
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, people+"schedules: [{name: primary, layers: [{calendar: rota.ics}, {from: 2026-01-01, every: 1w, people: [carl]}]}]")
	for _, c := range []struct{ at, who, until string }{
		{"2026-03-16 09:00", "ann", "2026-03-23 09:00"},
		{"2026-03-23 09:00", "bob", "2026-03-30 09:00"}, // over the change of the clock
		{"2026-03-30 09:00", "ann", "2026-04-03 00:00"},
		{"2026-04-03 00:00", "carl", "2026-04-06 09:00"}, // the moved one ends early; the layer below
		{"2026-04-13 09:00", "carl", "2026-05-03 00:00"}, // an exception: nobody by the calendar
		{"2026-05-01 12:00", "carl", "2026-05-03 00:00"}, // a whole day, by an attendee
	} {
		got := p.OnCall(vienna(t, c.at), nil)
		if got.Person != c.who || !got.To.Equal(vienna(t, c.until)) {
			t.Errorf("%s: %s until %s, want %s until %s", c.at, got.Person, got.To, c.who, c.until)
		}
	}
	for name, text := range map[string]string{
		"no iCalendar": "hello", "none": "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
		"names nobody":   strings.ReplaceAll(string(b), "SUMMARY:On call: Ann", "SUMMARY:On call: Zoe"),
		"unknown zone":   strings.ReplaceAll(string(b), "TZID=Europe/Vienna", "TZID=W. Europe Standard Time"),
		"every second":   strings.ReplaceAll(string(b), "FREQ=WEEKLY;INTERVAL=2", "FREQ=SECONDLY"),
		"ends before":    strings.ReplaceAll(string(b), "DTEND;TZID=Europe/Vienna:20260323", "DTEND;TZID=Europe/Vienna:20250323"),
		"names two":      strings.ReplaceAll(string(b), "SUMMARY:On call: Ann", "SUMMARY:Ann/Bob"),
		"without an end": strings.ReplaceAll(string(b), "DTEND;TZID=Europe/Vienna:20260323T090000\r\n", ""),
	} {
		if _, err := schedule.Calendar([]byte(text), time.UTC, p.Contacts); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzCalendar(f *testing.F) {
	b, err := os.ReadFile("testdata/rota.ics")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	who := []schedule.Contact{{Person: "ann"}, {Person: "bob"}, {Person: "carl"}}
	f.Fuzz(func(t *testing.T, b []byte) {
		shifts, err := schedule.Calendar(b, time.UTC, who)
		if err == nil && len(shifts) == 0 {
			t.Fatal(errors.New("neither shifts nor an error"))
		}
		for _, s := range shifts {
			if s.Person == "" || !s.To.After(s.From) {
				t.Fatalf("%+v", s)
			}
		}
	})
}
