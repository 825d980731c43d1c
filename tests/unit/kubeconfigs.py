"""Kubeconfigs of tests, and what is found by them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.cluster import ClusterError, ErrorReason
from runner.kube.access import Access, find_access


def config(*names: str, current: str = "", **user: Any) -> dict[str, Any]:
    """A kubeconfig with a context, a cluster and a user for each name."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in names],
        "clusters": [{"name": n, "cluster": {"server": f"https://{n}:6443"}} for n in names],
        "users": [{"name": n, "user": user or {"token": f"token-of-{n}"}} for n in names],
    }


def write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


async def loaded(
    home: Path, *, kubeconfig: str | None = None, context: str | None = None, **more: Any
) -> Access:
    access = find_access(
        kubeconfig=kubeconfig,
        context=context,
        environ=more.pop("environ", {}),
        home=home,
        service_account=more.pop("service_account", home / "none"),
        **more,
    )
    await access.load()
    return access


def error_of(home: Path, **arguments: Any) -> str:
    """The message of the ClusterError(CONFIG) that finding and loading raises."""
    with pytest.raises(ClusterError) as caught:
        asyncio.run(loaded(home, **arguments))
    assert caught.value.reason is ErrorReason.CONFIG
    assert caught.value.message.isprintable()
    return caught.value.message


def system_certificate() -> bytes:
    bundle = Path("/etc/ssl/certs/ca-certificates.crt").read_text()
    return (
        bundle.partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    ).encode()


def service_account(folder: Path) -> Path:
    pod = folder / "serviceaccount"
    pod.mkdir()
    (pod / "token").write_text("of-the-pod\n")
    (pod / "namespace").write_text("ops\n")
    (pod / "ca.crt").write_bytes(system_certificate())
    return pod
