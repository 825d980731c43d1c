"""What `podmedic serve` says where it may not, and what others send in its place."""

import json
import re
import subprocess
from pathlib import Path

import yaml

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab import serving as sv
from tests.lab.test_rbac import kubeconfig_of
from tests.unit.alerts import body


def test_without_permission_it_says_so_and_ends(lab: Lab, namespace: str, tmp_path: Path) -> None:
    # It was never bound to a role: what is taken away is allowed for a moment more.
    account = kubeconfig_of(lab, namespace, "default", tmp_path / "kubeconfig")
    (tmp_path / "job.yaml").write_text(json.dumps(sv.never_scheduled()))
    (tmp_path / "token").write_text(sv.TOKEN)
    done = subprocess.run(
        [pm.COMMAND, "serve", "--listen=127.0.0.1:0", "-n", namespace,
         f"--job-template={tmp_path / 'job.yaml'}", f"--bearer-token-file={tmp_path / 'token'}"],
        env=pm.environment(None) | {"KUBECONFIG": str(account)}, cwd=tmp_path, timeout=60,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    # It asks for both at once.
    denied = r"podmedic: not allowed to (list jobs\.batch|create leases\.coordination\.k8s\.io) in"
    assert re.search(rf"^{denied} namespace {namespace}: ", done.stderr, re.MULTILINE), done.stderr


def test_the_job_of_another_trigger_is_one(lab: Lab, namespace: str) -> None:
    """As the API server sees it, with the webhook's body where the trigger puts it."""
    sensor = yaml.safe_load((sv.MANIFESTS.parent / "argo-events.yaml").read_text())
    (trigger,) = sensor["spec"]["triggers"]
    job = trigger["template"]["k8s"]["source"]["resource"]
    job["spec"]["template"]["metadata"]["annotations"]["podmedic.io/alert"] = body().decode()
    lab.kubectl("create", "-n", namespace, "--dry-run=server", "-f", "-", input=json.dumps(job))
    (parameter,) = trigger["template"]["k8s"]["parameters"]
    assert parameter["dest"] == r"spec.template.metadata.annotations.podmedic\.io/alert"
