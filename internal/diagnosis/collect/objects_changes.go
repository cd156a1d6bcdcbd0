package collect

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/internal/diagnosis"
	"github.com/firstmate-ops/firstmate/internal/kube"
	"github.com/firstmate-ops/firstmate/internal/observability"
)

// changes are what changed about a workload, in a window or shortly before.
func changes(s kube.Survey, win observability.Window) []diagnosis.Evidence {
	w := object(s.Workload.Ref)
	var out []diagnosis.Evidence
	for i, c := range s.Changes {
		if i+1 == len(s.Changes) || !recent(c.At, win) {
			continue // the first of all is no change
		}
		was := s.Changes[i+1]
		out = append(out, diagnosis.Evidence{
			Kind: diagnosis.Rollout, At: c.At, About: w, From: was.Version, To: c.Version, Text: clip(c.Cause),
			Before: diagnosis.Num(float64(was.Number)), Value: diagnosis.Num(float64(c.Number)), Name: facets(c.Changed),
		})
		if i == 0 {
			out = append(out, details(w, c)...)
		}
	}
	for _, r := range s.References {
		// When it was made is no change, unless that is what they waited for.
		if r.Kind != "ConfigMap" || !recent(r.Changed, win) || !r.Changed.After(r.Made.Add(time.Second)) {
			continue
		}
		e := diagnosis.Evidence{Kind: diagnosis.ConfigChange, At: r.Changed, About: diagnosis.Object{Cluster: w.Cluster, Namespace: w.Namespace, Kind: r.Kind, Name: r.Name}, Owner: w, Text: clip(r.By)}
		if !slices.ContainsFunc(out, func(o diagnosis.Evidence) bool { return o.Kind == e.Kind && o.About == e.About }) {
			out = append(out, e)
		}
	}
	if h := s.Scaler; h != nil && recent(h.Changed, win) {
		out = append(out, diagnosis.Evidence{Kind: diagnosis.HPAChange, At: h.Changed, About: diagnosis.Object{Cluster: w.Cluster, Namespace: w.Namespace, Kind: "HorizontalPodAutoscaler", Name: h.Name}, Owner: w, Text: clip(h.By)})
	}
	for _, v := range s.Services {
		if recent(v.Changed, win) {
			out = append(out, diagnosis.Evidence{Kind: diagnosis.ObjectChange, At: v.Changed, About: object(v.Ref), Owner: w, Name: "updated", Text: clip(v.By)})
		}
	}
	for _, p := range s.Policies {
		if recent(p.Changed, win) {
			out = append(out, diagnosis.Evidence{Kind: diagnosis.ObjectChange, At: p.Changed, About: object(p.Ref), Owner: w, Name: "updated", Text: clip(p.Says)})
		}
	}
	return append(out, scaled(s, win)...)
}

// facets names what differs, each once, in the words of the Kind Rollout.
func facets(all []kube.Difference) string {
	var out []string
	for _, d := range all {
		n := string(d.Facet)
		switch d.Facet {
		case kube.FacetVolume:
			n = "volumes"
		case kube.FacetContainer:
			n = "image" // other code runs
		case kube.FacetPorts, kube.FacetLabels, kube.FacetPlacing:
			n = "other"
		case kube.FacetEnv, kube.FacetImage, kube.FacetResources, kube.FacetProbe, kube.FacetConfig, kube.FacetCommand, kube.FacetRestart, kube.FacetOther:
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return strings.Join(out, ",")
}

// details are the differences that have a Kind of their own.
func details(w diagnosis.Object, c kube.Revised) []diagnosis.Evidence {
	var out []diagnosis.Evidence
	for _, d := range c.Changed {
		e := diagnosis.Evidence{At: c.At, About: w, From: clip(d.From), To: clip(d.To)}
		switch d.Facet {
		case kube.FacetEnv:
			e.Kind, e.Name = diagnosis.EnvChange, d.Name
		case kube.FacetResources: // "cpu limit" is limits.cpu
			what, which, _ := strings.Cut(d.Name, " ")
			e.Kind, e.Name = diagnosis.ResourcesChange, d.Container+" "+which+"s."+what
		case kube.FacetProbe:
			e.Kind, e.Name = diagnosis.ProbeChange, d.Container+" "+d.Name
		default:
			continue
		}
		out = append(out, e)
	}
	return out
}

// rescaled is what the Deployment's controller says when it scales a ReplicaSet.
var rescaled = regexp.MustCompile(`^Scaled (up|down) replica set (\S+) from (\d+) to (\d+)`)

// rolling is how near to a roll-out a scaling counts as a part of it.
const rolling = 2 * time.Minute

// scaled finds that somebody set another number of replicas: what is not a part
// of a roll-out, which scales as well.
func scaled(s kube.Survey, win observability.Window) []diagnosis.Evidence {
	if len(s.Changes) == 0 {
		return nil
	}
	w, now := object(s.Workload.Ref), s.Changes[0]
	hash := s.Workload.Ref.Name + "-" + now.Hash
	by := ""
	for _, h := range s.Events {
		if h.Reason == "SuccessfulRescale" && recent(h.Last, win) {
			by = "hpa"
		}
	}
	var out []diagnosis.Evidence
	for _, h := range s.Events {
		m := rescaled.FindStringSubmatch(h.Message)
		if h.Reason != "ScalingReplicaSet" || m == nil || m[2] != hash || !recent(h.Last, win) || h.Last.Sub(now.At) < rolling {
			continue
		}
		out = append(out, diagnosis.Evidence{Kind: diagnosis.Scaled, At: h.Last, About: w, From: m[3], To: m[4], Name: by, Text: clip(h.Message)})
	}
	return out
}
