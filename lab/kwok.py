"""Simulated nodes: their pods run nothing, but end ephemeral containers and have a log."""

import datetime as dt
import json
from pathlib import Path

from lab import binaries, daemons, pki
from lab.api import Api
from lab.daemons import Daemon
from lab.layout import LabError, Layout, Network
from lab.linux import Process

NAME = "kwok"
SELECTOR = {"type": "kwok"}
"""The nodeSelector of a pod that is to be simulated; it needs `TOLERATION` too."""
TOLERATION = {"key": "kwok.x-k8s.io/node", "operator": "Exists"}

_MANIFEST = Path(__file__).parent / "manifests" / "kwok.yaml"
_PORT = 10247
_PODS = "10.246.0.0/16"
_READY_SECONDS = 60.0
# The kubelet's own limit for one line of a log file.
_CHUNK_BYTES = 16 * 1024


def log_path(layout: Layout) -> Path:
    """The file that every simulated container's log is read from, anew for each request."""
    return layout.state / "kwok" / "log"


def write_log(path: Path, payload: bytes) -> None:
    """Makes `payload` what a log request for a simulated container returns.

    In the format of a container runtime: a time, the stream, F for the end of a line or P for a
    part of one, and the text.
    """
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
    written = []
    for line in payload.splitlines(keepends=True):
        text, end = line.rstrip(b"\n"), line.endswith(b"\n")
        parts = [text[at : at + _CHUNK_BYTES] for at in range(0, len(text), _CHUNK_BYTES)] or [b""]
        written += [now + b" stdout P " + part + b"\n" for part in parts[:-1]]
        written.append(now + b" stdout " + (b"F " if end else b"P ") + parts[-1] + b"\n")
    scratch = path.with_name(f"{path.name}.new")
    scratch.write_bytes(b"".join(written))
    scratch.replace(path)


def up(layout: Layout, network: Network, init: Process, api: Api, nodes: int) -> None:
    """Starts kwok unless it runs, and adds nodes until there are that many; raises `LabError`."""
    program = binaries.ensure([NAME], layout.cache)[NAME]
    folder = layout.state / "kwok"
    folder.mkdir(exist_ok=True)
    if not log_path(layout).exists():
        write_log(log_path(layout), b"simulated\n")
    config = folder / "kwok.yaml"
    config.write_text(_MANIFEST.read_text().replace("LOG", str(log_path(layout))))
    kubeconfig = layout.state / "kwok.kubeconfig"
    pki.kubeconfig(layout.pki, NAME, network.api, kubeconfig)
    daemons.start(
        layout, init, Daemon(NAME, (str(program), *_arguments(layout, network, config, kubeconfig)))
    )
    for number in range(nodes):
        name = f"kwok-{number}"
        api.apply(f"/api/v1/nodes/{name}", json.dumps(_node(name)))
    daemons.wait_until(
        layout,
        f"{nodes} simulated nodes to be Ready",
        lambda: _ready_nodes(api) >= nodes,
        _READY_SECONDS,
        NAME,
    )


def _arguments(layout: Layout, network: Network, config: Path, kubeconfig: Path) -> list[str]:
    return [
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40",
        "--v=WARN",
        f"--cidr={_PODS}",
        f"--node-ip={network.node_address}",
        f"--node-port={_PORT}",
        f"--tls-cert-file={layout.pki / 'kwok.crt'}",
        f"--tls-private-key-file={layout.pki / 'kwok.key'}",
    ]


def _node(name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                **SELECTOR,
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
        # Real pods stay on the real node.
        "spec": {
            "taints": [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]
        },
    }


def _ready_nodes(api: Api) -> int:
    try:
        nodes = api.get("/api/v1/nodes?labelSelector=type%3Dkwok")["items"]
    except LabError:
        return 0
    return sum(
        any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in node.get("status", {}).get("conditions", [])
        )
        for node in nodes
    )
