package main

import (
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
)

// trials are the sandbox's faults, and what a person would have to find. What
// that person would ask is the sandbox's to say.
func trials() []trial {
	rules := func(r ...string) []string { return r }
	about := rules
	return []trial{
		{fault: "none"},
		{fault: "slow-database", rules: rules(diagnosis.RuleSlowDependency), about: about("postgres")},
		{fault: "slow-callee", rules: rules(diagnosis.RuleSlowDependency), about: about("catalog")},
		{fault: "bad-release-errors", rules: rules(diagnosis.RuleBadReleaseErrors), about: about("checkout")},
		{fault: "bad-release-latency", rules: rules(diagnosis.RuleBadReleaseLatency), about: about("checkout")},
		{fault: "innocent-release", rules: rules(diagnosis.RuleSlowDependency), about: about("payments-api"), spare: "checkout"},
		{fault: "memory-leak", rules: rules(diagnosis.RuleOOM), about: about("checkout")},
		{fault: "cpu-limit", rules: rules(diagnosis.RuleCPULimit), about: about("checkout")},
		{fault: "hpa-max", rules: rules(diagnosis.RuleHPAMax), about: about("search")},
		{fault: "traffic-spike", rules: rules(diagnosis.RuleTrafficSpike), about: about("checkout", "gateway")},
		{fault: "noisy-neighbour", rules: rules(diagnosis.RuleNoisyNeighbour), spare: "checkout"},
		{fault: "node-down", rules: rules(diagnosis.RuleNodeDown), about: about("node-"), shows: 70 * time.Second},
		{fault: "image-typo", rules: rules(diagnosis.RuleImagePull), about: about("checkout")},
		{fault: "missing-env", rules: rules(diagnosis.RuleMissingConfig), about: about("checkout")},
		{fault: "strict-probe", rules: rules(diagnosis.RuleProbe), about: about("checkout")},
		{fault: "wrong-selector", rules: rules(diagnosis.RuleSelector), about: about("checkout")},
		{fault: "wrong-port", rules: rules(diagnosis.RulePort), about: about("checkout")},
		{fault: "pvc-unbound", rules: rules(diagnosis.RuleVolume), about: about("search")},
		{fault: "quota", rules: rules(diagnosis.RuleQuota), about: about("shop-budget", "checkout")},
		{fault: "network-policy", rules: rules(diagnosis.RuleNetworkPolicy), about: about("checkout-ingress")},
		{fault: "dns", rules: rules(diagnosis.RuleDNS), about: about("kube-dns", "coredns")},
		{fault: "cert-expired", rules: rules(diagnosis.RuleCertificate), about: about("payments-api")},
		{fault: "retry-storm", rules: rules(diagnosis.RuleRetryStorm)},
		{fault: "connection-pool", rules: rules(diagnosis.RulePool), about: about("checkout")},
		{fault: "config-change", rules: rules(diagnosis.RuleConfigChange), about: about("checkout-settings")},
	}
}
