#!/usr/bin/env bash
# A roll-out under load on a real node: kubelet, kube-proxy and containerd, in
# namespaces of their own that lead nowhere and of which nothing is left. Needs
# root and Debian's packages, which it installs. `run.sh ARGS…` hands ARGS to the tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
skip() {
	echo "SKIP: make test-node: $*" >&2
	exit 0
}
if [ "${1:-}" = inside ]; then
	shift
	mount --make-rprivate /
	mount --make-rshared / # but only in this namespace
	# Kubernetes finds its own state under these and leaves some there.
	for d in /run /var/log /var/lib; do mount -t tmpfs tmpfs $d; done
	mkdir -p /run/netns
	ip link set lo up
	ip link add node0 type bridge
	ip addr add 10.99.0.1/24 dev node0
	ip link set node0 up
	ip route add default via 10.99.0.254 dev node0 # leads nowhere
	echo 1 >/proc/sys/net/ipv4/ip_forward
	[ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
	cd e2e/node
	exec "$FIRSTMATE_NODE/node.test" -test.v -test.timeout 15m "$@"
fi

[ "$(uname)" = Linux ] || skip "needs Linux"
[ "$(id -u)" = 0 ] || skip "needs root, for namespaces and containers"
missing=
for p in containerd runc iptables conntrack ip; do command -v $p >/dev/null || missing="$missing $p"; done
[ -x /usr/lib/cni/bridge ] || missing="$missing cni"
if [ -n "$missing" ]; then
	command -v apt-get >/dev/null || skip "needs$missing, and there is no apt-get to install them"
	echo "Installing Debian's containerd, runc, CNI plugins, iptables, conntrack and iproute2." >&2
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends containerd runc containernetworking-plugins iptables conntrack iproute2 >/dev/null; } ||
		skip "needs$missing, which could not be installed"
fi
unshare -m -n -p -f --mount-proc true 2>/dev/null || skip "this machine lets even root make no namespaces"

# Under /tmp and /var nothing of the outside is seen in there.
dir=$(mktemp -d "${XDG_CACHE_HOME:-$HOME/.cache}/firstmate-node-XXXXXX")
groups=()
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	groups=(/sys/fs/cgroup/firstmate-node)
else
	for c in cpu cpuacct cpuset memory devices freezer blkio pids systemd; do
		[ ! -d /sys/fs/cgroup/$c ] || groups+=("/sys/fs/cgroup/$c/firstmate-node")
	done
fi
cleanup() {
	for g in "${groups[@]}"; do find "$g" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
	rm -rf "$dir"
}
trap cleanup EXIT
for g in "${groups[@]}"; do mkdir -p "$g"; done
if [ -d /sys/fs/cgroup/cpuset/firstmate-node ]; then
	for f in cpuset.cpus cpuset.mems; do cat /sys/fs/cgroup/cpuset/$f >/sys/fs/cgroup/cpuset/firstmate-node/$f; done
fi

echo "Building what runs on the node (kubelet and kube-proxy take some minutes the first time)." >&2
export FIRSTMATE_SANDBOX="${FIRSTMATE_SANDBOX:-$(cd sandbox && go run ./build)}"
(cd sandbox && go build -gcflags=all=-dwarf=false -ldflags=-s -o "$dir/node" ./cmd/node)
(cd e2e/node/images && go build -o "$dir/images" .)
go build -o "$dir/bot" ./cmd/bot
for v in v1 v2 v3; do
	mkdir "$dir/$v"
	CGO_ENABLED=0 go build -ldflags "-s -X main.version=$v" -o "$dir/$v/hello" ./e2e/node/hello
done
cp "$dir/v1/hello" "$dir/pause"
"$dir/images" "$dir/images.tar" sandbox.local/pause:1 "$dir/pause" \
	sandbox.local/hello:v1 "$dir/v1/hello" sandbox.local/hello:v2 "$dir/v2/hello" sandbox.local/hello:v3 "$dir/v3/hello"
go test -c -o "$dir/node.test" ./e2e/node

export FIRSTMATE_NODE="$dir"
unshare -m -n -p -f --mount-proc --kill-child=SIGKILL "$0" inside "$@"
