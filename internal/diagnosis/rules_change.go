package diagnosis

import (
	"slices"
	"strconv"
	"strings"
)

// What somebody changed.

// badReleaseErrors is a new version that fails where the old one did not.
func badReleaseErrors(s *scene, w Object) *finding { return badRelease(s, w, ErrorRatio) }

// badReleaseLatency is a new version that is slower than the old one.
func badReleaseLatency(s *scene, w Object) *finding { return badRelease(s, w, Latency) }

func badRelease(s *scene, w Object, k Kind) *finding {
	r, ok := s.rollout(w)
	if !ok || !newVersion(r) {
		return nil
	}
	m := s.moved(w, k)
	if !m.up {
		m = s.seenByCallers(w, k)
	}
	if !m.up {
		return nil
	}
	fits := lead(r.At, m.onset)
	if fits == 0 {
		return nil // it began before: see innocent
	}
	f := at(w, w).speaks(0.75*fits, m.fact, r).from(m.onset, r.At)
	f.Detail = r.To
	fresh, old, apart := s.versions(w, k, r)
	switch apart {
	case different:
		f.speaks(0.75, fresh, old)
	case alike:
		f.but(0.15, old)
	}
	for _, e := range s.of(w, LogPattern, Issue) {
		switch {
		case lead(r.At, e.At) == 0 || e.At.IsZero():
		case e.Kind == Issue && e.To != "" && sameVersion(e.To, r.To):
			f.speaks(0.4, e)
		case e.Kind == LogPattern && k == ErrorRatio && !saysDNS(e.Text) && !saysExpired(e.Text) && !saysPool(e.Text) && !saysUnreachable(e.Text):
			f.speaks(0.15, e)
		}
	}
	if e, ok := s.share(w); ok && k == Latency && *e.Value >= 0.5 {
		f.speaks(0.3, e)
	}
	// What it calls is off by itself, and makes up for it.
	if by, p, ok := s.deeper(w, k); ok {
		part := 0.2
		if !s.hurt(p).yes || s.driven(w, p) {
			part = 0.6
		}
		f.but(part, by...)
	}
	// Others that do not depend on it are off since the same moment.
	if other, ok := s.sibling(w, k, m); ok {
		f.but(0.5, other)
	}
	// Capacity explains a slow answer as well: so many more requests.
	if up := s.moved(w, RequestRate); up.up && apart != different {
		f.but(0.5, up.fact)
	}
	if k == ErrorRatio && s.short(w).yes && len(s.of(w, CrashLoop, OOMKilled, MissingReference)) > 0 {
		f.keep *= 0.8 // see why its pods do not stay
	}
	return f
}

// newVersion reports whether a roll-out brought other code.
func newVersion(r Evidence) bool {
	return strings.Contains(r.Name, "image") || r.Name == "" && r.From != r.To || strings.Contains(r.Name, "command") || r.From != r.To && r.From != "" && r.To != ""
}

func sameVersion(release, version string) bool {
	if _, v, ok := strings.Cut(release, "@"); ok {
		release = v
	}
	return strings.TrimPrefix(release, "v") == strings.TrimPrefix(version, "v")
}

// seenByCallers is a measure of a workload that does not measure itself.
func (s *scene) seenByCallers(w Object, k Kind) move {
	call := CallLatency
	if k == ErrorRatio {
		call = CallErrors
	}
	if s.moved(w, k).known {
		return move{}
	}
	for _, c := range s.callers[w] {
		if m := s.called(c, w, call); m.up {
			return m
		}
	}
	return move{}
}

type apartness int

const (
	unknown apartness = iota
	different
	alike
)

// versions compares the version that a roll-out brought with the one before.
func (s *scene) versions(w Object, k Kind, r Evidence) (fresh, old Evidence, a apartness) {
	kind, least := VersionLatency, 0.020
	if k == ErrorRatio {
		kind, least = VersionErrors, 0.01
	}
	var haveFresh, haveOld bool
	for _, e := range s.about(w, kind) {
		switch {
		case e.Value == nil:
		case sameVersion(e.Name, r.To):
			fresh, haveFresh = e, true
		case sameVersion(e.Name, r.From) || !haveOld:
			old, haveOld = e, true
		}
	}
	if !haveFresh || !haveOld {
		return fresh, old, unknown
	}
	n, o := *fresh.Value, *old.Value
	switch {
	case n >= 1.4*o && n-o >= least:
		return fresh, old, different
	case o >= 0.7*n:
		return fresh, old, alike
	}
	return fresh, old, unknown
}

// driven reports whether a callee is off because this caller calls it more.
func (s *scene) driven(w, p Object) bool {
	return s.amplified(s.called(w, p, Calls).fact) >= 1.8
}

// sibling is a workload off since the same moment that neither calls this one
// nor is called by it: what they share is at fault.
func (s *scene) sibling(w Object, k Kind, m move) (Evidence, bool) {
	for _, e := range s.facts[k] {
		o := e.About
		if o == w || !isWorkload(o.Kind) || s.reached(o, w) || s.reached(w, o) || o.Namespace != w.Namespace || s.newlyRolled(o) {
			continue
		}
		if x := judged(e); x.up && !x.onset.IsZero() && !m.onset.IsZero() && x.onset.Sub(m.onset).Abs() <= slack {
			return e, true
		}
	}
	return Evidence{}, false
}

func (s *scene) newlyRolled(w Object) bool { _, ok := s.rollout(w); return ok }

func nextRelease(s *scene, f *finding) Step {
	if step, ok := s.back(f.About, f); ok {
		return step
	}
	return Step{Do: RollBack, About: f.About}
}

// configChange is a ConfigMap, or a variable or flag of the template, that was
// changed shortly before.
func configChange(s *scene) []*finding {
	var out []*finding
	for _, w := range s.path {
		for _, e := range s.configChanges(w) {
			t := s.slow(w)
			if x := s.failing(w); x.yes {
				t.add(x.onset, x.facts...)
			}
			crashes := s.of(w, CrashLoop)
			if len(crashes) > 0 {
				t.add(crashes[0].At, crashes...)
			}
			if !t.yes {
				continue
			}
			when := e.At
			// A program that reads its configuration once has it since its restart.
			for _, r := range s.about(w, Rollout) {
				if r.At.After(when) && lead(r.At, t.onset) > 0 {
					when = r.At
				}
			}
			fits := lead(when, t.onset)
			if fits == 0 {
				continue
			}
			about := w
			if e.Kind == ConfigChange {
				about = e.About
			}
			f := at(about, w).speaks(0.72*fits, e).speaks(0.1, t.facts...).from(t.onset, e.At)
			f.Detail = e.Name
			f.started = len(crashes) > 0
			for _, l := range s.of(w, LogPattern, Issue) {
				if !l.At.IsZero() && lead(e.At, l.At) > 0 && !says(l.Text, "certificate") {
					f.speaks(0.15, l)
				}
			}
			for _, k := range []Kind{Latency, ErrorRatio} {
				if !s.moved(w, k).up && s.moved(w, k).known {
					continue
				}
				if by, p, ok := s.deeper(w, k); ok {
					// The change may be what leads to the callee; where that is well
					// by its own word, or unknown, it may still be the change.
					if s.moved(p, k).up || s.down(p).yes || s.slow(p).yes && k == Latency {
						f.but(0.35, by...)
					} else if len(s.content(p)) > 0 {
						f.speaks(0.2, by...) // who is called is well: it is on this side
					}
				}
				if other, ok := s.sibling(w, k, s.moved(w, k)); ok {
					f.but(0.5, other)
				}
			}
			// A new version came with it: that is the greater change.
			if r, ok := s.rollout(w); ok && newVersion(r) && r.At.Sub(e.At).Abs() <= 2*slack {
				f.but(0.6, r)
			}
			if up := s.moved(w, RequestRate); up.up {
				f.but(0.6, up.fact)
			}
			out = append(out, f)
		}
	}
	return out
}

// configChanges are the changes of a workload's configuration that are not also
// told as something plainer.
func (s *scene) configChanges(w Object) []Evidence {
	out := slices.Clone(s.of(w, ConfigChange))
	for _, e := range s.of(w, EnvChange) {
		if e.To != "" {
			out = append(out, e)
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, e := range s.about(w, Rollout) {
		// Limits and probes have rules of their own, which say more.
		if !newVersion(e) && !strings.Contains(e.Name, "resources") && !strings.Contains(e.Name, "probe") && (strings.Contains(e.Name, "env") || strings.Contains(e.Name, "config") || strings.Contains(e.Name, "other")) {
			out = append(out, e)
		}
	}
	return out
}

func nextConfig(s *scene, f *finding) Step {
	if f.About.Kind == "ConfigMap" {
		return Step{Do: RestoreConf, About: f.About, Name: f.Detail}
	}
	if step, ok := s.back(f.About, f); ok {
		return step
	}
	return Step{Do: SetVariable, About: f.About, Name: f.Detail}
}

// splitTwo cuts "a/b".
func splitTwo(s string) []string {
	a, b, ok := strings.Cut(s, "/")
	if !ok {
		return nil
	}
	return []string{a, b}
}

// leadingNumber reads "140%", "1200m", "3.5".
func leadingNumber(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	end := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(s)
	}
	v, err := strconv.ParseFloat(s[:end], 64)
	return v, err == nil
}
