package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/firstmate-ops/firstmate/sandbox/internal/control"
	"github.com/firstmate-ops/firstmate/sandbox/internal/faults"
	"github.com/firstmate-ops/firstmate/sandbox/internal/traffic"
)

// startTraffic puts the shop to work, if there is a server to tell of it: first
// what happened before, then what happens.
func (c *cluster) startTraffic(ctx context.Context) error {
	prometheus, loki, traces := c.servers.url("prometheus"), c.servers.url("loki"), c.servers.otlp()
	if c.options.empty || prometheus == "" && loki == "" && traces == "" {
		return nil
	}
	g, err := traffic.New(ctx, traffic.Options{
		Cluster: c.rest, Prometheus: prometheus, Loki: loki, Traces: traces, Files: c.nodes.Logs(),
		Log: slog.Default(), Seed: trafficSeed, Tick: c.options.scrapeInterval, History: c.options.history, LogVolume: c.options.logVolume << 20,
	})
	if err != nil {
		return fmt.Errorf("starting the shop's traffic: %w", err)
	}
	c.say("writing what happened in the shop before")
	begun := time.Now()
	if err := g.Past(ctx, begun); err != nil {
		return fmt.Errorf("writing the shop's past: %w", err)
	}
	c.say("the shop's past is written, in %.1f s", time.Since(begun).Seconds())
	c.traffic = g
	c.nodes.Use(g.Usage)
	c.group.Go("the shop's traffic", g.Run)
	return nil
}

// trafficSeed makes the shop's days what they are.
const trafficSeed = 1909

// startFaults makes the faults known, serves the API that switches them, and
// switches on those that were asked for.
func (c *cluster) startFaults(ctx context.Context, out io.Writer) error {
	objects, err := faults.Objects(c.rest)
	if err != nil {
		return err
	}
	c.faults = faults.NewSet()
	if err := c.faults.Add(objects); err != nil {
		return err
	}
	var shop control.Shop
	if c.traffic != nil {
		shop = c.traffic
		inTraffic, err := faults.Traffic(c.rest, c.traffic)
		if err != nil {
			return err
		}
		if err := c.faults.Add(inTraffic); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.group.Go("the sandbox's API", func(ctx context.Context) error {
		return control.Serve(ctx, l, control.Handler(c.faults, shop))
	})
	fmt.Fprintf(out, "SANDBOX_URL=http://%s\n", l.Addr())
	for _, name := range c.options.faults {
		c.say("switching %s on", name)
		if err := c.faults.On(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
