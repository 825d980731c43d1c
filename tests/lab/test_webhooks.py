"""Admission webhooks that are asked about our containers, and do not answer."""

import json
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_scenarios import STEP, patches, run_one
from tests.lab.test_sweep import SLEEP


def _guard(namespace: str, url: str, **settings: Any) -> str:
    """A webhook that is asked about ephemeral containers of the namespace."""
    hook = {
        "name": "guard.example.com",
        "clientConfig": {"url": url},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [
            {
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"],
                "resources": ["pods/ephemeralcontainers"],
            }
        ],
        **settings,
    }  # fmt: skip
    kind = "ValidatingWebhookConfiguration"
    metadata = {"name": f"guard-{namespace}"}
    api = "admissionregistration.k8s.io/v1"
    return json.dumps({"apiVersion": api, "kind": kind, "metadata": metadata, "webhooks": [hook]})


def test_s44_a_webhook_that_is_down_is_named_and_a_slow_one_waited_for(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Where it must be asked nothing is in the pod, and it is an error of the cluster, not an
    unknown end."""
    lab.images("busybox")
    with socket.create_server((lab.machine_address, 0)) as silent:
        url = "https://{}:{}/guard".format(*silent.getsockname())
        lab.apply(_guard(namespace, url, failurePolicy="Ignore", timeoutSeconds=2))
        try:
            pm.apply(lab, namespace, pm.deployment("web", SLEEP))
            pm.wait_ready(lab, namespace, "web")
            offset = lab.audit_offset()
            slow = run_one(lab, namespace, tmp_path / "slow", STEP)
            (patch,) = patches(lab, namespace, offset)
            lab.apply(
                _guard(
                    namespace, "https://127.0.0.1:1/guard", failurePolicy="Fail", timeoutSeconds=2
                )
            )
            offset = lab.audit_offset()
            pod = run_one(lab, namespace, tmp_path / "down", STEP)
            asked = patches(lab, namespace, offset)
        finally:
            lab.kubectl("delete", "validatingwebhookconfiguration", f"guard-{namespace}")
    assert slow["outcome"] == "passed", slow
    began, ended = (
        datetime.fromisoformat(patch[key]) for key in ("requestReceivedTimestamp", "stageTimestamp")
    )
    assert ended - began >= timedelta(seconds=2)
    assert (pod["outcome"], pod["reason"]) == ("error", "WebhookUnavailable")
    assert "guard.example.com" in pod["message"]
    assert 1 <= len(asked) <= 6
    assert [len(names) for names in pm.ephemeral_containers(lab, namespace).values()] == [1]
