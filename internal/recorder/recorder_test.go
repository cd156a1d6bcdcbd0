package recorder_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/audit"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/recorder"
)

// book is a trail in memory.
type book struct {
	keys   []string
	events []audit.Event
	err    error
}

func (b *book) AppendAudit(_ context.Context, key string, lines ...[]byte) error {
	b.keys = append(b.keys, key)
	for _, l := range lines {
		ev, err := audit.Decode(l)
		if err != nil {
			return err
		}
		b.events = append(b.events, ev)
	}
	return b.err
}

func newRecorder(t testing.TB, b *book) (*recorder.Recorder, *strings.Builder) {
	t.Helper()
	c, err := intents.English()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	guard := access.NewGuard([]access.Person{{Name: "Ann", Speakers: []string{"slack:U1"}, User: "ann@example.com"}}, nil, nil)
	return recorder.New(b, guard, c.Vocabulary, slog.New(slog.NewTextHandler(&log, nil))), &log
}

func heard(text string) dialogue.Heard {
	s := access.NewSpeaker("slack", "U1", access.Signature)
	s.Name = "ann"
	return dialogue.Heard{
		Request: dialogue.Request{DeliveryID: "slack:1", Conversation: "c", Speaker: s, Text: text},
		Inventory: intents.NewInventory(intents.InventoryData{
			Namespaces: []string{"shop"}, Workloads: []intents.Workload{{Name: "web-admin", Namespace: "shop"}, {Name: "checkout", Namespace: "shop"}},
		}),
		Reply: dialogue.Reply{Intent: "scale", Speech: "Scale checkout from 3 to 5?", Proposal: &dialogue.Proposal{ID: "a1"}},
	}
}

func TestWhatWasSaidIsWrittenDown(t *testing.T) {
	b := &book{}
	r, _ := newRecorder(t, b)
	r.Listen(t.Context(), heard("scale Checkout in shop to 5, please"))
	if len(b.events) != 1 || b.keys[0] != "said/slack:1" {
		t.Fatalf("%q %+v", b.keys, b.events)
	}
	got, err := b.events[0].Encode()
	if err != nil || b.events[0].At.IsZero() {
		t.Fatal(err)
	}
	want, err := audit.Event{
		Kind: audit.Said, At: b.events[0].At, Channel: "slack", Speaker: "U1", Name: "ann", Assurance: "verified", Person: "Ann", Conversation: "c", Action: "a1",
		Intent: "scale", Said: "scale checkout in shop to 5, please",
	}.Encode()
	if err != nil || string(got) != string(want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestARefusalIsWrittenDown(t *testing.T) {
	b := &book{}
	r, _ := newRecorder(t, b)
	h := heard("scale checkout to 0")
	h.Request.DeliveryID, h.Reply.Proposal = "", nil
	h.Reply.Fault, h.Reply.Speech = fault.Refused, "The rule night says no."
	r.Listen(t.Context(), h)
	if len(b.events) != 2 || b.keys[0] != "" {
		t.Fatalf("%+v", b.events)
	}
	if no := b.events[1]; no.Kind != audit.Refused || no.Person != "Ann" || no.User != "ann@example.com" || no.Why != "The rule night says no." {
		t.Errorf("%+v", no)
	}
}

func TestSecretsAreNotWrittenDown(t *testing.T) {
	for _, tt := range []struct {
		text string
		open intents.Expect
		want string
	}{
		{"scale web admin to 12", intents.Expect{}, "scale web-admin to 12"},
		{"the password of checkout is hunter2", intents.Expect{}, "the password of checkout is {secret}"},
		{"set token=ghp_16C7e42F292c6912E7710c838347Ae178B4a on checkout", intents.Expect{}, "set {secret}"},
		{"roll back chekcout", intents.Expect{}, "roll back chekcout"},
		{"mail bob@example.com", intents.Expect{}, "mail {mail}"},
		{"four seven one one", intents.Expect{Confirm: true}, "{number}"},
		{"yes, 4711", intents.Expect{Confirm: true}, "yes, {number}"},
		{"yes 4 7 1 1", intents.Expect{Confirm: true}, "yes {number} {number} {number} {number}"},
		{"make it 5", intents.Expect{Confirm: true}, "make it 5"},
		{"it is 12", intents.Expect{Slot: "pin"}, "{secret}"},
	} {
		b := &book{}
		r, _ := newRecorder(t, b)
		h := heard(tt.text)
		h.Open = tt.open
		r.Listen(t.Context(), h)
		if got := b.events[0].Said; got != tt.want {
			t.Errorf("%q with %+v is written as %q, not %q", tt.text, tt.open, got, tt.want)
		}
	}
}

// The names that are kept are those of the turn's own inventory, also where the
// turn before had another one.
func TestNamesAreThoseOfTheTurn(t *testing.T) {
	b := &book{}
	r, _ := newRecorder(t, b)
	with := heard("scale web admin to 5")
	other, none := heard("scale web admin to 5"), heard("scale web admin to 5")
	other.Inventory, none.Inventory = intents.NewInventory(intents.InventoryData{Namespaces: []string{"shop"}}), nil
	for i, h := range []dialogue.Heard{with, other, with, none, with, with} {
		r.Listen(t.Context(), h)
		want := "scale web admin to 5"
		if h.Inventory == with.Inventory {
			want = "scale web-admin to 5"
		}
		if said := b.events[i].Said; said != want {
			t.Errorf("turn %d: %q, want %q", i, said, want)
		}
	}
}

func TestAButtonIsWrittenDown(t *testing.T) {
	b := &book{}
	r, _ := newRecorder(t, b)
	h := heard("")
	h.Request.Confirm, h.Inventory = "a7", nil
	r.Listen(t.Context(), h)
	if got := b.events[0]; got.How != "button" || got.Action != "a7" || got.Said != "" {
		t.Errorf("%+v", got)
	}
}

func TestATrailThatFailsIsLogged(t *testing.T) {
	b := &book{err: errors.New("disk full")}
	r, log := newRecorder(t, b)
	r.Listen(t.Context(), heard("hello"))
	if !strings.Contains(log.String(), "disk full") {
		t.Errorf("the log says %q", log)
	}
}
