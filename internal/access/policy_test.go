package access_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

const shopPolicy = `
- name: writes in shop
  match: {group: shop-ops, namespace: ["shop", "team-*"], assurance: claimed}
  verdict: confirm
- name: staging is free
  match: {person: [ann, bob], namespace: staging}
  verdict: allow
- name: PIN in shop
  match: {namespace: shop, risk: medium, channel: [phone, web]}
  verdict: pin
- name: big things need two
  match: {namespace: shop, risk: high}
  verdict: approve
  by: {group: leads, person: carl, assurance: verified}
  reason: Two pairs of eyes on what is high
- name: weekend
  match: {namespace: shop, time: {from: "fri 16:00", to: "mon 08:00", zone: Europe/Vienna}}
  unless: {group: oncall}
  verdict: deny
  reason: No changes of the shop over the weekend
- name: databases
  match: {labels: {tier: "db*"}, intent: [scale, restart]}
  verdict: deny
`

func policy(t testing.TB, text string) access.Policy {
	t.Helper()
	p, err := access.ReadPolicy("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecide(t *testing.T) {
	p := policy(t, shopPolicy)
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Fatal(err)
	}
	tuesday := time.Date(2026, 11, 17, 10, 0, 0, 0, vienna)
	saturday := time.Date(2026, 11, 21, 3, 0, 0, 0, vienna)
	ann := access.Person{Name: "ann", Groups: []string{"shop-ops"}}
	onCall := access.Person{Name: "dora", Groups: []string{"shop-ops", "oncall"}}
	eve := access.Person{Name: "eve"}
	web := access.NewSpeaker("web", "x", access.Token)
	slack := access.NewSpeaker("slack", "x", access.Signature)
	nobody := access.Speaker{Channel: "web", ID: "x"}
	shop := func(risk access.Risk, intents ...string) access.Act {
		return access.Act{Intents: intents, Cluster: "prod", Namespace: "shop", Kind: "Deployment", Name: "web", Risk: risk}
	}
	staging := access.Act{Intents: []string{"deploy"}, Namespace: "staging"}
	db := shop(access.Low, "scale")
	db.Labels = map[string]string{"tier": "db-main"}
	for _, tt := range []struct {
		name string
		act  access.Act
		s    access.Speaker
		who  access.Person
		at   time.Time
		kind access.Kind
		rule string
		pin  bool
	}{
		{"nothing matches", access.Act{Intents: []string{"scale"}, Namespace: "other"}, web, ann, tuesday, access.Deny, "", false},
		{"nobody's group", shop(access.Low, "scale"), web, eve, tuesday, access.Deny, "", false},
		{"a yes", shop(access.Low, "scale"), web, ann, tuesday, access.Confirm, "writes in shop", false},
		{"a pattern", access.Act{Intents: []string{"scale"}, Namespace: "team-a"}, web, ann, tuesday, access.Confirm, "writes in shop", false},
		{"too little assurance", shop(access.Low, "scale"), nobody, ann, tuesday, access.Deny, "", false},
		{"at once", staging, web, ann, tuesday, access.Allow, "staging is free", false},
		{"a PIN from medium on", shop(access.Medium, "scale"), web, ann, tuesday, access.PIN, "PIN in shop", true},
		{"not on that channel", shop(access.Medium, "scale"), slack, ann, tuesday, access.Confirm, "writes in shop", false},
		{"both a PIN and two", shop(access.High, "scale"), web, ann, tuesday, access.Approve, "big things need two", true},
		{"the weekend", shop(access.Low, "scale"), web, ann, saturday, access.Deny, "weekend", false},
		{"except who is on call", shop(access.Low, "scale"), web, onCall, saturday, access.Confirm, "writes in shop", false},
		{"the weekend elsewhere", staging, web, ann, saturday, access.Allow, "staging is free", false},
		{"a label", db, web, ann, tuesday, access.Deny, "databases", false},
		{"by the name of the step", func() access.Act { a := db; a.Intents = []string{"undo", "scale"}; return a }(), web, ann, tuesday, access.Deny, "databases", false},
		{"another intent", func() access.Act { a := db; a.Intents = []string{"deploy"}; return a }(), web, ann, tuesday, access.Confirm, "writes in shop", false},
	} {
		v := access.Decide(p, tt.act, tt.s, tt.who, tt.at)
		if v.Kind != tt.kind || v.Rule != tt.rule || v.PIN != tt.pin {
			t.Errorf("%s: %v by %q, PIN %v; want %v by %q, %v", tt.name, v.Kind, v.Rule, v.PIN, tt.kind, tt.rule, tt.pin)
		}
		if (v.Refusal() == nil) != (tt.kind != access.Deny) {
			t.Errorf("%s: the refusal is %v", tt.name, v.Refusal())
		}
		// Every rule explains itself, and those that match are those that count.
		for _, f := range access.Explain(p, tt.act, tt.s, tt.who, tt.at) {
			if f.Not == "" && f.Rule.Verdict < v.Kind {
				t.Errorf("%s: %s matches and is stricter than the verdict", tt.name, f.Rule.Name)
			}
		}
	}
	v := access.Decide(p, shop(access.High, "scale"), web, ann, tuesday)
	if v.WhoMayApprove() != "carl or anyone of leads" {
		t.Errorf("approvers: %s", v.WhoMayApprove())
	}
	by := v.Approvals[0]
	if !by.May(access.Person{Name: "carl"}, slack) || !by.May(access.Person{Name: "x", Groups: []string{"leads"}}, slack) {
		t.Error("those who are named may not approve")
	}
	if by.May(access.Person{Name: "carl"}, nobody) || by.May(ann, slack) {
		t.Error("somebody else may approve, or without assurance")
	}
}

// vocabulary of what random rules and acts are made of: few words, so that they meet.
var (
	somePeople = []string{"ann", "bob", "*", "a*"}
	someSpaces = []string{"shop", "staging", "s*"}
	someVerbs  = []string{"scale", "deploy", "undo"}
	someGroups = []string{"ops", "leads"}
)

func randomRule(r *rand.Rand, i int) access.Rule {
	some := func(words []string) []string {
		if r.IntN(2) == 0 {
			return nil
		}
		return []string{words[r.IntN(len(words))]}
	}
	match := func() access.Match {
		m := access.Match{People: some(somePeople), Groups: some(someGroups), Namespaces: some(someSpaces), Intents: some(someVerbs)}
		m.Risk, m.Assurance, m.Below = access.Risk(r.IntN(3)), access.Assurance(r.IntN(4)), access.Assurance(r.IntN(4))
		if r.IntN(4) == 0 {
			m.Labels = map[string]string{"tier": "db*"}
		}
		return m
	}
	out := access.Rule{Name: strings.Repeat("r", i+1), Match: match(), Verdict: access.Kind(r.IntN(5)), By: access.Approvers{People: []string{"bob"}}}
	if r.IntN(4) == 0 {
		u := match()
		out.Unless = &u
	}
	out.Further = r.IntN(4) == 0
	return out
}

func randomAct(r *rand.Rand) (access.Act, access.Speaker, access.Person) {
	a := access.Act{Intents: []string{someVerbs[r.IntN(3)]}, Namespace: []string{"shop", "staging", "other"}[r.IntN(3)], Risk: access.Risk(r.IntN(3))}
	if r.IntN(2) == 0 {
		a.Labels = map[string]string{"tier": "db1"}
	}
	s := access.Speaker{Channel: "web", ID: "x", Assurance: access.Assurance(r.IntN(4))}
	return a, s, access.Person{Name: []string{"ann", "bob", "carl"}[r.IntN(3)], Groups: []string{someGroups[r.IntN(2)]}}
}

// looser reports whether a verdict lets more through than another.
func looser(a, b access.Verdict) bool {
	if b.Kind == access.Deny {
		return a.Kind != access.Deny
	}
	return a.Kind > b.Kind || b.PIN && !a.PIN && a.Kind != access.Deny || len(a.Approvals) < len(b.Approvals) && a.Kind != access.Deny
}

// FuzzDecide holds what people may rely on whatever rules they write: no rule,
// no right; a rule that denies never lets more through; nor does one more rule
// of any kind, where something matched before; the order does not matter; and
// several acts together are let through only where each is.
func FuzzDecide(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed, uint8(seed%9))
	}
	now := time.Date(2026, 11, 17, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, seed uint64, size uint8) {
		r := rand.New(rand.NewPCG(seed, 1))
		var p access.Policy
		for i := range int(size % 12) {
			p = append(p, randomRule(r, i))
		}
		more := randomRule(r, len(p))
		for range 20 {
			a, s, who := randomAct(r)
			v := access.Decide(p, a, s, who, now)
			matched := slices.ContainsFunc(access.Explain(p, a, s, who, now), func(f access.Finding) bool { return f.Not == "" && !f.Rule.Further })
			if !matched && v.Kind != access.Deny {
				t.Fatalf("no rule lets it, and the verdict is %v", v)
			}
			if v.Kind == access.Deny && (v.PIN || len(v.Approvals) > 0) {
				t.Fatalf("denied, and yet something would help: %+v", v)
			}
			with := access.Decide(append(slices.Clone(p), more), a, s, who, now)
			if (more.Verdict == access.Deny || more.Further || matched) && looser(with, v) {
				t.Fatalf("one more rule (%v) lets more through: %+v, was %+v", more.Verdict, with, v)
			}
			back := slices.Clone(p)
			slices.Reverse(back)
			if w := access.Decide(back, a, s, who, now); w.Kind != v.Kind || w.PIN != v.PIN || len(w.Approvals) != len(v.Approvals) {
				t.Fatalf("the order matters: %+v, and backwards %+v", v, w)
			}
			b, _, _ := randomAct(r)
			g := access.NewGuard([]access.Person{who}, p, nil)
			if both := g.Judge(s, who, []access.Act{a, b}, now); looser(both, v) || looser(both, access.Decide(p, b, s, who, now)) {
				t.Fatalf("two acts together get more than each: %+v", both)
			}
		}
	})
}

// TestFurther: a rule that wants something further lets nobody do anything.
func TestFurther(t *testing.T) {
	ann := access.Person{Name: "ann", User: "ann", Speakers: []string{"phone:*", "web:*"}, Write: true}
	bob := access.Person{Name: "bob", User: "bob", Speakers: []string{"phone:7"}}
	spoken := access.Rule{Name: "spoken", Match: access.Match{Channels: []string{"phone"}, Below: access.Strong}, Verdict: access.PIN, Further: true}
	g := access.NewGuard([]access.Person{ann, bob}, access.Policy{spoken}, nil)
	phone, web := access.NewSpeaker("phone", "1", access.CallerID), access.NewSpeaker("web", "x", access.Token)
	acts := []access.Act{{Intents: []string{"scale"}, Namespace: "shop"}}
	for _, tt := range []struct {
		name string
		got  access.Verdict
		want access.Kind
		pin  bool
	}{
		{"who may write, by telephone", g.Judge(phone, ann, acts, time.Now()), access.PIN, true},
		{"who may write, elsewhere", g.Judge(web, ann, acts, time.Now()), access.Confirm, false},
		{"who may not write", g.Judge(phone, bob, acts, time.Now()), access.Deny, false},
	} {
		if tt.got.Kind != tt.want || tt.got.PIN != tt.pin {
			t.Errorf("%s: %+v", tt.name, tt.got)
		}
	}
	if _, err := g.Writer(t.Context(), access.NewSpeaker("phone", "7", access.CallerID)); fault.KindOf(err) != fault.Refused {
		t.Errorf("bob is a writer by a rule that only wants more: %v", err)
	}
	if p, err := g.Writer(t.Context(), phone); err != nil || p.Name != "ann" {
		t.Errorf("ann is none: %v", err)
	}
}

func TestBrokenRules(t *testing.T) {
	for text, want := range map[string]string{
		"- {name: a, match: {tme: 1}, verdict: deny}":                                                 "f.yaml:1: rule 1 (a), key match.tme: I know no such key; do you mean time?",
		"\n- {name: a, match: {}, verdict: maybe}":                                                    "f.yaml:2: rule 1 (a), key verdict: a verdict is allow, confirm, pin, approve or deny",
		"- {name: ok, match: {}, verdict: deny}\n- name: b\n  match: {risk: huge}\n  verdict: deny":   "f.yaml:3: rule 2 (b), key match.risk: a risk is low, medium or high",
		"- {match: {}, verdict: deny}":                                                                "rule 1, key name: every rule has a name",
		"- {name: a, verdict: deny}":                                                                  "key match: it is missing",
		"- {name: a, match: {}}":                                                                      "key verdict: it is missing",
		"- {name: a, match: {person: []}, verdict: deny}":                                             "key match.person: it is empty, which would match everything",
		"- {name: a, match: {}, verdict: approve}":                                                    "key by: say who may approve",
		"- {name: a, match: {}, verdict: pin, by: {person: x}}":                                       "key by: it goes with the verdict approve only",
		"- {name: a, match: {}, verdict: deny}\n- {name: a, match: {}, verdict: deny}":                "f.yaml:2: rule 2 (a), key name: line 1 has a rule of that name already",
		"- {name: a, match: {}, unless: {}, verdict: deny}":                                           "key unless: it is empty",
		"- {name: a, match: {time: {from: \"25:00\", to: \"26:00\"}}, verdict: deny}":                 "key match.time.from: \"25:00\" is no time of the day",
		"- {name: a, match: {time: {from: \"fri 16:00\", to: \"08:00\"}}, verdict: deny}":             "key match.time.to: from and to have both a day of the week",
		"- {name: a, match: {time: {days: [fritag], from: \"16:00\", to: \"18:00\"}}, verdict: deny}": "key match.time.days: \"fritag\" is no day of the week",
		"- {name: a, match: {time: {from: \"16:00\", to: \"18:00\", zone: Mars}}, verdict: deny}":     "key match.time.zone: \"Mars\" is no time zone",
		"- {name: a, match: {time: {from: 2026-12-20, to: 2026-12-19}}, verdict: deny}":               "key match.time.to: that is not after from",
		"- {name: a, match: {time: []}, verdict: deny}":                                               "key match.time: it is empty",
		"- {name: a, match: {person: \"[\"}, verdict: deny}":                                          "is no pattern",
		"- {name: a, match: {assurance: sure}, verdict: deny}":                                        "key match.assurance: an assurance is",
		"- {name: a, match: {below: none}, verdict: allow}":                                           "key match.below: nothing is below none",
		"- just a text":  "a rule is a mapping",
		"{name: a}":      "a policy is a list of rules",
		"- {name: a\n- ": "is not YAML",
		"- {name: a, name: b, match: {}, verdict: deny}": "it is there twice",
	} {
		_, err := access.ReadPolicy("f.yaml", []byte(text))
		if fault.KindOf(err) != fault.Usage || !strings.Contains(fault.Say(err), want) {
			t.Errorf("%s\n gives %v\n want %s", text, err, want)
		}
	}
	if p, err := access.ReadPolicy("f.yaml", []byte("policies:\n- {name: a, match: {}, verdict: deny}\n")); err != nil || len(p) != 1 || p[0].Where != "f.yaml:2" {
		t.Errorf("under policies: %+v, %v", p, err)
	}
}

func TestWindow(t *testing.T) {
	for _, tt := range []struct {
		days           []string
		from, to, zone string
		in, out        []string
	}{
		{nil, "fri 16:00", "mon 08:00", "Europe/Vienna",
			[]string{"2026-11-20T15:00:00Z", "2026-11-22T00:00:00Z", "2026-11-23T06:59:59Z"},
			[]string{"2026-11-20T14:59:59Z", "2026-11-23T07:00:00Z", "2026-11-25T12:00:00Z"}},
		{nil, "fri 16:00", "mon 08:00", "Europe/Vienna", // summer time
			[]string{"2026-07-17T14:00:00Z"}, []string{"2026-07-17T13:59:59Z"}},
		{nil, "22:00", "06:00", "", []string{"2026-11-17T22:00:00Z", "2026-11-17T05:59:00Z"}, []string{"2026-11-17T21:59:00Z", "2026-11-17T06:00:00Z"}},
		{[]string{"fri"}, "22:00", "06:00", "", // begins on Friday, ends on Saturday
			[]string{"2026-11-20T22:00:00Z", "2026-11-21T05:00:00Z"}, []string{"2026-11-20T05:00:00Z", "2026-11-21T22:00:00Z"}},
		{[]string{"sat", "Sunday"}, "", "", "", []string{"2026-11-21T00:00:00Z", "2026-11-22T23:59:59Z"}, []string{"2026-11-20T23:59:59Z", "2026-11-23T00:00:00Z"}},
		{nil, "2026-12-20", "2027-01-02", "America/New_York",
			[]string{"2026-12-20T05:00:00Z", "2027-01-03T04:59:59Z"}, []string{"2026-12-20T04:59:59Z", "2027-01-03T05:00:00Z"}},
		{nil, "2026-12-20 18:00", "2026-12-20 19:30", "UTC", []string{"2026-12-20T19:29:59Z"}, []string{"2026-12-20T17:59:59Z", "2026-12-20T19:30:00Z"}},
		{[]string{"mon"}, "08:00", "24:00", "", []string{"2026-11-23T23:59:00Z"}, []string{"2026-11-24T00:00:00Z", "2026-11-23T07:59:00Z"}},
	} {
		w, err := access.NewWindow(tt.days, tt.from, tt.to, tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		for at, want := range map[bool][]string{true: tt.in, false: tt.out} {
			for _, s := range want {
				now, err := time.Parse(time.RFC3339, s)
				if err != nil {
					t.Fatal(err)
				}
				if w.Holds(now) != at {
					t.Errorf("%s: %s is in it: %v", w, s, !at)
				}
			}
		}
	}
}

// FuzzReadPolicy holds that no text makes rules that let everything through by
// accident, or stops the process: it is rules, or an error that says what to do.
func FuzzReadPolicy(f *testing.F) {
	f.Add(shopPolicy)
	f.Add("- {name: a, match: {time: {from: 2026-12-20, to: 2026-12-19}}, verdict: deny}")
	f.Add("- &a {name: a, match: {}, verdict: allow}\n- *a")
	f.Add("- {name: a, match: {<<: {person: x}}, verdict: allow}")
	f.Add("- {name: [], match: 3, verdict: {}}")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := access.ReadPolicy("f.yaml", []byte(text))
		if err != nil {
			if fault.KindOf(err) != fault.Usage || fault.Say(err) == "" {
				t.Errorf("%v", err)
			}
			return
		}
		for _, r := range p {
			if r.Name == "" || r.Where == "" || r.Verdict < access.Deny || r.Verdict > access.Allow || r.Verdict == access.Approve && len(r.By.People)+len(r.By.Groups) == 0 {
				t.Errorf("half a rule: %+v", r)
			}
		}
		access.Decide(p, access.Act{Intents: []string{"scale"}, Namespace: "shop"}, access.Speaker{}, access.Person{Name: "ann"}, time.Now())
	})
}

// A rule that tightens adds what it wants to what others let through, and lets
// nobody do anything by itself.
func TestARuleThatTightensLetsNothingThrough(t *testing.T) {
	byPhone := access.Rule{Name: "phone", Match: access.Match{Channels: []string{"phone"}}, Verdict: access.PIN, Further: true}
	vouched := access.Rule{Name: "vouched", Match: access.Match{Channels: []string{"phone"}, Below: access.Verified}, Verdict: access.Deny, Further: true}
	shop := access.Rule{Name: "shop", Match: access.Match{Namespaces: []string{"shop"}}, Verdict: access.Allow}
	ann := access.Person{Name: "ann", User: "ann", Speakers: []string{"phone:1", "web:ann"}}
	act := access.Act{Intents: []string{"scale"}, Namespace: "shop"}
	sure, unsure := access.NewSpeaker("phone", "1", access.StirShaken), access.NewSpeaker("phone", "1", access.CallerID)
	for _, tt := range []struct {
		name string
		p    access.Policy
		s    access.Speaker
		act  access.Act
		want access.Kind
		pin  bool
	}{
		{"alone", access.Policy{byPhone}, sure, act, access.Deny, false},
		{"with one that lets through", access.Policy{byPhone, shop}, sure, act, access.PIN, true},
		{"in any order", access.Policy{shop, byPhone}, sure, act, access.PIN, true},
		{"elsewhere", access.Policy{byPhone, shop}, sure, access.Act{Namespace: "other"}, access.Deny, false},
		{"on another channel", access.Policy{byPhone, shop}, access.NewSpeaker("web", "ann", access.Token), act, access.Allow, false},
		{"it may deny", access.Policy{byPhone, shop, vouched}, unsure, act, access.Deny, false},
		{"whom it does not fit", access.Policy{byPhone, shop, vouched}, sure, act, access.PIN, true},
	} {
		if v := access.Decide(tt.p, tt.act, tt.s, ann, time.Now()); v.Kind != tt.want || v.PIN != tt.pin {
			t.Errorf("%s: %s, PIN %v; want %s, %v", tt.name, v.Kind, v.PIN, tt.want, tt.pin)
		}
	}
	if _, err := access.NewGuard([]access.Person{ann}, access.Policy{byPhone}, nil).Writer(t.Context(), sure); fault.KindOf(err) != fault.Refused {
		t.Errorf("with nothing but a rule that tightens somebody may write: %v", err)
	}
	if _, err := access.NewGuard([]access.Person{ann}, access.Policy{byPhone, shop}, nil).Writer(t.Context(), sure); err != nil {
		t.Errorf("who may write with a PIN may not write: %v", err)
	}
}
