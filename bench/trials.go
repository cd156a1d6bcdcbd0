package main

import (
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
)

// trials are the sandbox's faults, and what a person would have to find.
func trials() []trial {
	const (
		objects = 40 * time.Second // until controllers and kubelets have had their say
		traffic = 4 * time.Minute  // until there are some minutes of it to measure
	)
	slow, fails := "why is checkout slow?", "why is checkout failing?"
	return []trial{
		{fault: "none", ask: slow, target: "checkout", wait: objects},
		{fault: "slow-database", ask: slow, target: "checkout", rules: []string{diagnosis.RuleSlowDependency}, about: []string{"postgres"}, wait: traffic},
		{fault: "slow-callee", ask: slow, target: "checkout", rules: []string{diagnosis.RuleSlowDependency}, wait: traffic},
		{fault: "bad-release-errors", ask: fails, target: "checkout", rules: []string{diagnosis.RuleBadReleaseErrors}, wait: traffic},
		{fault: "bad-release-latency", ask: slow, target: "checkout", rules: []string{diagnosis.RuleBadReleaseLatency}, wait: traffic},
		{fault: "innocent-release", ask: slow, target: "checkout", rules: []string{diagnosis.RuleSlowDependency}, spare: "checkout", wait: traffic},
		{fault: "memory-leak", ask: fails, target: "checkout", rules: []string{diagnosis.RuleOOM}, wait: traffic},
		{fault: "cpu-limit", ask: slow, target: "checkout", rules: []string{diagnosis.RuleCPULimit}, wait: traffic},
		{fault: "hpa-max", ask: slow, target: "checkout", rules: []string{diagnosis.RuleHPAMax}, wait: traffic},
		{fault: "traffic-spike", ask: slow, target: "checkout", rules: []string{diagnosis.RuleTrafficSpike}, wait: traffic},
		{fault: "noisy-neighbour", ask: slow, target: "checkout", rules: []string{diagnosis.RuleNoisyNeighbour}, wait: traffic},
		{fault: "node-down", ask: fails, target: "checkout", rules: []string{diagnosis.RuleNodeDown}, wait: 90 * time.Second},
		{fault: "image-typo", ask: "why is checkout not starting?", target: "checkout", rules: []string{diagnosis.RuleImagePull}, wait: objects},
		{fault: "missing-env", ask: "why does checkout keep crashing?", target: "checkout", rules: []string{diagnosis.RuleMissingConfig}, wait: objects},
		{fault: "strict-probe", ask: fails, target: "checkout", rules: []string{diagnosis.RuleProbe}, wait: objects},
		{fault: "wrong-selector", ask: "why is checkout down?", target: "checkout", rules: []string{diagnosis.RuleSelector}, wait: objects},
		{fault: "wrong-port", ask: "why is checkout down?", target: "checkout", rules: []string{diagnosis.RulePort}, wait: objects},
		{fault: "pvc-unbound", ask: "why is postgres pending?", target: "postgres", rules: []string{diagnosis.RuleVolume}, wait: objects},
		{fault: "quota", ask: fails, target: "checkout", rules: []string{diagnosis.RuleQuota}, wait: objects},
		{fault: "network-policy", ask: fails, target: "checkout", rules: []string{diagnosis.RuleNetworkPolicy}, wait: traffic},
		{fault: "dns", ask: fails, target: "checkout", rules: []string{diagnosis.RuleDNS}, wait: traffic},
		{fault: "cert-expired", ask: fails, target: "checkout", rules: []string{diagnosis.RuleCertificate}, wait: traffic},
		{fault: "retry-storm", ask: slow, target: "checkout", rules: []string{diagnosis.RuleRetryStorm}, wait: traffic},
		{fault: "connection-pool", ask: slow, target: "checkout", rules: []string{diagnosis.RulePool}, wait: traffic},
		{fault: "config-change", ask: fails, target: "checkout", rules: []string{diagnosis.RuleConfigChange}, wait: traffic},
	}
}
