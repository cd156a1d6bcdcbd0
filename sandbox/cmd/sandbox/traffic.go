package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/sandbox/internal/age"
	"github.com/firstmate-ops/firstmate/sandbox/internal/control"
	"github.com/firstmate-ops/firstmate/sandbox/internal/faults"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic"
)

// trafficSeed makes the shop's days what they are, ageOfShop is how long ago its
// last roll-outs were.
const (
	trafficSeed = 1909
	ageOfShop   = 75 * time.Hour
)

// makeOlder makes everything in the cluster older, so that what happens from now
// on stands out, and forgets the events of the start.
func (c *cluster) makeOlder(ctx context.Context) error {
	if err := c.moveBack(ctx, time.Time{}, ageOfShop); err != nil {
		return err
	}
	namespaces, err := c.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, ns := range namespaces.Items {
		if err := c.client.CoreV1().Events(ns.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// moveBack moves every moment since from into the past.
func (c *cluster) moveBack(ctx context.Context, from time.Time, d time.Duration) error {
	store, err := age.Open(c.config.EtcdSocket)
	if err != nil {
		return err
	}
	defer store.Close()
	_, err = store.Back(ctx, from, d)
	return err
}

// startShop puts the shop to work, if there is a server to tell of it: first what
// happened before, then what happens. It makes the faults known, serves the API
// that switches them, and switches on those that were asked for.
func (c *cluster) startShop(ctx context.Context, out io.Writer) error {
	objects, err := faults.Objects(c.rest)
	if err != nil {
		return err
	}
	c.faults = faults.NewSet()
	if err := c.faults.Add(objects); err != nil {
		return err
	}
	g, err := c.newTraffic(ctx)
	if err != nil {
		return fmt.Errorf("the shop's traffic: %w", err)
	}
	var shop control.Shop
	if g == nil {
		err = c.switchOn(ctx)
	} else {
		shop = g
		err = c.startTraffic(ctx, g)
	}
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.group.Go("the sandbox's API", func(ctx context.Context) error {
		return control.Serve(ctx, l, control.Handler(c.faults, shop))
	})
	fmt.Fprintf(out, "SANDBOX_URL=http://%s\n", l.Addr())
	return nil
}

// newTraffic returns nil if nobody is to be told of it.
func (c *cluster) newTraffic(ctx context.Context) (*traffic.Generator, error) {
	prometheus, loki, traces := c.servers.url("prometheus"), c.servers.url("loki"), c.servers.otlp()
	if c.options.empty || prometheus == "" && loki == "" && traces == "" {
		return nil, nil
	}
	g, err := traffic.New(ctx, traffic.Options{
		Cluster: c.rest, Prometheus: prometheus, Loki: loki, Traces: traces, Files: c.nodes.Logs(), Log: slog.Default(), Seed: trafficSeed,
		Tick: c.options.scrapeInterval, History: c.options.history, LogVolume: c.options.logVolume << 20,
	})
	if err != nil {
		return nil, err
	}
	inTraffic, err := faults.Traffic(c.rest, g)
	if err != nil {
		return nil, err
	}
	return g, c.faults.Add(inTraffic)
}

func (c *cluster) startTraffic(ctx context.Context, g *traffic.Generator) error {
	c.nodes.Use(g.Usage)
	c.nodes.Tell(g.Hear)
	older := c.options.faultAgo > 0 && len(c.options.faults) > 0
	if older {
		from := time.Now().Truncate(time.Second) // as exact as objects are
		if err := g.Rehearse(ctx, c.options.faultAgo, c.switchOn); err != nil {
			return err
		}
		if err := c.moveBack(ctx, from, c.options.faultAgo); err != nil {
			return err
		}
	}
	c.say("writing what happened in the shop before")
	begun := time.Now()
	if err := g.Past(ctx, begun); err != nil {
		return fmt.Errorf("writing the shop's past: %w", err)
	}
	c.say("the shop's past is written, in %.1f s", time.Since(begun).Seconds())
	c.group.Go("the shop's traffic", g.Run)
	if older {
		return nil
	}
	return c.switchOn(ctx)
}

// switchOn switches on the faults that were asked for.
func (c *cluster) switchOn(ctx context.Context) error {
	for _, name := range c.options.faults {
		c.say("switching %s on", name)
		if err := c.faults.On(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
