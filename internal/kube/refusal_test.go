package kube_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/firstmate-ops/firstmate/internal/fault"
	"github.com/firstmate-ops/firstmate/internal/kube"
)

// refusedWith plans until the cluster refuses with all these parts.
func refusedWith(t *testing.T, w *kube.Writer, c kube.Change, parts ...string) {
	t.Helper()
	say := ""
	eventually(t, "the cluster refuses", func() bool {
		_, _, err := w.Plan(t.Context(), c)
		say = fault.Say(err)
		return fault.KindOf(err) == fault.Forbidden && strings.Contains(say, parts[0])
	})
	for _, p := range parts {
		if !strings.Contains(say, p) {
			t.Errorf("%q lacks %q", say, p)
		}
	}
}

func TestRefusalsNameTheFix(t *testing.T) {
	t.Parallel()
	t.Run("rights", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		c := toScale(create(t, ns, kube.Deployment, "acme/web:1"), 3)
		c.As = kube.As{User: "bob@example.com"}
		refusedWith(t, kube.NewWriter(cluster(t)), c, "The cluster does not allow me to scale web: ", `User "bob@example.com" cannot `, ` in the namespace "`+ns+`". Ask for the role `, " in "+ns+".")
	})
	t.Run("quota", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		_, err := admin(t).CoreV1().ResourceQuotas(ns).Create(t.Context(), &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/deployments.apps": resource.MustParse("0")}},
		}, metav1.CreateOptions{})
		ok(t, err)
		changes, err := kube.Program{Namespace: ns, Name: "hello", Image: "acme/hello:1", Replicas: 1}.Creations()
		ok(t, err)
		refusedWith(t, kube.NewWriter(cluster(t)), changes[0], "The namespace's quota does not allow me to create the Deployment hello:", "exceeded quota: small", "Raise it (kubectl edit resourcequota small), or free some of it first.")
	})
	t.Run("policy", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		ref := create(t, ns, kube.Deployment, "acme/web:1")
		policy(t, ns, "small", "deployments", "apps", "object.spec.replicas <= 9", "nobody needs more than nine")
		refusedWith(t, kube.NewWriter(cluster(t)), toScale(ref, 12), "its admission policy "+ns+"-small says: nobody needs more than nine. Change that, or ask whoever keeps the policy.")
	})
	t.Run("webhook", func(t *testing.T) {
		t.Parallel()
		ns := space(t)
		ref := create(t, ns, kube.Deployment, "acme/web:1")
		hook := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			var review admissionv1.AdmissionReview
			if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
				http.Error(rw, err.Error(), http.StatusBadRequest)
				return
			}
			review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: "no change without a ticket."}}
			_ = json.NewEncoder(rw).Encode(review)
		}))
		webhook(t, ns, "tickets.example.com", hook)
		w := kube.NewWriter(cluster(t))
		refusedWith(t, w, toScale(ref, 3), "its admission webhook tickets.example.com refused it: no change without a ticket. Change what it names, or ask whoever runs that webhook.")
		hook.Close()
		refusedWith(t, w, toScale(ref, 3), "its admission webhook tickets.example.com does not answer, and nothing is changed without it. Tell whoever runs that webhook.")
	})
}

// webhook makes the API server ask a server about Deployments of one namespace.
func webhook(t *testing.T, ns, name string, at *httptest.Server) {
	t.Helper()
	none, fail := admv1.SideEffectClassNone, admv1.Fail
	url := at.URL
	_, err := admin(t).AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), &admv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: ns + "-hook"},
		Webhooks: []admv1.ValidatingWebhook{{
			Name: name, SideEffects: &none, FailurePolicy: &fail, AdmissionReviewVersions: []string{"v1"},
			ClientConfig:      admv1.WebhookClientConfig{URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: at.Certificate().Raw})},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"test": ns}},
			Rules: []admv1.RuleWithOperations{{
				Operations: []admv1.OperationType{admv1.Update}, Rule: admv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
			}},
		}},
	}, metav1.CreateOptions{})
	ok(t, err)
}
