// Package kube holds what the sandbox's parts share as clients of its cluster.
package kube

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Config returns the client configuration of a kubeconfig file, without the
// usual limits on requests: the cluster is on this machine and has no other use.
func Config(kubeconfig string) (*rest.Config, error) {
	rc, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	rc.QPS, rc.Burst = 5000, 5000
	rc.UserAgent = "firstmate-sandbox"
	return rc, nil
}

// Often is how often to ask for what takes milliseconds, Seldom for what takes
// minutes or is dear to ask.
const (
	Often  = 30 * time.Millisecond
	Seldom = 500 * time.Millisecond
)

// WaitFor asks again and again until ok says true, and tells what it waited for
// when ctx ends first.
func WaitFor(ctx context.Context, what string, every time.Duration, ok func(context.Context) bool) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !ok(ctx) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, context.Cause(ctx))
		case <-tick.C:
		}
	}
	return nil
}
