package action

import (
	"slices"
	"testing"
	"time"

	"github.com/firstmate-ops/firstmate/internal/access"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

func TestAssess(t *testing.T) {
	scale := func(from, to int32) kube.Change {
		return kube.Change{Verb: kube.VerbScale, FromReplicas: from, ToReplicas: to}
	}
	image := func(kind string, pods int32, from, to string) kube.Change {
		return kube.Change{Ref: kube.Ref{Kind: kind}, Verb: kube.VerbImage, FromReplicas: pods, Images: []kube.ImageChange{{From: from, To: to}}}
	}
	silence := func(severity string, d time.Duration, ack bool) kube.Change {
		at := time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
		return kube.Change{Verb: kube.VerbSilence, Silence: &kube.Silence{From: at, To: at.Add(d), Severity: severity, Acknowledged: ack}}
	}
	here, prod := Facts{Together: 1}, Facts{Production: true, Together: 1}
	for name, tt := range map[string]struct {
		change kube.Change
		facts  Facts
		risk   access.Risk
		why    []Hazard
	}{
		"a little more":                    {scale(3, 5), here, access.Low, nil},
		"twice as many":                    {scale(3, 6), here, access.Low, nil},
		"more than twice":                  {scale(3, 7), here, access.Medium, []Hazard{Doubles}},
		"from nothing":                     {scale(0, 7), here, access.Low, nil},
		"to one":                           {scale(3, 1), here, access.Medium, []Hazard{OneLeft}},
		"to nothing":                       {scale(3, 0), here, access.High, []Hazard{ToZero}},
		"the last one to nothing":          {scale(1, 0), here, access.High, []Hazard{ToZero}},
		"nothing stays nothing":            {scale(0, 0), here, access.Low, nil},
		"in production":                    {scale(3, 5), prod, access.Medium, []Hazard{Production}},
		"more than twice in production":    {scale(3, 7), prod, access.High, []Hazard{Production, Doubles}},
		"to nothing in production":         {scale(3, 0), prod, access.High, []Hazard{ToZero, Production}},
		"an image":                         {image(kube.Deployment, 3, "a/web:1", "a/web:2"), here, access.Low, nil},
		"an image in production":           {image(kube.Deployment, 3, "a/web:1", "a/web:2"), prod, access.Medium, []Hazard{Production}},
		"the only pod":                     {image(kube.Deployment, 1, "a/web:1", "a/web:2"), here, access.Medium, []Hazard{OnlyPod}},
		"an image from elsewhere":          {image(kube.Deployment, 3, "a/web:1", "b/web:1"), here, access.Medium, []Hazard{OtherImage}},
		"on every node":                    {image(kube.DaemonSet, 0, "a/log:1", "a/log:2"), here, access.Medium, []Hazard{EveryNode}},
		"a restart":                        {kube.Change{Verb: kube.VerbRestart, FromReplicas: 2}, here, access.Low, nil},
		"five at once":                     {scale(3, 5), Facts{Together: 5}, access.Medium, []Hazard{Many}},
		"ten at once":                      {scale(3, 5), Facts{Together: 10}, access.High, []Hazard{Many}},
		"five at once in production":       {scale(3, 5), Facts{Together: 5, Production: true}, access.Medium, []Hazard{Production, Many}},
		"in two clusters":                  {scale(3, 5), Facts{Together: 2, Clusters: 2}, access.High, []Hazard{Clusters}},
		"deleted":                          {kube.Change{Verb: kube.VerbDelete}, here, access.High, []Hazard{Deletes}},
		"made":                             {kube.Change{Verb: kube.VerbCreate}, here, access.Low, nil},
		"held":                             {kube.Change{Verb: kube.VerbPause}, here, access.Low, nil},
		"its autoscaler switched off":      {kube.Change{Verb: kube.VerbAutoscale}, here, access.Medium, []Hazard{Unscaled}},
		"its autoscaler changed":           {kube.Change{Verb: kube.VerbAutoscale, After: []byte("{}")}, here, access.Low, nil},
		"a pod taken away":                 {kube.Change{Verb: kube.VerbDeletePod}, here, access.Medium, []Hazard{TakesPod}},
		"the last ready pod taken away":    {kube.Change{Verb: kube.VerbDeletePod, Pod: &kube.PodDeletion{Owner: kube.Ref{Name: "web"}, Only: true}}, here, access.High, []Hazard{LastReady}},
		"a pod that nothing makes anew":    {kube.Change{Verb: kube.VerbDeletePod, Pod: &kube.PodDeletion{}}, here, access.High, []Hazard{LastReady}},
		"the last node cordoned":           {kube.Change{Verb: kube.VerbCordon, Node: &kube.NodeChange{}}, here, access.High, []Hazard{LastNode}},
		"a node cordoned":                  {kube.Change{Verb: kube.VerbCordon, Node: &kube.NodeChange{Others: 2}}, here, access.Low, nil},
		"a node drained":                   {kube.Change{Verb: kube.VerbDrain}, here, access.High, []Hazard{Drains}},
		"a warning silenced":               {silence("warning", time.Hour, false), here, access.Low, nil},
		"a critical alert silenced":        {silence("critical", time.Hour, false), here, access.Medium, []Hazard{Mutes}},
		"a critical alert acknowledged":    {silence("critical", time.Hour, true), here, access.Low, nil},
		"silenced for days":                {silence("warning", 72*time.Hour, false), here, access.Medium, []Hazard{Mutes}},
		"silenced in production":           {silence("critical", time.Hour, false), prod, access.High, []Hazard{Production, Mutes}},
		"heard again in production":        {kube.Change{Verb: kube.VerbUnsilence}, prod, access.Low, nil},
		"a node drained where people live": {kube.Change{Verb: kube.VerbDrain}, prod, access.High, []Hazard{Drains, Production}},
	} {
		risk, why := Assess(tt.change, tt.facts)
		if risk != tt.risk || !slices.Equal(why, tt.why) {
			t.Errorf("%s: %s because of %v, want %s because of %v", name, risk, why, tt.risk, tt.why)
		}
	}
}

func TestIsProduction(t *testing.T) {
	patterns := []string{"prod", "*-prod", "live"}
	for _, tt := range []struct {
		name   string
		labels map[string]string
		want   bool
	}{
		{"prod", nil, true}, {"shop-prod", nil, true}, {"live", nil, true},
		{"product", nil, false}, {"prod-x", nil, false}, {"staging", nil, false}, {"", nil, false},
		{"shop", map[string]string{"environment": "Production"}, true},
		{"shop", map[string]string{"env": "prod"}, true},
		{"prod", map[string]string{"environment": "test"}, false}, // the label has the last word
		{"shop", map[string]string{"team": "prod"}, false},
	} {
		if got := IsProduction(tt.name, tt.labels, patterns); got != tt.want {
			t.Errorf("%s %v: %v", tt.name, tt.labels, got)
		}
	}
	if IsProduction("prod", nil, []string{"[", ""}) {
		t.Error("a pattern that is none fits")
	}
}

// TestByWayOfGitTheRiskIsTheSame holds that a pull request is no way around a
// rule about risk.
func TestByWayOfGitTheRiskIsTheSame(t *testing.T) {
	inner := kube.Change{Ref: kube.Ref{Kind: kube.Deployment, Name: "web"}, Verb: kube.VerbScale, FromReplicas: 3}
	for _, f := range []Facts{{}, {Production: true}, {Together: ManyAtOnce}} {
		risk, why := Assess(kube.Change{Ref: inner.Ref, Verb: kube.VerbPull, Pull: &kube.PullRequest{Change: inner}}, f)
		want, _ := Assess(inner, f)
		if risk != want || risk != access.High || len(why) == 0 || why[0] != ToZero {
			t.Errorf("%+v: %v %v, want %v", f, risk, why, want)
		}
	}
	if risk, _ := Assess(kube.Change{Verb: kube.VerbPull, Pull: &kube.PullRequest{Change: inner, Close: 3}}, Facts{}); risk != access.Low {
		t.Errorf("to close one is %v", risk)
	}
}
