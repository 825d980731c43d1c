"""Admission webhooks that are asked about our containers, and do not answer."""

import base64
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lab import pki
from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_scenarios import STEP, patches, run_one
from tests.lab.test_sweep import SLEEP


@contextmanager
def _silent(address: str, folder: Path) -> Iterator[dict[str, str]]:
    """The clientConfig of a server that shakes hands and says nothing more: the API server waits
    10 s for a handshake, but as long for the answer as the webhook's time-out says."""
    pki.create(folder, (pki.Identity("hook", address, "", (f"IP:{address}",)),))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "hook.crt", folder / "hook.key")
    held = []
    with socket.create_server((address, 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    held.append(context.wrap_socket(connection, server_side=True))

        thread = threading.Thread(target=serve)
        thread.start()
        authority = base64.b64encode((folder / "ca.crt").read_bytes()).decode()
        try:
            yield {"url": f"https://{address}:{server.getsockname()[1]}/", "caBundle": authority}
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


def _guard(namespace: str, client: dict[str, str], **settings: Any) -> str:
    """A webhook that is asked about ephemeral containers of the namespace."""
    hook = {
        "name": "guard.example.com",
        "clientConfig": client,
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
    nobody = {"url": "https://127.0.0.1:1/guard"}
    with _silent(lab.machine_address, tmp_path / "pki") as silent:
        # As slow as the API server lets one be.
        lab.apply(_guard(namespace, silent, failurePolicy="Ignore", timeoutSeconds=30))
        try:
            pm.apply(lab, namespace, pm.deployment("web", SLEEP))
            pm.wait_ready(lab, namespace, "web")
            offset = lab.audit_offset()
            slow = run_one(lab, namespace, tmp_path / "slow", STEP)
            (patch,) = patches(lab, namespace, offset)
            lab.apply(_guard(namespace, nobody, failurePolicy="Fail", timeoutSeconds=2))
            offset = lab.audit_offset()
            pod = run_one(lab, namespace, tmp_path / "down", STEP)
            asked = patches(lab, namespace, offset)
        finally:
            lab.kubectl("delete", "validatingwebhookconfiguration", f"guard-{namespace}")
    assert slow["outcome"] == "passed", slow
    began, ended = (
        datetime.fromisoformat(patch[key]) for key in ("requestReceivedTimestamp", "stageTimestamp")
    )
    assert ended - began >= timedelta(seconds=30)
    assert (pod["outcome"], pod["reason"]) == ("error", "WebhookUnavailable")
    assert "guard.example.com" in pod["message"]
    assert 1 <= len(asked) <= 6
    assert [len(names) for names in pm.ephemeral_containers(lab, namespace).values()] == [1]
