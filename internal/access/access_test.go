package access_test

import (
	"testing"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
)

func TestWriterDeniesByDefault(t *testing.T) {
	d := access.NewGuard([]access.Person{
		{Name: "everyone on the web", Speakers: []string{"web:*"}},
		{Name: "ann", Speakers: []string{"web:ann", "phone:1"}, User: "ann@example.com", Write: true},
	}, nil, nil)
	for _, tt := range []struct {
		channel, id, person string
	}{
		{"web", "ann", "ann"}, // exact before wildcard, whatever the order
		{"phone", "1", "ann"},
		{"web", "bob", ""},     // linked, without write
		{"phone", "2", ""},     // not linked
		{"webx", "ann", ""},    // a channel is compared whole
		{"web", "*", ""},       // a speaker cannot claim the wildcard
		{"", "", ""},           // no speaker at all
		{"phone:1", "", ""},    // no way to smuggle the separator
		{"phone", "1:*", ""},   // nor the suffix
		{"Phone", "1", ""},     // ids are compared exactly
		{"phone", " 1", ""},    //
		{"phone", "1\x00", ""}, //
	} {
		p, err := d.Writer(t.Context(), access.Speaker{Channel: tt.channel, ID: tt.id})
		if p.Name != tt.person || (tt.person == "") != (fault.KindOf(err) == fault.Refused) {
			t.Errorf("%s:%s → %q, %v; want %q", tt.channel, tt.id, p.Name, err, tt.person)
		}
	}
	if _, err := access.NewGuard(nil, nil, nil).Writer(t.Context(), access.Speaker{Channel: "web", ID: "x"}); fault.KindOf(err) != fault.Refused {
		t.Errorf("an empty directory let someone write: %v", err)
	}
}
