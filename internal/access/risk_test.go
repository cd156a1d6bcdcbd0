package access_test

import (
	"encoding/json"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/access"
)

func TestRisk(t *testing.T) {
	if access.Low >= access.Medium || access.Medium >= access.High || access.Low != 0 {
		t.Error("risks are out of order")
	}
	for _, r := range []access.Risk{access.Low, access.Medium, access.High} {
		b, err := json.Marshal(r)
		var back access.Risk
		if err != nil || json.Unmarshal(b, &back) != nil || back != r {
			t.Errorf("%v is written as %s, %v, and read as %v", r, b, err, back)
		}
	}
	for _, s := range []string{"", "lo", "1", "severe"} {
		r := access.Medium
		if err := r.UnmarshalText([]byte(s)); err == nil || r != access.Medium {
			t.Errorf("%q is read as %v, %v", s, r, err)
		}
	}
	if got, err := access.ParseRisk("HIGH"); err != nil || got != access.High {
		t.Errorf("HIGH is %v, %v", got, err)
	}
	if _, err := json.Marshal(access.Risk(7)); err == nil {
		t.Error("a risk that does not exist was written")
	}
}
