package collect

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// replicas tells how many pods there are and should be.
func replicas(w kube.Workload, pods []kube.PodDetail) diagnosis.Evidence {
	p := w.Progress
	e := diagnosis.Evidence{
		Kind: diagnosis.Replicas, About: object(w.Ref), Source: fromCluster, Value: diagnosis.Num(float64(p.Ready)), Limit: diagnosis.Num(float64(p.Desired)), Count: int(p.Updated),
	}
	if p.Ready >= p.Desired {
		return e
	}
	for _, d := range pods { // since when: the first that is not ready any more, or never was
		if d.Ready || d.Leaving {
			continue
		}
		at := d.Created
		for _, c := range d.Conditions {
			if c.Type == "Ready" {
				at = c.Since
			}
		}
		if e.At.IsZero() || at.Before(e.At) {
			e.At = at
		}
	}
	return e
}

// pods is what is to be seen of a workload's pods.
func pods(s kube.Survey, win observability.Window) []diagnosis.Evidence {
	w := object(s.Workload.Ref)
	out := []diagnosis.Evidence{replicas(s.Workload, s.Pods)}
	if t := s.Workload.Progress.Stuck; t != nil && (t.Reason == kube.Quota || t.Reason == kube.Rejected) {
		e := diagnosis.Evidence{Kind: diagnosis.NotMade, About: w, Text: clip(t.Detail)}
		for _, h := range s.Events {
			if h.Reason == "FailedCreate" {
				e.At, e.Text = h.First, clip(h.Message)
			}
		}
		switch {
		case t.Reason == kube.Quota:
			e.Name = "quota"
		case strings.Contains(e.Text, "serviceaccount") && strings.Contains(e.Text, "not found"):
			e.Name = "service_account"
		case strings.Contains(e.Text, "admission webhook") || strings.Contains(e.Text, "violates PodSecurity"):
			e.Name = "admission"
		}
		if e.At.IsZero() && len(s.Changes) > 0 {
			e.At = s.Changes[0].At
		}
		out = append(out, e)
	}
	restarts := 0
	for _, p := range s.Pods {
		pod := object(p.Ref)
		if p.Node != "" && !p.Leaving {
			ready := 0.0
			if p.Ready {
				ready = 1
			}
			out = append(out, diagnosis.Evidence{Kind: diagnosis.OnNode, About: pod, Owner: w, Peer: diagnosis.Object{Cluster: w.Cluster, Kind: nodeKind, Name: p.Node}, Value: &ready})
		}
		for _, c := range p.Conditions {
			if c.Type == "PodScheduled" && c.Reason == "Unschedulable" {
				out = append(out, diagnosis.Evidence{Kind: diagnosis.Unschedulable, At: c.Since, About: pod, Owner: w, Name: lacking(c.Message), Text: clip(c.Message)})
			}
		}
		if p.Reason == "Evicted" || p.Reason == "Preempting" || p.Reason == "NodeShutdown" {
			out = append(out, diagnosis.Evidence{Kind: diagnosis.Evicted, At: p.Created, About: pod, Owner: w, Name: p.Reason, Text: clip(p.Message)})
		}
		for _, k := range p.Containers {
			out = append(out, container(s, p, k, win)...)
			if k.Last != nil && !k.Last.At.Before(win.From) {
				restarts += k.Restarts
			}
		}
	}
	out = append(out, diagnosis.Evidence{Kind: diagnosis.RestartCount, About: w, Count: restarts})
	out = append(out, probes(s, win)...)
	return append(out, warnings(s, win)...)
}

// container is what is wrong with one container.
func container(s kube.Survey, p kube.PodDetail, k kube.ContainerDetail, win observability.Window) []diagnosis.Evidence {
	w, pod := object(s.Workload.Ref), object(p.Ref)
	var out []diagnosis.Evidence
	if t := p.Trouble; t != nil && t.Reason == kube.ImagePull && t.Container == k.Name {
		e := diagnosis.Evidence{Kind: diagnosis.ImagePull, At: p.Created, About: pod, Owner: w, Name: k.Name, To: k.Image, Text: clip(cmp.Or(pullMessage(s, p), k.Message))}
		if len(s.Changes) > 0 && s.Changes[0].Hash == p.Revision {
			for _, d := range s.Changes[0].Changed {
				if d.Facet == kube.FacetImage && d.Container == k.Name {
					e.From = d.From
				}
			}
		}
		out = append(out, e)
	}
	if crashed(p, k, win) {
		out = append(out, crash(s, p, k))
	}
	if l := k.Last; l != nil && l.Reason == "OOMKilled" && !l.At.Before(past(win).From) {
		e := diagnosis.Evidence{Kind: diagnosis.OOMKilled, At: l.At, About: pod, Owner: w, Name: k.Name, Unit: observability.Bytes, Count: max(1, k.Restarts)}
		if k.MemoryLimit > 0 {
			e.Limit = &k.MemoryLimit
		}
		out = append(out, e)
	}
	return out
}

// pullMessage is what the newest event says on why an image of a pod cannot be
// pulled: the container says in the end only that it waits.
func pullMessage(s kube.Survey, p kube.PodDetail) string {
	for _, h := range s.Events {
		if h.Reason == "Failed" && strings.Contains(h.Message, "pull") && strings.HasPrefix(h.About.Name, strings.TrimSuffix(p.Ref.Name, lastPart(p.Ref.Name))) && !strings.HasPrefix(h.Message, "Error: ") {
			return h.Message
		}
	}
	return ""
}

func lastPart(name string) string { return name[strings.LastIndex(name, "-")+1:] }

// crashed reports whether a container ended that should not have, lately.
func crashed(p kube.PodDetail, k kube.ContainerDetail, win observability.Window) bool {
	l := k.Last
	if l == nil || p.Leaving {
		return false
	}
	if k.Reason == "CrashLoopBackOff" {
		return true
	}
	return (l.ExitCode != 0 || k.Restarts > 0 && !k.Init) && !l.At.Before(past(win).From)
}

// crash tells of a container that ended.
func crash(s kube.Survey, p kube.PodDetail, k kube.ContainerDetail) diagnosis.Evidence {
	e := diagnosis.Evidence{
		Kind: diagnosis.Exited, At: k.Last.At, About: object(p.Ref), Owner: object(s.Workload.Ref), Name: k.Name,
		Value: diagnosis.Num(float64(k.Last.ExitCode)), Count: k.Restarts, To: k.Last.Reason, Text: clip(k.Last.Message),
	}
	// It began with the first crash of the pod, which no one remembers: not
	// before the pod was there.
	switch {
	case k.Init && (k.Reason == "CrashLoopBackOff" || !k.Ready):
		e.Kind, e.At = diagnosis.InitFailed, p.Created
	case k.Reason == "CrashLoopBackOff", k.Restarts >= 2 && !k.Ready:
		e.Kind = diagnosis.CrashLoop
		if first := firstEvent(s, "BackOff", p.Ref.Name); !first.IsZero() && first.Before(e.At) {
			e.At = first
		} else if k.Restarts > 0 {
			e.At = sooner(e.At, p.Created.Add(k.Last.At.Sub(k.Last.Began)))
		}
	}
	return e
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func firstEvent(s kube.Survey, reason, about string) time.Time {
	for _, h := range s.Events {
		if h.Reason == reason && h.About.Name == about {
			return h.First
		}
	}
	return time.Time{}
}

// lacking reads from the scheduler's message what no node has.
func lacking(message string) string {
	m := strings.ToLower(message)
	var out []string
	for _, l := range []struct {
		name  string
		signs []string
	}{
		{"cpu", []string{"insufficient cpu"}},
		{"memory", []string{"insufficient memory"}},
		{"pods", []string{"too many pods", "insufficient pods"}},
		{"storage", []string{"insufficient ephemeral-storage"}},
		{"taint", []string{"untolerated taint", "had taint", "were unschedulable"}},
		{"selector", []string{"didn't match pod's node affinity/selector", "didn't match node selector"}},
		{"affinity", []string{"pod affinity rules", "anti-affinity rules", "topology spread constraints"}},
		{"volume", []string{"persistentvolumeclaim", "volume node affinity conflict", "available persistent volumes", "no available volume", "max volume count"}},
		{"port", []string{"free ports"}},
	} {
		if slices.ContainsFunc(l.signs, func(s string) bool { return strings.Contains(m, s) }) {
			out = append(out, l.name)
		}
	}
	return strings.Join(out, ",")
}

// probing is how the kubelet says that a probe failed.
var probing = regexp.MustCompile(`^(Readiness|Liveness|Startup) probe (?:failed|errored)`)

// probes are the probes that failed, each kind of failure once.
func probes(s kube.Survey, win observability.Window) []diagnosis.Evidence {
	w := object(s.Workload.Ref)
	var out []diagnosis.Evidence
	told := map[string]bool{}
	for _, h := range s.Events {
		m := probing.FindStringSubmatch(h.Message)
		if h.Reason != "Unhealthy" || m == nil || !recent(h.Last, win) {
			continue
		}
		i := slices.IndexFunc(s.Pods, func(p kube.PodDetail) bool { return p.Ref.Name == h.About.Name })
		if i < 0 || s.Pods[i].Ready && s.At.Sub(h.Last) > 5*time.Minute {
			continue // a pod that is gone, or well again
		}
		if s.Pods[i].Ready && h.Count <= 3 {
			continue // while it started
		}
		name := strings.ToLower(m[1])
		told[name+s.Pods[i].Ref.Name] = true
		out = append(out, diagnosis.Evidence{
			Kind: diagnosis.ProbeFailed, At: h.First, About: object(h.About), Owner: w, Name: name, Text: clip(h.Message), Count: h.Count, From: probeOf(s.Pods[i], name),
		})
	}
	// A pod that runs and is not ready, and no event says so (yet, or any more).
	for _, p := range s.Pods {
		if p.Ready || p.Leaving || p.Trouble == nil || p.Trouble.Reason != kube.NotReady || told["readiness"+p.Ref.Name] || probeOf(p, "readiness") == "" && probeOf(p, "startup") == "" {
			continue
		}
		at := p.Created
		for _, c := range p.Conditions {
			if c.Type == "Ready" {
				at = c.Since
			}
		}
		if s.At.Sub(at) < settling {
			continue
		}
		name := "readiness"
		if probeOf(p, name) == "" {
			name = "startup"
		}
		out = append(out, diagnosis.Evidence{Kind: diagnosis.ProbeFailed, At: at, About: object(p.Ref), Owner: w, Name: name, Text: "runs, and is not ready", From: probeOf(p, name)})
	}
	return out
}

// settling is how long a pod may take to become ready before that is a finding.
const settling = 30 * time.Second

func probeOf(p kube.PodDetail, name string) string {
	for _, c := range p.Containers {
		for _, text := range c.Probes {
			if t, ok := strings.CutPrefix(text, name+": "); ok {
				return t
			}
		}
	}
	return ""
}

// warnings are the events that nothing else tells.
func warnings(s kube.Survey, win observability.Window) []diagnosis.Evidence {
	w := object(s.Workload.Ref)
	var out []diagnosis.Evidence
	for _, h := range s.Events {
		if h.Type != "Warning" || !recent(h.Last, win) || len(out) == mostWarnings {
			continue
		}
		switch h.Reason {
		case "Failed", "BackOff", "Unhealthy", "FailedScheduling", "FailedCreate", "ErrImagePull", "ProvisioningFailed":
			continue // told above, or what follows from it
		case "FailedMount", "FailedAttachVolume":
			name := ""
			if m := volumeName.FindStringSubmatch(h.Message); m != nil {
				name = m[1]
			}
			out = append(out, diagnosis.Evidence{Kind: diagnosis.VolumeFailed, At: h.First, About: object(h.About), Owner: w, Name: name, Text: clip(h.Message), Count: h.Count})
			continue
		case "Evicted", "Preempted":
			out = append(out, diagnosis.Evidence{Kind: diagnosis.Evicted, At: h.Last, About: object(h.About), Owner: w, Name: h.Reason, Text: clip(h.Message), Count: h.Objects})
			continue
		}
		e := diagnosis.Evidence{Kind: diagnosis.WarningEvent, At: h.First, About: object(h.About), Owner: w, Name: h.Reason, Text: clip(h.Message), Count: h.Count}
		if h.About.Kind == nodeKind {
			e.Owner = diagnosis.Object{}
		}
		out = append(out, e)
	}
	return out
}

const mostWarnings = 20

var volumeName = regexp.MustCompile(`volume "([^"]+)"`)
