package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	_ "k8s.io/client-go/plugin/pkg/client/auth" // exec and OIDC credentials of kubeconfigs

	"github.com/firstmate-ops/firstmate/internal/fault"
)

// Cluster is how to reach a cluster, and where in it a conversation starts.
type Cluster struct {
	Name      string // of the kubeconfig context, or "in-cluster"
	Namespace string // the context's namespace, "default" where it names none
	config    *rest.Config
}

// Connect reads the kubeconfig the way kubectl does (path, else $KUBECONFIG,
// else ~/.kube/config, else the Pod's own service account). A namespace takes the
// place of the context's. It talks to nobody.
func Connect(path, contextName, namespace string) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: contextName})
	rc, err := loader.ClientConfig()
	if err != nil {
		return nil, fault.Wrap(err, fault.Usage, "I found no cluster to talk to: %v. Set KUBECONFIG, or kubernetes.kubeconfig in the configuration, to a file that works with kubectl.", err)
	}
	ns, _, err := loader.Namespace()
	if err != nil {
		return nil, fault.Wrap(err, fault.Usage, "The kubeconfig names no usable namespace.")
	}
	if namespace != "" {
		ns = namespace
	}
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, fault.Wrap(err, fault.Usage, "The kubeconfig cannot be read.")
	}
	name := contextName
	if name == "" {
		name = raw.CurrentContext
	}
	if name == "" {
		name = "in-cluster"
	}
	return newCluster(name, ns, rc), nil
}

// newCluster is a cluster with what all have in common.
func newCluster(name, namespace string, rc *rest.Config) *Cluster {
	rc.UserAgent = "firstmate"
	rc.ContentType = "application/vnd.kubernetes.protobuf"
	rc.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	rc.QPS, rc.Burst = 100, 200
	rc.WarningHandler = rest.NoWarnings{}
	return &Cluster{Name: name, Namespace: namespace, config: rc}
}

// reading returns a configuration whose transport only reads.
func (c *Cluster) reading() *rest.Config {
	rc := rest.CopyConfig(c.config)
	rc.Wrap(func(next http.RoundTripper) http.RoundTripper { return readOnly{next} })
	return rc
}

// writing returns a configuration that acts as somebody, and whose transport
// makes no change that no verb needs.
func (c *Cluster) writing(as As) *rest.Config {
	rc := rest.CopyConfig(c.config)
	rc.Wrap(func(next http.RoundTripper) http.RoundTripper { return forChanges{next} })
	if as.User != "" {
		rc.Impersonate = rest.ImpersonationConfig{UserName: as.User, Groups: as.Groups}
	}
	return rc
}

// sentence turns an error of the API server into a fault that can be said
// aloud. what is what was being done, as in "change web".
func (c *Cluster) sentence(err error, what string) error {
	if err == nil {
		return nil
	}
	var own *fault.Error
	if errors.As(err, &own) {
		return own
	}
	status := apierrors.APIStatus(nil)
	msg := ""
	if errors.As(err, &status) {
		msg = clip(status.Status().Message)
	}
	if known := refusal(err, what); known != nil {
		return known
	}
	var netErr net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Wrap(err, fault.Unavailable, "I was interrupted before I could %s.", what)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fault.Wrap(err, fault.Forbidden, "The cluster does not allow me to %s: %s.", what, strings.TrimSuffix(msg, "."))
	case apierrors.IsNotFound(err):
		return fault.Wrap(err, fault.NotFound, "I could not %s: it is not there any more.", what)
	case apierrors.IsConflict(err):
		return fault.Wrap(err, fault.Conflict, "Somebody else was changing the same thing, so I did not %s. Ask me again.", what)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return fault.Wrap(err, fault.Forbidden, "The cluster would not accept that: %s.", strings.TrimSuffix(msg, "."))
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err):
		return fault.Wrap(err, fault.Unavailable, "The cluster %s does not answer, so I could not %s.", c.Name, what)
	}
	if msg != "" {
		return fault.Wrap(err, fault.Forbidden, "The cluster would not let me %s: %s.", what, strings.TrimSuffix(msg, "."))
	}
	return fmt.Errorf("kube: %s: %w", what, err)
}
