package fault_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

func TestSayNeverLeaksTheCause(t *testing.T) {
	secret := errors.New("dial tcp 10.1.2.3:5432: password=hunter2")
	for _, err := range []error{
		secret,
		fmt.Errorf("outer: %w", secret),
		fault.Wrap(secret, fault.Unavailable, "The store does not answer."),
		fmt.Errorf("outer: %w", fault.Wrap(secret, fault.Unavailable, "The store does not answer.")),
	} {
		if s := fault.Say(err); strings.Contains(s, "hunter2") || strings.Contains(s, "10.1.2.3") || s == "" {
			t.Errorf("Say(%v) = %q", err, s)
		}
		if !errors.Is(err, secret) {
			t.Errorf("%v lost its cause", err)
		}
	}
}

func TestKindsMapOnce(t *testing.T) {
	for _, tt := range []struct {
		err          error
		kind         fault.Kind
		status, exit int
	}{
		{nil, "", 200, 0},
		{io.EOF, fault.Internal, 500, 5},
		{fault.New(fault.Usage, "x"), fault.Usage, 400, 2},
		{fault.New(fault.Refused, "x"), fault.Refused, 403, 3},
		{fault.New(fault.Forbidden, "x"), fault.Forbidden, 403, 3},
		{fault.New(fault.NotUnderstood, "x"), fault.NotUnderstood, 400, 4},
		{fault.New(fault.NotFound, "x"), fault.NotFound, 404, 4},
		{fault.New(fault.Conflict, "x"), fault.Conflict, 409, 5},
		{fault.New(fault.Unavailable, "x"), fault.Unavailable, 503, 5},
		{fmt.Errorf("outer: %w", fault.New(fault.Failed, "x")), fault.Failed, 422, 5},
	} {
		k := fault.KindOf(tt.err)
		if k != tt.kind || fault.HTTPStatus(tt.err) != tt.status || k.ExitCode() != tt.exit {
			t.Errorf("%v: kind %q status %d exit %d, want %q %d %d", tt.err, k, fault.HTTPStatus(tt.err), k.ExitCode(), tt.kind, tt.status, tt.exit)
		}
	}
	if fault.Wrap(nil, fault.Failed, "x") != nil {
		t.Error("Wrap(nil) is not nil")
	}
}
