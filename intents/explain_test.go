package intents

import (
	"strings"
	"testing"
)

// TestExplain holds that an explanation says what was done, and says nothing
// else than Recognize does.
func TestExplain(t *testing.T) {
	r, inv := testRecognizer(t), fixture(t)
	for text, wants := range map[string][]string{
		"scale web to five":                      {"scale.yaml:", `targets: "web", words 2 to 2 → [web]`, `replicas: "five", words 4 to 4 → 5`},
		"resttart chekcout plaese":               {`"resttart" taken for "restart"`, `"chekcout" taken for [checkout]`, `"plaese" passed over`},
		"should we restart web?":                 {`nothing may be changed: "should we"`},
		"restart foobar":                         {`"foobar" is no name that exists`, "asks for: targets"},
		"restart web and then scale cart to two": {"step 1", "step 2", "rollout.yaml:"},
		"the weather is nice":                    {"no template or frame accepts all its words"},
		"how is payments":                        {`"payments" is a guess for payments-api`},
	} {
		got := r.Explain(text, inv, Expect{})
		for _, want := range wants {
			if !strings.Contains(got.String(), want) {
				t.Errorf("%q: no %q in\n%s", text, want, got)
			}
		}
	}
	tests, _ := ownSet(t)
	for _, l := range tests {
		if a, b := jsonOf(r.Explain(l.text, inv, l.open).Result), jsonOf(r.Recognize(l.text, inv, l.open)); a != b {
			t.Errorf("%s: %q is explained as %s and read as %s", l.at, l.text, a, b)
		}
	}
}
