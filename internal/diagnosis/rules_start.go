package diagnosis

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// Why pods do not come up, or do not stay.

func imagePull(s *scene, w Object) *finding {
	facts := s.of(w, ImagePull)
	if len(facts) == 0 {
		return nil
	}
	f := at(w, w).speaks(0.95, facts...).from(facts[0].At)
	f.started = true
	f.Detail = pullTrouble(facts[0].Text)
	if r, ok := s.rollout(w); ok && lead(r.At, f.Since) > 0 {
		f.speaks(0.3, r).from(r.At)
	}
	return f
}

func nextImage(s *scene, f *finding) Step {
	if f.Detail == "rights" {
		return Step{Do: GiveRights, About: f.About}
	}
	if f.Detail == "registry" || f.Detail == "limit" {
		return Step{Do: Wait, About: f.About}
	}
	if step, ok := s.back(f.About, f); ok {
		return step
	}
	return Step{Do: FixImage, About: f.About, To: f.Evidence[0].To}
}

// missingConfig is a ConfigMap, Secret, key or variable that a workload needs
// and has not: by the kubelet's word, or by that of the program that ends.
func missingConfig(s *scene, w Object) *finding {
	f := at(w, w)
	f.started = true
	if facts := s.of(w, MissingReference); len(facts) > 0 {
		f.speaks(0.93, facts...).from(facts[0].At)
		f.Detail = detailOf(facts[0])
	}
	crashes := s.of(w, CrashLoop, InitFailed, Exited)
	for _, e := range s.of(w, EnvChange) {
		if e.To == "" && e.From != "" { // it was there and is gone
			named := slices.ContainsFunc(append(slices.Clone(crashes), s.of(w, LogPattern)...), func(c Evidence) bool {
				return e.Name != "" && strings.Contains(c.Text+c.From, e.Name)
			})
			switch {
			case named:
				f.speaks(0.9, e)
			case len(crashes) > 0:
				f.speaks(0.6, e)
			default:
				continue
			}
			f.Detail = e.Name
		}
	}
	for _, e := range crashes {
		if saysMissing(e.Text) && !saysDNS(e.Text) {
			f.speaks(0.75, e).from(e.At)
			f.Detail = cmp.Or(f.Detail, variable(e.Text))
		}
	}
	for _, e := range s.of(w, LogPattern) {
		if len(crashes) > 0 && saysMissing(e.Text) && !saysDNS(e.Text) {
			weight := 0.5
			if e.Name == "fatal" {
				weight = 0.7 // a program's last word
			}
			f.speaks(weight, e).from(e.At)
			f.Detail = cmp.Or(f.Detail, variable(e.Text))
		}
	}
	if len(f.Evidence) == 0 {
		return nil
	}
	f.speaks(0, crashes...)
	if r, ok := s.rollout(w); ok && lead(r.At, f.Since) > 0 {
		f.speaks(0.2, r).from(r.At)
	}
	return f
}

func detailOf(e Evidence) string {
	switch {
	case e.Peer.Name == "":
		return e.Name
	case e.Name == "":
		return strings.ToLower(e.Peer.Kind) + "/" + e.Peer.Name
	}
	return fmt.Sprintf("%s/%s: %s", strings.ToLower(e.Peer.Kind), e.Peer.Name, e.Name)
}

func nextMissing(s *scene, f *finding) Step {
	if step, ok := s.back(f.About, f); ok {
		return step
	}
	for _, e := range f.Evidence {
		if e.Kind == MissingReference && e.Peer.Name != "" {
			return Step{Do: RestoreKey, About: e.Peer, Name: e.Name}
		}
	}
	return Step{Do: SetVariable, About: f.About, Name: f.Detail}
}

// outOfMemory is a workload whose memory grows until it is killed, or does not
// suffice from the start.
func outOfMemory(s *scene, w Object) *finding {
	kills, grows := s.of(w, OOMKilled), s.of(w, MemoryGrowth)
	f := at(w, w)
	f.started = true
	switch {
	case len(kills) > 0:
		f.speaks(0.85, kills...)
		f.Detail = "limit"
	case len(grows) > 0 && s.nearLimit(w):
		f.speaks(0.6, s.of(w, MemoryUse)...)
	default:
		return nil
	}
	if len(grows) > 0 {
		f.speaks(0.5, grows...).from(grows[0].At)
		f.Detail = "leak"
	}
	for _, e := range s.of(w, ResourcesChange) {
		if strings.HasSuffix(e.Name, "limits.memory") {
			f.speaks(0.5, e).from(e.At)
		}
	}
	for _, e := range kills {
		f.from(e.At)
	}
	// A limit that so many more requests go over is not what is at fault.
	if m := s.moved(w, RequestRate); m.up && len(grows) == 0 {
		f.but(0.6, m.fact)
	}
	// One kill of a moment ago does not explain what began long before it.
	if t := s.slow(w); t.yes && len(kills) > 0 && len(grows) == 0 && !t.onset.IsZero() && kills[0].At.Sub(t.onset) > 4*slack {
		f.but(0.5)
	}
	return f
}

func (s *scene) nearLimit(w Object) bool {
	return slices.ContainsFunc(s.of(w, MemoryUse), func(e Evidence) bool {
		return e.Value != nil && e.Limit != nil && *e.Value >= 0.85**e.Limit
	})
}

func nextMemory(s *scene, f *finding) Step {
	if step, ok := s.back(f.About, f); ok && f.Detail == "leak" {
		return step
	}
	return Step{Do: RaiseLimit, About: f.About, Name: "memory"}
}

// crashing is a program that ends by itself, where no more is known than how.
func crashing(s *scene, w Object) *finding {
	facts := slices.DeleteFunc(s.of(w, CrashLoop, InitFailed, Exited), func(e Evidence) bool {
		return e.To == "OOMKilled" || e.Value != nil && *e.Value == 0 && e.Kind == Exited || s.killedByProbe(w, e)
	})
	if len(facts) == 0 {
		return nil
	}
	f := at(w, w).from(facts[0].At)
	f.started = true
	for _, e := range facts {
		if e.Kind == Exited {
			f.speaks(0.45, e)
		} else {
			f.speaks(0.75, e)
		}
	}
	f.Detail = "crash"
	if r, ok := s.rollout(w); ok && lead(r.At, f.Since) > 0 {
		f.speaks(0.5*lead(r.At, f.Since), r).from(r.At)
		f.Detail = "release"
	}
	// A program that ends because what it calls is not there is not at fault.
	for _, p := range s.callees[w] {
		if d := s.down(p); d.yes {
			f.but(0.4, d.facts...)
			break
		}
	}
	return f
}

func nextCrash(s *scene, f *finding) Step {
	if f.Detail == "release" {
		if step, ok := s.back(f.About, f); ok {
			return step
		}
	}
	return Step{Do: LookAt, About: f.About, Name: "logs"}
}

// killedByProbe reports whether a container was stopped from outside while its
// liveness or start-up probe failed.
func (s *scene) killedByProbe(w Object, e Evidence) bool {
	if e.Value == nil || *e.Value != 137 && *e.Value != 143 && *e.Value != 0 {
		return false
	}
	return slices.ContainsFunc(s.of(w, ProbeFailed), func(p Evidence) bool { return p.Name == "liveness" || p.Name == "startup" })
}

// probe is a check that asks too much: the program runs, and is not let be.
func probe(s *scene, w Object) *finding {
	facts := s.of(w, ProbeFailed)
	if len(facts) == 0 {
		return nil
	}
	weight := 0.5
	if says(facts[0].Text, "statuscode: 5") {
		weight = 0.35 // the program itself says that it is not ready, and knows why
	}
	f := at(w, w).speaks(weight, facts...).from(facts[0].At)
	f.started = true
	f.Detail = facts[0].Name
	for _, e := range facts {
		switch {
		case e.Name == "liveness" || e.Name == "startup":
			f.Detail = e.Name
			f.speaks(0.4)
		case says(e.Text, "timeout", "deadline exceeded", "statuscode: 404", "statuscode: 401", "statuscode: 403"):
			f.speaks(0.4)
		}
	}
	for _, e := range s.of(w, CrashLoop, Exited) {
		if s.killedByProbe(w, e) {
			f.speaks(0.4, e)
		} else if e.Kind == CrashLoop {
			f.but(0.3, e) // nothing listens while a program is starting over
		}
	}
	for _, e := range s.of(w, ProbeChange) {
		f.speaks(0.7, e).from(e.At)
	}
	if t := s.short(w); t.yes {
		f.speaks(0.2, t.facts...).from(t.onset)
	}
	// What makes it slow, or what it calls and cannot reach, makes its probe fail.
	if by, _, ok := s.deeper(w, ErrorRatio); ok {
		f.but(0.4, by...)
	} else if by, _, ok := s.deeper(w, Latency); ok {
		f.but(0.5, by...)
	}
	if k := s.of(w, OOMKilled); len(k) > 0 {
		f.but(0.4, k...)
	}
	return f
}

func nextProbe(s *scene, f *finding) Step {
	if step, ok := s.back(f.About, f); ok {
		return step
	}
	return Step{Do: FixProbe, About: f.About, Name: f.Detail}
}

// unschedulable is pods that find no node.
func unschedulable(s *scene, w Object) *finding {
	facts := s.of(w, Unschedulable)
	if len(facts) == 0 {
		return nil
	}
	f := at(w, w).speaks(0.85, facts...).from(facts[0].At)
	f.started = true
	f.Detail = facts[0].Name
	if t := s.short(w); t.yes {
		f.speaks(0.3, t.facts...)
	}
	// Waiting for a volume is the volume's fault, and for a node that fell the node's.
	if v := s.of(w, VolumeUnbound); len(v) > 0 {
		f.but(0.3, v...)
	}
	if d := s.facts[NodeDown]; len(d) > 0 {
		f.but(0.6, d...)
	}
	return f
}

func nextUnschedulable(s *scene, f *finding) Step {
	for _, e := range s.facts[NodeCordoned] {
		return Step{Do: Uncordon, About: e.About}
	}
	if says(f.Detail, "cpu", "memory", "pods") {
		if step, ok := s.back(f.About, f); ok && len(s.of(f.About, ResourcesChange)) > 0 {
			return step
		}
		return Step{Do: AddNode, Name: f.Detail}
	}
	return Step{Do: LookAt, About: f.About, Name: f.Detail}
}

// quota is a limit of the namespace that lets no more pods be made.
func quota(s *scene, w Object) *finding {
	refused := slices.DeleteFunc(s.of(w, NotMade), func(e Evidence) bool { return e.Name != "quota" && !says(e.Text, "exceeded quota") })
	full := s.of(w, QuotaFull)
	// A full quota keeps no pod back that was made: one may count others only.
	made := s.of(w, ImagePull, Unschedulable, CrashLoop, InitFailed, MissingReference, OOMKilled, ProbeFailed, VolumeFailed)
	for _, e := range s.of(w, OnNode) {
		if val(e.Value) == 0 {
			made = append(made, e)
		}
	}
	if len(refused) == 0 && (len(full) == 0 || !s.short(w).yes || len(made) > 0) {
		return nil
	}
	about, detail := w, ""
	if len(refused) > 0 {
		if name, of := refusedBy(refused[0].Text); name != "" {
			// Who refused is named, whatever else is full as well.
			about, detail = Object{Cluster: w.Cluster, Namespace: w.Namespace, Kind: "ResourceQuota", Name: name}, of
			full = slices.DeleteFunc(full, func(e Evidence) bool { return e.About.Name != name })
		}
	}
	if len(full) > 0 {
		about = full[0].About
	}
	f := at(about, w)
	f.Detail = detail
	f.started = true
	if len(refused) > 0 {
		f.speaks(0.93, refused...).from(refused[0].At)
	}
	if len(full) > 0 {
		f.speaks(0.45, full...).from(full[0].At)
		if !slices.ContainsFunc(full, func(e Evidence) bool { return e.Name == detail }) {
			f.Detail = full[0].Name
		}
	}
	if t := s.short(w); t.yes {
		f.speaks(0.2, t.facts...).from(t.onset)
	}
	return f
}

// refusedBy takes from a refusal of the API server the quota that refused, and
// what of it was too much: "exceeded quota: small, requested: pods=1, used: …".
// Both are empty where it says something else.
func refusedBy(text string) (name, resource string) {
	_, rest, ok := strings.Cut(text, "exceeded quota: ")
	if !ok {
		return "", ""
	}
	name, rest, _ = strings.Cut(rest, ",")
	name = strings.TrimSpace(name)
	if !named.MatchString(name) {
		return "", ""
	}
	if _, rest, ok = strings.Cut(rest, "requested: "); ok {
		resource, _, _ = strings.Cut(rest, "=")
		if !named.MatchString(resource) {
			resource = ""
		}
	}
	return name, resource
}

// named is how Kubernetes lets quotas and what they count be called.
var named = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9./-]{0,250}[a-z0-9])?$`)

// volume is storage that is not there, or does not come to the pod.
func volume(s *scene, w Object) *finding {
	unbound, failed := s.of(w, VolumeUnbound), s.of(w, VolumeFailed)
	if len(unbound)+len(failed) == 0 {
		return nil
	}
	f := at(w, w)
	f.started = true
	if len(unbound) > 0 {
		f.About = unbound[0].About
		f.Detail = unbound[0].Name
		// A volume may be unbound because no pod asks for it yet: then none waits.
		if s.short(w).yes || len(s.of(w, Unschedulable)) > 0 || !s.knowsReplicas(w) {
			f.speaks(0.93, unbound...)
		} else {
			f.speaks(0.2, unbound...)
		}
		f.from(unbound[0].At)
	}
	if len(failed) > 0 {
		f.speaks(0.75, failed...).from(failed[0].At)
		if missing := s.of(w, MissingReference); len(missing) > 0 {
			f.but(0.3, missing...) // a volume of a ConfigMap that is not there
		}
	}
	return f
}

func (s *scene) knowsReplicas(w Object) bool { _, _, _, ok := s.replicas(w); return ok }

// scaledToZero is a workload of which there are to be no pods, whoever said so.
func scaledToZero(s *scene, w Object) *finding {
	_, want, fact, ok := s.replicas(w)
	if !ok || want > 0 {
		return nil
	}
	f := at(w, w).from(fact.At)
	f.started = true
	f.Detail = "zero"
	weight := 0.3 // it may well be meant to be so
	switch {
	case w == s.target && s.request.Symptom != SymptomUnsaid:
		weight = 0.9
	case w == s.target:
		weight = 0.8
	}
	f.speaks(weight, fact)
	for _, e := range s.about(w, Scaled) {
		if e.To == "0" {
			f.Since = e.At
			f.speaks(0.7, e)
		}
	}
	for _, c := range s.callers[w] {
		if m := s.called(c, w, CallErrors); m.up {
			f.speaks(0.7, m.fact).from(m.onset)
		}
	}
	return f
}

// scaledDown is capacity that somebody took away.
func scaledDown(s *scene, e Evidence) *finding {
	var from, to int
	if n, _ := fmt.Sscan(e.From, &from); n != 1 {
		return nil
	}
	if n, _ := fmt.Sscan(e.To, &to); n != 1 || to >= from || to == 0 || e.Name == "hpa" || !s.on(e.About) {
		return nil
	}
	w := e.About
	t := s.hurt(w)
	if !t.yes {
		return nil
	}
	f := at(w, w).speaks(0.7*lead(e.At, t.onset)*math.Min(1, float64(from-to)/float64(from)*2), e).from(t.onset, e.At)
	if facts, _, ok := s.deeper(w, Latency); ok {
		f.but(0.2, facts...)
	}
	return f
}

func nextScaledDown(_ *scene, f *finding) Step {
	step := Step{Do: ScaleUp, About: f.About}
	for _, e := range f.Evidence {
		if e.Kind == Scaled {
			_, _ = fmt.Sscan(e.From, &step.Value) // it was a number when the rule held
		}
	}
	return step
}
