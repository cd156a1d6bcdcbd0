package schedule

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

// What counts where a plan does not say.
const (
	usualTries  = 2
	usualWait   = 5 * time.Minute
	usualRounds = 2
	// mostTurns bounds how often anybody is rung about one thing.
	mostTurns = 100
)

type planFile struct {
	Zone   string `yaml:"zone"`
	People map[string]struct {
		Phone string `yaml:"phone"`
	} `yaml:"people"`
	Schedules []struct {
		Name   string `yaml:"name"`
		Zone   string `yaml:"zone"`
		Layers []struct {
			Name   string       `yaml:"name"`
			From   string       `yaml:"from"`
			Until  string       `yaml:"until"`
			Every  string       `yaml:"every"`
			People []string     `yaml:"people"`
			Only   []windowFile `yaml:"only"`
			// Calendar is an iCalendar file whose events are shifts.
			Calendar string `yaml:"calendar"`
		} `yaml:"layers"`
		Overrides []struct {
			Person string `yaml:"person"`
			From   string `yaml:"from"`
			To     string `yaml:"to"`
		} `yaml:"overrides"`
	} `yaml:"schedules"`
	Escalation []struct {
		Ring  []string `yaml:"ring"`
		Tries int      `yaml:"tries"`
		Wait  string   `yaml:"wait"`
	} `yaml:"escalation"`
	Rounds int `yaml:"rounds"`
	Rings  []struct {
		Severity []string     `yaml:"severity"`
		When     []windowFile `yaml:"when"`
	} `yaml:"rings"`
}

type windowFile struct {
	Days []string `yaml:"days"`
	From string   `yaml:"from"`
	To   string   `yaml:"to"`
	Zone string   `yaml:"zone"`
}

// Parse reads a plan. read gives the calendars that it names; errors name file and
// key, and say what to write.
func Parse(file string, b []byte, read func(name string) ([]byte, error)) (Plan, error) {
	p := parser{file: file, read: read}
	plan, err := p.plan(b)
	if err != nil {
		return Plan{}, err
	}
	n := 0
	for _, s := range plan.Steps {
		n += len(s.Ring) * s.Tries * plan.Rounds
	}
	if n > mostTurns {
		return Plan{}, p.wrong("escalation", "rings %d times in all; at most %d make sense", n, mostTurns)
	}
	return plan, nil
}

type parser struct {
	file string
	read func(string) ([]byte, error)
	zone *time.Location
}

func (p parser) wrong(key, form string, args ...any) error {
	return fault.New(fault.Usage, "%s: %s: %s.", p.file, key, fmt.Sprintf(form, args...))
}

// phoneForm is E.164: what carriers take.
var phoneForm = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func (p parser) plan(b []byte) (Plan, error) {
	var f planFile
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return Plan{}, fault.Wrap(err, fault.Usage, "%s: %v.", p.file, err)
	}
	var out Plan
	var err error
	if p.zone, err = p.location("zone", f.Zone, time.UTC); err != nil {
		return out, err
	}
	out.Zone = p.zone
	names := make([]string, 0, len(f.People))
	for name := range f.People {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		number := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(f.People[name].Phone)
		if !phoneForm.MatchString(number) {
			return out, p.wrong("people."+name+".phone", "%q is no number; write it with the country, like +43 664 1234567", f.People[name].Phone)
		}
		if c, ok := out.OfPhone(number); ok {
			return out, p.wrong("people."+name+".phone", "%s has that number already", c.Person)
		}
		out.Contacts = append(out.Contacts, Contact{name, number})
	}
	if len(f.Schedules) == 0 {
		return out, p.wrong("schedules", "there is none, so nobody is ever on call")
	}
	for i := range f.Schedules {
		s, err := p.schedule(f, i, out)
		if err != nil {
			return out, err
		}
		out.Schedules = append(out.Schedules, s)
	}
	if err := p.steps(f, &out); err != nil {
		return out, err
	}
	for i, r := range f.Rings {
		w, err := p.windows(fmt.Sprintf("rings %d", i+1), r.When, p.zone)
		if err != nil {
			return out, err
		}
		out.Rings = append(out.Rings, Ring{r.Severity, w})
	}
	return out, nil
}

func (p parser) location(key, name string, none *time.Location) (*time.Location, error) {
	if name == "" {
		return none, nil
	}
	z, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, p.wrong(key, "%q is no time zone; write one like Europe/Vienna or UTC", name)
	}
	return z, nil
}

func (p parser) steps(f planFile, out *Plan) error {
	for i, s := range f.Escalation {
		key := fmt.Sprintf("escalation %d", i+1)
		if len(s.Ring) == 0 {
			return p.wrong(key, "ring names nobody")
		}
		for _, name := range s.Ring {
			_, person := out.Contact(name)
			if !person && !slices.ContainsFunc(out.Schedules, func(d Schedule) bool { return d.Name == name }) {
				return p.wrong(key, "%q is neither one of the schedules nor of the people", name)
			}
		}
		wait := usualWait
		if s.Wait != "" {
			var err error
			if wait, err = time.ParseDuration(s.Wait); err != nil || wait < 0 || wait > 24*time.Hour {
				return p.wrong(key+".wait", "%q is no time to wait; write one like 5m", s.Wait)
			}
		}
		if s.Tries < 0 || s.Tries > 10 {
			return p.wrong(key+".tries", "it is a number from 1 to 10")
		}
		out.Steps = append(out.Steps, Step{Ring: s.Ring, Tries: cmp.Or(s.Tries, usualTries), Wait: wait})
	}
	if len(out.Steps) == 0 {
		out.Steps = []Step{{Ring: []string{out.Schedules[0].Name}, Tries: usualTries, Wait: usualWait}}
	}
	if f.Rounds < 0 || f.Rounds > 10 {
		return p.wrong("rounds", "it is a number from 1 to 10")
	}
	out.Rounds = cmp.Or(f.Rounds, usualRounds)
	return nil
}

func (p parser) schedule(f planFile, i int, known Plan) (Schedule, error) {
	from := f.Schedules[i]
	out := Schedule{Name: from.Name}
	key := "schedules " + cmp.Or(from.Name, strconv.Itoa(i+1))
	if from.Name == "" {
		return out, p.wrong(key, "it has no name")
	}
	_, person := known.Contact(from.Name)
	if person || slices.ContainsFunc(known.Schedules, func(s Schedule) bool { return s.Name == from.Name }) {
		return out, p.wrong(key, "something else is called so too")
	}
	zone, err := p.location(key+".zone", from.Zone, p.zone)
	if err != nil {
		return out, err
	}
	for n, l := range from.Layers {
		key := key + ", layer " + cmp.Or(l.Name, strconv.Itoa(n+1))
		layer := Layer{Name: l.Name, People: l.People}
		if layer.Only, err = p.windows(key+".only", l.Only, zone); err != nil {
			return out, err
		}
		if l.Until != "" {
			if layer.Until, err = p.moment(key+".until", l.Until, zone); err != nil {
				return out, err
			}
		}
		switch {
		case l.Calendar != "" && (len(l.People) > 0 || l.From != "" || l.Every != ""):
			return out, p.wrong(key, "a calendar says by itself who and when; take people, from and every away")
		case l.Calendar != "":
			b, err := p.read(l.Calendar)
			if err != nil {
				return out, fault.Wrap(err, fault.Usage, "%s: %s.calendar: %v.", p.file, key, err)
			}
			if layer.Shifts, err = Calendar(b, zone, known.Contacts); err != nil {
				return out, fault.Wrap(err, fault.Usage, "%s: %s.calendar: %s: %v.", p.file, key, l.Calendar, err)
			}
		case len(l.People) == 0:
			return out, p.wrong(key, "it has neither people nor a calendar")
		default:
			if layer.From, err = p.moment(key+".from", l.From, zone); err != nil {
				return out, err
			}
			if layer.Every, err = p.length(key+".every", l.Every, len(l.People)); err != nil {
				return out, err
			}
			for _, name := range l.People {
				if _, ok := known.Contact(name); !ok {
					return out, p.wrong(key, "%q is not one of the people", name)
				}
			}
		}
		out.Layers = append(out.Layers, layer)
	}
	for n, o := range from.Overrides {
		key := fmt.Sprintf("%s, override %d", key, n+1)
		if _, ok := known.Contact(o.Person); !ok {
			return out, p.wrong(key, "%q is not one of the people", o.Person)
		}
		s := Shift{Person: o.Person}
		if s.From, err = p.moment(key+".from", o.From, zone); err != nil {
			return out, err
		}
		if s.To, err = p.moment(key+".to", o.To, zone); err != nil {
			return out, err
		}
		if !s.To.After(s.From) {
			return out, p.wrong(key, "to is not after from")
		}
		out.Overrides = append(out.Overrides, s)
	}
	return out, nil
}

// moment reads a day and a time of the day.
func (p parser) moment(key, s string, zone *time.Location) (time.Time, error) {
	for _, form := range []string{"2006-01-02 15:04", "2006-01-02T15:04", time.RFC3339, "2006-01-02"} {
		if t, err := time.ParseInLocation(form, s, zone); err == nil {
			return t.In(zone), nil
		}
	}
	return time.Time{}, p.wrong(key, "%q is no time; write one like 2026-01-05 09:00", s)
}

var lengthForm = regexp.MustCompile(`^([0-9]{1,3}) ?(h|d|w)$`)

// length reads how long a shift is.
func (p parser) length(key, s string, people int) (Length, error) {
	m := lengthForm.FindStringSubmatch(s)
	if s == "" && people == 1 {
		return Length{Days: 7}, nil // it makes no difference
	}
	if m == nil || m[1] == "0" {
		return Length{}, p.wrong(key, "%q is no length of a shift; write one like 12h, 1d or 1w", s)
	}
	n, _ := strconv.Atoi(m[1]) // digits, by the form
	switch {
	case n == 0:
		return Length{}, p.wrong(key, "a shift cannot be that short")
	case m[2] == "w":
		return Length{Days: 7 * n}, nil
	case m[2] == "d":
		return Length{Days: n}, nil
	case n%24 == 0:
		return Length{Days: n / 24}, nil
	}
	return Length{Hours: n}, nil
}

func (p parser) windows(key string, in []windowFile, zone *time.Location) ([]access.Window, error) {
	var out []access.Window
	for _, w := range in {
		v, err := access.NewWindow(w.Days, w.From, w.To, cmp.Or(w.Zone, zone.String()))
		if err != nil {
			return nil, p.wrong(key, "%v", err)
		}
		out = append(out, v)
	}
	return out, nil
}
