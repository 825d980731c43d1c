"""Configuration files of the daemons. JSON where a daemon reads YAML, since one is the other."""

import json
from dataclasses import dataclass

from lab.layout import Layout, Network, save
from lab.network import DNS_SERVICE, PODS

NODE = "lab-node"
PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
MAX_PODS = 250
LOG_MAX_SIZE = "10Mi"


@dataclass(frozen=True)
class Options:
    """What `up` may be asked for.

    `log_max_size` is the kubelet's containerLogMaxSize, None for what the lab has, or 10Mi.
    """

    log_max_size: str | None = None
    kwok_nodes: int = 0


def write(layout: Layout, network: Network, options: Options) -> None:
    """Writes every file the daemons read, except keys and kubeconfigs."""
    state = layout.state
    for folder in ("etcd", "cni", "kubelet", "certs.d/_default"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    layout.pod_logs.mkdir(exist_ok=True)
    (state / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (state / "containerd.toml").write_text(_containerd(layout))
    (state / "certs.d/_default/hosts.toml").write_text(_registry_hosts(network))
    save(state / "cni" / "10-bridge.conflist", _cni(layout))
    save(state / "registry.yaml", _registry(layout))
    save(state / "audit-policy.yaml", _AUDIT_POLICY)
    save(state / "kubelet.yaml", _kubelet(layout, options))
    save(state / "proxy.yaml", _proxy(layout))


# Every request once, when it is answered (watches also when they begin): tests count them.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def _containerd(layout: Layout) -> str:
    state = layout.state
    return f"""\
version = 2
root = {_toml(state / "containerd/root")}
state = {_toml(state / "containerd/state")}
# It may still be reaping pods when the machine is busy.
oom_score = 0

[grpc]
address = {_toml(layout.containerd_socket)}

[plugins."io.containerd.internal.v1.opt"]
path = {_toml(state / "containerd/opt")}

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {_toml(PAUSE_IMAGE)}
# Without CAP_SYS_RESOURCE no sandbox could be given a better score than ours.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = {_toml(state / "certs.d")}

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = {_toml(state / "cni")}
"""


def _toml(value: object) -> str:
    return json.dumps(str(value))


def _registry_hosts(network: Network) -> str:
    """The lab's registry answers for every registry host there is."""
    return f"""\
server = "http://{network.registry}"

[host."http://{network.registry}"]
capabilities = ["pull", "resolve"]
"""


def _registry(layout: Layout) -> dict[str, object]:
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(layout.cache / "registry")}},
        "http": {"addr": "0.0.0.0:5000", "secret": layout.name},
    }


def _cni(layout: Layout) -> dict[str, object]:
    return {
        "cniVersion": "0.4.0",
        "name": "lab",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(layout.state / "ipam"),
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _kubelet(layout: Layout, options: Options) -> dict[str, object]:
    pki = layout.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "failSwapOn": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "node.crt"),
        "tlsPrivateKeyFile": str(pki / "node.key"),
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": str(layout.state / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "podLogsDir": str(layout.pod_logs),
        "volumePluginDir": str(layout.state / "kubelet" / "volume-plugins"),
        "containerLogMaxSize": options.log_max_size or LOG_MAX_SIZE,
        "maxPods": MAX_PODS,
        # A burst of pods would fail with "pull QPS exceeded", which no registry of ours means.
        "registryPullQPS": 0,
        # The machine's disk is not the lab's: a full one must not evict what a test looks at.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi"},
    }


def _proxy(layout: Layout) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(layout.state / "proxy.kubeconfig")},
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "oomScoreAdj": 0,
        "iptables": {"minSyncPeriod": "100ms"},
        # Zero leaves the sysctls alone, which a network namespace may not write.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
