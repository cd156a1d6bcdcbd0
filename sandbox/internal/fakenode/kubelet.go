package fakenode

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// kubelet is the port that all simulated nodes share. It adds to KWOK's fake
// kubelet, which it forwards to: certificates, the logs of containers that
// crash, and the answers of a real kubelet for containers that have no logs.
type kubelet struct {
	server  *http.Server
	forward http.Handler
	pods    corev1client.PodsGetter
	logs    *logBook
	podLogs *PodLogs
	usage   *atomic.Pointer[Usage]
}

func newKubelet(opts Options, pods corev1client.PodsGetter, logs *logBook, podLogs *PodLogs, usage *atomic.Pointer[Usage]) (*kubelet, error) {
	ca, err := os.ReadFile(opts.ClientCAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", opts.ClientCAFile)
	}
	cert, err := tls.LoadX509KeyPair(opts.CertFile, opts.KeyFile)
	if err != nil {
		return nil, err
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: loopback(opts.KwokPort)})
	proxy.FlushInterval = -1 // "kubectl logs -f" wants every line at once
	k := &kubelet{forward: proxy, pods: pods, logs: logs, podLogs: podLogs, usage: usage}
	proxy.ModifyResponse = k.rewrite
	k.server = &http.Server{
		Addr:              loopback(opts.KubeletPort),
		Handler:           k,
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{
			MinVersion:   tls.VersionTLS12,
			Certificates: []tls.Certificate{cert},
			ClientAuth:   tls.RequireAndVerifyClientCert,
			ClientCAs:    pool,
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return k, nil
}

func (k *kubelet) run(ctx context.Context) error {
	k.server.BaseContext = func(net.Listener) context.Context { return ctx }
	stop := context.AfterFunc(ctx, func() { k.server.Close() })
	defer stop()
	err := k.server.ListenAndServeTLS("", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// ServeHTTP answers the API server and metrics-server.
func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch parts[0] {
	case "containerLogs":
		if len(parts) == 4 && k.serveLogs(w, r, parts[1], parts[2], parts[3]) {
			return
		}
	case "metrics":
		r.Header.Set("Accept-Encoding", "identity") // rewrite reads the answer
	case "exec", "attach", "portForward", "run":
		http.Error(w, fmt.Sprintf("%s is off in the sandbox: nothing really runs in its pods", parts[0]), http.StatusForbidden)
		return
	}
	k.forward.ServeHTTP(w, r)
}

// serveLogs answers for a container that KWOK's one log file per application
// does not fit, and says whether it did.
func (k *kubelet) serveLogs(w http.ResponseWriter, r *http.Request, namespace, name, container string) bool {
	// Asked for each time: KWOK fills its cache only once something asks for it.
	pod, err := k.pods.Pods(namespace).Get(r.Context(), name, metav1.GetOptions{})
	if err != nil {
		return false
	}
	status := containerStatus(pod, container)
	if status == nil {
		return false
	}
	q := r.URL.Query()
	if q.Get("previous") == "true" && status.LastTerminationState.Terminated == nil {
		http.Error(w, fmt.Sprintf("previous terminated container %q in pod %q not found", container, name), http.StatusBadRequest)
		return true
	}
	if wait := status.State.Waiting; wait != nil && status.LastTerminationState.Terminated == nil {
		reason := wait.Reason
		if strings.HasPrefix(reason, "ErrImage") || strings.HasPrefix(reason, "ImagePull") {
			reason = "trying and failing to pull image"
		}
		http.Error(w, fmt.Sprintf("container %q in pod %q is waiting to start: %s", container, name, reason), http.StatusBadRequest)
		return true
	}
	if k.podLogs.serve(r.Context(), w, pod, status, q) {
		return true
	}
	lines := k.logs.special(status, q.Get("previous") == "true", time.Now())
	if lines == nil {
		return false
	}
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, selectLines(lines, q, time.Now()))
	return true
}

func containerStatus(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].Name == container {
				return &list[i]
			}
		}
	}
	return nil
}
