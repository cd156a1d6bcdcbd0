package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os"

	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// ReplicasConfig is how several processes on one PostgreSQL share the work.
type ReplicasConfig struct {
	Lease string `yaml:"lease" doc:"The Kubernetes Lease, namespace/name, that the one replica holds which carries changes out and tells how they go; all answer. Needs state.postgres. Empty: this process is the only one."`
}

// note is what replicas tell each other: that there is work, or what was pushed
// in a conversation.
type note struct {
	Work         bool            `json:"work,omitempty"`
	Conversation string          `json:"conversation,omitempty"`
	Event        *dialogue.Event `json:"event,omitempty"`
}

// replica makes the app one of several: it answers all the same, and carries
// changes out while it holds the Lease.
func (a *app) replica(lease string, cluster *kube.Cluster) (err error) {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	me := host + "_" + rand.Text()[:6]
	if a.elector, err = kube.NewElector(cluster, lease, me, a.metrics.leads, a.log); err != nil {
		return err
	}
	// What is told must not wait for the database, and is worth little later.
	a.notes = make(chan note, 256)
	tell := func(n note) {
		select {
		case a.notes <- n:
		default:
		}
	}
	a.ledger.Share(func() { tell(note{Work: true}) })
	a.engine.Relay(func(conversation string, ev dialogue.Event) {
		if ev.Kind == dialogue.EventOutcome {
			ev.Reply = dialogue.Reply{} // it is in the store, and may be long
		}
		tell(note{Conversation: conversation, Event: &ev})
	})
	return nil
}

// carryOut does what only one may do, for as long as this replica is the one.
func (a *app) carryOut(ctx context.Context, work func(context.Context) error) error {
	if a.elector == nil {
		a.metrics.leads("", true)
		return work(ctx)
	}
	if err := a.elector.Check(ctx); err != nil {
		return err
	}
	return a.elector.Lead(ctx, func(ctx context.Context) error {
		if err := work(ctx); err != nil {
			a.log.ErrorContext(ctx, "what was carried out here is not given back yet; its lease ends by itself", "err", err)
		}
		return nil
	})
}

// gossip tells other replicas what they should know, and hears them.
func (a *app) gossip(ctx context.Context) {
	if a.elector == nil {
		return
	}
	go a.store.Listen(ctx, func(b []byte) { a.heard(ctx, b) }, a.ledger.Look, a.log)
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-a.notes:
			b, err := json.Marshal(n)
			if err == nil {
				err = a.store.Tell(ctx, b)
			}
			if err != nil && ctx.Err() == nil {
				a.log.WarnContext(ctx, "other replicas do not hear this", "err", err)
			}
		}
	}
}

func (a *app) heard(ctx context.Context, b []byte) {
	var n note
	err := json.Unmarshal(b, &n)
	switch {
	case err != nil: // of a newer version, perhaps
	case n.Work:
		a.ledger.Look()
	case n.Event != nil:
		err = a.engine.Relayed(ctx, n.Conversation, *n.Event)
	}
	if err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "what another replica said is lost", "err", err)
	}
}
