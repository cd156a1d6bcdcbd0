package access_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/store"
)

func crew() []access.Person {
	return []access.Person{
		{Name: "ann", Speakers: []string{"web:ann"}, User: "ann", Write: true},
		{Name: "all", Speakers: []string{"dialogflow:*"}},
	}
}

// opened returns a guard over a real store, which path keeps.
func opened(t *testing.T, path string) *access.Guard {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return access.NewGuard(crew(), nil, s)
}

func phone(id string) access.Speaker { return access.NewSpeaker("dialogflow", id, access.Session) }

func TestLinkByCode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	g := opened(t, path)
	code, err := g.NewCode(t.Context(), "ann")
	if err != nil || len(code) != 8 {
		t.Fatalf("code %d digits, %v", len(code), err)
	}
	if p, ok, err := g.Who(t.Context(), phone("7")); err != nil || !ok || p.Name != "all" {
		t.Fatalf("before: %v %v %v", p.Name, ok, err)
	}
	// Another process of the same store.
	g2 := opened(t, path)
	if p, err := g2.Redeem(t.Context(), phone("7"), code); err != nil || p.Name != "ann" {
		t.Fatalf("redeem: %v, %v", p.Name, err)
	}
	if p, _, _ := g.Who(t.Context(), phone("7")); p.Name != "ann" {
		t.Errorf("linked, and is %s", p.Name)
	}
	if p, err := g.Writer(t.Context(), phone("7")); err != nil || p.User != "ann" {
		t.Errorf("a linked speaker has the rights of %q, %v", p.User, err)
	}
	if p, _, _ := g.Who(t.Context(), phone("8")); p.Name != "all" {
		t.Errorf("somebody else became %s", p.Name)
	}
	if _, err := g.Redeem(t.Context(), phone("8"), code); fault.KindOf(err) != fault.Refused {
		t.Errorf("a code counts twice: %v", err)
	}
	// A person who is taken out of the configuration takes the links along.
	s, err := store.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, ok, err := access.NewGuard(nil, nil, s).Who(t.Context(), phone("7")); ok || err != nil {
		t.Errorf("linked to nobody, and is somebody: %v", err)
	}
	if ok, err := g.Unlink(t.Context(), phone("7")); !ok || err != nil {
		t.Errorf("unlink: %v %v", ok, err)
	}
	if p, _, _ := g.Who(t.Context(), phone("7")); p.Name != "all" {
		t.Errorf("unlinked, and is %s", p.Name)
	}
}

func TestWhoIsNotLinked(t *testing.T) {
	g := opened(t, filepath.Join(t.TempDir(), "s.db"))
	for _, s := range []access.Speaker{
		access.NewSpeaker("web", "local", access.Loopback), access.NewSpeaker("web", "token", access.Token),
		access.NewSpeaker("web", "ann", access.Signature), {Channel: "dialogflow", ID: "1"}, access.NewSpeaker("dialogflow", "", access.Session),
	} {
		code, err := g.NewCode(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Redeem(t.Context(), s, code); fault.KindOf(err) != fault.Refused {
			t.Errorf("%+v was linked: %v", s, err)
		}
	}
	if _, err := g.NewCode(t.Context(), "nobody"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a code for nobody: %v", err)
	}
}

func TestCodesExpireAndTriesAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	synctest.Test(t, func(t *testing.T) {
		g := opened(t, path)
		code, err := g.NewCode(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(access.CodeLife)
		if _, err := g.Redeem(t.Context(), phone("1"), code); fault.KindOf(err) != fault.Refused {
			t.Errorf("an old code counts: %v", err)
		}
		if code, err = g.NewCode(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		for range access.MaxTries {
			if _, err := g.Redeem(t.Context(), phone("2"), "12"); fault.KindOf(err) != fault.Refused {
				t.Errorf("a wrong code: %v", err)
			}
		}
		if _, err := g.Redeem(t.Context(), phone("2"), code); !strings.Contains(fault.Say(err), "too many wrong codes") {
			t.Errorf("the right code after too many wrong ones: %v", err)
		}
		// Who chooses ids freely is bound by the channel.
		for i := range 30 {
			_, err = g.Redeem(t.Context(), phone(fmt.Sprint("x", i)), "12")
		}
		if !strings.Contains(fault.Say(err), "too many wrong codes") {
			t.Errorf("many ids: %v", err)
		}
		time.Sleep(access.Lockout)
		if code, err = g.NewCode(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		if p, err := g.Redeem(t.Context(), phone("2"), code); err != nil || p.Name != "ann" {
			t.Errorf("after the rest: %v %v", p, err)
		}
	})
}

func TestPIN(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	synctest.Test(t, func(t *testing.T) {
		g := opened(t, path)
		ann, _ := g.Person("ann")
		if err := g.CheckPIN(t.Context(), ann, "2580"); !strings.Contains(fault.Say(err), "You have no PIN yet") {
			t.Errorf("without one: %v", err)
		}
		if err := g.SetPIN(t.Context(), "ann", "2580"); err != nil {
			t.Fatal(err)
		}
		if err := g.CheckPIN(t.Context(), ann, "2580"); err != nil {
			t.Errorf("the right one: %v", err)
		}
		for left := access.MaxTries - 1; left >= 0; left-- {
			err := g.CheckPIN(t.Context(), ann, "0000")
			if fault.KindOf(err) != fault.Refused || strings.Contains(err.Error(), "0000") {
				t.Errorf("a wrong one: %v", err)
			}
		}
		if err := opened(t, path).CheckPIN(t.Context(), ann, "2580"); !strings.Contains(fault.Say(err), "too often") {
			t.Errorf("the right one after five wrong ones, in another process: %v", err)
		}
		time.Sleep(access.Lockout - time.Second)
		if err := g.CheckPIN(t.Context(), ann, "2580"); fault.KindOf(err) != fault.Refused {
			t.Errorf("too early: %v", err)
		}
		time.Sleep(time.Second)
		if err := g.CheckPIN(t.Context(), ann, "2580"); err != nil {
			t.Errorf("after the rest: %v", err)
		}
		for range access.MaxTries - 1 { // what went well forgives what went wrong
			_ = g.CheckPIN(t.Context(), ann, "1")
		}
		if err := g.CheckPIN(t.Context(), ann, "2580"); err != nil {
			t.Errorf("the fifth try: %v", err)
		}
	})
}

// TestManyTriesAtOnce holds that tries at the same time are no more than tries
// in a row.
func TestManyTriesAtOnce(t *testing.T) {
	g := opened(t, filepath.Join(t.TempDir(), "s.db"))
	if err := g.SetPIN(t.Context(), "ann", "2580"); err != nil {
		t.Fatal(err)
	}
	ann, _ := g.Person("ann")
	var looked atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			err := g.CheckPIN(t.Context(), ann, access.Hidden(fmt.Sprintf("%04d", i)))
			if strings.Contains(fault.Say(err), "is left") || strings.Contains(fault.Say(err), "are left") {
				looked.Add(1)
			}
		})
	}
	wg.Wait()
	if n := looked.Load(); n > access.MaxTries-1 {
		t.Errorf("%d of 20 were looked at without locking", n)
	}
	if err := g.CheckPIN(t.Context(), ann, "2580"); fault.KindOf(err) != fault.Refused {
		t.Errorf("not locked: %v", err)
	}
}

func TestPINsThatAreNone(t *testing.T) {
	for _, pin := range []access.Hidden{"", "123", "1234", "987654", "0000", "12a4", "1234567890123", "١٢٣٤"} {
		if _, err := access.HashPIN(pin); fault.KindOf(err) != fault.Usage {
			t.Errorf("%q is taken: %v", string(pin), err)
		}
	}
	h, err := access.HashPIN("2580")
	if err != nil || !strings.HasPrefix(h, "$argon2id$v=19$m=19456,t=2,p=1$") || access.CheckHash(h) != nil {
		t.Errorf("%s, %v", h, err)
	}
	if err := access.CheckHash("2580"); fault.KindOf(err) != fault.Usage {
		t.Errorf("a bare PIN is taken for a hash: %v", err)
	}
}

func TestHidden(t *testing.T) {
	var log strings.Builder
	secret := access.Hidden("2580")
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "pin", secret, "in", struct{ P access.Hidden }{secret})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "pin", secret)
	b, err := json.Marshal(map[string]any{"pin": secret})
	if err != nil {
		t.Fatal(err)
	}
	if all := log.String() + string(b) + fmt.Sprintf("%v %+v %#v %s %q", secret, secret, secret, secret, secret); strings.Contains(all, "2580") {
		t.Errorf("it shows: %s", all)
	}
}
