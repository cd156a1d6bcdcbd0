package kube

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	authv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Right is something that the API server may allow.
type Right struct {
	Verb, Group, Resource, Namespace, Name string
}

// String gives the form of kubectl auth can-i: "list deployments.apps".
func (r Right) String() string {
	s := r.Verb + " " + r.Resource
	if r.Group != "" {
		s += "." + r.Group
	}
	if r.Name != "" {
		s += " " + r.Name
	}
	if r.Namespace != "" {
		s += " in " + r.Namespace
	}
	return s
}

// ReaderNeeds are the rights without which a Reader does not start; those
// behind rest are only missed where they are asked about.
func ReaderNeeds() (needed, rest []Right) {
	all := func(group string, resources ...string) (out []Right) {
		for _, res := range resources {
			for _, verb := range []string{"get", "list", "watch"} {
				out = append(out, Right{Verb: verb, Group: group, Resource: res})
			}
		}
		return out
	}
	needed = append(all("", "namespaces", "nodes", "pods", "events"), all("apps", "deployments", "statefulsets", "daemonsets", "replicasets", "controllerrevisions")...)
	rest = append(all("autoscaling", "horizontalpodautoscalers"), all("batch", "jobs", "cronjobs")...)
	return needed, append(rest, surveyNeeds()...)
}

// surveyNeeds are the rights for what is asked for only to find out why
// something is as it is. Of ConfigMaps that is each by its name: never all.
func surveyNeeds() (out []Right) {
	for _, r := range []Right{
		{Group: "", Resource: "services"}, {Group: "", Resource: "persistentvolumeclaims"}, {Group: "", Resource: "resourcequotas"},
		{Group: "discovery.k8s.io", Resource: "endpointslices"}, {Group: "networking.k8s.io", Resource: "networkpolicies"},
	} {
		r.Verb = "list"
		out = append(out, r)
	}
	return append(out, Right{Verb: "get", Resource: "pods/log"}, Right{Verb: "get", Resource: "configmaps"}, Right{Verb: "get", Group: "storage.k8s.io", Resource: "storageclasses"})
}

// Rights asks the API server what is allowed. It changes nothing.
type Rights struct{ cluster *Cluster }

// NewRights returns a way to ask. It talks to nobody yet.
func NewRights(c *Cluster) *Rights { return &Rights{c} }

// May reports whether somebody may do something; an empty As is the process
// itself.
func (r *Rights) May(ctx context.Context, as As, right Right) (bool, error) {
	client, err := kubernetes.NewForConfig(r.cluster.asking(as))
	if err != nil {
		return false, fmt.Errorf("kube: %w", err)
	}
	resource, sub, _ := strings.Cut(right.Resource, "/") // as in pods/log
	review := &authv1.SelfSubjectAccessReview{Spec: authv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authv1.ResourceAttributes{
		Verb: right.Verb, Group: right.Group, Resource: resource, Subresource: sub, Namespace: right.Namespace, Name: right.Name,
	}}}
	got, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, r.cluster.sentence(err, "find out what is allowed")
	}
	return got.Status.Allowed, nil
}

// Version is what the API server says it is.
func (r *Rights) Version(ctx context.Context) (string, error) {
	client, err := kubernetes.NewForConfig(r.cluster.reading())
	if err != nil {
		return "", fmt.Errorf("kube: %w", err)
	}
	v, err := client.Discovery().ServerVersion()
	if err != nil {
		return "", r.cluster.sentence(err, "ask for its version")
	}
	return v.GitVersion, ctx.Err()
}

// Labels finds a workload by its name and returns its kind and its labels.
func (r *Rights) Labels(ctx context.Context, namespace, name string) (ref Ref, labels map[string]string, err error) {
	client, err := kubernetes.NewForConfig(r.cluster.reading())
	if err != nil {
		return Ref{}, nil, fmt.Errorf("kube: %w", err)
	}
	for _, kind := range []string{Deployment, StatefulSet, DaemonSet} {
		ref = Ref{Cluster: r.cluster.Name, Namespace: namespace, Kind: kind, Name: name}
		live, err := (api{r.cluster, client}).get(ctx, ref)
		if err == nil {
			return ref, live.meta.Labels, nil
		}
		if err = r.cluster.sentence(err, "find "+name); fault.KindOf(err) != fault.NotFound {
			return Ref{}, nil, err
		}
	}
	return Ref{}, nil, fault.New(fault.NotFound, "There is no %s in %s.", name, namespace)
}

// asking returns a configuration that acts as somebody and whose transport only
// asks what that somebody may do.
func (c *Cluster) asking(as As) *rest.Config {
	rc := rest.CopyConfig(c.config)
	rc.Wrap(func(next http.RoundTripper) http.RoundTripper { return onlyAsking{next} })
	if as.User != "" {
		rc.Impersonate = rest.ImpersonationConfig{UserName: as.User, Groups: as.Groups}
	}
	return rc
}

// accessReviews is where the API server is asked what is allowed.
const accessReviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

// onlyAsking lets through the question what is allowed, and nothing else.
type onlyAsking struct{ next http.RoundTripper }

// RoundTrip refuses or passes on.
func (t onlyAsking) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost || r.URL.Path != accessReviews {
		return refused(r, "I only ask what is allowed here: %s is not.", r.Method+" "+r.URL.Path)
	}
	return t.next.RoundTrip(r)
}
