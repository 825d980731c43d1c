"""A watch that brings more than is read at a time, from a server of the test's own: this is about
libcurl and TCP, and not about Kubernetes."""

import asyncio
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.cluster import Scope
from runner.kube import connect
from runner.kube.curl import Response
from runner.kube.watch import Pacer
from tests.unit.kubeconfigs import config, write

EVENTS = 2000


def _event(number: int) -> bytes:
    """As large as one of a pod with an ephemeral container is."""
    pod = {
        "metadata": {
            "name": f"web-{number}", "namespace": "shop", "uid": f"u{number}",
            "resourceVersion": str(number + 2), "annotations": {"filler": "x" * 8000},
        },
        "spec": {"containers": [{"name": "app", "image": "busybox"}]},
    }  # fmt: skip
    line = json.dumps({"type": "MODIFIED", "object": pod}).encode() + b"\n"
    return b"%x\r\n%s\r\n" % (len(line), line)


def _send_all(listener: socket.socket) -> None:
    """Every event as soon as the reader takes it, then silence until the reader goes."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(1 << 16)
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"".join(map(_event, range(EVENTS))))
        connection.recv(1)


# Where other tests leave the sender no processor, there is nothing to read and a rest is right.
@pytest.mark.flaky(reruns=3, reruns_delay=1)
async def test_a_busy_watch_does_not_fall_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """16 MB that wait are read without a rest; with one after each read it took 30 of them."""
    rests: list[Response] = []
    pause = Response.pause

    def paused(response: Response) -> None:
        rests.append(response)
        pause(response)

    monkeypatch.setattr(Response, "pause", paused)
    monkeypatch.setattr(Pacer, "pause_seconds", lambda *_, **__: 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        document = config("here", current="here")
        port = listener.getsockname()[1]
        document["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{port}"
        sending = asyncio.get_running_loop().run_in_executor(pool, _send_all, listener)
        seen: list[str] = []
        kubeconfig = write(tmp_path / "kubeconfig", document)
        async with await connect(kubeconfig=str(kubeconfig)) as kube:
            async for event in kube.watch_pods(Scope(namespace="shop"), "1"):
                assert event.pod is not None
                seen.append(event.pod.metadata.name)
                if len(seen) == EVENTS:
                    break
        await sending

    assert seen == [f"web-{number}" for number in range(EVENTS)]
    assert len(rests) <= 15
