"""python -m lab.demo: README's first command. A lab, broken workloads in it, a sweep, a report."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab import cluster
from lab.handle import KubectlError, Lab
from lab.layout import LabError, layout
from lab.settings import Options

NAME = "demo"
NAMESPACE = "demo"
WORKLOADS = Path(__file__).parent / "workloads" / "demo.yaml"
REPORT = Path("podmedic-report")
# Long enough for each sample to show what is wrong with it: two crashes, a few failed probes.
_SETTLE_SECONDS = 180.0
_POLL_SECONDS = 1.0
_PODS = 12
_RESTARTS = {"ledger": 2, "orders": 2, "thumbnails": 1}
_HEALTHY = ("catalog", "queue")
_NEXT = f"""\
The lab is still up: `make lab-down` removes it. To look around in it:
  eval "$(.venv/bin/python -m lab --name {NAME} env)"
  .venv/bin/podmedic shell deploy/storefront -n {NAMESPACE} \
--command 'curl -s localhost:8080/healthz'"""


def _said(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _settled(lab: Lab) -> bool:
    """Has every broken sample broken, and is every healthy one up?"""
    pods = json.loads(lab.kubectl("get", "pods", "-n", NAMESPACE, "-o", "json"))["items"]
    return len(pods) == _PODS and all(_shows(pod) for pod in pods)


def _shows(pod: dict[str, Any]) -> bool:
    """What this sample is there to show."""
    app = pod["metadata"]["labels"]["app"]
    # A pod that the kubelet has not seen yet has no statuses.
    statuses = pod["status"].get("containerStatuses") or []
    if app in _RESTARTS:
        return any(status["restartCount"] >= _RESTARTS[app] for status in statuses)
    if app in _HEALTHY:
        return any(status["ready"] for status in statuses)
    return bool(statuses)


def _wait_until_broken(lab: Lab) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while not _settled(lab) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _sweep(lab: Lab) -> int:
    """The command as a user calls it, on the lab and on nothing else."""
    podmedic = Path(sys.executable).with_name("podmedic")
    # Without the user's KUBECONFIG and with the lab's by name, no other cluster can be meant.
    environment = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}
    done = subprocess.run(
        [
            podmedic, "run", "crashloop", "triage", "--kubeconfig", lab.kubeconfig,
            "-n", NAMESPACE, "-o", REPORT, "--exit-zero",
        ],
        env=environment,
        check=False,
    )  # fmt: skip
    return done.returncode


def main() -> int:
    try:
        chosen = layout(NAME)
        cluster.up(chosen, Options())
        lab = Lab.named(NAME)
        lab.images("busybox", "tools")
        _said("deploying sample workloads: five broken, two healthy")
        lab.apply(WORKLOADS.read_text())
        _said("waiting for them to break (about 30 s)")
        _wait_until_broken(lab)
        code = _sweep(lab)
    except (LabError, KubectlError) as error:
        _said(f"demo: {error}")
        return 1
    if code == 0:
        _said(_NEXT)
    return code


if __name__ == "__main__":
    sys.exit(main())
