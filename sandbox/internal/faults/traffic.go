package faults

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic/model"
)

// Shop is the shop at work, as faults change it.
type Shop interface {
	// Change changes what is wrong with it from now on.
	Change(func(*model.Conditions))
	// Load is how busy it is at a moment of an ordinary day.
	Load(at time.Time) float64
}

// namespace is where the shop is that people complain about.
const namespace = "shop"

func service(name string) model.ID { return model.ID{Namespace: namespace, Name: name} }

// Asked is what a person who suffers from a fault would ask about.
type Asked struct {
	Workload string `json:"workload"`
	Symptom  string `json:"symptom"` // "slow", "failing" or "not starting"
}

// Complaint is a fault of which it is known what somebody would ask.
type Complaint interface{ Asked() Asked }

// Traffic are the faults that show in how the shop's requests fare.
func Traffic(rc *rest.Config, shop Shop) (map[string]Fault, error) {
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return nil, err
	}
	k := &cluster{client}
	slow, failing := func(name string) Asked { return Asked{name, "slow"} }, func(name string) Asked { return Asked{name, "failing"} }
	// A database without an index for what it is asked reads whole tables.
	database := &state{shop: shop, asked: slow("checkout"),
		on: func(c *model.Conditions) {
			model.Set(&c.Slow, service("postgres"), 250)
			model.Set(&c.Work, service("postgres"), 6)
		},
		off: func(c *model.Conditions) {
			delete(c.Slow, service("postgres"))
			delete(c.Work, service("postgres"))
		}}
	slowly := func(name string, times float64, asked Asked) *state {
		return &state{shop: shop, asked: asked,
			on:  func(c *model.Conditions) { model.Set(&c.Slow, service(name), times) },
			off: func(c *model.Conditions) { delete(c.Slow, service(name)) }}
	}
	checkout := service("checkout")
	release := func(b model.Behaviour, asked Asked) *release {
		return &release{cluster: k, shop: shop, workload: "checkout", behaviour: b, asked: asked}
	}
	return map[string]Fault{
		"slow-database":       database,
		"slow-callee":         slowly("catalog", 110, slow("checkout")), // of cart, which checkout calls
		"bad-release-errors":  release(model.Behaviour{Errors: .35}, failing("checkout")),
		"bad-release-latency": release(model.Behaviour{Latency: 14}, slow("checkout")),
		"innocent-release": &both{asked: slow("checkout"), pause: 20 * time.Second,
			first: slowly("payments-api", 14, Asked{}), second: release(model.Behaviour{}, Asked{})},
		"memory-leak": &leak{cluster: k, shop: shop, workload: "checkout", rate: .8 * (1 << 20)},
		"cpu-limit":   &limit{cluster: k, shop: shop, workload: "checkout"},
		"hpa-max":     &crowd{cluster: k, shop: shop},
		"traffic-spike": &state{shop: shop, asked: slow("checkout"),
			// At 5.9 times the busiest hour checkout needs a little more than its CPU.
			on:  func(c *model.Conditions) { c.Load = 5.9 / shop.Load(time.Now()) },
			off: func(c *model.Conditions) { c.Load = 0 }},
		"noisy-neighbour": &neighbour{cluster: k, shop: shop},
		"dns": &state{shop: shop, asked: failing("checkout"),
			on:  func(c *model.Conditions) { c.Lookups = .12 },
			off: func(c *model.Conditions) { c.Lookups = 0 }},
		"cert-expired": &state{shop: shop, asked: failing("checkout"),
			on: func(c *model.Conditions) {
				model.Set(&c.Expired, service("payments-api"), time.Now().Truncate(time.Second))
			},
			off: func(c *model.Conditions) { delete(c.Expired, service("payments-api")) }},
		"retry-storm": &storm{shop: shop},
		"connection-pool": &state{shop: shop, asked: failing("checkout"),
			on:  func(c *model.Conditions) { model.Set(&c.Loses, checkout, .3) },
			off: func(c *model.Conditions) { delete(c.Loses, checkout) }},
		"config-change": &setting{cluster: k, shop: shop, workload: "checkout", configMap: "checkout-settings", key: "PAYMENTS_TIMEOUT", value: "60ms"},
	}, nil
}

// state is something wrong that no object of the cluster tells of.
type state struct {
	shop    Shop
	on, off func(*model.Conditions)
	asked   Asked
}

func (s *state) Asked() Asked { return s.asked }

func (s *state) On(ctx context.Context) error {
	s.shop.Change(s.on)
	return nil
}

func (s *state) Off(ctx context.Context) error {
	s.shop.Change(s.off)
	return nil
}

// both is one thing and, a while later, another.
type both struct {
	first, second Fault
	pause         time.Duration
	asked         Asked
}

func (b *both) Asked() Asked { return b.asked }

func (b *both) On(ctx context.Context) error {
	if err := b.first.On(ctx); err != nil {
		return err
	}
	if err := sleep(ctx, b.pause); err != nil {
		return err
	}
	return b.second.On(ctx)
}

func (b *both) Off(ctx context.Context) error {
	if err := b.second.Off(ctx); err != nil {
		return err
	}
	return b.first.Off(ctx)
}

// storm is a service that was slow for a moment, and callers who try again at
// once and keep it from recovering.
type storm struct{ shop Shop }

func (s *storm) Asked() Asked { return Asked{"checkout", "failing"} }

// impatient is how callers behave that were told to try again at once.
func impatient(c *model.Conditions) {
	// No longer than payments-api takes for most on a good day: with more patience
	// the storm dies down by itself at some hours.
	model.Set(&c.Calls, model.Pair{From: service("checkout"), To: service("payments-api")}, model.Manner{Timeout: 60 * time.Millisecond, Retries: 5, Rushed: true})
	model.Set(&c.Calls, model.Pair{From: service("gateway"), To: service("checkout")}, model.Manner{Timeout: 2 * time.Second, Retries: 3, Rushed: true})
}

func (s *storm) On(ctx context.Context) error {
	s.shop.Change(func(c *model.Conditions) {
		impatient(c)
		model.Set(&c.Slow, service("payments-api"), 8)
	})
	if err := sleep(ctx, 30*time.Second); err != nil {
		return err
	}
	s.shop.Change(func(c *model.Conditions) { delete(c.Slow, service("payments-api")) })
	return nil
}

func (s *storm) Off(ctx context.Context) error {
	s.shop.Change(func(c *model.Conditions) {
		delete(c.Slow, service("payments-api"))
		delete(c.Calls, model.Pair{From: service("checkout"), To: service("payments-api")})
		delete(c.Calls, model.Pair{From: service("gateway"), To: service("checkout")})
	})
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", d, context.Cause(ctx))
	case <-time.After(d):
		return nil
	}
}
