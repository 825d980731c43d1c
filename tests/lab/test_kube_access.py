"""Getting at a real API server: certificates, tokens, plug-ins, proxies, and when it fails."""

import asyncio
import base64
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import pytest
import yaml

from lab.handle import Lab
from lab.proxy import service_account_token
from runner.cluster import ClusterError, ErrorReason, Scope
from runner.kube import access, connect
from runner.kube.retry import RetryPolicy
from tests.lab.kube import listed, pending_pods
from tests.unit.certificates import self_signed

QUICK = RetryPolicy(base_seconds=0.01, cap_seconds=0.02)


def variant(
    lab: Lab,
    folder: Path,
    cluster: Mapping[str, object] = MappingProxyType({}),
    user: object = None,
) -> str:
    """A kubeconfig like the administrator's, with another user or other words for the cluster."""
    document = yaml.safe_load(lab.kubeconfig.read_text())
    document["clusters"][0]["cluster"].update(cluster)
    for key in [key for key, value in cluster.items() if value is None]:
        del document["clusters"][0]["cluster"][key]
    if user is not None:
        document["users"][0]["user"] = user
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return str(path)


async def pods(kubeconfig: str | None, namespace: str) -> int:
    async with await connect(kubeconfig=kubeconfig, retries=QUICK) as kube:
        return len((await listed(kube, Scope(namespace=namespace)))[0])


async def error_of(kubeconfig: str, namespace: str) -> ClusterError:
    with pytest.raises(ClusterError) as caught:
        await pods(kubeconfig, namespace)
    return caught.value


async def test_the_report_can_say_where_it_was(lab: Lab) -> None:
    """Context and server."""
    document = yaml.safe_load(lab.kubeconfig.read_text())
    async with await connect(kubeconfig=str(lab.kubeconfig)) as kube:
        assert kube.description == f"context {document['current-context']} ({lab.api})"


async def test_certificates_inside_the_kubeconfig(
    lab: Lab, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They work, and the private key is on no disk afterwards."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    document = yaml.safe_load(lab.kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    for body, field in (
        (cluster, "certificate-authority"),
        (user, "client-certificate"),
        (user, "client-key"),
    ):
        if field in body:
            content = (lab.kubeconfig.parent / body.pop(field)).read_bytes()
            body[f"{field}-data"] = base64.b64encode(content).decode()
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))

    assert await pods(str(path), namespace) == 0
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["kubeconfig"]


async def test_in_a_pod(
    lab: Lab, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the files and variables that a pod has, and no kubeconfig around."""
    pod = tmp_path / "serviceaccount"
    pod.mkdir()
    (pod / "token").write_text(service_account_token(lab, namespace, role="view") + "\n")
    (pod / "namespace").write_text(namespace)
    (pod / "ca.crt").write_bytes((lab.layout.pki / "ca.crt").read_bytes())
    monkeypatch.setattr(access, "SERVICE_ACCOUNT", pod)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    parts = urlsplit(lab.api)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", parts.hostname or "")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(parts.port))

    async with await connect(kubeconfig=None, context=None) as kube:
        found, _ = await listed(kube, Scope(namespace=kube.default_namespace))
        assert found == []
        assert kube.description == f"in the cluster ({lab.api})"
        assert kube.default_namespace == namespace


async def test_a_token_that_ran_out_is_replaced_once(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """The plug-in first gives a token of yesterday: after the 401 it is asked again, for all."""
    good = service_account_token(lab, namespace, role="view")
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    for name, token in (("first", "of-yesterday"), ("then", good)):
        (tmp_path / name).write_text(json.dumps({**answer, "status": {"token": token}}))
    plugin = tmp_path / "plugin"
    plugin.write_text(
        f"#!/bin/sh\ncd {tmp_path}; echo x >> calls\n"
        "if [ $(wc -l < calls) = 1 ]; then cat first; else cat then; fi\n"
    )
    plugin.chmod(0o700)
    command = {"apiVersion": answer["apiVersion"], "command": str(plugin)}
    path = variant(lab, tmp_path, user={"exec": command})

    async with await connect(kubeconfig=path) as kube:
        scope = Scope(namespace=namespace)
        await asyncio.gather(*(listed(kube, scope) for _ in range(10)))

    assert (tmp_path / "calls").read_text() == "x\nx\n"
    assert kube.requests_sent["list", "200"] == 10
    assert kube.requests_sent["list", "401"] == 10


async def test_credentials_that_are_not_accepted(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Tried twice, then said."""
    path = variant(lab, tmp_path, user={"token": "nobody-knows-me"})

    error = await error_of(path, namespace)

    assert error.reason is ErrorReason.UNAUTHORIZED
    assert error.message == (
        f"the API server does not accept these credentials (list pods in namespace {namespace}): "
        "Unauthorized"
    )


async def test_the_name_in_the_certificate(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """tls-server-name is what the certificate is checked for; another name is not trusted."""
    right = variant(lab, tmp_path, {"tls-server-name": "kubernetes.default.svc"})
    assert await pods(right, namespace) == 0

    wrong = variant(lab, tmp_path, {"tls-server-name": "other.example.org"})
    error = await error_of(wrong, namespace)
    assert error.reason is ErrorReason.UNREACHABLE
    assert error.message.startswith(
        f"cannot reach {lab.api} to list pods in namespace {namespace}: "
        "TLS: certificate not trusted: "
    )
    assert "other.example.org" in error.message


async def test_an_authority_that_nobody_knows(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Not tried again, and how to check is said; insecure-skip-tls-verify goes through."""
    known = yaml.safe_load(lab.kubeconfig.read_text())["clusters"][0]["cluster"]
    without = {key: None for key in known if key.startswith("certificate-authority")}
    path = variant(lab, tmp_path, without)
    context = yaml.safe_load(lab.kubeconfig.read_text())["current-context"]

    async with await connect(kubeconfig=path) as kube:
        with pytest.raises(ClusterError) as caught:
            await listed(kube, Scope(namespace=namespace))
        assert dict(kube.requests_sent) == {("list", "error"): 1}
    assert caught.value.message == (
        f"cannot reach {lab.api} to list pods in namespace {namespace}: TLS: certificate not "
        "trusted: unable to get local issuer certificate; "
        f"check with: kubectl --kubeconfig {path} --context {context} version"
    )

    insecure = variant(lab, tmp_path, {**without, "insecure-skip-tls-verify": True})
    assert await pods(insecure, namespace) == 0


async def test_the_machines_authorities_count_where_none_is_named(
    lab: Lab, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And there only: an authority of the kubeconfig stands alone."""
    authority = (lab.layout.pki / "ca.crt").read_bytes()
    bundle = tmp_path / "machine.pem"
    bundle.write_bytes(authority)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    known = yaml.safe_load(lab.kubeconfig.read_text())["clusters"][0]["cluster"]
    without: dict[str, object] = {key: None for key in known if key.startswith("certificate")}
    assert await pods(variant(lab, tmp_path, without), namespace) == 0

    now = datetime.now(UTC)
    certificate, _ = self_signed(tmp_path / "ca", "other", now, now + timedelta(hours=1))
    other = base64.b64encode(certificate.read_bytes()).decode()
    path = variant(lab, tmp_path, {**without, "certificate-authority-data": other})
    assert ": TLS: certificate not trusted: " in (await error_of(path, namespace)).message


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ("https://127.0.0.1:1", "connection refused"),
        ("https://no-such-host.invalid:6443", "DNS: the host name does not resolve"),
    ],
)
async def test_nobody_there(
    lab: Lab, namespace: str, tmp_path: Path, server: str, why: str
) -> None:
    """Host, port, reason, and how to check."""
    error = await error_of(variant(lab, tmp_path, {"server": server}), namespace)

    assert error.reason is ErrorReason.UNREACHABLE
    assert error.message.startswith(
        f"cannot reach {server} to list pods in namespace {namespace}: {why}; "
        f"check with: kubectl --kubeconfig {tmp_path}/kubeconfig --context "
    )


async def test_something_else_is_there(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """A server that speaks no TLS, and one that never says a word."""

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 400 no\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await error_of(
            variant(lab, tmp_path, {"server": f"https://127.0.0.1:{port}"}), namespace
        )

    assert error.reason is ErrorReason.UNREACHABLE
    assert f"cannot reach https://127.0.0.1:{port} to list pods" in error.message
    assert ": TLS: " in error.message


async def http_target(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """What CONNECT asks for."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    return head.split()[1]


async def socks_target(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """What a client of SOCKS 5 (RFC 1928) without a password asks for, by name or IPv4."""
    _, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(b"\x05\x00")
    _, _, _, kind = await reader.readexactly(4)
    if kind == 1:
        host = socket.inet_ntoa(await reader.readexactly(4))
    else:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    port = int.from_bytes(await reader.readexactly(2))
    writer.write(b"\x05\x00\x00\x01" + bytes(6))
    return f"{host}:{port}"


@asynccontextmanager
async def proxy(scheme: str = "http") -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that only makes tunnels: its URL and the targets it was asked for."""
    ask = socks_target if scheme == "socks5" else http_target
    targets: list[str] = []
    pipes: list[asyncio.Task[None]] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        targets.append(await ask(reader, writer))
        host, _, port = targets[-1].rpartition(":")
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        pipes.append(asyncio.create_task(pipe(up_reader, writer)))
        pipes.append(asyncio.create_task(pipe(reader, up_writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", targets
        await asyncio.wait_for(asyncio.gather(*pipes, return_exceptions=True), 5)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_the_proxy_of_the_kubeconfig(
    lab: Lab, namespace: str, tmp_path: Path, scheme: str
) -> None:
    """proxy-url is taken, with TLS to the API server through it."""
    async with proxy(scheme) as (url, targets):
        path = variant(lab, tmp_path, {"proxy-url": url})
        assert await pods(path, namespace) == 0

    assert targets == [urlsplit(lab.api).netloc]


async def test_the_proxy_of_the_environment(
    lab: Lab, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY too, unless NO_PROXY names the network."""
    async with proxy() as (url, targets):
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
        assert await pods(str(lab.kubeconfig), namespace) == 0
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8,10.0.0.0/8")
        assert await pods(str(lab.kubeconfig), namespace) == 0

    assert targets == [urlsplit(lab.api).netloc]


async def test_a_proxy_that_is_down(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """The proxy is blamed, not the server."""
    path = variant(lab, tmp_path, {"proxy-url": "http://127.0.0.1:1"})

    error = await error_of(path, namespace)

    assert error.reason is ErrorReason.UNREACHABLE
    assert ": the proxy cannot be reached: connection refused; check with: " in error.message


async def test_closing_leaves_nothing_open(lab: Lab, namespace: str) -> None:
    """No connection of ours is left, a watch in the middle included."""
    server = urlsplit(lab.api).netloc
    the_labs = open_sockets().count(server)
    kube = await connect(kubeconfig=str(lab.kubeconfig))
    _, version = await listed(kube, Scope(namespace=namespace))
    pending_pods(lab, namespace, "web")
    watch = kube.watch_pods(Scope(namespace=namespace), version)
    await anext(watch)
    before = open_sockets()

    await kube.close()
    await watch.aclose()

    # The list's, which the watch has taken over.
    assert before.count(server) == the_labs + 1
    assert open_sockets().count(server) == the_labs


def open_sockets() -> list[str]:
    """Peers of this process's TCP connections."""
    peers = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = entry.readlink()
        except OSError:
            continue
        if str(target).startswith("socket:"):
            with socket.socket(fileno=socket.dup(int(entry.name))) as copy:
                try:
                    host, port = copy.getpeername()[:2]
                except (OSError, ValueError):
                    continue
                peers.append(f"{host}:{port}")
    return peers
