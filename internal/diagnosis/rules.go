package diagnosis

// The names of the rules.
const (
	RuleBadReleaseErrors  = "bad_release_errors"
	RuleBadReleaseLatency = "bad_release_latency"
	RuleConfigChange      = "config_change"
	RuleScaledDown        = "scaled_down"
	RuleScaledToZero      = "scaled_to_zero"
	RuleSlowDependency    = "slow_dependency"
	RuleFailingDependency = "failing_dependency"
	RuleRetryStorm        = "retry_storm"
	RuleTrafficSpike      = "traffic_spike"
	RuleHPAMax            = "hpa_at_max"
	RuleCPULimit          = "cpu_limit"
	RuleNoisyNeighbour    = "noisy_neighbour"
	RulePool              = "connection_pool"
	RuleOOM               = "out_of_memory"
	RuleDiskFull          = "disk_full"
	RuleNodeDown          = "node_down"
	RuleNodePressure      = "node_pressure"
	RuleImagePull         = "image_pull"
	RuleMissingConfig     = "missing_config"
	RuleCrashing          = "crashing"
	RuleProbe             = "probe"
	RuleUnschedulable     = "unschedulable"
	RuleQuota             = "quota"
	RuleVolume            = "volume"
	RuleSelector          = "service_selector"
	RulePort              = "service_port"
	RuleNetworkPolicy     = "network_policy"
	RuleDNS               = "dns"
	RuleCertificate       = "certificate"
)

// rules are all explanations. Tier 1 are facts of objects that name a cause by
// themselves; 2 are changes and limits that measures point at; 3 are what often
// follows from something else; 4 is a dependency of which no more is known.
func rules() []rule {
	return []rule{
		{RuleImagePull, 1, perWorkload(imagePull), nextImage},
		{RuleMissingConfig, 1, perWorkload(missingConfig), nextMissing},
		{RuleQuota, 1, perWorkload(quota), fixed(RaiseQuota)},
		{RuleVolume, 1, perWorkload(volume), fixed(FixVolume)},
		{RuleSelector, 1, perFact(SelectorMismatch, selector), fixed(FixSelector)},
		{RulePort, 1, perFact(PortMismatch, port), fixed(FixPort)},
		{RuleNetworkPolicy, 1, perFact(PolicyShutsOut, policy), fixed(FixPolicy)},
		{RuleNodeDown, 1, perFact(NodeDown, nodeDown), fixed(LookAt)},
		{RuleCertificate, 1, certificate, fixed(RenewCert)},
		{RuleDNS, 1, dns, fixed(LookAt)},
		{RuleUnschedulable, 1, perWorkload(unschedulable), nextUnschedulable},
		{RuleScaledToZero, 1, perWorkload(scaledToZero), nextScaledDown},
		{RuleScaledDown, 1, perFact(Scaled, scaledDown), nextScaledDown},
		{RuleOOM, 1, perWorkload(outOfMemory), nextMemory},

		{RuleNodePressure, 2, perWorkload(nodePressure), fixed(AddNode)},
		{RuleDiskFull, 2, perFact(DiskUse, diskFull), fixed(FixVolume)},
		{RuleHPAMax, 2, perFact(HPA, hpaAtMax), nextMaximum},
		{RuleRetryStorm, 2, perFact(Calls, retryStorm), fixed(LookAt)},
		{RulePool, 2, perWorkload(connectionPool), fixed(RaisePool)},
		{RuleNoisyNeighbour, 2, neighbours, nextNeighbour},
		{RuleBadReleaseErrors, 2, perWorkload(badReleaseErrors), nextRelease},
		{RuleBadReleaseLatency, 2, perWorkload(badReleaseLatency), nextRelease},
		{RuleConfigChange, 2, configChange, nextConfig},

		{RuleTrafficSpike, 3, perWorkload(trafficSpike), nextScale},
		{RuleCPULimit, 3, perWorkload(cpuLimit), nextCPU},
		{RuleCrashing, 3, perWorkload(crashing), nextCrash},
		{RuleProbe, 3, perWorkload(probe), nextProbe},

		{RuleSlowDependency, 4, perWorkload(slowDependency), fixed(LookAt)},
		{RuleFailingDependency, 4, perWorkload(failingDependency), fixed(LookAt)},
	}
}

// perWorkload asks about each workload on the way from the target.
func perWorkload(f func(*scene, Object) *finding) func(*scene) []*finding {
	return func(s *scene) []*finding {
		var out []*finding
		for _, w := range s.path {
			if found := f(s, w); found != nil {
				out = append(out, found)
			}
		}
		return out
	}
}

// perFact asks about each fact of a kind that is about a workload on the way.
// Several facts about one thing are one finding, the strongest.
func perFact(k Kind, f func(*scene, Evidence) *finding) func(*scene) []*finding {
	return func(s *scene) []*finding {
		best := map[Object]*finding{}
		var order []Object
		for _, e := range s.facts[k] {
			found := f(s, e)
			if found == nil {
				continue
			}
			if old := best[found.About]; old == nil {
				order = append(order, found.About)
			} else if old.score() >= found.score() {
				continue
			}
			best[found.About] = found
		}
		var out []*finding
		for _, o := range order {
			out = append(out, best[o])
		}
		return out
	}
}

// on reports whether a workload is on the way from the target.
func (s *scene) on(w Object) bool {
	for _, p := range s.path {
		if p == w {
			return true
		}
	}
	return false
}

// fixed is the step of rules that have only one.
func fixed(do Do) func(*scene, *finding) Step {
	return func(_ *scene, f *finding) Step { return Step{Do: do, About: f.About, Name: f.Detail} }
}

// back is the way back to the revision before the newest roll-out, where the
// finding began with or after it.
func (s *scene) back(w Object, f *finding) (Step, bool) {
	e, ok := s.rollout(w)
	if !ok || e.Before == nil || lead(e.At, f.Since) == 0 {
		return Step{}, false
	}
	return Step{Do: RollBack, About: w, Value: int(*e.Before), To: e.From}, true
}
