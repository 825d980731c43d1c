"""A lab that is up, as tests, the demo and the benchmarks use it."""

import contextlib
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import binaries, images, metrics, namespaces, network, objects
from lab.api import Api
from lab.layout import LabError, Layout, layout
from lab.registry import Registry

_POLL_SECONDS = 0.05
_SETTLE_SECONDS = 10.0


class KubectlError(Exception):
    """kubectl ended with an exit code other than 0; the message is what it wrote to stderr."""


# Controllers first, so that they make no pod anew.
_WHAT_RUNS = (
    *("apis/batch/v1/cronjobs", "apis/batch/v1/jobs", "apis/apps/v1/deployments"),
    *("apis/apps/v1/statefulsets", "apis/apps/v1/daemonsets", "apis/apps/v1/replicasets"),
    *("apis/autoscaling/v2/horizontalpodautoscalers", "api/v1/services", "api/v1/pods"),
)


@dataclass(frozen=True)
class Lab:
    """`api` and `registry` are reached from the machine; `netns` is a path for nsenter --net.

    Of a disposable one namespaces are emptied, not deleted: it is removed as a whole before long.
    """

    layout: Layout
    api: str
    registry: str
    netns: str
    machine_address: str
    is_disposable: bool = False

    @classmethod
    def named(cls, name: str) -> "Lab":
        """Raises `LabError` unless the lab was brought up."""
        chosen = layout(name)
        init, net = namespaces.init_of(chosen), network.of(chosen)
        if init is None or net is None:
            raise LabError(f"lab {name} is not up; start it: python -m lab --name {name} up")
        return cls(
            layout=chosen,
            api=net.api,
            registry=net.registry,
            netns=namespaces.network_namespace(init),
            machine_address=net.machine_address,
        )

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.layout.kubeconfig

    @property
    def audit_log(self) -> Path:
        return self.layout.audit_log

    def client(self) -> Api:
        return Api(self.api, self.layout.pki)

    def environment(self) -> dict[str, str]:
        """Ours, for a program that is to speak to this lab and to nothing else."""
        return os.environ | {
            "KUBECONFIG": str(self.kubeconfig),
            # What kubectl remembers of a cluster goes with it.
            "KUBECACHEDIR": str(self.layout.state / "kubectl"),
        }

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002  as subprocess.run has it
        timeout_seconds: float = 300.0,
    ) -> str:
        """What kubectl wrote to stdout; raises `KubectlError`, `subprocess.TimeoutExpired`."""
        program = binaries.ensure(["kubectl"], self.layout.cache)["kubectl"]
        done = subprocess.run(
            [program, *arguments],
            env=self.environment(),
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_seconds,
        )
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def apply(self, manifests: str) -> None:
        """Server-side, documents of YAML or JSON. Raises `LabError`, `KubectlError`."""
        self.put(*objects.documents(manifests))

    def put(self, *manifests: dict[str, Any], namespace: str = "default") -> None:
        """The same for objects, `namespace` for those that name none; without kubectl where the
        kind is known: it reads the API's schema first, which costs more CPU than all the rest."""
        client = self.client()
        for each in manifests:
            text, path = json.dumps(each), objects.path(each, namespace)
            if path is not None:
                client.apply(path, text)
            else:
                self.kubectl("apply", "--server-side", "-n", namespace, "-f", "-", input=text)

    def images(self, *names: str) -> None:
        """Makes images and pushes them to the lab's registry, where they are missing."""
        images.ensure(names, Registry(self.registry))

    def tag(self, name: str, reference: str) -> None:
        """Lets a reference of the test's own stand for an image, whatever it stood for before."""
        images.tag(name, reference, Registry(self.registry))

    @contextlib.contextmanager
    def namespace(self, prefix: str = "test") -> Iterator[str]:
        """A new namespace that is ready for pods; deleted at the end, without waiting for it.

        Where the lab is disposable, what runs in it is: the API server and the controller manager
        go through every kind there is before a namespace is gone, some 75 requests.
        """
        name = f"{prefix}-{secrets.token_hex(4)}"
        client = self.client()
        client.apply(
            f"/api/v1/namespaces/{name}",
            json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
        )
        try:
            _await_service_account(client, name)
            yield name
        finally:
            if self.is_disposable:
                for collection in _WHAT_RUNS:
                    group, _, plural = collection.rpartition("/")
                    client.delete(
                        f"/{group}/namespaces/{name}/{plural}?propagationPolicy=Background"
                    )
            else:
                client.delete(f"/api/v1/namespaces/{name}")

    @contextlib.contextmanager
    def metrics_api(self) -> Iterator[None]:
        """With a metrics-server, which is built on first use. Raises `LabError`."""
        init, net = namespaces.init_of(self.layout), network.of(self.layout)
        if init is None or net is None:
            raise LabError(f"lab {self.layout.name} is not up any more")
        with metrics.served(self.layout, net, init, self.client()):
            yield

    def audit_offset(self) -> int:
        """Where the audit log ends now, for `requests`."""
        self._settle()
        return self.audit_log.stat().st_size

    def requests(self, since_offset: int = 0, user_agent: str = "") -> list[dict[str, Any]]:
        """The audit events of the requests that were answered since, one for each request.

        Of a watch, which begins and ends, the later event. `user_agent` is the beginning of the
        client's. Everything answered before this call is in.
        """
        self._settle()
        found: dict[str, dict[str, Any]] = {}
        for event in self._events(since_offset):
            if str(event.get("userAgent", "")).startswith(user_agent):
                found[event["auditID"]] = event
        return list(found.values())

    def _events(self, since_offset: int) -> Iterator[dict[str, Any]]:
        with self.audit_log.open("rb") as log:
            log.seek(since_offset)
            for line in log:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def _settle(self) -> None:
        """A client may have its answer before the log has the line: sees a request of ours in."""
        mark = secrets.token_hex(8)
        offset = self.audit_log.stat().st_size
        self.client().get(f"/version?mark={mark}")
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not any(mark in event["requestURI"] for event in self._events(offset)):
            if time.monotonic() > deadline:
                raise LabError(f"{self.audit_log}: a request does not appear in it")
            time.sleep(_POLL_SECONDS)


def _await_service_account(client: Api, namespace: str) -> None:
    """Without it the API server refuses every pod."""
    deadline = time.monotonic() + _SETTLE_SECONDS * 3
    while not client.exists(f"/api/v1/namespaces/{namespace}/serviceaccounts/default"):
        if time.monotonic() > deadline:
            raise LabError(f"namespace {namespace} gets no service account")
        time.sleep(_POLL_SECONDS)
