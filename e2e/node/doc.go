// Package node holds the roll-out under load on a real node: kubelet, kube-proxy
// and containerd, which `make test-node` starts. Without them its tests skip.
package node
