package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// The verbs that make and delete an object; each is the other's inverse.
const (
	VerbCreate Verb = "create"
	VerbDelete Verb = "delete"
)

// creating makes an object.
type creating struct{ whole }

func (creating) doing(c Change) string { return "create the " + c.Ref.Kind + " " + c.Ref.Name }
func (creating) from(Change) string    { return nothing }
func (creating) to(c Change) string    { return summary(c) }
func (creating) aspect() Aspect        { return AspectObject }

func (creating) inverse(c Change) (Change, bool) {
	c.Verb, c.Before, c.After = VerbDelete, c.After, nil
	c.FromReplicas, c.ToReplicas = c.ToReplicas, 0
	return c, true
}

func (creating) ending(c Change) Ending {
	switch c.Ref.Kind {
	case Deployment, StatefulSet, DaemonSet:
		return EndsRolledOut
	}
	return EndsAtOnce
}

func (creating) plan(ctx context.Context, a api, c Change) (Change, string, error) {
	live, err := there(ctx, a, c.Ref)
	if err != nil {
		return c, "", err
	}
	if live.whole != nil {
		return c, "", fault.New(fault.Refused, "There is a %s %s in %s already. Give the new one another name.", c.Ref.Kind, c.Ref.Name, c.Ref.Namespace)
	}
	return planWhole(ctx, a, c, live)
}

// deleting deletes an object.
type deleting struct{ whole }

func (deleting) doing(c Change) string { return "delete the " + c.Ref.Kind + " " + c.Ref.Name }
func (deleting) from(c Change) string  { return summary(c) }
func (deleting) to(Change) string      { return nothing }
func (deleting) aspect() Aspect        { return AspectObject }
func (deleting) ending(Change) Ending  { return EndsAtOnce }

func (deleting) inverse(c Change) (Change, bool) {
	c.Verb, c.Before, c.After, c.UID = VerbCreate, nil, c.Before, ""
	c.FromReplicas, c.ToReplicas = 0, c.FromReplicas
	return c, true
}

func (deleting) plan(ctx context.Context, a api, c Change) (Change, string, error) {
	live, err := there(ctx, a, c.Ref)
	if err != nil {
		return c, "", err
	}
	return planWhole(ctx, a, c, live)
}

// summary is what an object comes to, in a few words.
func summary(c Change) string {
	var out []string
	for _, im := range c.Images {
		out = append(out, im.To+im.From) // one of them is ""
	}
	if n := max(c.FromReplicas, c.ToReplicas); c.Ref.Kind == Deployment {
		s := "s"
		if n == 1 {
			s = ""
		}
		out = append(out, fmt.Sprintf("%d replica%s", n, s))
	}
	for _, p := range c.Ports {
		out = append(out, fmt.Sprintf("port %d", p))
	}
	if len(out) == 0 {
		return c.Ref.Kind
	}
	return strings.Join(out, ", ")
}

// Program is something new to run.
type Program struct {
	Cluster, Namespace, Name string
	Image                    string
	Replicas                 int32
	Port                     int32 // 0 for none; else a Service is made as well
	Cause                    string
}

// nameRule is what the API server takes as the name of a Service, the strictest.
var nameRule = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Creations are the changes that make a program run: a Deployment, and with a
// port a Service. The defaults are those that the API server's Pod Security
// "restricted" takes; what is asked of a node is bounded, and where there is a
// port, a pod counts as ready only once something listens on it.
func (p Program) Creations() ([]Change, error) {
	if !nameRule.MatchString(p.Name) {
		return nil, fault.New(fault.NotUnderstood, "%q cannot be a name: names are small letters, digits and dashes, and begin with a letter.", p.Name)
	}
	if p.Port < 0 || p.Port > 65535 {
		return nil, fault.New(fault.NotUnderstood, "There is no port %d: ports go from 1 to 65535.", p.Port)
	}
	selector := map[string]string{"app.kubernetes.io/name": p.Name, "app.kubernetes.io/instance": p.Name}
	labels := maps.Clone(selector)
	labels["app.kubernetes.io/managed-by"] = fieldManager
	if v := labelValue(Tag(p.Image)); v != "" {
		labels["app.kubernetes.io/version"] = v
	}
	meta := metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, Labels: labels}
	yes, no := true, false
	c := corev1.Container{
		Name: p.Name, Image: p.Image,
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("256Mi")},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, RunAsNonRoot: &yes,
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
	if p.Port != 0 {
		c.Ports = []corev1.ContainerPort{{Name: "main", ContainerPort: p.Port, Protocol: corev1.ProtocolTCP}}
		listens := corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("main")}}
		c.ReadinessProbe = &corev1.Probe{ProbeHandler: listens, PeriodSeconds: 5}
		c.LivenessProbe = &corev1.Probe{ProbeHandler: listens, InitialDelaySeconds: 30, PeriodSeconds: 20}
	}
	d := &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: Deployment}, ObjectMeta: *meta.DeepCopy(),
		Spec: appsv1.DeploymentSpec{
			Replicas: &p.Replicas, Selector: &metav1.LabelSelector{MatchLabels: selector},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(labels)},
				Spec: corev1.PodSpec{
					Containers: []corev1.Container{c}, AutomountServiceAccountToken: &no,
					SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
				},
			},
		},
	}
	if p.Cause != "" {
		d.Annotations = map[string]string{changeCause: p.Cause}
	}
	ref := Ref{Cluster: p.Cluster, Namespace: p.Namespace, Kind: Deployment, Name: p.Name}
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	change := Change{Ref: ref, Verb: VerbCreate, After: raw, ToReplicas: p.Replicas, Images: []ImageChange{{Container: p.Name, To: p.Image}}, ToVersion: Tag(p.Image)}
	if p.Port == 0 {
		return []Change{change}, nil
	}
	change.Ports = []int32{p.Port}
	raw, err = json.Marshal(&corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: Service}, ObjectMeta: meta,
		Spec: corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Name: "main", Port: p.Port, TargetPort: intstr.FromString("main"), Protocol: corev1.ProtocolTCP}}},
	})
	if err != nil {
		return nil, fmt.Errorf("kube: %w", err)
	}
	ref.Kind = Service
	return []Change{change, {Ref: ref, Verb: VerbCreate, After: raw, Ports: []int32{p.Port}}}, nil
}

// labelValue is a text as far as it may be the value of a label.
func labelValue(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == ':' {
			return '-'
		}
		return r
	}, s)
	return strings.Trim(s[:min(len(s), 63)], "-_.")
}
