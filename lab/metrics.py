"""A real metrics-server, for as long as a test wants one: with it every sweep asks it.

The API server asks whether a user may before it passes a request on. It has no certificate to show
for that, as it would elsewhere, so that for metrics-server every request is nobody's: nobody may.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lab import addons, binaries, daemons
from lab.api import Api
from lab.daemons import Daemon
from lab.layout import LabError, Layout, Network
from lab.linux import Process

NAME = "metrics-server"

_MANIFEST = Path(__file__).parent / "manifests" / "metrics-server.yaml"
_API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"
_READY_SECONDS = 90.0
# It accepts no less.
_RESOLUTION_SECONDS = 10


@contextlib.contextmanager
def served(layout: Layout, network: Network, init: Process, api: Api) -> Iterator[None]:
    """Raises `LabError`. A pod is measured some 10 to 20 s after both have begun."""
    program = binaries.ensure([NAME], layout.cache)[NAME]
    documents = list(addons.documents(_MANIFEST.read_text()))
    try:
        daemons.start(layout, init, Daemon(NAME, (str(program), *_arguments(layout, network))))
        for path, manifest in documents:
            api.apply(path, manifest.replace("NODE_ADDRESS", network.node_address))
        daemons.wait_until(
            layout, "the metrics API", lambda: _is_available(api), _READY_SECONDS, NAME
        )
        yield
    finally:
        # The API first: no namespace is deleted while one that is registered does not answer.
        for path, _ in reversed(documents):
            api.delete(path)
        daemons.stop(layout, NAME)


def _arguments(layout: Layout, network: Network) -> list[str]:
    return [
        f"--kubeconfig={layout.kubeconfig}",
        f"--authentication-kubeconfig={layout.kubeconfig}",
        f"--authorization-kubeconfig={layout.kubeconfig}",
        # What is there at all, which the API server asks before it passes anything on.
        "--authorization-always-allow-paths=/livez,/readyz,/apis,/apis/*,/openapi/*",
        f"--bind-address={network.node_address}",
        "--secure-port=4443",
        f"--cert-dir={layout.state / NAME}",
        "--kubelet-preferred-address-types=InternalIP",
        # Simulated nodes measure nothing.
        "--node-selector=type!=kwok",
        f"--metric-resolution={_RESOLUTION_SECONDS}s",
        f"--kubelet-request-timeout={_RESOLUTION_SECONDS - 1}s",
    ]


def _is_available(api: Api) -> bool:
    try:
        conditions = api.get(_API_SERVICE).get("status", {}).get("conditions", [])
    except LabError:
        return False
    return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)
