package main

import "github.com/firstmate-ops/firstmate/internal/diagnosis"

// trials are the sandbox's faults, and what a person would have to find.
func trials() []trial {
	rules := func(r ...string) []string { return r }
	return []trial{
		{fault: "none", target: "checkout", symptom: "slow"},
		{fault: "slow-database", target: "checkout", symptom: "slow", rules: rules(diagnosis.RuleSlowDependency), about: []string{"postgres"}},
		{fault: "slow-callee", target: "checkout", symptom: "slow", rules: rules(diagnosis.RuleSlowDependency)},
		{fault: "bad-release-errors", target: "checkout", symptom: "failing", rules: rules(diagnosis.RuleBadReleaseErrors), about: []string{"checkout"}},
		{fault: "bad-release-latency", target: "checkout", symptom: "slow", rules: rules(diagnosis.RuleBadReleaseLatency), about: []string{"checkout"}},
		{fault: "innocent-release", target: "checkout", symptom: "slow", rules: rules(diagnosis.RuleSlowDependency), spare: "checkout"},
		{fault: "memory-leak", target: "checkout", symptom: "failing", rules: rules(diagnosis.RuleOOM)},
		{fault: "cpu-limit", target: "checkout", symptom: "slow", rules: rules(diagnosis.RuleCPULimit)},
		{fault: "hpa-max", target: "search", symptom: "slow", rules: rules(diagnosis.RuleHPAMax)},
		{fault: "traffic-spike", target: "checkout", symptom: "slow", rules: rules(diagnosis.RuleTrafficSpike)},
		{fault: "noisy-neighbour", target: "checkout", symptom: "slow", rules: rules(diagnosis.RuleNoisyNeighbour)},
		{fault: "node-down", target: "checkout", symptom: "failing", rules: rules(diagnosis.RuleNodeDown)},
		{fault: "image-typo", target: "checkout", symptom: "not starting", rules: rules(diagnosis.RuleImagePull)},
		{fault: "missing-env", target: "checkout", symptom: "crashing", rules: rules(diagnosis.RuleMissingConfig)},
		{fault: "strict-probe", target: "checkout", symptom: "failing", rules: rules(diagnosis.RuleProbe)},
		{fault: "wrong-selector", target: "checkout", symptom: "down", rules: rules(diagnosis.RuleSelector)},
		{fault: "wrong-port", target: "checkout", symptom: "down", rules: rules(diagnosis.RulePort)},
		{fault: "pvc-unbound", target: "postgres", symptom: "pending", rules: rules(diagnosis.RuleVolume)},
		{fault: "quota", target: "checkout", symptom: "failing", rules: rules(diagnosis.RuleQuota)},
		{fault: "network-policy", target: "checkout", symptom: "failing", rules: rules(diagnosis.RuleNetworkPolicy)},
		{fault: "dns", target: "checkout", symptom: "failing", rules: rules(diagnosis.RuleDNS)},
		{fault: "cert-expired", target: "checkout", symptom: "failing", rules: rules(diagnosis.RuleCertificate)},
		{fault: "retry-storm", target: "checkout", symptom: "slow", rules: rules(diagnosis.RuleRetryStorm)},
		{fault: "connection-pool", target: "checkout", symptom: "failing", rules: rules(diagnosis.RulePool)},
		{fault: "config-change", target: "checkout", symptom: "failing", rules: rules(diagnosis.RuleConfigChange)},
	}
}
