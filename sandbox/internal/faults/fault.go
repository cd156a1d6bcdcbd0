// Package faults breaks the sandbox's shop the way people and machines do, and
// mends it again. A fault is only ever seen in what it does to the cluster:
// nothing that it makes carries its name.
package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Fault is something wrong that can be switched on and off. On returns once it is
// done, not once it shows: a roll-out goes on after that. Off undoes it exactly.
type Fault interface {
	On(ctx context.Context) error
	Off(ctx context.Context) error
}

// ErrUnknown is the error for a name that no fault has.
var ErrUnknown = errors.New("there is no such fault")

// None is the fault that changes nothing.
const None = "none"

// Set holds the faults by name and knows which are on. It may be used by many at
// once; faults are switched one after the other.
type Set struct {
	switching sync.Mutex // held while a fault is switched
	mu        sync.Mutex // guards what follows; never held for long
	faults    map[string]Fault
	on        []string // in the order in which they were switched on
}

// NewSet returns a set with nothing in it but None.
func NewSet() *Set { return &Set{faults: map[string]Fault{None: nothing{}}} }

// Add adds faults. A name that is taken is an error.
func (s *Set) Add(all map[string]Fault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if _, taken := s.faults[name]; taken {
			return fmt.Errorf("two faults have the name %q", name)
		}
		s.faults[name] = all[name]
	}
	return nil
}

// Names are those of all faults, sorted.
func (s *Set) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.faults))
}

// Active are the names of the faults that are on, the first switched on first.
func (s *Set) Active() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.on)
}

// Asked is what a person who suffers from a fault would ask about, if that is
// known.
func (s *Set) Asked(name string) (Asked, bool) {
	f, _ := s.find(name).(Complaint)
	if f == nil {
		return Asked{}, false
	}
	return f.Asked(), true
}

func (s *Set) find(name string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults[name]
}

// On switches a fault on; one that is on stays on. A fault that could not be
// switched on altogether is undone.
func (s *Set) On(ctx context.Context, name string) error {
	s.switching.Lock()
	defer s.switching.Unlock()
	f := s.find(name)
	if f == nil {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if slices.Contains(s.Active(), name) {
		return nil
	}
	if err := f.On(ctx); err != nil {
		return errors.Join(fmt.Errorf("switching %s on: %w", name, err), f.Off(context.WithoutCancel(ctx)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = append(s.on, name)
	return nil
}

// Off switches a fault off; one that is off stays off.
func (s *Set) Off(ctx context.Context, name string) error {
	s.switching.Lock()
	defer s.switching.Unlock()
	return s.off(ctx, name)
}

// AllOff switches off what is on, the last switched on first.
func (s *Set) AllOff(ctx context.Context) error {
	s.switching.Lock()
	defer s.switching.Unlock()
	var errs []error
	for _, name := range slices.Backward(s.Active()) {
		errs = append(errs, s.off(ctx, name))
	}
	return errors.Join(errs...)
}

func (s *Set) off(ctx context.Context, name string) error {
	f := s.find(name)
	if f == nil {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if !slices.Contains(s.Active(), name) {
		return nil
	}
	if err := f.Off(ctx); err != nil {
		return fmt.Errorf("switching %s off: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = slices.DeleteFunc(s.on, func(on string) bool { return on == name })
	return nil
}

type nothing struct{}

func (nothing) On(context.Context) error  { return nil }
func (nothing) Off(context.Context) error { return nil }
