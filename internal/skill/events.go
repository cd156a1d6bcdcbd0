package skill

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firstmate-ops/firstmate/intents"
	"github.com/firstmate-ops/firstmate/internal/dialogue"
	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// happener tells what Kubernetes recorded, and looks at a workload in depth.
type happener interface {
	Events(ctx context.Context, q kube.EventQuery) (found []kube.Happening, more bool, err error)
	Survey(ctx context.Context, w kube.Workload) (kube.Survey, error)
	Glance(ctx context.Context, w kube.Workload) (kube.Survey, error)
}

const (
	spokenEvents = 2
	shownEvents  = 40
)

// eventsOf is what a question about events is about.
type eventsOf struct {
	names     []string // of workloads; none for all
	node      string
	namespace string // "" is all
}

// events says what Kubernetes recorded about something.
func (c *Crew) events(ctx context.Context, t *dialogue.Turn) (dialogue.Reply, error) {
	in, now := t.Intent.Slots, c.now()
	w := window{}
	if in.Has("since") && in.String("since") != "last_deploy" || in.Has("until") {
		var err error
		if w, err = asked(in.String("since"), in.String("until"), t.Request.Text, now); err != nil {
			return dialogue.Reply{}, err
		}
	}
	q := kube.EventQuery{Cluster: c.where(t), From: w.from, To: w.to, Warnings: in.String("level") == "warning" || in.String("level") == "error", Normal: in.String("level") == "normal"}
	about, all, more, err := c.eventsWanted(ctx, t, q)
	if err != nil {
		return answered(err)
	}
	return c.tellEvents(ctx, t, about, w, all, more, now)
}

// now is the time, in the time zone that people mean.
func (c *Crew) now() time.Time {
	if c.past.Now != nil {
		return c.past.Now()
	}
	return time.Now()
}

// eventsWanted finds what a turn asks about, and what happened to it.
func (c *Crew) eventsWanted(ctx context.Context, t *dialogue.Turn, q kube.EventQuery) (about eventsOf, all []kube.Happening, more bool, err error) {
	in := t.Intent.Slots
	names := in.Targets()
	node := in.String("node")
	if len(names) == 1 && names[0] == intents.TargetIt && len(t.Session.Targets) == 1 && t.Session.Targets[0].Kind == kube.Node {
		node = t.Session.Targets[0].Name
	}
	switch {
	case node != "":
		about.node, q.Node = node, node
		all, more, err = c.cluster.Events(ctx, q)
	case len(names) == 0, names[0] == intents.TargetAll, names[0] == intents.TargetCluster:
		about.namespace = c.namespace(ctx, t)
		whole := in.String("namespace") == "" && (len(names) > 0 || wholeCluster(t.Request.Text))
		if whole {
			about.namespace = ""
		} else if err := c.hasNamespace(ctx, c.where(t), about.namespace); err != nil {
			return about, nil, false, err
		}
		q.Namespace = about.namespace
		all, more, err = c.cluster.Events(ctx, q)
	default:
		ws, err := c.workloads(ctx, t)
		if err != nil {
			return about, nil, false, err
		}
		focus(t, ws)
		for i := range ws {
			one := q
			one.Cluster, one.Workload = ws[i].Ref.Cluster, &ws[i]
			if in.String("since") == "last_deploy" {
				s, err := c.cluster.Survey(ctx, ws[i])
				if err != nil {
					return about, nil, false, err
				}
				if len(s.Changes) > 0 {
					one.From = s.Changes[0].At
				}
			}
			some, m, err := c.cluster.Events(ctx, one)
			if err != nil {
				return about, nil, false, err
			}
			about.names, all, more = append(about.names, ws[i].Ref.Name), append(all, some...), more || m
		}
	}
	slices.SortStableFunc(all, func(a, b kube.Happening) int { return b.Last.Compare(a.Last) })
	return about, all, more, err
}

// wholeCluster reports whether all namespaces are asked for in so many words.
func wholeCluster(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc([]string{"all namespaces", "-a", "--all-namespaces", "every namespace", "all the namespaces", "cluster wide", "cluster-wide", "clusterwide", "whole cluster"}, func(s string) bool {
		return strings.Contains(" "+text+" ", " "+s+" ")
	})
}

// tellEvents words what happened: warnings first for the ear, all in their order
// for the eye.
func (c *Crew) tellEvents(ctx context.Context, t *dialogue.Turn, about eventsOf, w window, all []kube.Happening, more bool, now time.Time) (dialogue.Reply, error) {
	warnings, times := 0, 0
	for _, h := range all {
		times += h.Count
		if h.Type == "Warning" {
			warnings++
		}
	}
	told := slices.Clone(all)
	slices.SortStableFunc(told, func(a, b kube.Happening) int { // what is wrong before what is usual
		return cmp.Or(yesFirst(a.Type == "Warning", b.Type == "Warning"), yesFirst(!bare(a), !bare(b)), b.Last.Compare(a.Last))
	})
	var speech, text []string
	for i, h := range told {
		if i == spokenEvents || i > 0 && h.Type != "Warning" {
			break
		}
		say, err := c.catalogue.Say("events.one", dialogue.Data{
			"Reason": h.Reason, "Kind": strings.ToLower(h.About.Kind), "Name": h.About.Name, "Objects": h.Objects, "Others": h.Objects - 1, "Count": h.Count,
			"Message": h.Message, "At": when(h.Last, now), "Once": h.Count == 1, "Warning": h.Type == "Warning",
		})
		if err != nil {
			return dialogue.Reply{}, err
		}
		speech, text = append(speech, say.Speech), append(text, say.Text)
	}
	r, err := t.Reply("events.some", dialogue.Data{
		"Names": about.names, "Node": about.node, "Namespace": c.namespaceIn(c.where(t), about.namespace), "Window": w.words, "Level": t.Intent.Slots.String("level"),
		"Kinds": len(all), "Warnings": warnings, "Times": times, "Speech": strings.Join(speech, ". "), "Text": strings.Join(text, ".\n"),
		"More": max(0, warnings-spokenEvents), "Cut": more, "Shown": min(len(all), shownEvents),
	})
	if err != nil {
		return r, err
	}
	if len(all) > 1 {
		r.Blocks = append(r.Blocks, eventTable(all, now))
	}
	return r, ctx.Err()
}

// bare reports whether an event only names the state that another one explains.
func bare(h kube.Happening) bool {
	return strings.HasPrefix(h.Message, "Error: ") || strings.HasPrefix(h.Message, "Back-off ")
}

func yesFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// eventTable shows events in the columns of kubectl, with how often they came.
func eventTable(all []kube.Happening, now time.Time) dialogue.Block {
	b := dialogue.Block{Type: "table", Columns: []string{"LAST SEEN", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"}}
	for _, h := range all[:min(len(all), shownEvents)] {
		object := strings.ToLower(h.About.Kind) + "/" + h.About.Name
		if h.Objects > 1 {
			object += " and " + strconv.Itoa(h.Objects-1) + " more"
		}
		b.Rows = append(b.Rows, []string{when(h.Last, now), h.Type, h.Reason, object, strconv.Itoa(h.Count), h.Message})
	}
	return b
}

// depth is what is wrong with a workload beside its roll-out, the worst first:
// what a person would find who looks around it. Nothing is said of what cannot
// be seen.
func (c *Crew) depth(ctx context.Context, w kube.Workload, now time.Time) (intents.Say, error) {
	s, err := c.cluster.Glance(ctx, w)
	switch {
	case fault.KindOf(err) == fault.Unavailable, fault.KindOf(err) == fault.Forbidden, fault.KindOf(err) == fault.Refused:
		return intents.Say{}, nil // the state of the roll-out is known without
	case err != nil:
		return intents.Say{}, err
	}
	data, ok := findings(s, now)
	if !ok {
		return intents.Say{}, nil
	}
	return c.catalogue.Say("status.depth", data)
}

// lately is how long ago a crash still matters to how a workload is.
const lately = time.Hour

// findings picks the worst of what a survey shows that a roll-out's progress
// does not.
func findings(s kube.Survey, now time.Time) (dialogue.Data, bool) {
	data := dialogue.Data{"What": "", "Count": 0, "Pods": 0, "Name": "", "Container": "", "At": "", "ExitCode": int32(0), "Detail": "", "Max": int32(0), "Wants": ""}
	set := func(what string) (dialogue.Data, bool) {
		data["What"] = what
		return data, true
	}
	var last *kube.Termination
	oom := false
	for _, p := range s.Pods {
		hit := false
		for _, k := range p.Containers {
			if k.Last == nil || k.Restarts == 0 || p.Leaving || now.Sub(k.Last.At) > lately {
				continue
			}
			hit = true
			data["Count"] = data["Count"].(int) + k.Restarts
			if k.Last.Reason == "OOMKilled" {
				oom = true
			}
			if last == nil || k.Last.At.After(last.At) {
				last = k.Last
				data["Container"], data["ExitCode"], data["At"], data["Detail"] = k.Name, k.Last.ExitCode, when(k.Last.At, now), k.Last.Message
			}
		}
		if hit {
			data["Pods"] = data["Pods"].(int) + 1
		}
	}
	for _, v := range s.Services {
		data["Name"] = v.Ref.Name
		switch {
		case v.Wrong != "" && v.Known && v.Ready == 0:
			data["Detail"] = v.Wrong
			return set("selector")
		case slices.ContainsFunc(v.Ports, func(p kube.ServicePort) bool { return p.Astray }):
			for _, p := range v.Ports {
				if p.Astray {
					data["Detail"] = "port " + strconv.Itoa(int(p.Port)) + " leads to " + p.Target + ", and the containers have " + strings.Join(p.Listens, ", ")
				}
			}
			return set("port")
		}
	}
	switch {
	case oom:
		return set("oom")
	case last != nil:
		return set("restarts")
	case s.Scaler != nil && s.Scaler.Limited:
		data["Name"], data["Max"], data["Wants"] = s.Scaler.Name, s.Scaler.Max, strings.Join(s.Scaler.Targets, ", ")
		return set("hpa")
	}
	for _, n := range s.Nodes {
		if n.Pods > 0 && !n.Ready {
			data["Name"], data["Count"] = n.Name, n.Pods
			return set("node")
		}
	}
	return data, false
}
